//! `status --cloud`: what the cache has and a remote lacks, and the reverse.

use indexmap::IndexMap;
use trackway_store::{Hash, HashName, Oid, Progress};

use crate::error::{Error, Result};
use crate::fetch::ignore_without_remote;
use crate::index::Selected;
use crate::output::Output;
use crate::remotes::{TransferOptions, shown};
use crate::repo::Repo;
use crate::stage::Stage;
use crate::used::{Need, Trees};

/// Names of outputs and of the files in them, each with `deleted` (only the remote has it), `new` (only the cache) or
/// `missing` (neither).
#[derive(Debug, Default)]
pub struct CloudStatus {
    pub changes: IndexMap<String, &'static str>,
    /// Nothing is tracked at all.
    pub nothing_tracked: bool,
    /// The remote that was asked.
    pub remote: Option<String>,
}

impl Repo {
    /// Compares the cache with the remote. As DVC 3.67, outputs that ask for a remote of their own are left out, and lists of
    /// folders that the cache lacks are fetched.
    pub fn cloud_status(
        &self,
        targets: &[String],
        options: &TransferOptions,
        progress: &dyn Progress,
    ) -> Result<CloudStatus> {
        let default = options.remote.as_deref();
        let mut status = CloudStatus {
            remote: options.remote.clone().or_else(|| self.config().core_remote().map(str::to_owned)),
            ..CloudStatus::default()
        };
        let mut needs = Vec::new();
        {
            let _lock = self.lock()?;
            let revisions = self.revisions(&self.revision_options(options)?)?;
            for revision in &revisions {
                let index = &revision.index;
                let selected = index.select_all(targets, options.follow);
                let collected =
                    selected.and_then(|selected| self.compared(&selected)).map_err(|error| match error {
                        Error::Config(crate::config::ConfigError::Unexpected(_)) => error,
                        error => Error::caused(format!("Failed to collect '{}'", revision.names.join(",")), error),
                    })?;
                needs.extend(collected);
            }
            if needs.is_empty() {
                status.nothing_tracked =
                    revisions.first().map(|first| first.index.stages()).transpose()?.is_some_and(<[_]>::is_empty);
            }
        }
        let mut trees = Trees::default();
        let mut names: IndexMap<Hash, String> = IndexMap::new();
        for need in &needs {
            if need.hash.oid.is_dir() {
                self.fetch_list(need, default, &mut trees)?;
                let Some(tree) = need.tree(self, &mut trees)? else { continue };
                names.entry(need.hash).or_insert_with(|| need.name.clone());
                for entry in tree.iter() {
                    let name = || format!("{}/{}", need.name, entry.os_path().display());
                    names.entry(need.file(entry.oid)).or_insert_with(name);
                }
            } else {
                names.entry(need.hash).or_insert_with(|| need.name.clone());
            }
        }
        let (mut deleted, mut new, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for kind in [HashName::Md5Dos2Unix, HashName::Md5] {
            let (oids, names): (Vec<Oid>, Vec<&String>) =
                names.iter().filter(|(hash, _)| hash.name == kind).map(|(hash, name)| (hash.oid, name)).unzip();
            if oids.is_empty() {
                continue;
            }
            let there =
                self.object_remote(default, "status")?.with_jobs(options.jobs).depot(kind)?.find(&oids, progress)?;
            let cache = self.cache(kind)?;
            for ((oid, name), there) in oids.iter().zip(names).zip(there) {
                match (cache.has(oid)?, there) {
                    (true, true) => {}
                    (false, true) => deleted.push(name),
                    (true, false) => new.push(name),
                    (false, false) => missing.push(name),
                }
            }
        }
        for (word, names) in [("deleted", deleted), ("new", new), ("missing", missing)] {
            status.changes.extend(names.into_iter().map(|name| (name.clone(), word)));
        }
        Ok(status)
    }

    fn compared(&self, selected: &[Selected]) -> Result<Vec<Need>> {
        let mut needs = Vec::new();
        for one in selected {
            if one.stage.is_repo_import() || one.stage.is_partial_import() {
                continue;
            }
            for out in one.stage.outs_at(one.filter.as_deref()).filter(|out| out.use_cache && out.can_push) {
                let Some(need) = Need::of(self, &one.stage, out, one.filter.as_deref()) else {
                    self.warn(self.without_record(&one.stage, out));
                    continue;
                };
                match &out.remote {
                    Some(name) => drop(self.object_remote(Some(name), "<command>")?),
                    None => needs.push(need),
                }
            }
        }
        Ok(needs)
    }

    fn without_record(&self, stage: &Stage, out: &Output) -> String {
        let (out_name, stage_name) = (out.display(self), stage.display(self));
        let mut message = format!(
            "Output '{out_name}'({stage_name}) is missing version info. Cache for it will not be collected. Use `dvc repro` to get \
             your pipeline up to date."
        );
        if out.path.exists() {
            message.push_str(&format!(
                "\nYou can also use `dvc commit {}` to associate existing '{out_name}' with {stage_name}.",
                stage.address(self)
            ));
        }
        message
    }

    /// Brings the list of a folder into the cache, if a remote has it.
    fn fetch_list(&self, need: &Need, default: Option<&str>, trees: &mut Trees) -> Result<()> {
        if !need.has_tree_object() || trees.in_cache(self, need.hash)?.is_some() {
            return Ok(());
        }
        let remote = match self.object_remote(default, "pull") {
            Ok(remote) => remote,
            Err(error) => return ignore_without_remote(error),
        };
        match remote.depot(need.hash.name)?.read_tree(&need.hash.oid)? {
            Some((tree, bytes)) => {
                use std::io::Write;
                let cache = self.cache(need.hash.name)?;
                let mut incoming = cache.receive(&need.hash.oid)?;
                incoming.write_all(&bytes).map_err(|error| Error::io(&cache.path(&need.hash.oid), error))?;
                incoming.finish()?;
                trees.learn(need.hash, std::sync::Arc::new(tree));
            }
            None => self.warn(format!(
                "Some of the cache files do not exist neither locally nor on remote. Missing cache files:\nname: None, {}",
                shown(need.hash)
            )),
        }
        Ok(())
    }
}
