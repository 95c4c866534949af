//! `push`: copies from the cache to the remotes what outputs need.

use std::collections::BTreeSet;

use trackway_store::{HashName, Progress, transfer};

use crate::add::expand;
use crate::error::{Error, Result};
use crate::fetch::{Moved, asks_for, ignore_without_remote};
use crate::index::Selected;
use crate::remotes::{Batches, TransferOptions, copy_runs_to};
use crate::repo::Repo;
use crate::used::{Need, Trees};
use crate::versions::Outgoing;

#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    pub transfer: TransferOptions,
    /// The targets are patterns.
    pub glob: bool,
    /// Read what was sent again, and compare it.
    pub verify: bool,
}

/// What one revision's outputs need, and which remotes they ask for.
struct Collected {
    needs: Vec<Need>,
    remotes: BTreeSet<Option<String>>,
    /// What goes to remotes that keep versions.
    versioned: Vec<Outgoing>,
}

impl Repo {
    /// Pushes what the targets, or all outputs, need: in the work tree and in the revisions that are asked for.
    pub fn push(&self, targets: &[String], options: &PushOptions, progress: &dyn Progress) -> Result<Moved> {
        let _cache = self.use_cache()?;
        let default = options.transfer.remote.as_deref();
        let mut done = Moved::default();
        match self.remote(default, "<command>") {
            Ok(remote) if remote.is_cloud_versioned() && options.transfer.asks_git() => {
                return Err(Error::dvc("Multiple rev push is unsupported for cloud versioned remotes"));
            }
            Ok(remote) if remote.is_cloud_versioned() => drop(remote.versions(HashName::Md5)?),
            Ok(_) => {}
            Err(error) => ignore_without_remote(error)?,
        }
        if options.transfer.run_cache {
            match self.object_remote(default, "push --run-cache") {
                Ok(remote) => done.objects += copy_runs_to(&remote, &self.run_cache_dir())?,
                Err(error) => ignore_without_remote(error)?,
            }
        }
        let jobs = options.transfer.jobs;
        let targets = if options.glob { expand(self.cwd(), targets)? } else { targets.to_vec() };
        let collected =
            self.collect(&targets, &options.transfer, |_, selected| self.pushed_from(&selected, default, jobs))?;
        // As DVC 3.67: that a remote is missing is the work tree's fault, and found when the rest is done.
        let asked = collected.first().map(|first| first.remotes.clone()).unwrap_or_default();
        let mut trees = Trees::default();
        let mut batches = Batches::default();
        for need in collected.iter().flat_map(|collected| &collected.needs) {
            match self.remote(need.remote.as_deref().or(default), "<command>") {
                Ok(remote) => {
                    let remote = remote.with_jobs(options.transfer.jobs);
                    batches.of(&remote, need.hash.name)?.add(self, need, &mut trees)?;
                }
                Err(error) => ignore_without_remote(error)?,
            }
        }
        for batch in &mut batches.list {
            let cache = self.cache(batch.hash_name)?;
            done.failures.append(&mut batch.broken);
            if cache.objects_dir() == batch.depot.place() {
                continue;
            }
            let cargo = batch.take_cargo();
            let moved = transfer::with_jobs(options.transfer.jobs, || {
                transfer::push(cache, &batch.depot, &cargo, options.verify, progress)
            })?;
            self.warn_missing(batch.hash_name, &moved.missing);
            done.take(moved);
        }
        // Versions are recorded in the work tree's files only.
        if let Some(first) = collected.first() {
            self.push_versions(&first.versioned, &mut done, progress)?;
        }
        for name in asked {
            self.remote(name.as_deref().or(default), "<command>")?;
        }
        Ok(done)
    }

    fn pushed_from(&self, selected: &[Selected], default: Option<&str>, jobs: Option<usize>) -> Result<Collected> {
        let mut collected = Collected { needs: Vec::new(), remotes: BTreeSet::new(), versioned: Vec::new() };
        for one in selected {
            for out in one.stage.outs_at(one.filter.as_deref()).filter(|out| out.use_cache && out.is_in_repo()) {
                self.check_remote(out, default)?;
                if !out.can_push || one.stage.is_repo_import() {
                    continue;
                }
                collected.remotes.insert(out.remote.clone());
                if !asks_for(out.remote.as_deref(), default) {
                    continue;
                }
                match self.remote(out.remote.as_deref().or(default), "<command>") {
                    Ok(remote) if remote.is_cloud_versioned() => {
                        collected.versioned.push(self.outgoing(one, out, remote.with_jobs(jobs)));
                        continue;
                    }
                    Ok(_) => {}
                    Err(error) => ignore_without_remote(error)?,
                }
                collected.needs.extend(Need::of(self, &one.stage, out, one.filter.as_deref()));
            }
        }
        if collected.remotes.is_empty() {
            // As DVC 3.67: whoever has nothing to push needs a default remote all the same.
            collected.remotes.insert(None);
        }
        Ok(collected)
    }
}
