//! What a command is given beside its own arguments.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use trackway_repo::config::{Config, Environment, Levels};
use trackway_repo::scm::ToCommit;
use trackway_repo::{Repo, is_secret_option, shown_url};

use crate::failure::Failure;
use crate::terminal::{Terminal, password};

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
        let is_attended = io::stdin().is_terminal() && io::stderr().is_terminal();
        Environment::new(vars, std::env::home_dir(), self.folder.clone()).asking(password::ask).attended(is_attended)
    }

    /// The repository around the current folder. In our own manner a busy lock is waited for.
    pub fn repo(&self) -> Result<Repo, Failure> {
        let repo = Repo::discover(&self.environment())?
            .waiting_for_lock(self.wait_for_lock || self.style == Style::Trackway)
            .called_as(command_line())
            .on_waiting(|holder| match holder {
                Some(holder) => eprintln!("Waiting for {holder} to finish."),
                None => eprintln!("Waiting for another command to finish."),
            });
        repo.keep_own_files_from_git();
        self.tell_warnings(&repo);
        Ok(repo)
    }

    /// Runs a command on the repository around the current folder, and prints the warnings that it leaves, also when it fails.
    pub fn on_repo<T>(&self, run: impl FnOnce(&Repo) -> Result<T, Failure>) -> Result<T, Failure> {
        let repo = self.repo()?;
        let outcome = run(&repo);
        self.tell_warnings(&repo);
        outcome
    }

    /// Targets as the library takes them.
    pub fn targets(&self, targets: &[OsString]) -> Result<Vec<String>, Failure> {
        let text = |target: &OsString| {
            target.to_str().map(str::to_owned).ok_or_else(|| {
                Failure::failed(format!(
                    "the target '{}' is not UTF-8, and no '.dvc' file can hold its name. Name the folder it lies in.",
                    target.to_string_lossy()
                ))
            })
        };
        targets.iter().map(text).collect()
    }

    /// After a command that wrote files for git: what is to be done with them, unless that was done or is known.
    pub fn tell_what_to_commit(&self, to_commit: &ToCommit) -> Result<(), Failure> {
        if to_commit.files.is_empty() || to_commit.staged {
            return Ok(());
        }
        let files: Vec<_> = to_commit.files.iter().map(|file| shlex::try_quote(file).unwrap_or(file.into())).collect();
        self.terminal.line(format!("\nTo track the changes with git, run:\n\n\tgit add {}", files.join(" ")))?;
        self.terminal
            .line(format!("\nTo enable auto staging, run:\n\n\t{} config core.autostage true", self.style.program()))
    }

    /// Prints what the library has kept to be printed.
    pub fn tell_warnings(&self, repo: &Repo) {
        for note in repo.take_notes() {
            // A closed pipe is met again by the flush at the end, which reports it.
            let _ = self.terminal.line(note);
        }
        for warning in repo.take_warnings() {
            self.terminal.warning(warning);
        }
    }

    /// The settings, inside of a repository or not.
    pub fn config(&self) -> Result<Config, Failure> {
        let dvc_dir = trackway_repo::find_root(&self.folder).ok().map(|root| root.join(".dvc"));
        Ok(Config::load(dvc_dir.as_deref(), &self.environment())?)
    }

    /// The files of settings, inside of a repository or not.
    pub fn levels(&self) -> Result<Levels, Failure> {
        let dvc_dir = trackway_repo::find_root(&self.folder).ok().map(|root| root.join(".dvc"));
        Ok(Levels::open(dvc_dir.as_deref(), &self.environment())?)
    }
}

/// As other tools are told that we work here, and `-v` tells. Others may read both.
pub(super) fn command_line() -> String {
    without_secrets(std::env::args_os().map(|word| word.to_string_lossy().into_owned()))
}

fn without_secrets(words: impl Iterator<Item = String>) -> String {
    let mut shown: Vec<String> = Vec::new();
    // `remote modify NAME password …` and `--remote-config password=…`
    let mut after_secret = false;
    for word in words {
        shown.push(match word.split_once('=') {
            _ if std::mem::take(&mut after_secret) => "***".to_owned(),
            Some((name, _)) if is_secret_option(name) => format!("{name}=***"),
            _ => shown_url(&word),
        });
        after_secret = is_secret_option(&word);
    }
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn secrets_of_the_command_line_are_not_told() {
        let shown = |line: &str| super::without_secrets(line.split(' ').map(str::to_owned));
        assert_eq!(shown("dvc get https://me:p@h/x f -v"), "dvc get https://me:***@h/x f -v");
        assert_eq!(shown("dvc remote modify --local r password p"), "dvc remote modify --local r password ***");
        assert_eq!(shown("dvc get u f --remote-config token=t url=v"), "dvc get u f --remote-config token=*** url=v");
    }
}
