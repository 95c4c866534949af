//! A place below which artifacts lie: the whole destination, or the folder of one run or model.

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use trackway_remote::{
    self as remote, Capabilities, Listing, Multipart, Object, Part, PutOptions, RelPath, Remote, SignedUrl, Stat,
};

use crate::error::{Error, Result};
use crate::path::{ArtifactPath, UPLOADING};

#[derive(Clone)]
pub struct Location {
    remote: Remote,
    /// Of the remote's root, without a slash at its end; none for what has real folders.
    bucket: Option<String>,
    base: RelPath,
    /// Errors show paths as the client counts them: for what is proxied from the destination, else from here.
    shown_from_base: bool,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Relative to the location.
    pub path: String,
    pub is_dir: bool,
    pub size: u64,
}

impl Artifact {
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl Location {
    /// `uri` is the remote's.
    pub(crate) fn new(remote: Remote, uri: &str, base: RelPath, shown_from_base: bool) -> Location {
        let in_bucket = remote.capabilities().listing == Listing::Pages;
        let bucket = in_bucket.then(|| uri.trim_end_matches('/').to_owned());
        Location { remote, bucket, base, shown_from_base }
    }

    /// In a bucket: the URI of the run's or model's `artifacts` directory that `path` is or lies in, and the path from
    /// there. None above such directories, and where folders are real.
    pub fn in_bucket(&self, path: &ArtifactPath) -> Option<(String, String)> {
        let bucket = self.bucket.as_ref()?;
        let full = self.full(path.as_rel_path()).ok()?;
        let names: Vec<&str> = full.names().collect();
        let artifacts = |behind: fn(&str) -> bool| {
            names.windows(2).position(|pair| behind(pair[0]) && pair[1] == "artifacts").map(|at| at + 2)
        };
        let depth = artifacts(is_id).or_else(|| artifacts(|_| true))?;
        Some((format!("{bucket}/{}", names[..depth].join("/")), names[depth..].join("/")))
    }

    /// The URI of `path` in a bucket.
    pub fn bucket_uri(&self, path: &ArtifactPath) -> Option<String> {
        Some(format!("{}/{}", self.bucket.as_ref()?, self.full(path.as_rel_path()).ok()?))
    }

    /// What lies directly in `path`, sorted by name. As in MLflow, nothing lies in what is missing or a file.
    pub async fn list(&self, path: &ArtifactPath) -> Result<Vec<Artifact>> {
        let dir = path.as_rel_path();
        let entries = match self.remote.list(&self.full(dir)?).await {
            Err(remote::Error::NotFound { .. } | remote::Error::NotADirectory { .. }) => Vec::new(),
            outcome => outcome.map_err(|error| self.error(error, path))?,
        };
        Ok(entries
            .into_iter()
            .filter(|entry| !entry.name.starts_with(UPLOADING))
            .map(|entry| Artifact {
                path: match dir.is_root() {
                    true => entry.name,
                    false => format!("{dir}/{}", entry.name),
                },
                is_dir: entry.is_dir,
                size: entry.size,
            })
            .collect())
    }

    pub async fn stat(&self, path: &ArtifactPath) -> Result<Stat> {
        let full = self.full(path.as_rel_path())?;
        let stat = self.remote.stat(&full).await;
        let stat = stat.map_err(|error| self.read_error(error, path))?;
        match stat.is_dir {
            true => Err(Error::IsADirectory { path: self.shown(path) }),
            false => Ok(stat),
        }
    }

    /// A file, ready to be streamed.
    pub async fn open(&self, path: &ArtifactPath) -> Result<Object> {
        let full = self.full(path.as_rel_path())?;
        let object = self.remote.get(&full).await;
        object.map_err(|error| self.read_error(error, path))
    }

    /// Stores all of `body`, or nothing.
    pub async fn put<S, E>(&self, path: &ArtifactPath, body: S, length: Option<u64>) -> Result<Stat>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send,
        E: std::fmt::Display,
    {
        let full = self.full(path.target()?)?;
        // As MLflow 3.17 tells S3: what a name says, and nothing where it says nothing.
        let content_type = mime_guess::from_path(full.file_name()).first_raw();
        let options = PutOptions { length, content_type, ..PutOptions::default() };
        let stored = self.remote.put(&full, body, options).await;
        stored.map_err(|error| self.error(error, path))
    }

    /// Deletes a file, and a directory with all in it; a bucket may have both under one name. As in MLflow, what is
    /// missing is deleted already.
    pub async fn delete(&self, path: &ArtifactPath) -> Result<()> {
        let full = self.full(path.as_rel_path())?;
        let file = self.remote.delete_file(&full).await;
        let outcome = match (file, &self.bucket) {
            (Err(remote::Error::IsADirectory { .. }), _) => self.remote.delete_tree(&full).await,
            (Ok(()), Some(_)) => self.remote.delete_tree(&full).await,
            (outcome, _) => outcome,
        };
        match outcome {
            Err(remote::Error::NotFound { .. } | remote::Error::NotADirectory { .. }) => Ok(()),
            outcome => outcome.map_err(|error| self.error(error, path)),
        }
    }

    /// Whether the storage knows multipart uploads and signed URLs.
    pub fn capabilities(&self) -> Capabilities {
        self.remote.capabilities()
    }

    /// Begins an upload in parts.
    pub async fn create_multipart(&self, path: &ArtifactPath, parts: u32) -> Result<Multipart> {
        let full = self.full(path.target()?)?;
        let created = self.remote.create_multipart(&full, parts).await;
        created.map_err(|error| self.error(error, path))
    }

    /// Puts the parts together. Asked again, because the answer was lost, it is done already.
    pub async fn complete_multipart(&self, path: &ArtifactPath, upload_id: &str, parts: &[Part]) -> Result<Stat> {
        let full = self.full(path.target()?)?;
        let completed = self.remote.complete_multipart(&full, upload_id, parts).await;
        let lost = match completed {
            Ok(()) => None,
            Err(error @ remote::Error::NoSuchUpload { .. }) => Some(error),
            Err(error) => return Err(self.error(error, path)),
        };
        match (lost, self.remote.stat(&full).await) {
            (None, stat) => stat.map_err(|error| self.error(error, path)),
            (Some(_), Ok(stat)) if is_made_of(parts, &stat) => Ok(stat),
            (Some(error), _) => Err(self.error(error, path)),
        }
    }

    pub async fn abort_multipart(&self, path: &ArtifactPath, upload_id: &str) -> Result<()> {
        let full = self.full(path.target()?)?;
        let aborted = self.remote.abort_multipart(&full, upload_id).await;
        aborted.map_err(|error| self.error(error, path))
    }

    pub async fn sign_get(&self, path: &ArtifactPath, valid_for: Duration) -> Result<SignedUrl> {
        let full = self.full(path.as_rel_path())?;
        let signed = self.remote.sign_get(&full, valid_for).await;
        signed.map_err(|error| self.read_error(error, path))
    }

    pub async fn sign_put(&self, path: &ArtifactPath, valid_for: Duration, content_type: &str) -> Result<SignedUrl> {
        let full = self.full(path.target()?)?;
        let signed = self.remote.sign_put(&full, valid_for, content_type).await;
        signed.map_err(|error| self.error(error, path))
    }

    fn full(&self, path: &RelPath) -> Result<RelPath> {
        self.base.join(path).map_err(|_| Error::InvalidPath)
    }

    /// What lies below a file is missing, as MLflow sees it.
    fn read_error(&self, error: remote::Error, path: &ArtifactPath) -> Error {
        match self.error(error, path) {
            Error::BelowAFile { path } => Error::NotFound { path },
            error => error,
        }
    }

    fn error(&self, error: remote::Error, path: &ArtifactPath) -> Error {
        Error::from_remote(error, || self.shown(path))
    }

    fn shown(&self, path: &ArtifactPath) -> String {
        match self.shown_from_base && !self.base.is_root() {
            true => format!("{}/{}", self.base, path.as_str()),
            false => path.as_str().to_owned(),
        }
    }
}

/// Whether S3 would name an object of these parts so: by the MD5 of the parts' MD5s, and how many they are.
fn is_made_of(parts: &[Part], stat: &Stat) -> bool {
    let mut sums = Vec::with_capacity(16 * parts.len());
    for part in parts {
        let Ok(sum) = u128::from_str_radix(part.etag.trim_matches('"'), 16) else { return false };
        sums.extend_from_slice(&sum.to_be_bytes());
    }
    let sum = u128::from_be_bytes(fast_md5::digest(&sums));
    stat.etag.as_deref() == Some(format!("{sum:032x}-{}", parts.len()).as_str())
}

/// Whether a name is the id of a run or a logged model, as servers make them.
fn is_id(name: &str) -> bool {
    let digits = name.strip_prefix("m-").unwrap_or(name);
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}
