//! Signed URLs (version 4), by the key of a service account.

use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use ring::digest;

use super::credentials::ServiceAccount;
use crate::http::encode;

/// What is signed. The path is encoded as it is sent.
pub(super) struct Target<'a> {
    /// With scheme and host, without a slash at its end.
    pub endpoint: &'a str,
    pub path: String,
    pub query: Vec<(&'static str, String)>,
    /// Have to be sent with the request; in lower case.
    pub headers: Vec<(String, String)>,
}

pub(super) fn url(
    account: &ServiceAccount,
    method: &Method,
    target: &Target<'_>,
    valid_for: Duration,
    now: Timestamp,
) -> Result<String, String> {
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let scope = format!("{}/auto/storage/goog4_request", &time[..8]);
    let (_, host) = target.endpoint.split_once("://").ok_or("the endpoint is no URL")?;
    let mut headers = target.headers.clone();
    headers.push(("host".to_owned(), host.to_owned()));
    headers.sort_unstable();
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();

    let mut query = target.query.clone();
    query.push(("X-Goog-Algorithm", "GOOG4-RSA-SHA256".to_owned()));
    query.push(("X-Goog-Credential", format!("{}/{scope}", account.email)));
    query.push(("X-Goog-Date", time.clone()));
    query.push(("X-Goog-Expires", valid_for.as_secs().clamp(1, 604_800).to_string()));
    query.push(("X-Goog-SignedHeaders", names.clone()));
    let query = encode::query(&query);

    let canonical = format!("{method}\n{}\n{query}\n{lines}\n{names}\nUNSIGNED-PAYLOAD", target.path);
    let hash = encode::hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let signature = account.sign(&format!("GOOG4-RSA-SHA256\n{time}\n{scope}\n{hash}"))?;
    Ok(format!("{}{}?{query}&X-Goog-Signature={}", target.endpoint, target.path, encode::hex(&signature)))
}
