//! `add`: puts files and folders under DVC's control.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use trackway_dvcfile::{DvcFile, Out};
use trackway_store::{Content, Hash, HashName, Progress, Replacement, SaveOptions, Tree, save, scan, scan_into};

use crate::dvc_file;
use crate::error::{Error, Result};
use crate::files;
use crate::index::{Index, refuse_output};
use crate::output::{Output, Place, Recorded};
use crate::paths::{self, DVC_FILE_SUFFIX};
use crate::repo::Repo;
use crate::scm::{ScmChanges, ToCommit};
use crate::stage::Stage;
use crate::worktree::WorkTree;

#[derive(Clone, Copy, Debug, Default)]
pub struct AddOptions {
    /// Record, but leave the cache as it is.
    pub no_commit: bool,
    /// Targets are patterns.
    pub glob: bool,
    /// Do not replace the work tree's files by links to the cache.
    pub no_relink: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Added {
    /// The `.dvc` files, as seen from where the person stands.
    pub files: Vec<String>,
    /// Those whose outputs could not be linked to the cache; all else was done.
    pub link_failures: Vec<String>,
    pub to_commit: ToCommit,
}

/// A target and what tracks it.
pub(crate) struct Adding {
    /// Absolute.
    pub path: PathBuf,
    pub stage: Stage,
    /// The number of the stage's output that is `path` or contains it.
    pub out: usize,
    /// What lies there, once it was looked at.
    pub content: Option<Content>,
}

impl Repo {
    pub fn add(&self, targets: &[String], options: AddOptions, progress: &dyn Progress) -> Result<Added> {
        let targets = if options.glob { expand(self.cwd(), targets)? } else { targets.to_vec() };
        let _working = self.working_lock()?;
        let mut adding = self.plan_add(&targets, false)?;

        let mut scm = ScmChanges::new(self);
        let mut added = Added::default();
        let tree = self.work_tree(progress)?;
        let mut outcome = Ok(());
        let mut done = 0;
        for one in &mut adding {
            match tree.add(one, options, &mut scm) {
                Ok(true) => {}
                Ok(false) => added.link_failures.push(self.show_from_cwd(&one.stage.path)),
                Err(error) => {
                    outcome = Err(missing_file(error));
                    break;
                }
            }
            done += 1;
        }
        // As DVC 3.67: what was added before something failed is recorded, but git is not told of it.
        adding.truncate(done);
        self.flush_caches_of(adding.iter().map(|one| &one.stage.outs[one.out]))?;
        let _lock = self.lock()?;
        dvc_file::write_all(self, adding.iter().map(|one| &one.stage))?;
        for one in &adding {
            scm.track(&one.stage.path);
            added.files.push(self.show_from_cwd(&one.stage.path));
        }
        if !options.no_commit && !options.no_relink {
            self.remember_links(&adding.into_iter().map(|one| (one.path, one.content)).collect::<Vec<_>>())?;
        }
        outcome?;
        added.to_commit = scm.finish()?;
        Ok(added)
    }

    /// Finds or makes the stages, under DVC's lock; bytes are only read after it was given back.
    pub(crate) fn plan_add(&self, targets: &[String], always_here: bool) -> Result<Vec<Adding>> {
        let _lock = self.lock()?;
        let index = self.index()?;
        let mut adding: Vec<Adding> = Vec::new();
        for target in targets {
            let one = self.stage_for(&index, target, always_here)?;
            if !adding.iter().any(|other| other.path == one.path) {
                adding.push(one);
            }
        }
        check_graph(&index, &adding)?;
        let writes: Vec<_> = adding.iter().flat_map(|one| one.stage.outs.iter().map(|out| out.path.clone())).collect();
        // Taken and given back: whoever works on these paths right now comes first.
        self.make_way(&[], &writes)?;
        Ok(adding)
    }

