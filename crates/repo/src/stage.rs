//! A stage: what a `.dvc` file tracks, or a step of a `dvc.yaml` with what its last run recorded.

use std::path::{Path, PathBuf};

use trackway_dvcfile::{Dep, DvcFile, LockEntry, PipelineStage};

use crate::output::{Dependency, Output, ParamsDependency, Place};
use crate::paths::{self, PROJECT_FILE};
use crate::repo::Repo;

#[derive(Clone, Debug)]
pub struct Stage {
    /// The `.dvc` or `dvc.yaml`, absolute.
    pub path: PathBuf,
    /// The folder that its paths are relative to, absolute.
    pub wdir: PathBuf,
    pub kind: StageKind,
    pub frozen: bool,
    pub always_changed: bool,
    pub deps: Vec<Dependency>,
    pub outs: Vec<Output>,
}

#[derive(Clone, Debug)]
pub enum StageKind {
    /// A `.dvc` file, with its text as it was read.
    Single { file: Box<DvcFile>, text: Option<String> },
    /// A step of a `dvc.yaml`, with its entry in `dvc.lock`.
    Pipeline { stage: Box<PipelineStage>, lock: Option<Box<LockEntry>> },
}

impl Stage {
    /// A `.dvc` file that was read. `path` is absolute.
    pub fn of_dvc_file(repo: &Repo, path: &Path, file: DvcFile, text: Option<String>) -> Stage {
        let folder = path.parent().unwrap_or(path);
        let wdir = paths::absolute(Path::new(file.wdir.as_deref().unwrap_or(".")), folder);
        let deps = file.deps.iter().map(|dep| import_source(repo, &wdir, dep)).collect();
        let outs = file.outs.iter().map(|out| Output::of_dvc_file(repo, &wdir, out)).collect();
        Stage {
            path: path.to_owned(),
            wdir,
            frozen: file.frozen,
            always_changed: file.always_changed,
            deps,
            outs,
            kind: StageKind::Single { file: Box::new(file), text },
        }
    }

    /// A step of the `dvc.yaml` at `path`.
    pub fn of_pipeline(repo: &Repo, path: &Path, stage: PipelineStage, lock: Option<&LockEntry>) -> Stage {
        let folder = path.parent().unwrap_or(path);
        let wdir = paths::absolute(Path::new(stage.wdir.as_deref().unwrap_or(".")), folder);
        let mut deps: Vec<Dependency> = stage
            .deps
            .iter()
            .map(|dep| {
                let item = stage.locked_dep(lock, dep);
                if dep.starts_with("ds://") {
                    return Dependency::Dataset(dep.clone());
                }
                file_or_url(Output::of_dependency(repo, &wdir, dep, &item.info, item.files, None), None)
            })
            .collect();
        deps.extend(stage.params.iter().map(|params| {
            Dependency::Params(ParamsDependency {
                path: paths::absolute(Path::new(&params.path), &wdir),
                locked: stage.locked_params(lock, params),
                params: params.clone(),
            })
        }));
        let outs = stage
            .outs
            .iter()
            .map(|out| {
                let item = stage.locked_out(lock, &out.path);
                Output::of_stage(repo, &wdir, out, &item.info, item.files)
            })
            .collect();
        Stage {
            path: path.to_owned(),
            wdir,
            frozen: stage.frozen,
            always_changed: stage.always_changed,
            deps,
            outs,
            kind: StageKind::Pipeline { stage: Box::new(stage), lock: lock.cloned().map(Box::new) },
        }
    }

    pub fn name(&self) -> Option<&str> {
        match &self.kind {
            StageKind::Single { .. } => None,
            StageKind::Pipeline { stage, .. } => Some(&stage.name),
        }
    }

    /// How a person names it: `data.dvc`, `train`, `sub/dvc.yaml:train`.
    pub fn address(&self, repo: &Repo) -> String {
        let file = repo.show_from_cwd(&self.path);
        match self.name() {
            None => file,
            Some(name) if file == PROJECT_FILE => name.to_owned(),
            Some(name) => format!("{file}:{name}"),
        }
    }

    /// As it appears in messages: `stage: 'train'`.
    pub fn display(&self, repo: &Repo) -> String {
        format!("stage: '{}'", self.address(repo))
    }

    /// Made by `add` or `import`, not by a command.
    pub fn is_data_source(&self) -> bool {
        matches!(self.kind, StageKind::Single { .. })
    }

    pub fn is_import(&self) -> bool {
        self.is_data_source() && self.deps.len() == 1 && self.outs.len() == 1
    }

    /// An import whose data was not downloaded yet.
    pub fn is_partial_import(&self) -> bool {
        self.is_import() && !self.outs[0].has_record()
    }

    pub fn is_repo_import(&self) -> bool {
        self.is_import() && matches!(self.deps[0], Dependency::Repo { .. })
    }

