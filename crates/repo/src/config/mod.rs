//! The configuration of a repository: four files in INI format, merged, checked and typed.
//!
//! - [`Environment`]: variables, home, working directory, handed in by the binary (`environment.rs`)
//! - [`Levels`], [`Level`]: the files; reading, merging, editing in place (`levels.rs`, `paths.rs`)
//! - [`Config`]: the checked whole with typed accessors; [`RemoteConfig`] (`remotes.rs`)
//! - `schema.rs`: every section and option of DVC 3.67 and its validator's words
//! - `commands.rs`: `config`, `remote …`, `cache dir` as methods of [`Levels`]
//! - [`settings`]: Trackway's own settings beside DVC's

mod commands;
mod environment;
mod error;
mod levels;
mod paths;
mod remotes;
mod schema;
pub mod settings;
#[cfg(test)]
mod tests;
mod value;

use std::path::{Path, PathBuf};

pub use commands::{Found, Listed, NAME_ERROR, OptionName, RemoteRow, RemoteRows};
pub use environment::Environment;
pub use error::ConfigError;
pub use levels::{Level, Levels, read_file};
pub use remotes::RemoteConfig;
pub use schema::{Kind, Opt, SECTIONS, remote_options, section_options};
pub use settings::{Settings, SettingsError, parse_size};
pub use value::{ConfigValue, Table, merge};

/// A checked configuration: all levels merged, defaults in place.
#[derive(Debug, Clone)]
pub struct Config {
    table: Table,
    dvc_dir: Option<PathBuf>,
    env: Environment,
    /// Warnings of the check, for the terminal.
    pub warnings: Vec<String>,
}

/// What a command lays over the files.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Options of any section, laid over all levels before the check.
    pub config: Table,
    /// The default remote.
    pub remote: Option<String>,
    /// Options of that remote or else of the default one, laid over after the check.
    pub remote_config: Table,
}

impl Config {
    /// Reads and checks all levels; `dvc_dir` is the repository's `.dvc`, `None` outside of one.
    pub fn load(dvc_dir: Option<&Path>, env: &Environment) -> Result<Config, ConfigError> {
        Config::of(Levels::new(dvc_dir, env), &Overrides::default())
    }

    /// Checks these levels with something laid over them.
    pub fn of(mut levels: Levels, over: &Overrides) -> Result<Config, ConfigError> {
        let mut merged = levels.load_below(None)?;
        merge(&mut merged, over.config.clone());
        let mut table = levels.validate(&merged)?;
        if let Some(remote) = &over.remote {
            value::table_mut(&mut table, "core").insert("remote".to_owned(), ConfigValue::Text(remote.clone()));
        }
        if !over.remote_config.is_empty() {
            let core = table.get("core").and_then(ConfigValue::as_table);
            let name = core.and_then(|core| core.get("remote")?.as_text().map(str::to_owned));
            let name = name.ok_or_else(|| ConfigError::Unexpected("Missing remote name".to_owned()))?;
            let remotes = value::table_mut(&mut table, "remote");
            merge(value::table_mut(remotes, &name), over.remote_config.clone());
        }
        let warnings = levels.take_warnings();
        Ok(Config { table, dvc_dir: levels.dvc_dir, env: levels.env, warnings })
    }

    pub fn environment(&self) -> &Environment {
        &self.env
    }

    pub fn section(&self, section: &str) -> Option<&Table> {
        self.table.get(section)?.as_table()
    }

    pub fn option(&self, section: &str, option: &str) -> Option<&ConfigValue> {
        self.section(section)?.get(option)
    }

    /// `section.option` or `remote.name.option`. Names may hold dots.
    pub fn get(&self, name: &str) -> Option<&ConfigValue> {
        let (section, rest) = name.split_once('.')?;
        match rest.rsplit_once('.') {
            Some((inner, option)) => self.section(section)?.get(inner)?.as_table()?.get(option),
            None => self.option(section, rest),
        }
    }

    fn text(&self, section: &str, option: &str) -> Option<&str> {
        self.option(section, option)?.as_text()
    }

    fn flag(&self, section: &str, option: &str) -> bool {
        self.option(section, option).and_then(ConfigValue::as_bool).unwrap_or(false)
    }

    /// The default remote's name.
    pub fn core_remote(&self) -> Option<&str> {
        self.text("core", "remote").filter(|name| !name.is_empty())
    }

    pub fn checksum_jobs(&self) -> Option<usize> {
        self.option("core", "checksum_jobs")?.as_int().and_then(|jobs| usize::try_from(jobs).ok())
    }

    pub fn interactive(&self) -> bool {
        self.flag("core", "interactive")
    }

    pub fn analytics(&self) -> bool {
        self.flag("core", "analytics") && !self.env.no_analytics()
    }

    pub fn hardlink_lock(&self) -> bool {
        self.flag("core", "hardlink_lock")
    }

    pub fn no_scm(&self) -> bool {
        self.flag("core", "no_scm")
    }

    pub fn autostage(&self) -> bool {
        self.flag("core", "autostage")
    }

    pub fn check_update(&self) -> bool {
        self.flag("core", "check_update")
    }

    /// Where state and indexes of repositories lie.
    pub fn site_cache_dir(&self) -> PathBuf {
        self.env.site_cache_dir(self.text("core", "site_cache_dir"))
    }

    /// `cache.dir`, else `.dvc/cache`. Outside a repository without the option: `None`.
    pub fn cache_dir(&self) -> Option<PathBuf> {
        match self.text("cache", "dir") {
            Some(dir) => Some(PathBuf::from(dir)),
            None => self.dvc_dir.as_ref().map(|dir| dir.join("cache")),
        }
    }

    /// The kinds of links to try, in order: `reflink`, `hardlink`, `symlink`, `copy`.
    pub fn cache_types(&self) -> Vec<String> {
        match self.option("cache", "type") {
            Some(ConfigValue::List(types)) => types.clone(),
            _ => vec!["reflink".to_owned(), "copy".to_owned()],
        }
    }

    /// `cache.shared = group`.
    pub fn cache_shared_group(&self) -> bool {
        self.text("cache", "shared") == Some("group")
    }

    pub fn cache_slow_link_warning(&self) -> bool {
        self.flag("cache", "slow_link_warning")
    }

    /// Whether objects of the cache are hashed again when they are used.
    pub fn cache_verify(&self) -> bool {
        self.flag("cache", "verify")
    }

    /// `DVC_EXP_AUTO_PUSH`, else `exp.auto_push`.
    pub fn exp_auto_push(&self) -> bool {
        self.env.flag("DVC_EXP_AUTO_PUSH").unwrap_or_else(|| self.flag("exp", "auto_push"))
    }

    /// `DVC_EXP_GIT_REMOTE`, else `exp.git_remote`, else `origin`.
    pub fn exp_git_remote(&self) -> &str {
        let from_env = self.env.vars.get("DVC_EXP_GIT_REMOTE").map(String::as_str);
        from_env.or_else(|| self.text("exp", "git_remote")).unwrap_or("origin")
    }

    pub fn plots_out_dir(&self) -> Option<&str> {
        self.text("plots", "out_dir")
    }

    pub fn plots_html_template(&self) -> Option<&str> {
        self.text("plots", "html_template")
    }

    pub fn plots_auto_open(&self) -> bool {
        self.flag("plots", "auto_open")
    }
}
