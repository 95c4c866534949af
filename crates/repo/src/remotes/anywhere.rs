//! Any URL or path, opened: `s3://bucket/data`, `remote://name/data`, a place on this machine.
//!
//! As DVC 3.67: a URL takes no options from configured remotes, even if one of them is at the same place. Whoever wants them
//! writes `remote://name/path`, or gives them (`--fs-config`).

use std::path::PathBuf;

use trackway_remote::{RelPath, Remote};

use super::connect::{self, without_password};
use crate::config::{Config, Environment, RemoteConfig, Table};
use crate::error::Result;
use crate::output::is_url;
use crate::paths;
use crate::repo::Repo;

/// What a URL or a path leads to. It may not exist.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Anywhere {
    /// A file or folder of this machine, absolute.
    Here(PathBuf),
    There(There),
}

/// A file or folder in a store that was opened. Its requests run on [`super::runtime`].
pub struct There {
    /// Opened at the top of the store: the bucket, the host.
    pub remote: Remote,
    /// What is meant in it; the root, if it is all of it.
    pub path: RelPath,
    /// The version that is asked for, by the URL or otherwise.
    pub version: Option<String>,
    /// Versions of files are looked up and recorded (`version_aware`, a URL that names one).
    pub version_aware: bool,
    /// As it is shown: without a password, and without the version.
    pub url: String,
    /// Its options, those of a remote that it names among them.
    pub config: RemoteConfig,
}

impl Repo {
    /// Opens what `location` names, with these options over those that it has anyway.
    pub fn anywhere(&self, location: &str, options: &Table) -> Result<Anywhere> {
        open(self.config(), self.environment(), location, options)
    }
}

/// The same where there may be no repository around: its configuration is that of the person and the machine.
pub fn open(config: &Config, environment: &Environment, location: &str, options: &Table) -> Result<Anywhere> {
    if !is_url(location) {
        let path = location.strip_prefix("file://").unwrap_or(location);
        return Ok(Anywhere::Here(paths::absolute(path.as_ref(), &environment.cwd)));
    }
    let mut config = config.remote_at(location, options)?;
    if config.scheme.is_empty() || config.scheme == "file" {
        let path = config.url.strip_prefix("file://").unwrap_or(&config.url);
        return Ok(Anywhere::Here(paths::absolute(path.as_ref(), &environment.cwd)));
    }
    let version = asked_version(&config, location);
    let place = split_version(&config.scheme, &config.url).0;
    let url = without_password(&place);
    let (top, path) = match config.scheme.as_str() {
        "http" | "https" | "webdav" | "webdavs" => split_web(&place),
        _ => split_top(&place),
    };
    let path = RelPath::new(path).map_err(trackway_store::Error::from)?;
    config.url = top;
    let remote = connect::open(&config, environment)?;
    let version_aware = config.version_aware() || version.is_some();
    Ok(Anywhere::There(There { remote, path, version, version_aware, url, config }))
}

/// `scheme://host`, and the path in it without slashes around.
fn split_top(url: &str) -> (String, String) {
    let from = url.find("://").map_or(0, |at| at + 3);
    let end = url[from..].find('/').map_or(url.len(), |at| from + at);
    (url[..end].to_owned(), url[end..].trim_matches('/').to_owned())
}

/// The same of a web address, whose path is encoded. A query stays with the host: it goes behind each path.
fn split_web(url: &str) -> (String, String) {
    let url = url.split('#').next().unwrap_or_default();
    let (url, query) = url.split_at(url.find('?').unwrap_or(url.len()));
    let (top, path) = split_top(url);
    let path = percent_encoding::percent_decode_str(&path).decode_utf8_lossy().into_owned();
    (format!("{top}{query}"), path)
}

/// The version that a URL asks for. The path behind `remote://name` loses it when it is resolved.
pub(crate) fn asked_version(config: &RemoteConfig, location: &str) -> Option<String> {
    split_version(&config.scheme, &config.url).1.or_else(|| split_version(&config.scheme, location).1)
}

/// As DVC 3.67: the version of an object stands behind its URL.
fn split_version(scheme: &str, url: &str) -> (String, Option<String>) {
    let marked = match scheme {
        "s3" => url.split_once("?versionId="),
        "azure" => url.split_once("?versionid="),
        // A number: other keys may have a `#`.
        "gs" => url.rsplit_once('#').filter(|(_, version)| version.bytes().all(|byte| byte.is_ascii_digit())),
        _ => None,
    };
    match marked.filter(|(_, version)| !version.is_empty()) {
        Some((url, version)) => (url.to_owned(), Some(version.to_owned())),
        None => (url.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_the_top_of_its_store_and_a_path() {
        for (url, top, path) in [
            ("s3://bucket", "s3://bucket", ""),
            ("s3://bucket/", "s3://bucket", ""),
            ("s3://bucket/a/b.csv", "s3://bucket", "a/b.csv"),
            ("ssh://me@host:22/home/me/", "ssh://me@host:22", "home/me"),
        ] {
            assert_eq!(split_top(url), (top.to_owned(), path.to_owned()));
        }
    }

    #[test]
    fn the_path_of_a_web_address_is_decoded() {
        let split = |url| split_web(url);
        assert_eq!(split("http://h/a%20b/c.csv?sig=1#x"), ("http://h?sig=1".to_owned(), "a b/c.csv".to_owned()));
        assert_eq!(split("webdav://h:80/a"), ("webdav://h:80".to_owned(), "a".to_owned()));
    }

    #[test]
    fn versions_stand_behind_the_url() {
        let split = |scheme, url| split_version(scheme, url);
        assert_eq!(split("s3", "s3://b/k?versionId=v1"), ("s3://b/k".to_owned(), Some("v1".to_owned())));
        assert_eq!(split("gs", "gs://b/k#123"), ("gs://b/k".to_owned(), Some("123".to_owned())));
        assert_eq!(split("gs", "gs://b/k#x"), ("gs://b/k#x".to_owned(), None));
        assert_eq!(split("s3", "s3://b/k?x"), ("s3://b/k?x".to_owned(), None));
    }
}
