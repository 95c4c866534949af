//! What went wrong, as a person reads it, and the exit code that scripts see.

use std::process::ExitCode;

use trackway_repo::Error;
use trackway_repo::config::ConfigError;

use crate::commands::dvc::context::Style;
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
    /// What the repository could not do.
    Repo(Box<Error>),
    /// Several lines that stand for themselves: what is wrong with a YAML file, and where.
    Lines { text: String, code: u8 },
    /// Whoever reads standard output has seen enough. Nobody is to blame, and nothing is said.
    ClosedPipe,
}

/// The exit codes of DVC 3.67.
pub mod code {
    /// The command itself says what it failed to do.
    pub const FAILED: u8 = 1;
    pub const CLOSED_PIPE: u8 = 141;
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
            Failure::Repo(error) if is_of_dvc(&error) => {
                if let Some(text) = lines(&error) {
                    return Failure::Lines { text, code: code::FAILED };
                }
                let dash = if message.is_empty() { "" } else { " - " };
                Failure::failed(format!("{message}{dash}{error}"))
            }
            other => other,
        }
    }

    /// Whether the command told it as its own: others of its targets may still be done.
    pub fn is_caught(&self) -> bool {
        matches!(self, Failure::Dvc { code: code::FAILED, .. } | Failure::Lines { code: code::FAILED, .. })
    }

    /// Whether there is no repository around the current folder.
    pub fn is_outside_a_repository(&self) -> bool {
        matches!(self, Failure::Repo(error) if matches!(**error, Error::NotARepository(_)))
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
            Failure::Repo(error) => {
                if let Some(text) = lines(&error) {
                    return Failure::Lines { text, code: code::UNCAUGHT }.report(word, quiet);
                }
                // Under DVC's names nothing is said that stock does not say.
                let nearest = match &*error {
                    Error::Config(ConfigError::Invalid { nearest, .. }) if word == Style::Trackway.error_word() => {
                        nearest.clone()
                    }
                    _ => None,
                };
                let (message, code) = of_repo(*error);
                let code = Failure::Dvc { message, code }.report(word, quiet);
                if let Some(nearest) = nearest.filter(|_| !quiet) {
                    eprintln!("Did you mean '{nearest}'?");
                }
                return code;
            }
            Failure::Usage(message) => (message, 2),
            Failure::Failed(message) | Failure::NotBuilt(message) => (message, 1),
            Failure::Lines { text, code } => {
                if !quiet {
                    eprint!("{text}");
                }
                return ExitCode::from(code);
            }
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

/// What stock shows in the place of an error's line, if it does.
fn lines(error: &Error) -> Option<String> {
    match error {
        Error::DvcFile(error) => error.report(crate::terminal::width()),
        _ => None,
    }
}

/// Whether stock has this for an error of its own. The rest it did not foresee, and no command of it catches that.
fn is_of_dvc(error: &Error) -> bool {
    match error {
        Error::Io { .. }
        | Error::Interrupted
        | Error::DvcIgnore(_)
        | Error::NoGit(_)
        | Error::Unexpected(_)
        | Error::Config(ConfigError::Unexpected(_)) => false,
        Error::Store(error) => !matches!(
            error,
            trackway_store::Error::Io { .. }
                | trackway_store::Error::Remote(_)
                | trackway_store::Error::Cancelled
                | trackway_store::Error::IgnoreFileInside { .. }
        ),
        Error::Caused { cause, .. } => is_of_dvc(cause),
        _ => true,
    }
}

/// The message and the exit code of what no command caught.
fn of_repo(error: Error) -> (String, u8) {
    match error {
        Error::NotARepository(message) => (message, code::NOT_A_REPOSITORY),
        Error::Config(error) => (error.report(), error.exit_code()),
        Error::Interrupted | Error::Store(trackway_store::Error::Cancelled) => {
            ("interrupted by the user".to_owned(), interrupt::EXIT_CODE)
        }
        Error::Io { path, source } => (format!("unexpected error - {}", as_python(&source, &path)), code::UNCAUGHT),
        Error::Store(trackway_store::Error::Io { path, source, .. }) => {
            (format!("unexpected error - {}", as_python(&source, &path)), code::UNCAUGHT)
        }
        Error::Unexpected(message) => (format!("unexpected error - {message}"), code::UNCAUGHT),
        error => (error.to_string(), code::UNCAUGHT),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Repo(Box::new(error))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::from(Error::Config(error))
    }
}
