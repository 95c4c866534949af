//! Where the artifacts of one run or logged model lie, for a purge: what is surely theirs, and nothing beside it.
//!
//! A purge follows artifact URIs that clients could choose in part (the location of an experiment), with the rights of an
//! operator. So a URI counts only if it ends as we made it, in `/{run_id}/artifacts` or `/models/{model_id}/artifacts`:
//! such a folder belongs to nobody else, wherever it lies. Everything else is refused before anything is touched.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt;
use tokio::sync::Mutex;
use trackway_remote::{self as remote, Listing, Options, RelPath, Remote, ThroughServer};

use crate::error::{Error, Result};
use crate::path::ArtifactPath;
use crate::place::{below, is_on_server, local_path, proxied_path, without_password};

/// Places that are kept open: a folder costs a file descriptor, a bucket its connections.
const OPEN: usize = 64;

/// The owner of artifacts.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    Run(&'a str),
    LoggedModel(&'a str),
}

impl Owner<'_> {
    /// Where its artifacts lie below its experiment's.
    fn below(self) -> String {
        match self {
            Owner::Run(id) => format!("{id}/artifacts"),
            Owner::LoggedModel(id) => format!("models/{id}/artifacts"),
        }
    }
}

/// The places that a purge may reach.
pub struct PurgePlaces {
    /// What `mlflow-artifacts:/` means, and its location.
    destination: Option<(String, Remote)>,
    /// Who deletes what `mlflow-artifacts:/` means, if it is not known where that lies.
    server: Option<ThroughServer>,
    /// Further places on servers that may be reached: a URI alone is no reason to log in to a stranger's.
    roots: Vec<String>,
    options: Options,
    open: Mutex<HashMap<String, Remote>>,
}

/// The artifacts of one owner.
#[derive(Clone)]
pub struct OwnArtifacts {
    place: Place,
    path: RelPath,
    /// Where that is, as its location has it.
    uri: String,
    /// The folder that goes with its last artifact: the run's own.
    own_folder: RelPath,
}

#[derive(Clone)]
enum Place {
    Here(Remote),
    ThroughServer(ThroughServer),
}

/// How much lies somewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    pub files: u64,
    pub bytes: u64,
}

impl PurgePlaces {
    /// `destination` is where the servers keep what is proxied, if they do. A folder must be there: an empty one in its
    /// place would look as if all artifacts were gone already. `roots` are the places on servers, beside it, that artifact
    /// URIs may lead to. Without a destination the server at `tracking_uri` is
    /// asked to delete, if that is one.
    pub async fn open(
        destination: Option<&str>,
        roots: &[String],
        tracking_uri: Option<&str>,
        options: Options,
    ) -> Result<PurgePlaces> {
        let options = Options { mlflow_variables: true, ..options };
        let destination = match destination {
            None => None,
            Some(location) => {
                if is_missing_folder(location) {
                    return Err(Error::NoDestination { location: location.to_owned() });
                }
                let remote = Remote::open(location, options.clone()).await.map_err(Error::Store)?;
                Some((location.trim_end_matches('/').to_owned(), remote))
            }
        };
        let server = match tracking_uri {
            Some(url) if destination.is_none() && is_http(url) => {
                Some(ThroughServer::open(url, &options).map_err(Error::Store)?)
            }
            _ => None,
        };
        let roots = roots.iter().filter(|root| is_on_server(root)).cloned().collect();
        Ok(PurgePlaces { destination, server, roots, options, open: Mutex::default() })
    }

