//! The two programs, a repository of each, and how one command of them is measured.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use wait4::Wait4;

use crate::data::disk::Disk;
use crate::servers;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    Stock,
    Ours,
}

impl Who {
    pub fn name(self) -> &'static str {
        match self {
            Who::Stock => "DVC",
            Who::Ours => "Trackway",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Who::Stock => "stock",
            Who::Ours => "ours",
        }
    }
}

/// What one command took and said.
pub struct Measured {
    pub wall: Duration,
    /// User and system time of the process and of all descendants that it waited for.
    pub cpu: Duration,
    /// The largest resident set of any process of the tree, in bytes.
    pub memory: u64,
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Measured {
    pub fn failure(&self) -> Option<String> {
        if self.code == Some(0) {
            return None;
        }
        let said = String::from_utf8_lossy(if self.stderr.is_empty() { &self.stdout } else { &self.stderr });
        let said = said.trim().lines().last().unwrap_or_default().to_owned();
        let code = self.code.map_or("killed".to_owned(), |code| format!("code {code}"));
        Some(format!("{code}: {said}"))
    }
}

/// Runs a command to its end. What it prints goes to files: a pipe would make it wait for its reader.
pub fn measure(command: &mut Command) -> Result<Measured> {
    let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    let program = command.get_program().to_string_lossy().into_owned();
    let begin = Instant::now();
    let mut child = servers::spawn(command).with_context(|| format!("cannot start {program}"))?;
    let used = child.wait4();
    let wall = begin.elapsed();
    servers::ended(child.id());
    let used = used?;
    Ok(Measured {
        wall,
        cpu: used.rusage.utime + used.rusage.stime,
        memory: used.rusage.maxrss,
        code: used.status.code(),
        stdout: from_start(&mut stdout)?,
        stderr: from_start(&mut stderr)?,
    })
}

fn from_start(file: &mut File) -> Result<Vec<u8>> {
    use std::io::{Read, Seek};
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Runs a helper of the machine (`git`, `cp`, …), which must succeed.
pub fn must(command: &mut Command) -> Result<Measured> {
    let done = measure(command)?;
    if let Some(failure) = done.failure() {
        bail!("{:?} failed with {failure}", command);
    }
    Ok(done)
}

pub fn git<S: AsRef<OsStr>>(folder: &Path, home: &Path, args: impl IntoIterator<Item = S>) -> Result<Measured> {
    must(clean(Command::new("git").args(args), home).current_dir(folder))
}

/// The environment that every measured program sees: nothing of the person who runs the benchmark.
pub fn clean<'c>(command: &'c mut Command, home: &Path) -> &'c mut Command {
    command.env_clear();
    for kept in ["PATH", "LD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command.env("HOME", home).env("LC_ALL", "C.UTF-8");
    command.env("XDG_CONFIG_HOME", home.join(".config")).env("XDG_CACHE_HOME", home.join(".cache"));
    command.env("DVC_NO_ANALYTICS", "1").env("DVC_SITE_CACHE_DIR", home.join("site"));
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Bench").env(format!("GIT_{role}_EMAIL"), "bench@example.com");
        command.env(format!("GIT_{role}_DATE"), "2024-05-06T07:08:09 +0000");
    }
    command.env("GIT_CONFIG_NOSYSTEM", "1")
}

/// Makes the home of a tool: no analytics, no look for updates, as the incumbent's documentation advises for servers.
pub fn prepare_home(home: &Path) -> Result<()> {
    let config = home.join(".config/dvc");
    fs::create_dir_all(&config)?;
    fs::write(config.join("config"), "[core]\n    analytics = false\n    check_update = false\n")?;
    fs::write(home.join(".gitconfig"), "[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n[core]\n\tfsync = none\n")?;
    Ok(())
}

/// The programs under comparison.
#[derive(Clone)]
pub struct Tools {
    pub stock: PathBuf,
    pub ours: PathBuf,
}

impl Tools {
    pub fn program(&self, who: Who) -> &Path {
        match who {
            Who::Stock => &self.stock,
            Who::Ours => &self.ours,
        }
    }
}

/// A repository of one tool, with a home (and so a state database) of its own.
pub struct Side {
    pub who: Who,
    pub root: PathBuf,
    pub home: PathBuf,
    /// Of the environment, for this tool alone.
    pub variables: Vec<(&'static str, &'static str)>,
    tools: Tools,
    pub disk: Disk,
}

impl Side {
    /// An empty repository below `scene`, made by stock for both, so that both begin with the same.
    pub fn new(who: Who, scene: &Path, tools: &Tools, disk: &Disk) -> Result<Side> {
        let side = Side::at(who, scene.join(who.folder()).join("repo"), &scene.join(who.folder()), tools, disk)?;
        side.initialise()?;
        Ok(side)
    }

    /// The tool `who` in the repository `root`, which another side may work in too.
    pub fn at(who: Who, root: PathBuf, folder: &Path, tools: &Tools, disk: &Disk) -> Result<Side> {
        let home = folder.join("home");
        prepare_home(&home)?;
        fs::create_dir_all(&root)?;
        Ok(Side { who, root, home, variables: Vec::new(), tools: tools.clone(), disk: disk.clone() })
    }

