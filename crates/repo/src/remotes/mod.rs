//! Remotes: which one an output asks for, and what it is.
//!
//! - [`Remote`] is a configured one; [`Remote::depot`] gives what objects are read from and written to.
//! - A file for each scheme says what DVC's options mean to `trackway_remote`: `s3.rs`, `azure.rs`, `gs.rs`, …; `connect.rs`
//!   chooses among them and opens.
//! - `anywhere.rs` opens any URL or path, for `import-url`, `get-url`, `list-url` and `add`.
//! - `batches.rs` sorts what outputs need by where it comes from; `runs.rs` copies the run cache.

pub mod anywhere;
mod azure;
mod batches;
mod connect;
mod gs;
mod hdfs;
mod http;
mod runs;
mod s3;
mod ssh;
mod webdav;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use trackway_remote::HttpOptions;
use trackway_store::{Depot, Distant, Hash, HashName, Layout, Oid};

pub(crate) use batches::Batches;
pub(crate) use connect::Connection;
pub use connect::runtime;
pub(crate) use connect::without_password;
pub(crate) use runs::{copy_runs_from, copy_runs_to};

use crate::config::{ConfigError, ConfigValue, RemoteConfig};
use crate::error::{Error, Result};
use crate::index::{Follow, Selected};
use crate::repo::Repo;
use crate::revisions::RevisionOptions;
use crate::used::{Need, Trees};

/// What `push`, `fetch`, `pull` and `status --cloud` share.
#[derive(Clone, Debug, Default)]
pub struct TransferOptions {
    pub follow: Follow,
    /// Instead of the default remote; outputs that ask for another one are left out.
    pub remote: Option<String>,
    pub all_branches: bool,
    pub all_tags: bool,
    pub all_commits: bool,
    /// How many transfers at once.
    pub jobs: Option<usize>,
    pub run_cache: bool,
}

impl TransferOptions {
    pub fn asks_git(&self) -> bool {
        self.all_branches || self.all_tags || self.all_commits
    }
}

/// A configured remote. Nothing is asked of it before it is opened.
#[derive(Clone)]
pub struct Remote {
    pub config: RemoteConfig,
    connection: Arc<Connection>,
    jobs: Option<usize>,
}

impl Remote {
    /// `worktree` and `version_aware`: files under their own names, of which the store keeps versions.
    pub fn is_cloud_versioned(&self) -> bool {
        self.config.worktree() || self.config.version_aware()
    }

    /// The folder, of a remote that is one.
    pub fn folder(&self) -> Option<PathBuf> {
        match self.config.scheme.as_str() {
            "" | "local" => Some(PathBuf::from(&self.config.url)),
            "file" => self.config.url.strip_prefix("file://").map(PathBuf::from),
            _ => None,
        }
    }

    /// With so many transfers at once, where the person says how many.
    pub fn with_jobs(mut self, jobs: Option<usize>) -> Remote {
        self.jobs = jobs.filter(|jobs| *jobs > 0).or(self.jobs);
        self
    }

    pub(crate) fn jobs(&self) -> Option<usize> {
        self.jobs
    }

    /// The connection to a remote that is no folder, made when it is first asked for.
    pub fn open(&self) -> Result<&trackway_remote::Remote> {
        self.connection.open(&self.config)
    }

    /// Where the objects of this kind of hash lie.
    pub fn depot(&self, name: HashName) -> Result<Depot> {
        let layout = match name {
            HashName::Md5 => Layout::V3,
            HashName::Md5Dos2Unix => Layout::V2,
        };
        if let Some(folder) = self.folder() {
            return Ok(Depot::at(&folder, layout, self.config.text("shared") == Some("group")));
        }
        let url = without_password(&self.config.url);
        let distant = Distant::new(self.open()?.clone(), runtime()?.handle().clone(), &url, layout, self.jobs)?;
        Ok(Depot::Distant(distant))
    }
}

impl Repo {
    /// The remote of that name, or the default one. `command` is for the message that there is none.
    pub fn remote(&self, name: Option<&str>, command: &str) -> Result<Remote> {
        let root = self.root().to_string_lossy();
        let config = self.config().remote_or_default(name, command, &root)?;
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = connections.entry(config.name.clone()).or_insert_with(|| Connection::new(self.environment()));
        Ok(Remote { jobs: config.jobs(), connection: Arc::clone(connection), config })
    }

