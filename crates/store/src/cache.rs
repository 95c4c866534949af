//! The cache: a folder of objects, each under the name of its content.
//!
//! Layout and modes are DVC's. What is ours lies in `<root>/trackway/`, a name that is longer than two characters, as
//! DVC's `gc` deletes what lies in any two-character folder: `verified/` (verified.rs), `writers/` (a locked file for
//! each process that writes), `writers.lock` (writers.rs), `projects/` (register.rs), `trash/` (trash.rs), `damaged/`
//! (what fsck set aside) and `tmp/` (large objects that are being written; small ones are written beside their place, as a
//! rename within one folder costs half).

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::hash::{BIG, hash_stream};
use crate::trash::InTrash;
use crate::tree::MAX_TREE_BYTES;
use crate::verified::{Stamp, Verified};
use crate::{Error, HashName, Hasher, LinkType, NoProgress, Oid, Progress, Result, Tree, hash_bytes};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// DVC 3: `<root>/files/md5/xx/…`, MD5 of the bytes.
    V3,
    /// DVC 2 and older: `<root>/xx/…`, MD5 after dos2unix.
    V2,
}

#[derive(Clone, Debug)]
pub struct CacheOptions {
    /// The cache's folder (`.dvc/cache`), absolute.
    pub root: PathBuf,
    pub layout: Layout,
    /// As configured; empty: DVC's default, reflink and copy.
    pub link_types: Vec<LinkType>,
    /// `cache.shared = group`.
    pub shared: bool,
}

/// A folder of objects. Opening it does nothing to the disk.
pub struct Cache {
    options: CacheOptions,
    objects: PathBuf,
    objects_fd: OnceLock<OwnedFd>,
    pub(crate) verified: Verified,
    shards_made: Vec<AtomicBool>,
    writer: Mutex<Option<Writer>>,
    counter: AtomicU64,
    unsynced: Mutex<Unsynced>,
    pub(crate) trash: OnceLock<Option<InTrash>>,
}

/// The locked file that says that this process writes, and how its temporary files are called.
struct Writer {
    id: String,
    path: PathBuf,
    _locked: File,
}

/// New objects that may not be on disk: by name while they are few.
#[derive(Default)]
struct Unsynced {
    few: Vec<Oid>,
    many: bool,
    /// Folders in which new folders were made.
    folders: std::collections::BTreeSet<PathBuf>,
}

const SYNC_ONE_BY_ONE: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub oid: Oid,
    pub size: u64,
    pub mtime: SystemTime,
}

/// Whether an object is there and right.
pub(crate) enum Check {
    Missing,
    Right(Stamp),
    Wrong(Oid),
}

impl Cache {
    /// The cache at `root`, which need not exist yet.
    pub fn open(options: CacheOptions) -> Result<Cache> {
        let objects = match options.layout {
            Layout::V3 => options.root.join("files").join("md5"),
            Layout::V2 => options.root.clone(),
        };
        let verified = own_dir(&options, "verified");
        let mut options = options;
        if options.link_types.is_empty() {
            options.link_types = vec![LinkType::Reflink, LinkType::Copy];
        }
        Ok(Cache {
            objects,
            objects_fd: OnceLock::new(),
            verified: Verified::new(verified, record_mode(&options)),
            shards_made: (0..256).map(|_| AtomicBool::new(false)).collect(),
            writer: Mutex::default(),
            counter: AtomicU64::new(0),
            unsynced: Mutex::default(),
            trash: OnceLock::new(),
            options,
        })
    }

    pub fn root(&self) -> &Path {
        &self.options.root
    }

    /// The folder of the objects' two-character folders.
    pub fn objects_dir(&self) -> &Path {
        &self.objects
    }

    pub fn layout(&self) -> Layout {
        self.options.layout
    }

    pub fn hash_name(&self) -> HashName {
        match self.options.layout {
            Layout::V3 => HashName::Md5,
            Layout::V2 => HashName::Md5Dos2Unix,
        }
    }

    pub fn link_types(&self) -> &[LinkType] {
        &self.options.link_types
    }

    /// Where the object lies or would lie.
    pub fn path(&self, oid: &Oid) -> PathBuf {
        self.objects.join(OsStr::from_bytes(Place::of(oid).as_str().as_bytes()))
    }

