//! What the process was started with: variables, home, working directory. The binary hands it in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use trackway_remote::{Ask, Secret};

/// The variables that DVC 3.67 honours and those the binary needs besides. The library reads no environment itself.
///
/// `DVC_ROOT` and `DVC_STAGE` are not here: DVC sets them for the commands of stages and never reads them.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    pub vars: BTreeMap<String, String>,
    /// The user's home where `HOME` is not set (from the system's list of users).
    pub home: Option<PathBuf>,
    pub cwd: PathBuf,
    /// Who is asked for the passwords of remotes.
    pub(crate) ask: Ask,
    /// Whether a person is at a terminal, so that programs which we start may ask there.
    pub(crate) is_attended: bool,
}

impl Environment {
    pub fn new(vars: impl IntoIterator<Item = (String, String)>, home: Option<PathBuf>, cwd: PathBuf) -> Environment {
        Environment { vars: vars.into_iter().collect(), home, cwd, ask: Ask::default(), is_attended: false }
    }

    /// With a person at hand: `ask` shows a line, and gives what is typed.
    pub fn asking(self, ask: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Environment {
        Environment { ask: Ask::with(move |line| ask(line).map(Secret::new)), ..self }
    }

    pub fn attended(self, is_attended: bool) -> Environment {
        Environment { is_attended, ..self }
    }

    /// A variable that is set and not empty.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// As DVC's `env2bool`: true where the value has a `1`, a `y` or `true` anywhere; `None` where it is not set.
    pub fn flag(&self, name: &str) -> Option<bool> {
        let value = self.vars.get(name)?.to_lowercase();
        Some(["1", "y", "true"].iter().any(|yes| value.contains(yes)))
    }

    pub fn home_dir(&self) -> Option<PathBuf> {
        // As Python's expanduser: a HOME that is set counts, even when it is empty.
        self.vars.get("HOME").map(PathBuf::from).or_else(|| self.home.clone())
    }

    /// `$DVC_SYSTEM_CONFIG_DIR`, else the first of `$XDG_CONFIG_DIRS` or `/etc/xdg`, then `dvc`.
    pub fn system_config_dir(&self) -> PathBuf {
        if let Some(dir) = self.var("DVC_SYSTEM_CONFIG_DIR") {
            return PathBuf::from(dir);
        }
        let dirs = self.var("XDG_CONFIG_DIRS").unwrap_or_default();
        let first = dirs.split(':').find(|dir| !dir.trim().is_empty()).unwrap_or("/etc/xdg");
        self.expand(first).join("dvc")
    }

    /// `$DVC_GLOBAL_CONFIG_DIR`, else `dvc` in [`Self::user_config_home`].
    pub fn global_config_dir(&self) -> PathBuf {
        self.var("DVC_GLOBAL_CONFIG_DIR").map_or_else(|| self.user_config_home().join("dvc"), PathBuf::from)
    }

    /// `$XDG_CONFIG_HOME`, else `~/.config`.
    pub fn user_config_home(&self) -> PathBuf {
        match self.var("XDG_CONFIG_HOME").map(str::trim).filter(|dir| !dir.is_empty()) {
            Some(dir) => self.expand(dir),
            None => self.home_dir().unwrap_or_else(|| PathBuf::from("~")).join(".config"),
        }
    }

    fn expand(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.home_dir()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        }
    }

    /// Where state and indexes of repositories lie: `$DVC_SITE_CACHE_DIR`, else `core.site_cache_dir`, else
    /// `/var/tmp/dvc`.
    pub fn site_cache_dir(&self, configured: Option<&str>) -> PathBuf {
        self.var("DVC_SITE_CACHE_DIR").or(configured).map_or_else(|| PathBuf::from("/var/tmp/dvc"), PathBuf::from)
    }

    /// `DVC_NO_ANALYTICS` (any value) or `DVC_TEST`.
    pub fn no_analytics(&self) -> bool {
        self.var("DVC_NO_ANALYTICS").is_some() || self.in_tests()
    }

    /// `DVC_TEST`: no analytics, no question for updates, no notice to Studio.
    pub fn in_tests(&self) -> bool {
        self.flag("DVC_TEST").unwrap_or(false)
    }

    /// `DVC_IGNORE_ISATTY`: progress bars also where the output is no terminal.
    pub fn ignore_isatty(&self) -> bool {
        self.flag("DVC_IGNORE_ISATTY").unwrap_or(false)
    }

    /// `DVC_SHOW_TRACEBACK` (any value).
    pub fn show_traceback(&self) -> bool {
        self.var("DVC_SHOW_TRACEBACK").is_some()
    }

    /// `DVC_PAGER`, else `PAGER`, else nothing was asked for.
    pub fn pager(&self) -> Option<&str> {
        self.var("DVC_PAGER").or_else(|| self.var("PAGER"))
    }

    /// `DVC_EXP_AUTO_PUSH`, `DVC_EXP_GIT_REMOTE`, `DVC_EXP_NAME`, `DVC_EXP_BASELINE_REV` and `DVC_STUDIO_TOKEN`,
    /// `…_URL`, `…_REPO_URL`, `…_OFFLINE` are read by name through [`Self::var`] and [`Self::flag`]; a Studio token may
    /// also come as `STUDIO_TOKEN`.
    pub fn studio_token(&self) -> Option<&str> {
        self.var("DVC_STUDIO_TOKEN").or_else(|| self.var("STUDIO_TOKEN"))
    }

    pub(crate) fn absolute(&self, path: &Path) -> PathBuf {
        self.cwd.join(path)
    }
}
