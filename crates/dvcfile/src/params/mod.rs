//! Parameters: reading them from their files and comparing them with what a run recorded.

use trackway_yaml::{Map, Value};

use crate::{Error, ParamsDep, python};

mod glob;
mod json;
mod source;

/// The parameters file that is meant where none is named.
pub const DEFAULT_PARAMS_FILE: &str = "params.yaml";

/// What a parameters file is written in; its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamsFormat {
    Yaml,
    Json,
    Toml,
    Python,
}

/// How a parameter differs from the one that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamChange {
    New,
    Modified,
    Deleted,
}

impl ParamChange {
    /// `new`, `modified` or `deleted`, as `status` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            ParamChange::New => "new",
            ParamChange::Modified => "modified",
            ParamChange::Deleted => "deleted",
        }
    }
}

impl ParamsFormat {
    pub fn of(path: &str) -> ParamsFormat {
        let name = path.rsplit('/').next().unwrap_or(path);
        match name.rsplit_once('.').map(|(_, suffix)| suffix.to_ascii_lowercase()).as_deref() {
            Some("json") => ParamsFormat::Json,
            Some("toml") => ParamsFormat::Toml,
            Some("py") => ParamsFormat::Python,
            _ => ParamsFormat::Yaml,
        }
    }
}

/// Reads a parameters file (metrics are written in the same formats). `name` is how messages name it; its suffix tells the format.
///
/// An empty YAML or JSON file is an empty mapping. The result need not be a mapping.
pub fn read_params(bytes: &[u8], name: &str) -> Result<Value, Error> {
    let unreadable = |message: &str| Error::ParamsFile { name: name.to_owned(), message: message.to_owned() };
    let text = std::str::from_utf8(bytes).map_err(|_| unreadable("is not valid utf-8"))?;
    let or_empty = |value: Value| if python::truthy(&value) { value } else { Value::Map(Map::new()) };
    match ParamsFormat::of(name) {
        ParamsFormat::Yaml => {
            trackway_yaml::parse(text).map(or_empty).map_err(|_| unreadable("YAML file structure is corrupted"))
        }
        ParamsFormat::Json => {
            json::parse(text).map(or_empty).ok_or_else(|| unreadable("JSON file structure is corrupted"))
        }
        ParamsFormat::Toml => {
            let table: toml::Table =
                toml::from_str(text).map_err(|_| unreadable("TOML file structure is corrupted"))?;
            Ok(from_toml(toml::Value::Table(table)))
        }
        ParamsFormat::Python => {
            source::parse(text).map(Value::Map).ok_or_else(|| unreadable("Python file structure is corrupted"))
        }
    }
}

fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::Str(text),
        toml::Value::Integer(number) => Value::Int(number),
        toml::Value::Float(number) => Value::Float(number),
        toml::Value::Boolean(value) => Value::Bool(value),
        toml::Value::Datetime(time) => Value::Str(time.to_string()),
        toml::Value::Array(items) => Value::Seq(items.into_iter().map(from_toml).collect()),
        toml::Value::Table(table) => {
            Value::Map(table.into_iter().map(|(key, value)| (Value::Str(key), from_toml(value))).collect())
        }
    }
}

/// The value at `a.b.0.c`. As DVC 3.67, the parts may be patterns (`layers.*.size`) if exactly one value matches.
pub fn lookup<'v>(params: &'v Value, key: &str) -> Option<&'v Value> {
    match glob::find(params, key).as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

/// The values of the keys that a stage names, or all of them; keys that are missing are left out. Keys stay as named (`train.lr`).
pub fn select(params: &Value, dep: &ParamsDep) -> Result<Map, Error> {
    let mut chosen = Map::new();
    if dep.keys.is_empty() {
        return match params {
            Value::Map(map) => Ok(map.clone()),
            other => Err(Error::ParamsFile {
                name: dep.path.clone(),
                message: format!("expected a dictionary, got '{}'", python::type_name(other)),
            }),
        };
    }
    for key in &dep.keys {
        match glob::find(params, key).as_slice() {
            [] => {}
            [only] => drop(chosen.insert(key.as_str(), (*only).clone())),
            _ => return Err(Error::Invalid(format!("dpath.get() globs must match only one leaf: {key}"))),
        }
    }
    Ok(chosen)
}

/// What differs, in the order in which DVC tells it. `actual` is of [`select`], `locked` of `PipelineStage::locked_params`.
pub fn changes(dep: &ParamsDep, actual: &Map, locked: &Map) -> Vec<(String, ParamChange)> {
    let mut keys: Vec<Value> = dep.keys.iter().map(|key| Value::from(key.as_str())).collect();
    if keys.is_empty() {
        keys = actual.iter().map(|(key, _)| key.clone()).collect();
        keys.extend(locked.iter().map(|(key, _)| key).filter(|key| get(actual, key).is_none()).cloned());
    }
    let mut changes: Vec<(String, ParamChange)> = Vec::new();
    for key in keys {
        let change = match (get(actual, &key), get(locked, &key)) {
            (None, _) => ParamChange::Deleted,
            (Some(_), None) => ParamChange::New,
            (Some(actual), Some(locked)) if !python::equal(actual, locked) => ParamChange::Modified,
            _ => continue,
        };
        let key = crate::schema::python_str(&key);
        if !changes.iter().any(|(known, _)| *known == key) {
            changes.push((key, change));
        }
    }
    changes
}

fn get<'m>(map: &'m Map, key: &Value) -> Option<&'m Value> {
    match key {
        Value::Str(key) => map.get(key),
        key => map.iter().find(|(other, _)| python::equal(other, key)).map(|(_, value)| value),
    }
}

#[cfg(test)]
mod tests;
