//! `fsck`: verifies every object and every reference, and repairs what can be repaired.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use trackway_dvcfile::LockFile;
use trackway_store::{Hash, HashName, NoProgress, Progress, Tree, scan};
use trackway_yaml::{Map, Value};

use crate::error::{Error, Result};
use crate::index::Index;
use crate::repo::Repo;
use crate::tidy::KINDS;
use crate::used::{Need, Trees};

#[derive(Clone, Debug, Default)]
pub struct FsckOptions {
    /// What any commit needs must be there; else only what the work tree needs.
    pub all_commits: bool,
    /// Set damaged objects aside, and bring back what is damaged or missing.
    pub repair: bool,
    /// The remote to repair from; `None`: any.
    pub remote: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Fsck {
    pub objects: usize,
    pub bytes: u64,
    /// Objects that are not what their names say.
    pub damaged: Vec<Fault>,
    /// Objects that are needed and not there.
    pub missing: Vec<Fault>,
    /// Objects that only commits need and that are not here. Nothing is wrong with that.
    pub not_here: usize,
    /// Revisions that cannot be read, and why.
    pub unreadable: Vec<(String, String)>,
    pub runs: usize,
    /// Entries of the run cache that are not what their names say.
    pub bad_runs: Vec<PathBuf>,
    /// Dead processes whose temporary files were removed.
    pub leftovers: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub hash: Hash,
    /// What the content is, or what is wrong with it.
    pub problem: String,
    /// The outputs that need it, with the revision unless it is the work tree.
    pub needed_by: Vec<String>,
    pub set_aside: Option<PathBuf>,
    /// Where the right object came from.
    pub repaired_from: Option<String>,
}

impl Fsck {
    /// Whether all is well, repaired or from the beginning.
    pub fn is_clean(&self) -> bool {
        self.damaged.iter().chain(&self.missing).all(|fault| fault.repaired_from.is_some())
            && self.unreadable.is_empty()
            && self.bad_runs.is_empty()
    }
}

/// How many outputs are named for each fault.
const NAMED: usize = 5;

/// What lacks, and who needs it.
#[derive(Default)]
struct Lacking {
    needed_by: HashMap<Hash, BTreeSet<String>>,
    /// Where the work tree may have a copy.
    copies: HashMap<Hash, Vec<PathBuf>>,
    /// In the order in which they were met.
    missing: Vec<Hash>,
}

impl Repo {
    pub fn fsck(&self, options: &FsckOptions, progress: &dyn Progress) -> Result<Fsck> {
        let _cache = self.use_cache()?;
        let mut found = Fsck::default();
        let mut damaged: HashMap<Hash, String> = HashMap::new();
        let mut present: HashSet<Hash> = HashSet::new();
        for kind in KINDS {
            let cache = self.cache(kind)?;
            if kind == HashName::Md5 {
                found.leftovers = cache.clear_dead_writers();
            }
            let stored = cache.inventory()?;
            let bytes = stored.iter().map(|stored| stored.size).sum();
            found.objects += stored.len();
            found.bytes += bytes;
            progress.start("verifying", Some(stored.len() as u64), Some(bytes));
            let wrong = Mutex::new(Vec::new());
            let checked = stored.par_iter().try_for_each(|stored| {
                if progress.cancelled() {
                    return Err(Error::Interrupted);
                }
                let hash = Hash { name: kind, oid: stored.oid };
                let outcome = match cache.rehash(&stored.oid, progress) {
                    Ok(()) if stored.oid.is_dir() => cache.read_tree(&stored.oid).map(drop),
                    outcome => outcome,
                };
                progress.add(1, 0);
                let problem = match outcome {
                    Ok(()) => return Ok(()),
                    Err(trackway_store::Error::Corrupt { actual, .. }) => format!("its content has the hash {actual}"),
                    Err(trackway_store::Error::Missing { .. }) => return Ok(()),
                    Err(trackway_store::Error::Cancelled) => return Err(Error::Interrupted),
                    Err(error) => error.to_string(),
                };
                wrong.lock().unwrap_or_else(PoisonError::into_inner).push((hash, problem));
                Ok(())
            });
            progress.finish();
            checked?;
            cache.save_record();
            damaged.extend(wrong.into_inner().unwrap_or_else(PoisonError::into_inner));
            present.extend(stored.iter().map(|stored| Hash { name: kind, oid: stored.oid }));
        }
        present.retain(|hash| !damaged.contains_key(hash));

        let mut set_aside = HashMap::new();
        if options.repair {
            for hash in damaged.keys() {
                set_aside.insert(*hash, self.cache(hash.name)?.set_aside(&hash.oid)?);
            }
        }
        let mut check = Check { repo: self, options, present, lacking: Lacking::default(), repaired: HashMap::new() };
        match self.index() {
            Ok(index) => check.index(&index, None, &mut found),
            Err(error) => found.unreadable.push(("workspace".to_owned(), error.to_string())),
        }
        let of_work_tree = check.lacking.missing.len();
        let commits = match self.git() {
            Ok(Some(git)) => git.all_commits()?,
            _ => Vec::new(),
        };
        for commit in commits {
            match self.index_of(commit, &commit.hex()) {
                Ok(Some(index)) => check.index(&index, Some(&commit.short()), &mut found),
                Ok(None) => {}
                Err(error) => found.unreadable.push((commit.hex(), error.to_string())),
            }
        }
        self.take_warnings();
        // Damaged objects that nothing needs may be in a remote all the same.
        if options.repair {
            for hash in damaged.keys() {
                check.repair(*hash);
            }
        }
        let missing = std::mem::take(&mut check.lacking.missing);
        for (number, hash) in missing.into_iter().enumerate() {
            if damaged.contains_key(&hash) {
                continue;
            }
            if number >= of_work_tree && !options.all_commits {
                found.not_here += 1;
                continue;
            }
            found.missing.push(check.fault(hash, "it is not in the cache".to_owned(), None));
        }
        let mut damaged: Vec<_> = damaged.into_iter().collect();
        damaged.sort_by_key(|(hash, _)| *hash);
        for (hash, problem) in damaged {
            found.damaged.push(check.fault(hash, problem, set_aside.remove(&hash)));
        }
        self.check_runs(&mut found)?;
        for kind in KINDS {
            self.cache(kind)?.flush()?;
        }
        Ok(found)
    }

