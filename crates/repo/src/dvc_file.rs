//! Writing stages back to their `.dvc` files, `dvc.yaml` and `dvc.lock`.

use std::path::Path;

use trackway_dvcfile::{DvcYaml, LockEntry, LockFile, LockItem, StageEdit};

use crate::error::{Error, Result};
use crate::files::Files;
use crate::output::{Dependency, Output};
use crate::paths::LOCK_FILE;
use crate::repo::Repo;
use crate::stage::{Stage, StageKind};
use crate::write::{self, Batch};

/// Writes what the stage records: its `.dvc` file, or its entry in `dvc.lock`. Fails if the file is not what was read.
pub fn write(repo: &Repo, stage: &Stage) -> Result<()> {
    write_all(repo, [stage])
}

fn write_dvc_file(repo: &Repo, stage: &Stage, batch: &mut Batch) -> Result<()> {
    let StageKind::Single { text, .. } = &stage.kind else { return Ok(()) };
    let now = Files::WorkTree.read(&stage.path)?;
    if now.as_deref() != text.as_deref().map(str::as_bytes) {
        return Err(Error::dvc(format!(
            "'{}' was changed by another command meanwhile; nothing was written to it. Run the command again.",
            repo.show_from_cwd(&stage.path)
        )));
    }
    let file = stage.to_dvc_file().expect("a .dvc file's stage has one");
    batch.replace(&stage.path, file.dump(text.as_deref())?.as_bytes())
}

/// The same for several stages. All `.dvc` files are replaced together; steps of one `dvc.yaml` that follow each other are
/// written to its lock at once.
pub fn write_all<'s>(repo: &Repo, stages: impl IntoIterator<Item = &'s Stage>) -> Result<()> {
    let stages: Vec<&Stage> = stages.into_iter().collect();
    let mut batch = Batch::default();
    for group in stages.chunk_by(|one, next| one.path == next.path) {
        match &group[0].kind {
            StageKind::Single { .. } => {
                // Whatever names the same file twice means its last state.
                write_dvc_file(repo, group[group.len() - 1], &mut batch)?;
            }
            StageKind::Pipeline { .. } => write_lock(repo, group)?,
        }
    }
    batch.finish()
}

/// Writes the entries of steps of one `dvc.yaml`, and says so as DVC does.
fn write_lock(repo: &Repo, stages: &[&Stage]) -> Result<()> {
    let Some(first) = stages.first() else { return Ok(()) };
    let path = lock_path(&first.path);
    let shown = repo.show_from_cwd(&path);
    let mut lock = read_lock(repo, &path)?;
    if Files::WorkTree.kind(&path)?.is_none() {
        repo.note(format!("Generating lock file '{shown}'"));
    }
    let mut changed = false;
    for stage in stages {
        changed |= lock.set(stage.name().unwrap_or_default(), lock_entry(stage));
    }
    if !changed {
        return Ok(());
    }
    repo.note(format!("Updating lock file '{shown}'"));
    match lock.dump()? {
        Some(text) => write::replace(&path, text.as_bytes()),
        None => remove(&path),
    }
}

/// Rewrites a stage's own entry in its `dvc.yaml`.
pub fn write_pipeline_stage(repo: &Repo, stage: &Stage) -> Result<()> {
    let StageKind::Pipeline { stage: step, .. } = &stage.kind else {
        return Err(Error::dvc("only a step of a pipeline has an entry in a 'dvc.yaml'"));
    };
    let text = Files::WorkTree.read(&stage.path)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let new =
        DvcYaml::edit(&text, &repo.show_in_messages(&stage.path), &StageEdit::Set(step)).map_err(
            |error| match error {
                trackway_dvcfile::Error::Parametrized { action, .. } => {
                    Error::dvc(format!("cannot {action} a parametrized {}", stage.display(repo)))
                }
                other => other.into(),
            },
        )?;
    repo.note(format!("Modifying stage '{}' in '{}'", step.name, repo.show_from_cwd(&stage.path)));
    match new {
        Some(text) => write::replace(&stage.path, text.as_bytes()),
        None => remove(&stage.path),
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
            Dependency::Params(dep) => {
                params.extend(dep.locked.clone().map(|values| (dep.params.path.clone(), values)))
            }
            Dependency::Repo { .. } | Dependency::Db(_) | Dependency::Dataset(_) => {}
        }
    }
    LockEntry { cmd: step.cmd.clone(), deps, params, outs: stage.outs.iter().map(item).collect() }
}
