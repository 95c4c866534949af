//! Where a relative reference leads, and whether that is the same server.

use http::Uri;

/// Scheme, host and port: who gets to see a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub scheme: String,
    pub host: String,
    pub port: u16,
}

impl Origin {
    pub fn of(url: &str) -> Option<Origin> {
        let uri: Uri = url.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let usual = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?.to_ascii_lowercase();
        Some(Origin { scheme, host, port: uri.port_u16().unwrap_or(usual) })
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// A reference as seen from a URL (RFC 3986, 5.2); fragments are left off. None where it leads to nothing
/// that can be asked over HTTP.
pub(crate) fn join(base: &str, reference: &str) -> Option<String> {
    let reference = reference.split('#').next()?.trim();
    let (scheme, rest) = base.split_once("://")?;
    let (before_query, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (authority, path) = before_query.split_at(before_query.find('/').unwrap_or(before_query.len()));
    let lower = reference.to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        return Some(reference.to_owned());
    }
    if let Some(elsewhere) = reference.strip_prefix("//") {
        return Some(format!("{scheme}://{elsewhere}"));
    }
    let (to, to_query) = reference.split_once('?').map_or((reference, None), |(to, query)| (to, Some(query)));
    // A scheme that is not HTTP's.
    if to.split('/').next()?.contains(':') {
        return None;
    }
    let joined = match to {
        "" => path.to_owned(),
        _ if to.starts_with('/') => without_dots(to),
        _ => without_dots(&format!("{}/{to}", path.rsplit_once('/').map_or("", |(folder, _)| folder))),
    };
    let query = to_query.or(query.filter(|_| to.is_empty())).map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{scheme}://{authority}{joined}{query}"))
}

/// A URL without a user and password before its host.
pub(crate) fn without_userinfo(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

fn without_dots(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    let last = path.split('/').count() - 1;
    for (index, name) in path.split('/').enumerate() {
        match name {
            "." if index == last => names.push(""),
            "." => {}
            ".." => {
                if names.len() > 1 {
                    names.pop();
                }
                if index == last {
                    names.push("");
                }
            }
            _ => names.push(name),
        }
    }
    names.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_where_the_standard_says() {
        let base = "http://h:1/a/b/c?q=1";
        for (reference, expected) in [
            ("d", "http://h:1/a/b/d"),
            ("../d?x", "http://h:1/a/d?x"),
            ("../../../d", "http://h:1/d"),
            ("./", "http://h:1/a/b/"),
            ("..", "http://h:1/a/"),
            ("/d#there", "http://h:1/d"),
            ("?x=2", "http://h:1/a/b/c?x=2"),
            ("", "http://h:1/a/b/c?q=1"),
            ("//other/d", "http://other/d"),
            ("HTTPS://other/d", "HTTPS://other/d"),
        ] {
            assert_eq!(join(base, reference).as_deref(), Some(expected), "{reference}");
        }
        assert_eq!(join("http://h", "d").as_deref(), Some("http://h/d"));
        for elsewhere in ["ftp://h/d", "file:/etc/passwd", "javascript:1"] {
            assert_eq!(join(base, elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn a_user_before_the_host_is_left_off() {
        for (url, expected) in [
            ("http://u:p@h/a@b", "http://h/a@b"),
            ("http://u:p@q@h?c@d", "http://h?c@d"),
            ("http://h/u:p@x", "http://h/u:p@x"),
        ] {
            assert_eq!(without_userinfo(url), expected);
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |a, b| Origin::of(a).is_some() && Origin::of(a) == Origin::of(b);
        assert!(same("http://h/a", "HTTP://H:80/b?c"));
        assert!(!same("http://h/a", "https://h/a"));
        assert!(!same("http://h/a", "http://h:81/a"));
        assert!(!same("http://h/a", "http://h.example/a"));
        assert!(same("http://u:p@h/a", "http://h/a"));
        assert_eq!(Origin::of("ftp://h/a"), None);
    }
}
