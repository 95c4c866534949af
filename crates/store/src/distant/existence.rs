//! Which objects a remote has: by asking for each, or by listing what it has, whichever is less work.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use trackway_remote::{Listing, RelPath, Remote};

use super::{Distant, QUESTIONS, is_absent};
use crate::{Oid, Progress, Result};

/// Up to so many are asked for one by one.
const ASK_UP_TO: usize = 8;
/// A listing gives so many names with a request.
pub(super) const PAGE: usize = 1000;
/// So many names are had by one page after another about as fast as by several lists at once, with fewer requests.
const IN_TURN: usize = 5 * PAGE / 2;
/// A remote of folders is listed if each holds about so many times what is asked for, or less.
const LIST_UP_TO: usize = 16;

impl Distant {
    /// The object's size; `None` if there is none.
    pub fn size(&self, oid: &Oid) -> Result<Option<u64>> {
        self.runtime.block_on(size(self.remote.clone(), self.key(oid)?))
    }

    /// The sizes of those that are there: by listing what the remote has, or by asking for each, whichever is less work.
    pub fn sizes(&self, oids: &[Oid], progress: &dyn Progress) -> Result<Vec<Option<u64>>> {
        if oids.len() <= ASK_UP_TO {
            return self.ask_for(oids, progress);
        }
        let found = match self.remote.capabilities().listing {
            Listing::Pages => self.list_pages(Some(oids.len()), progress)?,
            Listing::Folders => self.list_folders_of(oids, progress)?,
            Listing::Never => None,
        };
        match found {
            Some(found) => Ok(oids.iter().map(|oid| found.get(oid).copied()).collect()),
            None => self.ask_for(oids, progress),
        }
    }

    fn ask_for(&self, oids: &[Oid], progress: &dyn Progress) -> Result<Vec<Option<u64>>> {
        let keys = oids.iter().map(|oid| self.key(oid)).collect::<Result<Vec<_>>>()?;
        let at_once = self.jobs.unwrap_or(QUESTIONS).clamp(1, QUESTIONS);
        let questions = keys.into_iter().map(|key| self.spawn(size(self.remote.clone(), key)));
        self.wait(progress, async {
            let mut answers = futures_util::stream::iter(questions).buffered(at_once);
            let mut sizes = Vec::with_capacity(oids.len());
            while let Some(answer) = answers.next().await {
                sizes.push(answer?);
            }
            Ok(sizes)
        })
    }

    /// Everything that the remote has. Names are hashes, so that the first page tells how many there are: if they are far more
    /// than `wanted`, it is not listed.
    pub(super) fn list_pages(
        &self,
        wanted: Option<usize>,
        progress: &dyn Progress,
    ) -> Result<Option<HashMap<Oid, u64>>> {
        let listing = Arc::new(Pages { remote: self.remote.clone(), objects: self.objects.clone() });
        self.wait(progress, async {
            let mut found = HashMap::new();
            let first = listing.remote.list_page(&listing.objects, "", None).await?;
            let last = first.files.iter().filter_map(|file| listing.oid(&file.path)).next_back();
            let estimate = match (&first.next, last) {
                (None, _) => first.files.len(),
                (Some(_), Some(last)) => {
                    let reached = (f64::from(u16::from_be_bytes([last.bytes()[0], last.bytes()[1]])) + 1.0) / 65536.0;
                    (first.files.len() as f64 / reached) as usize
                }
                // What lies there is not ours. Whoever asks for all of it gets it.
                (Some(_), None) => usize::MAX,
            };
            found.extend(first.files.iter().filter_map(|file| Some((listing.oid(&file.path)?, file.size))));
            if first.next.is_none() {
                return Ok(Some(found));
            }
            if wanted.is_some_and(|wanted| estimate / PAGE > wanted) {
                return Ok(None);
            }
            if estimate <= IN_TURN {
                let mut after = first.next;
                while after.is_some() {
                    let page = listing.remote.list_page(&listing.objects, "", after).await?;
                    found.extend(page.files.iter().filter_map(|file| Some((listing.oid(&file.path)?, file.size))));
                    after = page.next;
                }
                return Ok(Some(found));
            }
            let prefixes: Vec<String> = match estimate / PAGE {
                ..=64 => (0..16).map(|digit| format!("{digit:x}")).collect(),
                _ => (0..256).map(|shard| format!("{shard:02x}/")).collect(),
            };
            // What the first page had is not asked for again.
            let last = last.map(|last| last.hex().as_str().to_owned()).unwrap_or_default();
            let parts = prefixes.into_iter().filter(|prefix| {
                prefix.trim_end_matches('/') >= &last[..prefix.trim_end_matches('/').len().min(last.len())]
            });
            let parts = parts.map(|prefix| self.spawn(all_beginning(listing.clone(), prefix)));
            let mut parts = futures_util::stream::iter(parts).buffer_unordered(QUESTIONS);
            while let Some(part) = parts.next().await {
                found.extend(part?);
            }
            Ok(Some(found))
        })
    }