    /// The open folder of the objects; `None` while there is none.
    pub(crate) fn objects_fd(&self) -> Option<&OwnedFd> {
        if self.objects_fd.get().is_none() {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(CWD, &self.objects, flags, Mode::empty()).ok()?;
            let _ = self.objects_fd.set(fd);
        }
        self.objects_fd.get()
    }

    /// Whether a group shares the cache.
    pub(crate) fn is_shared(&self) -> bool {
        self.options.shared
    }

    /// What the object's file looks like; `None` if there is no file of its name. One that lies in the trash is taken back.
    pub(crate) fn stat(&self, oid: &Oid) -> Result<Option<Stat>> {
        match self.stat_in_place(oid)? {
            None if self.take_back(oid)? => self.stat_in_place(oid),
            found => Ok(found),
        }
    }

    pub(crate) fn stat_in_place(&self, oid: &Oid) -> Result<Option<Stat>> {
        let Some(objects) = self.objects_fd() else { return Ok(None) };
        match rustix::fs::statat(objects, Place::of(oid).as_str(), AtFlags::empty()) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => Ok(Some(stat)),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(Error::io("looking at", self.path(oid), errno)),
        }
    }

    /// Whether a file bears the object's name; says nothing of its content.
    pub fn contains(&self, oid: &Oid) -> bool {
        matches!(self.stat(oid), Ok(Some(_)))
    }

    /// Whether the object is there and nothing about it looks wrong. One that our record knows otherwise, that anybody may
    /// write to, or that is empty and should not be is hashed: a wrong one counts as absent, and is fetched again.
    pub fn has(&self, oid: &Oid) -> Result<bool> {
        let Some(stat) = self.stat(oid)? else { return Ok(false) };
        let stamp = Stamp::of(&stat);
        let looks_right = match self.verified.get(oid) {
            Some(known) => known.same_but_ctime(&stamp),
            None => stat.st_mode & 0o222 == 0 && (stamp.size > 0 || *oid == hash_bytes(HashName::Md5, b"")),
        };
        Ok(looks_right || matches!(self.check(oid, false, &NoProgress)?, Check::Right(_)))
    }

    /// The object's size; `None` if it is not there.
    pub fn size(&self, oid: &Oid) -> Result<Option<u64>> {
        Ok(self.stat(oid)?.map(|stat| stat.st_size as u64))
    }

    pub(crate) fn open_object(&self, oid: &Oid) -> Result<File> {
        let missing = || Error::Missing { oid: *oid, path: self.path(oid) };
        let objects = self.objects_fd().ok_or_else(missing)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(objects, Place::of(oid).as_str(), flags, Mode::empty());
        let opened = match open() {
            Err(Errno::NOENT) if self.take_back(oid)? => open(),
            opened => opened,
        };
        match opened {
            Ok(fd) => Ok(File::from(fd)),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(missing()),
            Err(errno) => Err(Error::io("opening", self.path(oid), errno)),
        }
    }

    /// Looks at the object, and hashes it if it does not look as recorded (or always, with `always`).
    pub(crate) fn check(&self, oid: &Oid, always: bool, progress: &dyn Progress) -> Result<Check> {
        let Some(stat) = self.stat(oid)? else { return Ok(Check::Missing) };
        let stamp = Stamp::of(&stat);
        if !always && self.verified.get(oid) == Some(stamp) {
            return Ok(Check::Right(stamp));
        }
        let mut file = match self.open_object(oid) {
            Err(Error::Missing { .. }) => return Ok(Check::Missing),
            file => file?,
        };
        let path = self.path(oid);
        let look = |file: &File| rustix::fs::fstat(file).map(|stat| Stamp::of(&stat));
        let before = look(&file).map_err(|errno| Error::io("looking at", &path, errno))?;
        let name = if oid.is_dir() { HashName::Md5 } else { self.hash_name() };
        let (actual, _) = hash_stream(name, &mut file, before.size, &path, None, progress)?;
        let after = look(&file).map_err(|errno| Error::io("looking at", &path, errno))?;
        if actual.bytes() != oid.bytes() {
            self.verified.forget(oid);
            let actual = if oid.is_dir() { Oid::dir(*actual.bytes()) } else { actual };
            return Ok(Check::Wrong(actual));
        }
        if before == after {
            self.verified.set(oid, after);
        }
        Ok(Check::Right(after))
    }

    /// The object is there and right, by our record or by hashing it; else `Missing` or `Corrupt`.
    pub fn verify(&self, oid: &Oid) -> Result<()> {
        self.expect(oid, self.check(oid, false, &NoProgress)?).map(|_| ())
    }

    /// As `verify`, but hashed even when the record knows it (fsck).
    pub fn rehash(&self, oid: &Oid, progress: &dyn Progress) -> Result<()> {
        self.expect(oid, self.check(oid, true, progress)?).map(|_| ())
    }

    pub(crate) fn expect(&self, oid: &Oid, check: Check) -> Result<Stamp> {
        match check {
            Check::Right(stamp) => Ok(stamp),
            Check::Missing => Err(Error::Missing { oid: *oid, path: self.path(oid) }),
            Check::Wrong(actual) => Err(Error::Corrupt { oid: *oid, path: self.path(oid), actual }),
        }
    }

    /// The content of an object, hashed as it is read.
    pub fn read(&self, oid: &Oid) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut file = self.open_object(oid)?;
        file.read_to_end(&mut bytes).map_err(|error| Error::io("reading", self.path(oid), error))?;
        let name = if oid.is_dir() { HashName::Md5 } else { self.hash_name() };
        let actual = hash_bytes(name, &bytes);
        if actual.bytes() != oid.bytes() {
            self.verified.forget(oid);
            let actual = if oid.is_dir() { Oid::dir(*actual.bytes()) } else { actual };
            return Err(Error::Corrupt { oid: *oid, path: self.path(oid), actual });
        }
        Ok(bytes)
    }

    /// A directory's object, verified and parsed.
    pub fn read_tree(&self, oid: &Oid) -> Result<Tree> {
        if self.size(oid)?.is_some_and(|size| size > MAX_TREE_BYTES) {
            return Err(Error::InvalidTree {
                object: oid.to_string(),
                place: format!("'{}'", self.path(oid).display()),
                reason: "it is larger than 2 GiB".to_owned(),
            });
        }
        Ok(Tree::parse(&oid.to_string(), &self.read(oid)?)?.with_oid(*oid))
    }

    /// Writes the tree as DVC would, and tells the name of that (another than `tree.oid()` if it was read from an object
    /// that is written otherwise).
    pub fn put_tree(&self, tree: &Tree) -> Result<Oid> {
        let bytes = tree.to_bytes();
        let oid = Oid::dir(*hash_bytes(HashName::Md5, &bytes).bytes());
        self.put(&oid, &bytes)?;
        Ok(oid)
    }

    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Oid> {
        let oid = hash_bytes(self.hash_name(), bytes);
        self.put(&oid, bytes)?;
        Ok(oid)
    }

    /// Makes sure that the object is there and right; `bytes` are known to be its content.
    pub(crate) fn put(&self, oid: &Oid, bytes: &[u8]) -> Result<Stamp> {
        if let Check::Right(stamp) = self.check(oid, false, &NoProgress)? {
            return Ok(stamp);
        }
        let mut temp = self.temp_for(oid)?;
        temp.file.write_all(bytes).map_err(|error| Error::io("writing", self.path(oid), error))?;
        temp.place(oid)
    }

    /// Brings a file into the cache by reflink or copy, and tells its oid; the file stays as it is.
    pub fn insert_file(&self, path: &Path, progress: &dyn Progress) -> Result<Oid> {
        let mut file = File::open(path).map_err(|error| Error::io("opening", path, error))?;
        let look = |file: &File| rustix::fs::fstat(file).map(|stat| Stamp::of(&stat));
        let before = look(&file).map_err(|errno| Error::io("looking at", path, errno))?;
        let (oid, _) = self.insert_open(&mut file, before.size, path, None, progress)?;
        let after = look(&file).map_err(|errno| Error::io("looking at", path, errno))?;
        if before != after {
            return Err(Error::Changed { path: path.to_owned() });
        }
        Ok(oid)
    }

    /// As `insert_file`, for a file that must be the object `expected` (another cache's, a remote's).
    pub fn insert_as(&self, path: &Path, expected: &Oid, progress: &dyn Progress) -> Result<()> {
        let mut file = File::open(path).map_err(|error| Error::io("opening", path, error))?;
        let size = file.metadata().map_err(|error| Error::io("looking at", path, error))?.len();
        let wrong = |actual| Error::Corrupt { oid: *expected, path: path.to_owned(), actual };
        match self.insert_open(&mut file, size, path, Some(expected), progress)? {
            (actual, _) if actual == *expected => Ok(()),
            (actual, _) => Err(wrong(actual)),
        }
    }

    /// Reads an open file once: hashes it and copies it into its place. With `expected`, other content is not kept.
    pub(crate) fn insert_open(
        &self,
        file: &mut File,
        size: u64,
        path: &Path,
        expected: Option<&Oid>,
        progress: &dyn Progress,
    ) -> Result<(Oid, Stamp)> {
        let is_dir = expected.is_some_and(Oid::is_dir);
        let name = if is_dir { HashName::Md5 } else { self.hash_name() };
        let named = |oid: Oid| if is_dir { Oid::dir(*oid.bytes()) } else { oid };
        let other = |oid: &Oid| expected.is_some_and(|expected| expected != oid);
        if size < BIG {
            let mut bytes = Vec::with_capacity(size as usize + 1);
            file.read_to_end(&mut bytes).map_err(|error| Error::io("reading", path, error))?;
            progress.add(0, bytes.len() as u64);
            let oid = named(hash_bytes(name, &bytes));
            let stamp = if other(&oid) { Stamp::default() } else { self.put(&oid, &bytes)? };
            return Ok((oid, stamp));
        }
        // A clone costs nothing: then there is only the hashing of it.
        let mut temp = self.temp()?;
        let cloned =
            self.link_types().contains(&LinkType::Reflink) && rustix::fs::ioctl_ficlone(&temp.file, &*file).is_ok();
        let (oid, _) = if cloned {
            let temp_path = temp.path();
            let mut clone = File::open(&temp_path).map_err(|error| Error::io("opening", &temp_path, error))?;
            hash_stream(name, &mut clone, size, path, None, progress)?
        } else {
            hash_stream(name, file, size, path, Some(&mut temp.file), progress)?
        };
        let oid = named(oid);
        if other(&oid) {
            return Ok((oid, Stamp::default()));
        }
        if let Check::Right(stamp) = self.check(&oid, false, progress)? {
            return Ok((oid, stamp));
        }
        let stamp = temp.place(&oid)?;
        Ok((oid, stamp))
    }

    /// Begins to write an object whose name is known when all of it has passed by.
    pub fn receive_any(&self) -> Result<IncomingAny<'_>> {
        Ok(IncomingAny { temp: self.temp()?, hasher: Hasher::new(self.hash_name()) })
    }

    /// Begins to write the object `expected`, whose bytes come from elsewhere.
    pub fn receive(&self, expected: &Oid) -> Result<Incoming<'_>> {
        let name = if expected.is_dir() { HashName::Md5 } else { self.hash_name() };
        let written = IncomingAny { temp: self.temp_for(expected)?, hasher: Hasher::new(name) };
        Ok(Incoming { written, expected: *expected })
    }

    /// Deletes one object and forgets it; `false` if it was not there.
    pub fn remove(&self, oid: &Oid) -> Result<bool> {
        self.verified.forget(oid);
        if oid.is_dir() {
            self.forget_presence(oid);
        }
        let Some(objects) = self.objects_fd() else { return Ok(false) };
        match rustix::fs::unlinkat(objects, Place::of(oid).as_str(), AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(errno) => Err(Error::io("deleting", self.path(oid), errno)),
        }
    }

    /// All objects, folder by folder, in the order of their names. Foreign files and temporary ones are left out.
    pub fn objects(&self) -> Result<Objects<'_>> {
        Ok(Objects { cache: self, next_shard: 0, dir: None, names: Vec::new().into_iter() })
    }

    /// The objects in one of the 256 folders (for work that is divided over threads).
    pub fn objects_in(&self, shard: u8) -> Objects<'_> {
        let mut objects =
            Objects { cache: self, next_shard: u16::from(shard), dir: None, names: Vec::new().into_iter() };
        objects.open_next();
        objects.next_shard = 256;
        objects
    }

    /// Remembers that the object is right as it looks now: after we linked or moved it ourselves.
    pub(crate) fn note(&self, oid: &Oid, stamp: Stamp) {
        self.verified.set(oid, stamp);
    }

    /// An object was made by other means than a temporary file (a hard link of the work tree's file).
    pub(crate) fn note_new(&self, oid: &Oid, stamp: Stamp) {
        self.verified.set(oid, stamp);
        self.remember_unsynced(oid);
    }

    pub(crate) fn remember_unsynced(&self, oid: &Oid) {
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        if unsynced.few.len() < SYNC_ONE_BY_ONE && !unsynced.many {
            unsynced.few.push(*oid);
        } else {
            unsynced.many = true;
        }
    }

    pub(crate) fn remember_unsynced_many(&self) {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).many = true;
    }

    /// Everything written so far is on disk: to be called before something that names new objects is written.
    /// Also writes the record of verified objects.
    pub fn flush(&self) -> Result<()> {
        let unsynced = std::mem::take(&mut *self.unsynced.lock().unwrap_or_else(PoisonError::into_inner));
        self.save_record();
        if unsynced.few.is_empty() && !unsynced.many {
            return Ok(());
        }
        let Some(objects) = self.objects_fd() else { return Ok(()) };
        let failed = |errno| Error::io("writing to disk", &self.objects, errno);
        let open = |name: &str| rustix::fs::openat(objects, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        if unsynced.many {
            return rustix::fs::syncfs(open(".").map_err(failed)?).map_err(failed);
        }
        let mut folders = unsynced.folders;
        folders.extend(unsynced.few.iter().map(|oid| self.objects.join(format!("{:02x}", oid.bytes()[0]))));
        let sync_object = |oid: &Oid| match open(Place::of(oid).as_str()) {
            Ok(file) => rustix::fs::fsync(file).map_err(failed),
            // Collected meanwhile.
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed(errno)),
        };
        let sync_folder = |folder: &PathBuf| match File::open(folder).and_then(|folder| folder.sync_all()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("writing to disk", folder, error))
            }
            _ => Ok(()),
        };
        // All at once: the file system writes its journal once for those that wait together. Nothing names them yet, so
        // that their order does not matter.
        std::thread::scope(|scope| {
            let (sync_object, sync_folder) = (&sync_object, &sync_folder);
            let mut waiting: Vec<_> = unsynced.few.iter().map(|oid| scope.spawn(move || sync_object(oid))).collect();
            waiting.extend(folders.iter().map(|folder| scope.spawn(move || sync_folder(folder))));
            // One that panicked is no more on disk than one that failed.
            let lost = || Err(failed(Errno::IO));
            waiting.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| lost()))
        })?;
        Ok(())
    }

    /// Writes the record of verified objects; where that is not possible nothing is lost but time.
    pub fn save_record(&self) {
        self.verified.save(|dir| self.make_dirs(dir).is_ok());
    }

    /// Makes a folder of the cache with the modes of the cache.
    pub(crate) fn make_dirs(&self, dir: &Path) -> std::io::Result<()> {
        match std::fs::create_dir(dir) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && dir.is_dir() => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.make_dirs(dir.parent().ok_or(error)?)?;
                return self.make_dirs(dir);
            }
            Err(error) => return Err(error),
        }
        if let Some(parent) = dir.parent().filter(|_| self.objects.starts_with(dir) || dir.starts_with(&self.objects)) {
            let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
            unsynced.folders.insert(parent.to_owned());
        }
        if self.options.shared {
            use std::os::unix::fs::PermissionsExt;
            // As DVC 3.67: a mode that cannot be set is no failure.
            let _ = std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o2775));
        }
        Ok(())
    }

    /// Makes the object's two-character folder.
    pub(crate) fn make_shard(&self, oid: &Oid) -> Result<()> {
        let index = usize::from(oid.bytes()[0]);
        if !self.shards_made[index].load(Ordering::Relaxed) {
            let dir = self.objects.join(format!("{index:02x}"));
            self.make_dirs(&dir).map_err(|error| Error::io("making the folder", &dir, error))?;
            self.shards_made[index].store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// A temporary file beside the object's place.
    fn temp_for(&self, oid: &Oid) -> Result<Temp<'_>> {
        self.make_shard(oid)?;
        self.temp_in(format!("{:02x}/", oid.bytes()[0]))
    }

    /// A temporary file for an object that has no name yet.
    pub(crate) fn temp(&self) -> Result<Temp<'_>> {
        let dir = self.options.root.join("trackway").join("tmp");
        self.make_dirs(&dir).map_err(|error| Error::io("making the folder", &dir, error))?;
        self.make_dirs(&self.objects).map_err(|error| Error::io("making the folder", &self.objects, error))?;
        let up = if self.options.layout == Layout::V3 { "../../" } else { "" };
        self.temp_in(format!("{up}trackway/tmp/"))
    }

    /// A file of this name, which is to become an object.
    pub(crate) fn temp_at(&self, path: &Path, file: File) -> Temp<'_> {
        Temp { cache: self, name: path.to_str().map(str::to_owned), file }
    }

    fn temp_in(&self, folder: String) -> Result<Temp<'_>> {
        let id = self.writer_id()?;
        let name = format!("{folder}{TEMP_PREFIX}{id}-{}.tmp", self.counter.fetch_add(1, Ordering::Relaxed));
        let missing = || Error::io("opening", &self.objects, Errno::NOENT);
        let objects = self.objects_fd().ok_or_else(missing)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::openat(objects, &name, flags, Mode::from_raw_mode(0o444))
            .map_err(|errno| Error::io("making the file", self.objects.join(&name), errno))?;
        Ok(Temp { cache: self, name: Some(name), file: File::from(file) })
    }

    fn writer_id(&self) -> Result<String> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.is_none() {
            *writer = Some(self.begin_writing()?);
        }
        Ok(writer.as_ref().map(|writer| writer.id.clone()).unwrap_or_default())
    }

    /// Where records of ours about this layout's objects lie.
    pub(crate) fn own_dir(&self, name: &str) -> PathBuf {
        own_dir(&self.options, name)
    }

    pub(crate) fn record_mode(&self) -> Option<u32> {
        record_mode(&self.options)
    }

    fn writers_dir(&self) -> PathBuf {
        self.options.root.join("trackway").join("writers")
    }

    /// Says that this process writes, and clears away what dead ones left.
    fn begin_writing(&self) -> Result<Writer> {
        let dir = self.writers_dir();
        let failed = |error: std::io::Error| Error::io("making a file in", &dir, error);
        self.make_dirs(&dir).map_err(failed)?;
        // Locked before it gets its name: a marker that can be locked belongs to nobody.
        let marker = tempfile::Builder::new().prefix(".new-").tempfile_in(&dir).map_err(failed)?;
        rustix::fs::flock(&marker, FlockOperation::NonBlockingLockExclusive).map_err(|errno| failed(errno.into()))?;
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let id = format!("{}-{since:x}", std::process::id());
        let path = dir.join(&id);
        let locked = marker.persist(&path).map_err(|error| failed(error.error))?;
        let writer = Writer { id, path, _locked: locked };
        for dead in self.dead_writers() {
            self.clear_leftovers(&dead);
        }
        Ok(writer)
    }

    /// The markers of writers: those that live, and those whose process died.
    fn markers(&self) -> (Vec<String>, Vec<String>) {
        let (mut alive, mut dead) = (Vec::new(), Vec::new());
        let Ok(entries) = std::fs::read_dir(self.writers_dir()) else { return (alive, dead) };
        for entry in entries.flatten() {
            let Some(id) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let Ok(file) = File::open(entry.path()) else { continue };
            let free = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
            if id.starts_with('.') {
                // One that is about to get its name, or whose process died in between.
                if free && entry.metadata().is_ok_and(|meta| is_old(&meta)) {
                    let _ = std::fs::remove_file(entry.path());
                }
            } else if free {
                dead.push(id);
            } else {
                alive.push(id);
            }
        }
        (alive, dead)
    }

    fn dead_writers(&self) -> Vec<String> {
        self.markers().1
    }

    /// Deletes the temporary files that processes left which died; tells how many such processes there were.
    pub fn clear_dead_writers(&self) -> usize {
        let dead = self.dead_writers();
        dead.iter().for_each(|id| self.clear_leftovers(id));
        dead.len()
    }

    /// Process ids (and start times) of other processes that have written to this cache and still run.
    pub fn other_writers(&self) -> Vec<String> {
        let own = self.writer.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|writer| writer.id.clone());
        self.markers().0.into_iter().filter(|id| Some(id) != own.as_ref()).collect()
    }

    /// Deletes the temporary files of a process that died, then its marker.
    fn clear_leftovers(&self, id: &str) {
        let prefix = format!("{TEMP_PREFIX}{id}-");
        let folders = (0..256).map(|shard| self.objects.join(format!("{shard:02x}")));
        for folder in folders.chain([self.options.root.join("trackway").join("tmp")]) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_name().as_bytes().starts_with(prefix.as_bytes()) {
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        }
        let _ = std::fs::remove_file(self.writers_dir().join(id));
    }
}

