//! Uploads in parts.

use std::fmt::Write;

use bytes::Bytes;
use http::Method;

use super::{Call, S3, answers, crc32};
use crate::bucket::{How, Sent, Session};
use crate::fault::Fault;
use crate::http::xml::{Element, escape};
use crate::http::{encode, unquoted};
use crate::multipart::{Part, StoredPart, UnfinishedUpload};
use crate::options::Checksum;

impl S3 {
    /// Our own upload: each part is compared with a checksum, and the store keeps one of all of them.
    pub async fn start(&self, key: &str, how: How) -> Result<Session, Fault> {
        let mut call = self.creating(Call::new(Method::POST, key), how).query("uploads", "");
        if self.settings.checksum == Checksum::Crc32 {
            call = call.header("x-amz-checksum-algorithm", "CRC32");
        }
        Ok(Session::new(self.begin_with(&call).await?))
    }

    pub async fn piece(&self, key: &str, session: &Session, number: u32, content: Bytes) -> Result<Sent, Fault> {
        let checksum = match self.settings.checksum {
            Checksum::Crc32 => crc32(&content),
            Checksum::Md5 | Checksum::None => String::new(),
        };
        let call = self.checked(self.part(key, &session.id, number), content);
        let answer = self.call(&call).await?;
        let etag = answer.header("etag").map(unquoted).unwrap_or_default();
        Ok(Sent { number, etag, checksum })
    }

    pub async fn finish(&self, key: &str, session: &Session, sent: &[Sent], how: How) -> Result<Option<String>, Fault> {
        let parts = sent.iter().map(|part| (part.number, part.etag.as_str(), part.checksum.as_str()));
        self.complete_with(key, &session.id, completion(parts), how).await
    }

    /// An upload that others send parts of: what they send is between them and the store.
    pub async fn begin(&self, key: &str) -> Result<String, Fault> {
        let call = self.creating(Call::new(Method::POST, key), How::default());
        self.begin_with(&call.query("uploads", "")).await
    }

    async fn begin_with(&self, call: &Call<'_>) -> Result<String, Fault> {
        let answer = self.call(call).await?;
        let root = Element::parse(&answer.text().await?).unwrap_or_default();
        match root.text_of("UploadId") {
            "" => Err(Fault::Other("it gives no id for the upload".to_owned())),
            id => Ok(id.to_owned()),
        }
    }

    pub async fn send_part(&self, key: &str, upload_id: &str, number: u32, content: Bytes) -> Result<String, Fault> {
        let md5 = encode::base64(fast_md5::digest(&content));
        let call = self.part(key, upload_id, number).header("content-md5", md5).body(content);
        let answer = self.call(&call).await?;
        Ok(answer.header("etag").map(unquoted).unwrap_or_default())
    }

    fn part<'a>(&self, key: &'a str, upload_id: &str, number: u32) -> Call<'a> {
        let call = Call::new(Method::PUT, key).query("partNumber", number.to_string()).query("uploadId", upload_id);
        let customer = self.settings.upload_headers.iter();
        let customer = customer.filter(|(name, _)| name.starts_with("x-amz-server-side-encryption-customer-"));
        customer.fold(call, |call, (name, value)| call.header(name, value))
    }

    pub async fn parts(&self, key: &str, upload_id: &str) -> Result<Vec<StoredPart>, Fault> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let mut call = Call::new(Method::GET, key).query("uploadId", upload_id);
            if let Some(after) = &after {
                call = call.query("part-number-marker", after);
            }
            let answer = self.call(&call).await?;
            let root = Element::parse(&answer.text().await?).unwrap_or_default();
            let page = answers::parts(&root).ok_or_else(|| Fault::Other("its list of parts makes no sense".to_owned()));
            let (parts, next) = page?;
            all.extend(parts);
            match next {
                Some(next) if Some(&next) != after.as_ref() => after = Some(next),
                _ => return Ok(all),
            }
        }
    }

    pub async fn uploads(&self, key: &str) -> Result<Vec<UnfinishedUpload>, Fault> {
        let call = Call::on_bucket(Method::GET).query("uploads", "").query("encoding-type", "url").query("prefix", key);
        let answer = self.call(&call).await?;
        let root = Element::parse(&answer.text().await?).unwrap_or_default();
        Ok(answers::uploads(&root, key))
    }

    pub async fn complete(&self, key: &str, upload_id: &str, parts: &[Part]) -> Result<(), Fault> {
        let parts = parts.iter().map(|part| (part.number, part.etag.trim_matches('"'), ""));
        self.complete_with(key, upload_id, completion(parts), How::default()).await.map(drop)
    }

    /// Tells the version that it has become.
    async fn complete_with(
        &self,
        key: &str,
        upload_id: &str,
        parts: String,
        how: How,
    ) -> Result<Option<String>, Fault> {
        let mut call = Call::new(Method::POST, key).query("uploadId", upload_id).body(parts.into());
        call = call.header("content-type", "application/xml");
        if how.if_absent {
            call = call.header("if-none-match", "*");
        }
        let answer = self.call_unsorted(&call).await?;
        let (status, repeated, version) = (answer.status, answer.repeated, answers::version(&answer));
        // A success may turn into an error after its first line was sent.
        let root = Element::parse(&answer.text().await?).unwrap_or_default();
        if status.is_success() && root.name != "Error" {
            return Ok(version);
        }
        match answers::meaning(answers::said(status.as_u16(), &root)) {
            Fault::Changed if how.if_absent && repeated => Err(Fault::TakenOnRetry),
            Fault::Changed if how.if_absent => Err(Fault::Taken),
            // Completed by the attempt whose answer was lost.
            Fault::NoUpload if repeated => {
                self.head(key, None).await.map(|head| head.version).map_err(|_| Fault::NoUpload)
            }
            Fault::Missing => Err(Fault::NoUpload),
            fault => Err(fault),
        }
    }

    pub async fn abort(&self, key: &str, upload_id: &str) -> Result<(), Fault> {
        match self.call(&Call::new(Method::DELETE, key).query("uploadId", upload_id)).await {
            Ok(_) => Ok(()),
            Err(Fault::Missing) => Err(Fault::NoUpload),
            Err(fault) => Err(fault),
        }
    }
}

/// The list of parts that completes an upload; a checksum that is empty is left out.
pub(crate) fn completion<'a>(parts: impl Iterator<Item = (u32, &'a str, &'a str)>) -> String {
    let mut body = String::from("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (number, etag, checksum) in parts {
        let _ = write!(body, "<Part><PartNumber>{number}</PartNumber><ETag>&quot;{}&quot;</ETag>", escape(etag));
        if !checksum.is_empty() {
            let _ = write!(body, "<ChecksumCRC32>{checksum}</ChecksumCRC32>");
        }
        body.push_str("</Part>");
    }
    body.push_str("</CompleteMultipartUpload>");
    body
}
