//! What outputs need: the objects that are recorded for them, files of folders included.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trackway_dvcfile::{Dep, FileEntry};
use trackway_store::{Hash, Oid, Tree};

use crate::error::Result;
use crate::index::Selected;
use crate::output::Output;
use crate::repo::Repo;
use crate::stage::Stage;

/// One output, or the part of it that a target names, and the object that is recorded for it.
#[derive(Clone, Debug)]
pub struct Need {
    /// The output as messages name it.
    pub name: String,
    pub hash: Hash,
    /// Only this path inside of the folder.
    pub part: Option<Vec<u8>>,
    /// The remote that the output asks for; `None`: the default one.
    pub remote: Option<String>,
    pub can_push: bool,
    pub is_in_repo: bool,
    /// Its data is another repository's: where it comes from.
    pub import: Option<Arc<Dep>>,
    /// It was imported from a URL in versions that the `.dvc` file names: the import.
    pub(crate) versioned_import: Option<Arc<Stage>>,
    pub size: Option<u64>,
    /// Of a folder whose files the `.dvc` itself lists.
    listed: Option<Arc<Tree>>,
    /// Absolute, the output's.
    pub path: PathBuf,
    /// What is recorded of its files, or without a name of itself, where a remote keeps versions.
    pub recorded: Vec<FileEntry>,
}

/// Objects by the remote that their outputs ask for; `None` is the default one.
#[derive(Clone, Debug, Default)]
pub struct UsedObjects {
    pub by_remote: BTreeMap<Option<String>, HashSet<Hash>>,
    /// Folders whose list could not be had: what is in them is not known.
    pub unknown: Vec<Need>,
}

/// The lists of folders, each read once however many revisions and outputs name it.
#[derive(Default)]
pub struct Trees {
    known: HashMap<Hash, Option<Arc<Tree>>>,
    looking: bool,
}

impl Trees {
    /// For who only looks: lists that lie in the cache's trash are read there, and not taken back.
    pub fn looking() -> Trees {
        Trees { looking: true, ..Trees::default() }
    }

    /// The list from the cache; `None` if the cache has it not. A broken one is an error.
    pub fn in_cache(&mut self, repo: &Repo, hash: Hash) -> Result<Option<Arc<Tree>>> {
        if let Some(known) = self.known.get(&hash) {
            return Ok(known.clone());
        }
        let cache = repo.cache(hash.name)?;
        let read = if self.looking { cache.peek_tree(&hash.oid) } else { cache.read_tree(&hash.oid) };
        let tree = match read {
            Ok(tree) => Some(Arc::new(tree)),
            Err(trackway_store::Error::Missing { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        self.known.insert(hash, tree.clone());
        Ok(tree)
    }

    /// A list that came from elsewhere.
    pub fn learn(&mut self, hash: Hash, tree: Arc<Tree>) {
        self.known.insert(hash, Some(tree));
    }
}

impl Need {
    /// Nothing if there is no record, or none that an object could have. `filter` is the path that a target names.
    pub fn of(repo: &Repo, stage: &Stage, out: &Output, filter: Option<&Path>) -> Option<Need> {
        use std::os::unix::ffi::OsStrExt;
        let hash = out.hash()?;
        let listed = out.listed().map(Arc::new);
        let recorded = match (&out.files, &out.info.version_id) {
            (Some(files), _) => files.clone(),
            (None, Some(_)) => vec![FileEntry { relpath: String::new(), info: out.info.clone() }],
            (None, None) => Vec::new(),
        };
        let inner = filter.and_then(|path| path.strip_prefix(&out.path).ok());
        Some(Need {
            name: out.display(repo),
            hash,
            part: inner.map(|inner| inner.as_os_str().as_bytes().to_vec()).filter(|inner| !inner.is_empty()),
            remote: out.remote.clone(),
            can_push: out.can_push,
            is_in_repo: out.is_in_repo(),
            import: stage.dependency().filter(|_| stage.is_repo_import()).map(|dep| Arc::new(dep.clone())),
            versioned_import: stage.imports_versions().then(|| Arc::new(stage.clone())),
            size: out.info.size,
            listed,
            path: out.path.clone(),
            recorded,
        })
    }

    /// The files that are needed; `None` if it is no folder, or if its list is neither known nor in the cache.
    pub fn tree(&self, repo: &Repo, trees: &mut Trees) -> Result<Option<Arc<Tree>>> {
        if !self.hash.oid.is_dir() {
            return Ok(None);
        }
        let whole = match &self.listed {
            Some(tree) => tree.clone(),
            None => match trees.in_cache(repo, self.hash)? {
                Some(tree) => tree,
                None => return Ok(None),
            },
        };
        Ok(Some(self.cut(whole)))
    }

    /// The whole list that the `.dvc` itself holds.
    pub(crate) fn own_list(&self) -> Option<&Tree> {
        self.listed.as_deref()
    }

    /// What the target names of the whole list.
    pub fn cut(&self, whole: Arc<Tree>) -> Arc<Tree> {
        match &self.part {
            Some(part) => Arc::new(whole.filter(part)),
            None => whole,
        }
    }

    /// The list of the folder is an object of its own, and not written in the `.dvc`.
    pub fn has_tree_object(&self) -> bool {
        self.hash.oid.is_dir() && self.listed.is_none()
    }

    pub fn file(&self, oid: Oid) -> Hash {
        Hash { name: self.hash.name, oid }
    }
}

impl Repo {
    /// What the outputs of these stages need, in their order. Outputs without a cache need nothing.
    pub fn needs(&self, selected: &[Selected]) -> Vec<Need> {
        let outs = selected.iter().flat_map(|one| {
            one.stage.outs_at(one.filter.as_deref()).map(move |out| (&one.stage, out, one.filter.as_deref()))
        });
        outs.filter(|(_, out, _)| out.use_cache)
            .filter_map(|(stage, out, filter)| Need::of(self, stage, out, filter))
            .collect()
    }

    /// Every object that is needed, as far as the cache tells.
    pub fn used_objects(&self, needs: &[Need], trees: &mut Trees) -> Result<UsedObjects> {
        let mut used = UsedObjects::default();
        for need in needs {
            let set = used.by_remote.entry(need.remote.clone()).or_default();
            set.insert(need.hash);
            match need.tree(self, trees)? {
                Some(tree) => set.extend(tree.iter().map(|entry| need.file(entry.oid))),
                None if need.hash.oid.is_dir() => used.unknown.push(need.clone()),
                None => {}
            }
        }
        Ok(used)
    }
}

/// The list that a `.dvc` itself holds (`files:`), if every entry says which object it is.
pub(crate) fn listed(files: &[FileEntry]) -> Option<Tree> {
    let entries: Option<Vec<_>> =
        files.iter().map(|file| Some((file.relpath.as_bytes(), Oid::parse(file.info.md5.as_deref()?).ok()?))).collect();
    Tree::from_entries(entries?).ok()
}