/// A folder of records of ours; each layout has its own.
fn own_dir(options: &CacheOptions, name: &str) -> PathBuf {
    let suffix = if options.layout == Layout::V3 { "" } else { "-v2" };
    options.root.join("trackway").join(format!("{name}{suffix}"))
}

/// The mode of files of records, where a group shares them.
fn record_mode(options: &CacheOptions) -> Option<u32> {
    options.shared.then_some(0o664)
}

fn is_old(meta: &std::fs::Metadata) -> bool {
    let age = meta.modified().ok().and_then(|time| time.elapsed().ok());
    age.is_some_and(|age| age > Duration::from_secs(60))
}

const TEMP_PREFIX: &str = ".trackway-";

impl Drop for Cache {
    fn drop(&mut self) {
        self.save_record();
        if let Some(writer) = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner) {
            let _ = std::fs::remove_file(&writer.path);
        }
    }
}

/// An object's path in its folder, without an allocation.
pub(crate) struct Place {
    text: [u8; 37],
    len: usize,
}

impl Place {
    pub fn of(oid: &Oid) -> Place {
        let mut text = *b"xx/..............................".first_chunk::<33>().unwrap_or(&[0; 33]);
        let hex = oid.hex();
        text[..2].copy_from_slice(&hex.as_str().as_bytes()[..2]);
        text[3..].copy_from_slice(&hex.as_str().as_bytes()[2..]);
        let mut place = Place { text: [0; 37], len: if oid.is_dir() { 37 } else { 33 } };
        place.text[..33].copy_from_slice(&text);
        place.text[33..].copy_from_slice(b".dir");
        place
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..self.len]).unwrap_or_default()
    }
}

