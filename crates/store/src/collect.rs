//! Listing a cache and taking objects out of it: each folder is read once, and worked on beneath its open handle.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::cache::Place;
use crate::verified::nanoseconds;
use crate::{Cache, Error, Oid, Progress, Result};

/// A two-character folder of a cache or of a remote, as DVC's `gc` sees it: every file in it counts as an object.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    objects: Vec<Oid>,
    /// Names that are no objects'.
    foreign: Vec<OsString>,
}

/// An object and what is known of it without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub oid: Oid,
    pub size: u64,
    /// When its file was last changed or linked, in nanoseconds since 1970: the later of mtime and ctime.
    pub touched: i64,
}

/// What is in use, by the names that DVC's files record.
#[derive(Clone, Debug, Default)]
pub struct Used {
    pub objects: HashSet<Oid>,
    /// Recorded hashes that are of no kind that we know.
    pub foreign: HashSet<String>,
}

impl Used {
    fn has_foreign(&self, folder: &Path, name: &OsStr) -> bool {
        !self.foreign.is_empty() && {
            let folder = folder.file_name().unwrap_or_default().to_string_lossy();
            self.foreign.contains(&format!("{folder}{}", name.to_string_lossy()))
        }
    }
}

/// Every two-character folder below `root`, as DVC 3.67 lists a cache or a local remote. A missing root has none.
pub fn list_folders(root: &Path) -> Result<Vec<Folder>> {
    let failed = |errno: Errno| Error::io("listing", root, errno);
    let dir = match open_dir(CWD.as_fd(), root.as_os_str().as_bytes()) {
        Ok(dir) => dir,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
        Err(errno) => return Err(failed(errno)),
    };
    let mut names = Vec::new();
    for entry in Dir::read_from(&dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_bytes();
        // Two characters, not two bytes.
        let two = String::from_utf8_lossy(name).chars().count() == 2 && name != b"..";
        if two && is_dir(dir.as_fd(), name, entry.file_type()) {
            names.push(name.to_vec());
        }
    }
    names.sort_unstable();
    names.par_iter().map(|name| list_folder(&dir, root, name)).collect()
}

fn list_folder(root: &OwnedFd, root_path: &Path, name: &[u8]) -> Result<Folder> {
    let mut folder = Folder { path: root_path.join(OsStr::from_bytes(name)), objects: Vec::new(), foreign: Vec::new() };
    let failed = |errno: Errno| Error::io("listing", &folder.path, errno);
    let dir = match open_dir(root.as_fd(), name) {
        Ok(dir) => dir,
        Err(Errno::NOENT) => return Ok(folder),
        Err(errno) => return Err(failed(errno)),
    };
    let mut oid = Vec::with_capacity(40);
    let (mut objects, mut foreign) = (Vec::new(), Vec::new());
    for entry in Dir::read_from(&dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let file = entry.file_name().to_bytes();
        if file == b"." || file == b".." || is_dir(dir.as_fd(), file, entry.file_type()) {
            continue;
        }
        oid.clear();
        oid.extend_from_slice(name);
        oid.extend_from_slice(file);
        match std::str::from_utf8(&oid).ok().and_then(|text| Oid::parse(text).ok()) {
            Some(oid) => objects.push(oid),
            None => foreign.push(OsString::from_vec(file.to_vec())),
        }
    }
    objects.sort_unstable();
    foreign.sort_unstable();
    (folder.objects, folder.foreign) = (objects, foreign);
    Ok(folder)
}

