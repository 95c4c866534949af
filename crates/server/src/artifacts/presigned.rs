//! URLs by which clients reach the storage behind this server themselves, where the storage has such URLs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use trackway_artifacts::{ArtifactPath, Error};

use super::content_type::content_type;
use super::failure::Failure;
use super::index::Place;
use super::proxy::enabled;
use super::raw_path::RawPath;
use super::{ArtifactService, LocationSource};
use crate::error::ApiError;
use crate::wire::{self, Body, fields, required};

/// As long as MLflow 3.17 lets an upload URL live when nothing is said.
const UPLOAD_VALID_FOR: i64 = 900;
/// And a download URL.
const DOWNLOAD_VALID_FOR: i64 = 300;
/// Seven days: no cloud signs for longer.
const LONGEST: i64 = 604_800;

/// `mlflow-artifacts/presigned/{path}`
pub(super) async fn proxied_download(
    State(service): State<Arc<ArtifactService>>,
    raw: RawPath,
) -> Result<Response, Failure> {
    #[derive(Serialize)]
    struct Signed<'a> {
        url: &'a str,
        headers: &'a BTreeMap<String, String>,
        file_size: u64,
    }
    let location = enabled(&service, &raw)?;
    let path = ArtifactPath::parse(&raw.path)?;
    if !location.capabilities().signed_urls {
        return Err(Failure::Unsupported("Multipart download is not supported for the current artifact repository"));
    }
    // As MLflow 3.17: a directory is as little there as what is missing.
    let file_size = match location.stat(&path).await {
        Err(Error::IsADirectory { path }) => return Err(Error::NotFound { path }.into()),
        stat => stat?.size,
    };
    let signed = location.sign_get(&path, service.download_urls_valid_for).await?;
    Ok(wire::json(&Signed { url: &signed.url, headers: &signed.headers, file_size }))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Request {
    #[serde(alias = "runId")]
    run_id: Option<String>,
    #[serde(alias = "modelId")]
    model_id: Option<String>,
    path: Option<String>,
    #[serde(deserialize_with = "fields::int64")]
    expiration: Option<i64>,
}

#[derive(Serialize)]
struct Answer<'a> {
    presigned_url: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_size: Option<u64>,
}

/// `artifacts/presigned-upload-url`
pub(super) async fn upload_url<S>(State(app): State<S>, Body(request): Body<Request>) -> Result<Response, Failure>
where
    S: LocationSource,
    Arc<ArtifactService>: FromRef<S>,
{
    let given = required(request.path, "path")?;
    let run_id = request.run_id.filter(|id| !id.is_empty());
    let model_id = request.model_id.filter(|id| !id.is_empty());
    if run_id.is_some() == model_id.is_some() {
        return Err(ApiError::invalid("Exactly one of run_id and model_id must be provided.").into());
    }
    let path = ArtifactPath::parse(&given)?;
    let valid_for = valid_for(request.expiration, UPLOAD_VALID_FOR)?;
    let uri = match (run_id, model_id) {
        (Some(id), _) => app.run_artifact_uri(&id).await?,
        (None, id) => app.logged_model_artifact_uri(&id.unwrap_or_default()).await?,
    };
    refuse_proxied(
        &uri,
        "Presigned upload is not supported for proxied artifact storage",
        "a direct cloud storage artifact URI",
    )?;
    let location = signing(&app, &uri, "Presigned upload is not supported for the current artifact repository").await?;
    let signed = location.sign_put(&path, valid_for, &content_type(path.as_str())).await?;
    // As MLflow 3.17 spells it.
    let spelled = |name: String| if name == "content-type" { "Content-Type".to_owned() } else { name };
    let headers = signed.headers.into_iter().map(|(name, value)| (spelled(name), value)).collect();
    Ok(wire::json(&Answer { presigned_url: &signed.url, headers: &headers, file_size: None }))
}

/// `artifacts/presigned-download-url`
pub(super) async fn download_url<S>(State(app): State<S>, Body(request): Body<Request>) -> Result<Response, Failure>
where
    S: LocationSource,
    Arc<ArtifactService>: FromRef<S>,
{
    let run_id = required(request.run_id, "run_id")?;
    let path = ArtifactPath::parse(&required(request.path, "path")?)?;
    let valid_for = valid_for(request.expiration, DOWNLOAD_VALID_FOR)?;
    let uri = app.run_artifact_uri(&run_id).await?;
    refuse_proxied(
        &uri,
        "Presigned download is not supported for runs with proxied artifact storage",
        "a run with a direct cloud storage artifact URI",
    )?;
    let location =
        signing(&app, &uri, "Presigned download is not supported for the current artifact repository").await?;
    let file_size = Some(location.stat(&path).await?.size);
    let signed = location.sign_get(&path, valid_for).await?;
    Ok(wire::json(&Answer { presigned_url: &signed.url, headers: &signed.headers, file_size }))
}

/// In MLflow an upload URL may be asked for with any lifetime, and is useless then: here it is refused.
fn valid_for(asked: Option<i64>, usual: i64) -> Result<Duration, ApiError> {
    match asked.unwrap_or(usual) {
        valid @ 1..=LONGEST => Ok(seconds(valid)),
        other => Err(ApiError::invalid(format!("expiration must be between 1 and {LONGEST} seconds (got {other})."))),
    }
}

fn seconds(count: i64) -> Duration {
    Duration::from_secs(count.unsigned_abs())
}

fn refuse_proxied(uri: &str, what: &str, needed: &str) -> Result<(), ApiError> {
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
    if matches!(scheme, "http" | "https" | "mlflow-artifacts") {
        return Err(ApiError::invalid(format!(
            "{what} (artifact URI scheme: {scheme}). This endpoint requires {needed}."
        )));
    }
    Ok(())
}

async fn signing<S>(app: &S, uri: &str, unsupported: &'static str) -> Result<Place, Failure>
where
    Arc<ArtifactService>: FromRef<S>,
{
    let location = Arc::<ArtifactService>::from_ref(app).locate(uri).await?;
    match location.capabilities().signed_urls {
        true => Ok(location),
        false => Err(Failure::Unsupported(unsupported)),
    }
}
