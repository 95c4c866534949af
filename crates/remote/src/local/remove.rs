//! Deleting a tree: moved out of sight in one step, then taken apart.

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use super::beneath::Beneath;
use super::staging::{self, Kind};
use crate::error::{Error, Result};
use crate::path::RelPath;

/// Deletes the directory `path`, whose parent is open.
pub(super) fn tree(root: &Beneath, parent: &OwnedFd, path: &RelPath) -> Result<()> {
    let failed = |errno| Error::from_errno(errno, "deleting", path.as_str());
    let stat = statat(parent, path.file_name(), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Error::NotADirectory { path: path.to_string() });
    }
    let staging = staging::open(root)?;
    let name = staging::fresh_name(Kind::Gone);
    renameat(parent, path.file_name(), &staging, &name).map_err(failed)?;
    take_apart(&staging, &name)
}

/// Deletes the directory `first` in the staging folder. Each directory found inside is moved up there
/// and waits its turn, so that depth costs neither stack nor open files. What is missing already was
/// taken by another process that sweeps.
pub(super) fn take_apart(staging: &OwnedFd, first: &str) -> Result<()> {
    let mut waiting = vec![first.to_owned()];
    while let Some(name) = waiting.pop() {
        let failed = |errno| Error::from_errno(errno, "taking apart the deleted tree", &name);
        // Reading a directory while emptying it may miss entries on some file systems: look again.
        for _ in 0..100 {
            empty(staging, &name, &mut waiting).map_err(failed)?;
            match unlinkat(staging, &name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => break,
                Err(Errno::NOTEMPTY) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
    }
    Ok(())
}

fn empty(staging: &OwnedFd, name: &str, waiting: &mut Vec<String>) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = match openat(staging, name, flags, Mode::empty()) {
        Ok(dir) => dir,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    for item in Dir::read_from(&dir)? {
        let item = item?;
        let entry = item.file_name();
        if matches!(entry.to_bytes(), b"." | b"..") {
            continue;
        }
        match unlinkat(&dir, entry, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            // A directory: Linux says ISDIR, POSIX says PERM.
            Err(Errno::ISDIR | Errno::PERM) => {
                let moved = staging::fresh_name(Kind::Gone);
                match renameat(&dir, entry, staging, &moved) {
                    Ok(()) => waiting.push(moved),
                    Err(Errno::NOENT) => {}
                    Err(errno) => return Err(errno),
                }
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
