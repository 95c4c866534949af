//! `commit`: records what the work tree holds now, and puts it into the cache.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use trackway_store::{Content, Hash, HashName, Oid, Progress, SaveOptions, scan, scan_into, scan_part_into};

use crate::dvc_file;
use crate::error::{Error, Result};
use crate::index::{Follow, Selected};
use crate::output::{Dependency, Output, ParamsDependency};
use crate::repo::Repo;
use crate::scm::ScmChanges;
use crate::stage::Stage;
use crate::status::dependency_status;
use crate::versions::Before;
use crate::worktree::WorkTree;

/// A path that is linked to the cache now, and what lies there.
type Linked = (PathBuf, Option<Content>);

#[derive(Clone, Copy, Debug, Default)]
pub struct CommitOptions {
    pub follow: Follow,
    /// Record changes without asking.
    pub force: bool,
    pub no_relink: bool,
    /// What is missing in the work tree is passed over.
    pub allow_missing: bool,
    /// Only what was added or imported, no steps of pipelines (`git-hook pre-commit`).
    pub data_only: bool,
}

impl Repo {
    /// Commits the stages of one target, or all. `ask` is asked before something that changed is recorded.
    pub fn commit(
        &self,
        target: Option<&str>,
        options: CommitOptions,
        ask: &dyn Fn(&str) -> bool,
        progress: &dyn Progress,
    ) -> Result<()> {
        let _working = self.working_lock()?;
        let selected: Vec<Selected> = {
            let _lock = self.lock()?;
            let mut selected = self.index()?.select(target, options.follow)?;
            selected.retain(|one| !options.data_only || one.stage.is_data_source());
            let writes: Vec<_> =
                selected.iter().flat_map(|one| one.stage.outs.iter().map(|out| out.path.clone())).collect();
            self.make_way(&[], &writes)?;
            selected
        };
        let tree = self.work_tree(progress)?;
        let mut scm = ScmChanges::new(self);
        let mut committed = Vec::new();
        let mut linked: Vec<Linked> = Vec::new();
        let mut outcome = Ok(());
        for one in &selected {
            outcome = tree.commit(one, options, ask, &mut scm).map(|(stage, paths)| {
                linked.extend(paths);
                committed.push(stage);
            });
            if outcome.is_err() {
                break;
            }
        }
        if outcome.is_err()
            && let Some(failed) = selected.get(committed.len())
        {
            // As DVC 3.67: what was done for other files before something failed stays done.
            committed.retain(|stage: &Stage| stage.path != failed.stage.path);
        }
        self.flush_caches_of(committed.iter().flat_map(|stage| &stage.outs).filter(|out| out.use_cache))?;
        let _lock = self.lock()?;
        dvc_file::write_all(self, &committed)?;
        scm.finish_without_staging()?;
        if !options.no_relink {
            self.remember_links(&linked)?;
        }
        outcome
    }

    /// Nothing may name an object before it is on the disk.
    pub(crate) fn flush_caches_of<'o>(&self, outs: impl Iterator<Item = &'o Output> + Clone) -> Result<()> {
        for name in [HashName::Md5, HashName::Md5Dos2Unix] {
            if outs.clone().any(|out| out.hash_name == name) {
                self.cache(name)?.flush()?;
            }
        }
        Ok(())
    }
}

