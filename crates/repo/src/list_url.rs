//! `list-url`: what is at a path or a URL.

use std::collections::BTreeMap;
use std::path::Path;

use crate::browse::Info;
use crate::config::{Config, Environment, Table};
use crate::error::{Error, Result};
use crate::list::{Branch, Listed};
use crate::outside::Seen;
use crate::remotes::anywhere::{self, Anywhere};

/// The folders and files at `url`, those below it too; its own name if it is a file.
pub struct UrlListing {
    url: String,
    /// By the way to each from the top.
    entries: Option<BTreeMap<Vec<String>, Info>>,
    /// What DVC 3.67 calls a file that was named itself.
    name: String,
}

pub fn list_url(config: &Config, environment: &Environment, url: &str, options: &Table) -> Result<UrlListing> {
    match anywhere::open(config, environment, url, options)? {
        Anywhere::Here(path) => {
            let typed = environment.cwd.join(url.strip_prefix("file://").unwrap_or(url));
            let meta = std::fs::metadata(&path).map_err(|_| {
                Error::dvc(format!(
                    "The path '{url}' does not exist: [Errno 2] No such file or directory: '{}'",
                    typed.display()
                ))
            })?;
            let mut entries = BTreeMap::new();
            if meta.is_dir() {
                below(&path, &mut Vec::new(), &mut entries)?;
            }
            let entries = meta.is_dir().then_some(entries);
            Ok(UrlListing { url: url.to_owned(), entries, name: typed.to_string_lossy().into_owned() })
        }
        Anywhere::There(there) => {
            let missing = || Error::dvc(format!("The path '{}' does not exist", there.url));
            let seen = there.look()?.ok_or_else(missing)?;
            let rest = there.url.split_once("://").map_or(&*there.url, |(_, rest)| rest);
            // As DVC 3.67, where a bucket is part of a name, and a host is not.
            let name = match there.config.scheme.as_str() {
                "ssh" | "sftp" | "hdfs" | "webhdfs" => rest.find('/').map_or("/", |at| &rest[at..]),
                _ => rest,
            };
            let name = name.to_owned();
            Ok(UrlListing { url: url.to_owned(), entries: seen.is_dir.then(|| folders(&seen)), name })
        }
    }
}

fn below(dir: &Path, way: &mut Vec<String>, entries: &mut BTreeMap<Vec<String>, Info>) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(dir, error);
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        way.push(entry.file_name().to_string_lossy().into_owned());
        let kind = entry.file_type().map_err(failed)?;
        // As DVC 3.67: of a folder of this machine, what the system says of it itself.
        let size = std::fs::metadata(entry.path()).map_or(0, |meta| meta.len());
        entries.insert(way.clone(), info(kind.is_dir(), Some(size)));
        if kind.is_dir() {
            below(&entry.path(), way, entries)?;
        }
        way.pop();
    }
    Ok(())
}

fn folders(seen: &Seen) -> BTreeMap<Vec<String>, Info> {
    let mut entries = BTreeMap::new();
    for file in &seen.files {
        let way: Vec<String> = file.inner.split('/').map(str::to_owned).collect();
        for end in 1..way.len() {
            entries.insert(way[..end].to_vec(), info(true, None));
        }
        entries.insert(way, info(false, Some(file.size)));
    }
    entries
}

fn info(is_dir: bool, size: Option<u64>) -> Info {
    Info { is_dir, size, is_exec: false, is_file_here: true, tracked: None }
}

impl UrlListing {
    /// What is directly there, or with `recursive` every file, down to a depth.
    pub fn paths(&self, recursive: bool, depth: Option<i64>) -> Result<Vec<Listed>> {
        if depth.is_some_and(|depth| depth < 0) {
            return Err(Error::unforeseen("maxdepth must be at least 1"));
        }
        let Some(entries) = self.entries.as_ref().filter(|_| depth != Some(0)) else {
            return Ok(vec![Listed { path: self.name.clone(), info: info(false, None) }]);
        };
        let deepest = match (recursive, depth) {
            (false, _) => 1,
            (true, depth) => depth.and_then(|depth| usize::try_from(depth).ok()).unwrap_or(usize::MAX),
        };
        let shown =
            |(way, info): &(&Vec<String>, &Info)| way.len() <= deepest && (!info.is_dir || way.len() == deepest);
        let listed = entries.iter().filter(shown);
        Ok(listed.map(|(way, info)| Listed { path: way.join("/"), info: info.clone() }).collect())
    }

    /// The same as a tree.
    pub fn tree(&self, depth: Option<i64>) -> Branch {
        let root = info(self.entries.is_some(), None);
        let mut top = Branch { name: self.url.clone(), info: root, inside: Vec::new() };
        for (way, info) in self.entries.iter().flatten() {
            if depth.is_some_and(|depth| i64::try_from(way.len()).is_ok_and(|len| len > depth)) {
                continue;
            }
            let mut at = &mut top;
            for name in &way[..way.len() - 1] {
                let Some(inside) = at.inside.iter().rposition(|branch| branch.name == *name) else { break };
                at = &mut at.inside[inside];
            }
            at.inside.push(Branch { name: way[way.len() - 1].clone(), info: info.clone(), inside: Vec::new() });
        }
        top
    }
}
