//! Names to commits, and the commits that names stand for.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use gix::ObjectId;
use gix::revision::walk::Sorting;
use gix::traverse::commit::simple::CommitTimeOrder;

use crate::{Error, Git, Result};

/// The hash of a commit that exists.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitId(pub(crate) ObjectId);

impl CommitId {
    /// All forty digits.
    pub fn hex(&self) -> String {
        self.0.to_string()
    }

    /// The first seven digits, as DVC abbreviates.
    pub fn short(&self) -> String {
        self.hex()[..7].to_owned()
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// An experiment: `refs/exps/<2 digits>/<38 digits of the baseline>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpRef {
    pub reference: String,
    /// The commit that the experiment started from, as the ref's name spells it.
    pub baseline: String,
    pub name: String,
    pub commit: CommitId,
}

const EXPERIMENTS: &str = "refs/exps/";
/// Stashes and book-keeping below `refs/exps`, which are no experiments.
const NO_EXPERIMENTS: [&str; 5] =
    ["refs/exps/apply/", "refs/exps/celery/", "refs/exps/exec/", "refs/exps/temp/", "refs/exps/stash"];
const BASELINE: &str = "refs/exps/exec/EXEC_BASELINE";

impl Git {
    /// The commit that `rev` names: whatever `git rev-parse` understands (a hash or its beginning, a tag, a branch,
    /// `HEAD~1`), else a branch of exactly one remote, else an experiment. As DVC 3.67's `resolve_rev`.
    pub fn resolve(&self, rev: &str) -> Result<CommitId> {
        let repo = self.local();
        // While an experiment runs, HEAD means the commit that it started from.
        let spelled = match rev.strip_prefix("HEAD") {
            Some(tail) if !tail.starts_with(|c: char| c == '/' || c.is_alphanumeric() || c == '_' || c == '-') => {
                match reference(&repo, BASELINE) {
                    Some(_) => format!("{BASELINE}{tail}"),
                    None => rev.to_owned(),
                }
            }
            _ => rev.to_owned(),
        };
        if let Some(id) = commit(&repo, &spelled) {
            return Ok(CommitId(id));
        }
        let remotes: HashSet<ObjectId> = repo
            .remote_names()
            .iter()
            .filter_map(|remote| reference(&repo, &format!("refs/remotes/{remote}/{spelled}")))
            .collect();
        match remotes.len() {
            0 => {}
            1 => return Ok(CommitId(remotes.into_iter().next().expect("one element"))),
            _ => return Err(Error::AmbiguousRevision(rev.to_owned())),
        }
        if rev != "HEAD" && !rev.starts_with("refs/") {
            let named: Vec<_> = self.experiments()?.into_iter().filter(|e| e.name == rev).collect();
            match named.as_slice() {
                [] => {}
                [one] => return Ok(one.commit),
                many => {
                    let head = self.head()?.map(|id| id.hex());
                    return match many.iter().find(|e| Some(&e.baseline) == head.as_ref()) {
                        Some(one) => Ok(one.commit),
                        None => Err(Error::AmbiguousRevision(rev.to_owned())),
                    };
                }
            }
        }
        Err(Error::UnknownRevision(rev.to_owned()))
    }

    /// The commit that is checked out; `None` before the first one.
    pub fn head(&self) -> Result<Option<CommitId>> {
        let repo = self.local();
        let mut head = repo.head().map_err(|e| Error::read("HEAD", e))?;
        let id = head.try_peel_to_id().map_err(|e| Error::read("HEAD", e))?;
        Ok(id.map(|id| CommitId(id.detach())))
    }

    /// The branch that is checked out, also before its first commit; `None` when HEAD is detached.
    pub fn active_branch(&self) -> Result<Option<String>> {
        let name = self.local().head_name().map_err(|e| Error::read("HEAD", e))?;
        Ok(name.map(|name| name.shorten().to_string()))
    }

    /// Local branches, sorted by name.
    pub fn branches(&self) -> Result<Vec<String>> {
        self.names("refs/heads/")
    }

    /// Tags, sorted by name.
    pub fn tags(&self) -> Result<Vec<String>> {
        self.names("refs/tags/")
    }

    fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let mut names: Vec<String> =
            self.references(prefix)?.into_iter().map(|(name, _)| name[prefix.len()..].to_owned()).collect();
        names.sort();
        Ok(names)
    }

    /// The names below `prefix` that lead to a commit, and that commit. Tags are peeled; refs to other things are left
    /// out, and so are broken ones.
    pub fn references(&self, prefix: &str) -> Result<Vec<(String, CommitId)>> {
        let repo = self.local();
        let failed = |error: gix::Error| Error::read(prefix, error);
        let references = repo.references().map_err(failed)?;
        let mut found = Vec::new();
        for reference in references.prefixed(prefix).map_err(failed)? {
            let Ok(mut reference) = reference else { continue };
            let name = reference.name().as_bstr().to_string();
            if let Ok(commit) = reference.peel_to_commit() {
                found.push((name, CommitId(commit.id)));
            }
        }
        Ok(found)
    }

