//! From the cache to the work tree: reflink, hard link, symbolic link or copy, as configured and as the file system can.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::cache::{Check, Place, umask};
use crate::hash::{BIG, hash_stream};
use crate::tree::os_path;
use crate::verified::Stamp;
use crate::{Cache, Error, HashName, Oid, Progress, Result};

/// How a file of the work tree may get its content from the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    Reflink,
    Hardlink,
    Symlink,
    Copy,
}

impl LinkType {
    /// As in `cache.type` of a config file.
    pub fn parse(text: &str) -> Option<LinkType> {
        Some(match text {
            "reflink" => LinkType::Reflink,
            "hardlink" => LinkType::Hardlink,
            "symlink" => LinkType::Symlink,
            "copy" => LinkType::Copy,
            _ => return None,
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            LinkType::Reflink => "reflink",
            LinkType::Hardlink => "hardlink",
            LinkType::Symlink => "symlink",
            LinkType::Copy => "copy",
        }
    }
}

/// As DVC 3.67: after one of these errors the next link type is tried, for this file and all that follow.
fn means_unsupported(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::PERM | Errno::NOTSUP | Errno::XDEV | Errno::NOTTY | Errno::NOSYS | Errno::INVAL | Errno::AGAIN
    )
}

/// Makes files of the work tree out of verified objects; one for a whole checkout, used by all threads.
pub(crate) struct Linker<'a> {
    cache: &'a Cache,
    progress: &'a dyn Progress,
    /// Which of the configured types is the first that works.
    first: AtomicUsize,
    /// Objects verified and linked by this very run: linking moves their change time under other threads' eyes.
    linked: Vec<Mutex<HashMap<Oid, (Stamp, bool)>>>,
}

