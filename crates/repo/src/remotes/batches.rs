//! What outputs need, sorted by the place that gives or takes it.

use trackway_store::{Cargo, Depot, HashName, Oid, transfer};

use super::Remote;
use crate::error::Result;
use crate::fetch::TransferFailure;
use crate::repo::Repo;
use crate::used::{Need, Trees};

/// The objects that one depot is to give or to take.
pub(crate) struct Batch {
    pub depot: Depot,
    pub hash_name: HashName,
    files: indexmap::IndexSet<Oid>,
    folders: indexmap::IndexMap<Oid, transfer::FolderList>,
    /// Folders' lists that are broken.
    pub broken: Vec<TransferFailure>,
}

/// Batches by the place of their depots.
#[derive(Default)]
pub(crate) struct Batches {
    pub list: Vec<Batch>,
}

impl Batches {
    pub fn of(&mut self, remote: &Remote, hash_name: HashName) -> Result<&mut Batch> {
        let depot = remote.depot(hash_name)?;
        let known =
            self.list.iter().position(|batch| batch.depot.place() == depot.place() && batch.hash_name == hash_name);
        let at = known.unwrap_or_else(|| {
            let empty = (indexmap::IndexSet::new(), indexmap::IndexMap::new());
            self.list.push(Batch { depot, hash_name, files: empty.0, folders: empty.1, broken: Vec::new() });
            self.list.len() - 1
        });
        Ok(&mut self.list[at])
    }
}

impl Batch {
    /// Adds what an output needs. The list of a folder comes from the cache, or else from the depot.
    pub fn add(&mut self, repo: &Repo, need: &Need, trees: &mut Trees) -> Result<()> {
        if !need.hash.oid.is_dir() {
            self.files.insert(need.hash.oid);
            return Ok(());
        }
        let mut tree = need.tree(repo, trees)?;
        let mut bytes = None;
        if tree.is_none() && !self.broken.iter().any(|broken| broken.oid == need.hash.oid) {
            match self.depot.read_tree(&need.hash.oid) {
                Ok(Some((read, read_bytes))) => {
                    let whole = std::sync::Arc::new(read);
                    trees.learn(need.hash, whole.clone());
                    tree = Some(need.cut(whole));
                    bytes = Some(read_bytes);
                }
                Ok(None) => {}
                // Of one list nothing is told by what ends all.
                Err(error) if error.is_of_the_whole_remote() => return Err(error.into()),
                Err(error) => {
                    self.broken.push(TransferFailure::of(need.hash.oid, &error));
                    return Ok(());
                }
            }
        }
        if let Some(tree) = &tree {
            self.files.extend(tree.iter().map(|entry| entry.oid));
        }
        if need.has_tree_object() {
            let list = self.folders.entry(need.hash.oid);
            let list =
                list.or_insert_with(|| transfer::FolderList { oid: need.hash.oid, trees: Vec::new(), bytes: None });
            list.trees.extend(tree);
            list.bytes = list.bytes.take().or(bytes);
        }
        Ok(())
    }

    pub fn take_cargo(&mut self) -> Cargo {
        Cargo {
            files: std::mem::take(&mut self.files).into_iter().collect(),
            folders: std::mem::take(&mut self.folders).into_values().collect(),
        }
    }
}
