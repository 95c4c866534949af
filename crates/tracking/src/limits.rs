//! What names, keys and values may be: the limits of MLflow 3.17 (its `utils/validation.py`), with its messages,
//! since clients and tests match on them. Lengths count characters, not bytes.

use std::borrow::Cow;

use crate::error::{Error, Result};

pub const METRICS_PER_BATCH: usize = 1000;
pub const PARAMS_PER_BATCH: usize = 100;
pub const TAGS_PER_BATCH: usize = 100;
pub const ENTITIES_PER_BATCH: usize = 1000;
pub const SEARCH_RESULTS: i64 = 50_000;

const KEY: usize = 250;
const PARAM_VALUE: usize = 6000;
const TAG_VALUE: usize = 8000;
const EXPERIMENT_NAME: usize = 500;
const EXPERIMENT_TAG_VALUE: usize = 20_000;
const REGISTRY_TAG_VALUE: usize = 100_000;

/// A run and what hangs on it: keys of metrics, params and tags, as MLflow's `^[/\w.\- :]*$` and "a path that stays itself".
/// `path` names the field in the message (`key`, `metrics[0].name`).
pub fn check_key(key: &str, path: &str) -> Result<()> {
    if !key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '-' | ' ' | ':')) {
        return Err(invalid_value(
            path,
            key,
            "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).",
        ));
    }
    check_path(key, path)
}

/// A name that, taken for a path, stays itself.
pub(crate) fn check_path(key: &str, path: &str) -> Result<()> {
    let normal = normal_path(key);
    if normal != key || normal == "." || normal.starts_with("..") || normal.starts_with('/') {
        return Err(invalid_value(
            path,
            key,
            &format!(
                "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. This name would resolve to '{normal}'"
            ),
        ));
    }
    Ok(())
}

/// `Invalid value "x" for parameter 'key' supplied: reason`, as MLflow words it.
pub fn invalid_value(path: &str, value: &str, reason: &str) -> Error {
    Error::Invalid(format!(
        "Invalid value {} for parameter '{path}' supplied: {reason}",
        serde_json::Value::from(value)
    ))
}

/// What Python's `posixpath.normpath` makes of a path: no `//`, no `.`, `..` resolved where it can be.
fn normal_path(path: &str) -> String {
    // POSIX lets exactly two leading slashes stand.
    let root = if path.starts_with("//") && !path.starts_with("///") {
        "//"
    } else if path.starts_with('/') {
        "/"
    } else {
        ""
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if !root.is_empty() => {}
            _ => parts.push(part),
        }
    }
    let joined = format!("{root}{}", parts.join("/"));
    if joined.is_empty() { ".".to_owned() } else { joined }
}

pub(crate) fn check_length(what: &str, limit: usize, value: &str) -> Result<()> {
    if value.len() > limit && value.chars().count() > limit {
        return Err(Error::Invalid(format!("'{what}' exceeds the maximum length of {limit} characters")));
    }
    Ok(())
}

/// Cuts a value at the limit, as MLflow does unless `MLFLOW_TRUNCATE_LONG_VALUES` is false.
fn truncated(value: &str, limit: usize) -> Cow<'_, str> {
    if value.len() <= limit {
        return Cow::Borrowed(value);
    }
    match value.char_indices().nth(limit) {
        Some((end, _)) => Cow::Owned(value[..end].to_owned()),
        None => Cow::Borrowed(value),
    }
}

fn truncate(value: &mut String, limit: usize) {
    if let Cow::Owned(short) = truncated(value, limit) {
        *value = short;
    }
}

/// `path` is empty for a request of one metric, else `metrics[3]`.
pub fn check_metric(key: &str, value: f64, timestamp: i64, path: &str) -> Result<()> {
    check_key(key, &dotted(path, "name"))?;
    if timestamp < 0 {
        return Err(Error::Invalid(format!(
            "Invalid value {timestamp} for parameter '{}' supplied: metric '{key}' (value={value:?}). Timestamp must be a nonnegative long (64-bit integer) ",
            dotted(path, "timestamp")
        )));
    }
    check_length("Metric name", KEY, key)
}

pub fn check_param(key: &str, value: &mut String, path: &str) -> Result<()> {
    check_key(key, &dotted(path, "key"))?;
    check_length("Param key", KEY, key)?;
    truncate(value, PARAM_VALUE);
    Ok(())
}

