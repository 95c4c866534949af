//! Writing stages back to their `.dvc` files, `dvc.yaml` and `dvc.lock`.

use std::path::Path;

use trackway_dvcfile::{LockEntry, LockFile, LockItem};

use crate::error::{Error, Result};
use crate::files::Files;
use crate::output::{Dependency, Output};
use crate::paths::LOCK_FILE;
use crate::repo::Repo;
use crate::stage::{Stage, StageKind};
use crate::write;

/// Writes what the stage records: its `.dvc` file, or its entry in `dvc.lock`. Fails if the file is not what was read.
pub fn write(repo: &Repo, stage: &Stage) -> Result<()> {
    match &stage.kind {
        StageKind::Single { text, .. } => {
            let now = Files::WorkTree.read(&stage.path)?;
            if now.as_deref() != text.as_deref().map(str::as_bytes) {
                return Err(Error::dvc(format!(
                    "'{}' was changed by another command meanwhile; nothing was written to it. Run the command again.",
                    repo.show_from_cwd(&stage.path)
                )));
            }
            let file = stage.to_dvc_file().expect("a .dvc file's stage has one");
            write::replace(&stage.path, file.dump(text.as_deref())?.as_bytes())
        }
        StageKind::Pipeline { stage: step, .. } => {
            let path = lock_path(&stage.path);
            let mut lock = read_lock(repo, &path)?;
            if lock.set(&step.name, lock_entry(stage)) {
                match lock.dump()? {
                    Some(text) => write::replace(&path, text.as_bytes())?,
                    None => remove(&path)?,
                }
            }
            Ok(())
        }
    }
}

/// The `dvc.lock` of a `dvc.yaml`.
pub fn lock_path(pipeline: &Path) -> std::path::PathBuf {
    pipeline.with_file_name(LOCK_FILE)
}

pub fn read_lock(repo: &Repo, path: &Path) -> Result<LockFile> {
    match Files::WorkTree.read(path)? {
        Some(bytes) => Ok(LockFile::parse(&String::from_utf8_lossy(&bytes), &repo.show_in_messages(path))?),
        None => Ok(LockFile::default()),
    }
}

/// Removes a file that may be gone already.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, error)),
        _ => Ok(()),
    }
}

/// What `dvc.lock` is to say of a step.
pub(crate) fn lock_entry(stage: &Stage) -> LockEntry {
    let StageKind::Pipeline { stage: step, .. } = &stage.kind else {
        return LockEntry { cmd: trackway_yaml::Value::Null, deps: Vec::new(), params: Vec::new(), outs: Vec::new() };
    };
    let item = |out: &Output| LockItem {
        path: out.def_path.clone(),
        info: out.info.clone(),
        files: out.files.clone(),
        dataset: None,
    };
    let mut deps = Vec::new();
    let mut params = Vec::new();
    for dep in &stage.deps {
        match dep {
            Dependency::Data(out) | Dependency::Url { output: out, .. } => deps.push(item(out)),
            Dependency::Params(dep) => params.extend(dep.locked.clone().map(|values| (dep.params.path.clone(), values))),
            Dependency::Repo { .. } | Dependency::Db(_) | Dependency::Dataset(_) => {}
        }
    }
    LockEntry { cmd: step.cmd.clone(), deps, params, outs: stage.outs.iter().map(item).collect() }
}
