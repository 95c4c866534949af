//! Hashing the work tree, as little of it as possible.
//!
//! Folders are looked at in parallel. One that looks as it did is not listed again; a file that looks as it did keeps its
//! hash. What is left is hashed, again in parallel. If nothing differs, the directory's oid is the recorded one and no
//! tree is built.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::prelude::*;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::hash::hash_stream;
use crate::state::{
    EXEC, FileRecord, FolderRecord, LINKED, Listing, RACY, RELIST, REPLACED, SYMLINK, UNHASHED, dir_oid, is_racy, now,
    wait_for_tick,
};
use crate::tree::os_path;
use crate::verified::Stamp;
use crate::{Cache, Error, HashName, Oid, Progress, Result, State, Tree};

/// What is left out of a directory (`.dvcignore`, sub-repositories). Called from many threads.
pub trait Filter: Sync {
    /// `dir` is absolute as the scanned path is; `name` lies in it.
    fn skips(&self, dir: &Path, name: &OsStr, is_dir: bool) -> bool;

    /// A hash of all rules that apply to files below `root`. While it stays the same, an unchanged folder is not listed
    /// and its files are not asked for again (directories always are). `None`: always list and ask.
    fn fingerprint(&self, _root: &Path) -> Option<[u8; 16]> {
        None
    }
}

#[derive(Clone, Copy)]
pub struct ScanOptions<'a> {
    pub state: &'a State,
    /// Knows hard links and symbolic links to its objects without hashing them.
    pub cache: Option<&'a Cache>,
    pub filter: Option<&'a dyn Filter>,
    pub hash_name: HashName,
    /// For comparing and replacing, not for recording: in a directory, a symbolic link that leads nowhere is left out and a
    /// `.dvcignore` is a file like others. Otherwise they are errors, as DVC 3.67 has it.
    pub lenient: bool,
    pub progress: &'a dyn Progress,
}

impl<'a> ScanOptions<'a> {
    /// MD5, no cache, no filter, no progress.
    pub fn new(state: &'a State) -> ScanOptions<'a> {
        ScanOptions {
            state,
            cache: None,
            filter: None,
            hash_name: HashName::Md5,
            lenient: false,
            progress: &crate::NoProgress,
        }
    }
}

/// What lies at a path.
#[derive(Clone, Debug)]
pub enum Content {
    File(FileContent),
    Dir(DirContent),
}

#[derive(Clone, Debug)]
pub struct FileContent {
    pub(crate) record: FileRecord,
}

#[derive(Clone, Debug)]
pub struct DirContent {
    pub(crate) listing: Arc<Listing>,
    tree: Arc<OnceLock<Arc<Tree>>>,
}

impl DirContent {
    pub(crate) fn new(listing: Arc<Listing>) -> DirContent {
        DirContent { listing, tree: Arc::default() }
    }

    /// Built when first asked for. (A listing whose tree cannot be built has no oid and never gets here.)
    pub fn tree(&self) -> Arc<Tree> {
        let build = || Arc::new(self.listing.tree().unwrap_or_default().with_oid(dir_oid(self.listing.oid)));
        Arc::clone(self.tree.get_or_init(build))
    }

    /// All folders in it, the empty ones too, relative, parents first; without the directory itself.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.listing.folders.iter().skip(1).map(|folder| os_path(self.listing.folder_path(folder)))
    }

    /// A number that only a listing has in which nothing at all differs, not even a time.
    pub fn id(&self) -> u64 {
        self.listing.id
    }

    /// Every file's path and modification time in nanoseconds, in the order of the whole paths' bytes.
    pub fn times(&self) -> Vec<(PathBuf, i64)> {
        let mut times: Vec<_> = self
            .listing
            .iter()
            .map(|(folder, file)| {
                (join(self.listing.folder_path(folder), self.listing.file_name(file)), file.stamp.mtime)
            })
            .collect();
        times.sort_unstable();
        times.into_iter().map(|(path, mtime)| (os_path(&path).to_owned(), mtime)).collect()
    }

    /// Every file with its size, folder by folder.
    pub fn files(&self) -> impl Iterator<Item = (PathBuf, Oid, u64)> {
        self.listing.iter().map(|(folder, file)| {
            let path = os_path(self.listing.folder_path(folder)).join(os_path(self.listing.file_name(file)));
            (path, Oid::file(file.md5), file.stamp.size)
        })
    }
}

impl Content {
    pub fn oid(&self) -> Oid {
        match self {
            Content::File(file) => Oid::file(file.record.md5),
            Content::Dir(dir) => dir_oid(dir.listing.oid),
        }
    }

