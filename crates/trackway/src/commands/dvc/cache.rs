use std::process::ExitCode;

use trackway_repo::scm::ToCommit;

use super::config::{Level, edit};
use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
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
        Command::Migrate { dvc_files, dry } => migrate(dvc_files, dry, context),
    }
}

fn migrate(dvc_files: bool, dry: bool, context: &Context) -> Result<ExitCode, Failure> {
    let progress = context.terminal.progress();
    let to_commit = context.on_repo(|repo| {
        if dry {
            let count = repo.count_legacy_objects()?;
            context
                .terminal
                .line(format!("{count} files will be re-hashed and migrated to the DVC 3.0 cache location."))?;
        } else {
            let count = repo.migrate_cache(&progress)?;
            context.terminal.line(format!("Migrated {count} files to DVC 3.0 cache location."))?;
        }
        if !dvc_files {
            return Ok(ToCommit::default());
        }
        let files = repo.legacy_files()?;
        if files.is_empty() {
            context.terminal.line("No DVC files in the repo to migrate to the 3.0 format.")?;
        } else if dry {
            context.terminal.line("Entries in following DVC files will be migrated to the 3.0 format:")?;
            for file in files {
                context.terminal.line(format!("\t{file}"))?;
            }
        } else {
            return Ok(repo.migrate_files(&progress)?.to_commit);
        }
        Ok(ToCommit::default())
    })?;
    drop(progress);
    context.tell_what_to_commit(&to_commit)?;
    Ok(ExitCode::SUCCESS)
}
