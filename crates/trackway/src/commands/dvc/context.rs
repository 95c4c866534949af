//! What a command is given beside its own arguments.

use std::path::PathBuf;

use trackway_repo::Repo;
use trackway_repo::config::{Environment, Levels};

use crate::failure::Failure;
use crate::terminal::Terminal;

/// Under which name the command was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `dvc …` and `trackway dvc …`: stock's words, stock's exit codes, stock's habits.
    Dvc,
    /// `trackway …`: the same data, but friendlier and safer where that harms nobody.
    Trackway,
}

impl Style {
    /// What the person typed before the command's name.
    pub fn program(self) -> &'static str {
        match self {
            Style::Dvc => "dvc",
            Style::Trackway => "trackway",
        }
    }
}

pub struct Context {
    pub style: Style,
    pub terminal: Terminal,
    /// `--wait-for-lock`: wait for the other command instead of giving up.
    pub wait_for_lock: bool,
    /// The current folder, after `--cd`.
    pub folder: PathBuf,
}

impl Context {
    pub fn new(style: Style, terminal: Terminal, wait_for_lock: bool) -> Result<Context, Failure> {
        let folder = std::env::current_dir()
            .map_err(|error| Failure::unexpected(format!("the current folder cannot be found: {error}")))?;
        Ok(Context { style, terminal, wait_for_lock, folder })
    }

    /// What the library may know of the process's environment. Variables that are not UTF-8 are none that DVC has.
    pub fn environment(&self) -> Environment {
        let vars =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Environment::new(vars, std::env::home_dir(), self.folder.clone())
    }

    /// The repository around the current folder. In our own manner a busy lock is waited for.
    pub fn repo(&self) -> Result<Repo, Failure> {
        let repo =
            Repo::discover(&self.environment())?.waiting_for_lock(self.wait_for_lock || self.style == Style::Trackway);
        self.tell_warnings(&repo);
        Ok(repo)
    }

    /// Prints what the library has kept to be printed.
    pub fn tell_warnings(&self, repo: &Repo) {
        for warning in repo.take_warnings() {
            self.terminal.warning(warning);
        }
    }

    /// The files of settings, inside of a repository or not.
    pub fn levels(&self) -> Result<Levels, Failure> {
        let dvc_dir = trackway_repo::find_root(&self.folder).ok().map(|root| root.join(".dvc"));
        Ok(Levels::open(dvc_dir.as_deref(), &self.environment())?)
    }

    /// A command, or a part of one, that has no code behind it yet.
    pub fn not_built(&self, command: &str) -> Failure {
        Failure::dvc_not_built(&format!("{} {command}", self.style.program()))
    }
}
