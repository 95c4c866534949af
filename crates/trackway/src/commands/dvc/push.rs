use std::process::ExitCode;

use trackway_repo::push::PushOptions;

use super::context::Context;
use super::transfer::{self, Jobs, Revisions, RunCache, Selected};
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

    /// Read again from the remote what was sent, and compare it (an option of Trackway's own)
    #[arg(long)]
    pub verify: bool,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    const DOING: &str = "failed to push data to the cloud";
    let targets = context.targets(&args.selected.targets)?;
    let options = PushOptions {
        transfer: transfer::options(
            &args.jobs,
            &args.selected,
            args.remote.clone(),
            &args.revisions,
            Some(&args.run_cache),
        ),
        glob: args.glob,
        verify: args.verify,
    };
    let progress = context.terminal.progress();
    let pushed = context
        .on_repo(|repo| repo.push(&targets, &options, &progress).map_err(|error| Failure::from(error).caught(DOING)))?;
    drop(progress);
    transfer::tell_failures(&pushed, DOING, "upload", context)?;
    transfer::tell_counts(&[("pushed", pushed.objects)], args.remote.as_deref(), context)?;
    Ok(ExitCode::SUCCESS)
}
