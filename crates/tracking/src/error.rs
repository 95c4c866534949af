//! What can go wrong in the store, in as many kinds as callers act on differently.

/// An error of the tracking store. Every message is a full sentence that names the thing concerned.
#[derive(Debug, Clone, thiserror::Error, PartialEq)]
pub enum Error {
    /// The request itself is wrong: a bad value, an over-long key, a malformed filter.
    #[error("{0}")]
    Invalid(String),
    /// The named thing does not exist.
    #[error("{0}")]
    NotFound(String),
    /// A thing of that name exists already.
    #[error("{0}")]
    AlreadyExists(String),
    /// The request contradicts what is stored, in the cases that MLflow calls a bad request.
    #[error("{0}")]
    BadRequest(String),
    /// The thing exists but its state forbids the operation.
    #[error("{0}")]
    InvalidState(String),
    /// The write queue is full or another process holds the database; try again soon.
    #[error("{0}")]
    Busy(String),
    /// The disk is full. Nothing of the request was stored.
    #[error("{0}")]
    StorageFull(String),
    /// The database failed in a way that the caller cannot mend.
    #[error("{0}")]
    Storage(String),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn invalid(message: impl Into<String>) -> Error {
        Error::Invalid(message.into())
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Error {
        Error::NotFound(message.into())
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, SystemIoFailure};
        match error.sqlite_error_code() {
            Some(DiskFull) => Error::StorageFull(format!(
                "The disk that holds the tracking database is full ({error}). Nothing of this request was stored; free some space and send it again."
            )),
            // A write that fails for want of room can surface as an I/O error of the write-ahead log.
            Some(SystemIoFailure) => Error::StorageFull(format!(
                "The tracking database could not be written ({error}). Nothing of this request was stored; check the disk and send it again."
            )),
            Some(DatabaseBusy | DatabaseLocked) => Error::Busy(format!(
                "Another process holds the tracking database ({error}). Send the request again in a moment."
            )),
            _ => Error::Storage(format!("The tracking database reports: {error}.")),
        }
    }
}

impl From<crate::filter::FilterError> for Error {
    fn from(error: crate::filter::FilterError) -> Error {
        Error::Invalid(error.to_string())
    }
}
