//! `mlflow-artifacts/mpu`: create, complete, abort

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use trackway_artifacts::{ArtifactPath, Part};

use super::ArtifactService;
use super::failure::Failure;
use super::index::Place;
use super::proxy::enabled;
use super::raw_path::RawPath;
use crate::error::ApiError;
use crate::wire::{self, Body, fields, required};

/// As many parts as S3 takes.
const MOST_PARTS: i64 = 10_000;

type Service = State<Arc<ArtifactService>>;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Create {
    path: Option<String>,
    #[serde(alias = "numParts", deserialize_with = "fields::int64")]
    num_parts: Option<i64>,
}

#[derive(Serialize)]
struct Created<'a> {
    upload_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    credentials: Vec<Credential<'a>>,
}

#[derive(Serialize)]
struct Credential<'a> {
    url: &'a str,
    part_number: u32,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: &'a BTreeMap<String, String>,
}

pub(super) async fn create(
    State(service): Service,
    raw: RawPath,
    Body(request): Body<Create>,
) -> Result<Response, Failure> {
    let (location, path) = target(&service, &raw, request.path)?;
    let parts = request.num_parts.unwrap_or(1);
    if !(1..=MOST_PARTS).contains(&parts) {
        let message = format!("num_parts must be between 1 and {MOST_PARTS} (got {parts}).");
        return Err(ApiError::invalid(message).into());
    }
    let upload = location.create_multipart(&path, parts as u32).await?;
    let credentials = upload.parts.iter().map(|part| Credential {
        url: &part.url.url,
        part_number: part.number,
        headers: &part.url.headers,
    });
    Ok(wire::json(&Created { upload_id: &upload.upload_id, credentials: credentials.collect() }))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Complete {
    path: Option<String>,
    #[serde(alias = "uploadId", deserialize_with = "fields::text")]
    upload_id: String,
    #[serde(deserialize_with = "fields::list")]
    parts: Vec<PartIn>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PartIn {
    #[serde(alias = "partNumber", deserialize_with = "fields::int64")]
    part_number: Option<i64>,
    #[serde(deserialize_with = "fields::text")]
    etag: String,
}

pub(super) async fn complete(
    State(service): Service,
    raw: RawPath,
    Body(request): Body<Complete>,
) -> Result<Response, Failure> {
    let (location, path) = target(&service, &raw, request.path)?;
    let parts = request.parts.into_iter().map(|part| {
        let number = part.part_number.and_then(|number| u32::try_from(number).ok());
        let number = number.ok_or_else(|| ApiError::missing("parts[].part_number"))?;
        Ok(Part { number, etag: part.etag })
    });
    let parts: Vec<Part> = parts.collect::<Result<_, ApiError>>()?;
    if parts.is_empty() {
        return Err(ApiError::missing("parts").into());
    }
    location.complete_multipart(&path, &request.upload_id, &parts).await?;
    Ok(wire::empty())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Abort {
    path: Option<String>,
    #[serde(alias = "uploadId", deserialize_with = "fields::text")]
    upload_id: String,
}

pub(super) async fn abort(
    State(service): Service,
    raw: RawPath,
    Body(request): Body<Abort>,
) -> Result<Response, Failure> {
    let (location, path) = target(&service, &raw, request.path)?;
    location.abort_multipart(&path, &request.upload_id).await?;
    Ok(wire::empty())
}

/// The URL names the directory, and of the client's local `path` the last name is the file's. A store without
/// multipart uploads says so only to a sound request, as MLflow 3.17 does.
fn target(service: &ArtifactService, raw: &RawPath, path: Option<String>) -> Result<(Place, ArtifactPath), Failure> {
    let location = enabled(service, raw)?;
    let dir = ArtifactPath::parse(&raw.path)?;
    let local = required(path, "path")?;
    if !location.capabilities().multipart {
        return Err(Failure::Unsupported("Multipart upload is not supported for the current artifact repository"));
    }
    let name = local.rsplit('/').next().unwrap_or(&local);
    Ok((location, dir.child(name)?))
}
