//! Making the work tree what it should be, and nothing but what lies beneath the output.
//!
//! Every folder is opened beneath the output's own open handle, never through a symbolic link, and files are made in open
//! folders. Only verified objects are linked. What is about to be written is noted before the first copy, so that a half
//! written file that a kill left is known to be ours.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use crate::cache::{Check, umask};
use crate::link::Linker;
use crate::save::{add_exec, look_again};
use crate::scan::{Changes, Hints, Walked, join, record_of, scan_knowing};
use crate::state::{FileRecord, LINKED, Listing, SYMLINK, UNHASHED};
use crate::tree::os_path;
use crate::verified::Stamp;
use crate::{Cache, Content, Error, Filter, LinkType, NoProgress, Oid, Progress, Result, ScanOptions, State, Tree};

/// What should be at a path.
#[derive(Clone, Debug)]
pub enum Target {
    File { oid: Oid, is_exec: bool },
    Tree(Arc<Tree>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
    /// Same content, to be linked anew (`relink`).
    Relinked,
    /// Same content, the executable bit differs (single files only).
    Mode,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Relative to the output, empty for the output itself.
    pub path: PathBuf,
    pub kind: ChangeKind,
    pub old: Option<Oid>,
    pub new: Option<Oid>,
}

/// What has to be done.
#[derive(Debug, Default)]
pub struct Plan {
    /// Absolute.
    pub path: PathBuf,
    /// Files, in the order of their paths.
    pub changes: Vec<Change>,
    /// Directories to make, parents first, relative; the empty path is the output itself.
    pub make_dirs: Vec<PathBuf>,
    /// Directories to remove if they are empty then, children first.
    pub remove_dirs: Vec<PathBuf>,
    /// The file is to be executable by its owner (single files only).
    is_exec: bool,
    /// What was there when it was scanned.
    old: Option<Content>,
}

#[derive(Clone, Copy)]
pub struct CheckoutOptions<'a> {
    pub state: &'a State,
    /// The same as for scanning: what it leaves out is not remembered as part of the output.
    pub filter: Option<&'a dyn Filter>,
    /// The whole output, where the plan is for a part of it: whose state is brought up to date.
    pub output: Option<&'a Path>,
    pub progress: &'a dyn Progress,
}