    /// The run cache: each entry's name says what is in it.
    fn check_runs(&self, found: &mut Fsck) -> Result<()> {
        for key in below(&self.run_cache_dir()).iter().flat_map(|folder| below(folder)) {
            for file in below(&key) {
                let names = (key.file_name().map(Path::new), file.file_name().map(Path::new));
                found.runs += 1;
                let right = std::fs::read_to_string(&file).ok().and_then(|text| run_names(&text)).is_some_and(
                    |(run_key, run_value)| names == (Some(Path::new(&run_key)), Some(Path::new(&run_value))),
                );
                if !right {
                    found.bad_runs.push(file);
                }
            }
        }
        Ok(())
    }
}

/// The names that an entry of the run cache must have.
fn run_names(text: &str) -> Option<(String, String)> {
    let entry = trackway_yaml::parse(text).ok()?;
    let mut stages = Map::default();
    stages.insert("run", entry);
    let mut lock = Map::default();
    lock.insert("schema", Value::Str("2.0".to_owned()));
    lock.insert("stages", Value::Map(stages));
    let file = LockFile::parse(&trackway_yaml::emit(&Value::Map(lock)), "run").ok()?;
    let entry = file.get("run")?;
    Some((entry.run_key(), entry.run_value()))
}

/// What is in a folder, temporary files left out; nothing if it is not there.
fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

struct Check<'a> {
    repo: &'a Repo,
    options: &'a FsckOptions,
    present: HashSet<Hash>,
    lacking: Lacking,
    /// What was tried, and where it came from.
    repaired: HashMap<Hash, Option<String>>,
}

