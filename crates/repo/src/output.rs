//! Outputs and dependencies: what a stage names, and what is recorded of it.

use std::path::{Path, PathBuf};

use trackway_dvcfile::{Annotations, Dep, FileEntry, Info, OutDecl, ParamsDep, Plot, params};
use trackway_git::clones::without_password;
use trackway_store::{Hash, HashName, Oid};
use trackway_yaml::Map;

use crate::error::{Error, Result};
use crate::files::Files;
use crate::paths;
use crate::repo::Repo;

/// Where the thing lies that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this repository, and written relative to its stage's folder.
    Repo,
    /// On this machine, elsewhere, or written as an absolute path.
    Local,
    /// `s3://…`, `remote://…`: not reached from here.
    Url,
}

/// What a `.dvc` or `dvc.lock` records of the content.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Recorded {
    /// Nothing yet: the stage was not run, the import not downloaded.
    #[default]
    Nothing,
    Object(Hash),
    /// A hash that is none of DVC's kinds; no object can have it.
    Unusable(String),
}

/// An output, or a dependency on a file or folder.
#[derive(Clone, Debug)]
pub struct Output {
    /// As written.
    pub def_path: String,
    /// Absolute and normal; of a [`Place::Url`] the URL.
    pub path: PathBuf,
    pub place: Place,
    pub hash_name: HashName,
    pub recorded: Recorded,
    /// Size, number of files and the like, as recorded.
    pub info: Info,
    /// Of a folder that a cloud keeps versions of: its files.
    pub files: Option<Vec<FileEntry>>,
    pub use_cache: bool,
    pub can_push: bool,
    pub persist: bool,
    pub metric: bool,
    pub plot: bool,
    pub remote: Option<String>,
    pub annotations: Annotations,
    pub fs_config: Option<Map>,
    pub is_dependency: bool,
}

impl Output {
    /// An output of a `.dvc` file.
    pub fn of_dvc_file(repo: &Repo, wdir: &Path, out: &trackway_dvcfile::Out) -> Output {
        let mut made = Output::new(repo, wdir, &out.path, false);
        made.use_cache = out.cache;
        made.can_push = out.push;
        made.persist = out.persist;
        made.remote = out.remote.clone();
        made.annotations = out.annotations.clone();
        made.fs_config = out.fs_config.clone();
        made.record(&out.info, out.files.clone());
        made
    }

    /// An output of a stage in `dvc.yaml`, with what the lock says of it.
    pub fn of_stage(repo: &Repo, wdir: &Path, out: &OutDecl, info: &Info, files: Option<Vec<FileEntry>>) -> Output {
        let mut made = Output::new(repo, wdir, &out.path, false);
        made.use_cache = out.cache;
        made.can_push = out.push;
        made.persist = out.persist;
        made.metric = out.metric;
        made.plot = out.plot != Plot::No;
        made.remote = out.remote.clone();
        made.annotations = out.annotations.clone();
        made.record(info, files);
        made
    }

    /// A dependency on a file or folder.
    pub fn of_dependency(
        repo: &Repo,
        wdir: &Path,
        path: &str,
        info: &Info,
        files: Option<Vec<FileEntry>>,
        fs_config: Option<Map>,
    ) -> Output {
        let mut made = Output::new(repo, wdir, path, true);
        made.use_cache = false;
        made.fs_config = fs_config;
        made.record(info, files);
        made
    }

    /// An output about which nothing is recorded yet.
    pub fn new(repo: &Repo, wdir: &Path, def_path: &str, is_dependency: bool) -> Output {
        let (path, place) = locate(repo.root(), wdir, def_path);
        Output {
            def_path: def_path.to_owned(),
            path,
            place,
            hash_name: HashName::Md5,
            recorded: Recorded::Nothing,
            info: Info { hash: Some("md5".to_owned()), ..Info::default() },
            files: None,
            use_cache: true,
            can_push: true,
            persist: false,
            metric: false,
            plot: false,
            remote: None,
            annotations: Annotations::default(),
            fs_config: None,
            is_dependency,
        }
    }

    /// Takes over what a file records. Without the `hash: md5` marker a hash in the repository is DVC 2's.
    fn record(&mut self, info: &Info, files: Option<Vec<FileEntry>>) {
        self.info = info.clone();
        self.files = files;
        self.hash_name = match (self.place, info.hash.as_deref()) {
            (Place::Repo, None | Some("md5-dos2unix")) => HashName::Md5Dos2Unix,
            _ => HashName::Md5,
        };
        self.recorded = match info.md5.as_deref() {
            // Of a folder that a cloud keeps versions of, the list itself is recorded.
            None | Some("") => self
                .listed()
                .map_or(Recorded::Nothing, |tree| Recorded::Object(Hash { name: self.hash_name, oid: tree.oid() })),
            Some(text) => match Oid::parse(text) {
                Ok(oid) => Recorded::Object(Hash { name: self.hash_name, oid }),
                Err(_) => Recorded::Unusable(text.to_owned()),
            },
        };
    }

    /// The object that is recorded.
    pub fn oid(&self) -> Option<Oid> {
        match &self.recorded {
            Recorded::Object(hash) => Some(hash.oid),
            _ => None,
        }
    }

    pub fn hash(&self) -> Option<Hash> {
        match &self.recorded {
            Recorded::Object(hash) => Some(*hash),
            _ => None,
        }
    }

    pub fn has_record(&self) -> bool {
        self.recorded != Recorded::Nothing
    }

    pub fn is_in_repo(&self) -> bool {
        self.place == Place::Repo
    }

