use std::process::ExitCode;

use trackway_repo::config::Levels;

use super::config::{Level, edit};
use super::context::Context;
use crate::failure::{Failure, code};
use crate::terminal::Colour;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Add a remote
    Add {
        #[command(flatten)]
        level: Level,
        /// What to call it
        #[arg(value_name = "name")]
        name: String,
        /// Where it is: a folder, or a URL such as s3://bucket/path
        #[arg(value_name = "url")]
        url: String,
        /// Make it the default
        #[arg(short, long)]
        default: bool,
        /// Replace one of the same name
        #[arg(short, long)]
        force: bool,
    },
    /// Show, set or unset the default remote
    Default {
        #[command(flatten)]
        level: Level,
        /// The remote to make the default
        #[arg(value_name = "name")]
        name: Option<String>,
        /// Have no default
        #[arg(short, long)]
        unset: bool,
    },
    /// Change a setting of a remote
    Modify {
        #[command(flatten)]
        level: Level,
        /// The remote
        #[arg(value_name = "name")]
        name: String,
        /// The setting
        #[arg(value_name = "option")]
        option: String,
        /// Its new value
        #[arg(value_name = "value")]
        value: Option<String>,
        /// Remove the setting
        #[arg(short, long)]
        unset: bool,
    },
    /// List the remotes
    List {
        #[command(flatten)]
        level: Level,
    },
    /// Forget a remote; its data stays
    Remove {
        #[command(flatten)]
        level: Level,
        /// The remote
        #[arg(value_name = "name")]
        name: String,
    },
    /// Rename a remote
    Rename {
        #[command(flatten)]
        level: Level,
        /// The remote
        #[arg(value_name = "name")]
        name: String,
        /// Its new name
        #[arg(value_name = "new")]
        new: String,
    },
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    if let Command::Add { name, default: true, .. } = &args.command {
        context.levels()?;
        context.terminal.line(Levels::default_notice(name))?;
    }
    edit(context, |levels| apply(&args.command, levels, context))
}

fn apply(command: &Command, levels: &mut Levels, context: &Context) -> Result<ExitCode, Failure> {
    match command {
        Command::Add { level, name, url, default, force } => {
            levels.remote_add(name, url, *default, *force, level.chosen())?;
        }
        Command::Default { level, unset: true, .. } => levels.remote_unset_default(level.chosen())?,
        Command::Default { level, name: Some(name), .. } => levels.remote_set_default(name, level.chosen())?,
        Command::Default { level, name: None, .. } => match levels.remote_default(level.chosen())? {
            Some(name) => context.terminal.line(name)?,
            None => {
                context.terminal.line("No default remote set")?;
                return Ok(ExitCode::from(code::FAILED));
            }
        },
        Command::Modify { level, name, option, unset: true, .. } => {
            levels.remote_unset(name, option, level.chosen())?
        }
        Command::Modify { level, name, option, value, .. } => {
            levels.remote_modify(name, option, value.as_deref(), level.chosen())?;
        }
        Command::List { level } => {
            let listed = levels.remote_list(level.chosen())?;
            for row in &listed.rows {
                let colour = row.default.then_some(Colour::Green);
                context.terminal.wrapped(&row.text(), colour, usize::MAX)?;
            }
            if let Some(error) = listed.error {
                return Err(error.into());
            }
        }
        Command::Remove { level, name } => levels.remote_remove(name, level.chosen())?,
        Command::Rename { level, name, new } => levels.remote_rename(name, new, level.chosen())?,
    }
    Ok(ExitCode::SUCCESS)
}
