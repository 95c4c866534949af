use std::ffi::OsString;
use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Tracked files and folders
    #[arg(value_name = "targets", required = true)]
    pub targets: Vec<OsString>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let targets = context.targets(&args.targets)?;
    let progress = context.terminal.progress();
    context.on_repo(|repo| {
        targets.iter().try_for_each(|target| {
            let done = repo.unprotect(target, &progress);
            done.map_err(|error| Failure::from(error).caught(&format!("failed to unprotect '{target}'")))
        })
    })?;
    Ok(ExitCode::SUCCESS)
}
