//! PostgreSQL, as Debian packages it. The cluster is made once by `initdb` for each locale, kept as
//! a template in the cache folder and copied at each start.

use std::fs::{self, File};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::daemon::{self, Daemon, Launch};
use super::folder::Folder;
use super::ports::{self, Port};
use super::{Service, host, programs, unknown, yes_or_no};
use crate::Result;

/// By which variable a client is told of the server.
const URL: &str = "POSTGRES_URL";

#[derive(Clone, Debug, Default)]
pub struct Options {
    pub locale: Locale,
    /// What is committed is on disk, as in production. Without it everything is faster, and only a
    /// crash of the machine would show a difference, not one of PostgreSQL.
    pub durable: bool,
    /// Connections over TCP must be encrypted; `Postgres::authority` has the certificate to trust.
    pub tls: bool,
    /// Clients must give it, by SCRAM; else nobody is asked.
    pub password: Option<String>,
    /// Further settings: `("max_connections", "20")`.
    pub settings: Vec<(String, String)>,
}

/// How text is compared by default.
#[derive(Clone, Debug, Default)]
pub enum Locale {
    /// By bytes.
    #[default]
    C,
    /// By the C library, which must have it: `locale -a` lists what it has.
    Libc(String),
    /// By ICU, `en-US`, which Debian's PostgreSQL brings along.
    Icu(String),
}

impl Options {
    /// `locale=C | icu:en-US | en_US.UTF-8`, `durable=yes`, `tls=yes`, `password=…`; any other name
    /// with a dot or an underscore is a setting of PostgreSQL's.
    pub fn read(words: &[(&str, &str)]) -> Result<Self> {
        let mut options = Self::default();
        for (name, value) in words {
            match *name {
                "locale" => {
                    options.locale = match value.split_once(':') {
                        _ if *value == "C" => Locale::C,
                        Some(("icu", locale)) => Locale::Icu(locale.to_owned()),
                        _ => Locale::Libc((*value).to_owned()),
                    }
                }
                "durable" => options.durable = yes_or_no(name, value)?,
                "tls" => options.tls = yes_or_no(name, value)?,
                "password" => options.password = Some((*value).to_owned()),
                _ if name.contains(['.', '_']) => options.settings.push(((*name).to_owned(), (*value).to_owned())),
                _ => return unknown(name),
            }
        }
        Ok(options)
    }
}

#[derive(Debug)]
pub struct Postgres {
    server: Option<Daemon>,
    options: Options,
    port: Port,
    folder: Folder,
}

impl Postgres {
    pub fn start(options: Options) -> Result<Self> {
        let folder = Folder::for_postgres("postgres")?;
        copy(&template(&options.locale)?, &folder.join("data"))?;
        let host = if options.tls { "hostssl" } else { "host" };
        let method = if options.password.is_some() { "scram-sha-256" } else { "trust" };
        // The socket lies in a folder that is only ours; it is how the password is set.
        let rules = format!("local all all trust\n{host} all all 127.0.0.1/32 {method}\n");
        fs::write(folder.join("data/pg_hba.conf"), rules)?;
        if options.tls {
            certificate(&folder)?;
        }
        folder.own(&folder.join("data"))?;
        let mut postgres = Self { server: None, options, port: ports::reserve()?, folder };
        postgres.launch()?;
        if let Some(password) = &postgres.options.password {
            postgres.query("postgres", &format!("ALTER ROLE postgres PASSWORD '{}'", password.replace('\'', "''")))?;
        }
        Ok(postgres)
    }

