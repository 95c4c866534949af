//! What a model version may be made from.
//!
//! A source is a URI that clients will later download through this server, so it decides which files they can reach.
//! The rules are those of MLflow 3.17, which closed a line of holes with them: a source within the proxied artifacts
//! must lie in the artifacts of the run or model that the request names, a local path likewise, and no source may lead
//! elsewhere than it says.

use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;
use trackway_tracking::{Error, PROMPT_TAG, Tag};

use super::model_versions::parse_version;
use super::uri::Uri;
use crate::error::ApiError;
use crate::state::AppState;

/// A checked source, and what follows from it.
pub(super) struct Origin {
    pub(super) source: String,
    pub(super) storage_location: Option<String>,
    pub(super) run_id: String,
    pub(super) model_id: String,
}

pub(super) async fn resolve(
    app: &AppState,
    source: String,
    run_id: Option<String>,
    model_id: Option<String>,
    tags: &[Tag],
) -> Result<Origin, ApiError> {
    let mut origin = Origin {
        source,
        storage_location: None,
        run_id: run_id.clone().unwrap_or_default(),
        model_id: model_id.clone().unwrap_or_default(),
    };
    if is_prompt(tags) {
        check_prompt_source(&origin.source)?;
        return Ok(origin);
    }
    let uri = Uri::parse(&origin.source);
    uri.check_host("source")?;
    if uri.scheme == "models" {
        if !uri.authority.is_empty() {
            return Err(invalid(&origin.source, "Registered model sources must use the active model registry."));
        }
        match ModelUri::parse(&origin.source)? {
            ModelUri::Logged(id) => {
                if origin.model_id != id {
                    return Err(must_identify(&origin.source, "model_id"));
                }
                let model = app.store.get_logged_model(id).await?;
                origin.storage_location = Some(model.artifact_uri);
                if origin.run_id.is_empty() {
                    origin.run_id = model.source_run_id;
                }
                return Ok(origin);
            }
            ModelUri::Version { name, version } => return inherit(app, origin, run_id, model_id, name, version).await,
        }
    }
    if !origin.model_id.is_empty() {
        let root = find(app.store.get_logged_model(origin.model_id.clone()).await, &origin.source, "model_id")?;
        check_within(&origin.source, &uri, &root.artifact_uri, "model_id")?;
        if uri.scheme == "runs" {
            return Err(must_identify(&origin.source, "model_id"));
        }
        if origin.run_id.is_empty() {
            origin.run_id = root.source_run_id;
        }
        return Ok(origin);
    }
    if uri.scheme == "runs" {
        check_detours(&origin.source)?;
        let named = uri.path.trim_start_matches('/').split('/').next().unwrap_or_default();
        if !uri.authority.is_empty() || named.is_empty() || named != origin.run_id {
            return Err(must_identify(&origin.source, "run_id"));
        }
        return Ok(origin);
    }
    if uri.is_local() || uri.is_proxied() {
        let root = if origin.run_id.is_empty() {
            String::new()
        } else {
            find(app.store.get_run_info(origin.run_id.clone()).await, &origin.source, "run_id")?.artifact_uri
        };
        check_within(&origin.source, &uri, &root, "run_id")?;
    } else {
        check_detours(&origin.source)?;
    }
    Ok(origin)
}

