//! `dvc.lock`.

use trackway_yaml::{Map, Value};

use crate::{Error, FileEntry, Info};

/// A `dvc.lock` file, with the text it was read from.
#[derive(Clone, Debug, Default)]
pub struct LockFile {
    /// In the file's order.
    pub stages: Vec<(String, LockEntry)>,
    /// `datasets:`, as it stands.
    pub datasets: Vec<Value>,
    text: Option<String>,
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
        unimplemented!("{text}{name}")
    }

    pub fn get(&self, stage: &str) -> Option<&LockEntry> {
        self.stages.iter().find(|(name, _)| name == stage).map(|(_, entry)| entry)
    }

    /// Records a stage's run: in place, or behind the others. Says whether anything changed.
    pub fn set(&mut self, stage: &str, entry: LockEntry) -> bool {
        unimplemented!("{stage}{entry:?}")
    }

    /// Forgets a stage. Says whether it was there.
    pub fn remove(&mut self, stage: &str) -> bool {
        unimplemented!("{stage}")
    }

    /// The file's text: what was read with the changes in it. `None` if no stage is left: then DVC deletes the file.
    pub fn dump(&self) -> Result<Option<String>, Error> {
        unimplemented!("{:?}", self.text)
    }
}

impl LockEntry {
    /// What is written, in DVC's order: dependencies and outputs by path, parameters with `params.yaml` first.
    pub fn to_value(&self) -> Value {
        unimplemented!()
    }
}
