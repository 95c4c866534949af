//! `data status`: how tracked data stands between the last commit, what is recorded, the work tree and a remote.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use trackway_git::Untracked;
use trackway_store::{Hash, Oid, Progress};

use crate::config::ConfigError;
use crate::differences::{Change, Comparison, Item, Kind, compare, items_in, not_in_cache, with_renames};
use crate::error::{Error, Result};
use crate::index::Selected;
use crate::paths;
use crate::repo::Repo;
use crate::snapshot::{Place, Snapshot, inner, is_at_or_below, places};

/// Paths are relative to the repository's root; folders have `/` behind their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataStatus {
    pub not_in_cache: Vec<String>,
    pub not_in_remote: Vec<String>,
    /// What is recorded, against the last commit.
    pub committed: Changes,
    /// The work tree, against what is recorded.
    pub uncommitted: Changes,
    /// For git and DVC alike; relative to where the person stands.
    pub untracked: Vec<String>,
    pub unchanged: Vec<String>,
    pub git: GitState,
}

/// Lists by what became of the paths in them, in DVC's order. None is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes(pub Vec<(&'static str, Vec<Changed>)>);

#[derive(Clone, Debug, PartialEq)]
pub enum Changed {
    Path(String),
    Renamed { old: String, new: String },
}

/// What git has to say beside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GitState {
    /// There is no commit yet.
    pub is_empty: bool,
    /// Something waits to be committed.
    pub is_dirty: bool,
}

#[derive(Clone, Debug, Default)]
pub struct DataStatusOptions {
    /// Only at and below these paths, as they are shown.
    pub targets: Vec<String>,
    /// List what is in folders.
    pub granular: bool,
    pub untracked: bool,
    /// Ask git whether there are changes that DVC does not know.
    pub git_state: bool,
    /// Look for what a remote lacks.
    pub not_in_remote: bool,
    pub remote: Option<String>,
}

impl Repo {
    pub fn data_status(&self, options: &DataStatusOptions, progress: &dyn Progress) -> Result<DataStatus> {
        let only = filters(&options.targets);
        let index = self.index()?;
        let selected = related(self, index.select(None, Default::default())?, &only);
        let recorded = Snapshot::recorded(self, &selected);
        let places: Vec<Place> = places(&selected);
        let found = Snapshot::found(&self.work_tree(progress)?, &places)?;
        let mut status = DataStatus::default();

        let mut held: Vec<Item<'_>> = Vec::new();
        let (uncommitted, unchanged) = changes(&recorded, &found, options, &only, &mut |item| held.push(item));
        let missing = not_in_cache(self, &recorded, &held)?;
        status.not_in_cache = missing.into_iter().map(|at| held[at].shown()).collect();
        status.uncommitted = uncommitted;
        if options.not_in_remote {
            status.not_in_remote = self.not_in_remote(&selected, options, &only, progress)?;
        }
        status.unchanged = unchanged;

        if let Some(git) = self.git()? {
            let head = match git.head()? {
                Some(_) => {
                    let commit = git.resolve("HEAD")?;
                    let index = self.index_of(commit, "HEAD")?;
                    if index.is_none() {
                        self.warn(format!("Commit '{}' does not contain a DVC repo", commit.short()));
                    }
                    index.map(|index| index.select(None, Default::default())).transpose()?.unwrap_or_default()
                }
                None => Vec::new(),
            };
            let head = Snapshot::recorded(self, &related(self, head, &only));
            let (committed, unchanged) = changes(&head, &recorded, options, &only, &mut |_| {});
            let unchanged: HashSet<String> = unchanged.into_iter().collect();
            status.unchanged.retain(|path| unchanged.contains(path));
            status.committed = committed;
            if options.untracked || options.git_state {
                let which = if options.untracked { Untracked::All } else { Untracked::No };
                let state = git.status(which)?;
                status.git = GitState { is_empty: git.head()?.is_none(), is_dirty: state.is_dirty() };
                status.untracked = self.shown_untracked(git.root(), state.untracked, &options.targets);
            }
        }
        Ok(status)
    }

