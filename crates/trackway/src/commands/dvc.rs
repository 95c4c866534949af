//! `trackway dvc …` and a link named `dvc`: the data half, of which nothing is built yet.

use std::ffi::OsString;

use clap::Args;

use crate::failure::Failure;

#[derive(Debug, Args)]
pub struct DvcArgs {
    /// The arguments of `dvc`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}

/// Says so instead of doing half of it: a repository's files are not to be guessed at.
pub fn run(arguments: &[OsString]) -> Result<(), Failure> {
    let command = arguments
        .first()
        .map(|first| first.to_string_lossy().into_owned());
    let named = command
        .filter(|command| !command.starts_with('-'))
        .map(|command| format!(" {command}"))
        .unwrap_or_default();
    Err(Failure::DvcNotBuilt(format!(
        "`dvc{named}` is not built yet in Trackway {}. Nothing was changed. Use DVC's own `dvc` for this repository.",
        env!("CARGO_PKG_VERSION")
    )))
}
