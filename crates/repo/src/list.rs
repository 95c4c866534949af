//! `list`: what a repository holds, tracked by DVC or by git.

use std::path::{Path, PathBuf};

use crate::browse::{Browser, Info};
use crate::error::{Error, Result};
use crate::paths;

#[derive(Clone, Copy, Debug, Default)]
pub struct ListOptions {
    pub recursive: bool,
    pub dvc_only: bool,
    pub depth: Option<i64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub path: String,
    pub info: Info,
}

/// A file or folder, and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    pub name: String,
    pub info: Info,
    pub inside: Vec<Branch>,
}

impl Browser {
    /// What `typed` is, or what is in it, sorted by path. No path is the whole repository.
    pub fn list_paths(&self, typed: &str, options: ListOptions) -> Result<Vec<Listed>> {
        let path = self.place(typed);
        let info = self.info(&path)?.ok_or_else(|| self.missing(&path))?;
        let depth = options.depth.filter(|_| options.recursive);
        if depth.is_some_and(|depth| depth < 0) {
            return Err(Error::unforeseen("maxdepth must be at least 1"));
        }
        if depth == Some(0) || !info.is_dir {
            let name = Path::new(typed).file_name().map_or(".".to_owned(), |name| name.to_string_lossy().into_owned());
            return Ok(vec![Listed { path: name, info }]);
        }
        // As DVC 3.67: no path is the root, but the way to it is from where the person stands.
        let start = if typed.is_empty() { self.start().to_owned() } else { path.clone() };
        let mut found = Vec::new();
        let mut waiting: Vec<(PathBuf, i64)> = vec![(path, 1)];
        while let Some((dir, level)) = waiting.pop() {
            let way = paths::relative(&dir, &start);
            let is_last = !options.recursive || depth.is_some_and(|depth| level >= depth);
            for (name, info) in self.list(&dir, options.dvc_only)?.unwrap_or_default() {
                if info.is_dir && !is_last {
                    waiting.push((dir.join(&name), level + 1));
                    continue;
                }
                let shown = if way == Path::new(".") { PathBuf::from(&name) } else { way.join(&name) };
                found.push(Listed { path: paths::show(&shown), info });
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// The same as a tree.
    pub fn list_tree(&self, typed: &str, options: ListOptions) -> Result<Branch> {
        let path = self.place(typed);
        let info = self.info(&path)?.ok_or_else(|| self.missing(&path))?;
        let name = if typed.is_empty() { ".".to_owned() } else { typed.to_owned() };
        self.branch(name, &path, info, options.depth, options.dvc_only)
    }

    fn branch(&self, name: String, path: &Path, info: Info, depth: Option<i64>, dvc_only: bool) -> Result<Branch> {
        let mut inside = Vec::new();
        if info.is_dir && depth.is_none_or(|depth| depth > 0) {
            for (name, info) in self.list(path, dvc_only)?.unwrap_or_default() {
                let below = path.join(&name);
                let depth = depth.map(|depth| depth - 1);
                inside.push(self.branch(name.to_string_lossy().into_owned(), &below, info, depth, dvc_only)?);
            }
        }
        Ok(Branch { name, info, inside })
    }

    /// A typed path, where none is the root.
    pub(crate) fn place(&self, typed: &str) -> PathBuf {
        if typed.is_empty() { self.root().to_owned() } else { self.path(Path::new(typed)) }
    }

    /// That nothing is at a path, in the words of whoever looked there.
    pub(crate) fn missing(&self, path: &Path) -> Error {
        let number = match path.ancestors().skip(1).any(|above| above.starts_with(self.root()) && above.is_file()) {
            true if self.files().is_work_tree() => NOT_A_FOLDER,
            _ => NOT_FOUND,
        };
        let source = std::io::Error::from_raw_os_error(number);
        let inner = path.strip_prefix(self.root()).unwrap_or(path);
        match self.files().is_work_tree() {
            true => Error::io(path, source),
            false => Error::io(&Path::new("/").join(inner), source),
        }
    }
}

const NOT_FOUND: i32 = 2;
const NOT_A_FOLDER: i32 = 20;
