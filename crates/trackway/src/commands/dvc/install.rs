use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Put the hooks into the configuration of the pre-commit tool (https://pre-commit.com)
    #[arg(long)]
    pub use_pre_commit_tool: bool,
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("install"))
}
