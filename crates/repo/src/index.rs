//! All that is tracked at one revision, or in the work tree: the stages of every `.dvc` and `dvc.yaml`.

use std::cell::{OnceCell, RefCell};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trackway_dvcfile::{DvcFile, DvcYaml, LockFile, PipelineStage, Place, ReadError};

use crate::config::ConfigValue;
use crate::error::{Error, Result};
use crate::files::{EntryKind, Files};
use crate::graph::{Graph, OutputTrie};
use crate::ignore::DvcIgnore;
use crate::output::Output;
use crate::paths::{self, LOCK_FILE, PROJECT_FILE};
use crate::repo::Repo;
use crate::stage::Stage;
use crate::target::Target;

/// Stages are read when they are first asked for; a target that names a file needs no more than that file.
pub struct Index<'r> {
    repo: &'r Repo,
    files: Files,
    ignore: Arc<DvcIgnore>,
    /// Which is it: a commit's name, or `None` for the work tree.
    rev: Option<String>,
    stages: OnceCell<Vec<Arc<Stage>>>,
    outs: OnceCell<OutputTrie>,
    graph: OnceCell<Graph>,
    top_level: RefCell<TopLevel>,
}

/// What the `dvc.yaml` files that were read so far list beside their stages, absolute.
#[derive(Clone, Debug, Default)]
pub struct TopLevel {
    pub metrics: Vec<PathBuf>,
    pub plots: Vec<PathBuf>,
}

/// A stage, and the path in its outputs that a target narrowed it to.
#[derive(Clone, Debug)]
pub struct Selected {
    pub stage: Arc<Stage>,
    pub filter: Option<PathBuf>,
}

impl Selected {
    fn whole(stage: &Arc<Stage>) -> Selected {
        Selected { stage: stage.clone(), filter: None }
    }
}

/// How targets are followed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Follow {
    pub with_deps: bool,
    pub recursive: bool,
}

