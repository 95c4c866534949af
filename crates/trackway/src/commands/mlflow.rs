//! `trackway mlflow …` and a link named `mlflow`: MLflow's command line, as far as it is built.

mod gc;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use trackway_server::server_info::PROTOCOL_VERSION;

use super::env_file;
use super::server::{self, ServerArgs};
use crate::failure::Failure;

/// The commands of `mlflow` 3.17 that are not built yet.
pub const NOT_BUILT: [&str; 21] = [
    "agent",
    "ai-commands",
    "artifacts",
    "assistant",
    "autolog",
    "crypto",
    "datasets",
    "db",
    "demo",
    "deployments",
    "doctor",
    "experiments",
    "mcp",
    "migrate-filestore",
    "models",
    "run",
    "runs",
    "sagemaker",
    "scorers",
    "skills",
    "traces",
];

/// MLflow's command line, by Trackway
#[derive(Debug, Parser)]
#[command(name = "mlflow", arg_required_else_help = true)]
pub struct MlflowCli {
    #[command(flatten)]
    pub args: MlflowArgs,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct MlflowArgs {
    /// Print the version of MLflow's protocol that is spoken, and exit
    #[arg(long)]
    version: bool,

    /// Set the variables of this dotenv file, but for those that are set already
    #[arg(long, value_name = "PATH", global = false)]
    env_file: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<MlflowCommand>,
}

#[derive(Debug, Subcommand)]
enum MlflowCommand {
    /// Run the tracking server: the same as `trackway server`
    Server(ServerArgs),
    /// The same as `server`
    Ui(ServerArgs),
    /// Delete for good what was deleted, with its artifacts
    Gc(gc::GcArgs),
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

pub fn run(args: MlflowArgs) -> Result<(), Failure> {
    if args.version {
        println!("mlflow, version {PROTOCOL_VERSION} (Trackway {})", env!("CARGO_PKG_VERSION"));
        return Ok(());
    }
    if let Some(path) = args.env_file {
        return env_file::run_again_with(&path, &without_env_file(std::env::args_os().skip(1)));
    }
    match args.command {
        Some(MlflowCommand::Server(args) | MlflowCommand::Ui(args)) => server::run(args),
        Some(MlflowCommand::Gc(args)) => gc::run(args),
        Some(MlflowCommand::Other(words)) => Err(unknown(&words)),
        None => {
            Err(Failure::Usage("Name a command, for example `mlflow server`. `mlflow --help` lists them.".to_owned()))
        }
    }
}

/// The words of this call but for `--env-file PATH`, which stands before the command.
fn without_env_file(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--env-file") => {
                words.next();
            }
            Some(given) if given.starts_with("--env-file=") => {}
            // Another command may have an option of that name.
            Some("server" | "ui" | "gc") => {
                kept.push(word);
                kept.extend(words);
                break;
            }
            _ => kept.push(word),
        }
    }
    kept
}

fn unknown(words: &[OsString]) -> Failure {
    let name = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    if NOT_BUILT.contains(&name.as_str()) {
        return Failure::NotBuilt(format!(
            "`mlflow {name}` is not built yet in Trackway {}. Built are `mlflow server`, `mlflow ui` and `mlflow gc`. For the rest use \
             MLflow's own command; with MLFLOW_TRACKING_URI set, it talks to a Trackway server.",
            env!("CARGO_PKG_VERSION")
        ));
    }
    Failure::Usage(format!("No such command '{name}'. `mlflow --help` lists the commands."))
}
