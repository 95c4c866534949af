use std::ffi::OsString;
use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove the data from the work tree too
    #[arg(long)]
    pub outs: bool,

    /// .dvc files and stages
    #[arg(value_name = "targets", required = true)]
    pub targets: Vec<OsString>,
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("remove"))
}
