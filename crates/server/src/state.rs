//! What every handler can reach.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use axum::extract::FromRef;
use trackway_tracking::Store;

use crate::artifacts::{ArtifactService, LocationSource};
use crate::error::ApiError;
use crate::mlflow::model_versions::parse_version;
use crate::readiness::Draining;

/// Cheap to clone, as axum clones it for every request.
#[derive(Clone)]
pub struct AppState {
    pub(crate) store: Store,
    pub(crate) artifacts: Arc<ArtifactService>,
    pub(crate) draining: Draining,
    /// How many listen to events.
    pub(crate) listeners: Arc<AtomicUsize>,
}

impl FromRef<AppState> for Arc<ArtifactService> {
    fn from_ref(app: &AppState) -> Arc<ArtifactService> {
        Arc::clone(&app.artifacts)
    }
}

impl LocationSource for AppState {
    async fn run_artifact_uri(&self, run_id: &str) -> Result<String, ApiError> {
        Ok(self.store.get_run_info(run_id.to_owned()).await?.artifact_uri)
    }

    async fn logged_model_artifact_uri(&self, model_id: &str) -> Result<String, ApiError> {
        Ok(self.store.get_logged_model(model_id.to_owned()).await?.artifact_uri)
    }

    async fn model_version_artifact_uri(&self, name: &str, version: &str) -> Result<String, ApiError> {
        let version = self.store.get_model_version(name.to_owned(), parse_version(version)?).await?;
        Ok(version.download_uri().to_owned())
    }
}
