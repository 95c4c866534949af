use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("destroy"))
}
