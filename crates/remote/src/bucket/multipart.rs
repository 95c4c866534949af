//! Uploads in parts that outlive this process, and signed URLs.

use std::time::Duration;

use bytes::Bytes;

use super::{Bucket, Purpose, refuse_root};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::multipart::{MOST_PARTS, Part, SignedUrl, StoredPart, UnfinishedUpload};
use crate::path::RelPath;

impl Bucket {
    pub async fn begin_multipart(&self, path: &RelPath) -> Result<String> {
        refuse_root(path)?;
        let begun = self.0.service.begin(&self.0.key(path)?).await;
        begun.map_err(|fault| self.0.error(fault, path))
    }

    pub async fn upload_part(&self, path: &RelPath, upload_id: &str, number: u32, content: Bytes) -> Result<Part> {
        check_number(path, number)?;
        let sent = self.0.service.send_part(&self.0.key(path)?, upload_id, number, content).await;
        Ok(Part { number, etag: sent.map_err(|fault| self.0.error(fault, path))? })
    }

    pub async fn list_parts(&self, path: &RelPath, upload_id: &str) -> Result<Vec<StoredPart>> {
        let parts = self.0.service.parts(&self.0.key(path)?, upload_id).await;
        let mut parts = parts.map_err(|fault| self.0.error(fault, path))?;
        parts.sort_unstable_by_key(|stored| stored.part.number);
        Ok(parts)
    }

    pub async fn list_uploads(&self, path: &RelPath) -> Result<Vec<UnfinishedUpload>> {
        let uploads = self.0.service.uploads(&self.0.key(path)?).await;
        uploads.map_err(|fault| self.0.error(fault, path))
    }

    pub async fn complete_multipart(&self, path: &RelPath, upload_id: &str, parts: &[Part]) -> Result<()> {
        for part in parts {
            check_number(path, part.number)?;
        }
        let completed = self.0.service.complete(&self.0.key(path)?, upload_id, parts).await;
        completed.map_err(|fault| self.0.error(fault, path))
    }

    pub async fn abort_multipart(&self, path: &RelPath, upload_id: &str) -> Result<()> {
        match self.0.service.abort(&self.0.key(path)?, upload_id).await {
            Ok(()) | Err(Fault::NoUpload) => Ok(()),
            Err(fault) => Err(self.0.error(fault, path)),
        }
    }

    pub async fn sign(&self, path: &RelPath, purpose: Purpose<'_>, valid_for: Duration) -> Result<SignedUrl> {
        refuse_root(path)?;
        if let Purpose::Part { number, .. } = purpose {
            check_number(path, number)?;
        }
        let signed = self.0.service.sign(&self.0.key(path)?, purpose, valid_for).await;
        signed.map_err(|fault| self.0.error(fault, path))
    }
}

fn check_number(path: &RelPath, number: u32) -> Result<()> {
    match (1..=MOST_PARTS).contains(&number) {
        true => Ok(()),
        false => Err(Error::InvalidPath { path: path.to_string(), reason: "parts are numbered from 1 to 10000" }),
    }
}
