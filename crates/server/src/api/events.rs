//! `events`: what changed, as it changes. As server-sent events for pages, and by asking again and again (`events/poll`).

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout, timeout_at};
use trackway_tracking::{ChangeKind, Event, Events, Listener, limits};

use crate::error::ApiError;
use crate::state::AppState;
use crate::wire::{self, Params, fields};

/// Something is sent at least this often, so that proxies keep the connection, and that a listener who went is noticed.
const ALIVE: Duration = Duration::from_secs(15);
/// How soon a stopping server ends what listens to it.
const STOP: Duration = Duration::from_millis(500);
/// Events of one read.
const TOGETHER: usize = 1000;
const LISTENERS: usize = 2000;
const POLL: i64 = 25;
const LONGEST_POLL: i64 = 60;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Request {
    #[serde(deserialize_with = "fields::list")]
    experiment_ids: Vec<String>,
    #[serde(deserialize_with = "fields::int64")]
    after: Option<i64>,
    /// Seconds that a poll waits for something to happen.
    #[serde(deserialize_with = "fields::int64")]
    timeout: Option<i64>,
}

impl Request {
    fn experiments(&self) -> Result<Vec<i64>, ApiError> {
        let ids = self.experiment_ids.iter().flat_map(|ids| ids.split(',')).filter(|id| !id.is_empty());
        ids.map(|id| Ok(limits::parse_experiment_id(id)?)).collect()
    }
}

/// One who listens, until it goes.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(app: &AppState) -> Result<Seat, ApiError> {
        let seat = Seat(Arc::clone(&app.listeners));
        if seat.0.fetch_add(1, Ordering::Relaxed) >= LISTENERS {
            return Err(ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "TEMPORARILY_UNAVAILABLE",
                "Too many listen to this server already. Try again in a moment.",
            ));
        }
        Ok(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Serialize)]
struct EventOut<'a> {
    experiment_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'a str>,
    changes: Vec<&'static str>,
    timestamp: i64,
}

impl EventOut<'_> {
    fn new(event: &Event) -> EventOut<'_> {
        EventOut {
            experiment_id: event.experiment_id.to_string(),
            run_id: event.run_id.as_deref(),
            changes: event.kinds().map(ChangeKind::name).collect(),
            timestamp: event.time,
        }
    }
}

#[derive(Serialize)]
struct Polled<'a> {
    events: Vec<EventOut<'a>>,
    next: i64,
    reset: bool,
}

/// Waits until something has happened, and answers at once if it has already.
pub(super) async fn poll(State(app): State<AppState>, Params(request): Params<Request>) -> Result<Response, ApiError> {
    let experiments = request.experiments()?;
    let wait = u64::try_from(request.timeout.unwrap_or(POLL).clamp(0, LONGEST_POLL)).unwrap_or(0);
    let until = Instant::now() + Duration::from_secs(wait);
    let _seat = Seat::take(&app)?;
    let mut listener = app.store.listen();
    let mut after = request.after;
    loop {
        let Events { events, next, reset } = app.store.events(after, experiments.clone(), TOGETHER).await?;
        let moved = after.is_some_and(|after| next > after);
        after = Some(next);
        let over = request.after.is_none() || Instant::now() >= until || app.draining.has_begun();
        if reset || over || !events.is_empty() {
            let reset = reset || events.iter().any(Event::is_reset);
            let events = events.iter().filter(|event| !event.is_reset()).map(EventOut::new).collect();
            return Ok(wire::json(&Polled { events, next, reset }));
        }
        if !moved {
            let _ = timeout_at(until.min(Instant::now() + STOP), listener.behind(next)).await;
        }
    }
}

/// A stream that goes on until one side ends it.
pub(super) async fn stream(
    State(app): State<AppState>,
    headers: HeaderMap,
    Params(request): Params<Request>,
) -> Result<Response, ApiError> {
    let experiments = request.experiments()?;
    // A browser that comes back names the last event that it got.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.trim().parse().ok());
    let seat = Seat::take(&app)?;
    let listener = app.store.listen();
    let Events { next, .. } = match last.or(request.after) {
        Some(after) => Events { next: after, ..Events::default() },
        None => app.store.events(None, vec![], 0).await?,
    };
    let begin = format!("retry: 2000\nid: {next}\nevent: ready\ndata: {{}}\n\n");
    let told = Told { app, experiments, listener, cursor: next, sent: next, first: Some(begin), _seat: seat };
    let body = stream::unfold(told, |mut told| async move {
        let text = told.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), told))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Or nginx gathers them first.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

struct Told {
    app: AppState,
    experiments: Vec<i64>,
    listener: Listener,
    cursor: i64,
    /// The cursor as the listener knows it.
    sent: i64,
    first: Option<String>,
    _seat: Seat,
}

impl Told {
    /// What is sent next; `None` ends the stream.
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let alive = Instant::now() + ALIVE;
        loop {
            if self.app.draining.has_begun() {
                return None;
            }
            // A database that is away comes back; a listener whose connection is cut comes back too.
            let told = self.app.store.events(Some(self.cursor), self.experiments.clone(), TOGETHER).await.ok()?;
            let moved = told.next != self.cursor;
            self.cursor = told.next;
            let text = self.write(&told);
            if !text.is_empty() {
                self.sent = self.cursor;
                return Some(text);
            }
            if Instant::now() >= alive {
                if self.sent == self.cursor {
                    return Some(": \n\n".to_owned());
                }
                self.sent = self.cursor;
                return Some(format!("id: {}\nevent: ready\ndata: {{}}\n\n", self.cursor));
            }
            if !moved {
                let _ = timeout(STOP, self.listener.behind(self.cursor)).await;
            }
        }
    }

    fn write(&self, told: &Events) -> String {
        let mut text = String::new();
        if told.reset {
            text = format!("id: {}\nevent: reset\ndata: {{}}\n\n", told.next);
        }
        for event in &told.events {
            if event.is_reset() {
                text.push_str(&format!("id: {}\nevent: reset\ndata: {{}}\n\n", event.id));
                continue;
            }
            // Numbers and texts alone: it can be written.
            let data = serde_json::to_string(&EventOut::new(event)).unwrap_or_default();
            text.push_str(&format!("id: {}\nevent: change\ndata: {data}\n\n", event.id));
        }
        text
    }
}