    /// The stage whose output contains the target, or a new one beside it.
    fn stage_for(&self, index: &Index<'_>, target: &str, always_here: bool) -> Result<Adding> {
        let path = self.absolute(Path::new(target));
        if let Some(found) = index.output_at(&path)? {
            let stage = (*found.stage).clone();
            if !stage.is_data_source() {
                return Err(Error::dvc(format!(
                    "cannot update '{}': overlaps with an output of {} in '{}'.\nRun the pipeline or use 'dvc commit' to force update it.",
                    path.file_name().unwrap_or_default().to_string_lossy(),
                    stage.display(self),
                    self.show_from_cwd(&stage.path)
                )));
            }
            let out = stage.outs.iter().position(|out| paths::is_in_or_eq(&path, &out.path)).unwrap_or(0);
            return Ok(Adding { path, stage, out, content: None });
        }
        let stage = self.new_stage(index, target, &path, always_here)?;
        Ok(Adding { path, stage, out: 0, content: None })
    }

    /// A stage for something that is not tracked yet, after the checks that DVC 3.67 makes, in its order.
    ///
    /// `always_here`: what lies elsewhere gets a place in the current folder, under its own name.
    pub(crate) fn new_stage(&self, index: &Index<'_>, target: &str, path: &Path, always_here: bool) -> Result<Stage> {
        let folder = path.parent().unwrap_or(path);
        let in_repo = paths::is_in_or_eq(path, self.root());
        let (wdir, written) = if in_repo {
            if !paths::is_in_or_eq(folder, self.root()) {
                return Err(Error::dvc(format!(
                    "Path: {} does not overlap with base path: {}",
                    paths::show(folder),
                    paths::show(self.root())
                )));
            }
            if has_symlink_up_to(folder, self.root()) || (path.is_symlink() && path.is_dir()) {
                return Err(Error::dvc(
                    "Cannot add files inside symlinked directories to DVC. See <https://dvc.org/doc/user-guide/troubleshooting#add-symlink> for more information.",
                ));
            }
            (folder.to_owned(), path.file_name().unwrap_or_default().to_owned())
        } else if always_here {
            (self.cwd().to_owned(), path.file_name().unwrap_or_default().to_owned())
        } else {
            (self.cwd().to_owned(), target.into())
        };
        let written = written.into_string().map_err(|name| {
            Error::dvc(format!(
                "'{}' cannot be added: its name is not UTF-8, and a '.dvc' file cannot hold it. Rename it, or add the folder it lies in.",
                name.to_string_lossy()
            ))
        })?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(DVC_FILE_SUFFIX);
        let file = wdir.join(name);
        self.check_new_file(&file, &wdir)?;

        let mut stage =
            Stage::of_dvc_file(self, &file, DvcFile { outs: vec![Out::new(written)], ..DvcFile::default() }, None);
        let out = &stage.outs[0];
        refuse_output(&*self.dvcignore()?, out)?;
        if out.place != Place::Repo {
            return Err(Error::dvc(format!(
                "Cached output(s) outside of DVC project: {}. See <https://dvc.org/doc/user-guide/data-management/importing-external-data> for more info.",
                out.display(self)
            )));
        }
        // What a file of that name says beside its outputs is kept.
        if files::Files::WorkTree.kind(&file)?.is_some()
            && let Some(old) = index.load(&file)?.into_iter().next()
        {
            stage = restore(stage, &old);
        }
        Ok(stage)
    }

