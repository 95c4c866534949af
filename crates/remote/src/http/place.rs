//! A place on an HTTP server, as a URL names it: `https://user:password@host:port/folder?query`.

use http::Uri;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::options::Secret;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpPlace {
    /// As it was written: `webdavs`.
    scheme: String,
    /// With its port, if it has one.
    host: String,
    /// As it was written: encoded, and perhaps not all of it.
    path: String,
    /// May be a signature.
    pub query: Option<Secret>,
    pub user: Option<String>,
    pub password: Option<Secret>,
}

/// What stands in URLs as it is meant, though it must not; a percent sign may be right.
const UNSAFE: AsciiSet =
    CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

impl HttpPlace {
    /// `rest` is what follows `scheme://`.
    pub fn parse(scheme: &str, rest: &str) -> Result<HttpPlace, &'static str> {
        let rest = rest.split('#').next().unwrap_or_default();
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user_info, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        if host.is_empty() {
            return Err("it names no host");
        }
        if path.chars().chain(host.chars()).any(char::is_control) {
            return Err("it contains control characters");
        }
        let uri: Uri = format!("http://{host}/").parse().map_err(|_| "its host makes no valid URL")?;
        if uri.authority().is_none_or(|authority| authority.as_str() != host || authority.host().is_empty()) {
            return Err("its host makes no valid URL");
        }
        if host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']') && port.parse::<u16>().is_err()) {
            return Err("its port is no port's number");
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(String::from);
        let not_utf8 = "its percent-encoding is not UTF-8";
        let path_means = decoded(path).ok_or(not_utf8)?;
        if path_means.split('/').any(|name| matches!(name, "." | "..")) || path_means.contains('\0') {
            return Err("its path has names that cannot be used ('.', '..', NUL)");
        }
        let (user, password) = match user_info.map(|info| info.split_once(':').unwrap_or((info, ""))) {
            None => (None, None),
            Some((user, password)) => (Some(decoded(user).ok_or(not_utf8)?), Some(decoded(password).ok_or(not_utf8)?)),
        };
        Ok(HttpPlace {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            path: path.trim_end_matches('/').to_owned(),
            query: query.map(|query| Secret::new(utf8_percent_encode(query, &UNSAFE).to_string())),
            user: user.filter(|user| !user.is_empty()),
            password: password.filter(|password| !password.is_empty()).map(Secret::new),
        })
    }

    /// `https://host:port`
    pub fn base(&self) -> String {
        let secure = self.scheme.ends_with('s');
        format!("{}://{}", if secure { "https" } else { "http" }, self.host)
    }

    /// What may be shown of it.
    pub fn shown(&self) -> String {
        format!("{}://{}{}", self.scheme, self.host, self.path)
    }

    pub fn decoded_path(&self) -> String {
        percent_decode_str(&self.path).decode_utf8_lossy().into_owned()
    }

    /// As it is asked for: what is encoded stays so.
    pub fn encoded_path(&self) -> String {
        let mut encoded = String::new();
        for (index, piece) in self.path.split('%').enumerate() {
            let is_code = piece.len() >= 2 && piece.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
            match (index, is_code) {
                (0, _) => {}
                (_, true) => encoded.push('%'),
                (_, false) => encoded.push_str("%25"),
            }
            encoded.extend(utf8_percent_encode(piece, &UNSAFE));
        }
        encoded
    }
}
