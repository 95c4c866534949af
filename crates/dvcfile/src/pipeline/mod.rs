//! `dvc.yaml`: stages and what they are made from.

use trackway_yaml::{Map, Value};

use crate::{Error, LockEntry, LockItem};

/// Reads the files that `vars` and templates name, at whatever revision the caller looks at.
pub trait Files {
    /// The content of `path`, joined to [`Place::wdir`] and with `.` and `..` folded; `Ok(None)` if there is no such file.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ReadError>;
}

/// A file that is there and could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("'{0}' is a directory")]
    IsDirectory(String),
    #[error("cannot read '{0}': {1}")]
    Io(String, #[source] std::io::Error),
}

/// Where a `dvc.yaml` stands, and the settings that matter to it.
pub struct Place<'a> {
    /// The folder of the `dvc.yaml`, relative to where the command runs, as DVC's messages show it; empty if it is there itself.
    pub wdir: &'a str,
    pub files: &'a dyn Files,
    /// `parsing.bool` is `boolean_optional`, not `store_true`.
    pub bool_optional: bool,
    /// `parsing.list` is `append`, not `nargs`.
    pub list_append: bool,
}

/// A `dvc.yaml`, read and checked; its stages are resolved one by one.
pub struct DvcYaml<'a> {
    place: &'a Place<'a>,
    data: Map,
}

/// A stage with all templates resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineStage {
    /// `train`, `each@u`, `mat@1-s`.
    pub name: String,
    /// Text or a list of texts.
    pub cmd: Value,
    /// As resolved; `None` is the folder of the `dvc.yaml`.
    pub wdir: Option<String>,
    /// As written, relative to `wdir`; may be a URL.
    pub deps: Vec<String>,
    pub params: Vec<ParamsDep>,
    /// `outs`, `metrics` and `plots`, in the order of these three sections in the file.
    pub outs: Vec<OutDecl>,
    pub frozen: bool,
    pub always_changed: bool,
    pub desc: Option<String>,
    pub meta: Option<Value>,
    /// The stage's text differs from what it resolves to: such a stage cannot be rewritten.
    pub parametrized: bool,
    /// The group of a stage that `foreach` or `matrix` made.
    pub generated_from: Option<String>,
    /// The values of params files that templates used: by file (as [`Files::read`] was asked), then by key.
    pub tracked: Vec<(String, Map)>,
}

/// Parameters that a stage depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamsDep {
    /// Relative to the stage's `wdir`.
    pub path: String,
    /// Empty: the whole file.
    pub keys: Vec<String>,
}

/// An output that a stage declares.
#[derive(Clone, Debug, PartialEq)]
pub struct OutDecl {
    pub path: String,
    pub cache: bool,
    pub persist: bool,
    pub push: bool,
    pub remote: Option<String>,
    pub metric: bool,
    pub plot: Plot,
    pub annotations: Annotations,
}

/// Whether an output is a plot, and how it is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Plot {
    #[default]
    No,
    Yes,
    /// `template`, `x`, `y`, `x_label`, `y_label`, `title`, `header`, as written.
    Props(Map),
}

/// What users say about an output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotations {
    pub desc: Option<String>,
    pub type_: Option<String>,
    pub labels: Vec<String>,
    pub meta: Option<Value>,
}

/// A change of one stage in a `dvc.yaml`'s text.
#[derive(Clone, Debug, PartialEq)]
pub enum StageEdit<'a> {
    /// Adds the stage at the end, or brings the one of that name to this form (`stage add`, `freeze`, `unfreeze`).
    Set(&'a PipelineStage),
    Remove(&'a str),
}

impl<'a> DvcYaml<'a> {
    /// Reads and checks a `dvc.yaml`; loads the global `vars`. `name` is how messages about its form name it (`./dvc.yaml`).
    pub fn parse(text: &str, name: &str, place: &'a Place<'a>) -> Result<DvcYaml<'a>, Error> {
        let _ = place;
        unimplemented!("{text}{name}")
    }

    /// The names of all stages in order, generated ones included.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        unimplemented!()
    }

    pub fn has(&self, name: &str) -> Result<bool, Error> {
        unimplemented!("{name}")
    }

    /// The names of the stages of a `foreach` or `matrix` group; `None` if `name` is no group.
    pub fn group(&self, name: &str) -> Result<Option<Vec<String>>, Error> {
        unimplemented!("{name}")
    }

    /// One stage.
    pub fn stage(&self, name: &str) -> Result<PipelineStage, Error> {
        unimplemented!("{name}")
    }

    /// All stages; fails with the first that cannot be resolved, as DVC does.
    pub fn stages(&self) -> Result<Vec<PipelineStage>, Error> {
        self.names()?.iter().map(|name| self.stage(name)).collect()
    }

    /// Top-level `params`, `metrics`: files.
    pub fn params(&self) -> Result<Vec<String>, Error> {
        unimplemented!()
    }

    pub fn metrics(&self) -> Result<Vec<String>, Error> {
        unimplemented!()
    }

    /// Top-level `plots`: each a text or a mapping.
    pub fn plots(&self) -> Result<Vec<Value>, Error> {
        unimplemented!()
    }

    pub fn artifacts(&self) -> Result<Map, Error> {
        unimplemented!()
    }

    pub fn datasets(&self) -> Result<Vec<Value>, Error> {
        let _ = (self.place, &self.data);
        unimplemented!()
    }

    /// `text` with one stage changed, everything else as it stood. `None`: no stage is left, and DVC deletes the file.
    pub fn edit(text: &str, name: &str, edit: &StageEdit) -> Result<Option<String>, Error> {
        unimplemented!("{text}{name}{edit:?}")
    }
}

impl PipelineStage {
    /// What a `dvc.yaml` says of this stage, in DVC's order.
    pub fn to_value(&self) -> Value {
        unimplemented!()
    }

    /// Whether the command is another than the last run's. Never if there was none.
    pub fn cmd_changed(&self, lock: Option<&LockEntry>) -> bool {
        lock.is_some_and(|lock| lock.cmd != self.cmd)
    }

    /// What the last run recorded of the dependency or output of that path; empty if nothing.
    pub fn locked_dep(&self, lock: Option<&LockEntry>, path: &str) -> LockItem {
        unimplemented!("{lock:?}{path}")
    }

    pub fn locked_out(&self, lock: Option<&LockEntry>, path: &str) -> LockItem {
        unimplemented!("{lock:?}{path}")
    }

    /// The values that the last run recorded of these parameters: only the keys that the stage names. `None` if it recorded nothing of
    /// the file.
    pub fn locked_params(&self, lock: Option<&LockEntry>, params: &ParamsDep) -> Option<Map> {
        unimplemented!("{lock:?}{params:?}")
    }
}
