//! `import-url`: copies data from a path or a URL, and records from where and what it was; and `update` of such imports.

use std::path::{Path, PathBuf};

use trackway_dvcfile::{Dep, Info};
use trackway_store::{HashName, Progress};
use trackway_yaml::{Map, Value};

use crate::add::Added;
use crate::bring::Brought;
use crate::checkout::CheckoutOptions;
use crate::config::{ConfigValue, Table};
use crate::dvc_file;
use crate::error::{Error, Result};
use crate::get::{own_name, resolve_output};
use crate::imports;
use crate::output::{Dependency, Output, is_url};
use crate::outside::{Identity, Look};
use crate::paths;
use crate::remotes::anywhere::{Anywhere, asked_version};
use crate::repo::Repo;
use crate::scm::ScmChanges;
use crate::stage::Stage;
use crate::update::UpdateOptions;

/// Options of a remote or a URL that open what it leads to for whoever has them.
pub fn is_secret_option(name: &str) -> bool {
    SECRETS.contains(&name)
}

const SECRETS: [&str; 12] = [
    "password",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "sas_token",
    "account_key",
    "connection_string",
    "client_secret",
    "token",
    "passphrase",
    "bearer_token",
    "sse_customer_key",
];

#[derive(Clone, Debug, Default)]
pub struct ImportUrlOptions {
    /// Where the data is to be; without it, under its own name in the current folder.
    pub out: Option<String>,
    /// Send it to a remote and leave the work tree as it is.
    pub to_remote: bool,
    pub remote: Option<String>,
    /// Write the `.dvc` file and do nothing else.
    pub no_exec: bool,
    /// Record what is there, and leave it there.
    pub no_download: bool,
    pub version_aware: bool,
    /// Options for the URL, as a remote would have them.
    pub fs_config: Vec<(String, String)>,
    pub jobs: Option<usize>,
    /// Overwrite what is in the way.
    pub force: bool,
}

impl ImportUrlOptions {
    fn check(&self) -> Result<()> {
        if self.to_remote && (self.no_exec || self.no_download || self.version_aware) {
            return Err(Error::dvc("--no-exec/--no-download/--version-aware cannot be combined with --to-remote"));
        }
        if !self.to_remote && self.remote.is_some() {
            return Err(Error::dvc("--remote can't be used without --to-remote"));
        }
        if let Some((name, _)) = self.fs_config.iter().find(|(name, _)| is_secret_option(name)) {
            // Better than DVC 3.67, which writes it into the `.dvc` file.
            return Err(Error::dvc(format!(
                "'{name}' is a secret, and the .dvc file would show it to everybody who sees the repository. Give it to a remote \
                 (`remote modify --local NAME {name} …`) and import `remote://NAME/path`. Nothing was imported."
            )));
        }
        Ok(())
    }

    /// As it is written; nothing for nothing.
    fn fs_config(&self) -> Option<Map> {
        let mut map: Map =
            self.fs_config.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
        if self.version_aware {
            map.insert("version_aware", true);
        }
        let is_empty = map.iter().next().is_none();
        (!is_empty).then_some(map)
    }
}

/// The last part of a URL or a path, as DVC 3.67 names a download.
pub fn name_of(url: &str) -> PathBuf {
    let path = match url.split_once("://") {
        Some((_, rest)) => {
            rest.split_once('/').map_or("", |(_, path)| path).split(['?', '#']).next().unwrap_or_default()
        }
        None => url,
    };
    own_name(path)
}

impl Repo {
    pub fn import_url(&self, url: &str, options: &ImportUrlOptions, progress: &dyn Progress) -> Result<Added> {
        imports::refuse_secret(url)?;
        resolve_output(&name_of(url), options.out.as_deref().map(Path::new), options.force, self.cwd())?;
        options.check()?;
        let _working = self.working_lock()?;
        let info = Info { hash: Some("md5".to_owned()), ..Info::default() };
        let dep = Dep { path: url.to_owned(), info, fs_config: options.fs_config(), ..Dep::default() };
        let always_here = options.to_remote && options.out.is_none();
        let name = name_of(url);
        let mut stage = self.plan_import_to(&name, options.out.as_deref(), options.force, always_here, dep)?;
        let mut scm = ScmChanges::new(self);
        // What is wrong with the URL or its options is told before anything is done.
        let source = self.source_of(&stage)?;
        if options.to_remote {
            let remote = self.object_remote(options.remote.as_deref(), "import-url")?;
            let look = self.look_at_source(&stage, progress)?;
            let depot = remote.with_jobs(options.jobs).depot(HashName::Md5)?;
            let sent = look.send(self, &depot, options.jobs, progress)?;
            set_out(&mut stage, &sent);
            self.set_identity(&mut stage, look.identity(progress)?);
            stage.record_md5();
        } else if !options.no_exec {
            // As DVC 3.67: the origin keeps what was imported, so no remote has to.
            stage.outs[0].can_push = !matches!(&source, Anywhere::There(there) if there.version_aware);
            self.note_import(&stage);
            let look = self.look_at_source(&stage, progress)?;
            self.take_from_outside(&mut stage, &look, options.no_download, options.jobs, progress)?;
        }
        scm.ignore(&stage.outs[0].path)?;
        stage.frozen = true;
        let _lock = self.lock()?;
        dvc_file::write(self, &stage)?;
        scm.track(&stage.path);
        Ok(Added { files: vec![self.show_from_cwd(&stage.path)], link_failures: Vec::new(), to_commit: scm.finish()? })
    }

