//! The record of the work tree.
use std::path::Path;

/// Remembers the hashes of files between commands. All of it may be deleted at any time.
pub struct State {
    _todo: (),
}

impl State {
    /// Keeps its files in `dir` (`.dvc/tmp/trackway`), which need not exist; where it cannot write it remembers nothing.
    pub fn open(_dir: &Path) -> State {
        unimplemented!()
    }
    pub fn disabled() -> State {
        unimplemented!()
    }
    /// Forgets what lies at `path` (after the output was removed or moved).
    pub fn forget(&self, _path: &Path) {}
    /// Writes what was learnt about single files; also done when dropped.
    pub fn flush(&self) {}
}
