//! The part of `fetch` that asks no remote: data that was imported comes from where it was imported from.

use std::collections::HashMap;
use std::path::PathBuf;

use trackway_dvcfile::{Dep, DvcFile};
use trackway_store::{Hash, HashName, Oid, Progress};

use crate::bring::Brought;
use crate::browse::{Browser, Elsewhere};
use crate::error::{Error, Result};
use crate::fetch::{Moved, TransferFailure};
use crate::imports;
use crate::output::{Output, Recorded};
use crate::remotes::all_in_cache;
use crate::repo::Repo;
use crate::stage::Stage;
use crate::used::{Need, Trees};
use crate::write;

/// The repositories that imports come from, each opened once.
#[derive(Default)]
pub(crate) struct Sources {
    opened: HashMap<String, Result<Browser, String>>,
}

/// An import of which nothing but its origin is recorded.
#[derive(Clone, Debug)]
pub(crate) struct PartialImport {
    pub name: String,
    pub dep: Dep,
    pub stage: Stage,
}

impl Sources {
    fn bring(&mut self, repo: &Repo, dep: &Dep, jobs: Option<usize>, progress: &dyn Progress) -> Result<Brought> {
        let key = format!("{:?}", dep.repo);
        let opened = self.opened.entry(key).or_insert_with(|| {
            let open = || {
                let elsewhere =
                    Elsewhere { cache_dir: Some(repo.cache_dir()), ..imports::source(dep, true, repo.environment())? };
                Browser::open(&elsewhere, repo.environment())
            };
            open().map_err(|error: Error| error.to_string())
        });
        let browser = opened.as_ref().map_err(|error| Error::dvc(error.clone()))?;
        let brought = browser.bring(&dep.path, repo.cache(HashName::Md5)?, jobs, progress);
        browser.take_warnings().into_iter().for_each(|warning| repo.warn(warning));
        brought
    }
}

impl Repo {
    /// What an import from another repository needs, unless the cache has it.
    pub(crate) fn fetch_import(
        &self,
        need: &Need,
        dep: &Dep,
        (sources, trees): (&mut Sources, &mut Trees),
        jobs: Option<usize>,
        done: &mut Moved,
        progress: &dyn Progress,
    ) -> Result<()> {
        if all_in_cache(self, need, trees)? {
            return Ok(());
        }
        let failed = |reason: String| TransferFailure { oid: need.hash.oid, reason };
        match sources.bring(self, dep, jobs, progress) {
            Ok(brought) if brought.hash.oid.bytes() == need.hash.oid.bytes() => done.objects += brought.new,
            Ok(_) => done.failures.push(failed(format!(
                "'{}' is not what was imported any more: what is at its origin has other content",
                need.name
            ))),
            Err(error @ Error::Interrupted) => return Err(error),
            Err(error) => done.failures.push(failed(format!("'{}' cannot be had: {error}", need.name))),
        }
        Ok(())
    }

    /// What an import from a URL needs, in the versions that it has recorded. As DVC 3.67 it comes from there and not from the
    /// remote; better than there, what is gone may still come from the remote: `false` says to look.
    pub(crate) fn fetch_imported_versions(
        &self,
        need: &Need,
        import: &Stage,
        trees: &mut Trees,
        jobs: Option<usize>,
        done: &mut Moved,
        progress: &dyn Progress,
    ) -> Result<bool> {
        if all_in_cache(self, need, trees)? {
            return Ok(true);
        }
        let reason = match self.bring_from_outside(import, jobs, progress) {
            Ok(brought) if brought.hash.oid == need.hash.oid => {
                done.objects += brought.new;
                return Ok(true);
            }
            Ok(_) => "what is at its origin has other content".to_owned(),
            Err(error @ Error::Interrupted) => return Err(error),
            Err(error) => error.to_string(),
        };
        if need.can_push {
            self.warn(format!("'{}' cannot be had from where it was imported: {reason}", need.name));
            return Ok(false);
        }
        done.failures.push(TransferFailure { oid: need.hash.oid, reason: format!("'{}': {reason}", need.name) });
        Ok(true)
    }

    /// What was never downloaded. Which object it is is remembered, and `checkout` makes it; as in DVC 3.67 the `.dvc` file says no
    /// more than before.
    pub(crate) fn fetch_partial(
        &self,
        import: &PartialImport,
        sources: &mut Sources,
        jobs: Option<usize>,
        done: &mut Moved,
        progress: &dyn Progress,
    ) -> Result<()> {
        if let Some(hash) = self.partial_record(&import.dep)
            && self.cache(hash.name)?.holds(&hash.oid)?
        {
            return Ok(());
        }
        let brought = match import.stage.is_repo_import() {
            true => sources.bring(self, &import.dep, jobs, progress),
            false => self.bring_from_outside(&import.stage, jobs, progress),
        };
        let brought = brought.map_err(|error| match error {
            Error::Interrupted => error,
            other => Error::dvc(format!("'{}' cannot be had: {other}", import.name)),
        })?;
        let path = self.partial_record_path(&import.dep);
        let folder = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
        write::replace(&path, brought.hash.oid.to_string().as_bytes())?;
        done.objects += brought.nfiles.map_or(1, |files| usize::try_from(files).unwrap_or(usize::MAX));
        Ok(())
    }

    fn partial_record_path(&self, dep: &Dep) -> PathBuf {
        let only = DvcFile { deps: vec![dep.clone()], ..DvcFile::default() };
        self.own_dir().join("imports").join(only.stage_md5())
    }

    fn partial_record(&self, dep: &Dep) -> Option<Hash> {
        let text = std::fs::read_to_string(self.partial_record_path(dep)).ok()?;
        Some(Hash { name: HashName::Md5, oid: Oid::parse(&text).ok()? })
    }

    /// The output with what it is to be: of an import that was never downloaded, what was fetched for it.
    pub(crate) fn to_check_out(&self, stage: &Stage, out: &Output) -> Output {
        let mut out = out.clone();
        if stage.is_partial_import()
            && let Some(hash) = stage.dependency().and_then(|dep| self.partial_record(dep))
        {
            out.hash_name = hash.name;
            out.recorded = Recorded::Object(hash);
        }
        out
    }
}