impl<'a> CheckoutOptions<'a> {
    /// No filter, no progress.
    pub fn new(state: &'a State) -> CheckoutOptions<'a> {
        CheckoutOptions { state, filter: None, output: None, progress: &NoProgress }
    }
}

#[derive(Debug)]
pub struct Failure {
    /// Absolute.
    pub path: PathBuf,
    pub error: Error,
}

#[derive(Debug, Default)]
pub struct Outcome {
    /// Files made or linked anew.
    pub files: u64,
    /// Files that could not be made; the rest was. In the order of their paths.
    pub failed: Vec<Failure>,
    /// What lies there now, as far as it is known.
    pub content: Option<Content>,
}

/// Compares what is at the absolute `path` (`old`, as scanned) with what should be there (`new`).
pub fn plan(path: &Path, old: Option<&Content>, new: Option<&Target>, relink: bool) -> Result<Plan> {
    let mut plan = Plan { path: path.to_owned(), old: old.cloned(), ..Plan::default() };
    let change = |path: &[u8], kind, old, new| Change { path: os_path(path).to_owned(), kind, old, new };
    let empty = Tree::default();
    let old_tree = old.and_then(Content::tree);
    let new_tree = match new {
        Some(Target::Tree(tree)) => Some(tree),
        _ => None,
    };
    // The output itself as a file, before or after.
    let old_file = old.filter(|old| !old.is_dir());
    match (old_file, new) {
        (Some(file), Some(Target::File { oid, is_exec })) => {
            let kind = match file.oid() == *oid {
                false => Some(ChangeKind::Modified),
                true if relink => Some(ChangeKind::Relinked),
                true => (file.is_exec() != *is_exec).then_some(ChangeKind::Mode),
            };
            plan.changes.extend(kind.map(|kind| change(b"", kind, Some(file.oid()), Some(*oid))));
        }
        (Some(file), _) => plan.changes.push(change(b"", ChangeKind::Deleted, Some(file.oid()), None)),
        (None, Some(Target::File { oid, .. })) => plan.changes.push(change(b"", ChangeKind::Added, None, Some(*oid))),
        (None, _) => {}
    }
    if let Some(Target::File { is_exec, .. }) = new {
        plan.is_exec = *is_exec;
    }
    let same = old_tree.as_ref().zip(new_tree).is_some_and(|(old, new)| old.oid() == new.oid());
    if !same || relink {
        let (before, after) = (old_tree.as_deref().unwrap_or(&empty), new_tree.map_or(&empty, |tree| tree));
        for pair in Tree::pairs(before, after) {
            let (kind, path) = match pair {
                (Some(old), Some(new)) if old.oid != new.oid => (ChangeKind::Modified, new.path),
                (Some(_), Some(new)) if relink => (ChangeKind::Relinked, new.path),
                (Some(_), Some(_)) | (None, None) => continue,
                (Some(old), None) => (ChangeKind::Deleted, old.path),
                (None, Some(new)) => (ChangeKind::Added, new.path),
            };
            plan.changes.push(change(path, kind, pair.0.map(|old| old.oid), pair.1.map(|new| new.oid)));
        }
    }
    plan_dirs(&mut plan, old, new_tree.map(|tree| &**tree), same);
    Ok(plan)
}

/// Which directories are missing, and which the tree has no file in: DVC 3.67 removes those, the empty ones too.
fn plan_dirs(plan: &mut Plan, old: Option<&Content>, new: Option<&Tree>, same: bool) {
    let mut needed: HashSet<&[u8]> = HashSet::new();
    let mut before: &[u8] = b"";
    for entry in new.iter().flat_map(|tree| tree.iter()) {
        let mut dir = parent(entry.path);
        if dir == before {
            continue;
        }
        before = dir;
        while !dir.is_empty() && needed.insert(dir) {
            dir = parent(dir);
        }
    }
    let mut there: HashSet<&[u8]> = HashSet::new();
    if let Some(Content::Dir(dir)) = old {
        for folder in dir.folders() {
            let folder = folder.as_os_str().as_bytes();
            if !needed.contains(folder) {
                plan.remove_dirs.push(os_path(folder).to_owned());
            }
            there.insert(folder);
        }
        plan.remove_dirs.reverse();
        if new.is_none() {
            plan.remove_dirs.push(PathBuf::new());
        }
    } else if new.is_some() {
        plan.make_dirs.push(PathBuf::new());
    }
    if !same {
        let mut missing: Vec<&[u8]> = needed.difference(&there).copied().collect();
        missing.sort_unstable();
        plan.make_dirs.extend(missing.into_iter().map(|dir| os_path(dir).to_owned()));
    }
}

fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(b"", |cut| &path[..cut])
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.make_dirs.is_empty() && self.remove_dirs.is_empty()
    }

    pub fn count(&self, kind: ChangeKind) -> usize {
        self.changes.iter().filter(|change| change.kind == kind).count()
    }

    fn full(&self, relative: &Path) -> PathBuf {
        if relative.as_os_str().is_empty() { self.path.clone() } else { self.path.join(relative) }
    }

    /// Absolute paths of files that would be deleted or overwritten although the cache does not hold their content.
    /// A damaged object does not count as holding it. Half of a file that a killed checkout was writing is no content.
    pub fn unsaved(&self, cache: &Cache, state: &State) -> Result<Vec<PathBuf>> {
        let unfinished = state.unfinished_checkout(&self.path);
        let is_half = |change: &Change| {
            let relative = if change.path.as_os_str().is_empty() { SINGLE } else { change.path.as_os_str().as_bytes() };
            let oid = unfinished.as_ref().and_then(|tree| tree.get(relative));
            oid.is_some_and(|oid| is_prefix(&self.full(&change.path), cache, &oid))
        };
        let unsaved = self.changes.par_iter().map(|change| -> Result<Option<PathBuf>> {
            let overwrites = matches!(change.kind, ChangeKind::Modified | ChangeKind::Deleted | ChangeKind::Relinked);
            let Some(old) = change.old.filter(|_| overwrites) else { return Ok(None) };
            let saved = matches!(cache.check(&old, false, &NoProgress)?, Check::Right(_));
            Ok((!saved && !is_half(change)).then(|| self.full(&change.path)))
        });
        Ok(unsaved.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Does it. Files that cannot be made are told; only what stands in the way of all is an error.
    pub fn apply(&self, cache: &Cache, options: &CheckoutOptions<'_>) -> Result<Outcome> {
        let run =
            Run { plan: self, options, linker: Linker::new(cache, options.progress), cache, made: Mutex::default() };
        run.all()
    }
}

/// Under this name a single file is noted in the list of what a checkout is about to write.
const SINGLE: &[u8] = b"file";

fn is_prefix(path: &Path, cache: &Cache, oid: &Oid) -> bool {
    let (Ok(file), Ok(object)) = (std::fs::File::open(path), cache.open_object(oid)) else { return false };
    let (mut file, mut object) = (std::io::BufReader::new(file), std::io::BufReader::new(object));
    let (mut a, mut b) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let Ok(len @ 1..) = file.read(&mut a) else { return file.read(&mut a).is_ok_and(|len| len == 0) };
        if object.read_exact(&mut b[..len]).is_err() || a[..len] != b[..len] {
            return false;
        }
    }
}

