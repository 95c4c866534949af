use std::ffi::OsString;
use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these tracked files and folders
    #[arg(long, value_name = "paths", num_args = 0..)]
    pub targets: Option<Vec<OsString>>,

    /// The older revision
    #[arg(value_name = "a_rev", default_value = "HEAD")]
    pub a_rev: String,

    /// The newer revision [default: the work tree]
    #[arg(value_name = "b_rev")]
    pub b_rev: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Show the hashes
    #[arg(long)]
    pub show_hash: bool,

    /// Print a table in Markdown
    #[arg(long = "md")]
    pub markdown: bool,

    /// Leave out what is missing from the cache
    #[arg(long)]
    pub hide_missing: bool,
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("diff"))
}
