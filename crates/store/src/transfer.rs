//! Objects from the cache to a remote and back.
//!
//! Children go before the list of their folder, so that work which is interrupted never looks complete, and can simply be
//! done again. What enters the cache is hashed; what leaves it is hashed unless the cache's record knows it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use crate::collect::Folder as Shard;
use crate::distant::{Distant, LIGHT};
use crate::folder::Folder;
use crate::hash::hash_stream;
use crate::pace::Moved;
use crate::{
    Cache, Error, HashName, Hasher, Layout, Oid, Progress, Result, Tree, delete_folders, inventory, list_folders,
};

/// Where objects of one layout lie outside of the cache.
pub enum Depot {
    Folder(Folder),
    Distant(Distant),
}

impl Depot {
    /// A folder of this machine.
    pub fn at(root: &Path, layout: Layout, shared: bool) -> Depot {
        Depot::Folder(Folder::new(root, layout, shared))
    }

    /// The name of an object's place, for messages.
    pub fn path(&self, oid: &Oid) -> PathBuf {
        match self {
            Depot::Folder(folder) => folder.path(oid),
            Depot::Distant(distant) => distant.path(oid),
        }
    }

    /// Where the objects' two-character folders lie; two depots of one place are the same.
    pub fn place(&self) -> &Path {
        match self {
            Depot::Folder(folder) => folder.objects_dir(),
            Depot::Distant(distant) => distant.place(),
        }
    }

    /// Which of the objects are there, as it is now.
    pub fn find(&self, oids: &[Oid], progress: &dyn Progress) -> Result<Vec<bool>> {
        match self {
            Depot::Folder(folder) => folder.find(oids),
            Depot::Distant(distant) => {
                Ok(distant.sizes(oids, progress)?.into_iter().map(|size| size.is_some()).collect())
            }
        }
    }

    /// How large they are; `None` for what is not there.
    pub fn sizes(&self, oids: &[Oid], progress: &dyn Progress) -> Result<Vec<Option<u64>>> {
        match self {
            Depot::Folder(folder) => oids.par_iter().map(|oid| folder.size(oid)).collect(),
            Depot::Distant(distant) => distant.sizes(oids, progress),
        }
    }

    /// Brings files from anywhere, each with its hash and its size, unless something of that name and size is there. Then a
    /// folder's list, and makes sure that all of it is on the disk.
    pub fn send(&self, files: &[(PathBuf, Oid, u64)], list: Option<&Tree>, progress: &dyn Progress) -> Result<()> {
        match self {
            Depot::Folder(folder) => {
                files.par_iter().try_for_each(|(path, oid, size)| {
                    if progress.cancelled() {
                        return Err(Error::Cancelled);
                    }
                    if folder.size(oid)? != Some(*size) {
                        folder.store_file(oid, path, progress)?;
                    }
                    progress.add(1, 0);
                    Ok(())
                })?;
                list.map(|tree| folder.store_tree(tree)).transpose()?;
            }
            Depot::Distant(distant) => {
                let oids: Vec<Oid> = files.iter().map(|(_, oid, _)| *oid).collect();
                let there = distant.sizes(&oids, progress)?;
                let lacking: Vec<_> =
                    files.iter().zip(there).filter(|((_, _, size), there)| *there != Some(*size)).collect();
                progress.add((files.len() - lacking.len()) as u64, 0);
                distant.each(&lacking, progress, &|((path, oid, _), _), moved| {
                    distant.store_file(oid, path, moved, progress)?;
                    progress.add(1, 0);
                    Ok(())
                })?;
                list.map(|tree| distant.store_tree(tree)).transpose()?;
            }
        }
        self.sync()
    }

    fn size(&self, oid: &Oid) -> Result<Option<u64>> {
        match self {
            Depot::Folder(folder) => folder.size(oid),
            Depot::Distant(distant) => distant.size(oid),
        }
    }

