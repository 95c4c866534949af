//! What went wrong, as a person reads it, and the exit code that scripts see.

use std::process::ExitCode;

/// Exit codes follow the commands that are replaced: click, under `mlflow`, has 2 for a command line that is wrong and 1 for the
/// rest; `dvc` has 255 for what it cannot do.
#[derive(Debug)]
pub enum Failure {
    /// The parser's own errors, and `--help` and `--version`, which it treats alike.
    Arguments(clap::Error),
    /// A flag or an environment variable says something that cannot be honoured.
    Usage(String),
    /// The command was understood and failed.
    Failed(String),
    /// A command of MLflow that is not built yet.
    NotBuilt(String),
    /// A command of DVC that is not built yet.
    DvcNotBuilt(String),
}

impl Failure {
    pub fn report(self) -> ExitCode {
        let (message, code) = match self {
            Failure::Arguments(error) => {
                // Help goes to stdout with code 0. A closed pipe behind it is nobody's error.
                let _ = error.print();
                return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
            }
            Failure::Usage(message) => (message, 2),
            Failure::Failed(message) | Failure::NotBuilt(message) => (message, 1),
            Failure::DvcNotBuilt(message) => (message, 255),
        };
        eprintln!("error: {message}");
        ExitCode::from(code)
    }
}
