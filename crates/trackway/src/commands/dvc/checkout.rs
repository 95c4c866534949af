use std::ffi::OsString;
use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Count the changes instead of listing them
    #[arg(long)]
    pub summary: bool,

    /// Check out what the targets depend on too
    #[arg(short = 'd', long)]
    pub with_deps: bool,

    /// Take a target that is a folder for all the .dvc files and stages in it
    #[arg(short = 'R', long)]
    pub recursive: bool,

    /// Remove files of the work tree without asking, saved or not
    #[arg(short, long)]
    pub force: bool,

    /// Make the links or copies anew
    #[arg(long)]
    pub relink: bool,

    /// Go on when data is missing from the cache
    #[arg(long)]
    pub allow_missing: bool,

    /// Tracked files and folders, .dvc files and stages; all of them if none is named
    #[arg(value_name = "targets")]
    pub targets: Vec<OsString>,
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("checkout"))
}
