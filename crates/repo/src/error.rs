//! What can go wrong with a repository. Where stock DVC has a message, it is DVC's.

use std::path::{Path, PathBuf};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A variant of its own has what a caller treats in its own way: by its exit code, by a hint, or by another message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not inside of a repository (exit code 253).
    #[error("{0}")]
    NotARepository(String),
    /// The configuration is wrong, or a remote is missing from it.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error(transparent)]
    Settings(#[from] crate::config::SettingsError),
    /// The repository must have git around it, and has none. No command catches that.
    #[error("{} is not a git repository", .0.display())]
    NoGit(PathBuf),
    /// Another command holds the repository's lock.
    #[error(transparent)]
    Lock(#[from] crate::lock::LockError),
    /// Another command works on the same paths.
    #[error(transparent)]
    RwLock(#[from] crate::rwlock::RwLockError),
    /// The person interrupted (252).
    #[error("interrupted by the user")]
    Interrupted,
    /// A `.dvc` or `dvc.yaml` that a target named, or that the repository holds, is missing.
    #[error("'{file}' {why}")]
    NoDvcFile { file: String, why: &'static str },
    /// A file of another name was given where a `.dvc` or `dvc.yaml` was needed.
    #[error("{0}")]
    BadDvcFileName(String),
    /// A stage that its file does not have.
    #[error("Stage '{name}' not found inside '{file}' file")]
    NoStage { file: String, name: String },
    #[error("Unable to find DVC file with output {}", trackway_ini::repr(.0))]
    NoOutput(String),
    #[error("'{target}' does not exist as an output or a stage name in '{file}': {cause}")]
    NoOutputOrStage { target: String, file: String, cause: Box<Error> },
    /// What an output or a dependency names is not there.
    #[error("{0}")]
    Missing(String),
    /// Two outputs of one path. `stages` are all of them, by their address.
    #[error("{}", duplicated(output, stages))]
    DuplicateOutput { output: String, stages: Vec<String> },
    /// An output inside of another.
    #[error("{message}")]
    Overlap { parent: Box<OverlappingOutput>, child: Box<OverlappingOutput>, message: String },
    /// A YAML file that cannot be understood; the message has the place.
    #[error("{0}")]
    Invalid(String),
    /// Objects that the cache has not, or has wrong: these targets could not be checked out.
    #[error("Checkout failed for following targets:\n{}\nIs your cache up to date?\n<https://error.dvc.org/missing-files>", .0.join("\n"))]
    Checkout(Vec<String>),
    /// No configured link type could be made at these paths.
    #[error("No possible cache link types for '{}'. See <https://dvc.org/doc/user-guide/troubleshooting#cache-types> for more information.", .0.join(", "))]
    CacheLink(Vec<String>),
    /// What stock DVC does not foresee, in its words: no command catches it.
    #[error("{0}")]
    Unexpected(String),
    /// Another repository that could not be fetched.
    #[error("{0}")]
    Clone(String),
    /// Whatever else stock DVC refuses, in its words.
    #[error("{0}")]
    Dvc(String),
    /// An error that another led to: DVC prints both, the outer first.
    #[error("{outer}: {cause}")]
    Caused { outer: String, cause: Box<Error> },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    GitIgnore(#[from] crate::gitignore::GitIgnoreError),
    #[error(transparent)]
    DvcIgnore(#[from] crate::ignore::IgnoreError),
    #[error(transparent)]
    Links(#[from] crate::links::LinksError),
    #[error(transparent)]
    Store(#[from] trackway_store::Error),
    #[error(transparent)]
    DvcFile(#[from] trackway_dvcfile::Error),
    #[error(transparent)]
    Git(#[from] trackway_git::Error),
}

/// One side of an overlap.
#[derive(Clone, Debug)]
pub struct OverlappingOutput {
    pub output: String,
    pub path: PathBuf,
    pub stage: String,
}

impl Error {
    pub fn dvc(message: impl Into<String>) -> Error {
        Error::Dvc(message.into())
    }

    /// What stock DVC did not foresee, and no command of it catches; in its words.
    pub fn unforeseen(message: impl Into<String>) -> Error {
        Error::Io { path: PathBuf::new(), source: std::io::Error::other(message.into()) }
    }

    pub fn io(path: &Path, source: std::io::Error) -> Error {
        Error::Io { path: path.to_owned(), source }
    }

    /// As DVC shows an error and what led to it.
    pub fn caused(outer: impl Into<String>, cause: Error) -> Error {
        Error::Caused { outer: outer.into(), cause: Box::new(cause) }
    }
}

fn duplicated(output: &str, stages: &[String]) -> String {
    match stages {
        [stage] => format!(
            "output '{output}' is already specified in stage: '{stage}'.\nUse `dvc remove {stage}` to stop tracking the overlapping output."
        ),
        _ => {
            let names: Vec<_> = stages.iter().map(|stage| format!("\t- {stage}")).collect();
            format!(
                "output '{output}' is specified in:\n{}\nUse `dvc remove` with any of the above targets to stop tracking the overlapping output.",
                names.join("\n")
            )
        }
    }
}
