use std::ffi::OsString;
use std::process::ExitCode;

use trackway_repo::update::UpdateOptions;

use super::context::Context;
use super::words::int;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The .dvc files of imports
    #[arg(value_name = "targets", required = true)]
    pub targets: Vec<OsString>,

    /// The revision to import from now on: a commit, branch or tag
    #[arg(long, value_name = "commit", num_args = 0..=1)]
    pub rev: Option<Option<String>>,

    /// Take a target that is a folder for all the .dvc files in it
    #[arg(short = 'R', long)]
    pub recursive: bool,

    /// Record what is new, and download nothing
    #[arg(long)]
    pub no_download: bool,

    /// Send what is new to the remote without keeping it here
    #[arg(long)]
    pub to_remote: bool,

    /// The remote to send it to
    #[arg(short, long, value_name = "name")]
    pub remote: Option<String>,

    /// How many transfers at once [default: four for each processor]
    #[arg(short, long, value_name = "number", value_parser = int, allow_negative_numbers = true)]
    pub jobs: Option<i64>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let targets = context.targets(&args.targets)?;
    let options = UpdateOptions {
        rev: args.rev.flatten().filter(|rev| !rev.is_empty()),
        recursive: args.recursive,
        no_download: args.no_download,
        to_remote: args.to_remote,
        remote: args.remote.filter(|name| !name.is_empty()),
        jobs: args.jobs.and_then(|jobs| usize::try_from(jobs).ok()).filter(|jobs| *jobs > 0),
    };
    let progress = context.terminal.progress();
    context.on_repo(|repo| {
        repo.update(&targets, &options, &progress).map_err(|error| Failure::from(error).caught("failed update data"))
    })?;
    Ok(ExitCode::SUCCESS)
}
