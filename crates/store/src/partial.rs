//! Large objects that are on their way into the cache. What has arrived is kept, so that the next run goes on behind it.
//!
//! `<cache>/trackway/partial/<object>` has the bytes from the beginning on, `<object>.json` beside it says of which version of
//! what they are. Who works on it has it locked; another process takes a file of its own.
//!
//! Pieces are written where they belong as they arrive, never further than [`AHEAD`] behind the first that lacks. So of a
//! file that was left, whatever ended the process, all but its last [`AHEAD`] bytes have arrived.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode};
use serde::{Deserialize, Serialize};

use crate::cache::Temp;
use crate::{Cache, Error, HashName, Hasher, Oid, Progress, Result};

/// What nobody has gone on with for so long is deleted.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How far behind the first byte that lacks others may lie already.
pub(crate) const AHEAD: u64 = 48 << 20;
/// What is read and hashed at once: what the processor's cache holds.
const PIECE: usize = 256 << 10;

/// Of what the bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub place: String,
    pub etag: String,
    pub size: u64,
}

pub(crate) struct Partial<'a> {
    /// None when it is finished.
    temp: Option<Temp<'a>>,
    /// None: the file is nobody else's, and goes with this.
    kept: Option<PathBuf>,
    oid: Oid,
    hasher: Hasher,
    /// So much was hashed.
    len: u64,
    /// So much had arrived before.
    had: u64,
    piece: Vec<u8>,
}

/// Writes pieces of one, from any thread.
#[derive(Clone)]
pub(crate) struct PartialWriter {
    file: Arc<File>,
    path: PathBuf,
}

impl PartialWriter {
    pub fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, at).map_err(|error| Error::io("writing", &self.path, error))
    }
}

impl Cache {
    /// Begins to bring the object from there, or goes on with it. What has arrived before is hashed.
    pub(crate) fn partial(&self, oid: &Oid, origin: &Origin, progress: &dyn Progress) -> Result<Partial<'_>> {
        let name = if oid.is_dir() { HashName::Md5 } else { self.hash_name() };
        let dir = self.own_dir("partial");
        self.make_dirs(&dir).map_err(|error| Error::io("making the folder", &dir, error))?;
        clear_forgotten(&dir);
        let path = dir.join(oid.to_string());
        let (hasher, piece) = (Hasher::new(name), vec![0; PIECE]);
        let mut partial = Partial { temp: None, kept: None, oid: *oid, hasher, len: 0, had: 0, piece };
        let Some(file) = open_alone(&path, self.record_mode()) else {
            partial.temp = Some(self.temp()?);
            return Ok(partial);
        };
        let record = record_of(&path);
        let known = std::fs::read(&record).ok().and_then(|bytes| serde_json::from_slice::<Origin>(&bytes).ok());
        let failed = |error| Error::io("writing", &path, error);
        if known.as_ref() == Some(origin) {
            partial.had = file.metadata().map_err(failed)?.len().saturating_sub(AHEAD).min(origin.size);
            file.set_len(partial.had).map_err(failed)?;
        } else {
            let _ = std::fs::remove_file(&record);
            file.set_len(0).map_err(failed)?;
            let bytes = serde_json::to_vec(origin).map_err(|error| failed(std::io::Error::other(error)))?;
            std::fs::write(&record, bytes).map_err(failed)?;
        }
        partial.temp = Some(self.temp_at(&path, file));
        partial.kept = Some(path);
        while partial.len < partial.had {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            let before = partial.len;
            partial.hash_to(partial.had.min(before + (1 << 20)))?;
            progress.add(0, partial.len - before);
        }
        Ok(partial)
    }
}

