//! The fields of `Query` and `Mutation`.

use apollo_compiler::executable::OperationType;
use apollo_compiler::resolvers::{AsyncObjectValue, AsyncResolvedValue, FieldError, ResolveInfo};
use apollo_compiler::response::serde_json_bytes::to_value;
use apollo_compiler::response::{JsonMap, JsonValue};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::message::{Message, Resolved, snake_case};
use super::runs::Runs;
use crate::artifacts::{Listing, located};
use crate::error::ApiError;
use crate::mlflow::experiments::ExperimentOut;
use crate::mlflow::{experiments, inputs, metrics, model_versions, runs};
use crate::state::AppState;
use crate::wire::decode_json;

pub(super) struct Root<'a> {
    app: &'a AppState,
    type_name: &'static str,
}

impl<'a> Root<'a> {
    pub(super) fn new(app: &'a AppState, operation: OperationType) -> Root<'a> {
        let type_name = if operation == OperationType::Mutation { "Mutation" } else { "Query" };
        Root { app, type_name }
    }
}

impl AsyncObjectValue for Root<'_> {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> BoxFuture<'a, Resolved<'a>> {
        async move { answer(self.app, info).await.map_err(field_error) }.boxed()
    }
}

async fn answer<'a>(app: &'a AppState, info: &'a ResolveInfo<'a>) -> Result<AsyncResolvedValue<'a>, ApiError> {
    let type_name = info.field_definition().ty.inner_named_type().as_str();
    let fields = match info.field_name() {
        "mlflowGetExperiment" => {
            let experiment = app.store.get_experiment(input::<experiments::ById>(info)?.id()?).await?;
            as_fields(experiments::One { experiment: ExperimentOut::new(&experiment) })
        }
        "mlflowGetRun" => {
            let run = app.store.get_run(input::<runs::ById>(info)?.id()?).await?;
            return Ok(AsyncResolvedValue::object(Runs::new(app, type_name, &[run], None)));
        }
        "mlflowSearchRuns" => {
            let page = runs::find(app, input(info)?).await?;
            return Ok(AsyncResolvedValue::object(Runs::new(app, type_name, &page.items, page.next_page_token)));
        }
        "mlflowGetMetricHistoryBulkInterval" => {
            let (key, histories) = metrics::sampled(app, input(info)?).await?;
            as_fields(metrics::History { metrics: metrics::points_out(&histories, &key), next_page_token: None })
        }
        "mlflowListArtifacts" => {
            let (uri, artifacts) = located::find_of_run(app, input(info)?).await?;
            as_fields(Listing::new(&uri, &artifacts))
        }
        "mlflowSearchModelVersions" => {
            as_fields(model_versions::Page::new(&model_versions::find(app, input(info)?).await?))
        }
        "mlflowSearchDatasets" => {
            let request: inputs::SearchDatasets = input(info)?;
            as_fields(inputs::Summaries::new(&inputs::find_datasets(app, &request.experiment_ids).await?))
        }
        other => return Err(ApiError::not_found(format!("This server has no answer to the field {other}"))),
    };
    Ok(AsyncResolvedValue::object(Message::new(type_name, fields)))
}

/// What the field was given, as the REST route's request.
fn input<T: DeserializeOwned>(info: &ResolveInfo<'_>) -> Result<T, ApiError> {
    let Some(JsonValue::Object(given)) = info.arguments().get("input") else {
        return Err(ApiError::invalid(format!("The field {} needs the argument 'input'.", info.field_name())));
    };
    let request: JsonMap = given.iter().map(|(key, value)| (snake_case(key.as_str()).into(), value.clone())).collect();
    let request = serde_json::to_vec(&request);
    decode_json(&request.map_err(|error| ApiError::invalid(error.to_string()))?)
}

/// A REST answer as a map.
pub(super) fn as_fields(answer: impl Serialize) -> JsonMap {
    match to_value(answer) {
        Ok(JsonValue::Object(fields)) => fields,
        // All answers are objects, and none has keys that JSON cannot hold.
        _ => JsonMap::new(),
    }
}

pub(super) fn field_error(error: ApiError) -> FieldError {
    if error.status.is_server_error() {
        tracing::error!(code = error.code, message = error.message, "a field of a GraphQL request failed");
    }
    FieldError { message: error.message }
}
