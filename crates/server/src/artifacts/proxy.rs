//! `mlflow-artifacts/artifacts`: list, download, upload, delete

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use trackway_artifacts::{ArtifactPath, Error};

use super::failure::Failure;
use super::index::{Place, PutError};
use super::raw_path::RawPath;
use super::{ArtifactService, FileOut, Listing, download};
use crate::wire::{self, Params};

type Service = State<Arc<ArtifactService>>;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct List {
    path: String,
}

/// Names are relative to the listed directory here.
pub(super) async fn list(
    State(service): Service,
    raw: RawPath,
    Params(request): Params<List>,
) -> Result<Response, Failure> {
    let location = enabled(&service, &raw)?;
    let artifacts = location.list(&ArtifactPath::parse(&request.path)?).await?;
    let files = artifacts.iter().map(|artifact| FileOut::new(artifact, artifact.file_name()));
    Ok(wire::json(&Listing { root_uri: None, files: files.collect() }))
}

pub(super) async fn download(
    State(service): Service,
    raw: RawPath,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let location = streaming_enabled(&service)?;
    let path = ArtifactPath::parse(&raw.path)?;
    download::answer(&location, &path, &method, &headers).await.map_err(|error| match error {
        Error::IsADirectory { .. } => Failure::Detail(StatusCode::BAD_REQUEST, error.to_string()),
        error => error.into(),
    })
}

pub(super) async fn upload(
    State(service): Service,
    raw: RawPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let location = streaming_enabled(&service)?;
    let path = ArtifactPath::parse(&raw.path)?;
    let stored = location.put(&path, body.into_data_stream(), download::content_length(&headers)).await;
    stored.map_err(|error| match error {
        PutError::Artifact(error @ Error::NoFileName) => Failure::Detail(StatusCode::BAD_REQUEST, error.to_string()),
        error => Failure::Api(error.into()),
    })?;
    Ok(StatusCode::OK.into_response())
}

pub(super) async fn delete(State(service): Service, raw: RawPath) -> Result<Response, Failure> {
    let location = enabled(&service, &raw)?;
    location.delete(&ArtifactPath::parse(&raw.path)?).await?;
    Ok(wire::empty())
}

/// The proxied artifacts, or what MLflow says when it does not serve them.
pub(super) fn enabled(service: &ArtifactService, raw: &RawPath) -> Result<Place, Failure> {
    service.proxied().ok_or_else(|| {
        let text = format!(
            "Endpoint: {} disabled due to the mlflow server running with `--no-serve-artifacts`. To enable artifacts server functionality, run `mlflow server` with `--serve-artifacts`",
            raw.endpoint
        );
        Failure::Text(StatusCode::SERVICE_UNAVAILABLE, text)
    })
}

/// The same in the words of MLflow's up- and download.
fn streaming_enabled(service: &ArtifactService) -> Result<Place, Failure> {
    service.proxied().ok_or_else(|| {
        let text = "Artifact serving is disabled. Run `mlflow server` with `--serve-artifacts` to enable.";
        Failure::Detail(StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
    })
}
