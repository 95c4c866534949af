//! `checkout`: makes the work tree what is recorded, from the cache.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use trackway_store::{
    ChangeKind, CheckoutOptions as ApplyOptions, Content, HashName, Plan, Progress, Target as Wanted, plan, scan,
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
    /// Why: objects that are missing, or that are not what they are named after.
    pub reasons: Vec<String>,
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
    /// Of what cannot be made: the removal of what is there.
    removal: Plan,
    hash_name: HashName,
    /// Why nothing can be made.
    impossible: Option<Impossible>,
    /// Something was at the output's path.
    existed: bool,
}

enum Impossible {
    /// Nothing is recorded.
    Unrecorded,
    /// An import of which only the origin is recorded, and that was not fetched.
    NotDownloaded,
    /// The list of a folder is missing or broken.
    Unreadable(trackway_store::Error),
}

impl Repo {
    /// Brings the outputs of the targets, or all, to what is recorded. Without targets, what an earlier checkout made and
    /// nothing tracks any more goes.
    ///
    /// What could not be made is in [`CheckedOut::failed`]; the rest was done.
    pub fn checkout(
        &self,
        targets: &[String],
        options: CheckoutOptions,
        progress: &dyn Progress,
    ) -> Result<CheckedOut> {
        let _working = self.working_lock()?;
        let mut done = CheckedOut::default();
        let tree = self.work_tree(progress)?;
        let selected = {
            let _lock = self.lock()?;
            let index = self.index()?;
            if targets.is_empty() {
                let used: Vec<_> =
                    index.stages()?.iter().flat_map(|stage| stage.outs.iter().map(|out| out.path.clone())).collect();
                let mut links = self.links()?;
                let unused = links.unused(&used, &*self.dvcignore()?)?;
                done.deleted = unused.iter().map(|gone| self.show_output(&gone.path)).collect();
                links.remove(&unused)?;
                unused.iter().for_each(|gone| self.state().forget(&gone.path));
                done.files.deleted = done.deleted.len();
            }
            let mut selected = Vec::new();
            if targets.is_empty() {
                selected = index.select(None, options.follow)?;
            }
            for target in targets {
                let found = index.select(Some(target), options.follow).map_err(|error| suggest_git(error, target))?;
                selected.extend(found);
            }
            let paths: Vec<_> =
                selected.iter().flat_map(|one| one.stage.outs.iter().map(|out| out.path.clone())).collect();
            self.make_way(&[], &paths)?;
            selected
        };
        let mut steps = Vec::new();
        for one in &selected {
            for out in one.stage.outs_at(one.filter.as_deref()).filter(|out| out.use_cache && out.is_in_repo()) {
                let out = self.to_check_out(&one.stage, out);
                let mut step = tree.step(&out, one.filter.as_deref(), options.relink)?;
                if one.stage.is_partial_import() && matches!(step.impossible, Some(Impossible::Unrecorded)) {
                    step.impossible = Some(Impossible::NotDownloaded);
                }
                steps.push(step);
            }
        }
        if !options.force {
            self.refuse_unsaved(&steps)?;
        }
        let mut made = Vec::new();
        let mut taken = Ok(());
        for step in &steps {
            taken = self.take(step, progress, &mut done, &mut made);
            if taken.is_err() {
                break;
            }
        }
        // Also after a failure: what was made by then is ours to remove again.
        self.remember_links(&made)?;
        taken?;
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
            let would_go = match &step.impossible {
                // As DVC 3.67: where nothing can be made, all that is there is in the way.
                Some(_) => &step.removal,
                None => &step.plan,
            };
            unsaved.extend(would_go.unsaved(self.cache(step.hash_name)?, self.state())?);
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

    fn take(
        &self,
        step: &Step,
        progress: &dyn Progress,
        done: &mut CheckedOut,
        made: &mut Vec<(PathBuf, Option<Content>)>,
    ) -> Result<()> {
        match &step.impossible {
            // Better than DVC 3.67, which removes what is there: nothing would come in its place.
            Some(why) => {
                match why {
                    Impossible::Unrecorded => self.warn(format!(
                        "No file hash info found for '{}'. It won't be created.",
                        paths::show(&step.out.path)
                    )),
                    Impossible::NotDownloaded => {}
                    Impossible::Unreadable(error) => done.reasons.push(error.to_string()),
                }
                done.failed.push(self.show_from_cwd(&step.out.path));
                return Ok(());
            }
            None if step.plan.is_empty() => return Ok(()),
            None => {}
        }
        let ignore = self.dvcignore()?;
        let applying = ApplyOptions {
            state: self.state(),
            filter: Some(&*ignore),
            output: (step.path != step.out.path).then_some(&*step.out.path),
            progress,
        };
        self.remove_dangling(step)?;
        let outcome = step.plan.apply(self.cache(step.hash_name)?, &applying)?;
        if !outcome.failed.is_empty() {
            // Better than DVC 3.67, which removes the whole output: what could be made stays.
            done.reasons.extend(outcome.failed.iter().map(|failed| failed.error.to_string()));
            let shown = self.show_from_cwd(&step.out.path);
            if !done.failed.contains(&shown) {
                done.failed.push(shown);
            }
            return Ok(());
        }
        made.push((step.out.path.clone(), outcome.content));
        let only_relinked = step.plan.changes.iter().all(|change| change.kind == ChangeKind::Relinked)
            && step.plan.make_dirs.is_empty()
            && step.plan.remove_dirs.is_empty();
        if only_relinked {
            return Ok(());
        }
        done.files.count(step);
        let shown = self.show_output(&step.out.path);
        let list = if step.existed { &mut done.modified } else { &mut done.added };
        // Several targets may be parts of one output.
        if !list.contains(&shown) {
            list.push(shown);
        }
        Ok(())
    }

    /// A link that leads nowhere is not content: it makes way for what can be made.
    fn remove_dangling(&self, step: &Step) -> Result<()> {
        let path = &step.path;
        let dangles = path.is_symlink() && !path.exists();
        let makes_dir = step.plan.make_dirs.iter().any(|dir| dir.as_os_str().is_empty());
        let cache = self.cache(step.hash_name)?;
        let makes_file = step
            .plan
            .changes
            .iter()
            .any(|change| change.path.as_os_str().is_empty() && change.new.is_some_and(|oid| cache.contains(&oid)));
        if dangles && (makes_dir || makes_file) {
            std::fs::remove_file(path).map_err(|error| Error::io(path, error))?;
        }
        Ok(())
    }

    /// Makes one output that was just recorded.
    pub(crate) fn check_out_new(&self, out: &Output, options: CheckoutOptions, progress: &dyn Progress) -> Result<()> {
        let step = self.work_tree(progress)?.step(out, None, options.relink)?;
        if !options.force {
            self.refuse_unsaved(std::slice::from_ref(&step))?;
        }
        let mut done = CheckedOut::default();
        let mut made = Vec::new();
        self.take(&step, progress, &mut done, &mut made)?;
        self.remember_links(&made)?;
        self.state().flush();
        match done.failed.is_empty() {
            true => Ok(()),
            false => Err(Error::Checkout(done.failed)),
        }
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
            false => scan(&path, &self.lenient_scan_options(out.hash_name)?)?,
        };
        let existed = out.path.symlink_metadata().is_ok();
        let step = |plan, removal, impossible| Step {
            out: out.clone(),
            path: path.clone(),
            plan,
            removal,
            hash_name: out.hash_name,
            impossible,
            existed,
        };
        match self.wanted(out, &path, old.as_ref())? {
            Ok(wanted) => Ok(step(plan(&path, old.as_ref(), wanted.as_ref(), relink)?, Plan::default(), None)),
            Err(why) => Ok(step(Plan::default(), plan(&path, old.as_ref(), None, false)?, Some(why))),
        }
    }

