//! Where the programs of the services are: those of Debian's packages in the system's folders, the
//! others in a folder of links that `cargo xtask services install` fills.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::Result;

/// `$XDG_CACHE_HOME/trackway/services`, else `~/.cache/trackway/services`.
pub fn cache() -> Result<PathBuf> {
    let cache = match (env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
        (Some(cache), _) if !cache.is_empty() => PathBuf::from(cache),
        (_, Some(home)) => Path::new(&home).join(".cache"),
        _ => bail!("Neither XDG_CACHE_HOME nor HOME is set; set one, to say where the services' programs are kept"),
    };
    Ok(cache.join("trackway/services"))
}

/// A program that `cargo xtask services install` has linked, in TRACKWAY_SERVICES_BIN or the cache.
pub fn linked(program: &str, service: &str) -> Result<PathBuf> {
    let folder = match env::var_os("TRACKWAY_SERVICES_BIN") {
        Some(folder) => PathBuf::from(folder),
        None => cache()?.join("bin"),
    };
    // The link's target, for npm's packages look for their files beside the real one.
    fs::canonicalize(folder.join(program)).or_else(|_| missing(&folder.join(program), service))
}

/// A program of a Debian package.
pub fn system(program: &str, service: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    let found = folders.map(|folder| folder.join(program)).find(|path| path.is_file());
    found.map_or_else(|| missing(Path::new(program), service), Ok)
}

/// A program of PostgreSQL's server: of TRACKWAY_PG_BIN, else of the newest version that is installed.
pub fn postgres(program: &str) -> Result<PathBuf> {
    let folder = match env::var_os("TRACKWAY_PG_BIN") {
        Some(folder) => PathBuf::from(folder),
        None => newest_postgres().or_else(|_| missing(Path::new("/usr/lib/postgresql"), "postgres"))?,
    };
    let path = folder.join(program);
    if path.is_file() { Ok(path) } else { missing(&path, "postgres") }
}

fn newest_postgres() -> Result<PathBuf> {
    let mut newest = None;
    for entry in fs::read_dir("/usr/lib/postgresql")? {
        let entry = entry?;
        let version: Option<u32> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let bin = entry.path().join("bin");
        if bin.join("postgres").is_file() {
            newest = newest.max(version.map(|version| (version, bin)));
        }
    }
    newest.map(|(_, bin)| bin).context("No version is installed")
}

fn missing<T>(program: &Path, service: &str) -> Result<T> {
    bail!("{} is missing; run `cargo xtask services install {service}`", program.display())
}