impl<'a> Linker<'a> {
    pub fn new(cache: &'a Cache, progress: &'a dyn Progress) -> Linker<'a> {
        let linked = (0..64).map(|_| Mutex::default()).collect();
        Linker { cache, progress, first: AtomicUsize::new(0), linked }
    }

    /// The type that the next file will be tried with.
    pub fn current(&self) -> LinkType {
        let types = self.cache.link_types();
        types.get(self.first.load(Ordering::Relaxed)).copied().unwrap_or(LinkType::Copy)
    }

    fn linked(&self, oid: &Oid) -> &Mutex<HashMap<Oid, (Stamp, bool)>> {
        &self.linked[usize::from(oid.bytes()[1]) % 64]
    }

    /// The object as it looks now, known to be right.
    fn verified(&self, oid: &Oid) -> Result<Stamp> {
        let Some(stat) = self.cache.stat(oid)? else {
            return Err(Error::Missing { oid: *oid, path: self.cache.path(oid) });
        };
        let stamp = Stamp::of(&stat);
        if self.cache.verified.get(oid) == Some(stamp) {
            return Ok(stamp);
        }
        let linked = self.linked(oid).lock().unwrap_or_else(PoisonError::into_inner).get(oid).copied();
        if linked.is_some_and(|(linked, _)| linked.same_but_ctime(&stamp)) {
            return Ok(stamp);
        }
        self.cache.expect(oid, self.cache.check(oid, false, self.progress)?)
    }

    /// Makes `name` in `dir`, which must not exist, and tells what it looks like, and whether it is a symbolic link (then
    /// it looks as its object does). `full` is for errors.
    pub fn make(&self, oid: &Oid, dir: BorrowedFd<'_>, name: &[u8], full: &Path) -> Result<(Stat, bool)> {
        let types = self.cache.link_types();
        let mut last = Errno::NOTSUP;
        loop {
            let index = self.first.load(Ordering::Relaxed);
            let Some(kind) = types.get(index) else {
                return Err(Error::Unlinkable { path: full.to_owned(), source: last.into() });
            };
            let made = match kind {
                LinkType::Copy => return Ok((self.copy(oid, dir, name, full)?, false)),
                LinkType::Reflink => self.reflink(oid, dir, name)?,
                LinkType::Hardlink => self.hardlink(oid, dir, name, full)?,
                LinkType::Symlink => self.symlink(oid, dir, name)?,
            };
            match made {
                Ok(stat) => return Ok((stat, *kind == LinkType::Symlink)),
                // Better than DVC 3.67, which gives up: only this file cannot be linked, as the object has too many links.
                Err(Errno::MLINK) => return Ok((self.copy(oid, dir, name, full)?, false)),
                Err(errno) if means_unsupported(errno) => {
                    last = errno;
                    let _ = self.first.compare_exchange(index, index + 1, Ordering::Relaxed, Ordering::Relaxed);
                }
                Err(errno) => return Err(Error::Unlinkable { path: full.to_owned(), source: errno.into() }),
            }
        }
    }

    fn hardlink(
        &self,
        oid: &Oid,
        dir: BorrowedFd<'_>,
        name: &[u8],
        full: &Path,
    ) -> Result<std::result::Result<Stat, Errno>> {
        let stamp = self.verified(oid)?;
        if stamp.size == 0 {
            // As DVC 3.67: there may be more empty files than an inode may have links.
            return self.copy(oid, dir, name, full).map(Ok);
        }
        let Some(objects) = self.cache.objects_fd() else { return Ok(Err(Errno::NOENT)) };
        if let Err(errno) = rustix::fs::linkat(objects, Place::of(oid).as_str(), dir, name, AtFlags::SYMLINK_FOLLOW) {
            return Ok(Err(errno));
        }
        let made = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
        let Ok(stat) = made else { return Ok(made) };
        let after = Stamp::of(&stat);
        if !stamp.same_but_ctime(&after) {
            // Another file took the object's place in between: it was not verified.
            let _ = rustix::fs::unlinkat(dir, name, AtFlags::empty());
            return Err(Error::Changed { path: self.cache.path(oid) });
        }
        // What stock tools left unprotected.
        if stat.st_mode & 0o222 != 0 {
            let _ = rustix::fs::chmodat(dir, name, Mode::from_raw_mode(0o444), AtFlags::empty());
            return self.after_chmod(oid, dir, name, &stamp).map(Ok);
        }
        self.remember(oid, after);
        Ok(Ok(stat))
    }

    fn after_chmod(&self, oid: &Oid, dir: BorrowedFd<'_>, name: &[u8], before: &Stamp) -> Result<Stat> {
        let stat = rustix::fs::statat(dir, name, AtFlags::empty())
            .map_err(|errno| Error::io("looking at", os_path(name), errno))?;
        if before.same_but_ctime(&Stamp::of(&stat)) {
            self.remember(oid, Stamp::of(&stat));
        }
        Ok(stat)
    }

    fn remember(&self, oid: &Oid, after: Stamp) {
        self.cache.note(oid, after);
        let mut linked = self.linked(oid).lock().unwrap_or_else(PoisonError::into_inner);
        linked.entry(*oid).and_modify(|known| *known = (after, true)).or_insert((after, false));
    }

    fn symlink(&self, oid: &Oid, dir: BorrowedFd<'_>, name: &[u8]) -> Result<std::result::Result<Stat, Errno>> {
        self.verified(oid)?;
        if let Err(errno) = rustix::fs::symlinkat(self.cache.path(oid), dir, name) {
            return Ok(Err(errno));
        }
        Ok(rustix::fs::statat(dir, name, AtFlags::empty()))
    }

    fn reflink(&self, oid: &Oid, dir: BorrowedFd<'_>, name: &[u8]) -> Result<std::result::Result<Stat, Errno>> {
        self.verified(oid)?;
        let source = self.cache.open_object(oid)?;
        let file = match create(dir, name) {
            Ok(file) => file,
            Err(errno) => return Ok(Err(errno)),
        };
        if let Err(errno) = rustix::fs::ioctl_ficlone(&file, &source) {
            let _ = rustix::fs::unlinkat(dir, name, AtFlags::empty());
            // File systems disagree on how to say no.
            return Ok(Err(if errno == Errno::NOENT { errno } else { Errno::NOTSUP }));
        }
        Ok(rustix::fs::fstat(&file))
    }

    fn copy(&self, oid: &Oid, dir: BorrowedFd<'_>, name: &[u8], full: &Path) -> Result<Stat> {
        let mut source = self.cache.open_object(oid)?;
        let looked =
            rustix::fs::fstat(&source).map_err(|errno| Error::io("looking at", self.cache.path(oid), errno))?;
        let stamp = Stamp::of(&looked);
        let recorded = self.cache.verified.get(oid) == Some(stamp);
        let failed = |doing, errno: Errno| Error::io(doing, full, errno);
        let hash_name = if oid.is_dir() { HashName::Md5 } else { self.cache.hash_name() };
        if stamp.size < BIG {
            let mut bytes = Vec::with_capacity(stamp.size as usize + 1);
            std::io::Read::read_to_end(&mut source, &mut bytes)
                .map_err(|error| Error::io("reading", self.cache.path(oid), error))?;
            if !recorded || bytes.len() as u64 != stamp.size {
                self.compare(oid, *crate::hash_bytes(hash_name, &bytes).bytes(), stamp)?;
            }
            let mut file = create(dir, name).map_err(|errno| failed("making the file", errno))?;
            file.write_all(&bytes).map_err(|error| Error::io("writing", full, error))?;
            self.progress.add(0, bytes.len() as u64);
            return rustix::fs::fstat(&file).map_err(|errno| failed("looking at", errno));
        }
        // A large file has no name until it is whole, where the file system can do that.
        let (mut file, nameless) = match rustix::fs::openat(
            dir,
            ".",
            OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC,
            Mode::from_raw_mode(0o666),
        ) {
            Ok(fd) => (File::from(fd), true),
            Err(_) => (create(dir, name).map_err(|errno| failed("making the file", errno))?, false),
        };
        let give_up = |error| {
            if !nameless {
                let _ = rustix::fs::unlinkat(dir, name, AtFlags::empty());
            }
            Err(error)
        };
        let copied = if recorded {
            self.copy_range(&source, &mut file, full)
        } else {
            let path = self.cache.path(oid);
            hash_stream(hash_name, &mut source, stamp.size, &path, Some(&mut file), self.progress)
                .and_then(|(actual, _)| self.compare(oid, *actual.bytes(), stamp))
        };
        if let Err(error) = copied {
            return give_up(error);
        }
        if nameless {
            use rustix::fd::AsRawFd;
            let own = format!("/proc/self/fd/{}", file.as_raw_fd());
            rustix::fs::linkat(CWD, own, dir, name, AtFlags::SYMLINK_FOLLOW)
                .map_err(|errno| failed("making the file", errno))?;
        }
        rustix::fs::fstat(&file).map_err(|errno| failed("looking at", errno))
    }

    /// The content of an object was hashed: right, it is recorded; wrong, it is refused.
    fn compare(&self, oid: &Oid, actual: [u8; 16], stamp: Stamp) -> Result<()> {
        if actual != *oid.bytes() {
            self.cache.verified.forget(oid);
            let actual = if oid.is_dir() { Oid::dir(actual) } else { Oid::file(actual) };
            return Err(Error::Corrupt { oid: *oid, path: self.cache.path(oid), actual });
        }
        if self.cache.stat(oid)?.is_some_and(|stat| Stamp::of(&stat) == stamp) {
            self.cache.note(oid, stamp);
        }
        Ok(())
    }

    /// The kernel copies; the parts are only for progress and for being cancelled.
    fn copy_range(&self, source: &File, file: &mut File, full: &Path) -> Result<()> {
        loop {
            if self.progress.cancelled() {
                return Err(Error::Cancelled);
            }
            match rustix::fs::copy_file_range(source, None, &*file, None, 64 << 20) {
                Ok(0) => return Ok(()),
                Ok(count) => self.progress.add(0, count as u64),
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        // Between file systems that the kernel does not copy between; the offsets are where it stopped.
        let copied = std::io::copy(&mut &*source, file).map_err(|error| Error::io("writing", full, error))?;
        self.progress.add(0, copied);
        Ok(())
    }

    /// A file that looked so and may have been a hard link to the object was deleted: that moved the object's change time.
    pub fn unlinked(&self, oid: &Oid, before: &Stamp) -> Result<()> {
        let known = self.linked(oid).lock().unwrap_or_else(PoisonError::into_inner).get(oid).map(|(stamp, _)| *stamp);
        let was_right =
            self.cache.verified.get(oid) == Some(*before) || known.is_some_and(|known| known.same_but_ctime(before));
        if was_right && let Some(stat) = self.cache.stat(oid)? {
            let after = Stamp::of(&stat);
            if before.same_but_ctime(&after) && after != *before {
                self.remember(oid, after);
            }
        }
        Ok(())
    }

    /// Refreshes the record of objects that were linked more than once: threads may have noted them out of order.
    pub fn finish(&self) {
        for shard in &self.linked {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for (oid, (known, _)) in shard.iter().filter(|(_, (_, many))| *many) {
                if let Ok(Some(stat)) = self.cache.stat(oid) {
                    let stamp = Stamp::of(&stat);
                    if known.same_but_ctime(&stamp) {
                        self.cache.note(oid, stamp);
                    }
                }
            }
        }
    }
}

/// A new file with the mode that the umask leaves.
fn create(dir: BorrowedFd<'_>, name: &[u8]) -> std::result::Result<File, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o666)).map(File::from)
}

/// Whether a file of a directory is to be linked anew, as DVC 3.67 decides it (`_needs_relink`).
pub(crate) fn needs_relink(
    types: &[LinkType],
    symlink: bool,
    hardlink: bool,
    same_inode: bool,
    right_target: bool,
) -> bool {
    let is_copy = !symlink && !hardlink;
    for kind in types {
        match kind {
            LinkType::Copy | LinkType::Reflink if is_copy => return false,
            LinkType::Hardlink if hardlink => return !same_inode,
            LinkType::Symlink if symlink => return !right_target,
            _ => {}
        }
    }
    true
}

/// Whether the object is in the cache and right, for callers that would write it otherwise.
pub(crate) fn is_right(check: &Check) -> bool {
    matches!(check, Check::Right(_))
}

/// Makes the file, or every file of the directory at `path`, one of its own that may be written, as DVC's `unprotect`. In a
/// Copies are written in `room` where that is on the same file system.
/// `shared` cache's repository the group may write too.
pub fn unprotect(path: &Path, shared: bool, room: &Path, progress: &dyn Progress) -> Result<()> {
    let mode = if shared { 0o664 } else { 0o666 & !umask() };
    let looked = std::fs::metadata(path).map_err(|error| Error::io("looking at", path, error))?;
    if !looked.is_dir() {
        return unprotect_file(path, mode, room, progress);
    }
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |error| Error::io("listing", &folder, error);
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            // As DVC 3.67: a link to a directory is no file and is not followed.
            if kind.is_dir() {
                folders.push(entry.path());
            } else if !(kind.is_symlink() && entry.path().is_dir()) {
                unprotect_file(&entry.path(), mode, room, progress)?;
            }
        }
    }
    Ok(())
}

