//! A folder as a remote.

mod beneath;
mod list;
mod read;
mod remove;
mod staging;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::Stream;
use rustix::fs::{AtFlags, FileType, OFlags};

use crate::error::{Error, Result};
use crate::path::RelPath;
use crate::{Entry, Object, Options, PutOptions, Stat};

pub(crate) use read::{FileStream, Source};

use beneath::Beneath;

pub(crate) struct Folder(Arc<Inner>);

pub(crate) struct Inner {
    /// Absolute.
    path: PathBuf,
    options: Options,
    root: Mutex<Arc<Beneath>>,
}

impl Folder {
    pub(crate) async fn open(path: PathBuf, options: Options) -> Result<Folder> {
        blocking(move || {
            let path = std::path::absolute(&path)
                .map_err(|source| Error::Io { doing: format!("finding the folder '{}'", path.display()), source })?;
            let root = Beneath::at(&path, options.resolve)?;
            staging::sweep(&root, SystemTime::now())?;
            Ok(Folder(Arc::new(Inner { path, options, root: Mutex::new(Arc::new(root)) })))
        })
        .await
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }

    pub(crate) async fn get(&self, path: &RelPath) -> Result<Object> {
        self.run(path, |inner, path| read::get(&*inner.root()?, &path)).await
    }

    pub(crate) async fn stat(&self, path: &RelPath) -> Result<Stat> {
        self.run(path, |inner, path| {
            let file = inner.root()?.open(path.as_str(), OFlags::PATH)?;
            let stat = beneath::fstat(&file, path.as_str())?;
            to_stat(&stat, path.as_str())
        })
        .await
    }

    pub(crate) async fn list(&self, path: &RelPath) -> Result<Vec<Entry>> {
        self.run(path, |inner, path| list::list(&*inner.root()?, &path)).await
    }

    pub(crate) async fn put<S, E>(&self, path: &RelPath, body: S, options: PutOptions) -> Result<Stat>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send,
        E: std::fmt::Display,
    {
        refuse_root(path)?;
        write::put(Arc::clone(&self.0), path.clone(), body, options).await
    }

    pub(crate) async fn delete_file(&self, path: &RelPath) -> Result<()> {
        refuse_root(path)?;
        self.run(path, |inner, path| {
            let root = inner.root()?;
            let parent = root.open_dir(path.parent().as_str(), inner.options.sync)?;
            rustix::fs::unlinkat(&parent, path.file_name(), AtFlags::empty())
                .map_err(|errno| Error::from_errno(errno, "deleting", path.as_str()))?;
            inner.sync_dir(&parent, &path)
        })
        .await
    }

    pub(crate) async fn delete_tree(&self, path: &RelPath) -> Result<()> {
        refuse_root(path)?;
        self.run(path, |inner, path| {
            let root = inner.root()?;
            let parent = root.open_dir(path.parent().as_str(), inner.options.sync)?;
            remove::tree(&root, &parent, &path)?;
            inner.sync_dir(&parent, &path)
        })
        .await
    }

    pub(crate) async fn remove_empty_dir(&self, path: &RelPath) -> Result<()> {
        refuse_root(path)?;
        self.run(path, |inner, path| {
            let removed = inner.root()?.open_dir(path.parent().as_str(), false).and_then(|parent| {
                let removed = rustix::fs::unlinkat(&parent, path.file_name(), AtFlags::REMOVEDIR);
                removed.map_err(|errno| Error::from_errno(errno, "deleting the empty", path.as_str()))
            });
            match removed {
                Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
                Err(Error::NotFound { .. } | Error::NotADirectory { .. }) => Ok(()),
                removed => removed,
            }
        })
        .await
    }

    async fn run<T, F>(&self, path: &RelPath, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Inner, RelPath) -> Result<T> + Send + 'static,
    {
        let (inner, path) = (Arc::clone(&self.0), path.clone());
        blocking(move || work(&inner, path)).await
    }
}

impl Inner {
    /// The open handle of the folder. One that was deleted under us is made anew.
    fn root(&self) -> Result<Arc<Beneath>> {
        let mut root = self.root.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if root.was_deleted() {
            *root = Arc::new(Beneath::at(&self.path, self.options.resolve)?);
        }
        Ok(Arc::clone(&root))
    }

    fn sync_dir(&self, dir: &rustix::fd::OwnedFd, path: &RelPath) -> Result<()> {
        if self.options.sync {
            rustix::fs::fsync(dir)
                .map_err(|errno| Error::from_errno(errno, "syncing the directory of", path.as_str()))?;
        }
        Ok(())
    }
}

fn refuse_root(path: &RelPath) -> Result<()> {
    if path.is_root() {
        return Err(Error::InvalidPath { path: String::new(), reason: "the root itself cannot be written or deleted" });
    }
    Ok(())
}

fn to_stat(stat: &rustix::fs::Stat, path: &str) -> Result<Stat> {
    let is_dir = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => true,
        FileType::RegularFile => false,
        _ => {
            return Err(Error::InvalidPath { path: path.to_owned(), reason: "it is neither a file nor a directory" });
        }
    };
    let (seconds, nanos) = (stat.st_mtime, stat.st_mtime_nsec);
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    Ok(Stat {
        size: if is_dir { 0 } else { size },
        is_dir,
        modified: u64::try_from(seconds).ok().map(|seconds| UNIX_EPOCH + Duration::new(seconds, nanos as u32)),
        // Every write makes a new file, so the inode tells apart what was written within one clock tick.
        etag: (!is_dir).then(|| format!("{seconds:x}.{nanos:x}-{size:x}-{:x}", stat.st_ino)),
        ..Stat::default()
    })
}

/// One trip to the blocking pool.
async fn blocking<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    joined(tokio::task::spawn_blocking(work).await)
}

fn joined<T>(outcome: std::result::Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    outcome.unwrap_or_else(|stopped| {
        Err(Error::Io { doing: "work on the file system".to_owned(), source: std::io::Error::other(stopped) })
    })
}
