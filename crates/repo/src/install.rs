//! `dvc install`: git hooks that bring the data along, and a driver that merges `.dvc` files.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use trackway_git::Git;

use crate::error::{Error, Result};
use crate::repo::Repo;

/// In the order in which DVC 3.67 makes them.
const HOOKS: [&str; 3] = ["post-checkout", "pre-commit", "pre-push"];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// `core.hooksPath`, when git looks there and not where the hooks were put.
    pub hooks_elsewhere: Option<PathBuf>,
}

/// `program` is the command that the hooks call. A repository without git is left alone.
pub fn install(repo: &Repo, program: &str, use_pre_commit_tool: bool) -> Result<Installed> {
    let Some(git) = repo.git()? else { return Ok(Installed::default()) };
    git.set_config("merge.dvc.name", "DVC merge driver")?;
    git.set_config("merge.dvc.driver", &format!("{program} git-hook merge-driver --ancestor %O --our %A --their %B "))?;
    if use_pre_commit_tool {
        crate::pre_commit::add_hooks(&git.root().join(".pre-commit-config.yaml"))?;
        return Ok(Installed::default());
    }
    install_hooks(git, program, &shell(repo.environment().var("PATH").unwrap_or_default()))
}

fn install_hooks(git: &Git, program: &str, shell: &Path) -> Result<Installed> {
    let folder = git.hooks_dir();
    for name in HOOKS {
        if folder.join(name).exists() {
            return Err(Error::dvc(format!(
                "Hook '{name}' already exists. Please refer to <https://man.dvc.org/install> for more info."
            )));
        }
    }
    if !folder.is_dir() {
        fs::create_dir(&folder).map_err(|error| Error::io(&folder, error))?;
    }
    for name in HOOKS {
        write_hook(&folder, name, &format!("#!{}\nexec {program} git-hook {name} $@\n", shell.display()))?;
    }
    let elsewhere = git.configured_hooks_dir().filter(|configured| *configured != folder);
    Ok(Installed { hooks_elsewhere: elsewhere })
}

/// A hook is there whole or not at all: git would run half of one.
fn write_hook(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    let failed = |error| Error::io(&path, error);
    let file = tempfile::Builder::new().prefix(".hook-").tempfile_in(folder).map_err(failed)?;
    fs::write(file.path(), text).map_err(failed)?;
    // As DVC 3.67, whatever the umask says.
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o777)).map_err(failed)?;
    file.persist(&path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Where the shell is, as DVC 3.67 finds it.
fn shell(path: &str) -> PathBuf {
    let runs =
        |file: &PathBuf| file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    path.split(':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| Path::new(folder).join(OsStr::new("sh")))
        .find(runs)
        .unwrap_or_else(|| PathBuf::from("/bin/sh"))
}
