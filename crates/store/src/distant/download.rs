//! Bringing objects into the cache: a small one as it comes, a large one in ranges, some of them at once. Each is written to
//! the file as it comes, and another thread reads and hashes what is whole: neither waits for the other, nothing lies in memory.
//!
//! What has arrived of a large one stays when the work is interrupted (`partial.rs`), and the next run goes on behind it.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use futures_util::StreamExt;
use trackway_remote::{Error as RemoteError, Listing, Object, RelPath, Remote, Stat};

use super::{AT_ONCE, Distant, PART, SMALL, expect, is_absent, room, stop_if_cancelled};
use crate::pace::{LOOK, Moved};
use crate::partial::{AHEAD, Origin, PartialWriter};
use crate::tree::MAX_TREE_BYTES;
use crate::{Cache, Error, HashName, Oid, Progress, Result, hash_bytes};

// A file that was left is gone on with by that.
const _: () = assert!(PART * AT_ONCE as u64 <= AHEAD);

impl Distant {
    /// Brings one object into the cache, verified; an error of the system that says so if it is not here.
    pub(crate) fn load(&self, oid: &Oid, cache: &Cache, moved: &Moved, progress: &dyn Progress) -> Result<()> {
        let key = self.key(oid)?;
        let object = self.wait(progress, self.get(oid, &key))?;
        if object.stat().size > SMALL && object.stat().etag.is_some() {
            let stat = object.stat().clone();
            drop(object);
            return self.load_large(oid, &key, stat, cache, moved, progress);
        }
        self.wait(progress, self.receive(oid, object, cache, moved, progress))
    }

    /// The same with a small object, as one of many that one thread has under way.
    pub(crate) async fn load_light(
        &self,
        oid: &Oid,
        cache: &Cache,
        moved: &Moved,
        progress: &dyn Progress,
    ) -> Result<()> {
        let object = self.get(oid, &self.key(oid)?).await?;
        self.receive(oid, object, cache, moved, progress).await
    }

    async fn receive(
        &self,
        oid: &Oid,
        object: Object,
        cache: &Cache,
        moved: &Moved,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut incoming = cache.receive(oid)?;
        let write =
            &mut |piece: &[u8]| incoming.write_all(piece).map_err(|error| Error::io("writing", cache.path(oid), error));
        pour(object, moved, progress, write).await?;
        match incoming.finish() {
            Err(Error::Corrupt { oid, actual, .. }) => Err(Error::Corrupt { oid, path: self.path(&oid), actual }),
            outcome => outcome,
        }
    }

    fn load_large(
        &self,
        oid: &Oid,
        key: &RelPath,
        mut stat: Stat,
        cache: &Cache,
        moved: &Moved,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut is_second = false;
        loop {
            let etag = stat.etag.clone().unwrap_or_default();
            let origin = Origin { place: self.path(oid).to_string_lossy().into_owned(), etag, size: stat.size };
            let mut partial = cache.partial(oid, &origin, progress)?;
            let resumed = partial.len() > 0;
            let arrived = Arc::new(AtomicU64::new(0));
            let (begin, writer) = (partial.len(), partial.writer()?);
            let (version, arrived) = (&stat, &arrived);
            let receiving = |written: SyncSender<u64>| async move {
                let ranges = std::iter::successors(Some(begin), |at| Some(at + PART));
                let ranges = ranges.take_while(|at| *at < version.size).map(|at| at..(at + PART).min(version.size));
                // Of one connection, the next comes while the last is hashed.
                let at_once = if self.remote.capabilities().listing == Listing::Pages { AT_ONCE } else { 2 };
                let ranges = ranges.map(|wanted| {
                    let room = room(Arc::clone(&self.memory), wanted.end - wanted.start);
                    let (remote, writer) = (self.remote.clone(), writer.clone());
                    let (key, stat, arrived) = (key.clone(), version.clone(), Arc::clone(arrived));
                    self.spawn(async move {
                        let _room = room.await?;
                        range(remote, key, stat, wanted, writer, arrived).await
                    })
                });
                let ranges = futures_util::stream::iter(ranges);
                let mut ranges = ranges.buffered(at_once);
                // As they come, for a part may take a minute.
                let tell = || {
                    let bytes = arrived.swap(0, Ordering::Relaxed);
                    moved.add(bytes);
                    progress.add(0, bytes);
                };
                loop {
                    let end = tokio::select! {
                        biased;
                        end = ranges.next() => end,
                        () = tokio::time::sleep(LOOK) => {
                            tell();
                            continue;
                        }
                    };
                    tell();
                    let Some(end) = end else { break };
                    stop_if_cancelled(progress)?;
                    if written.send(end?).is_err() {
                        // Hashing has failed, and says why.
                        break;
                    }
                }
                Ok(())
            };
            let outcome = std::thread::scope(|scope| {
                let (written, ends) = sync_channel(AT_ONCE);
                let hashing = scope.spawn(|| ends.into_iter().try_for_each(|end| partial.hash_to(end)));
                let received = self.wait(progress, receiving(written));
                let hashed = hashing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                received.and(hashed)
            });
            match outcome.and_then(|()| partial.finish(&self.path(oid))) {
                // Once more from its beginning: what was there was of another version, or the disk has lost some of it.
                Err(Error::Remote(RemoteError::Changed { .. })) if !is_second => {
                    let object = self.wait(progress, self.get(oid, key))?;
                    stat = object.stat().clone();
                }
                Err(Error::Corrupt { .. }) if resumed && !is_second => {}
                outcome => return outcome,
            }
            is_second = true;
        }
    }

