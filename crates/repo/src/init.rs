//! `dvc init`: makes a repository.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use trackway_git::Git;

use crate::config::Environment;
use crate::error::{Error, Result};
use crate::gitignore;
use crate::ignore;
use crate::paths::{self, DVC_DIR};
use crate::repo::Repo;

#[derive(Clone, Debug, Default)]
pub struct InitOptions {
    /// Relative to where the person stands.
    pub directory: PathBuf,
    /// Without git.
    pub no_scm: bool,
    /// Over a repository that is there: its configuration and its cache go.
    pub force: bool,
    /// Somewhere below the root of a git repository.
    pub subdir: bool,
}

/// Makes the repository and stages its files in git. [`Error::Dvc`] says in DVC's words what stands against it.
pub fn init(options: &InitOptions, environment: &Environment) -> Result<Repo> {
    let root = paths::absolute(&options.directory, &environment.cwd);
    let dvc_dir = root.join(DVC_DIR);
    let git = if options.no_scm { None } else { Some(git_around(&root, options.subdir)?) };
    if let Some(git) = &git
        && git.is_ignored(&real(&dvc_dir), dvc_dir.is_dir())?
    {
        return Err(Error::dvc(format!(
            "{} is ignored by your SCM tool. \nMake sure that it's tracked, for example, by adding '!.dvc' to .gitignore.",
            dvc_dir.display()
        )));
    }
    if dvc_dir.is_dir() && !options.force {
        let shown = paths::show(&paths::relative(&dvc_dir, &environment.cwd));
        return Err(Error::dvc(format!("'{shown}' exists. Use `-f` to force.")));
    }
    if dvc_dir.symlink_metadata().is_ok() && !dvc_dir.is_dir() {
        return Err(Error::io(&dvc_dir, ErrorKind::AlreadyExists.into()));
    }
    fs::create_dir_all(&root).map_err(|error| Error::io(&root, error))?;
    let ignore_file = write_dvcignore(&root)?;
    if let Some(git) = &git {
        // What the old repository's own file ignores, the new one's is to ignore too.
        remove(&dvc_dir.join(gitignore::FILE_NAME))?;
        git.forget_ignores();
    }
    let made = Unfinished::beside(&dvc_dir)?;
    let mut staged = vec![dvc_dir.join("config"), ignore_file];
    write(&made.path, "config", if options.no_scm { "[core]\n    no_scm = True\n" } else { "" })?;
    if let Some(git) = &git
        && let Some(lines) = own_gitignore(&root, git, environment)?
    {
        write(&made.path, ".gitignore", &lines)?;
        staged.push(dvc_dir.join(".gitignore"));
    }
    let tmp = made.path.join("tmp");
    fs::create_dir(&tmp).map_err(|error| Error::io(&tmp, error))?;
    // Stock reads from its time how old the repository is, and names its state after it.
    write(&tmp, "btime", "")?;
    if dvc_dir.symlink_metadata().is_ok() {
        remove(&dvc_dir)?;
    }
    made.finish(&dvc_dir)?;
    if let Some(git) = &git {
        git.forget_ignores();
        let staged: Vec<PathBuf> = staged.iter().map(|path| real(path)).collect();
        git.add(&staged)?;
    }
    Repo::open(&root, environment)
}

/// The git repository whose root this is, or with `--subdir` any around it.
fn git_around(root: &Path, subdir: bool) -> Result<Git> {
    let found = if root.is_dir() { Git::discover(root).ok().flatten() } else { None };
    match found {
        Some(git) if subdir || fs::canonicalize(root).is_ok_and(|real| real == git.root()) => Ok(git),
        _ => Err(Error::dvc(format!(
            "{} is not tracked by any supported SCM tool (e.g. Git). Use `--no-scm` if you don't want to use any SCM or \
             `--subdir` if initializing inside a subdirectory of a parent SCM repository.",
            root.display()
        ))),
    }
}

/// What of `.dvc` git must not see. As DVC 3.67 leaves out what is ignored already, and a cache that lies elsewhere.
fn own_gitignore(root: &Path, git: &Git, environment: &Environment) -> Result<Option<String>> {
    let dvc_dir = root.join(DVC_DIR);
    let cache = Repo::open(root, environment)?.cache_dir();
    let mut lines = String::new();
    for (path, is_dir) in [(dvc_dir.join("config.local"), false), (dvc_dir.join("tmp"), true), (cache, true)] {
        let Ok(inside) = path.strip_prefix(&dvc_dir) else { continue };
        if !git.is_ignored(&real(&path), is_dir)? {
            lines.push_str(&format!("/{}\n", inside.display()));
        }
    }
    Ok((!lines.is_empty()).then_some(lines))
}

fn write_dvcignore(root: &Path) -> Result<PathBuf> {
    let path = root.join(ignore::FILE_NAME);
    if path.symlink_metadata().is_err() {
        write(root, ignore::FILE_NAME, ignore::INITIAL_TEXT)?;
    }
    Ok(path)
}

/// `path` as git knows it: its nearest folder that is there without symbolic links.
fn real(path: &Path) -> PathBuf {
    for folder in path.ancestors().skip(1) {
        if let (Ok(real), Ok(rest)) = (fs::canonicalize(folder), path.strip_prefix(folder)) {
            return real.join(rest);
        }
    }
    path.to_owned()
}

fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    fs::write(&path, text).map_err(|error| Error::io(&path, error))
}

/// Removes a file, a link or a folder with all that is in it; links are not followed.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let gone = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(path, error)),
        _ => Ok(()),
    }
}

/// A folder that is put together under another name and gets its own at the end, so that a killed `init` can be run again.
struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    fn beside(dvc_dir: &Path) -> Result<Unfinished> {
        let mut name = dvc_dir.file_name().unwrap_or(OsStr::new(DVC_DIR)).to_owned();
        name.push(".unfinished");
        let path = dvc_dir.with_file_name(name);
        remove(&path)?;
        fs::create_dir(&path).map_err(|error| Error::io(&path, error))?;
        Ok(Unfinished { path })
    }

    fn finish(self, dvc_dir: &Path) -> Result<()> {
        fs::rename(&self.path, dvc_dir).map_err(|error| Error::io(dvc_dir, error))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After `finish` there is nothing of this name.
        let _ = fs::remove_dir_all(&self.path);
    }
}
