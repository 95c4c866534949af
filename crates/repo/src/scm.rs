//! What a command leaves for git: lines in `.gitignore`, and files to be committed.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::gitignore::GitIgnores;
use crate::paths;
use crate::repo::Repo;

/// Gathers what one command changes that git should know of, and does it at the end: a command that fails before leaves
/// `.gitignore` as it was.
pub struct ScmChanges<'r> {
    repo: &'r Repo,
    ignores: GitIgnores,
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
        ScmChanges { repo, ignores: GitIgnores::default(), tracked: Vec::new() }
    }

    /// An output that git should not see. Fails if git tracks it already.
    pub fn ignore(&mut self, path: &Path) -> Result<()> {
        if let Some(git) = self.repo.git()? {
            if git.is_tracked(path)? {
                return Err(already_tracked(self.repo, path));
            }
            self.ignores.add(path);
        }
        Ok(())
    }

    /// An output that is no longer one.
    pub fn unignore(&mut self, path: &Path) {
        self.ignores.remove(path);
    }

    /// A file that was written, or deleted.
    pub fn track(&mut self, path: &Path) {
        if !self.tracked.iter().any(|known| known == path) {
            self.tracked.push(path.to_owned());
        }
    }

    /// Writes the `.gitignore` files and stages what is to be staged.
    pub fn finish(mut self) -> Result<ToCommit> {
        let Some(git) = self.repo.git()? else {
            return Ok(ToCommit::default());
        };
        for written in self.ignores.write(git, self.repo.root())? {
            self.track(&written);
        }
        let staged = self.repo.config().autostage();
        if staged && !self.tracked.is_empty() {
            git.add(&self.tracked)?;
        }
        let files = self.tracked.iter().map(|path| self.repo.show_from_cwd(path)).collect();
        Ok(ToCommit { files, staged })
    }
}

/// As DVC 3.67 says it.
fn already_tracked(repo: &Repo, path: &Path) -> Error {
    let shown = if paths::is_in(path, repo.root()) { repo.show_from_cwd(path) } else { paths::show(path) };
    Error::dvc(format!(
        " output '{shown}' is already tracked by SCM (e.g. Git).\n    You can remove it from Git, then add to DVC.\n        To stop tracking from Git:\n            git rm -r --cached '{shown}'\n            git commit -m \"stop tracking {shown}\" "
    ))
}
