//! Storing a body: a small one in one request, a large one in parts, some at once.
//!
//! Memory is bounded: parts under way and the one being filled, whose buffers are used again. Nothing is
//! seen before all of it is there; an upload that fails, or that is dropped, is cancelled.

use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::Stream;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::service::{How, Sent, Session, Stored};
use super::{Bucket, Inner, refuse_root};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::multipart::MOST_PARTS;
use crate::path::RelPath;
use crate::{PutOptions, Stat};

/// Google takes pieces of multiples of this.
const STEP: u64 = 256 * 1024;

/// What S3 takes at the least, but for the last.
const SMALLEST_PART: u64 = 5 << 20;

impl Bucket {
    pub async fn put<S, E>(&self, path: &RelPath, body: S, options: PutOptions) -> Result<Stat>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send,
        E: std::fmt::Display,
    {
        refuse_root(path)?;
        let bucket = &self.0;
        let key = bucket.key(path)?;
        if options.if_absent {
            bucket.demand_conditions(path).await?;
        }
        let how = How { if_absent: options.if_absent, content_type: options.content_type, md5: options.md5 };
        let mut body = Body { stream: pin!(body), carry: Bytes::new(), taken: 0, announced: options.length, path };
        let size = part_size(bucket.service.client().options().part_size, options.length);
        let first = body.next_part(buffer(size.min(options.length.unwrap_or(STEP))), size).await?;
        if first.is_last {
            return put_whole(bucket, path, &key, first.content, how).await;
        }
        if options.if_absent && bucket.service.head(&key, None).await.is_ok() {
            return Err(Error::AlreadyExists { path: path.to_string() });
        }
        put_in_parts(bucket, path, key, body, first, how).await
    }
}

async fn put_whole(bucket: &Inner, path: &RelPath, key: &str, content: Bytes, how: How) -> Result<Stat> {
    let size = content.len() as u64;
    let stored = match bucket.service.put(key, content.clone(), how).await {
        Ok(stored) => stored,
        // An answer was lost on its way: what lies there may be what we have written.
        Err(Fault::TakenOnRetry) => {
            let head = bucket.service.head(key, None).await.map_err(|fault| bucket.error(fault, path))?;
            let got = bucket.service.get(key, None, 0..size.max(1), head.etag.as_deref()).await;
            let ours = match got {
                Ok(got) => got.body.bytes(size as usize).await.is_ok_and(|found| found == content),
                Err(Fault::PastEnd) => size == 0,
                Err(fault) => return Err(bucket.error(fault, path)),
            };
            if !ours || head.size != size {
                return Err(Error::AlreadyExists { path: path.to_string() });
            }
            Stored { etag: head.etag, version: head.version, json_etag: head.json_etag }
        }
        Err(fault) => return Err(bucket.error(fault, path)),
    };
    let Stored { etag, version, json_etag } = stored;
    Ok(Stat { size, etag, version, json_etag, ..Stat::default() })
}

async fn put_in_parts<S, E>(
    bucket: &Arc<Inner>,
    path: &RelPath,
    key: String,
    mut body: Body<'_, S>,
    first: Piece,
    how: How,
) -> Result<Stat>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Send,
    E: std::fmt::Display,
{
    let failed = |fault| bucket.error(fault, path);
    let base = part_size(bucket.service.client().options().part_size, body.announced);
    let at_once = match bucket.service.takes_parts_in_parallel() {
        true => bucket.service.client().options().parts_at_once.max(1),
        false => 1,
    };
    let session = bucket.service.start(&key, how).await.map_err(failed)?;
    let session = Arc::new(session);
    let unfinished = Unfinished { bucket: Arc::clone(bucket), key: key.clone(), session: Some(Arc::clone(&session)) };

    let (mut under_way, mut sent, mut spare) = (FuturesUnordered::new(), Vec::new(), Vec::<BytesMut>::new());
    let (mut piece, mut number, mut offset) = (first, 0, 0);
    loop {
        number += 1;
        if number > MOST_PARTS {
            return Err(Error::Incomplete {
                path: path.to_string(),
                reason: "it is longer than a store can take in 10000 parts".to_owned(),
            });
        }
        let is_last = piece.is_last;
        under_way.push(send(bucket, &key, Arc::clone(&session), number, offset, piece));
        offset = body.taken;
        while under_way.len() >= at_once || (is_last && !under_way.is_empty()) {
            collect(under_way.next().await, &mut sent, &mut spare).map_err(failed)?;
        }
        if is_last {
            break;
        }
        // A body of unknown length gets larger parts the longer it is.
        let size = match body.announced {
            Some(_) => base,
            None => base << (number / 1000).min(9),
        };
        let filling = body.next_part(spare.pop().unwrap_or_else(|| buffer(size)), size);
        let mut filling = pin!(filling);
        piece = loop {
            tokio::select! {
                filled = &mut filling => break filled?,
                outcome = under_way.next(), if !under_way.is_empty() => {
                    collect(outcome, &mut sent, &mut spare).map_err(failed)?;
                }
            }
        };
    }
    sent.sort_unstable_by_key(|part: &Sent| part.number);
    let version = bucket.service.finish(&key, &session, &sent, how).await.map_err(failed)?;
    unfinished.finished();
    // What is ours, and not what somebody else has put there since.
    let head = bucket.service.head(&key, version.as_deref()).await.map_err(failed)?;
    if head.size != body.taken {
        return Err(Error::Damaged {
            path: path.to_string(),
            reason: format!("{} bytes were sent, and the store has {}", body.taken, head.size),
        });
    }
    Ok(super::stat(&head))
}

