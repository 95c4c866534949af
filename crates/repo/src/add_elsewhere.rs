//! `add --out` and `add --to-remote`: data from elsewhere, brought into the work tree or sent to a remote.

use std::path::Path;

use trackway_store::{HashName, Progress};

use crate::add::{Added, missing_file, no_such_file};
use crate::checkout::CheckoutOptions;
use crate::config::Table;
use crate::dvc_file;
use crate::error::{Error, Result};
use crate::import_url::name_of;
use crate::repo::Repo;
use crate::scm::ScmChanges;

#[derive(Clone, Debug, Default)]
pub struct ElsewhereOptions {
    /// Where the data is to be in the work tree; without it, under its own name in the current folder.
    pub out: Option<String>,
    /// Send it to a remote and leave the work tree as it is.
    pub to_remote: bool,
    /// The remote; without it, the default one.
    pub remote: Option<String>,
    /// How many transfers at once.
    pub jobs: Option<usize>,
    /// Overwrite what is in the way.
    pub force: bool,
}

impl Repo {
    pub fn add_from_elsewhere(
        &self,
        source: &str,
        options: &ElsewhereOptions,
        progress: &dyn Progress,
    ) -> Result<Added> {
        let _working = self.working_lock()?;
        let target = match &options.out {
            Some(out) => self.place_for(source, out, options.force)?,
            None if crate::output::is_url(source) => name_of(source).to_string_lossy().into_owned(),
            None => source.to_owned(),
        };
        let here = options.to_remote && options.out.is_none();
        let Some(mut adding) = self.plan_add(std::slice::from_ref(&target), here)?.pop() else {
            return Err(Error::dvc("There is nothing to add."));
        };
        let remote = match options.to_remote {
            true => Some(self.object_remote(options.remote.as_deref(), "add")?),
            false => None,
        };
        let missing = || match crate::output::is_url(source) {
            true => Error::dvc(format!("'{}' does not exist", trackway_git::clones::without_password(source))),
            // As DVC 3.67 names it: as the person did, from where the person stands.
            false => no_such_file(&self.cwd().join(source)),
        };
        let look = self.look(self.anywhere(source, &Table::default())?, progress).map_err(missing_file)?;
        let look = look.ok_or_else(missing)?;
        let brought = match remote {
            Some(remote) => {
                let depot = remote.with_jobs(options.jobs).depot(HashName::Md5)?;
                look.send(self, &depot, options.jobs, progress)
            }
            None => look.bring(self.cache(HashName::Md5)?, options.jobs, progress),
        };
        let brought = brought.map_err(missing_file)?;
        let out = &mut adding.stage.outs[adding.out];
        out.set(brought.hash, Some(brought.size), brought.nfiles, look.is_exec() && !crate::output::is_url(source));
        let out = out.clone();

        let mut scm = ScmChanges::new(self);
        if !options.to_remote {
            let checking_out = CheckoutOptions { force: options.force, ..CheckoutOptions::default() };
            self.check_out_new(&out, checking_out, progress)?;
            scm.ignore(&out.path)?;
        }
        let _lock = self.lock()?;
        dvc_file::write(self, &adding.stage)?;
        scm.track(&adding.stage.path);
        Ok(Added {
            files: vec![self.show_from_cwd(&adding.stage.path)],
            link_failures: Vec::new(),
            to_commit: scm.finish()?,
        })
    }

    /// Where `--out` puts the source: in the folder that it names, or at it.
    fn place_for(&self, source: &str, out: &str, force: bool) -> Result<String> {
        let name = name_of(source).to_string_lossy().into_owned();
        let place = match self.absolute(Path::new(out)).is_dir() {
            true => Path::new(out).join(name).to_string_lossy().into_owned(),
            false => out.to_owned(),
        };
        if self.absolute(Path::new(&place)).exists() && !force {
            return Err(Error::dvc(format!(
                "The file '{place}' already exists locally. \nTo override it, re-run with '--force'."
            )));
        }
        Ok(place)
    }
}
