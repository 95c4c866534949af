//! A folder of objects that is a remote: on this machine, or on a file system that it mounts.
//!
//! It is DVC's and nobody's own: nothing of ours stays in it, no record and no lock. Where the file system can, an object
//! has no name at all until it is whole (`O_TMPFILE`), so that a killed process leaves nothing behind; elsewhere it is
//! written under a temporary name beside its place.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rayon::prelude::*;
use rustix::fd::AsRawFd;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::cache::{Place, umask};
use crate::hash::{BIG, hash_stream};
use crate::tree::MAX_TREE_BYTES;
use crate::verified::Stamp;
use crate::{Cache, Error, HashName, Layout, Oid, Progress, Result, Tree, hash_bytes};

pub struct Folder {
    objects: PathBuf,
    hash_name: HashName,
    /// `shared = group`.
    shared: bool,
    shards_made: Vec<AtomicBool>,
    /// The file system has refused files without a name.
    named_only: AtomicBool,
    counter: AtomicU64,
}

/// Fewer objects are asked for one by one.
const LIST_FROM: usize = 512;
/// A folder is listed if it holds about this many times what is asked for, or less: a name in a listing costs so much less
/// than a question.
const LIST_UP_TO: usize = 16;
const COPY_PART: usize = 32 << 20;
const TEMP_PREFIX: &[u8] = b".trackway-";
/// Temporary files that nobody has written to for so long belong to nobody.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 60 * 60);

impl Folder {
    /// `root` need not exist. DVC 3 keeps its objects in `<root>/files/md5`, DVC 2 right below.
    pub fn new(root: &Path, layout: Layout, shared: bool) -> Folder {
        let (objects, hash_name) = match layout {
            Layout::V3 => (root.join("files").join("md5"), HashName::Md5),
            Layout::V2 => (root.to_owned(), HashName::Md5Dos2Unix),
        };
        Folder {
            objects,
            hash_name,
            shared,
            shards_made: (0..256).map(|_| AtomicBool::new(false)).collect(),
            named_only: AtomicBool::new(false),
            counter: AtomicU64::new(0),
        }
    }

    pub fn hash_name(&self) -> HashName {
        self.hash_name
    }

    /// The folder of the objects' two-character folders.
    pub fn objects_dir(&self) -> &Path {
        &self.objects
    }

    pub fn path(&self, oid: &Oid) -> PathBuf {
        self.objects.join(OsStr::from_bytes(Place::of(oid).as_str().as_bytes()))
    }

