//! The temporary folder of a service: its data, its configuration, its log. It goes with the service;
//! one whose process was killed before it could remove it goes when the next service starts.

use std::env;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;

use crate::Result;

const PREFIX: &str = "trackway-service-";

/// Locked as long as the folder is in use.
const LOCK: &str = "in-use";

#[derive(Debug)]
pub struct Folder {
    folder: TempDir,
    _lock: File,
    owner: Option<(u32, u32)>,
}

impl Folder {
    pub fn new(service: &str) -> Result<Self> {
        sweep()?;
        let folder = tempfile::Builder::new().prefix(&format!("{PREFIX}{service}-")).tempdir()?;
        // Another sweep takes a folder only when it finds this file, and finds it not locked.
        let lock = File::create(folder.path().join("new"))?;
        lock.lock()?;
        fs::rename(folder.path().join("new"), folder.path().join(LOCK))?;
        Ok(Self { folder, _lock: lock, owner: None })
    }

    /// One that belongs to PostgreSQL's user, because its programs refuse to run as root; only if
    /// we are root, else it belongs to us and they run as we do.
    pub fn for_postgres(service: &str) -> Result<Self> {
        let mut folder = Self::new(service)?;
        if rustix::process::geteuid().is_root() {
            folder.owner = Some(ids_of("postgres")?);
            folder.own(folder.path())?;
        }
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file that the service may read and nobody else.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        self.own(&path)?;
        Ok(path)
    }

    /// Gives a path, and all beneath it, to a user that a server started by root takes on by itself, and lets
    /// that user through the folder.
    pub fn give(&self, path: &Path, user: &str) -> Result {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        fs::set_permissions(self.path(), Permissions::from_mode(0o711))?;
        give_all(path, ids_of(user)?)
    }

    /// Gives a path, and all beneath it, to the user that the service runs as.
    pub fn own(&self, path: &Path) -> Result {
        self.owner.map_or(Ok(()), |owner| give_all(path, owner))
    }
}

fn give_all(path: &Path, owner: (u32, u32)) -> Result {
    chown(path, Some(owner.0), Some(owner.1)).with_context(|| format!("{} cannot be given away", path.display()))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            give_all(&entry?.path(), owner)?;
        }
    }
    Ok(())
}

/// Removes the folders of services whose process is gone.
fn sweep() -> Result {
    for entry in fs::read_dir(env::temp_dir())? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        // Not there, not ours, or just removed by another sweep: all the same.
        if let Ok(lock) = File::open(entry.path().join(LOCK))
            && lock.try_lock().is_ok()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

fn ids_of(user: &str) -> Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    let ids = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(user)).then(|| Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?)))?
    });
    ids.with_context(|| {
        format!("There is no user {user}; `cargo xtask services install` installs the package that makes it")
    })
}
