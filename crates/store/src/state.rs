//! What the work tree looked like when its hashes were last known, so that nothing is hashed twice.
//!
//! One file for each directory that was scanned (`tree-<md5 of its path>`, `tree2-…` for hashes
//! after dos2unix), one for all single files (`files`), and one for
//! each checkout under way (`checkout-<md5 of its path>`). Formats: docs/formats/work-tree-state.md. All of it may be
//! deleted at any time; what is damaged counts as absent, what cannot be written is not remembered.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::verified::{Stamp, write_file};
use crate::{HashName, Oid, Result, Tree, hash_bytes};

/// Remembers the hashes of files between commands.
pub struct State {
    dir: Option<PathBuf>,
    files: Mutex<Option<Files>>,
    counter: AtomicU64,
    opened: i64,
    cleared: AtomicBool,
    /// Folders of the work tree that hold temporary files of ours.
    strangers: Mutex<HashSet<PathBuf>>,
}

#[derive(Default)]
struct Files {
    /// By absolute path and hash name.
    known: HashMap<(Vec<u8>, HashName), FileRecord>,
    changed: bool,
}

/// One clock tick of the coarsest clocks that file systems take their times from, doubled: what was changed less than
/// this before it was read may be changed again without a trace.
const TICK: i64 = 20_000_000;

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Whether a file or folder that looks so may change after `moment` and look the same.
pub(crate) fn is_racy(mtime: i64, ctime: i64, moment: i64) -> bool {
    mtime.max(ctime) > moment - TICK
}

