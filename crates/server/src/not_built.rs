//! Paths that this server does not answer: groups of MLflow that are not built yet, and everything unknown.
//!
//! Both get an error that a client shows and does not retry (MLflow's client retries 408, 429, 500, 502, 503 and 504), and
//! never an empty success, which would pass for an empty list. Which status a group gets follows what MLflow's own client
//! and page do with it: 501 where a person asked for the feature and should read that it is missing, 404 where
//! they only look whether the server has it.

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderValue};
use http::{Method, StatusCode, Uri};

use crate::config::Config;

/// A group of routes that MLflow 3.17 has and this server has not: the path behind the version, and what it is.
struct Group {
    path: &'static str,
    is: &'static str,
    status: StatusCode,
}

const fn not_implemented(path: &'static str, is: &'static str) -> Group {
    Group { path, is, status: StatusCode::NOT_IMPLEMENTED }
}

const fn absent(path: &'static str, is: &'static str) -> Group {
    Group { path, is, status: StatusCode::NOT_FOUND }
}

/// Under `/api/<version>/` and `/ajax-api/<version>/`. A path covers itself and everything below it; the first match counts.
const GROUPS: &[Group] = &[
    not_implemented("mlflow/traces", "Traces"),
    not_implemented("mlflow/get-trace-artifact", "Traces"),
    not_implemented("mlflow/get-online-trace-details", "Traces"),
    not_implemented("mlflow/unified-traces", "Traces"),
    not_implemented("mlflow/datasets", "Evaluation datasets"),
    not_implemented("mlflow/webhooks", "Webhooks"),
    not_implemented("mlflow/scorers", "Scorers"),
    not_implemented("mlflow/scorer", "Scorers"),
    not_implemented("mlflow/label-schemas", "Label schemas"),
    not_implemented("mlflow/review-queues", "Review queues"),
    not_implemented("mlflow/issues", "Issues"),
    not_implemented("mlflow/prompt-optimization", "Prompt optimization"),
    not_implemented("mlflow/genai", "GenAI evaluation"),
    not_implemented("mlflow/runs/create-promptlab-run", "Prompt Lab runs"),
    not_implemented("mlflow/demo", "Demo data"),
    not_implemented("mlflow/jobs", "Jobs"),
    not_implemented("jobs", "Jobs"),
    not_implemented("mlflow/gateway", "The AI gateway"),
    not_implemented("mlflow/mcp-servers", "The registry of MCP servers"),
    not_implemented("mlflow/skills", "The registry of skills"),
    // The client takes 404 here for a server without workspaces, and says so.
    absent("mlflow/workspaces", "Workspaces"),
    absent("mlflow/server-features", "The list of server features"),
    // The stock page asks for these on its own; 404 tells it to hide them.
    // Pages have a route for it (mlflow/gateway.rs); this is for whoever asks elsewhere.
    absent("mlflow/gateway-proxy", "The AI gateway"),
    absent("mlflow/assistant", "The assistant"),
    absent("mlflow/users", "The user directory"),
    absent("mlflow/roles", "The directory of roles"),
    absent("mlflow/permissions", "The directory of permissions"),
];

/// The OTLP route, where clients of 3.4 and later send spans. A client that finds the second sentence in the
/// message of an error stops sending spans for the rest of its run.
const OTLP: &str = "Traces are not built yet in Trackway. REST OTLP span logging is not supported by this server.";

/// Answers every path that no route has, and every method that a route lacks.
pub fn attach<S: Clone + Send + Sync + 'static>(router: Router<S>, config: &Config) -> Router<S> {
    let prefix = config.static_prefix.clone();
    let artifacts_only = config.artifacts_only;
    router
        .fallback(move |method: Method, uri: Uri| {
            let below = uri.path().strip_prefix(prefix.as_str());
            let tracking = below.filter(|below| artifacts_only && is_of_tracking(below));
            let response = match tracking {
                Some(below) => artifacts_only_refusal(below),
                None => unknown_path(&prefix, &method, uri.path()),
            };
            async move { response }
        })
        .method_not_allowed_fallback(|method: Method, uri: Uri| async move { wrong_method(&method, uri.path()) })
}

/// What a server for artifacts alone does without.
fn is_of_tracking(path: &str) -> bool {
    let api = path.strip_prefix("/api/").or_else(|| path.strip_prefix("/ajax-api/"));
    let in_version = api.and_then(|api| api.strip_prefix("2.0/").or_else(|| api.strip_prefix("3.0/")));
    in_version.is_some_and(|route| route.starts_with("mlflow/"))
        || matches!(path, "/get-artifact" | "/model-versions/get-artifact" | "/graphql")
}