    /// The folders of these objects, if that is less work than to ask for each.
    fn list_folders_of(&self, oids: &[Oid], progress: &dyn Progress) -> Result<Option<HashMap<Oid, u64>>> {
        let mut shards: Vec<u8> = oids.iter().map(|oid| oid.bytes()[0]).collect();
        shards.sort_unstable();
        shards.dedup();
        if oids.len() < shards.len() * 2 {
            return Ok(None);
        }
        let list = |shard: u8| list_folder(self.remote.clone(), self.objects.clone(), shard);
        let (first, rest) = (shards[0], &shards[1..]);
        let mut found = self.wait(progress, list(first))?;
        if found.len() * shards.len() > oids.len() * LIST_UP_TO {
            return Ok(None);
        }
        let at_once = self.jobs.unwrap_or(QUESTIONS).clamp(1, QUESTIONS);
        self.wait(progress, async {
            let lists = rest.iter().map(|shard| self.spawn(list(*shard)));
            let mut lists = futures_util::stream::iter(lists).buffer_unordered(at_once);
            while let Some(list) = lists.next().await {
                found.extend(list?);
            }
            Ok(())
        })?;
        Ok(Some(found.into_iter().collect()))
    }
}

struct Pages {
    remote: Remote,
    objects: RelPath,
}

impl Pages {
    fn oid(&self, path: &RelPath) -> Option<Oid> {
        object_at(path.as_str().strip_prefix(self.objects.as_str())?.trim_start_matches('/'))
    }
}

/// The object that lies at `xx/…` below the folder of the objects.
fn object_at(place: &str) -> Option<Oid> {
    let (shard, rest) = place.split_once('/').filter(|(shard, _)| shard.len() == 2)?;
    Oid::parse(&format!("{shard}{rest}")).ok()
}

async fn all_beginning(pages: Arc<Pages>, begins: String) -> Result<Vec<(Oid, u64)>> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = pages.remote.list_page(&pages.objects, &begins, after).await?;
        found.extend(page.files.iter().filter_map(|file| Some((pages.oid(&file.path)?, file.size))));
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

async fn list_folder(remote: Remote, objects: RelPath, shard: u8) -> Result<Vec<(Oid, u64)>> {
    let shard = format!("{shard:02x}");
    let entries = match remote.list(&objects.join(&RelPath::new(shard.clone())?)?).await {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    let files = entries.iter().filter(|entry| !entry.is_dir);
    Ok(files.filter_map(|file| Some((Oid::parse(&format!("{shard}{}", file.name)).ok()?, file.size))).collect())
}

async fn size(remote: Remote, key: RelPath) -> Result<Option<u64>> {
    Ok(remote.stat_file(&key).await?.map(|stat| stat.size))
}