impl Partial<'_> {
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn writer(&self) -> Result<PartialWriter> {
        let path = self.temp.as_ref().map(Temp::path).unwrap_or_default();
        let file = match &self.temp {
            Some(temp) => temp.file.try_clone(),
            None => Err(std::io::ErrorKind::NotFound.into()),
        };
        let file = Arc::new(file.map_err(|error| Error::io("opening", &path, error))?);
        Ok(PartialWriter { file, path })
    }

    /// All before `end` has been written: it is hashed.
    pub fn hash_to(&mut self, end: u64) -> Result<()> {
        let Some(temp) = &self.temp else { return Ok(()) };
        while self.len < end {
            let want = usize::try_from(end - self.len).unwrap_or(PIECE).min(PIECE);
            let piece = &mut self.piece[..want];
            let read = temp.file.read_exact_at(piece, self.len);
            read.map_err(|error| Error::io("reading", temp.path(), error))?;
            self.hasher.update(piece);
            self.len += want as u64;
        }
        Ok(())
    }

    /// All of it is there: it becomes the object, or is deleted if it is not that. `source` is for the message.
    pub fn finish(mut self, source: &Path) -> Result<()> {
        if let Some(kept) = self.kept.take() {
            let _ = std::fs::remove_file(record_of(&kept));
        }
        let actual = std::mem::replace(&mut self.hasher, Hasher::new(HashName::Md5)).finish();
        if actual != *self.oid.bytes() {
            let actual = if self.oid.is_dir() { Oid::dir(actual) } else { Oid::file(actual) };
            return Err(Error::Corrupt { oid: self.oid, path: source.to_owned(), actual });
        }
        match self.temp.take() {
            Some(temp) => {
                // Until now it could be written to.
                let _ = rustix::fs::fchmod(&temp.file, Mode::from_raw_mode(0o444));
                temp.place(&self.oid).map(drop)
            }
            None => Ok(()),
        }
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        if let (Some(temp), Some(_)) = (self.temp.take(), &self.kept) {
            let _ = temp.file.set_len(self.len.max(self.had) + AHEAD);
            temp.keep();
        }
    }
}

fn record_of(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".json");
    path.into()
}

/// The file, which nobody else has open; `None` if somebody has, or if it cannot be made.
fn open_alone(path: &Path, mode: Option<u32>) -> Option<File> {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false).mode(mode.unwrap_or(0o644));
    let file = file.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32).open(path).ok()?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    // Who had it before may have given it another name: then it is an object.
    let (open, named) = (file.metadata().ok()?, std::fs::symlink_metadata(path).ok()?);
    (open.is_file() && (open.dev(), open.ino()) == (named.dev(), named.ino())).then_some(file)
}

fn clear_forgotten(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|meta| meta.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age > FORGOTTEN) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CacheOptions, Layout, NoProgress, hash_bytes};

    #[test]
    fn what_has_arrived_is_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let options =
            CacheOptions { root: dir.path().to_owned(), layout: Layout::V3, link_types: Vec::new(), shared: false };
        let cache = Cache::open(options).unwrap();
        let content: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        let oid = hash_bytes(HashName::Md5, &content);
        let origin = |etag: &str| Origin { place: "s3://b/x".to_owned(), etag: etag.to_owned(), size: 3_000_000 };

        let mut first = cache.partial(&oid, &origin("one"), &NoProgress).unwrap();
        first.writer().unwrap().write_at(0, &content[..2_000_000]).unwrap();
        first.hash_to(2_000_000).unwrap();
        // Another process meanwhile has its own.
        assert_eq!(cache.partial(&oid, &origin("one"), &NoProgress).unwrap().len(), 0);
        drop(first);
        let mut second = cache.partial(&oid, &origin("one"), &NoProgress).unwrap();
        assert_eq!(second.len(), 2_000_000);
        let writer = second.writer().unwrap();
        writer.write_at(2_500_000, &content[2_500_000..]).unwrap();
        writer.write_at(2_000_000, &content[2_000_000..2_500_000]).unwrap();
        second.hash_to(3_000_000).unwrap();
        second.finish(Path::new("s3://b/x")).unwrap();
        cache.rehash(&oid, &NoProgress).unwrap();

        let mut wrong = cache.partial(&oid, &origin("two"), &NoProgress).unwrap();
        assert_eq!(wrong.len(), 0);
        wrong.writer().unwrap().write_at(0, b"something else").unwrap();
        wrong.hash_to(14).unwrap();
        assert!(matches!(wrong.finish(Path::new("s3://b/x")), Err(Error::Corrupt { .. })));
        assert_eq!(cache.partial(&oid, &origin("two"), &NoProgress).unwrap().len(), 0);
    }
}