    /// An import from a URL at which versions are kept and looked at.
    pub(crate) fn is_versioned_import(&self, stage: &Stage) -> bool {
        match &stage.deps[..] {
            _ if stage.imports_versions() => true,
            [Dependency::Url { output, .. }] if stage.is_import() => {
                let config = self.config().remote_at(&output.def_path, &source_options(stage));
                config.is_ok_and(|config| config.version_aware() || asked_version(&config, &output.def_path).is_some())
            }
            _ => false,
        }
    }

    /// Where an import comes from, opened.
    pub(crate) fn source_of(&self, stage: &Stage) -> Result<Anywhere> {
        let options = source_options(stage);
        match &stage.deps[0] {
            Dependency::Data(out) => {
                // As DVC 3.67, options are checked, though a place of this machine has no use for them.
                self.config().remote_at(&paths::show(&out.path), &options)?;
                Ok(Anywhere::Here(out.path.clone()))
            }
            Dependency::Url { output, .. } => {
                let mut source = self.anywhere(&output.def_path, &options)?;
                if let Anywhere::There(there) = &mut source {
                    // As DVC 3.67: of what has a recorded version versions are looked at, whatever the options say.
                    there.version_aware |= output.is_versioned();
                }
                Ok(source)
            }
            other => Err(Error::dvc(format!("'{}' is not imported from a URL", other.display(self)))),
        }
    }

    fn look_at_source(&self, stage: &Stage, progress: &dyn Progress) -> Result<Look> {
        self.look_at(stage, self.source_of(stage)?, progress)
    }

    fn look_at(&self, stage: &Stage, source: Anywhere, progress: &dyn Progress) -> Result<Look> {
        let missing = || Error::Missing(format!("dependency '{}' does not exist", stage.deps[0].display(self)));
        let mut look = self.look(source, progress)?.ok_or_else(missing)?;
        if let Look::There { there, seen } = &mut look {
            there.pin(seen, progress)?;
        }
        Ok(look)
    }

    fn set_identity(&self, stage: &mut Stage, identity: Identity) {
        if let Some(mut dep) = stage.dependency().cloned() {
            (dep.info, dep.files) = (identity.info, identity.files);
            stage.set_dependency(self, dep);
        }
    }

    /// Records what is outside, and unless that is not wanted brings it into the cache and the work tree.
    fn take_from_outside(
        &self,
        stage: &mut Stage,
        look: &Look,
        no_download: bool,
        jobs: Option<usize>,
        progress: &dyn Progress,
    ) -> Result<()> {
        if no_download {
            self.set_identity(stage, look.identity(progress)?);
            stage.record_md5();
            return Ok(());
        }
        let brought = look.bring(self.cache(HashName::Md5)?, jobs, progress)?;
        set_out(stage, &brought);
        self.set_identity(stage, look.identity(progress)?);
        let out = stage.outs[0].clone();
        if brought.size == 0 && brought.nfiles.is_none_or(|files| files == 0) {
            self.warn(format!("'{}' is empty.", out.display(self)));
        }
        self.check_out_new(&out, CheckoutOptions { force: true, ..CheckoutOptions::default() }, progress)?;
        stage.record_md5();
        Ok(())
    }

    /// What an import has recorded of its origin, brought into the cache: in the recorded versions where there are such, and else
    /// as it is there now, if that is the same.
    pub(crate) fn bring_from_outside(
        &self,
        stage: &Stage,
        jobs: Option<usize>,
        progress: &dyn Progress,
    ) -> Result<Brought> {
        let source = self.source_of(stage)?;
        let look = match (source, stage.dependency()) {
            (Anywhere::There(there), Some(dep)) => match there.recorded(dep, progress)? {
                Some(seen) => {
                    let look = Look::There { there: Box::new(there), seen };
                    return look.bring(self.cache(HashName::Md5)?, jobs, progress);
                }
                None => self.look_at(stage, Anywhere::There(there), progress)?,
            },
            (source, _) => self.look_at(stage, source, progress)?,
        };
        if let Some(dep) = stage.dependency()
            && (dep.files.is_some() || dep.info.identity(&dep.path).is_some())
            && Identity::of(dep).change(&look.identity(progress)?, &dep.path).is_some()
        {
            return Err(Error::dvc(format!(
                "what is at '{}' was changed since it was imported; `update` takes what is there now",
                stage.deps[0].display(self)
            )));
        }
        look.bring(self.cache(HashName::Md5)?, jobs, progress)
    }

