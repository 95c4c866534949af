use std::process::ExitCode;

use trackway_repo::import_url::ImportUrlOptions;

use super::context::Context;
use super::words::{int, setting};
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to import: a path, or a URL such as s3://bucket/data or remote://name/data
    #[arg(value_name = "url")]
    pub url: String,

    /// Where to put it [default: here, under its own name]
    #[arg(value_name = "out")]
    pub out: Option<String>,

    /// Send it to the remote without keeping it here
    #[arg(long)]
    pub to_remote: bool,

    /// The remote to send it to
    #[arg(short, long, value_name = "name")]
    pub remote: Option<String>,

    /// Only write the .dvc file
    #[arg(long, conflicts_with = "no_download")]
    pub no_exec: bool,

    /// Record what is there, and download nothing
    #[arg(long)]
    pub no_download: bool,

    /// How many transfers at once [default: four for each processor]
    #[arg(short, long, value_name = "number", value_parser = int, allow_negative_numbers = true)]
    pub jobs: Option<i64>,

    /// Overwrite what is in the way
    #[arg(short, long)]
    pub force: bool,

    /// Record the versions that the store keeps of the files
    #[arg(long)]
    pub version_aware: bool,

    /// Settings for the URL, as a remote would have them; no secrets
    #[arg(long, value_name = "name=value", num_args = 0.., value_parser = setting)]
    pub fs_config: Vec<(String, String)>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let options = ImportUrlOptions {
        out: args.out.filter(|out| !out.is_empty()),
        to_remote: args.to_remote,
        remote: args.remote.filter(|name| !name.is_empty()),
        no_exec: args.no_exec,
        no_download: args.no_download,
        version_aware: args.version_aware,
        fs_config: args.fs_config,
        jobs: args.jobs.and_then(|jobs| usize::try_from(jobs).ok()).filter(|jobs| *jobs > 0),
        force: args.force,
    };
    let progress = context.terminal.progress();
    let imported = context.on_repo(|repo| {
        repo.import_url(&args.url, &options, &progress).map_err(|error| {
            Failure::from(error).caught(&format!(
                "failed to import {}. You could also try downloading it manually, and adding it with `dvc add`.",
                trackway_repo::shown_url(&args.url)
            ))
        })
    })?;
    drop(progress);
    context.tell_what_to_commit(&imported.to_commit)?;
    Ok(ExitCode::SUCCESS)
}
