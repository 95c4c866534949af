//! Objects in a remote that is no folder of this machine: a bucket, or whatever else `trackway_remote` reaches.
//!
//! It is DVC's and nobody's own: only objects lie in it. Each is stored whole or not at all; what comes back is hashed
//! before it enters the cache. Threads do the work (`pace.rs`), each waits for its own requests on the runtime of who
//! opened the remote.

use std::collections::HashMap;
use std::fs::File;
use std::future::Future;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::runtime::Handle;
use trackway_remote::{Listing, PutOptions, RelPath, Remote};

use crate::cache::Place;
use crate::collect::Folder as Shard;
use crate::pace::{self, Moved};
use crate::tree::MAX_TREE_BYTES;
use crate::verified::Stamp;
use crate::{Cache, Error, HashName, Hasher, Layout, Oid, Progress, Result, Tree, hash_bytes};

/// What is read, hashed and handed on at once.
const PIECE: usize = 1 << 20;
/// A body up to this size is sent in one request, out of memory.
const SMALL: u64 = 5 << 20;
/// How often it is looked whether the person has interrupted.
const LOOK: Duration = Duration::from_millis(100);
/// Up to so many are asked for one by one.
const ASK_UP_TO: usize = 8;
/// How many questions are under way at once.
const QUESTIONS: usize = 64;
/// A listing gives so many names with a request.
const PAGE: usize = 1000;
/// A remote of folders is listed if each holds about so many times what is asked for, or less.
const LIST_UP_TO: usize = 16;

pub struct Distant {
    remote: Remote,
    runtime: Handle,
    objects: RelPath,
    /// As a person names it.
    place: PathBuf,
    hash_name: HashName,
    jobs: Option<usize>,
}

impl Distant {
    /// `url` is the remote's, without anything secret. `jobs` is how many transfers there may be at once.
    pub fn new(remote: Remote, runtime: Handle, url: &str, layout: Layout, jobs: Option<usize>) -> Result<Distant> {
        let (objects, hash_name) = match layout {
            Layout::V3 => ("files/md5", HashName::Md5),
            Layout::V2 => ("", HashName::Md5Dos2Unix),
        };
        let mut place = PathBuf::from(url.trim_end_matches('/'));
        if !objects.is_empty() {
            place.push(objects);
        }
        Ok(Distant { remote, runtime, objects: RelPath::new(objects)?, place, hash_name, jobs })
    }

    pub fn place(&self) -> &Path {
        &self.place
    }

    pub fn path(&self, oid: &Oid) -> PathBuf {
        self.place.join(Place::of(oid).as_str())
    }

    pub fn hash_name(&self) -> HashName {
        self.hash_name
    }

    fn key(&self, oid: &Oid) -> Result<RelPath> {
        Ok(self.objects.join(&RelPath::new(Place::of(oid).as_str())?)?)
    }

    /// Waits for requests, as long as the person does.
    fn wait<T>(&self, progress: &dyn Progress, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime.block_on(async {
            let mut work = std::pin::pin!(work);
            loop {
                tokio::select! {
                    outcome = &mut work => return outcome,
                    () = tokio::time::sleep(LOOK) => if progress.cancelled() {
                        return Err(Error::Cancelled);
                    },
                }
            }
        })
    }

    /// Does it with every item, as many at once as is good.
    pub(crate) fn each<T: Sync>(
        &self,
        items: &[T],
        progress: &dyn Progress,
        work: &(dyn Fn(&T, &Moved) -> Result<()> + Sync),
    ) -> Result<()> {
        pace::each(items, self.jobs, &|| self.remote.pushed_back(), progress, work)
    }

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