struct Run<'a> {
    plan: &'a Plan,
    options: &'a CheckoutOptions<'a>,
    linker: Linker<'a>,
    cache: &'a Cache,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    files: Vec<MadeFile>,
    outcome: Outcome,
    /// A folder could not be made or removed, or a file was not as planned: only another scan knows what is there.
    surprised: bool,
}

/// A file that was made, by the number of its change, and how it looks.
struct MadeFile {
    change: u32,
    record: FileRecord,
}

impl Run<'_> {
    fn all(&self) -> Result<Outcome> {
        let plan = self.plan;
        let creates = |change: &&Change| change.new.is_some() && change.kind != ChangeKind::Mode;
        let total = plan.changes.iter().filter(creates).count() as u64;
        let copies = matches!(self.linker.current(), LinkType::Copy | LinkType::Reflink);
        let noted = copies && total > 0 && {
            let entries = plan.changes.iter().filter(creates).filter_map(|change| {
                let path = change.path.as_os_str().as_bytes();
                Some((if path.is_empty() { SINGLE } else { path }, change.new?))
            });
            self.options.state.begin_checkout(&plan.path, &Tree::from_entries(entries)?)
        };
        self.options.progress.start("checking out", Some(total), None);
        let done = self.in_order();
        self.options.progress.finish();
        done?;
        self.linker.finish();
        let mut made = std::mem::take(&mut *self.made());
        made.outcome.failed.sort_by(|a, b| a.path.cmp(&b.path));
        made.outcome.content = self.remember(&made)?;
        if noted && made.outcome.failed.is_empty() {
            self.options.state.end_checkout(&plan.path);
        }
        Ok(made.outcome)
    }

    fn in_order(&self) -> Result<()> {
        let plan = self.plan;
        // The output itself as a file, or what is to become of it.
        if let Some(change) = plan.changes.iter().find(|change| change.path.as_os_str().is_empty())
            && change.kind == ChangeKind::Deleted
        {
            let path = &plan.path;
            match self.in_parent(|dir, name| Ok(self.delete(dir, name, change, None, path)))? {
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => {
                    self.fail(path.clone(), error);
                    return Ok(());
                }
                Ok(()) => {}
            }
        }
        let deletes: Vec<u32> =
            self.numbers(|change| change.kind == ChangeKind::Deleted && !change.path.as_os_str().is_empty());
        if !deletes.is_empty() || !plan.remove_dirs.is_empty() {
            let output = Output::open(&plan.path)?;
            self.by_folder(&output, &deletes, |dir, name, change, before, full| {
                self.delete(dir, name, change, before, full).map(|()| None)
            })?;
            for dir in plan.remove_dirs.iter().filter(|dir| !dir.as_os_str().is_empty()) {
                // As DVC 3.67: one that is not empty (ignored files) stays.
                let path = dir.as_os_str().as_bytes();
                let removed = output
                    .folder(parent(path))
                    .is_ok_and(|fd| rustix::fs::unlinkat(&fd, last(path), AtFlags::REMOVEDIR).is_ok());
                if !removed {
                    self.made().surprised = true;
                }
            }
            drop(output);
            if plan.remove_dirs.iter().any(|dir| dir.as_os_str().is_empty()) {
                let _ = std::fs::remove_dir(&plan.path);
            }
        }
        if plan.make_dirs.first().is_some_and(|dir| dir.as_os_str().is_empty()) {
            if plan.path.symlink_metadata().is_ok() {
                self.made().surprised = true;
            }
            std::fs::create_dir_all(&plan.path)
                .map_err(|error| Error::io("making the directory", &plan.path, error))?;
        }
        let creates = self.numbers(|change| change.kind != ChangeKind::Deleted);
        if let Some(number) = creates.iter().find(|number| self.change(**number).path.as_os_str().is_empty()) {
            return self.single(*number);
        }
        if creates.is_empty() && plan.make_dirs.is_empty() {
            return Ok(());
        }
        let output = Output::open(&plan.path)?;
        for dir in plan.make_dirs.iter().filter(|dir| !dir.as_os_str().is_empty()) {
            let path = dir.as_os_str().as_bytes();
            let made = output.folder(parent(path)).and_then(|fd| {
                match rustix::fs::mkdirat(&fd, last(path), Mode::from_raw_mode(0o777)) {
                    Ok(()) => Ok(()),
                    Err(Errno::EXIST) => {
                        self.made().surprised = true;
                        Ok(())
                    }
                    Err(errno) => Err(Error::io("making the directory", plan.full(dir), errno)),
                }
            });
            if let Err(error) = made {
                self.fail(plan.full(dir), error);
            }
        }
        self.by_folder(&output, &creates, |dir, name, change, before, full| {
            self.create(dir, name, change, before, full)
        })
    }

    fn change(&self, number: u32) -> &Change {
        &self.plan.changes[number as usize]
    }

    fn numbers(&self, wanted: impl Fn(&Change) -> bool) -> Vec<u32> {
        let changes = self.plan.changes.iter().enumerate();
        changes.filter(|(_, change)| wanted(change)).map(|(number, _)| number as u32).collect()
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the files folder by folder, in parallel; with what the scan saw of each.
    fn by_folder(
        &self,
        output: &Output,
        numbers: &[u32],
        work: impl Fn(BorrowedFd<'_>, &[u8], &Change, Option<&FileRecord>, &Path) -> Result<Option<FileRecord>> + Sync,
    ) -> Result<()> {
        let mut folders: BTreeMap<&[u8], Vec<u32>> = BTreeMap::new();
        for number in numbers {
            let folder = parent(self.change(*number).path.as_os_str().as_bytes());
            folders.entry(folder).or_default().push(*number);
        }
        // A folder of very many files is divided.
        let tasks: Vec<(&[u8], &[u32])> = folders
            .iter()
            .flat_map(|(folder, numbers)| numbers.chunks(1024).map(move |part| (*folder, part)))
            .collect();
        let listing = self.old_listing();
        tasks.into_par_iter().with_max_len(4).try_for_each(|(folder, numbers)| {
            let dir = match output.folder(folder) {
                Ok(dir) => dir,
                Err(error) => {
                    self.fail(self.plan.full(os_path(folder)), error);
                    return Ok(());
                }
            };
            let before = listing.and_then(|listing| Some((listing, listing.folder(folder)?.1)));
            let mut files = Vec::with_capacity(numbers.len());
            for number in numbers {
                if self.options.progress.cancelled() {
                    return Err(Error::Cancelled);
                }
                let change = self.change(*number);
                let name = last(change.path.as_os_str().as_bytes());
                let before = before.and_then(|(listing, folder)| listing.file_in(folder, name));
                let full = self.plan.full(&change.path);
                match work(dir.as_fd(), name, change, before, &full) {
                    Err(Error::Cancelled) => return Err(Error::Cancelled),
                    Err(error) => self.fail(full, error),
                    Ok(record) => files.extend(record.map(|record| MadeFile { change: *number, record })),
                }
                self.options.progress.add(1, 0);
            }
            let mut made = self.made();
            made.outcome.files += files.len() as u64;
            made.files.append(&mut files);
            Ok(())
        })
    }

    fn old_listing(&self) -> Option<&Listing> {
        match &self.plan.old {
            Some(Content::Dir(dir)) => Some(&dir.listing),
            _ => None,
        }
    }

    fn fail(&self, path: PathBuf, error: Error) {
        let mut made = self.made();
        made.surprised = true;
        made.outcome.failed.push(Failure { path, error });
    }

    fn in_parent<T>(&self, work: impl FnOnce(BorrowedFd<'_>, &[u8]) -> std::result::Result<T, Errno>) -> Result<T> {
        let path = &self.plan.path;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let name = path.file_name().unwrap_or_default().as_bytes();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, folder, flags, Mode::empty())
            .and_then(|dir| work(dir.as_fd(), name))
            .map_err(|errno| Error::io("changing", path, errno))
    }

    fn single(&self, number: u32) -> Result<()> {
        let path = &self.plan.path;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io("making the directory", folder, error))?;
        }
        let change = self.change(number);
        match self.in_parent(|dir, name| Ok(self.create(dir, name, change, None, path)))? {
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(error) => self.fail(path.clone(), error),
            Ok(record) => {
                let mut made = self.made();
                made.outcome.files += 1;
                made.files.extend(record.map(|record| MadeFile { change: number, record }));
            }
        }
        self.options.progress.add(1, 0);
        Ok(())
    }

    /// Looks once more at a file that is about to go: nothing is deleted that the scan has not seen. `None`: it is gone.
    fn still(
        &self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        change: &Change,
        before: Option<&FileRecord>,
        full: &Path,
    ) -> Result<Option<Stamp>> {
        let before = match &self.plan.old {
            Some(Content::File(file)) if change.path.as_os_str().is_empty() => Some(&file.record),
            _ => before,
        };
        let stat = match rustix::fs::statat(dir, name, AtFlags::empty()) {
            Ok(stat) => stat,
            // A link to nothing counts as nothing for the scan too.
            Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
            Err(errno) => return Err(Error::io("looking at", full, errno)),
        };
        let stamp = Stamp::of(&stat);
        let same = before.is_some_and(|before| match before.flags & (LINKED | SYMLINK) {
            0 => before.stamp == stamp,
            // Other links to the object come and go.
            _ => before.stamp.same_but_ctime(&stamp),
        });
        match same {
            true => Ok(Some(stamp)),
            false => Err(Error::Changed { path: full.to_owned() }),
        }
    }

    /// Deletes a file that is as it was scanned. If it was a link to an object, the object's record stays true.
    fn delete(
        &self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        change: &Change,
        before: Option<&FileRecord>,
        full: &Path,
    ) -> Result<()> {
        let seen = self.still(dir, name, change, before, full)?;
        unlink(dir, name).map_err(|errno| Error::io("deleting", full, errno))?;
        if let (Some(seen), Some(oid)) = (seen, &change.old) {
            self.linker.unlinked(oid, &seen)?;
        }
        Ok(())
    }

    /// Makes the file and tells how it looks; `None` if only its mode changed.
    fn create(
        &self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        change: &Change,
        before: Option<&FileRecord>,
        full: &Path,
    ) -> Result<Option<FileRecord>> {
        let failed = |errno| Error::io("making", full, errno);
        let Some(oid) = &change.new else { return Ok(None) };
        let is_single = change.path.as_os_str().is_empty();
        let keeps = change.kind == ChangeKind::Mode
            || change.kind == ChangeKind::Relinked && self.is_linked(dir, name, oid).map_err(failed)?;
        let (mut stat, is_link) = if keeps {
            look_again(dir, name).map_err(failed)?
        } else {
            // Nothing that will not be replaced is removed: the object is there and right.
            if change.kind != ChangeKind::Added {
                self.cache.expect(oid, self.cache.check(oid, false, self.options.progress)?)?;
                self.delete(dir, name, change, before, full)?;
            }
            match self.linker.make(oid, dir, name, full) {
                // A link that leads nowhere is nobody's content; scanning did not see it.
                Err(error)
                    if error.io_kind() == Some(std::io::ErrorKind::AlreadyExists) && leads_nowhere(dir, name) =>
                {
                    unlink(dir, name).map_err(failed)?;
                    self.linker.make(oid, dir, name, full)?
                }
                made => made?,
            }
        };
        if is_single && self.plan.is_exec {
            let before = Stamp::of(&stat);
            add_exec(dir, name).map_err(failed)?;
            stat = rustix::fs::statat(dir, name, AtFlags::empty()).map_err(failed)?;
            // The object itself, if it is a link to it.
            let after = Stamp::of(&stat);
            if self.cache.verified.get(oid) == Some(before) && before.same_but_ctime(&after) {
                self.cache.note(oid, after);
            }
        }
        let mut record = FileRecord { md5: *oid.bytes(), ..record_of(&stat, is_link) };
        record.flags &= !UNHASHED;
        Ok((change.kind != ChangeKind::Mode).then_some(record))
    }

    /// Whether a file with the right content is already what the link type makes; a copy gets a new file's mode.
    fn is_linked(&self, dir: BorrowedFd<'_>, name: &[u8], oid: &Oid) -> std::result::Result<bool, Errno> {
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let object = self.cache.stat(oid).ok().flatten();
        // Where clones do not work, a copy is not what the next type makes.
        let next_is_link =
            matches!(self.cache.link_types(), [LinkType::Reflink, LinkType::Hardlink | LinkType::Symlink, ..]);
        if self.linker.current() == LinkType::Reflink && next_is_link {
            return Ok(false);
        }
        Ok(match self.linker.current() {
            LinkType::Hardlink => regular && object.is_some_and(|object| object.st_ino == stat.st_ino),
            LinkType::Symlink => {
                !regular
                    && rustix::fs::readlinkat(dir, name, Vec::new())?.as_bytes()
                        == self.cache.path(oid).as_os_str().as_bytes()
            }
            LinkType::Copy | LinkType::Reflink => {
                let copy = regular && stat.st_nlink == 1;
                let mode = 0o666 & !umask();
                if copy && stat.st_mode & 0o7777 != mode {
                    rustix::fs::chmodat(dir, name, Mode::from_raw_mode(mode), AtFlags::empty())?;
                }
                copy
            }
        })
    }

    /// Brings the state of the work tree up to date, so that the next command need not hash what was just written.
    fn remember(&self, made: &Made) -> Result<Option<Content>> {
        let output = self.options.output.unwrap_or(&self.plan.path);
        let mut options = ScanOptions::new(self.options.state);
        options.cache = Some(self.cache);
        options.filter = self.options.filter;
        options.hash_name = self.cache.hash_name();
        if let Some(walked) = self.as_made(made, &options)? {
            return walked.finish(&options).map(Some);
        }
        let prefix = self.plan.path.strip_prefix(output).map_or(&b""[..], |path| path.as_os_str().as_bytes());
        let hint = |made: &MadeFile| {
            let path = self.change(made.change).path.as_os_str().as_bytes();
            let path = if path.is_empty() { prefix.to_vec() } else { join(prefix, path) };
            (path, (made.record.stamp, made.record.md5))
        };
        let hints: Hints = made.files.iter().map(hint).collect();
        match scan_knowing(output, &options, &hints) {
            Ok(Some(content)) => Ok(Some(content)),
            Ok(None) => {
                self.options.state.forget(output);
                Ok(None)
            }
            Err(Error::Cancelled) => Err(Error::Cancelled),
            // The work is done; what cannot be remembered is looked at again by the next command, which tells of it.
            Err(_) => Ok(None),
        }
    }

    /// What a scan would find, if all went as planned: what was there, and what was made. The folders in which anything
    /// changed are listed by the next scan, as others may have put something there meanwhile.
    fn as_made(&self, made: &Made, options: &ScanOptions<'_>) -> Result<Option<Walked>> {
        let plan = self.plan;
        let whole = plan.make_dirs.first().is_some_and(|dir| dir.as_os_str().is_empty());
        let old = match &plan.old {
            Some(Content::Dir(dir)) if dir.listing.hash_name == options.hash_name => Some(&dir.listing),
            None if whole => None,
            _ => return Ok(None),
        };
        let removed_all = plan.remove_dirs.iter().any(|dir| dir.as_os_str().is_empty());
        if made.surprised || removed_all || plan.changes.is_empty() || self.options.output.is_some() {
            return Ok(None);
        }
        let mut files: Vec<(&[u8], &FileRecord)> = Vec::with_capacity(made.files.len());
        for file in &made.files {
            let path = &self.change(file.change).path;
            let name = last(path.as_os_str().as_bytes());
            if name == b".dvcignore" {
                return Ok(None);
            }
            files.push((path.as_os_str().as_bytes(), &file.record));
        }
        if let Some(filter) = options.filter {
            // What is hidden is no part of the output, though it was made.
            let hidden = |folder: &Path, name: &[u8], is_dir| filter.skips(folder, OsStr::from_bytes(name), is_dir);
            let mut dirs = plan.make_dirs.iter().filter(|dir| !dir.as_os_str().is_empty());
            let hides_dir = dirs.any(|dir| {
                let dir = dir.as_os_str().as_bytes();
                hidden(&plan.full(os_path(parent(dir))), last(dir), true)
            });
            let mut folder: (&[u8], PathBuf) = (b"", plan.path.clone());
            let hides_file = files.iter().any(|(path, _)| {
                if folder.0 != parent(path) {
                    folder = (parent(path), plan.full(os_path(parent(path))));
                }
                hidden(&folder.1, last(path), false)
            });
            if hides_dir || hides_file {
                return Ok(None);
            }
        }
        let gone = |kind: &Change| kind.kind == ChangeKind::Deleted;
        let deleted =
            plan.changes.iter().filter(|change| gone(change)).map(|change| change.path.as_os_str().as_bytes());
        Walked::changed(
            &plan.path,
            old,
            options,
            &Changes {
                files,
                deleted: deleted.collect(),
                new_folders: plan.make_dirs.iter().map(|dir| dir.as_os_str().as_bytes()).collect(),
                gone_folders: plan.remove_dirs.iter().map(|dir| dir.as_os_str().as_bytes()).collect(),
            },
        )
        .map(Some)
    }
}