fn open_dir(at: rustix::fd::BorrowedFd<'_>, name: &[u8]) -> std::result::Result<OwnedFd, Errno> {
    rustix::fs::openat(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// As Python's walk sees it: a link to a folder is a folder, and is not entered.
fn is_dir(at: rustix::fd::BorrowedFd<'_>, name: &[u8], kind: FileType) -> bool {
    match kind {
        FileType::Directory => true,
        FileType::Symlink | FileType::Unknown => rustix::fs::statat(at, name, AtFlags::empty())
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
        _ => false,
    }
}

impl Folder {
    pub(crate) fn empty(path: PathBuf) -> Folder {
        Folder { path, objects: Vec::new(), foreign: Vec::new() }
    }

    /// Adds a file of this folder, whose name is `shard`.
    pub(crate) fn add(&mut self, shard: &str, file: &str) {
        match Oid::parse(&format!("{shard}{file}")) {
            Ok(oid) => self.objects.push(oid),
            Err(_) => self.foreign.push(file.into()),
        }
    }

    /// Leaves only what is not in use.
    pub fn retain_unused(&mut self, used: &Used) {
        self.objects.retain(|oid| !used.objects.contains(oid));
        let path = std::mem::take(&mut self.path);
        self.foreign.retain(|name| !used.has_foreign(&path, name));
        self.path = path;
    }

    pub fn len(&self) -> usize {
        self.objects.len() + self.foreign.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn objects(&self) -> &[Oid] {
        &self.objects
    }

    /// Whether the file is a directory's list, which DVC's `gc` removes first.
    pub fn files(&self) -> impl Iterator<Item = (bool, PathBuf)> + '_ {
        let objects = self.objects.iter().map(|oid| (oid.is_dir(), self.path.join(&Place::of(oid).as_str()[3..])));
        let foreign = self.foreign.iter().map(|name| (name.as_bytes().ends_with(b".dir"), self.path.join(name)));
        objects.chain(foreign)
    }

    /// Deletes the lists of directories, or all else. What is gone already counts as deleted.
    fn delete(&self, lists: bool, progress: &dyn Progress) -> Result<()> {
        let objects = || self.objects.iter().filter(|oid| oid.is_dir() == lists);
        if objects().next().is_none() && (lists || self.foreign.is_empty()) {
            return Ok(());
        }
        let dir = match open_dir(CWD.as_fd(), self.path.as_os_str().as_bytes()) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(Error::io("opening", &self.path, errno)),
        };
        let unlink = |name: &[u8]| {
            progress.add(1, 0);
            match rustix::fs::unlinkat(&dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(errno) => Err(Error::io("deleting", self.path.join(OsStr::from_bytes(name)), errno)),
            }
        };
        for oid in objects() {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            unlink(&Place::of(oid).as_str().as_bytes()[3..])?;
            if lists {
                // Beside such an object DVC 0 kept its folder, unpacked.
                let unpacked = format!("{}.unpacked", &Place::of(oid).as_str()[3..]);
                if rustix::fs::statat(&dir, &unpacked, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                    let unpacked = self.path.join(unpacked);
                    std::fs::remove_dir_all(&unpacked).map_err(|error| Error::io("deleting", &unpacked, error))?;
                }
            }
        }
        match lists {
            true => Ok(()),
            false => self.foreign.iter().try_for_each(|name| unlink(name.as_bytes())),
        }
    }
}

/// Deletes what the folders name, from both cores at once.
pub fn delete_folders(folders: &[Folder], progress: &dyn Progress) -> Result<()> {
    let total: usize = folders.iter().map(Folder::len).sum();
    progress.start("removing", Some(total as u64), None);
    // All lists first: without its list nothing says that a file should be there.
    let done = [true, false]
        .into_iter()
        .try_for_each(|lists| folders.par_iter().try_for_each(|folder| folder.delete(lists, progress)));
    progress.finish();
    done
}

impl Cache {
    /// The two-character folders of this cache.
    pub fn folders(&self) -> Result<Vec<Folder>> {
        list_folders(self.objects_dir())
    }

    /// All objects with their sizes, in the order of their names.
    pub fn inventory(&self) -> Result<Vec<Stored>> {
        inventory(self.objects_dir())
    }

    /// Nothing is known of the object any more.
    pub(crate) fn forget(&self, oid: &Oid) {
        self.verified.forget(oid);
        if oid.is_dir() {
            self.forget_presence(oid);
        }
    }

    /// Deletes what the folders name, and forgets it.
    pub fn delete(&self, folders: &[Folder], progress: &dyn Progress) -> Result<()> {
        for oid in folders.iter().flat_map(|folder| &folder.objects) {
            self.forget(oid);
        }
        delete_folders(folders, progress)
    }
}

/// The objects below `root` with their sizes.
pub fn inventory(root: &Path) -> Result<Vec<Stored>> {
    let folders = list_folders(root)?;
    let parts: Result<Vec<Vec<Stored>>> = folders
        .par_iter()
        .map(|folder| {
            let dir = match open_dir(CWD.as_fd(), folder.path.as_os_str().as_bytes()) {
                Ok(dir) => dir,
                Err(Errno::NOENT) => return Ok(Vec::new()),
                Err(errno) => return Err(Error::io("opening", &folder.path, errno)),
            };
            let mut found = Vec::with_capacity(folder.objects.len());
            for oid in &folder.objects {
                match rustix::fs::statat(&dir, &Place::of(oid).as_str()[3..], AtFlags::empty()) {
                    Ok(stat) => {
                        let mtime = nanoseconds(stat.st_mtime, stat.st_mtime_nsec as i64);
                        let ctime = nanoseconds(stat.st_ctime, stat.st_ctime_nsec as i64);
                        found.push(Stored { oid: *oid, size: stat.st_size as u64, touched: mtime.max(ctime) });
                    }
                    Err(Errno::NOENT) => {}
                    Err(errno) => return Err(Error::io("looking at", &folder.path, errno)),
                }
            }
            Ok(found)
        })
        .collect();
    Ok(parts?.concat())
}
