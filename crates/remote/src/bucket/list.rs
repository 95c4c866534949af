//! Listing: one level as a directory, or everything below as a stream.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::Stream;

use super::{Ask, Bucket, Inner, Listed};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::path::RelPath;
use crate::{Entry, Found, FoundPage};

/// As many as every store gives at once.
const PAGE: u32 = 1000;

impl Bucket {
    pub async fn list(&self, path: &RelPath) -> Result<Vec<Entry>> {
        let bucket = &self.0;
        let prefix = bucket.dir_prefix(path);
        let (mut entries, mut any, mut after) = (Vec::new(), false, None);
        loop {
            let ask = Ask { prefix: &prefix, level: true, after: after.as_deref(), most: PAGE };
            let page = bucket.service.list(ask).await.map_err(|fault| bucket.error(fault, path))?;
            any |= !page.files.is_empty() || !page.dirs.is_empty();
            let dirs = page.dirs.iter().filter_map(|dir| Some((name(&prefix, dir)?, true, 0)));
            let files = page.files.iter().filter_map(|file| Some((name(&prefix, &file.key)?, false, file.size)));
            entries.extend(dirs.chain(files).map(|(name, is_dir, size)| Entry { name: name.to_owned(), is_dir, size }));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if !any && !path.is_root() {
            return Err(match bucket.service.head(&bucket.key(path)?, None).await {
                Ok(_) => Error::NotADirectory { path: path.to_string() },
                Err(fault) => bucket.error(fault, path),
            });
        }
        // A key and a directory of one name may exist; the directory comes first.
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name).then(b.is_dir.cmp(&a.is_dir)));
        entries.dedup_by(|a, b| a.name == b.name && a.is_dir == b.is_dir);
        Ok(entries)
    }

    pub async fn list_page(&self, path: &RelPath, begins: &str, after: Option<String>) -> Result<FoundPage> {
        let bucket = &self.0;
        let prefix = format!("{}{begins}", bucket.dir_prefix(path));
        let ask = Ask { prefix: &prefix, level: false, after: after.as_deref(), most: PAGE };
        let page = bucket.service.list(ask).await.map_err(|fault| bucket.error(fault, path))?;
        let files = page.files.into_iter().filter_map(|file| found(bucket, file)).collect();
        Ok(FoundPage { files, next: page.next })
    }

    /// Every file below `path`, in the order of the keys' bytes. Nothing at all is no error.
    pub fn list_all(&self, path: &RelPath) -> impl Stream<Item = Result<Found>> + Send + use<> {
        let walk = Walk {
            bucket: Arc::clone(&self.0),
            prefix: self.0.dir_prefix(path),
            path: path.clone(),
            ready: VecDeque::new(),
            after: None,
            ended: false,
        };
        futures_util::stream::unfold(Some(walk), |walk| async {
            let mut walk = walk?;
            match walk.next().await {
                Ok(Some(found)) => Some((Ok(found), Some(walk))),
                Ok(None) => None,
                Err(fault) => Some((Err(walk.bucket.error(fault, &walk.path)), None)),
            }
        })
    }
}

struct Walk {
    bucket: Arc<Inner>,
    prefix: String,
    path: RelPath,
    ready: VecDeque<Listed>,
    after: Option<String>,
    ended: bool,
}

impl Walk {
    async fn next(&mut self) -> Result<Option<Found>, Fault> {
        loop {
            while let Some(file) = self.ready.pop_front() {
                if let Some(found) = found(&self.bucket, file) {
                    return Ok(Some(found));
                }
            }
            if self.ended {
                return Ok(None);
            }
            let ask = Ask { prefix: &self.prefix, level: false, after: self.after.as_deref(), most: PAGE };
            let page = self.bucket.service.list(ask).await?;
            self.ended = page.next.is_none();
            self.after = page.next;
            self.ready = page.files.into();
        }
    }
}

/// What has no valid name (`a//b`, a directory's marker) is none of ours.
fn found(bucket: &Inner, file: Listed) -> Option<Found> {
    let below = file.key.strip_prefix(&bucket.prefix);
    let path = below.and_then(|key| RelPath::new(key).ok()).filter(|path| !path.is_root())?;
    let Listed { size, etag, modified, version, json_etag, .. } = file;
    Some(Found { path, size, etag, modified, version, json_etag })
}

/// The one name behind `prefix`, if it is one that can be asked for.
fn name<'a>(prefix: &str, key: &'a str) -> Option<&'a str> {
    let name = key.strip_prefix(prefix)?;
    (!name.is_empty() && !name.contains('/') && RelPath::new(name).is_ok()).then_some(name)
}
