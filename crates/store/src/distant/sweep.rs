//! What `gc` asks of a remote: everything that it has, and to delete some of it.

use std::path::Path;

use futures_util::StreamExt;
use trackway_remote::{Listing, RelPath};

use super::existence::PAGE;
use super::{Distant, QUESTIONS, is_absent};
use crate::collect::Folder as Shard;
use crate::{Oid, Progress, Result};

impl Distant {
    /// Every two-character folder, as `list_folders` finds them on a disk.
    pub fn folders(&self, progress: &dyn Progress) -> Result<Vec<Shard>> {
        let names = self.wait(progress, async {
            match self.remote.list(&self.objects).await {
                Err(error) if is_absent(&error) => Ok(Vec::new()),
                entries => Ok(entries?),
            }
        })?;
        let names = names.into_iter().filter(|entry| entry.is_dir && entry.name.chars().count() == 2);
        let shards = names.map(|entry| {
            let (remote, objects, place) = (self.remote.clone(), self.objects.clone(), self.place.join(&entry.name));
            self.spawn(async move {
                let dir = objects.join(&RelPath::new(entry.name.clone())?)?;
                let mut shard = Shard::empty(place);
                let listed = match remote.list(&dir).await {
                    Err(error) if is_absent(&error) => return Ok(shard),
                    listed => listed?,
                };
                listed.iter().filter(|file| !file.is_dir).for_each(|file| shard.add(&entry.name, &file.name));
                Ok(shard)
            })
        });
        self.wait(progress, async {
            let mut shards = futures_util::stream::iter(shards).buffered(QUESTIONS);
            let mut all = Vec::new();
            while let Some(shard) = shards.next().await {
                all.push(shard?);
            }
            Ok(all)
        })
    }

    /// All objects with their sizes.
    pub fn inventory(&self, progress: &dyn Progress) -> Result<Vec<(Oid, u64)>> {
        if self.remote.capabilities().listing == Listing::Pages
            && let Some(found) = self.list_pages(None, progress)?
        {
            return Ok(found.into_iter().collect());
        }
        let objects: Vec<Oid> = self.folders(progress)?.iter().flat_map(Shard::objects).copied().collect();
        let sizes = self.sizes(&objects, progress)?;
        Ok(objects.into_iter().zip(sizes).filter_map(|(oid, size)| Some((oid, size?))).collect())
    }

    /// Deletes what the folders name: all lists before the rest.
    pub fn delete(&self, folders: &[Shard], progress: &dyn Progress) -> Result<()> {
        for lists in [true, false] {
            let mut keys = Vec::new();
            for (is_list, path) in folders.iter().flat_map(Shard::files) {
                let below = path.strip_prefix(&self.place).ok().and_then(Path::to_str);
                if let Some(below) = below.filter(|_| is_list == lists) {
                    keys.push(self.objects.join(&RelPath::new(below)?)?);
                }
            }
            for keys in keys.chunks(PAGE) {
                self.wait(progress, async { Ok(self.remote.delete_many(keys).await?) })?;
                progress.add(keys.len() as u64, 0);
            }
        }
        Ok(())
    }
}