    /// On a thread of the runtime: answers are long, and taken apart side by side.
    fn spawn<T, F>(&self, work: F) -> impl Future<Output = Result<T>> + use<T, F>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let task = AbortOnDrop(self.runtime.spawn(work));
        async move {
            let mut task = task;
            match (&mut task.0).await {
                Ok(outcome) => outcome,
                Err(failed) => Err(Error::io("asking", "the remote", std::io::Error::other(failed))),
            }
        }
    }

    /// Everything that the remote has. Names are hashes, so that the first page tells how many there are: if they are far more
    /// than `wanted`, it is not listed.
    fn list_pages(&self, wanted: Option<usize>, progress: &dyn Progress) -> Result<Option<HashMap<Oid, u64>>> {
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

    /// Stores one object from the cache. It is hashed on the way unless the cache's record knows it as it is now.
    pub(crate) fn store(&self, oid: &Oid, cache: &Cache, moved: &Moved, progress: &dyn Progress) -> Result<()> {
        let from = cache.open_object(oid)?;
        let path = cache.path(oid);
        let look = |file: &File| rustix::fs::fstat(file).map(|stat| Stamp::of(&stat));
        let before = look(&from).map_err(|errno| Error::io("looking at", &path, errno))?;
        let known = cache.verified.get(oid).is_some_and(|known| known.same_but_ctime(&before));
        let sent = self.send(
            oid,
            from.try_clone().map_err(|error| Error::io("opening", &path, error))?,
            before.size,
            &path,
            known,
            moved,
            progress,
        );
        if let Err(Error::Corrupt { .. }) = &sent {
            cache.verified.forget(oid);
        }
        sent?;
        if !known && look(&from).is_ok_and(|after| after == before) {
            cache.note(oid, before);
        }
        Ok(())
    }

    /// Stores a file from anywhere, which must be the object `oid`.
    pub(crate) fn store_file(&self, oid: &Oid, path: &Path, moved: &Moved, progress: &dyn Progress) -> Result<()> {
        let from = File::open(path).map_err(|error| Error::io("opening", path, error))?;
        let size = from.metadata().map_err(|error| Error::io("looking at", path, error))?.len();
        match self.send(oid, from, size, path, false, moved, progress) {
            Err(Error::Corrupt { .. }) => Err(Error::Changed { path: path.to_owned() }),
            outcome => outcome,
        }
    }

    /// Stores a folder's list.
    pub fn store_tree(&self, tree: &Tree) -> Result<Oid> {
        let bytes = tree.to_bytes();
        let oid = Oid::dir(*hash_bytes(HashName::Md5, &bytes).bytes());
        let key = self.key(&oid)?;
        self.runtime.block_on(self.put(&key, &oid, bytes.into()))?;
        Ok(oid)
    }

    async fn put(&self, key: &RelPath, oid: &Oid, content: Bytes) -> Result<()> {
        let length = content.len() as u64;
        let body = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(content)]);
        self.remote.put(key, body, self.options(oid, length)).await?;
        Ok(())
    }

    fn options(&self, oid: &Oid, length: u64) -> PutOptions {
        // Of the older layout the name is another hash.
        let md5 = (oid.is_dir() || self.hash_name == HashName::Md5).then(|| *oid.bytes());
        PutOptions { length: Some(length), md5, ..PutOptions::default() }
    }

    #[allow(clippy::too_many_arguments)]
    fn send(
        &self,
        oid: &Oid,
        mut from: File,
        size: u64,
        path: &Path,
        known: bool,
        moved: &Moved,
        progress: &dyn Progress,
    ) -> Result<()> {
        let key = self.key(oid)?;
        let name = if oid.is_dir() { HashName::Md5 } else { self.hash_name };
        if size <= SMALL {
            let mut bytes = Vec::with_capacity(size as usize + 1);
            from.read_to_end(&mut bytes).map_err(|error| Error::io("reading", path, error))?;
            if bytes.len() as u64 != size {
                return Err(Error::Changed { path: path.to_owned() });
            }
            if !known {
                expect(oid, *hash_bytes(name, &bytes).bytes(), path)?;
            }
            self.wait(progress, self.put(&key, oid, bytes.into()))?;
            moved.add(size);
            progress.add(0, size);
            return Ok(());
        }
        let mut hasher = (!known).then(|| Hasher::new(name));
        let mut refused = None;
        let mut left = size;
        // The last piece waits for the hash: what is not the object never becomes one.
        let pieces = std::iter::from_fn(|| {
            if left == 0 {
                return None;
            }
            let mut piece = vec![0; usize::try_from(left).unwrap_or(PIECE).min(PIECE)];
            let read = from.read_exact(&mut piece).map_err(|error| Error::io("reading", path, error));
            left -= piece.len() as u64;
            let checked = read.and_then(|()| {
                if progress.cancelled() {
                    return Err(Error::Cancelled);
                }
                if let Some(hasher) = &mut hasher {
                    hasher.update(&piece);
                }
                match hasher.take_if(|_| left == 0) {
                    Some(hasher) => expect(oid, hasher.finish(), path),
                    None => Ok(()),
                }
            });
            moved.add(piece.len() as u64);
            progress.add(0, piece.len() as u64);
            Some(match checked {
                Ok(()) => Ok(Bytes::from(piece)),
                Err(error) => {
                    let told = error.to_string();
                    refused = Some(error);
                    Err(told)
                }
            })
        });
        let options = self.options(oid, size);
        let sent = self.runtime.block_on(self.remote.put(&key, futures_util::stream::iter(pieces), options));
        match (refused, sent) {
            (Some(error), _) => Err(error),
            (None, sent) => Ok(sent.map(drop)?),
        }
    }

    /// Brings one object into the cache, verified; an error of the system that says so if it is not here.
    pub(crate) fn load(&self, oid: &Oid, cache: &Cache, moved: &Moved, progress: &dyn Progress) -> Result<()> {
        let mut incoming = cache.receive(oid)?;
        let path = cache.path(oid);
        self.read(oid, moved, progress, &mut |piece| {
            incoming.write_all(piece).map_err(|error| Error::io("writing", &path, error))
        })?;
        match incoming.finish() {
            Err(Error::Corrupt { oid, actual, .. }) => Err(Error::Corrupt { oid, path: self.path(&oid), actual }),
            outcome => outcome,
        }
    }

    /// The bytes of an object, as they come, unverified; an error of the system if it is not here.
    pub(crate) fn read(
        &self,
        oid: &Oid,
        moved: &Moved,
        progress: &dyn Progress,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let key = self.key(oid)?;
        self.wait(progress, async {
            let object = match self.remote.get(&key).await {
                Err(error) if is_absent(&error) => {
                    return Err(Error::io("opening", self.path(oid), rustix::io::Errno::NOENT));
                }
                object => object?,
            };
            let mut pieces = object.stream_all();
            while let Some(piece) = pieces.next().await {
                let piece = piece?;
                if progress.cancelled() {
                    return Err(Error::Cancelled);
                }
                take(&piece)?;
                moved.add(piece.len() as u64);
                progress.add(0, piece.len() as u64);
            }
            Ok(())
        })
    }

    /// A folder's list, hashed; `None` if it is not there.
    pub fn read_tree_bytes(&self, oid: &Oid) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let read = self.read(oid, &Moved::default(), &crate::NoProgress, &mut |piece| {
            bytes.extend_from_slice(piece);
            match bytes.len() as u64 > MAX_TREE_BYTES {
                false => Ok(()),
                true => Err(Error::InvalidTree {
                    object: oid.to_string(),
                    place: format!("'{}'", self.path(oid).display()),
                    reason: "it is larger than 2 GiB".to_owned(),
                }),
            }
        });
        match read {
            Err(error) if error.io_kind() == Some(std::io::ErrorKind::NotFound) => return Ok(None),
            read => read?,
        }
        expect(oid, *hash_bytes(HashName::Md5, &bytes).bytes(), &self.path(oid))?;
        Ok(Some(bytes))
    }

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

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
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

fn is_absent(error: &trackway_remote::Error) -> bool {
    use trackway_remote::Error::{IsADirectory, NotADirectory, NotFound};
    matches!(error, NotFound { .. } | NotADirectory { .. } | IsADirectory { .. })
}

fn expect(oid: &Oid, actual: [u8; 16], path: &Path) -> Result<()> {
    if actual == *oid.bytes() {
        return Ok(());
    }
    let actual = if oid.is_dir() { Oid::dir(actual) } else { Oid::file(actual) };
    Err(Error::Corrupt { oid: *oid, path: path.to_owned(), actual })
}
