//! Multipart uploads and signed URLs: what object stores have and folders have not.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::bucket::{Bucket, Purpose};
use crate::error::{Error, Result};
use crate::path::RelPath;
use crate::{Kind, Remote};

/// What a remote can do beyond reading, writing and deleting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    pub multipart: bool,
    pub signed_urls: bool,
    pub listing: Listing,
}

/// How it is found out what a remote has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// A thousand names with a request, from any beginning of a name on.
    Pages,
    /// A folder with a request.
    Folders,
    /// Not at all: each name has to be asked for.
    Never,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub number: u32,
    /// With or without quotes. Azure names no parts: there it is empty, and the number says all.
    pub etag: String,
}

/// A part that lies in the store, waiting for the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPart {
    pub part: Part,
    pub size: u64,
}

/// An upload that was begun and neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedUpload {
    pub upload_id: String,
    /// Where the store knows it.
    pub started: Option<SystemTime>,
}

/// A URL that needs no credentials until it expires, and the headers that go with it.
#[derive(Clone)]
pub struct SignedUrl {
    pub url: String,
    pub headers: BTreeMap<String, String>,
}

impl std::fmt::Debug for SignedUrl {
    /// Whoever has the whole URL may use it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.url.split('?').next().unwrap_or_default();
        write!(f, "SignedUrl({shown}?…)")
    }
}

/// For how long the URLs of parts are valid, as in MLflow 3.17.
pub const PARTS_VALID_FOR: Duration = Duration::from_secs(3600);

/// As many parts as S3, and so everybody, takes.
pub const MOST_PARTS: u32 = 10_000;

const A_MULTIPART_UPLOAD: &str = "a multipart upload";

impl Remote {
    /// Begins an upload of `parts` parts, each with a signed URL of its own. The upload can be gone on
    /// with from any process that knows its id.
    pub async fn create_multipart(&self, path: &RelPath, parts: u32) -> Result<Multipart> {
        if !self.capabilities().multipart {
            self.bucket(A_MULTIPART_UPLOAD)?;
            return Err(Error::Unsupported {
                what: "a multipart upload by signed URLs",
                kind: "a bucket without credentials that can sign",
            });
        }
        let upload_id = self.begin_multipart(path).await?;
        let mut targets = Vec::with_capacity(parts as usize);
        for number in 1..=parts {
            let url = self.sign_part(path, &upload_id, number, PARTS_VALID_FOR).await?;
            targets.push(PartTarget { number, url });
        }
        Ok(Multipart { upload_id, parts: targets })
    }

    /// Begins an upload and gives its id.
    pub async fn begin_multipart(&self, path: &RelPath) -> Result<String> {
        self.bucket(A_MULTIPART_UPLOAD)?.begin_multipart(path).await
    }

    /// A URL to which one part of an upload can be sent until `valid_for` is over.
    pub async fn sign_part(
        &self,
        path: &RelPath,
        upload_id: &str,
        number: u32,
        valid_for: Duration,
    ) -> Result<SignedUrl> {
        self.bucket(A_MULTIPART_UPLOAD)?.sign(path, Purpose::Part { upload_id, number }, valid_for).await
    }

    /// Sends one part ourselves. The same part sent again replaces the one before.
    pub async fn upload_part(&self, path: &RelPath, upload_id: &str, number: u32, content: Bytes) -> Result<Part> {
        self.bucket(A_MULTIPART_UPLOAD)?.upload_part(path, upload_id, number, content).await
    }

    /// Which parts of an upload have arrived, by number.
    pub async fn list_parts(&self, path: &RelPath, upload_id: &str) -> Result<Vec<StoredPart>> {
        self.bucket(A_MULTIPART_UPLOAD)?.list_parts(path, upload_id).await
    }

    /// The uploads to `path` that were begun and not ended, whoever began them.
    pub async fn list_uploads(&self, path: &RelPath) -> Result<Vec<UnfinishedUpload>> {
        self.bucket(A_MULTIPART_UPLOAD)?.list_uploads(path).await
    }

    /// Puts the parts together, in the order given.
    pub async fn complete_multipart(&self, path: &RelPath, upload_id: &str, parts: &[Part]) -> Result<()> {
        self.bucket(A_MULTIPART_UPLOAD)?.complete_multipart(path, upload_id, parts).await
    }

    /// Ends an upload without a trace. One that is not there any more is ended already.
    pub async fn abort_multipart(&self, path: &RelPath, upload_id: &str) -> Result<()> {
        self.bucket(A_MULTIPART_UPLOAD)?.abort_multipart(path, upload_id).await
    }

    /// A URL from which `path` can be read until `valid_for` is over. A browser saves it under its own
    /// name rather than to show it, as in MLflow 3.17.
    pub async fn sign_get(&self, path: &RelPath, valid_for: Duration) -> Result<SignedUrl> {
        self.bucket("a signed download URL")?.sign(path, Purpose::Get, valid_for).await
    }

    /// A URL to which `path` can be written, as this type of content, until `valid_for` is over. All of
    /// its headers have to be sent with the body.
    pub async fn sign_put(&self, path: &RelPath, valid_for: Duration, content_type: &str) -> Result<SignedUrl> {
        self.bucket("a signed upload URL")?.sign(path, Purpose::Put { content_type }, valid_for).await
    }

    /// For what only buckets can do.
    fn bucket(&self, what: &'static str) -> Result<&Bucket> {
        match &*self.kind {
            Kind::Bucket(bucket) => Ok(bucket),
            Kind::Local(_) => Err(Error::Unsupported { what, kind: "a local folder" }),
            Kind::Files(_) => Err(Error::Unsupported { what, kind: "a folder of a server" }),
            Kind::Web(_) => Err(Error::Unsupported { what, kind: "an HTTP server" }),
        }
    }
}