async fn send(
    bucket: &Inner,
    key: &str,
    session: Arc<Session>,
    number: u32,
    offset: u64,
    piece: Piece,
) -> Result<(Sent, Bytes), Fault> {
    let sent = bucket.service.piece(key, &session, number, offset, piece.content.clone(), piece.is_last).await?;
    Ok((sent, piece.content))
}

fn collect(
    outcome: Option<Result<(Sent, Bytes), Fault>>,
    sent: &mut Vec<Sent>,
    spare: &mut Vec<BytesMut>,
) -> Result<(), Fault> {
    if let Some(outcome) = outcome {
        let (part, content) = outcome?;
        sent.push(part);
        if let Ok(mut buffer) = content.try_into_mut() {
            buffer.clear();
            spare.push(buffer);
        }
    }
    Ok(())
}

fn part_size(least: u64, length: Option<u64>) -> u64 {
    let needed = length.unwrap_or(0).div_ceil(u64::from(MOST_PARTS));
    least.max(SMALLEST_PART).max(needed).next_multiple_of(STEP)
}

fn buffer(size: u64) -> BytesMut {
    BytesMut::with_capacity(usize::try_from(size).unwrap_or(usize::MAX))
}

struct Body<'a, S> {
    stream: Pin<&'a mut S>,
    /// What came with the last piece and belongs to the next part.
    carry: Bytes,
    /// How much is in parts by now.
    taken: u64,
    announced: Option<u64>,
    path: &'a RelPath,
}

struct Piece {
    content: Bytes,
    is_last: bool,
}

impl<S, E> Body<'_, S>
where
    S: Stream<Item = std::result::Result<Bytes, E>>,
    E: std::fmt::Display,
{
    /// The next `size` bytes, or what is left. To know which is the last part, it reads one piece more.
    async fn next_part(&mut self, mut buffer: BytesMut, size: u64) -> Result<Piece> {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        loop {
            let some = self.carry.len().min(size - buffer.len());
            buffer.extend_from_slice(&self.carry[..some]);
            self.carry.advance(some);
            if !self.carry.is_empty() {
                break;
            }
            match self.stream.next().await {
                Some(Ok(piece)) => self.carry = piece,
                Some(Err(error)) => return Err(self.incomplete(error.to_string())),
                None => {
                    self.taken += buffer.len() as u64;
                    if let Some(announced) = self.announced.filter(|announced| *announced != self.taken) {
                        return Err(self.incomplete(format!("{} bytes of {announced} arrived", self.taken)));
                    }
                    return Ok(Piece { content: buffer.freeze(), is_last: true });
                }
            }
        }
        self.taken += buffer.len() as u64;
        if let Some(announced) = self.announced.filter(|announced| self.taken >= *announced) {
            return Err(self.incomplete(format!("more than the announced {announced} bytes arrived")));
        }
        Ok(Piece { content: buffer.freeze(), is_last: false })
    }

    fn incomplete(&self, reason: String) -> Error {
        Error::Incomplete { path: self.path.to_string(), reason }
    }
}

/// An upload that is cancelled when it is dropped before its end.
struct Unfinished {
    bucket: Arc<Inner>,
    key: String,
    session: Option<Arc<Session>>,
}

impl Unfinished {
    fn finished(mut self) {
        self.session = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let (Some(session), Ok(runtime)) = (self.session.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let (bucket, key) = (Arc::clone(&self.bucket), std::mem::take(&mut self.key));
        runtime.spawn(async move {
            // Best effort: a store clears away what nobody ends, by its own rules.
            let _ = bucket.service.cancel(&key, &session).await;
        });
    }
}