    async fn get(&self, oid: &Oid, key: &RelPath) -> Result<Object> {
        match self.remote.get(key).await {
            Err(error) if is_absent(&error) => Err(Error::io("opening", self.path(oid), rustix::io::Errno::NOENT)),
            object => Ok(object?),
        }
    }

    /// The bytes of an object, as they come, unverified; an error of the system if it is not here.
    pub(crate) fn read(
        &self,
        oid: &Oid,
        moved: &Moved,
        progress: &dyn Progress,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let key = self.key(oid)?;
        let object = self.wait(progress, self.get(oid, &key))?;
        self.stream(object, moved, progress, take)
    }

    pub(super) fn stream(
        &self,
        object: Object,
        moved: &Moved,
        progress: &dyn Progress,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        self.wait(progress, pour(object, moved, progress, take))
    }

    /// Reads an object again that was just stored. A wrong one is deleted: nobody is to take it for the data.
    pub(crate) fn verify(&self, oid: &Oid, moved: &Moved, progress: &dyn Progress) -> Result<()> {
        let mut hasher = crate::Hasher::new(self.hash_of(oid));
        self.read(oid, moved, progress, &mut |piece| {
            hasher.update(piece);
            Ok(())
        })?;
        let verdict = expect(oid, hasher.finish(), &self.path(oid));
        if verdict.is_err() {
            let key = self.key(oid)?;
            self.wait(progress, async { Ok(self.remote.delete_file(&key).await?) })?;
        }
        verdict
    }

    /// A folder's list, hashed; `None` if it is not there.
    pub fn read_tree_bytes(&self, oid: &Oid) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let read = self.read(oid, &Moved::default(), &crate::NoProgress, &mut |piece| {
            bytes.extend_from_slice(piece);
            match bytes.len() as u64 > MAX_TREE_BYTES {
                false => Ok(()),
                true => Err(Error::InvalidTree {
                    object: oid.to_string(),
                    place: format!("'{}'", self.path(oid).display()),
                    reason: "it is larger than 2 GiB".to_owned(),
                }),
            }
        });
        match read {
            Err(error) if error.io_kind() == Some(std::io::ErrorKind::NotFound) => return Ok(None),
            read => read?,
        }
        expect(oid, *hash_bytes(HashName::Md5, &bytes).bytes(), &self.path(oid))?;
        Ok(Some(bytes))
    }
}

async fn pour(
    object: Object,
    moved: &Moved,
    progress: &dyn Progress,
    take: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut pieces = object.stream_all();
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        stop_if_cancelled(progress)?;
        take(&piece)?;
        moved.add(piece.len() as u64);
        progress.add(0, piece.len() as u64);
    }
    Ok(())
}

/// Writes a range into the file; tells its end.
async fn range(
    remote: Remote,
    key: RelPath,
    stat: Stat,
    wanted: Range<u64>,
    writer: PartialWriter,
    arrived: Arc<AtomicU64>,
) -> Result<u64> {
    let changed = || RemoteError::Changed { path: key.to_string() };
    let object = match remote.known(&key, &stat)? {
        Some(object) => object,
        None => {
            let object = remote.get(&key).await?;
            if object.stat().size != stat.size || object.stat().etag != stat.etag {
                return Err(changed().into());
            }
            object
        }
    };
    let (mut at, end) = (wanted.start, wanted.end);
    let mut pieces = object.stream(wanted);
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if piece.len() as u64 > end - at {
            return Err(changed().into());
        }
        writer.write_at(at, &piece)?;
        at += piece.len() as u64;
        arrived.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
    if at == end { Ok(end) } else { Err(changed().into()) }
}
