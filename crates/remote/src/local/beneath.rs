//! Opening paths so that they cannot leave the folder: the kernel resolves them beneath one open handle.

use std::path::Path;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use crate::Resolve;
use crate::error::{Error, Result};

pub(super) struct Beneath {
    root: OwnedFd,
    openat2: bool,
}

const LEADS_OUT: &str = "it leads out of the folder through a symbolic link";
const THROUGH_LINK: &str = "it leads through a symbolic link";

/// Directories and files get what the umask leaves of these, as any program's do.
pub(super) const DIR_MODE: Mode = Mode::from_raw_mode(0o777);

impl Beneath {
    /// Opens the folder at `path`, making it if it is missing.
    pub(super) fn at(path: &Path, resolve: Resolve) -> Result<Beneath> {
        let name = path.display().to_string();
        let failed = |errno: Errno, doing: &str| match errno {
            Errno::NOTDIR | Errno::EXIST => {
                Error::InvalidLocation { location: name.clone(), reason: "it is not a directory".to_owned() }
            }
            other => Error::Io { doing: format!("{doing} the folder '{name}'"), source: other.into() },
        };
        std::fs::create_dir_all(path).map_err(|error| match Errno::from_io_error(&error) {
            Some(errno) => failed(errno, "making"),
            None => Error::from_io(error, "making the folder", &name),
        })?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let root = openat(CWD, path, flags, Mode::empty()).map_err(|errno| failed(errno, "opening"))?;
        // A kernel older than 5.6 has no openat2 (NOSYS), and some sandboxes hide it (PERM).
        let openat2 =
            resolve == Resolve::Detect && openat2(&root, ".", flags, Mode::empty(), ResolveFlags::BENEATH).is_ok();
        Ok(Beneath { root, openat2 })
    }

    pub(super) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// Whether the folder was removed after it was opened.
    pub(super) fn was_deleted(&self) -> bool {
        rustix::fs::fstat(&self.root).is_ok_and(|stat| stat.st_nlink == 0)
    }

    /// Opens `path` (empty: the folder itself) beneath the folder.
    pub(super) fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd> {
        let mut flags = flags | OFlags::CLOEXEC;
        // openat2 refuses, beside PATH, what has no meaning there.
        if !flags.contains(OFlags::PATH) {
            flags |= OFlags::NOCTTY;
        }
        if self.openat2 { self.open_by_kernel(path, flags) } else { self.open_by_name(path, flags) }
    }

    /// A handle of a directory, to work in; `readable` where it is to be synced or listed.
    pub(super) fn open_dir(&self, path: &str, readable: bool) -> Result<OwnedFd> {
        let access = if readable { OFlags::RDONLY } else { OFlags::PATH };
        self.open(path, access | OFlags::DIRECTORY)
    }

    fn open_by_kernel(&self, path: &str, flags: OFlags) -> Result<OwnedFd> {
        let name = if path.is_empty() { "." } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        // The kernel says AGAIN when something was renamed while it looked: it could not be sure.
        for _ in 0..128 {
            match openat2(&self.root, name, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::XDEV) => return Err(refused(path, LEADS_OUT)),
                Err(errno) => return Err(Error::from_errno(errno, "opening", path)),
                Ok(file) => return Ok(file),
            }
        }
        Err(Error::from_errno(Errno::AGAIN, "opening", path))
    }

    /// Name by name, each opened in the directory before it, and never through a symbolic link.
    fn open_by_name(&self, path: &str, flags: OFlags) -> Result<OwnedFd> {
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut dir: Option<OwnedFd> = None;
        let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
        while let Some(name) = names.next() {
            let at = dir.as_ref().map_or(self.root.as_fd(), |fd| fd.as_fd());
            let last = names.peek().is_none();
            let how = if last { flags | OFlags::NOFOLLOW } else { step };
            let opened = openat(at, name, how, Mode::empty()).map_err(|errno| not_a_link(at, name, errno, path))?;
            if !last {
                dir = Some(opened);
                continue;
            }
            // PATH opens a link itself instead of failing.
            if flags.contains(OFlags::PATH) && file_type(&opened, path)? == FileType::Symlink {
                return Err(refused(path, THROUGH_LINK));
            }
            return Ok(opened);
        }
        openat(&self.root, ".", flags, Mode::empty()).map_err(|errno| Error::from_errno(errno, "opening", path))
    }

    /// Opens the directory `path`, making what is missing of it. With `sync`, what was made is on disk.
    pub(super) fn make_dirs(&self, path: &str, sync: bool) -> Result<OwnedFd> {
        match self.open_dir(path, sync) {
            Err(Error::NotFound { .. }) => {}
            outcome => return outcome,
        }
        let mut dir = self.open_dir("", sync)?;
        let mut end = 0;
        for name in path.split('/') {
            end += name.len();
            match rustix::fs::mkdirat(&dir, name, DIR_MODE) {
                Ok(()) if sync => rustix::fs::fsync(&dir)
                    .map_err(|errno| Error::from_errno(errno, "syncing the directory of", path))?,
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(Error::from_errno(errno, "making the directory", path)),
            }
            dir = self.open_dir(&path[..end], sync)?;
            end += 1;
        }
        Ok(dir)
    }
}

fn refused(path: &str, reason: &'static str) -> Error {
    Error::InvalidPath { path: path.to_owned(), reason }
}

/// A link where a directory is needed fails with NOTDIR: say what it is.
fn not_a_link(at: impl AsFd, name: &str, errno: Errno, path: &str) -> Error {
    let is_link = matches!(errno, Errno::NOTDIR | Errno::LOOP)
        && rustix::fs::statat(at, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
    if is_link {
        return refused(path, THROUGH_LINK);
    }
    Error::from_errno(errno, "opening", path)
}

fn file_type(file: &OwnedFd, path: &str) -> Result<FileType> {
    Ok(FileType::from_raw_mode(fstat(file, path)?.st_mode))
}

pub(super) fn fstat(file: impl AsFd, path: &str) -> Result<rustix::fs::Stat> {
    rustix::fs::fstat(file).map_err(|errno| Error::from_errno(errno, "looking at", path))
}
