//! `move`: renames a tracked file or folder, and the `.dvc` file with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use trackway_dvcfile::{DvcFile, Out};
use trackway_store::{Progress, SaveOptions, save, scan, scan_into};

use crate::dvc_file;
use crate::error::{Error, Result};
use crate::files::Files;
use crate::index::Index;
use crate::output::{Output, Place};
use crate::paths::{self, DVC_FILE_SUFFIX};
use crate::remove::delete;
use crate::repo::Repo;
use crate::scm::{ScmChanges, ToCommit};
use crate::stage::{Stage, StageKind};
use crate::worktree::WorkTree;
use crate::write;

/// What is to be done, after all checks.
struct Moving {
    old: Stage,
    new: Stage,
}

impl Moving {
    fn from(&self) -> &Output {
        &self.old.outs[0]
    }

    fn to(&self) -> &Output {
        &self.new.outs[0]
    }
}

impl Repo {
    /// Moves the output `from` to `to`, or into it if that is a folder. `overwrite`: a file that is there already is replaced,
    /// as `mv` does.
    pub fn move_output(&self, from: &str, to: &str, overwrite: bool, progress: &dyn Progress) -> Result<ToCommit> {
        let _working = self.working_lock()?;
        let journal = Journal::at(self);
        if let Some(cut_short) = journal.read()
            && let Some(done) = self.settle(&journal, &cut_short, from, to)?
        {
            return Ok(done);
        }
        let moving = {
            let _lock = self.lock()?;
            let moving = self.plan_move(&self.index()?, from, to)?;
            self.make_way(&[], &[moving.from().path.clone(), moving.to().path.clone()])?;
            moving
        };
        let (source, target) = (moving.from().path.clone(), moving.to().path.clone());
        if !overwrite && target.symlink_metadata().is_ok() {
            return Err(Error::dvc(format!("'{}' exists already", self.show_from_cwd(&target))));
        }
        let tree = self.work_tree(progress)?;
        let mut scm = ScmChanges::new(self);
        if is_kept_from_git(&moving.old, moving.from()) {
            scm.unignore(&source);
        }
        if is_kept_from_git(&moving.new, moving.to()) {
            scm.ignore(&target)?;
        }

        let exists = source.symlink_metadata().is_ok() && !tree.is_ignored(moving.from());
        journal.write(&CutShort {
            from: from.to_owned(),
            to: to.to_owned(),
            source: source.clone(),
            target: target.clone(),
            old_file: moving.old.path.clone(),
            new_file: moving.new.path.clone(),
            old_text: Files::WorkTree.read(&moving.old.path)?.unwrap_or_default(),
            kept_from_git: is_kept_from_git(&moving.new, moving.to()),
        })?;
        if exists {
            rename(&source, &target)?;
            // Nothing refers to the new place yet: a failure leaves all as it was.
            if let Err(error) = tree.take_in_moved(moving.to()) {
                rename(&target, &source)?;
                journal.clear()?;
                return Err(error);
            }
            self.state().forget(&source);
        } else {
            self.warn(format!("'{}' missing", paths::show(&source)));
        }

        let _lock = self.lock()?;
        dvc_file::write(self, &moving.new)?;
        if moving.new.path != moving.old.path {
            dvc_file::remove(&moving.old.path)?;
            scm.track(&moving.old.path);
        }
        scm.track(&moving.new.path);
        let to_commit = scm.finish()?;
        journal.clear()?;
        if exists && moving.to().use_cache {
            self.remember_links(&[(target, None)])?;
        }
        self.state().flush();
        Ok(to_commit)
    }

