use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

/// The DVC whose commands, files and words these are. Programs that look for `dvc --version` compare this one.
pub const COMPATIBLE: &str = "3.67.1";

#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("version"))
}
