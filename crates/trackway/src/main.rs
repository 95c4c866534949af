//! `trackway`: arguments in, exit code out.
//!
//! The same binary answers to three names. Plain `trackway …` has commands of its own. `trackway mlflow …` and
//! `trackway dvc …` are `mlflow …` and `dvc …`, and a link with one of those names does the same.
//!
//! * `commands/` has a file a command; `commands/server/` what `trackway server` makes of its flags.
//! * `logging.rs` sets up the log; `failure.rs` turns what went wrong into a message and an exit code.
//!
//! Only this crate prints, and only it reads the environment.

mod commands;
mod failure;
mod logging;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use failure::Failure;

/// Tracks experiments, models and data: one binary that speaks MLflow's and DVC's languages.
#[derive(Debug, Parser)]
#[command(
    name = "trackway",
    version,
    args_override_self = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the tracking server that the `mlflow` client talks to
    Server(commands::server::ServerArgs),
    /// Act as the `mlflow` command does
    Mlflow(commands::mlflow::MlflowArgs),
    /// Act as the `dvc` command does (not built yet)
    #[command(disable_help_flag = true)]
    Dvc(commands::dvc::DvcArgs),
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match dispatch(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(arguments: Vec<OsString>) -> Result<(), Failure> {
    match called_as(arguments.first()).as_deref() {
        Some("mlflow") => commands::mlflow::run(parse::<commands::mlflow::MlflowCli>(arguments)?.args),
        Some("dvc") => commands::dvc::run(&arguments[1..]),
        _ => match parse::<Cli>(arguments)?.command {
            Command::Server(args) => commands::server::run(args),
            Command::Mlflow(args) => commands::mlflow::run(args),
            Command::Dvc(args) => commands::dvc::run(&args.arguments),
            Command::Other(words) => Err(commands::unknown(&words)),
        },
    }
}

fn parse<C: CommandFactory + FromArgMatches>(arguments: Vec<OsString>) -> Result<C, Failure> {
    let matches = C::command().try_get_matches_from(arguments).map_err(Failure::Arguments)?;
    C::from_arg_matches(&matches).map_err(Failure::Arguments)
}

/// The name that the binary was called by, without folder and `.exe`.
fn called_as(first: Option<&OsString>) -> Option<String> {
    Some(Path::new(first?).file_stem()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
        commands::mlflow::MlflowCli::command().debug_assert();
    }

    #[test]
    fn a_links_name_is_read_from_the_path() {
        let name = |path: &str| called_as(Some(&OsString::from(path)));
        assert_eq!(name("/usr/bin/mlflow").as_deref(), Some("mlflow"));
        assert_eq!(name("dvc").as_deref(), Some("dvc"));
        assert_eq!(name("./trackway").as_deref(), Some("trackway"));
    }
}
