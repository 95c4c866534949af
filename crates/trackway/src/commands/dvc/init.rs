use std::ffi::OsString;
use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to make the repository in
    #[arg(value_name = "directory", default_value = ".")]
    pub directory: OsString,

    /// Work without git
    #[arg(long)]
    pub no_scm: bool,

    /// Begin anew where a repository is already; its settings and its cache go
    #[arg(short, long)]
    pub force: bool,

    /// Make it in a subfolder of a git repository
    #[arg(long)]
    pub subdir: bool,
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("init"))
}
