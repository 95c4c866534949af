//! Artifacts over HTTP, on a real folder, on object stores and on servers that keep files.

mod buckets;
mod by_uri;
mod downloads;
mod everywhere;
mod faults;
mod index;
mod proxy;
mod servers;
mod stores;
mod traversal;
mod uploads;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::FromRef;
use http::{HeaderMap, Request, StatusCode};
use tower::ServiceExt;
use trackway_server::artifacts::{self, ArtifactService, LocationSource};
use trackway_server::config::Config;
use trackway_server::error::ApiError;
use trackway_tracking::Store;

use stores::Bucket;
pub(crate) use stores::on_every_store;

pub const PROXY: &str = "/api/2.0/mlflow-artifacts/artifacts";

/// What the server's state is to these routes: artifacts, and URIs by id.
#[derive(Clone)]
pub struct App {
    service: Arc<ArtifactService>,
    uris: Arc<HashMap<&'static str, String>>,
}

impl FromRef<App> for Arc<ArtifactService> {
    fn from_ref(app: &App) -> Arc<ArtifactService> {
        Arc::clone(&app.service)
    }
}

impl App {
    fn uri(&self, id: &str, what: String) -> Result<String, ApiError> {
        let found = self.uris.get(id).cloned();
        found.ok_or_else(|| ApiError::not_found(format!("{what} not found")))
    }
}

impl LocationSource for App {
    async fn run_artifact_uri(&self, run_id: &str) -> Result<String, ApiError> {
        self.uri(run_id, format!("Run with id={run_id}"))
    }

    async fn logged_model_artifact_uri(&self, model_id: &str) -> Result<String, ApiError> {
        self.uri(model_id, format!("Logged model with ID '{model_id}'"))
    }

    async fn model_version_artifact_uri(&self, name: &str, version: &str) -> Result<String, ApiError> {
        self.uri(&format!("{name}/{version}"), format!("Model Version (name={name}, version={version})"))
    }
}

pub struct Served {
    pub dir: tempfile::TempDir,
    pub router: Router,
    /// Unless a local folder is served.
    pub bucket: Option<Bucket>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    pub fn code_and_message(&self) -> (u16, String, String) {
        let json = self.json();
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        (self.status.as_u16(), text("error_code"), text("message"))
    }
}

pub async fn serve() -> Served {
    serve_as(true).await
}

pub async fn serve_as(serve_artifacts: bool) -> Served {
    let dir = tempfile::tempdir().unwrap();
    let destination = dir.path().join("mlartifacts").to_str().unwrap().to_owned();
    let config = Config { serve_artifacts, artifacts_destination: destination, ..Config::default() };
    serve_with(dir, config, None, None).await
}

/// `bucket` keeps its server running.
pub async fn serve_with(
    dir: tempfile::TempDir,
    config: Config,
    database: Option<Store>,
    bucket: Option<Bucket>,
) -> Served {
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let service = ArtifactService::open(&config, &at("mlruns"), database).await.unwrap();
    let place = trackway_artifacts::without_password(&config.artifacts_destination);
    let direct = format!("{place}/0/run/artifacts");
    let uris = HashMap::from([
        ("run", "mlflow-artifacts:/0/run/artifacts".to_owned()),
        ("direct-run", direct),
        ("local-run", at("mlruns/0/local-run/artifacts")),
        ("outside-run", at("outside")),
        ("s3-run", "s3://bucket/0/run/artifacts".to_owned()),
        ("stranger-run", "sftp://u:secret@stranger/0/run/artifacts".to_owned()),
        ("http-run", "http://169.254.169.254/latest".to_owned()),
        ("m-1", "mlflow-artifacts:/0/models/m-1/artifacts".to_owned()),
        ("model/1", "mlflow-artifacts://host:5000/0/run/artifacts/model".to_owned()),
    ]);
    let app = App { service: Arc::new(service), uris: Arc::new(uris) };
    let router = Router::new()
        .nest("/api/2.0/mlflow-artifacts", artifacts::proxy_routes())
        .nest("/ajax-api/2.0/mlflow-artifacts", artifacts::proxy_routes())
        .nest("/api/2.0/mlflow", artifacts::mlflow_routes())
        .nest("/ajax-api/2.0/mlflow", artifacts::mlflow_routes().merge(artifacts::ajax_routes()))
        .merge(artifacts::page_routes::<App>())
        .with_state(app);
    Served { dir, router, bucket }
}

impl Served {
    pub async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("the whole body");
        Answer { status: head.status, headers: head.headers, body: body.into() }
    }

    pub async fn get(&self, uri: &str) -> Answer {
        self.ask(request("GET", uri, &[], "")).await
    }

    pub async fn put(&self, path: &str, content: impl Into<Body>) -> Answer {
        self.ask(request("PUT", &format!("{PROXY}/{path}"), &[], content)).await
    }

    pub async fn post_json(&self, uri: &str, body: &str) -> Answer {
        self.ask(request("POST", uri, &[("content-type", "application/json")], body.to_owned())).await
    }

    /// Stores a file behind the server's back.
    pub fn write(&self, at: &str, content: &str) -> PathBuf {
        let file = self.dir.path().join(at);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content).unwrap();
        file
    }

    /// Every file below `at`, except in the staging folder what is nothing.
    pub fn files(&self, at: &str) -> Vec<String> {
        fn walk(dir: &Path, root: &Path, found: &mut Vec<String>) {
            let Ok(entries) = std::fs::read_dir(dir) else { return };
            for entry in entries.map(Result::unwrap) {
                match entry.file_type().unwrap().is_dir() {
                    true => walk(&entry.path(), root, found),
                    false => found.push(entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned()),
                }
            }
        }
        let root = self.dir.path().join(at);
        let mut found = Vec::new();
        walk(&root, &root, &mut found);
        found.sort();
        found
    }
}

pub fn request(method: &str, uri: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}
