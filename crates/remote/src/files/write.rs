//! Storing a body: under a temporary name, which is renamed when all of it is there.
//!
//! The temporary file lies in the file's own folder or, where that is still to be made, in the nearest that is
//! there: so a body that breaks off leaves no folders behind either.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;

use super::{Files, Inner, TEMPORARY, refuse_root, stat};
use crate::bucket::random_id;
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::http::back_off;
use crate::path::RelPath;
use crate::task::Task;
use crate::{PutOptions, Stat};

/// Sent before anybody would miss having been told that it cannot be stored.
const SMALL: u64 = 1 << 20;

/// How often a folder is made again that somebody deletes at the same time.
const MOST_FOLDERS_LOST: u32 = 16;

impl Files {
    /// Makes the remote's folder if it is not there.
    pub async fn prepare(&self) -> Result<()> {
        let (files, root) = (&self.0, RelPath::root());
        let failed = |told: &str| files.error(Fault::Other(told.to_owned()), &root);
        if files.look(&root).await?.is_none() {
            match files.make_dirs(&files.place(&root)).await {
                Ok(()) | Err(Fault::Missing | Fault::NotADirectory) => {}
                Err(fault) => return Err(files.error(fault, &root)),
            }
        }
        match files.look(&root).await? {
            Some(meta) if meta.is_dir => Ok(()),
            Some(_) => Err(failed("a file lies there, and a folder is needed")),
            None => Err(failed("its folder is not there and cannot be made")),
        }
    }

    pub async fn put<S, E>(&self, path: &RelPath, body: S, options: PutOptions) -> Result<Stat>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send,
        E: std::fmt::Display,
    {
        refuse_root(path)?;
        let files = &self.0;
        if !files.service.allows(path.as_str()) {
            return Err(Error::InvalidPath { path: path.to_string(), reason: "HDFS has no names with a colon" });
        }
        let mut body = pin!(body);
        let taken = Mutex::new(Taken::default());
        let mut lost = 0;
        let temporary = loop {
            let dir = files.nearest(path).await?;
            let temporary = Temporary::new(files, &dir);
            // Learns before gigabytes have been sent what renaming would say at the end.
            let is_small = options.length.is_some_and(|length| length <= SMALL) && !options.if_absent;
            let checking = match is_small && files.service.is_told_by_renaming() {
                true => None,
                false => {
                    let (files, path) = (Arc::clone(files), path.clone());
                    Some(Task::begin(async move { files.may_be_stored(&path, options).await }))
                }
            };
            let watched = Watched {
                body: body.as_mut(),
                taken: &taken,
                path,
                announced: options.length,
                at_end: false,
                checking,
            };
            let fault = match files.service.write(&temporary.place, Box::pin(watched), options.length).await {
                Ok(()) => break temporary,
                Err(fault) => fault,
            };
            temporary.remove().await;
            let (stopped, bytes) = {
                let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
                (taken.stopped.take(), taken.bytes)
            };
            match (stopped, fault) {
                (Some(error), _) => return Err(error),
                (None, Fault::Missing) => {
                    files.forget(&dir);
                    lost += 1;
                    if bytes > 0 || lost >= MOST_FOLDERS_LOST {
                        let reason = "its folder was deleted while it was written: try again".to_owned();
                        return Err(Error::Incomplete { path: path.to_string(), reason });
                    }
                }
                (None, fault) => return Err(files.error(fault, path)),
            }
        };
        let size = taken.into_inner().unwrap_or_else(PoisonError::into_inner).bytes;
        let published = files.publish(&temporary.place, path, size, options.if_absent).await;
        match published {
            Ok(_) => temporary.published(),
            Err(_) => temporary.remove().await,
        }
        published
    }
}

impl Inner {
    /// The folder nearest to `path` that is there: its own, else one above; the root is made.
    async fn nearest(&self, path: &RelPath) -> Result<RelPath> {
        let mut dir = path.parent();
        loop {
            let place = self.place(&dir);
            if self.known().contains(&place) {
                return Ok(dir);
            }
            match self.look(&dir).await? {
                Some(meta) if meta.is_dir => {
                    self.known().insert(place);
                    return Ok(dir);
                }
                Some(_) => return Err(Error::NotADirectory { path: path.to_string() }),
                None if dir.is_root() => {
                    self.make_dirs(&place).await.map_err(|fault| match fault {
                        Fault::Missing => {
                            self.error(Fault::Other(format!("the folder '{place}' cannot be made")), path)
                        }
                        fault => self.error(fault, path),
                    })?;
                    return Ok(dir);
                }
                None => dir = dir.parent(),
            }
        }
    }