    /// What is to be pushed and is not in its remote; without a remote that is everything.
    fn not_in_remote(
        &self,
        selected: &[Selected],
        options: &DataStatusOptions,
        only: &[Vec<u8>],
        progress: &dyn Progress,
    ) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        for one in selected.iter().filter(|one| !one.stage.is_repo_import()) {
            for out in one.stage.outs.iter().filter(|out| out.can_push) {
                let out_alone = Selected { stage: one.stage.clone(), filter: Some(out.path.clone()) };
                let recorded = Snapshot::recorded(self, &[out_alone]);
                let mut items: Vec<Item<'_>> = recorded.roots.iter().map(Item::of).collect();
                if options.granular {
                    items.extend(recorded.roots.iter().flat_map(items_in));
                }
                items.retain(|item| {
                    let is_asked_for = || only.iter().any(|filter| is_at_or_below(&item.path(), filter));
                    item.hash.is_some() && (only.is_empty() || is_asked_for())
                });
                let remote = match self.remote(out.remote.as_deref().or(options.remote.as_deref()), "status") {
                    Ok(remote) => Some(remote),
                    Err(Error::Config(ConfigError::NoRemote(_))) => None,
                    Err(error) => return Err(error),
                };
                let (hashes, oids): (Vec<Hash>, Vec<Oid>) =
                    items.iter().filter_map(|item| item.hash).map(|hash| (hash, hash.oid)).unzip();
                let there = match (&remote, hashes.first()) {
                    (Some(remote), Some(hash)) => remote.depot(hash.name)?.find(&oids, progress)?,
                    _ => vec![false; items.len()],
                };
                missing.extend(items.iter().zip(there).filter(|(_, there)| !there).map(|(item, _)| item.shown()));
            }
        }
        Ok(missing)
    }

    /// git's paths as DVC shows them: those in this repository, from where the person stands.
    fn shown_untracked(&self, top: &Path, files: Vec<PathBuf>, targets: &[String]) -> Vec<String> {
        let targets: Vec<PathBuf> = targets.iter().map(|target| self.absolute(Path::new(target))).collect();
        let files = files.into_iter().map(|file| top.join(file));
        let files = files.filter(|file| targets.is_empty() || targets.iter().any(|target| file.starts_with(target)));
        let files = files.filter(|file| file.starts_with(self.root()));
        files.map(|file| paths::show(&paths::relative(&file, self.cwd()))).collect()
    }
}

/// As DVC 3.67: targets are paths as the status shows them, from the repository's root; none of them lies in another.
fn filters(targets: &[String]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = targets
        .iter()
        .map(|target| paths::normalize(Path::new(target)).as_os_str().as_bytes().to_vec())
        .map(|target| if target == b"." { Vec::new() } else { target })
        .collect();
    all.sort();
    all.dedup();
    let inside = |one: &Vec<u8>, all: &[Vec<u8>]| all.iter().any(|other| other != one && is_at_or_below(one, other));
    all.iter().filter(|one| !inside(one, &all)).cloned().collect()
}

/// The outputs that a filter can have to do with.
fn related(repo: &Repo, selected: Vec<Selected>, only: &[Vec<u8>]) -> Vec<Selected> {
    if only.is_empty() {
        return selected;
    }
    let is_related = |path: &Path| {
        let path = inner(repo, path);
        only.iter().any(|filter| is_at_or_below(&path, filter) || is_at_or_below(filter, &path))
    };
    selected.into_iter().filter(|one| one.stage.outs.iter().any(|out| is_related(&out.path))).collect()
}

/// The changes, and what is the same on both sides. `held` is told what the old side says is in the cache.
fn changes<'a>(
    old: &'a Snapshot<'_>,
    new: &'a Snapshot<'_>,
    options: &DataStatusOptions,
    only: &[Vec<u8>],
    held: &mut dyn FnMut(Item<'a>),
) -> (Changes, Vec<String>) {
    let how = Comparison { hash_only: true, granular: options.granular, unchanged: true, each_root: false };
    let mut changes: Vec<Change<'a>> = Vec::new();
    let mut unchanged = Vec::new();
    compare(old, new, how, &mut |change| {
        if !only.is_empty() && !only.iter().any(|filter| is_at_or_below(&change.item().path(), filter)) {
            return;
        }
        let has_hash = |item: &Option<Item<'_>>| item.is_some_and(|item| item.hash.is_some());
        match change.kind {
            Kind::Unchanged if !has_hash(&change.old) && !has_hash(&change.new) => return,
            Kind::Unknown if change.new.is_none() => return,
            _ => {}
        }
        if let Some(item) = change.old.filter(|item| item.hash.is_some()) {
            held(item);
        }
        match change.kind {
            Kind::Unchanged => unchanged.push(shown(&change)),
            _ => changes.push(change),
        }
    });
    let mut lists: Vec<(&'static str, Vec<Changed>)> = Vec::new();
    for change in with_renames(changes) {
        let word = match change.kind {
            Kind::Added => "added",
            Kind::Deleted => "deleted",
            Kind::Modified => "modified",
            Kind::Renamed => "renamed",
            Kind::Unknown => "unknown",
            Kind::Unchanged => continue,
        };
        let entry = match (change.kind, &change.old, &change.new) {
            (Kind::Renamed, Some(old), Some(new)) => Changed::Renamed { old: old.shown(), new: new.shown() },
            _ => Changed::Path(shown(&change)),
        };
        match lists.iter_mut().find(|(other, _)| *other == word) {
            Some((_, list)) => list.push(entry),
            None => lists.push((word, vec![entry])),
        }
    }
    (Changes(lists), unchanged)
}

/// As DVC 3.67: it is a folder if it is one now.
fn shown(change: &Change<'_>) -> String {
    let is_dir = change.new.or(change.old).is_some_and(|item| item.is_dir);
    Item { is_dir, ..*change.item() }.shown()
}
