//! Percent-encoding, hex and base64 as the clouds' signatures want them.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986.
const STRICT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const KEY: AsciiSet = STRICT.remove(b'/');

/// A key as the path of a URL: its slashes stay.
pub(crate) fn key(key: &str) -> String {
    utf8_percent_encode(key, &KEY).to_string()
}

/// A name or value of a query, or a key as one piece of a path.
pub(crate) fn strict(text: &str) -> String {
    utf8_percent_encode(text, &STRICT).to_string()
}

/// A query in the order and form in which it is signed; empty without pairs.
pub(crate) fn query(pairs: &[(impl AsRef<str>, impl AsRef<str>)]) -> String {
    let mut pairs: Vec<_> = pairs.iter().map(|(name, value)| (strict(name.as_ref()), strict(value.as_ref()))).collect();
    pairs.sort_unstable();
    let mut text = String::new();
    for (name, value) in pairs {
        let between = if text.is_empty() { "" } else { "&" };
        let _ = write!(text, "{between}{name}={value}");
    }
    text
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    // Some of these go into every request.
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text.trim()).ok()
}

/// `attachment; filename="…"` as MLflow 3.17 writes it: what is not plain ASCII is percent-encoded.
pub(crate) fn attachment(name: &str) -> String {
    if name.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
        return format!("attachment; filename=\"{escaped}\"");
    }
    format!("attachment; filename*=UTF-8''{}", key(name))
}