    /// Bytes; of all files for a directory.
    pub fn size(&self) -> u64 {
        match self {
            Content::File(file) => file.record.stamp.size,
            Content::Dir(dir) => dir.listing.size,
        }
    }

    /// `None` for a file.
    pub fn nfiles(&self) -> Option<u64> {
        match self {
            Content::File(_) => None,
            Content::Dir(dir) => Some(dir.listing.files.len() as u64),
        }
    }

    /// Always false for a directory.
    pub fn is_exec(&self) -> bool {
        matches!(self, Content::File(file) if file.record.flags & EXEC != 0)
    }

    pub fn is_dir(&self) -> bool {
        matches!(self, Content::Dir(_))
    }

    /// The tree of a directory, built when first asked for; `None` for a file.
    pub fn tree(&self) -> Option<Arc<Tree>> {
        match self {
            Content::File(_) => None,
            Content::Dir(dir) => Some(dir.tree()),
        }
    }
}

/// Hashes the file or directory at the absolute `path`; `None` if nothing is there.
pub fn scan(path: &Path, options: &ScanOptions<'_>) -> Result<Option<Content>> {
    scan_knowing(path, options, &Hints::new())
}

/// What the caller knows of files (relative paths) that it has just written.
pub(crate) type Hints = HashMap<Vec<u8>, (Stamp, [u8; 16])>;

pub(crate) fn scan_knowing(path: &Path, options: &ScanOptions<'_>, hints: &Hints) -> Result<Option<Content>> {
    let Some(mut found) = walk(path, options, hints)? else { return Ok(None) };
    found.hash_all(options)?;
    found.finish(options).map(Some)
}

pub(crate) enum Found {
    File { path: PathBuf, record: FileRecord },
    Dir(Walked),
}

/// A directory whose files were looked at; some still have no hash.
pub(crate) struct Walked {
    pub path: PathBuf,
    pub root: OwnedFd,
    old: Option<Arc<Listing>>,
    fingerprint: Option<[u8; 16]>,
    folders: Vec<Folder>,
}

/// What a checkout did to a directory; all paths are relative to it.
pub(crate) struct Changes<'a> {
    pub files: Vec<(&'a [u8], &'a FileRecord)>,
    pub deleted: Vec<&'a [u8]>,
    pub new_folders: Vec<&'a [u8]>,
    pub gone_folders: Vec<&'a [u8]>,
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let cut = path.iter().rposition(|byte| *byte == b'/');
    cut.map_or((&b""[..], path), |cut| (&path[..cut], &path[cut + 1..]))
}

enum Folder {
    /// As the record with this number says.
    Same(u32),
    New(NewFolder),
}

struct NewFolder {
    path: Vec<u8>,
    record: FolderRecord,
    files: Vec<FileRecord>,
    names: Vec<u8>,
}

/// Looks at everything, hashes nothing.
pub(crate) fn walk(path: &Path, options: &ScanOptions<'_>, hints: &Hints) -> Result<Option<Found>> {
    let stat = match rustix::fs::statat(CWD, path, AtFlags::empty()) {
        Ok(stat) => stat,
        // As DVC 3.67: what is a broken link is not there.
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(errno) => return Err(Error::io("looking at", path, errno)),
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let is_link = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
            let mut record = record_of(&stat, is_link);
            let known = options.state.file(path, options.hash_name);
            let hint = hints.get(&b""[..]);
            settle(&mut record, known.as_ref(), hint, options, now());
            Ok(Some(Found::File { path: path.to_owned(), record }))
        }
        FileType::Directory => {
            options.state.clear_temps();
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let root = rustix::fs::openat(CWD, path, flags, Mode::empty())
                .map_err(|errno| Error::io("opening", path, errno))?;
            let fingerprint = match options.filter {
                Some(filter) => filter.fingerprint(path),
                None => Some([0; 16]),
            };
            let old = options.state.listing(path, options.hash_name);
            let walk = Walk::new(path, root.as_fd(), options, hints, old.as_ref(), fingerprint);
            let folders = walk.all()?;
            let old = old.map(Arc::new);
            Ok(Some(Found::Dir(Walked { path: path.to_owned(), root, old, fingerprint, folders })))
        }
        _ => Err(Error::NotFileOrDir { path: path.to_owned() }),
    }
}

pub(crate) fn record_of(stat: &Stat, is_link: bool) -> FileRecord {
    let mut flags = UNHASHED;
    if stat.st_mode & 0o111 != 0 {
        flags |= EXEC;
    }
    if is_link {
        flags |= SYMLINK;
    } else if stat.st_nlink > 1 {
        flags |= LINKED;
    }
    FileRecord { stamp: Stamp::of(stat), flags, ..FileRecord::default() }
}

