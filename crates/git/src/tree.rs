//! The files of one commit.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use gix::ObjectId;
use gix::objs::tree::{EntryKind, EntryMode};

use crate::{CommitId, Error, Git, Result};

/// The tree of one commit. Cheap to clone and to share; nothing is read before it is asked for.
#[derive(Clone, Debug)]
pub struct GitTree {
    git: Git,
    commit: CommitId,
    root: ObjectId,
}

/// What a name in a tree stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Executable,
    Symlink,
    Dir,
    /// Another repository's commit; its files are not here.
    Submodule,
}

impl Kind {
    pub fn is_dir(self) -> bool {
        matches!(self, Kind::Dir | Kind::Submodule)
    }
}

/// One entry of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    pub id: ObjectId,
}

impl Git {
    pub fn tree(&self, commit: CommitId) -> Result<GitTree> {
        let repo = self.local();
        let failed = |error: gix::Error| Error::read(format!("commit {commit}"), error);
        let root = repo.find_commit(commit.0).map_err(failed)?.tree_id().map_err(failed)?.detach();
        Ok(GitTree { git: self.clone(), commit, root })
    }
}

impl GitTree {
    pub fn commit(&self) -> CommitId {
        self.commit
    }

    pub fn git(&self) -> &Git {
        &self.git
    }

    /// The bytes of a file (of a symbolic link: its target); `None` when nothing, or no file, has this name.
    pub fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match self.entry(path)? {
            Some(Entry { kind: Kind::File | Kind::Executable | Kind::Symlink, id }) => self.blob(id).map(Some),
            _ => Ok(None),
        }
    }

    /// The bytes of an entry that was listed.
    pub fn blob(&self, id: ObjectId) -> Result<Vec<u8>> {
        let repo = self.git.local();
        let mut object = repo.find_object(id).map_err(|e| Error::read(format!("object {id}"), e))?;
        Ok(std::mem::take(&mut object.data))
    }

    /// How many bytes an entry has, without reading them.
    pub fn size(&self, id: ObjectId) -> Result<u64> {
        let header = self.git.local().find_header(id).map_err(|e| Error::read(format!("object {id}"), e))?;
        Ok(header.size())
    }

    /// What is at `path`, relative to the root of the work tree. Links are not followed. A path with `..` in it, or an
    /// absolute one, names nothing.
    pub fn entry(&self, path: &Path) -> Result<Option<Entry>> {
        let mut names = PathBuf::new();
        for part in path.components() {
            match part {
                Component::Normal(name) => names.push(name),
                Component::CurDir => {}
                _ => return Ok(None),
            }
        }
        if names.as_os_str().is_empty() {
            return Ok(Some(Entry { kind: Kind::Dir, id: self.root }));
        }
        let repo = self.git.local();
        let failed = |error: gix::Error| Error::read(format!("'{}' at {}", path.display(), self.commit), error);
        let tree = repo.find_tree(self.root).map_err(failed)?;
        let found = tree.lookup_entry_by_path(names).map_err(failed)?;
        Ok(found.map(|entry| Entry { kind: kind(entry.mode()), id: entry.object_id() }))
    }

    /// The names in a folder, in git's order; `None` when there is no such folder. A submodule is an empty one.
    pub fn list(&self, dir: &Path) -> Result<Option<Vec<(OsString, Entry)>>> {
        match self.entry(dir)? {
            Some(Entry { kind: Kind::Dir, id }) => self.list_tree(id).map(Some),
            Some(Entry { kind: Kind::Submodule, .. }) => Ok(Some(Vec::new())),
            _ => Ok(None),
        }
    }

    /// The names in a folder that was listed before.
    pub fn list_tree(&self, id: ObjectId) -> Result<Vec<(OsString, Entry)>> {
        list(&self.git.local(), id)
    }

    /// Everything below `dir`, folders before what is in them, by paths relative to the root. `visit` says whether to
    /// enter a folder; its answer for anything else does not matter.
    pub fn walk(&self, dir: &Path, mut visit: impl FnMut(&Path, &Entry) -> bool) -> Result<()> {
        let Some(Entry { kind: Kind::Dir, id }) = self.entry(dir)? else { return Ok(()) };
        let repo = self.git.local();
        // A stack of folders still to read, not recursion: how deep a tree goes is its author's choice.
        let mut open: Vec<(PathBuf, ObjectId)> = vec![(dir.to_owned(), id)];
        while let Some((dir, id)) = open.pop() {
            let mut below = Vec::new();
            for (name, entry) in list(&repo, id)? {
                let path = dir.join(name);
                if visit(&path, &entry) && entry.kind == Kind::Dir {
                    below.push((path, entry.id));
                }
            }
            open.extend(below.into_iter().rev());
        }
        Ok(())
    }
}

fn list(repo: &gix::Repository, id: ObjectId) -> Result<Vec<(OsString, Entry)>> {
    let failed = |error: gix::Error| Error::read(format!("tree {id}"), error);
    let tree = repo.find_tree(id).map_err(failed)?;
    let mut names = Vec::new();
    for entry in tree.iter() {
        let entry = entry.map_err(failed)?;
        let name = OsString::from_vec(entry.filename().to_vec());
        // git refuses to make such trees; who made one by hand must not lead us out of the folder.
        if name.is_empty() || name == OsStr::new(".") || name == OsStr::new("..") || name.as_bytes().contains(&b'/') {
            continue;
        }
        names.push((name, Entry { kind: kind(entry.mode()), id: entry.object_id() }));
    }
    Ok(names)
}

fn kind(mode: EntryMode) -> Kind {
    match mode.kind() {
        EntryKind::Tree => Kind::Dir,
        EntryKind::Blob => Kind::File,
        EntryKind::BlobExecutable => Kind::Executable,
        EntryKind::Link => Kind::Symlink,
        EntryKind::Commit => Kind::Submodule,
    }
}
