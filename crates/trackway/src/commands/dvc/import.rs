use std::process::ExitCode;

use trackway_repo::Error;
use trackway_repo::import::ImportOptions;

use super::context::Context;
use super::elsewhere::Elsewhere;
use super::words::int;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the repository is: a folder, or a URL that git can clone
    #[arg(value_name = "url")]
    pub url: String,

    /// A file or folder in the repository, tracked by DVC or by git
    #[arg(value_name = "path")]
    pub path: String,

    /// Where to put it [default: here, under its own name]
    #[arg(short, long, value_name = "path", num_args = 0..=1)]
    pub out: Option<Option<String>>,

    /// Overwrite what is in the way
    #[arg(short, long)]
    pub force: bool,

    #[command(flatten)]
    pub elsewhere: Elsewhere,

    /// Only write the .dvc file
    #[arg(long, conflicts_with = "no_download")]
    pub no_exec: bool,

    /// Record which revision it is, and download nothing
    #[arg(long)]
    pub no_download: bool,

    /// How many transfers at once [default: four for each processor]
    #[arg(short, long, value_name = "number", value_parser = int, allow_negative_numbers = true)]
    pub jobs: Option<i64>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let options = ImportOptions {
        out: args.out.flatten(),
        rev: args.elsewhere.rev().map(str::to_owned),
        config: args.elsewhere.config.as_ref().map(|file| file.to_string_lossy().into_owned()),
        remote: args.elsewhere.remote.clone(),
        remote_config: args.elsewhere.remote_config.clone(),
        no_exec: args.no_exec,
        no_download: args.no_download,
        jobs: args.jobs.and_then(|jobs| usize::try_from(jobs).ok()).filter(|jobs| *jobs > 0),
        force: args.force,
    };
    let progress = context.terminal.progress();
    let imported = context.on_repo(|repo| {
        repo.import(&args.url, &args.path, &options, &progress).map_err(|error| {
            let message = match &error {
                Error::Clone(_) => format!("failed to import '{}'", args.path),
                _ => format!("failed to import '{}' from '{}'.", args.path, trackway_repo::shown_url(&args.url)),
            };
            Failure::from(error).caught(&message)
        })
    })?;
    drop(progress);
    context.tell_what_to_commit(&imported.to_commit)?;
    Ok(ExitCode::SUCCESS)
}
