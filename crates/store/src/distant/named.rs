//! Files under their own names, of which the store keeps versions: DVC's `version_aware` and `worktree` remotes.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use trackway_remote::{Error as RemoteError, Found, RelPath, Stat};

use super::{Distant, is_absent};
use crate::pace::Moved;
use crate::transfer::{Failed, Failures};
use crate::{Cache, Error, Oid, Progress, Result};

/// A file in such a remote.
#[derive(Clone, Debug)]
pub struct Named {
    /// From the remote's root.
    pub path: RelPath,
    /// Its content.
    pub oid: Oid,
    /// The version that is meant; without one the newest.
    pub version: Option<String>,
}

impl Distant {
    /// Stores objects of the cache under these names. What was stored is told in the same order, with the versions it got.
    pub fn store_named(
        &self,
        files: &[Named],
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<(Vec<Option<Stat>>, Vec<Failed>)> {
        let failures = Failures::default();
        let stored = Mutex::new(vec![None; files.len()]);
        let numbers: Vec<usize> = (0..files.len()).collect();
        self.each(&numbers, progress, &|number, moved| {
            let file = &files[*number];
            let outcome = self.store_at(&file.path, &file.oid, cache, moved, progress).map(|stat| {
                stored.lock().unwrap_or_else(PoisonError::into_inner)[*number] = Some(stat);
            });
            failures.take(&file.oid, progress, outcome)
        })?;
        cache.save_record();
        Ok((stored.into_inner().unwrap_or_else(PoisonError::into_inner), failures.into_list()))
    }

    /// Brings these versions into the cache, verified.
    pub fn load_versions(&self, files: &[Named], cache: &Cache, progress: &dyn Progress) -> Result<Vec<Failed>> {
        let failures = Failures::default();
        self.each(files, progress, &|file, moved| {
            failures.take(&file.oid, progress, self.load_version(file, cache, moved, progress))
        })?;
        cache.flush()?;
        Ok(failures.into_list())
    }

    fn load_version(&self, file: &Named, cache: &Cache, moved: &Moved, progress: &dyn Progress) -> Result<()> {
        let place = self.place.join(file.path.as_str());
        let object = self.wait(progress, async {
            let got = match &file.version {
                Some(version) => self.remote.get_version(&file.path, version).await,
                None => self.remote.get(&file.path).await,
            };
            match got {
                Err(error) if is_absent(&error) => Err(Error::io("opening", &place, rustix::io::Errno::NOENT)),
                object => Ok(object?),
            }
        })?;
        let mut incoming = cache.receive(&file.oid)?;
        let path = cache.path(&file.oid);
        self.stream(object, moved, progress, &mut |piece| {
            incoming.write_all(piece).map_err(|error| Error::io("writing", &path, error))
        })?;
        match incoming.finish() {
            Err(Error::Corrupt { oid, actual, .. }) => Err(Error::Corrupt { oid, path: place, actual }),
            outcome => outcome,
        }
    }

    /// What is there of the versions that are meant, in the same order.
    pub fn stat_versions(&self, files: &[Named], progress: &dyn Progress) -> Result<Vec<Option<Stat>>> {
        self.wait(progress, async {
            let asking = files.iter().map(|file| async {
                match &file.version {
                    Some(version) => self.remote.stat_version(&file.path, version).await,
                    None => self.remote.stat_file(&file.path).await,
                }
            });
            let mut answers = futures_util::stream::iter(asking).buffered(super::QUESTIONS);
            let mut found = Vec::with_capacity(files.len());
            while let Some(answer) = answers.next().await {
                found.push(answer?);
            }
            Ok(found)
        })
    }

    /// The newest version of every file in a folder, by its name from the folder.
    pub fn newest(&self, folder: &RelPath, progress: &dyn Progress) -> Result<HashMap<String, Found>> {
        self.wait(progress, async {
            let mut files = self.remote.list_all(folder);
            let mut newest = HashMap::new();
            let start = if folder.is_root() { 0 } else { folder.as_str().len() + 1 };
            while let Some(file) = files.next().await {
                match file {
                    Ok(found) => drop(newest.insert(found.path.as_str()[start..].to_owned(), found)),
                    Err(RemoteError::NotFound { .. }) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(newest)
        })
    }
}
