//! Uploads in parts: a resumable session for our own, Google's XML interface for those of others.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{Call, Gcs, answers};
use crate::bucket::{How, Sent, Session};
use crate::fault::Fault;
use crate::http::xml::Element;
use crate::http::{Answer, Failure, Request, back_off, encode, unquoted};
use crate::multipart::{Part, StoredPart, UnfinishedUpload};
use crate::s3;

impl Gcs {
    pub async fn start(&self, key: &str, how: How) -> Result<Session, Fault> {
        let metadata = serde_json::json!({"name": key, "contentType": how.content_type});
        let mut call = Call::new(Method::POST, self.upload_path())
            .query("uploadType", "resumable")
            .query("name", key)
            .header("content-type", "application/json")
            .body(metadata.to_string().into());
        if how.if_absent {
            call = call.query("ifGenerationMatch", "0");
        }
        let answer = match self.call(&call).await {
            Err(Fault::Changed) if how.if_absent => return Err(Fault::Taken),
            outcome => outcome?,
        };
        // Whoever knows this URL may write: no token goes with it, wherever it leads.
        match answer.header("location") {
            Some(url) => Ok(Session { id: url.to_owned(), sum: AtomicU32::new(0) }),
            None => Err(Fault::Other("it gives no place to upload to".to_owned())),
        }
    }

    /// One piece after the other; the last one makes the object.
    pub async fn piece(
        &self,
        key: &str,
        session: &Session,
        number: u32,
        offset: u64,
        content: Bytes,
        is_last: bool,
    ) -> Result<Sent, Fault> {
        let sum = crc32c::crc32c_append(session.sum.load(Ordering::Relaxed), &content);
        session.sum.store(sum, Ordering::Relaxed);
        let end = offset + content.len() as u64;
        let total = if is_last { end.to_string() } else { "*".to_owned() };
        let mut at = offset;
        let mut failed = 0;
        loop {
            let rest = content.slice((at - offset) as usize..);
            let span = match rest.is_empty() {
                true => format!("bytes */{total}"),
                false => format!("bytes {at}-{}/{total}", end - 1),
            };
            let outcome = self.send_to(session, &span, rest).await;
            let reached = match outcome {
                Ok(answer) if answer.status.is_success() => {
                    let described = answers::described(answer).await?;
                    if described.crc32c().is_some_and(|stored| stored != sum) {
                        let _ = self.delete(key).await;
                        return Err(Fault::Other("what it stored has another checksum than what was sent".to_owned()));
                    }
                    let etag = described.generation().unwrap_or_default();
                    return Ok(Sent { number, etag, checksum: String::new() });
                }
                Ok(answer) if answer.status.as_u16() == 308 => Ok(stored(&answer)),
                Ok(answer) if answer.status.is_server_error() || answer.status.as_u16() == 429 => {
                    Err(answers::fault(answer).await)
                }
                Ok(answer) => {
                    return Err(match answers::fault(answer).await {
                        Fault::Changed => Fault::Taken,
                        fault => fault,
                    });
                }
                Err(Failure::Refused(reason)) => return Err(Fault::Unreachable(reason)),
                Err(failure) => Err(Fault::from(failure)),
            };
            match reached {
                Ok(stored) if stored >= end && !is_last => {
                    return Ok(Sent { number, etag: String::new(), checksum: String::new() });
                }
                Ok(stored) if stored > at => {
                    at = stored.min(end);
                    failed = 0;
                    continue;
                }
                Ok(_) => {}
                Err(fault) if failed + 1 >= self.client.options().attempts => return Err(fault),
                Err(_) => {}
            }
            failed += 1;
            if failed >= self.client.options().attempts {
                return Err(Fault::Unreachable("it takes no more of the upload".to_owned()));
            }
            tokio::time::sleep(back_off(failed)).await;
            // How much of it has arrived?
            if let Ok(answer) = self.send_to(session, &format!("bytes */{total}"), Bytes::new()).await
                && answer.status.as_u16() == 308
            {
                at = stored(&answer).clamp(offset, end);
            }
        }
    }

