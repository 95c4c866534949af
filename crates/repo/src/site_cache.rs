//! Where stock DVC keeps what it remembers of a repository outside of it: `/var/tmp/dvc/repo/<md5>`.
//!
//! Our own state lies elsewhere. What is shared is the table of links (see [`crate::links`]): `checkout` removes the
//! outputs that are in it and in no `.dvc` file any more, and ours and stock's have to know of each other's.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

/// The base when neither `DVC_SITE_CACHE_DIR` nor `core.site_cache_dir` names another.
pub const DEFAULT_BASE: &str = "/var/tmp/dvc";

/// What goes into the name of a repository's folder.
#[derive(Clone, Debug)]
pub struct SiteCache<'a> {
    /// `DVC_SITE_CACHE_DIR`, else `core.site_cache_dir`, else [`DEFAULT_BASE`].
    pub base: &'a Path,
    /// The root of the repository, absolute.
    pub root: &'a Path,
    /// The repository's place in the tree of a commit, when it is read from git and not at the top.
    pub subdir: Option<&'a Path>,
    /// What [`btime`] gives.
    pub btime: Option<f64>,
    /// What [`user`] gives.
    pub user: &'a str,
}

impl SiteCache<'_> {
    /// The repository's folder. It need not be there.
    pub fn dir(&self) -> PathBuf {
        // A Python tuple as `str` shows it; 3 is the version of DVC, 0 a number that DVC may change.
        let words = format!(
            "({}, {}, {}, {}, 3, 0)",
            python_repr(self.root.as_os_str().as_bytes()),
            self.subdir.map_or("None".to_owned(), |dir| python_repr(dir.as_os_str().as_bytes())),
            self.btime.map_or("None".to_owned(), python_float),
            python_repr(self.user.as_bytes()),
        );
        let digest = Md5::digest(words.as_bytes());
        let token: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.base.join("repo").join(token)
    }

    /// The repository's folder, made when it is missing. What is above it can be written by every user, as stock makes
    /// it.
    pub fn create(&self) -> io::Result<PathBuf> {
        let dir = self.dir();
        if dir.is_dir() {
            return Ok(dir);
        }
        create_for_all(&self.base.join("repo"))?;
        fs::create_dir_all(&dir)?;
        Ok(dir)
    }
}

/// Makes a folder, and what is missing above it, that every user can write to.
fn create_for_all(dir: &Path) -> io::Result<()> {
    let mut missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
    while let Some(above) = missing.pop() {
        match fs::create_dir(above) {
            Ok(()) => fs::set_permissions(above, fs::Permissions::from_mode(0o777))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Where this user's clones of other repositories lie, in the site cache at `base`, which is made.
pub fn clones_dir(base: &Path) -> io::Result<PathBuf> {
    create_for_all(base)?;
    Ok(base.join(format!("trackway-clones-{}", rustix::process::geteuid().as_raw())))
}

/// When the repository was made: the time of `.dvc/tmp/btime`, which is made now when it is missing. `None` without a
/// `.dvc/tmp`.
pub fn btime(tmp_dir: &Path) -> io::Result<Option<f64>> {
    let path = tmp_dir.join("btime");
    match fs::OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    Ok(Some(python_mtime(&fs::metadata(&path)?)))
}

/// The user's name as Python's `getpass.getuser` finds it: the first of four variables, else the one of the user's id.
pub fn user(variable: impl Fn(&str) -> Option<OsString>) -> Option<String> {
    for name in ["LOGNAME", "USER", "LNAME", "USERNAME"] {
        if let Some(value) = variable(name).filter(|value| !value.is_empty()) {
            return Some(value.to_string_lossy().into_owned());
        }
    }
    let id = rustix::process::getuid().as_raw().to_string();
    let text = fs::read("/etc/passwd").ok()?;
    String::from_utf8_lossy(&text).lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, uid) = (fields.next()?, fields.next()?, fields.next()?);
        (uid == id).then(|| name.to_owned())
    })
}

/// Python's `st_mtime`: seconds as a float, with the rounding of its sum.
pub(crate) fn python_mtime(meta: &fs::Metadata) -> f64 {
    meta.mtime() as f64 + 1e-9 * meta.mtime_nsec() as f64
}

/// A float as Python's `repr` shows it: the shortest digits that give it back.
pub(crate) fn python_float(value: f64) -> String {
    let exponent = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    if (-4.0..16.0).contains(&exponent) {
        return format!("{value:?}");
    }
    // Rust writes `1e-7` where Python writes `1e-07`.
    let text = format!("{value:e}");
    let Some((digits, power)) = text.split_once('e') else { return text };
    let (sign, power) = power.strip_prefix('-').map_or(("+", power), |power| ("-", power));
    format!("{digits}e{sign}{power:0>2}")
}

/// A string as Python's `repr` shows it.
fn python_repr(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c == quote => out.extend(['\\', c]),
                ' '..='~' => out.push(c),
                c if is_printable(c) => out.push(c),
                c if c < '\u{100}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
                c if c < '\u{10000}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
            }
        }
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\udc{byte:02x}")));
    }
    out.push(quote);
    out
}

/// Rust's table for `{:?}` is made by the same rule as Python's `isprintable`. Behind another character it does not
/// escape marks that join to it.
fn is_printable(c: char) -> bool {
    !c.is_ascii_control() && format!("a{c}").escape_debug().count() == 2
}
