//! `trackway`: arguments in, exit code out.
//!
//! The same binary answers to three names. Plain `trackway …` has DVC's commands at the top and commands of its own beside them.
//! `trackway mlflow …` and `trackway dvc …` are `mlflow …` and `dvc …`, and a link with one of those names does the same.
//!
//! * `commands/` has a file a command: `commands/dvc/` those of DVC, `commands/server/` what `trackway server` makes of its flags.
//! * `terminal/` is what a person reads and is asked; `logging.rs` sets up the server's log.
//! * `failure.rs` turns what went wrong into a message and an exit code.
//!
//! Only this crate prints, and only it reads the environment.

mod commands;
mod failure;
mod logging;
mod terminal;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory, FromArgMatches};

use commands::dvc::context::Style;
use commands::dvc::{self, Before};
use commands::server::backup::{BackupArgs, RestoreArgs};
use commands::server::purge::PurgeArgs;
use commands::server::thin_metrics::ThinMetricsArgs;
use failure::Failure;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let rest = arguments.get(1..).unwrap_or_default();
    match called_as(arguments.first()).as_deref() {
        Some("mlflow") => answered(mlflow("mlflow", rest)),
        Some("dvc") => dvc::run(Style::Dvc, rest),
        _ => trackway(rest),
    }
}

fn trackway(arguments: &[OsString]) -> ExitCode {
    // Without a word there is nothing to be wrong: show what can be done.
    let help = [OsString::from("--help")];
    let before = dvc::before_the_command(Style::Trackway, if arguments.is_empty() { &help } else { arguments });
    let (name, rest, options) = match before {
        Ok(Before::Answered(_)) if arguments.is_empty() => return ExitCode::from(2),
        Ok(Before::Answered(code)) => return code,
        Ok(Before::Command { name, rest, options }) => (name, rest, options),
        Err(failure) => return failure.report(Style::Trackway.error_word(), false),
    };
    match name.as_str() {
        "server" => answered(server(&rest)),
        "mlflow" => answered(mlflow("trackway mlflow", &rest)),
        "dvc" => dvc::run(Style::Dvc, &rest),
        "help" if rest.is_empty() => trackway(&help),
        "help" => trackway(&[rest, help.to_vec()].concat()),
        name if dvc::table::find(Style::Trackway, name).is_some() => {
            dvc::run_command(Style::Trackway, name, &rest, &options)
        }
        name => answered(Err(commands::unknown(name))),
    }
}

/// The commands of plain `trackway` that are not DVC's, for its help and for completion.
fn with_trackways_own(top: Command) -> Command {
    let server = commands::server::ServerArgs::augment_args(Command::new("server")).subcommands(server_commands());
    top.subcommand(server.about("Run the tracking server that the `mlflow` client talks to").display_order(0))
        .subcommand(Command::new("mlflow").about("Act as the `mlflow` command does").display_order(1))
        .subcommand(Command::new("dvc").about("Act as the `dvc` command does").display_order(2))
}

/// What `trackway server` does beside serving. Not under the name `mlflow`, whose `server` has no commands.
fn server_commands() -> [Command; 4] {
    [
        BackupArgs::augment_args(
            Command::new("backup").about("Copy the SQLite database, also while a server writes to it"),
        ),
        RestoreArgs::augment_args(Command::new("restore").about("Put a copy of the SQLite database in its place")),
        PurgeArgs::augment_args(Command::new("purge").about("Let what was deleted go for good, with its artifacts")),
        ThinMetricsArgs::augment_args(
            Command::new("thin-metrics").about("Keep only samples of the long histories of old runs"),
        ),
    ]
}

fn server(rest: &[OsString]) -> Result<(), Failure> {
    let [backup, restore, purge, thin] = server_commands();
    match rest.split_first() {
        Some((word, rest)) if word == "backup" => {
            return commands::server::backup::backup(parse(backup, "trackway server backup", rest)?);
        }
        Some((word, rest)) if word == "restore" => {
            return commands::server::backup::restore(parse(restore, "trackway server restore", rest)?);
        }
        Some((word, rest)) if word == "purge" => {
            return commands::server::purge::run(parse(purge, "trackway server purge", rest)?);
        }
        Some((word, rest)) if word == "thin-metrics" => {
            return commands::server::thin_metrics::run(parse(thin, "trackway server thin-metrics", rest)?);
        }
        _ => {}
    }
    let parser = commands::server::ServerArgs::augment_args(
        Command::new("trackway server").about("Run the tracking server that the `mlflow` client talks to"),
    );
    commands::server::run(parse(parser, "trackway server", rest)?)
}

fn mlflow(called: &'static str, rest: &[OsString]) -> Result<(), Failure> {
    let cli: commands::mlflow::MlflowCli = parse(commands::mlflow::MlflowCli::command(), called, rest)?;
    commands::mlflow::run(cli.args)
}

fn parse<C: FromArgMatches>(parser: Command, called: &'static str, rest: &[OsString]) -> Result<C, Failure> {
    let words = std::iter::once(OsString::from(called)).chain(rest.iter().cloned());
    let matches = parser.bin_name(called).try_get_matches_from(words).map_err(Failure::Arguments)?;
    C::from_arg_matches(&matches).map_err(Failure::Arguments)
}

fn answered(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report("error", false),
    }
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
        commands::mlflow::MlflowCli::command().debug_assert();
        for style in [Style::Dvc, Style::Trackway] {
            dvc::whole(style).debug_assert();
        }
        with_trackways_own(Command::new("trackway")).debug_assert();
    }

    #[test]
    fn a_links_name_is_read_from_the_path() {
        let name = |path: &str| called_as(Some(&OsString::from(path)));
        assert_eq!(name("/usr/bin/mlflow").as_deref(), Some("mlflow"));
        assert_eq!(name("dvc").as_deref(), Some("dvc"));
        assert_eq!(name("./trackway").as_deref(), Some("trackway"));
    }
}
