//! `runs/search`: as MLflow's, with the columns that are asked for, and with a count.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use trackway_tracking::filter::{self, Attribute, Entity, Field};
use trackway_tracking::{Keys, Run, RunColumns, RunInfo, RunPage, RunSearch, ViewType, limits};

use crate::error::ApiError;
use crate::mlflow::runs::{Data, Inputs, Outputs, RunOut};
use crate::mlflow::view_type;
use crate::state::AppState;
use crate::wire::{self, Body, fields};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Search {
    #[serde(deserialize_with = "fields::list")]
    experiment_ids: Vec<String>,
    filter: Option<String>,
    #[serde(deserialize_with = "view_type")]
    run_view_type: Option<ViewType>,
    #[serde(deserialize_with = "fields::int64")]
    max_results: Option<i64>,
    #[serde(deserialize_with = "fields::list")]
    order_by: Vec<String>,
    page_token: Option<String>,
    /// `metrics.acc`, `params.lr`, `tags.team`, `status`, or a whole kind: `metrics`, `attributes`, `inputs`.
    columns: Option<Vec<String>>,
    count: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    runs: Vec<OneRun<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OneRun<'a> {
    Whole(RunOut<'a>),
    Chosen {
        info: Map<String, Json>,
        data: Data<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        inputs: Option<Inputs<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        outputs: Option<Outputs<'a>>,
    },
}

pub(super) async fn search(State(app): State<AppState>, Body(request): Body<Search>) -> Result<Response, ApiError> {
    let chosen = request.columns.as_deref().map(Chosen::parse).transpose()?;
    let ids = request.experiment_ids.iter().map(|id| limits::parse_experiment_id(id));
    let search = RunSearch {
        experiment_ids: ids.collect::<Result<_, _>>()?,
        filter: request.filter.unwrap_or_default(),
        order_by: request.order_by,
        view: request.run_view_type.unwrap_or_default(),
        max_results: request.max_results.unwrap_or(100),
        page_token: request.page_token,
        columns: chosen.as_ref().map(|chosen| chosen.columns.clone()).unwrap_or_default(),
        count: request.count,
    };
    let RunPage { page, total } = app.store.search_and_count_runs(search).await?;
    let runs = page.items.iter().map(|run| match &chosen {
        Some(chosen) => chosen.of(run),
        None => OneRun::Whole(RunOut::new(run)),
    });
    let parts: usize = page.items.iter().map(|run| run.metrics.len() + run.params.len() + run.tags.len()).sum();
    let bytes = 256 + page.items.len() * 600 + parts * 64;
    Ok(wire::json_of(&Answer { runs: runs.collect(), next_page_token: page.next_page_token, total }, bytes))
}

/// The columns of a request.
struct Chosen {
    columns: RunColumns,
    /// All, if `None`.
    attributes: Option<Vec<Attribute>>,
    inputs: bool,
    outputs: bool,
}

impl Chosen {
    fn parse(columns: &[String]) -> Result<Chosen, ApiError> {
        let (mut metrics, mut params, mut tags) = (vec![], vec![], vec![]);
        let mut chosen = Chosen {
            columns: RunColumns::default(),
            attributes: Some(vec![]),
            inputs: columns.iter().any(|column| column == "inputs"),
            outputs: columns.iter().any(|column| column == "outputs"),
        };
        for column in columns {
            match column.as_str() {
                "attributes" => chosen.attributes = None,
                "metrics" | "params" | "tags" | "inputs" | "outputs" => {}
                key => match filter::parse_order_key(Entity::Run, key).map_err(trackway_tracking::Error::from)? {
                    Field::Metric(key) => metrics.push(key),
                    Field::Param(key) => params.push(key),
                    Field::Tag(key) => tags.push(key),
                    Field::Attribute(attribute) => chosen.attributes.iter_mut().for_each(|all| all.push(attribute)),
                    Field::Dataset(_) => {}
                },
            }
        }
        let all = |kind: &str, keys| {
            if columns.iter().any(|column| column == kind) { Keys::All } else { Keys::These(keys) }
        };
        chosen.columns = RunColumns {
            metrics: all("metrics", metrics),
            params: all("params", params),
            tags: all("tags", tags),
            without_inputs_and_outputs: !chosen.inputs && !chosen.outputs,
        };
        Ok(chosen)
    }

    fn of<'a>(&self, run: &'a Run) -> OneRun<'a> {
        let RunOut { data, inputs, outputs, .. } = RunOut::new(run);
        OneRun::Chosen {
            info: self.info(&run.info),
            data,
            inputs: Some(inputs).filter(|_| self.inputs),
            outputs: outputs.filter(|_| self.outputs),
        }
    }

    fn info(&self, info: &RunInfo) -> Map<String, Json> {
        let mut chosen = Map::new();
        chosen.insert("run_id".to_owned(), json!(info.run_id));
        if self.attributes.is_none() {
            chosen.insert("experiment_id".to_owned(), json!(info.experiment_id.to_string()));
            chosen.insert("lifecycle_stage".to_owned(), json!(info.lifecycle.name()));
        }
        let wanted = |attribute| self.attributes.as_ref().is_none_or(|all| all.contains(&attribute));
        for (attribute, value) in [
            (Attribute::RunName, json!(info.name)),
            (Attribute::Status, json!(info.status.name())),
            (Attribute::StartTime, json!(info.start_time)),
            (Attribute::EndTime, json!(info.end_time)),
            (Attribute::UserId, json!(info.user_id)),
            (Attribute::ArtifactUri, json!(info.artifact_uri)),
        ] {
            if wanted(attribute) && !value.is_null() {
                chosen.insert(attribute.name().to_owned(), value);
            }
        }
        chosen
    }
}
