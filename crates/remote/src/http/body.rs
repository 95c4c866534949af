//! A request's body: bytes at hand, or pieces that come while it is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc::Receiver;

pub(super) enum Content {
    Whole(Bytes),
    /// It ends with [`Piece::End`]. Without that it was given up, and the connection with it: the
    /// store must not take what it got for all of it.
    Streamed {
        pieces: Receiver<Piece>,
        left: Option<u64>,
        ended: bool,
    },
}

pub(super) enum Piece {
    Some(Bytes),
    End,
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then_some(Ok(Frame::data(bytes))))
            }
            Content::Streamed { ended: true, .. } => Poll::Ready(None),
            Content::Streamed { pieces, left, ended } => {
                let Poll::Ready(piece) = pieces.poll_recv(cx) else { return Poll::Pending };
                match piece {
                    Some(Piece::Some(bytes)) => {
                        if let Some(left) = left {
                            *left = left.saturating_sub(bytes.len() as u64);
                        }
                        Poll::Ready(Some(Ok(Frame::data(bytes))))
                    }
                    Some(Piece::End) => {
                        *ended = true;
                        Poll::Ready(None)
                    }
                    None => {
                        *ended = true;
                        Poll::Ready(Some(Err(io::Error::other("the upload was given up"))))
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Streamed { ended, .. } => *ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Streamed { left: Some(left), .. } => SizeHint::with_exact(*left),
            Content::Streamed { .. } => SizeHint::default(),
        }
    }
}
