//! `POST /graphql`: what MLflow's pages ask as GraphQL. They ask for an experiment, a run and the points of a chart.
//!
//! * `schema.graphql` lists all that can be asked; MLflow's part of it is the REST answers in camelCase.
//! * `limits.rs`: a document is measured before anything else looks at it.
//! * `roots.rs`: the fields of `Query` and `Mutation`, answered by the same functions as the REST routes.
//! * `message.rs`: a REST answer as a GraphQL object. `runs.rs`: what a run has beyond its REST answer.
//!
//! An error of the store is answered as MLflow does: status 200, the field null, the message in a list of plain texts.

mod limits;
mod message;
mod roots;
mod runs;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use apollo_compiler::executable::OperationType;
use apollo_compiler::parser::Parser;
use apollo_compiler::request::RequestError;
use apollo_compiler::resolvers::Execution;
use apollo_compiler::response::{ExecutionResponse, JsonMap};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Schema, introspection};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::error::ApiError;
use crate::state::AppState;
use crate::wire::{self, Body};

/// The largest request, in bytes. Charts of a hundred runs send some kilobytes.
pub(crate) const LARGEST_REQUEST: usize = 1 << 20;

/// What the library puts before a resolver's own message.
const BY_RESOLVER: &str = "resolver error: ";

static SCHEMA: LazyLock<Valid<Schema>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the text is part of the program, and a test reads it")]
    Schema::parse_and_validate(include_str!("schema.graphql"), "schema.graphql").expect("the schema is valid")
});

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Request {
    query: Option<String>,
    #[serde(rename = "operationName")]
    operation_name: Option<String>,
    variables: Option<JsonMap>,
}

#[derive(Serialize)]
struct Answer {
    data: Option<JsonMap>,
    /// Null if nothing went wrong.
    errors: Option<Vec<String>>,
}

/// A request that is not run.
struct Refusal {
    status: StatusCode,
    errors: Vec<String>,
}

impl Refusal {
    /// No GraphQL at all. MLflow answers 500 to it, which reads as a fault of the server.
    fn unreadable(status: StatusCode, error: impl Into<String>) -> Refusal {
        Refusal { status, errors: vec![error.into()] }
    }

    /// GraphQL that asks for what is not there or not allowed: status 200, as in MLflow.
    fn invalid(errors: Vec<String>) -> Refusal {
        Refusal { status: StatusCode::OK, errors }
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Refusal {
        Refusal::invalid(vec![error.message().to_string()])
    }
}

pub(crate) async fn post(State(app): State<AppState>, request: Result<Body<Request>, ApiError>) -> Response {
    let ran = match request {
        Ok(Body(request)) => in_its_own_thread(app, request).await,
        Err(error) => Err(Refusal::unreadable(error.status, error.message)),
    };
    match ran {
        Ok(response) => {
            let errors: Vec<String> = response.errors.into_iter().map(|error| in_own_words(error.message)).collect();
            wire::json(&Answer { data: response.data, errors: (!errors.is_empty()).then_some(errors) })
        }
        Err(refusal) => {
            let mut response = wire::json(&Answer { data: None, errors: Some(refusal.errors) });
            *response.status_mut() = refusal.status;
            response
        }
    }
}

/// Validating and resolving is work for the processor, and the library's futures stay in one thread.
async fn in_its_own_thread(app: AppState, request: Request) -> Result<ExecutionResponse, Refusal> {
    let ran = tokio::task::spawn_blocking(move || Handle::current().block_on(run(&app, request))).await;
    ran.unwrap_or_else(|error| {
        tracing::error!(%error, "a GraphQL request failed");
        Err(Refusal::unreadable(StatusCode::INTERNAL_SERVER_ERROR, "The request failed by a fault of the server."))
    })
}

async fn run(app: &AppState, request: Request) -> Result<ExecutionResponse, Refusal> {
    let document = read(request.query.as_deref().unwrap_or_default())?;
    let name = request.operation_name.as_deref().filter(|name| !name.is_empty());
    let operation = document.operations.get(name).map_err(|_| {
        let message = match name {
            Some(name) => format!("Unknown operation named '{name}'."),
            None if document.operations.is_empty() => "Must provide an operation.".to_owned(),
            None => "Must provide operation name if query contains multiple operations.".to_owned(),
        };
        Refusal::invalid(vec![message])
    })?;
    if operation.operation_type == OperationType::Query {
        introspection::check_max_depth(&document, operation)?;
    }
    let variables = request.variables.unwrap_or_default();
    let execution = Execution::new(&SCHEMA, &document)
        .operation(operation)
        .raw_variable_values(&variables)
        .enable_schema_introspection(true);
    Ok(execution.execute_async(&roots::Root::new(app, operation.operation_type)).await?)
}

/// Reads a document, holds it to the limits, and checks it against the schema.
fn read(query: &str) -> Result<Valid<ExecutableDocument>, Refusal> {
    if query.trim_ascii().is_empty() {
        let error = "The request holds no query. Send JSON with the keys query, variables and operationName.";
        return Err(Refusal::unreadable(StatusCode::BAD_REQUEST, error));
    }
    let mut parser = Parser::new().recursion_limit(limits::NESTING).token_limit(limits::TOKENS);
    let document = parser.parse_ast(query, "query").map_err(|broken| {
        let errors = texts(&broken.errors)
            .into_iter()
            .map(|error| format!("Syntax Error: {}", error.strip_prefix("syntax error: ").unwrap_or(&error)))
            .collect();
        Refusal { status: StatusCode::BAD_REQUEST, errors }
    })?;
    limits::check(&document).map_err(|error| Refusal::invalid(vec![error]))?;
    document.to_executable_validate(&SCHEMA).map_err(|broken| Refusal::invalid(texts(&broken.errors)))
}

/// What is wrong with a document, in the words of graphql-core, which MLflow uses, where the library knows them.
fn texts(errors: &DiagnosticList) -> Vec<String> {
    const MOST: usize = 100;
    let text = |error: String| error.replace('"', "'");
    let told = |error: &apollo_compiler::validation::DiagnosticData| {
        error.unstable_compat_message().map_or_else(|| error.to_string(), text)
    };
    errors.iter().take(MOST).map(|diagnostic| told(diagnostic.error)).collect()
}

fn in_own_words(message: String) -> String {
    match message.strip_prefix(BY_RESOLVER) {
        Some(own) => own.to_owned(),
        None => message,
    }
}