/// A file that becomes an object or vanishes.
pub(crate) struct Temp<'a> {
    cache: &'a Cache,
    /// Relative to the folder of the objects.
    name: Option<String>,
    pub file: File,
}

impl Temp<'_> {
    pub fn path(&self) -> PathBuf {
        self.cache.objects.join(self.name.as_deref().unwrap_or_default())
    }

    /// Leaves the file where it is.
    pub fn keep(mut self) {
        self.name = None;
    }

    /// Protects it and gives it its name, in the place of whatever bears it.
    pub fn place(mut self, oid: &Oid) -> Result<Stamp> {
        let cache = self.cache;
        let path = || cache.path(oid);
        cache.make_shard(oid)?;
        // What the umask took from 0444 comes back, as DVC protects with chmod. One that fails is no failure there.
        if umask() & 0o444 != 0 {
            let _ = rustix::fs::fchmod(&self.file, Mode::from_raw_mode(0o444));
        }
        let missing = || Error::io("opening", &cache.objects, Errno::NOENT);
        let objects = cache.objects_fd().ok_or_else(missing)?;
        let name = self.name.as_deref().unwrap_or_default();
        rustix::fs::renameat(objects, name, objects, Place::of(oid).as_str())
            .map_err(|errno| Error::io("making the file", path(), errno))?;
        self.name = None;
        let stat = rustix::fs::fstat(&self.file).map_err(|errno| Error::io("looking at", path(), errno))?;
        let stamp = Stamp::of(&stat);
        cache.note_new(oid, stamp);
        Ok(stamp)
    }
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        if let (Some(name), Some(objects)) = (&self.name, self.cache.objects_fd()) {
            let _ = rustix::fs::unlinkat(objects, name, AtFlags::empty());
        }
    }
}

