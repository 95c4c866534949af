use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use trackway_repo::config::Environment;
use trackway_repo::site_cache::{SiteCache, btime, user};
use trackway_repo::{Error, Repo};

use super::context::Context;
use crate::failure::Failure;

/// The DVC whose commands, files and words these are. Programs that look for `dvc --version` compare this one.
pub const COMPATIBLE: &str = "3.67.1";

#[derive(Debug, clap::Args)]
pub struct Args {}

/// As DVC 3.67 it is printed under `-q` too. The lines are stock's, with our own versions where stock has Python's.
pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let environment = context.environment();
    let ours = env!("CARGO_PKG_VERSION");
    let first = format!("DVC version: {COMPATIBLE} (trackway {ours})");
    let mut lines = vec![
        first.clone(),
        "-".repeat(first.len()),
        format!("Platform: Trackway {ours} on {}", platform()),
        format!("Subprojects:\n\ttrackway = {ours}"),
        "Supports:\n\tlocal".to_owned(),
        format!(
            "Config:\n\tGlobal: {}\n\tSystem: {}",
            environment.global_config_dir().display(),
            environment.system_config_dir().display()
        ),
    ];
    match context.repo() {
        Ok(repo) => lines.extend(of_repository(&repo, &environment)?),
        Err(failure) if failure.is_outside_a_repository() => {}
        Err(failure) => return Err(failure),
    }
    context.terminal.always(lines.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn of_repository(repo: &Repo, environment: &Environment) -> Result<Vec<String>, Failure> {
    let Ok(git) = repo.git() else { return Ok(vec!["Repo: dvc, git (broken)".to_owned()]) };
    let kind = match git {
        None => "dvc (no_scm)",
        Some(git) if fs::canonicalize(repo.root()).is_ok_and(|root| root == git.root()) => "dvc, git",
        Some(_) => "dvc (subdir), git",
    };
    let mounts = mounts();
    let cache = repo.cache_dir().join("files/md5");
    let mut lines = Vec::new();
    if cache.is_dir() {
        lines.push(format!("Cache types: {}", link_types(&cache, repo.root()).join(", ")));
        lines.push(format!("Cache directory: {}", mount_of(&cache, &mounts)));
    } else {
        lines.push("Cache types: <https://error.dvc.org/no-dvc-cache>".to_owned());
    }
    lines.push("Caches: local".to_owned());
    let remotes: Vec<String> =
        repo.config().remotes().into_iter().filter_map(|(_, remote)| Some(scheme(&remote.ok()?.url))).collect();
    lines.push(format!("Remotes: {}", if remotes.is_empty() { "None".to_owned() } else { remotes.join(", ") }));
    lines.push(format!("Workspace directory: {}", mount_of(repo.root(), &mounts)));
    lines.push(format!("Repo: {kind}"));
    lines.push(format!("Repo.site_cache_dir: {}", site_cache_dir(repo, environment)?.display()));
    Ok(lines)
}

fn site_cache_dir(repo: &Repo, environment: &Environment) -> Result<PathBuf, Failure> {
    let tmp = repo.tmp_dir();
    let btime = btime(&tmp).map_err(|error| Error::io(&tmp, error))?;
    let name = user(|name| environment.var(name).map(Into::into)).unwrap_or_default();
    let base = repo.config().site_cache_dir();
    Ok(SiteCache { base: &base, root: repo.root(), subdir: None, btime, user: &name }.dir())
}

/// `Linux-6.1.0-x86_64`
fn platform() -> String {
    let system = rustix::system::uname();
    let words = [system.sysname(), system.release(), system.machine()];
    words.map(|word| word.to_string_lossy().into_owned()).join("-")
}

fn scheme(url: &str) -> String {
    url.split_once("://").map_or("local", |(scheme, _)| scheme).to_owned()
}

/// Which links can be made from the cache into the work tree: tried with files of no other use.
fn link_types(cache: &Path, root: &Path) -> Vec<&'static str> {
    let (Ok(from), Ok(to)) = (tempfile::NamedTempFile::new_in(cache), tempfile::tempdir_in(root)) else {
        return Vec::new();
    };
    let mut works = Vec::new();
    if reflink_copy::reflink(from.path(), to.path().join("reflink")).is_ok() {
        works.push("reflink");
    }
    if fs::hard_link(from.path(), to.path().join("hardlink")).is_ok() {
        works.push("hardlink");
    }
    if std::os::unix::fs::symlink(from.path(), to.path().join("symlink")).is_ok() {
        works.push("symlink");
    }
    works
}

/// What is mounted where: the kind of file system and its device. Where two are mounted on one place the later one is seen.
fn mounts() -> HashMap<PathBuf, String> {
    let text = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut found = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(' ');
        if let (Some(device), Some(place), Some(kind)) = (fields.next(), fields.next(), fields.next()) {
            found.insert(PathBuf::from(place.replace("\\040", " ")), format!("{kind} on {device}"));
        }
    }
    found
}

fn mount_of(path: &Path, mounts: &HashMap<PathBuf, String>) -> String {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    path.ancestors().find_map(|place| mounts.get(place).cloned()).unwrap_or_else(|| "('unknown', 'none')".to_owned())
}
