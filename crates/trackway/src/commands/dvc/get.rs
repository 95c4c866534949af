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

    /// A file or folder in the repository
    #[arg(value_name = "path")]
    pub path: OsString,

    /// Where to put it [default: here, under its own name]
    #[arg(short, long, value_name = "path", num_args = 0..=1)]
    pub out: Option<Option<OsString>>,

    #[command(flatten)]
    pub elsewhere: Elsewhere,

    /// Print where the data lies in the remote, and download nothing
    #[arg(long)]
    pub show_url: bool,

    /// How many transfers at once [default: four for each processor]
    #[arg(short, long, value_name = "number", value_parser = int, allow_negative_numbers = true)]
    pub jobs: Option<i64>,

    /// Overwrite what is in the way
    #[arg(short, long)]
    pub force: bool,
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("get"))
}