/// An object that is being written (a download): nothing is seen of it until `finish`; dropped, it is gone.
pub struct Incoming<'a> {
    written: IncomingAny<'a>,
    expected: Oid,
}

impl Write for Incoming<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.written.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.written.flush()
    }
}

impl Incoming<'_> {
    /// Puts the object in its place if its content is the expected one, else `Error::Corrupt`.
    pub fn finish(self) -> Result<()> {
        let Incoming { written: IncomingAny { temp, hasher }, expected } = self;
        let actual = hasher.finish();
        if actual != *expected.bytes() {
            let actual = if expected.is_dir() { Oid::dir(actual) } else { Oid::file(actual) };
            return Err(Error::Corrupt { oid: expected, path: temp.path(), actual });
        }
        temp.place(&expected).map(|_| ())
    }
}

/// The same of an object that is named by what was written.
pub struct IncomingAny<'a> {
    temp: Temp<'a>,
    hasher: Hasher,
}

impl Write for IncomingAny<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let len = self.temp.file.write(bytes)?;
        self.hasher.update(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl IncomingAny<'_> {
    /// Puts the object in its place, unless it is there and right.
    pub fn finish(self) -> Result<Oid> {
        let IncomingAny { temp, hasher } = self;
        let oid = Oid::file(hasher.finish());
        if let Check::Right(_) = temp.cache.check(&oid, false, &NoProgress)? {
            return Ok(oid);
        }
        temp.place(&oid)?;
        Ok(oid)
    }
}

