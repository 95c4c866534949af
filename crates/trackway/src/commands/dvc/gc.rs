use std::ffi::OsString;
use std::process::ExitCode;

use super::context::Context;
use super::words::int;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep what the work tree needs
    #[arg(short, long)]
    pub workspace: bool,

    /// Keep what this commit needs
    #[arg(long, value_name = "commit")]
    pub rev: Option<String>,

    /// Keep what the last so many commits need, counted from --rev or from each branch [default: 1]
    #[arg(short, long, value_name = "num", value_parser = int, allow_negative_numbers = true)]
    pub num: Option<i64>,

    /// Keep what the tip of any branch needs
    #[arg(short = 'a', long)]
    pub all_branches: bool,

    /// Keep what any tag needs
    #[arg(short = 'T', long)]
    pub all_tags: bool,

    /// Keep what any commit needs
    #[arg(short = 'A', long)]
    pub all_commits: bool,

    /// Keep what commits since this day need
    #[arg(long = "date", value_name = "yyyy-mm-dd")]
    pub commit_date: Option<String>,

    /// Keep what any experiment needs
    #[arg(long)]
    pub all_experiments: bool,

    /// Keep what the remote does not have
    #[arg(long)]
    pub not_in_remote: bool,

    /// Collect in the remote as well
    #[arg(short, long)]
    pub cloud: bool,

    /// The remote to collect in [default: core.remote]
    #[arg(short, long, value_name = "name")]
    pub remote: Option<String>,

    /// Pass over revisions that cannot be read
    #[arg(long)]
    pub skip_failed: bool,

    /// Do not ask
    #[arg(short, long)]
    pub force: bool,

    /// How many transfers at once [default: four for each processor]
    #[arg(short, long, value_name = "number", value_parser = int, allow_negative_numbers = true)]
    pub jobs: Option<i64>,

    /// Keep what these repositories need too: those that share the cache
    #[arg(short = 'p', long = "projects", value_name = "paths", num_args = 0..)]
    pub projects: Vec<OsString>,

    /// Only list what would go
    #[arg(long)]
    pub dry: bool,
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("gc"))
}