/// Waits until a change would be seen. At most one tick: a time in the future is not waited for.
pub(crate) fn wait_for_tick(stamp: &Stamp) {
    let rest = stamp.mtime.max(stamp.ctime) + TICK - now();
    if (1..=TICK).contains(&rest) {
        std::thread::sleep(std::time::Duration::from_nanos(rest as u64 + 1_000_000));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct FileRecord {
    pub stamp: Stamp,
    pub md5: [u8; 16],
    pub name_start: u32,
    pub name_len: u16,
    pub flags: u16,
}

/// Not to be trusted next time: changed within a tick of the moment it was read.
pub(crate) const RACY: u16 = 1;
pub(crate) const EXEC: u16 = 2;
/// A symbolic link to a file; all else in the record is of that file.
pub(crate) const SYMLINK: u16 = 4;
/// It has more than one name.
pub(crate) const LINKED: u16 = 8;
/// Its hash is not known (never stored).
pub(crate) const UNHASHED: u16 = 16;
/// It was just replaced by a link of ours (never stored).
pub(crate) const REPLACED: u16 = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct FolderRecord {
    pub ino: u64,
    pub mtime: i64,
    pub ctime: i64,
    /// Its path relative to the directory, empty for the directory itself.
    pub name_start: u32,
    pub name_len: u16,
    /// 1: list it again next time.
    pub flags: u16,
    pub parent: u32,
    pub first_file: u32,
    pub files: u32,
}

pub(crate) const RELIST: u16 = 1;

/// A scanned directory: its folders by path, each with its files by name.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// No two listings that differ have the same.
    pub id: u64,
    pub hash_name: HashName,
    /// Of the rules that left files out.
    pub fingerprint: Option<[u8; 16]>,
    pub oid: [u8; 16],
    pub size: u64,
    pub folders: Vec<FolderRecord>,
    pub files: Vec<FileRecord>,
    pub names: Vec<u8>,
}

const TREE_MAGIC: &[u8; 8] = b"TWTREE02";
const TREE_HEADER: usize = 96;
const FOLDER: usize = 48;
const FILE: usize = 56;

impl Listing {
    pub fn name(&self, start: u32, len: u16) -> &[u8] {
        self.names.get(start as usize..start as usize + usize::from(len)).unwrap_or_default()
    }

    pub fn folder_path(&self, folder: &FolderRecord) -> &[u8] {
        self.name(folder.name_start, folder.name_len)
    }

    pub fn file_name(&self, file: &FileRecord) -> &[u8] {
        self.name(file.name_start, file.name_len)
    }

    pub fn files_of(&self, folder: &FolderRecord) -> &[FileRecord] {
        &self.files[folder.first_file as usize..(folder.first_file + folder.files) as usize]
    }

    /// The folder with this path.
    pub fn folder(&self, path: &[u8]) -> Option<(u32, &FolderRecord)> {
        let index = self.folders.binary_search_by(|folder| self.folder_path(folder).cmp(path)).ok()?;
        Some((index as u32, &self.folders[index]))
    }

    pub fn file_in(&self, folder: &FolderRecord, name: &[u8]) -> Option<&FileRecord> {
        let files = self.files_of(folder);
        files.binary_search_by(|file| self.file_name(file).cmp(name)).ok().map(|index| &files[index])
    }

    /// Every file with its folder.
    pub fn iter(&self) -> impl Iterator<Item = (&FolderRecord, &FileRecord)> {
        self.folders.iter().flat_map(|folder| self.files_of(folder).iter().map(move |file| (folder, file)))
    }

    pub fn tree(&self) -> Result<Tree> {
        let entries = self.iter().map(|(folder, file)| (self.folder_path(folder), self.file_name(file), file.md5));
        Tree::from_listing(self.files.len(), entries)
    }

    fn to_bytes(&self, path: &[u8]) -> Vec<u8> {
        let size = TREE_HEADER + self.folders.len() * FOLDER + self.files.len() * FILE + self.names.len() + path.len();
        let mut out = Vec::with_capacity(size);
        out.extend_from_slice(TREE_MAGIC);
        out.extend_from_slice(&[0; 4]);
        let flags = u32::from(self.hash_name == HashName::Md5Dos2Unix) | u32::from(self.fingerprint.is_some()) << 1;
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&self.fingerprint.unwrap_or_default());
        out.extend_from_slice(&self.oid);
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&(self.folders.len() as u64).to_le_bytes());
        out.extend_from_slice(&(self.files.len() as u64).to_le_bytes());
        out.extend_from_slice(&(self.names.len() as u64).to_le_bytes());
        out.extend_from_slice(&(path.len() as u64).to_le_bytes());
        out.extend_from_slice(&self.id.to_le_bytes());
        for folder in &self.folders {
            out.extend_from_slice(&folder.ino.to_le_bytes());
            out.extend_from_slice(&folder.mtime.to_le_bytes());
            out.extend_from_slice(&folder.ctime.to_le_bytes());
            out.extend_from_slice(&folder.name_start.to_le_bytes());
            out.extend_from_slice(&folder.name_len.to_le_bytes());
            out.extend_from_slice(&folder.flags.to_le_bytes());
            out.extend_from_slice(&folder.parent.to_le_bytes());
            out.extend_from_slice(&folder.first_file.to_le_bytes());
            out.extend_from_slice(&folder.files.to_le_bytes());
            out.extend_from_slice(&[0; 4]);
        }
        for file in &self.files {
            write_record(&mut out, file);
        }
        out.extend_from_slice(&self.names);
        out.extend_from_slice(path);
        let crc = crc32fast::hash(&out[12..]);
        out[8..12].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Back from what `to_bytes` gave for this path; `None` if anything of it is not so.
    fn from_bytes(bytes: &[u8], path: &[u8]) -> Option<Listing> {
        if bytes.len() < TREE_HEADER || &bytes[..8] != TREE_MAGIC || u32_at(bytes, 8) != crc32fast::hash(&bytes[12..]) {
            return None;
        }
        let count = |at: usize| usize::try_from(u64_at(bytes, at)).ok();
        let (folders, files, names, path_len) = (count(56)?, count(64)?, count(72)?, count(80)?);
        let flags = u32_at(bytes, 12);
        let files_at = TREE_HEADER.checked_add(folders.checked_mul(FOLDER)?)?;
        let names_at = files_at.checked_add(files.checked_mul(FILE)?)?;
        let path_at = names_at.checked_add(names)?;
        if path_at.checked_add(path_len)? != bytes.len() || &bytes[path_at..] != path {
            return None;
        }
        let listing = Listing {
            id: u64_at(bytes, 88),
            hash_name: if flags & 1 == 0 { HashName::Md5 } else { HashName::Md5Dos2Unix },
            fingerprint: if flags & 2 == 0 { None } else { Some(array(&bytes[16..32])) },
            oid: array(&bytes[32..48]),
            size: u64_at(bytes, 48),
            folders: bytes[TREE_HEADER..files_at].chunks_exact(FOLDER).map(read_folder).collect(),
            files: bytes[files_at..names_at].chunks_exact(FILE).map(read_record).collect(),
            names: bytes[names_at..path_at].to_vec(),
        };
        let mut next = 0u64;
        for (index, folder) in listing.folders.iter().enumerate() {
            let parent_ok = if index == 0 { folder.parent == 0 } else { (folder.parent as usize) < index };
            if u64::from(folder.first_file) != next || !parent_ok {
                return None;
            }
            next += u64::from(folder.files);
        }
        (next == files as u64 && !listing.folders.is_empty()).then_some(listing)
    }
}

