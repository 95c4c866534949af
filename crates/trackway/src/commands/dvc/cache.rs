use std::process::ExitCode;

use super::config::{Level, edit};
use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show or set where the cache is
    Dir {
        #[command(flatten)]
        level: Level,
        /// Go back to the default, .dvc/cache
        #[arg(short, long)]
        unset: bool,
        /// The folder, relative to the current one; without it, the cache's folder is shown
        #[arg(value_name = "value")]
        value: Option<String>,
    },
    /// Bring objects of DVC 2 into the cache of DVC 3
    Migrate {
        /// Rewrite .dvc files and dvc.lock as well
        #[arg(long)]
        dvc_files: bool,
        /// Only say what would be done
        #[arg(long)]
        dry: bool,
    },
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Dir { level, unset, value } => edit(context, |levels| {
            match value {
                _ if unset => levels.unset_cache_dir(level.chosen())?,
                Some(value) => levels.set_cache_dir(&value, level.chosen())?,
                None => context.terminal.line(levels.cache_dir(level.chosen())?)?,
            }
            Ok(ExitCode::SUCCESS)
        }),
        Command::Migrate { .. } => Err(context.not_built("cache migrate")),
    }
}
