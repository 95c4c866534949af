//! Reading: the first piece comes with the answer that says what is there, the rest when it is asked for.
//!
//! So a small object costs one request, and a range in the middle of a large one moves nothing else. A
//! stream that breaks off is taken up where it stopped, of the same version or not at all.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;

use super::service::{Got, Head};
use super::verify::{Summing, agrees};
use super::{Inner, stat};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::http::{Failure, back_off};
use crate::path::RelPath;
use crate::{Object, Source, Stat};

/// What is fetched at once, and so what a small object is.
const FIRST: u64 = 256 * 1024;

pub(crate) type BucketStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

pub(crate) struct BucketObject {
    bucket: Arc<Inner>,
    path: RelPath,
    key: String,
    /// Only this version was asked for.
    version: Option<String>,
    head: Head,
    first: Bytes,
}

pub(super) async fn get(bucket: &Arc<Inner>, path: &RelPath, version: Option<&str>) -> Result<Object> {
    if path.is_root() {
        return Err(Error::IsADirectory { path: String::new() });
    }
    let key = bucket.key(path)?;
    let (head, first) = match first_piece(bucket, path, &key, version).await {
        Ok(found) => found,
        Err(Fault::Missing) if version.is_none() && bucket.is_dir(path).await? => {
            return Err(Error::IsADirectory { path: path.to_string() });
        }
        Err(fault) => return Err(bucket.error(fault, path)),
    };
    let version = version.map(str::to_owned);
    let object = BucketObject { bucket: Arc::clone(bucket), path: path.clone(), key, version, head, first };
    Ok(Object { stat: stat(&object.head), source: Source::Bucket(object) })
}

/// An object of which all but its bytes is known.
pub(super) fn known(bucket: &Arc<Inner>, path: &RelPath, stat: &Stat) -> Result<Object> {
    let key = bucket.key(path)?;
    let head = Head { size: stat.size, etag: stat.etag.clone(), modified: stat.modified, ..Head::default() };
    let object =
        BucketObject { bucket: Arc::clone(bucket), path: path.clone(), key, version: None, head, first: Bytes::new() };
    Ok(Object { stat: stat.clone(), source: Source::Bucket(object) })
}

/// The beginning of an object, which is all of a small one and then compared with its checksum.
async fn first_piece(bucket: &Inner, path: &RelPath, key: &str, version: Option<&str>) -> Result<(Head, Bytes), Fault> {
    let attempts = bucket.service.client().options().attempts;
    for attempt in 1.. {
        let got = match bucket.service.get(key, version, 0..FIRST, None).await {
            // The first byte of nothing cannot be had.
            Err(Fault::PastEnd) => {
                let head = bucket.service.head(key, version).await?;
                match head.size {
                    0 => return Ok((head, Bytes::new())),
                    _ => Err(Fault::Other("it refuses a range of what is there".to_owned())),
                }
            }
            outcome => outcome,
        }?;
        let damaged = match read_piece(got).await {
            Ok((head, piece)) => match head.sum {
                Some(sum) if head.size == piece.len() as u64 && !agrees(sum, &piece) => {
                    format!("'{path}' arrived damaged: its checksum is another")
                }
                _ => return Ok((head, piece)),
            },
            Err(failure) => failure.to_string(),
        };
        if attempt >= attempts {
            return Err(Fault::Unreachable(damaged));
        }
        tokio::time::sleep(back_off(attempt)).await;
    }
    unreachable!("the loop ends by returning")
}

async fn read_piece(mut got: Got) -> Result<(Head, Bytes), Failure> {
    let expected = got.head.size.min(FIRST) as usize;
    if got.range != (0..expected as u64) {
        return Err(Failure::Refused("it does not send the range that it was asked for".to_owned()));
    }
    let mut piece = BytesMut::with_capacity(expected);
    while let Some(some) = got.body.next().await? {
        if piece.is_empty() && some.len() == expected {
            return Ok((got.head, some));
        }
        piece.extend_from_slice(&some);
    }
    match piece.len() == expected {
        true => Ok((got.head, piece.freeze())),
        false => Err(Failure::Broken(format!("{} bytes of {expected} arrived", piece.len()))),
    }
}

