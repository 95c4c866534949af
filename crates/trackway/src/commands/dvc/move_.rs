use std::ffi::OsString;
use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tracked file or folder
    #[arg(value_name = "src")]
    pub source: OsString,

    /// Where it is to be
    #[arg(value_name = "dst")]
    pub destination: OsString,
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("move"))
}
