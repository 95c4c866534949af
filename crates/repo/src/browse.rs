//! A repository as one tree: the files of its work tree or of a commit, and what DVC tracks, there or not.
//!
//! `list`, `du` and `get` look at repositories this way: the one around them or another one, and the repositories inside of
//! it, each with its own `.dvcignore` and its own outputs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use trackway_dvcfile::Dep;
use trackway_git::{Clones, CommitId, Git, GitTree, clones};
use trackway_store::{Depot, Hash, HashName, Layout, Tree};

use crate::config::{Config, ConfigError, ConfigValue, Environment, Overrides, Table};
use crate::error::{Error, Result};
use crate::files::{FileStat, Files};
use crate::ignore::DvcIgnore;
use crate::imports;
use crate::index::{Follow, Index};
use crate::output::{Dependency, Output};
use crate::paths::{self, DVC_DIR};
use crate::repo::{Repo, find_root};
use crate::site_cache;
use crate::stage::Stage;
use crate::used;

/// A repository to look at.
pub struct Browser {
    root: PathBuf,
    /// Where relative paths begin.
    start: PathBuf,
    files: Files,
    /// The commit that is looked at, or that is checked out.
    commit: Option<CommitId>,
    /// Only a clone is here, without a cache and without settings that are not committed.
    is_clone: bool,
    elsewhere: Elsewhere,
    environment: Environment,
    /// The repositories met so far, by their roots.
    repos: Mutex<BTreeMap<PathBuf, Arc<Tracked>>>,
}

/// Which repository, and how its configuration is to be changed for this command.
#[derive(Clone, Debug, Default)]
pub struct Elsewhere {
    pub url: PathBuf,
    /// `None` is the work tree.
    pub rev: Option<String>,
    pub overrides: Overrides,
    /// A cache to look into before that of the repository.
    pub cache_dir: Option<PathBuf>,
    /// How many imports led here.
    pub depth: usize,
}

/// Imports from repositories that import themselves are followed so far.
const DEEPEST: usize = 32;

/// What DVC tracks in one repository.
pub struct Tracked {
    pub repo: Repo,
    /// Its own cache, where `repo` was given another.
    own_cache: Option<PathBuf>,
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
    import: Option<Box<Import>>,
}

/// Where an output was imported from.
struct Import {
    dep: Dep,
    cache_dir: Option<PathBuf>,
    depth: usize,
    environment: Environment,
    opened: OnceLock<Option<Browser>>,
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
    /// Opens what lies at a path of this machine, or else the cached clone of what is at a URL.
    pub fn open(elsewhere: &Elsewhere, environment: &Environment) -> Result<Browser> {
        if elsewhere.depth > DEEPEST {
            return Err(Error::dvc(format!(
                "the imports of '{}' lead from repository to repository more than {DEEPEST} times; they may go in a circle.",
                clones::without_password(&elsewhere.url.to_string_lossy())
            )));
        }
        let path = paths::absolute(&elsewhere.url, &environment.cwd);
        if let Ok(url) = std::fs::canonicalize(&path) {
            return Browser::open_path(&url, elsewhere, environment);
        }
        let url = elsewhere.url.to_string_lossy();
        let (git, commit) = cloned(&url, elsewhere.rev.as_deref(), environment)?;
        let files = Files::of_commit(git.tree(commit)?, git.root());
        Ok(Browser::of(git.root().to_owned(), files, Some(commit), true, elsewhere, environment))
    }

    fn open_path(url: &Path, elsewhere: &Elsewhere, environment: &Environment) -> Result<Browser> {
        let git = Git::discover(url)?;
        let (root, files, commit) = match (&elsewhere.rev, &git) {
            // As DVC 3.67: of a commit all is seen, from the top of the work tree.
            (Some(rev), Some(git)) => {
                let commit = git.resolve(rev)?;
                let tree: GitTree = git.tree(commit)?;
                (git.root().to_owned(), Files::of_commit(tree, git.root()), Some(commit))
            }
            (Some(_), None) => return Err(Error::dvc(format!("{} is not a git repository", url.display()))),
            // Nothing is checked out in a bare repository.
            (None, Some(git)) if git.is_bare() && find_root(url).is_err() => {
                let commit = git.resolve("HEAD")?;
                (git.root().to_owned(), Files::of_commit(git.tree(commit)?, git.root()), Some(commit))
            }
            (None, git) => {
                let root = match find_root(url) {
                    Ok(root) => root,
                    Err(_) => git.as_ref().map_or(url.to_owned(), |git| git.root().to_owned()),
                };
                (root, Files::WorkTree, git.as_ref().map(|git| git.head()).transpose()?.flatten())
            }
        };
        Ok(Browser::of(root, files, commit, false, elsewhere, environment))
    }

