//! A file's bytes: requests are sent ahead of what arrives, so that no time is lost on the way.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use super::ON_THE_WAY;
use super::packet::{Attributes, answer, ask, how};
use super::sftp::{Asked, Handle, Lease};
use crate::fault::Fault;
use crate::files::{Body, Meta};

/// Opens the file, and is sure that it is the one `meta` speaks of: whoever replaces it, replaces the name only.
pub(super) async fn read(sftp: Lease, path: &str, range: Range<u64>, meta: &Meta) -> Result<Body<'static>, Fault> {
    let handle = sftp.open(path, how::READ).await?;
    let attributes = handle.ask(ask::FSTAT, |_| {});
    let piece = handle.sftp.features.read_size;
    let mut reading =
        Reading { _lease: sftp, handle, next: range.start, end: range.end, piece, asked: VecDeque::new() };
    reading.ask_ahead();
    let found = Attributes::read(&mut attributes.answer(answer::ATTRS).await?)?;
    if found.is_dir() || found.meta().version() != meta.version() {
        return Err(Fault::Changed);
    }
    Ok(Box::pin(futures_util::stream::unfold(Some(reading), |reading| async {
        let mut reading = reading?;
        match reading.receive().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(reading))),
            Ok(None) => None,
            Err(fault) => Some((Err(fault), None)),
        }
    })))
}

struct Reading {
    _lease: Lease,
    handle: Handle,
    /// The first byte that was not asked for yet.
    next: u64,
    end: u64,
    /// How much is asked for at once.
    piece: u32,
    asked: VecDeque<(Range<u64>, Asked)>,
}

impl Reading {
    fn ask_ahead(&mut self) {
        let most = (ON_THE_WAY / u64::from(self.piece)).max(1) as usize;
        while self.next < self.end && self.asked.len() < most {
            let end = self.end.min(self.next + u64::from(self.piece));
            self.asked.push_back((self.next..end, self.ask(self.next..end)));
            self.next = end;
        }
    }

    fn ask(&self, range: Range<u64>) -> Asked {
        self.handle.read(range.start, u32::try_from(range.end - range.start).unwrap_or(self.piece))
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Fault> {
        let Some((range, asked)) = self.asked.pop_front() else { return Ok(None) };
        let piece = match asked.answer(answer::DATA).await {
            Ok(mut words) => words.text()?,
            // It is shorter than it was.
            Err(Fault::PastEnd) => return Err(Fault::Changed),
            Err(fault) => return Err(fault),
        };
        let got = range.start + piece.len() as u64;
        if piece.is_empty() || got > range.end {
            return Err(super::packet::malformed());
        }
        if got < range.end {
            // The server gives less at once than it was asked for.
            self.piece = u32::try_from(piece.len()).unwrap_or(self.piece).max(4096);
            self.asked.push_front((got..range.end, self.ask(got..range.end)));
        }
        self.ask_ahead();
        Ok(Some(piece))
    }
}