    /// Whether a `.dvc` file may be written here.
    pub(crate) fn check_new_file(&self, file: &Path, wdir: &Path) -> Result<()> {
        if let Some(git) = self.git()?
            && git.is_ignored(file, false)?
        {
            return Err(Error::dvc(format!("bad DVC file name '{}' is git-ignored.", self.show_from_cwd(file))));
        }
        let complain = |why: &str| Err(Error::dvc(format!("stage working dir '{}' {why}", paths::show(wdir))));
        match std::fs::metadata(wdir) {
            Err(_) => complain("does not exist"),
            Ok(meta) if !meta.is_dir() => complain("is not directory"),
            Ok(_) if !paths::is_in_or_eq(wdir, self.root()) => complain("is outside of DVC repo"),
            Ok(_) => Ok(()),
        }
    }
}

impl WorkTree<'_> {
    /// Hashes what is at the target, and puts it into the cache. `false`: it could not be linked back.
    fn add(&self, adding: &mut Adding, options: AddOptions, scm: &mut ScmChanges<'_>) -> Result<bool> {
        let whole = adding.path == adding.stage.outs[adding.out].path;
        let out = &mut adding.stage.outs[adding.out];
        if out.has_record() && !out.is_dir_record() && !whole {
            return Err(Error::dvc(format!(
                "Cannot modify '{}' which is being tracked as a file",
                out.display(self.repo)
            )));
        }
        // A hash of DVC 2 is kept as long as it is true.
        if out.hash_name == HashName::Md5Dos2Unix && self.change(out)?.is_some() {
            out.hash_name = HashName::Md5;
        }
        if out.use_cache {
            scm.ignore(&out.path)?;
        }
        let (found, linked) = self.take_in(&adding.path, out, options)?;
        adding.content = found.clone();
        match found {
            Some(content) if whole => {
                let hash = Hash { name: out.hash_name, oid: content.oid() };
                let before = out.before();
                out.set(hash, Some(content.size()), content.nfiles(), content.is_exec());
                crate::commit::keep_versions(out, before, &content);
            }
            Some(content) => self.put_part(out, &adding.path, &content, options)?,
            None if whole && out.path.is_symlink() => return Err(no_such_file(&out.path)),
            None if whole || !self.exists(out) => {
                let why = no_such_file(&adding.path);
                return Err(Error::Missing(format!("output '{}' does not exist: {why}", out.display(self.repo))));
            }
            None => self.take_part_away(out, &adding.path, options)?,
        }
        Ok(linked)
    }

    /// The content of a path, by then in the cache unless that is not wanted.
    fn take_in(&self, path: &Path, out: &Output, options: AddOptions) -> Result<(Option<Content>, bool)> {
        let scanning = self.scan_options(out.hash_name)?;
        if options.no_commit || !out.use_cache {
            return Ok((scan(path, &scanning)?, true));
        }
        let saving = SaveOptions { relink: !options.no_relink, state: self.repo.state(), progress: self.progress };
        match scan_into(path, &scanning, self.repo.cache(out.hash_name)?, &saving) {
            Ok(content) => Ok((content, true)),
            Err(trackway_store::Error::Unlinkable { .. }) if !options.no_relink => {
                // The objects are safe; only the links are not as configured.
                let cache = self.repo.cache(out.hash_name)?;
                let put = |content| save(path, &content, cache, &SaveOptions { relink: false, ..saving });
                Ok((scan(path, &scanning)?.map(put).transpose()?, false))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A file or folder inside a tracked folder was added: the folder's list gets it.
    fn put_part(&self, out: &mut Output, path: &Path, content: &Content, options: AddOptions) -> Result<()> {
        let old = self.recorded_tree(out)?;
        let inner = inner_path(out, path);
        let had = old.get(inner).is_some() || old.has_dir(inner);
        let subtree = content.tree();
        let with = match &subtree {
            Some(tree) => Replacement::Tree(tree),
            None => Replacement::File(content.oid()),
        };
        let new = old.replace(inner, with)?;
        // As DVC 3.67: the size is known only when nothing was replaced, or nothing changed.
        let size = match (&out.recorded, out.info.size) {
            (_, Some(size)) if !had && size > 0 => Some(size + content.size()),
            (Recorded::Object(hash), size) if hash.oid == new.oid() => size,
            _ => None,
        };
        self.record_tree(out, &new, size, options)
    }

    fn take_part_away(&self, out: &mut Output, path: &Path, options: AddOptions) -> Result<()> {
        let old = self.recorded_tree(out)?;
        let inner = inner_path(out, path);
        if old.get(inner).is_none() && !old.has_dir(inner) {
            return Err(no_such_file(path));
        }
        let new = old.replace(inner, Replacement::Nothing)?;
        self.record_tree(out, &new, None, options)
    }

    fn record_tree(&self, out: &mut Output, tree: &Tree, size: Option<u64>, options: AddOptions) -> Result<()> {
        if !options.no_commit && out.use_cache {
            self.repo.cache(out.hash_name)?.put_tree(tree)?;
        }
        let before = out.before();
        out.set(Hash { name: out.hash_name, oid: tree.oid() }, size, Some(tree.len() as u64), false);
        let cache = self.repo.cache(out.hash_name)?;
        out.keep_versions(before, Some(tree), &|_, oid| cache.size(oid).ok().flatten());
        Ok(())
    }

    fn recorded_tree(&self, out: &Output) -> Result<Arc<Tree>> {
        if let Some(tree) = out.listed() {
            return Ok(Arc::new(tree));
        }
        match &out.recorded {
            Recorded::Nothing => Ok(Arc::new(Tree::default())),
            Recorded::Object(hash) => Ok(Arc::new(self.repo.cache(hash.name)?.read_tree(&hash.oid)?)),
            Recorded::Unusable(text) => Err(Error::dvc(format!("could not read '{text}'"))),
        }
    }
}

/// As Python says it.
pub(crate) fn no_such_file(path: &Path) -> Error {
    Error::Missing(format!("[Errno 2] No such file or directory: '{}'", paths::show(path)))
}

/// `add` expects that a file may be missing (a link inside of a folder that leads nowhere); other commands do not.
pub(crate) fn missing_file(error: Error) -> Error {
    match error {
        Error::Store(trackway_store::Error::Io { path, source, .. })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            no_such_file(&path)
        }
        other => other,
    }
}

fn inner_path<'p>(out: &Output, path: &'p Path) -> &'p [u8] {
    use std::os::unix::ffi::OsStrExt;
    path.strip_prefix(&out.path).unwrap_or(path).as_os_str().as_bytes()
}

