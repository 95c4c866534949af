//! A repository as one tree: the files of its work tree or of a commit, and what DVC tracks, there or not.
//!
//! `list`, `du` and `get` look at repositories this way: the one around them or another one, and the repositories inside of
//! it, each with its own `.dvcignore` and its own outputs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, OnceLock};

use trackway_git::{Git, GitTree};
use trackway_store::{Hash, Tree};

use crate::config::{Environment, Overrides};
use crate::error::{Error, Result};
use crate::files::{FileStat, Files};
use crate::ignore::DvcIgnore;
use crate::index::{Follow, Index};
use crate::output::Output;
use crate::paths::{self, DVC_DIR};
use crate::repo::{Repo, find_root};
use crate::used;

/// A repository to look at.
pub struct Browser {
    /// Of a repository that had to be cloned; removed with this.
    _clone: Option<tempfile::TempDir>,
    root: PathBuf,
    /// Where relative paths begin.
    start: PathBuf,
    files: Files,
    environment: Environment,
    overrides: Overrides,
    /// The repositories met so far, by their roots.
    repos: RefCell<BTreeMap<PathBuf, Arc<Tracked>>>,
}

/// Which repository, and how its configuration is to be changed for this command.
#[derive(Clone, Debug, Default)]
pub struct Elsewhere {
    pub url: PathBuf,
    /// `None` is the work tree.
    pub rev: Option<String>,
    pub overrides: Overrides,
}

/// What DVC tracks in one repository.
pub struct Tracked {
    pub repo: Repo,
    ignore: DvcIgnore,
    outs: Vec<Out>,
}

/// An output in the cache.
pub struct Out {
    pub path: PathBuf,
    pub hash: Option<Hash>,
    pub size: Option<u64>,
    pub is_dir: bool,
    pub remote: Option<String>,
    listed: Option<Tree>,
    read: OnceLock<Option<Tree>>,
}

/// What is known of a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    pub is_dir: bool,
    pub size: Option<u64>,
    pub is_exec: bool,
    /// Among the files of the work tree or the commit.
    pub is_file_here: bool,
    /// DVC knows it: an output, in one, or on the way to one.
    pub tracked: Option<TrackedInfo>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TrackedInfo {
    /// An output or in one.
    pub is_out: bool,
    pub hash: Option<Hash>,
    /// What a `.dvc` records of a folder.
    pub size: Option<u64>,
    is_dir: bool,
}

impl Browser {
    /// Opens what lies at a path of this machine, or else a clone of what is at a URL.
    pub fn open(elsewhere: &Elsewhere, environment: &Environment) -> Result<Browser> {
        let path = paths::absolute(&elsewhere.url, &environment.cwd);
        if let Ok(url) = std::fs::canonicalize(&path) {
            return Browser::open_path(&url, elsewhere.rev.as_deref(), None, elsewhere, environment);
        }
        let clone = tempfile::Builder::new().prefix("tmp").suffix("dvc-clone").rand_bytes(8).tempdir();
        let clone = clone.map_err(|error| Error::io(&std::env::temp_dir(), error))?;
        let url = elsewhere.url.to_string_lossy();
        if let Err(error) = Git::clone_without_files(&elsewhere.url, clone.path()) {
            let reason = match (url.contains(':'), error) {
                (true, trackway_git::Error::Program { reason, .. }) => reason,
                _ => format!("No git repository was found at {url}"),
            };
            let place = clone.path().display();
            return Err(Error::Clone(format!("SCM error: Failed to clone repo '{url}' to '{place}': {reason}")));
        }
        let place = std::fs::canonicalize(clone.path()).map_err(|error| Error::io(clone.path(), error))?;
        let rev = elsewhere.rev.as_deref().unwrap_or("HEAD");
        Browser::open_path(&place, Some(rev), Some(clone), elsewhere, environment)
    }