fn tree_kind(hash_name: HashName) -> &'static str {
    match hash_name {
        HashName::Md5 => "tree",
        HashName::Md5Dos2Unix => "tree2",
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn array(bytes: &[u8]) -> [u8; 16] {
    let mut array = [0; 16];
    array.copy_from_slice(bytes);
    array
}

fn write_record(out: &mut Vec<u8>, file: &FileRecord) {
    file.stamp.write(out);
    out.extend_from_slice(&file.md5);
    out.extend_from_slice(&file.name_start.to_le_bytes());
    out.extend_from_slice(&file.name_len.to_le_bytes());
    out.extend_from_slice(&file.flags.to_le_bytes());
}

fn read_record(bytes: &[u8]) -> FileRecord {
    FileRecord {
        stamp: Stamp::read(bytes),
        md5: array(&bytes[32..48]),
        name_start: u32_at(bytes, 48),
        name_len: u16::from_le_bytes([bytes[52], bytes[53]]),
        flags: u16::from_le_bytes([bytes[54], bytes[55]]),
    }
}

fn read_folder(bytes: &[u8]) -> FolderRecord {
    FolderRecord {
        ino: u64_at(bytes, 0),
        mtime: u64_at(bytes, 8) as i64,
        ctime: u64_at(bytes, 16) as i64,
        name_start: u32_at(bytes, 24),
        name_len: u16::from_le_bytes([bytes[28], bytes[29]]),
        flags: u16::from_le_bytes([bytes[30], bytes[31]]),
        parent: u32_at(bytes, 32),
        first_file: u32_at(bytes, 36),
        files: u32_at(bytes, 40),
    }
}

const FILES_MAGIC: &[u8; 8] = b"TWFILES1";
const FILES_HEADER: usize = 16;

impl Files {
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = FILES_MAGIC.to_vec();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(self.known.len() as u32).to_le_bytes());
        let mut known: Vec<_> = self.known.iter().collect();
        known.sort_unstable_by(|a, b| a.0.cmp(b.0));
        for ((path, hash_name), record) in known {
            // The name lies behind the record; where it starts says which hash it is.
            let name_start = u32::from(*hash_name == HashName::Md5Dos2Unix);
            write_record(&mut out, &FileRecord { name_start, name_len: path.len() as u16, ..*record });
            out.extend_from_slice(path);
        }
        let crc = crc32fast::hash(&out[12..]);
        out[8..12].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn from_bytes(bytes: &[u8]) -> Option<Files> {
        if bytes.len() < FILES_HEADER || &bytes[..8] != FILES_MAGIC || u32_at(bytes, 8) != crc32fast::hash(&bytes[12..])
        {
            return None;
        }
        let mut files = Files::default();
        let mut at = FILES_HEADER;
        for _ in 0..u32_at(bytes, 12) {
            let record = read_record(bytes.get(at..at + FILE)?);
            at += FILE;
            let path = bytes.get(at..at + usize::from(record.name_len))?.to_vec();
            at += path.len();
            let name = if record.name_start == 0 { HashName::Md5 } else { HashName::Md5Dos2Unix };
            files.known.insert((path, name), FileRecord { name_start: 0, name_len: 0, ..record });
        }
        (at == bytes.len()).then_some(files)
    }
}

