//! The three servers: how each is started with its own defaults, found ready, stopped, and how durable it is.

use std::fmt;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use crate::{http, process_tree};

#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Kind {
    Trackway,
    Mlflow,
    FastTrackMl,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Trackway, Kind::Mlflow, Kind::FastTrackMl];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Trackway => "trackway",
            Kind::Mlflow => "mlflow",
            Kind::FastTrackMl => "fasttrackml",
        }
    }

    pub fn has_registry(self) -> bool {
        self != Kind::FastTrackMl
    }

    pub fn database_file(self) -> &'static str {
        match self {
            Kind::Trackway => "trackway.db",
            Kind::Mlflow => "mlflow.db",
            Kind::FastTrackMl => "fasttrackml.db",
        }
    }

    /// Environment variable that names the program (for mlflow the Python of the environment it is installed in).
    fn variable(self) -> &'static str {
        match self {
            Kind::Trackway => "TRACKWAY_BIN",
            Kind::Mlflow => "TRACKWAY_PYTHON_MLFLOW_3_17",
            Kind::FastTrackMl => "TRACKWAY_FML",
        }
    }

    pub fn program(self) -> Result<PathBuf> {
        if let Some(path) = std::env::var_os(self.variable()) {
            return Ok(PathBuf::from(path));
        }
        if self == Kind::Trackway {
            // `cargo run --release -p trackway-bench` puts this program beside the server's.
            let beside = std::env::current_exe()?.with_file_name("trackway");
            if beside.exists() {
                return Ok(beside);
            }
            bail!("there is no {}; run `cargo build --release -p trackway` or set TRACKWAY_BIN", beside.display());
        }
        bail!(
            "{} is not set: it names the program that starts {self}; bench/README.md says how to install it",
            self.variable()
        )
    }

    pub fn version(self) -> Result<String> {
        let program = self.program()?;
        let mut command = Command::new(&program);
        if self == Kind::Mlflow {
            command.args(["-m", "mlflow"]);
        }
        let output = command.arg("--version").output().with_context(|| format!("cannot run {}", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        // "fml version 0.6.0-<commit>" and "python -m mlflow, version 3.17.2": the word that begins with a digit.
        let word = text.split_whitespace().find(|w| w.starts_with(|c: char| c.is_ascii_digit()));
        Ok(word.unwrap_or("unknown").to_owned())
    }

    /// Compiles mlflow's Python to bytecode, so that no process of its start pays for it. Nothing to do for the others.
    pub fn prepare(self) -> Result<()> {
        if self == Kind::Mlflow {
            let python = self.program()?;
            let site = "import compileall, mlflow, os; d = os.path.dirname(os.path.dirname(mlflow.__file__)); compileall.compile_dir(d, quiet=2, workers=0)";
            let done = Command::new(&python)
                .args(["-c", site])
                .status()
                .with_context(|| format!("cannot run {}", python.display()))?;
            if !done.success() {
                bail!("compiling the Python files of mlflow failed: {done}");
            }
        }
        Ok(())
    }

    /// What a commit survives, as its settings say; `journal` is the journal mode found in its database file.
    pub fn durability(self, journal: &str) -> String {
        match self {
            Kind::Trackway => {
                format!("journal_mode={journal}, synchronous=FULL: every answer after an fsync")
            }
            Kind::Mlflow => {
                format!(
                    "journal_mode={journal}, synchronous=FULL (SQLite's defaults, left alone): every answer after an fsync"
                )
            }
            Kind::FastTrackMl => format!(
                "journal_mode={journal}, synchronous=NORMAL (its driver's default, left alone): no fsync at a commit, \
                 so a power loss takes the last answers back"
            ),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Trackway => "Trackway",
            Kind::Mlflow => "MLflow",
            Kind::FastTrackMl => "FastTrackML",
        })
    }
}

/// How a server is started, where that is not with its defaults on SQLite in its folder.
#[derive(Clone, Default)]
pub struct Setup {
    /// The PostgreSQL database it keeps its data in.
    pub database: Option<Database>,
    pub arguments: Vec<String>,
    pub variables: Vec<(String, String)>,
}

/// A database of a PostgreSQL server that the benchmark started.
#[derive(Clone)]
pub struct Database {
    pub url: String,
    /// The postmaster, whose children do the work.
    pub pid: u32,
}

/// A running server. Dropping it kills the process tree that it started.
pub struct Server {
    pub kind: Kind,
    pub address: SocketAddr,
    /// From the start of the process to the first 200 of `/health`.
    pub ready: Duration,
    child: Child,
    /// PostgreSQL's postmaster, whose tree is charged together with the server's.
    database: Option<u32>,
    stopped: bool,
}

impl Server {
    /// Starts in `directory`, on the database that lies there or a new one, and waits until it answers.
    pub fn start(kind: Kind, directory: &Path, jobs: bool) -> Result<Server> {
        Server::start_as(kind, directory, jobs, &Setup::default())
    }

