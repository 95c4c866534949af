//! What `.dvcignore` files hide from DVC, as DVC 3.67 reads them.
//!
//! A repository hides `.hg`, `.git`, `.dvc`, what its `.dvcignore` files say (each counts below its own folder), and
//! folders that are DVC repositories themselves. DVC rewrites the lines of a nested file so that they count from the
//! root, and so is done here: the rewriting has corners (the name of a folder is not escaped), and which files are
//! hidden decides what the hash of a data folder is.
//!
//! Made for walks: [`DirFilter`] is what counts in one folder, made from its parent's at the price of one `stat`;
//! where no line counts, a name is compared with four words.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use md5::{Digest, Md5};
use trackway_git::{Pattern, PatternError, Patterns};

use crate::error::Error;
use crate::files::Files;

/// The name of an ignore file.
pub const FILE_NAME: &str = ".dvcignore";

/// What `dvc init` writes.
pub const INITIAL_TEXT: &str = "# Add patterns of files dvc should ignore, which could improve\n\
     # the performance. Learn more at\n\
     # https://dvc.org/doc/user-guide/dvcignore\n";

const DEFAULTS: [&str; 4] = [".hg/", ".git/", ".git", ".dvc/"];

#[derive(Clone, Debug, thiserror::Error)]
pub enum IgnoreError {
    #[error("'{}' cannot be read: {reason}", path.display())]
    Read { path: PathBuf, reason: String },
    #[error("{origin}: {error}")]
    Pattern { origin: String, error: PatternError },
}

/// The answer to `dvc check-ignore` about one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// Whether the path is hidden; a line with `!` may have decided that it is not.
    pub ignored: bool,
    /// The line that decided, as `FILE:LINE:PATTERN`; `:PATTERN` for one that is built in.
    pub pattern: Option<String>,
}

/// The ignore files of one repository, read as folders are asked about.
#[derive(Debug)]
pub struct DvcIgnore {
    root: PathBuf,
    files: Arc<Files>,
    subrepos: bool,
    top: DirFilter,
    known: RwLock<HashMap<PathBuf, DirFilter>>,
    failure: Mutex<Option<IgnoreError>>,
}

/// What counts for the names in one folder. Cheap to clone, shared between threads.
#[derive(Clone, Debug)]
pub struct DirFilter(Arc<Dir>);

#[derive(Debug)]
struct Dir {
    path: PathBuf,
    /// The same from the root, with `/` at its end; empty for the root.
    prefix: Vec<u8>,
    rules: Arc<Rules>,
    /// Why all of it is hidden.
    hidden: Option<CheckResult>,
    /// Folders with a `.dvc` of their own, among these files, are hidden.
    hide_subrepos: Option<Arc<Files>>,
}

#[derive(Debug)]
struct Rules {
    patterns: Patterns,
    origins: Vec<String>,
    /// Nothing but [`DEFAULTS`].
    built_in: bool,
}

impl Rules {
    fn new(lines: Vec<(Pattern, String)>, built_in: bool) -> Arc<Rules> {
        let (patterns, origins) = lines.into_iter().unzip();
        Arc::new(Rules { patterns: Patterns::new(patterns), origins, built_in })
    }

    fn and(&self, more: Vec<(Pattern, String)>) -> Arc<Rules> {
        let mut lines: Vec<_> = self.patterns.list().iter().cloned().zip(self.origins.iter().cloned()).collect();
        lines.extend(more);
        Rules::new(lines, false)
    }

    fn check(&self, path: &[u8], is_dir: bool) -> CheckResult {
        match self.patterns.decide(path, is_dir) {
            None => CheckResult { ignored: false, pattern: None },
            Some((at, ignored)) => CheckResult { ignored, pattern: Some(self.describe(at)) },
        }
    }

    fn describe(&self, at: usize) -> String {
        match self.origins[at].as_str() {
            "" => format!(":{}", String::from_utf8_lossy(&self.patterns.list()[at].source)),
            origin => origin.to_owned(),
        }
    }
}

impl DvcIgnore {
    /// For the repository at `root`, an absolute path without `..`. Folders that are repositories themselves are hidden.
    pub fn new(root: &Path) -> Result<DvcIgnore, IgnoreError> {
        DvcIgnore::open(root, Files::WorkTree, false)
    }

