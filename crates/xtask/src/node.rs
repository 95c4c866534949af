//! What the browser tests need: Node with the packages of compat/browser/package-lock.json, and
//! Chromium as Debian packages it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::project::Project;
use crate::{debian, process};

pub fn packages(project: &Project) -> Result<()> {
    debian::ensure("node", "--version", &["nodejs"], project.ci)?;
    debian::ensure("npm", "--version", &["npm"], project.ci)?;
    let folder = project.root.join("compat/browser");
    let lock = fs::read(folder.join("package-lock.json"))
        .with_context(|| format!("{} has no package-lock.json", folder.display()))?;
    // npm leaves no exact copy of the lock file, so we do: a changed lock file installs anew.
    let installed = folder.join("node_modules/.installed-package-lock.json");
    if fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder);
    process::run(&mut npm, project.ci)?;
    fs::write(&installed, lock)?;
    Ok(())
}

pub fn chromium(project: &Project) -> Result<()> {
    debian::ensure("chromium", "--version", &["chromium"], project.ci)
}

/// The test files, in the order of their names; none is an error, for `node --test` would search
/// for other files then.
pub fn tests(project: &Project) -> Result<Vec<PathBuf>> {
    let folder = project.root.join("compat/browser");
    let entries = fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".test.mjs") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        bail!("{} holds no *.test.mjs", folder.display());
    }
    Ok(files)
}