    /// A move that was killed is brought to an end if its file was written, else taken back. `Some` if it was the one that is
    /// asked for now and is done by that.
    fn settle(&self, journal: &Journal, cut_short: &CutShort, from: &str, to: &str) -> Result<Option<ToCommit>> {
        let _lock = self.lock()?;
        let CutShort { source, target, old_file, new_file, old_text, .. } = cut_short;
        let written = match old_file == new_file {
            true => Files::WorkTree.read(old_file)?.is_some_and(|text| text != *old_text),
            false => new_file.exists(),
        };
        if !written {
            if source.symlink_metadata().is_err() && target.symlink_metadata().is_ok() {
                rename(target, source)?;
            }
            journal.clear()?;
            return Ok(None);
        }
        let mut scm = ScmChanges::new(self);
        if old_file != new_file {
            dvc_file::remove(old_file)?;
            scm.track(old_file);
        }
        if cut_short.kept_from_git {
            scm.unignore(source);
            scm.ignore(target)?;
        }
        scm.track(new_file);
        self.state().forget(source);
        let to_commit = scm.finish()?;
        journal.clear()?;
        Ok((cut_short.from == from && cut_short.to == to).then_some(to_commit))
    }

    /// Finds the stage and makes the new one, with the checks of DVC 3.67 in its order.
    fn plan_move(&self, index: &Index<'_>, from: &str, to: &str) -> Result<Moving> {
        if paths::is_dvc_file_name(Path::new(from)) {
            return Err(Error::dvc(format!("DVC file '{from}' cannot be an output.")));
        }
        let source = self.absolute(Path::new(from));
        let shown = if Path::new(from).is_absolute() { from.to_owned() } else { format!("./{from}") };
        self.refuse_dvcignored(&source, &shown)?;
        if to.is_empty() {
            return Err(Error::dvc("there is no name to move it to"));
        }
        let to = match (self.absolute(Path::new(to)).is_dir(), source.file_name().and_then(|name| name.to_str())) {
            (true, Some(name)) => join(to, name),
            _ => to.to_owned(),
        };
        index.graph()?;
        let found = index
            .stages()?
            .iter()
            .find(|stage| stage.outs.iter().any(|out| out.place != Place::Url && out.path == source));
        let Some(stage) = found else {
            return Err(Error::NoOutput(self.show_from_cwd(&source)));
        };
        let old = Stage::clone(stage);
        if !old.is_data_source() {
            let address = trackway_ini::repr(&old.address(self));
            return Err(Error::dvc(format!(
                "move is not permitted for stages that are not data sources. You need to either move {address} to a new location and edit it by hand, or remove {address} and create a new one at the desired location."
            )));
        }
        let [_] = old.outs.as_slice() else {
            return Err(Error::dvc(format!(
                "'{}' tracks several outputs. Move '{from}' by hand and edit the file.",
                self.show_from_cwd(&old.path)
            )));
        };
        let new = match old.path.file_stem() == source.file_name() {
            true => self.renamed_stage(index, &old, &to)?,
            false => self.same_stage(index, &old, &to)?,
        };
        Ok(Moving { old, new })
    }

    /// The `.dvc` file goes with the data.
    fn renamed_stage(&self, index: &Index<'_>, old: &Stage, to: &str) -> Result<Stage> {
        let (folder, name) =
            to.rsplit_once('/').map_or(("", to), |(folder, name)| (if folder.is_empty() { "/" } else { folder }, name));
        let shown_file =
            format!("{}{DVC_FILE_SUFFIX}", if folder.is_empty() { name.to_owned() } else { join(folder, name) });
        let wdir = self.absolute(Path::new(folder));
        let file = wdir.join(format!("{name}{DVC_FILE_SUFFIX}"));
        self.check_new_file(&file, &wdir)?;
        let mut new =
            Stage::of_dvc_file(self, &file, DvcFile { outs: vec![Out::new(name)], ..DvcFile::default() }, None);
        new.wdir = wdir;
        self.carry_over(old, &mut new)?;
        let ignored = self.dvcignore()?.is_ignored(&file, false);
        if !ignored && Files::WorkTree.kind(&file)?.is_some() {
            return Err(Error::dvc(format!("{} already exists", trackway_ini::repr(&shown_file))));
        }
        let own = new.address(self);
        index.check_with(&[Arc::new(new.clone())]).map_err(|error| match error {
            Error::DuplicateOutput { output, mut stages } => {
                stages.retain(|stage| *stage != own);
                Error::DuplicateOutput { output, stages }
            }
            other => other,
        })?;
        Ok(new)
    }