    pub fn initialise(&self) -> Result<()> {
        git(&self.root, &self.home, ["init", "--quiet"])?;
        must(clean(Command::new(&self.tools.stock).args(["init", "--quiet"]), &self.home).current_dir(&self.root))?;
        git(&self.root, &self.home, ["commit", "--quiet", "--all", "--message", "empty"])?;
        Ok(())
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside)
    }

    /// One command of this tool, by the name of DVC.
    pub fn run(&self, args: &[&str]) -> Result<Measured> {
        let mut command = Command::new(self.tools.program(self.who));
        clean(command.args(args), &self.home).current_dir(&self.root);
        measure(command.envs(self.variables.iter().copied()))
    }

    /// A command that prepares what is measured next.
    pub fn must(&self, args: &[&str]) -> Result<()> {
        if let Some(failure) = self.run(args)?.failure() {
            bail!("{}'s `dvc {}`, which prepares it, failed with {failure}", self.who.name(), args.join(" "));
        }
        Ok(())
    }

    pub fn git(&self, args: &[&str]) -> Result<Measured> {
        git(&self.root, &self.home, args)
    }

    /// Replaces `.dvc/config`.
    pub fn configure(&self, text: &str) -> Result<()> {
        Ok(fs::write(self.path(".dvc/config"), text)?)
    }

    /// Takes away all that the tool remembers beside the cache's objects: its state databases, the record of objects
    /// that were found good, what it knows of remotes.
    pub fn forget(&self) -> Result<()> {
        remove(&self.home.join("site"))?;
        remove(&self.home.join(".cache"))?;
        empty_but(&self.path(".dvc/tmp"), &[])?;
        empty_but(&self.path(".dvc/cache"), &["files", "runs"])
    }

    pub fn remove_cache(&self) -> Result<()> {
        self.disk.put_aside(&self.path(".dvc/cache"))
    }

    /// The objects of the cache or of a local remote by their names, with their sizes.
    pub fn objects(&self, folder: &Path) -> Result<BTreeMap<String, u64>> {
        let mut found = BTreeMap::new();
        let md5 = folder.join("files/md5");
        for group in entries(&md5)? {
            for object in entries(&group)? {
                let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                found.insert(name(&group) + &name(&object), fs::symlink_metadata(&object)?.len());
            }
        }
        Ok(found)
    }

    /// What the command before left in the repository, to be compared with the other tool.
    pub fn facts(&self, output: &str) -> Result<Vec<(String, String)>> {
        let mut facts = Vec::new();
        for name in [format!("{output}.dvc"), ".gitignore".to_owned()] {
            let text = fs::read(self.path(&name)).map(|b| String::from_utf8_lossy(&b).into_owned());
            facts.push((name, text.unwrap_or_else(|_| "not there".to_owned())));
        }
        let cache = self.path(".dvc/cache");
        facts.extend(self.object_facts("cache", &cache)?);
        let mut seen = WorkTree::default();
        seen.look(&self.path(output))?;
        facts.push(("work tree".to_owned(), format!("{seen:?}")));
        Ok(facts)
    }

    /// How many objects lie in a folder, and every `.dir` object with its bytes.
    pub fn object_facts(&self, label: &str, folder: &Path) -> Result<Vec<(String, String)>> {
        let objects = self.objects(folder)?;
        let bytes: u64 = objects.values().sum();
        let mut facts = vec![(format!("{label}'s objects"), format!("{} of {bytes} bytes", objects.len()))];
        for name in objects.keys().filter(|name| name.ends_with(".dir")) {
            let bytes = fs::read(folder.join("files/md5").join(&name[..2]).join(&name[2..]))?;
            facts.push((format!("{label}'s {name}"), String::from_utf8_lossy(&bytes).into_owned()));
        }
        Ok(facts)
    }

    /// Text of this side with the places that differ between sides masked.
    pub fn masked(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        text.replace(&*self.root.to_string_lossy(), "ROOT").replace(&*self.home.to_string_lossy(), "HOME")
    }
}

/// What lies in an output: how many of each kind, and of what modes and link counts.
#[derive(Default, Debug)]
#[allow(dead_code, reason = "read through Debug")]
struct WorkTree {
    files: u64,
    links: u64,
    folders: u64,
    bytes: u64,
    modes: BTreeMap<String, u64>,
}

impl WorkTree {
    fn look(&mut self, path: &Path) -> Result<()> {
        let Ok(info) = fs::symlink_metadata(path) else {
            return Ok(());
        };
        if info.is_dir() {
            self.folders += 1;
            for entry in entries(path)? {
                self.look(&entry)?;
            }
        } else if info.is_symlink() {
            self.links += 1;
            self.bytes += fs::metadata(path)?.len();
        } else {
            self.files += 1;
            self.bytes += info.len();
            let kind = format!("{:o}, {} links", info.permissions().mode() & 0o7777, info.nlink());
            *self.modes.entry(kind).or_default() += 1;
        }
        Ok(())
    }
}

/// Paths in a folder; none if there is no such folder.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(listed) => Ok(listed.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot list {}", folder.display())),
    }
}

/// Removes a file, a link or a folder with all in it, if it is there.
pub fn remove(path: &Path) -> Result<()> {
    let done = match fs::symlink_metadata(path) {
        Ok(info) if info.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => return Ok(()),
    };
    done.with_context(|| format!("cannot remove {}", path.display()))
}

fn empty_but(folder: &Path, kept: &[&str]) -> Result<()> {
    for path in entries(folder)? {
        if !kept.iter().any(|name| path.file_name() == Some(OsStr::new(name))) {
            remove(&path)?;
        }
    }
    Ok(())
}
