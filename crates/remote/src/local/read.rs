//! Reading a file as a stream of pieces, each read on the blocking pool while the one before it is sent.
//!
//! No thread waits for a slow reader: between two pieces there is only the open file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use rustix::fs::OFlags;
use tokio::task::JoinHandle;

use super::beneath::{self, Beneath};
use super::to_stat;
use crate::Object;
use crate::error::{Error, Result};
use crate::path::RelPath;

const PIECE: u64 = 256 * 1024;

/// What an opened object is streamed from.
pub(crate) enum Source {
    /// Nearly every artifact is small: it was read in the same trip that opened it.
    Whole(Bytes),
    File {
        file: File,
        path: RelPath,
    },
}

pub(super) fn get(root: &Beneath, path: &RelPath) -> Result<Object> {
    // NONBLOCK: opening a named pipe must not wait for a writer.
    let file = root.open(path.as_str(), OFlags::RDONLY | OFlags::NONBLOCK)?;
    let stat = to_stat(&beneath::fstat(&file, path.as_str())?, path.as_str())?;
    if stat.is_dir {
        return Err(Error::IsADirectory { path: path.to_string() });
    }
    let file = File::from(file);
    let source = if stat.size <= PIECE {
        let failed = |source| Error::from_io(source, "reading", path.as_str());
        Source::Whole(read_piece(&file, stat.size).map_err(failed)?)
    } else {
        Source::File { file, path: path.clone() }
    };
    Ok(Object { stat, source: crate::Source::Local(source) })
}

/// The next `length` bytes, or fewer at the end of the file.
fn read_piece(mut file: &File, length: u64) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(length as usize);
    file.by_ref().take(length).read_to_end(&mut piece)?;
    Ok(piece.into())
}

impl Source {
    pub(crate) fn stream(self, range: Range<u64>) -> FileStream {
        match self {
            Source::Whole(bytes) => {
                let end = range.end.min(bytes.len() as u64) as usize;
                let start = (range.start as usize).min(end);
                let missing = (range.end - range.start) > (end - start) as u64;
                FileStream {
                    state: match missing {
                        false => State::Whole(bytes.slice(start..end)),
                        true => State::Failed(shrank("")),
                    },
                    left: 0,
                    path: String::new(),
                }
            }
            Source::File { file, path } => FileStream {
                left: range.end - range.start,
                state: State::Unread { file, at: range.start },
                path: path.to_string(),
            },
        }
    }
}

pub(crate) struct FileStream {
    state: State,
    /// How much is yet to be read, the piece in the making included.
    left: u64,
    path: String,
}

enum State {
    Whole(Bytes),
    Unread { file: File, at: u64 },
    Reading(JoinHandle<io::Result<(File, Bytes)>>),
    Failed(Error),
    Done,
}

impl Stream for FileStream {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let this = &mut *self;
        if let State::Unread { .. } = this.state {
            let State::Unread { file, at } = std::mem::replace(&mut this.state, State::Done) else {
                return Poll::Ready(None);
            };
            if this.left > 0 {
                this.state = State::Reading(spawn_read(file, Some(at), this.left));
            }
        }
        let outcome = match &mut this.state {
            State::Reading(reading) => match Pin::new(reading).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(outcome) => outcome.unwrap_or_else(|stopped| Err(io::Error::other(stopped))),
            },
            _ => {
                return Poll::Ready(match std::mem::replace(&mut this.state, State::Done) {
                    State::Whole(bytes) if !bytes.is_empty() => Some(Ok(bytes)),
                    State::Failed(error) => Some(Err(error)),
                    _ => None,
                });
            }
        };
        this.state = State::Done;
        Poll::Ready(Some(match outcome {
            Err(source) => Err(Error::from_io(source, "reading", &this.path)),
            Ok((_, piece)) if piece.is_empty() => Err(shrank(&this.path)),
            Ok((file, piece)) => {
                this.left = this.left.saturating_sub(piece.len() as u64);
                if this.left > 0 {
                    this.state = State::Reading(spawn_read(file, None, this.left));
                }
                Ok(piece)
            }
        }))
    }
}

fn spawn_read(mut file: File, seek: Option<u64>, left: u64) -> JoinHandle<io::Result<(File, Bytes)>> {
    tokio::task::spawn_blocking(move || {
        if let Some(at) = seek {
            file.seek(SeekFrom::Start(at))?;
        }
        let piece = read_piece(&file, left.min(PIECE))?;
        Ok((file, piece))
    })
}

fn shrank(path: &str) -> Error {
    Error::Io {
        doing: format!("reading '{path}'"),
        source: io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read"),
    }
}
