//! The project's own chores, run as `cargo xtask COMMAND`.
//!
//! ```text
//! main.rs     the commands and their options
//! test.rs     fmt, lint, test: which steps there are, and in which order
//! steps.rs    runs steps one after the other, and closes with what each one said
//! process.rs  starts a program from a list of arguments, with a deadline; keeps its closing lines
//! project.rs  where things are: the root, the target folder, the cache folder
//! python.rs   one virtual environment for each file in compat/requirements and bench/requirements
//! node.rs     `npm ci` for the browser tests
//! debian.rs   Debian packages, installed when they are missing
//! hadoop.rs   Hadoop for the service hdfs: jars out of a Python package and Debian packages
//! services.rs the servers that tests stand on: installs them, starts them for tests and for people
//! fuzz.rs     builds the targets of fuzz/ on the stable toolchain and runs them for a bounded time
//! ```
//!
//! A step whose component cannot be installed fails; it never passes as if it had run.

mod debian;
mod fuzz;
mod hadoop;
mod node;
mod process;
mod project;
mod python;
mod services;
mod steps;
mod test;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use project::Project;
use steps::Steps;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own chores", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is needed and run every test, or one part of them
    Test(TestArgs),
    /// Format the Rust code (with --check: only look)
    Fmt {
        /// Change nothing; fail if something is not formatted
        #[arg(long)]
        check: bool,
    },
    /// Run clippy over the workspace and the fuzz targets, warnings denied
    Lint,
    /// Make or refresh the Python environments, and print where each one is
    Env {
        /// Only these (the names of the requirements files), else all
        names: Vec<String>,
    },
    /// Install, start, stop and list the servers that tests stand on: PostgreSQL, object stores …
    Services {
        #[command(subcommand)]
        action: services::Action,
    },
    /// Run the benchmarks in the release profile
    Bench {
        /// Passed to the benchmark program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Fuzz one target or all, each for a bounded time
    Fuzz {
        /// A target of fuzz/Cargo.toml, else all
        target: Option<String>,
        /// How long each target runs
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
}

#[derive(Args)]
struct TestArgs {
    /// Which part to run, else everything
    part: Option<Part>,
    /// Passed to the part's test runner: nextest, pytest or node
    #[arg(last = true, requires = "part")]
    args: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Part {
    /// The Rust tests
    Rust,
    /// The unmodified Python clients against the binary
    Compat,
    /// The user interface in Chromium
    Browser,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let project = Project::find()?;
    let mut steps = Steps::new(project.ci);
    match command {
        Command::Test(TestArgs { part: None, .. }) => test::everything(&project, &mut steps),
        Command::Test(TestArgs { part: Some(part), args }) => {
            test::part(&project, &mut steps, part, &args);
        }
        Command::Fmt { check } => test::fmt(&project, &mut steps, check),
        Command::Lint => test::lint(&project, &mut steps),
        Command::Env { names } => {
            let environments = python::make(&project, &names)?;
            for environment in environments {
                println!("{}={}", environment.variable(), environment.python().display());
            }
            return Ok(ExitCode::SUCCESS);
        }
        Command::Services { action } => return services::act(&project, action),
        Command::Bench { args } => test::bench(&project, &mut steps, &args)?,
        Command::Fuzz { target, seconds } => {
            fuzz::run(&project, &mut steps, target.as_deref(), seconds)?;
        }
    }
    Ok(steps.finish())
}
