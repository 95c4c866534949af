//! `trackway gc`: takes what is not needed out of the cache, into a trash from which it can be had back.
//!
//! What is kept: what the work trees need, then what the asked-for revisions need or, with a budget, the newest commits
//! until it is full. All projects of the cache are asked. How the trash and the budget go together:
//! docs/design/0003-trash-and-budget.md.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use trackway_git::CommitId;
use trackway_store::{Batch, Cache, Hash, HashName, NoProgress, Progress, Stored, Tree};

use crate::config::Settings;
use crate::error::{Error, Result};
use crate::gc::{Alone, FromRemote};
use crate::lock::{Lock, LockError};
use crate::paths::DVC_DIR;
use crate::reach::{MissingLists, Reach, Reached};
use crate::repo::Repo;
use crate::revisions::RevisionOptions;
use crate::used::{Need, Trees};

/// How long the trash keeps what is in it, where nothing else is set.
pub const GRACE: Duration = Duration::from_secs(7 * 24 * 3600);
/// The automatic collection takes nothing that is younger, and looks no more often than every ten minutes.
const YOUNG: Duration = Duration::from_secs(24 * 3600);
const PAUSE: Duration = Duration::from_secs(600);

pub const KINDS: [HashName; 2] = [HashName::Md5, HashName::Md5Dos2Unix];

#[derive(Clone, Debug)]
pub struct TidyOptions {
    /// What is kept beside the work trees. With a budget: where to look for the newest commits.
    pub revisions: RevisionOptions,
    /// Keep what so many of the newest commits of each project need.
    pub newest: Option<usize>,
    /// What the cache may take, with its trash.
    pub max_size: Option<u64>,
    /// Take only what a remote has.
    pub pushed: bool,
    /// The remote to ask; `None`: all.
    pub remote: Option<String>,
    /// Take only what was not touched for so long.
    pub min_age: Duration,
    pub skip_failed: bool,
    /// Go on where the list of a directory is missing, and lose its files.
    pub force: bool,
    /// Projects on this cache that are not registered.
    pub projects: Vec<PathBuf>,
    /// Delete at once.
    pub no_trash: bool,
    pub grace: Duration,
    pub dry: bool,
    pub now: SystemTime,
}

impl TidyOptions {
    pub fn new(settings: &Settings) -> TidyOptions {
        TidyOptions {
            revisions: RevisionOptions::default(),
            newest: settings.keep_commits.map(|count| count as usize),
            max_size: settings.max_size,
            pushed: false,
            remote: None,
            min_age: Duration::ZERO,
            skip_failed: false,
            force: false,
            projects: Vec::new(),
            no_trash: false,
            grace: settings.trash_grace.unwrap_or(GRACE),
            dry: false,
            now: SystemTime::now(),
        }
    }

    /// Nothing is asked for but that the cache is no larger than so.
    fn is_only_budget(&self) -> bool {
        self.max_size.is_some() && !self.revisions.asks_git() && self.newest.is_none() && !self.pushed
    }
}

/// An object that goes, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Gone {
    pub hash: Hash,
    pub size: u64,
    /// Since its file was last changed or linked.
    pub age: Duration,
    pub why: Why,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// No commit and no work tree needs it.
    NotNeeded,
    /// Only revisions that are not kept need it: the newest of them, and the output there.
    OldRevision { rev: String, output: String },
    /// It was in the trash for longer than is set, or the room was needed.
    Trash,
}

#[derive(Clone, Debug, Default)]
pub struct Tidied {
    pub gone: Vec<Gone>,
    pub objects: usize,
    pub bytes: u64,
    /// Deleted from the trash for good.
    pub freed_objects: usize,
    pub freed_bytes: u64,
    /// What is in the cache and in its trash now.
    pub cache_bytes: u64,
    pub trash_bytes: u64,
    /// The budget, where even what must be kept is larger.
    pub over_budget: Option<u64>,
    /// What was not taken because no remote is known to have it, or because it is young.
    pub spared: usize,
    /// Until when the objects can be had back.
    pub until: Option<SystemTime>,
}

