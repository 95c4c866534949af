//! Listing: one level, or everything below as a stream that looks into several folders at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::stream::{FuturesUnordered, Stream, StreamExt};

use super::{Files, Inner, Meta, is_temporary};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::path::RelPath;
use crate::task::Task;
use crate::{Entry, Found};

/// How many folders are looked into at once.
const AT_ONCE: usize = 16;

/// What an upload that died has left is swept after this time.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

impl Files {
    pub async fn list(&self, path: &RelPath) -> Result<Vec<Entry>> {
        let files = &self.0;
        if !files.service.allows(path.as_str()) {
            return Err(Error::NotFound { path: path.to_string() });
        }
        let listed = match files.service.list(&files.place(path)).await {
            Ok(listed) => listed,
            Err(fault) => return Err(files.not_listed(path, fault).await),
        };
        let mut entries: Vec<_> = listed
            .into_iter()
            .filter(|(name, _)| !is_temporary(name) && is_name(name))
            .map(|(name, meta)| Entry { name, is_dir: meta.is_dir, size: if meta.is_dir { 0 } else { meta.size } })
            .collect();
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Every file below `path`, in any order. Nothing at all is no error.
    pub fn list_all(&self, path: &RelPath) -> impl Stream<Item = Result<Found>> + Send + use<> {
        let walk = Walk {
            files: Arc::clone(&self.0),
            dirs: vec![path.clone()],
            looking: FuturesUnordered::new(),
            ready: VecDeque::new(),
        };
        futures_util::stream::unfold(Some(walk), |walk| async {
            let mut walk = walk?;
            match walk.next().await {
                Ok(Some(found)) => Some((Ok(found), Some(walk))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

impl Inner {
    async fn not_listed(&self, path: &RelPath, fault: Fault) -> Error {
        match self.look(path).await {
            Ok(Some(meta)) if !meta.is_dir => Error::NotADirectory { path: path.to_string() },
            _ => self.error(fault, path),
        }
    }

    /// Deletes what an upload left behind that died long ago. It is no matter if that cannot be done.
    async fn sweep(&self, dir: &RelPath, name: &str, meta: &Meta) {
        let is_stale = meta.modified.is_some_and(|at| at.elapsed().is_ok_and(|age| age > STALE));
        if is_stale && !meta.is_dir && meta.modified > Some(SystemTime::UNIX_EPOCH) {
            let place = self.place(dir);
            let _ = self.service.delete_file(&format!("{}/{name}", place.trim_end_matches('/'))).await;
        }
    }
}

type Looking = Task<(RelPath, Result<Vec<(String, Meta)>, Fault>)>;

struct Walk {
    files: Arc<Inner>,
    dirs: Vec<RelPath>,
    looking: FuturesUnordered<Looking>,
    ready: VecDeque<Found>,
}

impl Walk {
    async fn next(&mut self) -> Result<Option<Found>> {
        loop {
            if let Some(found) = self.ready.pop_front() {
                return Ok(Some(found));
            }
            while self.looking.len() < AT_ONCE
                && let Some(dir) = self.dirs.pop()
            {
                let files = Arc::clone(&self.files);
                self.looking.push(Task::begin(async move {
                    let listed = files.service.list(&files.place(&dir)).await;
                    (dir, listed)
                }));
            }
            let Some((dir, listed)) = self.looking.next().await else { return Ok(None) };
            let listed = match listed {
                Ok(listed) => listed,
                Err(fault) => match self.files.not_listed(&dir, fault).await {
                    // Deleted while we looked.
                    Error::NotFound { .. } | Error::NotADirectory { .. } => continue,
                    error => return Err(error),
                },
            };
            for (name, meta) in listed {
                if is_temporary(&name) {
                    self.files.sweep(&dir, &name, &meta).await;
                    continue;
                }
                // A name that is longer than a path may be cannot be asked for; one with a slash is a lie.
                let path = match is_name(&name) {
                    true => RelPath::new(name).and_then(|name| dir.join(&name)),
                    false => continue,
                };
                match path {
                    Err(_) => {}
                    Ok(path) if meta.is_dir => self.dirs.push(path),
                    Ok(path) => {
                        let etag = Some(meta.version());
                        self.ready.push_back(Found {
                            path,
                            size: meta.size,
                            etag,
                            modified: meta.modified,
                            version: None,
                            json_etag: None,
                        });
                    }
                }
            }
        }
    }
}

/// Whether what a server calls a name is one that can be asked for.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && RelPath::new(name).is_ok()
}