/// A source that names another version takes over its files, its run and its model.
async fn inherit(
    app: &AppState,
    mut origin: Origin,
    run_id: Option<String>,
    model_id: Option<String>,
    name: String,
    version: String,
) -> Result<Origin, ApiError> {
    let model = app.store.get_registered_model(name.clone()).await?;
    if model.is_prompt() {
        return Err(invalid(&origin.source, "Prompt versions cannot be used as model version sources."));
    }
    let number = match version.strip_prefix('@') {
        Some(alias) => app.store.get_version_by_alias(name.clone(), alias.to_owned()).await?.version,
        None => match parse_version(&version) {
            Ok(number) => number,
            Err(_) => {
                let stages = if version.eq_ignore_ascii_case("latest") { vec![] } else { vec![version.clone()] };
                let latest = app.store.get_latest_versions(name.clone(), stages).await?;
                latest.iter().map(|version| version.version).max().ok_or_else(|| {
                    ApiError::not_found(format!("No versions of model with name '{name}' and stage '{version}' found"))
                })?
            }
        },
    };
    let found = app.store.get_model_version(name, number).await?;
    let differs = |given: &Option<String>, stored: &str| given.as_deref().is_some_and(|given| given != stored);
    if differs(&run_id, &found.run_id) || differs(&model_id, &found.model_id) {
        return Err(invalid(
            &origin.source,
            "The run_id and model_id request parameters must match the referenced model version.",
        ));
    }
    origin.source = format!("models:/{}/{}", found.name, found.version);
    origin.storage_location = Some(found.download_uri().to_owned());
    origin.run_id = found.run_id;
    origin.model_id = found.model_id;
    Ok(origin)
}

fn is_prompt(tags: &[Tag]) -> bool {
    tags.iter().any(|tag| tag.key == PROMPT_TAG && tag.value.eq_ignore_ascii_case("true"))
}

/// A prompt has no files: its source is one of the words that clients put there.
fn check_prompt_source(source: &str) -> Result<(), ApiError> {
    if matches!(source, "dummy-source" | "prompt-template") {
        return Ok(());
    }
    Err(ApiError::invalid(format!("Invalid prompt source: '{source}'. Prompt sources must use an MLflow placeholder.")))
}

fn check_within(source: &str, uri: &Uri, root: &str, parameter: &str) -> Result<(), ApiError> {
    let root = Uri::parse(root);
    if uri.is_local() {
        let inside = root.is_local()
            && match (local_path(uri), local_path(&root)) {
                (Some(path), Some(root)) => !root.as_os_str().is_empty() && path.starts_with(root),
                _ => false,
            };
        if inside {
            return Ok(());
        }
        return Err(invalid(
            source,
            &format!(
                "To use a local path as a model version source, the {parameter} request parameter has to be specified and the local path has to be contained within the artifact directory of the run specified by the {parameter}."
            ),
        ));
    }
    check_detours(source)?;
    if uri.is_proxied() {
        let (path, root_path) = (uri.parts(), root.parts());
        let inside =
            root.is_proxied() && uri.authority.eq_ignore_ascii_case(&root.authority) && path.starts_with(&root_path);
        if !inside {
            return Err(must_identify(source, parameter));
        }
    }
    Ok(())
}

/// A local path with `..` resolved by its letters and links resolved as far as the path exists.
fn local_path(uri: &Uri) -> Option<PathBuf> {
    let path = percent_decode_str(&uri.path).decode_utf8().ok()?.into_owned();
    let path = Path::new(&path);
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    let mut existing = path;
    let mut rest = PathBuf::new();
    loop {
        match existing.canonicalize() {
            Ok(real) => return Some(if rest.as_os_str().is_empty() { real } else { real.join(rest) }),
            Err(_) => {
                let name = existing.file_name()?;
                rest = if rest.as_os_str().is_empty() { PathBuf::from(name) } else { Path::new(name).join(rest) };
                existing = existing.parent()?;
            }
        }
    }
}

/// Refuses `..`, NUL and the like in every spelling: decoded again and again until nothing changes.
fn check_detours(source: &str) -> Result<(), ApiError> {
    let refuse = || {
        invalid(
            source,
            "If supplying a source as an http, https, local file path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references present. Please provide an absolute path.",
        )
    };
    let mut decoded = source.to_owned();
    for _ in 0..16 {
        let uri = Uri::parse(&decoded);
        let detour = |part: &str| part == ".." || part == ".";
        if decoded.contains('\0') || decoded.split('/').any(|part| part == "..") || uri.path.split('/').any(detour) {
            return Err(refuse());
        }
        let once = percent_decode_str(&decoded.replace('+', " ")).decode_utf8_lossy().into_owned();
        if once == decoded {
            return Ok(());
        }
        decoded = once;
    }
    Err(refuse())
}

