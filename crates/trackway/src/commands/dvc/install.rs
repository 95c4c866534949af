use std::process::ExitCode;

use trackway_repo::install::install;

use super::context::{Context, Style};
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Put the hooks into the configuration of the pre-commit tool (https://pre-commit.com)
    #[arg(long)]
    pub use_pre_commit_tool: bool,
}

/// The hooks call the program by the name that it was called by: where only `trackway` is installed there is no `dvc`.
pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let repo = context.repo()?;
    let installed = install(&repo, context.style.program(), args.use_pre_commit_tool)
        .map_err(|error| Failure::from(error).caught("failed to install DVC Git hooks"))?;
    if let (Style::Trackway, Some(folder)) = (context.style, installed.hooks_elsewhere) {
        context.terminal.warning(format!(
            "git looks for hooks in '{}' (core.hooksPath), so those in .git/hooks do not run. Call them from there.",
            folder.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}
