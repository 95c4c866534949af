//! What every handler can reach.

use std::sync::Arc;

use axum::extract::FromRef;
use trackway_tracking::Store;

use crate::artifacts::ArtifactService;

/// Cheap to clone, as axum clones it for every request.
#[derive(Clone)]
pub struct AppState {
    pub(crate) store: Store,
    pub(crate) artifacts: Arc<ArtifactService>,
}

impl FromRef<AppState> for Arc<ArtifactService> {
    fn from_ref(app: &AppState) -> Arc<ArtifactService> {
        Arc::clone(&app.artifacts)
    }
}
