//! Storing objects: a small one with one request, a large one in parts, some of them at once.
//!
//! The parts of an upload that was interrupted stay in the store. The next run finds them there, compares them with what it
//! would send, and sends the rest.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt;
use trackway_remote::{Error as RemoteError, Listing, MOST_PARTS, Part, PutOptions, RelPath, Stat};

use super::{AT_ONCE, Distant, PART, Room, SMALL, expect, stop_if_cancelled};
use crate::pace::Moved;
use crate::verified::Stamp;
use crate::{Cache, Error, HashName, Hasher, Oid, Progress, Result, Tree, hash_bytes};

/// What is read, hashed and handed on at once where a store takes a stream.
const PIECE: usize = 1 << 20;
/// An upload that does not fit ours may be another machine's. One that nobody has ended for so long is nobody's.
const LEFTOVER_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A file that is to become an object.
struct Source<'a> {
    oid: &'a Oid,
    file: File,
    size: u64,
    path: &'a Path,
    /// Its content is known to be the object's; otherwise it is hashed on the way.
    known: bool,
}

impl<'a> Source<'a> {
    /// An object of the cache, and how it looked when it was opened.
    fn open(oid: &'a Oid, cache: &Cache, path: &'a Path) -> Result<(Source<'a>, Stamp)> {
        let file = cache.open_object(oid)?;
        let before = look(&file).map_err(|errno| Error::io("looking at", path, errno))?;
        let known = cache.verified.get(oid).is_some_and(|known| known.same_but_ctime(&before));
        Ok((Source { oid, file, size: before.size, path, known }, before))
    }

    /// Notes what sending it has told of it.
    fn settle<T>(&self, cache: &Cache, before: Stamp, sent: Result<T>) -> Result<T> {
        if let Err(Error::Corrupt { .. }) = sent {
            cache.verified.forget(self.oid);
        }
        let sent = sent?;
        if !self.known && look(&self.file).is_ok_and(|after| after == before) {
            cache.note(self.oid, before);
        }
        Ok(sent)
    }
}

fn look(file: &File) -> std::result::Result<Stamp, rustix::io::Errno> {
    rustix::fs::fstat(file).map(|stat| Stamp::of(&stat))
}

impl Distant {
    /// Stores one object from the cache. It is hashed on the way unless the cache's record knows it as it is now.
    pub(crate) fn store(&self, oid: &Oid, cache: &Cache, moved: &Moved, progress: &dyn Progress) -> Result<()> {
        self.send_object(oid, cache, |source| self.send(source, moved, progress))
    }

    /// The same under another name, whatever is there by now.
    pub(crate) fn store_at(
        &self,
        key: &RelPath,
        oid: &Oid,
        cache: &Cache,
        moved: &Moved,
        progress: &dyn Progress,
    ) -> Result<Stat> {
        self.send_object(oid, cache, |source| match source.size {
            ..=SMALL => self.send_whole(key, source, moved, progress),
            _ => self.send_stream(key, source, moved, progress),
        })
    }

