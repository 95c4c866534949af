//! `fetch`: brings into the cache what outputs need and a remote has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use trackway_store::{Oid, Progress, transfer};

use crate::config::ConfigError;
use crate::error::{Error, Result};
use crate::fetch_imports::{PartialImport, Sources};
use crate::index::{Index, Selected, TopLevel};
use crate::output::Output;
use crate::remotes::{Batches, TransferOptions, copy_runs_from};
use crate::repo::Repo;
use crate::stage::Stage;
use crate::used::{Need, Trees};

#[derive(Clone, Debug, Default)]
pub struct FetchOptions {
    pub transfer: TransferOptions,
    /// Outputs that are recorded as this large or larger are left out; 0 leaves none out.
    pub max_size: Option<i64>,
    /// Only metrics or plots.
    pub metrics: bool,
    pub plots: bool,
}

/// What `push` and `fetch` did.
#[derive(Debug, Default)]
pub struct Moved {
    /// As DVC 3.67 counts: with the lists of folders.
    pub objects: usize,
    pub bytes: u64,
    pub failures: Vec<TransferFailure>,
    /// What DVC counts as failed beside them: lists of folders of which a file failed, files without a recorded version.
    pub failed_folders: usize,
}

impl Moved {
    pub fn failed(&self) -> usize {
        self.failures.len() + self.failed_folders
    }

    pub(crate) fn take(&mut self, done: transfer::Transferred) {
        self.objects += done.objects;
        self.bytes += done.bytes;
        for failed in done.failed {
            match failed.error {
                Some(error) => self.failures.push(TransferFailure::of(failed.oid, &error)),
                None => self.failed_folders += 1,
            }
        }
    }
}

/// An object that could not be transferred.
#[derive(Clone, Debug)]
pub struct TransferFailure {
    pub oid: Oid,
    pub reason: String,
}

impl TransferFailure {
    pub(crate) fn of(oid: Oid, error: &trackway_store::Error) -> TransferFailure {
        let reason = match error {
            // As Python shows an error of the system.
            trackway_store::Error::Io { path, source, .. } if source.raw_os_error().is_some() => {
                let number = source.raw_os_error().unwrap_or_default();
                let text = source.to_string();
                let text = text.strip_suffix(&format!(" (os error {number})")).unwrap_or(&text).to_owned();
                format!("[Errno {number}] {text}: '{}'", path.display())
            }
            trackway_store::Error::Corrupt { path, actual, .. } => {
                format!(
                    "it is corrupted and stays where it is: the content of '{}' has the hash {actual}",
                    path.display()
                )
            }
            other => other.to_string(),
        };
        TransferFailure { oid, reason }
    }
}

impl Repo {
    /// Fetches what the targets, or all outputs, need: in the work tree and in the revisions that are asked for.
    pub fn fetch(&self, targets: &[String], options: &FetchOptions, progress: &dyn Progress) -> Result<Moved> {
        let _cache = self.use_cache()?;
        let default = options.transfer.remote.as_deref();
        if options.transfer.run_cache {
            match self.object_remote(default, "fetch --run-cache") {
                Ok(remote) => drop(copy_runs_from(&remote, &self.run_cache_dir())?),
                Err(error) => ignore_without_remote(error)?,
            }
        }
        let found =
            self.collect(targets, &options.transfer, |index, selected| self.fetched_from(index, &selected, options))?;
        let (needs, partial): (Vec<Vec<Need>>, Vec<Vec<PartialImport>>) = found.into_iter().unzip();
        let needs: Vec<Need> = needs.into_iter().flatten().collect();
        let (mut sources, jobs) = (Sources::default(), options.transfer.jobs);
        let mut trees = Trees::default();
        let mut batches = Batches::default();
        let mut versioned = BTreeMap::new();
        let mut done = Moved::default();
        for need in &needs {
            if let Some(dep) = &need.import {
                self.fetch_import(need, dep, (&mut sources, &mut trees), jobs, &mut done, progress)?;
                continue;
            }
            if let Some(import) = &need.versioned_import
                && self.fetch_imported_versions(need, import, &mut trees, jobs, &mut done, progress)?
            {
                continue;
            }
            let remote = match self.remote(need.remote.as_deref().or(default), "<command>") {
                Ok(remote) => remote,
                Err(error) => {
                    ignore_without_remote(error)?;
                    continue;
                }
            };
            if remote.is_cloud_versioned() {
                let name = remote.config.name.clone();
                versioned.entry(name).or_insert_with(|| (remote.with_jobs(jobs), Vec::new())).1.push(need);
                continue;
            }
            batches.of(&remote.with_jobs(options.transfer.jobs), need.hash.name)?.add(self, need, &mut trees)?;
        }
        self.fetch_versions(&versioned, &mut trees, &mut done, progress)?;
        for import in partial.iter().flatten() {
            self.fetch_partial(import, &mut sources, jobs, &mut done, progress)?;
        }
        for batch in &mut batches.list {
            let cache = self.cache(batch.hash_name)?;
            done.failures.append(&mut batch.broken);
            if cache.objects_dir() == batch.depot.place() {
                continue;
            }
            let cargo = batch.take_cargo();
            let moved =
                transfer::with_jobs(options.transfer.jobs, || transfer::fetch(cache, &batch.depot, &cargo, progress))?;
            self.warn_missing(batch.hash_name, &moved.missing);
            done.take(moved);
        }
        Ok(done)
    }