    /// The object's size; `None` if no file bears its name.
    pub fn size(&self, oid: &Oid) -> Result<Option<u64>> {
        let path = self.path(oid);
        match rustix::fs::statat(CWD, &path, AtFlags::empty()) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => Ok(Some(stat.st_size as u64)),
            Ok(_) | Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::io("looking at", path, errno)),
        }
    }

    /// Which of the objects are there: by listing the folders, or by asking for each, whichever is less work.
    pub fn find(&self, oids: &[Oid]) -> Result<Vec<bool>> {
        let Some(first) = oids.first() else { return Ok(Vec::new()) };
        if oids.len() < LIST_FROM {
            return oids.iter().map(|oid| Ok(self.size(oid)?.is_some())).collect();
        }
        // Says too what is wrong with the folder, with an object's path as DVC does.
        self.size(first)?;
        if self.list_shard(first.bytes()[0])?.len() * 256 > oids.len() * LIST_UP_TO {
            return oids.par_iter().map(|oid| Ok(self.size(oid)?.is_some())).collect();
        }
        let shards: Vec<HashSet<Oid>> =
            (0..=255u8).into_par_iter().map(|shard| self.list_shard(shard)).collect::<Result<_>>()?;
        Ok(oids.iter().map(|oid| shards[usize::from(oid.bytes()[0])].contains(oid)).collect())
    }

    fn list_shard(&self, shard: u8) -> Result<HashSet<Oid>> {
        let dir = self.objects.join(format!("{shard:02x}"));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = match rustix::fs::openat(CWD, &dir, flags, Mode::empty()) {
            Ok(open) => open,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(HashSet::new()),
            Err(errno) => return Err(Error::io("listing", dir, errno)),
        };
        let mut found = HashSet::new();
        for entry in rustix::fs::Dir::read_from(&open).map_err(|errno| Error::io("listing", &dir, errno))? {
            let entry = entry.map_err(|errno| Error::io("listing", &dir, errno))?;
            let name = entry.file_name().to_bytes();
            if name.starts_with(TEMP_PREFIX) {
                remove_leftover(&dir.join(OsStr::from_bytes(name)));
            } else if matches!(entry.file_type(), FileType::RegularFile | FileType::Symlink | FileType::Unknown)
                && let Ok(rest) = std::str::from_utf8(name)
                && let Ok(oid) = Oid::parse(&format!("{shard:02x}{rest}"))
            {
                found.insert(oid);
            }
        }
        Ok(found)
    }

    /// A folder's list, hashed as it is read; `None` if it is not there.
    pub fn read_tree_bytes(&self, oid: &Oid) -> Result<Option<Vec<u8>>> {
        let path = self.path(oid);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("opening", &path, error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_TREE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| Error::io("reading", &path, error))?;
        if bytes.len() as u64 > MAX_TREE_BYTES {
            return Err(Error::InvalidTree {
                object: oid.to_string(),
                place: format!("'{}'", path.display()),
                reason: "it is larger than 2 GiB".to_owned(),
            });
        }
        let actual = hash_bytes(HashName::Md5, &bytes);
        if actual.bytes() != oid.bytes() {
            return Err(Error::Corrupt { oid: *oid, path, actual: Oid::dir(*actual.bytes()) });
        }
        Ok(Some(bytes))
    }

    /// Copies one object from the cache. It is hashed on the way unless the cache's record knows it as it is now.
    pub fn store(&self, oid: &Oid, cache: &Cache, progress: &dyn Progress) -> Result<()> {
        let mut from = cache.open_object(oid)?;
        let from_path = || cache.path(oid);
        let stat = rustix::fs::fstat(&from).map_err(|errno| Error::io("looking at", from_path(), errno))?;
        let before = Stamp::of(&stat);
        let known = cache.verified.get(oid).is_some_and(|known| known.same_but_ctime(&before));
        self.make_shard(oid)?;
        let mut new = self.begin(oid)?;
        if known && before.size >= BIG {
            copy(&mut from, &mut new.file, before.size, &from_path(), progress)?;
        } else {
            let name = if oid.is_dir() { HashName::Md5 } else { self.hash_name };
            let actual = if known {
                copy_small(&mut from, &mut new.file, before.size, &from_path(), progress)?;
                None
            } else {
                Some(hash_stream(name, &mut from, before.size, &from_path(), Some(&mut new.file), progress)?.0)
            };
            if let Some(actual) = actual.filter(|actual| actual.bytes() != oid.bytes()) {
                cache.verified.forget(oid);
                let actual = if oid.is_dir() { Oid::dir(*actual.bytes()) } else { actual };
                return Err(Error::Corrupt { oid: *oid, path: from_path(), actual });
            }
            let after = rustix::fs::fstat(&from).map_err(|errno| Error::io("looking at", from_path(), errno))?;
            if actual.is_some() && Stamp::of(&after) == before {
                cache.note(oid, before);
            }
        }
        self.finish(new, oid)
    }

    /// Copies a file from anywhere, which must be the object `oid`: it is hashed on the way.
    pub fn store_file(&self, oid: &Oid, path: &Path, progress: &dyn Progress) -> Result<()> {
        let mut from = File::open(path).map_err(|error| Error::io("opening", path, error))?;
        let size = from.metadata().map_err(|error| Error::io("looking at", path, error))?.len();
        self.make_shard(oid)?;
        let mut new = self.begin(oid)?;
        let (actual, _) = hash_stream(self.hash_name, &mut from, size, path, Some(&mut new.file), progress)?;
        if actual.bytes() != oid.bytes() {
            return Err(Error::Changed { path: path.to_owned() });
        }
        self.finish(new, oid)
    }

    /// Stores a folder's list.
    pub fn store_tree(&self, tree: &Tree) -> Result<Oid> {
        let bytes = tree.to_bytes();
        let oid = Oid::dir(*hash_bytes(HashName::Md5, &bytes).bytes());
        self.make_shard(&oid)?;
        let mut new = self.begin(&oid)?;
        new.file.write_all(&bytes).map_err(|error| Error::io("writing", self.path(&oid), error))?;
        self.finish(new, &oid)?;
        Ok(oid)
    }

    /// Reads an object again that was just stored. A wrong one is deleted: nobody is to take it for the data.
    pub fn verify(&self, oid: &Oid, progress: &dyn Progress) -> Result<()> {
        let path = self.path(oid);
        let mut file = File::open(&path).map_err(|error| Error::io("opening", &path, error))?;
        let size = file.metadata().map_err(|error| Error::io("looking at", &path, error))?.len();
        let name = if oid.is_dir() { HashName::Md5 } else { self.hash_name };
        let (actual, _) = hash_stream(name, &mut file, size, &path, None, progress)?;
        if actual.bytes() == oid.bytes() {
            return Ok(());
        }
        std::fs::remove_file(&path).map_err(|error| Error::io("deleting", &path, error))?;
        let actual = if oid.is_dir() { Oid::dir(*actual.bytes()) } else { actual };
        Err(Error::Corrupt { oid: *oid, path, actual })
    }

    /// Brings one object into the cache, verified; `Missing` if it is not here.
    pub fn load(&self, oid: &Oid, cache: &Cache, progress: &dyn Progress) -> Result<()> {
        cache.insert_as(&self.path(oid), oid, progress)
    }

    /// What was stored is on the disk.
    pub fn sync(&self) -> Result<()> {
        let failed = |error: std::io::Error| Error::io("writing to disk", &self.objects, error);
        let dir = match File::open(&self.objects) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            dir => dir.map_err(failed)?,
        };
        rustix::fs::syncfs(dir).map_err(|errno| failed(errno.into()))
    }

    fn make_shard(&self, oid: &Oid) -> Result<()> {
        let made = &self.shards_made[usize::from(oid.bytes()[0])];
        if !made.load(Ordering::Relaxed) {
            let dir = self.objects.join(format!("{:02x}", oid.bytes()[0]));
            self.make_dirs(&dir)?;
            made.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn make_dirs(&self, dir: &Path) -> Result<()> {
        let failed = |error| Error::io("making the folder", dir, error);
        match std::fs::create_dir(dir) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && dir.is_dir() => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let Some(parent) = dir.parent() else { return Err(failed(error)) };
                // Another thread may have made it meanwhile.
                if !parent.exists() {
                    self.make_dirs(parent)?;
                }
                match std::fs::create_dir(dir) {
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && dir.is_dir() => return Ok(()),
                    made => made.map_err(failed)?,
                }
            }
            Err(error) => return Err(failed(error)),
        }
        if self.shared {
            use std::os::unix::fs::PermissionsExt;
            let _ = std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o2775));
        }
        Ok(())
    }

    fn begin(&self, oid: &Oid) -> Result<New> {
        let dir = self.objects.join(format!("{:02x}", oid.bytes()[0]));
        let mode = Mode::from_raw_mode(0o444);
        if !self.named_only.load(Ordering::Relaxed) {
            match rustix::fs::openat(CWD, &dir, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode) {
                Ok(file) => return Ok(New { file: File::from(file), temp: None }),
                Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => {
                    self.named_only.store(true, Ordering::Relaxed);
                }
                Err(errno) => return Err(Error::io("making a file in", dir, errno)),
            }
        }
        self.begin_named(&dir)
    }

    fn begin_named(&self, dir: &Path) -> Result<New> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let temp = dir.join(format!(".trackway-{}-{since:x}-{number}.tmp", std::process::id()));
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::openat(CWD, &temp, flags, Mode::from_raw_mode(0o444))
            .map_err(|errno| Error::io("making the file", &temp, errno))?;
        Ok(New { file: File::from(file), temp: Some(temp) })
    }

    /// Gives the file its mode and its name.
    fn finish(&self, mut new: New, oid: &Oid) -> Result<()> {
        // As DVC 3.67: a mode that cannot be set is no failure.
        if umask() & 0o444 != 0 {
            let _ = rustix::fs::fchmod(&new.file, Mode::from_raw_mode(0o444));
        }
        let path = self.path(oid);
        if let Some(temp) = &new.temp {
            std::fs::rename(temp, &path).map_err(|error| Error::io("making the file", &path, error))?;
            new.temp = None;
            return Ok(());
        }
        let unnamed = format!("/proc/self/fd/{}", new.file.as_raw_fd());
        match rustix::fs::linkat(CWD, unnamed, CWD, &path, AtFlags::SYMLINK_FOLLOW) {
            // Another process was faster, with the same content.
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            // Without /proc a file cannot get its name later.
            Err(Errno::NOENT | Errno::XDEV | Errno::PERM) => {
                self.named_only.store(true, Ordering::Relaxed);
                let failed = |error| Error::io("making the file", &path, error);
                let mut named = self.begin_named(path.parent().unwrap_or(&path))?;
                use std::io::Seek;
                new.file.rewind().and_then(|()| std::io::copy(&mut new.file, &mut named.file)).map_err(failed)?;
                self.finish(named, oid)
            }
            Err(errno) => Err(Error::io("making the file", path, errno)),
        }
    }
}