    fn send_object<T>(&self, oid: &Oid, cache: &Cache, send: impl FnOnce(&mut Source<'_>) -> Result<T>) -> Result<T> {
        let path = cache.path(oid);
        let (mut source, before) = Source::open(oid, cache, &path)?;
        let sent = send(&mut source);
        source.settle(cache, before, sent)
    }

    /// Stores a small object, as one of many that one thread has under way.
    pub(crate) async fn store_light(
        &self,
        oid: &Oid,
        cache: &Cache,
        moved: &Moved,
        progress: &dyn Progress,
    ) -> Result<()> {
        let path = cache.path(oid);
        let (source, before) = Source::open(oid, cache, &path)?;
        let sent = self.put_whole(&self.key(oid)?, &source, moved, progress).await;
        source.settle(cache, before, sent).map(drop)
    }

    /// Stores a file from anywhere, which must be the object `oid`.
    pub(crate) fn store_file(&self, oid: &Oid, path: &Path, moved: &Moved, progress: &dyn Progress) -> Result<()> {
        let file = File::open(path).map_err(|error| Error::io("opening", path, error))?;
        let size = file.metadata().map_err(|error| Error::io("looking at", path, error))?.len();
        match self.send(&mut Source { oid, file, size, path, known: false }, moved, progress) {
            Err(Error::Corrupt { .. }) => Err(Error::Changed { path: path.to_owned() }),
            outcome => outcome,
        }
    }

    /// Stores a folder's list.
    pub fn store_tree(&self, tree: &Tree) -> Result<Oid> {
        let bytes = tree.to_bytes();
        let oid = Oid::dir(*hash_bytes(HashName::Md5, &bytes).bytes());
        let key = self.key(&oid)?;
        self.runtime.block_on(self.put(&key, &oid, bytes.into()))?;
        Ok(oid)
    }

    async fn put(&self, key: &RelPath, oid: &Oid, content: Bytes) -> Result<Stat> {
        let length = content.len() as u64;
        let body = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(content)]);
        Ok(self.remote.put(key, body, self.options(oid, length)).await?)
    }

    /// The store is told what it should receive wherever we know it: the object's name.
    fn options(&self, oid: &Oid, length: u64) -> PutOptions {
        let md5 = (self.hash_of(oid) == HashName::Md5).then(|| *oid.bytes());
        PutOptions { length: Some(length), md5, ..PutOptions::default() }
    }

    fn send(&self, source: &mut Source<'_>, moved: &Moved, progress: &dyn Progress) -> Result<()> {
        let key = self.key(source.oid)?;
        match source.size {
            ..=SMALL => self.send_whole(&key, source, moved, progress).map(drop),
            _ if self.remote.capabilities().listing != Listing::Pages => {
                self.send_stream(&key, source, moved, progress).map(drop)
            }
            _ => match self.send_parts(&key, source, moved, progress) {
                // A store that has no uploads of several requests as S3 has them.
                Err(Error::Remote(
                    RemoteError::Unsupported { .. } | RemoteError::Store { .. } | RemoteError::NotFound { .. },
                )) => self.send_stream(&key, source, moved, progress).map(drop),
                outcome => outcome,
            },
        }
    }

    fn send_whole(
        &self,
        key: &RelPath,
        source: &mut Source<'_>,
        moved: &Moved,
        progress: &dyn Progress,
    ) -> Result<Stat> {
        self.wait(progress, async {
            let _room = self.room(source.size).await?;
            self.put_whole(key, source, moved, progress).await
        })
    }

    async fn put_whole(
        &self,
        key: &RelPath,
        source: &Source<'_>,
        moved: &Moved,
        progress: &dyn Progress,
    ) -> Result<Stat> {
        let bytes = read_at(source, 0, source.size as usize)?;
        if !source.known {
            expect(source.oid, *hash_bytes(self.hash_of(source.oid), &bytes).bytes(), source.path)?;
        }
        let stat = self.put(key, source.oid, bytes).await?;
        moved.add(source.size);
        progress.add(0, source.size);
        Ok(stat)
    }

    /// To a store that takes no parts.
    fn send_stream(&self, key: &RelPath, source: &Source<'_>, moved: &Moved, progress: &dyn Progress) -> Result<Stat> {
        let mut hasher = (!source.known).then(|| Hasher::new(self.hash_of(source.oid)));
        let mut refused = None;
        let mut at = 0;
        // The last piece waits for the hash: what is not the object never becomes one.
        let pieces = std::iter::from_fn(|| {
            let size = usize::try_from(source.size - at).unwrap_or(PIECE).min(PIECE);
            if size == 0 {
                return None;
            }
            let piece = read_at(source, at, size).and_then(|piece| {
                at += size as u64;
                hasher.iter_mut().for_each(|hasher| hasher.update(&piece));
                match hasher.take_if(|_| at == source.size) {
                    Some(hasher) => expect(source.oid, hasher.finish(), source.path)?,
                    None if progress.cancelled() => return Err(Error::Cancelled),
                    None => {}
                }
                Ok(piece)
            });
            moved.add(size as u64);
            progress.add(0, size as u64);
            Some(piece.map_err(|error| {
                let told = error.to_string();
                refused = Some(error);
                told
            }))
        });
        let options = self.options(source.oid, source.size);
        let put = async { Ok(self.remote.put(key, futures_util::stream::iter(pieces), options).await?) };
        let sent = self.wait(progress, put);
        match refused {
            Some(error) => Err(error),
            None => sent,
        }
    }

    fn send_parts(&self, key: &RelPath, source: &Source<'_>, moved: &Moved, progress: &dyn Progress) -> Result<()> {
        let sent = self.wait(progress, async {
            let begun = self.begun_upload(key, source).await?;
            let resumed = begun.is_some();
            match self.send_upload(key, source, begun, moved, progress).await {
                // Ended by somebody meanwhile: with all parts, or without a trace.
                Err(Error::Remote(RemoteError::NoSuchUpload { .. })) => {
                    match self.remote.stat_file(key).await?.is_some_and(|stat| stat.size == source.size) {
                        true => Ok(()),
                        false if resumed => self.send_upload(key, source, None, moved, progress).await,
                        false => Err(RemoteError::NoSuchUpload { path: key.to_string() }.into()),
                    }
                }
                outcome => outcome,
            }
        });
        sent?;
        let stored = self.size(source.oid)?;
        if stored != Some(source.size) {
            let reason = format!("{} bytes were sent, and the store has {}", source.size, stored.unwrap_or(0));
            return Err(RemoteError::Damaged { path: key.to_string(), reason }.into());
        }
        Ok(())
    }

    async fn send_upload(
        &self,
        key: &RelPath,
        source: &Source<'_>,
        begun: Option<Begun>,
        moved: &Moved,
        progress: &dyn Progress,
    ) -> Result<()> {
        let Begun { id, parts: there } = match begun {
            Some(begun) => begun,
            None => Begun { id: self.remote.begin_multipart(key).await?, parts: BTreeMap::new() },
        };
        // Read in order, for they are hashed; sent side by side.
        let reading = Reading {
            source,
            part_size: part_size(source.size),
            number: 0,
            hasher: (!source.known).then(|| Hasher::new(self.hash_of(source.oid))),
        };
        let steps = futures_util::stream::try_unfold(reading, |reading| self.next_step(reading, &there));
        let id = &id;
        let sending = steps
            .map(|step| async move {
                let (part, size) = match step? {
                    Step::There(part, size) => (part, size),
                    Step::Send { number, bytes, room } => {
                        let size = bytes.len() as u64;
                        let part = self.remote.upload_part(key, id, number, bytes).await?;
                        drop(room);
                        (part, size)
                    }
                };
                moved.add(size);
                progress.add(0, size);
                stop_if_cancelled(progress)?;
                Ok(part)
            })
            .buffer_unordered(AT_ONCE);
        let mut sending = Box::pin(sending);
        let mut parts = Vec::new();
        while let Some(part) = sending.next().await {
            match part {
                Ok(part) => parts.push(part),
                Err(error) => {
                    drop(sending);
                    // Whatever is there of what is not the object is of no use to anybody.
                    if matches!(error, Error::Corrupt { .. } | Error::Changed { .. }) {
                        let _ = self.remote.abort_multipart(key, id).await;
                    }
                    return Err(error);
                }
            }
        }
        parts.sort_unstable_by_key(|part| part.number);
        Ok(self.remote.complete_multipart(key, id, &parts).await?)
    }

    /// Reads the next part, unless it is known to be there.
    async fn next_step<'a>(
        &self,
        mut reading: Reading<'a>,
        there: &BTreeMap<u32, Part>,
    ) -> Result<Option<(Step, Reading<'a>)>> {
        let source = reading.source;
        let at = u64::from(reading.number) * reading.part_size;
        if at >= source.size {
            return Ok(None);
        }
        reading.number += 1;
        let size = (source.size - at).min(reading.part_size);
        let found = there.get(&reading.number);
        // Azure names parts by their number alone, so that their content has to be known to be the object's.
        if let Some(part) = found.filter(|part| source.known && part.etag.is_empty()) {
            return Ok(Some((Step::There(part.clone(), size), reading)));
        }
        let room = self.room(size).await?;
        let bytes = read_at(source, at, size as usize)?;
        if let Some(hasher) = &mut reading.hasher {
            hasher.update(&bytes);
        }
        if let Some(hasher) = reading.hasher.take_if(|_| at + size == source.size) {
            expect(source.oid, hasher.finish(), source.path)?;
        }
        let step = match found.filter(|part| is_md5_of(&part.etag, &bytes)) {
            Some(part) => Step::There(part.clone(), size),
            None => Step::Send { number: reading.number, bytes, room },
        };
        Ok(Some((step, reading)))
    }

    /// An upload to this key that was begun before and can be gone on with: the one that has most of it.
    async fn begun_upload(&self, key: &RelPath, source: &Source<'_>) -> Result<Option<Begun>> {
        let uploads = match self.remote.list_uploads(key).await {
            Ok(uploads) => uploads,
            // To list them is a right of its own, and not every store can: rclone's says that it knows none.
            Err(
                RemoteError::Refused { .. }
                | RemoteError::NoSuchUpload { .. }
                | RemoteError::Unsupported { .. }
                | RemoteError::Store { .. }
                | RemoteError::NotFound { .. },
            ) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let part_size = part_size(source.size);
        let mut best: Option<Begun> = None;
        for upload in uploads {
            let Ok(stored) = self.remote.list_parts(key, &upload.upload_id).await else { continue };
            let fits = |number: u32, size: u64| {
                let at = u64::from(number.saturating_sub(1)) * part_size;
                number > 0 && at < source.size && size == (source.size - at).min(part_size)
            };
            let is_old = upload
                .started
                .is_some_and(|started| SystemTime::now().duration_since(started).is_ok_and(|age| age > LEFTOVER_AGE));
            if stored.iter().all(|part| fits(part.part.number, part.size)) {
                let parts: BTreeMap<_, _> = stored.into_iter().map(|part| (part.part.number, part.part)).collect();
                if best.as_ref().is_none_or(|best| best.parts.len() < parts.len()) {
                    best = Some(Begun { id: upload.upload_id, parts });
                }
            } else if is_old {
                let _ = self.remote.abort_multipart(key, &upload.upload_id).await;
            }
        }
        Ok(best)
    }
}

/// An upload in the making, and what of it is there.
struct Begun {
    id: String,
    parts: BTreeMap<u32, Part>,
}

struct Reading<'a> {
    source: &'a Source<'a>,
    part_size: u64,
    /// Of the part before.
    number: u32,
    hasher: Option<Hasher>,
}

enum Step {
    There(Part, u64),
    Send { number: u32, bytes: Bytes, room: Room },
}

/// The same in every run, or parts of one could not be used by the next.
fn part_size(size: u64) -> u64 {
    PART.max(size.div_ceil(u64::from(MOST_PARTS)).next_multiple_of(1 << 20))
}

fn read_at(source: &Source<'_>, at: u64, size: usize) -> Result<Bytes> {
    let mut bytes = vec![0; size];
    source.file.read_exact_at(&mut bytes, at).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::Changed { path: source.path.to_owned() },
        _ => Error::io("reading", source.path, error),
    })?;
    Ok(bytes.into())
}

/// S3 and Google name a part after its MD5, unless they encrypt it.
fn is_md5_of(etag: &str, bytes: &[u8]) -> bool {
    let md5 = hash_bytes(HashName::Md5, bytes);
    etag.trim_matches('"').eq_ignore_ascii_case(md5.hex().as_str())
}
