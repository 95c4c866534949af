//! `gc` as stock DVC has it: what the named revisions do not need is deleted at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use trackway_store::{Cache, Depot, Folder, Hash, HashName, Progress, Tree, Used, WritersLock};

use crate::error::{Error, Result};
use crate::lock::{Lock, patiently};
use crate::reach::{MissingLists, Reach, Reached};
use crate::repo::Repo;
use crate::revisions::RevisionOptions;
use crate::used::{Need, Trees};

#[derive(Clone, Debug, Default)]
pub struct GcOptions {
    pub revisions: RevisionOptions,
    /// Do not ask where the list of a directory is missing.
    pub force: bool,
    /// Collect in the remote too.
    pub cloud: bool,
    pub remote: Option<String>,
    /// Keep only what the remote does not have.
    pub not_in_remote: bool,
    pub skip_failed: bool,
    /// Other repositories whose data is kept too.
    pub projects: Vec<PathBuf>,
    pub dry: bool,
}

/// What was removed from one place, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    pub place: SweptPlace,
    pub count: usize,
    /// Of a dry run: directories' lists first.
    pub paths: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweptPlace {
    Cache,
    LegacyCache,
    Remote,
}

/// What holds off all who write to the cache while something is taken out of it.
pub(crate) struct Alone {
    _cache: WritersLock,
    _projects: Vec<Lock>,
}

impl Repo {
    /// Deletes what is not needed. `ask` answers whether to lose the files of a directory whose list is missing.
    pub fn gc(
        &self,
        options: &GcOptions,
        ask: &mut dyn FnMut(&str) -> bool,
        progress: &dyn Progress,
    ) -> Result<Vec<Swept>> {
        let others = options.projects.iter().map(|path| self.project(path)).collect::<Result<Vec<_>>>()?;
        let cache = self.cache(HashName::Md5)?;
        let held: Vec<&Path> = others.iter().map(Repo::root).collect();
        // The cache's lock comes before DVC's: writers take theirs in this order too.
        let _alone = self.lock_out_writers(cache, &held)?;
        let _lock = self.lock()?;
        let _others: Vec<Lock> = others.iter().map(Repo::lock).collect::<Result<_, _>>()?;

        let mut trees = Trees::default();
        let mut reached = Reached::default();
        let mut missing = FromRemote { remote: options.remote.as_deref(), ask: &mut |text| options.force || ask(text) };
        let mut reach = Reach { skip_failed: options.skip_failed, without_imports: true, missing: &mut missing };
        for repo in others.iter().chain([self]) {
            reach.collect(repo, &options.revisions, &mut trees, &mut reached)?;
            repo.take_warnings().into_iter().for_each(|warning| self.warn(warning));
        }
        let remotes = match options.cloud || options.not_in_remote {
            true => self.remotes_to_sweep(options, &reached)?,
            false => Vec::new(),
        };
        let mut swept = Vec::new();
        let protected = self.needs_of_registered(&others, &options.revisions, &mut trees)?;
        for (name, place) in [(HashName::Md5, SweptPlace::Cache), (HashName::Md5Dos2Unix, SweptPlace::LegacyCache)] {
            let cache = self.cache(name)?;
            let mut used = reached.used(name);
            if options.not_in_remote {
                // As DVC 3.67: needed or not, what a remote has can be had from there.
                let there =
                    remotes.iter().map(|remote| remote.depot.folders(progress)).collect::<Result<Vec<_>, _>>()?;
                for oid in there.iter().flatten().flat_map(Folder::objects) {
                    used.objects.remove(oid);
                }
            }
            let mut folders = cache.folders()?;
            folders.iter_mut().for_each(|folder| folder.retain_unused(&used));
            self.spare(&mut folders, &protected.used(name), place);
            swept.push(sweep(place, folders, options.dry, |folders| cache.delete(folders, progress))?);
        }
        if options.cloud {
            for remote in &remotes {
                let mut folders = remote.depot.folders(progress)?;
                folders.iter_mut().for_each(|folder| folder.retain_unused(&remote.used));
                swept.push(sweep(SweptPlace::Remote, folders, options.dry, |folders| {
                    remote.depot.delete(folders, progress)
                })?);
            }
        }
        Ok(swept)
    }