/// Status and words of MLflow 3.17.
fn artifacts_only_refusal(path: &str) -> Response {
    let text = format!(
        "Endpoint: {} disabled due to the mlflow server running in `--artifacts-only` mode. To enable tracking server functionality, run \
         `mlflow server` without `--artifacts-only`",
        shown(path)
    );
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

fn unknown_path(prefix: &str, method: &Method, path: &str) -> Response {
    let Some(below) = path.strip_prefix(prefix) else {
        return no_such_path(method, path);
    };
    if below == "/v1/traces" {
        return json_error(StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", OTLP);
    }
    if below.starts_with("/gateway/") {
        return refuse("The AI gateway", StatusCode::NOT_IMPLEMENTED);
    }
    let api = below.strip_prefix("/api/").or_else(|| below.strip_prefix("/ajax-api/"));
    let in_version = api.and_then(|api| api.strip_prefix("2.0/").or_else(|| api.strip_prefix("3.0/")));
    if let Some(asked) = in_version {
        for group in GROUPS {
            if asked.strip_prefix(group.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
                return refuse(group.is, group.status);
            }
        }
    }
    no_such_path(method, path)
}

fn refuse(group: &str, status: StatusCode) -> Response {
    let verb = if group.ends_with('s') && !group.starts_with("The ") { "are" } else { "is" };
    let message = format!("{group} {verb} not built yet in Trackway, so this server has nothing at this path.");
    let code = if status == StatusCode::NOT_IMPLEMENTED { "NOT_IMPLEMENTED" } else { "ENDPOINT_NOT_FOUND" };
    json_error(status, code, &message)
}

fn no_such_path(method: &Method, path: &str) -> Response {
    let message = format!("This server has nothing at {method} {}", shown(path));
    json_error(StatusCode::NOT_FOUND, "ENDPOINT_NOT_FOUND", &message)
}

/// The router adds the Allow header.
fn wrong_method(method: &Method, path: &str) -> Response {
    let message = format!("This server does not know the method {method} at {}", shown(path));
    json_error(StatusCode::METHOD_NOT_ALLOWED, "ENDPOINT_NOT_FOUND", &message)
}

/// A path as an error quotes it: what a client sent comes back, but not a novel of it.
fn shown(path: &str) -> &str {
    const MOST: usize = 200;
    // A path of an URI is ASCII, but a cut must not be able to panic.
    path.get(..MOST).unwrap_or(path)
}

/// An error in the shape that MLflow's clients read.
pub(crate) fn json_error(status: StatusCode, error_code: &str, message: &str) -> Response {
    let body = serde_json::json!({ "error_code": error_code, "message": message }).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn ask(prefix: &str, method: &str, path: &str) -> (u16, serde_json::Value, Option<String>) {
        let config = Config { static_prefix: prefix.to_owned(), ..Config::default() };
        let router = Router::new().route(&format!("{prefix}/api/2.0/mlflow/runs/get"), get(|| async { "run" }));
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = attach(router, &config).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let allow = response.headers().get("allow").map(|value| value.to_str().unwrap().to_owned());
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default(), allow)
    }

    #[tokio::test]
    async fn groups_that_are_not_built_say_so() {
        for (method, path, status, code, says) in [
            ("POST", "/api/3.0/mlflow/traces", 501, "NOT_IMPLEMENTED", "Traces are not built yet"),
            ("GET", "/api/2.0/mlflow/traces/tr-1/info", 501, "NOT_IMPLEMENTED", "Traces are"),
            ("POST", "/ajax-api/3.0/mlflow/traces/search", 501, "NOT_IMPLEMENTED", "Traces are"),
            ("POST", "/api/3.0/mlflow/traces/tr-1/assessments", 501, "NOT_IMPLEMENTED", "Traces are"),
            ("POST", "/v1/traces", 501, "NOT_IMPLEMENTED", "REST OTLP span logging is not supported"),
            ("POST", "/ajax-api/3.0/mlflow/datasets/search", 501, "NOT_IMPLEMENTED", "Evaluation datasets are"),
            ("POST", "/api/2.0/mlflow/webhooks", 501, "NOT_IMPLEMENTED", "Webhooks are"),
            ("GET", "/ajax-api/3.0/jobs/1", 501, "NOT_IMPLEMENTED", "Jobs are"),
            ("POST", "/gateway/mlflow/v1/chat/completions", 501, "NOT_IMPLEMENTED", "The AI gateway is"),
            ("GET", "/ajax-api/2.0/mlflow/gateway-proxy", 404, "ENDPOINT_NOT_FOUND", "The AI gateway is"),
            ("GET", "/ajax-api/2.0/mlflow/users/current", 404, "ENDPOINT_NOT_FOUND", "user directory is"),
            ("GET", "/ajax-api/3.0/mlflow/assistant/config", 404, "ENDPOINT_NOT_FOUND", "The assistant is"),
            ("GET", "/api/3.0/mlflow/workspaces", 404, "ENDPOINT_NOT_FOUND", "Workspaces are"),
            (
                "GET",
                "/api/2.0/mlflow/tracesmore",
                404,
                "ENDPOINT_NOT_FOUND",
                "nothing at GET /api/2.0/mlflow/tracesmore",
            ),
            ("GET", "/api/4.0/mlflow/traces", 404, "ENDPOINT_NOT_FOUND", "nothing at"),
            ("GET", "/nope", 404, "ENDPOINT_NOT_FOUND", "nothing at GET /nope"),
        ] {
            let (answered, body, _) = ask("", method, path).await;
            assert_eq!(answered, status, "{path}");
            assert_eq!(body["error_code"], code, "{path}");
            assert!(body["message"].as_str().unwrap().contains(says), "{path}: {body}");
            let under_prefix = ask("/pre", method, &format!("/pre{path}")).await;
            assert_eq!(under_prefix.0, status, "/pre{path}");
            assert_eq!(ask("/pre", method, path).await.0, 404, "{path} without its prefix");
        }
    }

    #[tokio::test]
    async fn a_wrong_method_is_405_and_names_the_right_ones() {
        let (status, body, allow) = ask("", "POST", "/api/2.0/mlflow/runs/get").await;
        assert_eq!(status, 405);
        assert_eq!(body["error_code"], "ENDPOINT_NOT_FOUND");
        assert_eq!(allow.as_deref(), Some("GET,HEAD"));
    }

    #[tokio::test]
    async fn a_long_path_is_not_sent_back_whole() {
        let (status, body, _) = ask("", "GET", &format!("/{}", "x".repeat(5000))).await;
        assert_eq!(status, 404);
        assert!(body["message"].as_str().unwrap().len() < 300);
    }
}