/// One object of the cache.
struct Item {
    hash: Hash,
    stored: Stored,
}

impl Repo {
    /// Trackway's own settings.
    pub fn settings(&self) -> Result<Settings> {
        Ok(Settings::load(Some(&self.dvc_dir()), self.environment())?)
    }

    /// Collects what is not needed. Refuses beside a writer, and when it cannot tell what a kept revision needs.
    pub fn tidy(&self, options: &TidyOptions, progress: &dyn Progress) -> Result<Tidied> {
        let cache = self.cache(HashName::Md5)?;
        let named: Vec<PathBuf> = options.projects.iter().map(|path| self.project_root(path)).collect::<Result<_>>()?;
        let alone = self.alone_in(cache)?;
        let _lock = self.lock()?;
        self.tidy_alone(options, &named, progress, alone)
    }

    /// What the settings ask for, after a command that used the cache. Nothing is said and nothing waited for where
    /// another command is at work.
    pub fn tidy_by_itself(&self, now: SystemTime, progress: &dyn Progress) -> Result<Option<Tidied>> {
        let settings = self.settings()?;
        if settings.auto == Some(false) || settings.keep_commits.is_none() && settings.max_size.is_none() {
            return Ok(None);
        }
        let mark = self.own_dir().join("collected");
        let last = std::fs::metadata(&mark).and_then(|meta| meta.modified()).ok();
        if last.is_some_and(|last| now.duration_since(last).is_ok_and(|since| since < PAUSE)) {
            return Ok(None);
        }
        let cache = self.cache(HashName::Md5)?;
        let hardlink = self.config().hardlink_lock();
        let alone = match cache.lock_alone()? {
            // The projects' locks are tried without patience, too.
            Some(lock) => match self.lock_projects(cache, lock, &[], false) {
                Err(Error::Lock(LockError::Busy { .. })) => return Ok(None),
                alone => alone?,
            },
            None => return Ok(None),
        };
        let Some(_lock) = Lock::try_acquire(&self.tmp_dir().join("lock"), hardlink)? else { return Ok(None) };
        let options = TidyOptions { pushed: true, min_age: YOUNG, now, ..TidyOptions::new(&settings) };
        let tidied = self.tidy_alone(&options, &[], progress, alone)?;
        let _ = std::fs::File::create(&mark).and_then(|file| file.set_modified(now));
        Ok(Some(tidied))
    }

    fn alone_in(&self, cache: &Cache) -> Result<Alone> {
        self.lock_out_writers(cache, &[]).map_err(|error| match error {
            Error::Lock(LockError::Busy { holder }) => Error::dvc(format!(
                "Another command works with the cache '{}'{}. Nothing was removed; try again when it has finished.",
                cache.root().display(),
                holder.map(|holder| format!(": {holder}")).unwrap_or_default()
            )),
            other => other,
        })
    }

    fn project_root(&self, path: &Path) -> Result<PathBuf> {
        crate::repo::find_root(&self.absolute(path))
    }

