//! `runs/log-inputs`, `runs/outputs`, `experiments/search-datasets`

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use trackway_tracking::{Dataset, DatasetInput, DatasetSummary, limits};

use super::runs::run_id;
use super::{KeyValueIn, KeyValueOut, into, tags_out};
use crate::error::ApiError;
use crate::state::AppState;
use crate::wire::{self, Body, fields};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct LogInputs {
    #[serde(alias = "runId")]
    run_id: Option<String>,
    #[serde(deserialize_with = "fields::objects")]
    datasets: Vec<DatasetInputIn>,
    #[serde(deserialize_with = "fields::objects")]
    models: Vec<ModelIn>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DatasetInputIn {
    #[serde(deserialize_with = "fields::objects")]
    tags: Vec<KeyValueIn>,
    dataset: Option<DatasetIn>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DatasetIn {
    #[serde(deserialize_with = "fields::text")]
    name: String,
    #[serde(deserialize_with = "fields::text")]
    digest: String,
    #[serde(alias = "sourceType", deserialize_with = "fields::text")]
    source_type: String,
    #[serde(deserialize_with = "fields::text")]
    source: String,
    schema: Option<String>,
    profile: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ModelIn {
    #[serde(alias = "modelId", deserialize_with = "fields::text")]
    model_id: String,
    #[serde(deserialize_with = "fields::int64")]
    step: Option<i64>,
}

pub(crate) async fn log_inputs(
    State(app): State<AppState>,
    Body(request): Body<LogInputs>,
) -> Result<Response, ApiError> {
    let run_id = run_id(request.run_id, None)?;
    let dataset = |input: DatasetInputIn| {
        let DatasetIn { name, digest, source_type, source, schema, profile } = input.dataset.unwrap_or_default();
        DatasetInput { dataset: Dataset { name, digest, source_type, source, schema, profile }, tags: into(input.tags) }
    };
    let datasets = request.datasets.into_iter().map(dataset).collect();
    let models = request.models.into_iter().map(|model| model.model_id).collect();
    app.store.log_inputs(run_id, datasets, models).await?;
    Ok(wire::empty())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct LogOutputs {
    #[serde(alias = "runId")]
    run_id: Option<String>,
    #[serde(deserialize_with = "fields::objects")]
    models: Vec<ModelIn>,
}

pub(crate) async fn log_outputs(
    State(app): State<AppState>,
    Body(request): Body<LogOutputs>,
) -> Result<Response, ApiError> {
    let run_id = run_id(request.run_id, None)?;
    if request.models.is_empty() {
        return Err(ApiError::missing("models"));
    }
    let models = request.models.into_iter().map(|model| (model.model_id, model.step.unwrap_or(0))).collect();
    app.store.log_outputs(run_id, models).await?;
    Ok(wire::empty())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct SearchDatasets {
    #[serde(alias = "experimentIds", deserialize_with = "fields::list")]
    pub(super) experiment_ids: Vec<String>,
}

pub(crate) async fn search_datasets(
    State(app): State<AppState>,
    Body(request): Body<SearchDatasets>,
) -> Result<Response, ApiError> {
    let summaries = find_datasets(&app, &request.experiment_ids).await?;
    Ok(wire::json(&Summaries::new(&summaries)))
}

pub(crate) async fn find_datasets(app: &AppState, experiment_ids: &[String]) -> Result<Vec<DatasetSummary>, ApiError> {
    const MOST: usize = 20;
    if experiment_ids.is_empty() {
        return Err(ApiError::invalid("SearchDatasets request must specify at least one experiment_id."));
    }
    if experiment_ids.len() > MOST {
        return Err(ApiError::invalid(format!(
            "SearchDatasets request cannot specify more than {MOST} experiment_ids. Received {} experiment_ids.",
            experiment_ids.len()
        )));
    }
    let ids = experiment_ids.iter().map(|id| limits::parse_experiment_id(id)).collect::<Result<_, _>>()?;
    Ok(app.store.search_datasets(ids).await?)
}

#[derive(Serialize)]
pub(super) struct Summaries<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dataset_summaries: Vec<SummaryOut<'a>>,
}

impl<'a> Summaries<'a> {
    pub(super) fn new(summaries: &'a [DatasetSummary]) -> Summaries<'a> {
        Summaries { dataset_summaries: summaries.iter().map(SummaryOut::new).collect() }
    }
}

#[derive(Serialize)]
struct SummaryOut<'a> {
    experiment_id: String,
    name: &'a str,
    digest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a str>,
}

impl<'a> SummaryOut<'a> {
    fn new(summary: &'a DatasetSummary) -> SummaryOut<'a> {
        SummaryOut {
            experiment_id: summary.experiment_id.to_string(),
            name: &summary.name,
            digest: &summary.digest,
            context: summary.context.as_deref(),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct DatasetInputOut<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<KeyValueOut<'a>>,
    dataset: DatasetOut<'a>,
}

#[derive(Serialize)]
struct DatasetOut<'a> {
    name: &'a str,
    digest: &'a str,
    source_type: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
}

impl<'a> DatasetInputOut<'a> {
    pub(crate) fn new(input: &'a DatasetInput) -> DatasetInputOut<'a> {
        let dataset = &input.dataset;
        DatasetInputOut {
            tags: tags_out(&input.tags),
            dataset: DatasetOut {
                name: &dataset.name,
                digest: &dataset.digest,
                source_type: &dataset.source_type,
                source: &dataset.source,
                // As in MLflow an empty text counts as none.
                schema: dataset.schema.as_deref().filter(|schema| !schema.is_empty()),
                profile: dataset.profile.as_deref().filter(|profile| !profile.is_empty()),
            },
        }
    }
}