    /// The `.dvc` file was given another name by hand and stays where it is.
    fn same_stage(&self, index: &Index<'_>, old: &Stage, to: &str) -> Result<Stage> {
        let target = self.absolute(Path::new(to));
        let mut new = old.clone();
        let written = paths::show(&paths::relative(&target, &old.wdir));
        let mut out = Output::new(self, &old.wdir, &written, false);
        self.check_moved_output(&out)?;
        // Stock fails here in the middle of the work.
        match target.parent() {
            Some(folder) if folder.is_dir() => {}
            _ => return Err(Error::dvc(format!("the folder of '{to}' does not exist"))),
        }
        std::mem::swap(&mut out, &mut new.outs[0]);
        carry_over_output(&out, &mut new.outs[0]);
        self.renew_md5(&mut new);
        // Stock looks only afterwards, when the data of another output may be overwritten.
        index.check_with(&[Arc::new(new.clone())])?;
        Ok(new)
    }

    fn carry_over(&self, old: &Stage, new: &mut Stage) -> Result<()> {
        self.check_moved_output(&new.outs[0])?;
        carry_over_output(&old.outs[0], &mut new.outs[0]);
        new.frozen = old.frozen;
        new.always_changed = old.always_changed;
        new.deps = old.deps.clone();
        if let (StageKind::Single { file, .. }, StageKind::Single { file: old_file, .. }) = (&mut new.kind, &old.kind) {
            file.meta = old_file.meta.clone();
            file.desc = old_file.desc.clone();
            file.always_changed = old_file.always_changed;
            file.frozen = old_file.frozen;
            file.deps = old_file.deps.clone();
        }
        self.renew_md5(new);
        Ok(())
    }

    fn check_moved_output(&self, out: &Output) -> Result<()> {
        if paths::is_dvc_file_name(Path::new(&out.def_path)) {
            return Err(Error::dvc(format!("DVC file '{}' cannot be an output.", out.def_path)));
        }
        self.refuse_dvcignored(&out.path, &paths::show(&out.path))?;
        if out.place != Place::Repo {
            return Err(Error::dvc(format!(
                "Cached output(s) outside of DVC project: {}. See <https://dvc.org/doc/user-guide/data-management/importing-external-data> for more info.",
                out.display(self)
            )));
        }
        Ok(())
    }

    fn refuse_dvcignored(&self, path: &Path, shown: &str) -> Result<()> {
        let check = self.dvcignore()?.check(path, path.is_dir());
        if check.ignored {
            let why = check.pattern.unwrap_or_default();
            return Err(Error::dvc(format!("Path '{shown}' is ignored by {why}")));
        }
        Ok(())
    }

    /// Only imports have one.
    fn renew_md5(&self, stage: &mut Stage) {
        let md5 = match stage.is_import() {
            true => stage.to_dvc_file().map(|file| file.stage_md5()),
            false => None,
        };
        if let StageKind::Single { file, .. } = &mut stage.kind {
            file.md5 = md5;
        }
    }
}

