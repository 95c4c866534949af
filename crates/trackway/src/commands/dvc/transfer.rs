//! Arguments that `push`, `pull`, `fetch` and `status` share.

use std::ffi::OsString;

use super::words::int;

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
