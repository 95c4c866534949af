//! Making the work tree what it should be, and nothing but what lies beneath the output.
//!
//! Every folder is opened beneath the output's own open handle, never through a symbolic link, and files are made in open
//! folders. Only verified objects are linked. What is about to be written is noted before the first copy, so that a half
//! written file that a kill left is known to be ours.

use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use crate::cache::{Check, umask};
use crate::link::Linker;
use crate::save::add_exec;
use crate::scan::{Hints, join, scan_knowing};
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
    let mut plan = Plan { path: path.to_owned(), ..Plan::default() };
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
    hints: Hints,
    outcome: Outcome,
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
        let mut made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        made.outcome.failed.sort_by(|a, b| a.path.cmp(&b.path));
        made.outcome.content = self.remember(made.hints)?;
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
            self.in_parent(unlink)?;
        }
        let beneath = |change: &&Change| !change.path.as_os_str().is_empty();
        let deletes: Vec<&Change> =
            plan.changes.iter().filter(beneath).filter(|change| change.kind == ChangeKind::Deleted).collect();
        if !deletes.is_empty() || !plan.remove_dirs.is_empty() {
            let output = Output::open(&plan.path)?;
            self.by_folder(&output, &deletes, |dir, name, _, full| {
                unlink(dir, name).map_err(|errno| Error::io("deleting", full, errno))
            })?;
            for dir in plan.remove_dirs.iter().filter(|dir| !dir.as_os_str().is_empty()) {
                // As DVC 3.67: one that is not empty (ignored files) stays.
                let path = dir.as_os_str().as_bytes();
                if let Ok(fd) = output.folder(parent(path)) {
                    let _ = rustix::fs::unlinkat(&fd, last(path), AtFlags::REMOVEDIR);
                }
            }
            drop(output);
            if plan.remove_dirs.iter().any(|dir| dir.as_os_str().is_empty()) {
                let _ = std::fs::remove_dir(&plan.path);
            }
        }
        if plan.make_dirs.first().is_some_and(|dir| dir.as_os_str().is_empty()) {
            std::fs::create_dir_all(&plan.path)
                .map_err(|error| Error::io("making the directory", &plan.path, error))?;
        }
        let creates: Vec<&Change> = plan.changes.iter().filter(|change| change.kind != ChangeKind::Deleted).collect();
        if let Some(single) = creates.iter().find(|change| change.path.as_os_str().is_empty()) {
            return self.single(single);
        }
        if creates.is_empty() && plan.make_dirs.is_empty() {
            return Ok(());
        }
        let output = Output::open(&plan.path)?;
        for dir in plan.make_dirs.iter().filter(|dir| !dir.as_os_str().is_empty()) {
            let path = dir.as_os_str().as_bytes();
            let made = output.folder(parent(path)).and_then(|fd| {
                match rustix::fs::mkdirat(&fd, last(path), Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => Ok(()),
                    Err(errno) => Err(Error::io("making the directory", plan.full(dir), errno)),
                }
            });
            if let Err(error) = made {
                self.fail(plan.full(dir), error);
            }
        }
        self.by_folder(&output, &creates, |dir, name, change, full| self.create(dir, name, change, full))
    }

    /// Works on the files folder by folder, in parallel.
    fn by_folder(
        &self,
        output: &Output,
        changes: &[&Change],
        work: impl Fn(BorrowedFd<'_>, &[u8], &Change, &Path) -> Result<()> + Sync,
    ) -> Result<()> {
        let mut folders: BTreeMap<&[u8], Vec<&Change>> = BTreeMap::new();
        for change in changes {
            folders.entry(parent(change.path.as_os_str().as_bytes())).or_default().push(change);
        }
        // A folder of very many files is divided.
        let tasks: Vec<(&[u8], &[&Change])> = folders
            .iter()
            .flat_map(|(folder, changes)| changes.chunks(1024).map(move |part| (*folder, part)))
            .collect();
        tasks.into_par_iter().with_max_len(4).try_for_each(|(folder, changes)| {
            let dir = match output.folder(folder) {
                Ok(dir) => dir,
                Err(error) => {
                    self.fail(self.plan.full(os_path(folder)), error);
                    return Ok(());
                }
            };
            for change in changes {
                if self.options.progress.cancelled() {
                    return Err(Error::Cancelled);
                }
                let full = self.plan.full(&change.path);
                match work(dir.as_fd(), last(change.path.as_os_str().as_bytes()), change, &full) {
                    Err(Error::Cancelled) => return Err(Error::Cancelled),
                    Err(error) => self.fail(full, error),
                    Ok(()) => {}
                }
                self.options.progress.add(1, 0);
            }
            Ok(())
        })
    }

    fn fail(&self, path: PathBuf, error: Error) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).outcome.failed.push(Failure { path, error });
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

    fn single(&self, change: &Change) -> Result<()> {
        let path = &self.plan.path;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io("making the directory", folder, error))?;
        }
        let made = self.in_parent(|dir, name| Ok(self.create(dir, name, change, path)))?;
        match made {
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(error) => self.fail(path.clone(), error),
            Ok(()) => {}
        }
        self.options.progress.add(1, 0);
        Ok(())
    }

    fn create(&self, dir: BorrowedFd<'_>, name: &[u8], change: &Change, full: &Path) -> Result<()> {
        let failed = |errno| Error::io("making", full, errno);
        let Some(oid) = &change.new else { return Ok(()) };
        let relative = change.path.as_os_str().as_bytes();
        let keeps = change.kind == ChangeKind::Mode
            || change.kind == ChangeKind::Relinked && self.is_linked(dir, name, oid).map_err(failed)?;
        let mut stat = if keeps {
            rustix::fs::statat(dir, name, AtFlags::empty()).map_err(failed)?
        } else {
            // Nothing that will not be replaced is removed: the object is there and right.
            if change.kind != ChangeKind::Added {
                self.cache.expect(oid, self.cache.check(oid, false, self.options.progress)?)?;
                unlink(dir, name).map_err(failed)?;
            }
            self.linker.make(oid, dir, name, full)?
        };
        if relative.is_empty() && self.plan.is_exec {
            let before = Stamp::of(&stat);
            add_exec(dir, name).map_err(failed)?;
            stat = rustix::fs::statat(dir, name, AtFlags::empty()).map_err(failed)?;
            // The object itself, if it is a link to it.
            let after = Stamp::of(&stat);
            if self.cache.verified.get(oid) == Some(before) && before.same_but_ctime(&after) {
                self.cache.note(oid, after);
            }
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if change.kind != ChangeKind::Mode {
            made.hints.insert(relative.to_vec(), (Stamp::of(&stat), *oid.bytes()));
        }
        made.outcome.files += 1;
        Ok(())
    }

    /// Whether a file with the right content is already what the link type makes; a copy gets a new file's mode.
    fn is_linked(&self, dir: BorrowedFd<'_>, name: &[u8], oid: &Oid) -> std::result::Result<bool, Errno> {
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let object = self.cache.stat(oid).ok().flatten();
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
    fn remember(&self, hints: Hints) -> Result<Option<Content>> {
        let output = self.options.output.unwrap_or(&self.plan.path);
        let mut options = ScanOptions::new(self.options.state);
        options.cache = Some(self.cache);
        options.filter = self.options.filter;
        options.hash_name = self.cache.hash_name();
        let hints = match self.plan.path.strip_prefix(output).map(|path| path.as_os_str().as_bytes()) {
            Ok(b"") | Err(_) => hints,
            Ok(prefix) => hints
                .into_iter()
                .map(|(path, hint)| (if path.is_empty() { prefix.to_vec() } else { join(prefix, &path) }, hint))
                .collect(),
        };
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
}

fn last(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(path, |cut| &path[cut + 1..])
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
