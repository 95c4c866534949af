//! `cache status`: what holds the cache's space.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use trackway_store::{Hash, HashName};

use crate::config::Settings;
use crate::error::Result;
use crate::index::Index;
use crate::paths::DVC_DIR;
use crate::repo::Repo;
use crate::tidy::KINDS;
use crate::used::{Need, Trees};

/// How many commits count as new where the settings say nothing.
const NEWEST: usize = 10;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    pub objects: usize,
    pub bytes: u64,
}

impl Share {
    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

#[derive(Clone, Debug, Default)]
pub struct ProjectShare {
    pub root: PathBuf,
    pub work_tree: Share,
    /// What the newest commits need beside it.
    pub newest: Share,
    /// What only older history needs.
    pub old: Share,
    /// Why it is not known.
    pub unreadable: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct CacheStatus {
    pub root: PathBuf,
    pub total: Share,
    /// Of it, what lies in the layout of DVC 2.
    pub legacy: Share,
    pub projects: Vec<ProjectShare>,
    /// How many commits count as the newest.
    pub newest: usize,
    /// What no known project needs.
    pub unreached: Share,
    pub trash: Share,
    pub runs: Share,
    pub damaged: Share,
    pub settings: Settings,
}

impl Repo {
    pub fn cache_status(&self) -> Result<CacheStatus> {
        let settings = self.settings()?;
        let newest = settings.keep_commits.map_or(NEWEST, |count| count as usize);
        let mut status = CacheStatus { root: self.cache_dir(), newest, settings, ..CacheStatus::default() };
        let mut sizes: HashMap<Hash, u64> = HashMap::new();
        for name in KINDS {
            for stored in self.cache(name)?.inventory()? {
                status.total.add(stored.size);
                if name == HashName::Md5Dos2Unix {
                    status.legacy.add(stored.size);
                }
                sizes.insert(Hash { name, oid: stored.oid }, stored.size);
            }
        }
        let cache = self.cache(HashName::Md5)?;
        for batch in cache.trash()? {
            for name in KINDS {
                batch.inventory(self.cache(name)?)?.iter().for_each(|stored| status.trash.add(stored.size));
            }
        }
        status.runs = files_below(&self.run_cache_dir());
        status.damaged = files_below(&self.cache_dir().join("trackway").join("damaged"));

        let mut roots = cache.projects()?;
        roots.push(self.root().to_owned());
        roots.sort();
        roots.dedup();
        let mut reached: HashSet<Hash> = HashSet::new();
        for root in roots {
            let mut share = ProjectShare { root, ..ProjectShare::default() };
            if let Err(error) = self.share_of(&mut share, newest, &sizes, &mut reached) {
                share.unreadable = Some(error.to_string());
            }
            status.projects.push(share);
        }
        for (_, size) in sizes.iter().filter(|(hash, _)| !reached.contains(hash)) {
            status.unreached.add(*size);
        }
        Ok(status)
    }

    fn share_of(
        &self,
        share: &mut ProjectShare,
        newest: usize,
        sizes: &HashMap<Hash, u64>,
        reached: &mut HashSet<Hash>,
    ) -> Result<()> {
        if !share.root.join(DVC_DIR).is_dir() {
            share.unreadable =
                Some(format!("it is gone; `trackway cache forget '{}'` takes it off the list", share.root.display()));
            return Ok(());
        }
        let repo = self.open_project(&share.root)?;
        let mut seen = HashSet::new();
        let mut own = HashSet::new();
        let mut trees = Trees::looking();
        let mut count = |index: &Index<'_>, share: &mut Share| -> Result<()> {
            let mut visit = |hash: Hash| {
                if let (true, Some(size)) = (own.insert(hash), sizes.get(&hash)) {
                    share.add(*size);
                    reached.insert(hash);
                }
            };
            for stage in index.stages()? {
                for out in stage.outs.iter().filter(|out| out.use_cache) {
                    let Some(need) = Need::of(&repo, stage, out, None).filter(|need| seen.insert(need.hash)) else {
                        continue;
                    };
                    visit(need.hash);
                    if let Ok(Some(tree)) = need.tree(&repo, &mut trees) {
                        tree.iter().for_each(|entry| visit(need.file(entry.oid)));
                    }
                }
            }
            Ok(())
        };
        count(&repo.index()?, &mut share.work_tree)?;
        let commits = match repo.git()? {
            Some(git) => git.all_commits()?,
            None => Vec::new(),
        };
        let mut failed = None;
        for (number, commit) in commits.into_iter().enumerate() {
            let part = if number < newest { &mut share.newest } else { &mut share.old };
            let Some(index) = repo.index_of(commit, &commit.hex())? else { continue };
            if let Err(error) = count(&index, part) {
                failed.get_or_insert(format!("the commit {}: {error}", commit.short()));
            }
        }
        share.unreadable = failed;
        Ok(())
    }
}

fn files_below(root: &Path) -> Share {
    let mut share = Share::default();
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => waiting.push(entry.path()),
                Ok(meta) => share.add(meta.len()),
                Err(_) => {}
            }
        }
    }
    share
}
