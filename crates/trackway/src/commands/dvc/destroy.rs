use std::process::ExitCode;

use trackway_repo::destroy::destroy;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

const QUESTION: &str =
    "This will destroy all information about your pipelines, all data files, as well as cache in .dvc/cache.
Are you sure you want to continue?";

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let repo = context.repo()?;
    if !args.force && !context.terminal.confirm(QUESTION)? {
        return Err(Failure::failed(
            "failed to destroy DVC - cannot destroy without a confirmation from the user. Use `-f` to force.",
        ));
    }
    destroy(repo, &context.terminal.progress())
        .map_err(|error| Failure::from(error).caught("failed to destroy DVC"))?;
    Ok(ExitCode::SUCCESS)
}