    /// The same for the work tree or for a commit, whose own ignore files count.
    pub fn of(root: &Path, files: Files) -> Result<DvcIgnore, IgnoreError> {
        DvcIgnore::open(root, files, false)
    }

    /// The same, but repositories inside this one are seen.
    pub fn with_subrepos(root: &Path, files: Files) -> Result<DvcIgnore, IgnoreError> {
        DvcIgnore::open(root, files, true)
    }

    fn open(root: &Path, files: Files, subrepos: bool) -> Result<DvcIgnore, IgnoreError> {
        let files = Arc::new(files);
        let defaults =
            DEFAULTS.iter().filter_map(|line| Some((Pattern::parse(line.as_bytes()).ok().flatten()?, String::new())));
        let mut rules = Rules::new(defaults.collect(), true);
        let lines = read(&files, root, &[])?;
        if !lines.is_empty() {
            rules = rules.and(lines);
        }
        let hide_subrepos = (!subrepos).then(|| files.clone());
        let dir = Dir { path: root.to_owned(), prefix: Vec::new(), rules, hidden: None, hide_subrepos };
        Ok(DvcIgnore {
            root: root.to_owned(),
            files,
            subrepos,
            top: DirFilter(Arc::new(dir)),
            known: RwLock::default(),
            failure: Mutex::default(),
        })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn sees_subrepos(&self) -> bool {
        self.subrepos
    }

    /// What counts at the root: where a walk of the repository begins.
    pub fn top(&self) -> DirFilter {
        self.top.clone()
    }

    /// What counts in `dir`, remembered for the next time; `None` outside of the repository. A nested ignore file that
    /// cannot be read hides nothing, and is told by [`DvcIgnore::failure`].
    pub fn dir(&self, dir: &Path) -> Option<DirFilter> {
        if dir == self.root {
            return Some(self.top());
        }
        if let Some(known) = self.known.read().unwrap_or_else(|e| e.into_inner()).get(dir) {
            return Some(known.clone());
        }
        let below = dir.strip_prefix(&self.root).ok()?;
        let mut filter = self.top();
        let mut path = self.root.clone();
        for part in below.components() {
            let Component::Normal(name) = part else { continue };
            path.push(name);
            let known = self.known.read().unwrap_or_else(|e| e.into_inner()).get(&path).cloned();
            filter = match known {
                Some(known) => known,
                None => {
                    let made = self.for_dir(&filter, name);
                    self.known.write().unwrap_or_else(|e| e.into_inner()).insert(path.clone(), made.clone());
                    made
                }
            };
        }
        Some(filter)
    }

    /// What counts in the folder `name` of the folder that `parent` is for: one `stat` for its ignore file, another for
    /// a `.dvc` of its own. Nothing is remembered.
    pub fn for_dir(&self, parent: &DirFilter, name: &OsStr) -> DirFilter {
        let mut prefix = parent.0.prefix.clone();
        prefix.extend_from_slice(name.as_bytes());
        prefix.push(b'/');
        let path = parent.0.path.join(name);
        let mut hidden = match &parent.0.hidden {
            Some(reason) => Some(reason.clone()),
            None => Some(parent.check(name, true)).filter(|found| found.ignored),
        };
        let mut rules = parent.0.rules.clone();
        if hidden.is_none() {
            let mut own = prefix.clone();
            own.extend_from_slice(FILE_NAME.as_bytes());
            // Like any file, an ignore file can be hidden.
            let read = match parent.0.rules.check(&own, false).ignored {
                true => Ok(Vec::new()),
                false => read(&self.files, &path, &prefix),
            };
            match read {
                Ok(lines) if lines.is_empty() => {}
                Ok(lines) => {
                    rules = rules.and(lines);
                    // `**` and `**/` in the folder's own file match the folder, as stock asks about it for each name.
                    hidden = Some(rules.check(&prefix[..prefix.len() - 1], true)).filter(|found| found.ignored);
                }
                Err(error) => {
                    self.failure.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(error);
                }
            }
        }
        DirFilter(Arc::new(Dir { path, prefix, rules, hidden, hide_subrepos: parent.0.hide_subrepos.clone() }))
    }

    /// The first nested ignore file that could not be read since the last call. Who has walked asks for it before the
    /// result is used: stock stops there too.
    pub fn failure(&self) -> Option<IgnoreError> {
        self.failure.lock().unwrap_or_else(|e| e.into_inner()).take()
    }

    /// Whether a walk leaves out `name` in `parent`, an absolute path. The folder's filter is remembered.
    pub fn skip(&self, parent: &Path, name: &OsStr, is_dir: bool) -> bool {
        self.dir(parent).is_some_and(|filter| filter.skip(name, is_dir))
    }

    /// A hash of all lines that count in `dir`; the same for every folder outside of the repository.
    pub fn rules_at(&self, dir: &Path) -> [u8; 16] {
        let mut hash = Md5::new();
        if let Some(filter) = self.dir(dir) {
            hash.update([1, u8::from(filter.hides_all()), u8::from(self.subrepos)]);
            for pattern in filter.0.rules.patterns.list() {
                hash.update((pattern.source.len() as u64).to_le_bytes());
                hash.update(&pattern.source);
            }
        }
        hash.finalize().into()
    }

    /// Whether an absolute path is hidden. The root is not, nor what is outside of the repository.
    pub fn is_ignored(&self, path: &Path, is_dir: bool) -> bool {
        self.check(path, is_dir).ignored
    }

    /// The same, with the files that this is for telling whether it is a folder.
    pub(crate) fn is_ignored_among_files(&self, path: &Path) -> bool {
        let is_dir = matches!(self.files.kind(path), Ok(Some(crate::files::EntryKind::Dir)));
        self.is_ignored(path, is_dir)
    }

    /// The same, with what is there telling whether it is a folder; where nothing is, either will do.
    pub fn is_ignored_as_found(&self, path: &Path) -> bool {
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => self.is_ignored(path, true),
            Ok(_) => self.is_ignored(path, false),
            Err(_) => self.is_ignored(path, false) || self.is_ignored(path, true),
        }
    }

