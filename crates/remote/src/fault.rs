//! What a store answers when it does not do what it was asked for, and how that is told.

use crate::error::Error;
use crate::http::Failure;

/// Made by each store from its own codes; what the stores share adds where and to what it happened.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Nothing is stored under this key.
    Missing,
    /// A part of the path is a file.
    NotADirectory,
    /// Something is, and nothing should be.
    Taken,
    /// The same, but an attempt of our own before may have put it there.
    TakenOnRetry,
    /// What is stored is another version than the one asked for.
    Changed,
    /// The range begins behind the end.
    PastEnd,
    NoUpload,
    /// An upload cannot be completed from the parts that were named.
    WrongParts(String),
    NoBucket,
    /// The store knows us and says no, or does not know us.
    Refused(String),
    /// No usable credentials were found.
    NoCredentials(String),
    /// They were good until now.
    Expired(String),
    /// It did not come to an answer, or the store cannot give one now.
    Unreachable(String),
    Unsupported(&'static str),
    Other(String),
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Fault {
        Fault::Unreachable(failure.to_string())
    }
}

/// An answer that is an error, as it was received.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub status: u16,
    pub code: String,
    pub message: String,
}

impl Said {
    /// The fault that any store means by such a status, unless its code says more.
    pub fn fault(self) -> Fault {
        let told = self.told();
        match self.status {
            401 | 403 => Fault::Refused(told),
            404 => Fault::Missing,
            408 | 429 | 500..=599 => Fault::Unreachable(told),
            416 => Fault::PastEnd,
            _ => Fault::Other(told),
        }
    }

    /// The message as one line without control characters, and not endless: it is a stranger's text.
    pub fn line(&self) -> String {
        let line = self.message.lines().next().unwrap_or_default();
        let line: String = line.chars().filter(|character| !character.is_control()).take(200).collect();
        line.trim().trim_end_matches('.').to_owned()
    }

    pub fn told(&self) -> String {
        let message = self.line();
        match (self.code.is_empty(), message.is_empty()) {
            (true, true) => format!("it answered with the status {}", self.status),
            (true, false) => format!("it answered {message} (status {})", self.status),
            (false, true) => format!("it answered {} (status {})", self.code, self.status),
            (false, false) => format!("it answered {}: {message} (status {})", self.code, self.status),
        }
    }
}

impl Fault {
    /// `location` is the remote, `path` what was asked for below it.
    pub fn into_error(self, location: &str, path: &str) -> Error {
        let (location, path) = (location.to_owned(), path.to_owned());
        match self {
            Fault::Missing | Fault::PastEnd => Error::NotFound { path },
            Fault::NotADirectory => Error::NotADirectory { path },
            Fault::Taken | Fault::TakenOnRetry => Error::AlreadyExists { path },
            Fault::Changed => Error::Changed { path },
            Fault::NoUpload => Error::NoSuchUpload { path },
            Fault::WrongParts(reason) => Error::Incomplete { path, reason },
            Fault::NoBucket => Error::NoBucket { location },
            Fault::Refused(reason) => Error::Refused { location, reason },
            Fault::NoCredentials(reason) | Fault::Expired(reason) => Error::NoCredentials { location, reason },
            Fault::Unreachable(reason) => Error::Unreachable { location, reason },
            Fault::Unsupported(what) => Error::Unsupported { what, kind: "this store" },
            Fault::Other(reason) => Error::Store { location, reason },
        }
    }
}
