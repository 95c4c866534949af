//! Objects from the cache to a remote and back.
//!
//! Children go before the list of their folder, so that work which is interrupted never looks complete, and can simply be
//! done again. What enters the cache is hashed; what leaves it is hashed unless the cache's record knows it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use crate::folder::Folder;
use crate::{Cache, Error, Layout, Oid, Progress, Result, Tree};

/// Where objects of one layout lie outside of the cache.
pub enum Depot {
    Folder(Folder),
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
        }
    }

    /// Where the objects' two-character folders lie; two depots of one place are the same.
    pub fn place(&self) -> &Path {
        match self {
            Depot::Folder(folder) => folder.objects_dir(),
        }
    }

    /// Which of the objects are there, as it is now.
    pub fn find(&self, oids: &[Oid]) -> Result<Vec<bool>> {
        match self {
            Depot::Folder(folder) => folder.find(oids),
        }
    }

    /// Brings a file from anywhere, which was just hashed, unless something of its name and size is there.
    pub fn send_file(&self, oid: &Oid, size: u64, path: &Path, progress: &dyn Progress) -> Result<()> {
        if self.size(oid)? == Some(size) {
            return Ok(());
        }
        match self {
            Depot::Folder(folder) => folder.store_file(oid, path, progress),
        }
    }

    /// Brings a folder's list, and makes sure that it and what was sent before is on the disk.
    pub fn send_list(&self, tree: Option<&Tree>) -> Result<()> {
        if let Some(tree) = tree {
            match self {
                Depot::Folder(folder) => folder.store_tree(tree)?,
            };
        }
        self.sync()
    }

    fn size(&self, oid: &Oid) -> Result<Option<u64>> {
        match self {
            Depot::Folder(folder) => folder.size(oid),
        }
    }

    /// A folder's list, verified; `None` if it is not there.
    pub fn read_tree(&self, oid: &Oid) -> Result<Option<(Tree, Vec<u8>)>> {
        let bytes = match self {
            Depot::Folder(folder) => folder.read_tree_bytes(oid)?,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        Ok(Some((Tree::parse(&oid.to_string(), &bytes)?.with_oid(*oid), bytes)))
    }

    fn store(&self, oid: &Oid, cache: &Cache, progress: &dyn Progress) -> Result<()> {
        match self {
            Depot::Folder(folder) => folder.store(oid, cache, progress),
        }
    }

    fn load(&self, oid: &Oid, cache: &Cache, progress: &dyn Progress) -> Result<()> {
        match self {
            Depot::Folder(folder) => folder.load(oid, cache, progress),
        }
    }

    fn sync(&self) -> Result<()> {
        match self {
            Depot::Folder(folder) => folder.sync(),
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

/// Copies to the remote what it lacks.
pub fn push(cache: &Cache, depot: &Depot, cargo: &Cargo, progress: &dyn Progress) -> Result<Transferred> {
    let mut done = Transferred::default();
    let (files, bytes) = lacking(cache, depot, &cargo.files, &mut done.missing)?;
    let lists: Vec<Oid> = cargo.folders.iter().map(|folder| folder.oid).collect();
    let (lists, list_bytes) = lacking(cache, depot, &lists, &mut done.missing)?;
    if files.is_empty() && lists.is_empty() {
        return Ok(done);
    }
    let lists: HashSet<Oid> = lists.into_iter().collect();
    done.bytes = bytes + list_bytes;
    progress.start("pushing", Some((files.len() + lists.len()) as u64), Some(done.bytes));
    let store = |oid: &Oid| depot.store(oid, cache, progress);
    done.failed = each(&files, &store, progress)?;
    if !files.is_empty() && !lists.is_empty() {
        depot.sync()?;
    }
    let failed: HashSet<Oid> = done.failed.iter().map(|failed| failed.oid).collect();
    let missing: HashSet<Oid> = done.missing.iter().copied().collect();
    let mut ready = Vec::new();
    for folder in cargo.folders.iter().filter(|folder| lists.contains(&folder.oid)) {
        let holds = |oids: &HashSet<Oid>| !oids.is_empty() && folder.files().any(|oid| oids.contains(&oid));
        if holds(&failed) {
            done.failed.push(Failed { oid: folder.oid, error: None });
        } else if !holds(&missing) {
            ready.push(folder.oid);
        }
    }
    done.failed.extend(each(&ready, &store, progress)?);
    depot.sync()?;
    progress.finish();
    cache.save_record();
    // As DVC 3.67: a list that was held back because a file of its folder is nowhere counts too.
    done.objects = files.len() + lists.len() - done.failed.len();
    Ok(done)
}

/// What of these the remote lacks and the cache has, and how many bytes that is.
fn lacking(cache: &Cache, depot: &Depot, oids: &[Oid], missing: &mut Vec<Oid>) -> Result<(Vec<Oid>, u64)> {
    let there = depot.find(oids)?;
    let absent: Vec<Oid> = oids.iter().zip(there).filter(|(_, there)| !there).map(|(oid, _)| *oid).collect();
    let sizes: Vec<Option<u64>> = absent.par_iter().map(|oid| cache.size(oid)).collect::<Result<_>>()?;
    let (mut found, mut bytes) = (Vec::with_capacity(absent.len()), 0);
    for (oid, size) in absent.into_iter().zip(sizes) {
        match size {
            Some(size) => {
                found.push(oid);
                bytes += size;
            }
            None => missing.push(oid),
        }
    }
    Ok((found, bytes))
}

/// Does it with all of them, in parallel. What fails is told at the end; what would fail for all others too ends it.
fn each(oids: &[Oid], work: &(dyn Fn(&Oid) -> Result<()> + Sync), progress: &dyn Progress) -> Result<Vec<Failed>> {
    let failed = Mutex::new(Vec::new());
    oids.par_iter().try_for_each(|oid| {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        match work(oid) {
            Ok(()) => progress.add(1, 0),
            Err(error) if ends_all(&error) => return Err(error),
            Err(error) => {
                failed.lock().unwrap_or_else(PoisonError::into_inner).push(Failed { oid: *oid, error: Some(error) })
            }
        }
        Ok(())
    })?;
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort_by_key(|failed| failed.oid);
    Ok(failed)
}

fn ends_all(error: &Error) -> bool {
    use std::io::ErrorKind;
    match error {
        Error::Cancelled | Error::Io { doing: "making the folder", .. } => true,
        other => matches!(
            other.io_kind(),
            Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem)
        ),
    }
}

/// Copies into the cache what it lacks. A folder's list enters it when all files that were asked for are there.
pub fn fetch(cache: &Cache, depot: &Depot, cargo: &Cargo, progress: &dyn Progress) -> Result<Transferred> {
    let mut done = Transferred::default();
    let here: Vec<bool> = cargo.files.par_iter().map(|oid| cache.has(oid)).collect::<Result<_>>()?;
    let wanted: Vec<Oid> = cargo.files.iter().zip(here).filter(|(_, here)| !here).map(|(oid, _)| *oid).collect();
    let sizes: Vec<Option<u64>> = wanted.par_iter().map(|oid| depot.size(oid)).collect::<Result<_>>()?;
    let (mut found, mut absent) = (Vec::with_capacity(wanted.len()), HashSet::new());
    for (oid, size) in wanted.into_iter().zip(sizes) {
        match size {
            Some(size) => {
                found.push(oid);
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
    done.failed.extend(each(&found, &|oid| depot.load(oid, cache, progress), progress)?);
    let failed: HashSet<Oid> = done.failed.iter().map(|failed| failed.oid).collect();
    let mut loaded = found.iter().filter(|oid| !failed.contains(oid)).count();
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
