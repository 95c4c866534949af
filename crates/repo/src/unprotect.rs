//! `unprotect`: makes links to the cache files of their own.

use std::path::Path;

use trackway_store::Progress;

use crate::error::{Error, Result};
use crate::paths::{self, DVC_DIR};
use crate::repo::Repo;

impl Repo {
    /// Makes the file, or every file of the folder, one that may be written without harm to the cache. As DVC 3.67, any path
    /// will do, tracked or not; better than it, objects of the cache and git's own stay what they are.
    pub fn unprotect(&self, target: &str, progress: &dyn Progress) -> Result<()> {
        let _working = self.working_lock()?;
        let path = self.absolute(Path::new(target));
        if !path.exists() {
            return Err(Error::Unexpected(format!("can't unprotect non-existing data '{target}'")));
        }
        self.unprotect_in(&path, progress)
    }

    fn unprotect_in(&self, path: &Path, progress: &dyn Progress) -> Result<()> {
        if [self.dvc_dir(), self.cache_dir()].iter().any(|own| paths::is_in_or_eq(path, own)) {
            return Ok(());
        }
        if !paths::is_in_or_eq(self.root(), path) {
            return Ok(trackway_store::unprotect(path, self.config().cache_shared_group(), &self.own_dir(), progress)?);
        }
        // The repository itself, or a folder around it.
        let failed = |error| Error::io(path, error);
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let is_dir = entry.file_type().map_err(failed)?.is_dir();
            if is_dir && [".git", DVC_DIR].iter().any(|own| entry.file_name() == *own) {
                continue;
            }
            if is_dir || entry.path().is_file() {
                self.unprotect_in(&entry.path(), progress)?;
            }
        }
        Ok(())
    }
}
