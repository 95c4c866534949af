//! `freeze` and `unfreeze`: whether a stage may be run or updated.

use crate::dvc_file;
use crate::error::{Error, Result};
use crate::repo::Repo;
use crate::scm::ScmChanges;
use crate::stage::{Stage, StageKind};
use crate::target::Target;

impl Repo {
    /// Freezes the stage or the `.dvc` file that `target` names, or unfreezes it.
    pub fn set_frozen(&self, target: &str, frozen: bool) -> Result<()> {
        let _working = self.working_lock()?;
        let _lock = self.lock()?;
        let mut stage = self.one_stage(target)?;
        stage.frozen = frozen;
        match &mut stage.kind {
            StageKind::Single { .. } => dvc_file::write(self, &stage)?,
            StageKind::Pipeline { stage: step, .. } => {
                step.frozen = frozen;
                dvc_file::write_pipeline_stage(self, &stage)?;
            }
        }
        // As DVC 3.67 nothing is staged and nothing is said, but what the file is for git stays known.
        let mut scm = ScmChanges::new(self);
        scm.track(&stage.path);
        scm.finish_without_staging()
    }

    /// The one stage that a target names: not an output, as only stages can be frozen.
    fn one_stage(&self, target: &str) -> Result<Stage> {
        let parsed = Target::parse(target)?;
        if parsed.name.is_none()
            && parsed.file.as_deref().is_some_and(|file| file.ends_with(crate::paths::PROJECT_FILE))
        {
            // As DVC 3.67: the file has to be there before it is said that one of its stages must be named.
            self.index()?.stages_named_by(&parsed)?;
            return Err(Error::dvc("Stage name not provided.Please specify the name as: `dvc.yaml:stage_name`"));
        }
        let stages = self.index()?.stages_named_by(&parsed)?;
        match stages.as_slice() {
            [stage] => Ok(Stage::clone(stage)),
            // The name of a group is not that of a stage.
            _ => Err(Error::NoStage {
                file: parsed.file.unwrap_or_else(|| crate::paths::PROJECT_FILE.to_owned()),
                name: parsed.name.unwrap_or_default(),
            }),
        }
    }
}
