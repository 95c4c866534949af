use std::process::ExitCode;

use super::context::Context;
use super::transfer::{Jobs, Revisions, RunCache, Selected};
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub jobs: Jobs,

    #[command(flatten)]
    pub selected: Selected,

    /// The remote to upload to [default: core.remote]
    #[arg(short, long, value_name = "name")]
    pub remote: Option<String>,

    #[command(flatten)]
    pub revisions: Revisions,

    #[command(flatten)]
    pub run_cache: RunCache,

    /// Take the targets as patterns
    #[arg(long)]
    pub glob: bool,
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("push"))
}