/// See `Cache::objects`.
pub struct Objects<'a> {
    cache: &'a Cache,
    next_shard: u16,
    dir: Option<OwnedFd>,
    names: std::vec::IntoIter<Oid>,
}

impl Objects<'_> {
    /// Opens the next folder and reads its names; false if there is none left.
    fn open_next(&mut self) -> bool {
        let Ok(shard) = u8::try_from(self.next_shard) else { return false };
        self.next_shard += 1;
        self.dir = None;
        let Some(objects) = self.cache.objects_fd() else { return true };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(dir) = rustix::fs::openat(objects, format!("{shard:02x}"), flags, Mode::empty()) else { return true };
        let Ok(entries) = rustix::fs::Dir::read_from(&dir) else { return true };
        let mut names: Vec<Oid> = entries
            .flatten()
            .filter_map(|entry| Oid::parse(&format!("{shard:02x}{}", entry.file_name().to_str().ok()?)).ok())
            .collect();
        names.sort_unstable();
        self.names = names.into_iter();
        self.dir = Some(dir);
        true
    }
}

impl Iterator for Objects<'_> {
    type Item = Result<Object>;

    fn next(&mut self) -> Option<Result<Object>> {
        loop {
            let (Some(dir), Some(oid)) = (&self.dir, self.names.next()) else {
                if self.open_next() {
                    continue;
                }
                return None;
            };
            let place = Place::of(&oid);
            match rustix::fs::statat(dir.as_fd(), &place.as_str()[3..], AtFlags::empty()) {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                    let mtime = Stamp::of(&stat).mtime;
                    let mtime = match u64::try_from(mtime) {
                        Ok(mtime) => SystemTime::UNIX_EPOCH + Duration::from_nanos(mtime),
                        Err(_) => SystemTime::UNIX_EPOCH - Duration::from_nanos(mtime.unsigned_abs()),
                    };
                    return Some(Ok(Object { oid, size: stat.st_size as u64, mtime }));
                }
                // A folder of that name, or deleted meanwhile.
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return Some(Err(Error::io("looking at", self.cache.path(&oid), errno))),
            }
        }
    }
}

/// The process's umask, read once and without changing it where the system tells it.
pub(crate) fn umask() -> u32 {
    static UMASK: OnceLock<u32> = OnceLock::new();
    *UMASK.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let told = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        told.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok()).unwrap_or_else(|| {
            let mask = rustix::process::umask(Mode::from_raw_mode(0o077));
            rustix::process::umask(mask);
            mask.as_raw_mode() as u32
        })
    })
}
