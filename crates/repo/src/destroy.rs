//! `dvc destroy`: turns a repository back into a plain folder. The data stays in the work tree.

use std::collections::BTreeSet;
use std::path::PathBuf;

use trackway_store::Progress;

use crate::error::Result;
use crate::ignore;
use crate::init::remove;
use crate::paths::{LOCK_FILE, PROJECT_FILE};
use crate::repo::Repo;

/// Makes every output a file of its own, then removes the `.dvc` and `dvc.yaml` files, `.dvcignore` and `.dvc` with the cache
/// in it. A cache elsewhere stays, and the lines in `.gitignore` too, as in DVC 3.67.
pub fn destroy(repo: Repo, progress: &dyn Progress) -> Result<()> {
    let lock = repo.lock()?;
    let index = repo.index()?;
    let stages = index.stages()?;
    // All data first: whoever is interrupted here has lost nothing.
    for out in stages.iter().flat_map(|stage| &stage.outs) {
        if out.use_cache && out.path.symlink_metadata().is_ok() {
            trackway_store::unprotect(&out.path, repo.config().cache_shared_group(), &repo.own_dir(), progress)?;
        }
    }
    let files: BTreeSet<PathBuf> = stages.iter().map(|stage| stage.path.clone()).collect();
    for file in files {
        remove(&file)?;
        if file.file_name().is_some_and(|name| name == PROJECT_FILE) {
            remove(&file.with_file_name(LOCK_FILE))?;
        }
    }
    // As DVC 3.67 the lock goes before the folder that it lies in.
    drop(lock);
    remove(&repo.root().join(ignore::FILE_NAME))?;
    remove(&repo.dvc_dir())
}