    /// A remote for objects under their hashes, as DVC 3.67's `get_remote_odb`.
    pub(crate) fn object_remote(&self, name: Option<&str>, command: &str) -> Result<Remote> {
        let remote = self.remote(name, command)?;
        if remote.is_cloud_versioned() {
            return Err(Error::dvc(format!(
                "config file error: '{command}' is unsupported for cloud versioned remotes"
            )));
        }
        if remote.folder().is_none() {
            // What is wrong with its options is found before anything is done.
            remote.open()?;
        }
        Ok(remote)
    }

    /// What the targets select in the work tree and in the revisions that are asked for. The repository's lock is held only
    /// here. As DVC 3.67, a revision that cannot be read is left out with a warning unless it is the only one.
    pub(crate) fn collect<T>(
        &self,
        targets: &[String],
        options: &TransferOptions,
        mut take: impl FnMut(&crate::index::Index<'_>, Vec<Selected>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let _lock = self.lock()?;
        let mut found = Vec::new();
        let mut failed = None;
        for revision in self.revisions(&self.revision_options(options)?)? {
            let index = &revision.index;
            let taken = index.select_all(targets, options.follow).and_then(|selected| take(index, selected));
            match taken {
                Ok(taken) => found.push(taken),
                Err(error) => {
                    self.warn(format!("failed to collect '{}', skipping", revision.names.join(",")));
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    pub(crate) fn revision_options(&self, options: &TransferOptions) -> Result<RevisionOptions> {
        // As DVC 3.67: without git there are no other revisions, and no complaint.
        let has_git = options.asks_git() && self.git()?.is_some();
        Ok(RevisionOptions {
            all_branches: options.all_branches && has_git,
            all_tags: options.all_tags && has_git,
            all_commits: options.all_commits && has_git,
            ..RevisionOptions::default()
        })
    }

    pub(crate) fn warn_missing(&self, name: HashName, missing: &[Oid]) {
        if missing.is_empty() {
            return;
        }
        let list: Vec<_> = missing.iter().map(|oid| format!("{name}: {oid}")).collect();
        self.warn(format!(
            "Some of the cache files do not exist neither locally nor on remote. Missing cache files:\n{}",
            list.join("\n")
        ));
    }
}

/// Whether the cache has all that is needed.
pub(crate) fn all_in_cache(repo: &Repo, need: &Need, trees: &mut Trees) -> Result<bool> {
    let cache = repo.cache(need.hash.name)?;
    if !need.hash.oid.is_dir() {
        return Ok(cache.has(&need.hash.oid)?);
    }
    let Some(tree) = need.tree(repo, trees)? else { return Ok(false) };
    for entry in tree.iter() {
        if !cache.has(&entry.oid)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The etag of a file as DVC 3.67 writes it, where the store tells one.
pub(crate) fn written_etag(scheme: &str, etag: Option<&str>, json_etag: Option<&str>) -> Option<String> {
    match scheme {
        "gs" => json_etag.map(str::to_owned),
        "azure" | "webdav" | "webdavs" | "http" | "https" => etag.map(|etag| format!("\"{etag}\"")),
        _ => etag.map(str::to_owned),
    }
}

/// The hash as stock prints it: `md5: 0cc1…`.
pub fn shown(hash: Hash) -> String {
    format!("{}: {}", hash.name, hash.oid)
}

/// An option that is a number of seconds.
fn seconds(config: &RemoteConfig, option: &str, into: &mut Duration) -> Result<()> {
    let Some(value) = config.options.get(option) else { return Ok(()) };
    let seconds = match value {
        ConfigValue::Int(seconds) => *seconds as f64,
        ConfigValue::Float(seconds) => *seconds,
        _ => return Ok(()),
    };
    // No wait is longer than a day: who asks for more means for ever.
    match seconds > 0.0 {
        true => *into = Duration::from_secs_f64(seconds.min(86_400.0)),
        false => return Err(wrong_option(config, option, "must be a number of seconds greater than zero")),
    }
    Ok(())
}

/// `ssl_verify`: whether certificates are looked at, or by which they are judged.
fn path_or_flag(config: &RemoteConfig, option: &str, http: &mut HttpOptions) {
    match config.options.get(option) {
        Some(ConfigValue::Bool(verify)) => http.ignore_tls = !verify,
        Some(ConfigValue::Text(path)) if !path.is_empty() => http.ca_bundle = Some(PathBuf::from(path)),
        _ => {}
    }
}

fn wrong_option(config: &RemoteConfig, option: &str, why: &str) -> Error {
    Error::from(ConfigError::invalid(format!("the option '{option}' of the remote '{}' {why}", config.name)))
}
