//! `dvc.lock`.

use std::collections::HashMap;

use trackway_yaml::{Map, Value};

use crate::info::{self, text as text_of};
use crate::params::DEFAULT_PARAMS_FILE;
use crate::schema::{self, document, python_str};
use crate::{Error, FileEntry, Info, python};

/// A `dvc.lock` file, with the text it was read from.
#[derive(Clone, Debug, Default)]
pub struct LockFile {
    /// In the file's order.
    pub stages: Vec<(String, LockEntry)>,
    /// `datasets:`, as it stands.
    pub datasets: Vec<Value>,
    by_name: HashMap<String, usize>,
    /// What was read, and what has been changed since.
    text: String,
    edits: Vec<Edit>,
}

#[derive(Clone, Debug)]
enum Edit {
    Set(String),
    Remove(String),
}

/// What a stage's last run read and wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct LockEntry {
    /// Text or a list of texts.
    pub cmd: Value,
    pub deps: Vec<LockItem>,
    /// Values by file, then by key as written (`train.lr`).
    pub params: Vec<(String, Map)>,
    pub outs: Vec<LockItem>,
}

/// A dependency or an output of a [`LockEntry`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LockItem {
    pub path: String,
    pub info: Info,
    pub files: Option<Vec<FileEntry>>,
    /// Of a `ds://` dependency.
    pub dataset: Option<Map>,
}

impl LockFile {
    /// Reads and checks a `dvc.lock`. `name` is how messages name it.
    pub fn parse(text: &str, name: &str) -> Result<LockFile, Error> {
        let data = document(crate::error::parse_yaml(text, name)?);
        let mut lock = LockFile { text: text.to_owned(), ..LockFile::default() };
        // As DVC 3.67: an empty file is refused like any other without a version.
        schema::check(&schema::LOCK_FILE, &data, name, text)?;
        let Value::Map(data) = data else { return Ok(lock) };
        if let Some(Value::Seq(datasets)) = data.get("datasets") {
            lock.datasets = datasets.clone();
        }
        for (stage, entry) in data.get("stages").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
            if let Some(entry) = entry.as_map() {
                lock.put(python_str(stage), LockEntry::from_map(entry));
            }
        }
        Ok(lock)
    }

    pub fn get(&self, stage: &str) -> Option<&LockEntry> {
        self.by_name.get(stage).map(|at| &self.stages[*at].1)
    }

    /// Records a stage's run: in place, or behind the others. Says whether anything changed.
    pub fn set(&mut self, stage: &str, entry: LockEntry) -> bool {
        let changed = self.get(stage).is_none_or(|old| !python::equal(&old.to_value(), &entry.to_value()));
        self.put(stage.to_owned(), entry);
        self.edits.push(Edit::Set(stage.to_owned()));
        changed
    }

    /// Forgets a stage. Says whether it was there.
    pub fn remove(&mut self, stage: &str) -> bool {
        let Some(at) = self.by_name.remove(stage) else { return false };
        self.stages.remove(at);
        self.by_name.values_mut().filter(|other| **other > at).for_each(|other| *other -= 1);
        self.edits.push(Edit::Remove(stage.to_owned()));
        true
    }

    /// The file's text: what was read with the changes in it. `None` if no stage is left after one was removed: then DVC deletes the file.
    pub fn dump(&self) -> Result<Option<String>, Error> {
        if self.edits.is_empty() {
            return Ok(Some(self.text.clone()));
        }
        if self.stages.is_empty() {
            return Ok(None);
        }
        if self.text.is_empty() {
            let stages: Map =
                self.stages.iter().map(|(name, entry)| (Value::from(name.as_str()), entry.to_value())).collect();
            let mut data = Map::new();
            data.insert("schema", "2.0");
            data.insert("stages", stages);
            return Ok(Some(trackway_yaml::emit(&Value::Map(data))));
        }
        let mut document = crate::error::parse_document(&self.text, "dvc.lock")?;
        for edit in &self.edits {
            match edit {
                Edit::Remove(stage) => drop(document.remove(&["stages", stage])),
                Edit::Set(stage) => {
                    if let Some(entry) = self.get(stage) {
                        document.set(&["stages", stage], &entry.to_value());
                    }
                }
            }
        }
        Ok(Some(document.to_string()))
    }

    fn put(&mut self, stage: String, entry: LockEntry) {
        match self.by_name.get(&stage) {
            Some(at) => self.stages[*at].1 = entry,
            None => {
                self.by_name.insert(stage.clone(), self.stages.len());
                self.stages.push((stage, entry));
            }
        }
    }
}

impl LockEntry {
    /// An entry of a checked mapping.
    fn from_map(map: &Map) -> LockEntry {
        let items = |key: &str| {
            let entries = map.get(key).and_then(Value::as_seq).unwrap_or_default();
            entries.iter().filter_map(Value::as_map).map(LockItem::from_map).collect()
        };
        let params = map.get("params").and_then(Value::as_map).into_iter().flat_map(Map::iter);
        LockEntry {
            cmd: map.get("cmd").cloned().unwrap_or(Value::Null),
            deps: items("deps"),
            params: params.filter_map(|(path, values)| Some((python_str(path), values.as_map()?.clone()))).collect(),
            outs: items("outs"),
        }
    }

    /// What is written, in DVC's order: dependencies and outputs by path, parameters with `params.yaml` first.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("cmd", self.cmd.clone());
        let items = |items: &[LockItem]| {
            let mut items: Vec<&LockItem> = items.iter().collect();
            items.sort_by(|a, b| a.path.cmp(&b.path));
            Value::Seq(items.into_iter().map(LockItem::to_value).collect())
        };
        if !self.deps.is_empty() {
            map.insert("deps", items(&self.deps));
        }
        if !self.params.is_empty() {
            let mut files: Vec<&(String, Map)> = self.params.iter().collect();
            files.sort_by_key(|(path, _)| (path != DEFAULT_PARAMS_FILE, path));
            let files = files.into_iter().map(|(path, values)| (Value::from(path.as_str()), sorted(values)));
            map.insert("params", files.collect::<Map>());
        }
        if !self.outs.is_empty() {
            map.insert("outs", items(&self.outs));
        }
        Value::Map(map)
    }
}

/// By key; what lies within stays as it is.
fn sorted(values: &Map) -> Value {
    let mut entries: Vec<(&Value, &Value)> = values.iter().collect();
    entries.sort_by_key(|(key, _)| python_str(key));
    Value::Map(entries.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect())
}

impl LockItem {
    fn from_map(map: &Map) -> LockItem {
        LockItem {
            path: text_of(map, "path").unwrap_or_default(),
            info: Info::from_map(map),
            files: info::files(map),
            dataset: map.get("dataset").and_then(Value::as_map).cloned(),
        }
    }

    fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("path", self.path.as_str());
        if info::scheme(&self.path) == Some("ds") {
            if let Some(dataset) = self.dataset.as_ref().filter(|dataset| !dataset.is_empty()) {
                map.insert("dataset", dataset.clone());
            }
            return Value::Map(map);
        }
        if self.info.hash.is_some() || info::scheme(&self.path).is_some() {
            map.insert("hash", "md5");
        }
        match self.files.as_ref().filter(|files| !files.is_empty()) {
            Some(files) => drop(map.insert("files", info::files_value(files))),
            None => self.info.write(info::hash_key(&self.path), &mut map),
        }
        Value::Map(map)
    }
}
