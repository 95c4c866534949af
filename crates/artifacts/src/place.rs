//! Places that artifact URIs may lead to, and what lies below which of them.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use trackway_remote as remote;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Absolute.
    Folder(PathBuf),
    /// In a bucket or on a server: as the operator wrote it, without a slash at its end. It may hold a password.
    Distant(String),
}

impl Place {
    pub fn parse(uri: &str) -> Option<Place> {
        if is_distant(uri) {
            return Some(Place::Distant(uri.trim_end_matches('/').to_owned()));
        }
        Some(Place::Folder(std::path::absolute(local_path(uri)?).ok()?))
    }
}

/// Whether a URI leads into a bucket, or to a server that keeps files.
pub(crate) fn is_distant(uri: &str) -> bool {
    is_in_bucket(uri) || is_on_server(uri)
}

pub(crate) fn is_on_server(uri: &str) -> bool {
    OnServer::parse(uri).is_some()
}

fn is_in_bucket(uri: &str) -> bool {
    uri.split_once(':')
        .is_some_and(|(scheme, _)| is_one_of(scheme, &["s3", "gs", "azure", "wasbs", "wasb", "abfss", "abfs"]))
}

/// The path of `uri` below `place`, both distant. A query or a fragment leads nowhere.
pub(crate) fn below<'a>(place: &str, uri: &'a str) -> Option<&'a str> {
    let below = match (OnServer::parse(place), OnServer::parse(uri)) {
        (Some(place), Some(uri)) if place.is_where(&uri) => {
            uri.path.trim_start_matches('/').strip_prefix(place.path.trim_matches('/'))?
        }
        (None, None) => {
            let ((place_scheme, place), (scheme, rest)) = (place.split_once(':')?, uri.split_once(':')?);
            rest.strip_prefix(place).filter(|_| scheme.eq_ignore_ascii_case(place_scheme))?
        }
        _ => return None,
    };
    let begins_at_a_name = below.is_empty() || below.starts_with('/') || place_is_root(place);
    if !begins_at_a_name || below.contains(['?', '#']) {
        return None;
    }
    Some(below.strip_prefix('/').unwrap_or(below))
}

/// Whether a place is all of a server.
fn place_is_root(place: &str) -> bool {
    OnServer::parse(place).is_some_and(|place| place.path.trim_matches('/').is_empty())
}

/// A URI of a server. Who is to log in says nothing about where it leads, so that is left out.
struct OnServer<'a> {
    kind: &'static str,
    host: String,
    port: Option<&'a str>,
    path: &'a str,
}

impl OnServer<'_> {
    fn parse(uri: &str) -> Option<OnServer<'_>> {
        // Each with the port that is meant where none is written.
        const KINDS: [(&str, &str, &str); 6] = [
            ("sftp", "ssh", "22"),
            ("ssh", "ssh", "22"),
            ("hdfs", "hdfs", "8020"),
            ("webhdfs", "webhdfs", "50070"),
            ("webdav", "webdav", "80"),
            ("webdavs", "webdavs", "443"),
        ];
        let (scheme, rest) = uri.split_once(':')?;
        let (_, kind, usual) = KINDS.into_iter().find(|(name, ..)| scheme.eq_ignore_ascii_case(name))?;
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            // As MLflow has it, HDFS may be the one that Hadoop's settings name.
            None => ("", rest),
        };
        let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (address, ""),
        };
        let host = if kind == "hdfs" && host == "default" { String::new() } else { host.to_ascii_lowercase() };
        // What settings name has the port that they give it, if any.
        let port = Some(port).filter(|port| !(port.is_empty() || *port == usual));
        Some(OnServer { kind, host, port, path })
    }

    fn is_where(&self, other: &OnServer<'_>) -> bool {
        (self.kind, &self.host, self.port) == (other.kind, &other.host, other.port)
    }
}

/// `uri` without the password that a server's may have: as it may be shown, and as others may keep it.
pub fn without_password(uri: &str) -> String {
    if is_on_server(uri) { remote::without_password(uri) } else { uri.to_owned() }
}

/// The path in `mlflow-artifacts:/path` and `mlflow-artifacts://host/path`.
pub(crate) fn proxied_path(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    if !is_one_of(scheme, &["mlflow-artifacts"]) {
        return None;
    }
    Some(match rest.strip_prefix("//") {
        // The host is where clients find the proxy, and that is here.
        Some(after_host) => after_host.find('/').map_or("", |slash| &after_host[slash..]),
        None => rest,
    })
}

/// The path of a `file:` URI, or of what has no scheme. It must be absolute and free of `.`, `..` and `//`.
pub(crate) fn local_path(uri: &str) -> Option<PathBuf> {
    let path = match uri.split_once(':') {
        Some((scheme, rest)) if is_one_of(scheme, &["file"]) => {
            let rest = match rest.strip_prefix("//") {
                Some(after) => after.strip_prefix("localhost").unwrap_or(after),
                None => rest,
            };
            if rest.contains(['?', '#']) {
                return None;
            }
            percent_decode_str(rest).decode_utf8().ok()?.into_owned()
        }
        _ => uri.to_owned(),
    };
    path.starts_with('/').then(|| PathBuf::from(path))
}

pub(crate) fn is_one_of(scheme: &str, schemes: &[&str]) -> bool {
    schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_a_place() {
        for (place, uri, path) in [
            ("s3://b/p", "S3://b/p/1/x", Some("1/x")),
            ("s3://b/p", "s3://b/p", Some("")),
            ("s3://b/p", "s3://b/pq/x", None),
            ("s3://b/p", "gs://b/p/x", None),
            ("s3://b/p", "s3://b/p/x?y", None),
            ("sftp://h/p", "sftp://h/p/1/x", Some("1/x")),
            ("sftp://u:secret@H:22/p", "ssh://other@h/p/1", Some("1")),
            ("sftp://h/p", "sftp://h/pq/1", None),
            ("sftp://h/p", "sftp://h:2222/p/1", None),
            ("sftp://h/p", "sftp://h.example/p/1", None),
            ("sftp://h/p", "sftp://x@y@h/p/1", Some("1")),
            ("sftp://h", "sftp://h/p/1", Some("p/1")),
            ("sftp://[::1]:22/p", "sftp://[::1]/p/1", Some("1")),
            ("hdfs:/p", "hdfs:///p/1", Some("1")),
            ("hdfs:/p", "hdfs://default/p/1", Some("1")),
            ("hdfs://nn/p", "hdfs://nn:8020/p/1", Some("1")),
            ("hdfs://nn/p", "hdfs:/p/1", None),
            ("hdfs://nn/p", "webhdfs://nn/p/1", None),
            ("webdavs://u:p@h/dav", "webdavs://h:443/dav/1", Some("1")),
            ("webdavs://h/dav", "webdav://h/dav/1", None),
            ("webdavs://h/dav", "webdavs://h/dav/1#x", None),
        ] {
            assert_eq!(below(place, uri), path, "{uri} below {place}");
        }
    }

    #[test]
    fn passwords_are_left_out() {
        for (uri, shown) in [
            ("sftp://u:pw@h/p", "sftp://u@h/p"),
            ("WEBDAVS://u:pw@h/p", "WEBDAVS://h/p"),
            ("hdfs://u@h/p", "hdfs://u@h/p"),
            ("wasbs://c@a.blob.core.windows.net/p", "wasbs://c@a.blob.core.windows.net/p"),
            ("/a:b@c", "/a:b@c"),
        ] {
            assert_eq!(without_password(uri), shown);
        }
    }
}