fn unprotect_file(path: &Path, mode: u32, room: &Path, progress: &dyn Progress) -> Result<()> {
    if progress.cancelled() {
        return Err(Error::Cancelled);
    }
    let failed = |errno: Errno| Error::io("unprotecting", path, errno);
    let stat = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
    if is_link || stat.st_nlink > 1 {
        let dir = path.parent().unwrap_or(Path::new("."));
        let device = |dir: &Path| rustix::fs::stat(dir).map(|stat| stat.st_dev).ok();
        // Among the person's files only where no other place will do: a kill would leave it there.
        let dir = if device(room).is_some_and(|room| Some(room) == device(dir)) { room } else { dir };
        let mut source = File::open(path).map_err(|error| Error::io("opening", path, error))?;
        let mut temp = tempfile::Builder::new()
            .prefix(".trackway-")
            .suffix(".tmp")
            .tempfile_in(dir)
            .map_err(|error| Error::io("copying", path, error))?;
        if rustix::fs::ioctl_ficlone(temp.as_file(), &source).is_err() {
            std::io::copy(&mut source, &mut temp).map_err(|error| Error::io("copying", path, error))?;
        }
        rustix::fs::fchmod(temp.as_file().as_fd(), Mode::from_raw_mode(mode)).map_err(failed)?;
        temp.persist(path).map_err(|error| Error::io("copying", path, error.error))?;
    } else if stat.st_mode & 0o7777 != mode {
        rustix::fs::chmodat(CWD, path, Mode::from_raw_mode(mode), AtFlags::empty()).map_err(failed)?;
    }
    progress.add(1, stat.st_size as u64);
    Ok(())
}
