//! Reading: one GET for a file; a range, or what a broken line left open, is another.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http::Method;

use super::{Inner, Web};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::http::{Answer, back_off, range, unquoted};
use crate::path::RelPath;
use crate::site::Call;
use crate::{Object, Source, Stat};

/// Of a body whose length is not told so much is kept; of a longer one the length is counted.
const KEPT: usize = 8 << 20;

pub(crate) type WebStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

pub(crate) struct WebObject {
    web: Arc<Inner>,
    path: RelPath,
    head: Head,
    first: First,
}

/// What came with the answer that said what is there.
enum First {
    /// Its body, from the first byte on.
    Answer(Box<Answer>),
    All(Bytes),
    Nothing,
}

struct Head {
    size: u64,
    /// By which one version is told from another.
    version: Option<String>,
    stat: Stat,
}

impl Web {
    pub async fn get(&self, path: &RelPath) -> Result<Object> {
        let (head, first) = self.0.open(path).await.map_err(|fault| self.0.error(fault, path))?;
        let stat = head.stat.clone();
        let object = WebObject { web: Arc::clone(&self.0), path: path.clone(), head, first };
        Ok(Object { stat, source: Source::Web(object) })
    }

    /// By HEAD, as long as that is answered; what a GET would be answered counts.
    pub async fn stat(&self, path: &RelPath) -> Result<Stat> {
        let asked = self.0.site.follow(self.0.call(Method::HEAD, path)).await;
        match asked.map_err(|fault| self.0.error(fault, path))? {
            answer if matches!(answer.status.as_u16(), 404 | 410) => Err(self.0.error(Fault::Missing, path)),
            answer if answer.status.as_u16() == 200 && size(&answer).is_some() => {
                let size = size(&answer).unwrap_or_default();
                Ok(Head::of(&answer, size).stat)
            }
            _ => Ok(self.get(path).await?.stat().clone()),
        }
    }
}

impl Inner {
    pub(super) fn call(&self, method: Method, path: &RelPath) -> Call {
        Call::new(method, self.url(path)).header("accept-encoding", "identity")
    }

    async fn open(&self, path: &RelPath) -> Result<(Head, First), Fault> {
        let mut answer = self.get(path, None).await?;
        if let Some(size) = size(&answer) {
            return Ok((Head::of(&answer, size), First::Answer(Box::new(answer))));
        }
        let mut all = BytesMut::new();
        let mut counted = 0;
        while let Some(piece) = answer.next().await? {
            counted += piece.len() as u64;
            if counted <= KEPT as u64 {
                all.extend_from_slice(&piece);
            } else {
                all = BytesMut::new();
            }
        }
        let first = if counted <= KEPT as u64 { First::All(all.freeze()) } else { First::Nothing };
        Ok((Head::of(&answer, counted), first))
    }

    /// The body from `start` on, or all of it where the server knows no ranges.
    pub(super) async fn get(&self, path: &RelPath, wanted: Option<Range<u64>>) -> Result<Answer, Fault> {
        let mut call = self.call(Method::GET, path);
        if let Some(wanted) = wanted {
            call = call.header("range", &format!("bytes={}-{}", wanted.start, wanted.end.saturating_sub(1)));
        }
        let answer = self.site.follow(call).await?;
        match answer.status.as_u16() {
            200 | 206 => match answer.header("content-encoding").is_some_and(|encoding| encoding != "identity") {
                true => Err(Fault::Other("it sends the file packed, though that was not asked for".to_owned())),
                false => Ok(answer),
            },
            _ => Err(self.site.fault(answer).await),
        }
    }
}

fn size(answer: &Answer) -> Option<u64> {
    let packed = answer.header("content-encoding").is_some_and(|encoding| encoding != "identity");
    range(answer).map(|(_, size)| size).filter(|_| !packed)
}

