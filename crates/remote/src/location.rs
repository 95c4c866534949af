//! Where a remote lies: `./folder`, `/folder`, `file:///folder`; other schemes as they come.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};
pub(crate) use crate::http::place::HttpPlace;
use crate::options::Secret;

/// A location, understood but not yet opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Location {
    Local(PathBuf),
    S3 { bucket: String, prefix: String },
    Gcs { bucket: String, prefix: String },
    Azure { container: String, account: Option<Account>, prefix: String },
    Ssh(Server),
    Hdfs(Server),
    WebHdfs(Server),
    WebDav(HttpPlace),
    Web(HttpPlace),
}

/// The account of a URL that names it: `container@NAME.blob.core.windows.net`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub name: String,
    /// Behind `blob.` in the host's name: `core.windows.net`.
    pub suffix: String,
}

/// A folder of a server that users log in to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Server {
    pub scheme: &'static str,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// Of HDFS it may be empty: settings say which it is.
    pub host: String,
    pub port: Option<u16>,
    /// Absolute; empty means the server's root.
    pub path: String,
}

/// Without the password.
impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

impl Location {
    pub(crate) fn parse(text: &str) -> Result<Location> {
        let invalid = |reason: &str| Error::InvalidLocation {
            // What follows a question mark may be a signature.
            location: without_password(text.split('?').next().unwrap_or_default()),
            reason: reason.to_owned(),
        };
        if text.is_empty() {
            return Err(invalid("it is empty"));
        }
        if text.contains('\0') {
            return Err(invalid("it contains a NUL character"));
        }
        let behind = |text, scheme| behind(text, scheme).map_err(invalid);
        match scheme(text) {
            None => Ok(Location::Local(PathBuf::from(text))),
            Some("file") => file_url(&text["file:".len()..]).map_err(invalid),
            Some("s3") => {
                let (bucket, prefix) = bucket_url(behind(text, "s3")?).map_err(invalid)?;
                Ok(Location::S3 { bucket, prefix })
            }
            Some("gs") => {
                let (bucket, prefix) = bucket_url(behind(text, "gs")?).map_err(invalid)?;
                Ok(Location::Gcs { bucket, prefix })
            }
            Some("azure") => {
                let (container, prefix) = bucket_url(behind(text, "azure")?).map_err(invalid)?;
                Ok(Location::Azure { container, account: None, prefix })
            }
            Some(scheme @ ("wasbs" | "wasb" | "abfss" | "abfs")) => {
                let service = if scheme.starts_with('w') { "blob." } else { "dfs." };
                account_url(behind(text, scheme)?, service).map_err(invalid)
            }
            Some(scheme @ ("ssh" | "sftp")) => {
                server_url("ssh", behind(text, scheme)?).map(Location::Ssh).map_err(invalid)
            }
            Some("hdfs") => {
                let rest = &text["hdfs:".len()..];
                // As MLflow writes it, `hdfs:/path` is in the HDFS that Hadoop's settings name.
                let rest = if rest.starts_with('/') && !rest.starts_with("//") { rest } else { behind(text, "hdfs")? };
                server_url("hdfs", rest).map(Location::Hdfs).map_err(invalid)
            }
            Some("viewfs") => Err(invalid(
                "a viewfs: is put together from mounts by Hadoop's settings; name the place behind the mount, \
                 hdfs://HOST:PORT/PATH",
            )),
            Some("webhdfs") => server_url("webhdfs", behind(text, "webhdfs")?).map(Location::WebHdfs).map_err(invalid),
            Some(scheme @ ("webdav" | "webdavs")) => {
                let place = HttpPlace::parse(scheme, behind(text, scheme)?).map_err(invalid)?;
                match place.query {
                    None => Ok(Location::WebDav(place)),
                    Some(_) => Err(invalid("it takes no query")),
                }
            }
            Some(scheme @ ("http" | "https")) => {
                Ok(Location::Web(HttpPlace::parse(scheme, behind(text, scheme)?).map_err(invalid)?))
            }
            Some(other) => Err(invalid(&format!(
                "the scheme '{other}' is not one that can be used here; give a folder, a file: URL, a place in a \
                 bucket (s3://, gs://, azure://, wasbs://, abfss://), a folder of a server (ssh://, hdfs://, webhdfs://, \
                 webdav://), or an http: URL"
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
        _ => Some(KNOWN.into_iter().find(|known| scheme.eq_ignore_ascii_case(known)).unwrap_or(scheme)),
    }
}

const KNOWN: [&str; 17] = [
    "file", "s3", "gs", "azure", "wasbs", "wasb", "abfss", "abfs", "ssh", "sftp", "hdfs", "viewfs", "webhdfs",
    "webdav", "webdavs", "http", "https",
];

/// The clouds that Azure's storage has a host in.
const AZURE_CLOUDS: [&str; 4] =
    ["core.windows.net", "core.chinacloudapi.cn", "core.usgovcloudapi.net", "core.cloudapi.de"];

/// What follows `scheme://`.
fn behind<'a>(text: &'a str, scheme: &str) -> std::result::Result<&'a str, &'static str> {
    text[scheme.len()..].strip_prefix("://").ok_or("two slashes are missing behind its scheme")
}

/// What follows `s3://`: a bucket, and a prefix that is taken literally, as MLflow takes it.
fn bucket_url(rest: &str) -> std::result::Result<(String, String), &'static str> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err("it names no bucket: write the bucket's name behind the two slashes");
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '$');
    if !bucket.chars().all(is_name) || bucket.len() > 255 || bucket.starts_with('.') {
        return Err("the bucket's name has characters that no bucket's name has");
    }
    Ok((bucket.to_owned(), prefix_of(prefix)?))
}

/// `container@account.blob.core.windows.net/path`.
fn account_url(rest: &str, service: &str) -> std::result::Result<Location, &'static str> {
    let wrong = "it must look like wasbs://CONTAINER@ACCOUNT.blob.core.windows.net/PATH, or abfss:// with .dfs.";
    let (place, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let (container, host) = place.split_once('@').ok_or(wrong)?;
    let (name, host) = host.split_once('.').ok_or(wrong)?;
    let suffix = host.strip_prefix(service).or_else(|| host.strip_prefix("blob.")).ok_or(wrong)?;
    if name.is_empty() || !name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') {
        return Err(wrong);
    }
    let suffix = AZURE_CLOUDS.into_iter().find(|cloud| suffix.eq_ignore_ascii_case(cloud)).ok_or(wrong)?;
    let (container, _) = bucket_url(container)?;
    let account = Account { name: name.to_ascii_lowercase(), suffix: suffix.to_owned() };
    Ok(Location::Azure { container, account: Some(account), prefix: prefix_of(prefix)? })
}

