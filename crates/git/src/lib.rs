//! What a data repository needs to know of git, and the little it asks the `git` program to do.
//!
//! - [`Git`]: a repository, found from any path inside it. Cheap to clone, shared between threads.
//! - `revision`: names to commits, branches, tags, histories, experiment refs.
//! - [`GitTree`]: the files of one commit; objects are opened when they are asked for.
//! - `index`: what is tracked, and which folders are submodules.
//! - `ignored`: whether git ignores a path.
//! - [`Clones`]: repositories elsewhere, cloned once and fetched from when they lack something.
//! - `program`: what is left to the `git` program: staging, resetting, the state of the work tree.
//! - [`Patterns`]: lines of a `.dvcignore`, with the meaning that DVC gives them.
//!
//! Reading is done in this process: starting `git` costs more than most of the questions asked here. Everything that
//! writes the index goes through the program, so that its locks, filters and hooks hold.

pub mod clones;
mod ignored;
mod index;
pub mod patterns;
mod program;
mod revision;
mod tree;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub use clones::Clones;
pub use patterns::{Pattern, PatternError, Patterns};
pub use program::{Status, Untracked};
pub use revision::{CommitId, ExpRef};
pub use tree::{Entry, GitTree, Kind};

/// Why git could not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("unknown Git revision '{0}'")]
    UnknownRevision(String),
    #[error("ambiguous Git revision '{0}'")]
    AmbiguousRevision(String),
    /// `HEAD` points nowhere yet.
    #[error("Empty git repo")]
    Empty,
    #[error("'{}' is outside of git repository '{}'", path.display(), root.display())]
    Outside { path: PathBuf, root: PathBuf },
    #[error("the Git repository at '{}' cannot be opened: {reason}", path.display())]
    Open { path: PathBuf, reason: String },
    #[error("cannot read {what} from the Git repository: {reason}")]
    Read { what: String, reason: String },
    #[error("the Git repository '{url}' is not opened: {reason}")]
    Refused { url: String, reason: String },
    #[error("cannot run `git {command}`: {reason}")]
    Program { command: String, reason: String },
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    fn read(what: impl Into<String>, reason: impl std::fmt::Display) -> Error {
        Error::Read { what: what.into(), reason: reason.to_string() }
    }
}

/// An opened repository.
#[derive(Clone)]
pub struct Git(Arc<Inner>);

struct Inner {
    repo: gix::ThreadSafeRepository,
    root: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    bare: bool,
    /// The ignore files read so far; forgotten when one of them was written.
    ignores: Mutex<Option<gix::worktree::Stack>>,
}

impl Git {
    /// The repository that `path` lies in, or `None` outside of any. Bare repositories are found too; their root is the
    /// git directory, as in DVC 3.67. Neither `GIT_DIR` nor its relatives are looked at: DVC ignores them.
    pub fn discover(path: &Path) -> Result<Option<Git>> {
        let open_error = |reason: &dyn std::fmt::Display| Error::Open { path: path.into(), reason: reason.to_string() };
        let start = std::fs::canonicalize(path).map_err(|error| open_error(&error))?;
        // Most questions come from inside a repository; those from outside should cost nothing but a few stats.
        if !start.ancestors().any(|dir| dir.join(".git").symlink_metadata().is_ok() || dir.join("HEAD").is_file()) {
            return Ok(None);
        }
        let options = gix::discover::upwards::Options { cross_fs: true, ..Default::default() };
        if gix::discover::upwards_opts(&start, options).is_err() {
            return Ok(None);
        }
        let options = gix::discover::upwards::Options { cross_fs: true, ..Default::default() };
        let repo = gix::ThreadSafeRepository::discover_opts(&start, options, Default::default())
            .map_err(|error| open_error(&error))?;
        Self::from_repository(repo).map(Some)
    }

    fn from_repository(repo: gix::ThreadSafeRepository) -> Result<Git> {
        let local = repo.to_thread_local();
        let absolute = |path: &Path| {
            std::fs::canonicalize(path)
                .map_err(|error| Error::Open { path: path.to_owned(), reason: error.to_string() })
        };
        let git_dir = absolute(local.git_dir())?;
        let common_dir = absolute(local.common_dir())?;
        let (root, bare) = match local.workdir() {
            Some(dir) => (absolute(dir)?, false),
            None => (git_dir.clone(), true),
        };
        drop(local);
        Ok(Git(Arc::new(Inner { repo, root, git_dir, common_dir, bare, ignores: Mutex::new(None) })))
    }

    /// The top of the work tree, without symbolic links.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// `.git`, or what it points to in a linked work tree or a submodule.
    pub fn git_dir(&self) -> &Path {
        &self.0.git_dir
    }

    /// The git directory that linked work trees share.
    pub fn common_dir(&self) -> &Path {
        &self.0.common_dir
    }

    pub fn is_bare(&self) -> bool {
        self.0.bare
    }

    /// Where DVC 3.67 installs hooks: `.git/hooks`, whatever `core.hooksPath` says. In a linked work tree, where DVC
    /// fails because `.git` is a file, it is the folder that git itself reads.
    pub fn hooks_dir(&self) -> PathBuf {
        self.0.common_dir.join("hooks")
    }

    /// The folder that `core.hooksPath` names: hooks in [`Git::hooks_dir`] do not run when it is another one.
    pub fn configured_hooks_dir(&self) -> Option<PathBuf> {
        let local = self.local();
        let path = local.config_snapshot().string("core.hooksPath")?;
        let path = Path::new(OsStr::from_bytes(&path)).to_owned();
        if let (Ok(rest), Some(home)) = (path.strip_prefix("~"), std::env::home_dir()) {
            return Some(home.join(rest));
        }
        Some(self.0.root.join(path))
    }

    fn local(&self) -> gix::Repository {
        self.0.repo.to_thread_local()
    }

    /// `path`, absolute or relative to the root, as git writes it: relative to the root, `/` between the names.
    fn relative<'a>(&self, path: &'a Path) -> Result<std::borrow::Cow<'a, Path>> {
        if path.is_relative() {
            return Ok(path.into());
        }
        match path.strip_prefix(&self.0.root) {
            Ok(rest) => Ok(rest.into()),
            Err(_) => self.relative_through_links(path).map(Into::into),
        }
    }

    /// The same for a path that reaches the work tree through a symbolic link: its folder is resolved, its name kept.
    fn relative_through_links(&self, path: &Path) -> Result<PathBuf> {
        let outside = || Error::Outside { path: path.into(), root: self.0.root.clone() };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(outside()) };
        let mut rest = PathBuf::from(name);
        for dir in parent.ancestors() {
            if let Ok(real) = std::fs::canonicalize(dir) {
                let real = real.join(rest);
                return Ok(real.strip_prefix(&self.0.root).map_err(|_| outside())?.to_owned());
            }
            let Some(name) = dir.file_name() else { break };
            rest = Path::new(name).join(rest);
        }
        Err(outside())
    }
}

impl std::fmt::Debug for Git {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Git").field("root", &self.0.root).finish()
    }
}
