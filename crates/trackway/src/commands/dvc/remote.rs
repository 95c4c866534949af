use std::process::ExitCode;

use super::config::Level;
use super::context::Context;
use crate::failure::Failure;

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

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("remote"))
}
