use std::ffi::OsString;
use std::process::ExitCode;

use super::context::{Context, Style};
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

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let named = context.targets(&[args.source, args.destination])?;
    let [from, to] = named.as_slice() else { return Err(Failure::failed("move takes two names")) };
    // As DVC 3.67 a file that is in the way goes; in our own manner it stays.
    let overwrite = context.style == Style::Dvc;
    let progress = context.terminal.progress();
    let to_commit = context.on_repo(|repo| {
        repo.move_output(from, to, overwrite, &progress)
            .map_err(|error| Failure::from(error).caught(&format!("failed to move '{from}' -> '{to}'")))
    })?;
    drop(progress);
    context.tell_what_to_commit(&to_commit)?;
    Ok(ExitCode::SUCCESS)
}
