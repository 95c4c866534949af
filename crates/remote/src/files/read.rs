//! Reading: a stream that breaks off is taken up where it stopped, of the same version or not at all.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use super::{Body, Inner, Meta};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::http::back_off;
use crate::path::RelPath;

pub(crate) type FilesStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

pub(crate) struct FilesObject {
    files: Arc<Inner>,
    path: RelPath,
    meta: Meta,
}

impl FilesObject {
    pub(super) fn new(files: Arc<Inner>, path: RelPath, meta: Meta) -> FilesObject {
        FilesObject { files, path, meta }
    }

    /// The bytes of a range that lies within the file.
    pub fn stream(self, range: Range<u64>) -> FilesStream {
        let reading = Reading { object: self, range, body: None, failed: 0 };
        Box::pin(futures_util::stream::unfold(Some(reading), |reading| async {
            let mut reading = reading?;
            match reading.next().await {
                Ok(Some(piece)) => Some((Ok(piece), Some(reading))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }))
    }
}

struct Reading {
    object: FilesObject,
    /// What is still to come.
    range: Range<u64>,
    body: Option<Body<'static>>,
    /// How often in a row nothing new came.
    failed: u32,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        while !self.range.is_empty() {
            match self.receive().await {
                Ok(piece) => {
                    self.failed = 0;
                    self.range.start += piece.len() as u64;
                    return Ok(Some(piece));
                }
                Err(Fault::Unreachable(_)) if self.failed + 1 < self.object.files.attempts => {}
                // Deleted counts as replaced: what was begun cannot be ended.
                Err(Fault::Missing | Fault::Changed | Fault::PastEnd) => {
                    return Err(Error::Changed { path: self.object.path.to_string() });
                }
                Err(fault) => return Err(self.object.files.error(fault, &self.object.path)),
            }
            self.body = None;
            self.failed += 1;
            tokio::time::sleep(back_off(self.failed)).await;
        }
        Ok(None)
    }

    async fn receive(&mut self) -> Result<Bytes, Fault> {
        let FilesObject { files, path, meta } = &self.object;
        let body = match &mut self.body {
            Some(body) => body,
            none => none.insert(files.service.read(&files.place(path), self.range.clone(), meta).await?),
        };
        loop {
            match body.next().await {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(mut piece)) => {
                    let left = self.range.end - self.range.start;
                    piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                    return Ok(piece);
                }
                Some(Err(fault)) => return Err(fault),
                None => return Err(Fault::Unreachable("it ended too early".to_owned())),
            }
        }
    }
}
