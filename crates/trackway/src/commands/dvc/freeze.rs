use std::ffi::OsString;
use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Stages and .dvc files
    #[arg(value_name = "targets", required = true)]
    pub targets: Vec<OsString>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    set(args, true, context)
}

pub fn run_unfreeze(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    set(args, false, context)
}

/// As DVC 3.67: one that fails does not keep the others from being done.
fn set(args: Args, frozen: bool, context: &Context) -> Result<ExitCode, Failure> {
    let what = if frozen { "freeze" } else { "unfreeze" };
    let targets = context.targets(&args.targets)?;
    context.on_repo(|repo| {
        let mut code = ExitCode::SUCCESS;
        for target in &targets {
            let Err(error) = repo.set_frozen(target, frozen) else { continue };
            let failure = Failure::from(error).caught(&format!("failed to {what} '{target}'"));
            if !failure.is_caught() {
                return Err(failure);
            }
            context.tell_warnings(repo);
            code = failure.report(context.style.error_word(), context.terminal.is_quiet());
        }
        Ok(code)
    })
}
