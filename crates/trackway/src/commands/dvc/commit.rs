use std::ffi::OsString;
use std::process::ExitCode;

use trackway_repo::commit::CommitOptions;
use trackway_repo::index::Follow;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Commit without asking, also when dependencies changed or nothing did
    #[arg(short, long)]
    pub force: bool,

    /// Commit what the targets depend on too
    #[arg(short = 'd', long)]
    pub with_deps: bool,

    /// Take a target that is a folder for all the .dvc files and stages in it
    #[arg(short = 'R', long)]
    pub recursive: bool,

    /// Leave the files of the work tree as they are instead of linking them to the cache
    #[arg(long)]
    pub no_relink: bool,

    /// Tracked files and folders, .dvc files and stages; all of them if none is named
    #[arg(value_name = "targets")]
    pub targets: Vec<OsString>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let options = CommitOptions {
        follow: Follow { with_deps: args.with_deps, recursive: args.recursive },
        force: args.force,
        no_relink: args.no_relink,
        ..CommitOptions::default()
    };
    let targets = context.targets(&args.targets)?;
    let progress = context.terminal.progress();
    let ask = |question: &str| context.terminal.confirm_on_a_terminal(question).unwrap_or(false);
    context.on_repo(|repo| {
        let commit = |target: Option<&str>| {
            let named = target.map(|target| format!(" {target}")).unwrap_or_default();
            repo.commit(target, options, &ask, &progress)
                .map_err(|error| Failure::from(error).caught(&format!("failed to commit{named}")))
        };
        if targets.is_empty() {
            return commit(None);
        }
        targets.iter().try_for_each(|target| commit(Some(target)))
    })?;
    Ok(ExitCode::SUCCESS)
}
