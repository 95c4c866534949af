//! What can go wrong with artifacts, in the words of MLflow where clients know them.

use trackway_remote as remote;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    // These five say what MLflow 3.17 says.
    #[error("Invalid path")]
    InvalidPath,
    #[error(
        "Invalid artifact path: '{given}'. Names may be treated as files in certain cases, and must not resolve to other names when treated as such. This name would resolve to '{plain}'"
    )]
    NotPlain { given: String, plain: String },
    #[error("Invalid artifact file name: '{name}'. Artifact names starting with '.artifact.uploading.' are reserved.")]
    ReservedName { name: String },
    #[error("No such artifact: '{path}'")]
    NotFound { path: String },
    #[error("Artifact path refers to a directory, not a file: '{path}'")]
    IsADirectory { path: String },

    #[error("Artifact path must include a filename (cannot end with '/').")]
    NoFileName,
    #[error("The artifact '{path}' cannot be stored: a part of its path is a file.")]
    BelowAFile { path: String },
    /// The URI is none that this server may read.
    #[error("The artifacts at '{uri}' cannot be served: {reason}.")]
    NotServed { uri: String, reason: &'static str },
    /// The URI is sound, but there is no way to it from here.
    #[error("The artifacts at '{uri}' cannot be served: {reason}.")]
    NotReachable { uri: String, reason: &'static str },
    /// A purge leaves them alone.
    #[error("The artifacts at '{uri}' are not deleted: {reason}.")]
    NotPurged { uri: String, reason: String },
    #[error(
        "There is no folder '{location}'. Name the one where the server keeps artifacts with --artifacts-destination."
    )]
    NoDestination { location: String },
    #[error("{0}")]
    Unsupported(String),
    #[error("The artifact '{path}' was not stored: {reason}.")]
    Incomplete { path: String, reason: String },
    #[error("The artifact '{path}' was not stored: there is no room left where the artifacts lie.")]
    NoSpace { path: String },
    #[error("There is no multipart upload of this id to '{path}': it was completed, aborted or never begun.")]
    NoSuchUpload { path: String },
    /// The store says no to this server, whoever asks it.
    #[error(
        "The artifact store does not let this server do that: {0}. Whoever runs the server can give its credentials the right."
    )]
    Refused(remote::Error),
    /// Worth trying again.
    #[error("The artifact store does not answer now: {0}. Try again in a moment.")]
    Unreachable(remote::Error),
    #[error("The artifact store failed: {0}.")]
    Store(remote::Error),
}

impl Error {
    /// `shown` is the path as the client knows it.
    pub(crate) fn from_remote(error: remote::Error, shown: impl FnOnce() -> String) -> Error {
        match error {
            remote::Error::NotFound { .. } => Error::NotFound { path: shown() },
            remote::Error::IsADirectory { .. } => Error::IsADirectory { path: shown() },
            remote::Error::NotADirectory { .. } => Error::BelowAFile { path: shown() },
            remote::Error::InvalidPath { .. } => Error::InvalidPath,
            remote::Error::NoSpace { .. } => Error::NoSpace { path: shown() },
            remote::Error::Incomplete { reason, .. } => Error::Incomplete { path: shown(), reason },
            remote::Error::NoSuchUpload { .. } => Error::NoSuchUpload { path: shown() },
            error @ remote::Error::Refused { .. } => Error::Refused(error),
            error @ remote::Error::Unreachable { .. } => Error::Unreachable(error),
            error @ remote::Error::Unsupported { .. } => Error::Unsupported(error.to_string()),
            error => Error::Store(error),
        }
    }
}
