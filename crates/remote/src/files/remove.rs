//! Deleting one file, many, or a folder.

use futures_util::stream::{StreamExt, TryStreamExt};

use super::{Files, refuse_root};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::path::RelPath;

/// How many files are being deleted at once.
const AT_ONCE: usize = 16;

impl Files {
    pub async fn delete_file(&self, path: &RelPath) -> Result<()> {
        refuse_root(path)?;
        let files = &self.0;
        match files.look(path).await? {
            Some(meta) if meta.is_dir => Err(Error::IsADirectory { path: path.to_string() }),
            Some(_) => files.service.delete_file(&files.place(path)).await.map_err(|fault| files.error(fault, path)),
            None => Err(files.missing(path).await),
        }
    }

    /// Deletes files whether they are there or not.
    pub async fn delete_many(&self, paths: &[RelPath]) -> Result<()> {
        paths.iter().try_for_each(refuse_root)?;
        let deleting = paths.iter().cloned().map(|path| {
            let files = &self.0;
            async move {
                match files.service.delete_file(&files.place(&path)).await {
                    Ok(()) | Err(Fault::Missing) => Ok(()),
                    Err(fault) => Err(files.error(fault, &path)),
                }
            }
        });
        futures_util::stream::iter(deleting)
            .buffer_unordered(AT_ONCE)
            .try_for_each(|()| std::future::ready(Ok(())))
            .await
    }

    pub async fn delete_tree(&self, path: &RelPath) -> Result<()> {
        refuse_root(path)?;
        let files = &self.0;
        match files.look(path).await? {
            Some(meta) if meta.is_dir => {}
            Some(_) => return Err(Error::NotADirectory { path: path.to_string() }),
            None => return Err(files.missing(path).await),
        }
        files.forget(path);
        files.service.delete_tree(&files.place(path)).await.map_err(|fault| files.error(fault, path))
    }

    pub async fn remove_empty_dir(&self, path: &RelPath) -> Result<()> {
        refuse_root(path)?;
        let files = &self.0;
        files.forget(path);
        match files.service.delete_dir(&files.place(path)).await {
            Ok(()) | Err(Fault::Missing | Fault::Taken) => Ok(()),
            Err(fault) => Err(files.error(fault, path)),
        }
    }
}