impl State {
    /// Keeps its files in `dir` (`.dvc/tmp/trackway`), which need not exist; where it cannot write it remembers nothing.
    pub fn open(dir: &Path) -> State {
        State::at(Some(dir.to_owned()))
    }

    /// Remembers nothing.
    pub fn disabled() -> State {
        State::at(None)
    }

    fn at(dir: Option<PathBuf>) -> State {
        State {
            dir,
            files: Mutex::default(),
            counter: AtomicU64::new(0),
            opened: now(),
            cleared: AtomicBool::new(false),
            strangers: Mutex::default(),
        }
    }

    fn file_for(&self, kind: &str, path: &Path) -> Option<PathBuf> {
        let key = hash_bytes(HashName::Md5, path.as_os_str().as_bytes());
        Some(self.dir.as_ref()?.join(format!("{kind}-{key}")))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> bool {
        let write = || write_file(path, bytes, None);
        write().or_else(|_| std::fs::create_dir_all(path.parent().unwrap_or(path)).and_then(|()| write())).is_ok()
    }

    pub(crate) fn listing(&self, path: &Path, hash_name: HashName) -> Option<Listing> {
        let bytes = std::fs::read(self.file_for(tree_kind(hash_name), path)?).ok()?;
        Listing::from_bytes(&bytes, path.as_os_str().as_bytes()).filter(|listing| listing.hash_name == hash_name)
    }

    pub(crate) fn set_listing(&self, path: &Path, listing: &Listing) {
        if let Some(file) = self.file_for(tree_kind(listing.hash_name), path) {
            self.write(&file, &listing.to_bytes(path.as_os_str().as_bytes()));
        }
    }

    /// See [`Listing::id`].
    pub(crate) fn new_id(&self) -> u64 {
        now() as u64 ^ u64::from(std::process::id()) << 42
    }

    /// Keeps a few bytes about `path` under a name of the caller's; `forget` forgets them.
    pub fn note(&self, kind: &'static str, path: &Path, bytes: &[u8]) {
        if let Some(file) = self.file_for(kind, path) {
            self.write(&file, &[&crc32fast::hash(bytes).to_le_bytes(), bytes].concat());
        }
    }

    /// What was last noted.
    pub fn noted(&self, kind: &'static str, path: &Path) -> Option<Vec<u8>> {
        let mut crc = std::fs::read(self.file_for(kind, path)?).ok()?;
        if crc.len() < 4 {
            return None;
        }
        let bytes = crc.split_off(4);
        (crc == crc32fast::hash(&bytes).to_le_bytes()).then_some(bytes)
    }

    fn with_files<T>(&self, work: impl FnOnce(&mut Files) -> T) -> Option<T> {
        let dir = self.dir.as_ref()?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let read =
            || std::fs::read(dir.join("files")).ok().and_then(|bytes| Files::from_bytes(&bytes)).unwrap_or_default();
        Some(work(files.get_or_insert_with(read)))
    }

    pub(crate) fn file(&self, path: &Path, hash_name: HashName) -> Option<FileRecord> {
        let key = (path.as_os_str().as_bytes().to_vec(), hash_name);
        self.with_files(|files| files.known.get(&key).copied())?
    }

    pub(crate) fn set_file(&self, path: &Path, hash_name: HashName, record: FileRecord) {
        let key = (path.as_os_str().as_bytes().to_vec(), hash_name);
        if key.0.len() > usize::from(u16::MAX) {
            return;
        }
        let record = FileRecord { name_start: 0, name_len: 0, ..record };
        self.with_files(|files| files.changed |= files.known.insert(key, record) != Some(record));
    }

    /// Forgets what lies at `path` (after the output was removed or moved).
    pub fn forget(&self, path: &Path) {
        for kind in ["tree", "tree2", "checkout", "links"] {
            if let Some(file) = self.file_for(kind, path) {
                let _ = std::fs::remove_file(file);
            }
        }
        for hash_name in [HashName::Md5, HashName::Md5Dos2Unix] {
            let key = (path.as_os_str().as_bytes().to_vec(), hash_name);
            self.with_files(|files| files.changed |= files.known.remove(&key).is_some());
        }
    }

    /// Writes what was learnt about single files; also done when dropped.
    pub fn flush(&self) {
        let (Some(dir), Ok(mut files)) = (&self.dir, self.files.lock()) else { return };
        if let Some(files) = files.as_mut().filter(|files| files.changed) {
            files.changed = false;
            self.write(&dir.join("files"), &files.to_bytes());
        }
    }

    /// Says, before a checkout begins, which files it is about to write: a half of one that a killed checkout left may be
    /// overwritten without asking. `false` if it could not be noted.
    pub(crate) fn begin_checkout(&self, path: &Path, files: &Tree) -> bool {
        self.file_for("checkout", path).is_some_and(|file| self.write(&file, &files.to_bytes()))
    }

    pub(crate) fn end_checkout(&self, path: &Path) {
        if let Some(file) = self.file_for("checkout", path) {
            let _ = std::fs::remove_file(file);
        }
    }

    /// What a checkout of `path` that did not end was about to write.
    pub(crate) fn unfinished_checkout(&self, path: &Path) -> Option<Tree> {
        let bytes = std::fs::read(self.file_for("checkout", path)?).ok()?;
        Tree::parse("of the unfinished checkout", &bytes).ok()
    }

    /// A free name for a file that is about to be renamed into the work tree; `None` where there is no such folder.
    pub(crate) fn temp_path(&self) -> Option<PathBuf> {
        let dir = self.dir.as_ref()?.join("relink");
        std::fs::create_dir_all(&dir).ok()?;
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        Some(dir.join(format!("{}-{:x}-{count}", std::process::id(), now())))
    }

    /// The same beside the file that is to be replaced, for a work tree on another file system: the folder is noted, so
    /// that what a kill leaves there is found again. `full` is the file's path.
    pub(crate) fn temp_beside(&self, full: &Path) -> String {
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        let folder = full.parent().unwrap_or(Path::new("/"));
        let mut noted = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dir) = self.dir.as_ref().filter(|_| !noted.contains(folder)) {
            let note = dir.join("relink").join(format!("{}-{:x}-in-{count}", std::process::id(), now()));
            self.write(&note, folder.as_os_str().as_bytes());
            noted.insert(folder.to_owned());
        }
        format!("{STRANGER}{}-{:x}-{count}.tmp", std::process::id(), self.opened)
    }