/// What the old stage says that has nothing to do with its data.
fn restore(mut stage: Stage, old: &Stage) -> Stage {
    if let (
        crate::stage::StageKind::Single { file, text },
        crate::stage::StageKind::Single { file: old_file, text: old_text },
    ) = (&mut stage.kind, &old.kind)
    {
        file.meta = old_file.meta.clone();
        file.desc = old_file.desc.clone();
        *text = old_text.clone();
    }
    for out in &mut stage.outs {
        if let Some(old) = old.outs.iter().find(|old| old.def_path == out.def_path) {
            out.annotations = old.annotations.clone();
            out.remote = old.remote.clone();
            out.can_push = old.can_push;
        }
    }
    stage
}

/// The whole repository must still make sense with the new stages. What is wrong is told in terms of the target.
fn check_graph(index: &Index<'_>, adding: &[Adding]) -> Result<()> {
    let stages: Vec<_> = adding.iter().map(|one| Arc::new(one.stage.clone())).collect();
    index.check_with(&stages).map_err(|error| match error {
        Error::Overlap { parent, child, .. } => {
            let is_ours = stages.iter().any(|stage| stage.outs.iter().any(|out| out.path == parent.path));
            let message = match is_ours {
                true => format!(
                    "Cannot add '{}', because it is overlapping with other DVC tracked output: '{}'.\nTo include '{}' in '{}', run 'dvc remove {}' and then 'dvc add {}'",
                    parent.output, child.output, child.output, parent.output, child.stage, parent.output
                ),
                false => format!(
                    "Cannot add '{}', because it is overlapping with other DVC tracked output: '{}'.\nTo include '{}' in '{}', run 'dvc commit {}'",
                    child.output, parent.output, child.output, parent.output, parent.stage
                ),
            };
            Error::Overlap { parent, child, message }
        }
        Error::DuplicateOutput { output, stages: addresses } => {
            let ours: Vec<_> = stages.iter().map(|stage| stage.address(index.repo())).collect();
            Error::DuplicateOutput { output, stages: addresses.into_iter().filter(|other| !ours.contains(other)).collect() }
        }
        other => other,
    })
}

/// Whether one of the folders from `folder` up to below `root` is a symbolic link.
fn has_symlink_up_to(folder: &Path, root: &Path) -> bool {
    folder.ancestors().take_while(|dir| *dir != root).any(Path::is_symlink)
}

pub(crate) use crate::patterns::expand;
