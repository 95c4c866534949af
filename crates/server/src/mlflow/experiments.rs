//! `experiments/…`

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use trackway_tracking::{Experiment, ExperimentSearch, Tag, ViewType, limits};

use super::uri::Uri;
use super::{KeyValueIn, KeyValueOut, into, tags_out, view_type};
use crate::error::ApiError;
use crate::state::AppState;
use crate::wire::{self, Body, Params, fields, required};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Create {
    name: Option<String>,
    #[serde(alias = "artifactLocation")]
    artifact_location: Option<String>,
    #[serde(deserialize_with = "fields::objects")]
    tags: Vec<KeyValueIn>,
}

pub(crate) async fn create(State(app): State<AppState>, Body(request): Body<Create>) -> Result<Response, ApiError> {
    let name = required(request.name, "name")?;
    let location = request.artifact_location.filter(|location| !location.is_empty());
    if let Some(location) = &location {
        check_location(location)?;
    }
    let id = app.store.create_experiment(name, location, into(request.tags)).await?;
    Ok(wire::json(&ExperimentId { experiment_id: id.to_string() }))
}

/// Refuses locations that could lead elsewhere than they say. MLflow refuses fragments, params and foreign hosts;
/// here `..` is refused too, in every spelling.
fn check_location(location: &str) -> Result<(), ApiError> {
    if location.contains(['#', ';']) {
        return Err(ApiError::invalid("'artifact_location' URL can't include fragments or params."));
    }
    let uri = Uri::parse(location);
    uri.check_host("artifact_location")?;
    if uri.is_proxied() && !uri.authority.is_empty() {
        return Err(ApiError::invalid(format!(
            "Invalid artifact location '{location}': it names the host '{}', but this server keeps proxied artifacts itself. Leave the host out: mlflow-artifacts:/path",
            uri.authority
        )));
    }
    // MLflow's `MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH`.
    const LONGEST: usize = 2048;
    if location.chars().count() > LONGEST {
        return Err(ApiError::invalid(format!(
            "Invalid artifact path length. The length of the artifact path cannot be greater than {LONGEST} characters."
        )));
    }
    let mut decoded = location.to_owned();
    for _ in 0..8 {
        if decoded.contains('\0') || decoded.split(['/', '\\', '?', '&', '=']).any(|part| part == "..") {
            return Err(ApiError::invalid(format!(
                "Invalid artifact location '{location}': it must not contain '..' or NUL. Give the location itself, without detours."
            )));
        }
        let once = percent_encoding::percent_decode_str(&decoded).decode_utf8_lossy().into_owned();
        if once == decoded {
            return Ok(());
        }
        decoded = once;
    }
    Err(ApiError::invalid(format!(
        "Invalid artifact location '{location}': it is percent-encoded too many times over."
    )))
}

