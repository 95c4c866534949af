//! URIs of artifacts, as far as they must be understood to be judged.

use percent_encoding::percent_decode_str;

use crate::error::ApiError;

/// A URI cut into scheme, authority and path; query and fragment are left off.
pub(super) struct Uri {
    pub(super) scheme: String,
    pub(super) authority: String,
    pub(super) path: String,
}

impl Uri {
    pub(super) fn parse(uri: &str) -> Uri {
        let (scheme, rest) = match uri.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
            _ => (String::new(), uri),
        };
        let rest = if scheme.is_empty() { rest } else { rest.split(['?', '#']).next().unwrap_or_default() };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) if !scheme.is_empty() => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            _ => ("", rest),
        };
        Uri { scheme, authority: authority.to_owned(), path: path.to_owned() }
    }

    /// Refuses what would make the server connect to a host of a client's choosing. `parameter` names the field.
    pub(super) fn check_host(&self, parameter: &str) -> Result<(), ApiError> {
        const WITH_HOSTS: [&str; 9] = ["http", "https", "ftp", "sftp", "hdfs", "viewfs", "r2", "b2", "abfss"];
        if WITH_HOSTS.contains(&self.scheme.as_str()) {
            return Err(ApiError::invalid(format!(
                "'{parameter}' cannot use the '{0}' scheme: the '{0}' scheme addresses a host other than the tracking server's configured artifact storage, so the server would connect to the host named in the URI.",
                self.scheme
            )));
        }
        Ok(())
    }

    pub(super) fn is_local(&self) -> bool {
        self.scheme.is_empty() || self.scheme == "file"
    }

    pub(super) fn is_proxied(&self) -> bool {
        self.scheme == "mlflow-artifacts"
    }

    /// The path's parts, each decoded until nothing changes.
    pub(super) fn parts(&self) -> Vec<String> {
        let decode = |part: &str| {
            let mut part = part.to_owned();
            for _ in 0..16 {
                let once = percent_decode_str(&part).decode_utf8_lossy().into_owned();
                if once == part {
                    break;
                }
                part = once;
            }
            part
        };
        self.path.split('/').filter(|part| !part.is_empty()).map(decode).collect()
    }
}

fn is_scheme(text: &str) -> bool {
    // One letter is a Windows drive, not a scheme.
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}
