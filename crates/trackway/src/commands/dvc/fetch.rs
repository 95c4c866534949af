use std::process::ExitCode;

use trackway_repo::fetch::FetchOptions;

use super::context::Context;
use super::transfer::{self, Jobs, Revisions, RunCache, Selected};
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

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    const DOING: &str = "failed to fetch data from the cloud";
    let targets = context.targets(&args.selected.targets)?;
    let wants = |kind: &str| args.types.iter().any(|given| given == kind);
    let options = FetchOptions {
        transfer: transfer::options(
            &args.jobs,
            &args.selected,
            args.remote.clone(),
            &args.revisions,
            Some(&args.run_cache),
        ),
        max_size: args.max_size,
        metrics: wants("metrics"),
        plots: wants("plots"),
    };
    let progress = context.terminal.progress();
    let fetched = context.on_repo(|repo| {
        repo.fetch(&targets, &options, &progress).map_err(|error| Failure::from(error).caught(DOING))
    })?;
    drop(progress);
    transfer::tell_failures(&fetched, DOING, "download", context)?;
    transfer::tell_counts(&[("fetched", fetched.objects)], args.remote.as_deref(), context)?;
    Ok(ExitCode::SUCCESS)
}
