//! A remote file system as a remote: what all of them have in common, written once over [`Service`].
//!
//! Folders are real here, and a file is stored as any careful program does it: under a temporary name first,
//! which is renamed when all of it is there. Each system has a folder with its own protocol: `ssh/`, ….

mod list;
mod read;
mod remove;
mod service;
mod write;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::multipart::Capabilities;
use crate::path::RelPath;
use crate::{Object, Stat};

pub(crate) use read::{FilesObject, FilesStream};
pub(crate) use service::{Body, Meta, Service};

#[derive(Clone)]
pub(crate) struct Files(Arc<Inner>);

pub(crate) struct Inner {
    service: Service,
    /// As a person names it, for errors; without anything secret.
    location: String,
    /// The remote's folder in the store, without a slash at its end: empty for `/`.
    root: String,
    /// How often is tried in all what is worth trying again.
    attempts: u32,
    /// Folders that were there when we last looked, with the root.
    known: Mutex<HashSet<String>>,
    /// Of temporary files whose bodies were given up.
    removals: Mutex<JoinSet<()>>,
}

impl Files {
    /// `root` is the remote's folder, absolute in the store.
    pub fn new(service: Service, location: String, root: &str, attempts: u32) -> Files {
        let root = root.trim_end_matches('/').to_owned();
        Files(Arc::new(Inner {
            service,
            location,
            root,
            attempts: attempts.max(1),
            known: Mutex::default(),
            removals: Mutex::default(),
        }))
    }

    pub fn capabilities(&self) -> Capabilities {
        Capabilities { multipart: false, signed_urls: false, listing: crate::Listing::Folders }
    }

    pub async fn get(&self, path: &RelPath) -> Result<Object> {
        let files = &self.0;
        let meta = match files.look(path).await? {
            Some(meta) if meta.is_dir => return Err(Error::IsADirectory { path: path.to_string() }),
            Some(meta) => meta,
            None => return Err(files.missing(path).await),
        };
        Ok(Object {
            stat: stat(&meta),
            source: crate::Source::Files(FilesObject::new(Arc::clone(files), path.clone(), meta)),
        })
    }

    pub async fn stat(&self, path: &RelPath) -> Result<Stat> {
        match self.0.look(path).await? {
            Some(meta) => Ok(stat(&meta)),
            // Made when something is stored; until then it is empty.
            None if path.is_root() => Ok(Stat { is_dir: true, ..Stat::default() }),
            None => Err(Error::NotFound { path: path.to_string() }),
        }
    }
}

impl Files {
    pub async fn checksum(&self, path: &RelPath) -> Result<Option<String>> {
        let files = &self.0;
        files.service.checksum(&files.place(path)).await.map_err(|fault| files.error(fault, path))
    }
}

impl Inner {
    /// Where a key lies in the store.
    fn place(&self, path: &RelPath) -> String {
        match (path.is_root(), self.root.is_empty()) {
            (true, true) => "/".to_owned(),
            (true, false) => self.root.clone(),
            (false, _) => format!("{}/{path}", self.root),
        }
    }

    fn error(&self, fault: Fault, path: &RelPath) -> Error {
        fault.into_error(&self.location, path.as_str())
    }

    async fn look(&self, path: &RelPath) -> Result<Option<Meta>> {
        if !self.service.allows(path.as_str()) {
            return Ok(None);
        }
        self.service.stat(&self.place(path)).await.map_err(|fault| self.error(fault, path))
    }

    /// Why there is nothing at `path`: perhaps a part of it is a file.
    async fn missing(&self, path: &RelPath) -> Error {
        let mut above = path.parent();
        while !above.is_root() {
            match self.look(&above).await {
                Ok(Some(meta)) if !meta.is_dir => return Error::NotADirectory { path: path.to_string() },
                Ok(None) => above = above.parent(),
                _ => break,
            }
        }
        Error::NotFound { path: path.to_string() }
    }

    fn known(&self) -> MutexGuard<'_, HashSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refuse_root(path: &RelPath) -> Result<()> {
    if path.is_root() {
        return Err(Error::InvalidPath { path: String::new(), reason: "the root itself cannot be written or deleted" });
    }
    Ok(())
}

fn stat(meta: &Meta) -> Stat {
    if meta.is_dir {
        return Stat { is_dir: true, modified: meta.modified, ..Stat::default() };
    }
    Stat { size: meta.size, modified: meta.modified, etag: Some(meta.version()), ..Stat::default() }
}

/// Whether a file is one of ours that is still being written, or whose writer has died.
fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY) && name.ends_with(".tmp")
}

const TEMPORARY: &str = ".trackway-";
