//! Where the repository's own files are read from: the work tree, or a commit.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use trackway_git::{GitTree, Kind};

use crate::error::{Error, Result};

/// The files at one revision. Paths are those of the work tree, absolute.
#[derive(Clone, Debug)]
pub enum Files {
    WorkTree,
    /// A commit. `top` is the folder that the commit's root is checked out at.
    Commit {
        tree: GitTree,
        top: PathBuf,
    },
}

/// What a listing tells of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    Dir,
    File,
    /// Symbolic links, and what is neither file nor folder.
    Other,
}

/// What is known of a file or folder without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    pub is_dir: bool,
    pub size: u64,
    /// Anybody may execute it.
    pub is_exec: bool,
}

impl Files {
    /// The files of a commit, as the repository at `root` sees them: under the paths that they have when checked out there.
    pub fn of_commit(tree: GitTree, root: &Path) -> Files {
        let top = tree.git().root();
        let real = if root.starts_with(top) { None } else { std::fs::canonicalize(root).ok() };
        // Where the way to the repository goes through a link, so do the paths of its files.
        let depth = real.as_deref().unwrap_or(root).strip_prefix(top).map_or(0, |inner| inner.components().count());
        let seen_from_root = root.ancestors().nth(depth).unwrap_or(root);
        let top = if real.is_some() { seen_from_root.to_owned() } else { top.to_owned() };
        Files::Commit { tree, top }
    }

    pub fn is_work_tree(&self) -> bool {
        matches!(self, Files::WorkTree)
    }

    /// A file's bytes; `None` if there is no such file.
    pub fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match self {
            Files::WorkTree => match std::fs::read(path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if is_absent(&error) => Ok(None),
                Err(error) => Err(Error::io(path, error)),
            },
            Files::Commit { tree, top } => match path.strip_prefix(top) {
                Ok(inner) => Ok(tree.read(inner)?),
                Err(_) => Ok(None),
            },
        }
    }

    pub fn kind(&self, path: &Path) -> Result<Option<EntryKind>> {
        match self {
            Files::WorkTree => match std::fs::metadata(path) {
                Ok(meta) if meta.is_dir() => Ok(Some(EntryKind::Dir)),
                Ok(meta) if meta.is_file() => Ok(Some(EntryKind::File)),
                Ok(_) => Ok(Some(EntryKind::Other)),
                Err(error) if is_absent(&error) => Ok(None),
                Err(error) => Err(Error::io(path, error)),
            },
            Files::Commit { tree, top } => {
                let Ok(inner) = path.strip_prefix(top) else {
                    return Ok(None);
                };
                if inner.as_os_str().is_empty() {
                    return Ok(Some(EntryKind::Dir));
                }
                Ok(tree.entry(inner)?.map(|entry| kind_in_git(entry.kind)))
            }
        }
    }

    /// What is at a path. Links of the work tree are followed; a submodule's files are not known.
    pub fn stat(&self, path: &Path) -> Result<Option<FileStat>> {
        match self {
            Files::WorkTree => match std::fs::metadata(path) {
                Ok(meta) => Ok(Some(FileStat::of(&meta))),
                Err(error) if is_absent(&error) => Ok(None),
                Err(error) => Err(Error::io(path, error)),
            },
            Files::Commit { tree, top } => {
                let Ok(inner) = path.strip_prefix(top) else { return Ok(None) };
                let Some(entry) = tree.entry(inner)? else { return Ok(None) };
                let size = if entry.kind == Kind::Submodule { 0 } else { tree.size(entry.id)? };
                Ok(Some(FileStat { is_dir: entry.kind.is_dir(), size, is_exec: entry.kind == Kind::Executable }))
            }
        }
    }

    /// The same of something in a listing. As DVC 3.67 lists links: as files, of the size of what they lead to.
    pub fn stat_listed(&self, path: &Path, kind: EntryKind) -> Result<Option<FileStat>> {
        let found = self.stat(path)?;
        if kind != EntryKind::Other || !self.is_work_tree() {
            return Ok(found);
        }
        Ok(Some(FileStat { is_dir: false, is_exec: false, size: found.map_or(0, |found| found.size) }))
    }

    /// What lies in a folder, in the order in which the file system or git tells it. A missing folder has nothing.
    pub fn list(&self, dir: &Path) -> Result<Vec<(OsString, EntryKind)>> {
        match self {
            Files::WorkTree => {
                let entries = match std::fs::read_dir(dir) {
                    Ok(entries) => entries,
                    Err(error) if is_absent(&error) => return Ok(Vec::new()),
                    Err(error) => return Err(Error::io(dir, error)),
                };
                let mut found = Vec::new();
                for entry in entries {
                    let entry = entry.map_err(|error| Error::io(dir, error))?;
                    let kind = match entry.file_type() {
                        Ok(kind) if kind.is_dir() => EntryKind::Dir,
                        Ok(kind) if kind.is_file() => EntryKind::File,
                        _ => EntryKind::Other,
                    };
                    found.push((entry.file_name(), kind));
                }
                Ok(found)
            }
            Files::Commit { tree, top } => {
                let Ok(inner) = dir.strip_prefix(top) else {
                    return Ok(Vec::new());
                };
                let listed = tree.list(inner)?.unwrap_or_default();
                Ok(listed.into_iter().map(|(name, entry)| (name, kind_in_git(entry.kind))).collect())
            }
        }
    }
}

impl FileStat {
    fn of(meta: &std::fs::Metadata) -> FileStat {
        use std::os::unix::fs::PermissionsExt;
        FileStat { is_dir: meta.is_dir(), size: meta.len(), is_exec: meta.permissions().mode() & 0o111 != 0 }
    }
}

fn kind_in_git(kind: Kind) -> EntryKind {
    match kind {
        kind if kind.is_dir() => EntryKind::Dir,
        Kind::File | Kind::Executable => EntryKind::File,
        _ => EntryKind::Other,
    }
}

/// Not there, or a name in the way is no folder.
pub fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}
