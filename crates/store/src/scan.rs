//! Hashing the work tree.
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use crate::{Cache, HashName, Oid, Progress, Result, State, Tree};

/// What is left out of a directory (`.dvcignore`, sub-repositories). Called from many threads.
pub trait Filter: Sync {
    /// `dir` is absolute as the scanned path is; `name` lies in it.
    fn skips(&self, dir: &Path, name: &OsStr, is_dir: bool) -> bool;

    /// A hash of all rules that apply to files below `root`. While it stays the same, an unchanged folder is not listed
    /// and its files are not asked for again (directories always are). `None`: always list and ask.
    fn fingerprint(&self, _root: &Path) -> Option<[u8; 16]> {
        None
    }
}

#[derive(Clone, Copy)]
pub struct ScanOptions<'a> {
    pub state: &'a State,
    /// Knows hard links and symbolic links to its objects without hashing them.
    pub cache: Option<&'a Cache>,
    pub filter: Option<&'a dyn Filter>,
    pub hash_name: HashName,
    pub progress: &'a dyn Progress,
}

impl<'a> ScanOptions<'a> {
    /// MD5, no cache, no filter, no progress.
    pub fn new(state: &'a State) -> ScanOptions<'a> {
        ScanOptions { state, cache: None, filter: None, hash_name: HashName::Md5, progress: &crate::NoProgress }
    }
}

#[derive(Clone, Debug)]
pub enum Content {
    File(FileContent),
    Dir(DirContent),
}

#[derive(Clone, Debug)]
pub struct FileContent {
    oid: Oid,
    size: u64,
    is_exec: bool,
}

#[derive(Clone, Debug)]
pub struct DirContent {
    oid: Oid,
    size: u64,
    nfiles: u64,
}

impl Content {
    pub fn oid(&self) -> Oid {
        match self {
            Content::File(file) => file.oid,
            Content::Dir(dir) => dir.oid,
        }
    }
    pub fn size(&self) -> u64 {
        match self {
            Content::File(file) => file.size,
            Content::Dir(dir) => dir.size,
        }
    }
    /// `None` for a file.
    pub fn nfiles(&self) -> Option<u64> {
        match self {
            Content::File(_) => None,
            Content::Dir(dir) => Some(dir.nfiles),
        }
    }
    /// Always false for a directory.
    pub fn is_exec(&self) -> bool {
        matches!(self, Content::File(file) if file.is_exec)
    }
    pub fn is_dir(&self) -> bool {
        matches!(self, Content::Dir(_))
    }
    /// The tree of a directory, built when first asked for; `None` for a file.
    pub fn tree(&self) -> Option<Arc<Tree>> {
        unimplemented!()
    }
    /// Sizes of the files of a directory in the order of `tree()`, or of the file.
    pub fn sizes(&self) -> Vec<u64> {
        unimplemented!()
    }
}

/// Hashes the file or directory at the absolute `path`; `None` if nothing is there.
pub fn scan(_path: &Path, _options: &ScanOptions<'_>) -> Result<Option<Content>> {
    unimplemented!()
}
