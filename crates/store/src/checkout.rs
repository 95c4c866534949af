//! Making the work tree what it should be.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Cache, Content, Error, Oid, Progress, Result, State, Tree};

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

#[derive(Debug)]
pub struct Plan {
    pub path: PathBuf,
    /// Files, in the order of their paths.
    pub changes: Vec<Change>,
    /// Directories to make, parents first, relative; the empty path is the output itself.
    pub make_dirs: Vec<PathBuf>,
    /// Directories to remove if they are empty then, children first.
    pub remove_dirs: Vec<PathBuf>,
}

#[derive(Clone, Copy)]
pub struct CheckoutOptions<'a> {
    pub state: &'a State,
    pub progress: &'a dyn Progress,
}

#[derive(Debug)]
pub struct Failure {
    /// Absolute.
    pub path: PathBuf,
    pub error: Error,
}

#[derive(Debug, Default)]
pub struct Outcome {
    pub files: u64,
    pub bytes: u64,
    /// Files that could not be made; the rest was.
    pub failed: Vec<Failure>,
}

/// Compares what is at the absolute `path` (`old`, as scanned) with what should be there (`new`).
pub fn plan(_path: &Path, _old: Option<&Content>, _new: Option<&Target>, _relink: bool) -> Result<Plan> {
    unimplemented!()
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.make_dirs.is_empty() && self.remove_dirs.is_empty()
    }
    pub fn count(&self, kind: ChangeKind) -> usize {
        self.changes.iter().filter(|change| change.kind == kind).count()
    }
    /// Absolute paths of files that would be deleted or overwritten although the cache does not hold their content.
    pub fn unsaved(&self, _cache: &Cache) -> Result<Vec<PathBuf>> {
        unimplemented!()
    }
    pub fn apply(&self, _cache: &Cache, _options: &CheckoutOptions<'_>) -> Result<Outcome> {
        unimplemented!()
    }
}
