//! `get-url`: copies a file or folder from a path or a URL, and tracks nothing.

use std::path::Path;

use rayon::prelude::*;
use trackway_store::{Progress, transfer};

use crate::config::{Config, Environment, Table};
use crate::error::{Error, Result};
use crate::paths;
use crate::remotes::anywhere::{self, Anywhere};
use crate::write;

/// Copies what lies at `url` to `to`.
pub fn get_url(
    config: &Config,
    environment: &Environment,
    url: &str,
    to: &Path,
    options: &Table,
    jobs: Option<usize>,
    progress: &dyn Progress,
) -> Result<()> {
    let missing = || Error::dvc(format!("The path '{url}' does not exist"));
    match anywhere::open(config, environment, url, options)? {
        Anywhere::Here(path) => {
            if !path.exists() {
                return Err(missing());
            }
            copy_here(&path, to, jobs, progress)
        }
        Anywhere::There(there) => {
            let seen = there.look()?.ok_or_else(missing)?;
            there.download_all(&seen, to, jobs, progress)
        }
    }
}

/// As DVC 3.67, links are followed, and of folders only what holds files is made.
fn copy_here(from: &Path, to: &Path, jobs: Option<usize>, progress: &dyn Progress) -> Result<()> {
    if from.is_dir() && paths::is_in_or_eq(to, from) {
        return Err(Error::dvc(format!("'{}' would be copied into itself", from.display())));
    }
    let mut files = Vec::new();
    let mut waiting = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = waiting.pop() {
        let failed = |error: std::io::Error| Error::io(&from, error);
        if !std::fs::metadata(&from).map_err(failed)?.is_dir() {
            files.push((from, to));
            continue;
        }
        for entry in std::fs::read_dir(&from).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let is_linked_folder = entry.file_type().map_err(failed)?.is_symlink() && entry.path().is_dir();
            if !is_linked_folder {
                waiting.push((entry.path(), to.join(entry.file_name())));
            }
        }
    }
    if files.is_empty() {
        return std::fs::create_dir_all(to).map_err(|error| Error::io(to, error));
    }
    progress.start("copying", Some(files.len() as u64), None);
    let copied = transfer::with_jobs(jobs, || {
        files.par_iter().try_for_each(|(from, to)| {
            if progress.cancelled() {
                return Err(Error::Interrupted);
            }
            let folder = to.parent().unwrap_or(Path::new("/"));
            std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
            let mut source = std::fs::File::open(from).map_err(|error| Error::io(from, error))?;
            write::download(to, &mut |file| {
                std::io::copy(&mut source, file).map(drop).map_err(|error| Error::io(to, error))
            })?;
            progress.add(1, 0);
            Ok(())
        })
    });
    progress.finish();
    copied
}