    /// Every commit that HEAD, a branch, a remote branch or a tag leads to, newest first, and none before one that
    /// came of it, also where clocks say the same. As DVC's `--all-commits`.
    pub fn all_commits(&self) -> Result<Vec<CommitId>> {
        let mut tips: Vec<ObjectId> = self.head()?.into_iter().map(|id| id.0).collect();
        for prefix in ["refs/heads/", "refs/remotes/", "refs/tags/"] {
            tips.extend(self.references(prefix)?.into_iter().map(|(_, id)| id.0));
        }
        let mut seen = HashSet::new();
        tips.retain(|id| seen.insert(*id));
        if tips.is_empty() {
            return Ok(Vec::new());
        }
        let repo = self.local();
        let failed = |error: gix::Error| Error::read("the history", error);
        let walk =
            repo.rev_walk(tips).sorting(Sorting::ByCommitTime(CommitTimeOrder::NewestFirst)).all().map_err(failed)?;
        let mut commits = Vec::new();
        for info in walk {
            let info = info.map_err(failed)?;
            commits.push((info.id, info.parent_ids.to_vec()));
        }
        Ok(children_first(commits))
    }

    /// `rev` and its first parents, `count` commits in all, each with the name by which DVC calls it (`main`,
    /// `main~1`, …); a negative `count` goes back to the first commit.
    pub fn commits_back(&self, rev: &str, count: i64) -> Result<Vec<(String, CommitId)>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut id = self.resolve(rev)?;
        let mut found = vec![(rev.to_owned(), id)];
        let repo = self.local();
        for n in 1_i64.. {
            if n == count {
                break;
            }
            let commit = repo.find_commit(id.0).map_err(|e| Error::read(format!("commit {id}"), e))?;
            // A shallow clone's last commit names a parent that is not there.
            let Some(parent) = commit.parent_ids().next().filter(|p| repo.has_object(p.detach())) else { break };
            id = CommitId(parent.detach());
            found.push((format!("{rev}~{n}"), id));
        }
        Ok(found)
    }

    /// When a commit was made: its committer's clock, in seconds since 1970.
    pub fn commit_time(&self, id: CommitId) -> Result<i64> {
        let repo = self.local();
        let failed = |error: gix::Error| Error::read(format!("commit {id}"), error);
        Ok(repo.find_commit(id.0).map_err(failed)?.time().map_err(failed)?.seconds)
    }

    /// All experiments, in the order of their refs.
    pub fn experiments(&self) -> Result<Vec<ExpRef>> {
        let mut found = Vec::new();
        for (reference, commit) in self.references(EXPERIMENTS)? {
            if NO_EXPERIMENTS.iter().any(|no| reference.starts_with(no)) {
                continue;
            }
            let parts: Vec<&str> = reference[EXPERIMENTS.len()..].split('/').collect();
            if let [two, rest, name] = parts[..] {
                let (baseline, name) = (format!("{two}{rest}"), name.to_owned());
                found.push(ExpRef { reference, baseline, name, commit });
            }
        }
        Ok(found)
    }

    /// The commits that belong to experiments: from each one's end back to its baseline, which is left out.
    pub fn experiment_commits(&self) -> Result<Vec<CommitId>> {
        let repo = self.local();
        let mut seen = HashSet::new();
        let mut commits = Vec::new();
        for experiment in self.experiments()? {
            let baseline = ObjectId::from_hex(experiment.baseline.as_bytes()).ok();
            let mut id = experiment.commit;
            loop {
                if seen.insert(id) {
                    commits.push(id);
                }
                let commit = repo.find_commit(id.0).map_err(|e| Error::read(format!("commit {id}"), e))?;
                match commit.parent_ids().next() {
                    Some(parent) if Some(parent.detach()) != baseline => id = CommitId(parent.detach()),
                    _ => break,
                }
            }
        }
        Ok(commits)
    }

    /// For each commit that branches or tags point at, their names.
    pub fn names_by_commit(&self) -> Result<HashMap<CommitId, Vec<String>>> {
        let mut names: HashMap<CommitId, Vec<String>> = HashMap::new();
        for prefix in ["refs/heads/", "refs/tags/"] {
            for (name, id) in self.references(prefix)? {
                names.entry(id).or_default().push(name[prefix.len()..].to_owned());
            }
        }
        Ok(names)
    }
}

fn reference(repo: &gix::Repository, name: &str) -> Option<ObjectId> {
    let mut reference = repo.try_find_reference(name).ok()??;
    Some(reference.peel_to_commit().ok()?.id)
}

fn commit(repo: &gix::Repository, spec: &str) -> Option<ObjectId> {
    let object = repo.rev_parse_single(spec).ok()?.object().ok()?;
    Some(object.peel_to_commit().ok()?.id)
}

/// The same order, but for commits that would come before one of their children: these wait for it.
fn children_first(commits: Vec<(ObjectId, Vec<ObjectId>)>) -> Vec<CommitId> {
    let places: HashMap<ObjectId, usize> = commits.iter().enumerate().map(|(place, (id, _))| (*id, place)).collect();
    let mut children = vec![0_usize; commits.len()];
    for (_, parents) in &commits {
        for parent in parents.iter().filter_map(|parent| places.get(parent)) {
            children[*parent] += 1;
        }
    }
    // By their place in the given order, the smallest first.
    let mut free: BTreeSet<usize> = (0..commits.len()).filter(|place| children[*place] == 0).collect();
    let mut ordered = Vec::with_capacity(commits.len());
    while let Some(place) = free.pop_first() {
        let (id, parents) = &commits[place];
        ordered.push(CommitId(*id));
        for parent in parents.iter().filter_map(|parent| places.get(parent)) {
            children[*parent] -= 1;
            if children[*parent] == 0 {
                free.insert(*parent);
            }
        }
    }
    ordered
}
