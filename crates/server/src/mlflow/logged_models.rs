//! `logged-models`: what `log_model` of MLflow 3 needs

use axum::extract::{Path, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use trackway_tracking::{
    DatasetScope, LoggedModel, LoggedModelMetric, LoggedModelOrder, LoggedModelSearch, LoggedModelStatus,
    NewLoggedModel, limits,
};

use super::{KeyValueIn, KeyValueOut, into, params_out, tags_out};
use crate::error::ApiError;
use crate::state::AppState;
use crate::wire::{self, Body, fields, required};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Create {
    #[serde(alias = "experimentId")]
    experiment_id: Option<String>,
    #[serde(deserialize_with = "fields::text")]
    name: String,
    #[serde(alias = "modelType", deserialize_with = "fields::text")]
    model_type: String,
    #[serde(alias = "sourceRunId", deserialize_with = "fields::text")]
    source_run_id: String,
    #[serde(deserialize_with = "fields::objects")]
    params: Vec<KeyValueIn>,
    #[serde(deserialize_with = "fields::objects")]
    tags: Vec<KeyValueIn>,
}

pub(crate) async fn create(State(app): State<AppState>, Body(request): Body<Create>) -> Result<Response, ApiError> {
    let experiment_id = limits::parse_experiment_id(&required(request.experiment_id, "experiment_id")?)?;
    let new = NewLoggedModel {
        experiment_id,
        name: request.name,
        model_type: request.model_type,
        source_run_id: request.source_run_id,
        params: into(request.params),
        tags: into(request.tags),
    };
    Ok(one(&app.store.create_logged_model(new).await?))
}

pub(crate) async fn get(State(app): State<AppState>, Path(model_id): Path<String>) -> Result<Response, ApiError> {
    Ok(one(&app.store.get_logged_model(model_id).await?))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Finalize {
    #[serde(alias = "modelId")]
    model_id: Option<String>,
    #[serde(deserialize_with = "status")]
    status: Option<LoggedModelStatus>,
}

/// Unlike other enumerations here: a name that is not known is not "not given" but unspecified, as in MLflow.
fn status<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<LoggedModelStatus>, D::Error> {
    let given = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(given.filter(|given| !given.is_null()).map(|given| {
        let known =
            LoggedModelStatus::ALL.into_iter().find(|status| given == status.name() || given == status.number());
        known.unwrap_or(LoggedModelStatus::Unspecified)
    }))
}

pub(crate) async fn finalize(
    State(app): State<AppState>,
    Path(_): Path<String>,
    Body(request): Body<Finalize>,
) -> Result<Response, ApiError> {
    // As in MLflow the id in the body counts, and must be there.
    let model_id = required(request.model_id, "model_id")?;
    let status = request.status.ok_or_else(|| ApiError::missing("status"))?;
    Ok(one(&app.store.finalize_logged_model(model_id, status).await?))
}

pub(crate) async fn delete(State(app): State<AppState>, Path(model_id): Path<String>) -> Result<Response, ApiError> {
    app.store.delete_logged_model(model_id).await?;
    Ok(wire::empty())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct SetTags {
    #[serde(deserialize_with = "fields::objects")]
    tags: Vec<KeyValueIn>,
}

pub(crate) async fn set_tags(
    State(app): State<AppState>,
    Path(model_id): Path<String>,
    Body(request): Body<SetTags>,
) -> Result<Response, ApiError> {
    app.store.set_logged_model_tags(model_id, into(request.tags)).await?;
    Ok(wire::empty())
}

pub(crate) async fn delete_tag(
    State(app): State<AppState>,
    Path((model_id, key)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    app.store.delete_logged_model_tag(model_id, key).await?;
    Ok(wire::empty())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct LogParams {
    #[serde(alias = "modelId")]
    model_id: Option<String>,
    #[serde(deserialize_with = "fields::objects")]
    params: Vec<KeyValueIn>,
}

pub(crate) async fn log_params(
    State(app): State<AppState>,
    Path(_): Path<String>,
    Body(request): Body<LogParams>,
) -> Result<Response, ApiError> {
    let model_id = required(request.model_id, "model_id")?;
    app.store.log_logged_model_params(model_id, into(request.params)).await?;
    Ok(wire::empty())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Search {
    #[serde(alias = "experimentIds")]
    experiment_ids: Option<Vec<String>>,
    filter: Option<String>,
    #[serde(deserialize_with = "fields::objects")]
    datasets: Vec<DatasetIn>,
    #[serde(alias = "maxResults", deserialize_with = "fields::int64")]
    max_results: Option<i64>,
    #[serde(alias = "orderBy", deserialize_with = "fields::objects")]
    order_by: Vec<OrderIn>,
    #[serde(alias = "pageToken")]
    page_token: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DatasetIn {
    #[serde(alias = "datasetName", deserialize_with = "fields::text")]
    dataset_name: String,
    #[serde(alias = "datasetDigest")]
    dataset_digest: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OrderIn {
    #[serde(alias = "fieldName", deserialize_with = "fields::text")]
    field_name: String,
    #[serde(deserialize_with = "fields::boolean")]
    ascending: Option<bool>,
    #[serde(alias = "datasetName", deserialize_with = "fields::text")]
    dataset_name: String,
    #[serde(alias = "datasetDigest")]
    dataset_digest: Option<String>,
}

fn scope(name: String, digest: Option<String>) -> DatasetScope {
    DatasetScope { name, digest: digest.filter(|digest| !digest.is_empty()) }
}

pub(crate) async fn search(State(app): State<AppState>, Body(request): Body<Search>) -> Result<Response, ApiError> {
    const BY_DEFAULT: i64 = 100;
    let experiment_ids = request.experiment_ids.ok_or_else(|| ApiError::missing("experiment_ids"))?;
    let experiment_ids = experiment_ids.iter().map(|id| limits::parse_experiment_id(id)).collect::<Result<_, _>>()?;
    let order = |order: OrderIn| LoggedModelOrder {
        field_name: order.field_name,
        descending: !order.ascending.unwrap_or(true),
        dataset: Some(scope(order.dataset_name, order.dataset_digest)).filter(|scope| !scope.name.is_empty()),
    };
    // MLflow reads 0 as "not given" here.
    let max_results = request.max_results.filter(|number| *number != 0).unwrap_or(BY_DEFAULT);
    let search = LoggedModelSearch {
        experiment_ids,
        filter: request.filter.unwrap_or_default(),
        datasets: request
            .datasets
            .into_iter()
            .map(|dataset| scope(dataset.dataset_name, dataset.dataset_digest))
            .collect(),
        order_by: request.order_by.into_iter().map(order).collect(),
        max_results: limits::check_max_results(max_results, limits::SEARCH_RESULTS)?,
        page_token: request.page_token,
    };
    let page = app.store.search_logged_models(search).await?;
    Ok(wire::json(&Page {
        models: page.items.iter().map(ModelOut::new).collect(),
        next_page_token: page.next_page_token,
    }))
}

fn one(model: &LoggedModel) -> Response {
    wire::json(&One { model: ModelOut::new(model) })
}

#[derive(Serialize)]
struct One<'a> {
    model: ModelOut<'a>,
}

#[derive(Serialize)]
struct Page<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    models: Vec<ModelOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

#[derive(Serialize)]
struct ModelOut<'a> {
    info: Info<'a>,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Info<'a> {
    model_id: &'a str,
    experiment_id: String,
    name: &'a str,
    creation_timestamp_ms: i64,
    last_updated_timestamp_ms: i64,
    artifact_uri: &'a str,
    status: &'a str,
    model_type: &'a str,
    source_run_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<KeyValueOut<'a>>,
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<KeyValueOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricOut<'a>>,
}

#[derive(Serialize)]
struct MetricOut<'a> {
    key: &'a str,
    #[serde(serialize_with = "wire::double")]
    value: f64,
    timestamp: i64,
    step: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_digest: Option<&'a str>,
    model_id: &'a str,
    run_id: &'a str,
}

impl<'a> ModelOut<'a> {
    fn new(model: &'a LoggedModel) -> ModelOut<'a> {
        let metric = |metric: &'a LoggedModelMetric| MetricOut {
            key: &metric.key,
            value: metric.value,
            timestamp: metric.timestamp,
            step: metric.step,
            dataset_name: metric.dataset_name.as_deref(),
            dataset_digest: metric.dataset_digest.as_deref(),
            model_id: &model.model_id,
            run_id: &metric.run_id,
        };
        ModelOut {
            info: Info {
                model_id: &model.model_id,
                experiment_id: model.experiment_id.to_string(),
                name: &model.name,
                creation_timestamp_ms: model.creation_time,
                last_updated_timestamp_ms: model.last_update_time,
                artifact_uri: &model.artifact_uri,
                status: model.status.name(),
                model_type: &model.model_type,
                source_run_id: &model.source_run_id,
                status_message: model.status_message.as_deref(),
                tags: tags_out(&model.tags),
            },
            data: Data { params: params_out(&model.params), metrics: model.metrics.iter().map(metric).collect() },
        }
    }
}
