//! Artifacts over HTTP.
//!
//! * [`proxy_routes`] (`proxy.rs`, `multipart.rs`): the `mlflow-artifacts` proxy, by path below the destination.
//! * [`page_routes`], [`mlflow_routes`] and [`ajax_routes`] (`located.rs`, `presigned.rs`): by run, logged model or
//!   model version, whose artifact URI a [`LocationSource`] tells.
//! * `index.rs`: what lies in buckets is remembered in the database, and listed from there.
//! * `download.rs` answers with a file: conditions, ranges, headers. `content_type.rs`: what it is called there.
//! * `raw_path.rs`: the path of a URL as it was sent. `failure.rs`: what an error of the store is to a client.

mod content_type;
mod download;
mod failure;
mod index;
pub(crate) mod located;
mod multipart;
mod presigned;
mod proxy;
mod raw_path;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::{get, post};
use serde::Serialize;
use trackway_artifacts::{Artifact, ArtifactStore, Options, Places};
use trackway_tracking::Store;

use crate::config::{Config, has_scheme};
use crate::error::ApiError;
use crate::server_info::Capabilities;
use index::{Memory, Place};

/// Why artifacts cannot be served from where the configuration says.
#[derive(Debug, thiserror::Error)]
#[error("The artifacts destination cannot be used: {0}.")]
pub struct StartError(String);

pub use trackway_artifacts::without_password;

pub struct ArtifactService {
    store: ArtifactStore,
    memory: Option<Memory>,
    /// For how long a URL from `presigned/` is valid.
    download_urls_valid_for: Duration,
}

impl ArtifactService {
    /// `artifact_root` is the resolved default artifact root of new experiments. Without a database nothing is
    /// remembered of what lies in buckets.
    pub async fn open(
        config: &Config,
        artifact_root: &str,
        database: Option<Store>,
    ) -> Result<ArtifactService, StartError> {
        // With its password, which the root of experiments does not have.
        let given_root = config.default_artifact_root.as_deref().filter(|root| has_scheme(root));
        let places = Places {
            destination: config.serve_artifacts.then_some(config.artifacts_destination.as_str()),
            default_root: Some(given_root.unwrap_or(artifact_root)),
            others: &config.artifact_roots,
        };
        let options = Options { mlflow_variables: true, environment: config.environment.clone(), ..Options::default() };
        let store = ArtifactStore::open(places, options).await.map_err(|error| StartError(error.to_string()))?;
        let memory = database.map(Memory::new);
        Ok(ArtifactService { store, memory, download_urls_valid_for: config.download_urls_valid_for })
    }

    /// What the proxy can do beyond up- and downloads.
    pub fn capabilities(&self) -> Capabilities {
        let can = self.store.proxied().map(|location| location.capabilities());
        Capabilities {
            multipart_uploads: can.is_some_and(|can| can.multipart),
            multipart_downloads: can.is_some_and(|can| can.signed_urls),
            presigned_uploads: true,
        }
    }

    /// Where all proxied artifacts lie; none if this server does not proxy.
    fn proxied(&self) -> Option<Place> {
        Some(Place::new(self.store.proxied()?, self.memory.clone(), false))
    }

    /// The folder that the artifact URI of a run or model means.
    async fn locate(&self, uri: &str) -> Result<Place, ApiError> {
        let is_proxied = uri.get(..17).is_some_and(|scheme| scheme.eq_ignore_ascii_case("mlflow-artifacts:"));
        Ok(Place::new(self.store.resolve(uri).await?, self.memory.clone(), !is_proxied))
    }
}

/// Tells where the artifacts of what is tracked lie.
pub trait LocationSource: Clone + Send + Sync + 'static {
    fn run_artifact_uri(&self, run_id: &str) -> impl Future<Output = Result<String, ApiError>> + Send;

    fn logged_model_artifact_uri(&self, model_id: &str) -> impl Future<Output = Result<String, ApiError>> + Send;

    /// The location of a model version's files: its source, or where the logged model lies that its source names.
    fn model_version_artifact_uri(
        &self,
        name: &str,
        version: &str,
    ) -> impl Future<Output = Result<String, ApiError>> + Send;
}

/// Under `/api/2.0/mlflow-artifacts` and `/ajax-api/2.0/mlflow-artifacts`.
#[rustfmt::skip]
pub fn proxy_routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Arc<ArtifactService>: FromRef<S>,
{
    Router::new()
        .route("/artifacts", get(proxy::list))
        .route("/artifacts/", get(proxy::download).put(proxy::upload))
        .route("/artifacts/{*path}", get(proxy::download).put(proxy::upload).delete(proxy::delete))

        .route("/mpu/create/{*path}", post(multipart::create))
        .route("/mpu/complete/{*path}", post(multipart::complete))
        .route("/mpu/abort/{*path}", post(multipart::abort))

        .route("/presigned/{*path}", get(presigned::proxied_download))
}

/// At the root: what MLflow's pages download from.
pub fn page_routes<S>() -> Router<S>
where
    S: LocationSource,
    Arc<ArtifactService>: FromRef<S>,
{
    Router::new()
        .route("/get-artifact", get(located::run_artifact))
        .route("/model-versions/get-artifact", get(located::model_version_artifact))
}

/// Under `/api/2.0/mlflow` and `/ajax-api/2.0/mlflow`.
#[rustfmt::skip]
pub fn mlflow_routes<S>() -> Router<S>
where
    S: LocationSource,
    Arc<ArtifactService>: FromRef<S>,
{
    Router::new()
        .route("/artifacts/list", get(located::list_run_artifacts))
        .route("/artifacts/presigned-upload-url", post(presigned::upload_url))
        .route("/artifacts/presigned-download-url", post(presigned::download_url))

        .route("/logged-models/{model_id}/artifacts/directories", get(located::list_logged_model_artifacts))
}

/// Under `/ajax-api/2.0/mlflow` only.
pub fn ajax_routes<S>() -> Router<S>
where
    S: LocationSource,
    Arc<ArtifactService>: FromRef<S>,
{
    Router::new()
        .route("/upload-artifact", post(located::upload_run_artifact))
        .route("/logged-models/{model_id}/artifacts/files", get(located::logged_model_artifact))
}

/// A listing. Directories have no size, and an empty list is left out, as in MLflow.
#[derive(Serialize)]
pub(crate) struct Listing<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    root_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileOut<'a>>,
}

impl<'a> Listing<'a> {
    /// What lies below a run's or model's root.
    pub(crate) fn new(root_uri: &'a str, artifacts: &'a [Artifact]) -> Listing<'a> {
        Listing {
            root_uri: Some(root_uri),
            files: artifacts.iter().map(|artifact| FileOut::new(artifact, &artifact.path)).collect(),
        }
    }
}

#[derive(Serialize)]
struct FileOut<'a> {
    path: &'a str,
    is_dir: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_size: Option<u64>,
}

impl<'a> FileOut<'a> {
    fn new(artifact: &'a Artifact, path: &'a str) -> FileOut<'a> {
        FileOut { path, is_dir: artifact.is_dir, file_size: (!artifact.is_dir).then_some(artifact.size) }
    }
}