impl WorkTree<'_> {
    /// Puts what was moved into the cache and links it. As DVC 3.67 the record stays what it was: a change that was not
    /// committed before is none that a move commits.
    fn take_in_moved(&self, out: &Output) -> Result<()> {
        let is_empty = match std::fs::metadata(&out.path) {
            Ok(meta) if meta.is_dir() => {
                std::fs::read_dir(&out.path).map_err(|error| Error::io(&out.path, error))?.next().is_none()
            }
            Ok(meta) => meta.len() == 0,
            Err(error) => return Err(Error::io(&out.path, error)),
        };
        if is_empty {
            self.repo.warn(format!("'{}' is empty.", out.display(self.repo)));
        }
        if !out.use_cache {
            return Ok(());
        }
        let scanning = self.scan_options(out.hash_name)?;
        let saving = SaveOptions { relink: true, state: self.repo.state(), progress: self.progress };
        let cache = self.repo.cache(out.hash_name)?;
        match scan_into(&out.path, &scanning, cache, &saving) {
            Err(trackway_store::Error::Unlinkable { .. }) => {
                if let Some(content) = scan(&out.path, &scanning)? {
                    save(&out.path, &content, cache, &SaveOptions { relink: false, ..saving })?;
                }
                Err(Error::CacheLink(vec![out.path.display().to_string()]))
            }
            other => {
                other?;
                Ok(cache.flush()?)
            }
        }
    }
}

/// What is recorded of the data, and all that a person wrote about it.
fn carry_over_output(old: &Output, new: &mut Output) {
    let Output { def_path, path, place, .. } = std::mem::replace(new, old.clone());
    (new.def_path, new.path, new.place) = (def_path, path, place);
}

/// Whether `.gitignore` has a line for it.
fn is_kept_from_git(stage: &Stage, out: &Output) -> bool {
    out.is_in_repo() && (out.use_cache || stage.is_repo_import())
}

/// As Python's `os.path.join`, letter by letter: messages show it.
fn join(folder: &str, name: &str) -> String {
    if folder.ends_with('/') { format!("{folder}{name}") } else { format!("{folder}/{name}") }
}

/// Moves a file, a link or a folder; between file systems by a copy.
fn rename(from: &Path, to: &Path) -> Result<()> {
    let failed = |error| Error::io(from, error);
    // Seen from elsewhere a relative link leads elsewhere: as in DVC 3.67 it becomes the file it leads to.
    if let Ok(leads) = std::fs::read_link(from)
        && leads.is_relative()
        && from.is_file()
    {
        std::fs::copy(from, to).map_err(failed)?;
        return delete(from);
    }
    match std::fs::rename(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            copy(from, to).inspect_err(|_| drop(delete(to)))?;
            delete(from)
        }
        Err(error) => Err(failed(error)),
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = |error| Error::io(from, error);
    let mut waiting: Vec<(PathBuf, PathBuf)> = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = waiting.pop() {
        let meta = from.symlink_metadata().map_err(failed)?;
        if meta.is_dir() {
            std::fs::create_dir(&to).map_err(failed)?;
            for entry in std::fs::read_dir(&from).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                waiting.push((entry.path(), to.join(entry.file_name())));
            }
        } else if meta.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&from).map_err(failed)?, &to).map_err(failed)?;
        } else {
            std::fs::copy(&from, &to).map_err(failed)?;
        }
    }
    Ok(())
}

/// What a move was about to do, kept while it does it.
#[derive(Serialize, Deserialize)]
struct CutShort {
    /// As the person named them.
    from: String,
    to: String,
    source: PathBuf,
    target: PathBuf,
    old_file: PathBuf,
    new_file: PathBuf,
    old_text: Vec<u8>,
    kept_from_git: bool,
}

struct Journal(PathBuf);

impl Journal {
    fn at(repo: &Repo) -> Journal {
        Journal(repo.own_dir().join("move.json"))
    }

    /// What a killed move left. A file that cannot be understood is no journal of ours.
    fn read(&self) -> Option<CutShort> {
        serde_json::from_slice(&std::fs::read(&self.0).ok()?).ok()
    }

    fn write(&self, cut_short: &CutShort) -> Result<()> {
        // A path that is not UTF-8 has no JSON; such a move is not kept.
        let Ok(json) = serde_json::to_vec(cut_short) else { return Ok(()) };
        write::replace(&self.0, &json)
    }

    fn clear(&self) -> Result<()> {
        dvc_file::remove(&self.0)
    }
}
