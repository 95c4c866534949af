//! `trackway dvc …` and a link named `dvc`: the data half, of which nothing is built yet.

use std::ffi::OsString;

use clap::Args;

use crate::failure::Failure;

/// The commands of `dvc` 3.67.
pub const COMMANDS: [&str; 52] = [
    "add",
    "artifacts",
    "cache",
    "check-ignore",
    "checkout",
    "commit",
    "completion",
    "config",
    "daemon",
    "dag",
    "data",
    "dataset",
    "destroy",
    "diff",
    "doctor",
    "du",
    "exp",
    "experiments",
    "fetch",
    "freeze",
    "gc",
    "get",
    "get-url",
    "git-hook",
    "import",
    "import-db",
    "import-url",
    "init",
    "install",
    "list",
    "list-url",
    "ls",
    "ls-url",
    "metrics",
    "move",
    "mv",
    "params",
    "plots",
    "pull",
    "push",
    "queue",
    "remote",
    "remove",
    "repro",
    "root",
    "stage",
    "status",
    "studio",
    "unfreeze",
    "unprotect",
    "update",
    "version",
];

#[derive(Debug, Args)]
pub struct DvcArgs {
    /// The arguments of `dvc`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}

/// Says so instead of doing half of it: a repository's files are not to be guessed at.
pub fn run(arguments: &[OsString]) -> Result<(), Failure> {
    let command = arguments.first().map(|first| first.to_string_lossy().into_owned());
    let named =
        command.filter(|command| !command.starts_with('-')).map(|command| format!(" {command}")).unwrap_or_default();
    Err(Failure::DvcNotBuilt(format!(
        "`dvc{named}` is not built yet in Trackway {}. Nothing was changed. Use DVC's own `dvc` for this repository.",
        env!("CARGO_PKG_VERSION")
    )))
}