    /// Another repository, by a path into it, with the same environment.
    fn project(&self, path: &Path) -> Result<Repo> {
        let shown = path.display();
        let path = self.absolute(path);
        if !path.is_dir() {
            return Err(Error::NotARepository(format!("directory '{shown}' does not exist")));
        }
        self.open_project(&crate::repo::find_root(&path)?)
    }

    /// The repository at `root`, seen from this one's place.
    pub(crate) fn open_project(&self, root: &Path) -> Result<Repo> {
        Ok(Repo::open(root, self.environment())?.called_as(self.command_line()))
    }

    /// Keeps out who writes to the cache: our commands by the cache's own lock, stock's in every project that is registered
    /// here by DVC's. Those of this repository and of `held` are the caller's.
    pub(crate) fn lock_out_writers(&self, cache: &Cache, held: &[&Path]) -> Result<Alone> {
        let path = trackway_store::writers_lock_path(cache.root());
        // Never without end: who writes may go on for hours.
        let alone = patiently(&path, false, |_| {}, || -> Result<_> { Ok(cache.lock_alone()?) })?;
        self.lock_projects(cache, alone, held, true)
    }

    /// The same for who has the cache's lock already.
    pub(crate) fn lock_projects(
        &self,
        cache: &Cache,
        alone: WritersLock,
        held: &[&Path],
        patient: bool,
    ) -> Result<Alone> {
        let mut projects = Vec::new();
        for root in cache.projects()? {
            if root != self.root() && !held.contains(&root.as_path()) && root.join(".dvc").is_dir() {
                let project = self.open_project(&root)?;
                projects.push(match patient {
                    true => project.lock()?,
                    false => {
                        let lock =
                            Lock::try_acquire(&project.tmp_dir().join("lock"), project.config().hardlink_lock())?;
                        lock.ok_or(crate::lock::LockError::Busy { holder: None })?
                    }
                });
            }
        }
        match cache.other_writers().first() {
            None => Ok(Alone { _cache: alone, _projects: projects }),
            Some(writer) => {
                let pid = writer.split('-').next().and_then(|pid| pid.parse().ok());
                Err(crate::lock::LockError::Busy { holder: pid.map(crate::lock::Holder::of) }.into())
            }
        }
    }

    /// What the other projects on this cache need that we know of. A project that is gone needs nothing.
    fn needs_of_registered(&self, named: &[Repo], revisions: &RevisionOptions, trees: &mut Trees) -> Result<Reached> {
        let mut reached = Reached::default();
        for root in self.cache(HashName::Md5)?.projects()? {
            if root == self.root() || named.iter().any(|repo| repo.root() == root) {
                continue;
            }
            if !root.join(".dvc").is_dir() {
                self.warn(format!(
                    "The project '{}', which used this cache, is gone. What it needed is not kept. `trackway cache forget '{}'` takes it off the list.",
                    root.display(),
                    root.display()
                ));
                continue;
            }
            self.reach_of_project(&root, revisions, trees, &mut reached)?;
        }
        Ok(reached)
    }

    /// What another project needs: its work tree and the same kind of revisions. A revision that it has not means all.
    pub(crate) fn reach_of_project(
        &self,
        root: &Path,
        revisions: &RevisionOptions,
        trees: &mut Trees,
        reached: &mut Reached,
    ) -> Result<()> {
        let repo = self.open_project(root)?;
        let mut revisions = RevisionOptions { work_tree: true, ..revisions.clone() };
        if !matches!(repo.git(), Ok(Some(_))) {
            revisions = RevisionOptions::default();
        } else if !revisions.revs.is_empty() {
            revisions = RevisionOptions { all_commits: true, revs: Vec::new(), ..revisions };
        }
        let mut missing = FromRemote { remote: None, ask: &mut |_| false };
        let mut reach = Reach { skip_failed: false, without_imports: false, missing: &mut missing };
        reach
            .collect(&repo, &revisions, trees, reached)
            .map_err(|error| Error::caused(format!("the project '{}' on the same cache", root.display()), error))
    }

