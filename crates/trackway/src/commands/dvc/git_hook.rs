//! What the git hooks that `install` writes call. People do not type it, so stock has no help for it.

use std::ffi::OsString;
use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    #[command(subcommand)]
    hook: Hook,
}

#[derive(Debug, clap::Subcommand)]
enum Hook {
    /// Before a commit: show what changed
    PreCommit(Passed),
    /// After a checkout of a revision: bring the data along
    PostCheckout(Passed),
    /// Before a push: push the data
    PrePush(Passed),
    /// Merge two versions of a .dvc file
    MergeDriver(Merge),
}

#[derive(Debug, clap::Args)]
struct Passed {
    /// What git or the pre-commit tool passes on
    #[arg(value_name = "args")]
    args: Vec<OsString>,

    /// Print help
    #[arg(short, long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

#[derive(Debug, clap::Args)]
pub struct Merge {
    /// The version that both come from
    #[arg(long, value_name = "ancestor")]
    pub ancestor: OsString,

    /// Our version, which the result replaces
    #[arg(long, value_name = "our")]
    pub our: OsString,

    /// The other branch's version
    #[arg(long, value_name = "their")]
    pub their: OsString,

    /// Print help
    #[arg(short, long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    // Outside of a repository a hook has nothing to do. Any other trouble with it counts.
    match context.repo() {
        Err(failure) if failure.is_outside_a_repository() => return Ok(ExitCode::SUCCESS),
        other => drop(other?),
    }
    match args.hook {
        Hook::PreCommit(_) => Ok(super::run(context.style, &["status".into()])),
        Hook::PrePush(_) => Ok(super::run(context.style, &["push".into()])),
        Hook::PostCheckout(passed) if changes_the_data(&passed.args) && !is_rebasing(context) => {
            Ok(super::run(context.style, &["checkout".into()]))
        }
        Hook::PostCheckout(_) => Ok(ExitCode::SUCCESS),
        Hook::MergeDriver(versions) => {
            let files = context.targets(&[versions.ancestor, versions.our, versions.their])?;
            let [ancestor, our, their] = files.as_slice() else {
                return Err(Failure::failed("the merge driver takes three files"));
            };
            context.on_repo(|repo| Ok(repo.merge_dvc_files(ancestor, our, their)?))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Git says with `1` that a revision was checked out and not a file; the pre-commit tool says it in a variable.
fn changes_the_data(args: &[OsString]) -> bool {
    let flag = std::env::var_os("PRE_COMMIT_CHECKOUT_TYPE").or_else(|| args.get(2).cloned());
    flag.is_some_and(|flag| flag == "1")
}

/// In the middle of a rebase a checkout of data could fail and break it. Git runs hooks in the work tree's root. Of a second
/// work tree or a submodule git's folder is elsewhere, where stock does not look.
fn is_rebasing(context: &Context) -> bool {
    let here = context.folder.join(".git");
    let git_dir = context.repo().ok().and_then(|repo| Some(repo.git().ok()??.git_dir().to_owned()));
    [Some(here), git_dir].into_iter().flatten().any(|folder| folder.join("rebase-merge").is_dir())
}
