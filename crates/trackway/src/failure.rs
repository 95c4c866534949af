//! What went wrong, as a person reads it, and the exit code that scripts see.

use std::process::ExitCode;

use crate::terminal::interrupt;

/// Exit codes follow the commands that are replaced: click, under `mlflow`, has 2 for a command line that is wrong and 1 for the
/// rest; `dvc` has those of `DvcFailure`.
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
    /// A command of DVC that failed, with DVC's exit code.
    Dvc { message: String, code: u8 },
    /// Whoever reads standard output has seen enough. Nobody is to blame, and nothing is said.
    ClosedPipe,
}

/// The exit codes of DVC 3.67.
pub mod code {
    /// The command itself says what it failed to do.
    pub const FAILED: u8 = 1;
    pub const CLOSED_PIPE: u8 = 141;
    pub const CONFIG: u8 = 251;
    pub const NOT_A_REPOSITORY: u8 = 253;
    pub const ARGUMENTS: u8 = 254;
    /// The command let its error through.
    pub const UNCAUGHT: u8 = 255;
}

impl Failure {
    /// An error that the command names itself: exit code 1.
    pub fn failed(message: impl Into<String>) -> Failure {
        Failure::Dvc { message: message.into(), code: code::FAILED }
    }

    /// An error that stock lets through to its top: exit code 255.
    pub fn uncaught(message: impl Into<String>) -> Failure {
        Failure::Dvc { message: message.into(), code: code::UNCAUGHT }
    }

    /// What stock did not foresee, such as a full disk: exit code 255. Stock then points to DVC's own support, which we do not.
    pub fn unexpected(message: impl std::fmt::Display) -> Failure {
        Failure::uncaught(format!("unexpected error - {message}"))
    }

    /// A configuration that is wrong: exit code 251. `message` does not repeat where it was found to be.
    pub fn config(message: impl std::fmt::Display) -> Failure {
        Failure::Dvc { message: format!("configuration error - {message}"), code: code::CONFIG }
    }

    pub fn interrupted() -> Failure {
        Failure::Dvc { message: "interrupted by the user".to_owned(), code: interrupt::EXIT_CODE }
    }

    /// A command of DVC that is not built yet; half of it would be worse than none.
    pub fn dvc_not_built(command: &str) -> Failure {
        let version = env!("CARGO_PKG_VERSION");
        Failure::uncaught(format!(
            "`{command}` is not built yet in Trackway {version}. Nothing was changed. Use DVC's own `dvc` for it."
        ))
    }

    /// The same failure, told as stock tells what a command caught: `message - cause`, with exit code 1. Failures that end every
    /// command alike stay as they are.
    pub fn caught(self, message: &str) -> Failure {
        match self {
            Failure::Dvc { message: cause, code: code::UNCAUGHT } if !cause.starts_with("unexpected error - ") => {
                let dash = if message.is_empty() { "" } else { " - " };
                Failure::Dvc { message: format!("{message}{dash}{cause}"), code: code::FAILED }
            }
            other => other,
        }
    }

    /// Prints it; `quiet` is DVC's `-q`, under which its errors are silent too.
    pub fn report(self, word: &str, quiet: bool) -> ExitCode {
        let (message, code) = match self {
            Failure::Arguments(error) => {
                // Help goes to stdout with code 0. A closed pipe behind it is nobody's error.
                let _ = error.print();
                return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
            }
            Failure::ClosedPipe => return ExitCode::from(code::CLOSED_PIPE),
            Failure::Usage(message) => (message, 2),
            Failure::Failed(message) | Failure::NotBuilt(message) => (message, 1),
            Failure::Dvc { message, code } => {
                if quiet {
                    return ExitCode::from(code);
                }
                (message, code)
            }
        };
        use std::io::Write;
        // Nobody can be told that stderr is closed.
        let _ = writeln!(std::io::stderr(), "{word}: {message}");
        ExitCode::from(code)
    }
}

/// An error of the system as Python shows it, for what stock lets through to its top.
pub fn as_python(error: &std::io::Error, path: &std::path::Path) -> String {
    match error.raw_os_error() {
        Some(number) => {
            let text = error.to_string();
            let reason = text.strip_suffix(&format!(" (os error {number})")).unwrap_or(&text);
            format!("[Errno {number}] {reason}: '{}'", path.display())
        }
        None => error.to_string(),
    }
}