    /// Of the database `postgres`, with the superuser of the same name.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    pub fn url_of(&self, database: &str) -> String {
        let password = self.options.password.as_ref().map(|password| format!(":{password}")).unwrap_or_default();
        let query = if self.options.tls { "?sslmode=require" } else { "" };
        format!("postgresql://postgres{password}@{}/{database}{query}", self.address())
    }

    /// `127.0.0.1:5432`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number)
    }

    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// The postmaster's, while it runs: all of the server's processes are its children.
    pub fn pid(&self) -> Option<u32> {
        let pid = self.server.as_ref()?.pid()?;
        u32::try_from(pid.as_raw_nonzero().get()).ok()
    }

    pub fn password(&self) -> Option<&str> {
        self.options.password.as_deref()
    }

    /// The certificate of the authority that has signed the server's, with `tls`; it is for
    /// `127.0.0.1` and `localhost`.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("authority.crt")
    }

    /// Runs SQL in a database, past TLS, passwords and pools. The rows come one a line, the fields
    /// separated by `|`.
    pub fn query(&self, database: &str, sql: &str) -> Result<String> {
        query_by_socket(self.folder.path(), self.port.number, database, sql)
    }

    pub fn create_database(&self, name: &str) -> Result<String> {
        self.query("postgres", &format!("CREATE DATABASE \"{name}\""))?;
        Ok(self.url_of(name))
    }

    /// Ends all of its processes by `kill -9`, at once, as a crash would.
    pub fn crash(&mut self) -> Result {
        let server = self.server.as_mut().context("PostgreSQL is not running")?;
        let pid = server.pid().context("PostgreSQL is not running")?;
        // The list of its processes would be empty once it is dead.
        let children = children_of(pid);
        server.kill()?;
        kill_all(&children)?;
        self.server = None;
        Ok(())
    }

    /// Stops it as an administrator would: clients are disconnected, and nothing is left to recover.
    pub fn stop(&mut self) -> Result {
        self.server.take().map_or(Ok(()), |mut server| server.stop())
    }

    /// Starts it on the same data and port, after stopping it if it runs.
    pub fn restart(&mut self) -> Result {
        self.stop()?;
        self.launch()
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("postgres.log")).unwrap_or_default()).into_owned()
    }

    fn launch(&mut self) -> Result {
        let mut settings = vec![
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", self.folder.path().to_str().context("The temporary folder is not UTF-8")?),
            ("max_connections", "200"),
        ];
        if !self.options.durable {
            settings.extend([("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off")]);
        }
        if self.options.tls {
            settings.extend([("ssl", "on"), ("ssl_cert_file", "server.crt"), ("ssl_key_file", "server.key")]);
        }
        settings.extend(self.options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let data = self.folder.join("data");
        // SIGQUIT: its processes end at once, and its shared memory is given back. SIGINT: it
        // disconnects its clients and stops.
        let launch = Launch::new(&programs::postgres("postgres")?, &self.folder, true, "QUIT")
            .stopped_by(Signal::INT)
            .args(["-p", &self.port.number.to_string(), "-D"])
            .args([&data])
            .args(settings.iter().flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]));
        // As pg_ctl does: the eighth line of the file tells how far it is.
        let pid_file = data.join("postmaster.pid");
        let _ = fs::remove_file(&pid_file);
        let ready = || {
            let lines = fs::read_to_string(&pid_file).unwrap_or_default();
            lines.lines().nth(7).is_some_and(|line| line.trim() == "ready")
        };
        self.server = Some(launch.start(ready)?);
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.end(Signal::QUIT);
        }
    }
}

impl Service for Postgres {
    fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            (URL, self.url()),
            ("PGHOST", "127.0.0.1".to_owned()),
            ("PGPORT", self.port.number.to_string()),
            ("PGUSER", "postgres".to_owned()),
        ];
        if let Some(password) = &self.options.password {
            variables.push(("PGPASSWORD", password.clone()));
        }
        if self.options.tls {
            variables.push(("PGSSLROOTCERT", self.authority().display().to_string()));
        }
        variables
    }

    fn tell(&mut self, words: &[&str]) -> Result<Value> {
        match words {
            ["crash"] => self.crash()?,
            ["stop"] => self.stop()?,
            ["restart"] => self.restart()?,
            ["create-database", name] => return Ok(json!({"url": self.create_database(name)?})),
            _ => bail!("PostgreSQL can be told: crash, stop, restart, create-database NAME"),
        }
        Ok(Value::Null)
    }
}

/// A database of a test's own; it is dropped with the value.
#[derive(Debug)]
pub struct Database {
    name: String,
    url: String,
    server_url: String,
    /// The server, if it is this process's own.
    server: Option<Arc<Postgres>>,
}

/// A new, empty database on the server that the tests share.
pub fn database() -> Result<Database> {
    database_with("")
}

/// The same, whose texts compare as people in English-speaking countries would have it, which is not by bytes.
pub fn english_database() -> Result<Database> {
    database_with("TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'")
}

fn database_with(options: &str) -> Result<Database> {
    static OWN: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let shared = host::shared("postgres", &OWN, || Postgres::start(Options::default()))?;
    let server_url = shared.variables.get(URL).context("The shared PostgreSQL has no URL")?.clone();
    let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    // The number of a process that is long gone may come again, and what it left behind with it.
    let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE);\nCREATE DATABASE {name} {options};");
    daemon::run(psql()?.arg(&server_url), &sql)?;
    let (server_part, _) = server_url.rsplit_once('/').context("The URL of the shared PostgreSQL names no database")?;
    Ok(Database { url: format!("{server_part}/{name}"), name, server_url, server: shared.own })
}