    /// Removes temporary files that a killed process left; once.
    pub(crate) fn clear_temps(&self) {
        let Some(dir) = self.dir.as_ref().filter(|_| !self.cleared.swap(true, Ordering::Relaxed)) else { return };
        for entry in std::fs::read_dir(dir.join("relink")).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some((pid, time)) = name.to_str().and_then(owner) else { continue };
            if self.is_at_work(pid, time) {
                continue;
            }
            if name.as_bytes().windows(4).any(|part| part == b"-in-") {
                let folder = std::fs::read(entry.path()).unwrap_or_default();
                self.clear_strangers(Path::new(OsStr::from_bytes(&folder)), pid);
            }
            let _ = std::fs::remove_file(entry.path());
        }
    }

    /// In a folder of the work tree: only what bears such a process's own name.
    fn clear_strangers(&self, folder: &Path, pid: u32) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let rest = name.to_str().and_then(|name| name.strip_prefix(STRANGER)?.strip_suffix(".tmp"));
            if rest.and_then(owner).is_some_and(|(owner, time)| owner == pid && !self.is_at_work(owner, time)) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Whether the process runs that had this id at that time. Another one may have its id by now; this one may.
    fn is_at_work(&self, pid: u32, time: i64) -> bool {
        if pid == std::process::id() {
            return time >= self.opened;
        }
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
    }
}

/// How the temporary files in a work tree on another file system begin.
const STRANGER: &str = ".trackway-relink-";

/// The process and the time that a temporary file's name begins with.
fn owner(name: &str) -> Option<(u32, i64)> {
    let mut parts = name.split('-');
    let pid = parts.next()?.parse().ok()?;
    Some((pid, i64::from_str_radix(parts.next()?, 16).ok()?))
}