    /// The artifacts of a run or a logged model; `None` if there is not even the place where they would lie.
    pub async fn find(&self, uri: &str, owner: Owner<'_>) -> Result<Option<OwnArtifacts>> {
        let refused = |reason: &str| not_purged(uri, reason);
        let below = owner.below();
        let own = without_query(uri).strip_suffix(&below).and_then(|above| above.strip_suffix('/'));
        let Some(above) = own else {
            return Err(refused(&format!("they do not lie in a folder of their own, which would end in /{below}")));
        };
        let below = RelPath::new(below).map_err(|_| refused("its id is not valid"))?;
        if let Some(path) = proxied_path(uri) {
            let (base, place) = match (&self.destination, &self.server) {
                (Some((base, remote)), _) => (base.as_str(), Some(Place::Here(remote.clone()))),
                (None, server) => ("", server.clone().map(Place::ThroughServer)),
            };
            let Some(place) = place else {
                return Err(refused(
                    "they went through a server, and nobody said where it keeps them: give --artifacts-destination, or to `mlflow gc` the server with --tracking-uri",
                ));
            };
            let path = ArtifactPath::parse(without_query(path).trim_start_matches('/'));
            let path = path.map_err(|_| refused("its path is not valid"))?.as_rel_path().clone();
            let uri = format!("{base}/{path}");
            return Ok(Some(OwnArtifacts { place, own_folder: path.parent(), path, uri }));
        }
        if is_on_server(uri) {
            return self.find_on_server(without_query(uri)).await.map(Some);
        }
        if local_path(uri).is_none() && !has_scheme(uri) {
            return Err(refused("this is neither an absolute path nor a URI"));
        }
        if let Some(folder) = local_path(above) {
            if folder.to_string_lossy().split('/').any(|name| matches!(name, "." | "..")) {
                return Err(refused("its path leads upwards"));
            }
            if !folder.exists() {
                return Ok(None);
            }
        }
        // `s3://bucket/1/…` and `s3://bucket//…` alike; the root of a bucket is a place as any other.
        let place = if above.ends_with('/') || above.ends_with(':') { format!("{above}/") } else { above.to_owned() };
        let remote = self.remote(&place).await.map_err(|error| refused(&error.to_string()))?;
        let uri = without_query(uri).to_owned();
        Ok(Some(OwnArtifacts { place: Place::Here(remote), own_folder: below.parent(), path: below, uri }))
    }

    async fn find_on_server(&self, uri: &str) -> Result<OwnArtifacts> {
        let destination = self.destination.iter().map(|(place, remote)| (place, Some(remote)));
        let roots = self.roots.iter().map(|place| (place, None));
        for (place, remote) in destination.chain(roots) {
            let Some(path) = below(place, uri) else { continue };
            let path = RelPath::new(path).map_err(|_| not_purged(uri, "its path is not valid"))?;
            let remote = match remote {
                Some(remote) => remote.clone(),
                None => self.remote(place).await.map_err(|error| not_purged(uri, &error.to_string()))?,
            };
            let own_folder = path.parent();
            return Ok(OwnArtifacts { place: Place::Here(remote), path, uri: uri.to_owned(), own_folder });
        }
        Err(not_purged(
            uri,
            "they lie on a server, in a place that nobody named: give it with --artifacts-destination or by \
             TRACKWAY_ARTIFACT_ROOTS",
        ))
    }

    async fn remote(&self, place: &str) -> remote::Result<Remote> {
        let mut open = self.open.lock().await;
        if let Some(remote) = open.get(place) {
            return Ok(remote.clone());
        }
        let remote = Remote::open(place, self.options.clone()).await?;
        if open.len() >= OPEN {
            open.clear();
        }
        open.insert(place.to_owned(), remote.clone());
        Ok(remote)
    }
}

impl OwnArtifacts {
    /// The URI of a place in a bucket that this server deletes itself, as [`crate::Location::in_bucket`] has it.
    pub fn in_bucket(&self) -> Option<&str> {
        matches!(&self.place, Place::Here(remote) if remote.capabilities().listing == Listing::Pages)
            .then_some(self.uri.as_str())
    }

    /// Counts what lies there, by the store's own listing.
    pub async fn measure(&self) -> Result<Measured> {
        let Place::Here(remote) = &self.place else {
            return Err(Error::Unsupported("A server does not tell how much it keeps.".to_owned()));
        };
        let found = remote.list_all(&self.path).try_fold(Measured::default(), |sum, file| {
            std::future::ready(Ok(Measured { files: sum.files + 1, bytes: sum.bytes + file.size }))
        });
        match found.await {
            Err(remote::Error::NotFound { .. } | remote::Error::NotADirectory { .. }) => Ok(Measured::default()),
            found => found.map_err(Error::Store),
        }
    }

    /// Deletes all of it. What is missing is deleted already.
    pub async fn delete(&self) -> Result<()> {
        let remote = match &self.place {
            Place::Here(remote) => remote,
            Place::ThroughServer(server) => return server.delete_tree(&self.path).await.map_err(Error::Store),
        };
        let outcome = match remote.delete_tree(&self.path).await {
            Err(remote::Error::NotADirectory { .. }) => remote.delete_file(&self.path).await,
            outcome => outcome,
        };
        match outcome {
            Ok(()) | Err(remote::Error::NotFound { .. } | remote::Error::NotADirectory { .. }) => {}
            Err(error) => return Err(Error::Store(error)),
        }
        remote.remove_empty_dir(&self.own_folder).await.map_err(Error::Store)
    }
}

