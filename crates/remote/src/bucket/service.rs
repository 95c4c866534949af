//! What each object store can do, in its smallest pieces. Keys are whole, the prefix included.

use std::ops::Range;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::azure::Azure;
use crate::fault::Fault;
use crate::gcs::Gcs;
use crate::http::{Answer, Client};
use crate::multipart::{Part, SignedUrl, StoredPart, UnfinishedUpload};
use crate::s3::S3;

pub(crate) enum Service {
    S3(Box<S3>),
    Azure(Azure),
    Gcs(Gcs),
}

/// What a store says of an object without sending it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub size: u64,
    pub etag: Option<String>,
    pub modified: Option<SystemTime>,
    /// What a store that keeps versions calls this one.
    pub version: Option<String>,
    /// As in [`crate::Stat`].
    pub json_etag: Option<String>,
    pub sum: Option<Sum>,
}

/// What a store calls an object that it has just taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    pub etag: Option<String>,
    pub version: Option<String>,
    pub json_etag: Option<String>,
}

/// A checksum of a whole object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sum {
    Crc32(u32),
    Crc32c(u32),
    Md5([u8; 16]),
}

/// A part of an object on its way.
pub(crate) struct Got {
    pub head: Head,
    /// What of the object the body is.
    pub range: Range<u64>,
    pub body: Answer,
}

/// How an object is to be stored.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    pub if_absent: bool,
    pub content_type: Option<&'static str>,
    /// Of a body that goes in one request.
    pub md5: Option<[u8; 16]>,
}

/// An upload of our own in the making: what the store calls it.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub id: String,
    /// Of all that was sent, where pieces go one after the other.
    pub sum: AtomicU32,
}

impl Session {
    pub fn new(id: String) -> Session {
        Session { id, ..Session::default() }
    }
}

/// A part of it that arrived.
#[derive(Debug)]
pub(crate) struct Sent {
    pub number: u32,
    pub etag: String,
    /// As the store wants to hear it again at the end, if it does.
    pub checksum: String,
}

/// One page of a listing, in the order of the keys' bytes.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub files: Vec<Listed>,
    /// What keys have in common up to a slash, which is left off.
    pub dirs: Vec<String>,
    pub next: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Listed {
    pub key: String,
    pub size: u64,
    pub etag: Option<String>,
    pub modified: Option<SystemTime>,
    pub version: Option<String>,
    pub json_etag: Option<String>,
}

/// What is asked of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub prefix: &'a str,
    /// One level only.
    pub level: bool,
    pub after: Option<&'a str>,
    pub most: u32,
}