impl Drop for State {
    fn drop(&mut self) {
        self.flush();
    }
}

pub(crate) fn dir_oid(md5: [u8; 16]) -> Oid {
    Oid::dir(md5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        let names = b"subafileb".to_vec();
        let stamp = Stamp { ino: 5, size: 6, mtime: -7, ctime: 8 };
        let file = |start, len| FileRecord { stamp, md5: [3; 16], name_start: start, name_len: len, flags: EXEC };
        let folder = |start, len, first, files| FolderRecord {
            ino: 1,
            mtime: 2,
            ctime: 3,
            name_start: start,
            name_len: len,
            flags: RELIST,
            parent: 0,
            first_file: first,
            files,
        };
        Listing {
            id: 77,
            hash_name: HashName::Md5,
            fingerprint: Some([9; 16]),
            oid: [4; 16],
            size: 12,
            folders: vec![folder(0, 0, 0, 1), folder(0, 3, 1, 1)],
            files: vec![file(3, 5), file(8, 1)],
            names,
        }
    }

    #[test]
    fn a_listing_comes_back_or_counts_as_absent() {
        let bytes = listing().to_bytes(b"/data");
        let back = Listing::from_bytes(&bytes, b"/data").unwrap();
        assert_eq!(back.folders, listing().folders);
        assert_eq!(back.files, listing().files);
        assert_eq!((back.names, back.fingerprint, back.oid, back.size), (listing().names, Some([9; 16]), [4; 16], 12));
        assert_eq!(back.id, 77);
        assert!(Listing::from_bytes(&bytes, b"/date").is_none());
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x20;
            assert!(Listing::from_bytes(&bad, b"/data").is_none(), "byte {at}");
            assert!(Listing::from_bytes(&bytes[..at], b"/data").is_none(), "length {at}");
        }
    }

    #[test]
    fn what_a_killed_relink_left_beside_its_files_goes_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir_all(&data).unwrap();
        let state = State::open(&dir.path().join("state"));
        let names: Vec<String> = (0..2).map(|_| state.temp_beside(&data.join("file"))).collect();
        assert_eq!(std::fs::read_dir(dir.path().join("state/relink")).unwrap().count(), 1);
        let foreign = [".trackway-relink-1-0-0.tmp", ".trackway-relink-.tmp", "file", ".trackway-1.tmp"];
        for name in names.iter().map(String::as_str).chain(foreign) {
            std::fs::write(data.join(name), "x").unwrap();
        }
        let there = |name: &str| data.join(name).exists();
        state.clear_temps();
        assert!(names.iter().all(|name| there(name)), "our own are in use");
        // Another run, whose process happens to have the same id.
        std::thread::sleep(std::time::Duration::from_millis(2));
        State::open(&dir.path().join("state")).clear_temps();
        assert!(!names.iter().any(|name| there(name)));
        assert!(foreign.iter().all(|name| there(name)));
        assert_eq!(std::fs::read_dir(dir.path().join("state/relink")).unwrap().count(), 0);
    }

    #[test]
    fn single_files_are_remembered_together() {
        let dir = tempfile::tempdir().unwrap();
        let record = FileRecord { md5: [7; 16], flags: EXEC, ..FileRecord::default() };
        {
            let state = State::open(&dir.path().join("not/yet"));
            state.set_file(Path::new("/a"), HashName::Md5, record);
            state.set_file(Path::new("/b"), HashName::Md5Dos2Unix, record);
            state.set_file(Path::new("/c"), HashName::Md5, record);
            state.forget(Path::new("/c"));
        }
        let state = State::open(&dir.path().join("not/yet"));
        assert_eq!(state.file(Path::new("/a"), HashName::Md5), Some(record));
        assert_eq!(state.file(Path::new("/a"), HashName::Md5Dos2Unix), None);
        assert_eq!(state.file(Path::new("/b"), HashName::Md5Dos2Unix), Some(record));
        assert_eq!(state.file(Path::new("/c"), HashName::Md5), None);
    }
}
