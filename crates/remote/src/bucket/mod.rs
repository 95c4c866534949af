//! An object store as a remote: what all stores have in common, written once over [`Service`].
//!
//! A bucket knows no directories. One exists here as long as a key lies below it, and stores that let a
//! key `a` and a key `a/b` exist side by side do so here too.

mod list;
mod multipart;
mod read;
mod remove;
mod service;
mod verify;
mod write;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::multipart::{Capabilities, Listing};
use crate::path::{RelPath, STAGING};
use crate::{Object, Stat};

pub(crate) use read::{BucketObject, BucketStream};
pub(crate) use service::{Ask, Got, Head, How, Listed, Page, Purpose, Sent, Service, Session, Stored, Sum};

#[derive(Clone)]
pub(crate) struct Bucket(Arc<Inner>);

pub(crate) struct Inner {
    service: Service,
    /// As a person names it, for errors; without anything secret.
    location: String,
    /// Empty, or ending with a slash.
    prefix: String,
    /// Whether the store honours conditions: found out at the first conditional write.
    conditions: OnceCell<bool>,
}

impl Bucket {
    pub fn new(service: Service, location: String, prefix: &str) -> Bucket {
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            trimmed => format!("{trimmed}/"),
        };
        Bucket(Arc::new(Inner { service, location, prefix, conditions: OnceCell::new() }))
    }

    pub fn capabilities(&self) -> Capabilities {
        // An upload in parts is of use only with URLs to send them to.
        let can_sign = self.0.service.can_sign();
        Capabilities { multipart: can_sign, signed_urls: can_sign, listing: Listing::Pages }
    }

    pub fn pushed_back(&self) -> u64 {
        self.0.service.client().pushed_back()
    }

    pub async fn get(&self, path: &RelPath) -> Result<Object> {
        read::get(&self.0, path, None).await
    }

    pub fn known(&self, path: &RelPath, stat: &Stat) -> Result<Object> {
        read::known(&self.0, path, stat)
    }

    pub async fn get_version(&self, path: &RelPath, version: &str) -> Result<Object> {
        read::get(&self.0, path, Some(version)).await
    }

    pub async fn stat_version(&self, path: &RelPath, version: &str) -> Result<Option<Stat>> {
        match self.0.service.head(&self.0.key(path)?, Some(version)).await {
            Ok(head) => Ok(Some(stat(&head))),
            Err(Fault::Missing) => Ok(None),
            Err(fault) => Err(self.0.error(fault, path)),
        }
    }

    pub async fn stat(&self, path: &RelPath) -> Result<Stat> {
        if path.is_root() {
            return Ok(directory());
        }
        match self.0.service.head(&self.0.key(path)?, None).await {
            Ok(head) => Ok(stat(&head)),
            Err(Fault::Missing) if self.0.is_dir(path).await? => Ok(directory()),
            Err(fault) => Err(self.0.error(fault, path)),
        }
    }

    pub async fn stat_file(&self, path: &RelPath) -> Result<Option<Stat>> {
        match self.0.service.head(&self.0.key(path)?, None).await {
            Ok(head) => Ok(Some(stat(&head))),
            Err(Fault::Missing) => Ok(None),
            Err(fault) => Err(self.0.error(fault, path)),
        }
    }
}

impl Inner {
    fn key(&self, path: &RelPath) -> Result<String> {
        let key = format!("{}{path}", self.prefix);
        match key.len() <= self.service.longest_key() {
            true => Ok(key),
            false => Err(Error::InvalidPath {
                path: path.to_string(),
                reason: "it is longer than the 1024 bytes that a key may have",
            }),
        }
    }

    /// What the keys below a directory begin with.
    fn dir_prefix(&self, path: &RelPath) -> String {
        match path.is_root() {
            true => self.prefix.clone(),
            false => format!("{}{path}/", self.prefix),
        }
    }

    fn error(&self, fault: Fault, path: &RelPath) -> Error {
        fault.into_error(&self.location, path.as_str())
    }

    /// Whether anything lies below `path`.
    async fn is_dir(&self, path: &RelPath) -> Result<bool> {
        let prefix = self.dir_prefix(path);
        let page = self.service.list(Ask { prefix: &prefix, level: false, after: None, most: 1 }).await;
        let page = page.map_err(|fault| self.error(fault, path))?;
        Ok(!page.files.is_empty())
    }

    /// Makes sure that the store does not ignore a condition: of two writes to one name "only if there is
    /// nothing", the second must fail. A store that takes both would let two creators believe they are
    /// alone, so it gets no conditional writes at all.
    async fn demand_conditions(&self, path: &RelPath) -> Result<()> {
        if !self.service.may_ignore_conditions() {
            return Ok(());
        }
        let honoured = self.conditions.get_or_try_init(|| async {
            let key = format!("{}{STAGING}/probe-{}", self.prefix, random_id());
            let how = How { if_absent: true, ..How::default() };
            let mut outcome = self.service.put(&key, bytes::Bytes::from_static(b"1"), how).await;
            if outcome.is_ok() {
                outcome = self.service.put(&key, bytes::Bytes::from_static(b"2"), how).await;
            }
            let honoured = match outcome {
                Ok(_) => Ok(false),
                Err(Fault::Taken) => Ok(true),
                // "Not implemented", but known.
                Err(Fault::Unsupported(_)) => Ok(false),
                Err(fault) => Err(self.error(fault, path)),
            };
            let _ = self.service.delete(&key).await;
            honoured
        });
        match honoured.await? {
            true => Ok(()),
            false => Err(Error::Unsupported {
                what: "a write that must not replace anything",
                kind: "this store: it ignores the condition (If-None-Match)",
            }),
        }
    }
}

fn refuse_root(path: &RelPath) -> Result<()> {
    if path.is_root() {
        return Err(Error::InvalidPath { path: String::new(), reason: "the root itself cannot be written or deleted" });
    }
    Ok(())
}

fn stat(head: &Head) -> Stat {
    Stat {
        size: head.size,
        is_dir: false,
        modified: head.modified,
        etag: head.etag.clone(),
        version: head.version.clone(),
        json_etag: head.json_etag.clone(),
    }
}

fn directory() -> Stat {
    Stat { is_dir: true, ..Stat::default() }
}

/// Sixteen characters that nobody else has.
pub(crate) fn random_id() -> String {
    let mut bytes = [0; 8];
    // The system's random numbers do not fail once it runs; the clock stands in.
    if ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes).is_err() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        bytes = (now.as_nanos() as u64).to_le_bytes();
    }
    crate::http::encode::hex(&bytes)
}
