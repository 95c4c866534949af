//! The upkeep of `.gitignore`: what DVC tracks, git must not.
//!
//! As DVC 3.67: an output gets the line `/name` in the `.gitignore` of its folder, unless git ignores it already by any
//! rule; the line goes with the output, and the file with its last line. Many outputs are written with one change of
//! each file.
//!
//! Three things are done better, and only where stock leaves a line that does not work: a newline in a name is written
//! as `?` (stock writes two lines), a blank at its end is escaped, and an escaped line is found again when it is to go.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use trackway_git::Git;

/// The name of an ignore file.
pub const FILE_NAME: &str = ".gitignore";

#[derive(Debug, thiserror::Error)]
pub enum GitIgnoreError {
    #[error("'{}' is outside of git repository '{}'", path.display(), root.display())]
    Outside { path: PathBuf, root: PathBuf },
    /// `shown` is the path as the user wrote it.
    #[error(
        " output '{shown}' is already tracked by SCM (e.g. Git).\n    You can remove it from Git, then add to DVC.\n        \
         To stop tracking from Git:\n            git rm -r --cached '{shown}'\n            git commit -m \"stop \
         tracking {shown}\" "
    )]
    Tracked { shown: String },
    #[error("'{}' cannot be {verb}: {error}", path.display())]
    File { path: PathBuf, verb: &'static str, error: io::Error },
    #[error(transparent)]
    Git(#[from] trackway_git::Error),
}

/// What of a `.dvc` folder git must not see.
const OWN: [&str; 3] = ["config.local", "tmp", "cache"];

/// Whether the `.gitignore` in a `.dvc` folder has its usual lines.
pub fn has_own_lines(dvc_dir: &Path) -> bool {
    let known = fs::read(dvc_dir.join(FILE_NAME)).unwrap_or_default();
    OWN.iter()
        .all(|name| known.split(|byte| *byte == b'\n').any(|line| line.strip_prefix(b"/") == Some(name.as_bytes())))
}

/// Has git ignore what of a `.dvc` folder it must not see.
pub fn ignore_own(git: &Git, dvc_dir: &Path) -> Result<(), GitIgnoreError> {
    ignore(git, &OWN.map(|name| dvc_dir.join(name))).map(drop)
}

/// What [`ignore`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    /// The paths that got a line. After a failure of the command they are to be given to [`unignore`].
    pub paths: Vec<PathBuf>,
    /// The files that were changed, for the user to stage.
    pub files: Vec<PathBuf>,
}

/// An error when git tracks `path`, or anything below it: git and DVC cannot both have it.
pub fn refuse_tracked(git: &Git, path: &Path, shown: &str) -> Result<(), GitIgnoreError> {
    match git.is_tracked(path)? {
        true => Err(GitIgnoreError::Tracked { shown: shown.to_owned() }),
        false => Ok(()),
    }
}

/// Has git ignore absolute paths. Those that it ignores already are left out of the answer.
pub fn ignore(git: &Git, paths: &[PathBuf]) -> Result<Ignored, GitIgnoreError> {
    let mut lines: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    let mut at: HashMap<PathBuf, usize> = HashMap::new();
    let mut done = Ignored::default();
    for path in paths {
        let file = file_for(git, path)?;
        if git.is_ignored(path, path.is_dir())? {
            continue;
        }
        let slot = *at.entry(file.clone()).or_insert_with(|| {
            lines.push((file, Vec::new()));
            lines.len() - 1
        });
        lines[slot].1.extend(entry(path));
        lines[slot].1.push(b'\n');
        done.paths.push(path.clone());
    }
    for (file, new) in lines {
        append(&file, &new).map_err(|error| GitIgnoreError::File { path: file.clone(), verb: "changed", error })?;
        done.files.push(file);
    }
    if !done.files.is_empty() {
        git.forget_ignores();
    }
    Ok(done)
}