#[derive(Serialize)]
struct ExperimentId {
    experiment_id: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct ById {
    #[serde(alias = "experimentId")]
    experiment_id: Option<String>,
}

impl ById {
    pub(super) fn id(self) -> Result<i64, ApiError> {
        Ok(limits::parse_experiment_id(&required(self.experiment_id, "experiment_id")?)?)
    }
}

pub(crate) async fn get(State(app): State<AppState>, Params(request): Params<ById>) -> Result<Response, ApiError> {
    let experiment = app.store.get_experiment(request.id()?).await?;
    Ok(wire::json(&One { experiment: ExperimentOut::new(&experiment) }))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct ByName {
    #[serde(alias = "experimentName")]
    experiment_name: Option<String>,
}

pub(crate) async fn get_by_name(
    State(app): State<AppState>,
    Params(request): Params<ByName>,
) -> Result<Response, ApiError> {
    let experiment = app.store.get_experiment_by_name(required(request.experiment_name, "experiment_name")?).await?;
    Ok(wire::json(&One { experiment: ExperimentOut::new(&experiment) }))
}

pub(crate) async fn delete(State(app): State<AppState>, Body(request): Body<ById>) -> Result<Response, ApiError> {
    app.store.delete_experiment(request.id()?).await?;
    Ok(wire::empty())
}

pub(crate) async fn restore(State(app): State<AppState>, Body(request): Body<ById>) -> Result<Response, ApiError> {
    app.store.restore_experiment(request.id()?).await?;
    Ok(wire::empty())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Update {
    #[serde(alias = "experimentId")]
    experiment_id: Option<String>,
    #[serde(alias = "newName")]
    new_name: Option<String>,
}

pub(crate) async fn update(State(app): State<AppState>, Body(request): Body<Update>) -> Result<Response, ApiError> {
    let id = ById { experiment_id: request.experiment_id }.id()?;
    app.store.rename_experiment(id, required(request.new_name, "new_name")?).await?;
    Ok(wire::empty())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct SetTag {
    #[serde(alias = "experimentId")]
    experiment_id: Option<String>,
    key: Option<String>,
    #[serde(deserialize_with = "fields::text")]
    value: String,
}

pub(crate) async fn set_tag(State(app): State<AppState>, Body(request): Body<SetTag>) -> Result<Response, ApiError> {
    let id = ById { experiment_id: request.experiment_id }.id()?;
    let tag = Tag { key: required(request.key, "key")?, value: request.value };
    app.store.set_experiment_tag(id, tag).await?;
    Ok(wire::empty())
}

pub(crate) async fn delete_tag(State(app): State<AppState>, Body(request): Body<SetTag>) -> Result<Response, ApiError> {
    let id = ById { experiment_id: request.experiment_id }.id()?;
    app.store.delete_experiment_tag(id, required(request.key, "key")?).await?;
    Ok(wire::empty())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Search {
    #[serde(alias = "maxResults", deserialize_with = "fields::int64")]
    max_results: Option<i64>,
    #[serde(alias = "pageToken")]
    page_token: Option<String>,
    filter: Option<String>,
    #[serde(alias = "orderBy", deserialize_with = "fields::list")]
    order_by: Vec<String>,
    #[serde(alias = "viewType", deserialize_with = "view_type")]
    view_type: Option<ViewType>,
}

pub(crate) async fn search(State(app): State<AppState>, Body(request): Body<Search>) -> Result<Response, ApiError> {
    run_search(&app, request).await
}

/// The same by GET, which MLflow's UI uses.
pub(crate) async fn search_by_query(
    State(app): State<AppState>,
    Params(request): Params<Search>,
) -> Result<Response, ApiError> {
    run_search(&app, request).await
}

async fn run_search(app: &AppState, request: Search) -> Result<Response, ApiError> {
    let search = ExperimentSearch {
        filter: request.filter.unwrap_or_default(),
        order_by: request.order_by,
        view: request.view_type.unwrap_or_default(),
        max_results: request.max_results.unwrap_or(0),
        page_token: request.page_token,
    };
    let page = app.store.search_experiments(search).await?;
    Ok(wire::json(&Page {
        experiments: page.items.iter().map(ExperimentOut::new).collect(),
        next_page_token: page.next_page_token,
    }))
}

#[derive(Serialize)]
pub(super) struct One<'a> {
    pub(super) experiment: ExperimentOut<'a>,
}

#[derive(Serialize)]
struct Page<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    experiments: Vec<ExperimentOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct ExperimentOut<'a> {
    experiment_id: String,
    name: &'a str,
    artifact_location: &'a str,
    lifecycle_stage: &'a str,
    last_update_time: i64,
    creation_time: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<KeyValueOut<'a>>,
    /// Workspaces are off: everything is in this one, as in MLflow without them.
    workspace: &'a str,
}

impl<'a> ExperimentOut<'a> {
    pub(crate) fn new(experiment: &'a Experiment) -> ExperimentOut<'a> {
        ExperimentOut {
            experiment_id: experiment.id.to_string(),
            name: &experiment.name,
            artifact_location: &experiment.artifact_location,
            lifecycle_stage: experiment.lifecycle.name(),
            last_update_time: experiment.last_update_time,
            creation_time: experiment.creation_time,
            tags: tags_out(&experiment.tags),
            workspace: "default",
        }
    }
}
