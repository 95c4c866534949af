//! A `trackway server` of a test's own: its folder, its port, its log, its end.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Client, Reply};
use crate::{Result, temp_dir};

/// A debug build on a machine that runs other tests beside this one.
const READY_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(30);

/// How a server is to be started: `Server::of(bin).arg("--serve-artifacts").start()?`.
#[derive(Debug)]
pub struct Builder {
    bin: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
}

impl Builder {
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The folder in which it runs and, by default, keeps its data; else an empty one of its own.
    pub fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    /// Starts it and returns when it answers; what it printed is in the error if it does not.
    pub fn start(self) -> Result<Server> {
        // The log lies beside the data folder, not in it: a start may depend on what is there.
        let home = temp_dir()?;
        let folder = match self.folder {
            Some(folder) => folder,
            None => {
                let folder = home.path().join("data");
                fs::create_dir(&folder)?;
                folder
            }
        };
        let mut server = Server {
            bin: self.bin,
            args: self.args,
            env: self.env,
            log: home.path().join("log"),
            folder,
            _home: home,
            port: 0,
            child: None,
            client: Client::new(""),
        };
        server.launch()?;
        Ok(server)
    }
}

#[derive(Debug)]
pub struct Server {
    bin: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    folder: PathBuf,
    log: PathBuf,
    _home: TempDir,
    /// 0 until the first start, for which the system chooses one.
    port: u16,
    child: Option<Child>,
    client: Client,
}

impl Server {
    /// `trackway server` in an empty folder, with no further arguments.
    pub fn start(bin: impl AsRef<Path>) -> Result<Self> {
        Self::of(bin).start()
    }

    /// The same, to be given arguments, environment or folder first.
    pub fn of(bin: impl AsRef<Path>) -> Builder {
        Builder { bin: bin.as_ref().to_owned(), args: Vec::new(), env: Vec::new(), folder: None }
    }

    /// `http://127.0.0.1:5000`
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it runs and, by default, keeps its data.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// What it has printed so far, to both outputs, over all its starts.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// POST with a JSON body; the JSON of the answer, an error unless it is 2xx.
    pub fn post(&self, route: &str, body: Value) -> Result<Value> {
        self.client.ok("POST", route, Some(&body))
    }

    pub fn patch(&self, route: &str, body: Value) -> Result<Value> {
        self.client.ok("PATCH", route, Some(&body))
    }

    pub fn delete(&self, route: &str, body: Value) -> Result<Value> {
        self.client.ok("DELETE", route, Some(&body))
    }

    pub fn get(&self, route: &str) -> Result<Value> {
        self.client.ok("GET", route, None)
    }

    /// Any method with a JSON body; the answer, whatever its status.
    pub fn send(&self, method: &str, route: &str, body: &Value) -> Result<Reply> {
        let headers = [("content-type", "application/json")];
        self.client.send(method, route, &headers, Some(body.to_string().as_bytes()))
    }

    /// Any method, headers and bytes; the answer, whatever its status.
    pub fn raw(&self, method: &str, route: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Result<Reply> {
        self.client.send(method, route, headers, body)
    }

    /// Asks it to stop by SIGTERM, and returns how it ended.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        let mut child = self.child.take().context("The server is not running")?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("The server has no process id")?, Signal::TERM)?;
        let started = Instant::now();
        while started.elapsed() < STOPPED_WITHIN {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        child.kill()?;
        child.wait()?;
        bail!("The server ran on for {} s after SIGTERM. It printed:\n{}", STOPPED_WITHIN.as_secs(), self.log());
    }

    /// Ends it at once, as a crash of the machine's power would end the process.
    pub fn kill9(&mut self) -> Result {
        let mut child = self.child.take().context("The server is not running")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Starts it again after `stop` or `kill9` (stopping it first if it still runs): the same
    /// arguments, folder and port.
    pub fn restart(&mut self) -> Result {
        if self.child.is_some() {
            self.stop()?;
        }
        self.launch()
    }

    fn launch(&mut self) -> Result {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let before = usize::try_from(log.metadata()?.len())?;
        let child = Command::new(&self.bin)
            .args(["server", "--host", "127.0.0.1", "--port", &self.port.to_string()])
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} could not be started", self.bin.display()))?;
        let child = self.child.insert(child);

        let started = Instant::now();
        while started.elapsed() < READY_WITHIN {
            // The address is read from the start-up lines, so that a stranger that took the port
            // meanwhile is never mistaken for this server.
            let log = fs::read(&self.log)?;
            let said = String::from_utf8_lossy(&log[before.min(log.len())..]).into_owned();
            if let Some(port) = announced_port(&said) {
                let client = Client::new(&format!("http://127.0.0.1:{port}"));
                if client.send("GET", "/health", &[], None).is_ok_and(|reply| reply.status == 200) {
                    (self.port, self.client) = (port, client);
                    return Ok(());
                }
            }
            if let Some(status) = child.try_wait()? {
                self.child = None;
                bail!("The server ended at its start with {status}. It printed:\n{said}");
            }
            thread::sleep(Duration::from_millis(5));
        }
        child.kill()?;
        child.wait()?;
        self.child = None;
        bail!("The server was not ready after {} s. It printed:\n{}", READY_WITHIN.as_secs(), self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            eprintln!("--- the server's log\n{}---", self.log());
        }
    }
}

/// The binary: TRACKWAY_BIN, else the one in cargo's target folder that this test belongs to.
pub fn binary() -> Result<PathBuf> {
    if let Some(bin) = std::env::var_os("TRACKWAY_BIN") {
        return Ok(bin.into());
    }
    // target/debug/deps/some_test-0123456789abcdef → target/debug/trackway
    let test = std::env::current_exe()?;
    let bin = test.ancestors().nth(2).context("The test lies outside a target folder")?.join("trackway");
    if !bin.is_file() {
        bail!("{} is missing; build it by `cargo build --bin trackway`, or set TRACKWAY_BIN", bin.display());
    }
    Ok(bin)
}

/// The port in the first `http://127.0.0.1:PORT` of a complete line.
fn announced_port(said: &str) -> Option<u16> {
    let complete = &said[..said.rfind('\n')?];
    let (_, rest) = complete.split_once("http://127.0.0.1:")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::announced_port;

    #[test]
    fn the_port_is_read_from_a_complete_line() {
        assert_eq!(announced_port("data in /tmp\nlistening on http://127.0.0.1:4100/\n"), Some(4100));
        assert_eq!(announced_port("listening on http://127.0.0.1:41"), None);
        assert_eq!(announced_port("http://127.0.0.1:0\n"), None);
    }
}
