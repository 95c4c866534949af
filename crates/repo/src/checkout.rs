//! `checkout`: makes the work tree what is recorded, from the cache.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use trackway_store::{
    ChangeKind, CheckoutOptions as ApplyOptions, HashName, Plan, Progress, Target as Wanted, plan, scan,
};

use crate::error::{Error, Result};
use crate::index::Follow;
use crate::output::{Output, Recorded};
use crate::paths;
use crate::repo::Repo;
use crate::worktree::WorkTree;

#[derive(Clone, Copy, Debug, Default)]
pub struct CheckoutOptions {
    pub follow: Follow,
    /// Overwrite and delete what is not in the cache.
    pub force: bool,
    /// Make every link anew, as the cache is configured now.
    pub relink: bool,
    /// Missing objects are no failure.
    pub allow_missing: bool,
}

/// What was done, as seen from where the person stands; folders end in `/` and stand before files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedOut {
    pub modified: Vec<String>,
    pub added: Vec<String>,
    pub deleted: Vec<String>,
    /// Numbers of files.
    pub files: Counts,
    /// Outputs that could not be made.
    pub failed: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub modified: usize,
    pub added: usize,
    pub deleted: usize,
}

/// One output, or a part of it, and what is to be done.
struct Step {
    out: Output,
    /// The output's path, or the part of it that a target names.
    path: PathBuf,
    plan: Plan,
    hash_name: HashName,
    /// Nothing, or nothing that can be had, is recorded.
    impossible: bool,
}

impl Repo {
    /// Brings the outputs of the targets, or all, to what is recorded. Without targets, what an earlier checkout made and
    /// nothing tracks any more goes.
    ///
    /// What could not be made is in [`CheckedOut::failed`]; the rest was done.
    pub fn checkout(&self, targets: &[String], options: CheckoutOptions, progress: &dyn Progress) -> Result<CheckedOut> {
        let _working = self.working_lock()?;
        let mut done = CheckedOut::default();
        let tree = self.work_tree(progress)?;
        let selected = {
            let _lock = self.lock()?;
            let index = self.index()?;
            if targets.is_empty() {
                let used: Vec<_> = index.stages()?.iter().flat_map(|stage| stage.outs.iter().map(|out| out.path.clone())).collect();
                let mut links = self.links()?;
                let unused = links.unused(&used, &*self.dvcignore()?)?;
                done.deleted = unused.iter().map(|gone| self.show_output(&gone.path)).collect();
                links.remove(&unused)?;
                unused.iter().for_each(|gone| self.state().forget(&gone.path));
                done.files.deleted = done.deleted.len();
            }
            let selected = index.select_all(targets, options.follow).map_err(|error| suggest_git(error, targets))?;
            let paths: Vec<_> = selected.iter().flat_map(|one| one.stage.outs.iter().map(|out| out.path.clone())).collect();
            self.make_way(&[], &paths)?;
            selected
        };
        let mut steps = Vec::new();
        for one in &selected {
            for out in one.stage.outs_at(one.filter.as_deref()).filter(|out| out.use_cache && out.is_in_repo()) {
                steps.push(tree.step(out, one.filter.as_deref(), options.relink)?);
            }
        }
        if !options.force {
            self.refuse_unsaved(&steps)?;
        }
        for step in &steps {
            self.take(step, progress, &mut done)?;
        }
        for list in [&mut done.modified, &mut done.added, &mut done.deleted] {
            // Folders first, each group by its letters.
            list.sort_by_key(|path| (!path.ends_with('/'), path.clone()));
        }
        self.state().flush();
        Ok(done)
    }

    fn refuse_unsaved(&self, steps: &[Step]) -> Result<()> {
        let mut unsaved = Vec::new();
        for step in steps {
            unsaved.extend(step.plan.unsaved(self.cache(step.hash_name)?, self.state())?);
        }
        if unsaved.is_empty() {
            return Ok(());
        }
        let list: Vec<_> = unsaved.iter().map(|path| paths::show(path)).collect();
        Err(Error::dvc(format!(
            "Can't remove the following unsaved files without confirmation. Use `--force` to force.\n{}",
            list.join("\n")
        )))
    }

