use std::process::ExitCode;

use super::context::Context;
use super::transfer::{Jobs, Revisions, RunCache, Selected};
use super::words::int;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub jobs: Jobs,

    #[command(flatten)]
    pub selected: Selected,

    /// The remote to download from [default: core.remote]
    #[arg(short, long, value_name = "name")]
    pub remote: Option<String>,

    #[command(flatten)]
    pub revisions: Revisions,

    #[command(flatten)]
    pub run_cache: RunCache,

    /// Leave out files and folders that are larger, in bytes
    #[arg(long, value_name = "max_size", value_parser = int, allow_negative_numbers = true)]
    pub max_size: Option<i64>,

    /// Only metrics, or only plots; may be given for both
    #[arg(long = "type", value_name = "types", value_parser = ["metrics", "plots"], num_args = 1)]
    pub types: Vec<String>,
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("fetch"))
}
