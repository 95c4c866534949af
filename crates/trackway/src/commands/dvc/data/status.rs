use std::ffi::OsString;
use std::process::ExitCode;

use super::super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Tracked files and folders, .dvc files and stages; all of them if none is named
    #[arg(value_name = "targets")]
    pub targets: Vec<OsString>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// List the files in tracked folders
    #[arg(long)]
    pub granular: bool,

    /// List what is unchanged too
    #[arg(long)]
    pub unchanged: bool,

    /// List files that neither git nor DVC tracks
    #[arg(
        long,
        value_name = "untracked_files",
        value_parser = ["no", "all"],
        num_args = 0..=1,
        default_value = "no",
        default_missing_value = "all"
    )]
    pub untracked_files: String,

    /// The remote to look in, with --not-in-remote [default: core.remote]
    #[arg(short, long, value_name = "name")]
    pub remote: Option<String>,

    /// List what the remote does not have
    #[arg(long)]
    pub not_in_remote: bool,

    /// Trust what is remembered of the remote instead of asking it
    #[arg(long)]
    pub no_remote_refresh: bool,
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("data status"))
}
