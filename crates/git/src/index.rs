//! What the index says: which paths are tracked, which folders are submodules.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gix::bstr::{BStr, ByteSlice};
use gix::index::entry::Mode;

use crate::{Error, Git, Result};

impl Git {
    /// Whether git tracks `path`, a file, or anything below it. Paths outside of the work tree are not tracked.
    pub fn is_tracked(&self, path: &Path) -> Result<bool> {
        Ok(!self.find_tracked(path, true)?.is_empty())
    }

    /// The tracked files at or below `path`, relative to the root, in the index's order.
    pub fn tracked_under(&self, path: &Path) -> Result<Vec<PathBuf>> {
        self.find_tracked(path, false)
    }

    fn find_tracked(&self, path: &Path, only_first: bool) -> Result<Vec<PathBuf>> {
        let relative = match self.relative(path) {
            Ok(relative) => relative,
            Err(Error::Outside { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let name = relative.as_os_str().as_bytes().trim_end_with(|c| c == '/');
        let index = self.local().index_or_empty().map_err(|e| Error::read("the index", e))?;
        let mut found = Vec::new();
        let mut add = |path: &BStr| found.push(PathBuf::from(OsStr::from_bytes(path)));
        if name.is_empty() {
            let count = if only_first { 1 } else { usize::MAX };
            index.entries().iter().take(count).for_each(|entry| add(entry.path(&index)));
            return Ok(found);
        }
        if let Some(range) = index.entry_range(name.as_bstr()) {
            // Unmerged, a file has up to three entries.
            add(index.entries()[range.start].path(&index));
            if only_first {
                return Ok(found);
            }
        }
        let mut prefix = name.to_vec();
        prefix.push(b'/');
        let below = index.prefixed_entries(prefix.as_bstr()).unwrap_or(&[]);
        for entry in below {
            add(entry.path(&index));
            if only_first {
                break;
            }
        }
        found.dedup();
        Ok(found)
    }

    /// The folders of submodules, relative to the root: those in the index and those that `.gitmodules` names.
    pub fn submodules(&self) -> Result<Vec<PathBuf>> {
        let index = self.local().index_or_empty().map_err(|e| Error::read("the index", e))?;
        let mut paths: BTreeSet<PathBuf> = index
            .entries()
            .iter()
            .filter(|entry| entry.mode == Mode::COMMIT)
            .map(|entry| PathBuf::from(OsStr::from_bytes(entry.path(&index))))
            .collect();
        if let Ok(modules) =
            gix::config::File::from_path_no_includes(self.root().join(".gitmodules"), gix::config::Source::Local)
            && let Some(sections) = modules.sections_by_name("submodule")
        {
            paths
                .extend(sections.filter_map(|section| Some(PathBuf::from(OsStr::from_bytes(&section.value("path")?)))));
        }
        Ok(paths.into_iter().collect())
    }
}
