use std::ffi::OsString;
use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Commit without asking, also when dependencies changed or nothing did
    #[arg(short, long)]
    pub force: bool,

    /// Commit what the targets depend on too
    #[arg(short = 'd', long)]
    pub with_deps: bool,

    /// Take a target that is a folder for all the .dvc files and stages in it
    #[arg(short = 'R', long)]
    pub recursive: bool,

    /// Leave the files of the work tree as they are instead of linking them to the cache
    #[arg(long)]
    pub no_relink: bool,

    /// Tracked files and folders, .dvc files and stages; all of them if none is named
    #[arg(value_name = "targets")]
    pub targets: Vec<OsString>,
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("commit"))
}
