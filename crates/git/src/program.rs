//! What is left to the `git` program: everything that writes the index, and the state of the whole work tree.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Error, Git, Result};

/// Which untracked files are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untracked {
    No,
    /// A folder without tracked files counts as one, with a `/` behind its name.
    Normal,
    All,
}

/// How the work tree differs from the index, and that from HEAD. Paths are relative to the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub staged: Vec<PathBuf>,
    pub unstaged: Vec<PathBuf>,
    pub untracked: Vec<PathBuf>,
}

impl Status {
    pub fn is_dirty(&self) -> bool {
        !(self.staged.is_empty() && self.unstaged.is_empty() && self.untracked.is_empty())
    }
}

/// Inside a hook these name the repository that called it, and a temporary index.
pub(crate) const OF_ANOTHER_REPOSITORY: [&str; 11] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
];

impl Git {
    /// Stages `paths` as they are now: new, changed or deleted. Left out, as in DVC 3.67: what git ignores (tracked or
    /// not), what lies in a submodule, and what is neither there nor tracked.
    pub fn add(&self, paths: &[PathBuf]) -> Result<()> {
        let submodules = self.submodules()?;
        let mut names = Vec::new();
        for path in paths {
            let relative = self.relative(path)?;
            let found = self.root().join(&relative).symlink_metadata();
            if submodules.iter().any(|dir| relative.starts_with(dir))
                || self.is_ignored(&relative, found.as_ref().is_ok_and(|meta| meta.is_dir()))?
                || (found.is_err() && !self.is_tracked(&relative)?)
            {
                continue;
            }
            names.push(relative.into_owned());
        }
        self.run_on_paths(&["add", "--all"], &names)
    }

    /// Makes the index have of `paths` what HEAD has.
    pub fn reset(&self, paths: &[PathBuf]) -> Result<()> {
        let names = paths.iter().map(|path| self.relative(path).map(|p| p.into_owned())).collect::<Result<Vec<_>>>()?;
        self.run_on_paths(&["reset", "--quiet"], &names)
    }

    /// Writes one value to the repository's own configuration.
    pub fn set_config(&self, name: &str, value: &str) -> Result<()> {
        self.run(&[OsStr::new("config"), OsStr::new("--local"), name.as_ref(), value.as_ref()], &[]).map(drop)
    }

    /// The state of the work tree. Submodules count as changed when another commit is checked out in them.
    pub fn status(&self, untracked: Untracked) -> Result<Status> {
        let untracked = match untracked {
            Untracked::No => "--untracked-files=no",
            Untracked::Normal => "--untracked-files=normal",
            Untracked::All => "--untracked-files=all",
        };
        let arguments =
            ["status", "--porcelain=v1", "-z", "--no-renames", "--ignore-submodules=dirty", untracked].map(OsStr::new);
        let output = self.run(&arguments, &[])?;
        let mut status = Status::default();
        for line in output.split(|byte| *byte == 0) {
            let [staged, unstaged, b' ', name @ ..] = line else { continue };
            let path = PathBuf::from(OsString::from_vec(name.to_vec()));
            if *staged == b'?' {
                status.untracked.push(path);
                continue;
            }
            if *staged != b' ' {
                status.staged.push(path.clone());
            }
            if *unstaged != b' ' {
                status.unstaged.push(path);
            }
        }
        Ok(status)
    }

    /// The files that git does not track and does not ignore, relative to the root.
    pub fn untracked_files(&self, which: Untracked) -> Result<Vec<PathBuf>> {
        Ok(self.status(which)?.untracked)
    }

    /// Runs `git ARGUMENTS` on paths relative to the root, handed over on its input: there may be many of them.
    fn run_on_paths(&self, arguments: &[&str], paths: &[PathBuf]) -> Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        let mut input = Vec::new();
        for path in paths {
            // An empty name is the root itself.
            let name = if path.as_os_str().is_empty() { Path::new(".") } else { path.as_path() };
            input.extend_from_slice(name.as_os_str().as_bytes());
            input.push(0);
        }
        let mut all: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        all.extend([OsStr::new("--pathspec-from-file=-"), OsStr::new("--pathspec-file-nul")]);
        self.run(&all, &input).map(drop)
    }

    fn run(&self, arguments: &[&OsStr], input: &[u8]) -> Result<Vec<u8>> {
        let failed = |reason: String| Error::Program {
            command: arguments.iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" "),
            reason,
        };
        let mut command = Command::new("git");
        command.arg("-C").arg(self.root()).args(["--literal-pathspecs", "--no-optional-locks"]).args(arguments);
        for name in OF_ANOTHER_REPOSITORY {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        let stdin = child.stdin.take();
        std::thread::scope(|scope| {
            // Beside the reading: git may answer before it has read everything. That it stops reading is seen in its
            // exit code.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
            let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
            if output.status.success() {
                return Ok(output.stdout);
            }
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(failed(if said.is_empty() { output.status.to_string() } else { said }))
        })
    }
}