fn not_purged(uri: &str, reason: &str) -> Error {
    Error::NotPurged { uri: without_password(without_query(uri)), reason: reason.to_owned() }
}

fn is_http(url: &str) -> bool {
    url.split_once("://")
        .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
}

fn without_query(uri: &str) -> &str {
    uri.split(['?', '#']).next().unwrap_or_default()
}

fn has_scheme(uri: &str) -> bool {
    uri.split_once(':').is_some_and(|(scheme, _)| scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// Whether a location is a folder of this machine that does not exist.
fn is_missing_folder(location: &str) -> bool {
    match local_path(location) {
        Some(path) => !path.exists(),
        None if has_scheme(location) => false,
        None => !Path::new(location).exists() && !PathBuf::from(location).is_absolute(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "0123456789abcdef0123456789abcdef";

    #[tokio::test]
    async fn only_a_folder_of_its_own_is_deleted() {
        let root = tempfile::tempdir().unwrap();
        let base = root.path().to_str().unwrap();
        let artifacts = root.path().join(RUN).join("artifacts");
        std::fs::create_dir_all(artifacts.join("deep/er")).unwrap();
        std::fs::write(artifacts.join("deep/er/file"), "12345").unwrap();
        std::fs::write(root.path().join("beside"), "1").unwrap();
        let places = PurgePlaces::open(Some(base), &[], None, Options::default()).await.unwrap();
        for uri in [
            "".to_owned(),
            "/".to_owned(),
            base.to_owned(),
            format!("{base}/{RUN}"),
            format!("{base}/other/artifacts"),
            format!("{base}/x{RUN}/artifacts"),
            format!("{RUN}/artifacts"),
            format!("relative/{RUN}/artifacts"),
            "s3://bucket".to_owned(),
            format!("dbfs:/x/{RUN}/artifacts"),
            format!("sftp://u:pw@stranger/x/{RUN}/artifacts"),
            format!("webdav://stranger/x/{RUN}/artifacts"),
            format!("{base}/../{RUN}/artifacts"),
            format!("mlflow-artifacts:/../{RUN}/artifacts"),
        ] {
            let found = places.find(&uri, Owner::Run(RUN)).await;
            assert!(found.is_err(), "{uri} is not its own");
        }
        for uri in [
            format!("mlflow-artifacts:/{RUN}/artifacts"),
            format!("mlflow-artifacts://host:5000/{RUN}/artifacts"),
            format!("{base}/{RUN}/artifacts"),
            format!("file://{base}/{RUN}/artifacts"),
        ] {
            let found = places.find(&uri, Owner::Run(RUN)).await.unwrap().unwrap();
            assert_eq!(found.measure().await.unwrap(), Measured { files: 1, bytes: 5 }, "{uri}");
        }
        let found = places.find(&format!("{base}/{RUN}/artifacts"), Owner::Run(RUN)).await.unwrap().unwrap();
        for _ in 0..2 {
            found.delete().await.unwrap();
            assert!(!root.path().join(RUN).exists(), "its folder goes with it");
        }
        assert_eq!(found.measure().await.unwrap(), Measured::default());
        assert!(root.path().join("beside").exists());
        let missing = format!("{base}/missing/{RUN}/artifacts");
        assert!(places.find(&missing, Owner::Run(RUN)).await.unwrap().is_none());
        assert!(!root.path().join("missing").exists(), "looking makes nothing");
    }

    #[tokio::test]
    async fn a_link_is_not_followed() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(other.path().join("precious"), "1").unwrap();
        std::fs::create_dir(root.path().join(RUN)).unwrap();
        std::os::unix::fs::symlink(other.path(), root.path().join(RUN).join("artifacts")).unwrap();
        let places = PurgePlaces::open(None, &[], None, Options::default()).await.unwrap();
        let uri = format!("{}/{RUN}/artifacts", root.path().display());
        places.find(&uri, Owner::Run(RUN)).await.unwrap().unwrap().delete().await.unwrap();
        assert!(other.path().join("precious").exists());
        assert!(!root.path().join(RUN).exists());
    }

    #[tokio::test]
    async fn a_destination_that_is_not_there_is_no_empty_one() {
        let root = tempfile::tempdir().unwrap();
        let missing = root.path().join("missing");
        assert!(PurgePlaces::open(missing.to_str(), &[], None, Options::default()).await.is_err());
        assert!(!missing.exists());
    }
}
