//! `update`: brings imports to what lies now where they came from.

use trackway_store::Progress;

use crate::checkout::CheckoutOptions;
use crate::dvc_file;
use crate::error::{Error, Result};
use crate::index::{Follow, Selected};
use crate::output::Dependency;
use crate::repo::Repo;
use crate::scm::ScmChanges;
use crate::stage::Stage;

#[derive(Clone, Debug, Default)]
pub struct UpdateOptions {
    /// The revision to import from now on.
    pub rev: Option<String>,
    /// Targets are folders, with all that is below them.
    pub recursive: bool,
    /// Record what is new and leave the data where it is.
    pub no_download: bool,
    /// Send the new data to a remote and leave the work tree as it is.
    pub to_remote: bool,
    pub remote: Option<String>,
    pub jobs: Option<usize>,
}

impl UpdateOptions {
    fn check(&self) -> Result<()> {
        if self.to_remote && self.no_download {
            return Err(Error::dvc("--to-remote can't be used with --no-download"));
        }
        if !self.to_remote && self.remote.is_some() {
            return Err(Error::dvc("--remote can't be used without --to-remote"));
        }
        Ok(())
    }
}

impl Repo {
    /// Updates the imports that targets name. What is no import is asked for at the remote that keeps versions of it.
    pub fn update(&self, targets: &[String], options: &UpdateOptions, progress: &dyn Progress) -> Result<()> {
        options.check()?;
        let _working = self.working_lock()?;
        let selected = {
            let _lock = self.lock()?;
            let index = self.index()?;
            index.select_all(targets, Follow { with_deps: false, recursive: options.recursive })?
        };
        let (imports, others): (Vec<Selected>, Vec<Selected>) =
            selected.into_iter().partition(|one| one.stage.is_import());
        let mut updated: Vec<&Stage> = Vec::new();
        for one in &imports {
            if !updated.iter().any(|other| other.is_same(&one.stage)) {
                self.update_import(&one.stage, options, progress)?;
                updated.push(&one.stage);
            }
        }
        match others.is_empty() {
            true => Ok(()),
            false => self.update_from_worktree(&others, options, progress),
        }
    }

    fn update_import(&self, old: &Stage, options: &UpdateOptions, progress: &dyn Progress) -> Result<()> {
        let mut stage = old.clone();
        match &old.deps[0] {
            Dependency::Repo { .. } if options.to_remote => {
                return Err(Error::dvc(
                    "Data imported from other DVC or Git repositories can't be updated with --to-remote",
                ));
            }
            Dependency::Repo { .. } => self.update_repo_import(&mut stage, options, progress)?,
            _ => self.update_url_import(&mut stage, options, progress)?,
        }
        let mut scm = ScmChanges::new(self);
        scm.ignore(&stage.outs[0].path)?;
        let _lock = self.lock()?;
        dvc_file::write(self, &stage)?;
        scm.finish_without_staging()
    }

    fn update_repo_import(&self, stage: &mut Stage, options: &UpdateOptions, progress: &dyn Progress) -> Result<()> {
        if let (Some(rev), Some(mut dep)) = (&options.rev, stage.dependency().cloned()) {
            if let Some(source) = &mut dep.repo {
                source.rev = Some(rev.clone());
            }
            stage.set_dependency(self, dep);
        }
        let browser = self.open_import(stage, false)?;
        let is_other = stage.checksum_changed();
        if !is_other && self.is_as_recorded(stage, progress)? {
            self.note(format!("'{}' didn't change, skipping", stage.address(self)));
            return Ok(());
        }
        self.note_import(stage);
        if options.no_download {
            crate::remove::delete(&stage.outs[0].path)?;
            stage.record_md5();
            // As DVC 3.67: of what is not here nothing is recorded, but for the checksum of the whole.
            stage.outs[0].clear();
            return Ok(());
        }
        if !is_other && self.work_tree(progress)?.is_cached(&stage.outs[0])? {
            let out = stage.outs[0].clone();
            return self.check_out_new(&out, CheckoutOptions { force: true, ..CheckoutOptions::default() }, progress);
        }
        self.download_import(stage, &browser, options.jobs, progress)
    }

    /// Whether the work tree is as recorded.
    pub(crate) fn is_as_recorded(&self, stage: &Stage, progress: &dyn Progress) -> Result<bool> {
        Ok(self.work_tree(progress)?.status(&stage.outs[0])?.is_none())
    }
}
