//! Deleting one object, many, or all below a directory.

use futures_util::stream::{StreamExt, TryStreamExt};

use super::{Ask, Bucket, refuse_root};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::path::RelPath;

/// How many requests to delete are under way at once.
const AT_ONCE: usize = 16;

impl Bucket {
    pub async fn delete_file(&self, path: &RelPath) -> Result<()> {
        refuse_root(path)?;
        let bucket = &self.0;
        let key = bucket.key(path)?;
        // S3 says the same whether there was something or not.
        let found = match &bucket.service {
            super::Service::S3(_) => bucket.service.head(&key, None).await.map(|_| ()),
            _ => Ok(()),
        };
        let outcome = match found {
            Ok(()) => bucket.service.delete(&key).await,
            Err(fault) => Err(fault),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(Fault::Missing) if bucket.is_dir(path).await? => Err(Error::IsADirectory { path: path.to_string() }),
            Err(fault) => Err(bucket.error(fault, path)),
        }
    }

    /// Deletes files whether they are there or not.
    pub async fn delete_many(&self, paths: &[RelPath]) -> Result<()> {
        let keys = paths.iter().map(|path| refuse_root(path).and_then(|()| self.0.key(path)));
        self.delete_keys(keys.collect::<Result<_>>()?, &RelPath::root()).await
    }

    /// Page for page, so that it is bounded whatever lies there. What was deleted until something went
    /// wrong stays deleted, and asking again goes on.
    pub async fn delete_tree(&self, path: &RelPath) -> Result<()> {
        refuse_root(path)?;
        let bucket = &self.0;
        let prefix = bucket.dir_prefix(path);
        let (mut any, mut after) = (false, None);
        loop {
            let ask = Ask { prefix: &prefix, level: false, after: after.as_deref(), most: 1000 };
            let page = bucket.service.list(ask).await.map_err(|fault| bucket.error(fault, path))?;
            any |= !page.files.is_empty();
            self.delete_keys(page.files.into_iter().map(|file| file.key).collect(), path).await?;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if any {
            return Ok(());
        }
        Err(match bucket.service.head(&bucket.key(path)?, None).await {
            Ok(_) => Error::NotADirectory { path: path.to_string() },
            Err(fault) => bucket.error(fault, path),
        })
    }

    async fn delete_keys(&self, keys: Vec<String>, path: &RelPath) -> Result<()> {
        let bucket = &self.0;
        let batches: Vec<_> = keys.chunks(bucket.service.deletes_at_once()).map(<[String]>::to_vec).collect();
        let deleting = batches.into_iter().map(|batch| async move { bucket.service.delete_many(&batch).await });
        futures_util::stream::iter(deleting)
            .buffer_unordered(AT_ONCE)
            .try_for_each(|()| std::future::ready(Ok(())))
            .await
            .map_err(|fault| bucket.error(fault, path))
    }
}
