//! Putting the work tree into the cache.
use std::path::Path;

use crate::{Cache, Content, Progress, Result, ScanOptions, State};

#[derive(Clone, Copy)]
pub struct SaveOptions<'a> {
    /// End with the work tree's files linked to the cache as configured (DVC: not `--no-relink`).
    pub relink: bool,
    pub state: &'a State,
    pub progress: &'a dyn Progress,
}

/// `scan` and `save` in one pass over the bytes.
pub fn scan_into(
    _path: &Path,
    _options: &ScanOptions<'_>,
    _cache: &Cache,
    _save: &SaveOptions<'_>,
) -> Result<Option<Content>> {
    unimplemented!()
}

/// Puts what was scanned into the cache, its `.dir` object last. `Error::Changed` if a file is no longer what it was.
pub fn save(_path: &Path, _content: &Content, _cache: &Cache, _save: &SaveOptions<'_>) -> Result<()> {
    unimplemented!()
}
