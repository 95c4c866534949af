//! Bringing objects into the cache: a small one as it comes, a large one in ranges, some of them at once.
//!
//! What has arrived of a large one stays when the work is interrupted (`partial.rs`), and the next run goes on behind it.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::Semaphore;
use trackway_remote::{Error as RemoteError, Listing, Object, RelPath, Remote, Stat};

use super::{AT_ONCE, Distant, PART, Room, SMALL, expect, is_absent, room, stop_if_cancelled};
use crate::pace::{LOOK, Moved};
use crate::partial::Origin;
use crate::tree::MAX_TREE_BYTES;
use crate::{Cache, Error, HashName, Oid, Progress, Result, hash_bytes};

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
            let outcome = self.wait(progress, async {
                let ranges = std::iter::successors(Some(partial.len()), |at| Some(at + PART));
                let ranges = ranges.take_while(|at| *at < stat.size).map(|at| at..(at + PART).min(stat.size));
                // Of one connection, the next comes while the last is hashed.
                let at_once = if self.remote.capabilities().listing == Listing::Pages { AT_ONCE } else { 2 };
                let ranges = ranges.map(|wanted| {
                    let (remote, memory) = (self.remote.clone(), Arc::clone(&self.memory));
                    self.spawn(range(remote, memory, key.clone(), stat.clone(), wanted, Arc::clone(&arrived)))
                });
                let ranges = futures_util::stream::iter(ranges);
                let mut pieces = ranges.buffered(at_once);
                // As they come, for a part may take a minute.
                let tell = || {
                    let bytes = arrived.swap(0, Ordering::Relaxed);
                    moved.add(bytes);
                    progress.add(0, bytes);
                };
                loop {
                    let piece = tokio::select! {
                        biased;
                        piece = pieces.next() => piece,
                        () = tokio::time::sleep(LOOK) => {
                            tell();
                            continue;
                        }
                    };
                    tell();
                    let Some(piece) = piece else { break };
                    let (bytes, _room) = piece?;
                    stop_if_cancelled(progress)?;
                    partial.write(&bytes)?;
                }
                Ok(())
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

async fn range(
    remote: Remote,
    memory: Arc<Semaphore>,
    key: RelPath,
    stat: Stat,
    wanted: Range<u64>,
    arrived: Arc<AtomicU64>,
) -> Result<(Bytes, Room)> {
    let length = (wanted.end - wanted.start) as usize;
    let room = room(memory, length as u64).await?;
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
    let mut pieces = object.stream(wanted);
    let mut bytes = Vec::with_capacity(length);
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        bytes.extend_from_slice(&piece);
        arrived.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
    match bytes.len() == length {
        true => Ok((bytes.into(), room)),
        false => Err(changed().into()),
    }
}
