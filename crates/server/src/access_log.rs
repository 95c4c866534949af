//! One line for each request, at the level `debug`, and the id that ties an error's lines together.
//!
//! A busy server logs nothing for a request that went well. What went wrong inside the server is logged with a request
//! id, and the answer carries the same id in `X-Request-Id`, so that a person who reports an error can be helped.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::MatchedPath;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use tower::{Layer, Service};

use crate::prometheus::Route;

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static REQUEST: InProgress;
}

/// What is known about the request that the current task works on. Made for every request, so it is small.
struct InProgress {
    id: Cell<Option<RequestId>>,
    route: RefCell<Option<MatchedPath>>,
}

/// Names one request in logs and answers: the server's start and a running number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(u64);

impl RequestId {
    fn next() -> RequestId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        RequestId(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub fn header_value(self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.to_string()).ok()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Numbers start anew with each process, so a word that differs between starts stands before them.
        static START: OnceLock<u32> = OnceLock::new();
        let start = START.get_or_init(|| uuid::Uuid::new_v4().as_fields().0);
        write!(f, "{start:08x}-{}", self.0)
    }
}

/// The id of the request that this task works on; None outside of one. The first call in a request gives it its id.
pub fn request_id() -> Option<RequestId> {
    REQUEST
        .try_with(|request| {
            let id = request.id.get().unwrap_or_else(RequestId::next);
            request.id.set(Some(id));
            id
        })
        .ok()
}

/// Runs one request's work where [`request_id`] and [`RememberRoute`] find it, and tells its route and id afterwards.
pub(crate) async fn in_request<T>(work: impl Future<Output = T>) -> (T, Route, Option<RequestId>) {
    let request = InProgress { id: Cell::new(None), route: RefCell::new(None) };
    REQUEST
        .scope(request, async {
            let done = work.await;
            let (route, id) = REQUEST.with(|request| (request.route.take(), request.id.get()));
            (done, route.map_or(Route::None, Route::Matched), id)
        })
        .await
}

/// Logs one request that has been answered, and gives an answer of status 5xx its id.
pub(crate) fn answered(
    method: &Method,
    path: &str,
    client: IpAddr,
    route: &Route,
    status: StatusCode,
    took: Duration,
    id: Option<RequestId>,
) -> Option<RequestId> {
    let micros = took.as_micros() as u64;
    // 501 says that a thing is not built; that is no failure of the server.
    if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
        let id = id.unwrap_or_else(RequestId::next);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            tracing::warn!(request_id = %id, %client, %method, path, status = status.as_u16(), micros, "answered that the server is busy");
        } else {
            tracing::error!(request_id = %id, %client, %method, path, status = status.as_u16(), micros, "answered with an error of the server");
        }
        return Some(id);
    }
    if tracing::enabled!(tracing::Level::DEBUG) {
        let matched = matches!(route, Route::Matched(_));
        tracing::debug!(%client, %method, path, status = status.as_u16(), micros, matched, "answered");
    }
    id
}

/// Notes the route that was found, for the figures of [`crate::prometheus`]: outside of the router it is not known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RememberRoute;

impl<S> Layer<S> for RememberRoute {
    type Service = Remembering<S>;

    fn layer(&self, inner: S) -> Remembering<S> {
        Remembering { inner }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Remembering<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Remembering<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        if let Some(path) = request.extensions().get::<MatchedPath>() {
            let path = path.clone();
            // Outside of a request, as in a test of a bare router, nobody asks for it.
            let _ = REQUEST.try_with(|request| request.route.replace(Some(path)));
        }
        self.inner.call(request)
    }
}
