//! The run cache: what a step of a pipeline did with which input, so that it need not be done again.

use std::path::PathBuf;

use trackway_store::{SaveOptions, scan_into};

use crate::dvc_file;
use crate::error::{Error, Result};
use crate::output::{Dependency, Place};
use crate::repo::Repo;
use crate::stage::{Stage, StageKind};
use crate::worktree::WorkTree;
use crate::write;

impl Repo {
    /// The folder of the run cache.
    pub fn run_cache_dir(&self) -> PathBuf {
        self.cache_dir().join("runs")
    }

    /// Remembers what a step read and wrote, if that can be told from files in this repository alone, as DVC 3.67 does.
    pub(crate) fn save_run(&self, stage: &Stage, tree: &WorkTree<'_>) -> Result<()> {
        if !can_be_remembered(stage) {
            return Ok(());
        }
        // What git has and the cache does not is put there too, or the run could not be restored.
        for out in stage.outs.iter().filter(|out| !out.use_cache) {
            let saving = SaveOptions { relink: false, state: self.state(), progress: tree.progress };
            scan_into(&out.path, &tree.scan_options(out.hash_name)?, self.cache(out.hash_name)?, &saving)?;
        }
        let entry = dvc_file::lock_entry(stage);
        let key = entry.run_key();
        let folder = self.run_cache_dir().join(&key[..2]).join(&key);
        let path = folder.join(entry.run_value());
        if path.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&folder).map_err(|error| Error::io(&folder, error))?;
        write::replace(&path, trackway_yaml::emit(&entry.to_value()).as_bytes())
    }
}

fn can_be_remembered(stage: &Stage) -> bool {
    matches!(stage.kind, StageKind::Pipeline { .. })
        && !stage.is_callback()
        && !stage.always_changed
        && !stage.deps.is_empty()
        && !stage.outs.is_empty()
        && stage.deps.iter().all(|dep| match dep {
            Dependency::Data(out) => out.has_record(),
            Dependency::Params(params) => params.locked.is_some(),
            _ => false,
        })
        && stage.outs.iter().all(|out| out.place == Place::Repo && !out.persist && out.has_record())
}
