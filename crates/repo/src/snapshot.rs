//! What a revision tracks, or what lies in the work tree in its places: outputs by their paths, with the files of folders.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;
use trackway_store::{Content, Hash, HashName, Tree, scan};

use crate::error::Result;
use crate::index::Selected;
use crate::output::Dependency;
use crate::repo::Repo;
use crate::used;
use crate::worktree::WorkTree;

/// Tracked things, sorted so that what lies in a folder comes behind it.
pub struct Snapshot<'r> {
    pub roots: Vec<Root<'r>>,
}

/// A tracked file or folder.
pub struct Root<'r> {
    /// Relative to the repository's root.
    pub path: Vec<u8>,
    pub hash: Option<Hash>,
    pub is_dir: bool,
    inside: Inside<'r>,
}

enum Inside<'r> {
    Nothing,
    /// An object, read when it is asked for.
    Object {
        repo: &'r Repo,
        hash: Hash,
        remote: Option<String>,
        read: OnceLock<Option<Tree>>,
    },
    Listed(Tree),
    Found {
        content: Content,
        tree: OnceLock<Option<Arc<Tree>>>,
    },
}

/// An output in the cache, or the part of it that a target names, which one can look for in any revision.
#[derive(Clone, Debug)]
pub struct Place {
    pub path: PathBuf,
    pub hash_name: HashName,
    /// All of an output, not a part of one.
    pub is_whole: bool,
}

impl Root<'_> {
    /// The files of a folder; `None` if its list is not to be had.
    pub fn tree(&self) -> Option<&Tree> {
        match &self.inside {
            Inside::Nothing => None,
            Inside::Object { repo, hash, remote, read } => {
                read.get_or_init(|| repo.list_of_folder(*hash, remote.as_deref())).as_ref()
            }
            Inside::Listed(tree) => Some(tree),
            Inside::Found { content, tree } => tree.get_or_init(|| content.tree()).as_deref(),
        }
    }

    /// The folders inside of it, relative to it.
    pub fn folders(&self) -> Vec<&[u8]> {
        if let Inside::Found { content: Content::Dir(dir), .. } = &self.inside {
            return dir.folders().map(|folder| folder.as_os_str().as_bytes()).collect();
        }
        let Some(tree) = self.tree() else { return Vec::new() };
        let mut folders: Vec<&[u8]> = Vec::new();
        for entry in tree.iter() {
            let ends = entry.path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            folders.extend(ends.map(|(end, _)| &entry.path[..end]));
        }
        folders.sort_unstable();
        folders.dedup();
        folders
    }
}

impl Repo {
    /// The list of a folder, from the cache or else from a remote that is at hand. As DVC 3.67: whatever the reason that it cannot be read, what the folder holds is
    /// unknown then.
    pub(crate) fn list_of_folder(&self, hash: Hash, remote: Option<&str>) -> Option<Tree> {
        if let Ok(tree) = self.cache(hash.name).ok()?.read_tree(&hash.oid) {
            return Some(tree);
        }
        let remote = self.remote(remote, "fetch").ok().filter(|remote| !remote.is_cloud_versioned())?;
        remote.depot(hash.name).ok()?.read_tree(&hash.oid).ok()?.map(|(tree, _)| tree)
    }
}

