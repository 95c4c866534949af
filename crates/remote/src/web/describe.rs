//! What a server says of a file beside its size: by this DVC knows again what it has imported over HTTP.

use http::Method;

use super::Web;
use crate::error::Result;
use crate::fault::Fault;
use crate::http::Answer;
use crate::path::RelPath;

/// The answer to HEAD, or where that is refused to GET: headers as they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    pub url: String,
    pub size: Option<u64>,
    pub content_type: Option<String>,
    /// It says that it sends no ranges.
    pub no_ranges: bool,
    pub etag: Option<String>,
    pub content_md5: Option<String>,
    pub digest: Option<String>,
    pub last_modified: Option<String>,
}

impl Web {
    pub async fn describe(&self, path: &RelPath) -> Result<Described> {
        let failed = |fault| self.0.error(fault, path);
        let answer = self.0.site.follow(self.0.call(Method::HEAD, path)).await.map_err(failed)?;
        match answer.status.as_u16() {
            200 => Ok(described(&answer, self.0.url(path))),
            404 | 410 => Err(failed(Fault::Missing)),
            _ => {
                let answer = self.0.get(path, None).await.map_err(failed)?;
                Ok(described(&answer, self.0.url(path)))
            }
        }
    }
}

fn described(answer: &Answer, url: String) -> Described {
    let header = |name: &str| answer.header(name).map(str::to_owned);
    let is_packed = header("content-encoding").is_some_and(|encoding| !matches!(encoding.as_str(), "identity" | ""));
    Described {
        url,
        size: header("content-length").and_then(|size| size.parse().ok()).filter(|_| !is_packed),
        content_type: header("content-type"),
        no_ranges: header("accept-ranges").as_deref() == Some("none"),
        etag: header("etag"),
        content_md5: header("content-md5"),
        digest: header("digest"),
        last_modified: header("last-modified"),
    }
}
