//! Shared Key signatures, and shared access signatures (SAS) for one blob.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method};
use jiff::Timestamp;
use ring::hmac;

use crate::http::encode;

/// The version of the protocol that is spoken and signed.
pub(super) const VERSION: &str = "2021-12-02";

pub(super) fn hmac_base64(key: &[u8], text: &str) -> String {
    encode::base64(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()))
}

/// What `Authorization` says. `path` is encoded as it is sent, `query` is not.
pub(super) fn shared_key(
    account: &str,
    key: &[u8],
    method: &Method,
    path: &str,
    query: &[(&str, String)],
    headers: &HeaderMap,
    length: usize,
) -> String {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let length = if length == 0 { String::new() } else { length.to_string() };
    let mut text = format!(
        "{method}\n\n\n{length}\n{}\n{}\n\n\n{}\n{}\n\n\n",
        header("content-md5"),
        header("content-type"),
        header("if-match"),
        header("if-none-match"),
    );
    let mut own: Vec<_> = headers.iter().filter(|(name, _)| name.as_str().starts_with("x-ms-")).collect();
    own.sort_unstable_by_key(|(name, _)| name.as_str());
    for (name, value) in own {
        let _ = writeln!(text, "{name}:{}", value.to_str().unwrap_or_default().trim());
    }
    let _ = write!(text, "/{account}{path}");
    let mut query: Vec<_> = query.iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    query.sort_unstable();
    for (name, value) in query {
        let _ = write!(text, "\n{name}:{value}");
    }
    format!("SharedKey {account}:{}", hmac_base64(key, &text))
}

/// What one URL permits.
pub(super) struct Grant<'a> {
    pub account: &'a str,
    pub container: &'a str,
    pub key: &'a str,
    /// `r`, `cw`, …
    pub permissions: &'a str,
    pub disposition: Option<String>,
    pub valid_for: Duration,
}

/// A key that the service gives to somebody who has a token, to sign with for a while.
#[derive(Clone)]
pub(super) struct DelegationKey {
    pub oid: String,
    pub tid: String,
    pub start: String,
    pub expiry: String,
    pub service: String,
    pub version: String,
    pub value: Vec<u8>,
}

impl Grant<'_> {
    /// The query of the URL, signed with the account's key.
    pub fn by_account_key(&self, key: &[u8], now: SystemTime) -> String {
        let (start, end) = self.span(now);
        let disposition = self.disposition.as_deref().unwrap_or_default();
        let text = format!(
            "{}\n{start}\n{end}\n/blob/{}/{}/{}\n\n\n\n{VERSION}\nb\n\n\n\n{disposition}\n\n\n",
            self.permissions, self.account, self.container, self.key,
        );
        self.query(&start, &end, &[], hmac_base64(key, &text))
    }

    /// The same, signed with a key of the service's.
    pub fn by_delegation(&self, key: &DelegationKey, now: SystemTime) -> String {
        let (start, end) = self.span(now);
        let disposition = self.disposition.as_deref().unwrap_or_default();
        let text = format!(
            "{}\n{start}\n{end}\n/blob/{}/{}/{}\n{}\n{}\n{}\n{}\n{}\n{}\n\n\n\n\n\n{VERSION}\nb\n\n\n\n{disposition}\n\n\n",
            self.permissions,
            self.account,
            self.container,
            self.key,
            key.oid,
            key.tid,
            key.start,
            key.expiry,
            key.service,
            key.version,
        );
        let whose = [
            ("skoid", key.oid.clone()),
            ("sktid", key.tid.clone()),
            ("skt", key.start.clone()),
            ("ske", key.expiry.clone()),
            ("sks", key.service.clone()),
            ("skv", key.version.clone()),
        ];
        self.query(&start, &end, &whose, hmac_base64(&key.value, &text))
    }

    fn query(&self, start: &str, end: &str, whose: &[(&str, String)], signature: String) -> String {
        let mut pairs = vec![
            ("sv", VERSION.to_owned()),
            ("sr", "b".to_owned()),
            ("sp", self.permissions.to_owned()),
            ("st", start.to_owned()),
            ("se", end.to_owned()),
            ("sig", signature),
        ];
        pairs.extend(self.disposition.clone().map(|disposition| ("rscd", disposition)));
        pairs.extend(whose.iter().cloned());
        encode::query(&pairs)
    }

    /// It begins a little earlier, for clocks that are behind.
    fn span(&self, now: SystemTime) -> (String, String) {
        (time(now - Duration::from_secs(300)), time(now + self.valid_for))
    }
}

pub(super) fn time(time: SystemTime) -> String {
    Timestamp::try_from(time).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
