//! The cache.
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::{HashName, LinkType, Oid, Result, Tree};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `<root>/files/md5/xx/…`, MD5.
    V3,
    /// `<root>/xx/…`, MD5 after dos2unix.
    V2,
}

#[derive(Clone, Debug)]
pub struct CacheOptions {
    /// The cache's folder (`.dvc/cache`), absolute.
    pub root: PathBuf,
    pub layout: Layout,
    /// As configured; empty: DVC's default, reflink and copy.
    pub link_types: Vec<LinkType>,
    /// `cache.shared = group`.
    pub shared: bool,
}

pub struct Cache {
    _todo: (),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub oid: Oid,
    pub size: u64,
    pub mtime: SystemTime,
}

/// All objects, folder by folder, in the order of their names.
pub struct Objects<'a> {
    _cache: &'a Cache,
}

impl Iterator for Objects<'_> {
    type Item = Result<Object>;
    fn next(&mut self) -> Option<Result<Object>> {
        None
    }
}

/// An object that is being written (a download): nothing is seen of it until `finish`; dropped, it is gone.
pub struct Incoming<'a> {
    _cache: &'a Cache,
}

impl Write for Incoming<'_> {
    fn write(&mut self, _buf: &[u8]) -> std::io::Result<usize> {
        unimplemented!()
    }
    fn flush(&mut self) -> std::io::Result<()> {
        unimplemented!()
    }
}

impl Incoming<'_> {
    /// Puts the object in its place if its content is what `expected` says, else `Error::Corrupt`.
    pub fn finish(self, _expected: Oid) -> Result<()> {
        unimplemented!()
    }
}

impl Cache {
    /// Opens the cache; its folder need not exist yet.
    pub fn open(_options: CacheOptions) -> Result<Cache> {
        unimplemented!()
    }
    pub fn root(&self) -> &Path {
        unimplemented!()
    }
    pub fn layout(&self) -> Layout {
        unimplemented!()
    }
    pub fn hash_name(&self) -> HashName {
        unimplemented!()
    }
    pub fn link_types(&self) -> &[LinkType] {
        unimplemented!()
    }
    pub fn path(&self, _oid: &Oid) -> PathBuf {
        unimplemented!()
    }
    /// Whether a file bears the object's name; says nothing of its content.
    pub fn contains(&self, _oid: &Oid) -> bool {
        unimplemented!()
    }
    pub fn size(&self, _oid: &Oid) -> Result<Option<u64>> {
        unimplemented!()
    }
    /// The object is there and right, by our record or by hashing it; else `Missing` or `Corrupt`.
    pub fn verify(&self, _oid: &Oid) -> Result<()> {
        unimplemented!()
    }
    /// As `verify`, but hashed even when the record knows it (fsck).
    pub fn rehash(&self, _oid: &Oid) -> Result<()> {
        unimplemented!()
    }
    /// The content of a verified object.
    pub fn read(&self, _oid: &Oid) -> Result<Vec<u8>> {
        unimplemented!()
    }
    pub fn read_tree(&self, _oid: &Oid) -> Result<Tree> {
        unimplemented!()
    }
    pub fn put_tree(&self, _tree: &Tree) -> Result<Oid> {
        unimplemented!()
    }
    pub fn put_bytes(&self, _bytes: &[u8]) -> Result<Oid> {
        unimplemented!()
    }
    /// Copies a file into the cache (reflink, else copy) and tells its oid.
    pub fn insert_file(&self, _path: &Path) -> Result<Oid> {
        unimplemented!()
    }
    pub fn receive(&self) -> Result<Incoming<'_>> {
        unimplemented!()
    }
    /// Deletes one object and forgets it; `false` if it was not there.
    pub fn remove(&self, _oid: &Oid) -> Result<bool> {
        unimplemented!()
    }
    pub fn objects(&self) -> Result<Objects<'_>> {
        unimplemented!()
    }
    /// Everything written so far is on disk: to be called before something that names new objects is written.
    /// Also writes the record of verified objects.
    pub fn flush(&self) -> Result<()> {
        unimplemented!()
    }
}
