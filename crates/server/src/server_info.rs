//! What clients and pages ask a server about itself: alive, version, features, telemetry.

use axum::Router;
use axum::routing::get;
use http::header::{self, HeaderValue};

use crate::config::Config;

/// The version of MLflow's protocol that this server speaks. Clients parse it (PEP 440) and decide by it what they send.
pub const PROTOCOL_VERSION: &str = "3.17.2";

/// The version of Trackway.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the artifact store can do; a client takes the plain way for what is false.
#[derive(Debug, Clone, Copy, Default)]
pub struct Capabilities {
    /// The proxy takes a file in parts (`mpu/*`).
    pub multipart_uploads: bool,
    /// The proxy hands out URLs from which a file is read in parts (`presigned/*`).
    pub multipart_downloads: bool,
    /// `artifacts/presigned-upload-url` takes a `run_id` and a `model_id`.
    pub presigned_uploads: bool,
}

/// `/health`, `/version`, `server-info` and `ui-telemetry`, under the static prefix.
pub fn routes<S: Clone + Send + Sync + 'static>(config: &Config, capabilities: Capabilities) -> Router<S> {
    let prefix = &config.static_prefix;
    let info = info(config, capabilities).to_string();
    let mut router = Router::new()
        .route(&format!("{prefix}/health"), get(|| async { "OK" }))
        // Stock says text/html here. Nothing reads it, and plain text is what it is.
        .route(&format!("{prefix}/version"), get(|| async { PROTOCOL_VERSION }));
    for api in ["api", "ajax-api"] {
        let info = info.clone();
        router =
            router.route(&format!("{prefix}/{api}/3.0/mlflow/server-info"), get(move || async move { json(info) }));
    }
    // As MLflow answers when telemetry is switched off: this server never sends any.
    router.route(
        &format!("{prefix}/ajax-api/3.0/mlflow/ui-telemetry"),
        get(|| async {
            json(r#"{"disable_ui_events":[],"disable_ui_telemetry":true,"ui_rollout_percentage":0}"#.to_owned())
        })
        .post(|| async { json(r#"{"status":"disabled"}"#.to_owned()) }),
    )
}

/// The fields of MLflow 3.17, and ours under `trackway`.
fn info(config: &Config, capabilities: Capabilities) -> serde_json::Value {
    // Only the store decides about this in MLflow; a server for artifacts alone has none.
    let store_type = if config.artifacts_only { None } else { Some("SqlStore") };
    let proxied = config.serve_artifacts;
    serde_json::json!({
        "store_type": store_type,
        "workspaces_enabled": false,
        "trace_archival_enabled": false,
        "multipart_uploads_enabled": proxied && capabilities.multipart_uploads,
        "multipart_downloads_enabled": proxied && capabilities.multipart_downloads,
        "presigned_upload_run_id_supported": capabilities.presigned_uploads,
        "presigned_upload_model_id_supported": capabilities.presigned_uploads,
        "features_enabled": { "gateway": false },
        "trackway": { "version": VERSION },
    })
}

fn json(body: String) -> ([(header::HeaderName, HeaderValue); 1], String) {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn ask(config: &Config, method: &str, path: &str) -> (u16, String, String) {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = routes::<()>(config, Capabilities::default()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers().get("content-type").map_or("", |value| value.to_str().unwrap()).to_owned();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_server_says_what_it_is() {
        let config = Config::default();
        let text = "text/plain; charset=utf-8".to_owned();
        assert_eq!(ask(&config, "GET", "/health").await, (200, text.clone(), "OK".to_owned()));
        assert_eq!(ask(&config, "GET", "/version").await, (200, text, "3.17.2".to_owned()));
        for api in ["api", "ajax-api"] {
            let (status, kind, body) = ask(&config, "GET", &format!("/{api}/3.0/mlflow/server-info")).await;
            assert_eq!((status, kind.as_str()), (200, "application/json"));
            let info: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(info["store_type"], "SqlStore");
            assert_eq!(info["workspaces_enabled"], false);
            assert_eq!(info["features_enabled"]["gateway"], false);
            assert_eq!(info["trackway"]["version"], VERSION);
        }
        let telemetry = "/ajax-api/3.0/mlflow/ui-telemetry";
        assert!(ask(&config, "GET", telemetry).await.2.contains("\"disable_ui_telemetry\":true"));
        assert_eq!(ask(&config, "POST", telemetry).await.2, r#"{"status":"disabled"}"#);
    }

    #[tokio::test]
    async fn everything_stands_under_the_static_prefix() {
        let config = Config { static_prefix: "/pre".to_owned(), ..Config::default() };
        assert_eq!(ask(&config, "GET", "/pre/health").await.0, 200);
        assert_eq!(ask(&config, "GET", "/health").await.0, 404);
        assert_eq!(ask(&config, "GET", "/pre/api/3.0/mlflow/server-info").await.0, 200);
    }
}
