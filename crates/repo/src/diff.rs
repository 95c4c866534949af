//! `diff`: which data differs between two revisions, or between one and the work tree.

use std::collections::HashSet;

use trackway_store::{Hash, Progress};

use crate::differences::{Change, Comparison, Item, Kind, compare, not_in_cache, with_renames};
use crate::error::{Error, Result};
use crate::index::{Follow, Index, Selected};
use crate::repo::Repo;
use crate::revisions::WORK_TREE;
use crate::snapshot::{Place, Snapshot, places};

/// What differs, each list in the order of its paths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diff {
    pub added: Vec<Entry>,
    pub deleted: Vec<Entry>,
    pub modified: Vec<Entry>,
    pub renamed: Vec<Entry>,
    pub not_in_cache: Vec<Entry>,
}

/// A path that differs. A folder has `/` behind its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub path: String,
    /// Of what was renamed: its new path.
    pub new_path: Option<String>,
    pub hash: Option<Hash>,
    /// Of what was modified: its new hash.
    pub new_hash: Option<Hash>,
}

impl Diff {
    pub fn is_empty(&self) -> bool {
        let lists = [&self.added, &self.deleted, &self.modified, &self.renamed, &self.not_in_cache];
        lists.iter().all(|list| list.is_empty())
    }
}

#[derive(Clone, Debug)]
pub struct DiffOptions {
    pub old: String,
    /// `None` is the work tree.
    pub new: Option<String>,
    /// Only these tracked files and folders.
    pub targets: Vec<String>,
    /// Look for what the cache lacks (only where the work tree is compared).
    pub look_for_missing: bool,
}

impl Repo {
    pub fn diff(&self, options: &DiffOptions, progress: &dyn Progress) -> Result<Diff> {
        let Some(git) = self.git()? else {
            return Err(Error::dvc(
                "Only supported for Git repositories. If you're seeing this error in a Git repo, try updating the DVC configuration \
                 with `dvc config core.no_scm false`.",
            ));
        };
        if git.head()?.is_none() {
            return Ok(Diff::default());
        }
        let new = options.new.as_deref().filter(|rev| *rev != WORK_TREE);
        let old_commit = match options.old.as_str() {
            // As DVC 3.67, which has nothing to compare then.
            WORK_TREE => {
                return new
                    .map_or(Ok(()), |rev| git.resolve(rev).map(drop))
                    .map(|()| Diff::default())
                    .map_err(Error::from);
            }
            rev => git.resolve(rev)?,
        };
        let new_commit = new.map(|rev| git.resolve(rev)).transpose()?;
        if new_commit == Some(old_commit) {
            return Ok(Diff::default());
        }
        let (old_index, new_index) = (
            self.index_of(old_commit, &options.old)?,
            match new_commit {
                Some(commit) => self.index_of(commit, options.new.as_deref().unwrap_or_default())?,
                None => Some(self.index()?),
            },
        );
        let (Some(old_index), Some(new_index)) = (old_index, new_index) else {
            return Ok(Diff::default());
        };
        // As DVC 3.67: the work tree is read first, then the revisions in their order.
        let (new, old) = match new_commit {
            None => {
                let new = select(&new_index, &options.targets)?;
                (new, select(&old_index, &options.targets)?)
            }
            Some(_) => {
                let old = select(&old_index, &options.targets)?;
                (select(&new_index, &options.targets)?, old)
            }
        };
        if let Some(target) = old.missing.iter().find(|target| new.missing.contains(target)) {
            let source = std::io::Error::from_raw_os_error(NOT_FOUND);
            return Err(Error::io(std::path::Path::new(target), source));
        }
        let old = Snapshot::recorded(self, &old.selected);
        let new = match new_commit {
            Some(_) => Snapshot::recorded(self, &new.selected),
            None => Snapshot::found(&self.work_tree(progress)?, &distinct(places(&new.selected)))?,
        };
        let look_for_missing = new_commit.is_none() && options.new.is_none() && options.look_for_missing;
        let how = Comparison { hash_only: false, granular: true, unchanged: look_for_missing, each_root: true };
        self.list_differences(&old, &new, how)
    }

    fn list_differences(&self, old_snapshot: &Snapshot<'_>, new: &Snapshot<'_>, how: Comparison) -> Result<Diff> {
        let mut changes: Vec<Change<'_>> = Vec::new();
        let mut held: Vec<Item<'_>> = Vec::new();
        compare(old_snapshot, new, how, &mut |change| {
            // As DVC 3.67: a folder without a hash of its own is only the way to what is in it.
            let is_plain_folder = |item: &Option<Item<'_>>| item.is_some_and(|item| item.is_dir && item.hash.is_none());
            if is_plain_folder(&change.old) || is_plain_folder(&change.new) {
                return;
            }
            if how.unchanged {
                held.extend(change.old.filter(|item| item.hash.is_some()));
            }
            if !matches!(change.kind, Kind::Unchanged | Kind::Unknown) {
                changes.push(change);
            }
        });
        let mut diff = Diff::default();
        for Change { kind, old, new } in with_renames(changes) {
            let side = |item: Option<Item<'_>>| item.map_or((String::new(), None), |item| (item.shown(), item.hash));
            let ((old_path, old_hash), (new_path, new_hash)) = (side(old), side(new));
            let entry = |path, hash| Entry { path, new_path: None, hash, new_hash: None };
            match kind {
                Kind::Added => diff.added.push(entry(new_path, new_hash)),
                Kind::Deleted => diff.deleted.push(entry(old_path, old_hash)),
                Kind::Modified => diff.modified.push(Entry { new_hash, ..entry(old_path, old_hash) }),
                Kind::Renamed => diff.renamed.push(Entry { new_path: Some(new_path), ..entry(old_path, old_hash) }),
                Kind::Unchanged | Kind::Unknown => {}
            }
        }
        let missing = not_in_cache(self, old_snapshot, &held)?;
        diff.not_in_cache = missing
            .into_iter()
            .map(|at| Entry { path: held[at].shown(), new_path: None, hash: held[at].hash, new_hash: None })
            .collect();
        let lists = [&mut diff.added, &mut diff.deleted, &mut diff.modified, &mut diff.renamed, &mut diff.not_in_cache];
        for list in lists {
            list.sort_by(|a, b| a.path.cmp(&b.path));
        }
        Ok(diff)
    }
}

const NOT_FOUND: i32 = 2;

struct Chosen<'t> {
    selected: Vec<Selected>,
    missing: Vec<&'t String>,
}

/// What the targets name in this revision; not all of them need be there.
fn select<'t>(index: &Index<'_>, targets: &'t [String]) -> Result<Chosen<'t>> {
    let mut chosen = Chosen { selected: Vec::new(), missing: Vec::new() };
    if targets.is_empty() {
        chosen.selected = index.select(None, Follow::default())?;
    }
    for target in targets {
        match index.select(Some(target), Follow::default()) {
            Ok(selected) => chosen.selected.extend(selected),
            Err(error @ (Error::Io { .. } | Error::Interrupted | Error::Git(_))) => return Err(error),
            Err(_) => chosen.missing.push(target),
        }
    }
    Ok(chosen)
}

fn distinct(places: Vec<Place>) -> Vec<Place> {
    let mut seen = HashSet::new();
    places.into_iter().filter(|place| seen.insert(place.path.clone())).collect()
}