    /// What should be at the path: the recorded object, or the part of the recorded folder that lies there.
    fn wanted(&self, out: &Output, path: &Path, old: Option<&Content>) -> Result<Result<Option<Wanted>, Impossible>> {
        let Recorded::Object(hash) = &out.recorded else {
            return Ok(Err(Impossible::Unrecorded));
        };
        if !hash.oid.is_dir() {
            return Ok(Ok(Some(Wanted::File { oid: hash.oid, is_exec: out.info.isexec })));
        }
        let cache = self.repo.cache(hash.name)?;
        let tree = match out.listed().map_or_else(|| cache.read_tree(&hash.oid), Ok) {
            Ok(tree) => Arc::new(tree),
            Err(
                error @ (trackway_store::Error::Missing { .. }
                | trackway_store::Error::Corrupt { .. }
                | trackway_store::Error::InvalidTree { .. }),
            ) => match old.filter(|old| path == out.path && old.oid() == hash.oid).and_then(Content::tree) {
                // What is there is what is recorded: nobody needs the list.
                Some(tree) => tree,
                None => return Ok(Err(Impossible::Unreadable(error))),
            },
            Err(error) => return Err(error.into()),
        };
        if path == out.path {
            return Ok(Ok(Some(Wanted::Tree(tree))));
        }
        use std::os::unix::ffi::OsStrExt;
        let inner = path.strip_prefix(&out.path).unwrap_or(path).as_os_str().as_bytes();
        if let Some(oid) = tree.get(inner) {
            return Ok(Ok(Some(Wanted::File { oid, is_exec: false })));
        }
        Ok(Ok(tree.subtree(inner).map(|part| Wanted::Tree(Arc::new(part)))))
    }
}

impl Counts {
    /// As DVC 3.67 counts: files, and folders that go.
    fn count(&mut self, step: &Step) {
        let plan = &step.plan;
        self.deleted += plan.remove_dirs.iter().filter(|dir| !dir.as_os_str().is_empty()).count();
        for change in &plan.changes {
            let is_whole = change.path.as_os_str().is_empty();
            match change.kind {
                // A folder in the place of a file is no file.
                ChangeKind::Deleted if is_whole && !plan.make_dirs.is_empty() => {}
                ChangeKind::Deleted => self.deleted += 1,
                ChangeKind::Added if is_whole && step.existed => self.modified += 1,
                ChangeKind::Added => self.added += 1,
                ChangeKind::Modified | ChangeKind::Mode => self.modified += 1,
                ChangeKind::Relinked => {}
            }
        }
    }
}

/// Without the `.dvc` file that was named, the person may have meant a file of git's.
fn suggest_git(error: Error, target: &str) -> Error {
    match error {
        Error::NoDvcFile { .. } | Error::BadDvcFileName(_) | Error::NoOutputOrStage { .. } if !target.is_empty() => {
            Error::caused(format!("Did you mean `git checkout {target}`?"), error)
        }
        other => other,
    }
}