/// Gives the record its hash if it is known: by the state, by the caller, or because it is an object of the cache.
fn settle(
    record: &mut FileRecord,
    known: Option<&FileRecord>,
    hint: Option<&(Stamp, [u8; 16])>,
    options: &ScanOptions<'_>,
    moment: i64,
) {
    if let Some(known) = known.filter(|known| known.flags & RACY == 0 && known.stamp == record.stamp) {
        record.md5 = known.md5;
        record.flags &= !UNHASHED;
        return;
    }
    let mut keep = |md5: [u8; 16]| {
        record.md5 = md5;
        record.flags &= !UNHASHED;
        if is_racy(record.stamp.mtime, record.stamp.ctime, moment) {
            record.flags |= RACY;
        }
    };
    if let Some((_, md5)) = hint.filter(|(stamp, _)| *stamp == record.stamp) {
        return keep(*md5);
    }
    // A link to an object: another link to it moved its change time, and whoever made that refreshed the cache's record.
    let Some(cache) = options.cache.filter(|cache| cache.hash_name() == options.hash_name) else { return };
    if record.flags & (LINKED | SYMLINK) == 0 {
        return;
    }
    for md5 in [known.map(|known| known.md5), hint.map(|(_, md5)| *md5)].into_iter().flatten() {
        if cache.verified.get(&Oid::file(md5)) == Some(record.stamp) {
            record.md5 = md5;
            record.flags &= !UNHASHED;
            return;
        }
    }
}

struct Walk<'a> {
    path: &'a Path,
    root: BorrowedFd<'a>,
    options: &'a ScanOptions<'a>,
    hints: &'a Hints,
    old: Option<&'a Listing>,
    by_path: HashMap<&'a [u8], u32>,
    children: Vec<Vec<u32>>,
    fingerprint: Option<[u8; 16]>,
    done: Mutex<Vec<Folder>>,
    error: Mutex<Option<Error>>,
    failed: AtomicBool,
}

/// What a folder has: names and their types.
enum Listed<'a> {
    File(&'a [u8], Option<&'a FileRecord>),
    /// A name whose type only a look tells.
    Unknown(&'a [u8]),
}