    /// Why an absolute path is hidden, or is not.
    pub fn check(&self, path: &Path, is_dir: bool) -> CheckResult {
        let path = normalized(path);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return CheckResult { ignored: false, pattern: None };
        };
        match self.dir(parent) {
            Some(filter) => filter.check(name, is_dir),
            None => CheckResult { ignored: false, pattern: None },
        }
    }
}

impl DvcIgnore {
    /// Why an absolute path cannot be an output. As DVC 3.67, one that lies in a repository inside of this one can.
    pub fn why_no_output(&self, path: &Path) -> Option<String> {
        let found = self.check(path, path.is_dir());
        let why = found.pattern.filter(|_| found.ignored)?;
        (!why.starts_with("in sub_repo:")).then_some(why)
    }

    /// Why a path is hidden, or is not, with what is there telling whether it is a folder: `dvc check-ignore`.
    pub fn check_as_found(&self, path: &Path) -> CheckResult {
        let path = normalized(path);
        self.check(&path, path.is_dir())
    }
}

impl DirFilter {
    /// The folder that this is for.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Whether all that is in the folder is hidden.
    pub fn hides_all(&self) -> bool {
        self.0.hidden.is_some()
    }

    /// Whether nothing can be hidden here but `.hg`, `.git`, `.dvc` and repositories.
    pub fn is_built_in(&self) -> bool {
        self.0.rules.built_in && !self.hides_all()
    }

    /// Whether a walk leaves out the name.
    pub fn skip(&self, name: &OsStr, is_dir: bool) -> bool {
        if self.hides_all() {
            return true;
        }
        if self.0.rules.built_in {
            let name = name.as_bytes();
            if name == b".git" || (is_dir && (name == b".hg" || name == b".dvc")) {
                return true;
            }
            if !is_dir {
                return false;
            }
        } else {
            let ignored = self.0.rules.check(&self.below(name), is_dir).ignored;
            if ignored || !is_dir {
                return ignored;
            }
        }
        match self.subrepo(name) {
            Some(rules) => rules.check(&self.below(name), true).ignored,
            None => false,
        }
    }

