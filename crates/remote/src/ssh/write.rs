//! A new file: pieces are sent ahead of what is confirmed, and kept until they are. When the connection breaks,
//! the same file is opened over a new one, and what was not confirmed is sent again.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::packet::{Attributes, answer, ask, how};
use super::sftp::{Asked, Handle, Lease};
use super::{ON_THE_WAY, PATIENCE, Ssh};
use crate::fault::Fault;
use crate::files::Body;
use crate::http::back_off;

pub(super) async fn write(ssh: &Ssh, path: &str, body: Body<'_>) -> Result<(), Fault> {
    let mut writing = Writing {
        pieces: Pieces { body, carry: Bytes::new(), ended: false },
        sent: VecDeque::new(),
        next: 0,
        confirmed: 0,
    };
    let (mut failed, mut moved) = (0, Instant::now());
    loop {
        let before = writing.confirmed;
        let outcome = match ssh.pool.lease().await {
            Ok(sftp) => writing.go_on(&sftp, path, ssh.sync).await,
            Err(fault) => Err(fault),
        };
        match outcome {
            Err(Fault::Unreachable(reason)) => {
                // As long as something arrives between, it is worth while.
                if writing.confirmed > before {
                    (failed, moved) = (0, Instant::now());
                }
                failed += 1;
                if failed >= ssh.attempts || moved.elapsed() >= PATIENCE + ssh.idle {
                    return Err(Fault::Unreachable(reason));
                }
                tokio::time::sleep(back_off(failed)).await;
            }
            outcome => return outcome,
        }
    }
}

struct Writing<'a> {
    pieces: Pieces<'a>,
    /// Pieces that were sent and not confirmed yet, in order, with where they belong.
    sent: VecDeque<(u64, Bytes)>,
    /// Where the next new piece belongs.
    next: u64,
    confirmed: u64,
}

impl Writing<'_> {
    async fn go_on(&mut self, sftp: &Lease, path: &str, sync: bool) -> Result<(), Fault> {
        // What was confirmed is in the file, and the rest is written over.
        let flags = if self.confirmed == 0 { how::WRITE | how::CREATE | how::TRUNCATE } else { how::WRITE };
        let mut abandoned = Abandoned { sftp: Some(sftp.clone()), path };
        let outcome = self.go_on_at(sftp, path, flags, sync).await;
        abandoned.sftp = None;
        outcome
    }

    async fn go_on_at(&mut self, sftp: &Lease, path: &str, flags: u32, sync: bool) -> Result<(), Fault> {
        let handle = match sftp.open(path, flags).await {
            Err(Fault::Missing) if self.next > 0 => {
                return Err(Fault::Other("the file was deleted while it was written".to_owned()));
            }
            opened => opened?,
        };
        let mut asked: VecDeque<Asked> = self.sent.iter().map(|(at, piece)| handle.write(*at, piece)).collect();
        loop {
            while self.next - self.confirmed < ON_THE_WAY && !self.pieces.ended {
                // What arrives from the server meanwhile waits in its channel, so nothing is lost by waiting here
                // for the body, unless it takes so long that the server is thought dead.
                match self.pieces.next(sftp.features.write_size as usize).await? {
                    Some(piece) => {
                        asked.push_back(handle.write(self.next, &piece));
                        self.next += piece.len() as u64;
                        self.sent.push_back((self.next - piece.len() as u64, piece));
                    }
                    None => break,
                }
            }
            let Some(first) = asked.pop_front() else { break };
            first.done().await?;
            self.confirm();
        }
        finish(handle, self.next, sync).await
    }

    fn confirm(&mut self) {
        if let Some((at, piece)) = self.sent.pop_front() {
            self.confirmed = at + piece.len() as u64;
        }
    }
}

/// Deletes the file if the work is dropped: on the same channel, for what is deleted on another may be made by a
/// request that is still on its way.
struct Abandoned<'a> {
    sftp: Option<Lease>,
    path: &'a str,
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if let Some(sftp) = &self.sftp {
            drop(sftp.ask_path(ask::REMOVE, self.path));
        }
    }
}

/// Closes the file, and is sure that it is as long as what was sent.
async fn finish(handle: Handle, length: u64, sync: bool) -> Result<(), Fault> {
    if sync && handle.sftp.features.fsync {
        handle.sync().done().await?;
    }
    let attributes = handle.ask(ask::FSTAT, |_| {});
    let closed = handle.close();
    let found = Attributes::read(&mut attributes.answer(answer::ATTRS).await?)?;
    closed.done().await?;
    match found.size {
        Some(size) if size != length => Err(Fault::Other(format!("{length} bytes were sent, and the file has {size}"))),
        _ => Ok(()),
    }
}

/// The body in pieces of the size that one request takes.
struct Pieces<'a> {
    body: Body<'a>,
    /// What came with the last piece and is more than it.
    carry: Bytes,
    ended: bool,
}

impl Pieces<'_> {
    async fn next(&mut self, size: usize) -> Result<Option<Bytes>, Fault> {
        let mut small = BytesMut::new();
        loop {
            if small.is_empty() && self.carry.len() >= size {
                return Ok(Some(self.carry.split_to(size)));
            }
            let some = self.carry.len().min(size - small.len());
            if some > 0 {
                small.extend_from_slice(&self.carry.split_to(some));
            }
            if small.len() == size {
                return Ok(Some(small.freeze()));
            }
            match self.body.next().await {
                Some(piece) => self.carry = piece?,
                None => {
                    self.ended = true;
                    return Ok((!small.is_empty()).then(|| small.freeze()));
                }
            }
        }
    }
}