/// `user:password@host:port/path`. As DVC reads it: the path is absolute, and nothing in it is percent-encoded.
fn server_url(scheme: &'static str, rest: &str) -> std::result::Result<Server, &'static str> {
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, address) = match place.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, place),
    };
    let (user, password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
        None => (None, None),
        Some((user, password)) => (Some(decoded(user)?), Some(decoded(password)?)),
    };
    let (host, port) = match address.strip_prefix('[') {
        Some(bracketed) => {
            let (host, behind) = bracketed.split_once(']').ok_or("a bracket around its host is not closed")?;
            (host, behind.strip_prefix(':').unwrap_or(""))
        }
        None => address.split_once(':').unwrap_or((address, "")),
    };
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.is_empty() && scheme != "hdfs" || host.starts_with('-') || !host.chars().all(is_name) {
        return Err("it names no host: write SCHEME://USER@HOST/PATH");
    }
    let port = match port {
        "" => None,
        port => Some(port.parse().ok().filter(|port| *port > 0).ok_or("its port is not a number up to 65535")?),
    };
    if path.split('/').any(|name| matches!(name, "." | "..")) || path.chars().any(char::is_control) {
        return Err("its path has names that cannot be used ('.', '..', control characters)");
    }
    Ok(Server {
        scheme,
        user: user.filter(|user| !user.is_empty()),
        password: password.filter(|password| !password.is_empty()).map(Secret::new),
        host: host.to_owned(),
        port,
        path: path.to_owned(),
    })
}

fn decoded(text: &str) -> std::result::Result<String, &'static str> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| "its percent-encoding is not UTF-8")?;
    Ok(decoded.into_owned())
}

/// What stands before an `@` may hold a password; of a web address the user may be a token, too.
pub fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    if ["http", "https", "webdav", "webdavs"].into_iter().any(|web| scheme.eq_ignore_ascii_case(web)) {
        return crate::http::url::without_userinfo(text);
    }
    let place = &rest[..rest.find('/').unwrap_or(rest.len())];
    match place.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
        Some((user, host)) => format!("{scheme}://{user}@{host}{}", &rest[place.len()..]),
        None => text.to_owned(),
    }
}

