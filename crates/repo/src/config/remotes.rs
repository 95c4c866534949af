//! Remotes: what is configured under a name, references to other remotes resolved.

use super::Config;
use super::error::ConfigError;
use super::schema;
use super::value::{ConfigValue, Table};

/// References of remotes to remotes, `remote://other/path`, are followed so far.
const MAX_REFERENCES: usize = 64;

/// A remote with its options, checked and typed for its kind of URL.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteConfig {
    pub name: String,
    /// The whole URL; a local path is absolute.
    pub url: String,
    /// The URL's scheme; empty for a local path.
    pub scheme: String,
    /// All options but `url`, defaults among them. `checksum_jobs` comes from `core` where the remote has none.
    pub options: Table,
}

impl RemoteConfig {
    pub fn text(&self, option: &str) -> Option<&str> {
        self.options.get(option)?.as_text()
    }

    pub fn flag(&self, option: &str) -> Option<bool> {
        self.options.get(option)?.as_bool()
    }

    pub fn int(&self, option: &str) -> Option<i64> {
        self.options.get(option)?.as_int()
    }

    pub fn jobs(&self) -> Option<usize> {
        self.int("jobs").and_then(|jobs| usize::try_from(jobs).ok())
    }

    /// Whether objects are hashed again after a download.
    pub fn verify(&self) -> bool {
        self.flag("verify").unwrap_or(false)
    }

    pub fn worktree(&self) -> bool {
        self.flag("worktree").unwrap_or(false)
    }

    pub fn version_aware(&self) -> bool {
        self.flag("version_aware").unwrap_or(false)
    }

    /// The link types of a local or ssh remote.
    pub fn link_types(&self) -> Option<&[String]> {
        match self.options.get("type")? {
            ConfigValue::List(types) => Some(types),
            _ => None,
        }
    }
}

impl Config {
    /// The names of all remotes, in order.
    pub fn remote_names(&self) -> impl Iterator<Item = &str> {
        self.section("remote").into_iter().flatten().map(|(name, _)| name.as_str())
    }

    /// All remotes, in order, each resolved or with what is wrong with it.
    pub fn remotes(&self) -> Vec<(String, Result<RemoteConfig, ConfigError>)> {
        self.remote_names().map(|name| (name.to_owned(), self.remote(name))).collect()
    }

    /// A remote by its name, in any case of letters, with references followed.
    pub fn remote(&self, name: &str) -> Result<RemoteConfig, ConfigError> {
        self.checked(name, &self.resolve(name, 0)?)
    }

    /// What a URL leads to, with these options and no others; `remote://name/path` has those of the remote too.
    pub fn remote_at(&self, url: &str, options: &Table) -> Result<RemoteConfig, ConfigError> {
        let mut own = options.clone();
        own.insert("url".to_owned(), ConfigValue::Text(url.to_owned()));
        self.checked("", &self.follow(own, 0)?)
    }

    fn checked(&self, name: &str, resolved: &Table) -> Result<RemoteConfig, ConfigError> {
        let mut options = schema::validate_remote(resolved)?;
        if !options.contains_key("checksum_jobs")
            && let Some(jobs) = self.option("core", "checksum_jobs")
        {
            options.insert("checksum_jobs".to_owned(), jobs.clone());
        }
        let url = match options.shift_remove("url") {
            Some(url) => url.shown(),
            None => return Err(ConfigError::invalid("expected 'url'")),
        };
        let (scheme, netloc) = schema::split_url(&url).unwrap_or_default();
        let scheme = if netloc.is_empty() { String::new() } else { scheme };
        if options.get("worktree").and_then(ConfigValue::as_bool) == Some(true) {
            match options.get("version_aware").and_then(ConfigValue::as_bool) {
                Some(false) => return Err(ConfigError::invalid("worktree remotes require version_aware cloud")),
                Some(true) => {}
                None => {
                    options.insert("version_aware".to_owned(), ConfigValue::Bool(true));
                }
            }
        }
        Ok(RemoteConfig { name: name.to_lowercase(), url, scheme, options })
    }

    /// The remote to use: the one named, else the default one. `command` and the repository's root are for the message.
    pub fn remote_or_default(
        &self,
        name: Option<&str>,
        command: &str,
        root: &str,
    ) -> Result<RemoteConfig, ConfigError> {
        if let Some(name) = name.filter(|name| !name.is_empty()).or_else(|| self.core_remote()) {
            return self.remote(name);
        }
        let hint = if self.remote_names().next().is_some() {
            format!(
                "Setup default remote with\n    dvc remote default <remote name>\nor use:\n    dvc {command} -r <remote name>"
            )
        } else {
            "Create a default remote with\n    dvc remote add -d <remote name> <remote url>".to_owned()
        };
        Err(ConfigError::NoRemote(format!("no remote specified in {root}. {hint}")))
    }

    /// A remote's options over those of the remote that its URL refers to.
    fn resolve(&self, name: &str, depth: usize) -> Result<Table, ConfigError> {
        let own = self.section("remote").and_then(|remotes| remotes.get(&name.to_lowercase())?.as_table());
        self.follow(own.ok_or_else(|| ConfigError::RemoteNotFound(name.to_owned()))?.clone(), depth)
    }

    fn follow(&self, own: Table, depth: usize) -> Result<Table, ConfigError> {
        let url = own.get("url").map(ConfigValue::shown).unwrap_or_default();
        let (scheme, netloc) = schema::split_url(&url).unwrap_or_default();
        if scheme != "remote" {
            return Ok(own);
        }
        if depth == MAX_REFERENCES {
            return Err(ConfigError::Unexpected("maximum recursion depth exceeded".to_owned()));
        }
        let base = self.resolve(&netloc, depth + 1)?;
        schema::validate_remote(&base)?;
        // The URL is remote://name/path, with a query and a fragment that do not count.
        let path = url.split_once("//").map_or("", |(_, rest)| rest).trim_start_matches(netloc.as_str());
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_start_matches('/');
        let url = format!("{}/{path}", base.get("url").map(ConfigValue::shown).unwrap_or_default());
        let mut merged = base;
        merged.extend(own);
        merged.insert("url".to_owned(), ConfigValue::Text(url));
        Ok(merged)
    }
}
