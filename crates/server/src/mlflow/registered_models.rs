//! `registered-models/…`, aliases included

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use trackway_tracking::{RegisteredModel, RegistrySearch, Tag};

use super::model_versions::{One as OneVersion, Page as VersionPage, VersionOut, parse_version};
use super::{KeyValueIn, KeyValueOut, into, tags_out};
use crate::error::ApiError;
use crate::state::AppState;
use crate::wire::{self, Body, Params, fields, required};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Create {
    name: Option<String>,
    #[serde(deserialize_with = "fields::text")]
    description: String,
    #[serde(deserialize_with = "fields::objects")]
    tags: Vec<KeyValueIn>,
}

pub(crate) async fn create(State(app): State<AppState>, Body(request): Body<Create>) -> Result<Response, ApiError> {
    let name = required(request.name, "name")?;
    let model = app.store.create_registered_model(name, request.description, into(request.tags)).await?;
    Ok(one(&model))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct ByName {
    name: Option<String>,
}

pub(crate) async fn get(State(app): State<AppState>, Params(request): Params<ByName>) -> Result<Response, ApiError> {
    Ok(one(&app.store.get_registered_model(required(request.name, "name")?).await?))
}

pub(crate) async fn delete(State(app): State<AppState>, Body(request): Body<ByName>) -> Result<Response, ApiError> {
    app.store.delete_registered_model(required(request.name, "name")?).await?;
    Ok(wire::empty())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Update {
    name: Option<String>,
    description: Option<String>,
}

pub(crate) async fn update(State(app): State<AppState>, Body(request): Body<Update>) -> Result<Response, ApiError> {
    Ok(one(&app.store.update_registered_model(required(request.name, "name")?, request.description).await?))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Rename {
    name: Option<String>,
    #[serde(alias = "newName")]
    new_name: Option<String>,
}

pub(crate) async fn rename(State(app): State<AppState>, Body(request): Body<Rename>) -> Result<Response, ApiError> {
    let name = required(request.name, "name")?;
    Ok(one(&app.store.rename_registered_model(name, required(request.new_name, "new_name")?).await?))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct TagOf {
    name: Option<String>,
    key: Option<String>,
    #[serde(deserialize_with = "fields::text")]
    value: String,
}

pub(crate) async fn set_tag(State(app): State<AppState>, Body(request): Body<TagOf>) -> Result<Response, ApiError> {
    let name = required(request.name, "name")?;
    app.store.set_registered_model_tag(name, Tag { key: required(request.key, "key")?, value: request.value }).await?;
    Ok(wire::empty())
}

pub(crate) async fn delete_tag(State(app): State<AppState>, Body(request): Body<TagOf>) -> Result<Response, ApiError> {
    let name = required(request.name, "name")?;
    app.store.delete_registered_model_tag(name, required(request.key, "key")?).await?;
    Ok(wire::empty())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct AliasOf {
    name: Option<String>,
    alias: Option<String>,
    version: Option<String>,
}

pub(crate) async fn set_alias(State(app): State<AppState>, Body(request): Body<AliasOf>) -> Result<Response, ApiError> {
    let name = required(request.name, "name")?;
    let alias = required(request.alias, "alias")?;
    app.store.set_alias(name, alias, parse_version(&required(request.version, "version")?)?).await?;
    Ok(wire::empty())
}

pub(crate) async fn get_alias(
    State(app): State<AppState>,
    Params(request): Params<AliasOf>,
) -> Result<Response, ApiError> {
    let name = required(request.name, "name")?;
    let version = app.store.get_version_by_alias(name, required(request.alias, "alias")?).await?;
    Ok(wire::json(&OneVersion { model_version: VersionOut::new(&version) }))
}

pub(crate) async fn delete_alias(
    State(app): State<AppState>,
    Body(request): Body<AliasOf>,
) -> Result<Response, ApiError> {
    let name = required(request.name, "name")?;
    app.store.delete_alias(name, required(request.alias, "alias")?).await?;
    Ok(wire::empty())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Latest {
    name: Option<String>,
    #[serde(deserialize_with = "fields::list")]
    stages: Vec<String>,
}

pub(crate) async fn latest_versions(
    State(app): State<AppState>,
    Body(request): Body<Latest>,
) -> Result<Response, ApiError> {
    find_latest(&app, request).await
}

/// The same by GET, as clients before 2.0 ask.
pub(crate) async fn latest_versions_by_query(
    State(app): State<AppState>,
    Params(request): Params<Latest>,
) -> Result<Response, ApiError> {
    find_latest(&app, request).await
}

async fn find_latest(app: &AppState, request: Latest) -> Result<Response, ApiError> {
    let versions = app.store.get_latest_versions(required(request.name, "name")?, request.stages).await?;
    Ok(wire::json(&VersionPage {
        model_versions: versions.iter().map(VersionOut::new).collect(),
        next_page_token: None,
    }))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Search {
    filter: Option<String>,
    #[serde(deserialize_with = "fields::int64")]
    max_results: Option<i64>,
    #[serde(deserialize_with = "fields::list")]
    order_by: Vec<String>,
    page_token: Option<String>,
}

impl Search {
    /// Checks the page size. MLflow takes 0 here and answers with an empty page that leads to itself for ever.
    pub(crate) fn into_search(self, by_default: i64, most: i64) -> Result<RegistrySearch, ApiError> {
        let max_results = self.max_results.unwrap_or(by_default);
        if max_results < 1 {
            return Err(ApiError::invalid(format!(
                "Invalid value for max_results. It must be a positive integer, but got {max_results}"
            )));
        }
        if max_results > most {
            return Err(ApiError::invalid(format!(
                "Invalid value {max_results} for parameter 'max_results' supplied. It must be at most {most}."
            )));
        }
        Ok(RegistrySearch {
            filter: self.filter.unwrap_or_default(),
            order_by: self.order_by,
            max_results: usize::try_from(max_results).unwrap_or(1),
            page_token: self.page_token,
        })
    }
}

pub(crate) async fn search(State(app): State<AppState>, Params(request): Params<Search>) -> Result<Response, ApiError> {
    let page = app.store.search_registered_models(request.into_search(100, 1000)?).await?;
    Ok(wire::json(&Page {
        registered_models: page.items.iter().map(ModelOut::new).collect(),
        next_page_token: page.next_page_token,
    }))
}

fn one(model: &RegisteredModel) -> Response {
    wire::json(&One { registered_model: ModelOut::new(model) })
}

#[derive(Serialize)]
struct One<'a> {
    registered_model: ModelOut<'a>,
}

#[derive(Serialize)]
struct Page<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    registered_models: Vec<ModelOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

#[derive(Serialize)]
struct ModelOut<'a> {
    name: &'a str,
    creation_timestamp: i64,
    last_updated_timestamp: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    latest_versions: Vec<VersionOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<KeyValueOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<AliasOut<'a>>,
}

#[derive(Serialize)]
struct AliasOut<'a> {
    alias: &'a str,
    version: String,
}

impl<'a> ModelOut<'a> {
    fn new(model: &'a RegisteredModel) -> ModelOut<'a> {
        ModelOut {
            name: &model.name,
            creation_timestamp: model.creation_time,
            last_updated_timestamp: model.last_update_time,
            description: &model.description,
            latest_versions: model.latest_versions.iter().map(VersionOut::new).collect(),
            tags: tags_out(&model.tags),
            aliases: model
                .aliases
                .iter()
                .map(|alias| AliasOut { alias: &alias.alias, version: alias.version.to_string() })
                .collect(),
        }
    }
}