impl<'r> Index<'r> {
    pub fn of_work_tree(repo: &'r Repo) -> Result<Index<'r>> {
        Ok(Index::new(repo, Files::WorkTree, repo.dvcignore()?, None))
    }

    /// What a commit tracks. `rev` is how messages name it.
    pub fn of_commit(repo: &'r Repo, files: Files, rev: &str) -> Result<Index<'r>> {
        let ignore = Arc::new(DvcIgnore::of(repo.root(), files.clone())?);
        Ok(Index::new(repo, files, ignore, Some(rev.to_owned())))
    }

    fn new(repo: &'r Repo, files: Files, ignore: Arc<DvcIgnore>, rev: Option<String>) -> Index<'r> {
        Index {
            repo,
            files,
            ignore,
            rev,
            stages: OnceCell::new(),
            outs: OnceCell::new(),
            graph: OnceCell::new(),
            top_level: RefCell::default(),
        }
    }

    pub fn repo(&self) -> &'r Repo {
        self.repo
    }

    pub fn files(&self) -> &Files {
        &self.files
    }

    pub fn rev(&self) -> Option<&str> {
        self.rev.as_deref()
    }

    /// Every stage, in the order in which the folders are met.
    pub fn stages(&self) -> Result<&[Arc<Stage>]> {
        if self.stages.get().is_none() {
            let found = self.collect()?;
            let _ = self.stages.set(found);
        }
        Ok(self.stages.get().map(Vec::as_slice).unwrap_or_default())
    }

    /// The metrics and plots of the whole repository that are no stage's.
    pub fn top_level(&self) -> Result<TopLevel> {
        self.stages()?;
        Ok(self.top_level.borrow().clone())
    }

    pub fn outs(&self) -> Result<&OutputTrie> {
        if self.outs.get().is_none() {
            let built = OutputTrie::build(self.repo, self.stages()?)?;
            let _ = self.outs.set(built);
        }
        Ok(self.outs.get().expect("it was just set"))
    }

    /// The stages with their edges; this is where overlaps and cycles are found.
    pub fn graph(&self) -> Result<&Graph> {
        if self.graph.get().is_none() {
            let built = Graph::build(self.repo, self.stages()?, self.outs()?)?;
            let _ = self.graph.set(built);
        }
        Ok(self.graph.get().expect("it was just set"))
    }

    /// Whether all would be well if these stages were there, replacing those of the same place.
    pub fn check_with(&self, changed: &[Arc<Stage>]) -> Result<()> {
        let mut stages: Vec<Arc<Stage>> =
            self.stages()?.iter().filter(|old| !changed.iter().any(|new| new.is_same(old))).cloned().collect();
        stages.extend(changed.iter().cloned());
        let outs = OutputTrie::build(self.repo, &stages)?;
        Graph::build(self.repo, &stages, &outs).map(drop)
    }

    /// Reads every `.dvc` and `dvc.yaml` that neither `.dvcignore` nor git ignores. What an output holds is not entered.
    fn collect(&self) -> Result<Vec<Arc<Stage>>> {
        let mut stages = Vec::new();
        let mut outs: HashSet<PathBuf> = HashSet::new();
        let mut waiting = vec![self.repo.root().to_owned()];
        while let Some(dir) = waiting.pop() {
            let mut below = Vec::new();
            for (name, kind) in self.files.list(&dir)? {
                let is_dir = kind == EntryKind::Dir;
                if name == crate::ignore::FILE_NAME {
                    // Looked at for its failure, though nothing here may need it.
                    self.ignore.dir(&dir);
                }
                if !is_dir && !is_candidate(&name) || self.ignore.skip(&dir, &name, is_dir) {
                    continue;
                }
                let path = dir.join(&name);
                if is_dir {
                    below.push(path);
                } else if !self.is_git_ignored(&path, false)? && self.files.kind(&path)? == Some(EntryKind::File) {
                    let loaded = self.load(&path)?;
                    outs.extend(loaded.iter().flat_map(|stage| stage.outs.iter().map(|out| out.path.clone())));
                    stages.extend(loaded);
                }
            }
            below.retain(|dir| !outs.contains(dir));
            let mut entered = Vec::new();
            for dir in below {
                if !self.is_git_ignored(&dir, true)? {
                    entered.push(dir);
                }
            }
            // Depth first, in the order of the listing.
            waiting.extend(entered.into_iter().rev());
        }
        // A nested ignore file that cannot be read stops stock too.
        if let Some(failure) = self.ignore.failure() {
            return Err(failure.into());
        }
        Ok(stages)
    }

    fn is_git_ignored(&self, path: &Path, is_dir: bool) -> Result<bool> {
        match (&self.files, self.repo.git()?) {
            (Files::WorkTree, Some(git)) => Ok(git.is_ignored(path, is_dir)?),
            _ => Ok(false),
        }
    }

    /// The stages of one `.dvc` or `dvc.yaml`, which must be there.
    pub fn load_file(&self, path: &Path) -> Result<Vec<Arc<Stage>>> {
        self.check_file(path)?;
        self.load(path)
    }

    /// In the order in which DVC complains: missing, ignored, badly named, no file, ignored by git.
    fn check_file(&self, path: &Path) -> Result<()> {
        let ignored = self.ignore.is_ignored(path, false);
        let file = paths::show(path);
        if ignored || self.files.kind(path)?.is_none() {
            let why = if ignored { "is dvc-ignored" } else { "does not exist" };
            return Err(Error::NoDvcFile { file, why });
        }
        let shown = self.repo.show_from_cwd(path);
        if !paths::is_dvc_file_name(path) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            return Err(Error::BadDvcFileName(format!(
                "bad DVC file name '{shown}'. DVC files should be named '{PROJECT_FILE}' or have a '.dvc' suffix (e.g. '{name}.dvc')."
            )));
        }
        if self.files.kind(path)? != Some(EntryKind::File) {
            return Err(Error::dvc(format!("'{file}' is not a .dvc file")));
        }
        if self.is_git_ignored(path, false)? {
            return Err(Error::dvc(format!("bad DVC file name '{shown}' is git-ignored.")));
        }
        Ok(())
    }

    /// The same without asking whether it may be named as a target: what is known to be there.
    pub(crate) fn load(&self, path: &Path) -> Result<Vec<Arc<Stage>>> {
        if path.file_name() == Some(OsStr::new(PROJECT_FILE)) {
            return self.load_pipeline(path, |yaml| yaml.names());
        }
        let text = self.text(path)?.unwrap_or_default();
        let file = DvcFile::parse(&text, &self.repo.show_in_messages(path)).map_err(|error| self.of_revision(error))?;
        let stage = Stage::of_dvc_file(self.repo, path, file, Some(text));
        self.check_outs(&stage)?;
        Ok(vec![Arc::new(stage)])
    }

    /// The stages of a `dvc.yaml` whose names `choose` gives.
    fn load_pipeline(
        &self,
        path: &Path,
        choose: impl FnOnce(&DvcYaml) -> Result<Vec<String>, trackway_dvcfile::Error>,
    ) -> Result<Vec<Arc<Stage>>> {
        let text = self.text(path)?.unwrap_or_default();
        let folder = path.parent().unwrap_or(path);
        let reader = ParamsReader { repo: self.repo, files: &self.files };
        let wdir = match self.repo.show_from_cwd(folder) {
            here if here == "." => String::new(),
            elsewhere => elsewhere,
        };
        let config = self.repo.config();
        let place = Place {
            wdir: &wdir,
            files: &reader,
            bool_optional: config.get("parsing.bool").and_then(ConfigValue::as_text) == Some("boolean_optional"),
            list_append: config.get("parsing.list").and_then(ConfigValue::as_text) == Some("append"),
        };
        let yaml = DvcYaml::parse(&text, &self.repo.show_in_messages(path), &place)
            .map_err(|error| self.of_revision(error))?;
        self.note_top_level(&yaml, folder);
        let lock_path = folder.join(LOCK_FILE);
        let lock = match self.text(&lock_path)? {
            Some(text) => {
                let lock = LockFile::parse(&text, &self.repo.show_in_messages(&lock_path));
                Some(lock.map_err(|error| self.of_revision(error))?)
            }
            None => None,
        };
        let mut stages = Vec::new();
        for name in choose(&yaml)? {
            let stage: PipelineStage = yaml.stage(&name).map_err(|error| match error {
                trackway_dvcfile::Error::StageNotFound { stage, .. } => {
                    Error::NoStage { file: self.repo.show_from_cwd(path), name: stage }
                }
                other => other.into(),
            })?;
            let entry = lock.as_ref().and_then(|lock| lock.get(&name));
            let stage = Stage::of_pipeline(self.repo, path, stage, entry);
            self.check_outs(&stage)?;
            stages.push(Arc::new(stage));
        }
        yaml.take_warnings().into_iter().for_each(|warning| self.repo.warn(warning));
        Ok(stages)
    }

    /// Outputs that no stage may have, as DVC 3.67 refuses them: files of DVC's own, and what is ignored. The latter keeps
    /// whoever wrote a `.dvc` file from writing into `.git` and `.dvc`.
    fn check_outs(&self, stage: &Stage) -> Result<()> {
        for out in &stage.outs {
            refuse_output(&self.ignore, out)?;
        }
        Ok(())
    }

    /// What cannot be resolved there is no stage's concern: `metrics` and `plots` complain of it.
    fn note_top_level(&self, yaml: &DvcYaml, folder: &Path) {
        let mut top = self.top_level.borrow_mut();
        let absolute = |path: &str| paths::absolute(Path::new(path), folder);
        top.metrics.extend(yaml.metrics().unwrap_or_default().iter().map(|path| absolute(path)));
        for plot in yaml.plots().unwrap_or_default() {
            if let Some(path) = plot.as_str() {
                top.plots.push(absolute(path));
            }
            for (name, properties) in plot.as_map().into_iter().flat_map(|map| map.iter()) {
                let axis =
                    |axis: &str| properties.as_map().and_then(|map| map.get(axis)).and_then(|files| files.as_map());
                match axis("y") {
                    Some(files) => {
                        let files = files.iter().chain(axis("x").into_iter().flat_map(|files| files.iter()));
                        top.plots.extend(files.filter_map(|(file, _)| file.as_str()).map(absolute));
                    }
                    None => top.plots.extend(name.as_str().map(absolute)),
                }
            }
        }
    }

    /// As DVC 3.67: where a file of a commit is wrong, the commit is named.
    fn of_revision(&self, error: trackway_dvcfile::Error) -> trackway_dvcfile::Error {
        match &self.files {
            Files::WorkTree => error,
            Files::Commit { tree, .. } => error.in_revision(&tree.commit().short()),
        }
    }

    fn text(&self, path: &Path) -> Result<Option<String>> {
        let Some(bytes) = self.files.read(path)? else {
            return Ok(None);
        };
        String::from_utf8(bytes).map(Some).map_err(|error| {
            let why = crate::write::utf8_error(error.as_bytes(), error.utf8_error());
            Error::Invalid(format!("unable to read: '{}', is not valid utf-8: {why}", self.repo.show_from_cwd(path)))
        })
    }

    /// The stages that a file and a name stand for: one, those of a group, or all of the file.
    pub(crate) fn stages_named_by(&self, target: &Target) -> Result<Vec<Arc<Stage>>> {
        self.load_target(target, true)
    }

    /// What `remove` takes: a file, or one stage of it, but neither an output nor the name of a group.
    pub fn stages_of(&self, target: &str) -> Result<Vec<Arc<Stage>>> {
        self.load_target(&Target::parse(&target.replace('\\', "/"))?, false)
    }

    fn load_target(&self, target: &Target, groups: bool) -> Result<Vec<Arc<Stage>>> {
        let named_file = target.file.as_deref().unwrap_or(PROJECT_FILE);
        let path = self.repo.absolute(Path::new(named_file));
        self.check_file(&path).map_err(|error| match error {
            // Where the person named no file, DVC shows the name it looked for, without the way to it.
            Error::NoDvcFile { why, .. } if target.file.is_none() => {
                Error::NoDvcFile { file: named_file.to_owned(), why }
            }
            other => other,
        })?;
        let Some(name) = target.name.as_deref() else {
            return self.load(&path);
        };
        if path.file_name() != Some(OsStr::new(PROJECT_FILE)) {
            let shown = self.repo.show_from_cwd(&path);
            self.repo.warn(format!("Ignoring name '{name}' for single stage in 'SingleStageFile: {shown}'."));
            return self.load(&path);
        }
        self.load_pipeline(&path, |yaml| match yaml.group(name)? {
            Some(group) if groups => Ok(group),
            _ => Ok(vec![name.to_owned()]),
        })
    }

    /// The stages that a target names, as DVC 3.67 understands it: a stage's name in `dvc.yaml` first, then an output.
    pub fn select(&self, target: Option<&str>, follow: Follow) -> Result<Vec<Selected>> {
        let Some(text) = target.filter(|target| !target.is_empty()) else {
            return Ok(self.stages()?.iter().map(Selected::whole).collect());
        };
        let text = text.replace('\\', "/");
        let target = Target::parse(&text)?;
        let path = self.repo.absolute(Path::new(&text));
        let is_folder = follow.recursive && self.files.kind(&path)? == Some(EntryKind::Dir);

        let mut stages = Vec::new();
        match &target.file {
            None if !is_folder => stages = self.stages_named_here(&target)?,
            Some(file) if !follow.with_deps && paths::is_dvc_file_name(Path::new(file)) => {
                stages = self.stages_named_by(&target)?;
            }
            _ => {}
        }
        if !stages.is_empty() {
            if follow.with_deps && target.file.is_none() {
                stages = self.with_needs(&stages)?;
            }
            return Ok(stages.iter().map(Selected::whole).collect());
        }
        if !is_folder && let Some(selected) = self.output_at(&path)? {
            return Ok(vec![selected]);
        }
        if is_folder {
            let stages = self.stages()?;
            let inside =
                self.graph()?.in_order().into_iter().filter(|&number| paths::is_in(&stages[number].path, &path));
            return Ok(inside.map(|number| Selected::whole(&stages[number])).collect());
        }
        let found = self.stages_named_by(&target).map_err(|error| match error {
            // It may have been meant as a stage's name; say that neither is there.
            Error::NoDvcFile { .. }
                if target.file.as_deref().is_some_and(|file| paths::is_dvc_file_name(Path::new(file))) =>
            {
                error
            }
            error @ (Error::NoDvcFile { .. } | Error::NoStage { .. }) => {
                let file = match &error {
                    Error::NoDvcFile { file, .. } | Error::NoStage { file, .. } => file.clone(),
                    _ => unreachable!("one of the two was matched"),
                };
                Error::NoOutputOrStage { target: text.clone(), file, cause: Box::new(error) }
            }
            other => other,
        })?;
        let stages = if follow.with_deps { self.with_needs(&found)? } else { found };
        Ok(stages.iter().map(Selected::whole).collect())
    }

    /// Stages of that name in the `dvc.yaml` where the person stands; none if there are none.
    fn stages_named_here(&self, target: &Target) -> Result<Vec<Arc<Stage>>> {
        if self.files.kind(&self.repo.absolute(Path::new(PROJECT_FILE)))?.is_none() {
            return Ok(Vec::new());
        }
        match self.stages_named_by(target) {
            Err(Error::NoStage { .. }) => Ok(Vec::new()),
            found => found,
        }
    }

    fn with_needs(&self, of: &[Arc<Stage>]) -> Result<Vec<Arc<Stage>>> {
        let stages = self.stages()?;
        let mut found: Vec<usize> = Vec::new();
        for stage in of {
            let number = stages.iter().position(|other| other.is_same(stage)).ok_or_else(|| {
                Error::dvc(format!(
                    "Stage {} is not found in the project. Check that there are no symlinks in the parents leading up to it within the project.",
                    stage.display(self.repo)
                ))
            })?;
            for need in self.graph()?.with_needs(number) {
                if !found.contains(&need) {
                    found.push(need);
                }
            }
        }
        Ok(found.into_iter().map(|number| stages[number].clone()).collect())
    }

    /// The output that is this path, or that it lies in.
    pub fn output_at(&self, path: &Path) -> Result<Option<Selected>> {
        self.graph()?;
        let stages = self.stages()?;
        Ok(self
            .outs()?
            .containing(path)
            .map(|(number, _)| Selected { stage: stages[number].clone(), filter: Some(path.to_owned()) }))
    }

    /// What several targets name; no targets name everything.
    pub fn select_all<T: AsRef<str>>(&self, targets: &[T], follow: Follow) -> Result<Vec<Selected>> {
        if targets.is_empty() {
            return self.select(None, follow);
        }
        let mut found = Vec::new();
        for target in targets {
            found.extend(self.select(Some(target.as_ref()), follow)?);
        }
        Ok(found)
    }
}

pub(crate) fn refuse_output(ignore: &DvcIgnore, out: &Output) -> Result<()> {
    if paths::is_dvc_file_name(Path::new(&out.def_path)) {
        return Err(Error::dvc(format!("DVC file '{}' cannot be an output.", out.def_path)));
    }
    if out.is_in_repo()
        && let Some(why) = ignore.why_no_output(&out.path)
    {
        return Err(Error::dvc(format!("Path '{}' is ignored by {why}", out.path.display())));
    }
    Ok(())
}

/// Names that may be stages' files; all others need no look.
fn is_candidate(name: &OsStr) -> bool {
    paths::is_dvc_file_name(Path::new(name))
}

/// Gives `vars` and templates their files.
struct ParamsReader<'a> {
    repo: &'a Repo,
    files: &'a Files,
}

impl trackway_dvcfile::Files for ParamsReader<'_> {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
        let absolute = self.repo.absolute(Path::new(path));
        match self.files.kind(&absolute) {
            Ok(Some(EntryKind::Dir)) => return Err(ReadError::IsDirectory(path.to_owned())),
            Ok(None) => return Ok(None),
            _ => {}
        }
        self.files.read(&absolute).map_err(|error| match error {
            Error::Io { source, .. } => ReadError::Io(path.to_owned(), source),
            other => ReadError::Io(path.to_owned(), std::io::Error::other(other.to_string())),
        })
    }
}