    /// Whether what lies at `path` may be replaced.
    async fn may_be_stored(&self, path: &RelPath, options: PutOptions) -> Result<()> {
        match self.look(path).await? {
            Some(meta) if meta.is_dir => Err(Error::IsADirectory { path: path.to_string() }),
            Some(_) if options.if_absent => Err(Error::AlreadyExists { path: path.to_string() }),
            _ => Ok(()),
        }
    }

    /// Makes a folder and those above it that are missing. That somebody else does so too is no fault.
    async fn make_dirs(&self, place: &str) -> Result<(), Fault> {
        let mut missing = vec![place];
        // Each once, and some more that others delete meanwhile. There are folders, as /proc, in which none can be made
        // and which say so by the same word.
        let mut most = place.matches('/').count() + MOST_FOLDERS_LOST as usize;
        while let Some(dir) = missing.last() {
            if self.known().contains(*dir) {
                missing.pop();
                continue;
            }
            match self.service.make_dir(dir).await {
                Ok(()) | Err(Fault::Taken) => {
                    self.known().insert((*dir).to_owned());
                    missing.pop();
                }
                Err(Fault::Missing) => match dir.rsplit_once('/') {
                    Some((above, _)) if !above.is_empty() && most > 0 => {
                        most -= 1;
                        self.known().remove(above);
                        missing.push(above);
                    }
                    _ => return Err(Fault::Missing),
                },
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    /// Forgets that this folder, and what lies below it, was there.
    pub(super) fn forget(&self, dir: &RelPath) {
        let place = self.place(dir);
        self.known().retain(|known| !(known.starts_with(&place) || place.starts_with(known.as_str())));
    }

    /// Gives a temporary file, which must be `size` long, its name.
    async fn publish(&self, temporary: &str, path: &RelPath, size: u64, if_absent: bool) -> Result<Stat> {
        let failed = |fault| self.error(fault, path);
        if !self.service.checks_lengths() {
            self.check_length(temporary, path, size).await?;
        }
        let (place, parent) = (self.place(path), path.parent());
        let (mut failures, mut lost) = (0, 0);
        loop {
            self.make_dirs(&self.place(&parent)).await.map_err(|fault| match fault {
                Fault::Missing => Error::NotADirectory { path: path.to_string() },
                fault => failed(fault),
            })?;
            let outcome = match if_absent {
                true => self.service.rename_new(temporary, &place).await,
                false => self.service.rename(temporary, &place).await,
            };
            let fault = match outcome {
                // Some change the time when they rename.
                Ok(()) if !self.service.is_told_by_renaming() => return self.check_length(&place, path, size).await,
                Ok(()) => return Ok(Stat { size, ..Stat::default() }),
                Err(fault) => fault,
            };
            // Whether a connection broke before or after it was done shows in where the file is now.
            let is_ours = failures > 0
                && matches!(fault, Fault::Missing | Fault::Taken)
                && self.service.stat(temporary).await.map_err(failed)?.is_none();
            if is_ours {
                match self.service.stat(&place).await.map_err(failed)? {
                    Some(found) if !found.is_dir && found.size == size => return Ok(stat(&found)),
                    _ => {}
                }
            }
            match fault {
                Fault::Missing if lost < MOST_FOLDERS_LOST => {
                    lost += 1;
                    self.forget(&parent);
                }
                Fault::Unreachable(_) if failures + 1 < self.attempts => {
                    failures += 1;
                    tokio::time::sleep(back_off(failures)).await;
                }
                Fault::Taken => return Err(Error::AlreadyExists { path: path.to_string() }),
                fault => {
                    return Err(match self.look(path).await {
                        Ok(Some(meta)) if meta.is_dir => Error::IsADirectory { path: path.to_string() },
                        Ok(None) if matches!(fault, Fault::Missing | Fault::Other(_)) => {
                            self.store_failed(path, fault).await
                        }
                        _ => failed(fault),
                    });
                }
            }
        }
    }

    async fn check_length(&self, place: &str, path: &RelPath, size: u64) -> Result<Stat> {
        match self.service.stat(place).await.map_err(|fault| self.error(fault, path))? {
            Some(meta) if meta.size == size && !meta.is_dir => Ok(stat(&meta)),
            Some(meta) => {
                let reason = format!("{size} bytes were sent, and the store has {}", meta.size);
                Err(Error::Damaged { path: path.to_string(), reason })
            }
            None => {
                let reason = "it was deleted while it was written: try again".to_owned();
                Err(Error::Incomplete { path: path.to_string(), reason })
            }
        }
    }

    async fn store_failed(&self, path: &RelPath, fault: Fault) -> Error {
        match self.missing(path).await {
            Error::NotFound { .. } => match fault {
                Fault::Missing => self.error(Fault::Other("its folder cannot be made".to_owned()), path),
                fault => self.error(fault, path),
            },
            error => error,
        }
    }
}

/// What was taken from a body so far.
#[derive(Default)]
struct Taken {
    bytes: u64,
    /// Why it is not to be stored.
    stopped: Option<Error>,
}

/// A body that is counted, and that does not end well unless it is as long as announced and may be stored.
///
/// What speaks against it comes to whoever writes it as a fault of the body, so that he ends in an orderly way:
/// one that is merely dropped could make the file after it was deleted.
struct Watched<'a, S> {
    body: Pin<&'a mut S>,
    taken: &'a Mutex<Taken>,
    path: &'a RelPath,
    announced: Option<u64>,
    at_end: bool,
    checking: Option<Task<Result<()>>>,
}

impl<S, E> Stream for Watched<'_, S>
where
    S: Stream<Item = std::result::Result<Bytes, E>>,
    E: std::fmt::Display,
{
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(checking) = &mut self.checking
            && let Poll::Ready(checked) = Pin::new(checking).poll(cx)
        {
            self.checking = None;
            if let Err(error) = checked {
                return self.stop(error);
            }
        }
        if self.at_end {
            return match self.checking {
                Some(_) => Poll::Pending,
                None => Poll::Ready(None),
            };
        }
        let Poll::Ready(next) = self.body.as_mut().poll_next(cx) else { return Poll::Pending };
        let broken = match next {
            Some(Ok(piece)) => {
                let bytes = {
                    let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                    taken.bytes += piece.len() as u64;
                    taken.bytes
                };
                match self.announced.is_some_and(|announced| bytes > announced) {
                    true => "more bytes came than were announced".to_owned(),
                    false => return Poll::Ready(Some(Ok(piece))),
                }
            }
            Some(Err(error)) => error.to_string(),
            None => {
                let bytes = self.taken.lock().unwrap_or_else(PoisonError::into_inner).bytes;
                match self.announced.filter(|announced| *announced != bytes) {
                    Some(announced) => format!("{bytes} bytes came, {announced} were announced"),
                    None => {
                        self.at_end = true;
                        // The check was asked above, and wakes us.
                        return match self.checking {
                            Some(_) => Poll::Pending,
                            None => Poll::Ready(None),
                        };
                    }
                }
            }
        };
        let path = self.path.to_string();
        self.stop(Error::Incomplete { path, reason: broken })
    }
}

impl<S> Watched<'_, S> {
    fn stop(&self, error: Error) -> Poll<Option<Result<Bytes, Fault>>> {
        let told = error.to_string();
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).stopped = Some(error);
        Poll::Ready(Some(Err(Fault::WrongParts(told))))
    }
}