    pub fn start_as(kind: Kind, directory: &Path, jobs: bool, setup: &Setup) -> Result<Server> {
        fs::create_dir_all(directory)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let port = address.port().to_string();
        let mut command = Command::new(kind.program()?);
        match kind {
            Kind::Trackway => {
                command.args(["server", "--host", "127.0.0.1", "--port", &port]);
                if let Some(database) = &setup.database {
                    command.args(["--backend-store-uri", &database.url]);
                }
            }
            Kind::Mlflow => {
                let store = match &setup.database {
                    // Its client library; without the name SQLAlchemy takes another.
                    Some(database) => database.url.replacen("postgresql:", "postgresql+psycopg2:", 1),
                    None => format!("sqlite:///{}", directory.join(kind.database_file()).display()),
                };
                command.args(["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", &port]);
                command.args(["--backend-store-uri", &store]);
                // Telemetry would go out to the network.
                command.env("MLFLOW_DISABLE_TELEMETRY", "true");
                if !jobs {
                    command.env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false");
                }
            }
            Kind::FastTrackMl => {
                let store = format!("sqlite://{}", directory.join(kind.database_file()).display());
                command.args(["server", "--listen-address", &format!("127.0.0.1:{port}"), "--database-uri", &store]);
            }
        }
        command.args(&setup.arguments).envs(setup.variables.iter().map(|(name, value)| (name, value)));
        let log = directory.join("server.log");
        let output = File::create(&log)?;
        command.current_dir(directory).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let begin = Instant::now();
        let child = spawn(&mut command).with_context(|| format!("cannot start {kind}"))?;
        let mut server = Server {
            kind,
            address,
            ready: Duration::ZERO,
            child,
            database: setup.database.as_ref().map(|database| database.pid),
            stopped: false,
        };
        loop {
            if let Ok((200, _)) = http::exchange(address, "GET", "/health", b"") {
                server.ready = begin.elapsed();
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("{kind} ended while it started ({status}): {}", fs::read_to_string(&log).unwrap_or_default());
            }
            if begin.elapsed() > Duration::from_secs(300) {
                bail!("{kind} did not answer /health within 300 s: {}", fs::read_to_string(&log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Of its process tree, and of all of PostgreSQL's processes if it stands on one.
    pub fn cpu(&self) -> Result<Duration> {
        let database = self.database.map_or(Ok(Duration::ZERO), process_tree::cpu)?;
        Ok(process_tree::cpu(self.pid())? + database)
    }

    /// CPU time once the work that answers left behind is done: waits until the tree uses less than 3 % more than
    /// `idle` (seconds of CPU a second) over a tenth of a second, for three seconds at most.
    pub fn settled_cpu(&self, idle: f64) -> Result<Duration> {
        let mut last = self.cpu()?;
        for _ in 0..30 {
            let begin = Instant::now();
            std::thread::sleep(Duration::from_millis(100));
            let now = self.cpu()?;
            if now.saturating_sub(last).as_secs_f64() < (idle + 0.03) * begin.elapsed().as_secs_f64() {
                return Ok(now);
            }
            last = now;
        }
        Ok(last)
    }

    /// CPU seconds a second that the tree uses without any request.
    pub fn idle_cpu(&self, over: Duration) -> Result<f64> {
        let (before, begin) = (self.cpu()?, Instant::now());
        std::thread::sleep(over);
        Ok(self.cpu()?.saturating_sub(before).as_secs_f64() / begin.elapsed().as_secs_f64())
    }

    pub fn call(&self, method: &str, path: &str, body: Option<&serde_json::Value>) -> Result<serde_json::Value> {
        http::call(self.address, method, path, body).with_context(|| format!("{} failed", self.kind))
    }

    /// Asks the server to end and waits; what is left of its tree after 20 s is killed.
    pub fn stop(mut self) -> Result<()> {
        self.end(Duration::from_secs(20))
    }

    fn end(&mut self, patience: Duration) -> Result<()> {
        if self.stopped {
            return Ok(());
        }
        self.stopped = true;
        let tree = process_tree::members(self.pid())?;
        kill(Pid::from_raw(self.pid() as i32), Signal::SIGTERM)?;
        let begin = Instant::now();
        while begin.elapsed() < patience && self.child.try_wait()?.is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Members that outlived their root: its own job consumers, for one. A number that has been taken by a new
        // process meanwhile would have to have wrapped around, within seconds.
        for pid in tree {
            if Path::new(&format!("/proc/{pid}")).exists() {
                let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
            }
        }
        self.child.wait()?;
        ended(self.pid());
        Ok(())
    }
}

/// Processes that were started and have not ended.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn running(change: impl FnOnce(&mut Vec<u32>)) {
    change(&mut RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
}

fn ending_signals() -> SigSet {
    SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM])
}

/// Starts a process that [`end_on_signal`] takes with it.
pub fn spawn(command: &mut Command) -> Result<Child> {
    // A child inherits which signals are blocked, and would not hear that it shall end.
    ending_signals().thread_unblock()?;
    let child = command.spawn();
    ending_signals().thread_block()?;
    let child = child?;
    running(|pids| pids.push(child.id()));
    Ok(child)
}

/// A process of [`spawn`] has ended and was waited for.
pub fn ended(pid: u32) {
    running(|pids| pids.retain(|known| *known != pid));
}

/// From here on, an interrupt or SIGTERM takes the running servers and their data with this program. To be called before any thread is
/// started, since it blocks these signals in the calling one.
pub fn end_on_signal(scratch: &Path) -> Result<()> {
    let scratch = scratch.to_owned();
    ending_signals().thread_block()?;
    std::thread::spawn(move || {
        let _ = ending_signals().wait();
        running(|pids| {
            for tree in pids.iter().filter_map(|pid| process_tree::members(*pid).ok()) {
                for pid in tree {
                    let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
                }
            }
        });
        let _ = fs::remove_dir_all(&scratch);
        std::process::exit(130);
    });
    Ok(())
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.end(Duration::from_secs(2));
    }
}

/// The database of a stopped server: its journal mode, and its size with the write-ahead log folded in.
pub fn database(kind: Kind, directory: &Path) -> Result<(String, u64)> {
    let path = directory.join(kind.database_file());
    let database = rusqlite::Connection::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let journal: String = database.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    if journal == "wal" {
        database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))?;
    }
    drop(database);
    let mut bytes = fs::metadata(&path)?.len();
    if let Ok(log) = fs::metadata(path.with_extension("db-wal")) {
        bytes += log.len();
    }
    Ok((journal, bytes))
}
