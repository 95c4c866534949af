//! `.dir` objects.
use std::path::Path;

use crate::{Oid, Result};

/// The list of a directory's files: relative path (bytes, '/' between names) and object, sorted as DVC sorts it.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    _todo: (),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Relative to the directory, '/' between names; any bytes but NUL.
    pub path: &'a [u8],
    pub oid: Oid,
}

impl<'a> Entry<'a> {
    pub fn os_path(&self) -> &'a Path {
        use std::os::unix::ffi::OsStrExt;
        Path::new(std::ffi::OsStr::from_bytes(self.path))
    }
}

/// What takes a path's place in `Tree::replace`.
#[derive(Clone, Copy, Debug)]
pub enum Replacement<'a> {
    Nothing,
    File(Oid),
    Tree(&'a Tree),
}

/// One path that differs between two trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference<'a> {
    Added(Entry<'a>),
    Deleted(Entry<'a>),
    Modified { path: &'a [u8], old: Oid, new: Oid },
}

impl Tree {
    /// Reads a `.dir` object; `name` is for the errors (its oid, or a file's name).
    pub fn parse(_name: &str, _json: &[u8]) -> Result<Tree> {
        unimplemented!()
    }
    /// Sorts; refuses what `parse` refuses.
    pub fn from_entries<P: AsRef<[u8]>>(_entries: impl IntoIterator<Item = (P, Oid)>) -> Result<Tree> {
        unimplemented!()
    }
    pub fn to_bytes(&self) -> Vec<u8> {
        unimplemented!()
    }
    pub fn oid(&self) -> Oid {
        unimplemented!()
    }
    pub fn len(&self) -> usize {
        unimplemented!()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entry<'_>> + Clone {
        std::iter::empty()
    }
    pub fn get(&self, _path: &[u8]) -> Option<Oid> {
        unimplemented!()
    }
    /// Whether `path` is a directory in the tree (an entry lies below it).
    pub fn has_dir(&self, _path: &[u8]) -> bool {
        unimplemented!()
    }
    /// The entries at or below `prefix`, with their full paths.
    pub fn filter(&self, _prefix: &[u8]) -> Tree {
        unimplemented!()
    }
    /// The directory `prefix` as a tree of its own; `None` if there is no such directory.
    pub fn subtree(&self, _prefix: &[u8]) -> Option<Tree> {
        unimplemented!()
    }
    /// The tree with what is at or below `path` replaced.
    pub fn replace(&self, _path: &[u8], _with: Replacement<'_>) -> Result<Tree> {
        unimplemented!()
    }
    pub fn diff<'a>(_old: &'a Tree, _new: &'a Tree) -> impl Iterator<Item = Difference<'a>> {
        std::iter::empty()
    }
    /// Three-way merge as DVC's merge driver does it; only additions are allowed unless `all` is given.
    pub fn merge(_ancestor: &Tree, _ours: &Tree, _theirs: &Tree) -> Result<Tree> {
        unimplemented!()
    }
}
