//! Bodies that nobody reads: a request that is refused by its path, its method or its headers.
//!
//! HTTP/1.1 can keep a connection only when the whole request was taken off it. So small bodies are read before anything
//! is decided, and where a large one was left unread the answer says that the connection ends, for else the client would
//! lose its next request.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;

/// Bodies up to this many bytes are read at once.
const SMALL: u64 = 64 << 10;

/// Whether a body was read to its end; `None` where there is nothing left to read.
pub(crate) struct Unread(Option<Arc<AtomicBool>>);

/// Reads a small body, or puts a watch on a larger one.
pub(crate) async fn take(request: Request<Body>) -> Result<(Request<Body>, Unread), axum::Error> {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok((Request::from_parts(parts, body), Unread(None)));
    }
    if body.size_hint().upper().is_some_and(|bytes| bytes <= SMALL) {
        let bytes = body.collect().await?.to_bytes();
        return Ok((Request::from_parts(parts, Body::from(bytes)), Unread(None)));
    }
    let ended = Arc::new(AtomicBool::new(false));
    let body = Body::new(Watched { body, ended: Arc::clone(&ended) });
    Ok((Request::from_parts(parts, body), Unread(Some(ended))))
}

impl Unread {
    /// Ends the connection behind this answer if the body was not read.
    pub(crate) fn close_if_left<B>(self, response: &mut Response<B>) {
        if self.0.is_some_and(|ended| !ended.load(Ordering::Relaxed)) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

struct Watched {
    body: Body,
    ended: Arc<AtomicBool>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let watched = self.get_mut();
        let frame = Pin::new(&mut watched.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None)) || watched.body.is_end_stream() {
            watched.ended.store(true, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