    /// Takes out of `folders` what another project needs.
    fn spare(&self, folders: &mut [Folder], protected: &Used, place: SweptPlace) {
        if protected.objects.is_empty() {
            return;
        }
        let before: usize = folders.iter().map(Folder::len).sum();
        folders.iter_mut().for_each(|folder| folder.retain_unused(protected));
        let spared = before - folders.iter().map(Folder::len).sum::<usize>();
        if spared > 0 {
            let which = if place == SweptPlace::Cache { "repo" } else { "legacy" };
            self.warn(format!("Kept {spared} objects in {which} cache that other projects on this cache need."));
        }
    }

    /// The remotes' folders, and what is needed in each, as DVC 3.67 puts them together: those that outputs name, then the
    /// default one, each for both kinds of hash.
    fn remotes_to_sweep(&self, options: &GcOptions, reached: &Reached) -> Result<Vec<SweptRemote>> {
        let mut folders: Vec<SweptRemote> = Vec::new();
        let mut add = |name: Option<&str>, hashes: &std::collections::HashSet<Hash>, both: bool| -> Result<()> {
            for kind in [HashName::Md5, HashName::Md5Dos2Unix] {
                let depot = self.remote_depot(name, "gc -c", kind)?;
                let needed = hashes.iter().filter(|hash| both || hash.name == kind).map(|hash| hash.oid);
                match folders.iter_mut().find(|folder| folder.depot.place() == depot.place()) {
                    Some(folder) => folder.used.objects.extend(needed),
                    None => {
                        let used = Used { objects: needed.collect(), ..Used::default() };
                        folders.push(SweptRemote { depot, used });
                    }
                }
            }
            Ok(())
        };
        for (name, hashes) in &reached.by_remote {
            if let Some(name) = name {
                add(Some(name), hashes, false)?;
            }
        }
        let default = reached.by_remote.get(&None).cloned().unwrap_or_default();
        add(options.remote.as_deref(), &default, false)?;
        Ok(folders)
    }

    /// Where a remote has its objects, for commands that do not know versions.
    pub(crate) fn remote_depot(&self, name: Option<&str>, command: &str, kind: HashName) -> Result<Depot> {
        let remote = self.remote(name, command)?;
        if remote.is_cloud_versioned() {
            return Err(crate::config::ConfigError::invalid(format!(
                "'{command}' is unsupported for cloud versioned remotes"
            ))
            .into());
        }
        remote.depot(kind)
    }
}

struct SweptRemote {
    depot: Depot,
    used: Used,
}

fn sweep(
    place: SweptPlace,
    mut folders: Vec<Folder>,
    dry: bool,
    delete: impl FnOnce(&[Folder]) -> trackway_store::Result<()>,
) -> Result<Swept> {
    folders.retain(|folder| !folder.is_empty());
    let count = folders.iter().map(Folder::len).sum();
    let mut paths = Vec::new();
    if dry {
        for lists in [true, false] {
            let files = folders.iter().flat_map(Folder::files);
            paths.extend(files.filter(|(is_list, _)| *is_list == lists).map(|(_, path)| path));
        }
    } else if count > 0 {
        delete(&folders)?;
    }
    Ok(Swept { place, count, paths })
}

/// The list of a directory may be in the remote: it is brought into the cache, as stock does.
pub(crate) struct FromRemote<'a> {
    pub remote: Option<&'a str>,
    pub ask: &'a mut dyn FnMut(&str) -> bool,
}

impl MissingLists for FromRemote<'_> {
    fn get(&mut self, repo: &Repo, need: &Need) -> Result<Option<Arc<Tree>>> {
        let name = need.remote.as_deref().or(self.remote);
        let cache = repo.cache(need.hash.name)?;
        for kind in [need.hash.name, HashName::Md5] {
            let Ok(depot) = repo.remote_depot(name, "pull", kind) else { return Ok(None) };
            if depot.fetch_one(&need.hash.oid, cache, &trackway_store::NoProgress).is_ok() {
                return Ok(Some(Arc::new(cache.read_tree(&need.hash.oid)?)));
            }
        }
        Ok(None)
    }

    fn give_up(&mut self, question: &str) -> bool {
        (self.ask)(question)
    }
}
