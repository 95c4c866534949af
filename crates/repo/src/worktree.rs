//! Looking at outputs and dependencies as they lie in the work tree.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use trackway_store::{Content, Filter, Hash, HashName, Progress, ScanOptions, scan};

use crate::error::{Error, Result};
use crate::ignore::DvcIgnore;
use crate::output::{Output, Recorded};
use crate::repo::Repo;

/// The work tree of a repository, as one command looks at it.
pub struct WorkTree<'a> {
    pub repo: &'a Repo,
    pub ignore: Arc<DvcIgnore>,
    pub progress: &'a dyn Progress,
}

impl Repo {
    pub fn work_tree<'a>(&'a self, progress: &'a dyn Progress) -> Result<WorkTree<'a>> {
        Ok(WorkTree { repo: self, ignore: self.dvcignore()?, progress })
    }
}

impl WorkTree<'_> {
    /// Something is there. What `.dvcignore` hides is not, unless it is a dependency.
    pub fn exists(&self, out: &Output) -> bool {
        !self.is_ignored(out) && out.path.exists()
    }

    pub fn is_ignored(&self, out: &Output) -> bool {
        !out.is_dependency && out.is_in_repo() && self.ignore.why_no_output(&out.path).is_some()
    }

    /// Refuses an output that is reached, or would be written, through a symbolic link out of the repository: whoever wrote
    /// its `.dvc` file has no business there. DVC 3.67 follows such links.
    pub fn refuse_links_out(&self, out: &Output) -> Result<()> {
        let root = std::fs::canonicalize(self.repo.root()).map_err(|error| Error::io(self.repo.root(), error))?;
        let links = out.path.ancestors().take_while(|path| *path != self.repo.root()).filter(|path| path.is_symlink());
        for link in links {
            // A file may be a link: to an object of the cache, which is replaced and not written through.
            let is_file = link == out.path && !link.is_dir();
            if !is_file && !std::fs::canonicalize(link).is_ok_and(|target| target.starts_with(&root)) {
                return Err(Error::dvc(format!(
                    "'{}' is refused: '{}' is a symbolic link that leads out of the repository. Remove the link, or let the output lie elsewhere.",
                    out.display(self.repo),
                    link.display()
                )));
            }
        }
        Ok(())
    }

    pub fn scan_options(&self, hash_name: HashName) -> Result<ScanOptions<'_>> {
        Ok(ScanOptions {
            state: self.repo.state(),
            cache: Some(self.repo.cache(hash_name)?),
            filter: Some(&*self.ignore),
            hash_name,
            lenient: false,
            progress: self.progress,
        })
    }

    /// For commands that compare or replace: as DVC 3.67, these stumble neither over broken links nor over a `.dvcignore`
    /// inside of a folder.
    pub fn lenient_scan_options(&self, hash_name: HashName) -> Result<ScanOptions<'_>> {
        Ok(ScanOptions { lenient: true, ..self.scan_options(hash_name)? })
    }

    /// The content of an output, hashed as its record is.
    pub fn content(&self, out: &Output) -> Result<Option<Content>> {
        if self.is_ignored(out) {
            return Ok(None);
        }
        scan(&out.path, &self.scan_options(out.hash_name)?).map_err(Error::from)
    }

    /// `deleted`, `modified` or `new`; `None` if it is as recorded.
    pub fn change(&self, out: &Output) -> Result<Option<&'static str>> {
        if !self.exists(out) {
            return Ok(Some("deleted"));
        }
        let found = self.content(out)?.map(|content| Hash { name: out.hash_name, oid: content.oid() });
        Ok(match (&out.recorded, found) {
            (Recorded::Object(recorded), Some(found)) if *recorded == found => None,
            // As DVC 3.67: what has no record yet counts as modified.
            (_, Some(_)) => Some("modified"),
            (_, None) => Some("deleted"),
        })
    }

    /// The same, and `not in cache` when the cache lacks what is recorded.
    pub fn status(&self, out: &Output) -> Result<Option<&'static str>> {
        if out.has_record() && out.use_cache && !self.is_cached(out)? {
            return Ok(Some("not in cache"));
        }
        self.change(out)
    }

    /// The cache has the recorded object; of a folder, all of its files.
    pub fn is_cached(&self, out: &Output) -> Result<bool> {
        match (out.hash(), out.listed()) {
            (Some(hash), Some(tree)) => Ok(self.repo.cache(hash.name)?.missing(&tree)?.is_empty()),
            (Some(hash), None) => Ok(self.repo.cache(hash.name)?.holds(&hash.oid)?),
            (None, _) => Ok(false),
        }
    }
}

impl Filter for DvcIgnore {
    fn skips(&self, dir: &Path, name: &OsStr, is_dir: bool) -> bool {
        self.skip(dir, name, is_dir)
    }

    fn fingerprint(&self, root: &Path) -> Option<[u8; 16]> {
        // Below an output no ignore file counts: one that lies there is refused.
        Some(self.rules_at(root))
    }
}