    /// `deleted`, `modified` or `new`; `None` if it is as recorded.
    pub(crate) fn url_change(&self, stage: &Stage, progress: &dyn Progress) -> Result<Option<&'static str>> {
        let Some(look) = self.look(self.source_of(stage)?, progress)? else { return Ok(Some("deleted")) };
        let now = look.identity(progress)?;
        Ok(match stage.dependency() {
            Some(dep) => Identity::of(dep).change(&now, &dep.path),
            None => Some("modified"),
        })
    }

    /// The same of what a stage depends on.
    pub(crate) fn url_output_change(&self, output: &Output, progress: &dyn Progress) -> Result<Option<&'static str>> {
        let Some(look) = self.look(self.anywhere(&output.def_path, &Table::default())?, progress)? else {
            return Ok(Some("deleted"));
        };
        // As DVC 3.67, one of which nothing is recorded is modified, not new.
        let recorded = Identity { info: output.info.clone(), files: output.files.clone() };
        Ok(recorded.change(&look.identity(progress)?, &output.def_path))
    }

    pub(crate) fn update_url_import(
        &self,
        stage: &mut Stage,
        options: &UpdateOptions,
        progress: &dyn Progress,
    ) -> Result<()> {
        let newest = |stage: &Stage| -> Result<Look> {
            let mut source = self.source_of(stage)?;
            if let (Some(rev), Anywhere::There(there)) = (&options.rev, &mut source)
                && there.version_aware
            {
                there.version = Some(rev.clone());
            }
            self.look_at(stage, source, progress)
        };
        let change = match options.rev {
            Some(_) => Some("modified"),
            None => self.url_change(stage, progress)?,
        };
        let is_same = change.is_none() && !stage.checksum_changed();
        if options.to_remote {
            let look = newest(stage)?;
            let remote = self.object_remote(options.remote.as_deref(), "update")?;
            let depot = remote.with_jobs(options.jobs).depot(HashName::Md5)?;
            let sent = look.send(self, &depot, options.jobs, progress)?;
            set_out(stage, &sent);
            // As DVC 3.67, which leaves the file's own checksum as it was.
            self.set_identity(stage, look.identity(progress)?);
            return Ok(());
        }
        if is_same && self.is_as_recorded(stage, progress)? {
            self.note(format!("'{}' didn't change, skipping", stage.address(self)));
            return Ok(());
        }
        self.note_import(stage);
        if is_same && self.work_tree(progress)?.is_cached(&stage.outs[0])? {
            let out = stage.outs[0].clone();
            return self.check_out_new(&out, CheckoutOptions { force: true, ..CheckoutOptions::default() }, progress);
        }
        let look = newest(stage)?;
        if options.no_download {
            crate::remove::delete(&stage.outs[0].path)?;
        }
        self.take_from_outside(stage, &look, options.no_download, options.jobs, progress)?;
        if options.no_download {
            stage.outs[0].clear();
        }
        Ok(())
    }

    /// [`Repo::plan_import`] for something that is named by a path or a URL.
    fn plan_import_to(
        &self,
        name: &Path,
        out: Option<&str>,
        force: bool,
        always_here: bool,
        mut dep: Dep,
    ) -> Result<Stage> {
        let here = self.absolute(Path::new(&dep.path));
        if !is_url(&dep.path) && here.exists() && paths::is_in_or_eq(&here, self.root()) {
            // As DVC 3.67: what is in the repository itself is written relative to the new file.
            let target = resolve_output(name, out.map(Path::new), true, self.cwd())?;
            let target = self.absolute(&target);
            let folder = if always_here { self.cwd() } else { target.parent().unwrap_or(&target) };
            dep.path = paths::show(&paths::relative(&here, folder));
        }
        self.plan_import_at(name, out, force, always_here, dep)
    }
}

/// What `fs_config:` of an import says.
fn source_options(stage: &Stage) -> Table {
    let fs_config = stage.dependency().and_then(|dep| dep.fs_config.clone()).unwrap_or_default();
    let option = |value: &Value| match value {
        Value::Bool(flag) => ConfigValue::Bool(*flag),
        Value::Int(number) => ConfigValue::Int(*number),
        other => ConfigValue::Text(other.as_str().map_or_else(|| format!("{other:?}"), str::to_owned)),
    };
    fs_config.iter().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), option(value)))).collect()
}

fn set_out(stage: &mut Stage, brought: &Brought) {
    stage.outs[0].set(brought.hash, Some(brought.size), brought.nfiles, false);
}
