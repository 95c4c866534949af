//! Artifacts in a bucket together with the database's memory of them (docs/design/0010-artifact-index.md).
//!
//! [`Place`] is what handlers work with: a location, and the memory if it lies in a bucket and there is a database. It
//! notes what is stored and deleted, and answers listings from the memory, looking into the bucket where that is old.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::watch;
use trackway_artifacts::{Artifact, ArtifactPath, Error, Location, Part, Stat};
use trackway_tracking::{self as tracking, ArtifactDir, ArtifactFile, Store};

use crate::error::ApiError;

/// How old a memory may be before somebody looks into the bucket behind its answer.
const GOOD_FOR: Duration = Duration::from_secs(30);
/// And where others write, too: before the answer.
const GOOD_FOR_IF_SHARED: Duration = Duration::from_secs(2);
/// How long an answer waits for a look if there is something to answer with.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an upload that is stored waits for a database that does not answer.
const DATABASE_AWAY: Duration = Duration::from_secs(20);

/// A place for artifacts, with what is remembered of it.
#[derive(Clone)]
pub(crate) struct Place {
    location: Location,
    memory: Option<Memory>,
    /// Clients write there themselves.
    direct: bool,
}

/// The root and the path below it that something is remembered by.
type Key = (String, String);
/// How a look ended: whether all that it found could be noted.
type Looking = watch::Receiver<Option<Result<bool, ApiError>>>;

/// The database, and the looks that are under way.
#[derive(Clone)]
pub(super) struct Memory {
    store: Store,
    looks: Arc<Mutex<HashMap<Key, Looking>>>,
}

impl Memory {
    pub(super) fn new(store: Store) -> Memory {
        Memory { store, looks: Arc::default() }
    }
}

/// What needs no memory.
impl Deref for Place {
    type Target = Location;

    fn deref(&self) -> &Location {
        &self.location
    }
}

impl Place {
    pub(super) fn new(location: Location, memory: Option<Memory>, direct: bool) -> Place {
        Place { location, memory, direct }
    }

    /// What lies directly in `path`, sorted by name.
    pub(crate) async fn list(&self, path: &ArtifactPath) -> Result<Vec<Artifact>, ApiError> {
        match self.remembered(path).await? {
            Some(dir) => Ok(artifacts(path, dir)),
            None => Ok(self.location.list(path).await?),
        }
    }

    /// Stores all of `body`, or nothing.
    pub(super) async fn put<S, E>(&self, path: &ArtifactPath, body: S, length: Option<u64>) -> Result<(), PutError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: std::fmt::Display,
    {
        let stored = self.location.put(path, body, length).await.map_err(PutError::Artifact)?;
        self.note(path, stored).await.map_err(PutError::Memory)
    }

    pub(super) async fn complete_multipart(
        &self,
        path: &ArtifactPath,
        upload_id: &str,
        parts: &[Part],
    ) -> Result<(), ApiError> {
        let stored = self.location.complete_multipart(path, upload_id, parts).await?;
        self.note(path, stored).await
    }

    pub(super) async fn delete(&self, path: &ArtifactPath) -> Result<(), ApiError> {
        self.location.delete(path).await?;
        if let Some((memory, (root, below))) = self.key(path) {
            return patiently(|| memory.store.forget_artifacts(root.clone(), below.clone())).await;
        }
        // Above the runs.
        let (Some(memory), Some(uri)) = (&self.memory, self.location.bucket_uri(path)) else { return Ok(()) };
        patiently(|| memory.store.forget_artifact_roots(uri.clone())).await
    }

    /// Notes what is stored. What is acknowledged is listed, so this has to succeed.
    async fn note(&self, path: &ArtifactPath, stored: Stat) -> Result<(), ApiError> {
        let Some((memory, (root, below))) = self.key(path) else { return Ok(()) };
        patiently(|| memory.store.note_artifact(root.clone(), below.clone(), stored.size, stored.etag.clone())).await
    }

    fn key(&self, path: &ArtifactPath) -> Option<(&Memory, Key)> {
        Some((self.memory.as_ref()?, self.location.in_bucket(path)?))
    }