    fn of(
        root: PathBuf,
        files: Files,
        commit: Option<CommitId>,
        is_clone: bool,
        elsewhere: &Elsewhere,
        environment: &Environment,
    ) -> Browser {
        let is_inside = files.is_work_tree() && environment.cwd.starts_with(&root);
        let start = if is_inside { environment.cwd.clone() } else { root.clone() };
        Browser {
            root,
            start,
            files,
            commit,
            is_clone,
            elsewhere: elsewhere.clone(),
            environment: environment.clone(),
            repos: Mutex::default(),
        }
    }

    /// The warnings that its repositories have kept since the last call.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        let repos = self.repos.lock().unwrap_or_else(PoisonError::into_inner);
        repos.values().flat_map(|tracked| tracked.repo.take_warnings()).collect()
    }

    /// The commit that an import from here records.
    pub fn commit(&self) -> Option<CommitId> {
        self.commit
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
        let known = |repos: &Mutex<BTreeMap<PathBuf, Arc<Tracked>>>| {
            repos.lock().unwrap_or_else(PoisonError::into_inner).get(&root).cloned()
        };
        if let Some(known) = known(&self.repos) {
            return Ok(known);
        }
        let tracked = Arc::new(self.open_tracked(&root)?);
        self.repos.lock().unwrap_or_else(PoisonError::into_inner).insert(root, tracked.clone());
        Ok(tracked)
    }

    fn open_tracked(&self, root: &Path) -> Result<Tracked> {
        let mut overrides = if root == self.root { self.elsewhere.overrides.clone() } else { Overrides::default() };
        let mut own_cache = None;
        let cache_dir = match (&self.elsewhere.cache_dir, self.is_clone) {
            (Some(dir), is_clone) => {
                own_cache = (!is_clone).then(|| own_cache_of(root, &self.environment)).transpose()?;
                Some(dir.clone())
            }
            // Whatever a clone's settings say: nobody wrote into a cache of its.
            (None, true) => Some(root.join("trackway-no-cache")),
            (None, false) => None,
        };
        if let Some(dir) = cache_dir {
            let dir = ConfigValue::Text(dir.to_string_lossy().into_owned());
            let cache = Table::from_iter([("dir".to_owned(), dir)]);
            crate::config::merge(
                &mut overrides.config,
                Table::from_iter([("cache".to_owned(), ConfigValue::Table(cache))]),
            );
        }
        let repo = Repo::open_at(root, &self.files, &self.environment, &overrides)?;
        let has_dvc = self.files.stat(&root.join(DVC_DIR))?.is_some();
        let outs = if has_dvc { self.outs(&repo)? } else { Vec::new() };
        Ok(Tracked { ignore: DvcIgnore::of(root, self.files.clone())?, repo, own_cache, outs })
    }

    fn outs(&self, repo: &Repo) -> Result<Vec<Out>> {
        let index = match &self.files {
            Files::WorkTree => Index::of_work_tree(repo)?,
            files => Index::of_commit(repo, files.clone(), "")?,
        };
        let selected = index.select(None, Follow::default())?;
        let outs = selected.iter().flat_map(|one| one.stage.outs.iter().map(|out| (&*one.stage, out)));
        let outs = outs.filter(|(_, out)| out.use_cache && out.is_in_repo());
        let mut outs: Vec<Out> = outs.map(|(stage, out)| Out::of(out, self.import_of(stage))).collect();
        outs.sort_by(|a, b| a.path.cmp(&b.path));
        // As DVC 3.67 for imports, also where nothing is to be had of them: remotes must be ones of the settings.
        for out in outs.iter().filter(|_| self.elsewhere.cache_dir.is_some()) {
            match repo.remote(out.remote.as_deref(), "import") {
                Err(Error::Config(ConfigError::NoRemote(_))) | Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(outs)
    }

    fn import_of(&self, stage: &Stage) -> Option<Box<Import>> {
        let (true, Some(Dependency::Repo { dep, .. })) = (stage.is_repo_import(), stage.deps.first()) else {
            return None;
        };
        Some(Box::new(Import {
            dep: Dep::clone(dep),
            cache_dir: self.elsewhere.cache_dir.clone(),
            depth: self.elsewhere.depth + 1,
            environment: self.environment.clone(),
            opened: OnceLock::new(),
        }))
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
        let unlisted =
            |out: &&Out| stat.is_none() && out.is_dir && tracked.tree(out).is_none() && out.upstream(dir).is_none();
        if let Some(out) = tracked.out_at(dir).filter(unlisted) {
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

/// The clone of what is at a URL, and the commit in it.
fn cloned(url: &str, rev: Option<&str>, environment: &Environment) -> Result<(Git, CommitId)> {
    let clones = clones_of(environment)?;
    clones.get(url, rev).map_err(|error| match error {
        trackway_git::Error::Program { reason, .. } => {
            let shown = clones::without_password(url);
            let path = shown.strip_prefix("file://").unwrap_or(&shown);
            let reason = match path.contains(':') {
                true => reason,
                false => format!("No git repository was found at {path}"),
            };
            let place = clones.place(url);
            Error::Clone(format!("SCM error: Failed to clone repo '{shown}' to '{}': {reason}", place.display()))
        }
        other => other.into(),
    })
}

/// Where clones are kept, by the settings of the person and the machine.
pub(crate) fn clones_of(environment: &Environment) -> Result<Clones> {
    let base = Config::load(None, environment)?.site_cache_dir();
    let clones = Clones::at(site_cache::clones_dir(&base).map_err(|error| Error::io(&base, error))?);
    Ok(clones.asking(environment.is_attended))
}

/// The cache of the repository at `root`, as its own settings have it.
fn own_cache_of(root: &Path, environment: &Environment) -> Result<PathBuf> {
    let dvc_dir = root.join(DVC_DIR);
    let config = Config::load(Some(&dvc_dir), environment)?;
    Ok(config.cache_dir().unwrap_or_else(|| dvc_dir.join("cache")))
}

impl Import {
    /// The other repository at the commit that was imported; `None` if it cannot be reached.
    fn browser(&self) -> Option<&Browser> {
        let open = || {
            let elsewhere = Elsewhere {
                cache_dir: self.cache_dir.clone(),
                depth: self.depth,
                ..imports::source(&self.dep, true, &self.environment).ok()?
            };
            Browser::open(&elsewhere, &self.environment).ok()
        };
        self.opened.get_or_init(open).as_ref()
    }
}

impl Out {
    fn of(out: &Output, import: Option<Box<Import>>) -> Out {
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
            import,
        }
    }

    /// Where a path in this output was imported from.
    pub(crate) fn upstream(&self, path: &Path) -> Option<(&Browser, PathBuf)> {
        let import = self.import.as_ref()?;
        let browser = import.browser()?;
        let inner = path.strip_prefix(&self.path).ok()?;
        let place = browser.place(&import.dep.path);
        Some((browser, if inner.as_os_str().is_empty() { place } else { place.join(inner) }))
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
        let read = || {
            let hash = out.hash?;
            let own = self.own_cache.as_ref().filter(|_| hash.name == HashName::Md5);
            let own = own.and_then(|dir| Depot::at(dir, Layout::V3, false).read_tree(&hash.oid).ok()?);
            own.map(|(tree, _)| tree).or_else(|| self.repo.list_of_folder(hash, out.remote.as_deref()))
        };
        out.read.get_or_init(read).as_ref()
    }

    /// Where objects of an output may lie beside the cache: in the cache of the repository itself, and in the remote.
    pub(crate) fn depots(&self, remote: Option<&str>, name: HashName) -> Result<Vec<Depot>> {
        let layout = match name {
            HashName::Md5 => Layout::V3,
            HashName::Md5Dos2Unix => Layout::V2,
        };
        let mut depots: Vec<Depot> = self.own_cache.iter().map(|dir| Depot::at(dir, layout, false)).collect();
        match self.repo.remote(remote, "get") {
            Ok(remote) => depots.push(remote.depot(name)?),
            Err(Error::Config(ConfigError::NoRemote(_))) => {}
            Err(error) => return Err(error),
        }
        Ok(depots)
    }

    fn info(&self, path: &Path) -> Result<Option<TrackedInfo>> {
        let plain_folder = |is_out, size| TrackedInfo { is_out, hash: None, size, is_dir: true };
        if let Some(out) = self.out_at(path) {
            let inner = path.strip_prefix(&out.path).map_or(&b""[..], |inner| inner.as_os_str().as_bytes());
            if out.hash.is_none() || !inner.is_empty() && out.is_dir && self.tree(out).is_none() {
                // Never downloaded, or its list is nowhere in this repository: it is looked at where it came from.
                if let Some((upstream, place)) = out.upstream(path) {
                    let found = upstream.info(&place)?;
                    let known = |found: Info| TrackedInfo {
                        is_out: true,
                        hash: found.hash(),
                        size: found.size,
                        is_dir: found.is_dir,
                    };
                    return Ok(found.map(known));
                }
            }
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
            let Some(tree) = self.tree(out).and_then(|tree| tree.subtree(inner)) else {
                if let Some((upstream, place)) = out.upstream(dir).filter(|_| self.tree(out).is_none()) {
                    let listed = upstream.list(&place, false)?.unwrap_or_default();
                    found.extend(listed.into_iter().filter(|(name, _)| !is_of_dvc(name)).map(|(name, info)| {
                        let hash = info.hash();
                        (name, TrackedInfo { is_out: true, hash, size: info.size, is_dir: info.is_dir })
                    }));
                }
                return Ok(found);
            };
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
