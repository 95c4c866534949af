//! The hidden folder under the root where uploads grow and deleted trees are taken apart.
//!
//! What a killed process left there is swept when the folder is opened next: deleted trees at once,
//! uploads when nobody has written to them for a day.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat};
use rustix::io::Errno;

use super::beneath::Beneath;
use super::remove;
use crate::error::{Error, Result};
use crate::path::STAGING;

const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
const GONE: &str = "gone-";

/// Opens the staging folder, making it if it is missing.
pub(super) fn open(root: &Beneath) -> Result<OwnedFd> {
    let failed = |errno| Error::from_errno(errno, "opening the staging folder", STAGING);
    match open_existing(root) {
        Err(Errno::NOENT) => match rustix::fs::mkdirat(root.root(), STAGING, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => open_existing(root).map_err(failed),
            Err(errno) => Err(failed(errno)),
        },
        outcome => outcome.map_err(failed),
    }
}

fn open_existing(root: &Beneath) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(root.root(), STAGING, flags, Mode::empty())
}

/// A name nobody else uses, neither another thread nor, but for a chance that EXCL catches, a process.
pub(super) fn fresh_name(kind: Kind) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let prefix = match kind {
        Kind::Upload => "put-",
        Kind::Gone => GONE,
    };
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}{nanos:x}-{:x}-{count:x}", std::process::id())
}

pub(super) enum Kind {
    Upload,
    Gone,
}

pub(super) fn sweep(root: &Beneath, now: SystemTime) -> Result<()> {
    let failed = |errno| Error::from_errno(errno, "sweeping the staging folder", STAGING);
    let staging = match open_existing(root) {
        Ok(staging) => staging,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(failed(errno)),
    };
    for item in Dir::read_from(&staging).map_err(failed)? {
        let item = item.map_err(failed)?;
        let name = item.file_name();
        if name.to_bytes().starts_with(GONE.as_bytes()) {
            remove::take_apart(&staging, &name.to_string_lossy())?;
            continue;
        }
        let Ok(stat) = rustix::fs::statat(&staging, name, AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        let written = UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
        if now.duration_since(written).is_ok_and(|age| age > ABANDONED_AFTER) {
            match rustix::fs::unlinkat(&staging, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
    }
    Ok(())
}