    fn take(&self, step: &Step, progress: &dyn Progress, done: &mut CheckedOut) -> Result<()> {
        if step.plan.is_empty() && !step.impossible {
            return Ok(());
        }
        let ignore = self.dvcignore()?;
        let applying = ApplyOptions {
            state: self.state(),
            filter: Some(&*ignore),
            output: (step.path != step.out.path).then_some(&*step.out.path),
            progress,
        };
        // A part that is new does not make the whole new.
        let is_part_of_old = step.path != step.out.path && step.out.path.is_dir();
        let outcome = step.plan.apply(self.cache(step.hash_name)?, &applying)?;
        if step.impossible || !outcome.failed.is_empty() {
            // As DVC 3.67: an output that cannot be had is not left in half.
            done.failed.push(self.show_from_cwd(&step.out.path));
            return Ok(());
        }
        self.remember_links(&[(step.out.path.clone(), outcome.content)])?;
        let shown = self.show_output(&step.out.path);
        let (added, modified, deleted) = (
            step.plan.count(ChangeKind::Added),
            step.plan.count(ChangeKind::Modified) + step.plan.count(ChangeKind::Mode),
            step.plan.count(ChangeKind::Deleted),
        );
        done.files.added += added;
        done.files.modified += modified;
        done.files.deleted += deleted;
        let whole_is_new = step.plan.make_dirs.iter().any(|dir| dir.as_os_str().is_empty())
            || step.plan.changes.iter().any(|change| change.path.as_os_str().is_empty() && change.kind == ChangeKind::Added);
        let only_relinked = step.plan.changes.iter().all(|change| change.kind == ChangeKind::Relinked)
            && step.plan.make_dirs.is_empty()
            && step.plan.remove_dirs.is_empty();
        match () {
            () if only_relinked => {}
            () if whole_is_new && !is_part_of_old => done.added.push(shown),
            () => done.modified.push(shown),
        }
        Ok(())
    }

    /// A path as `checkout` lists it: folders end in `/`.
    fn show_output(&self, path: &Path) -> String {
        let shown = self.show_from_cwd(path);
        if path.is_dir() { shown + "/" } else { shown }
    }
}

impl WorkTree<'_> {
    fn step(&self, out: &Output, part: Option<&Path>, relink: bool) -> Result<Step> {
        self.refuse_links_out(out)?;
        let path = part.unwrap_or(&out.path).to_owned();
        let old = match self.is_ignored(out) {
            true => None,
            false => scan(&path, &self.scan_options(out.hash_name)?)?,
        };
        let (wanted, impossible) = self.wanted(out, &path)?;
        let plan = plan(&path, old.as_ref(), wanted.as_ref(), relink)?;
        Ok(Step { out: out.clone(), path, plan, hash_name: out.hash_name, impossible })
    }

    /// What should be at the path: the recorded object, or the part of the recorded folder that lies there.
    fn wanted(&self, out: &Output, path: &Path) -> Result<(Option<Wanted>, bool)> {
        let Recorded::Object(hash) = &out.recorded else {
            self.repo.warn(format!("No file hash info found for '{}'. It won't be created.", paths::show(&out.path)));
            return Ok((None, true));
        };
        if !hash.oid.is_dir() {
            return Ok((Some(Wanted::File { oid: hash.oid, is_exec: out.info.isexec }), false));
        }
        let tree = match self.repo.cache(hash.name)?.read_tree(&hash.oid) {
            Ok(tree) => tree,
            Err(trackway_store::Error::Missing { .. }) => return Ok((None, true)),
            Err(error) => return Err(error.into()),
        };
        if path == out.path {
            return Ok((Some(Wanted::Tree(Arc::new(tree))), false));
        }
        use std::os::unix::ffi::OsStrExt;
        let inner = path.strip_prefix(&out.path).unwrap_or(path).as_os_str().as_bytes();
        if let Some(oid) = tree.get(inner) {
            return Ok((Some(Wanted::File { oid, is_exec: false }), false));
        }
        Ok((tree.subtree(inner).map(|part| Wanted::Tree(Arc::new(part))), false))
    }
}

/// Without the `.dvc` file that was named, the person may have meant a file of git's.
fn suggest_git(error: Error, targets: &[String]) -> Error {
    match error {
        Error::NoDvcFile { .. } | Error::BadDvcFileName(_) | Error::NoOutputOrStage { .. } => {
            let target = targets.first().map(String::as_str).unwrap_or_default();
            Error::caused(format!("Did you mean `git checkout {target}`?"), error)
        }
        other => other,
    }
}
