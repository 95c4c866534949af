//! What each remote file system can do, in its smallest pieces.
//!
//! Paths are absolute in the store, the remote's folder included, separated by `/` and not percent-encoded.
//! What can be asked again without harm, a service asks again itself when its connection broke.

use std::ops::Range;
use std::pin::Pin;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::Stream;

use crate::fault::Fault;
use crate::hdfs::Hdfs;
use crate::ssh::Ssh;
use crate::webdav::WebDav;
use crate::webhdfs::WebHdfs;

pub(crate) enum Service {
    Ssh(Ssh),
    WebDav(Box<WebDav>),
    Hdfs(Hdfs),
    WebHdfs(Box<WebHdfs>),
}

/// The bytes of a file, in pieces, that end with a fault if they are not all.
pub(crate) type Body<'a> = Pin<Box<dyn Stream<Item = Result<Bytes, Fault>> + Send + 'a>>;

/// What a file system says of a file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub size: u64,
    pub is_dir: bool,
    pub modified: Option<SystemTime>,
    /// Without quotes, where the store has such a thing.
    pub etag: Option<String>,
}

impl Meta {
    /// What tells this content from another at the same place, as far as the store lets it be told.
    pub fn version(&self) -> String {
        match (&self.etag, self.modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok())) {
            (Some(etag), _) => etag.clone(),
            (None, Some(at)) => format!("{:x}.{:x}-{:x}", at.as_secs(), at.subsec_nanos(), self.size),
            (None, None) => format!("{:x}", self.size),
        }
    }
}

/// The same call of whichever store it is.
macro_rules! each {
    ($self:expr, $store:ident => $call:expr) => {
        match $self {
            Service::Ssh($store) => $call,
            Service::Hdfs($store) => $call,
            Service::WebHdfs($store) => $call,
            Service::WebDav($store) => $call,
        }
    };
}

impl Service {
    /// Whether `write` itself is sure that what was sent is in the file; else its length is asked for.
    pub fn checks_lengths(&self) -> bool {
        matches!(self, Service::Ssh(_) | Service::WebDav(_))
    }

    /// Whether `rename` says by itself what is wrong with the place, so that a small file needs no look before
    /// and none behind it: where each look is a request as long as the file's own.
    pub fn is_told_by_renaming(&self) -> bool {
        matches!(self, Service::WebDav(_))
    }

    /// Whether the store can have something of this path at all: HDFS has no names with a colon.
    pub fn allows(&self, path: &str) -> bool {
        !(matches!(self, Service::Hdfs(_) | Service::WebHdfs(_)) && path.contains(':'))
    }

    /// Links are followed. `None` if nothing is there, also where a part of the path is a file.
    pub async fn stat(&self, path: &str) -> Result<Option<Meta>, Fault> {
        each!(self, store => store.stat(path).await)
    }

    /// What lies directly in a folder, in any order. [`Fault::Missing`] if there is no such folder.
    pub async fn list(&self, dir: &str) -> Result<Vec<(String, Meta)>, Fault> {
        each!(self, store => store.list(dir).await)
    }

    /// A range that lies within the file, of the version that `meta` speaks of: [`Fault::Changed`] if another is
    /// there. A stream that breaks off with [`Fault::Unreachable`] is taken up by the caller where it stopped.
    pub async fn read(&self, path: &str, range: Range<u64>, meta: &Meta) -> Result<Body<'static>, Fault> {
        each!(self, store => store.read(path, range, meta).await)
    }

    /// The store's own checksum of a whole file, where DVC goes by it.
    pub async fn checksum(&self, path: &str) -> Result<Option<String>, Fault> {
        match self {
            Service::Hdfs(store) => store.checksum(path).await.map(Some),
            Service::WebHdfs(store) => store.checksum(path).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Writes a new file, whose folder is there. A fault of the body ends it and is given back. If there is no
    /// such folder, [`Fault::Missing`], if it can be before anything is taken from the body.
    pub async fn write(&self, path: &str, body: Body<'_>, length: Option<u64>) -> Result<(), Fault> {
        each!(self, store => store.write(path, body, length).await)
    }

    /// Moves a file and replaces the file that is there, in one step. [`Fault::Missing`] if there is no such
    /// file, or no such folder to move it to.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        each!(self, store => store.rename(from, to).await)
    }

    /// Moves a file to where nothing is: of many that do so, one succeeds. Else [`Fault::Taken`].
    pub async fn rename_new(&self, from: &str, to: &str) -> Result<(), Fault> {
        each!(self, store => store.rename_new(from, to).await)
    }

    /// [`Fault::Taken`] if something is there, [`Fault::Missing`] if the folder above is not.
    pub async fn make_dir(&self, path: &str) -> Result<(), Fault> {
        each!(self, store => store.make_dir(path).await)
    }

    /// Deletes a file, never a folder.
    pub async fn delete_file(&self, path: &str) -> Result<(), Fault> {
        each!(self, store => store.delete_file(path).await)
    }

    /// Deletes an empty folder. [`Fault::Taken`] if something is in it.
    pub async fn delete_dir(&self, path: &str) -> Result<(), Fault> {
        each!(self, store => store.delete_dir(path).await)
    }

    /// Deletes a folder with all that is in it. What a link leads to is not in it.
    pub async fn delete_tree(&self, path: &str) -> Result<(), Fault> {
        each!(self, store => store.delete_tree(path).await)
    }
}