fn find<T>(found: Result<T, Error>, source: &str, parameter: &str) -> Result<T, ApiError> {
    found.map_err(|error| match error {
        Error::NotFound(_) => must_identify(source, parameter),
        other => other.into(),
    })
}

fn invalid(source: &str, reason: &str) -> ApiError {
    ApiError::invalid(format!("Invalid model version source: '{source}'. {reason}"))
}

fn must_identify(source: &str, parameter: &str) -> ApiError {
    invalid(source, &format!("The {parameter} request parameter must identify the resource that contains the source."))
}

/// `models:/m-<id>`, `models:/name/version` or `models:/name@alias`.
enum ModelUri {
    Logged(String),
    Version { name: String, version: String },
}

impl ModelUri {
    fn parse(source: &str) -> Result<ModelUri, ApiError> {
        let path = Uri::parse(source).path;
        let path = path.trim_start_matches('/');
        if let Some((name, version)) = path.split_once('/') {
            let known = !name.is_empty() && !version.is_empty() && !version.contains('/');
            if known {
                return Ok(ModelUri::Version { name: name.to_owned(), version: version.to_owned() });
            }
        } else if let Some((name, alias)) = path.split_once('@') {
            if !name.is_empty() && !alias.is_empty() {
                return Ok(ModelUri::Version { name: name.to_owned(), version: format!("@{alias}") });
            }
        } else if path.starts_with("m-") {
            return Ok(ModelUri::Logged(path.to_owned()));
        }
        Err(must_identify(source, "model_id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detours_are_refused_in_every_spelling() {
        for source in [
            "s3://b/../p",
            "s3://b/%2e%2e/p",
            "s3://b/%252e%252e/p",
            "mlflow-artifacts:/0/../x",
            "mlflow-artifacts://host:1/../../x",
            "mlflow-artifacts://host/..%2f..%2f",
            "dbfs:/x/%00",
            "s3://b/a/./c",
        ] {
            assert!(check_detours(source).is_err(), "{source}");
        }
        for source in ["s3://b/p", "dbfs:/x", "s3://b/x?y=1", "s3://b/x#y", "gs://b/a..b/c"] {
            assert!(check_detours(source).is_ok(), "{source}");
        }
    }

    #[test]
    fn proxied_sources_lie_within_their_root() {
        let within = |source: &str, root: &str| check_within(source, &Uri::parse(source), root, "run_id").is_ok();
        let root = "mlflow-artifacts:/0/abc/artifacts";
        assert!(within("mlflow-artifacts:/0/abc/artifacts/model", root));
        assert!(within(root, root));
        assert!(!within("mlflow-artifacts:/0/abc/artifacts2", root));
        assert!(!within("mlflow-artifacts:/0/x", root));
        assert!(!within("mlflow-artifacts:/0/x", ""));
        assert!(!within("mlflow-artifacts://evil/0/abc/artifacts/model", root));
        assert!(!within("mlflow-artifacts:/0/abc/artifacts/../../x", root));
    }

    #[test]
    fn local_sources_lie_within_their_root() {
        let within = |source: &str, root: &str| check_within(source, &Uri::parse(source), root, "run_id").is_ok();
        assert!(within("/nowhere/0/abc/artifacts/model", "/nowhere/0/abc/artifacts"));
        assert!(within("file:///nowhere/0/abc/artifacts/model", "file:///nowhere/0/abc/artifacts"));
        for source in [
            "/etc",
            "file:///etc",
            "./x",
            "x",
            "/nowhere/0/abc/artifacts/../../x",
            "/nowhere/0/abc/artifacts/%2e%2e/x",
            "",
        ] {
            assert!(!within(source, "/nowhere/0/abc/artifacts"), "{source}");
            assert!(!within(source, ""), "{source}");
        }
    }

    #[test]
    fn hosts_of_a_clients_choosing_are_refused() {
        for source in ["http://x/y", "https://169.254.169.254/", "ftp:///x", "sftp://h/x", "hdfs://h/x"] {
            assert!(Uri::parse(source).check_host("source").is_err(), "{source}");
        }
    }
}