impl WorkTree<'_> {
    /// Commits one stage: records it if it changed, and puts its outputs into the cache.
    fn commit(
        &self,
        Selected { stage, filter }: &Selected,
        options: CommitOptions,
        ask: &dyn Fn(&str) -> bool,
        scm: &mut ScmChanges<'_>,
    ) -> Result<(Stage, Vec<Linked>)> {
        let mut stage = Stage::clone(stage);
        let question = if options.force { None } else { self.changes(&stage)? };
        if options.force || question.is_some() {
            if question.is_some_and(|question| !ask(&question)) {
                return Err(Error::dvc(format!(
                    "unable to commit changed {}. Use `-f|--force` to force.",
                    stage.display(self.repo)
                )));
            }
            self.save(&mut stage, options.allow_missing, scm)?;
            self.repo.save_run(&stage, self)?;
        }
        let linked = self.put_into_cache(&stage, filter.as_deref(), options)?;
        Ok((stage, linked))
    }

    /// The question to ask before the stage is recorded anew; `None` if nothing about it changed.
    fn changes(&self, stage: &Stage) -> Result<Option<String>> {
        let mut deps = Vec::new();
        for dep in &stage.deps {
            if !matches!(dep, Dependency::Repo { .. }) && dependency_status(self, dep)?.is_some() {
                deps.push(dep.display(self.repo));
            }
        }
        let mut outs = Vec::new();
        for out in &stage.outs {
            if self.change(out)?.is_some() {
                outs.push(out.display(self.repo));
            }
        }
        let list = |names: &[String]| {
            let quoted: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
            format!("[{}]", quoted.join(", "))
        };
        let shown = stage.display(self.repo);
        let what = match (deps.is_empty(), outs.is_empty()) {
            (false, false) => format!("dependencies {} and outputs {} of {shown} changed.", list(&deps), list(&outs)),
            (false, true) => format!("dependencies {} of {shown} changed.", list(&deps)),
            (true, false) => format!("outputs {} of {shown} changed.", list(&outs)),
            (true, true) if stage.cmd_changed() => format!("'cmd' of {shown} has changed."),
            (true, true) if stage.checksum_changed() => format!("'md5' of {shown} changed."),
            (true, true) => return Ok(None),
        };
        Ok(Some(format!("{what} Are you sure you want to commit it?")))
    }

    /// Records what dependencies and outputs are now. Nothing is put into the cache yet.
    pub(crate) fn save(&self, stage: &mut Stage, allow_missing: bool, scm: &mut ScmChanges<'_>) -> Result<()> {
        let is_missing = |error: &Error| matches!(error, Error::Missing(_));
        for dep in &mut stage.deps {
            match self.save_dependency(dep) {
                Err(error) if allow_missing && is_missing(&error) => {}
                other => other?,
            }
        }
        for out in &mut stage.outs {
            match self.save_output(out, scm) {
                Err(error) if allow_missing && is_missing(&error) => {}
                other => other?,
            }
        }
        stage.record_md5();
        Ok(())
    }

    fn save_dependency(&self, dep: &mut Dependency) -> Result<()> {
        match dep {
            Dependency::Data(out) => {
                let content = self.content_to_record(out, "dependency")?;
                record(out, &content);
                Ok(())
            }
            Dependency::Params(params) => self.save_params(params),
            Dependency::Repo { .. } | Dependency::Url { .. } | Dependency::Db(_) | Dependency::Dataset(_) => Ok(()),
        }
    }

    fn save_params(&self, dep: &mut ParamsDependency) -> Result<()> {
        let shown = self.repo.show_from_cwd(&dep.path);
        let Some(values) = dep.read(self.repo)? else {
            return Err(Error::Missing(format!("dependency '{shown}' does not exist")));
        };
        let missing: Vec<_> =
            dep.params.keys.iter().filter(|key| !values.contains_key(key)).map(String::as_str).collect();
        if !missing.is_empty() {
            return Err(Error::dvc(format!("Parameters '{}' are missing from '{shown}'.", missing.join(", "))));
        }
        dep.locked = Some(values);
        Ok(())
    }

    fn save_output(&self, out: &mut Output, scm: &mut ScmChanges<'_>) -> Result<()> {
        if out.use_cache && !out.is_in_repo() {
            return Err(Error::dvc(format!(
                "Saving cached external output {} is not supported since DVC 3.0. See <https://dvc.org/doc/user-guide/upgrade> for more info.",
                out.display(self.repo)
            )));
        }
        let content = self.content_to_record(out, "output")?;
        if out.use_cache && out.is_in_repo() {
            scm.ignore(&out.path)?;
        }
        if out.metric && !content.is_dir() && !looks_like_text(&out.path)? {
            return Err(Error::dvc(format!("binary file '{}' cannot be used as metrics.", out.path.display())));
        }
        record(out, &content);
        Ok(())
    }

    /// The content as it is to be recorded: a hash of DVC 2 only as long as it is still true.
    fn content_to_record(&self, out: &mut Output, what: &str) -> Result<Content> {
        let shown = out.display(self.repo);
        let missing = || Error::Missing(format!("{what} '{shown}' does not exist"));
        if !self.exists(out) {
            return Err(missing());
        }
        if !out.path.is_file() && !out.path.is_dir() {
            return Err(Error::dvc(format!("{what} '{shown}' is not a file or directory")));
        }
        if is_empty(&out.path)? {
            self.repo.warn(format!("'{shown}' is empty."));
        }
        if out.hash_name == HashName::Md5Dos2Unix && self.change(out)?.is_some() {
            out.hash_name = HashName::Md5;
        }
        self.content(out)?.ok_or_else(missing)
    }

    /// Puts the outputs, or the part of one that a target names, into the cache. Gives the paths that are linked to it now.
    pub(crate) fn put_into_cache(
        &self,
        stage: &Stage,
        filter: Option<&Path>,
        options: CommitOptions,
    ) -> Result<Vec<Linked>> {
        let mut linked = Vec::new();
        let mut failed = Vec::new();
        for out in stage.outs_at(filter) {
            if !self.exists(out) {
                match options.allow_missing {
                    true => continue,
                    false => return Err(Error::Missing(format!("output '{}' does not exist", out.display(self.repo)))),
                }
            }
            if !out.use_cache {
                continue;
            }
            let cache = self.repo.cache(out.hash_name)?;
            let scanning = self.scan_options(out.hash_name)?;
            let saving = SaveOptions { relink: !options.no_relink, state: self.repo.state(), progress: self.progress };
            let part = filter.filter(|part| *part != out.path && out.is_dir_record());
            let path = part.unwrap_or(&out.path);
            let taken = match part {
                Some(part) => scan_part_into(part, &scanning, cache, &saving),
                None => scan_into(path, &scanning, cache, &saving),
            };
            match taken {
                Ok(None) => {
                    self.repo.warn(format!("No file hash info found for '{}'. It won't be created.", path.display()));
                    return Err(Error::io(path, std::io::Error::from_raw_os_error(2)));
                }
                Ok(content) => linked.push((path.to_owned(), content)),
                Err(trackway_store::Error::Unlinkable { .. }) => failed.push(out.path.display().to_string()),
                Err(error) => return Err(error.into()),
            }
            if part.is_some()
                && let Some(tree) = scan(&out.path, &scanning)?.and_then(|content| content.tree())
            {
                // As DVC 3.67: with a part of a folder goes the list of all of it.
                cache.put_tree(&tree)?;
            }
        }
        match failed.is_empty() {
            true => Ok(linked),
            false => Err(Error::CacheLink(failed)),
        }
    }
}

