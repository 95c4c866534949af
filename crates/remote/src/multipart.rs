//! Multipart uploads and signed URLs: what object stores have and folders have not.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::path::RelPath;
use crate::{Kind, Remote};

/// What a remote can do beyond reading, writing and deleting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub multipart: bool,
    pub signed_urls: bool,
}

/// An upload in parts that was begun: its id, and where each part is to be sent.
#[derive(Clone, Debug)]
pub struct Multipart {
    pub upload_id: String,
    pub parts: Vec<PartTarget>,
}

#[derive(Clone, Debug)]
pub struct PartTarget {
    /// Counted from 1.
    pub number: u32,
    pub url: SignedUrl,
}

/// A part that was sent, as the store named it.
#[derive(Clone, Debug)]
pub struct Part {
    pub number: u32,
    pub etag: String,
}

/// A URL that needs no credentials until it expires, and the headers that go with it.
#[derive(Clone, Debug)]
pub struct SignedUrl {
    pub url: String,
    pub headers: BTreeMap<String, String>,
}

const A_FOLDER: &str = "a local folder";

impl Remote {
    /// Begins an upload of `parts` parts, each with a signed URL of its own.
    pub async fn create_multipart(&self, _path: &RelPath, _parts: u32) -> Result<Multipart> {
        match &*self.kind {
            Kind::Local(_) => Err(unsupported_multipart()),
        }
    }

    /// Puts the parts together, in the order given.
    pub async fn complete_multipart(&self, _path: &RelPath, _upload_id: &str, _parts: &[Part]) -> Result<()> {
        match &*self.kind {
            Kind::Local(_) => Err(unsupported_multipart()),
        }
    }

    pub async fn abort_multipart(&self, _path: &RelPath, _upload_id: &str) -> Result<()> {
        match &*self.kind {
            Kind::Local(_) => Err(unsupported_multipart()),
        }
    }

    /// A URL from which `path` can be read until `valid_for` is over.
    pub async fn sign_get(&self, _path: &RelPath, _valid_for: Duration) -> Result<SignedUrl> {
        match &*self.kind {
            Kind::Local(_) => Err(Error::Unsupported { what: "a signed download URL", kind: A_FOLDER }),
        }
    }

    /// A URL to which `path` can be written until `valid_for` is over.
    pub async fn sign_put(&self, _path: &RelPath, _valid_for: Duration) -> Result<SignedUrl> {
        match &*self.kind {
            Kind::Local(_) => Err(Error::Unsupported { what: "a signed upload URL", kind: A_FOLDER }),
        }
    }
}

fn unsupported_multipart() -> Error {
    Error::Unsupported { what: "a multipart upload", kind: A_FOLDER }
}
