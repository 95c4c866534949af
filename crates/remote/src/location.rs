//! Where a remote lies: `./folder`, `/folder`, `file:///folder`; other schemes as they come.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};

/// A location, understood but not yet opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Location {
    Local(PathBuf),
}

impl Location {
    pub(crate) fn parse(text: &str) -> Result<Location> {
        let invalid = |reason: &str| Error::InvalidLocation { location: text.to_owned(), reason: reason.to_owned() };
        if text.is_empty() {
            return Err(invalid("it is empty"));
        }
        if text.contains('\0') {
            return Err(invalid("it contains a NUL character"));
        }
        match scheme(text) {
            None => Ok(Location::Local(PathBuf::from(text))),
            Some("file") => file_url(&text["file:".len()..]).map_err(invalid),
            Some(other) => Err(invalid(&format!(
                "the scheme '{other}' is not one that can be used here; give a folder or a file: URL"
            ))),
        }
    }
}

/// The scheme of a URL in lower case where it is one we know, else as written. A folder whose name has a
/// colon is written with a path before it (`./a:b`).
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let mut chars = scheme.chars();
    let is_scheme = chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    match scheme {
        _ if !is_scheme => None,
        _ if scheme.eq_ignore_ascii_case("file") => Some("file"),
        _ => Some(scheme),
    }
}

/// What follows `file:`: an absolute path, percent-encoded, after an empty or local host.
fn file_url(rest: &str) -> std::result::Result<Location, &'static str> {
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(after) => {
            let (host, _) = after.split_once('/').ok_or("a file: URL needs an absolute path")?;
            if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
                return Err("a file: URL must not name another host");
            }
            &after[host.len()..]
        }
    };
    if !path.starts_with('/') {
        return Err("a file: URL needs an absolute path");
    }
    if path.contains(['?', '#']) {
        return Err("a file: URL takes no query and no fragment");
    }
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| "its percent-encoding is not UTF-8")?;
    if decoded.contains('\0') {
        return Err("it contains a NUL character");
    }
    Ok(Location::Local(PathBuf::from(decoded.into_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(text: &str) -> Option<String> {
        match Location::parse(text) {
            Ok(Location::Local(path)) => path.to_str().map(str::to_owned),
            Err(_) => None,
        }
    }

    #[test]
    fn reads_paths_and_file_urls() {
        for (text, path) in [
            ("./mlartifacts", "./mlartifacts"),
            ("/data/a%20b", "/data/a%20b"),
            ("./a:b", "./a:b"),
            ("file:///data/a%20b", "/data/a b"),
            ("FILE:/data", "/data"),
            ("file://localhost/data", "/data"),
        ] {
            assert_eq!(local(text).as_deref(), Some(path), "{text}");
        }
    }

    #[test]
    fn refuses_other_schemes_and_hosts() {
        for text in [
            "",
            "s3://bucket/x",
            "http://h/x",
            "file://host/x",
            "file:x",
            "file://",
            "file:///a?b",
            "file:///a#b",
            "file:///a%00",
            "file:///%ff",
            "a\0b",
        ] {
            assert_eq!(local(text), None, "{text:?} was accepted");
        }
        let message = Location::parse("s3://bucket/x").unwrap_err().to_string();
        assert!(message.contains("'s3'"), "{message}");
    }
}