fn record(out: &mut Output, content: &Content) {
    let before = out.before();
    let hash = Hash { name: out.hash_name, oid: content.oid() };
    out.set(hash, Some(content.size()), content.nfiles(), content.is_exec());
    keep_versions(out, before, content);
}

/// See [`Output::keep_versions`].
pub(crate) fn keep_versions(out: &mut Output, before: Option<Before>, content: &Content) {
    if before.is_none() {
        return;
    }
    let sizes: HashMap<Oid, u64> = match content {
        Content::Dir(dir) => dir.files().map(|(_, oid, size)| (oid, size)).collect(),
        Content::File(_) => HashMap::new(),
    };
    out.keep_versions(before, content.tree().as_deref(), &|_, oid| sizes.get(oid).copied());
}

/// A file without bytes, or a folder without entries.
fn is_empty(path: &Path) -> Result<bool> {
    let meta = std::fs::metadata(path).map_err(|error| Error::io(path, error))?;
    if meta.is_dir() {
        return Ok(std::fs::read_dir(path).map_err(|error| Error::io(path, error))?.next().is_none());
    }
    Ok(meta.len() == 0)
}

/// Judged by how it begins, as DVC does.
fn looks_like_text(path: &Path) -> Result<bool> {
    let mut block = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(512).read_to_end(&mut block));
    read.map_err(|error| Error::io(path, error))?;
    Ok(trackway_store::is_text(&block))
}
