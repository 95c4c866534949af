//! `runs/create`, `get`, `update`, `delete`, `restore`, `search`

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use trackway_tracking::{LatestMetric, NewRun, Run, RunInfo, RunSearch, RunStatus, RunUpdate, ViewType, limits};

use super::inputs::DatasetInputOut;
use super::{KeyValueIn, KeyValueOut, into, params_out, tags_out, view_type};
use crate::error::ApiError;
use crate::state::AppState;
use crate::wire::{self, Body, Params, fields, required};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Create {
    #[serde(alias = "experimentId")]
    experiment_id: Option<String>,
    #[serde(alias = "userId", deserialize_with = "fields::text")]
    user_id: String,
    #[serde(alias = "runName", deserialize_with = "fields::text")]
    run_name: String,
    #[serde(alias = "startTime", deserialize_with = "fields::int64")]
    start_time: Option<i64>,
    #[serde(deserialize_with = "fields::objects")]
    tags: Vec<KeyValueIn>,
}

pub(crate) async fn create(State(app): State<AppState>, Body(request): Body<Create>) -> Result<Response, ApiError> {
    let experiment_id = limits::parse_experiment_id(&required(request.experiment_id, "experiment_id")?)?;
    let new = NewRun {
        experiment_id,
        user_id: request.user_id,
        start_time: request.start_time.unwrap_or(0),
        tags: into(request.tags),
        name: request.run_name,
    };
    let run = app.store.create_run(new).await?;
    // As MLflow answers: no outputs yet, not even an empty object.
    Ok(wire::json(&One { run: RunOut { outputs: None, ..RunOut::new(&run) } }))
}

/// A run by its id; old clients, and those in R and Java, call it `run_uuid`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct ById {
    #[serde(alias = "runId")]
    run_id: Option<String>,
    #[serde(alias = "runUuid")]
    run_uuid: Option<String>,
}

impl ById {
    pub(super) fn id(self) -> Result<String, ApiError> {
        run_id(self.run_id, self.run_uuid)
    }
}

pub(crate) fn run_id(run_id: Option<String>, run_uuid: Option<String>) -> Result<String, ApiError> {
    required(run_id.filter(|id| !id.is_empty()).or(run_uuid), "run_id")
}

pub(crate) async fn get(State(app): State<AppState>, Params(request): Params<ById>) -> Result<Response, ApiError> {
    let run = app.store.get_run(request.id()?).await?;
    Ok(wire::json(&One { run: RunOut::new(&run) }))
}

pub(crate) async fn delete(State(app): State<AppState>, Body(request): Body<ById>) -> Result<Response, ApiError> {
    app.store.delete_run(request.id()?).await?;
    Ok(wire::empty())
}

pub(crate) async fn restore(State(app): State<AppState>, Body(request): Body<ById>) -> Result<Response, ApiError> {
    app.store.restore_run(request.id()?).await?;
    Ok(wire::empty())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Update {
    #[serde(alias = "runId")]
    run_id: Option<String>,
    #[serde(alias = "runUuid")]
    run_uuid: Option<String>,
    #[serde(deserialize_with = "status")]
    status: Option<RunStatus>,
    #[serde(alias = "endTime", deserialize_with = "fields::int64")]
    end_time: Option<i64>,
    #[serde(alias = "runName")]
    run_name: Option<String>,
}

fn status<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<RunStatus>, D::Error> {
    let values = RunStatus::ALL.map(|status| (status.name(), status as i64 + 1, status));
    fields::enumeration(deserializer, &values)
}

pub(crate) async fn update(State(app): State<AppState>, Body(request): Body<Update>) -> Result<Response, ApiError> {
    let id = run_id(request.run_id, request.run_uuid)?;
    let update = RunUpdate { status: request.status, end_time: request.end_time, name: request.run_name };
    let info = app.store.update_run(id, update).await?;
    Ok(wire::json(&Updated { run_info: InfoOut::new(&info) }))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Search {
    #[serde(alias = "experimentIds", deserialize_with = "fields::list")]
    experiment_ids: Vec<String>,
    filter: Option<String>,
    #[serde(alias = "runViewType", deserialize_with = "view_type")]
    run_view_type: Option<ViewType>,
    #[serde(alias = "maxResults", deserialize_with = "fields::int64")]
    max_results: Option<i64>,
    #[serde(alias = "orderBy", deserialize_with = "fields::list")]
    order_by: Vec<String>,
    #[serde(alias = "pageToken")]
    page_token: Option<String>,
}

pub(crate) async fn search(State(app): State<AppState>, Body(request): Body<Search>) -> Result<Response, ApiError> {
    let page = find(&app, request).await?;
    let parts: usize = page.items.iter().map(|run| run.metrics.len() + run.params.len() + run.tags.len()).sum();
    let runs = page.items.iter().map(RunOut::new).collect();
    Ok(wire::json_of(&Page { runs, next_page_token: page.next_page_token }, 256 + page.items.len() * 600 + parts * 64))
}

pub(super) async fn find(app: &AppState, request: Search) -> Result<trackway_tracking::Page<Run>, ApiError> {
    let experiment_ids =
        request.experiment_ids.iter().map(|id| limits::parse_experiment_id(id)).collect::<Result<_, _>>()?;
    let search = RunSearch {
        experiment_ids,
        filter: request.filter.unwrap_or_default(),
        order_by: request.order_by,
        view: request.run_view_type.unwrap_or_default(),
        max_results: request.max_results.unwrap_or(1000),
        page_token: request.page_token,
        ..RunSearch::default()
    };
    Ok(app.store.search_runs(search).await?)
}

#[derive(Serialize)]
struct One<'a> {
    run: RunOut<'a>,
}

#[derive(Serialize)]
struct Updated<'a> {
    run_info: InfoOut<'a>,
}