impl<'a> Walk<'a> {
    fn new(
        path: &'a Path,
        root: BorrowedFd<'a>,
        options: &'a ScanOptions<'a>,
        hints: &'a Hints,
        old: Option<&'a Listing>,
        fingerprint: Option<[u8; 16]>,
    ) -> Walk<'a> {
        let folders = old.map_or(&[][..], |old| &old.folders);
        let mut children = vec![Vec::new(); folders.len()];
        let mut by_path = HashMap::with_capacity(folders.len());
        for (index, folder) in folders.iter().enumerate() {
            if let Some(old) = old {
                by_path.insert(old.folder_path(folder), index as u32);
            }
            if index > 0 {
                children[folder.parent as usize].push(index as u32);
            }
        }
        let (done, error) = (Mutex::default(), Mutex::default());
        Walk {
            path,
            root,
            options,
            hints,
            old,
            by_path,
            children,
            fingerprint,
            done,
            error,
            failed: AtomicBool::new(false),
        }
    }

    fn all(self) -> Result<Vec<Folder>> {
        rayon::scope(|scope| scope.spawn(|scope| self.folder(scope, Vec::new())));
        match self.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(self.done.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    fn folder<'s>(&'s self, scope: &rayon::Scope<'s>, path: Vec<u8>) {
        if self.failed.load(Ordering::Relaxed) {
            return;
        }
        if self.options.progress.cancelled() {
            return self.fail(Error::Cancelled);
        }
        match self.look_at(&path) {
            Ok((folder, children)) => {
                for child in children {
                    scope.spawn(move |scope| self.folder(scope, child));
                }
                self.done.lock().unwrap_or_else(PoisonError::into_inner).push(folder);
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&self, error: Error) {
        self.failed.store(true, Ordering::Relaxed);
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn full(&self, folder: &[u8], name: &[u8]) -> PathBuf {
        self.path.join(os_path(folder)).join(os_path(name))
    }

    fn look_at(&self, path: &[u8]) -> Result<(Folder, Vec<Vec<u8>>)> {
        let failed = |doing, errno| Error::io(doing, self.path.join(os_path(path)), errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let at = if path.is_empty() { &b"."[..] } else { path };
        let fd = rustix::fs::openat(self.root, at, flags, Mode::empty()).map_err(|errno| failed("opening", errno))?;
        let moment = now();
        let stat = rustix::fs::fstat(&fd).map_err(|errno| failed("looking at", errno))?;
        let stamp = Stamp::of(&stat);
        let racy = is_racy(stamp.mtime, stamp.ctime, moment);
        let record = FolderRecord {
            ino: stamp.ino,
            mtime: stamp.mtime,
            ctime: stamp.ctime,
            flags: if racy { RELIST } else { 0 },
            ..FolderRecord::default()
        };
        let index = self.by_path.get(path).copied();
        let old = self.old.zip(index).map(|(old, index)| (old, index, &old.folders[index as usize]));
        if let Some((old, index, folder)) = old {
            let unchanged = folder.flags & RELIST == 0
                && (folder.ino, folder.mtime, folder.ctime) == (record.ino, record.mtime, record.ctime)
                && self.fingerprint.is_some()
                && self.fingerprint == old.fingerprint;
            if unchanged {
                let listed = old.files_of(folder).iter().map(|file| Listed::File(old.file_name(file), Some(file)));
                // A file that is none any more, or is gone: the folder changes under our eyes, so list it.
                if let Some(files) = self.look_at_files(&fd, path, listed.collect(), moment, true)? {
                    let children = self.children[index as usize].iter();
                    let children: Vec<Vec<u8>> =
                        children.map(|child| old.folder_path(&old.folders[*child as usize]).to_vec()).collect();
                    let kept = children.iter().filter(|child| !self.skips_dir(child)).cloned().collect::<Vec<_>>();
                    if kept.len() < children.len() || files.1 {
                        return Ok((self.new_folder(path, record, files.0, folder, old), kept));
                    }
                    return Ok((Folder::Same(index), kept));
                }
            }
        }
        self.list(&fd, path, record, old.map(|(old, _, folder)| (old, folder)), moment)
    }

    fn skips_dir(&self, path: &[u8]) -> bool {
        let Some(filter) = self.options.filter else { return false };
        let cut = path.iter().rposition(|byte| *byte == b'/');
        let (dir, name) = cut.map_or((&b""[..], path), |cut| (&path[..cut], &path[cut + 1..]));
        let dir = if dir.is_empty() { self.path.to_owned() } else { self.path.join(os_path(dir)) };
        filter.skips(&dir, OsStr::from_bytes(name), true)
    }

    /// Copies the names of an old folder beside new records of its files.
    fn new_folder(
        &self,
        path: &[u8],
        record: FolderRecord,
        mut files: Vec<FileRecord>,
        folder: &FolderRecord,
        old: &Listing,
    ) -> Folder {
        let mut names = Vec::new();
        for (file, before) in files.iter_mut().zip(old.files_of(folder)) {
            let name = old.file_name(before);
            (file.name_start, file.name_len) = (names.len() as u32, name.len() as u16);
            names.extend_from_slice(name);
        }
        Folder::New(NewFolder { path: path.to_vec(), record, files, names })
    }

    /// Stats the files. `None` if one is not a file any more and `strict` is given; and whether any record differs.
    fn look_at_files(
        &self,
        fd: &OwnedFd,
        folder: &[u8],
        listed: Vec<Listed<'_>>,
        moment: i64,
        strict: bool,
    ) -> Result<Option<(Vec<FileRecord>, bool)>> {
        let gone = AtomicBool::new(false);
        let differs = AtomicBool::new(false);
        let look = |listed: &Listed<'_>| -> Result<Option<FileRecord>> {
            let (name, before) = match listed {
                Listed::File(name, before) => (*name, *before),
                Listed::Unknown(name) => (*name, None),
            };
            let record = self.look_at_file(fd, folder, name, before, moment, strict)?;
            match (&record, before) {
                (None, _) => gone.store(true, Ordering::Relaxed),
                (Some(record), Some(before)) if same_record(record, before) => {}
                _ => differs.store(true, Ordering::Relaxed),
            }
            Ok(record)
        };
        let records: Vec<Option<FileRecord>> = if listed.len() > 1024 {
            listed.par_iter().with_min_len(256).map(look).collect::<Result<_>>()?
        } else {
            listed.iter().map(look).collect::<Result<_>>()?
        };
        if strict && gone.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let records = records.into_iter().map(Option::unwrap_or_default).collect();
        Ok(Some((records, differs.load(Ordering::Relaxed))))
    }

    /// `None`: it is no file (a symbolic link to a directory), or (`strict`) is not what it was.
    fn look_at_file(
        &self,
        fd: &OwnedFd,
        folder: &[u8],
        name: &[u8],
        before: Option<&FileRecord>,
        moment: i64,
        strict: bool,
    ) -> Result<Option<FileRecord>> {
        let failed = |errno| Error::io("looking at", self.full(folder, name), errno);
        let mut stat = match rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) if strict => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        };
        let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        if is_link {
            // As DVC 3.67: a link to a file is that file, one to a directory is left out, one to nothing is an error.
            stat = match rustix::fs::statat(fd, name, AtFlags::empty()) {
                Err(Errno::NOENT | Errno::NOTDIR) if self.options.lenient => return Ok(None),
                stat => stat.map_err(failed)?,
            };
        }
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory if is_link || strict => return Ok(None),
            _ => return Err(Error::NotFileOrDir { path: self.full(folder, name) }),
        }
        let mut record = record_of(&stat, is_link);
        let hint = if self.hints.is_empty() { None } else { self.hints.get(&join(folder, name)) };
        settle(&mut record, before, hint, self.options, moment);
        Ok(Some(record))
    }

    /// Reads the folder's names, leaves out what is ignored, and looks at its files.
    fn list(
        &self,
        fd: &OwnedFd,
        path: &[u8],
        mut record: FolderRecord,
        old: Option<(&Listing, &FolderRecord)>,
        moment: i64,
    ) -> Result<(Folder, Vec<Vec<u8>>)> {
        let failed = |errno| Error::io("listing", self.path.join(os_path(path)), errno);
        let here = if path.is_empty() { self.path.to_owned() } else { self.path.join(os_path(path)) };
        let skips = |name: &[u8], is_dir| {
            self.options.filter.is_some_and(|filter| filter.skips(&here, OsStr::from_bytes(name), is_dir))
        };
        let mut names: Vec<(Vec<u8>, FileType)> = Vec::new();
        for entry in Dir::read_from(fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push((name.to_vec(), entry.file_type()));
            }
        }
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut children = Vec::new();
        let mut files = Vec::new();
        let mut relist = false;
        for (name, kind) in &names {
            let mut kind = *kind;
            if kind == FileType::Unknown {
                let stat = rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|errno| Error::io("looking at", self.full(path, name), errno))?;
                kind = FileType::from_raw_mode(stat.st_mode);
            }
            if kind == FileType::Directory {
                if !skips(name, true) {
                    children.push(join(path, name));
                }
            } else if !skips(name, false) {
                if name == b".dvcignore" {
                    if !self.options.lenient {
                        return Err(Error::IgnoreFileInside { dir: here });
                    }
                    // Whoever is not lenient must meet it.
                    relist = true;
                }
                files.push((name, kind));
            }
        }
        let listed = files.iter().map(|(name, kind)| {
            let before = old.and_then(|(old, folder)| {
                let files = old.files_of(folder);
                files.binary_search_by(|file| old.file_name(file).cmp(name)).ok().map(|index| &files[index])
            });
            if *kind == FileType::RegularFile { Listed::File(name, before) } else { Listed::Unknown(name) }
        });
        let looked = self.look_at_files(fd, path, listed.collect(), moment, false)?;
        let (records, _) = looked.unwrap_or_default();
        let mut folder =
            NewFolder { path: path.to_vec(), record, files: Vec::with_capacity(records.len()), names: Vec::new() };
        for ((name, _), mut file) in files.iter().zip(records) {
            // A link to a directory has no inode here: if it comes to lead to a file, the folder will not show it.
            if file.stamp.ino == 0 && file.flags == 0 {
                record.flags |= RELIST;
                continue;
            }
            (file.name_start, file.name_len) = (folder.names.len() as u32, name.len() as u16);
            folder.names.extend_from_slice(name);
            folder.files.push(file);
        }
        if relist {
            record.flags |= RELIST;
        }
        folder.record = record;
        Ok((Folder::New(folder), children))
    }
}

