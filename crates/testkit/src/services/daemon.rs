//! One program that runs in the background: started with an empty environment and a log, ended when
//! the value is dropped, and killed by the kernel when our process ends in any other way.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::folder::Folder;
use crate::Result;

/// A service that is not ready by then fails its test; machines that run many tests are slow.
pub const READY_WITHIN: Duration = Duration::from_secs(60);
const ENDED_WITHIN: Duration = Duration::from_secs(20);

/// How a program is to be run.
pub struct Launch {
    command: Command,
    log: PathBuf,
    stop: Signal,
}

impl Launch {
    /// In the service's folder, with a log there. `as_postgres`: as PostgreSQL's user, if we are root.
    /// `death`: what it gets if our process dies before it; `KILL`, unless the program has children
    /// to end or files to clear away.
    pub fn new(program: &Path, folder: &Folder, as_postgres: bool, death: &str) -> Self {
        let name = program.file_stem().unwrap_or(OsStr::new("service")).to_string_lossy();
        let mut command = Command::new("setpriv");
        command.arg("--pdeathsig").arg(death);
        if as_postgres && rustix::process::geteuid().is_root() {
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        }
        command.arg("--").arg(program);
        // What a developer has exported (PGDATA, AWS_PROFILE, proxies …) must not change a service.
        command.env_clear().env("HOME", folder.path()).env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        command.current_dir(folder.path());
        Self { command, log: folder.join(&format!("{name}.log")), stop: Signal::TERM }
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Its log, when two of a name share a folder.
    pub fn log(mut self, log: PathBuf) -> Self {
        self.log = log;
        self
    }

    /// The signal by which it is asked to stop, unless that is SIGTERM.
    pub fn stopped_by(mut self, signal: Signal) -> Self {
        self.stop = signal;
        self
    }

    /// Starts it, and returns when `ready` says so.
    pub fn start(mut self, mut ready: impl FnMut() -> bool) -> Result<Daemon> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        self.command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Its own group: Ctrl-C reaches us, and we end the services in order.
        self.command.process_group(0);
        let child = spawn(self.command).context("setpriv, of the Debian package util-linux, could not be started")?;
        let mut daemon = Daemon { child: Some(child), log: self.log, stop: self.stop };
        let started = Instant::now();
        while !ready() {
            if let Some(status) = daemon.ended()? {
                bail!("{} ended at its start with {status}. It printed:\n{}", daemon.name(), daemon.tail());
            }
            if started.elapsed() > READY_WITHIN {
                bail!(
                    "{} was not ready after {} s. It printed:\n{}",
                    daemon.name(),
                    READY_WITHIN.as_secs(),
                    daemon.tail()
                );
            }
            thread::sleep(Duration::from_millis(10));
        }
        // What answered may have been a stranger on the same port, with ours already dead.
        if let Some(status) = daemon.ended()? {
            bail!("{} ended at its start with {status}. It printed:\n{}", daemon.name(), daemon.tail());
        }
        Ok(daemon)
    }
}

#[derive(Debug)]
pub struct Daemon {
    child: Option<Child>,
    log: PathBuf,
    stop: Signal,
}

impl Daemon {
    pub fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.as_ref()?.id()).ok().and_then(Pid::from_raw)
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.as_mut().map_or(Ok(None), |child| Ok(child.try_wait()?))
    }

    /// Asks it to stop, and kills it if it does not.
    pub fn stop(&mut self) -> Result {
        self.end(self.stop)
    }

    /// Ends it by this signal, and by SIGKILL with all of its group if it runs on.
    pub fn end(&mut self, signal: Signal) -> Result {
        let pid = self.pid();
        let (Some(mut child), Some(pid)) = (self.child.take(), pid) else {
            return Ok(());
        };
        if child.try_wait()?.is_none() {
            kill_process(pid, signal)?;
        }
        let asked = Instant::now();
        while child.try_wait()?.is_none() && asked.elapsed() < ENDED_WITHIN {
            thread::sleep(Duration::from_millis(5));
        }
        // Nothing is left of the group in most cases, which is no error.
        let _ = kill_process_group(pid, Signal::KILL);
        child.wait()?;
        Ok(())
    }

    /// `kill -9`, for it and the children in its group.
    pub fn kill(&mut self) -> Result {
        let pid = self.pid();
        if let (Some(mut child), Some(pid)) = (self.child.take(), pid) {
            let _ = kill_process_group(pid, Signal::KILL);
            child.wait()?;
        }
        Ok(())
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn name(&self) -> String {
        self.log.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.kill();
        if thread::panicking() {
            eprintln!("--- the end of {}'s log\n{}\n---", self.name(), self.tail());
        }
    }
}

/// The kernel sends the signal of `setpriv --pdeathsig` when the *thread* that started the program
/// ends. So one thread, which lives as long as the process, starts them all.
fn spawn(command: Command) -> io::Result<Child> {
    type Job = (Command, Sender<io::Result<Child>>);
    let gone = || io::Error::other("the thread that starts services has ended");
    static SPAWNER: LazyLock<Sender<Job>> = LazyLock::new(|| {
        let (jobs, waiting) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, answer) in waiting {
                let _ = answer.send(command.spawn());
            }
        });
        jobs
    });
    let (answer, child) = mpsc::channel();
    SPAWNER.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// Runs a program to its end, with `input`, and returns what it printed.
pub fn run(command: &mut Command, input: &str) -> Result<String> {
    let program = command.get_program().display().to_string();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{program} could not be started"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading says why by its status.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} ended with {}: {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
