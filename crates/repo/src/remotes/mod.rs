//! Remotes: which one an output asks for, and what it is.

use std::path::{Path, PathBuf};

use trackway_store::{Cargo, Depot, Hash, HashName, Layout, Oid, transfer};

use crate::config::{ConfigError, RemoteConfig};
use crate::error::{Error, Result};
use crate::fetch::TransferFailure;
use crate::index::{Follow, Selected};
use crate::repo::Repo;
use crate::revisions::RevisionOptions;
use crate::used::{Need, Trees};

/// What `push`, `fetch`, `pull` and `status --cloud` share.
#[derive(Clone, Debug, Default)]
pub struct TransferOptions {
    pub follow: Follow,
    /// Instead of the default remote; outputs that ask for another one are left out.
    pub remote: Option<String>,
    pub all_branches: bool,
    pub all_tags: bool,
    pub all_commits: bool,
    /// How many transfers at once.
    pub jobs: Option<usize>,
    pub run_cache: bool,
}

impl TransferOptions {
    pub fn asks_git(&self) -> bool {
        self.all_branches || self.all_tags || self.all_commits
    }
}

/// A configured remote.
#[derive(Clone, Debug)]
pub struct Remote {
    pub config: RemoteConfig,
}

impl Remote {
    /// `worktree` and `version_aware`: files under their own names, of which the store keeps versions.
    pub fn is_cloud_versioned(&self) -> bool {
        self.config.worktree() || self.config.version_aware()
    }

    /// The folder, of a remote that is one.
    pub fn folder(&self) -> Option<PathBuf> {
        match self.config.scheme.as_str() {
            "" | "local" => Some(PathBuf::from(&self.config.url)),
            "file" => self.config.url.strip_prefix("file://").map(PathBuf::from),
            _ => None,
        }
    }

    fn reached_folder(&self) -> Result<PathBuf> {
        self.folder().ok_or_else(|| {
            Error::from(ConfigError::Unexpected(format!(
                "the remote '{}' is at '{}', and this build of Trackway does not reach {} remotes yet. Nothing was transferred \
                 there; DVC's own `dvc` can.",
                self.config.name, self.config.url, self.config.scheme
            )))
        })
    }

    /// Where the objects of this kind of hash lie.
    pub fn depot(&self, name: HashName) -> Result<Depot> {
        let layout = match name {
            HashName::Md5 => Layout::V3,
            HashName::Md5Dos2Unix => Layout::V2,
        };
        Ok(Depot::at(&self.reached_folder()?, layout, self.config.text("shared") == Some("group")))
    }

    /// A folder keeps no versions. Stock finds that out when it has written the files and emptied the `.dvc`.
    pub(crate) fn refuse_versions(&self) -> Result<()> {
        if !self.is_cloud_versioned() {
            return Ok(());
        }
        self.reached_folder()?;
        Err(Error::from(ConfigError::Unexpected(format!(
            "the remote '{}' is configured to keep versions of files (`worktree` or `version_aware`), but support for versioning \
             could not be detected: '{}' is a folder. Nothing was transferred.",
            self.config.name, self.config.url
        ))))
    }
}

impl Repo {
    /// The remote of that name, or the default one. `command` is for the message that there is none.
    pub fn remote(&self, name: Option<&str>, command: &str) -> Result<Remote> {
        let root = self.root().to_string_lossy();
        Ok(Remote { config: self.config().remote_or_default(name, command, &root)? })
    }

    /// A remote for objects under their hashes, as DVC 3.67's `get_remote_odb`.
    pub(crate) fn object_remote(&self, name: Option<&str>, command: &str) -> Result<Remote> {
        let remote = self.remote(name, command)?;
        if remote.is_cloud_versioned() {
            return Err(Error::dvc(format!(
                "config file error: '{command}' is unsupported for cloud versioned remotes"
            )));
        }
        remote.reached_folder()?;
        Ok(remote)
    }