/// A file that becomes an object or vanishes.
struct New {
    file: File,
    temp: Option<PathBuf>,
}

impl Drop for New {
    fn drop(&mut self) {
        if let Some(temp) = &self.temp {
            let _ = std::fs::remove_file(temp);
        }
    }
}

/// Copies a small file whose content is known.
fn copy_small(from: &mut File, to: &mut File, size: u64, path: &Path, progress: &dyn Progress) -> Result<()> {
    let mut bytes = Vec::with_capacity(size as usize + 1);
    from.read_to_end(&mut bytes).map_err(|error| Error::io("reading", path, error))?;
    if bytes.len() as u64 != size {
        return Err(Error::Changed { path: path.to_owned() });
    }
    to.write_all(&bytes).map_err(|error| Error::io("copying", path, error))?;
    progress.add(0, size);
    Ok(())
}

/// Copies a large file whose content is known: as a clone, or within the kernel, or by hand.
fn copy(from: &mut File, to: &mut File, size: u64, path: &Path, progress: &dyn Progress) -> Result<()> {
    if rustix::fs::ioctl_ficlone(&*to, &*from).is_ok() {
        progress.add(0, size);
        return Ok(());
    }
    let mut done = 0;
    while done < size {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        let want = usize::try_from(size - done).unwrap_or(COPY_PART).min(COPY_PART);
        match rustix::fs::copy_file_range(&*from, None, &*to, None, want) {
            Ok(0) => break,
            Ok(copied) => {
                done += copied as u64;
                progress.add(0, copied as u64);
            }
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) if done == 0 => {
                let mut part = vec![0; 1 << 20];
                loop {
                    if progress.cancelled() {
                        return Err(Error::Cancelled);
                    }
                    let read = from.read(&mut part).map_err(|error| Error::io("reading", path, error))?;
                    if read == 0 {
                        break;
                    }
                    to.write_all(&part[..read]).map_err(|error| Error::io("copying", path, error))?;
                    done += read as u64;
                    progress.add(0, read as u64);
                }
                break;
            }
            Err(errno) => return Err(Error::io("copying", path, errno)),
        }
    }
    if done != size {
        return Err(Error::Changed { path: path.to_owned() });
    }
    Ok(())
}

fn remove_leftover(path: &Path) {
    let age =
        std::fs::symlink_metadata(path).and_then(|meta| meta.modified()).ok().and_then(|time| time.elapsed().ok());
    if age.is_some_and(|age| age > LEFTOVER_AGE) {
        let _ = std::fs::remove_file(path);
    }
}