    fn tidy_alone(
        &self,
        options: &TidyOptions,
        named: &[PathBuf],
        progress: &dyn Progress,
        _alone: Alone,
    ) -> Result<Tidied> {
        let projects = self.projects_of_cache(named)?;
        let mut items = self.items()?;
        let mut total: u64 = items.iter().map(|item| item.stored.size).sum();
        let mut tidied = Tidied { cache_bytes: total, ..Tidied::default() };
        let fits = options.max_size.is_some_and(|max| total <= max);
        // The trash goes before anything that may still be of use.
        if !(options.is_only_budget() || options.pushed && options.newest.is_none() && options.max_size.is_some())
            || !fits
        {
            let repos: Vec<&Repo> = std::iter::once(self).chain(&projects).collect();
            let had_trash = !self.cache(HashName::Md5)?.trash()?.is_empty();
            let kept = self.kept(&repos, options, &items, &mut tidied)?;
            if had_trash && !options.dry {
                items = self.items()?;
                total = items.iter().map(|item| item.stored.size).sum();
            }
            let mut taken: Vec<&Item> = items.iter().filter(|item| !kept.contains(&item.hash)).collect();
            self.spare_young_and_unpushed(&mut taken, options, &mut tidied)?;
            tidied.objects = taken.len();
            tidied.bytes = taken.iter().map(|item| item.stored.size).sum();
            let age = |item: &Item| age_of(&item.stored, options.now);
            if options.dry {
                let whys = self.why(&repos, &taken);
                tidied.gone = taken
                    .iter()
                    .map(|item| Gone {
                        hash: item.hash,
                        size: item.stored.size,
                        age: age(item),
                        why: whys.get(&item.hash).cloned().unwrap_or(Why::NotNeeded),
                    })
                    .collect();
            } else if !taken.is_empty() {
                let batch = Batch::new(self.cache(HashName::Md5)?, options.now);
                for kind in KINDS {
                    let cache = self.cache(kind)?;
                    let oids: Vec<_> =
                        taken.iter().filter(|item| item.hash.name == kind).map(|item| item.hash.oid).collect();
                    if !oids.is_empty() {
                        cache.move_to_trash(&oids, &batch, progress)?;
                        cache.save_record();
                    }
                }
                if options.no_trash {
                    batch.empty()?;
                } else {
                    tidied.until = options.now.checked_add(options.grace);
                }
            }
            tidied.cache_bytes = total - tidied.bytes;
        }
        self.empty_trash(options, &mut tidied, progress)?;
        Ok(tidied)
    }

    /// The other projects on this cache. One that cannot be read would lose its data: then nothing is collected.
    fn projects_of_cache(&self, named: &[PathBuf]) -> Result<Vec<Repo>> {
        let mut roots = self.cache(HashName::Md5)?.projects()?;
        roots.extend_from_slice(named);
        roots.sort();
        roots.dedup();
        roots.retain(|root| root != self.root());
        roots
            .iter()
            .map(|root| {
                if !root.join(DVC_DIR).is_dir() {
                    return Err(Error::dvc(format!(
                        "The project '{0}' uses this cache but cannot be found, so what it needs is not known. Nothing was removed. If it is gone for good, run `trackway cache forget '{0}'`.",
                        root.display()
                    )));
                }
                self.open_project(root)
            })
            .collect()
    }