    /// An import from a URL of which the versions are recorded.
    pub(crate) fn imports_versions(&self) -> bool {
        self.is_import() && matches!(&self.deps[0], Dependency::Url { output, .. } if output.is_versioned())
    }

    pub fn is_db_import(&self) -> bool {
        self.is_import() && matches!(self.deps[0], Dependency::Db(_))
    }

    /// A command without dependencies and outputs always runs.
    pub fn is_callback(&self) -> bool {
        !self.is_data_source() && self.deps.is_empty() && self.outs.is_empty()
    }

    /// Whether an import says of itself what is not so (its `md5` is that of the rest of the file).
    pub fn checksum_changed(&self) -> bool {
        let StageKind::Single { file, .. } = &self.kind else { return false };
        let recorded = file.md5.as_deref().filter(|md5| !md5.is_empty());
        match self.is_import().then(|| self.to_dvc_file()).flatten() {
            Some(file) => recorded != Some(file.stage_md5().as_str()),
            None => recorded.is_some(),
        }
    }

    /// Records of an import's file that it is what it is, after all else about it is known.
    pub(crate) fn record_md5(&mut self) {
        if let (true, Some(written)) = (self.is_import(), self.to_dvc_file())
            && let StageKind::Single { file, .. } = &mut self.kind
        {
            file.md5 = Some(written.stage_md5());
        }
    }

    /// What an import depends on, as its file has it.
    pub(crate) fn dependency(&self) -> Option<&Dep> {
        match &self.kind {
            StageKind::Single { file, .. } => file.deps.first(),
            StageKind::Pipeline { .. } => None,
        }
    }

    /// Makes it an import of that.
    pub(crate) fn set_dependency(&mut self, repo: &Repo, dep: Dep) {
        if let StageKind::Single { file, .. } = &mut self.kind {
            self.deps = vec![import_source(repo, &self.wdir, &dep)];
            file.deps = vec![dep];
        }
    }

    /// Whether the command is another than the one that ran last.
    pub fn cmd_changed(&self) -> bool {
        match &self.kind {
            StageKind::Single { .. } => false,
            StageKind::Pipeline { stage, lock } => stage.cmd_changed(lock.as_deref()),
        }
    }

    /// The dependencies that may be outputs of other stages.
    pub fn dependency_paths(&self) -> impl Iterator<Item = &Path> {
        self.deps.iter().filter_map(Dependency::path)
    }

    /// The outputs that a target names, or all.
    pub fn outs_at<'a>(&'a self, filter: Option<&'a Path>) -> impl Iterator<Item = &'a Output> {
        self.outs.iter().filter(move |out| filter.is_none_or(|path| paths::is_in_or_eq(path, &out.path)))
    }

    /// The two stages are one and the same place in the repository.
    pub fn is_same(&self, other: &Stage) -> bool {
        self.path == other.path && self.name() == other.name()
    }

    /// What a `.dvc` file is to hold, from this stage's outputs.
    pub fn to_dvc_file(&self) -> Option<DvcFile> {
        let StageKind::Single { file, .. } = &self.kind else {
            return None;
        };
        let mut file = (**file).clone();
        file.frozen = self.frozen;
        let folder = self.path.parent().unwrap_or(&self.path);
        let wdir = paths::relative(&self.wdir, folder);
        file.wdir = (wdir != Path::new(".")).then(|| paths::show(&wdir));
        file.outs = self.outs.iter().map(|out| out.to_dvc_file(&self.wdir)).collect();
        for (written, dep) in file.deps.iter_mut().zip(&self.deps) {
            if let Dependency::Data(out) = dep {
                written.path = match Path::new(&out.def_path).is_absolute() {
                    true => out.def_path.clone(),
                    false => paths::show(&paths::relative(&out.path, &self.wdir)),
                };
                written.info = out.info.clone();
                written.files = out.files.clone();
            }
        }
        Some(file)
    }
}

/// The dependency of an import.
fn import_source(repo: &Repo, wdir: &Path, dep: &Dep) -> Dependency {
    if dep.db.is_some() {
        return Dependency::Db(Box::new(dep.clone()));
    }
    if dep.path.starts_with("ds://") {
        return Dependency::Dataset(dep.path.clone());
    }
    if dep.repo.is_some() {
        return Dependency::Repo { def_path: dep.path.clone(), dep: Box::new(dep.clone()) };
    }
    let output = Output::of_dependency(repo, wdir, &dep.path, &dep.info, dep.files.clone(), dep.fs_config.clone());
    file_or_url(output, Some(dep))
}

fn file_or_url(output: Output, dep: Option<&Dep>) -> Dependency {
    match output.place {
        Place::Url => Dependency::Url { output: Box::new(output), dep: dep.cloned().map(Box::new) },
        _ => Dependency::Data(Box::new(output)),
    }
}
