//! Objects in a remote that is no folder of this machine: a bucket, or whatever else `trackway_remote` reaches.
//!
//! It is DVC's and nobody's own: only objects lie in it. Each is stored whole or not at all; what comes back is hashed
//! before it enters the cache. Threads do the work (`pace.rs`), each waits for its own requests on the runtime of who
//! opened the remote.

//!
//! - `existence.rs` finds out what is there; `sweep.rs` lists and deletes for `gc`.
//! - `named.rs`: files under their own names, of which a bucket keeps versions.
//! - `upload.rs` and `download.rs` move objects, large ones in parts, and go on where an earlier run was interrupted.

mod download;
mod existence;
mod named;
mod sweep;
mod upload;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
pub use named::Named;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use trackway_remote::{Listing, RelPath, Remote};

use crate::cache::Place;
use crate::pace::{self, LOOK, Moved};
use crate::{Error, HashName, Layout, Oid, Progress, Result};

/// Bodies up to this size are so light that a few threads move all of them.
pub(crate) const LIGHT: u64 = 128 << 10;
/// A body up to this size goes in one request, out of memory.
const SMALL: u64 = 8 << 20;
/// A larger one goes in parts of this size, so many at once.
const PART: u64 = 8 << 20;
const AT_ONCE: usize = 6;
/// How many mebibytes all bodies together may have in memory.
const MEMORY: u32 = 56;
/// How many questions are under way at once.
const QUESTIONS: usize = 64;
/// How long a person who has interrupted waits for what was begun to be cleared away.
const SETTLING: Duration = Duration::from_secs(2);

/// A part of the memory that bodies may have.
type Room = OwnedSemaphorePermit;

pub struct Distant {
    remote: Remote,
    runtime: Handle,
    objects: RelPath,
    /// As a person names it.
    place: PathBuf,
    hash_name: HashName,
    jobs: Option<usize>,
    memory: Arc<Semaphore>,
}

impl Distant {
    /// `url` is the remote's, without anything secret. `jobs` is how many transfers there may be at once.
    pub fn new(remote: Remote, runtime: Handle, url: &str, layout: Layout, jobs: Option<usize>) -> Result<Distant> {
        let (objects, hash_name) = match layout {
            Layout::V3 => ("files/md5", HashName::Md5),
            Layout::V2 => ("", HashName::Md5Dos2Unix),
        };
        let mut place = PathBuf::from(url.trim_end_matches('/'));
        if !objects.is_empty() {
            place.push(objects);
        }
        let memory = Arc::new(Semaphore::new(MEMORY as usize));
        Ok(Distant { remote, runtime, objects: RelPath::new(objects)?, place, hash_name, jobs, memory })
    }

    /// A place for files under their own names (`named.rs`), whose hashes are of this kind.
    pub fn named(remote: Remote, runtime: Handle, url: &str, hash_name: HashName, jobs: Option<usize>) -> Distant {
        let place = PathBuf::from(url.trim_end_matches('/'));
        let memory = Arc::new(Semaphore::new(MEMORY as usize));
        Distant { remote, runtime, objects: RelPath::root(), place, hash_name, jobs, memory }
    }

    pub fn place(&self) -> &Path {
        &self.place
    }

    pub fn path(&self, oid: &Oid) -> PathBuf {
        self.place.join(Place::of(oid).as_str())
    }

    pub fn hash_name(&self) -> HashName {
        self.hash_name
    }

    /// The hash that the object is named after: of a list it is always the same.
    fn hash_of(&self, oid: &Oid) -> HashName {
        if oid.is_dir() { HashName::Md5 } else { self.hash_name }
    }

    fn key(&self, oid: &Oid) -> Result<RelPath> {
        Ok(self.objects.join(&RelPath::new(Place::of(oid).as_str())?)?)
    }

    /// Waits for requests, as long as the person does.
    fn wait<T>(&self, progress: &dyn Progress, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime.block_on(async {
            let mut work = std::pin::pin!(work);
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut work => return outcome,
                    () = tokio::time::sleep(LOOK) => if progress.cancelled() {
                        return Err(Error::Cancelled);
                    },
                }
            }
        })
    }

    /// Waits until a body of this size may be in memory.
    async fn room(&self, size: u64) -> Result<Room> {
        room(Arc::clone(&self.memory), size).await
    }

    /// Does it with every item, as many at once as is good.
    pub(crate) fn each<T: Sync>(
        &self,
        items: &[T],
        progress: &dyn Progress,
        work: &(dyn Fn(&T, &Moved) -> Result<()> + Sync),
    ) -> Result<()> {
        let outcome = pace::each(items, self.jobs, &|| self.remote.pushed_back(), progress, work);
        if progress.cancelled() {
            // The process is about to end.
            let _ = self.runtime.block_on(async { tokio::time::timeout(SETTLING, self.remote.settle()).await });
        }
        outcome
    }

    /// Whether objects of up to [`LIGHT`] bytes can be moved by [`Distant::each_light`]: where each is one request.
    pub(crate) fn moves_lightly(&self) -> bool {
        self.remote.capabilities().listing == Listing::Pages
    }

    /// Does it with every item of little work, as many at once as is good.
    pub(crate) fn each_light<'a, T: Sync>(
        &'a self,
        items: &'a [T],
        moved: &'a Moved,
        progress: &'a dyn Progress,
        work: &(dyn Fn(&'a T) -> LocalBoxFuture<'a, Result<()>> + Sync),
    ) -> Result<()> {
        pace::each_light(items, self.jobs, moved, &|| self.remote.pushed_back(), progress, work)
    }

    /// On a thread of the runtime: answers are long, and taken apart side by side.
    fn spawn<T, F>(&self, work: F) -> impl Future<Output = Result<T>> + use<T, F>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let task = AbortOnDrop(self.runtime.spawn(work));
        async move {
            let mut task = task;
            match (&mut task.0).await {
                Ok(outcome) => outcome,
                Err(failed) => Err(Error::io("asking", "the remote", std::io::Error::other(failed))),
            }
        }
    }
}

async fn room(memory: Arc<Semaphore>, size: u64) -> Result<Room> {
    let mebibytes = u32::try_from(size.div_ceil(1 << 20)).unwrap_or(MEMORY).clamp(1, MEMORY);
    let room = memory.acquire_many_owned(mebibytes).await;
    room.map_err(|closed| Error::io("making room", "for a transfer", std::io::Error::other(closed)))
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn stop_if_cancelled(progress: &dyn Progress) -> Result<()> {
    if progress.cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}

fn is_absent(error: &trackway_remote::Error) -> bool {
    use trackway_remote::Error::{IsADirectory, NotADirectory, NotFound};
    matches!(error, NotFound { .. } | NotADirectory { .. } | IsADirectory { .. })
}

fn expect(oid: &Oid, actual: [u8; 16], path: &Path) -> Result<()> {
    if actual == *oid.bytes() {
        return Ok(());
    }
    let actual = if oid.is_dir() { Oid::dir(actual) } else { Oid::file(actual) };
    Err(Error::Corrupt { oid: *oid, path: path.to_owned(), actual })
}
