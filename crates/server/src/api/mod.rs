//! What MLflow does not have, under `/api/3.0/trackway` and `/ajax-api/3.0/trackway`. For users: `docs/reference/api.md`.

mod charts;
mod events;
mod runs;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::state::AppState;

/// The largest JSON body, in bytes: room for a filter as long as allowed.
const LARGEST_BODY: usize = 8 << 20;

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/runs/search", post(runs::search))
        .route("/metrics/chart", get(charts::by_query).post(charts::by_body))
        .route("/events", get(events::stream))
        .route("/events/poll", get(events::poll))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
}
