//! `remove`: stops tracking what stages name, and with `--outs` deletes it.

use std::path::{Path, PathBuf};

use trackway_dvcfile::{DvcYaml, StageEdit};
use trackway_store::Progress;

use crate::dvc_file;
use crate::error::{Error, Result};
use crate::files::Files;
use crate::output::{Output, Place};
use crate::paths::{self, DVC_FILE_SUFFIX};
use crate::repo::Repo;
use crate::scm::ScmChanges;
use crate::stage::{Stage, StageKind};
use crate::write;

impl Repo {
    /// Takes the stages of one target out of the repository. Their data stays, no longer linked to the cache, unless `outs`.
    ///
    /// As DVC 3.67 nothing is staged, and nothing is said of what is to be committed.
    pub fn remove(&self, target: &str, outs: bool, progress: &dyn Progress) -> Result<()> {
        let _working = self.working_lock()?;
        let stages = {
            let _lock = self.lock()?;
            let stages = self.index()?.stages_of(target).map_err(|error| self.suggest_dvc_file(target, error))?;
            // Stock meets a stage that cannot be removed when the data of those before it is gone already.
            for stage in &stages {
                refuse_parametrized(self, stage, "remove")?;
            }
            let writes: Vec<PathBuf> =
                stages.iter().flat_map(|stage| stage.outs.iter().map(|out| out.path.clone())).collect();
            self.make_way(&[], &writes)?;
            stages
        };
        for stage in &stages {
            let mut scm = ScmChanges::new(self);
            for out in &stage.outs {
                if outs {
                    self.delete_output(out)?;
                } else if out.use_cache && out.place != Place::Url && self.is_there(out)? {
                    trackway_store::unprotect(
                        &out.path,
                        self.config().cache_shared_group(),
                        &self.own_dir(),
                        progress,
                    )?;
                }
                if out.use_cache && out.is_in_repo() || out.is_in_repo() && stage.is_repo_import() {
                    scm.unignore(&out.path);
                }
            }
            let _lock = self.lock()?;
            take_out(self, stage)?;
            scm.finish_without_staging()?;
        }
        self.state().flush();
        Ok(())
    }

    /// Whoever names the data instead of its `.dvc` file is told so.
    fn suggest_dvc_file(&self, target: &str, error: Error) -> Error {
        let file = format!("{target}{DVC_FILE_SUFFIX}");
        let path = self.absolute(Path::new(&file));
        match error {
            error @ (Error::NoStage { .. } | Error::NoDvcFile { .. }) if path.symlink_metadata().is_ok() => {
                let hint = if path.is_file() { format!(". Do you mean '{file}'?") } else { String::new() };
                Error::caused(format!("'{target}' is not a .dvc file{hint}"), error)
            }
            other => other,
        }
    }

    /// Something lies at an output's path, be it a link that leads nowhere.
    fn is_there(&self, out: &Output) -> Result<bool> {
        let Ok(meta) = out.path.symlink_metadata() else { return Ok(false) };
        Ok(!out.is_in_repo() || !self.dvcignore()?.is_ignored(&out.path, meta.is_dir()))
    }

    fn delete_output(&self, out: &Output) -> Result<()> {
        if out.place == Place::Url {
            self.warn(format!("'{}' lies outside of this machine and was not deleted.", out.def_path));
            return Ok(());
        }
        // Never the repository itself, nor what it lies in, whatever a file says.
        if paths::is_in_or_eq(self.root(), &out.path) {
            return Err(Error::dvc(format!("'{}' contains the repository and is not deleted.", out.path.display())));
        }
        delete(&out.path)?;
        self.state().forget(&out.path);
        Ok(())
    }
}

/// A stage that is written with templates can neither be rewritten nor be taken out of its `dvc.yaml`.
pub(crate) fn refuse_parametrized(repo: &Repo, stage: &Stage, action: &str) -> Result<()> {
    match &stage.kind {
        StageKind::Pipeline { stage: step, .. } if step.parametrized => {
            Err(Error::dvc(format!("cannot {action} a parametrized {}", stage.display(repo))))
        }
        _ => Ok(()),
    }
}

/// Deletes a file, a link or a folder that may be gone already.
pub(crate) fn delete(path: &Path) -> Result<()> {
    let done = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match done {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, error)),
        _ => Ok(()),
    }
}

/// Deletes the `.dvc` file, or takes the stage out of `dvc.lock` and `dvc.yaml`; a file that has no stage left goes.
fn take_out(repo: &Repo, stage: &Stage) -> Result<()> {
    let StageKind::Pipeline { stage: step, .. } = &stage.kind else {
        return dvc_file::remove(&stage.path);
    };
    let lock_path = dvc_file::lock_path(&stage.path);
    let mut lock = dvc_file::read_lock(repo, &lock_path)?;
    if lock.remove(&step.name) {
        put(&lock_path, lock.dump()?)?;
    }
    let Some(bytes) = Files::WorkTree.read(&stage.path)? else { return Ok(()) };
    let name = repo.show_in_messages(&stage.path);
    let text = String::from_utf8(bytes).map_err(|_| Error::Invalid(format!("'{name}' is invalid.")))?;
    put(&stage.path, DvcYaml::edit(&text, &name, &StageEdit::Remove(step))?)
}

fn put(path: &Path, text: Option<String>) -> Result<()> {
    match text {
        Some(text) => write::replace(path, text.as_bytes()),
        None => dvc_file::remove(path),
    }
}
