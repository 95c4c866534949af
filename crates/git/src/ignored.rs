//! Whether git ignores a path: the `.gitignore` files on the way to it, `info/exclude` and the user's own excludes.

use std::path::Path;

use gix::index::entry::Mode;
use gix::worktree::stack::state::ignore::Source;

use crate::{Error, Git, Result};

impl Git {
    /// Whether git ignores `path`, absolute or relative to the root. What lies in an ignored folder is ignored. A path
    /// outside of the work tree is not ignored, the root neither. As in DVC 3.67, it does not matter whether it is tracked.
    pub fn is_ignored(&self, path: &Path, is_dir: bool) -> Result<bool> {
        let relative = match self.relative(path) {
            Ok(relative) => relative,
            Err(Error::Outside { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        if relative.as_os_str().is_empty() || self.is_bare() {
            return Ok(false);
        }
        let failed = |error: &dyn std::fmt::Display| {
            Error::read(format!("the ignore files on the way to '{}'", path.display()), error)
        };
        let repo = self.local();
        let mut ignores = self.0.ignores.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let stack = match &mut *ignores {
            Some(stack) => stack,
            none => {
                // An empty index: ignore files are read from the work tree alone.
                let index = gix::index::State::new(repo.object_hash());
                let stack = repo
                    .excludes(&index, None, Source::WorktreeThenIdMappingIfNotSkipped)
                    .map_err(|e| failed(&e))?
                    .detach();
                none.insert(stack)
            }
        };
        let mode = if is_dir { Mode::DIR } else { Mode::FILE };
        let at = stack.at_path(&*relative, Some(mode), &repo.objects).map_err(|e| failed(&e))?;
        Ok(at.is_excluded())
    }

    /// To be called after an ignore file was written: what was read of them is read again.
    pub fn forget_ignores(&self) {
        *self.0.ignores.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = None;
    }
}
