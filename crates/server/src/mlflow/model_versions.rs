//! `model-versions/…`

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use trackway_tracking::{ModelVersion, NewModelVersion, Tag};

use super::registered_models::Search;
use super::{KeyValueIn, KeyValueOut, into, model_sources, tags_out};
use crate::error::ApiError;
use crate::state::AppState;
use crate::wire::{self, Body, Params, fields, required};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Create {
    name: Option<String>,
    source: Option<String>,
    #[serde(alias = "runId")]
    run_id: Option<String>,
    #[serde(deserialize_with = "fields::objects")]
    tags: Vec<KeyValueIn>,
    #[serde(alias = "runLink", deserialize_with = "fields::text")]
    run_link: String,
    #[serde(deserialize_with = "fields::text")]
    description: String,
    #[serde(alias = "modelId")]
    model_id: Option<String>,
}

pub(crate) async fn create(State(app): State<AppState>, Body(request): Body<Create>) -> Result<Response, ApiError> {
    let name = required(request.name, "name")?;
    let source = required(request.source, "source")?;
    let tags: Vec<Tag> = into(request.tags);
    let origin = model_sources::resolve(&app, source, request.run_id, request.model_id, &tags).await?;
    let new = NewModelVersion {
        name,
        source: origin.source,
        storage_location: origin.storage_location,
        run_id: origin.run_id,
        run_link: request.run_link,
        description: request.description,
        model_id: origin.model_id,
        tags,
    };
    Ok(one(&app.store.create_model_version(new).await?))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct ByVersion {
    name: Option<String>,
    version: Option<String>,
}

impl ByVersion {
    fn parse(self) -> Result<(String, i64), ApiError> {
        Ok((required(self.name, "name")?, parse_version(&required(self.version, "version")?)?))
    }
}

/// Versions are whole numbers, sent as strings.
pub(crate) fn parse_version(version: &str) -> Result<i64, ApiError> {
    version.parse().map_err(|_| ApiError::invalid(format!("Parameter 'version' must be an integer, got '{version}'.")))
}

pub(crate) async fn get(State(app): State<AppState>, Params(request): Params<ByVersion>) -> Result<Response, ApiError> {
    let (name, version) = request.parse()?;
    Ok(one(&app.store.get_model_version(name, version).await?))
}

pub(crate) async fn delete(State(app): State<AppState>, Body(request): Body<ByVersion>) -> Result<Response, ApiError> {
    let (name, version) = request.parse()?;
    app.store.delete_model_version(name, version).await?;
    Ok(wire::empty())
}

pub(crate) async fn get_download_uri(
    State(app): State<AppState>,
    Params(request): Params<ByVersion>,
) -> Result<Response, ApiError> {
    let (name, version) = request.parse()?;
    let version = app.store.get_model_version(name, version).await?;
    Ok(wire::json(&DownloadUri { artifact_uri: version.download_uri() }))
}

#[derive(Serialize)]
struct DownloadUri<'a> {
    artifact_uri: &'a str,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Update {
    name: Option<String>,
    version: Option<String>,
    description: Option<String>,
}

pub(crate) async fn update(State(app): State<AppState>, Body(request): Body<Update>) -> Result<Response, ApiError> {
    let (name, version) = ByVersion { name: request.name, version: request.version }.parse()?;
    Ok(one(&app.store.update_model_version(name, version, request.description).await?))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Transition {
    name: Option<String>,
    version: Option<String>,
    stage: Option<String>,
    #[serde(alias = "archiveExistingVersions", deserialize_with = "fields::boolean")]
    archive_existing_versions: Option<bool>,
}

pub(crate) async fn transition_stage(
    State(app): State<AppState>,
    Body(request): Body<Transition>,
) -> Result<Response, ApiError> {
    let (name, version) = ByVersion { name: request.name, version: request.version }.parse()?;
    let stage = required(request.stage, "stage")?;
    let archive = request.archive_existing_versions.unwrap_or(false);
    Ok(one(&app.store.transition_stage(name, version, &stage, archive).await?))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct TagOf {
    name: Option<String>,
    version: Option<String>,
    key: Option<String>,
    #[serde(deserialize_with = "fields::text")]
    value: String,
}

pub(crate) async fn set_tag(State(app): State<AppState>, Body(request): Body<TagOf>) -> Result<Response, ApiError> {
    let (name, version) = ByVersion { name: request.name, version: request.version }.parse()?;
    app.store
        .set_model_version_tag(name, version, Tag { key: required(request.key, "key")?, value: request.value })
        .await?;
    Ok(wire::empty())
}

pub(crate) async fn delete_tag(State(app): State<AppState>, Body(request): Body<TagOf>) -> Result<Response, ApiError> {
    let (name, version) = ByVersion { name: request.name, version: request.version }.parse()?;
    app.store.delete_model_version_tag(name, version, required(request.key, "key")?).await?;
    Ok(wire::empty())
}

pub(crate) async fn search(State(app): State<AppState>, Params(request): Params<Search>) -> Result<Response, ApiError> {
    Ok(wire::json(&Page::new(&find(&app, request).await?)))
}

pub(super) async fn find(app: &AppState, request: Search) -> Result<trackway_tracking::Page<ModelVersion>, ApiError> {
    Ok(app.store.search_model_versions(request.into_search(10_000, 200_000)?).await?)
}

fn one(version: &ModelVersion) -> Response {
    wire::json(&One { model_version: VersionOut::new(version) })
}

#[derive(Serialize)]
pub(super) struct One<'a> {
    pub(super) model_version: VersionOut<'a>,
}

#[derive(Serialize)]
pub(super) struct Page<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) model_versions: Vec<VersionOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_page_token: Option<String>,
}

impl<'a> Page<'a> {
    pub(super) fn new(page: &'a trackway_tracking::Page<ModelVersion>) -> Page<'a> {
        Page {
            model_versions: page.items.iter().map(VersionOut::new).collect(),
            next_page_token: page.next_page_token.clone(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct VersionOut<'a> {
    name: &'a str,
    version: String,
    creation_timestamp: i64,
    last_updated_timestamp: i64,
    current_stage: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    source: &'a str,
    run_id: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<KeyValueOut<'a>>,
    run_link: &'a str,
    #[serde(skip_serializing_if = "wire::is_empty")]
    aliases: &'a [String],
}

impl<'a> VersionOut<'a> {
    pub(super) fn new(version: &'a ModelVersion) -> VersionOut<'a> {
        VersionOut {
            name: &version.name,
            version: version.version.to_string(),
            creation_timestamp: version.creation_time,
            last_updated_timestamp: version.last_update_time,
            current_stage: &version.stage,
            description: version.description.as_deref(),
            source: &version.source,
            run_id: &version.run_id,
            // Versions are made in one step here; MLflow's own store knows no other status either.
            status: "READY",
            tags: tags_out(&version.tags),
            run_link: &version.run_link,
            aliases: &version.aliases,
        }
    }
}
