//! Link types.
use std::path::Path;

use crate::{Progress, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    Reflink,
    Hardlink,
    Symlink,
    Copy,
}

/// Makes the file or every file of the directory at `path` a copy of its own that may be written, as DVC's `unprotect`.
pub fn unprotect(_path: &Path, _progress: &dyn Progress) -> Result<()> {
    unimplemented!()
}
