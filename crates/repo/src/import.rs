//! `import`: copies data out of another repository, and records from where.

use std::path::Path;
use std::sync::Arc;

use trackway_dvcfile::{Dep, RepoDep};
use trackway_store::{HashName, Progress};
use trackway_yaml::{Map, Value};

use crate::add::Added;
use crate::browse::{Browser, Elsewhere};
use crate::checkout::CheckoutOptions;
use crate::dvc_file;
use crate::error::{Error, Result};
use crate::get::{own_name, resolve_output};
use crate::import_url::is_secret_option;
use crate::imports;
use crate::index::Index;
use crate::paths;
use crate::repo::Repo;
use crate::scm::ScmChanges;
use crate::stage::Stage;

#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Where the data is to be; without it, under its own name in the current folder.
    pub out: Option<String>,
    pub rev: Option<String>,
    /// A file of settings laid over the other repository's.
    pub config: Option<String>,
    /// The other repository's remote to take data from.
    pub remote: Option<String>,
    pub remote_config: Vec<(String, String)>,
    /// Write the `.dvc` file and do nothing else.
    pub no_exec: bool,
    /// Record the revision, and leave the data where it is.
    pub no_download: bool,
    pub jobs: Option<usize>,
    /// Overwrite what is in the way.
    pub force: bool,
}

impl Repo {
    /// Imports `path` of the repository at `url`.
    pub fn import(&self, url: &str, path: &str, options: &ImportOptions, progress: &dyn Progress) -> Result<Added> {
        imports::refuse_secret(url)?;
        options.refuse_secret()?;
        let dep = Dep { path: path.to_owned(), repo: Some(options.repo_dep(url)?), ..Dep::default() };
        let _working = self.working_lock()?;
        let mut stage = self.plan_import(&own_name(path), options.out.as_deref(), options.force, dep)?;
        let mut scm = ScmChanges::new(self);
        if let Some(file) = &options.config {
            // As DVC 3.67, which opens the settings before it says or writes anything.
            imports::config_file(file, self.environment())?;
        }
        if !options.no_exec {
            self.note_import(&stage);
            let browser = self.open_import(&mut stage, false)?;
            if options.no_download {
                stage.record_md5();
            } else {
                self.download_import(&mut stage, &browser, options.jobs, progress)?;
            }
        }
        scm.ignore(&stage.outs[0].path)?;
        stage.frozen = true;
        let _lock = self.lock()?;
        dvc_file::write(self, &stage)?;
        scm.track(&stage.path);
        Ok(Added { files: vec![self.show_from_cwd(&stage.path)], link_failures: Vec::new(), to_commit: scm.finish()? })
    }

    /// The new stage of an import, after the checks that DVC 3.67 makes, in its order.
    fn plan_import(&self, name: &Path, out: Option<&str>, force: bool, dep: Dep) -> Result<Stage> {
        self.plan_import_at(name, out, force, false, dep)
    }

    /// The same; `always_here`: what would lie elsewhere gets a place in the current folder.
    pub(crate) fn plan_import_at(
        &self,
        name: &Path,
        out: Option<&str>,
        force: bool,
        always_here: bool,
        dep: Dep,
    ) -> Result<Stage> {
        let target = resolve_output(name, out.map(Path::new), force, self.cwd())?;
        let target = target.to_string_lossy().into_owned();
        let _lock = self.lock()?;
        let index = self.index()?;
        let mut stage = self.new_stage(&index, &target, &self.absolute(Path::new(&target)), always_here)?;
        if paths::is_dvc_file_name(Path::new(&dep.path)) {
            return Err(Error::dvc(format!("DVC file '{}' cannot be a dependency.", dep.path)));
        }
        stage.set_dependency(self, dep);
        if let Some(from) = stage.deps[0].path().filter(|from| *from == stage.outs[0].path) {
            return Err(Error::dvc(format!("'{}' is specified as an output and as a dependency.", paths::show(from))));
        }
        check_graph(&index, &stage)?;
        self.make_way(&[], &[stage.outs[0].path.clone()])?;
        Ok(stage)
    }

