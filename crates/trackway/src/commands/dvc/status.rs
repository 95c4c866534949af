use std::process::ExitCode;

use super::context::Context;
use super::transfer::{Jobs, Revisions, Selected};
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub jobs: Jobs,

    #[command(flatten)]
    pub selected: Selected,

    /// Compare the cache with a remote instead of the work tree with the cache
    #[arg(short, long)]
    pub cloud: bool,

    /// The remote to compare with [default: core.remote]
    #[arg(short, long, value_name = "name")]
    pub remote: Option<String>,

    #[command(flatten)]
    pub revisions: Revisions,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Do not ask whether imported data has changed where it came from
    #[arg(long)]
    pub no_updates: bool,
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("status"))
}
