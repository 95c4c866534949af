//! The places whose artifacts this server serves, and which artifact URI means which of them.

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use tokio::sync::OnceCell;
use trackway_remote::{self as remote, Options, RelPath, Remote};

use crate::error::{Error, Result};
use crate::location::Location;
use crate::path::ArtifactPath;

/// What an operator configured. Nothing outside of these places is ever read or written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Places<'a> {
    /// Where proxied artifacts are kept: what `mlflow-artifacts:/` means. None if the server does not proxy.
    pub destination: Option<&'a str>,
    /// The default artifact root of experiments. It only counts here if it is a local folder.
    pub default_root: Option<&'a str>,
}

pub struct ArtifactStore {
    proxied: Option<Remote>,
    local: Option<LocalRoot>,
}

/// A folder that clients on this machine write to themselves, opened when it is first asked for: until
/// then it may not be there.
struct LocalRoot {
    /// Absolute.
    path: PathBuf,
    options: Options,
    remote: OnceCell<Remote>,
}

impl ArtifactStore {
    pub async fn open(places: Places<'_>, options: Options) -> std::result::Result<ArtifactStore, remote::Error> {
        let options = Options { mlflow_variables: true, ..options };
        let proxied = match places.destination {
            None => None,
            Some(destination) => Some(Remote::open(destination, options.clone()).await?),
        };
        let local = places
            .default_root
            .and_then(local_path)
            .and_then(|path| std::path::absolute(path).ok())
            .map(|path| LocalRoot { path, options, remote: OnceCell::new() });
        Ok(ArtifactStore { proxied, local })
    }

    /// Where all proxied artifacts lie, if this server proxies.
    pub fn proxied(&self) -> Option<Location> {
        let remote = self.proxied.clone()?;
        Some(Location::new(remote, RelPath::root(), true))
    }

    /// The folder that an artifact URI of a run, a logged model or a model version means.
    pub async fn resolve(&self, uri: &str) -> Result<Location> {
        if let Some(path) = proxied_path(uri) {
            return self.resolve_proxied(uri, path);
        }
        if let Some(path) = local_path(uri) {
            return self.resolve_local(uri, &path).await;
        }
        let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
        Err(match scheme {
            // Nothing is fetched: a URI that a client chose must not make the server call other hosts.
            None | Some("") => not_served(uri, "this is neither an absolute path nor a URI"),
            Some(scheme) if is_one_of(scheme, &["http", "https", "ftp", "sftp", "file"]) => {
                not_served(uri, "this server fetches nothing from such a place")
            }
            Some(_) => Error::NotReachable {
                uri: uri.to_owned(),
                reason: "they lie in a storage that this server is not connected to",
            },
        })
    }

    fn resolve_proxied(&self, uri: &str, path: &str) -> Result<Location> {
        let Some(remote) = self.proxied.clone() else {
            return Err(not_served(uri, "the server was started with --no-serve-artifacts"));
        };
        let path = path.trim_start_matches('/');
        let base = ArtifactPath::parse(path).map_err(|_| not_served(uri, "its path is not valid"))?;
        if base.as_rel_path().is_root() {
            // Only the proxy's own routes see all runs at once.
            return Err(not_served(uri, "it names no run and no model"));
        }
        Ok(Location::new(remote, base.as_rel_path().clone(), true))
    }

    async fn resolve_local(&self, uri: &str, path: &Path) -> Result<Location> {
        let outside = || not_served(uri, "they do not lie below the artifact root of this server");
        let root = self.local.as_ref().ok_or_else(outside)?;
        let below = path.strip_prefix(&root.path).map_err(|_| outside())?;
        // Names are taken literally, so `..` and its relatives have no place here.
        let below = below.to_str().ok_or_else(outside)?;
        let base = RelPath::new(below).map_err(|_| outside())?;
        if base.is_root() {
            return Err(outside());
        }
        let remote = root.remote().await.map_err(Error::Store)?;
        Ok(Location::new(remote, base, false))
    }
}

impl LocalRoot {
    async fn remote(&self) -> std::result::Result<Remote, remote::Error> {
        let path = self.path.to_string_lossy();
        let remote = self.remote.get_or_try_init(|| Remote::open(&path, self.options.clone()));
        Ok(remote.await?.clone())
    }
}

fn not_served(uri: &str, reason: &'static str) -> Error {
    Error::NotServed { uri: uri.to_owned(), reason }
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

fn is_one_of(scheme: &str, schemes: &[&str]) -> bool {
    schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known))
}