    /// Why the name is hidden, or is not.
    pub fn check(&self, name: &OsStr, is_dir: bool) -> CheckResult {
        if let Some(reason) = &self.0.hidden {
            return reason.clone();
        }
        let path = self.below(name);
        match is_dir.then(|| self.subrepo(name)).flatten() {
            Some(rules) => rules.check(&path, true),
            None => self.0.rules.check(&path, is_dir),
        }
    }

    fn below(&self, name: &OsStr) -> Vec<u8> {
        [&self.0.prefix, name.as_bytes()].concat()
    }

    /// The rules with the one that hides the folder `name`, if it is a repository.
    fn subrepo(&self, name: &OsStr) -> Option<Arc<Rules>> {
        let files = self.0.hide_subrepos.as_ref()?;
        // A folder that cannot be looked into is no repository; whoever enters it will tell.
        files.kind(&self.0.path.join(name).join(".dvc")).ok().flatten()?;
        let line = [b"/", name.as_bytes(), b"/"].concat();
        let line = Pattern::parse(&from_root(&line, &self.0.prefix)).ok().flatten()?;
        Some(self.0.rules.and(vec![(line, format!("in sub_repo:{}", name.display()))]))
    }
}

/// The lines of a folder's ignore file, counted from the root, each with where it stands.
fn read(files: &Files, dir: &Path, prefix: &[u8]) -> Result<Vec<(Pattern, String)>, IgnoreError> {
    let path = dir.join(FILE_NAME);
    let text = match files.read(&path) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(Vec::new()),
        Err(Error::Io { source, .. }) => return Err(IgnoreError::Read { path, reason: source.to_string() }),
        Err(error) => return Err(IgnoreError::Read { path, reason: error.to_string() }),
    };
    let name = format!("{}{FILE_NAME}", String::from_utf8_lossy(prefix));
    let mut lines = Vec::new();
    for (at, line) in universal_lines(&text).into_iter().enumerate() {
        let line = strip(line);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let origin = format!("{name}:{}:{}", at + 1, String::from_utf8_lossy(line));
        let invalid = |error| IgnoreError::Pattern { origin: origin.clone(), error };
        let Some(mut pattern) = Pattern::parse(line).map_err(invalid)? else { continue };
        if !prefix.is_empty() {
            let Some(moved) = Pattern::parse(&from_root(line, prefix)).map_err(invalid)? else { continue };
            pattern = moved;
        }
        lines.push((pattern, origin));
    }
    Ok(lines)
}

/// A line of the ignore file in the folder `prefix` as one that counts from the root. As DVC 3.67's `change_rule`.
fn from_root(line: &[u8], prefix: &[u8]) -> Vec<u8> {
    if prefix.is_empty() {
        return line.to_vec();
    }
    let mut rule = line;
    let negated = rule.starts_with(b"!");
    if negated {
        rule = &rule[1..];
    }
    let inner = &rule[..rule.len().saturating_sub(1)];
    let any_depth = if inner.contains(&b'/') && !rule.starts_with(b"**/") {
        rule = rule.strip_prefix(b"/").unwrap_or(rule);
        false
    } else {
        rule = rule.strip_prefix(b"**/").unwrap_or(rule);
        true
    };
    rule = rule.strip_prefix(b"\\").unwrap_or(rule);
    let start: &[u8] = if negated { b"!/" } else { b"" };
    let depth: &[u8] = if any_depth { b"**/" } else { b"" };
    [start, prefix, depth, rule].concat()
}

/// Lines as Python's text mode sees them: `\n`, `\r\n` and a lone `\r` end one.
fn universal_lines(text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        lines.push(&rest[..end]);
        let after = if rest[end..].starts_with(b"\r\n") { end + 2 } else { end + 1 };
        rest = rest.get(after..).unwrap_or_default();
    }
    lines
}

/// What Python's `str.strip` leaves.
fn strip(line: &[u8]) -> &[u8] {
    let Ok(text) = std::str::from_utf8(line) else { return line.trim_ascii() };
    text.trim_matches(|c| trackway_git::patterns::is_space(u32::from(c))).as_bytes()
}

/// Without `.`, `..` and double slashes, like `os.path.normpath`; links are not resolved.
fn normalized(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts
}
