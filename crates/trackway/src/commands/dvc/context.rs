//! What a command is given beside its own arguments.

use std::path::{Path, PathBuf};

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

    /// `path` seen from the current folder.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// A command, or a part of one, that has no code behind it yet.
    pub fn not_built(&self, command: &str) -> Failure {
        Failure::dvc_not_built(&format!("{} {command}", self.style.program()))
    }

    /// Whether a repository is around the current folder; hooks have nothing to do outside of one.
    pub fn is_inside_a_repository(&self) -> bool {
        self.folder.ancestors().any(|folder| folder.join(".dvc").is_dir())
    }
}
