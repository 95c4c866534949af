//! What can go wrong in a remote: variants only where a caller acts differently.

use std::io;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("nothing is stored at '{path}'")]
    NotFound { path: String },
    #[error("'{path}' is a directory, and a file is needed here")]
    IsADirectory { path: String },
    #[error("a part of '{path}' is a file, so nothing can lie below it")]
    NotADirectory { path: String },
    #[error("something is stored at '{path}' already")]
    AlreadyExists { path: String },
    /// The key itself is refused, or it leads out of the remote (through a symbolic link).
    #[error("the path '{path}' is refused: {reason}")]
    InvalidPath { path: String, reason: &'static str },
    /// The location a remote should be opened at makes no sense.
    #[error("the location '{location}' cannot be opened: {reason}")]
    InvalidLocation { location: String, reason: String },
    #[error("there is no room left to write '{path}': free some space and try again")]
    NoSpace { path: String },
    /// This kind of remote has no such operation.
    #[error("{what} is not supported by {kind}")]
    Unsupported { what: &'static str, kind: &'static str },
    /// The body of an upload broke off, or was not as long as announced. Nothing was stored.
    #[error("the upload to '{path}' was not complete, nothing was stored: {reason}")]
    Incomplete { path: String, reason: String },
    /// What was being read was replaced or deleted meanwhile.
    #[error("'{path}' was replaced while it was read: read it again")]
    Changed { path: String },
    /// What arrived is not what the store's own checksum says.
    #[error("'{path}' arrived damaged: {reason}")]
    Damaged { path: String, reason: String },
    #[error("the multipart upload to '{path}' is not known: it was completed, aborted or never begun")]
    NoSuchUpload { path: String },
    #[error("there is no bucket for '{location}': create it, or correct its name")]
    NoBucket { location: String },
    #[error("access to '{location}' was refused: {reason}")]
    Refused { location: String, reason: String },
    #[error("no usable credentials for '{location}' were found: {reason}")]
    NoCredentials { location: String, reason: String },
    /// Worth trying again later.
    #[error("'{location}' cannot be reached: {reason}")]
    Unreachable { location: String, reason: String },
    #[error("the store at '{location}' failed: {reason}")]
    Store { location: String, reason: String },
    #[error("{doing} failed: {source}")]
    Io { doing: String, source: io::Error },
}

impl Error {
    /// Sorts an error of the file system by what the caller can do about it.
    pub(crate) fn from_errno(errno: rustix::io::Errno, doing: &str, path: &str) -> Error {
        use rustix::io::Errno;
        let path = path.to_owned();
        match errno {
            Errno::NOENT => Error::NotFound { path },
            Errno::NOTDIR => Error::NotADirectory { path },
            Errno::ISDIR => Error::IsADirectory { path },
            Errno::EXIST => Error::AlreadyExists { path },
            Errno::NOSPC | Errno::DQUOT => Error::NoSpace { path },
            Errno::NAMETOOLONG => Error::InvalidPath { path, reason: "it is longer than the file system allows" },
            Errno::LOOP => Error::InvalidPath { path, reason: "it leads through a symbolic link" },
            Errno::INVAL | Errno::ILSEQ => {
                Error::InvalidPath { path, reason: "the file system does not allow such a name" }
            }
            other => Error::Io { doing: format!("{doing} '{path}'"), source: other.into() },
        }
    }

    pub(crate) fn from_io(source: io::Error, doing: &str, path: &str) -> Error {
        match rustix::io::Errno::from_io_error(&source) {
            Some(rustix::io::Errno::INVAL) | None => Error::Io { doing: format!("{doing} '{path}'"), source },
            Some(errno) => Error::from_errno(errno, doing, path),
        }
    }
}
