//! One file for each command, named as the person names it.

pub mod dvc;
pub mod mlflow;
pub mod server;

use std::ffi::OsString;

use crate::failure::Failure;

/// Plain `trackway` will have DVC's commands at the top. A person who tries one should not read that it is a typing error.
pub fn unknown(words: &[OsString]) -> Failure {
    let name = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    if dvc::COMMANDS.contains(&name.as_str()) {
        return Failure::DvcNotBuilt(format!(
            "`trackway {name}` is not built yet in Trackway {version}. Nothing was changed. Use DVC's own `dvc {name}`."
        ));
    }
    if mlflow::NOT_BUILT.contains(&name.as_str()) {
        return Failure::NotBuilt(format!(
            "`trackway {name}` is not built yet in Trackway {version}. Use MLflow's own `mlflow {name}`."
        ));
    }
    Failure::Usage(format!("There is no command '{name}'. `trackway --help` lists the commands."))
}
