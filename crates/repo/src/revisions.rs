//! Which revisions a command goes over: the work tree, then commits by name, by branch, by tag, by date.

use indexmap::IndexMap;
use trackway_git::{CommitId, Git};

use crate::error::{Error, Result};
use crate::files::{EntryKind, Files};
use crate::index::Index;
use crate::repo::Repo;

/// What is asked for beside the work tree.
#[derive(Clone, Debug)]
pub struct RevisionOptions {
    /// By name; `workspace` is the work tree.
    pub revs: Vec<String>,
    pub all_branches: bool,
    pub all_tags: bool,
    /// All that branches, remote branches, tags and HEAD lead to.
    pub all_commits: bool,
    pub all_experiments: bool,
    /// Commits of this time or later, in seconds since 1970.
    pub since: Option<i64>,
    /// How many commits of each name and each branch, from its tip back by first parents; a negative number means all.
    pub num: i64,
    /// The work tree comes first.
    pub work_tree: bool,
}

impl Default for RevisionOptions {
    fn default() -> RevisionOptions {
        RevisionOptions {
            revs: Vec::new(),
            all_branches: false,
            all_tags: false,
            all_commits: false,
            all_experiments: false,
            since: None,
            num: 1,
            work_tree: true,
        }
    }
}

impl RevisionOptions {
    /// Whether anything but the work tree is asked for.
    pub fn asks_git(&self) -> bool {
        !self.revs.is_empty()
            || self.all_branches
            || self.all_tags
            || self.all_commits
            || self.all_experiments
            || self.since.is_some()
    }
}

/// One of them.
pub struct Revision<'r> {
    /// The names it was asked for by; `workspace` is the work tree.
    pub names: Vec<String>,
    /// `None` is the work tree.
    pub commit: Option<CommitId>,
    pub index: Index<'r>,
}

impl Repo {
    /// The revisions, each commit once, in the order in which they are asked for. Commits that have not the folder of this
    /// repository are left out. Nothing is read of an index before it is asked for.
    pub fn revisions(&self, options: &RevisionOptions) -> Result<Vec<Revision<'_>>> {
        let mut found = Vec::new();
        let asks_git = options.asks_git();
        // As DVC 3.67: who asks for nothing gets the work tree.
        if options.work_tree || !asks_git {
            found.push(Revision { names: vec![WORK_TREE.to_owned()], commit: None, index: self.index()? });
        }
        if !asks_git {
            return Ok(found);
        }
        let Some(git) = self.git()? else {
            // As DVC 3.67: without git there are no branches, tags and commits, but asking for one by name is an error.
            let names_some = options.num != 0 && options.revs.iter().any(|rev| rev != WORK_TREE);
            return match names_some || options.all_experiments {
                true => Err(Error::dvc(
                    "Only supported for Git repositories. If you're seeing this error in a Git repo, try updating the DVC configuration with `dvc config core.no_scm false`.",
                )),
                false => Ok(found),
            };
        };
        for (commit, names) in commits(git, options)? {
            if let Some(index) = self.index_of(commit, &names.join(","))? {
                found.push(Revision { names, commit: Some(commit), index });
            }
        }
        Ok(found)
    }

    /// The index of a commit; `None` if it has not the folder that this repository lies in. `name` is for messages.
    pub fn index_of(&self, commit: CommitId, name: &str) -> Result<Option<Index<'_>>> {
        let git = self.required_git()?;
        let files = Files::of_commit(git.tree(commit)?, self.root());
        match files.kind(self.root())? {
            Some(EntryKind::Dir) => Ok(Some(Index::of_commit(self, files, name)?)),
            _ => Ok(None),
        }
    }
}

pub const WORK_TREE: &str = "workspace";

/// As DVC 3.67's `iter_revs`: commits in the order in which they are first named.
fn commits(git: &Git, options: &RevisionOptions) -> Result<IndexMap<CommitId, Vec<String>>> {
    let mut found: IndexMap<CommitId, Vec<String>> = IndexMap::new();
    let mut add = |commit: CommitId, name: String| {
        let names = found.entry(commit).or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    };
    let back = |name: &str| -> Result<Vec<(CommitId, String)>> {
        let commits = git.commits_back(name, options.num)?;
        // The tip keeps its name; those behind it are called by their hashes.
        let named = commits.into_iter().enumerate();
        Ok(named.map(|(at, (name, commit))| (commit, if at == 0 { name } else { commit.hex() })).collect())
    };
    for rev in options.revs.iter().filter(|rev| *rev != WORK_TREE) {
        back(rev)?.into_iter().for_each(|(commit, name)| add(commit, name));
    }
    if options.all_commits {
        git.all_commits()?.into_iter().for_each(|commit| add(commit, commit.hex()));
    } else {
        if options.all_branches {
            for branch in git.branches()? {
                back(&branch)?.into_iter().for_each(|(commit, name)| add(commit, name));
            }
        }
        if options.all_tags {
            for (name, commit) in git.references("refs/tags/")? {
                add(commit, name["refs/tags/".len()..].to_owned());
            }
        }
        if let Some(since) = options.since {
            for commit in git.all_commits()? {
                if git.commit_time(commit)? >= since {
                    add(commit, commit.hex());
                }
            }
        }
    }
    if options.all_experiments {
        git.experiment_commits()?.into_iter().for_each(|commit| add(commit, commit.hex()));
    }
    Ok(found)
}
