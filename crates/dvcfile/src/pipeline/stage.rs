//! A resolved stage: from its mapping, and back.

use std::collections::HashMap;

use trackway_yaml::{Map, Value};

use super::{OutDecl, ParamsDep, PipelineStage, Plot};
use crate::dvc::plain_path;
use crate::params::DEFAULT_PARAMS_FILE;
use crate::schema::python_str;
use crate::{Annotations, Error, LockEntry, LockItem, python};

/// Properties of plots, in the order in which DVC keeps them.
const PLOT_PROPERTIES: [&str; 7] = ["template", "x", "y", "x_label", "y_label", "title", "header"];

impl PipelineStage {
    /// Reads a resolved definition.
    pub(super) fn from_map(name: &str, map: &Map) -> Result<PipelineStage, Error> {
        let flag = |key: &str| map.get(key).is_some_and(python::truthy);
        let wrong = |what: String| Error::Invalid(format!("stage '{name}': {what}"));
        let list = |key: &str| map.get(key).and_then(Value::as_seq).unwrap_or_default();
        let mut outs = Vec::new();
        for section in ["outs", "metrics", "plots"] {
            for (path, flags) in merged_outs(list(section)).map_err(wrong)? {
                outs.push(OutDecl::new(path, &flags, section));
            }
        }
        let text = |key: &str| map.get(key).filter(|value| !value.is_null()).map(python_str);
        let deps = list("deps").iter().map(|dep| match dep {
            Value::Str(path) => Ok(path.clone()),
            other => Err(wrong(format!("the dependency {} is no text", python::repr(other)))),
        });
        Ok(PipelineStage {
            name: name.to_owned(),
            cmd: map.get("cmd").cloned().unwrap_or(Value::Null),
            wdir: text("wdir").map(|wdir| plain_path(&wdir)).filter(|wdir| wdir != "."),
            deps: deps.collect::<Result<_, _>>()?,
            params: merged_params(list("params")).map_err(wrong)?,
            outs,
            frozen: flag("frozen"),
            always_changed: flag("always_changed"),
            desc: text("desc"),
            meta: map.get("meta").filter(|meta| !meta.is_null()).cloned(),
            parametrized: false,
            generated_from: None,
            tracked: Vec::new(),
        })
    }

    /// What a `dvc.yaml` says of this stage, in DVC's order.
    pub fn to_value(&self) -> Value {
        let mut deps = self.deps.clone();
        deps.sort();
        let mut outs: Vec<&OutDecl> = self.outs.iter().collect();
        outs.sort_by(|a, b| a.path.cmp(&b.path));
        let section = |wanted: &str| -> Value {
            let chosen = outs.iter().filter(|out| out.section() == wanted);
            Value::Seq(chosen.map(|out| out.to_value()).collect())
        };
        let entries = [
            ("desc", self.desc.clone().map_or(Value::Null, Value::Str)),
            ("cmd", self.cmd.clone()),
            ("wdir", self.wdir.as_deref().map(plain_path).filter(|wdir| wdir != ".").map_or(Value::Null, Value::Str)),
            ("deps", Value::from(deps)),
            ("params", params_value(&self.params)),
            ("outs", section("outs")),
            ("metrics", section("metrics")),
            ("plots", section("plots")),
            ("frozen", Value::Bool(self.frozen)),
            ("always_changed", Value::Bool(self.always_changed)),
            ("meta", self.meta.clone().unwrap_or(Value::Null)),
        ];
        entries
            .into_iter()
            .filter(|(_, value)| python::truthy(value))
            .map(|(key, value)| (Value::from(key), value))
            .collect::<Map>()
            .into()
    }

    /// The commands, one after the other.
    pub fn commands(&self) -> Vec<String> {
        match &self.cmd {
            Value::Seq(commands) => commands.iter().map(python_str).collect(),
            Value::Null => Vec::new(),
            command => vec![python_str(command)],
        }
    }

    /// Runs whenever it is asked for, because nothing tells whether it must: a command without dependencies and outputs.
    pub fn is_callback(&self) -> bool {
        python::truthy(&self.cmd) && self.deps.is_empty() && self.params.is_empty() && self.outs.is_empty()
    }

    /// Whether the command is another than the last run's. Never if there was none.
    pub fn cmd_changed(&self, lock: Option<&LockEntry>) -> bool {
        lock.is_some_and(|lock| !python::equal(&lock.cmd, &self.cmd))
    }

    /// What the last run recorded of the dependency of that path; empty if nothing.
    pub fn locked_dep(&self, lock: Option<&LockEntry>, path: &str) -> LockItem {
        locked(lock.map(|lock| lock.deps.as_slice()), path)
    }

    /// The same of the output of that path.
    pub fn locked_out(&self, lock: Option<&LockEntry>, path: &str) -> LockItem {
        locked(lock.map(|lock| lock.outs.as_slice()), path)
    }

    /// The values that the last run recorded of these parameters: only the keys that the stage names. `None` if it recorded nothing of
    /// the file.
    pub fn locked_params(&self, lock: Option<&LockEntry>, params: &ParamsDep) -> Option<Map> {
        let (_, values) = lock?.params.iter().find(|(path, _)| *path == params.path)?;
        if params.keys.is_empty() {
            return Some(values.clone());
        }
        let named = params.keys.iter().filter_map(|key| Some((Value::from(key.as_str()), values.get(key)?.clone())));
        Some(named.collect())
    }
}

