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
    /// The default artifact root of experiments. It only counts here if it is a local folder or lies in a bucket.
    pub default_root: Option<&'a str>,
    /// Further folders and places in buckets that artifact URIs may lead to.
    pub others: &'a [String],
}

pub struct ArtifactStore {
    proxied: Option<Proxied>,
    roots: Vec<Root>,
}

struct Proxied {
    uri: String,
    remote: Remote,
}

/// A place that clients write to themselves, opened when it is first asked for: until then a folder may not be there.
struct Root {
    at: Place,
    options: Options,
    remote: OnceCell<Remote>,
}

enum Place {
    /// Absolute.
    Folder(PathBuf),
    /// Without a slash at its end.
    Bucket(String),
}

impl ArtifactStore {
    pub async fn open(places: Places<'_>, options: Options) -> std::result::Result<ArtifactStore, remote::Error> {
        let proxied = match places.destination {
            None => None,
            Some(uri) => Some(Proxied { uri: uri.to_owned(), remote: Remote::open(uri, options.clone()).await? }),
        };
        let others = places.others.iter().map(String::as_str);
        // What is proxied from a bucket may be asked for by the bucket's own URIs too.
        let uris = places.default_root.into_iter().chain(others).chain(places.destination.filter(|uri| in_bucket(uri)));
        let roots = uris.filter_map(Place::parse);
        let roots = roots.map(|at| Root { at, options: options.clone(), remote: OnceCell::new() }).collect();
        Ok(ArtifactStore { proxied, roots })
    }

    /// Where all proxied artifacts lie, if this server proxies.
    pub fn proxied(&self) -> Option<Location> {
        let proxied = self.proxied.as_ref()?;
        Some(Location::new(proxied.remote.clone(), &proxied.uri, RelPath::root(), true))
    }

    /// The folder that an artifact URI of a run, a logged model or a model version means.
    pub async fn resolve(&self, uri: &str) -> Result<Location> {
        if let Some(path) = proxied_path(uri) {
            return self.resolve_proxied(uri, path);
        }
        if let Some(path) = local_path(uri) {
            return self.resolve_local(uri, &path).await;
        }
        if in_bucket(uri) {
            return self.resolve_in_bucket(uri).await;
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
                reason: "they lie in a storage that this server cannot read",
            },
        })
    }

    fn resolve_proxied(&self, uri: &str, path: &str) -> Result<Location> {
        let Some(proxied) = &self.proxied else {
            return Err(not_served(uri, "the server was started with --no-serve-artifacts"));
        };
        let path = path.trim_start_matches('/');
        let base = ArtifactPath::parse(path).map_err(|_| not_served(uri, "its path is not valid"))?;
        if base.as_rel_path().is_root() {
            // Only the proxy's own routes see all runs at once.
            return Err(not_served(uri, "it names no run and no model"));
        }
        Ok(Location::new(proxied.remote.clone(), &proxied.uri, base.as_rel_path().clone(), true))
    }

    async fn resolve_local(&self, uri: &str, path: &Path) -> Result<Location> {
        for root in &self.roots {
            let Place::Folder(folder) = &root.at else { continue };
            let Ok(below) = path.strip_prefix(folder) else { continue };
            // Names are taken literally, so `..` and its relatives have no place here.
            let Some(base) = below.to_str().and_then(|below| RelPath::new(below).ok()) else { continue };
            if !base.is_root() {
                return Ok(Location::new(root.remote().await?, uri, base, false));
            }
        }
        Err(not_served(uri, "they do not lie below the artifact root of this server"))
    }

    /// A client may choose such a URI, so it counts only below a place that the operator has named.
    async fn resolve_in_bucket(&self, uri: &str) -> Result<Location> {
        for root in &self.roots {
            let Place::Bucket(place) = &root.at else { continue };
            let Some(below) = below(place, uri) else { continue };
            let base = RelPath::new(below.trim_end_matches('/'));
            let base = base.map_err(|_| not_served(uri, "its path is not valid"))?;
            if base.is_root() {
                return Err(not_served(uri, "it names no run and no model"));
            }
            return Ok(Location::new(root.remote().await?, place, base, false));
        }
        Err(Error::NotReachable {
            uri: uri.to_owned(),
            reason: "they do not lie below a place that this server was started with (--artifacts-destination, --default-artifact-root or --artifact-roots)",
        })
    }
}

impl Place {
    fn parse(uri: &str) -> Option<Place> {
        if in_bucket(uri) {
            return Some(Place::Bucket(uri.trim_end_matches('/').to_owned()));
        }
        Some(Place::Folder(std::path::absolute(local_path(uri)?).ok()?))
    }
}

impl Root {
    async fn remote(&self) -> Result<Remote> {
        let location = match &self.at {
            Place::Folder(path) => path.to_string_lossy(),
            Place::Bucket(uri) => uri.into(),
        };
        let remote = self.remote.get_or_try_init(|| Remote::open(&location, self.options.clone()));
        Ok(remote.await.map_err(Error::Store)?.clone())
    }
}

/// The path of `uri` below `place`, both in buckets. A query or a fragment leads nowhere.
fn below<'a>(place: &str, uri: &'a str) -> Option<&'a str> {
    let ((place_scheme, place), (scheme, rest)) = (place.split_once(':')?, uri.split_once(':')?);
    let below = rest.strip_prefix(place).filter(|_| scheme.eq_ignore_ascii_case(place_scheme))?;
    if below.contains(['?', '#']) {
        return None;
    }
    if below.is_empty() { Some(below) } else { below.strip_prefix('/') }
}

fn in_bucket(uri: &str) -> bool {
    uri.split_once(':')
        .is_some_and(|(scheme, _)| is_one_of(scheme, &["s3", "gs", "azure", "wasbs", "wasb", "abfss", "abfs"]))
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
