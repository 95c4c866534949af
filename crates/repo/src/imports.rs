//! Imports from other repositories: which repository a dependency names, and whether it has moved on.

use std::path::PathBuf;

use trackway_dvcfile::{Dep, RepoDep};
use trackway_git::Git;
use trackway_git::clones::{has_secret, is_hash, without_password};
use trackway_yaml::Value;

use crate::browse::{Elsewhere, clones_of};
use crate::config::{ConfigValue, Environment, Overrides, Table, read_file};
use crate::error::{Error, Result};
use crate::paths;
use crate::repo::Repo;

/// The repository that a dependency names: at the commit that was imported, or as it is now.
pub(crate) fn source(dep: &Dep, locked: bool, environment: &Environment) -> Result<Elsewhere> {
    let Some(source) = &dep.repo else {
        return Err(Error::dvc(format!("'{}' is not imported from another repository", dep.path)));
    };
    let mut overrides = Overrides::default();
    match &source.config {
        Some(Value::Map(_)) => overrides.config = table(source.config.as_ref()),
        Some(Value::Str(file)) => overrides.config = config_file(file, environment)?,
        _ => {}
    }
    match &source.remote {
        Some(Value::Str(name)) => overrides.remote = Some(name.clone()),
        Some(Value::Map(_)) => overrides.remote_config = table(source.remote.as_ref()),
        _ => {}
    }
    let locked = source.rev_lock.clone().filter(|_| locked);
    let rev = locked.or_else(|| source.rev.clone()).filter(|rev| !rev.is_empty());
    Ok(Elsewhere { url: PathBuf::from(&source.url), rev, overrides, cache_dir: None, depth: 0 })
}

/// A file of settings that a person names.
pub(crate) fn config_file(file: &str, environment: &Environment) -> Result<Table> {
    let path = environment.cwd.join(file);
    match std::fs::metadata(&path) {
        Err(source) => Err(Error::Io { path: file.into(), source }),
        Ok(_) => Ok(read_file(&path)?),
    }
}

fn table(value: Option<&Value>) -> Table {
    let Some(map) = value.and_then(Value::as_map) else { return Table::default() };
    let option = |value: &Value| match value {
        Value::Map(_) => ConfigValue::Table(table(Some(value))),
        Value::Bool(flag) => ConfigValue::Bool(*flag),
        Value::Int(number) => ConfigValue::Int(*number),
        Value::Null => ConfigValue::Null,
        Value::Str(text) => ConfigValue::Text(text.clone()),
        other => ConfigValue::Text(format!("{other:?}")),
    };
    map.iter().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), option(value)))).collect()
}

/// A `.dvc` file is for everybody who reads the repository, so it takes no password. Better than DVC 3.67, which writes it.
pub(crate) fn refuse_secret(url: &str) -> Result<()> {
    match has_secret(url) {
        false => Ok(()),
        true => Err(Error::dvc(format!(
            "'{}' holds a password or a token, and the .dvc file would show it to everybody who sees the repository. Leave it out \
             of the URL: git asks its credential helpers and the ssh agent, other URLs take it from the settings of a remote \
             (`remote modify --local`). Nothing was imported.",
            without_password(url)
        ))),
    }
}

/// Whether the other repository has moved on from the commit that was imported. As DVC 3.67 it is asked at its own place;
/// of one at a URL only names of commits are fetched, as far as these tell.
pub fn update_available(repo: &Repo, dep: &Dep) -> Result<bool> {
    let Some(source) = &dep.repo else {
        return Ok(false);
    };
    match (&source.rev_lock, &source.rev) {
        (Some(locked), Some(rev)) if locked == rev => Ok(false),
        (Some(locked), rev) => Ok(current_commit(repo, source, rev.as_deref())?.is_some_and(|now| now != *locked)),
        (None, _) => Ok(false),
    }
}

fn current_commit(repo: &Repo, source: &RepoDep, rev: Option<&str>) -> Result<Option<String>> {
    let rev = rev.filter(|rev| !rev.is_empty());
    let path = paths::absolute(std::path::Path::new(&source.url), repo.cwd());
    if path.exists() {
        let Some(git) = Git::discover(&path)? else { return Ok(None) };
        return Ok(Some(git.resolve(rev.unwrap_or("HEAD"))?.hex()));
    }
    if let Some(rev) = rev.filter(|rev| is_hash(rev)) {
        return Ok(Some(rev.to_owned()));
    }
    let clones = clones_of(repo.environment())?;
    let asked = clones.ask(&source.url, rev);
    if let Ok(Some(commit)) = asked {
        return Ok(Some(commit));
    }
    // The history has to be known, or nobody answers: `open` says so as everywhere.
    let browser = crate::browse::Browser::open(
        &Elsewhere { url: PathBuf::from(&source.url), rev: rev.map(str::to_owned), ..Elsewhere::default() },
        repo.environment(),
    )?;
    Ok(browser.commit().map(|commit| commit.hex()))
}
