//! What revisions reach: the objects that a collection keeps.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use trackway_store::{Hash, HashName, Tree, Used};

use crate::error::{Error, Result};
use crate::index::Index;
use crate::output::{Output, Recorded};
use crate::repo::Repo;
use crate::revisions::{RevisionOptions, WORK_TREE};
use crate::stage::Stage;
use crate::syntax::in_ruamels_words;
use crate::used::{Need, Trees};

/// Objects by the remote that their outputs ask for; `None` is the default one.
#[derive(Default)]
pub struct Reached {
    pub by_remote: BTreeMap<Option<String>, HashSet<Hash>>,
    foreign: HashSet<(HashName, String)>,
    seen: HashSet<(Option<String>, Hash)>,
}

/// How a directory is treated whose list is not in the cache.
pub trait MissingLists {
    /// Tries to get it from elsewhere.
    fn get(&mut self, repo: &Repo, need: &Need) -> Result<Option<Arc<Tree>>>;
    /// Whether to go on although the files in it are not known, and so will be lost.
    fn give_up(&mut self, question: &str) -> bool;
}

pub struct Reach<'a> {
    /// What cannot be read is passed over with a warning.
    pub skip_failed: bool,
    /// As stock DVC, which keeps nothing of what was imported from other repositories.
    pub without_imports: bool,
    pub missing: &'a mut dyn MissingLists,
}

impl Reached {
    /// What of it is in this kind of cache.
    pub fn used(&self, name: HashName) -> Used {
        let objects = self.by_remote.values().flatten().filter(|hash| hash.name == name).map(|hash| hash.oid).collect();
        let foreign = self.foreign.iter().filter(|(kind, _)| *kind == name).map(|(_, text)| text.clone()).collect();
        Used { objects, foreign }
    }

    pub fn contains(&self, hash: &Hash) -> bool {
        self.by_remote.values().any(|set| set.contains(hash))
    }

    /// Every object, some of them perhaps more than once.
    pub fn all(&self) -> impl Iterator<Item = &Hash> {
        self.by_remote.values().flatten()
    }

    /// An empty one for what a further revision reaches beside this: outputs that are as here are left out.
    pub fn beside(&self) -> Reached {
        Reached { seen: self.seen.clone(), ..Reached::default() }
    }

    pub fn absorb(&mut self, other: Reached) {
        for (remote, hashes) in other.by_remote {
            self.by_remote.entry(remote).or_default().extend(hashes);
        }
        self.foreign.extend(other.foreign);
        self.seen.extend(other.seen);
    }

    pub fn insert(&mut self, remote: Option<String>, hash: Hash) {
        self.by_remote.entry(remote).or_default().insert(hash);
    }
}

impl Reach<'_> {
    /// Adds what the work tree and the revisions of one repository reach.
    pub fn collect(
        &mut self,
        repo: &Repo,
        options: &RevisionOptions,
        trees: &mut Trees,
        reached: &mut Reached,
    ) -> Result<()> {
        // The work tree comes before anything is asked of git, as in DVC.
        if options.work_tree {
            self.index(repo, &repo.index()?, WORK_TREE, trees, reached)?;
        }
        let rest = RevisionOptions { work_tree: false, ..options.clone() };
        if !rest.asks_git() {
            return Ok(());
        }
        for revision in repo.revisions(&rest)? {
            self.index(repo, &revision.index, &revision.names.join(","), trees, reached)?;
        }
        Ok(())
    }

    /// Adds what one revision reaches; `name` is for messages.
    pub fn index(
        &mut self,
        repo: &Repo,
        index: &Index<'_>,
        name: &str,
        trees: &mut Trees,
        reached: &mut Reached,
    ) -> Result<()> {
        match self.stages(repo, index, trees, reached) {
            Err(Error::Interrupted) => Err(Error::Interrupted),
            Err(error) if is_of_the_revision(&error) => match self.skip_failed {
                true => {
                    repo.warn(format!("Failed to collect '{name}', skipping"));
                    Ok(())
                }
                false => Err(Error::caused(format!("Failed to collect '{name}'"), in_dvcs_words(error))),
            },
            other => other,
        }
    }

    fn stages(&mut self, repo: &Repo, index: &Index<'_>, trees: &mut Trees, reached: &mut Reached) -> Result<()> {
        for stage in index.stages()? {
            if stage.is_partial_import() && !stage.is_repo_import() || self.without_imports && stage.is_repo_import() {
                continue;
            }
            for out in stage.outs.iter().filter(|out| out.use_cache) {
                self.output(repo, stage, out, trees, reached)?;
            }
        }
        Ok(())
    }

    fn output(
        &mut self,
        repo: &Repo,
        stage: &Stage,
        out: &Output,
        trees: &mut Trees,
        reached: &mut Reached,
    ) -> Result<()> {
        let Some(need) = Need::of(repo, stage, out, None) else {
            match &out.recorded {
                Recorded::Unusable(text) => {
                    reached.foreign.insert((out.hash_name, text.clone()));
                }
                _ => repo.warn(no_record(repo, stage, out)),
            }
            return Ok(());
        };
        // Most outputs are in many revisions.
        if !reached.seen.insert((need.remote.clone(), need.hash)) {
            return Ok(());
        }
        if !need.hash.oid.is_dir() {
            reached.insert(need.remote.clone(), need.hash);
            return Ok(());
        }
        let tree = match need.tree(repo, trees)? {
            Some(tree) => Some(tree),
            None => self.missing.get(repo, &need)?,
        };
        let Some(tree) = tree else {
            let question = format!(
                "Missing cache for directory '{}'. Cache for files inside will be lost. Would you like to continue? Use '-f' to force.",
                out.path.display()
            );
            return match self.missing.give_up(&question) {
                true => Ok(()),
                false => Err(Error::dvc(format!(
                    "unable to fully collect used cache without cache for directory '{}'",
                    need.name
                ))),
            };
        };
        let set = reached.by_remote.entry(need.remote.clone()).or_default();
        set.insert(need.hash);
        set.extend(tree.iter().map(|entry| need.file(entry.oid)));
        Ok(())
    }
}

/// Whether it says something of the revision, and not of the machine.
fn is_of_the_revision(error: &Error) -> bool {
    !matches!(error, Error::Io { .. } | Error::Store(_) | Error::Lock(_) | Error::RwLock(_))
}

/// Here DVC 3.67 shows what its parser said, in place of the lines of the file.
fn in_dvcs_words(error: Error) -> Error {
    match error {
        Error::DvcFile(trackway_dvcfile::Error::Syntax { name, source, text, .. }) => Error::dvc(format!(
            "unable to read: '{}', YAML file structure is corrupted: {}",
            name.strip_prefix("./").unwrap_or(&name),
            in_ruamels_words(&source, &text)
        )),
        other => other,
    }
}

/// As DVC 3.67 says that a step was not run yet.
fn no_record(repo: &Repo, stage: &Stage, out: &Output) -> String {
    let (name, address) = (out.display(repo), stage.address(repo));
    let mut text = format!(
        "Output '{name}'({}) is missing version info. Cache for it will not be collected. Use `dvc repro` to get your pipeline up to date.",
        stage.display(repo)
    );
    if out.path.exists() {
        text.push_str(&format!(
            "\nYou can also use `dvc commit {address}` to associate existing '{name}' with {}.",
            stage.display(repo)
        ));
    }
    text
}
