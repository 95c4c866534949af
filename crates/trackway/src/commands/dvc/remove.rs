use std::ffi::OsString;
use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove the data from the work tree too
    #[arg(long)]
    pub outs: bool,

    /// .dvc files and stages
    #[arg(value_name = "targets", required = true)]
    pub targets: Vec<OsString>,
}

/// As DVC 3.67 target by target: what came before one that fails is done.
pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let targets = context.targets(&args.targets)?;
    let progress = context.terminal.progress();
    context.on_repo(|repo| {
        let remove = |target: &String| {
            repo.remove(target, args.outs, &progress).map_err(|error| Failure::from(error).caught(""))
        };
        targets.iter().try_for_each(remove)
    })?;
    Ok(ExitCode::SUCCESS)
}
