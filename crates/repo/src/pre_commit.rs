//! DVC's hooks in the configuration of the pre-commit tool.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use trackway_yaml::{Document, Map, Value};

use crate::error::{Error, Result};

/// The release of DVC whose hooks the tool fetches and runs.
const RELEASE: &str = "3.67.1";

/// Adds DVC's entry to the list of `repos`, unless it is there. Comments and order stay.
pub fn add_hooks(path: &Path) -> Result<()> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Error::io(path, error)),
    };
    let wrong = |why: &dyn std::fmt::Display| Error::Invalid(format!("unable to read: '{}', {why}", path.display()));
    let mut document = Document::parse(&text).map_err(|error| wrong(&error))?;
    let mut repos = match document.get(&["repos"]) {
        None => Vec::new(),
        Some(Value::Seq(repos)) => repos,
        Some(_) => return Err(wrong(&"'repos' is not a list")),
    };
    let entry = entry();
    if repos.contains(&entry) {
        return Ok(());
    }
    // At the end of the list that is there, whose form stays; else as a new list.
    let end = repos.len().to_string();
    if !repos.is_empty() && document.set(&["repos", &end], &entry) {
        return replace(path, &document.to_string());
    }
    repos.push(entry);
    let repos = Value::Seq(repos);
    if !document.apply_at(&["repos"], &repos) && !document.set(&["repos"], &repos) {
        return Err(wrong(&"it is not a mapping"));
    }
    replace(path, &document.to_string())
}

fn entry() -> Value {
    let hook = |id: &str, stage: &str| {
        let mut hook = Map::new();
        hook.insert("id", id);
        hook.insert("additional_dependencies", Value::Seq(vec![".[all]".into()]));
        hook.insert("language_version", "python3");
        hook.insert("stages", Value::Seq(vec![stage.into()]));
        hook
    };
    let mut checkout = hook("dvc-post-checkout", "post-checkout");
    checkout.insert("always_run", true);
    let hooks = [hook("dvc-pre-commit", "pre-commit"), hook("dvc-pre-push", "pre-push"), checkout];
    let mut entry = Map::new();
    entry.insert("repo", "https://github.com/treeverse/dvc");
    entry.insert("rev", RELEASE);
    entry.insert("hooks", Value::Seq(hooks.into_iter().map(Value::Map).collect()));
    Value::Map(entry)
}

/// Under another name first, so that nobody sees half of it.
fn replace(path: &Path, text: &str) -> Result<()> {
    let failed = |error| Error::io(path, error);
    let folder = path.parent().unwrap_or(path);
    let file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    fs::write(file.path(), text).map_err(failed)?;
    match fs::metadata(path) {
        Ok(old) => fs::set_permissions(file.path(), old.permissions()).map_err(failed)?,
        Err(_) => {
            use std::os::unix::fs::PermissionsExt;
            // A temporary file is its owner's alone; this one belongs to the repository.
            fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).map_err(failed)?;
        }
    }
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
