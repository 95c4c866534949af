//! Imports: what a `.dvc` file brings from another repository. Downloading them is not done here.

use std::process::Command;

use trackway_dvcfile::Dep;

use crate::error::{Error, Result};
use crate::repo::Repo;

/// Whether the other repository has moved on from the commit that was imported. As DVC 3.67, it is asked at its own
/// place; what it answers with is only the names of its commits, nothing is downloaded.
pub fn update_available(repo: &Repo, dep: &Dep) -> Result<bool> {
    let Some(source) = &dep.repo else {
        return Ok(false);
    };
    let Some(locked) = source.rev_lock.as_deref() else {
        return Ok(false);
    };
    let wanted = source.rev.as_deref().unwrap_or("HEAD");
    if wanted == locked {
        return Ok(false);
    }
    let failed = |reason: String| {
        Error::dvc(format!("Failed to ask the repository '{}' for its revision '{wanted}': {reason}", source.url))
    };
    // A name that begins with a dash would be taken for an option.
    if source.url.starts_with('-') || wanted.starts_with('-') {
        return Err(failed("it begins with a dash".to_owned()));
    }
    let output = Command::new("git")
        .args(["ls-remote", "--", &source.url, wanted, &format!("{wanted}^{{}}")])
        .current_dir(repo.root())
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let answer = String::from_utf8_lossy(&output.stdout);
    // An annotated tag is followed by the commit that it names.
    let current = answer.lines().filter_map(|line| line.split_once('\t')).map(|(id, _)| id).next_back();
    Ok(match current {
        Some(current) => current != locked,
        // A commit by its own name cannot move.
        None => false,
    })
}