impl Check<'_> {
    /// Every output of one revision.
    fn index(&mut self, index: &Index<'_>, rev: Option<&str>, found: &mut Fsck) {
        let stages = match index.stages() {
            Ok(stages) => stages,
            Err(error) => {
                found.unreadable.push((rev.unwrap_or("workspace").to_owned(), error.to_string()));
                return;
            }
        };
        let must_be_here = rev.is_none() || self.options.all_commits;
        let mut trees = if must_be_here { Trees::default() } else { Trees::looking() };
        for stage in stages {
            for out in stage.outs.iter().filter(|out| out.use_cache && out.is_in_repo()) {
                let Some(need) = Need::of(self.repo, stage, out, None) else { continue };
                // Another repository's data need not be here.
                if need.import.is_some() {
                    continue;
                }
                let at = rev.is_none().then(|| out.path.clone());
                if need.hash.oid.is_dir() {
                    if need.has_tree_object() {
                        self.need(need.hash, &need.name, rev, at.clone());
                    }
                    if let Some(tree) = self.tree(&need, &mut trees) {
                        for entry in tree.iter() {
                            let hash = need.file(entry.oid);
                            if !self.has(&hash, must_be_here) {
                                let name = format!("{}/{}", need.name, entry.os_path().display());
                                self.need(hash, &name, rev, at.as_ref().map(|at| at.join(entry.os_path())));
                            }
                        }
                    }
                } else {
                    self.need(need.hash, &need.name, rev, at);
                }
            }
        }
    }

    fn tree(&self, need: &Need, trees: &mut Trees) -> Option<Arc<Tree>> {
        // A damaged one was found before.
        need.tree(self.repo, trees).ok().flatten()
    }

    /// For the work tree a cache miss takes an object out of the trash.
    fn has(&mut self, hash: &Hash, must_be_here: bool) -> bool {
        if self.present.contains(hash) {
            return true;
        }
        let there = self.repo.cache(hash.name).is_ok_and(|cache| match must_be_here {
            true => cache.verify(&hash.oid).is_ok(),
            // Older revisions do not take anything out of the trash.
            false => cache.is_in_trash(&hash.oid),
        });
        if there {
            self.present.insert(*hash);
        }
        there
    }

    fn need(&mut self, hash: Hash, name: &str, rev: Option<&str>, copy: Option<PathBuf>) {
        if self.has(&hash, rev.is_none() || self.options.all_commits) && !self.repaired.contains_key(&hash) {
            return;
        }
        let names = self.lacking.needed_by.entry(hash).or_default();
        if names.is_empty() {
            self.lacking.missing.push(hash);
        }
        if names.len() < NAMED {
            names.insert(match rev {
                Some(rev) => format!("{name} at {rev}"),
                None => name.to_owned(),
            });
        }
        self.lacking.copies.entry(hash).or_default().extend(copy);
        // Only what must be there is brought back: a cache need not have all of history.
        if self.options.repair && (rev.is_none() || self.options.all_commits) {
            self.repair(hash);
        }
    }

    /// Brings the object back from the trash, from the work tree or from a remote.
    fn repair(&mut self, hash: Hash) {
        if matches!(self.repaired.get(&hash), Some(Some(_))) {
            return;
        }
        let from = self.bring_back(hash);
        if from.is_some() {
            self.present.insert(hash);
        }
        self.repaired.insert(hash, from);
    }

    fn bring_back(&self, hash: Hash) -> Option<String> {
        let cache = self.repo.cache(hash.name).ok()?;
        if cache.verify(&hash.oid).is_ok() {
            return Some("the trash".to_owned());
        }
        // What came out of the trash is not right either.
        if cache.contains(&hash.oid) {
            cache.set_aside(&hash.oid).ok()?;
        }
        for copy in self.lacking.copies.get(&hash).into_iter().flatten() {
            let put = match hash.oid.is_dir() {
                false => cache.insert_as(copy, &hash.oid, &NoProgress).is_ok(),
                true => self.put_list(copy, hash).is_some(),
            };
            if put {
                return Some(self.repo.show_from_cwd(copy));
            }
        }
        let names: Vec<String> = match &self.options.remote {
            Some(name) => vec![name.clone()],
            None => self.repo.config().remote_names().map(str::to_owned).collect(),
        };
        names.into_iter().find_map(|name| {
            let depot = self.repo.remote_depot(Some(&name), "fsck", hash.name).ok()?;
            depot.fetch_one(&hash.oid, cache, &NoProgress).ok()?;
            Some(format!("remote '{name}'"))
        })
    }

    /// The list of a directory that lies unchanged in the work tree.
    fn put_list(&self, dir: &Path, hash: Hash) -> Option<()> {
        let tree = self.repo.work_tree(&NoProgress).ok()?;
        let content = scan(dir, &tree.scan_options(hash.name).ok()?).ok()??;
        let list = content.tree().filter(|_| content.oid() == hash.oid)?;
        self.repo.cache(hash.name).ok()?.put_tree(&list).ok().map(drop)
    }

    fn fault(&self, hash: Hash, problem: String, set_aside: Option<PathBuf>) -> Fault {
        Fault {
            hash,
            problem,
            needed_by: self.lacking.needed_by.get(&hash).into_iter().flatten().cloned().collect(),
            set_aside,
            repaired_from: self.repaired.get(&hash).cloned().flatten(),
        }
    }
}
