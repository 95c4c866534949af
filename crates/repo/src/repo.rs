//! A repository that was found: its places, its configuration, its caches and its git.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use trackway_git::Git;
use trackway_store::{Cache, CacheOptions, Content, HashName, Layout, LinkType, State, WritersLock};

use crate::config::{Config, Environment, Level, Levels, Overrides};
use crate::error::{Error, Result};
use crate::files::Files;
use crate::gitignore;
use crate::ignore::DvcIgnore;
use crate::index::Index;
use crate::links::Links;
use crate::lock::{self, Holder, Lock, LockOptions};
use crate::paths::{self, DVC_DIR};
use crate::remotes::Connection;
use crate::rwlock::RwLock;
use crate::site_cache::{self, SiteCache};

/// Hears who holds a lock that is waited for, as far as that is known.
type Waiting = dyn Fn(Option<&Holder>) + Send + Sync;

/// Cheap to open: everything but the configuration is looked at when it is first needed.
pub struct Repo {
    root: PathBuf,
    cwd: PathBuf,
    environment: Environment,
    config: Config,
    wait_for_lock: bool,
    command_line: String,
    waiting: Option<Box<Waiting>>,
    git: OnceLock<Option<Git>>,
    ignore: OnceLock<Arc<DvcIgnore>>,
    cache: OnceLock<Cache>,
    legacy_cache: OnceLock<Cache>,
    state: OnceLock<State>,
    pub(crate) connections: Mutex<HashMap<String, Arc<Connection>>>,
    warnings: Mutex<Vec<String>>,
    notes: Mutex<Vec<String>>,
}

impl Repo {
    /// The repository that `environment.cwd` lies in.
    pub fn discover(environment: &Environment) -> Result<Repo> {
        let root = find_root(&environment.cwd)?;
        Repo::open(&root, environment)
    }

    /// The repository at `root`, a folder that holds `.dvc`.
    pub fn open(root: &Path, environment: &Environment) -> Result<Repo> {
        Repo::open_with(root, environment, &Overrides::default())
    }

    /// The same with options laid over its configuration.
    pub fn open_with(root: &Path, environment: &Environment, overrides: &Overrides) -> Result<Repo> {
        Repo::open_levels(root, Levels::new(Some(&root.join(DVC_DIR)), environment), environment, overrides)
    }

    /// The same at one revision: as DVC 3.67, `.dvc/config` is that revision's, `.dvc/config.local` what lies there.
    pub fn open_at(root: &Path, files: &Files, environment: &Environment, overrides: &Overrides) -> Result<Repo> {
        let dvc_dir = root.join(DVC_DIR);
        let mut levels = Levels::new(Some(&dvc_dir), environment);
        if !files.is_work_tree() {
            levels = levels.instead(Level::Repo, files.read(&dvc_dir.join("config"))?);
        }
        Repo::open_levels(root, levels, environment, overrides)
    }

    fn open_levels(root: &Path, levels: Levels, environment: &Environment, overrides: &Overrides) -> Result<Repo> {
        let mut config = Config::of(levels, overrides)?;
        let warnings = std::mem::take(&mut config.warnings);
        Ok(Repo {
            root: root.to_owned(),
            cwd: environment.cwd.clone(),
            environment: environment.clone(),
            config,
            wait_for_lock: false,
            command_line: String::new(),
            waiting: None,
            git: OnceLock::new(),
            ignore: OnceLock::new(),
            cache: OnceLock::new(),
            legacy_cache: OnceLock::new(),
            state: OnceLock::new(),
            connections: Mutex::default(),
            warnings: Mutex::new(warnings),
            notes: Mutex::default(),
        })
    }

    /// Wait for a busy lock instead of giving up after three seconds as DVC does (`--wait-for-lock`, and Trackway's own way).
    pub fn waiting_for_lock(mut self, wait: bool) -> Repo {
        self.wait_for_lock = wait;
        self
    }

    /// Hears once, when a lock is waited for, who holds it.
    pub fn on_waiting(mut self, tell: impl Fn(Option<&Holder>) + Send + Sync + 'static) -> Repo {
        self.waiting = Some(Box::new(tell));
        self
    }

    /// The command as the person typed it; other tools show it when they meet our locks.
    pub fn called_as(mut self, command_line: impl Into<String>) -> Repo {
        self.command_line = command_line.into();
        self
    }