    fn open_path(
        url: &Path,
        rev: Option<&str>,
        clone: Option<tempfile::TempDir>,
        elsewhere: &Elsewhere,
        environment: &Environment,
    ) -> Result<Browser> {
        let (root, files) = match rev {
            // As DVC 3.67: of a commit all is seen, from the top of the work tree.
            Some(rev) => {
                let git = Git::discover(url)?;
                let git = git.ok_or_else(|| Error::dvc(format!("{} is not a git repository", url.display())))?;
                let tree: GitTree = git.tree(git.resolve(rev)?)?;
                (git.root().to_owned(), Files::of_commit(tree, git.root()))
            }
            None => match find_root(url) {
                Ok(root) => (root, Files::WorkTree),
                Err(_) => (Git::discover(url)?.map_or(url.to_owned(), |git| git.root().to_owned()), Files::WorkTree),
            },
        };
        let is_inside = files.is_work_tree() && environment.cwd.starts_with(&root);
        let start = if is_inside { environment.cwd.clone() } else { root.clone() };
        Ok(Browser {
            _clone: clone,
            root,
            start,
            files,
            environment: environment.clone(),
            overrides: elsewhere.overrides.clone(),
            repos: RefCell::default(),
        })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where relative paths begin: where the person stands, if that is in the repository.
    pub fn start(&self) -> &Path {
        &self.start
    }

    pub fn files(&self) -> &Files {
        &self.files
    }

    /// A path as it was typed, as one in the repository. `..` does not lead out of it.
    pub fn path(&self, typed: &Path) -> PathBuf {
        let base = if typed.is_absolute() { Path::new("") } else { &self.start };
        let joined = base.join(typed);
        let Ok(inner) = joined.strip_prefix(&self.root) else { return self.root.clone() };
        let mut path = self.root.clone();
        for part in inner.components() {
            match part {
                Component::Normal(name) => path.push(name),
                Component::ParentDir if path != self.root => {
                    path.pop();
                }
                _ => {}
            }
        }
        path
    }

    /// A path's names as Python shows a tuple of them: `('d', 'a')`, and `('d',)` of one.
    pub fn key(&self, path: &Path) -> String {
        let names = path.strip_prefix(&self.root).unwrap_or(path).components();
        let names: Vec<String> = names.map(|name| trackway_ini::repr(&name.as_os_str().to_string_lossy())).collect();
        match names.as_slice() {
            [one] => format!("({one},)"),
            _ => format!("({})", names.join(", ")),
        }
    }

    /// The repository that a path lies in: the innermost folder with a `.dvc`.
    pub fn tracked(&self, path: &Path) -> Result<Arc<Tracked>> {
        let mut root = self.root.clone();
        for above in path.ancestors().take_while(|above| *above != self.root) {
            if self.files.stat(&above.join(DVC_DIR))?.is_some_and(|stat| stat.is_dir) {
                root = above.to_owned();
                break;
            }
        }
        if let Some(known) = self.repos.borrow().get(&root) {
            return Ok(known.clone());
        }
        let overrides = if root == self.root { self.overrides.clone() } else { Overrides::default() };
        let repo = Repo::open_with(&root, &self.environment, &overrides)?;
        let has_dvc = self.files.stat(&root.join(DVC_DIR))?.is_some();
        let outs = if has_dvc { self.outs(&repo)? } else { Vec::new() };
        let tracked = Tracked { ignore: DvcIgnore::of(&root, self.files.clone())?, repo, outs };
        let tracked = Arc::new(tracked);
        self.repos.borrow_mut().insert(root, tracked.clone());
        Ok(tracked)
    }

    fn outs(&self, repo: &Repo) -> Result<Vec<Out>> {
        let index = match &self.files {
            Files::WorkTree => Index::of_work_tree(repo)?,
            files => Index::of_commit(repo, files.clone(), "")?,
        };
        let selected = index.select(None, Follow::default())?;
        let outs = selected.iter().flat_map(|one| one.stage.outs.iter());
        let mut outs: Vec<Out> = outs.filter(|out| out.use_cache && out.is_in_repo()).map(Out::of).collect();
        outs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(outs)
    }

    /// What is at a path; `None` if nothing is.
    pub fn info(&self, path: &Path) -> Result<Option<Info>> {
        let tracked = self.tracked(path)?;
        let stat = self.files.stat(path)?.filter(|_| !tracked.ignore.is_ignored_among_files(path));
        let mut known = tracked.info(path)?;
        if stat.is_none() && known.is_some() {
            // As DVC 3.67: where a file stands in the place of a folder above, nothing can be below it.
            let above = path.ancestors().skip(1).take_while(|above| above.starts_with(&self.root));
            for above in above {
                if self.files.stat(above)?.is_some_and(|stat| !stat.is_dir) {
                    known = None;
                    break;
                }
            }
        }
        Ok(Info::of(stat, known))
    }

    /// What is in a folder, by name. A file is listed as itself, without a name.
    pub fn list(&self, dir: &Path, dvc_only: bool) -> Result<Option<BTreeMap<OsString, Info>>> {
        let tracked = self.tracked(dir)?;
        let known = tracked.info(dir)?;
        let stat = if dvc_only { None } else { self.files.stat(dir)? };
        let mut both: BTreeMap<OsString, (Option<FileStat>, Option<TrackedInfo>)> = BTreeMap::new();
        match &known {
            Some(info) if stat.as_ref().is_none_or(|stat| stat.is_dir == info.is_dir) => match info.is_dir {
                true => both.extend(tracked.list(dir)?.into_iter().map(|(name, info)| (name, (None, Some(info))))),
                false => drop(both.insert(OsString::new(), (None, known.clone()))),
            },
            _ => {}
        }
        match &stat {
            Some(stat) if stat.is_dir => {
                for (name, kind) in self.files.list(dir)? {
                    let path = dir.join(&name);
                    let Some(found) = self.files.stat_listed(&path, kind)? else { continue };
                    if !tracked.ignore.skip(dir, &name, found.is_dir) {
                        both.entry(name).or_default().0 = Some(found);
                    }
                }
            }
            Some(_) => both.entry(OsString::new()).or_default().0 = stat,
            None => {}
        }
        if stat.is_none() && known.is_none() {
            return Ok(None);
        }
        if let Some(out) = tracked.out_at(dir).filter(|out| stat.is_none() && out.is_dir && tracked.tree(out).is_none())
        {
            // Nobody is to take it for an empty folder.
            let place =
                out.hash.map(|hash| tracked.repo.cache(hash.name).map(|cache| cache.path(&hash.oid))).transpose()?;
            return Err(Error::unforeseen(format!(
                "failed to load directory {}: [Errno 2] No such file or directory: '{}'",
                self.key(&out.path),
                place.unwrap_or_default().display()
            )));
        }
        let infos = both.into_iter().filter_map(|(name, (stat, known))| Some((name, Info::of(stat, known)?)));
        Ok(Some(infos.collect()))
    }
}

impl Info {
    fn of(stat: Option<FileStat>, tracked: Option<TrackedInfo>) -> Option<Info> {
        let (is_dir, size) = match (&stat, &tracked) {
            (Some(stat), _) => (stat.is_dir, Some(stat.size)),
            (None, Some(known)) => (known.is_dir, known.size),
            (None, None) => return None,
        };
        let is_exec = stat.is_some_and(|stat| !stat.is_dir && stat.is_exec);
        Some(Info { is_dir, size, is_exec, is_file_here: stat.is_some(), tracked })
    }

