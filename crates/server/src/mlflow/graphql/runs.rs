//! Runs with what they have in GraphQL alone: their experiment, and the model versions made from them.

use std::collections::HashMap;

use apollo_compiler::resolvers::{AsyncObjectValue, AsyncResolvedValue, FieldError, ResolveInfo};
use apollo_compiler::response::serde_json_bytes::to_value;
use apollo_compiler::response::{JsonMap, JsonValue};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;
use trackway_tracking::{RegistrySearch, Run, limits};

use super::message::{self, Resolved};
use super::roots::{as_fields, field_error};
use crate::error::ApiError;
use crate::mlflow::experiments::ExperimentOut;
use crate::mlflow::model_versions::VersionOut;
use crate::mlflow::runs::RunOut;
use crate::state::AppState;

/// The answer of `mlflowGetRun` or `mlflowSearchRuns`. What its runs refer to is read once for all of them, when the
/// first one asks.
pub(super) struct Runs<'a> {
    app: &'a AppState,
    type_name: &'a str,
    runs: Vec<JsonMap>,
    rest: JsonMap,
    experiments: OnceCell<HashMap<String, JsonValue>>,
    model_versions: OnceCell<HashMap<String, JsonValue>>,
}

impl<'a> Runs<'a> {
    pub(super) fn new(app: &'a AppState, type_name: &'a str, runs: &[Run], next_page_token: Option<String>) -> Self {
        let mut rest = JsonMap::new();
        if let Some(token) = next_page_token {
            rest.insert("next_page_token", token.into());
        }
        Runs {
            app,
            type_name,
            runs: runs.iter().map(|run| as_fields(RunOut::new(run))).collect(),
            rest,
            experiments: OnceCell::new(),
            model_versions: OnceCell::new(),
        }
    }

    async fn experiment(&self, id: &str) -> Result<Option<&JsonValue>, ApiError> {
        let read = self.experiments.get_or_try_init(|| async {
            let mut read = HashMap::new();
            for id in self.runs.iter().map(|run| info(run, "experiment_id")) {
                if !read.contains_key(id) {
                    let experiment = self.app.store.get_experiment(limits::parse_experiment_id(id)?).await?;
                    read.insert(id.to_owned(), to_value(ExperimentOut::new(&experiment)).unwrap_or_default());
                }
            }
            Ok::<_, ApiError>(read)
        });
        Ok(read.await?.get(id))
    }

    async fn model_versions(&self, run_id: &str) -> Result<Option<&JsonValue>, ApiError> {
        const AT_ONCE: usize = 1000;
        const MOST: usize = 200_000;
        let read = self.model_versions.get_or_try_init(|| async {
            let mut read: HashMap<String, JsonValue> = HashMap::new();
            for runs in self.runs.chunks(AT_ONCE) {
                let ids: Vec<String> = runs.iter().map(|run| format!("'{}'", info(run, "run_id"))).collect();
                let filter = format!("run_id IN ({})", ids.join(","));
                let search = RegistrySearch { filter, order_by: Vec::new(), max_results: MOST, page_token: None };
                for version in &self.app.store.search_model_versions(search).await?.items {
                    let of_run = read.entry(version.run_id.clone()).or_insert_with(|| JsonValue::Array(Vec::new()));
                    if let JsonValue::Array(of_run) = of_run {
                        of_run.push(to_value(VersionOut::new(version)).unwrap_or_default());
                    }
                }
            }
            Ok::<_, ApiError>(read)
        });
        Ok(read.await?.get(run_id))
    }
}

impl AsyncObjectValue for Runs<'_> {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> BoxFuture<'a, Resolved<'a>> {
        let mut runs = self.runs.iter().map(|fields| OneRun { fields, of: self });
        let resolved = match info.field_name() {
            "run" => AsyncResolvedValue::nullable_object(runs.next()),
            "runs" => AsyncResolvedValue::list(runs.map(AsyncResolvedValue::object).collect::<Vec<_>>()),
            _ => message::field(info, &self.rest),
        };
        std::future::ready(Ok(resolved)).boxed()
    }
}

struct OneRun<'a> {
    fields: &'a JsonMap,
    of: &'a Runs<'a>,
}

impl AsyncObjectValue for OneRun<'_> {
    fn type_name(&self) -> &str {
        "MlflowRunExtension"
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> BoxFuture<'a, Resolved<'a>> {
        async move {
            let found = match info.field_name() {
                "experiment" => self.of.experiment(self::info(self.fields, "experiment_id")).await,
                "modelVersions" => self.of.model_versions(self::info(self.fields, "run_id")).await,
                _ => return Ok(message::field(info, self.fields)),
            };
            let found = found.map_err(|error: ApiError| -> FieldError { field_error(error) })?;
            Ok(message::value(info, &info.field_definition().ty, found))
        }
        .boxed()
    }
}

/// A text of a run's info.
fn info<'a>(run: &'a JsonMap, field: &str) -> &'a str {
    let info = run.get("info").and_then(JsonValue::as_object);
    info.and_then(|info| info.get(field)).and_then(JsonValue::as_str).unwrap_or_default()
}