fn last(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(path, |cut| &path[cut + 1..])
}

/// A symbolic link without anything behind it.
fn leads_nowhere(dir: BorrowedFd<'_>, name: &[u8]) -> bool {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
        && rustix::fs::statat(dir, name, AtFlags::empty()).is_err_and(|errno| errno == Errno::NOENT)
}

fn unlink(dir: BorrowedFd<'_>, name: &[u8]) -> std::result::Result<(), Errno> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// The output's open directory: folders are opened beneath it, and never through a symbolic link.
struct Output {
    path: PathBuf,
    root: OwnedFd,
    openat2: bool,
}

impl Output {
    fn open(path: &Path) -> Result<Output> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, path, flags, Mode::empty()).map_err(|errno| Error::io("opening", path, errno))?;
        // A kernel older than 5.6 has no openat2 (NOSYS), and some sandboxes hide it (PERM).
        let openat2 = openat2(&root, ".", flags, Mode::empty(), ResolveFlags::BENEATH).is_ok();
        Ok(Output { path: path.to_owned(), root, openat2 })
    }

    fn folder(&self, relative: &[u8]) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let failed = |errno| match errno {
            Errno::LOOP | Errno::XDEV | Errno::NOTDIR => Error::Escapes {
                path: self.path.join(os_path(relative)),
                reason: "it leads through a symbolic link or a file",
            },
            errno => Error::io("opening", self.path.join(os_path(relative)), errno),
        };
        if relative.is_empty() {
            return openat(&self.root, ".", flags, Mode::empty()).map_err(failed);
        }
        if self.openat2 {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            // The kernel says AGAIN when something was renamed while it looked: it could not be sure.
            for _ in 0..128 {
                match openat2(&self.root, relative, flags, Mode::empty(), resolve) {
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    opened => return opened.map_err(failed),
                }
            }
            return Err(failed(Errno::AGAIN));
        }
        let mut dir: Option<OwnedFd> = None;
        for name in relative.split(|byte| *byte == b'/') {
            let at = dir.as_ref().map_or(self.root.as_fd(), |fd| fd.as_fd());
            dir = Some(openat(at, name, flags | OFlags::NOFOLLOW, Mode::empty()).map_err(failed)?);
        }
        dir.ok_or_else(|| failed(Errno::NOENT))
    }
}