fn same_record(a: &FileRecord, b: &FileRecord) -> bool {
    a.stamp == b.stamp && a.flags == b.flags && a.md5 == b.md5
}

pub(crate) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

/// From this size on a file that was changed a moment ago is waited for, rather than hashed again next time.
pub(crate) const WAIT_SIZE: u64 = 1 << 20;

/// Hashes the file `name` beneath `root`; the record is what it looked like when it was read.
fn hash_one(
    root: BorrowedFd<'_>,
    name: &[u8],
    full: &Path,
    record: &mut FileRecord,
    options: &ScanOptions<'_>,
) -> Result<()> {
    if options.progress.cancelled() {
        return Err(Error::Cancelled);
    }
    for attempt in 0.. {
        let opened = rustix::fs::openat(root, name, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty());
        let mut file = File::from(opened.map_err(|errno| Error::io("opening", full, errno))?);
        let look = |file: &File| {
            rustix::fs::fstat(file).map(|stat| Stamp::of(&stat)).map_err(|errno| Error::io("looking at", full, errno))
        };
        let mut before = look(&file)?;
        if before.size >= WAIT_SIZE {
            wait_for_tick(&before);
            before = look(&file)?;
        }
        let moment = now();
        let (oid, _) = hash_stream(options.hash_name, &mut file, before.size, full, None, options.progress)?;
        let after = look(&file)?;
        // A file that is being written: it has no one content, but the next scan will look again.
        if before == after || attempt == 2 {
            record.stamp = after;
            record.md5 = *oid.bytes();
            record.flags &= !(UNHASHED | RACY);
            if before != after || is_racy(after.mtime, after.ctime, moment) {
                record.flags |= RACY;
            }
            break;
        }
    }
    Ok(())
}

