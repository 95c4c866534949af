//! What is recorded of a file or folder: its hash, size and, for clouds, its version.

/// The hash and the metadata of a dependency, an output, or a file of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// The `hash: md5` marker. `None` is a file of DVC 2.x, whose `md5` was taken with CRLF read as LF.
    pub hash: Option<String>,
    pub md5: Option<String>,
    pub etag: Option<String>,
    pub checksum: Option<String>,
    pub version_id: Option<String>,
    pub size: Option<u64>,
    pub nfiles: Option<u64>,
    pub isexec: bool,
    /// The remote whose `etag`, `checksum` and `version_id` these are (`cloud: {remote: {…}}`).
    pub cloud: Option<String>,
}

/// A file of a folder that is kept as it is in a cloud (`files:`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileEntry {
    /// With `/`, as written. Untrusted: may hold `..`.
    pub relpath: String,
    pub info: Info,
}