    /// What is remembered of a directory, good enough to answer with.
    async fn remembered(&self, path: &ArtifactPath) -> Result<Option<ArtifactDir>, ApiError> {
        let Some((memory, key)) = self.key(path) else { return Ok(None) };
        let Some(dir) = memory.recall(&key).await else { return Ok(None) };
        let is_shared = self.direct || dir.as_ref().is_some_and(|dir| dir.shared);
        let age = dir.as_ref().and_then(|dir| dir.seen).map(age);
        match age {
            Some(age) if age < if is_shared { GOOD_FOR_IF_SHARED } else { GOOD_FOR } => return Ok(dir),
            Some(_) if !is_shared => {
                memory.look(&self.location, path, key);
                return Ok(dir);
            }
            _ => {}
        }
        let mut looking = memory.look(&self.location, path, key.clone());
        let ended = looking.wait_for(Option::is_some);
        let ended = match dir.as_ref().is_some_and(|dir| !(dir.files.is_empty() && dir.dirs.is_empty())) {
            false => ended.await,
            true => match tokio::time::timeout(PATIENCE, ended).await {
                Ok(ended) => ended,
                Err(_) => return Ok(dir),
            },
        };
        match ended.ok().and_then(|ended| ended.clone()) {
            // What came while it looked is remembered, too.
            Some(Ok(true)) => Ok(memory.recall(&key).await.flatten()),
            Some(Err(error)) => Err(error),
            Some(Ok(false)) | None => Ok(None),
        }
    }
}

/// Why an upload failed.
pub(super) enum PutError {
    Artifact(Error),
    Memory(ApiError),
}

impl From<PutError> for ApiError {
    fn from(error: PutError) -> ApiError {
        match error {
            PutError::Artifact(error) => error.into(),
            PutError::Memory(error) => error,
        }
    }
}

impl Memory {
    /// `None` if the database does not answer: then the bucket itself does.
    async fn recall(&self, (root, dir): &Key) -> Option<Option<ArtifactDir>> {
        match self.store.remembered_artifacts(root.clone(), dir.clone()).await {
            Ok(found) => Some(found),
            Err(error) => {
                tracing::warn!(%error, root, "what lies there is not remembered, the bucket is asked");
                None
            }
        }
    }

    /// Compares a directory with the bucket, unless that is being done already.
    fn look(&self, location: &Location, path: &ArtifactPath, key: Key) -> Looking {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(looking) = looks.get(&key) {
            return looking.clone();
        }
        let (tell, looking) = watch::channel(None);
        looks.insert(key.clone(), looking.clone());
        let (memory, location, path) = (self.clone(), location.clone(), path.clone());
        tokio::spawn(async move {
            let outcome = memory.look_now(&location, &path, &key).await;
            if let Err(error) = &outcome {
                tracing::debug!(error = error.message, root = key.0, "a look into the bucket failed");
            }
            memory.looks.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            // Often nobody waits.
            let _ = tell.send(Some(outcome));
        });
        looking
    }

    async fn look_now(&self, location: &Location, path: &ArtifactPath, (root, dir): &Key) -> Result<bool, ApiError> {
        let look = self.store.begin_look(root.clone(), dir.clone()).await?;
        let (mut dirs, mut files) = (Vec::new(), Vec::new());
        for found in location.list(path).await? {
            let name = found.file_name().to_owned();
            match found.is_dir {
                true => dirs.push(name),
                false => files.push(ArtifactFile { name, size: found.size }),
            }
        }
        Ok(self.store.end_look(look, dirs, files).await?)
    }
}

/// Sorted by name; a bucket may have a directory and a file of one name, in this order.
fn artifacts(path: &ArtifactPath, dir: ArtifactDir) -> Vec<Artifact> {
    let above = path.as_rel_path();
    let full = |name: &str| if above.is_root() { name.to_owned() } else { format!("{above}/{name}") };
    let dirs = dir.dirs.iter().map(|name| Artifact { path: full(name), is_dir: true, size: 0 });
    let files = dir.files.iter().map(|file| Artifact { path: full(&file.name), is_dir: false, size: file.size });
    let mut all: Vec<Artifact> = dirs.chain(files).collect();
    all.sort_unstable_by(|a, b| a.path.cmp(&b.path).then(b.is_dir.cmp(&a.is_dir)));
    all
}

/// How long ago `time` was, in milliseconds since 1970. Another server's clock may be ahead.
fn age(time: i64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_millis(u64::try_from(time).unwrap_or(0)))
}

/// Tries again while the database does not answer, for some time.
async fn patiently<F>(work: impl Fn() -> F) -> Result<(), ApiError>
where
    F: Future<Output = tracking::Result<()>>,
{
    let begun = Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        match work().await {
            Err(tracking::Error::Busy(_)) if begun.elapsed() < DATABASE_AWAY => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
            outcome => return Ok(outcome?),
        }
    }
}
