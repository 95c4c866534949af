//! What can go wrong with objects, trees and the work tree.

use std::path::{Path, PathBuf};

use crate::Oid;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("{doing} '{}' failed: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },

    #[error("'{text}' is not an object's name: 32 hexadecimal digits, and '.dir' for a directory")]
    InvalidOid { text: String },

    /// A `.dir` object that is broken or hostile. `place` is the entry ("entry 3, 'a/../b'").
    #[error("the directory object {object} is refused: {place}: {reason}")]
    InvalidTree { object: String, place: String, reason: String },

    #[error("the object {oid} is not in the cache: there is no '{}'", path.display())]
    Missing { oid: Oid, path: PathBuf },

    /// The bytes of an object are not those it is named after. It is left where it is.
    #[error(
        "the object {oid} is corrupted: the content of '{}' has the hash {actual}; run 'trackway fsck --repair', or \
         delete it and fetch it again",
        path.display()
    )]
    Corrupt { oid: Oid, path: PathBuf, actual: Oid },

    #[error("'{}' changed while it was read; add it again when nothing writes to it", path.display())]
    Changed { path: PathBuf },

    /// As DVC 3.67 says it (exit code 255).
    #[error(".dvcignore file should not be in collected dir path: '{}'", dir.display())]
    IgnoreFileInside { dir: PathBuf },

    #[error("'{}' is neither a file nor a directory", path.display())]
    NotFileOrDir { path: PathBuf },

    /// Every configured link type failed, or one failed with an error that another type would not mend.
    #[error("no link type of the cache works for '{}': {source}", path.display())]
    Unlinkable { path: PathBuf, source: std::io::Error },

    /// A path that would leave the output, or that leads through a symbolic link.
    #[error("'{}' is refused: {reason}", path.display())]
    Escapes { path: PathBuf, reason: &'static str },

    /// Both sides of a merge of two trees changed these, or one did what is not allowed.
    #[error("{message}")]
    Merge { message: String },

    #[error("the cache '{}' is read-only", root.display())]
    ReadOnly { root: PathBuf },

    #[error(transparent)]
    Remote(#[from] trackway_remote::Error),

    #[error("cancelled")]
    Cancelled,
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: impl AsRef<Path>, source: impl Into<std::io::Error>) -> Error {
        Error::Io { doing, path: path.as_ref().to_owned(), source: source.into() }
    }

    /// What is wrong with a remote as a whole, and not with one object: its answer to all others would be the same.
    pub fn is_of_the_whole_remote(&self) -> bool {
        use trackway_remote::Error as Remote;
        matches!(
            self,
            Error::Remote(
                Remote::Refused { .. }
                    | Remote::NoCredentials { .. }
                    | Remote::NoBucket { .. }
                    | Remote::NoSpace { .. }
            )
        )
    }

    /// The kind of the system's error behind this one, if that is what it is.
    pub fn io_kind(&self) -> Option<std::io::ErrorKind> {
        match self {
            Error::Io { source, .. } | Error::Unlinkable { source, .. } => Some(source.kind()),
            _ => None,
        }
    }

    /// The system's error number, for the texts that DVC prints with it.
    pub fn os_error(&self) -> Option<i32> {
        match self {
            Error::Io { source, .. } | Error::Unlinkable { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}
