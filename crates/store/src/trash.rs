//! The trash: `<root>/trackway/trash/<when>-<process>/<hash>/xx/…`, where collected objects wait until they are deleted.
//!
//! A folder for each collection, so that the last one can be undone. A cache miss looks here too, and takes the object
//! back by a rename. It costs nothing while there is no trash.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use rayon::prelude::*;
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::cache::Place;
use crate::collect::{inventory, list_folders};
use crate::verified::Stamp;
use crate::{Cache, Error, HashName, Oid, Progress, Result, Stored, Tree, hash_bytes};

/// What one collection took out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub path: PathBuf,
    pub made: SystemTime,
}

/// The trash of one kind of hash, read folder by folder when an object is first missed there.
pub(crate) struct InTrash {
    /// Newest first.
    batches: Vec<PathBuf>,
    shards: Vec<OnceLock<HashMap<Oid, usize>>>,
}

impl Batch {
    fn of(path: PathBuf) -> Option<Batch> {
        let (seconds, _) = path.file_name()?.to_str()?.split_once('-')?;
        let made = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds.parse().ok()?))?;
        Some(Batch { path, made })
    }

    /// A new one, made at `now`, without anything in it.
    pub fn new(cache: &Cache, now: SystemTime) -> Batch {
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let path = trash_dir(cache.root()).join(format!("{seconds:012}-{}", std::process::id()));
        Batch { path, made: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) }
    }

    /// The objects of this kind of cache in it.
    pub fn inventory(&self, cache: &Cache) -> Result<Vec<Stored>> {
        inventory(&self.objects(cache))
    }

    fn objects(&self, cache: &Cache) -> PathBuf {
        self.path.join(cache.hash_name().as_str())
    }

    /// Deletes all of it, for good.
    pub fn empty(&self) -> Result<()> {
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("deleting", &self.path, error)),
            _ => Ok(()),
        }
    }
}

fn trash_dir(root: &Path) -> PathBuf {
    root.join("trackway").join("trash")
}

impl Cache {
    /// What is in the trash, the oldest collection first.
    pub fn trash(&self) -> Result<Vec<Batch>> {
        let dir = trash_dir(self.root());
        let failed = |error: std::io::Error| Error::io("reading", &dir, error);
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut batches = Vec::new();
        for entry in entries {
            batches.extend(Batch::of(entry.map_err(failed)?.path()));
        }
        batches.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(batches)
    }

    /// Moves objects to the trash. What is gone already is passed over; tells how many were moved.
    pub fn move_to_trash(&self, oids: &[Oid], batch: &Batch, progress: &dyn Progress) -> Result<usize> {
        let Some(objects) = self.objects_fd() else { return Ok(0) };
        let target = batch.objects(self);
        // A directory's list goes before its files: without it nothing says that they should be there.
        self.by_folder(oids, "removing", Lists::First, progress, |name, oids| {
            let to = target.join(name);
            self.make_dirs(&to).map_err(|error| Error::io("making the folder", &to, error))?;
            let open = |at, path: &[u8]| rustix::fs::openat(at, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
            let to_fd = open(CWD, to.as_os_str().as_bytes()).map_err(|errno| Error::io("opening", &to, errno))?;
            let from_fd = match open(objects.as_fd(), name.as_bytes()) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => return Ok(0),
                Err(errno) => return Err(Error::io("opening", self.objects_dir().join(name), errno)),
            };
            let mut moved = 0;
            for oid in oids {
                if progress.cancelled() {
                    return Err(Error::Cancelled);
                }
                moved += usize::from(self.move_one(oid, from_fd.as_fd(), to_fd.as_fd())?);
                progress.add(1, 0);
            }
            Ok(moved)
        })
    }

