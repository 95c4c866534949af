//! Where things are: the root of the tree, cargo's target folder and the user's cache folder.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

pub struct Project {
    pub root: PathBuf,
    pub target: PathBuf,
    /// `$XDG_CACHE_HOME/trackway`, else `~/.cache/trackway`.
    pub cache: PathBuf,
    /// CI is set: steps get a deadline, and what runs prints no colours.
    pub ci: bool,
    /// This program, as it was called when it began: the builds that it starts may put another in its place, and a
    /// program that was replaced is told that its file has been deleted.
    pub program: PathBuf,
}

impl Project {
    pub fn find() -> Result<Self> {
        let program = env::current_exe().context("The system does not say where this program lies")?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .context("crates/xtask has no folder two levels up")?
            .to_owned();
        let target = target_folder(&root)?;
        let cache = match (env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
            (Some(cache), _) if !cache.is_empty() => PathBuf::from(cache),
            (_, Some(home)) => Path::new(&home).join(".cache"),
            _ => bail!("Neither XDG_CACHE_HOME nor HOME is set; set one, to say where environments are kept"),
        };
        let ci = env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false" && ci != "0");
        Ok(Self { root, target, cache: cache.join("trackway"), ci, program })
    }

    /// Cargo, to be run at the root.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root);
        // `cargo run` sets these for us; the builds that we start are to be the same as those that
        // a person starts, or cargo would build everything twice.
        for (name, _) in env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        command
    }
}

/// Asks cargo, because the folder may be set by a variable or by any configuration file.
fn target_folder(root: &Path) -> Result<PathBuf> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--no-deps", "--format-version=1"])
        .current_dir(root)
        .output()
        .context("cargo metadata did not start")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let folder = metadata["target_directory"].as_str();
    Ok(folder.context("cargo metadata names no target_directory")?.into())
}
