//! The web page: the one in `--ui-dir`, else a plain one of our own.
//!
//! `--ui-dir` takes the built page out of an installed MLflow (`mlflow/server/js/build`). It asks for its files relative
//! to itself, under `static-files/`, so it works under any static prefix. Our plain page shows what to set on a
//! client, and the experiments with their newest runs.

use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, get_service};
use http::header::{self, HeaderValue};
use http::{Request, StatusCode};
use tower::ServiceExt;
use tower_http::services::{ServeDir, ServeFile};

use crate::config::{Config, ConfigError};
use crate::server_info::VERSION;

/// Four weeks, as MLflow says: a file's name changes with its content.
const STATIC_FILES_ARE_GOOD_FOR: &str = "public, max-age=2419200";

const PAGE: &str = include_str!("ui/page.html");

/// Checks that `--ui-dir` holds a page, so that a mistake shows at the start and not in a browser.
pub fn check_dir(dir: &Path) -> Result<(), ConfigError> {
    if dir.join("index.html").is_file() {
        return Ok(());
    }
    Err(ConfigError(format!(
        "--ui-dir {} holds no index.html. Give the folder of a built page, for example mlflow/server/js/build of an installed MLflow.",
        dir.display()
    )))
}

/// `/` and `/static-files/…`, under the static prefix. `/prefix` leads to `/prefix/`.
pub fn routes<S: Clone + Send + Sync + 'static>(config: &Config) -> Router<S> {
    let prefix = &config.static_prefix;
    let mut router = Router::new();
    if !prefix.is_empty() {
        // Relative, since a proxy may have taken away what stands before it.
        let to = format!("{}/", prefix.rsplit('/').next().unwrap_or_default());
        router = router.route(prefix, get(move || async move { Redirect::permanent(&to) }));
    }
    let home = format!("{prefix}/");
    let Some(dir) = &config.ui_dir else {
        return router.route(&home, get(|| async { plain_page() }));
    };
    let index = ServeFile::new(dir.join("index.html"));
    let files = ServeDir::new(dir).append_index_html_on_directories(false);
    router.route(&home, get_service(index).layer(axum::middleware::map_response(no_cache))).route(
        &format!("{prefix}/static-files/{{*path}}"),
        get(move |axum::extract::Path(path): axum::extract::Path<String>, request: Request<Body>| {
            static_file(files.clone(), path, request)
        }),
    )
}

async fn static_file(files: ServeDir, path: String, request: Request<Body>) -> Response {
    let (mut parts, body) = request.into_parts();
    let path = percent_encoding::utf8_percent_encode(&path, percent_encoding::NON_ALPHANUMERIC);
    // Encoding each slash too is right: ServeDir decodes before it looks.
    let Ok(uri) = format!("/{path}").parse() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    parts.uri = uri;
    let mut response = match files.oneshot(Request::from_parts(parts, body)).await {
        Ok(response) => response.into_response(),
        Err(impossible) => match impossible {},
    };
    if response.status().is_success() {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(STATIC_FILES_ARE_GOOD_FOR));
    }
    response
}

async fn no_cache(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Our page may run its own script and style, each marked with a word that is new for every visit, and talk to this
/// server. Nothing else: whatever a run's name smuggles into it does not run.
fn plain_page() -> Response {
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let page = PAGE.replace("{{nonce}}", &nonce).replace("{{version}}", VERSION);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'"
    );
    let mut response = axum::response::Html(page).into_response();
    let headers = response.headers_mut();
    // The policy is made of ASCII letters, digits and signs only.
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(config: &Config, path: &str) -> (u16, http::HeaderMap, String) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = routes::<()>(config).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 100_000).await.unwrap();
        (parts.status.as_u16(), parts.headers, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn the_plain_page_allows_only_its_own_script() {
        let (status, headers, first) = ask(&Config::default(), "/").await;
        assert_eq!(status, 200);
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'nonce-"), "{policy}");
        let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
        assert!(first.contains(&format!("<script nonce=\"{nonce}\">")));
        assert!(first.contains(VERSION) && !first.contains("{{"));
        assert!(!first.contains("innerHTML"), "names of runs must be put in as text");
        assert_ne!(first, ask(&Config::default(), "/").await.2, "the nonce is new each time");
    }

    #[tokio::test]
    async fn a_ui_dir_is_served_and_nothing_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("build");
        std::fs::create_dir_all(dir.join("static/js")).unwrap();
        std::fs::write(dir.join("index.html"), "<title>stock</title>").unwrap();
        std::fs::write(dir.join("static/js/main.1.js"), "let x").unwrap();
        std::fs::write(root.path().join("secret"), "no").unwrap();
        check_dir(&dir).unwrap();
        assert!(check_dir(root.path()).unwrap_err().0.contains("holds no index.html"));

        for prefix in ["", "/pre"] {
            let config = Config { ui_dir: Some(dir.clone()), static_prefix: prefix.to_owned(), ..Config::default() };
            let (status, headers, body) = ask(&config, &format!("{prefix}/")).await;
            assert_eq!((status, body.as_str()), (200, "<title>stock</title>"));
            assert_eq!(headers["cache-control"], "no-cache");
            let (status, headers, body) = ask(&config, &format!("{prefix}/static-files/static/js/main.1.js")).await;
            assert_eq!((status, body.as_str()), (200, "let x"));
            assert_eq!(headers["content-type"], "text/javascript");
            assert_eq!(headers["cache-control"], STATIC_FILES_ARE_GOOD_FOR);
            for path in
                ["nope.js", "../secret", "..%2fsecret", "%2e%2e/secret", "..%252fsecret", "%2fetc/passwd", "static"]
            {
                let (status, _, body) = ask(&config, &format!("{prefix}/static-files/{path}")).await;
                assert!(status == 404 || status == 400, "{path}: {status}");
                assert_ne!(body, "no", "{path}");
            }
        }
        let config = Config { ui_dir: Some(dir), static_prefix: "/pre".to_owned(), ..Config::default() };
        let (status, headers, _) = ask(&config, "/pre").await;
        assert_eq!((status, headers["location"].to_str().unwrap()), (308, "pre/"));
    }
}