impl BucketObject {
    /// The bytes of a range that lies within the object.
    pub fn stream(self, range: Range<u64>) -> BucketStream {
        let whole = range == (0..self.head.size);
        let in_first = range.start.min(self.first.len() as u64)..range.end.min(self.first.len() as u64);
        let first = self.first.slice(in_first.start as usize..in_first.end as usize);
        if range.end <= self.first.len() as u64 {
            // Compared already, if it is all.
            let piece = (!first.is_empty()).then_some(Ok(first));
            return Box::pin(futures_util::stream::iter(piece));
        }
        let summing = self.head.sum.filter(|_| whole).map(Summing::towards);
        let reading = Reading {
            at: range.start + first.len() as u64,
            end: range.end,
            first: Some(first).filter(|first| !first.is_empty()),
            got: None,
            failed: 0,
            summing,
            object: self,
        };
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
    object: BucketObject,
    /// The next byte to ask for or to receive, behind `first`.
    at: u64,
    end: u64,
    first: Option<Bytes>,
    got: Option<Got>,
    /// How often in a row nothing new came.
    failed: u32,
    summing: Option<Summing>,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            self.add(&first);
            return Ok(Some(first));
        }
        while self.at < self.end {
            let failure = match self.receive().await {
                Ok(piece) => {
                    self.failed = 0;
                    self.at += piece.len() as u64;
                    self.add(&piece);
                    if self.at == self.end {
                        self.finish().await?;
                    }
                    return Ok(Some(piece));
                }
                Err(Fault::Unreachable(reason)) => Fault::Unreachable(reason),
                // Deleted counts as replaced: what was begun cannot be ended.
                Err(Fault::Missing | Fault::Changed | Fault::PastEnd) => {
                    return Err(Error::Changed { path: self.object.path.to_string() });
                }
                Err(fault) => return Err(self.object.bucket.error(fault, &self.object.path)),
            };
            self.got = None;
            self.failed += 1;
            if self.failed >= self.object.bucket.service.client().options().attempts {
                return Err(self.object.bucket.error(failure, &self.object.path));
            }
            tokio::time::sleep(back_off(self.failed)).await;
        }
        Ok(None)
    }

    async fn receive(&mut self) -> Result<Bytes, Fault> {
        if self.got.is_none() {
            let object = &self.object;
            let etag = object.head.etag.as_deref();
            let got =
                object.bucket.service.get(&object.key, object.version.as_deref(), self.at..self.end, etag).await?;
            if got.range.start != self.at || got.head.size != object.head.size {
                return Err(Fault::Changed);
            }
            self.got = Some(got);
        }
        let Some(got) = &mut self.got else { return Err(Fault::Changed) };
        match got.body.next().await? {
            Some(mut piece) => {
                piece.truncate((self.end - self.at).min(usize::MAX as u64) as usize);
                Ok(piece)
            }
            None => Err(Fault::Unreachable("the connection ended too early".to_owned())),
        }
    }

    fn add(&mut self, piece: &[u8]) {
        if let Some(summing) = &mut self.summing {
            summing.add(piece);
        }
    }

    /// Reads the end of the answer, so that its connection can be used again, and compares the checksum.
    async fn finish(&mut self) -> Result<()> {
        if let Some(mut got) = self.got.take() {
            let _ = got.body.next().await;
        }
        match self.summing.take() {
            None => Ok(()),
            Some(summing) => match summing.agrees() {
                true => Ok(()),
                false => Err(Error::Damaged {
                    path: self.object.path.to_string(),
                    reason: "its checksum is not the one that the store keeps".to_owned(),
                }),
            },
        }
    }
}
