//! Storing a body: all of it or nothing.

use std::fs::File;
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, openat, renameat, renameat_with, statat, unlinkat};
use rustix::io::Errno;
use tokio::task::JoinHandle;

use super::beneath::{self, Beneath};
use super::staging::{self, Kind};
use super::{Inner, blocking, joined, to_stat};
use crate::error::{Error, Result};
use crate::path::RelPath;
use crate::{PutOptions, Stat};

/// Pieces are gathered to this size before they are written; a body up to it takes a single trip.
const BATCH: usize = 256 * 1024;

pub(super) async fn put<S, E>(inner: Arc<Inner>, path: RelPath, body: S, options: PutOptions) -> Result<Stat>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Send,
    E: std::fmt::Display,
{
    let mut body = pin!(body);
    let mut batch = Batch::default();
    let mut received = 0u64;
    // One batch is being written while the next one arrives.
    let mut writing: Option<JoinHandle<Result<Staged>>> = None;
    let outcome = loop {
        match body.next().await {
            Some(Ok(piece)) => {
                received += piece.len() as u64;
                batch.push(piece);
                if options.length.is_some_and(|length| received > length) {
                    break Err("more bytes came than were announced".to_owned());
                }
                if batch.size < BATCH {
                    continue;
                }
                let staged = match writing.take() {
                    None => None,
                    Some(writing) => Some(joined(writing.await)?),
                };
                let (inner, path, batch) = (Arc::clone(&inner), path.clone(), std::mem::take(&mut batch));
                writing = Some(tokio::task::spawn_blocking(move || {
                    let mut staged = match staged {
                        Some(staged) => staged,
                        None => Staged::begin_checked(&inner, &path, options)?,
                    };
                    staged.write(&batch, &path)?;
                    Ok(staged)
                }));
            }
            Some(Err(error)) => break Err(error.to_string()),
            None => match options.length {
                Some(length) if length != received => {
                    break Err(format!("{received} bytes came, {length} were announced"));
                }
                _ => break Ok(()),
            },
        }
    };
    let staged = match writing {
        None => None,
        Some(writing) => Some(joined(writing.await)?),
    };
    if let Err(reason) = outcome {
        // Dropping what is staged deletes it; nothing is there any more when the caller learns of it.
        blocking(move || {
            drop(staged);
            Ok(())
        })
        .await?;
        return Err(Error::Incomplete { path: path.to_string(), reason });
    }
    blocking(move || {
        let mut staged = match staged {
            Some(staged) => staged,
            None => Staged::begin(&inner, &path)?,
        };
        staged.write(&batch, &path)?;
        staged.publish(&inner, &path, options)
    })
    .await
}

#[derive(Default)]
struct Batch {
    pieces: Vec<Bytes>,
    size: usize,
}

impl Batch {
    fn push(&mut self, piece: Bytes) {
        self.size += piece.len();
        self.pieces.push(piece);
    }
}

/// A file in the staging folder. Unless it is published, it goes when this value goes.
struct Staged {
    root: Arc<Beneath>,
    staging: OwnedFd,
    name: String,
    file: File,
    published: bool,
}

impl Staged {
    fn begin(inner: &Inner, path: &RelPath) -> Result<Staged> {
        let root = inner.root()?;
        let staging = staging::open(&root)?;
        // Owner, group and others get what the umask leaves, as from any program that makes a file.
        let mode = Mode::from_raw_mode(0o666);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            let name = staging::fresh_name(Kind::Upload);
            match openat(&staging, &name, flags, mode) {
                Ok(file) => {
                    return Ok(Staged { root, staging, name, file: File::from(file), published: false });
                }
                Err(Errno::EXIST) => {}
                Err(errno) => {
                    return Err(Error::from_errno(errno, "beginning to write", path.as_str()));
                }
            }
        }
    }

    /// For a large body: learns before gigabytes have arrived what publishing would say at the end.
    fn begin_checked(inner: &Inner, path: &RelPath, options: PutOptions) -> Result<Staged> {
        match inner.root()?.open_dir(path.parent().as_str(), false) {
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
            Ok(parent) => match statat(&parent, path.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(Error::from_errno(errno, "looking at", path.as_str())),
                Ok(there) if FileType::from_raw_mode(there.st_mode) == FileType::Directory => {
                    return Err(Error::IsADirectory { path: path.to_string() });
                }
                Ok(_) if options.if_absent => {
                    return Err(Error::AlreadyExists { path: path.to_string() });
                }
                Ok(_) => {}
            },
        }
        Staged::begin(inner, path)
    }

    fn write(&mut self, batch: &Batch, path: &RelPath) -> Result<()> {
        for piece in &batch.pieces {
            self.file.write_all(piece).map_err(|source| Error::from_io(source, "writing", path.as_str()))?;
        }
        Ok(())
    }

    fn publish(mut self, inner: &Inner, path: &RelPath, options: PutOptions) -> Result<Stat> {
        let sync = inner.options.sync;
        if sync {
            self.file.sync_data().map_err(|source| Error::from_io(source, "syncing", path.as_str()))?;
        }
        let stat = to_stat(&beneath::fstat(&self.file, path.as_str())?, path.as_str())?;
        let parent_path = path.parent();
        // The directory may be deleted between making it and using it: then it is made again.
        for _ in 0..16 {
            let parent = match self.root.make_dirs(parent_path.as_str(), sync) {
                Err(Error::NotFound { .. }) => continue,
                outcome => outcome?,
            };
            match self.rename(&parent, path.file_name(), options.if_absent) {
                Ok(()) => {
                    self.published = true;
                    inner.sync_dir(&parent, path)?;
                    return Ok(stat);
                }
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(rename_failed(errno, path)),
            }
        }
        Err(rename_failed(Errno::NOENT, path))
    }

    fn rename(&self, parent: &OwnedFd, name: &str, if_absent: bool) -> rustix::io::Result<()> {
        if !if_absent {
            return renameat(&self.staging, &self.name, parent, name);
        }
        match renameat_with(&self.staging, &self.name, parent, name, RenameFlags::NOREPLACE) {
            // Some network file systems cannot: a hard link fails on what exists everywhere.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::linkat(&self.staging, &self.name, parent, name, AtFlags::empty())?;
                let _ = unlinkat(&self.staging, &self.name, AtFlags::empty());
                Ok(())
            }
            outcome => outcome,
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be deleted now is swept a day later.
            let _ = unlinkat(&self.staging, &self.name, AtFlags::empty());
        }
    }
}

fn rename_failed(errno: Errno, path: &RelPath) -> Error {
    match errno {
        Errno::XDEV => Error::Io {
            doing: format!(
                "storing '{path}', whose directory is on another file system than the folder it belongs to,"
            ),
            source: errno.into(),
        },
        // A directory in place of the file is NOTEMPTY or EXIST to some file systems.
        Errno::NOTEMPTY => Error::IsADirectory { path: path.to_string() },
        other => Error::from_errno(other, "storing", path.as_str()),
    }
}