    pub fn command_line(&self) -> &str {
        &self.command_line
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the person stands, absolute.
    pub fn cwd(&self) -> &Path {
        &self.cwd
    }

    pub fn dvc_dir(&self) -> PathBuf {
        self.root.join(DVC_DIR)
    }

    /// `.dvc/tmp`: locks, and what may be deleted.
    pub fn tmp_dir(&self) -> PathBuf {
        self.dvc_dir().join("tmp")
    }

    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn absolute(&self, path: &Path) -> PathBuf {
        paths::absolute(path, &self.cwd)
    }

    /// A path as DVC shows it: relative to where the person stands.
    pub fn show_from_cwd(&self, path: &Path) -> String {
        paths::show(&paths::relative(path, &self.cwd))
    }

    /// The same for messages about a file's form, which begin with `./`.
    pub fn show_in_messages(&self, path: &Path) -> String {
        let shown = self.show_from_cwd(path);
        if shown.starts_with("..") { shown } else { format!("./{shown}") }
    }

    /// The git repository around this one; `None` if there is none or `core.no_scm` is set. Without git and without that
    /// setting nothing works, as in DVC.
    pub fn git(&self) -> Result<Option<&Git>> {
        if let Some(git) = self.git.get() {
            return Ok(git.as_ref());
        }
        let git = match self.config.no_scm() {
            true => None,
            false => match Git::discover(&self.root)? {
                Some(git) => Some(git),
                None => return Err(Error::NoGit(self.root.clone())),
            },
        };
        Ok(self.git.get_or_init(|| git).as_ref())
    }

    /// As DVC 3.67 every command sees to it that git ignores the cache, so that a `.gitignore` that was deleted does not let
    /// it into a commit. Where that cannot be written the command goes on.
    pub fn keep_own_files_from_git(&self) {
        let dvc_dir = self.dvc_dir();
        if !gitignore::has_own_lines(&dvc_dir)
            && let Ok(Some(git)) = self.git()
            && let Err(error) = gitignore::ignore_own(git, &dvc_dir)
        {
            self.warn(format!("git may see the cache: {error}"));
        }
    }

    /// The git repository, for what cannot be done without.
    pub fn required_git(&self) -> Result<&Git> {
        self.git()?.ok_or_else(|| Error::dvc("only supported for Git repositories"))
    }

    /// What `.dvcignore` hides in the work tree.
    pub fn dvcignore(&self) -> Result<Arc<DvcIgnore>> {
        if let Some(ignore) = self.ignore.get() {
            return Ok(ignore.clone());
        }
        let ignore = Arc::new(DvcIgnore::new(&self.root)?);
        Ok(self.ignore.get_or_init(|| ignore).clone())
    }

    /// The index of the work tree.
    pub fn index(&self) -> Result<Index<'_>> {
        Index::of_work_tree(self)
    }

