//! Arguments that `push`, `pull`, `fetch` and `status` share.

use std::ffi::OsString;

use trackway_repo::fetch::Moved;
use trackway_repo::index::Follow;
use trackway_repo::remotes::TransferOptions;

use super::context::Context;
use super::words::int;
use crate::failure::Failure;
use crate::terminal::words;

#[derive(Debug, clap::Args)]
pub struct Jobs {
    /// How many transfers at once [default: four for each processor]
    #[arg(short, long, value_name = "number", value_parser = int, allow_negative_numbers = true)]
    pub jobs: Option<i64>,
}

#[derive(Debug, clap::Args)]
pub struct Selected {
    /// Tracked files and folders, .dvc files and stages; all of them if none is named
    #[arg(value_name = "targets")]
    pub targets: Vec<OsString>,

    /// Take what the targets depend on too
    #[arg(short = 'd', long)]
    pub with_deps: bool,

    /// Take a target that is a folder for all the .dvc files and stages in it
    #[arg(short = 'R', long)]
    pub recursive: bool,
}

/// Of which revisions beside the work tree.
#[derive(Debug, clap::Args)]
pub struct Revisions {
    /// Also what the tip of any branch needs
    #[arg(short = 'a', long)]
    pub all_branches: bool,

    /// Also what any tag needs
    #[arg(short = 'T', long)]
    pub all_tags: bool,

    /// Also what any commit needs
    #[arg(short = 'A', long)]
    pub all_commits: bool,
}

#[derive(Debug, clap::Args)]
pub struct RunCache {
    /// Transfer the history of stage runs as well
    #[arg(long, overrides_with = "no_run_cache")]
    pub run_cache: bool,

    /// Leave the history of stage runs [default]
    #[arg(long, overrides_with = "run_cache")]
    pub no_run_cache: bool,
}

/// The arguments as the library takes them.
pub fn options(
    jobs: &Jobs,
    selected: &Selected,
    remote: Option<String>,
    revisions: &Revisions,
    run_cache: Option<&RunCache>,
) -> TransferOptions {
    TransferOptions {
        follow: Follow { with_deps: selected.with_deps, recursive: selected.recursive },
        remote: remote.filter(|name| !name.is_empty()),
        all_branches: revisions.all_branches,
        all_tags: revisions.all_tags,
        all_commits: revisions.all_commits,
        jobs: jobs.jobs.and_then(|jobs| usize::try_from(jobs).ok()),
        run_cache: run_cache.is_some_and(|run_cache| run_cache.run_cache),
    }
}

/// A line for each object that could not be transferred, and the failure that they are together; `way` is "upload" or
/// "download".
pub fn tell_failures(moved: &Moved, doing: &str, way: &str, context: &Context) -> Result<(), Failure> {
    for failure in &moved.failures {
        context.terminal.error(format!("failed to transfer '{}' - {}", failure.oid, failure.reason));
    }
    match moved.failed() {
        0 => Ok(()),
        count => Err(Failure::failed(format!("{doing} - {count} files failed to {way}"))),
    }
}

/// `2 files fetched and 1 file added`
pub fn tell_counts(counts: &[(&str, usize)], remote: Option<&str>, context: &Context) -> Result<(), Failure> {
    let has_default = || context.repo().is_ok_and(|repo| repo.config().core_remote().is_some());
    if remote.is_none_or(str::is_empty) && !context.terminal.is_quiet() && !has_default() {
        context.terminal.notice("No remote provided and no default remote set.");
    }
    let summary = words::summary(counts);
    context.terminal.line(if summary.is_empty() { "Everything is up to date.".to_owned() } else { summary })
}