fn prefix_of(prefix: &str) -> std::result::Result<String, &'static str> {
    if prefix.contains(['?', '#']) {
        return Err("it takes no query and no fragment");
    }
    if prefix.split('/').any(|name| matches!(name, "." | "..")) || prefix.chars().any(char::is_control) {
        return Err("its path has names that cannot be used ('.', '..', control characters)");
    }
    Ok(prefix.trim_matches('/').to_owned())
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
            _ => None,
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
            "ftp://h/x",
            "http:h/x",
            "http:///x",
            "http://u:sig=@/x",
            "s3://",
            "s3:bucket/x",
            "s3://bucket/a/../b",
            "s3://bucket/a?versionId=1",
            "s3://user:secret@bucket/x",
            "azure://?sig=secret",
            "wasbs://container/x",
            "wasbs://container@account.blob.example.com/x",
            "abfss://@account.dfs.core.windows.net/x",
            "file://host/x",
            "file:x",
            "file://",
            "file:///a?b",
            "file:///a#b",
            "file:///a%00",
            "file:///%ff",
            "a\0b",
        ] {
            let outcome = Location::parse(text);
            assert!(outcome.is_err(), "{text:?} was accepted");
            assert!(!outcome.unwrap_err().to_string().contains("sig="), "{text}");
        }
        let message = Location::parse("ftp://h/x").unwrap_err().to_string();
        assert!(message.contains("'ftp'"), "{message}");
    }

    #[test]
    fn reads_places_on_http_servers() {
        let Ok(Location::Web(place)) = Location::parse("HTTPS://u%40x:p%3A@h.example:8443/a%20b/c d?q=secret") else {
            panic!("it was refused");
        };
        assert_eq!(place.user.as_deref(), Some("u@x"));
        assert_eq!(place.password, Some("p:".into()));
        assert_eq!(place.base(), "https://h.example:8443");
        assert_eq!((place.encoded_path(), place.decoded_path()), ("/a%20b/c%20d".to_owned(), "/a b/c d".to_owned()));
        assert_eq!(place.shown(), "https://h.example:8443/a%20b/c d");
        assert!(!format!("{place:?}").contains("p:"));
        for text in ["http://h:99999/x", "http://h h/x", "http://h/a\nb", "https://[::1/x"] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_places_in_hdfs() {
        let Location::Hdfs(server) = Location::parse("HDFS://u@nn:8020/a b").unwrap() else { panic!("no HDFS") };
        assert_eq!(server.to_string(), "hdfs://u@nn:8020/a b");
        let Location::Hdfs(server) = Location::parse("hdfs:///a").unwrap() else { panic!("no HDFS") };
        assert_eq!((server.host.as_str(), server.path.as_str()), ("", "/a"));
        assert_eq!(Location::parse("HDFS:/a").unwrap(), Location::Hdfs(server));
        assert!(Location::parse("hdfs:a").is_err());
        assert!(Location::parse("viewfs://c/a").unwrap_err().to_string().contains("hdfs://"));
        let Location::WebHdfs(server) = Location::parse("webhdfs://u:secret@nn/a").unwrap() else { panic!("no HDFS") };
        assert_eq!(server.to_string(), "webhdfs://u@nn/a");
        assert!(Location::parse("webhdfs:///a").is_err());
    }

    #[test]
    fn reads_places_in_buckets() {
        let place = |text| Location::parse(text).unwrap();
        let owned = |text: &str| text.to_owned();
        assert_eq!(place("S3://b/a/%20/"), Location::S3 { bucket: owned("b"), prefix: owned("a/%20") });
        assert_eq!(place("gs://b"), Location::Gcs { bucket: owned("b"), prefix: String::new() });
        let account = |suffix| Some(Account { name: owned("acc"), suffix: owned(suffix) });
        assert_eq!(
            place("wasbs://c@acc.blob.core.windows.net/p"),
            Location::Azure { container: owned("c"), account: account("core.windows.net"), prefix: owned("p") }
        );
        assert_eq!(
            place("abfss://c@acc.dfs.core.chinacloudapi.cn"),
            Location::Azure { container: owned("c"), account: account("core.chinacloudapi.cn"), prefix: String::new() }
        );
        assert_eq!(
            place("azure://c/p/q"),
            Location::Azure { container: owned("c"), account: None, prefix: owned("p/q") }
        );
    }
}