impl Found {
    /// Gives every file its hash.
    pub fn hash_all(&mut self, options: &ScanOptions<'_>) -> Result<()> {
        match self {
            Found::File { path, record } => {
                let file: &Path = path;
                if record.flags & UNHASHED == 0 && record.flags & RACY != 0 && record.stamp.size >= WAIT_SIZE {
                    settle_large(CWD, file.as_os_str().as_bytes(), record);
                }
                if record.flags & UNHASHED != 0 {
                    options.progress.start("hashing", Some(1), Some(record.stamp.size));
                    let hashed = hash_one(CWD, file.as_os_str().as_bytes(), file, record, options);
                    options.progress.add(1, 0);
                    options.progress.finish();
                    hashed?;
                }
                Ok(())
            }
            Found::Dir(walked) => {
                walked.for_each("hashing", options.progress, UNHASHED | RACY, |root, relative, path, record| {
                    if record.flags & UNHASHED != 0 {
                        return hash_one(root, relative, path, record, options);
                    }
                    if record.stamp.size >= WAIT_SIZE {
                        settle_large(root, relative, record);
                    }
                    Ok(())
                })
            }
        }
    }

    /// Remembers it in the state.
    pub fn finish(self, options: &ScanOptions<'_>) -> Result<Content> {
        match self {
            Found::File { path, record } => {
                options.state.set_file(&path, options.hash_name, record);
                Ok(Content::File(FileContent { record }))
            }
            Found::Dir(walked) => walked.finish(options),
        }
    }
}

/// A large file whose hash is known although it was written a moment ago: after a tick it can be trusted if it looks the same.
fn settle_large(root: BorrowedFd<'_>, name: &[u8], record: &mut FileRecord) {
    wait_for_tick(&record.stamp);
    let same = rustix::fs::statat(root, name, AtFlags::empty()).is_ok_and(|stat| Stamp::of(&stat) == record.stamp);
    if same && !is_racy(record.stamp.mtime, record.stamp.ctime, now()) {
        record.flags &= !RACY;
    }
}

