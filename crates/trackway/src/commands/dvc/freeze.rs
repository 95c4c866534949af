use std::ffi::OsString;
use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Stages and .dvc files
    #[arg(value_name = "targets", required = true)]
    pub targets: Vec<OsString>,
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("freeze"))
}

pub fn run_unfreeze(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("unfreeze"))
}