impl Head {
    fn of(answer: &Answer, size: u64) -> Head {
        let etag = answer.header("etag").map(unquoted);
        let modified = answer.header("last-modified");
        let stat = Stat {
            size,
            is_dir: false,
            modified: modified.and_then(|time| httpdate::parse_http_date(time).ok()),
            etag: etag.clone(),
            ..Stat::default()
        };
        Head { size, version: etag.or_else(|| modified.map(str::to_owned)), stat }
    }
}

impl WebObject {
    /// The bytes of a range that lies within the file.
    pub fn stream(self, range: Range<u64>) -> WebStream {
        let WebObject { web, path, head, first } = self;
        let body = match first {
            First::All(bytes) => {
                let piece = bytes.slice(range.start as usize..range.end as usize);
                return Box::pin(futures_util::stream::iter((!piece.is_empty()).then_some(Ok(piece))));
            }
            First::Answer(answer) if range.start == 0 => Some((answer, 0)),
            _ => None,
        };
        let reading = Reading { web, path, head, range, body, failed: 0 };
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
    web: Arc<Inner>,
    path: RelPath,
    head: Head,
    /// What is still to come.
    range: Range<u64>,
    /// What comes, and how much of it is to be skipped.
    body: Option<(Box<Answer>, u64)>,
    /// How often in a row nothing new came.
    failed: u32,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        while !self.range.is_empty() {
            let fault = match self.receive().await {
                Ok(piece) => {
                    self.failed = 0;
                    self.range.start += piece.len() as u64;
                    if self.range.is_empty()
                        && let Some((mut answer, _)) = self.body.take()
                        && self.range.end == self.head.size
                    {
                        // The end of the answer, so that its connection can be used again.
                        let _ = answer.next().await;
                    }
                    return Ok(Some(piece));
                }
                // Deleted counts as replaced: what was begun cannot be ended.
                Err(Fault::Missing | Fault::Changed | Fault::PastEnd) => {
                    return Err(Error::Changed { path: self.path.to_string() });
                }
                Err(fault) => fault,
            };
            self.body = None;
            self.failed += 1;
            // What has no version cannot be gone on with: it may be another by now.
            let is_lost = self.head.version.is_none() && self.range.start > 0;
            let may_pass = matches!(fault, Fault::Unreachable(_));
            if !may_pass || is_lost || self.failed >= self.web.site.client().options().attempts {
                return Err(self.web.error(fault, &self.path));
            }
            tokio::time::sleep(back_off(self.failed)).await;
        }
        Ok(None)
    }

    async fn receive(&mut self) -> Result<Bytes, Fault> {
        let (answer, skip) = match &mut self.body {
            Some(body) => body,
            none => {
                let whole = self.range == (0..self.head.size);
                let answer = self.web.get(&self.path, (!whole).then_some(self.range.clone())).await?;
                let skip = self.head.agrees(&answer, self.range.start)?;
                none.insert((Box::new(answer), skip))
            }
        };
        loop {
            match answer.next().await? {
                Some(mut piece) => {
                    let over = (*skip).min(piece.len() as u64);
                    *skip -= over;
                    let _ = piece.split_to(over as usize);
                    piece.truncate(usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX));
                    if !piece.is_empty() {
                        return Ok(piece);
                    }
                }
                None => return Err(Fault::Unreachable("the answer ended too early".to_owned())),
            }
        }
    }
}

impl Head {
    /// How much of this answer lies before `start`, if it is of the same version.
    fn agrees(&self, answer: &Answer, start: u64) -> Result<u64, Fault> {
        let sent = range(answer);
        let size = sent.as_ref().map_or(self.size, |(_, size)| *size);
        if size != self.size || Head::of(answer, size).version != self.version {
            return Err(Fault::Changed);
        }
        match (answer.status.as_u16(), sent) {
            (206, Some((range, _))) if range.start == start => Ok(0),
            (200, _) => Ok(start),
            _ => Err(Fault::Other("it does not send the range that it was asked for".to_owned())),
        }
    }
}