    fn items(&self) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        for name in KINDS {
            let stored = self.cache(name)?.inventory()?;
            items.extend(stored.into_iter().map(|stored| Item { hash: Hash { name, oid: stored.oid }, stored }));
        }
        Ok(items)
    }

    fn kept(
        &self,
        repos: &[&Repo],
        options: &TidyOptions,
        items: &[Item],
        tidied: &mut Tidied,
    ) -> Result<HashSet<Hash>> {
        let mut trees = Trees::default();
        let mut reached = Reached::default();
        // The work trees first. What they need must be known.
        {
            let mut missing = FromRemote { remote: options.remote.as_deref(), ask: &mut |_| options.force };
            let mut reach = Reach { skip_failed: false, without_imports: false, missing: &mut missing };
            for repo in repos {
                reach.collect(repo, &RevisionOptions::default(), &mut trees, &mut reached)?;
                // What a step that never ran lacks is nothing to do with a collection.
                repo.take_warnings();
            }
        }
        let budget = options.max_size;
        if budget.is_none() {
            let mut missing = FromRemote { remote: options.remote.as_deref(), ask: &mut |_| options.force };
            let mut reach = Reach { skip_failed: options.skip_failed, without_imports: false, missing: &mut missing };
            for repo in repos {
                let revisions = RevisionOptions { work_tree: false, ..self.revisions_for(repo, &options.revisions) };
                reach.collect(repo, &revisions, &mut trees, &mut reached)?;
                repo.take_warnings();
            }
        }
        if !options.dry {
            self.take_back_what_is_kept(&reached)?;
        }
        if budget.is_some() || options.newest.is_some() {
            let mut trees = Trees::looking();
            let sizes: HashMap<Hash, u64> = items.iter().map(|item| (item.hash, item.stored.size)).collect();
            let mut used: u64 = reached.all().filter_map(|hash| sizes.get(hash)).sum();
            if let Some(max) = budget.filter(|max| used > *max) {
                tidied.over_budget = Some(max);
            }
            let mut missing = PassOver { repo_remote: options.remote.clone() };
            let mut reach = Reach { skip_failed: options.skip_failed, without_imports: false, missing: &mut missing };
            for (repo, commit) in self.newest_commits(repos, options)? {
                let Some(index) = repo.index_of(commit, &commit.hex())? else { continue };
                let mut more = reached.beside();
                reach.index(repo, &index, &commit.hex(), &mut trees, &mut more)?;
                repo.take_warnings();
                let extra: u64 =
                    more.all().filter(|hash| !reached.contains(hash)).filter_map(|hash| sizes.get(hash)).sum();
                if budget.is_some_and(|max| used.saturating_add(extra) > max) {
                    break;
                }
                used += extra;
                reached.absorb(more);
            }
        }
        Ok(reached.all().copied().collect())
    }

    /// What is needed after all comes out of the trash.
    fn take_back_what_is_kept(&self, reached: &Reached) -> Result<()> {
        for batch in self.cache(HashName::Md5)?.trash()? {
            for item in self.items_in(&batch)? {
                if reached.contains(&item.hash) {
                    // A miss takes it back.
                    self.cache(item.hash.name)?.contains(&item.hash.oid);
                }
            }
        }
        Ok(())
    }

    /// The scope for one of several projects: a revision that it has not means all of its commits.
    fn revisions_for(&self, repo: &Repo, revisions: &RevisionOptions) -> RevisionOptions {
        if repo.root() == self.root() || revisions.revs.is_empty() {
            return revisions.clone();
        }
        RevisionOptions { all_commits: true, revs: Vec::new(), ..revisions.clone() }
    }

    /// The commits that are kept as far as there is room, newest first.
    fn newest_commits<'r>(&self, repos: &[&'r Repo], options: &TidyOptions) -> Result<Vec<(&'r Repo, CommitId)>> {
        let mut found: Vec<(i64, &Repo, CommitId)> = Vec::new();
        for repo in repos {
            let Some(git) = repo.git()? else { continue };
            let mut commits = match options.revisions.asks_git() && options.max_size.is_some() {
                true => {
                    let revisions =
                        RevisionOptions { work_tree: false, ..self.revisions_for(repo, &options.revisions) };
                    repo.revisions(&revisions)?.iter().filter_map(|revision| revision.commit).collect()
                }
                false => git.all_commits()?,
            };
            if let Some(newest) = options.newest {
                commits.truncate(newest);
            }
            for commit in commits {
                found.push((git.commit_time(commit)?, *repo, commit));
            }
        }
        // Those of one time stay in git's order.
        found.sort_by_key(|(time, ..)| std::cmp::Reverse(*time));
        Ok(found.into_iter().map(|(_, repo, commit)| (repo, commit)).collect())
    }

    /// Leaves out what is young, and what no remote has where that is asked for.
    fn spare_young_and_unpushed(
        &self,
        taken: &mut Vec<&Item>,
        options: &TidyOptions,
        tidied: &mut Tidied,
    ) -> Result<()> {
        let before = taken.len();
        taken.retain(|item| age_of(&item.stored, options.now) >= options.min_age);
        if options.pushed {
            let there = self.in_remotes(options.remote.as_deref())?;
            taken.retain(|item| there.get(&item.hash) == Some(&item.stored.size));
        }
        tidied.spared = before - taken.len();
        Ok(())
    }

    /// What is in the remotes that can be asked, with its size.
    pub(crate) fn in_remotes(&self, name: Option<&str>) -> Result<HashMap<Hash, u64>> {
        let names: Vec<String> = match name {
            Some(name) => vec![name.to_owned()],
            None => self.config().remote_names().map(str::to_owned).collect(),
        };
        let mut there = HashMap::new();
        for remote in &names {
            for kind in KINDS {
                let objects = self.remote_depot(Some(remote), "gc --pushed", kind);
                let objects = objects.and_then(|depot| Ok(depot.inventory(&NoProgress)?));
                match objects {
                    Ok(objects) => {
                        there.extend(objects.into_iter().map(|(oid, size)| (Hash { name: kind, oid }, size)))
                    }
                    Err(error) if name.is_some() => return Err(error),
                    // What cannot be asked has nothing.
                    Err(_) => {}
                }
            }
        }
        Ok(there)
    }

    /// For a dry run: which revision would have needed it. What cannot be read gives no reason.
    fn why(&self, repos: &[&Repo], taken: &[&Item]) -> HashMap<Hash, Why> {
        let wanted: HashSet<Hash> = taken.iter().map(|item| item.hash).collect();
        let mut found = HashMap::new();
        for repo in repos {
            repo.for_each_commits_object(&mut |commit, hash, output| {
                if wanted.contains(&hash) && !found.contains_key(&hash) {
                    let why = Why::OldRevision { rev: commit.short(), output: output.to_owned() };
                    found.insert(hash, why);
                }
            });
        }
        found
    }

    /// Goes over what every commit needs, newest first, each object of an output once. What cannot be read is passed over.
    pub(crate) fn for_each_commits_object(&self, visit: &mut dyn FnMut(CommitId, Hash, &str)) {
        let Ok(Some(git)) = self.git() else { return };
        let mut trees = Trees::looking();
        let mut seen = HashSet::new();
        for commit in git.all_commits().unwrap_or_default() {
            let Ok(Some(index)) = self.index_of(commit, &commit.hex()) else { continue };
            for stage in index.stages().unwrap_or_default() {
                for out in stage.outs.iter().filter(|out| out.use_cache) {
                    let Some(need) = Need::of(self, stage, out, None) else { continue };
                    if !seen.insert((need.name.clone(), need.hash)) {
                        continue;
                    }
                    visit(commit, need.hash, &need.name);
                    if let Ok(Some(tree)) = need.tree(self, &mut trees) {
                        for entry in tree.iter() {
                            visit(
                                commit,
                                need.file(entry.oid),
                                &format!("{}/{}", need.name, entry.os_path().display()),
                            );
                        }
                    }
                }
            }
        }
        self.take_warnings();
    }

    /// Deletes what was in the trash for long enough, then the oldest of it for as long as the budget is exceeded.
    fn empty_trash(&self, options: &TidyOptions, tidied: &mut Tidied, progress: &dyn Progress) -> Result<()> {
        let cache = self.cache(HashName::Md5)?;
        let mut there = None;
        let mut kept: Vec<(Batch, Vec<Item>)> = Vec::new();
        for batch in cache.trash()? {
            let items = self.items_in(&batch)?;
            let expired = options.now.duration_since(batch.made).is_ok_and(|age| age >= options.grace);
            let size: u64 = items.iter().map(|item| item.stored.size).sum();
            if expired {
                tidied.freed(items.iter(), options);
                if !options.dry {
                    batch.empty()?;
                }
            } else {
                tidied.trash_bytes += size;
                kept.push((batch, items));
            }
        }
        // A dry run has not moved anything there yet.
        if options.dry && !options.no_trash {
            tidied.trash_bytes += tidied.bytes;
        }
        let Some(max) = options.max_size else { return Ok(()) };
        let mut excess = (tidied.cache_bytes + tidied.trash_bytes).saturating_sub(max);
        for (batch, mut items) in kept {
            if excess == 0 {
                break;
            }
            if options.pushed {
                let there = match &there {
                    Some(there) => there,
                    None => there.insert(self.in_remotes(options.remote.as_deref())?),
                };
                items.retain(|item| there.get(&item.hash) == Some(&item.stored.size));
            }
            items.sort_by_key(|item| item.stored.touched);
            let mut going = Vec::new();
            for item in items {
                if excess == 0 {
                    break;
                }
                excess = excess.saturating_sub(item.stored.size);
                tidied.trash_bytes -= item.stored.size;
                going.push(item);
            }
            tidied.freed(going.iter(), options);
            if !options.dry {
                for kind in KINDS {
                    let oids: Vec<_> =
                        going.iter().filter(|item| item.hash.name == kind).map(|item| item.hash.oid).collect();
                    if !oids.is_empty() {
                        self.cache(kind)?.delete_from_trash(&batch, &oids, progress)?;
                    }
                }
            }
        }
        if options.dry && excess > 0 {
            tidied.trash_bytes = tidied.trash_bytes.saturating_sub(excess);
        }
        Ok(())
    }

    fn items_in(&self, batch: &Batch) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        for name in KINDS {
            let stored = batch.inventory(self.cache(name)?)?;
            items.extend(stored.into_iter().map(|stored| Item { hash: Hash { name, oid: stored.oid }, stored }));
        }
        Ok(items)
    }

    /// Puts back what the last collection took; tells how many objects came back. `all`: what every collection took.
    pub fn undo_tidy(&self, all: bool, progress: &dyn Progress) -> Result<usize> {
        let cache = self.cache(HashName::Md5)?;
        let _alone = self.alone_in(cache)?;
        let _lock = self.lock()?;
        let mut back = 0;
        let trash = cache.trash()?;
        let count = if all { trash.len() } else { 1 };
        for batch in trash.iter().rev().take(count) {
            for kind in KINDS {
                back += self.cache(kind)?.restore(batch, progress)?;
            }
        }
        for kind in KINDS {
            self.cache(kind)?.flush()?;
        }
        Ok(back)
    }

    /// Deletes all that is in the trash.
    pub fn empty_whole_trash(&self) -> Result<Tidied> {
        let cache = self.cache(HashName::Md5)?;
        let _alone = self.alone_in(cache)?;
        let _lock = self.lock()?;
        let mut tidied = Tidied::default();
        for batch in cache.trash()? {
            let items = self.items_in(&batch)?;
            tidied.freed_objects += items.len();
            tidied.freed_bytes += items.iter().map(|item| item.stored.size).sum::<u64>();
            batch.empty()?;
        }
        Ok(tidied)
    }
}

