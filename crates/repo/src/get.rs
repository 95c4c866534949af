//! `get`: copies a file or folder out of a repository, tracked by DVC or by git, from wherever it is at hand.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use trackway_store::{Hash, HashName, Progress, transfer};

use crate::browse::{Browser, Info, Tracked, is_of_dvc};
use crate::config::ConfigError;
use crate::error::{Error, Result};
use crate::files::Files;
use crate::paths;
use crate::write;

/// Where something from elsewhere is put: `out`, in `out` if that is a folder, or here under its own name; as it is shown.
pub fn resolve_output(name: &Path, out: Option<&Path>, force: bool, cwd: &Path) -> Result<PathBuf> {
    let shown = match out.filter(|out| !out.as_os_str().is_empty()) {
        None => name.to_owned(),
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
    Ok(shown)
}

/// Its own name.
pub(crate) fn own_name(typed: &str) -> PathBuf {
    let normal = paths::normalize(Path::new(typed));
    normal.file_name().map(PathBuf::from).unwrap_or(normal)
}

/// Where `get` puts it.
pub fn destination(typed: &str, out: Option<&Path>, force: bool, cwd: &Path) -> Result<PathBuf> {
    let path = paths::absolute(&resolve_output(&own_name(typed), out, force, cwd)?, cwd);
    if paths::is_dvc_file_name(&path) {
        return Err(Error::dvc("the given path is a DVC file, you must specify a data file or a directory"));
    }
    Ok(path)
}

/// Where the bytes of a file are.
pub(crate) enum Source {
    /// In the work tree, or in the commit that is looked at.
    Here(PathBuf),
    Object {
        tracked: Arc<Tracked>,
        /// In that repository.
        path: PathBuf,
        /// `None` of an import that was never downloaded: it is only where it came from.
        hash: Option<Hash>,
        remote: Option<String>,
        shown: String,
    },
}

pub(crate) struct Copying {
    pub source: Source,
    pub to: PathBuf,
}

/// Folders and files, relative to where they go.
pub(crate) type Plan = (Vec<PathBuf>, Vec<(Source, PathBuf)>);

impl Browser {
    /// Copies what `typed` names to `to`, with so many files at once. A new folder appears when it is complete.
    pub fn get(&self, typed: &str, to: &Path, jobs: Option<usize>, progress: &dyn Progress) -> Result<()> {
        let path = self.place(typed);
        let info = self.info(&path)?.ok_or_else(|| self.missing(&path))?;
        let parent = to.parent().unwrap_or(Path::new("/"));
        let failed = |error: io::Error| Error::io(to, error);
        if !info.is_dir {
            std::fs::create_dir_all(parent).map_err(failed)?;
            let copying = Copying { source: self.source(&path, &info, Path::new(typed))?, to: to.to_owned() };
            return copying.run(self.files(), progress);
        }
        // Found out before anything is made: the folder may come to lie in what is copied.
        let (folders, copies) = self.plan(&path, Path::new(typed))?;
        std::fs::create_dir_all(parent).map_err(failed)?;
        let new = match to.exists() {
            true => None,
            false => {
                let mode = std::fs::Permissions::from_mode(0o777);
                let new =
                    tempfile::Builder::new().prefix(".trackway-").suffix(".tmp").permissions(mode).tempdir_in(parent);
                Some(new.map_err(failed)?)
            }
        };
        let base = new.as_ref().map_or(to, |new| new.path());
        for folder in folders {
            std::fs::create_dir_all(base.join(folder)).map_err(failed)?;
        }
        let copies: Vec<Copying> =
            copies.into_iter().map(|(source, inner)| Copying { source, to: base.join(inner) }).collect();
        let files = self.files();
        progress.start("copying", Some(copies.len() as u64), None);
        let copied = transfer::with_jobs(jobs, || {
            copies.par_iter().try_for_each(|copying| {
                if progress.cancelled() {
                    return Err(Error::Interrupted);
                }
                copying.run(files, progress)?;
                progress.add(1, 0);
                Ok(())
            })
        });
        progress.finish();
        copied?;
        if let Some(new) = new {
            std::fs::rename(new.path(), to).map_err(failed)?;
            // It has another name now, and nothing is to be cleared away.
            let _ = new.keep();
        }
        Ok(())
    }

    /// The folders and files in a folder, relative to it. As DVC 3.67, `.dvc` files and the like stay behind.
    pub(crate) fn plan(&self, path: &Path, shown: &Path) -> Result<Plan> {
        let (mut folders, mut files) = (Vec::new(), Vec::new());
        let mut waiting = vec![(path.to_owned(), PathBuf::new())];
        while let Some((dir, inner)) = waiting.pop() {
            for (name, info) in self.list(&dir, false)?.unwrap_or_default() {
                let (below, inner) = (dir.join(&name), inner.join(&name));
                if is_of_dvc(&name) {
                    continue;
                }
                if info.is_dir {
                    folders.push(inner.clone());
                    waiting.push((below, inner));
                } else {
                    files.push((self.source(&below, &info, &shown.join(&inner))?, inner));
                }
            }
        }
        Ok((folders, files))
    }

    pub(crate) fn source(&self, path: &Path, info: &Info, shown: &Path) -> Result<Source> {
        if info.is_file_here {
            return Ok(Source::Here(path.to_owned()));
        }
        let tracked = self.tracked(path)?;
        let shown = shown.to_string_lossy().into_owned();
        let out = tracked.out_at(path);
        let remote = out.and_then(|out| out.remote.clone());
        // What is known of an import that was never downloaded is known from where it comes from.
        let hash = info.hash().filter(|_| out.is_some_and(|out| out.hash.is_some()));
        Ok(Source::Object { tracked, path: path.to_owned(), hash, remote, shown })
    }

    /// Where the remote keeps the object of a tracked file or folder, or would keep it.
    pub fn object_url(&self, typed: &str) -> Result<String> {
        let path = self.place(typed);
        let info = self.info(&path)?.filter(|info| info.tracked.is_some());
        let key = || self.key(&path);
        let info =
            info.ok_or_else(|| Error::dvc(format!("Unable to find DVC file with output '{typed}': {}", key())))?;
        let tracked = self.tracked(&path)?;
        let repo = &tracked.repo;
        let named = tracked.out_at(&path).and_then(|out| out.remote.clone());
        let hash =
            info.hash().ok_or_else(|| Error::dvc(format!("no remote specified in {}", repo.root().display())))?;
        let place = match hash.name {
            HashName::Md5 => format!("files/md5/{}", two_and_thirty(&hash)),
            HashName::Md5Dos2Unix => two_and_thirty(&hash),
        };
        // As DVC 3.67: of a repository without a default remote, the cache is what one can take from.
        if named.is_none() && repo.config().core_remote().is_none() {
            return Ok(repo.cache_dir().join(place).to_string_lossy().into_owned());
        }
        let remote = repo.remote(named.as_deref(), "get")?;
        Ok(match remote.folder() {
            Some(folder) => folder.join(place).to_string_lossy().into_owned(),
            None => format!("{}/{place}", remote.config.url.trim_end_matches('/')),
        })
    }
}

fn two_and_thirty(hash: &Hash) -> String {
    let name = hash.oid.to_string();
    format!("{}/{}", &name[..2], &name[2..])
}

pub(crate) fn no_storage(shown: &str) -> Error {
    Error::unforeseen(format!("[Errno 2] No storage files available: '{shown}'"))
}

impl Copying {
    pub(crate) fn run(&self, files: &Files, progress: &dyn Progress) -> Result<()> {
        match &self.source {
            Source::Here(path) => match files {
                // As DVC 3.67: of a link to a folder, an empty folder.
                Files::WorkTree if path.is_dir() => {
                    std::fs::create_dir_all(&self.to).map_err(|error| Error::io(&self.to, error))
                }
                Files::WorkTree => {
                    let mut from = File::open(path).map_err(|error| Error::io(path, error))?;
                    self.write(&mut |to| copy(&mut from, to, &self.to))
                }
                Files::Commit { .. } => {
                    let bytes = files.read(path)?.unwrap_or_default();
                    self.write(&mut |to| copy(&mut &bytes[..], to, &self.to))
                }
            },
            Source::Object { tracked, path, hash, remote, shown } => {
                let Some(hash) = hash else { return self.run_upstream(tracked, path, shown, progress) };
                let cache = tracked.repo.cache(hash.name)?;
                match cache.verify(&hash.oid) {
                    Ok(()) => {
                        let path = cache.path(&hash.oid);
                        let mut from = File::open(&path).map_err(|error| Error::io(&path, error))?;
                        return self.write(&mut |to| copy(&mut from, to, &self.to));
                    }
                    Err(trackway_store::Error::Missing { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                let remote = match tracked.repo.remote(remote.as_deref(), "get") {
                    Ok(remote) => remote,
                    Err(Error::Config(ConfigError::NoRemote(_))) => {
                        return self.run_upstream(tracked, path, shown, progress);
                    }
                    Err(error) => return Err(error),
                };
                let depot = remote.depot(hash.name)?;
                match self.write(&mut |to| Ok(depot.copy_to(&hash.oid, to, progress)?)) {
                    Err(Error::Store(error)) if error.io_kind() == Some(io::ErrorKind::NotFound) => {
                        self.run_upstream(tracked, path, shown, progress)
                    }
                    outcome => outcome,
                }
            }
        }
    }

    /// From where the other repository imported it.
    fn run_upstream(&self, tracked: &Tracked, path: &Path, shown: &str, progress: &dyn Progress) -> Result<()> {
        let (browser, place) =
            tracked.out_at(path).and_then(|out| out.upstream(path)).ok_or_else(|| no_storage(shown))?;
        let info = browser.info(&place)?.ok_or_else(|| no_storage(shown))?;
        let source = browser.source(&place, &info, Path::new(shown))?;
        Copying { source, to: self.to.clone() }.run(browser.files(), progress)
    }

    fn write(&self, fill: &mut dyn FnMut(&mut File) -> Result<()>) -> Result<()> {
        write::download(&self.to, fill)
    }
}

/// From a file to a file the kernel copies by itself.
fn copy<R: io::Read + ?Sized>(from: &mut R, to: &mut File, path: &Path) -> Result<()> {
    io::copy(from, to).map(drop).map_err(|error| Error::io(path, error))
}