    /// A folder's list, verified; `None` if it is not there.
    pub fn read_tree(&self, oid: &Oid) -> Result<Option<(Tree, Vec<u8>)>> {
        let bytes = match self {
            Depot::Folder(folder) => folder.read_tree_bytes(oid)?,
            Depot::Distant(distant) => distant.read_tree_bytes(oid)?,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        Ok(Some((Tree::parse(&oid.to_string(), &bytes)?.with_oid(*oid), bytes)))
    }

    /// Brings one object into the cache, verified.
    pub fn fetch_one(&self, oid: &Oid, cache: &Cache, progress: &dyn Progress) -> Result<()> {
        match self {
            Depot::Folder(folder) => folder.load(oid, cache, progress),
            Depot::Distant(distant) => distant.load(oid, cache, &Moved::default(), progress),
        }
    }

    /// Copies an object's bytes to a file, and says whether they are the object's; an error of the system if it is not there.
    pub fn copy_to(&self, oid: &Oid, to: &mut File, progress: &dyn Progress) -> Result<()> {
        let actual = match self {
            Depot::Folder(folder) => {
                let path = folder.path(oid);
                let mut from = File::open(&path).map_err(|error| Error::io("opening", &path, error))?;
                let size = from.metadata().map_err(|error| Error::io("looking at", &path, error))?.len();
                hash_stream(self.hash_name(oid), &mut from, size, &path, Some(to), progress)?.0
            }
            Depot::Distant(distant) => {
                let mut hasher = Hasher::new(self.hash_name(oid));
                let path = distant.path(oid);
                distant.read(oid, &Moved::default(), progress, &mut |piece| {
                    hasher.update(piece);
                    to.write_all(piece).map_err(|error| Error::io("copying", &path, error))
                })?;
                Oid::file(hasher.finish())
            }
        };
        if actual.bytes() == oid.bytes() {
            return Ok(());
        }
        Err(Error::Corrupt { oid: *oid, path: self.path(oid), actual })
    }

    fn hash_name(&self, oid: &Oid) -> HashName {
        match self {
            _ if oid.is_dir() => HashName::Md5,
            Depot::Folder(folder) => folder.hash_name(),
            Depot::Distant(distant) => distant.hash_name(),
        }
    }

    /// The two-character folders, as `gc` sees them.
    pub fn folders(&self, progress: &dyn Progress) -> Result<Vec<Shard>> {
        match self {
            Depot::Folder(folder) => list_folders(folder.objects_dir()),
            Depot::Distant(distant) => distant.folders(progress),
        }
    }

    /// Every object and its size.
    pub fn inventory(&self, progress: &dyn Progress) -> Result<Vec<(Oid, u64)>> {
        match self {
            Depot::Folder(folder) => {
                Ok(inventory(folder.objects_dir())?.into_iter().map(|stored| (stored.oid, stored.size)).collect())
            }
            Depot::Distant(distant) => distant.inventory(progress),
        }
    }

    /// Deletes what the folders name: first all lists, without which nothing says that a file should be there.
    pub fn delete(&self, folders: &[Shard], progress: &dyn Progress) -> Result<()> {
        match self {
            Depot::Folder(_) => delete_folders(folders, progress),
            Depot::Distant(distant) => {
                progress.start("removing", Some(folders.iter().map(Shard::len).sum::<usize>() as u64), None);
                let done = distant.delete(folders, progress);
                progress.finish();
                done
            }
        }
    }

    fn sync(&self) -> Result<()> {
        match self {
            Depot::Folder(folder) => folder.sync(),
            // What was answered is stored.
            Depot::Distant(_) => Ok(()),
        }
    }

    /// Does it with all of them, whose sizes are known, in parallel. What fails is told at the end; what would fail for all
    /// others too ends it.
    fn each(&self, oids: &[(Oid, u64)], way: Way, cache: &Cache, progress: &dyn Progress) -> Result<Vec<Failed>> {
        let failures = Failures::default();
        let again = WithoutBytes(progress);
        match self {
            Depot::Folder(folder) => oids.par_iter().try_for_each(|(oid, _)| {
                if progress.cancelled() {
                    return Err(Error::Cancelled);
                }
                let outcome = match way {
                    Way::Push => folder.store(oid, cache, progress),
                    Way::PushAndVerify => folder.store(oid, cache, progress).and_then(|()| folder.verify(oid, &again)),
                    Way::Fetch => folder.load(oid, cache, progress),
                };
                failures.take(oid, progress, outcome)
            })?,
            Depot::Distant(distant) => {
                let is_light = |size: u64| way != Way::PushAndVerify && size <= LIGHT && distant.moves_lightly();
                let (light, others): (Vec<_>, Vec<_>) = oids.iter().partition(|(_, size)| is_light(*size));
                let moved = Moved::default();
                distant.each_light(&light, &moved, progress, &|(oid, _)| {
                    Box::pin(async {
                        let outcome = match way {
                            Way::Fetch => distant.load_light(oid, cache, &moved, progress).await,
                            Way::Push | Way::PushAndVerify => distant.store_light(oid, cache, &moved, progress).await,
                        };
                        failures.take(oid, progress, outcome)
                    })
                })?;
                distant.each(&others, progress, &|(oid, _), moved| {
                    let outcome = match way {
                        Way::Push => distant.store(oid, cache, moved, progress),
                        Way::PushAndVerify => {
                            let stored = distant.store(oid, cache, moved, progress);
                            stored.and_then(|()| distant.verify(oid, moved, &again))
                        }
                        Way::Fetch => distant.load(oid, cache, moved, progress),
                    };
                    failures.take(oid, progress, outcome)
                })?
            }
        }
        Ok(failures.into_list())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Push,
    PushAndVerify,
    Fetch,
}

/// Bytes that are read again count once.
struct WithoutBytes<'a>(&'a dyn Progress);

impl Progress for WithoutBytes<'_> {
    fn start(&self, _: &'static str, _: Option<u64>, _: Option<u64>) {}
    fn add(&self, _: u64, _: u64) {}
    fn finish(&self) {}
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

/// What failed, while the rest goes on.
#[derive(Default)]
pub(crate) struct Failures {
    list: Mutex<Vec<Failed>>,
    /// How often in a row, by all threads together, the remote could not be reached.
    unreachable: AtomicUsize,
}

impl Failures {
    /// After so many, each tried several times, it is not worth going on.
    const GIVE_UP: usize = 4;

    pub fn take(&self, oid: &Oid, progress: &dyn Progress, outcome: Result<()>) -> Result<()> {
        match outcome {
            Ok(()) => {
                self.unreachable.store(0, Ordering::Relaxed);
                progress.add(1, 0);
                Ok(())
            }
            Err(error) if self.ends_all(&error) => Err(error),
            Err(error) => {
                let failed = Failed { oid: *oid, error: Some(error) };
                self.list.lock().unwrap_or_else(PoisonError::into_inner).push(failed);
                Ok(())
            }
        }
    }

    pub fn into_list(self) -> Vec<Failed> {
        let mut failed = self.list.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.sort_by_key(|failed| failed.oid);
        failed
    }

    fn ends_all(&self, error: &Error) -> bool {
        use std::io::ErrorKind;
        match error {
            Error::Cancelled | Error::Io { doing: "making the folder", .. } => true,
            error if error.is_of_the_whole_remote() => true,
            Error::Remote(trackway_remote::Error::Unreachable { .. }) => {
                self.unreachable.fetch_add(1, Ordering::Relaxed) + 1 >= Failures::GIVE_UP
            }
            other => matches!(
                other.io_kind(),
                Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem)
            ),
        }
    }
}

/// What is asked for. Nothing stands in it twice.
#[derive(Default)]
pub struct Cargo {
    /// Files, those of folders among them.
    pub files: Vec<Oid>,
    pub folders: Vec<FolderList>,
}

/// The list of a folder.
pub struct FolderList {
    pub oid: Oid,
    /// The files of it that are asked for, perhaps in several parts; none if the list is nowhere to be had.
    pub trees: Vec<Arc<Tree>>,
    /// The list's own bytes where the cache lacks it.
    pub bytes: Option<Vec<u8>>,
}

impl FolderList {
    fn files(&self) -> impl Iterator<Item = Oid> {
        self.trees.iter().flat_map(|tree| tree.iter().map(|entry| entry.oid))
    }
}

#[derive(Default)]
pub struct Transferred {
    /// As DVC 3.67 counts: with folders' lists.
    pub objects: usize,
    pub bytes: u64,
    /// On neither side.
    pub missing: Vec<Oid>,
    pub failed: Vec<Failed>,
}

pub struct Failed {
    pub oid: Oid,
    /// None for the list of a folder of which a file failed.
    pub error: Option<Error>,
}

/// Work that is done by several threads at once: as many as there are processors, or as many as the person wants.
pub fn with_jobs<T: Send>(jobs: Option<usize>, work: impl FnOnce() -> T + Send) -> T {
    const MOST: usize = 256;
    match jobs.filter(|jobs| *jobs > 0).map(|jobs| rayon::ThreadPoolBuilder::new().num_threads(jobs.min(MOST)).build())
    {
        Some(Ok(pool)) => pool.install(work),
        _ => work(),
    }
}

/// Copies to the remote what it lacks; with `verify` it is read again from there, and what is wrong is deleted there.
pub fn push(cache: &Cache, depot: &Depot, cargo: &Cargo, verify: bool, progress: &dyn Progress) -> Result<Transferred> {
    let way = if verify { Way::PushAndVerify } else { Way::Push };
    let mut done = Transferred::default();
    let files = lacking(cache, depot, &cargo.files, &mut done.missing, progress)?;
    let lists: Vec<Oid> = cargo.folders.iter().map(|folder| folder.oid).collect();
    let lists = lacking(cache, depot, &lists, &mut done.missing, progress)?;
    if files.is_empty() && lists.is_empty() {
        return Ok(done);
    }
    let lists: HashMap<Oid, u64> = lists.into_iter().collect();
    done.bytes = files.iter().map(|(_, size)| size).chain(lists.values()).sum();
    progress.start("pushing", Some((files.len() + lists.len()) as u64), Some(done.bytes));
    done.failed = depot.each(&files, way, cache, progress)?;
    if !files.is_empty() && !lists.is_empty() {
        depot.sync()?;
    }
    let failed: HashSet<Oid> = done.failed.iter().map(|failed| failed.oid).collect();
    let missing: HashSet<Oid> = done.missing.iter().copied().collect();
    let mut ready = Vec::new();
    for folder in &cargo.folders {
        let Some(size) = lists.get(&folder.oid) else { continue };
        let holds = |oids: &HashSet<Oid>| !oids.is_empty() && folder.files().any(|oid| oids.contains(&oid));
        if holds(&failed) {
            done.failed.push(Failed { oid: folder.oid, error: None });
        } else if !holds(&missing) {
            ready.push((folder.oid, *size));
        }
    }
    done.failed.extend(depot.each(&ready, way, cache, progress)?);
    depot.sync()?;
    progress.finish();
    cache.save_record();
    // As DVC 3.67: a list that was held back because a file of its folder is nowhere counts too.
    done.objects = files.len() + lists.len() - done.failed.len();
    Ok(done)
}

/// What of these the remote lacks and the cache has, with its sizes.
fn lacking(
    cache: &Cache,
    depot: &Depot,
    oids: &[Oid],
    missing: &mut Vec<Oid>,
    progress: &dyn Progress,
) -> Result<Vec<(Oid, u64)>> {
    let there = depot.find(oids, progress)?;
    let absent: Vec<Oid> = oids.iter().zip(there).filter(|(_, there)| !there).map(|(oid, _)| *oid).collect();
    let sizes: Vec<Option<u64>> = absent.par_iter().map(|oid| cache.size(oid)).collect::<Result<_>>()?;
    let mut found = Vec::with_capacity(absent.len());
    for (oid, size) in absent.into_iter().zip(sizes) {
        match size {
            Some(size) => found.push((oid, size)),
            None => missing.push(oid),
        }
    }
    Ok(found)
}

/// Copies into the cache what it lacks. A folder's list enters it when all files that were asked for are there.
pub fn fetch(cache: &Cache, depot: &Depot, cargo: &Cargo, progress: &dyn Progress) -> Result<Transferred> {
    let mut done = Transferred::default();
    let here: Vec<bool> = cargo.files.par_iter().map(|oid| cache.has(oid)).collect::<Result<_>>()?;
    let wanted: Vec<Oid> = cargo.files.iter().zip(here).filter(|(_, here)| !here).map(|(oid, _)| *oid).collect();
    let sizes = depot.sizes(&wanted, progress)?;
    let (mut found, mut absent) = (Vec::with_capacity(wanted.len()), HashSet::new());
    for (oid, size) in wanted.into_iter().zip(sizes) {
        match size {
            Some(size) => {
                found.push((oid, size));
                done.bytes += size;
            }
            None => {
                absent.insert(oid);
            }
        }
    }
    // As DVC 3.67: a remote that has a folder's list promises all that is in it, and fails if it has it not.
    let promised = promised(depot, cargo, &absent)?;
    for oid in absent {
        if promised.contains(&oid) {
            // As DVC 3.67, which makes the folders before it looks.
            cache.make_shard(&oid)?;
            let error = Error::io("opening", depot.path(&oid), rustix::io::Errno::NOENT);
            done.failed.push(Failed { oid, error: Some(error) });
        } else {
            done.missing.push(oid);
        }
    }
    done.missing.extend(cargo.folders.iter().filter(|folder| folder.trees.is_empty()).map(|folder| folder.oid));
    let new_lists = cargo.folders.iter().filter(|folder| folder.bytes.is_some()).count();
    if found.is_empty() && new_lists == 0 && done.failed.is_empty() {
        return Ok(done);
    }
    let total = found.len() + new_lists;
    progress.start("fetching", Some(total as u64), Some(done.bytes));
    done.failed.extend(depot.each(&found, Way::Fetch, cache, progress)?);
    let failed: HashSet<Oid> = done.failed.iter().map(|failed| failed.oid).collect();
    let mut loaded = found.iter().filter(|(oid, _)| !failed.contains(oid)).count();
    for folder in &cargo.folders {
        let Some(bytes) = &folder.bytes else { continue };
        if !failed.is_empty() && folder.files().any(|oid| failed.contains(&oid)) {
            done.failed.push(Failed { oid: folder.oid, error: None });
            continue;
        }
        cache.put(&folder.oid, bytes)?;
        progress.add(1, bytes.len() as u64);
        loaded += 1;
    }
    progress.finish();
    cache.flush()?;
    done.objects = loaded;
    Ok(done)
}

fn promised(depot: &Depot, cargo: &Cargo, absent: &HashSet<Oid>) -> Result<HashSet<Oid>> {
    let mut promised = HashSet::new();
    if absent.is_empty() {
        return Ok(promised);
    }
    for folder in &cargo.folders {
        let lacks: Vec<Oid> = folder.files().filter(|oid| absent.contains(oid)).collect();
        if !lacks.is_empty() && (folder.bytes.is_some() || depot.size(&folder.oid)?.is_some()) {
            promised.extend(lacks);
        }
    }
    Ok(promised)
}