/// A file under a temporary name. Unless it was published, it goes when this value goes.
struct Temporary {
    files: Arc<Inner>,
    place: String,
    gone: bool,
}

impl Temporary {
    fn new(files: &Arc<Inner>, dir: &RelPath) -> Temporary {
        let place = files.place(dir);
        let place = format!("{}/{TEMPORARY}{}.tmp", place.trim_end_matches('/'), random_id());
        Temporary { files: Arc::clone(files), place, gone: false }
    }

    fn published(mut self) {
        self.gone = true;
    }

    async fn remove(mut self) {
        // What cannot be deleted now is swept a day later.
        let _ = self.files.service.delete_file(&self.place).await;
        self.gone = true;
    }
}

impl Files {
    /// Waits until the temporary files of bodies that were given up are gone.
    pub async fn settle(&self) {
        let removals = std::mem::take(&mut *self.0.removals.lock().unwrap_or_else(PoisonError::into_inner));
        removals.join_all().await;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let (false, Ok(runtime)) = (self.gone, tokio::runtime::Handle::try_current()) else { return };
        let (files, place) = (Arc::clone(&self.files), std::mem::take(&mut self.place));
        let removal = async move {
            let _ = files.service.delete_file(&place).await;
        };
        let mut removals = self.files.removals.lock().unwrap_or_else(PoisonError::into_inner);
        while removals.try_join_next().is_some() {}
        removals.spawn_on(removal, &runtime);
    }
}