    /// The index at a git revision.
    pub fn index_at(&self, rev: &str) -> Result<Index<'_>> {
        let git = self.required_git()?;
        let files = Files::of_commit(git.tree(git.resolve(rev)?)?, &self.root);
        Index::of_commit(self, files, rev)
    }

    /// The folder of the cache, without the layouts' own folders.
    pub fn cache_dir(&self) -> PathBuf {
        self.config.cache_dir().unwrap_or_else(|| self.dvc_dir().join("cache"))
    }

    /// The cache that objects of this kind of hash lie in.
    pub fn cache(&self, name: HashName) -> Result<&Cache> {
        let (cell, layout) = match name {
            HashName::Md5 => (&self.cache, Layout::V3),
            HashName::Md5Dos2Unix => (&self.legacy_cache, Layout::V2),
        };
        if let Some(cache) = cell.get() {
            return Ok(cache);
        }
        let cache = Cache::open(CacheOptions {
            root: self.cache_dir(),
            layout,
            link_types: self.link_types(),
            shared: self.config.cache_shared_group(),
        })?;
        Ok(cell.get_or_init(|| cache))
    }

    /// `cache.type`, or DVC's default.
    pub fn link_types(&self) -> Vec<LinkType> {
        let names = self.config.cache_types();
        if names.is_empty() {
            return vec![LinkType::Reflink, LinkType::Copy];
        }
        names.iter().filter_map(|name| link_type(name)).collect()
    }

    /// What we remember of the work tree.
    pub fn state(&self) -> &State {
        self.state.get_or_init(|| State::open(&self.own_dir()))
    }

    /// Keeps a warning for whoever prints: the library itself does not.
    pub fn warn(&self, message: impl Into<String>) {
        self.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(message.into());
    }

    /// The same for what a person is told without being warned: which files are written.
    pub fn note(&self, message: impl Into<String>) {
        self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(message.into());
    }

    /// The notes since the last call.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// The warnings since the last call.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// DVC's lock of the repository. Only around short sections: while it is held no stock command works here.
    pub fn lock(&self) -> Result<Lock> {
        self.take_lock(&self.tmp_dir().join("lock"), self.config.hardlink_lock())
    }

    /// Our own lock of the work tree: held by a command of ours that changes it from beginning to end. Stock commands do not
    /// know it, and go on working. It uses the cache, too.
    pub fn working_lock(&self) -> Result<WorkingLock> {
        let lock = self.take_lock(&self.own_dir().join("lock"), false)?;
        Ok(WorkingLock { _cache: self.use_cache()?, _lock: lock })
    }

    /// For commands that rely on what is in the cache, or put something there: no collection takes anything out of it
    /// while this is held, and later ones know this project.
    pub fn use_cache(&self) -> Result<WritersLock> {
        let cache = self.cache(HashName::Md5)?;
        let path = trackway_store::writers_lock_path(cache.root());
        let lock = self.wait_for(&path, || Ok(cache.share()?))?;
        cache.register(&self.root);
        Ok(lock)
    }

    /// Tries as long as for a lock; `path` is a file that tells who is in the way.
    pub(crate) fn wait_for<T>(&self, path: &Path, attempt: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        lock::patiently(path, self.wait_for_lock, |holder| self.tell_waiting(holder), attempt)
    }

    fn tell_waiting(&self, holder: Option<&Holder>) {
        if self.wait_for_lock
            && let Some(tell) = &self.waiting
        {
            tell(holder);
        }
    }

    fn take_lock(&self, path: &Path, hardlink: bool) -> Result<Lock> {
        let options = LockOptions { wait: self.wait_for_lock, hardlink };
        Ok(Lock::acquire(path, options, |holder| self.tell_waiting(holder))?)
    }

    /// DVC's register of paths that commands read and write; needs [`Repo::lock`].
    pub fn rwlock(&self) -> RwLock {
        RwLock::new(&self.tmp_dir(), self.config.hardlink_lock())
    }

    /// Lets whoever works on these paths right now come first: fails while they are held by another command. Entries of
    /// processes that are gone are dropped, with stock's warning.
    pub fn make_way(&self, reads: &[PathBuf], writes: &[PathBuf]) -> Result<()> {
        let held = self.rwlock().acquire(self.command_line(), reads, writes)?;
        for gone in &held.dropped {
            self.warn(format!(
                "Process '{}' with (Pid {}), in RWLock-file '{}' had been killed. Auto removed it from the lock file.",
                gone.command,
                gone.pid,
                self.show_from_cwd(&gone.path)
            ));
        }
        Ok(())
    }

    /// `.dvc/tmp/trackway`: what we remember; all of it may be deleted.
    pub fn own_dir(&self) -> PathBuf {
        self.tmp_dir().join("trackway")
    }

    /// Stock DVC's table of what checkouts made, by which either tool may remove it later.
    pub fn links(&self) -> Result<Links> {
        let base = self.config.site_cache_dir();
        let tmp = self.tmp_dir();
        let btime = site_cache::btime(&tmp).map_err(|error| Error::io(&tmp, error))?;
        let user = site_cache::user(|name| self.environment.var(name).map(Into::into)).unwrap_or_default();
        let place = SiteCache { base: &base, root: &self.root, subdir: None, btime, user: &user };
        let dir = place.create().map_err(|error| Error::io(&place.dir(), error))?;
        Ok(Links::open(&dir, &self.root)?)
    }

    /// Remembers outputs as they are now, so that either tool may remove them once nothing tracks them.
    /// With what is known to lie there, nothing is looked at again.
    pub fn remember_links(&self, outputs: &[(PathBuf, Option<Content>)]) -> Result<()> {
        match outputs {
            [] => Ok(()),
            _ => Ok(self.links()?.save_known(outputs, &*self.dvcignore()?, self.state())?),
        }
    }
}

/// Held by a command of ours that changes the work tree. Dropping it lets go.
pub struct WorkingLock {
    _cache: WritersLock,
    _lock: Lock,
}

fn link_type(name: &str) -> Option<LinkType> {
    Some(match name {
        "reflink" => LinkType::Reflink,
        "hardlink" => LinkType::Hardlink,
        "symlink" => LinkType::Symlink,
        "copy" => LinkType::Copy,
        _ => return None,
    })
}

/// The nearest folder above `start` that holds `.dvc`, up to the mount point, as DVC 3.67 looks for it.
pub fn find_root(start: &Path) -> Result<PathBuf> {
    use std::os::unix::fs::MetadataExt;

    let mut dir = start.to_owned();
    loop {
        if dir.join(DVC_DIR).is_dir() {
            return Ok(dir);
        }
        let parent = dir.parent().map(Path::to_owned);
        let device = |path: &Path| std::fs::metadata(path).map(|meta| meta.dev()).ok();
        match parent {
            Some(parent) if device(&parent) == device(&dir) => dir = parent,
            _ => {
                return Err(Error::NotARepository(format!(
                    "you are not inside of a DVC repository (checked up to mount point '{}')",
                    dir.display()
                )));
            }
        }
    }
}