/// Takes the lines of absolute paths out again. Gives the files that are left, for the user to stage: also those in
/// which nothing was found, as in DVC 3.67, but not those that are gone.
pub fn unignore(git: &Git, paths: &[PathBuf]) -> Result<Vec<PathBuf>, GitIgnoreError> {
    let mut files: Vec<(PathBuf, Vec<Vec<u8>>)> = Vec::new();
    let mut at: HashMap<PathBuf, usize> = HashMap::new();
    for path in paths {
        let file = file_for(git, path)?;
        let slot = *at.entry(file.clone()).or_insert_with(|| {
            files.push((file, Vec::new()));
            files.len() - 1
        });
        let name = path.file_name().unwrap_or_default().as_bytes();
        files[slot].1.extend([[b"/", name].concat().trim_ascii().to_vec(), entry(path)]);
    }
    let mut left = Vec::new();
    for (file, entries) in files {
        let failed = |verb| move |path: &Path, error| GitIgnoreError::File { path: path.to_owned(), verb, error };
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed("read")(&file, error)),
        };
        let kept: Vec<&[u8]> = text
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|line| {
                let bare = line.strip_suffix(b"\n").unwrap_or(line);
                let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
                !entries.iter().any(|entry| entry == bare || entry == line.trim_ascii())
            })
            .collect();
        if kept.is_empty() {
            fs::remove_file(&file).map_err(|error| failed("removed")(&file, error))?;
            continue;
        }
        let kept = kept.concat();
        if kept != text {
            replace(&file, &kept).map_err(|error| failed("changed")(&file, error))?;
        }
        left.push(file);
    }
    git.forget_ignores();
    Ok(left)
}

/// The `.gitignore` beside `path`; it has to be in the work tree, also when it is a link.
fn file_for(git: &Git, path: &Path) -> Result<PathBuf, GitIgnoreError> {
    let outside = || GitIgnoreError::Outside { path: path.to_owned(), root: git.root().to_owned() };
    let (Some(dir), Some(_)) = (path.parent(), path.file_name()) else { return Err(outside()) };
    let file = dir.join(FILE_NAME);
    let real = match fs::canonicalize(&file) {
        Ok(real) => real,
        Err(_) => fs::canonicalize(dir).map_err(|_| outside())?.join(FILE_NAME),
    };
    if !real.starts_with(git.root()) {
        return Err(outside());
    }
    Ok(file)
}

/// The line for a path: `/name`, with a backslash before whatever has a meaning to git.
fn entry(path: &Path) -> Vec<u8> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let mut line = vec![b'/'];
    for (at, byte) in name.iter().enumerate() {
        match byte {
            b'\\' | b'[' | b']' | b'!' | b'*' | b'#' | b'?' => line.extend([b'\\', *byte]),
            b' ' if at + 1 == name.len() => line.extend(b"\\ "),
            // No line can hold one; `?` is any one character.
            b'\n' => line.push(b'?'),
            b'\r' if at + 1 == name.len() => line.push(b'?'),
            byte => line.push(*byte),
        }
    }
    line
}

/// Adds whole lines at the end, in one write.
fn append(file: &Path, lines: &[u8]) -> io::Result<()> {
    let (mut new, known) = match fs::read(file) {
        Ok(text) => (if text.is_empty() || text.ends_with(b"\n") { Vec::new() } else { vec![b'\n'] }, text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Default::default(),
        Err(error) => return Err(error),
    };
    let mut seen: std::collections::HashSet<&[u8]> = known.split_inclusive(|byte| *byte == b'\n').collect();
    // A line that is there but does not work, because another one takes it back, is not written twice.
    let fresh: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').filter(|line| seen.insert(line)).collect();
    if fresh.is_empty() {
        return Ok(());
    }
    new.extend(fresh.concat());
    fs::OpenOptions::new().append(true).create(true).open(file)?.write_all(&new)
}

/// Writes the file anew, at once and with the mode that it had; through a link to what it links to.
fn replace(file: &Path, text: &[u8]) -> io::Result<()> {
    let file = fs::canonicalize(file)?;
    let dir = file.parent().ok_or(io::ErrorKind::NotFound)?;
    let mut new = tempfile::NamedTempFile::new_in(dir)?;
    new.write_all(text)?;
    new.as_file().set_permissions(fs::metadata(&file)?.permissions())?;
    new.persist(&file).map_err(|error| error.error)?;
    Ok(())
}