impl Database {
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs SQL in it. The rows come one a line, the fields separated by `|`.
    pub fn query(&self, sql: &str) -> Result<String> {
        daemon::run(psql()?.arg(&self.url), sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server of our own goes with everything in it.
        if self.server.is_none()
            && let Ok(mut psql) = psql()
        {
            let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
            let _ = daemon::run(psql.arg(&self.server_url), &sql);
        }
    }
}

/// Runs SQL as the superuser on the server whose socket lies in this folder.
pub(super) fn query_by_socket(folder: &Path, port: u16, database: &str, sql: &str) -> Result<String> {
    let mut psql = psql()?;
    psql.arg("-h").arg(folder).args(["-p", &port.to_string(), "-U", "postgres"]);
    daemon::run(psql.arg(database), sql)
}

/// psql for a program: no settings of a person's, rows one a line, the first error ends it.
fn psql() -> Result<Command> {
    let mut psql = Command::new(programs::postgres("psql")?);
    psql.env_clear().args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
    Ok(psql)
}

/// A cluster fresh from initdb, made when there is none for this version and locale.
fn template(locale: &Locale) -> Result<PathBuf> {
    let initdb = programs::postgres("initdb")?;
    let arguments = match locale {
        Locale::C => vec!["--locale=C.UTF-8".to_owned()],
        Locale::Libc(name) => vec![format!("--locale={name}")],
        Locale::Icu(name) => {
            vec!["--locale-provider=icu".to_owned(), format!("--icu-locale={name}"), "--locale=C.UTF-8".to_owned()]
        }
    };
    let changed = fs::metadata(&initdb)?.modified()?;
    let key = BuildHasherDefault::<DefaultHasher>::default().hash_one((&initdb, changed, &arguments));
    let templates = programs::cache()?.join("postgres");
    let made = templates.join(format!("{key:016x}"));
    if made.is_dir() {
        return Ok(made);
    }
    fs::create_dir_all(&templates).with_context(|| format!("{} could not be made", templates.display()))?;
    let lock = File::create(templates.join(format!("{key:016x}.lock")))?;
    lock.lock()?;
    if made.is_dir() {
        return Ok(made);
    }
    let folder = Folder::for_postgres("initdb")?;
    let mut command = if rustix::process::geteuid().is_root() {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(initdb);
        setpriv
    } else {
        Command::new(initdb)
    };
    command.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "-D"]).arg(folder.join("data"));
    command.args(arguments).current_dir(folder.path());
    daemon::run(&mut command, "")?;
    // Whole or not at all, whatever ends us.
    let partial = tempfile::Builder::new().prefix("partial-").tempdir_in(&templates)?;
    copy(&folder.join("data"), &partial.path().join("data"))?;
    fs::rename(partial.path().join("data"), &made)?;
    Ok(made)
}

fn copy(from: &Path, to: &Path) -> Result {
    fs::create_dir(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// An authority of our own, and a certificate for the server that it has signed.
fn certificate(folder: &Folder) -> Result {
    let openssl = || {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-days", "2"]).current_dir(folder.path());
        openssl
    };
    let authority = ["-keyout", "authority.key", "-out", "authority.crt", "-subj", "/CN=Tests"];
    daemon::run(openssl().args(authority), "").context("openssl could not make an authority")?;
    let server = ["-keyout", "data/server.key", "-out", "data/server.crt", "-subj", "/CN=localhost"];
    let signed = ["-CA", "authority.crt", "-CAkey", "authority.key"];
    let extensions = [
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-addext",
        "extendedKeyUsage=serverAuth",
    ];
    daemon::run(openssl().args(server).args(signed).args(extensions), "")
        .context("openssl could not make a certificate")?;
    Ok(())
}

/// Ends processes by `kill -9` and waits until they are gone: each process of PostgreSQL leads a session
/// of its own, which a group's signal does not reach, and none starts while one of the last is alive.
pub(super) fn kill_all(pids: &[Pid]) -> Result {
    for pid in pids {
        let _ = kill_process(*pid, Signal::KILL);
    }
    let killed = Instant::now();
    while pids.iter().any(|pid| is_alive(*pid)) {
        if killed.elapsed() > Duration::from_secs(20) {
            bail!("Processes of PostgreSQL still run after SIGKILL");
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// A zombie, which nobody has waited for, is not.
fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

/// The processes that this one has started.
pub(super) fn children_of(pid: Pid) -> Vec<Pid> {
    let pid = pid.as_raw_nonzero();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)).collect()
}