    /// What a `.dvc` records is of a folder.
    pub fn is_dir_record(&self) -> bool {
        self.oid().is_some_and(|oid| oid.is_dir()) || self.files.is_some() || self.info.nfiles.is_some()
    }

    /// Whether versions of it, or of its files, are recorded.
    pub(crate) fn is_versioned(&self) -> bool {
        self.files.is_some() || self.info.version_id.is_some()
    }

    /// Forgets what is recorded.
    pub(crate) fn clear(&mut self) {
        self.recorded = Recorded::Nothing;
        self.files = None;
        self.info = Info { hash: self.info.hash.clone(), ..Info::default() };
    }

    /// Records what was found, with DVC 3's kind of hash or the one it had.
    pub fn set(&mut self, hash: Hash, size: Option<u64>, nfiles: Option<u64>, is_exec: bool) {
        self.hash_name = hash.name;
        self.recorded = Recorded::Object(hash);
        self.files = None;
        self.info = Info {
            hash: match hash.name {
                HashName::Md5 => Some("md5".to_owned()),
                HashName::Md5Dos2Unix => None,
            },
            md5: Some(hash.oid.to_string()),
            size,
            nfiles,
            isexec: is_exec,
            ..Info::default()
        };
    }

    /// As messages name it: relative to where the person stands inside the repository, as written outside of it.
    pub fn display(&self, repo: &Repo) -> String {
        if self.place == Place::Url || Path::new(&self.def_path).is_absolute() {
            return self.def_path.clone();
        }
        if !paths::is_in(&self.path, repo.root()) {
            return paths::show(&self.path);
        }
        let start = if paths::is_in(repo.cwd(), repo.root()) { repo.cwd() } else { repo.root() };
        paths::show(&paths::relative(&self.path, start))
    }

    /// As an entry of a `.dvc` file.
    pub fn to_dvc_file(&self, wdir: &Path) -> trackway_dvcfile::Out {
        trackway_dvcfile::Out {
            path: self.written_path(wdir),
            info: self.info.clone(),
            cache: self.use_cache,
            push: self.can_push,
            persist: self.persist,
            remote: self.remote.clone(),
            annotations: self.annotations.clone(),
            files: self.files.clone(),
            fs_config: self.fs_config.clone(),
        }
    }

    /// The path that a file in `wdir` names this by.
    pub fn written_path(&self, wdir: &Path) -> String {
        match self.place {
            Place::Repo => paths::show(&paths::relative(&self.path, wdir)),
            _ => self.def_path.clone(),
        }
    }
}

/// `s3://…`; `file://…` is on this machine.
pub(crate) fn is_url(path: &str) -> bool {
    matches!(locate(Path::new("/"), Path::new("/"), path), (_, Place::Url))
}

fn locate(root: &Path, wdir: &Path, def_path: &str) -> (PathBuf, Place) {
    if let Some((scheme, rest)) = def_path.split_once("://") {
        let is_scheme = scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        match scheme {
            "file" => return (paths::normalize(Path::new(rest)), Place::Local),
            _ if is_scheme => return (PathBuf::from(def_path), Place::Url),
            _ => {}
        }
    }
    let path = paths::absolute(Path::new(def_path), wdir);
    let place = match Path::new(def_path).is_absolute() {
        false if paths::is_in(&path, root) => Place::Repo,
        _ => Place::Local,
    };
    (path, place)
}

/// What a stage depends on.
#[derive(Clone, Debug)]
pub enum Dependency {
    /// A file or folder on this machine.
    Data(Box<Output>),
    /// Parameters in a file.
    Params(ParamsDependency),
    /// Something in another repository, of an import.
    Repo { def_path: String, dep: Box<Dep> },
    /// A URL: its state is not known from here.
    Url { output: Box<Output>, dep: Option<Box<Dep>> },
    /// A query to a database.
    Db(Box<Dep>),
    /// A `ds://` name.
    Dataset(String),
}

#[derive(Clone, Debug)]
pub struct ParamsDependency {
    pub path: PathBuf,
    pub params: ParamsDep,
    /// What the last run recorded; `None` if nothing.
    pub locked: Option<Map>,
}

impl ParamsDependency {
    /// The parameters that this depends on as the file has them now; `None` if there is no file.
    pub fn read(&self, repo: &Repo) -> Result<Option<Map>> {
        let Some(bytes) = Files::WorkTree.read(&self.path)? else { return Ok(None) };
        let shown = repo.show_from_cwd(&self.path);
        let read = params::read_params(&bytes, &shown).map_err(|error| match error {
            error @ (trackway_dvcfile::Error::ParamsFile { .. } | trackway_dvcfile::Error::Syntax { .. }) => {
                Error::caused(format!("Unable to read parameters from '{shown}'"), error.into())
            }
            other => other.into(),
        })?;
        Ok(Some(params::select(&read, &self.params)?))
    }
}

impl Dependency {
    /// The path on this machine, if there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Dependency::Data(out) => Some(&out.path),
            Dependency::Params(params) => Some(&params.path),
            _ => None,
        }
    }

    pub fn display(&self, repo: &Repo) -> String {
        match self {
            Dependency::Data(out) | Dependency::Url { output: out, .. } => out.display(repo),
            Dependency::Params(params) => repo.show_from_cwd(&params.path),
            Dependency::Repo { def_path, dep } => match &dep.repo {
                Some(other) => format!("{def_path} ({})", without_password(&other.url)),
                None => def_path.clone(),
            },
            Dependency::Db(dep) => dep.path.clone(),
            Dependency::Dataset(name) => name.clone(),
        }
    }
}
