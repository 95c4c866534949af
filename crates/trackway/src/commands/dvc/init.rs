use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use trackway_repo::Error;
use trackway_repo::init::{InitOptions, init};

use super::context::{Context, Style};
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to make the repository in
    #[arg(value_name = "directory", default_value = ".")]
    pub directory: OsString,

    /// Work without git
    #[arg(long)]
    pub no_scm: bool,

    /// Begin anew where a repository is already; its settings and its cache go
    #[arg(short, long)]
    pub force: bool,

    /// Make it in a subfolder of a git repository
    #[arg(long)]
    pub subdir: bool,
}

const NEXT: &str = "\
What's next?
------------
- Check out the documentation: <https://dvc.org/doc>
- Get help and share ideas: <https://dvc.org/chat>
- Star us on GitHub: <https://github.com/treeverse/dvc>";

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    if args.no_scm && args.subdir {
        return Err(Failure::uncaught("Cannot initialize repo with `--no-scm` and `--subdir`"));
    }
    let environment = context.environment();
    let options = InitOptions {
        directory: PathBuf::from(args.directory),
        no_scm: args.no_scm,
        force: args.force,
        subdir: args.subdir,
    };
    let repo = init(&options, &environment).map_err(|error| match error {
        Error::Dvc(_) => Failure::from(error).caught("failed to initiate DVC"),
        other => other.into(),
    })?;
    context.tell_warnings(&repo);
    context.terminal.line("Initialized DVC repository.\n")?;
    if !args.no_scm {
        context.terminal.line("You can now commit the changes to git.\n")?;
    }
    if context.style == Style::Dvc {
        // Stock tells here of the analytics that it sends. We send none.
        context.terminal.line(NEXT)?;
    }
    Ok(ExitCode::SUCCESS)
}