    /// Renames an object between two folders. What was known to be right still is.
    fn move_one(&self, oid: &Oid, from: rustix::fd::BorrowedFd<'_>, to: rustix::fd::BorrowedFd<'_>) -> Result<bool> {
        let place = Place::of(oid);
        let name = &place.as_str()[3..];
        let look = |at| rustix::fs::statat(at, name, AtFlags::empty()).map(|stat| Stamp::of(&stat));
        let known = self.verified.get(oid).filter(|stamp| look(from) == Ok(*stamp));
        match rustix::fs::renameat(from, name, to, name) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(Error::io("moving", self.path(oid), errno)),
        }
        self.forget(oid);
        if let (Some(known), Ok(after)) = (known, look(to))
            && known.same_but_ctime(&after)
        {
            self.verified.set(oid, after);
        }
        Ok(true)
    }

    /// Work on objects folder by folder, on both cores. `oids` may be in any order.
    fn by_folder(
        &self,
        oids: &[Oid],
        what: &'static str,
        lists: Lists,
        progress: &dyn Progress,
        work: impl Fn(&str, &[Oid]) -> Result<usize> + Sync,
    ) -> Result<usize> {
        let mut sorted = oids.to_vec();
        sorted.sort_unstable();
        progress.start(what, Some(oids.len() as u64), None);
        let (dirs, files): (Vec<Oid>, Vec<Oid>) = sorted.iter().partition(|oid| oid.is_dir());
        let run = |oids: &[Oid]| -> Result<usize> {
            let groups: Vec<&[Oid]> = oids.chunk_by(|a, b| a.bytes()[0] == b.bytes()[0]).collect();
            groups.par_iter().map(|group| work(&Place::of(&group[0]).as_str()[..2], group)).sum()
        };
        let (first, last) = if lists == Lists::First { (&dirs, &files) } else { (&files, &dirs) };
        let done = run(first).and_then(|done| Ok(done + run(last)?));
        progress.finish();
        done
    }

    /// Puts all of this kind of cache in a collection back in its place; tells how many objects came back.
    pub fn restore(&self, batch: &Batch, progress: &dyn Progress) -> Result<usize> {
        let from = batch.objects(self);
        let mut oids = Vec::new();
        for folder in list_folders(&from)? {
            oids.extend_from_slice(folder.objects());
        }
        let open = |at, path: &[u8]| rustix::fs::openat(at, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        // The files of a directory come before its list.
        let restored = self.by_folder(&oids, "restoring", Lists::Last, progress, |name, oids| {
            let from = from.join(name);
            let from_fd = match open(CWD, from.as_os_str().as_bytes()) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => return Ok(0),
                Err(errno) => return Err(Error::io("opening", &from, errno)),
            };
            let Some(first) = oids.first() else { return Ok(0) };
            self.make_shard(first)?;
            let to = self.objects_dir().join(name);
            let to_fd = open(CWD, to.as_os_str().as_bytes()).map_err(|errno| Error::io("opening", &to, errno))?;
            let mut back = 0;
            for oid in oids {
                // What came into the cache again meanwhile stays.
                if self.stat_in_place(oid)?.is_none() {
                    back += usize::from(self.move_one(oid, from_fd.as_fd(), to_fd.as_fd())?);
                }
                progress.add(1, 0);
            }
            Ok(back)
        })?;
        self.remember_unsynced_many();
        match std::fs::remove_dir_all(&from) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("deleting", &from, error));
            }
            _ => {}
        }
        // Only when nothing of the other kind is left in it.
        let _ = std::fs::remove_dir(&batch.path);
        Ok(restored)
    }

    /// An object that is missing is looked for in the trash, and put back in its place.
    pub(crate) fn take_back(&self, oid: &Oid) -> Result<bool> {
        let Some(trash) = self.trash.get_or_init(|| InTrash::open(self)) else { return Ok(false) };
        let Some(batch) = trash.find(oid) else { return Ok(false) };
        let place = Place::of(oid);
        let from = batch.join(OsStr::from_bytes(place.as_str().as_bytes()));
        let look = |path: &Path| rustix::fs::statat(CWD, path, AtFlags::empty()).map(|stat| Stamp::of(&stat));
        let known = self.verified.get(oid).filter(|stamp| look(&from) == Ok(*stamp));
        // A cache that cannot be written to has what lies in its trash no more.
        if self.make_shard(oid).is_err() || rustix::fs::renameat(CWD, &from, CWD, self.path(oid)).is_err() {
            return Ok(false);
        }
        if let (Some(known), Ok(after)) = (known, look(&self.path(oid)))
            && known.same_but_ctime(&after)
        {
            self.verified.set(oid, after);
        }
        self.remember_unsynced(oid);
        Ok(true)
    }

    /// Whether the object lies in the trash, and stays there.
    pub fn is_in_trash(&self, oid: &Oid) -> bool {
        let trash = self.trash.get_or_init(|| InTrash::open(self));
        trash.as_ref().is_some_and(|trash| trash.find(oid).is_some())
    }

    /// A directory's object, for who only looks: one in the trash is read there and stays.
    pub fn peek_tree(&self, oid: &Oid) -> Result<Tree> {
        if self.stat_in_place(oid)?.is_some() {
            return self.read_tree(oid);
        }
        let missing = || Error::Missing { oid: *oid, path: self.path(oid) };
        let trash = self.trash.get_or_init(|| InTrash::open(self)).as_ref().ok_or_else(missing)?;
        let batch = trash.find(oid).ok_or_else(missing)?;
        let bytes = std::fs::read(batch.join(Place::of(oid).as_str())).map_err(|_| missing())?;
        if hash_bytes(HashName::Md5, &bytes).bytes() != oid.bytes() {
            return Err(missing());
        }
        Tree::parse(&oid.to_string(), &bytes)
    }

    /// Deletes objects of one collection in the trash, for good; tells how many there were.
    pub fn delete_from_trash(&self, batch: &Batch, oids: &[Oid], progress: &dyn Progress) -> Result<usize> {
        let dir = batch.objects(self);
        let deleted = self.by_folder(oids, "removing", Lists::First, progress, |name, oids| {
            let mut deleted = 0;
            for oid in oids {
                match std::fs::remove_file(dir.join(name).join(&Place::of(oid).as_str()[3..])) {
                    Ok(()) => deleted += 1,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(Error::io("deleting", dir.join(name), error)),
                }
                progress.add(1, 0);
            }
            let _ = std::fs::remove_dir(dir.join(name));
            Ok(deleted)
        })?;
        let _ = std::fs::remove_dir(&dir);
        let _ = std::fs::remove_dir(&batch.path);
        Ok(deleted)
    }

    /// Sets a damaged object aside in `<root>/trackway/damaged/`, for whoever wants to look at it; tells where it is.
    pub fn set_aside(&self, oid: &Oid) -> Result<PathBuf> {
        let dir = self.root().join("trackway").join("damaged");
        self.make_dirs(&dir).map_err(|error| Error::io("making the folder", &dir, error))?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let path = dir.join(format!("{}-{oid}-{now}", self.hash_name()));
        std::fs::rename(self.path(oid), &path).map_err(|error| Error::io("moving", self.path(oid), error))?;
        self.forget(oid);
        Ok(path)
    }
}

/// When the lists of directories are moved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lists {
    First,
    Last,
}

impl InTrash {
    fn open(cache: &Cache) -> Option<InTrash> {
        let batches: Vec<PathBuf> = cache.trash().ok()?.iter().rev().map(|batch| batch.objects(cache)).collect();
        let shards = (0..256).map(|_| OnceLock::new()).collect();
        (!batches.is_empty()).then_some(InTrash { batches, shards })
    }

    /// The folder of the batch that has it.
    fn find(&self, oid: &Oid) -> Option<&Path> {
        let shard = oid.bytes()[0];
        let found = self.shards[usize::from(shard)].get_or_init(|| {
            let name = format!("{shard:02x}");
            let mut found = HashMap::new();
            for (number, batch) in self.batches.iter().enumerate() {
                for entry in std::fs::read_dir(batch.join(&name)).into_iter().flatten().flatten() {
                    let text = format!("{name}{}", entry.file_name().to_string_lossy());
                    if let Ok(oid) = Oid::parse(&text) {
                        found.entry(oid).or_insert(number);
                    }
                }
            }
            found
        });
        found.get(oid).map(|number| self.batches[*number].as_path())
    }
}
