//! The lock on a repository: `.dvc/tmp/lock`, held by one command at a time, ours or stock DVC's.
//!
//! As DVC 3.67 it is an exclusive `flock` on a file that holds the owner's process id, and the kernel lets go of it when
//! the owner ends, however it ends. With `core.hardlink_lock` it is a hard link instead, for file systems without
//! `flock`: a *claim*, a file that holds its own name, is linked to the lock's name. Such a lock stays when its owner is
//! killed, and stock never breaks it; nor do we.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use md5::{Digest, Md5};
use rustix::fs::FlockOperation;

/// Stock gives up after six more attempts, half a second between them.
const PATIENCE: Duration = Duration::from_secs(3);
/// We look more often, so that a short command in front of us costs little.
const PAUSE: Duration = Duration::from_millis(25);
/// How long a hard-linked lock says that it holds.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The words are stock's; who holds the lock, as far as it is known, is for the hint.
    #[error(
        "Unable to acquire lock. Most likely another DVC process is running or was terminated abruptly. Check the page \
         <https://dvc.org/doc/user-guide/troubleshooting#lock-issue> for other possible reasons and to learn how to \
         resolve this."
    )]
    Busy { holder: Option<Holder> },
    #[error("the lock '{}' cannot be used: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
}

/// Another process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    /// Its command line, where the system tells.
    pub command: Option<String>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.command {
            Some(command) => write!(f, "`{command}` (process {})", self.pid),
            None => write!(f, "process {}", self.pid),
        }
    }
}

impl Holder {
    /// A process by its id.
    pub(crate) fn of(pid: u32) -> Holder {
        Holder { pid, command: command_line(pid) }
    }
}

/// How to take a lock.
#[derive(Clone, Copy, Debug, Default)]
pub struct LockOptions {
    /// `--wait-for-lock`: for as long as it takes.
    pub wait: bool,
    /// `core.hardlink_lock`.
    pub hardlink: bool,
}

/// A lock that is held. Dropping it lets go.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    held: Option<Held>,
}

#[derive(Debug)]
enum Held {
    Flock(File),
    /// The claim.
    Link(PathBuf),
}

impl Lock {
    /// Takes the lock at `path`, waiting up to three seconds, or without end. `waiting` is called once, when the first
    /// attempt has failed, with the holder as far as it is known.
    pub fn acquire(path: &Path, options: LockOptions, waiting: impl FnMut(Option<&Holder>)) -> Result<Lock, LockError> {
        let failed = |error| LockError::File { path: path.to_owned(), error };
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(failed)?;
        }
        let claim = match options.hardlink {
            true => Some(Claim::new(path).map_err(failed)?),
            false => None,
        };
        let held = patiently(path, options.wait, waiting, || match &claim {
            Some(claim) => claim.link(path).map_err(failed),
            None => flock(path).map_err(failed),
        })?;
        if let Some(claim) = claim {
            claim.keep();
        }
        Ok(Lock { path: path.to_owned(), held: Some(held) })
    }

    /// Takes the lock if it is free.
    pub fn try_acquire(path: &Path, hardlink: bool) -> Result<Option<Lock>, LockError> {
        let failed = |error| LockError::File { path: path.to_owned(), error };
        let claim = if hardlink { Some(Claim::new(path).map_err(failed)?) } else { None };
        let held = match &claim {
            Some(claim) => claim.link(path).map_err(failed)?,
            None => flock(path).map_err(failed)?,
        };
        if let (Some(claim), true) = (claim, held.is_some()) {
            claim.keep();
        }
        Ok(held.map(|held| Lock { path: path.to_owned(), held: Some(held) }))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets go. The file stays, as stock leaves it.
    pub fn release(mut self) {
        self.let_go();
    }

    fn let_go(&mut self) {
        match self.held.take() {
            // Closing the file is what lets go.
            Some(Held::Flock(file)) => drop(file),
            Some(Held::Link(claim)) => {
                // Only what is still ours: somebody may have removed the lock by hand and taken it.
                if fs::read(&self.path).is_ok_and(|text| text == name_of(&claim)) {
                    let _ = fs::remove_file(&self.path);
                }
                let _ = fs::remove_file(&claim);
            }
            None => {}
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Tries until it succeeds: three seconds, or without end. `path` is a file that tells who is in the way.
pub(crate) fn patiently<T, E: From<LockError>>(
    path: &Path,
    without_end: bool,
    mut waiting: impl FnMut(Option<&Holder>),
    mut attempt: impl FnMut() -> Result<Option<T>, E>,
) -> Result<T, E> {
    let start = Instant::now();
    let mut told = false;
    loop {
        if let Some(taken) = attempt()? {
            return Ok(taken);
        }
        if !without_end && start.elapsed() >= PATIENCE {
            return Err(LockError::Busy { holder: holder(path) }.into());
        }
        if !told {
            waiting(holder(path).as_ref());
            told = true;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Who holds the lock at `path`: the process whose id is in the file, if it runs.
pub fn holder(path: &Path) -> Option<Holder> {
    let mut text = String::new();
    File::open(path).ok()?.take(64).read_to_string(&mut text).ok()?;
    let pid: u32 = text.trim().parse().ok()?;
    is_running(pid).then(|| Holder::of(pid))
}

/// Whether a process of this id exists, whoever owns it.
pub(crate) fn is_running(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return false };
    rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

fn command_line(pid: u32) -> Option<String> {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> =
        raw.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(String::from_utf8_lossy).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn flock(path: &Path) -> io::Result<Option<Held>> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    // Right-aligned, as stock's library writes it.
    let text = format!(" {}\n", std::process::id());
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)?;
    Ok(Some(Held::Flock(file)))
}

/// A file that holds its own name, to be linked to the lock's.
struct Claim {
    path: PathBuf,
    kept: std::cell::Cell<bool>,
}

impl Claim {
    fn new(lock: &Path) -> io::Result<Claim> {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        // Stock's is the hash of the lock's name, the host, the process and a number by chance.
        let words = format!("{}|{}|{count}|{now}", lock.display(), std::process::id());
        let digest = Md5::digest(words.as_bytes());
        let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = lock.with_file_name(format!("{name}.lock"));
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let claim = Claim { path, kept: false.into() };
        file.write_all(&name_of(&claim.path))?;
        file.set_modified(SystemTime::now() + LIFETIME)?;
        Ok(claim)
    }

    fn link(&self, lock: &Path) -> io::Result<Option<Held>> {
        match fs::hard_link(&self.path, lock) {
            Ok(()) => return Ok(Some(Held::Link(self.path.clone()))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        // A file with one name was left by the other kind of lock: stock would wait for it for ever. Who can lock it
        // may remove it.
        if fs::metadata(lock).is_ok_and(|meta| meta.nlink() == 1)
            && holder(lock).is_none()
            && let Ok(file) = File::open(lock)
            && rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
            && fs::metadata(lock).is_ok_and(|meta| meta.nlink() == 1)
        {
            let _ = fs::remove_file(lock);
        }
        Ok(None)
    }

    fn keep(&self) {
        self.kept.set(true);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.kept.get() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn name_of(claim: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    claim.as_os_str().as_bytes().to_vec()
}