    pub fn is_out(&self) -> bool {
        self.tracked.as_ref().is_some_and(|tracked| tracked.is_out)
    }

    pub fn hash(&self) -> Option<Hash> {
        self.tracked.as_ref()?.hash
    }
}

impl Out {
    fn of(out: &Output) -> Out {
        let listed = out.files.as_deref().and_then(used::listed);
        let hash = out.hash();
        Out {
            path: out.path.clone(),
            hash,
            size: out.info.size,
            is_dir: listed.is_some() || hash.is_some_and(|hash| hash.oid.is_dir()),
            remote: out.remote.clone(),
            listed,
            read: OnceLock::new(),
        }
    }
}

impl Tracked {
    /// The output that a path is or lies in.
    pub fn out_at(&self, path: &Path) -> Option<&Out> {
        self.outs.iter().find(|out| path.starts_with(&out.path))
    }

    /// The files of a folder. As DVC 3.67, whatever the reason that its list is not to be had, there are none then.
    fn tree<'a>(&self, out: &'a Out) -> Option<&'a Tree> {
        if out.listed.is_some() {
            return out.listed.as_ref();
        }
        out.read.get_or_init(|| self.repo.list_of_folder(out.hash?, out.remote.as_deref())).as_ref()
    }

    fn info(&self, path: &Path) -> Result<Option<TrackedInfo>> {
        let plain_folder = |is_out, size| TrackedInfo { is_out, hash: None, size, is_dir: true };
        if let Some(out) = self.out_at(path) {
            let inner = path.strip_prefix(&out.path).map_or(&b""[..], |inner| inner.as_os_str().as_bytes());
            if inner.is_empty() {
                return Ok(Some(TrackedInfo { is_out: true, hash: out.hash, size: out.size, is_dir: out.is_dir }));
            }
            let Some(tree) = out.is_dir.then(|| self.tree(out)).flatten() else { return Ok(None) };
            return Ok(match tree.get(inner) {
                Some(oid) => {
                    let hash = out.hash.map(|hash| Hash { name: hash.name, oid });
                    Some(TrackedInfo { is_out: true, hash, size: None, is_dir: false })
                }
                None => tree.has_dir(inner).then(|| plain_folder(true, None)),
            });
        }
        if path == self.repo.root() {
            return Ok(Some(plain_folder(false, Some(0))));
        }
        Ok(self.outs.iter().any(|out| out.path.starts_with(path)).then(|| plain_folder(false, None)))
    }

    fn list(&self, dir: &Path) -> Result<BTreeMap<OsString, TrackedInfo>> {
        let mut found = BTreeMap::new();
        if let Some(out) = self.out_at(dir) {
            let inner = dir.strip_prefix(&out.path).map_or(&b""[..], |inner| inner.as_os_str().as_bytes());
            let Some(tree) = self.tree(out).and_then(|tree| tree.subtree(inner)) else { return Ok(found) };
            for entry in tree.iter() {
                let (name, info) = match entry.path.iter().position(|byte| *byte == b'/') {
                    Some(end) => {
                        (&entry.path[..end], TrackedInfo { is_out: true, hash: None, size: None, is_dir: true })
                    }
                    None => {
                        let hash = out.hash.map(|hash| Hash { name: hash.name, oid: entry.oid });
                        (entry.path, TrackedInfo { is_out: true, hash, size: None, is_dir: false })
                    }
                };
                found.entry(OsString::from_vec(name.to_vec())).or_insert(info);
            }
            return Ok(found);
        }
        for out in &self.outs {
            let Ok(inner) = out.path.strip_prefix(dir) else { continue };
            let Some(Component::Normal(name)) = inner.components().next() else { continue };
            if let Some(info) = self.info(&dir.join(name))? {
                found.insert(name.to_owned(), info);
            }
        }
        Ok(found)
    }
}

/// `.dvc`, `dvc.yaml` and `.dvcignore`, which are no data.
pub fn is_of_dvc(name: &std::ffi::OsStr) -> bool {
    paths::is_dvc_file_name(Path::new(name)) || name == crate::ignore::FILE_NAME
}
