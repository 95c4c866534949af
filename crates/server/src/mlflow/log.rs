//! `runs/log-metric`, `log-parameter`, `set-tag`, `delete-tag`, `log-batch`, `log-model`

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use trackway_tracking::{Metric, Param, Tag};

use super::runs::run_id;
use super::{KeyValueIn, into};
use crate::error::ApiError;
use crate::state::AppState;
use crate::wire::{self, Body, fields, required};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct LogMetric {
    #[serde(alias = "runId")]
    run_id: Option<String>,
    #[serde(alias = "runUuid")]
    run_uuid: Option<String>,
    key: Option<String>,
    #[serde(deserialize_with = "fields::double")]
    value: Option<f64>,
    #[serde(deserialize_with = "fields::int64")]
    timestamp: Option<i64>,
    #[serde(deserialize_with = "fields::int64")]
    step: Option<i64>,
    #[serde(alias = "modelId")]
    model_id: Option<String>,
    #[serde(alias = "datasetName")]
    dataset_name: Option<String>,
    #[serde(alias = "datasetDigest")]
    dataset_digest: Option<String>,
}

pub(crate) async fn metric(State(app): State<AppState>, Body(request): Body<LogMetric>) -> Result<Response, ApiError> {
    let run_id = run_id(request.run_id, request.run_uuid)?;
    let metric = Metric {
        key: required(request.key, "key")?,
        value: request.value.ok_or_else(|| ApiError::missing("value"))?,
        timestamp: request.timestamp.ok_or_else(|| ApiError::missing("timestamp"))?,
        step: request.step.unwrap_or(0),
        model_id: given(request.model_id),
        dataset_name: given(request.dataset_name),
        dataset_digest: given(request.dataset_digest),
    };
    app.store.log_metric(run_id, metric).await?;
    Ok(wire::empty())
}

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// A key and a value for a run: a param or a tag.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct RunKeyValue {
    #[serde(alias = "runId")]
    run_id: Option<String>,
    #[serde(alias = "runUuid")]
    run_uuid: Option<String>,
    key: Option<String>,
    #[serde(deserialize_with = "fields::text")]
    value: String,
}

pub(crate) async fn param(State(app): State<AppState>, Body(request): Body<RunKeyValue>) -> Result<Response, ApiError> {
    let run_id = run_id(request.run_id, request.run_uuid)?;
    app.store.log_param(run_id, Param { key: required(request.key, "key")?, value: request.value }).await?;
    Ok(wire::empty())
}

pub(crate) async fn set_tag(
    State(app): State<AppState>,
    Body(request): Body<RunKeyValue>,
) -> Result<Response, ApiError> {
    let run_id = run_id(request.run_id, request.run_uuid)?;
    app.store.set_tag(run_id, Tag { key: required(request.key, "key")?, value: request.value }).await?;
    Ok(wire::empty())
}

pub(crate) async fn delete_tag(
    State(app): State<AppState>,
    Body(request): Body<RunKeyValue>,
) -> Result<Response, ApiError> {
    let run_id = run_id(request.run_id, request.run_uuid)?;
    app.store.delete_tag(run_id, required(request.key, "key")?).await?;
    Ok(wire::empty())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct LogBatch {
    #[serde(alias = "runId")]
    run_id: Option<String>,
    #[serde(alias = "runUuid")]
    run_uuid: Option<String>,
    #[serde(deserialize_with = "fields::objects")]
    metrics: Vec<MetricIn>,
    #[serde(deserialize_with = "fields::objects")]
    params: Vec<KeyValueIn>,
    #[serde(deserialize_with = "fields::objects")]
    tags: Vec<KeyValueIn>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct MetricIn {
    key: Option<String>,
    #[serde(deserialize_with = "fields::double")]
    value: Option<f64>,
    #[serde(deserialize_with = "fields::int64")]
    timestamp: Option<i64>,
    #[serde(deserialize_with = "fields::int64")]
    step: Option<i64>,
    #[serde(alias = "modelId")]
    model_id: Option<String>,
    #[serde(alias = "datasetName")]
    dataset_name: Option<String>,
    #[serde(alias = "datasetDigest")]
    dataset_digest: Option<String>,
}

pub(crate) async fn batch(State(app): State<AppState>, Body(request): Body<LogBatch>) -> Result<Response, ApiError> {
    let run_id = run_id(request.run_id, request.run_uuid)?;
    let metric = |(position, metric): (usize, MetricIn)| -> Result<Metric, ApiError> {
        let missing = |field: &str| ApiError::missing(&format!("metrics[{position}].{field}"));
        Ok(Metric {
            key: given(metric.key).ok_or_else(|| missing("key"))?,
            value: metric.value.ok_or_else(|| missing("value"))?,
            timestamp: metric.timestamp.ok_or_else(|| missing("timestamp"))?,
            step: metric.step.unwrap_or(0),
            model_id: given(metric.model_id),
            dataset_name: given(metric.dataset_name),
            dataset_digest: given(metric.dataset_digest),
        })
    };
    let metrics = request.metrics.into_iter().enumerate().map(metric).collect::<Result<_, _>>()?;
    let without_key = |what: &str, list: &[KeyValueIn]| {
        list.iter().position(|item| item.key.is_empty()).map(|position| format!("{what}[{position}].key"))
    };
    if let Some(field) = without_key("params", &request.params).or_else(|| without_key("tags", &request.tags)) {
        return Err(ApiError::missing(&field));
    }
    app.store.log_batch(run_id, metrics, into(request.params), into(request.tags)).await?;
    Ok(wire::empty())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct LogModel {
    #[serde(alias = "runId")]
    run_id: Option<String>,
    #[serde(alias = "modelJson")]
    model_json: Option<String>,
}

/// What clients before 3.0 send after they wrote a model below a run.
pub(crate) async fn model(State(app): State<AppState>, Body(request): Body<LogModel>) -> Result<Response, ApiError> {
    const MANDATORY: [&str; 4] = ["run_id", "artifact_path", "utc_time_created", "flavors"];
    let run_id = required(request.run_id, "run_id")?;
    let text = required(request.model_json, "model_json")?;
    let mut model: Value = serde_json::from_str(&text)
        .map_err(|_| ApiError::invalid(format!("Malformed model info. \n {text} \n is not a valid JSON.")))?;
    let missing: Vec<_> =
        MANDATORY.iter().filter(|field| model.get(field).is_none()).map(|field| format!("'{field}'")).collect();
    if !missing.is_empty() {
        return Err(ApiError::invalid(format!("Model json is missing mandatory fields: {{{}}}", missing.join(", "))));
    }
    // The tag keeps what identifies the model, and its flavours without their configuration, which can be large.
    if let Some(fields) = model.as_object_mut() {
        fields.retain(|field, _| {
            matches!(field.as_str(), "run_id" | "utc_time_created" | "artifact_path" | "model_uuid" | "flavors")
        });
        for flavor in fields
            .get_mut("flavors")
            .and_then(Value::as_object_mut)
            .into_iter()
            .flat_map(|flavors| flavors.values_mut())
        {
            flavor.as_object_mut().map(|flavor| flavor.remove("config"));
        }
    }
    app.store.record_logged_model(run_id, model).await?;
    Ok(wire::empty())
}