impl Tidied {
    fn freed<'a>(&mut self, items: impl Iterator<Item = &'a Item>, options: &TidyOptions) {
        for item in items {
            self.freed_objects += 1;
            self.freed_bytes += item.stored.size;
            if options.dry {
                let age = age_of(&item.stored, options.now);
                self.gone.push(Gone { hash: item.hash, size: item.stored.size, age, why: Why::Trash });
            }
        }
    }

    /// Whether anything was done.
    pub fn did_something(&self) -> bool {
        self.objects + self.freed_objects > 0
    }
}

fn age_of(stored: &Stored, now: SystemTime) -> Duration {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as i128;
    Duration::from_nanos(u64::try_from(now - i128::from(stored.touched)).unwrap_or(0))
}

/// For commits of which some data may have been collected before: a list is read from the remote, or passed over. Without
/// its list nothing of a directory can be used.
struct PassOver {
    repo_remote: Option<String>,
}

impl MissingLists for PassOver {
    fn get(&mut self, repo: &Repo, need: &Need) -> Result<Option<Arc<Tree>>> {
        let name = need.remote.as_deref().or(self.repo_remote.as_deref());
        let Ok(depot) = repo.remote_depot(name, "pull", need.hash.name) else { return Ok(None) };
        Ok(depot.read_tree(&need.hash.oid).ok().flatten().map(|(tree, _)| Arc::new(tree)))
    }

    fn give_up(&mut self, _question: &str) -> bool {
        true
    }
}

/// The size of all objects of a cache.
pub fn size_of(cache: &Cache) -> Result<u64> {
    Ok(cache.inventory()?.iter().map(|stored| stored.size).sum())
}
