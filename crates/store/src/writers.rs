//! The lock between those who rely on objects and those who remove them: `<root>/trackway/writers.lock`.
//!
//! Whoever adds, checks out or fetches shares it from before the first look at the cache until what it wrote names its
//! objects; a collection holds it alone. The kernel lets go of it when a process ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::{Cache, Error, Result};

/// Held while objects are relied on, or while they are removed. Dropping it lets go.
#[derive(Debug)]
pub struct WritersLock {
    _file: Option<File>,
}

/// The lock's file.
pub fn writers_lock_path(root: &Path) -> PathBuf {
    root.join("trackway").join("writers.lock")
}

impl Cache {
    /// Shares the lock; `None` while a collection runs. A cache that cannot be written to is shared without a lock.
    pub fn share(&self) -> Result<Option<WritersLock>> {
        // Where there is no cache yet, whoever makes it is known by the marker of its first object.
        if !self.root().exists() {
            return Ok(Some(WritersLock { _file: None }));
        }
        match self.open_lock() {
            Ok(file) => take(&file, FlockOperation::NonBlockingLockShared)
                .map(|taken| taken.then_some(WritersLock { _file: Some(file) }))
                .map_err(|error| self.lock_failed(error)),
            Err(error) if is_read_only(&error) => match File::open(writers_lock_path(self.root())) {
                Ok(file) => take(&file, FlockOperation::NonBlockingLockShared)
                    .map(|taken| taken.then_some(WritersLock { _file: Some(file) }))
                    .map_err(|error| self.lock_failed(error)),
                Err(_) => Ok(Some(WritersLock { _file: None })),
            },
            Err(error) => Err(self.lock_failed(error)),
        }
    }

    /// Takes the lock alone; `None` while others have it.
    pub fn lock_alone(&self) -> Result<Option<WritersLock>> {
        if !self.root().exists() {
            return Ok(Some(WritersLock { _file: None }));
        }
        let lock = || -> io::Result<Option<WritersLock>> {
            let mut file = self.open_lock()?;
            if !take(&file, FlockOperation::NonBlockingLockExclusive)? {
                return Ok(None);
            }
            // For those who wait and want to know for whom.
            file.rewind()?;
            let text = format!(" {}\n", std::process::id());
            file.write_all(text.as_bytes())?;
            file.set_len(text.len() as u64)?;
            Ok(Some(WritersLock { _file: Some(file) }))
        };
        lock().map_err(|error| match is_read_only(&error) {
            true => Error::ReadOnly { root: self.root().to_owned() },
            false => self.lock_failed(error),
        })
    }

    /// The process that collected last, or collects now.
    pub fn collector(&self) -> Option<u32> {
        let mut text = String::new();
        File::open(writers_lock_path(self.root())).ok()?.take(32).read_to_string(&mut text).ok()?;
        text.trim().parse().ok()
    }

    fn lock_failed(&self, error: io::Error) -> Error {
        Error::io("locking", writers_lock_path(self.root()), error)
    }

    fn open_lock(&self) -> io::Result<File> {
        let path = writers_lock_path(self.root());
        let mode = if self.is_shared() { 0o664 } else { 0o666 };
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(mode).open(&path);
        match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_dirs(path.parent().unwrap_or(&path))?;
                open()
            }
            other => other,
        }
    }
}

fn take(file: &File, operation: FlockOperation) -> io::Result<bool> {
    match rustix::fs::flock(file, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        // A file system without locks: as safe as stock DVC, which has none here at all.
        Err(Errno::NOSYS | Errno::NOTSUP | Errno::NOLCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}