/// The last entry of a path counts, as in DVC. Files of DVC 2 have no `hash:` marker, and so has what was never recorded.
fn locked(items: Option<&[LockItem]>, path: &str) -> LockItem {
    let found = items.unwrap_or_default().iter().rev().find(|item| item.path == path).cloned();
    found.unwrap_or_else(|| {
        let mut item = LockItem { path: path.to_owned(), ..LockItem::default() };
        if items.is_none() {
            item.info.hash = Some("md5".to_owned());
        }
        item
    })
}

impl OutDecl {
    fn new(path: String, flags: &Map, section: &str) -> OutDecl {
        let mut properties = Map::new();
        if section == "plots" {
            for key in PLOT_PROPERTIES {
                if let Some(value) = flags.get(key) {
                    properties.insert(key, value.clone());
                }
            }
        }
        let plot = match (section, properties.is_empty()) {
            ("plots", true) => Plot::Yes,
            ("plots", false) => Plot::Props(properties),
            _ => Plot::No,
        };
        let flag = |key: &str, default: bool| flags.get(key).map_or(default, python::truthy);
        OutDecl {
            path,
            cache: flag("cache", true),
            persist: flag("persist", false),
            push: flag("push", true),
            remote: flags.get("remote").filter(|remote| python::truthy(remote)).map(python_str),
            metric: section == "metrics",
            plot,
            annotations: Annotations::from_map(flags),
        }
    }

    fn section(&self) -> &'static str {
        match (&self.plot, self.metric) {
            (Plot::No, true) => "metrics",
            (Plot::No, false) => "outs",
            _ => "plots",
        }
    }

    fn to_value(&self) -> Value {
        let mut flags = Map::new();
        self.annotations.write(&mut flags);
        if !self.cache {
            flags.insert("cache", false);
        }
        if self.persist {
            flags.insert("persist", true);
        }
        if let Plot::Props(properties) = &self.plot {
            for (key, value) in properties.iter() {
                flags.insert(key.clone(), value.clone());
            }
        }
        if let Some(remote) = &self.remote {
            flags.insert("remote", remote.as_str());
        }
        if !self.push {
            flags.insert("push", false);
        }
        if flags.is_empty() {
            return Value::from(self.path.as_str());
        }
        let mut map = Map::new();
        map.insert(self.path.as_str(), flags);
        Value::Map(map)
    }
}

/// `outs:` by path; what is said of a path twice is put together.
fn merged_outs(entries: &[Value]) -> Result<Vec<(String, Map)>, String> {
    let mut merged: Vec<(String, Map)> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut add = |path: String, flags: Option<&Map>| {
        let at = *known.entry(path).or_insert_with_key(|path| {
            merged.push((path.clone(), Map::new()));
            merged.len() - 1
        });
        for (key, value) in flags.into_iter().flat_map(Map::iter) {
            merged[at].1.insert(key.clone(), value.clone());
        }
    };
    for entry in entries {
        match entry {
            Value::Str(path) => add(path.clone(), None),
            Value::Map(map) => {
                for (path, flags) in map.iter() {
                    let path = python_str(path);
                    let Value::Map(flags) = flags else {
                        return Err(format!("Expected dict for '{path}', got: '{}'", python::type_name(flags)));
                    };
                    add(path, Some(flags));
                }
            }
            other => return Err(format!("'{}' not supported.", python::type_name(other))),
        }
    }
    Ok(merged)
}

/// `params:` by file. A file without keys counts whole, whatever else is said of it.
fn merged_params(entries: &[Value]) -> Result<Vec<ParamsDep>, String> {
    let files = || entries.iter().filter_map(Value::as_map).flat_map(Map::iter);
    let whole: Vec<String> =
        files().filter(|(_, keys)| !python::truthy(keys)).map(|(file, _)| python_str(file)).collect();
    let mut merged: Vec<ParamsDep> = Vec::new();
    let mut add = |path: &str, keys: Vec<String>| {
        match merged.iter_mut().find(|dep| dep.path == path) {
            Some(dep) => dep.keys.extend(keys),
            None => merged.push(ParamsDep { path: path.to_owned(), keys }),
        };
    };
    for entry in entries {
        match entry {
            Value::Map(map) => {
                for (path, keys) in map.iter() {
                    let path = python_str(path);
                    match keys {
                        _ if whole.contains(&path) => add(&path, Vec::new()),
                        Value::Seq(keys) => add(&path, keys.iter().map(python_str).collect()),
                        other => {
                            return Err(format!(
                                "Expected list of params for custom params file '{path}', got '{}'.",
                                python::type_name(other)
                            ));
                        }
                    }
                }
            }
            Value::Str(_) if whole.iter().any(|path| path == DEFAULT_PARAMS_FILE) => {}
            key => add(DEFAULT_PARAMS_FILE, vec![python_str(key)]),
        }
    }
    Ok(merged)
}

/// `params:` as written: the keys of `params.yaml` first, then the other files by name.
fn params_value(params: &[ParamsDep]) -> Value {
    let mut params: Vec<&ParamsDep> = params.iter().collect();
    params.sort_by(|a, b| a.path.cmp(&b.path));
    let mut entries: Vec<Value> = Vec::new();
    for dep in params {
        let mut keys = dep.keys.clone();
        keys.sort();
        if !keys.is_empty() && dep.path == DEFAULT_PARAMS_FILE {
            let keys = keys.into_iter().map(Value::Str);
            entries.splice(0..0, keys);
            continue;
        }
        let keys = if keys.is_empty() { Value::Null } else { Value::from(keys) };
        let mut map = Map::new();
        map.insert(dep.path.as_str(), keys);
        entries.push(Value::Map(map));
    }
    Value::Seq(entries)
}