    async fn send_to(&self, session: &Session, span: &str, content: Bytes) -> Result<Answer, Failure> {
        let mut headers = HeaderMap::new();
        if let Ok(span) = HeaderValue::from_str(span) {
            headers.insert(HeaderName::from_static("content-range"), span);
        }
        let request = Request { headers, body: content, ..Request::new(Method::PUT, &session.id) };
        self.client.send_once(request).await
    }

    pub async fn cancel(&self, session: &Session) -> Result<(), Fault> {
        self.client.send_once(Request::new(Method::DELETE, &session.id)).await?;
        Ok(())
    }

    pub async fn begin(&self, key: &str) -> Result<String, Fault> {
        let answer = self.call(&Call::new(Method::POST, self.xml_path(Some(key))).query("uploads", "")).await?;
        let root = Element::parse(&answer.text().await?).unwrap_or_default();
        match root.text_of("UploadId") {
            "" => Err(Fault::Other("it gives no id for the upload".to_owned())),
            id => Ok(id.to_owned()),
        }
    }

    pub async fn send_part(&self, key: &str, upload_id: &str, number: u32, content: Bytes) -> Result<String, Fault> {
        let md5 = encode::base64(fast_md5::digest(&content));
        let call = Call::new(Method::PUT, self.xml_path(Some(key)))
            .query("partNumber", number.to_string())
            .query("uploadId", upload_id)
            .header("content-md5", md5)
            .body(content);
        let answer = self.call(&call).await?;
        Ok(answer.header("etag").map(unquoted).unwrap_or_default())
    }

    pub async fn parts(&self, key: &str, upload_id: &str) -> Result<Vec<StoredPart>, Fault> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let mut call = Call::new(Method::GET, self.xml_path(Some(key))).query("uploadId", upload_id);
            if let Some(after) = &after {
                call = call.query("part-number-marker", after);
            }
            let root = Element::parse(&self.call(&call).await?.text().await?).unwrap_or_default();
            let page = s3::parts(&root).ok_or_else(|| Fault::Other("its list of parts makes no sense".to_owned()));
            let (parts, next) = page?;
            all.extend(parts);
            match next {
                Some(next) if Some(&next) != after.as_ref() => after = Some(next),
                _ => return Ok(all),
            }
        }
    }

    pub async fn uploads(&self, key: &str) -> Result<Vec<UnfinishedUpload>, Fault> {
        let call = Call::new(Method::GET, self.xml_path(None)).query("uploads", "").query("prefix", key);
        let root = Element::parse(&self.call(&call).await?.text().await?).unwrap_or_default();
        Ok(s3::uploads(&root, key))
    }

    pub async fn complete(&self, key: &str, upload_id: &str, parts: &[Part]) -> Result<(), Fault> {
        let parts = parts.iter().map(|part| (part.number, part.etag.trim_matches('"'), ""));
        let call = Call::new(Method::POST, self.xml_path(Some(key)))
            .query("uploadId", upload_id)
            .header("content-type", "application/xml")
            .body(s3::completion(parts).into());
        match self.call(&call).await {
            Ok(_) => Ok(()),
            Err(Fault::Missing) => Err(Fault::NoUpload),
            Err(fault) => Err(fault),
        }
    }

    pub async fn abort(&self, key: &str, upload_id: &str) -> Result<(), Fault> {
        let call = Call::new(Method::DELETE, self.xml_path(Some(key))).query("uploadId", upload_id);
        match self.call(&call).await {
            Ok(_) => Ok(()),
            Err(Fault::Missing) => Err(Fault::NoUpload),
            Err(fault) => Err(fault),
        }
    }
}

/// How much of an upload has been stored: up to there, and no further.
fn stored(answer: &Answer) -> u64 {
    let last = answer.header("range").and_then(|range| range.rsplit('-').next()?.parse::<u64>().ok());
    last.map_or(0, |last| last.saturating_add(1))
}
