use std::ffi::OsString;
use std::process::ExitCode;

use super::context::Context;
use super::elsewhere::Elsewhere;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the repository is
    #[arg(value_name = "url")]
    pub url: OsString,

    #[command(flatten)]
    pub elsewhere: Elsewhere,

    /// One line for all
    #[arg(short, long)]
    pub summarize: bool,

    /// A file or folder in the repository
    #[arg(value_name = "path")]
    pub path: Option<OsString>,
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("du"))
}
