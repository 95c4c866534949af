//! What lies at a URL or a path outside: how it looks, by what it is known again, and its bytes.
//!
//! `import-url`, `update`, `get-url`, `list-url` and `add` reach everything through this; a store is opened in
//! `remotes/anywhere.rs`.
//!
//! ```text
//! mod.rs       what was looked at, brought into the cache or sent to a remote
//! there.rs     a file or folder in a store: its files, their versions, their bytes
//! identity.rs  by what an import knows it again, as DVC writes it
//! over_http.rs the same of what only an HTTP server's headers tell
//! ```

mod identity;
mod over_http;
mod there;

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use trackway_store::{Cache, Content, Depot, Hash, HashName, Progress, ScanOptions, State, scan, transfer};

use crate::bring::Brought;
use crate::error::{Error, Result};
use crate::paths;
use crate::remotes::anywhere::{Anywhere, There};
use crate::repo::Repo;

pub(crate) use identity::Identity;
pub(crate) use there::{Seen, SeenFile};

use there::AT_ONCE;

/// What was looked at, and by what an import knows it again.
pub(crate) enum Look {
    Here { path: PathBuf, content: Content },
    There { there: Box<There>, seen: Seen },
}

impl Repo {
    /// Looks at something; `None` if nothing is there.
    pub(crate) fn look(&self, place: Anywhere, progress: &dyn Progress) -> Result<Option<Look>> {
        match place {
            Anywhere::Here(path) => {
                let content = match paths::is_in_or_eq(&path, self.root()) {
                    true => scan(&path, &self.work_tree(progress)?.scan_options(HashName::Md5)?)?,
                    // Neither ignore rules nor what we remember of the work tree have a say about other places.
                    false => scan(&path, &ScanOptions { progress, ..ScanOptions::new(&State::disabled()) })?,
                };
                Ok(content.map(|content| Look::Here { path, content }))
            }
            Anywhere::There(there) => {
                let seen = there.look()?;
                Ok(seen.map(|seen| Look::There { there: Box::new(there), seen }))
            }
        }
    }
}

impl Look {
    /// A file that somebody may execute; stores do not know such things.
    pub(crate) fn is_exec(&self) -> bool {
        matches!(self, Look::Here { content, .. } if content.is_exec())
    }

    /// Brings it into the cache.
    pub(crate) fn bring(&self, cache: &Cache, jobs: Option<usize>, progress: &dyn Progress) -> Result<Brought> {
        let hash = |oid| Hash { name: HashName::Md5, oid };
        match self {
            Look::Here { path, content } => {
                let insert = |path: &Path| cache.insert_file(path, progress).map_err(Error::from);
                let Content::Dir(dir) = content else {
                    let oid = insert(path)?;
                    cache.flush()?;
                    return Ok(Brought { hash: hash(oid), size: content.size(), nfiles: None, new: 1 });
                };
                let files: Vec<_> = dir.files().map(|(inner, oid, _)| (path.join(inner), oid)).collect();
                files.par_iter().try_for_each(|(path, oid)| match cache.has(oid)? {
                    true => Ok(()),
                    false => Ok::<_, Error>(cache.insert_as(path, oid, progress)?),
                })?;
                let tree = dir.tree();
                let oid = cache.put_tree(&tree)?;
                cache.flush()?;
                Ok(Brought { hash: hash(oid), size: content.size(), nfiles: content.nfiles(), new: files.len() })
            }
            Look::There { there, seen } => {
                let oids =
                    there.each(seen, jobs, "downloading", progress, |file| there.bring(file, cache, progress))?;
                let brought = seen.brought(&oids)?;
                if let Some(tree) = seen.tree(&oids)? {
                    cache.put_tree(&tree)?;
                }
                cache.flush()?;
                Ok(brought)
            }
        }
    }

    /// Sends it to a remote, as objects; nothing of it stays here.
    pub(crate) fn send(
        &self,
        repo: &Repo,
        depot: &Depot,
        jobs: Option<usize>,
        progress: &dyn Progress,
    ) -> Result<Brought> {
        match self {
            Look::Here { path, content } => {
                let files: Vec<_> = match content {
                    Content::File(_) => vec![(path.to_owned(), content.oid(), content.size())],
                    Content::Dir(dir) => dir.files().map(|(inner, oid, size)| (path.join(inner), oid, size)).collect(),
                };
                progress.start("sending", Some(files.len() as u64), Some(content.size()));
                let sent = transfer::with_jobs(jobs, || depot.send(&files, content.tree().as_deref(), progress));
                progress.finish();
                sent?;
                let hash = Hash { name: HashName::Md5, oid: content.oid() };
                Ok(Brought { hash, size: content.size(), nfiles: content.nfiles(), new: files.len() })
            }
            Look::There { there, seen } => {
                // The name of an object is known only when all of it has passed by, so some of it waits on the disk.
                let folder = repo.own_dir();
                std::fs::create_dir_all(&folder).map_err(|error| Error::io(&folder, error))?;
                let waiting = tempfile::tempdir_in(&folder).map_err(|error| Error::io(&folder, error))?;
                let mut oids = Vec::with_capacity(seen.files.len());
                for (round, files) in seen.files.chunks(jobs.unwrap_or(AT_ONCE)).enumerate() {
                    let part = Seen { is_dir: true, files: files.to_vec() };
                    let path = |file: &SeenFile| {
                        let at = part.files.iter().position(|other| std::ptr::eq(other, file)).unwrap_or_default();
                        waiting.path().join(format!("{round}-{at}"))
                    };
                    let came = there.each(&part, jobs, "sending", progress, |file| {
                        let path = path(file);
                        there.download(file, &path, progress)?;
                        let name = trackway_store::hash_file(HashName::Md5, &path, &trackway_store::NoProgress)?;
                        Ok((path, name, file.size))
                    })?;
                    transfer::with_jobs(jobs, || depot.send(&came, None, progress))?;
                    for (path, oid, _) in came {
                        let _ = std::fs::remove_file(path);
                        oids.push(oid);
                    }
                }
                let tree = seen.tree(&oids)?;
                depot.send(&[], tree.as_ref(), progress)?;
                seen.brought(&oids)
            }
        }
    }
}
