//! Every file below a directory of a folder.

use std::collections::VecDeque;

use futures_util::Stream;

use crate::error::{Error, Result};
use crate::path::RelPath;
use crate::{Found, Remote};

pub(crate) fn files(remote: Remote, path: RelPath) -> impl Stream<Item = Result<Found>> + Send {
    let walk = Walk { remote, dirs: VecDeque::from([path]), files: VecDeque::new() };
    futures_util::stream::unfold(Some(walk), |walk| async {
        let mut walk = walk?;
        match walk.next().await {
            Ok(Some(found)) => Some((Ok(found), Some(walk))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
}

struct Walk {
    remote: Remote,
    dirs: VecDeque<RelPath>,
    files: VecDeque<RelPath>,
}

impl Walk {
    async fn next(&mut self) -> Result<Option<Found>> {
        loop {
            while let Some(path) = self.files.pop_front() {
                match self.remote.stat(&path).await {
                    Ok(stat) if !stat.is_dir => {
                        return Ok(Some(Found {
                            path,
                            size: stat.size,
                            etag: stat.etag,
                            modified: stat.modified,
                            version: None,
                            json_etag: None,
                        }));
                    }
                    // Deleted while we looked.
                    Ok(_) | Err(Error::NotFound { .. } | Error::NotADirectory { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            let Some(dir) = self.dirs.pop_front() else { return Ok(None) };
            let entries = match self.remote.list(&dir).await {
                Ok(entries) => entries,
                Err(Error::NotFound { .. } | Error::NotADirectory { .. }) => continue,
                Err(error) => return Err(error),
            };
            for entry in entries {
                // A name that is longer than a path may be, or of bytes that are no UTF-8, cannot be asked for.
                let Ok(path) = RelPath::new(entry.name).and_then(|name| dir.join(&name)) else { continue };
                match entry.is_dir {
                    true => self.dirs.push_back(path),
                    false => self.files.push_back(path),
                }
            }
        }
    }
}