    pub(crate) fn note_import(&self, stage: &Stage) {
        self.note(format!("Importing '{}' -> '{}'", stage.deps[0].display(self), stage.outs[0].display(self)));
    }

    /// Opens the repository that a stage imports from. If not `locked`, as it is now, and the stage records that.
    pub(crate) fn open_import(&self, stage: &mut Stage, locked: bool) -> Result<Browser> {
        let mut dep = stage.dependency().ok_or_else(|| Error::dvc("this is no import"))?.clone();
        let elsewhere =
            Elsewhere { cache_dir: Some(self.cache_dir()), ..imports::source(&dep, locked, self.environment())? };
        let browser = Browser::open(&elsewhere, self.environment())?;
        if !locked {
            let commit = browser.commit().ok_or_else(|| {
                Error::dvc(
                    "Only supported for Git repositories. If you're seeing this error in a Git repo, try updating the DVC configuration with `dvc config core.no_scm false`.",
                )
            })?;
            if let Some(source) = &mut dep.repo {
                source.rev_lock = Some(commit.hex());
            }
            stage.set_dependency(self, dep);
        }
        Ok(browser)
    }

    /// Brings the data of an import into the cache and the work tree, and records it.
    pub(crate) fn download_import(
        &self,
        stage: &mut Stage,
        browser: &Browser,
        jobs: Option<usize>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let path = stage.dependency().map(|dep| dep.path.clone()).unwrap_or_default();
        let brought = browser.bring(&path, self.cache(HashName::Md5)?, jobs, progress);
        for warning in browser.take_warnings() {
            self.warn(warning);
        }
        let brought = brought?;
        let out = &mut stage.outs[0];
        out.set(brought.hash, Some(brought.size), brought.nfiles, false);
        if brought.size == 0 && brought.nfiles.is_none_or(|files| files == 0) {
            self.warn(format!("'{}' is empty.", out.display(self)));
        }
        let out = out.clone();
        self.check_out_new(&out, CheckoutOptions { force: true, ..CheckoutOptions::default() }, progress)?;
        stage.record_md5();
        Ok(())
    }
}

impl ImportOptions {
    /// Better than DVC 3.67, which writes it into the `.dvc` file.
    fn refuse_secret(&self) -> Result<()> {
        match self.remote_config.iter().find(|(name, _)| is_secret_option(name)) {
            None => Ok(()),
            Some((name, _)) => Err(Error::dvc(format!(
                "'{name}' is a secret, and the .dvc file would show it to everybody who sees the repository. Write it into a file \
                 of settings that git does not track and name that by `--config`. Nothing was imported."
            ))),
        }
    }

    /// As DVC 3.67 writes where an import comes from.
    fn repo_dep(&self, url: &str) -> Result<RepoDep> {
        let mut dep = RepoDep { url: url.to_owned(), rev: self.rev.clone(), ..RepoDep::default() };
        dep.config = self.config.clone().map(Value::from);
        let settings: Map =
            self.remote_config.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
        match (&self.remote, self.remote_config.is_empty()) {
            (Some(_), false) if self.config.is_some() => {
                return Err(Error::unforeseen("Can't specify config path together with both remote and remote_config"));
            }
            (Some(name), false) => {
                let map = |key: &str, value: Value| Value::Map(Map::from_iter([(key.into(), value)]));
                let mut config = Map::default();
                config.insert("core", map("remote", name.as_str().into()));
                config.insert("remote", map(name, Value::Map(settings)));
                dep.config = Some(Value::Map(config));
            }
            (Some(name), true) => dep.remote = Some(name.as_str().into()),
            (None, false) => dep.remote = Some(Value::Map(settings)),
            (None, true) => {}
        }
        Ok(dep)
    }
}

/// The whole repository must still make sense with the new stage.
fn check_graph(index: &Index<'_>, stage: &Stage) -> Result<()> {
    let ours = stage.address(index.repo());
    index.check_with(&[Arc::new(stage.clone())]).map_err(|error| match error {
        Error::DuplicateOutput { output, stages } => {
            Error::DuplicateOutput { output, stages: stages.into_iter().filter(|other| *other != ours).collect() }
        }
        other => other,
    })
}