impl Walked {
    /// Does something to every changeable record that has one of `flags` (0: to all), in parallel: with the open directory, the file's path
    /// beneath it and its full path. It may change the record.
    pub fn for_each(
        &mut self,
        what: &'static str,
        progress: &dyn Progress,
        flags: u16,
        work: impl Fn(BorrowedFd<'_>, &[u8], &Path, &mut FileRecord) -> Result<()> + Sync,
    ) -> Result<()> {
        let (root, path) = (self.root.as_fd(), &self.path);
        let mut todo: Vec<(&[u8], &[u8], &mut FileRecord)> = Vec::new();
        for folder in &mut self.folders {
            let Folder::New(folder) = folder else { continue };
            let NewFolder { path, files, names, .. } = folder;
            for file in files.iter_mut().filter(|file| flags == 0 || file.flags & flags != 0) {
                let name = &names[file.name_start as usize..file.name_start as usize + usize::from(file.name_len)];
                todo.push((path, name, file));
            }
        }
        if todo.is_empty() {
            return Ok(());
        }
        let bytes = todo.iter().map(|(_, _, file)| file.stamp.size).sum();
        progress.start(what, Some(todo.len() as u64), Some(bytes));
        // Large files first, so that no core ends alone with one.
        if todo.iter().any(|(_, _, file)| file.stamp.size >= WAIT_SIZE) {
            todo.sort_by_key(|(_, _, file)| std::cmp::Reverse(file.stamp.size / WAIT_SIZE));
        }
        let done = todo.into_par_iter().with_max_len(16).try_for_each(|(folder, name, record)| {
            let relative = join(folder, name);
            work(root, &relative, &path.join(os_path(&relative)), record)?;
            progress.add(1, 0);
            Ok(())
        });
        progress.finish();
        done
    }

    /// A directory that was scanned before, with all of its files as they were then.
    pub fn again(path: &Path, listing: &Arc<Listing>) -> Result<Walked> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root =
            rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|errno| Error::io("opening", path, errno))?;
        let folders = (0..listing.folders.len() as u32).map(Folder::Same).collect();
        let fingerprint = listing.fingerprint;
        Ok(Walked { path: path.to_owned(), root, old: Some(Arc::clone(listing)), fingerprint, folders })
    }

    /// A directory after a checkout: as `old` says, but for what it changed.
    pub fn changed(
        path: &Path,
        old: Option<&Arc<Listing>>,
        options: &ScanOptions<'_>,
        changes: &Changes<'_>,
    ) -> Result<Walked> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root =
            rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|errno| Error::io("opening", path, errno))?;
        let fingerprint = match (options.filter, old) {
            (_, Some(old)) => old.fingerprint,
            (Some(filter), None) => filter.fingerprint(path),
            (None, None) => Some([0; 16]),
        };
        let moment = now();
        let mut made: BTreeMap<&[u8], Vec<(&[u8], &FileRecord)>> = BTreeMap::new();
        let mut touched: BTreeMap<&[u8], HashSet<&[u8]>> = BTreeMap::new();
        for (path, record) in &changes.files {
            let (folder, name) = split(path);
            made.entry(folder).or_default().push((name, record));
            touched.entry(folder).or_default();
        }
        for path in &changes.deleted {
            let (folder, name) = split(path);
            touched.entry(folder).or_default().insert(name);
        }
        for folder in changes.new_folders.iter().chain(&changes.gone_folders).filter(|folder| !folder.is_empty()) {
            touched.entry(split(folder).0).or_default();
        }
        let gone: HashSet<&[u8]> = changes.gone_folders.iter().copied().collect();
        let mut folders = Vec::new();
        for (index, folder) in old.iter().flat_map(|old| old.folders.iter().enumerate()) {
            let path = old.map_or(&b""[..], |old| old.folder_path(folder));
            if !gone.contains(path) && !touched.contains_key(path) {
                folders.push(Folder::Same(index as u32));
            }
        }
        let mut new: HashSet<&[u8]> = changes.new_folders.iter().copied().collect();
        new.extend(touched.keys().filter(|path| !gone.contains(*path)));
        for path in new {
            let before = old.and_then(|old| Some((old, old.folder(path)?.1)));
            let deleted = touched.get(path);
            let mut files = made.remove(path).unwrap_or_default();
            files.sort_unstable_by_key(|(name, _)| *name);
            let made_here = files.len();
            for (old, file) in
                before.iter().flat_map(|(old, folder)| old.files_of(folder).iter().map(move |file| (old, file)))
            {
                let name = old.file_name(file);
                let is_new = files[..made_here].binary_search_by_key(&name, |(name, _)| *name).is_ok();
                if !is_new && !deleted.is_some_and(|deleted| deleted.contains(name)) {
                    files.push((name, file));
                }
            }
            files.sort_unstable_by_key(|(name, _)| *name);
            // Listed again next time: what it looks like now may not be all that was done to it.
            let record = FolderRecord { flags: RELIST, ..before.map(|(_, folder)| *folder).unwrap_or_default() };
            let mut folder = NewFolder { path: path.to_vec(), record, files: Vec::new(), names: Vec::new() };
            for (name, record) in files {
                let (name_start, name_len) = (folder.names.len() as u32, name.len() as u16);
                let mut record = FileRecord { name_start, name_len, ..*record };
                if is_racy(record.stamp.mtime, record.stamp.ctime, moment) {
                    record.flags |= RACY;
                }
                folder.names.extend_from_slice(name);
                folder.files.push(record);
            }
            folders.push(Folder::New(folder));
        }
        Ok(Walked { path: path.to_owned(), root, old: old.cloned(), fingerprint, folders })
    }

    /// Makes the records of unchanged folders changeable where one of their files asks for it.
    pub fn open_where(
        &mut self,
        asks: impl Fn(BorrowedFd<'_>, &[u8], &FileRecord) -> Result<bool> + Sync,
    ) -> Result<()> {
        let Some(old) = &self.old else { return Ok(()) };
        let root = self.root.as_fd();
        self.folders.par_iter_mut().try_for_each(|folder| {
            let Folder::Same(index) = folder else { return Ok(()) };
            let record = old.folders[*index as usize];
            let path = old.folder_path(&record);
            for file in old.files_of(&record) {
                if !asks(root, &join(path, old.file_name(file)), file)? {
                    continue;
                }
                let mut names = Vec::new();
                let mut files = old.files_of(&record).to_vec();
                for file in &mut files {
                    let name = old.file_name(file);
                    (file.name_start, file.name_len) = (names.len() as u32, name.len() as u16);
                    names.extend_from_slice(name);
                }
                *folder = Folder::New(NewFolder { path: path.to_vec(), record, files, names });
                break;
            }
            Ok(())
        })
    }

    /// Folders in which a file was replaced are listed again next time; their own times are no longer what was seen.
    pub fn settle_replaced(&mut self) {
        for folder in self.new_folders() {
            for file in &mut folder.files {
                if file.flags & REPLACED != 0 {
                    file.flags &= !REPLACED;
                    folder.record.flags |= RELIST;
                }
            }
        }
    }

    fn new_folders(&mut self) -> impl Iterator<Item = &mut NewFolder> {
        self.folders.iter_mut().filter_map(|folder| match folder {
            Folder::New(folder) => Some(folder),
            Folder::Same(_) => None,
        })
    }

    /// Puts the folders together; builds the tree only if the content may differ from the recorded one.
    pub fn finish(mut self, options: &ScanOptions<'_>) -> Result<Content> {
        let all_same = self.folders.iter().all(|folder| matches!(folder, Folder::Same(_)));
        let old = self.old.take();
        let old = match old {
            Some(old) if all_same && old.folders.len() == self.folders.len() => {
                return Ok(Content::Dir(DirContent::new(old)));
            }
            old => old,
        };
        let old_ref = old.as_deref();
        let path_of = |folder: &Folder| -> Vec<u8> {
            match (folder, old_ref) {
                (Folder::New(folder), _) => folder.path.clone(),
                (Folder::Same(index), Some(old)) => old.folder_path(&old.folders[*index as usize]).to_vec(),
                (Folder::Same(_), None) => Vec::new(),
            }
        };
        let mut folders: Vec<(Vec<u8>, Folder)> =
            self.folders.into_iter().map(|folder| (path_of(&folder), folder)).collect();
        folders.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let (hash_name, fingerprint) = (options.hash_name, self.fingerprint);
        let mut listing = Listing { id: options.state.new_id(), hash_name, fingerprint, ..Listing::default() };
        let mut changed = old_ref.is_none_or(|old| old.folders.len() != folders.len());
        let mut numbers: HashMap<Vec<u8>, u32> = HashMap::with_capacity(folders.len());
        for (number, (path, folder)) in folders.into_iter().enumerate() {
            let old_folder = match (&folder, old_ref) {
                (Folder::Same(index), Some(old)) => Some((old, old.folders[*index as usize])),
                _ => None,
            };
            let (record, files, names): (FolderRecord, &[FileRecord], &[u8]) = match (&folder, &old_folder) {
                (Folder::New(folder), _) => (folder.record, &folder.files, &folder.names),
                (_, Some((old, record))) => (*record, old.files_of(record), &old.names),
                _ => continue,
            };
            let name_of = |file: &FileRecord| {
                &names[file.name_start as usize..file.name_start as usize + usize::from(file.name_len)]
            };
            if !changed && matches!(folder, Folder::New(_)) {
                let before = old_ref.and_then(|old| {
                    let index = old.folders.binary_search_by(|folder| old.folder_path(folder).cmp(&path)).ok()?;
                    Some((old, old.files_of(&old.folders[index])))
                });
                changed = before.is_none_or(|(old, before)| {
                    before.len() != files.len()
                        || before.iter().zip(files).any(|(a, b)| a.md5 != b.md5 || old.file_name(a) != name_of(b))
                });
            }
            let cut = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            let parent = if path.is_empty() { 0 } else { numbers.get(&path[..cut]).copied().unwrap_or(0) };
            listing.folders.push(FolderRecord {
                name_start: listing.names.len() as u32,
                name_len: path.len() as u16,
                parent,
                first_file: listing.files.len() as u32,
                files: files.len() as u32,
                ..record
            });
            listing.names.extend_from_slice(&path);
            for file in files {
                let name = name_of(file);
                listing.files.push(FileRecord { name_start: listing.names.len() as u32, ..*file });
                listing.names.extend_from_slice(name);
                listing.size += file.stamp.size;
            }
            numbers.insert(path, number as u32);
        }
        if listing.names.len() > u32::MAX as usize || listing.files.len() > u32::MAX as usize {
            return Err(Error::io("remembering", &self.path, Errno::OVERFLOW));
        }
        let mut tree = None;
        match old_ref.filter(|_| !changed) {
            Some(old) => listing.oid = old.oid,
            None => {
                let built = listing.tree()?;
                listing.oid = *built.oid().bytes();
                tree = Some(Arc::new(built));
            }
        }
        drop(old);
        options.state.set_listing(&self.path, &listing);
        let content = DirContent::new(Arc::new(listing));
        if let Some(tree) = tree {
            let _ = content.tree.set(tree);
        }
        Ok(Content::Dir(content))
    }
}
