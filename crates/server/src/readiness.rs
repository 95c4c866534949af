//! `/ready`, for balancers: whether this server should be sent requests. `/health` only says that the process lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use trackway_tracking::Store;

use crate::config::Config;
use crate::not_built;

/// Balancers ask every few seconds, and give up soon.
const WITHIN: Duration = Duration::from_secs(2);

/// Set when the server was told to stop: it then answers as ever for `Limits::drain`, but asks for no more.
#[derive(Debug, Clone, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// `/ready`, under the static prefix. A server for artifacts alone has no store.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(
    config: &Config,
    store: Option<Store>,
    draining: Draining,
) -> Router<S> {
    let path = format!("{}/ready", config.static_prefix);
    Router::new().route(&path, get(move || ready(store.clone(), draining.clone())))
}

async fn ready(store: Option<Store>, draining: Draining) -> Response {
    if draining.has_begun() {
        return not_ready("This server was told to stop, and finishes what it has.");
    }
    match store {
        Some(store) if !answers(&store).await => not_ready("The database does not answer."),
        _ => "OK".into_response(),
    }
}

/// Whether the database answers a small question in time, whatever the answer.
async fn answers(store: &Store) -> bool {
    let asked = tokio::time::timeout(WITHIN, store.get_experiment(0)).await;
    matches!(asked, Ok(Ok(_) | Err(trackway_tracking::Error::NotFound(_))))
}

fn not_ready(message: &str) -> Response {
    not_built::json_error(StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE", message)
}
