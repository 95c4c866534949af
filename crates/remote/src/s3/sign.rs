//! Signature version 4, in headers and in URLs.

use std::fmt::Write;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use ring::{digest, hmac};

use super::credentials::Keys;
use crate::http::encode;

/// What of a URL is signed. The path and the query are encoded as they are sent.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// `https`, or `http` for a test's store.
    pub scheme: String,
    /// With the port where it is not the scheme's own.
    pub host: String,
    pub path: String,
    pub query: String,
}

impl Target {
    pub fn url(&self) -> String {
        let between = if self.query.is_empty() { "" } else { "?" };
        format!("{}://{}{}{between}{}", self.scheme, self.host, self.path, self.query)
    }
}

/// For whom, where and when is signed.
pub(super) struct Signer<'a> {
    pub keys: &'a Keys,
    pub region: &'a str,
    pub service: &'a str,
    pub now: Timestamp,
}

pub(super) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

pub(super) fn sha256(content: &[u8]) -> String {
    encode::hex(digest::digest(&digest::SHA256, content).as_ref())
}

impl Signer<'_> {
    /// Adds what says that the request is ours. `payload` is its body's SHA-256, or `UNSIGNED`.
    pub fn sign(&self, method: &Method, target: &Target, headers: &mut HeaderMap, payload: &str) {
        let time = self.time();
        set(headers, "host", &target.host);
        set(headers, "x-amz-date", &time);
        set(headers, "x-amz-content-sha256", payload);
        if let Some(token) = &self.keys.session_token {
            set(headers, "x-amz-security-token", token.expose());
        }
        let (names, lines) = canonical_headers(headers);
        let signature = self.signature(&time, method, target, &lines, &names, payload);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={names}, Signature={signature}",
            self.keys.access_key_id,
            self.scope(&time),
        );
        set(headers, "authorization", &authorization);
        if let Some(value) = headers.get_mut("authorization") {
            value.set_sensitive(true);
        }
    }

    /// The query that makes a URL of its own of `target`. `headers` have to be sent with it.
    pub fn presign(
        &self,
        method: &Method,
        target: &Target,
        query: &[(&str, String)],
        headers: &[(String, String)],
        valid_for: Duration,
    ) -> String {
        let time = self.time();
        let mut all = HeaderMap::new();
        set(&mut all, "host", &target.host);
        for (name, value) in headers {
            set(&mut all, name, value);
        }
        let (names, lines) = all_headers(&all);
        let mut pairs: Vec<(&str, String)> = query.to_vec();
        pairs.push(("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()));
        pairs.push(("X-Amz-Credential", format!("{}/{}", self.keys.access_key_id, self.scope(&time))));
        pairs.push(("X-Amz-Date", time.clone()));
        // No store signs for longer than seven days.
        pairs.push(("X-Amz-Expires", valid_for.as_secs().clamp(1, 604_800).to_string()));
        pairs.push(("X-Amz-SignedHeaders", names.clone()));
        if let Some(token) = &self.keys.session_token {
            pairs.push(("X-Amz-Security-Token", token.expose().to_owned()));
        }
        let query = encode::query(&pairs);
        let signed = Target { query, ..target.clone() };
        let signature = self.signature(&time, method, &signed, &lines, &names, UNSIGNED);
        format!("{}&X-Amz-Signature={signature}", signed.url())
    }

    fn signature(
        &self,
        time: &str,
        method: &Method,
        target: &Target,
        lines: &str,
        names: &str,
        payload: &str,
    ) -> String {
        let canonical = format!("{method}\n{}\n{}\n{lines}\n{names}\n{payload}", target.path, target.query);
        let scope = self.scope(time);
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let key = self.keys.derived.get(&scope, || {
            let secret = format!("AWS4{}", self.keys.secret_access_key.expose());
            let mut key = hmac::sign(&hmac_key(secret.as_bytes()), &time.as_bytes()[..8]);
            for step in [self.region, self.service, "aws4_request"] {
                key = hmac::sign(&hmac_key(key.as_ref()), step.as_bytes());
            }
            hmac_key(key.as_ref())
        });
        encode::hex(hmac::sign(&key, to_sign.as_bytes()).as_ref())
    }

    fn scope(&self, time: &str) -> String {
        format!("{}/{}/{}/aws4_request", &time[..8], self.region, self.service)
    }

    fn time(&self) -> String {
        self.now.strftime("%Y%m%dT%H%M%SZ").to_string()
    }
}

fn hmac_key(key: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

/// The headers that a signature covers: those that change what a request means. A proxy may touch others.
fn canonical_headers(headers: &HeaderMap) -> (String, String) {
    canonical(headers, |name| {
        name.starts_with("x-amz-") || matches!(name, "host" | "content-type" | "content-md5" | "if-none-match")
    })
}

fn all_headers(headers: &HeaderMap) -> (String, String) {
    canonical(headers, |_| true)
}

fn canonical(headers: &HeaderMap, is_signed: impl Fn(&str) -> bool) -> (String, String) {
    let mut signed: Vec<_> = headers.iter().filter(|(name, _)| is_signed(name.as_str())).collect();
    signed.sort_unstable_by_key(|(name, _)| name.as_str());
    let (mut names, mut lines) = (String::new(), String::new());
    for (name, value) in signed {
        let between = if names.is_empty() { "" } else { ";" };
        let _ = write!(names, "{between}{name}");
        let value = String::from_utf8_lossy(value.as_bytes());
        let _ = writeln!(lines, "{name}:{}", value.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
    }
    (names, lines)
}

/// Sets a header; a value that no header can have is left out, and then the store refuses the request.
pub(super) fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the documentation of presigned URLs.
    #[test]
    fn signs_a_url_as_documented() {
        let keys = Keys {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
            expires: None,
            derived: Default::default(),
        };
        let signer =
            Signer { keys: &keys, region: "us-east-1", service: "s3", now: "2013-05-24T00:00:00Z".parse().unwrap() };
        let target = Target {
            scheme: "https".to_owned(),
            host: "examplebucket.s3.amazonaws.com".to_owned(),
            path: "/test.txt".to_owned(),
            query: String::new(),
        };
        let url = signer.presign(&Method::GET, &target, &[], &[], Duration::from_secs(86_400));
        let (_, signature) = url.split_once("&X-Amz-Signature=").unwrap();
        assert_eq!(signature, "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    }
}
