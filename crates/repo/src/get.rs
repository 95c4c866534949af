//! `get`: copies a file or folder out of a repository, tracked by DVC or by git, from wherever it is at hand.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use trackway_store::{Hash, Progress};

use crate::browse::{Browser, Info, Tracked, is_of_dvc};
use crate::error::{Error, Result};
use crate::files::Files;
use crate::paths;

/// Where `get` puts it: `out`, in `out` if that is a folder, or here under its own name.
pub fn destination(typed: &str, out: Option<&Path>, force: bool, cwd: &Path) -> Result<PathBuf> {
    let normal = paths::normalize(Path::new(typed));
    let name = normal.file_name().map(PathBuf::from).unwrap_or_else(|| normal.clone());
    let shown = match out.filter(|out| !out.as_os_str().is_empty()) {
        None => name,
        Some(out) if cwd.join(out).is_dir() => out.join(name),
        Some(out) => out.to_owned(),
    };
    let path = paths::absolute(&shown, cwd);
    if path.exists() && !force {
        let kind = if path.is_dir() { "directory" } else { "file" };
        return Err(Error::dvc(format!(
            "The {kind} '{}' already exists locally. \nTo override it, re-run with '--force'.",
            shown.display()
        )));
    }
    if paths::is_dvc_file_name(&path) {
        return Err(Error::dvc("the given path is a DVC file, you must specify a data file or a directory"));
    }
    Ok(path)
}

/// Where the bytes of a file are.
enum Source {
    File(PathBuf),
    Blob(PathBuf),
    Object { tracked: Arc<Tracked>, hash: Hash, remote: Option<String>, shown: String },
}

struct Copying {
    source: Source,
    to: PathBuf,
}

impl Browser {
    /// Copies what `typed` names to `to`. A new folder appears when it is complete.
    pub fn get(&self, typed: &str, to: &Path, jobs: Option<usize>, progress: &dyn Progress) -> Result<()> {
        let path = self.place(typed);
        let info = self.info(&path)?.ok_or_else(|| self.missing(&path))?;
        let parent = to.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(parent).map_err(|error| Error::io(parent, error))?;
        if !info.is_dir {
            let copying = Copying { source: self.source(&path, &info)?, to: to.to_owned() };
            return self.copy(&copying, progress);
        }
        let staged = match to.exists() {
            true => None,
            false => {
                let staged = tempfile::Builder::new()
                    .prefix(".trackway-")
                    .suffix(".tmp")
                    .permissions(std::fs::Permissions::from_mode(0o777))
                    .tempdir_in(parent);
                Some(staged.map_err(|error| Error::io(parent, error))?)
            }
        };
        let base = staged.as_ref().map_or(to, |staged| staged.path());
        let copies = self.plan(&path, base, to)?;
        let copy_all = || copies.par_iter().try_for_each(|copying| self.copy_one(copying, progress));
        let _ = &copy_all;
        copy_with(jobs, self.files(), &copies, progress)?;
        if let Some(staged) = staged {
            let made = staged.keep();
            std::fs::rename(&made, to).map_err(|error| {
                let _ = std::fs::remove_dir_all(&made);
                Error::io(to, error)
            })?;
        }
        Ok(())
    }
}
