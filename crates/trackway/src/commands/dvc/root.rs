use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {}

/// As DVC 3.67 it needs no more than the folder: a repository whose settings are broken still has a root.
pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("root"))
}