    /// What is to be fetched for one revision. All remotes are looked up before any is asked.
    fn fetched_from(
        &self,
        index: &Index<'_>,
        selected: &[Selected],
        options: &FetchOptions,
    ) -> Result<(Vec<Need>, Vec<PartialImport>)> {
        let marked = match options.metrics || options.plots {
            true => Some(Marked::of(index, options)?),
            false => None,
        };
        let (mut needs, mut partial) = (Vec::new(), Vec::new());
        for one in selected {
            for out in one.stage.outs_at(one.filter.as_deref()).filter(|out| out.use_cache && out.is_in_repo()) {
                self.check_remote(out, options.transfer.remote.as_deref())?;
                let small = match (options.max_size.filter(|size| *size != 0), out.info.size) {
                    (Some(limit), Some(size)) if size > 0 => i128::from(size) < i128::from(limit),
                    _ => true,
                };
                if small && marked.as_ref().is_none_or(|marked| marked.has(&out.path)) {
                    partial.extend(self.partial_import(&one.stage, out)?);
                    needs.extend(Need::of(self, &one.stage, out, one.filter.as_deref()));
                }
            }
        }
        needs.retain(|need| asks_for(need.remote.as_deref(), options.transfer.remote.as_deref()));
        Ok((needs, partial))
    }

    /// The remote of an output must be in the configuration, and one that can be reached; that there is none at all is not
    /// yet a fault.
    pub(crate) fn check_remote(&self, out: &Output, default: Option<&str>) -> Result<()> {
        match self.remote(out.remote.as_deref().or(default), "<command>") {
            Ok(remote) if remote.folder().is_none() => remote.open().map(drop),
            Ok(_) => Ok(()),
            Err(error) => ignore_without_remote(error),
        }
    }

    /// As DVC 3.67: of what a query gives nothing can be fetched.
    fn partial_import(&self, stage: &Stage, out: &Output) -> Result<Option<PartialImport>> {
        let Some(dep) = stage.dependency().filter(|_| stage.is_partial_import()) else { return Ok(None) };
        if stage.is_db_import() {
            return Ok(None);
        }
        Ok(Some(PartialImport { name: out.display(self), dep: dep.clone(), stage: stage.clone() }))
    }
}

/// As DVC 3.67: with `--remote` an output that asks for another remote is left out.
pub(crate) fn asks_for(own: Option<&str>, chosen: Option<&str>) -> bool {
    match (own, chosen) {
        (Some(own), Some(chosen)) => own == chosen,
        _ => true,
    }
}

pub(crate) fn ignore_without_remote(error: Error) -> Result<()> {
    match error {
        Error::Config(ConfigError::NoRemote(_)) => Ok(()),
        other => Err(other),
    }
}

/// The paths of metrics and plots.
struct Marked {
    paths: Vec<PathBuf>,
}

impl Marked {
    fn of(index: &Index<'_>, options: &FetchOptions) -> Result<Marked> {
        let outs = index.stages()?.iter().flat_map(|stage| stage.outs.iter());
        let outs = outs.filter(|out| options.metrics && out.metric || options.plots && out.plot);
        let mut paths: Vec<_> = outs.map(|out| out.path.clone()).collect();
        let TopLevel { metrics, plots } = index.top_level()?;
        paths.extend(if options.metrics { metrics } else { Vec::new() });
        paths.extend(if options.plots { plots } else { Vec::new() });
        Ok(Marked { paths })
    }

    /// The output is one, lies in one, or holds one.
    fn has(&self, out: &Path) -> bool {
        self.paths.iter().any(|path| path.starts_with(out) || out.starts_with(path))
    }
}