impl<'r> Snapshot<'r> {
    /// What is recorded.
    pub fn recorded(repo: &'r Repo, selected: &[Selected]) -> Snapshot<'r> {
        let mut roots = Vec::new();
        for Selected { stage, filter } in selected {
            for out in stage.outs_at(filter.as_deref()).filter(|out| out.use_cache && out.is_in_repo()) {
                let mut hash = out.hash();
                if hash.is_none()
                    && stage.is_partial_import()
                    && let Some(Dependency::Data(dep) | Dependency::Url { output: dep, .. }) = stage.deps.first()
                {
                    hash = dep.hash();
                }
                let listed = out.files.as_deref().and_then(used::listed);
                let is_dir = listed.is_some() || hash.is_some_and(|hash| hash.oid.is_dir());
                let inside = match (listed, hash) {
                    (Some(tree), _) => Inside::Listed(tree),
                    (None, Some(hash)) if is_dir => {
                        Inside::Object { repo, hash, remote: out.remote.clone(), read: OnceLock::new() }
                    }
                    _ => Inside::Nothing,
                };
                let whole = Root { path: inner(repo, &out.path), hash, is_dir, inside };
                match filter.as_deref().and_then(|filter| filter.strip_prefix(&out.path).ok()) {
                    Some(part) if !part.as_os_str().is_empty() => roots.extend(whole.part(part.as_os_str().as_bytes())),
                    _ => roots.push(whole),
                }
            }
        }
        Snapshot::of(roots)
    }

    /// What lies at these places in the work tree.
    pub fn found(tree: &WorkTree<'r>, places: &[Place]) -> Result<Snapshot<'r>> {
        let look = |place: &Place| -> Result<Option<Root<'r>>> {
            let content = scan(&place.path, &tree.lenient_scan_options(place.hash_name)?)?;
            Ok(content.map(|content| Root {
                path: inner(tree.repo, &place.path),
                // As DVC 3.67: a folder that is but a part of an output has no hash.
                hash: (place.is_whole || !content.is_dir()).then(|| Hash { name: place.hash_name, oid: content.oid() }),
                is_dir: content.is_dir(),
                inside: Inside::Found { content, tree: OnceLock::new() },
            }))
        };
        let found: Result<Vec<Option<Root<'r>>>> = places.par_iter().map(look).collect();
        Ok(Snapshot::of(found?.into_iter().flatten().collect()))
    }

    fn of(mut roots: Vec<Root<'r>>) -> Snapshot<'r> {
        roots.sort_by(|a, b| by_names(&a.path, &b.path));
        roots.dedup_by(|a, b| a.path == b.path);
        Snapshot { roots }
    }

    pub fn empty() -> Snapshot<'r> {
        Snapshot { roots: Vec::new() }
    }
}

impl<'r> Root<'r> {
    /// A file or folder inside of this folder.
    fn part(self, inner: &[u8]) -> Option<Root<'r>> {
        let tree = self.tree()?;
        let path = [&self.path, &b"/"[..], inner].concat();
        if let Some(oid) = tree.get(inner) {
            let hash = self.hash.map(|hash| Hash { name: hash.name, oid });
            return Some(Root { path, hash, is_dir: false, inside: Inside::Nothing });
        }
        let inside = Inside::Listed(tree.subtree(inner)?);
        Some(Root { path, hash: None, is_dir: true, inside })
    }
}

/// The places of the selected outputs.
pub fn places(selected: &[Selected]) -> Vec<Place> {
    let mut places = Vec::new();
    for Selected { stage, filter } in selected {
        for out in stage.outs_at(filter.as_deref()).filter(|out| out.use_cache && out.is_in_repo()) {
            let is_whole = filter.as_deref().is_none_or(|filter| filter == out.path);
            let path = if is_whole { out.path.clone() } else { filter.clone().unwrap_or_default() };
            // As DVC 3.67: what was never hashed is hashed as DVC 3 does.
            let hash_name = out.hash().map_or(HashName::Md5, |hash| hash.name);
            places.push(Place { path, hash_name, is_whole });
        }
    }
    places
}

/// From the repository's root.
pub fn inner(repo: &Repo, path: &Path) -> Vec<u8> {
    path.strip_prefix(repo.root()).unwrap_or(path).as_os_str().as_bytes().to_vec()
}

/// Name by name, so that a folder comes directly before what is in it.
pub fn by_names(a: &[u8], b: &[u8]) -> Ordering {
    let rank = |byte: &u8| if *byte == b'/' { 0 } else { u16::from(*byte) + 1 };
    a.iter().map(rank).cmp(b.iter().map(rank))
}

/// Whether `path` is `folder` or lies in it.
pub fn is_at_or_below(path: &[u8], folder: &[u8]) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// As a path of this machine.
pub fn os_path(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}
