//! Artifacts of runs, logged models and model versions, found by their artifact URI.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRef, Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use trackway_artifacts::{Artifact, ArtifactPath};

use super::{ArtifactService, Listing, LocationSource, download};
use crate::error::ApiError;
use crate::wire::{self, Params, required};

/// The largest artifact that a page may upload, as in MLflow.
const LARGEST_UPLOAD: usize = 10 << 20;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct OfRun {
    run_id: Option<String>,
    /// What old clients, and those in R and Java, call it.
    run_uuid: Option<String>,
    path: Option<String>,
}

impl OfRun {
    fn run_id(&self) -> Result<String, ApiError> {
        let given = self.run_id.clone().filter(|id| !id.is_empty());
        required(given.or_else(|| self.run_uuid.clone()), "run_id")
    }
}

/// `get-artifact`
pub(super) async fn run_artifact<S>(
    State(app): State<S>,
    Params(request): Params<OfRun>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError>
where
    S: LocationSource,
    Arc<ArtifactService>: FromRef<S>,
{
    let run_id = request.run_id()?;
    let path = parse(request.path.as_deref(), "path")?;
    let uri = app.run_artifact_uri(&run_id).await?;
    send(&app, &uri, &path, &method, &headers).await
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct OfModelVersion {
    name: Option<String>,
    version: Option<String>,
    path: Option<String>,
}

/// `model-versions/get-artifact`
pub(super) async fn model_version_artifact<S>(
    State(app): State<S>,
    Params(request): Params<OfModelVersion>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError>
where
    S: LocationSource,
    Arc<ArtifactService>: FromRef<S>,
{
    let path = parse(request.path.as_deref(), "path")?;
    let name = required(request.name, "name")?;
    let version = required(request.version, "version")?;
    let uri = app.model_version_artifact_uri(&name, &version).await?;
    send(&app, &uri, &path, &method, &headers).await
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct OfLoggedModel {
    artifact_file_path: Option<String>,
    artifact_directory_path: Option<String>,
}

/// `logged-models/{model_id}/artifacts/files`
pub(super) async fn logged_model_artifact<S>(
    State(app): State<S>,
    Path(model_id): Path<String>,
    Params(request): Params<OfLoggedModel>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError>
where
    S: LocationSource,
    Arc<ArtifactService>: FromRef<S>,
{
    let Some(path) = request.artifact_file_path.filter(|path| !path.is_empty()) else {
        let message = "Request must include the \"artifact_file_path\" query parameter.";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message));
    };
    let path = ArtifactPath::parse(&path)?;
    let uri = app.logged_model_artifact_uri(&model_id).await?;
    send(&app, &uri, &path, &method, &headers).await
}

/// `artifacts/list`. There are no pages: a `page_token` is ignored, as in MLflow.
pub(super) async fn list_run_artifacts<S>(
    State(app): State<S>,
    Params(request): Params<OfRun>,
) -> Result<Response, ApiError>
where
    S: LocationSource,
    Arc<ArtifactService>: FromRef<S>,
{
    let (uri, artifacts) = find_of_run(&app, request).await?;
    Ok(wire::json(&Listing::new(&uri, &artifacts)))
}

/// A run's artifact URI, and what lies in a folder of it.
pub(crate) async fn find_of_run<S>(app: &S, request: OfRun) -> Result<(String, Vec<Artifact>), ApiError>
where
    S: LocationSource,
    Arc<ArtifactService>: FromRef<S>,
{
    let run_id = request.run_id()?;
    let path = ArtifactPath::parse(request.path.as_deref().unwrap_or_default())?;
    let uri = app.run_artifact_uri(&run_id).await?;
    let artifacts = list(app, &uri, &path).await?;
    Ok((uri, artifacts))
}

/// `logged-models/{model_id}/artifacts/directories`
pub(super) async fn list_logged_model_artifacts<S>(
    State(app): State<S>,
    Path(model_id): Path<String>,
    Params(request): Params<OfLoggedModel>,
) -> Result<Response, ApiError>
where
    S: LocationSource,
    Arc<ArtifactService>: FromRef<S>,
{
    let path = ArtifactPath::parse(request.artifact_directory_path.as_deref().unwrap_or_default())?;
    let uri = app.logged_model_artifact_uri(&model_id).await?;
    let artifacts = list(&app, &uri, &path).await?;
    Ok(wire::json(&Listing::new(&uri, &artifacts)))
}

/// `upload-artifact`: MLflow's pages store small files with it.
pub(super) async fn upload_run_artifact<S>(
    State(app): State<S>,
    Params(request): Params<OfRun>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError>
where
    S: LocationSource,
    Arc<ArtifactService>: FromRef<S>,
{
    let given = |value: Option<String>, name| {
        let missing = || ApiError::invalid(format!("Request must specify {name}."));
        value.filter(|value| !value.is_empty()).ok_or_else(missing)
    };
    let run_id = given(request.run_uuid, "run_uuid")?;
    let path = ArtifactPath::parse(&given(request.path, "path")?)?;
    let too_large = || ApiError::invalid("Artifact size is too large. Max size is 10MB.");
    if download::content_length(&headers).is_some_and(|length| length > LARGEST_UPLOAD as u64) {
        return Err(too_large());
    }
    let content =
        axum::body::to_bytes(body, LARGEST_UPLOAD).await.map_err(|error| {
            match std::error::Error::source(&error).is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>())
            {
                true => too_large(),
                false => ApiError::invalid("The request body broke off before its end."),
            }
        })?;
    if content.is_empty() {
        return Err(ApiError::invalid("Request must specify data."));
    }
    let uri = app.run_artifact_uri(&run_id).await?;
    let location = Arc::<ArtifactService>::from_ref(&app).locate(&uri).await?;
    let length = content.len() as u64;
    let whole = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(content)]);
    location.put(&path, whole, Some(length)).await?;
    let json = HeaderValue::from_static("application/json");
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, json)]).into_response())
}

/// A path that must be given; empty it means the whole directory.
fn parse(path: Option<&str>, parameter: &str) -> Result<ArtifactPath, ApiError> {
    let path = path.ok_or_else(|| ApiError::missing(parameter))?;
    Ok(ArtifactPath::parse(path)?)
}

async fn send<S>(
    app: &S,
    uri: &str,
    path: &ArtifactPath,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, ApiError>
where
    Arc<ArtifactService>: FromRef<S>,
{
    let location = Arc::<ArtifactService>::from_ref(app).locate(uri).await?;
    Ok(download::answer(&location, path, method, headers).await?)
}

/// Paths are relative to the run's or model's root here.
async fn list<S>(app: &S, uri: &str, path: &ArtifactPath) -> Result<Vec<Artifact>, ApiError>
where
    Arc<ArtifactService>: FromRef<S>,
{
    let location = Arc::<ArtifactService>::from_ref(app).locate(uri).await?;
    location.list(path).await
}