pub fn check_tag(key: &str, value: &mut String, path: &str) -> Result<()> {
    let path_of_key = dotted(path, "key");
    check_key(key, &path_of_key)?;
    check_length(&path_of_key, KEY, key)?;
    truncate(value, TAG_VALUE);
    Ok(())
}

pub fn check_experiment_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::Invalid(format!("Invalid experiment name: '{name}'")));
    }
    check_length("name", EXPERIMENT_NAME, name)
}

pub fn check_experiment_tag(key: &str, value: &str) -> Result<()> {
    check_key(key, "key")?;
    check_length("key", KEY, key)?;
    check_length("value", EXPERIMENT_TAG_VALUE, value)
}

/// Tags of registered models and of model versions.
pub fn check_registry_tag(key: &str, value: &str) -> Result<()> {
    check_key(key, "key")?;
    check_length("key", KEY, key)?;
    check_length("value", REGISTRY_TAG_VALUE, value)
}

/// MLflow's `^[a-zA-Z0-9][\w\-]{0,255}$`.
pub fn check_run_id(run_id: &str) -> Result<()> {
    let mut chars = run_id.chars();
    let valid = chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '-')
        && run_id.chars().count() <= 256;
    if valid {
        return Ok(());
    }
    Err(Error::Invalid(format!("Invalid value {} for parameter 'run_id' supplied.", serde_json::Value::from(run_id))))
}

pub fn check_batch(metrics: usize, params: usize, tags: usize) -> Result<()> {
    let check = |what: &str, limit: usize, got: usize| {
        if got > limit {
            return Err(Error::Invalid(format!(
                "A batch logging request can contain at most {limit} {what}. Got {got} {what}. Please split up {what} across multiple requests and try again."
            )));
        }
        Ok(())
    };
    check("metrics", METRICS_PER_BATCH, metrics)?;
    check("params", PARAMS_PER_BATCH, params)?;
    check("tags", TAGS_PER_BATCH, tags)?;
    check("metrics, params, and tags", ENTITIES_PER_BATCH, metrics + params + tags)
}

/// A page size that must be positive and at most `most`.
pub fn check_max_results(max_results: i64, most: i64) -> Result<usize> {
    if max_results <= 0 {
        return Err(Error::Invalid(format!(
            "Invalid value {max_results} for parameter 'max_results' supplied. It must be a positive integer"
        )));
    }
    if max_results > most {
        return Err(Error::Invalid(format!(
            "Invalid value {max_results} for parameter 'max_results' supplied. It must be at most {most}"
        )));
    }
    usize::try_from(max_results).map_err(|_| Error::invalid("Invalid value for parameter 'max_results' supplied."))
}

/// Experiment ids are whole numbers, sent as strings.
pub fn parse_experiment_id(id: &str) -> Result<i64> {
    id.trim()
        .parse()
        .map_err(|_| Error::Invalid(format!("Invalid experiment ID '{id}'. Experiment ID must be a valid integer.")))
}

fn dotted<'a>(path: &str, field: &'a str) -> Cow<'a, str> {
    if path.is_empty() { Cow::Borrowed(field) } else { Cow::Owned(format!("{path}.{field}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_as_python_does() {
        for (path, normal) in [
            ("", "."),
            (".", "."),
            ("a/./b", "a/b"),
            ("a//b", "a/b"),
            ("a/../b", "b"),
            ("../b", "../b"),
            ("/../b", "/b"),
            ("//b", "//b"),
            ("///b", "/b"),
            ("b/", "b"),
            ("a/../..", ".."),
            ("a b", "a b"),
        ] {
            assert_eq!(normal_path(path), normal, "{path}");
        }
    }

    #[test]
    fn keys_that_are_no_names_are_refused() {
        for key in ["", ".", "..", "a//b", "../a", "/a", "a/", "a$b", "a\nb", "a\0"] {
            assert!(check_key(key, "key").is_err(), "{key:?}");
        }
        for key in ["a", "ünï: -.x/y", "..a".get(1..).unwrap_or(""), "a/b.c", "日本"] {
            assert!(check_key(key, "key").is_ok(), "{key:?}");
        }
    }

    #[test]
    fn long_values_are_cut_at_characters() {
        let mut value = "é".repeat(7000);
        check_param("p", &mut value, "").unwrap();
        assert_eq!(value.chars().count(), 6000);
    }
}