#[derive(Serialize)]
struct Page<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs: Vec<RunOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct RunOut<'a> {
    info: InfoOut<'a>,
    pub(crate) data: Data<'a>,
    pub(crate) inputs: Inputs<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outputs: Option<Outputs<'a>>,
}

#[derive(Serialize)]
struct InfoOut<'a> {
    run_uuid: &'a str,
    experiment_id: String,
    run_name: &'a str,
    user_id: &'a str,
    status: &'a str,
    start_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    artifact_uri: &'a str,
    lifecycle_stage: &'a str,
    run_id: &'a str,
}

#[derive(Serialize)]
pub(crate) struct Data<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<KeyValueOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<KeyValueOut<'a>>,
}

#[derive(Serialize)]
pub(crate) struct MetricOut<'a> {
    pub(crate) key: &'a str,
    #[serde(serialize_with = "wire::double")]
    pub(crate) value: f64,
    pub(crate) timestamp: i64,
    pub(crate) step: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_id: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct Inputs<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dataset_inputs: Vec<DatasetInputOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_inputs: Vec<ModelInputOut<'a>>,
}

#[derive(Serialize)]
struct ModelInputOut<'a> {
    model_id: &'a str,
}

#[derive(Serialize)]
pub(crate) struct Outputs<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_outputs: Vec<ModelOutputOut<'a>>,
}

#[derive(Serialize)]
struct ModelOutputOut<'a> {
    model_id: &'a str,
    step: i64,
}

impl<'a> RunOut<'a> {
    pub(crate) fn new(run: &'a Run) -> RunOut<'a> {
        RunOut {
            info: InfoOut::new(&run.info),
            data: Data {
                metrics: run.metrics.iter().map(latest_out).collect(),
                params: params_out(&run.params),
                tags: tags_out(&run.tags),
            },
            inputs: Inputs {
                dataset_inputs: run.datasets.iter().map(DatasetInputOut::new).collect(),
                model_inputs: run.model_inputs.iter().map(|model_id| ModelInputOut { model_id }).collect(),
            },
            outputs: Some(Outputs {
                model_outputs: run
                    .model_outputs
                    .iter()
                    .map(|(model_id, step)| ModelOutputOut { model_id, step: *step })
                    .collect(),
            }),
        }
    }
}

impl<'a> InfoOut<'a> {
    fn new(info: &'a RunInfo) -> InfoOut<'a> {
        InfoOut {
            run_uuid: &info.run_id,
            experiment_id: info.experiment_id.to_string(),
            run_name: &info.name,
            user_id: &info.user_id,
            status: info.status.name(),
            start_time: info.start_time,
            end_time: info.end_time,
            artifact_uri: &info.artifact_uri,
            lifecycle_stage: info.lifecycle.name(),
            run_id: &info.run_id,
        }
    }
}

fn latest_out(metric: &LatestMetric) -> MetricOut<'_> {
    MetricOut { key: &metric.key, value: metric.value, timestamp: metric.timestamp, step: metric.step, run_id: None }
}
