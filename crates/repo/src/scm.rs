//! What a command leaves for git: lines in `.gitignore`, and files to be committed.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::gitignore;
use crate::paths;
use crate::repo::Repo;

/// Gathers what one command changes that git should know of, and does it at the end: a command that fails before leaves
/// `.gitignore` as it was.
pub struct ScmChanges<'r> {
    repo: &'r Repo,
    ignored: Vec<PathBuf>,
    unignored: Vec<PathBuf>,
    tracked: Vec<PathBuf>,
}

/// What the person is told, or what was staged for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToCommit {
    /// As seen from where the person stands. Empty: there is nothing to say.
    pub files: Vec<String>,
    /// They were staged (`core.autostage`).
    pub staged: bool,
}

impl<'r> ScmChanges<'r> {
    pub fn new(repo: &'r Repo) -> ScmChanges<'r> {
        ScmChanges { repo, ignored: Vec::new(), unignored: Vec::new(), tracked: Vec::new() }
    }

    /// An output that git should not see. Fails if git tracks it already.
    pub fn ignore(&mut self, path: &Path) -> Result<()> {
        if let Some(git) = self.repo.git()? {
            let inside = paths::is_in(path, self.repo.root());
            let shown = if inside { self.repo.show_from_cwd(path) } else { paths::show(path) };
            gitignore::refuse_tracked(git, path, &shown)?;
            self.ignored.push(path.to_owned());
        }
        Ok(())
    }

    /// An output that is no longer one.
    pub fn unignore(&mut self, path: &Path) {
        self.unignored.push(path.to_owned());
    }

    /// A file that was written, or deleted.
    pub fn track(&mut self, path: &Path) {
        if !self.tracked.iter().any(|known| known == path) {
            self.tracked.push(path.to_owned());
        }
    }

    /// Writes the `.gitignore` files and stages what is to be staged.
    pub fn finish(self) -> Result<ToCommit> {
        let autostage = self.repo.config().autostage();
        self.finish_with(autostage)
    }

    /// The same for commands that, as in DVC 3.67, neither stage anything nor say what is to be committed.
    pub fn finish_without_staging(self) -> Result<()> {
        self.finish_with(false).map(drop)
    }

    fn finish_with(mut self, autostage: bool) -> Result<ToCommit> {
        let Some(git) = self.repo.git()? else {
            return Ok(ToCommit::default());
        };
        let mut written = gitignore::unignore(git, &self.unignored)?;
        written.extend(gitignore::ignore(git, &self.ignored)?.files);
        for file in written {
            self.track(&file);
        }
        if autostage && !self.tracked.is_empty() {
            git.add(&self.tracked)?;
        }
        let files = self.tracked.iter().map(|path| self.repo.show_from_cwd(path)).collect();
        Ok(ToCommit { files, staged: autostage })
    }
}
