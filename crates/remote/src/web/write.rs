//! Sending a file to a server that takes some: one POST or PUT, with its length, and no second try where
//! the first may have arrived.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::Method;

use super::Web;
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::options::Upload;
use crate::path::RelPath;
use crate::site::Call;
use crate::{PutOptions, Stat};

/// A body up to this size is looked at before any of it is sent.
const SMALL: u64 = 4 << 20;

impl Web {
    pub async fn put<S, E>(&self, path: &RelPath, body: S, options: PutOptions) -> Result<Stat>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send,
        E: std::fmt::Display,
    {
        if options.if_absent {
            return self.unsupported("a write that must not replace anything");
        }
        let web = &self.0;
        let method = match web.upload {
            Upload::Post => Method::POST,
            Upload::Put => Method::PUT,
        };
        let content_type = options.content_type.unwrap_or("application/octet-stream");
        let call = Call::new(method, web.url(path)).header("content-type", content_type);
        let incomplete = |reason: String| Error::Incomplete { path: path.to_string(), reason };

        let mut body = pin!(body);
        let (mut head, mut ended) = (BytesMut::new(), false);
        while head.len() as u64 <= SMALL {
            match body.next().await {
                Some(Ok(piece)) => head.extend_from_slice(&piece),
                Some(Err(error)) => return Err(incomplete(error.to_string())),
                None => {
                    ended = true;
                    break;
                }
            }
        }
        let mut size = head.len() as u64;
        let head = head.freeze();
        let wrong = |size: u64, ended: bool| {
            let length = options.length?;
            (size > length || (ended && size != length)).then(|| format!("{size} bytes of {length} arrived"))
        };
        if let Some(reason) = wrong(size, ended) {
            return Err(incomplete(reason));
        }
        let answer = if ended {
            match web.upload {
                // The same again does no harm.
                Upload::Put => web.site.call(&call.body(head)).await,
                Upload::Post => web.site.call_once(&call.body(head)).await,
            }
        } else {
            let (mut broken, counted) = (None, &mut size);
            let rest = body.map(|piece| {
                let fault = match piece {
                    Ok(piece) => {
                        *counted += piece.len() as u64;
                        match wrong(*counted, false) {
                            None => return Ok(piece),
                            Some(reason) => reason,
                        }
                    }
                    Err(error) => error.to_string(),
                };
                broken = Some(fault.clone());
                Err(Fault::Other(fault))
            });
            let all = futures_util::stream::once(std::future::ready(Ok(head))).chain(rest);
            let answer = web.site.upload(&call, all, options.length).await;
            if let Some(reason) = broken.or_else(|| wrong(size, true).filter(|_| answer.is_err())) {
                return Err(incomplete(reason));
            }
            answer
        };
        let answer = answer.map_err(|fault| web.error(fault, path))?;
        match answer.status.as_u16() {
            200..=299 => {
                let _ = answer.bytes(1 << 20).await;
                Ok(Stat { size, ..Stat::default() })
            }
            405 | 501 => {
                let (used, other) = match web.upload {
                    Upload::Post => ("POST", "PUT"),
                    Upload::Put => ("PUT", "POST"),
                };
                let reason = format!(
                    "it takes no files by {used} (status {}); set 'method' to {other} if it takes \
                                      them so",
                    answer.status.as_u16()
                );
                Err(web.error(Fault::Other(reason), path))
            }
            _ => {
                let fault = match web.site.fault(answer).await {
                    Fault::Missing => Fault::Other("it has no place for uploads at this address (status 404)".into()),
                    fault => fault,
                };
                Err(web.error(fault, path))
            }
        }
    }
}
