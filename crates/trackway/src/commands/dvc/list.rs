use std::ffi::OsString;
use std::process::ExitCode;

use super::context::Context;
use super::elsewhere::Elsewhere;
use super::words::int;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the repository is
    #[arg(value_name = "url")]
    pub url: OsString,

    /// List folders with all that is in them
    #[arg(short = 'R', long)]
    pub recursive: bool,

    /// List folders with all that is in them, as a tree
    #[arg(short = 'T', long)]
    pub tree: bool,

    /// Go no deeper than this
    #[arg(short = 'L', long, value_name = "depth", value_parser = int, allow_negative_numbers = true)]
    pub level: Option<i64>,

    /// Only what DVC tracks
    #[arg(long)]
    pub dvc_only: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub elsewhere: Elsewhere,

    /// Show sizes
    #[arg(long)]
    pub size: bool,

    /// Show hashes
    #[arg(long)]
    pub show_hash: bool,

    /// A file or folder in the repository
    #[arg(value_name = "path")]
    pub path: Option<OsString>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    if args.tree && args.json {
        return Err(Failure::uncaught("Cannot use --tree and --json options together."));
    }
    Err(context.not_built("list"))
}
