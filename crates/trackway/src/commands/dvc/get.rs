use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use trackway_repo::{Error, get};

use super::context::Context;
use super::elsewhere::Elsewhere;
use super::words::int;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the repository is
    #[arg(value_name = "url")]
    pub url: OsString,

    /// A file or folder in the repository
    #[arg(value_name = "path")]
    pub path: OsString,

    /// Where to put it [default: here, under its own name]
    #[arg(short, long, value_name = "path", num_args = 0..=1)]
    pub out: Option<Option<OsString>>,

    #[command(flatten)]
    pub elsewhere: Elsewhere,

    /// Print where the data lies in the remote, and download nothing
    #[arg(long)]
    pub show_url: bool,

    /// How many transfers at once [default: four for each processor]
    #[arg(short, long, value_name = "number", value_parser = int, allow_negative_numbers = true)]
    pub jobs: Option<i64>,

    /// Overwrite what is in the way
    #[arg(short, long)]
    pub force: bool,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let path = context.targets(std::slice::from_ref(&args.path))?.pop().unwrap_or_default();
    if args.show_url {
        context.terminal.always(args.elsewhere.open(&args.url, context)?.object_url(&path)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let shown = trackway_repo::shown_url(&args.url.to_string_lossy());
    let caught = |failure: Failure| match &failure {
        Failure::Repo(error) if matches!(**error, Error::Clone(_)) => {
            failure.caught(&format!("failed to get '{path}'"))
        }
        _ => failure.caught(&format!("failed to get '{path}' from '{shown}'")),
    };
    let out = args.out.flatten().map(PathBuf::from);
    let to = get::destination(&path, out.as_deref(), args.force, &context.folder);
    let to = to.map_err(|error| caught(error.into()))?;
    let jobs = args.jobs.and_then(|jobs| usize::try_from(jobs).ok()).filter(|jobs| *jobs > 0);
    let progress = context.terminal.progress();
    let browser = args.elsewhere.open(&args.url, context).map_err(caught)?;
    browser.get(&path, &to, jobs, &progress).map_err(|error| caught(error.into()))?;
    Ok(ExitCode::SUCCESS)
}
