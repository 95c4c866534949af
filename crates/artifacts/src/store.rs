//! The places whose artifacts this server serves, and which artifact URI means which of them.

use std::path::Path;

use tokio::sync::OnceCell;
use trackway_remote::{self as remote, Options, RelPath, Remote};

use crate::error::{Error, Result};
use crate::location::Location;
use crate::path::ArtifactPath;
use crate::place::{Place, below, is_distant, is_one_of, local_path, proxied_path, without_password};

/// What an operator configured. Nothing outside of these places is ever read or written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Places<'a> {
    /// Where proxied artifacts are kept: what `mlflow-artifacts:/` means. None if the server does not proxy.
    pub destination: Option<&'a str>,
    /// The default artifact root of experiments. It only counts here if this server can open it.
    pub default_root: Option<&'a str>,
    /// Further folders, and places in buckets and on servers, that artifact URIs may lead to.
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

impl ArtifactStore {
    pub async fn open(places: Places<'_>, options: Options) -> std::result::Result<ArtifactStore, remote::Error> {
        let proxied = match places.destination {
            None => None,
            Some(uri) => {
                let remote = Remote::open(uri, options.clone()).await?;
                remote.prepare().await?;
                Some(Proxied { uri: uri.to_owned(), remote })
            }
        };
        let others = places.others.iter().map(String::as_str);
        let uris = places.default_root.into_iter().chain(others);
        let roots = uris.filter_map(Place::parse);
        let mut roots: Vec<Root> =
            roots.map(|at| Root { at, options: options.clone(), remote: OnceCell::new() }).collect();
        // What is proxied from a bucket or a server may be asked for by that one's own URIs too.
        if let Some(proxied) = proxied.as_ref().filter(|proxied| is_distant(&proxied.uri))
            && let Some(at) = Place::parse(&proxied.uri)
        {
            // By the same connections.
            roots.insert(0, Root { at, options, remote: OnceCell::new_with(Some(proxied.remote.clone())) });
        }
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
        if is_distant(uri) {
            return self.resolve_distant(uri).await;
        }
        let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
        Err(match scheme {
            // Nothing is fetched: a URI that a client chose must not make the server call other hosts.
            None | Some("") => not_served(uri, "this is neither an absolute path nor a URI"),
            Some(scheme) if is_one_of(scheme, &["http", "https", "ftp", "file"]) => {
                not_served(uri, "this server fetches nothing from such a place")
            }
            Some(_) => Error::NotReachable {
                uri: without_password(uri),
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
    async fn resolve_distant(&self, uri: &str) -> Result<Location> {
        for root in &self.roots {
            let Place::Distant(place) = &root.at else { continue };
            let Some(below) = below(place, uri) else { continue };
            let base = RelPath::new(below.trim_end_matches('/'));
            let base = base.map_err(|_| not_served(uri, "its path is not valid"))?;
            if base.is_root() {
                return Err(not_served(uri, "it names no run and no model"));
            }
            return Ok(Location::new(root.remote().await?, place, base, false));
        }
        Err(Error::NotReachable {
            uri: without_password(uri),
            reason: "they do not lie below a place that this server was started with (--artifacts-destination, --default-artifact-root or --artifact-roots)",
        })
    }
}

impl Root {
    async fn remote(&self) -> Result<Remote> {
        let location = match &self.at {
            Place::Folder(path) => path.to_string_lossy(),
            Place::Distant(uri) => uri.into(),
        };
        let remote = self.remote.get_or_try_init(|| Remote::open(&location, self.options.clone()));
        Ok(remote.await.map_err(Error::Store)?.clone())
    }
}

fn not_served(uri: &str, reason: &'static str) -> Error {
    Error::NotServed { uri: without_password(uri), reason }
}
