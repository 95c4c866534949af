use std::path::PathBuf;
use std::process::ExitCode;

use trackway_repo::get::resolve_output;
use trackway_repo::get_url::get_url;
use trackway_repo::import_url::name_of;

use super::context::Context;
use super::words::{int, setting};
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to download: a path, or a URL such as s3://bucket/data or remote://name/data
    #[arg(value_name = "url")]
    pub url: String,

    /// Where to put it [default: here, under its own name]
    #[arg(value_name = "out")]
    pub out: Option<String>,

    /// How many transfers at once [default: four for each processor]
    #[arg(short, long, value_name = "number", value_parser = int, allow_negative_numbers = true)]
    pub jobs: Option<i64>,

    /// Overwrite what is in the way
    #[arg(short, long)]
    pub force: bool,

    /// Settings for the URL, as a remote would have them
    #[arg(long, value_name = "name=value", num_args = 0.., value_parser = setting)]
    pub fs_config: Vec<(String, String)>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let config = context.config()?;
    let caught = |error: trackway_repo::Error| {
        Failure::from(error).caught(&format!("failed to get '{}'", trackway_repo::shown_url(&args.url)))
    };
    let out = args.out.as_ref().map(PathBuf::from);
    let to = resolve_output(&name_of(&args.url), out.as_deref(), args.force, &context.folder).map_err(caught)?;
    let jobs = args.jobs.and_then(|jobs| usize::try_from(jobs).ok()).filter(|jobs| *jobs > 0);
    let progress = context.terminal.progress();
    let options = super::elsewhere::table(&args.fs_config);
    get_url(&config, &context.environment(), &args.url, &context.folder.join(to), &options, jobs, &progress)
        .map_err(caught)?;
    Ok(ExitCode::SUCCESS)
}