    /// What the targets select in the work tree and in the revisions that are asked for. The repository's lock is held only
    /// here. As DVC 3.67, a revision that cannot be read is left out with a warning unless it is the only one.
    pub(crate) fn collect<T>(
        &self,
        targets: &[String],
        options: &TransferOptions,
        mut take: impl FnMut(&crate::index::Index<'_>, Vec<Selected>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let _lock = self.lock()?;
        let mut found = Vec::new();
        let mut failed = None;
        for revision in self.revisions(&self.revision_options(options)?)? {
            let index = &revision.index;
            let taken = index.select_all(targets, options.follow).and_then(|selected| take(index, selected));
            match taken {
                Ok(taken) => found.push(taken),
                Err(error) => {
                    self.warn(format!("failed to collect '{}', skipping", revision.names.join(",")));
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    pub(crate) fn revision_options(&self, options: &TransferOptions) -> Result<RevisionOptions> {
        // As DVC 3.67: without git there are no other revisions, and no complaint.
        let has_git = options.asks_git() && self.git()?.is_some();
        Ok(RevisionOptions {
            all_branches: options.all_branches && has_git,
            all_tags: options.all_tags && has_git,
            all_commits: options.all_commits && has_git,
            ..RevisionOptions::default()
        })
    }

    pub(crate) fn warn_missing(&self, name: HashName, missing: &[Oid]) {
        if missing.is_empty() {
            return;
        }
        let list: Vec<_> = missing.iter().map(|oid| format!("{name}: {oid}")).collect();
        self.warn(format!(
            "Some of the cache files do not exist neither locally nor on remote. Missing cache files:\n{}",
            list.join("\n")
        ));
    }
}

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

/// Whether the cache has all that is needed.
pub(crate) fn all_in_cache(repo: &Repo, need: &Need, trees: &mut Trees) -> Result<bool> {
    let cache = repo.cache(need.hash.name)?;
    if !need.hash.oid.is_dir() {
        return Ok(cache.has(&need.hash.oid)?);
    }
    let Some(tree) = need.tree(repo, trees)? else { return Ok(false) };
    for entry in tree.iter() {
        if !cache.has(&entry.oid)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A folder's objects of the other layout share its root; the run cache lies there too.
pub(crate) fn run_cache_of(remote: &Remote) -> Result<PathBuf> {
    Ok(remote.reached_folder()?.join("runs"))
}

/// The hash as stock prints it: `md5: 0cc1…`.
pub fn shown(hash: Hash) -> String {
    format!("{}: {}", hash.name, hash.oid)
}

/// Copies the entries of a run cache, `kk/<key>/<value>`, to another; tells how many there are. As DVC 3.67 all of them count,
/// but those that are there already are not written again.
pub(crate) fn copy_run_cache(from: &Path, to: &Path) -> Result<usize> {
    let mut count = 0;
    for (folder, key) in names_in(from)?.into_iter().filter(|(_, name)| is_hex(name, 2)) {
        for (folder, key) in
            names_in(&folder)?.into_iter().filter(|(_, name)| is_hex(name, 64) && name.starts_with(&key))
        {
            for (path, value) in
                names_in(&folder)?.into_iter().filter(|(path, name)| is_hex(name, 64) && path.is_file())
            {
                let target_folder = to.join(&key[..2]).join(&key);
                let target = target_folder.join(&value);
                count += 1;
                let bytes = std::fs::read(&path).map_err(|error| Error::io(&path, error))?;
                if std::fs::read(&target).is_ok_and(|there| there == bytes) {
                    continue;
                }
                std::fs::create_dir_all(&target_folder).map_err(|error| Error::io(&target_folder, error))?;
                crate::write::replace(&target, &bytes)?;
            }
        }
    }
    Ok(count)
}

fn names_in(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(Error::io(folder, error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io(folder, error))?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((entry.path(), name));
        }
    }
    Ok(found)
}

fn is_hex(name: &str, len: usize) -> bool {
    name.len() == len && name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
