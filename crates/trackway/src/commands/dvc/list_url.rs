use std::process::ExitCode;

use trackway_repo::list_url::list_url;

use super::context::Context;
use super::list::show;
use super::words::{int, setting};
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to list: a path, or a URL such as s3://bucket/data or remote://name/data
    #[arg(value_name = "url")]
    pub url: String,

    /// List every file below
    #[arg(short = 'R', long)]
    pub recursive: bool,

    /// Show folders as a tree
    #[arg(short = 'T', long)]
    pub tree: bool,

    /// How deep to go
    #[arg(short = 'L', long, value_name = "depth", value_parser = int, allow_negative_numbers = true)]
    pub level: Option<i64>,

    /// Show sizes
    #[arg(long)]
    pub size: bool,

    /// Settings for the URL, as a remote would have them
    #[arg(long, value_name = "name=value", num_args = 0.., value_parser = setting)]
    pub fs_config: Vec<(String, String)>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let options = super::elsewhere::table(&args.fs_config);
    let listing = list_url(&context.config()?, &context.environment(), &args.url, &options)?;
    if args.tree {
        return show::tree(&listing.tree(args.level), args.size, context);
    }
    show::paths(&listing.paths(args.recursive, args.level)?, args.size, context)
}
