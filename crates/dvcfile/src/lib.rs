//! `.dvc`, `dvc.yaml` and `dvc.lock`: the files by which a repository says what it tracks.
//!
//! * [`DvcFile`] is a `.dvc` file: outputs that were added or imported, and what an import came from.
//! * [`DvcYaml`] is a `dvc.yaml`: stages, which it resolves (`vars`, `${}`, `foreach`, `matrix`) one by one as they are asked for.
//! * [`LockFile`] is a `dvc.lock`: what a stage's last run read and wrote. [`PipelineStage::locked_out`] and its like bring the two together.
//! * [`params`] reads parameters from YAML, JSON, TOML and Python files and compares them with the lock.
//!
//! Every file is checked as DVC checks it, and errors say what DVC's say ([`Error`]; [`Error::report`] is the long form with the lines
//! of the file). Changes are made in the text as it stands, so that comments and order survive.
//!
//! Paths are plain text as written. Nothing here touches the disk: files that `vars` name are read through [`Files`].

mod dvc;
mod error;
mod info;
mod lock;
pub mod params;
mod pipeline;
mod python;
mod report;
mod run_cache;
mod schema;

pub use dvc::{Dep, DvcFile, Out, RepoDep};
pub use error::{Error, Problem};
pub use info::{FileEntry, Info};
pub use lock::{LockEntry, LockFile, LockItem};
pub use params::{DEFAULT_PARAMS_FILE, ParamChange, ParamsFormat};
pub use pipeline::{Annotations, DvcYaml, Files, OutDecl, ParamsDep, PipelineStage, Place, Plot, ReadError, StageEdit};
pub use report::USUAL_WIDTH;

/// As Python's `json.dumps(value, sort_keys=True)`: what checksums of lists are taken of.
pub fn sorted_json(value: &trackway_yaml::Value) -> String {
    let mut text = String::new();
    python::sorted_json(value, &mut text);
    text
}