/// What a signed URL is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    Get,
    Put { content_type: &'a str },
    Part { upload_id: &'a str, number: u32 },
}

/// The same call of whichever store it is.
macro_rules! each {
    ($self:expr, $store:ident => $call:expr) => {
        match $self {
            Service::S3($store) => $call,
            Service::Azure($store) => $call,
            Service::Gcs($store) => $call,
        }
    };
}

impl Service {
    pub fn client(&self) -> &Client {
        each!(self, store => store.client())
    }

    /// The longest key in bytes.
    pub fn longest_key(&self) -> usize {
        1024
    }

    /// Whether a store of this kind may ignore a condition, so that it has to be tried out.
    pub fn may_ignore_conditions(&self) -> bool {
        matches!(self, Service::S3(_))
    }

    /// How many keys one request deletes.
    pub fn deletes_at_once(&self) -> usize {
        match self {
            Service::S3(_) => 1000,
            Service::Azure(_) | Service::Gcs(_) => 1,
        }
    }

    /// Whether parts of one upload may be sent side by side.
    pub fn takes_parts_in_parallel(&self) -> bool {
        !matches!(self, Service::Gcs(_))
    }

    /// The newest version, or the one that is asked for.
    pub async fn head(&self, key: &str, version: Option<&str>) -> Result<Head, Fault> {
        each!(self, store => store.head(key, version).await)
    }

    /// A range of an object, which may end behind its end; if `etag` is given, of that content only.
    pub async fn get(
        &self,
        key: &str,
        version: Option<&str>,
        range: Range<u64>,
        etag: Option<&str>,
    ) -> Result<Got, Fault> {
        each!(self, store => store.get(key, version, range, etag).await)
    }

    pub async fn put(&self, key: &str, content: Bytes, how: How) -> Result<Stored, Fault> {
        each!(self, store => store.put(key, content, how).await)
    }

    /// Deletes one object. Whether a missing one is a fault differs.
    pub async fn delete(&self, key: &str) -> Result<(), Fault> {
        each!(self, store => store.delete(key).await)
    }

    /// Deletes up to `deletes_at_once` objects; missing ones are deleted already.
    pub async fn delete_many(&self, keys: &[String]) -> Result<(), Fault> {
        match self {
            Service::S3(store) => store.delete_many(keys).await,
            Service::Azure(_) | Service::Gcs(_) => {
                for key in keys {
                    match self.delete(key).await {
                        Err(Fault::Missing) => {}
                        outcome => outcome?,
                    }
                }
                Ok(())
            }
        }
    }

    pub async fn list(&self, ask: Ask<'_>) -> Result<Page, Fault> {
        each!(self, store => store.list(ask).await)
    }

    /// Begins an upload of our own, of which this process sends every part.
    pub async fn start(&self, key: &str, how: How) -> Result<Session, Fault> {
        each!(self, store => store.start(key, how).await)
    }

    pub async fn piece(
        &self,
        key: &str,
        session: &Session,
        number: u32,
        offset: u64,
        content: Bytes,
        is_last: bool,
    ) -> Result<Sent, Fault> {
        match self {
            Service::S3(store) => store.piece(key, session, number, content).await,
            Service::Azure(store) => store.piece(key, session, number, content).await,
            Service::Gcs(store) => store.piece(key, session, number, offset, content, is_last).await,
        }
    }

    /// Makes the object of its parts, which are in order. Tells which version it is, if the store says so.
    pub async fn finish(&self, key: &str, session: &Session, sent: &[Sent], how: How) -> Result<Option<String>, Fault> {
        match self {
            Service::S3(store) => store.finish(key, session, sent, how).await,
            Service::Azure(store) => store.finish(key, session, sent, how).await,
            // The last piece did it.
            Service::Gcs(_) => {
                Ok(sent.last().map(|last| last.etag.clone()).filter(|generation| !generation.is_empty()))
            }
        }
    }

    pub async fn cancel(&self, key: &str, session: &Session) -> Result<(), Fault> {
        match self {
            Service::S3(store) => store.abort(key, &session.id).await,
            // Blocks that nobody commits go by themselves.
            Service::Azure(_) => Ok(()),
            Service::Gcs(store) => store.cancel(session).await,
        }
    }

    /// Begins an upload whose parts any process can send, with its id and `send_part` or a signed URL.
    pub async fn begin(&self, key: &str) -> Result<String, Fault> {
        each!(self, store => store.begin(key).await)
    }

    pub async fn send_part(&self, key: &str, upload_id: &str, number: u32, content: Bytes) -> Result<String, Fault> {
        each!(self, store => store.send_part(key, upload_id, number, content).await)
    }

    pub async fn parts(&self, key: &str, upload_id: &str) -> Result<Vec<StoredPart>, Fault> {
        each!(self, store => store.parts(key, upload_id).await)
    }

    pub async fn uploads(&self, key: &str) -> Result<Vec<UnfinishedUpload>, Fault> {
        each!(self, store => store.uploads(key).await)
    }

    pub async fn complete(&self, key: &str, upload_id: &str, parts: &[Part]) -> Result<(), Fault> {
        each!(self, store => store.complete(key, upload_id, parts).await)
    }

    pub async fn abort(&self, key: &str, upload_id: &str) -> Result<(), Fault> {
        each!(self, store => store.abort(key, upload_id).await)
    }

    pub async fn sign(&self, key: &str, purpose: Purpose<'_>, valid_for: Duration) -> Result<SignedUrl, Fault> {
        each!(self, store => store.sign(key, purpose, valid_for).await)
    }

    /// Whether URLs can be signed with the credentials at hand.
    pub fn can_sign(&self) -> bool {
        each!(self, store => store.can_sign())
    }
}
