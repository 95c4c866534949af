//! One file for each command, named as the person names it.

mod age;
pub mod dvc;
mod env_file;
pub mod mlflow;
pub mod server;

use crate::failure::Failure;

/// A command that plain `trackway` does not know. A person who tries one of MLflow's should not read that it is a typing error.
pub fn unknown(name: &str) -> Failure {
    let version = env!("CARGO_PKG_VERSION");
    if mlflow::NOT_BUILT.contains(&name) {
        return Failure::NotBuilt(format!(
            "`trackway {name}` is not built yet in Trackway {version}. Use MLflow's own `mlflow {name}`."
        ));
    }
    Failure::Usage(format!("There is no command '{name}'. `trackway --help` lists the commands."))
}
