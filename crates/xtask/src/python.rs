//! Python environments: one for each requirements file, kept under the user's cache folder as
//! `env/NAME-HASH`, so that a changed file gets a new environment and an unchanged one costs nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};

use crate::project::Project;
use crate::{debian, process};

/// Where requirements files stand.
const FOLDERS: [&str; 2] = ["compat/requirements", "bench/requirements"];

pub struct Environment {
    pub name: String,
    folder: PathBuf,
}

impl Environment {
    pub fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// The variable that tells tests of it: `TRACKWAY_PYTHON_MLFLOW_3_17` for `mlflow-3.17`.
    pub fn variable(&self) -> String {
        let upper = self.name.to_uppercase();
        format!("TRACKWAY_PYTHON_{}", upper.replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
    }
}

/// Makes the named environments, or all, and returns them in the order of their names.
pub fn make(project: &Project, names: &[String]) -> Result<Vec<Environment>> {
    let mut files = requirements(project)?;
    for name in names {
        if !files.contains_key(name) {
            let known: Vec<_> = files.keys().map(String::as_str).collect();
            bail!("There is no requirements file {name}.txt; there are: {}", known.join(", "));
        }
    }
    files.retain(|name, _| names.is_empty() || names.contains(name));
    if files.is_empty() {
        bail!("There is no requirements file in {}", FOLDERS.join(" or "));
    }
    let has_venv = process::output(Command::new("python3").args(["-c", "import venv, ensurepip"]));
    if has_venv.is_err() {
        debian::install(&["python3", "python3-venv"], project.ci)?;
    }
    // pip waits for the network half of the time: all of them at once.
    thread::scope(|scope| {
        let made: Vec<_> =
            files.into_iter().map(|(name, file)| scope.spawn(move || make_one(project, name, &file))).collect();
        made.into_iter().map(|made| made.join().map_err(|_| anyhow!("Making a Python environment panicked"))?).collect()
    })
}

/// The names of the environments that the compat tests and the browser tests use.
pub fn of_compat(project: &Project) -> Result<Vec<String>> {
    let folder = project.root.join(FOLDERS[0]);
    let files = requirements(project)?;
    Ok(files.into_iter().filter(|(_, file)| file.starts_with(&folder)).map(|(name, _)| name).collect())
}

fn requirements(project: &Project) -> Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    for folder in FOLDERS {
        let Ok(entries) = fs::read_dir(project.root.join(folder)) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            if let (Some(name), true) = (path.file_stem(), path.extension().is_some_and(|e| e == "txt")) {
                let name = name.to_string_lossy().into_owned();
                if let Some(other) = files.insert(name, path.clone()) {
                    bail!("{} and {} have the same name", other.display(), path.display());
                }
            }
        }
    }
    Ok(files)
}

fn make_one(project: &Project, name: String, requirements: &Path) -> Result<Environment> {
    let text =
        fs::read_to_string(requirements).with_context(|| format!("{} could not be read", requirements.display()))?;
    let version = process::output(Command::new("python3").arg("--version"))?;
    // Should the standard library change this hash, the environment is made anew, no more.
    let mut hasher = DefaultHasher::new();
    (text, version).hash(&mut hasher);
    let all = project.cache.join("env");
    let key = format!("{name}-{:016x}", hasher.finish());
    let folder = all.join(&key);
    fs::create_dir_all(&all).with_context(|| format!("{} could not be made", all.display()))?;

    // Two runs at a time: the second waits, and then finds it made.
    let lock = File::create(all.join(key + ".lock"))?;
    lock.lock()?;
    let environment = Environment { name, folder };
    let complete = environment.folder.join("complete");
    let works = || process::output(Command::new(environment.python()).args(["-c", ""])).is_ok();
    if complete.exists() && works() {
        return Ok(environment);
    }
    eprintln!("making the Python environment {}", environment.folder.display());
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&environment.folder);
    process::run(&mut venv, project.ci)?;
    let mut pip = Command::new(environment.python());
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "-r"]);
    process::run(pip.arg(requirements), project.ci)?;
    fs::write(&complete, "")?;
    Ok(environment)
}
