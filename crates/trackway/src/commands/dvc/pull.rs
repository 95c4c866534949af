use std::process::ExitCode;

use trackway_repo::Error;
use trackway_repo::pull::PullOptions;

use super::checkout::tell_changes;
use super::context::Context;
use super::transfer::{self, Jobs, Revisions, RunCache, Selected};
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

    /// Remove files of the work tree without asking, saved or not
    #[arg(short, long)]
    pub force: bool,

    /// Take the targets as patterns
    #[arg(long, hide = true)]
    pub glob: bool,

    /// Go on when data is missing
    #[arg(long)]
    pub allow_missing: bool,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    const DOING: &str = "failed to pull data from the cloud";
    let targets = context.targets(&args.selected.targets)?;
    let options = PullOptions {
        transfer: transfer::options(
            &args.jobs,
            &args.selected,
            args.remote.clone(),
            &args.revisions,
            Some(&args.run_cache),
        ),
        glob: args.glob,
        force: args.force,
        allow_missing: args.allow_missing,
    };
    let progress = context.terminal.progress();
    let pulled = context.on_repo(|repo| {
        let pulled = repo.pull(&targets, &options, &progress).map_err(|error| Failure::from(error).caught(DOING))?;
        context.keep_in_bounds(repo);
        Ok(pulled)
    })?;
    drop(progress);
    transfer::tell_failures(&pulled.fetched, DOING, "download", context)?;
    let done = pulled.checked_out.unwrap_or_default();
    tell_changes(&done, context)?;
    let counts = [
        ("fetched", pulled.fetched.objects),
        ("modified", done.files.modified),
        ("added", done.files.added),
        ("deleted", done.files.deleted),
    ];
    transfer::tell_counts(&counts, args.remote.as_deref(), context)?;
    if !done.failed.is_empty() && !args.allow_missing {
        return Err(Failure::from(Error::Checkout(done.failed)).caught(DOING));
    }
    Ok(ExitCode::SUCCESS)
}
