//! `cache migrate`: objects of DVC 2 come into the cache of DVC 3, and files that name them name the new ones.

use trackway_store::{HashName, Object, Progress, hash_file};

use crate::dvc_file;
use crate::error::Result;
use crate::output::{Dependency, Output};
use crate::repo::Repo;
use crate::scm::{ScmChanges, ToCommit};
use crate::stage::{Stage, StageKind};

/// What was done, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigratedFiles {
    /// Those that name objects of DVC 2, as messages name them, in order.
    pub files: Vec<String>,
    pub to_commit: ToCommit,
}

impl Repo {
    /// How many objects the cache of DVC 2 has.
    pub fn count_legacy_objects(&self) -> Result<usize> {
        let mut count = 0;
        for object in self.cache(HashName::Md5Dos2Unix)?.objects()? {
            object?;
            count += 1;
        }
        Ok(count)
    }

    /// Hashes every object of DVC 2's cache as DVC 3 does, and links those into its cache that it lacks. The old ones stay.
    pub fn migrate_cache(&self, progress: &dyn Progress) -> Result<usize> {
        let _working = self.working_lock()?;
        let (old, new) = (self.cache(HashName::Md5Dos2Unix)?, self.cache(HashName::Md5)?);
        let objects: Vec<Object> = old.objects()?.collect::<Result<_, _>>()?;
        progress.start("migrating", Some(objects.len() as u64), None);
        let mut count = 0;
        for object in &objects {
            let path = old.path(&object.oid);
            let hashed = hash_file(HashName::Md5, &path, progress)?;
            let oid = if object.oid.is_dir() { trackway_store::Oid::dir(*hashed.bytes()) } else { hashed };
            count += usize::from(new.adopt(&path, &oid, progress)?);
            progress.add(1, 0);
        }
        progress.finish();
        new.flush()?;
        Ok(count)
    }

    /// The `.dvc` and `dvc.yaml` files that name objects of DVC 2.
    pub fn legacy_files(&self) -> Result<Vec<String>> {
        let mut files: Vec<String> = Vec::new();
        for stage in self.index()?.stages()?.iter().filter(|stage| is_legacy(stage)) {
            let file = self.show_from_cwd(&stage.path);
            files.push(match stage.kind {
                StageKind::Single { .. } => file,
                StageKind::Pipeline { .. } => {
                    format!("{file} ({})", self.show_from_cwd(&dvc_file::lock_path(&stage.path)))
                }
            });
        }
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// Records the outputs and dependencies of these files anew, as DVC 3 does. What is not in the work tree keeps its old
    /// record: stock DVC would write one that names no object.
    pub fn migrate_files(&self, progress: &dyn Progress) -> Result<MigratedFiles> {
        let _working = self.working_lock()?;
        let files = self.legacy_files()?;
        let tree = self.work_tree(progress)?;
        let mut scm = ScmChanges::new(self);
        let mut changed: Vec<Stage> = Vec::new();
        for stage in self.index()?.stages()?.iter().filter(|stage| is_legacy(stage)) {
            let mut stage = Stage::clone(stage);
            let renew = |out: &mut Output| {
                if out.hash_name == HashName::Md5Dos2Unix && tree.exists(out) {
                    out.hash_name = HashName::Md5;
                }
            };
            stage.outs.iter_mut().for_each(renew);
            if !stage.is_import() {
                for dep in &mut stage.deps {
                    if let Dependency::Data(out) = dep {
                        renew(out);
                    }
                }
            }
            tree.save(&mut stage, true, &mut scm)?;
            self.save_run(&stage, &tree)?;
            tree.put_into_cache(
                &stage,
                None,
                crate::commit::CommitOptions { allow_missing: true, ..Default::default() },
            )?;
            changed.push(stage);
        }
        self.flush_caches_of(changed.iter().flat_map(|stage| &stage.outs).filter(|out| out.use_cache))?;
        let _lock = self.lock()?;
        for stage in &changed {
            if stage.is_data_source() {
                self.note(format!("Updating DVC file '{}'", self.show_from_cwd(&stage.path)));
            }
            dvc_file::write(self, stage)?;
            scm.track(&match stage.kind {
                StageKind::Single { .. } => stage.path.clone(),
                StageKind::Pipeline { .. } => dvc_file::lock_path(&stage.path),
            });
        }
        Ok(MigratedFiles { files, to_commit: scm.finish()? })
    }
}

/// Whether a stage has an output or a dependency that is hashed as DVC 2 did.
fn is_legacy(stage: &Stage) -> bool {
    let old = |out: &Output| out.is_in_repo() && out.hash_name == HashName::Md5Dos2Unix;
    stage.outs.iter().any(old)
        || !stage.is_import() && stage.deps.iter().any(|dep| matches!(dep, Dependency::Data(out) if old(out)))
}
