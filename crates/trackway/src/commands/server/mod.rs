//! `trackway server`: the tracking server, with the flags of `mlflow server` 3.17 under their names.
//!
//! * `settings.rs` makes a configuration of flags and environment.
//! * `network.rs` is the part of it about addresses, TLS, proxies and time limits.
//! * `python_options.rs` judges what people pass on to uvicorn, gunicorn and waitress, which are not here.
//! * `backup.rs` is `trackway server backup` and `trackway server restore`.
//! * `purge.rs` is `trackway server purge`, `thin_metrics.rs` is `trackway server thin-metrics`.
//! * `place.rs` looks at the folder before anything is written there.

pub mod backup;
mod network;
mod place;
pub mod purge;
mod python_options;
mod settings;
pub mod thin_metrics;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Args};
use trackway_server::config::{BackendStore, Config, has_scheme};
use trackway_server::serve::{Ended, Shutdown};
use trackway_server::{Server, server_info};

use crate::failure::Failure;
use crate::logging::{self, Format};
use settings::Settings;

/// More threads than this make a server of this kind larger and not faster: it waits for the disk, not for processors.
const MOST_THREADS: usize = 4;

const ABOUT: &str = "\
Without flags the server keeps runs and models in trackway.db and files in ./mlartifacts, both in the current folder, and listens on \
http://127.0.0.1:5000. Flags and variables have the names of `mlflow server` 3.17. A flag wins over its variable.

`trackway server backup` copies the SQLite database, also while a server writes to it; `trackway server restore` puts a copy back. \
`trackway server purge` lets what was deleted go for good; `trackway server thin-metrics` makes samples of the metrics of old runs.";

#[derive(Debug, Default, Args)]
// -h is the host, as in MLflow, so help is --help alone.
#[command(disable_help_flag = true, args_override_self = true, after_help = ABOUT)]
pub struct ServerArgs {
    /// Print help
    #[arg(long, action = ArgAction::Help, required = false)]
    help: Option<bool>,

    /// The database for experiments, runs and models: sqlite:///file (relative to the current folder),
    /// sqlite:////absolute/file or postgresql://user@host/database [env: MLFLOW_BACKEND_STORE_URI] [default: sqlite:///trackway.db]
    #[arg(long, value_name = "URI", help_heading = "Storage")]
    backend_store_uri: Option<String>,

    /// How many connections to PostgreSQL to hold at most, half of them for reading [env: TRACKWAY_DB_CONNECTIONS, or as
    /// MLflow MLFLOW_SQLALCHEMYSTORE_POOL_SIZE and MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW] [default: 16]
    #[arg(long, value_name = "N", help_heading = "Storage")]
    db_connections: Option<String>,

    /// The folder or URI for the artifacts of new experiments [env: MLFLOW_DEFAULT_ARTIFACT_ROOT] [default:
    /// mlflow-artifacts:/, through this server; with --no-serve-artifacts ./mlruns]
    #[arg(long, value_name = "URI", help_heading = "Storage")]
    default_artifact_root: Option<String>,

    /// Where the server keeps the artifacts that go through it: a folder, s3://bucket/path, gs://bucket/path,
    /// wasbs://container@account.blob.core.windows.net/path, sftp://user@host/path, hdfs://host/path,
    /// webhdfs://host/path or webdavs://host/path [env: MLFLOW_ARTIFACTS_DESTINATION] [default:
    /// ./mlartifacts]
    #[arg(long, value_name = "URI", help_heading = "Storage")]
    artifacts_destination: Option<String>,

    /// Further folders, places in buckets and on servers, with commas, whose artifacts this server shows to who asks by run or
    /// model; what lies elsewhere it does not open [env: TRACKWAY_ARTIFACT_ROOTS]
    #[arg(long, value_name = "URIS", help_heading = "Storage")]
    artifact_roots: Option<String>,

    /// Let artifacts go through this server [env: MLFLOW_SERVE_ARTIFACTS] [default: yes]
    #[arg(long, help_heading = "Storage", overrides_with = "no_serve_artifacts")]
    serve_artifacts: bool,

    /// Let clients store artifacts themselves
    #[arg(long, help_heading = "Storage", overrides_with = "serve_artifacts")]
    no_serve_artifacts: bool,

    /// Serve artifacts and nothing else; no database is opened [env: MLFLOW_ARTIFACTS_ONLY]
    #[arg(long, help_heading = "Storage")]
    artifacts_only: bool,

    /// The interface to listen on: 127.0.0.1 for this machine alone, 0.0.0.0 for all networks
    /// [env: MLFLOW_HOST] [default: 127.0.0.1]
    #[arg(short = 'h', long, value_name = "HOST", help_heading = "Network")]
    host: Option<String>,

    /// The port to listen on; 0 takes a free one [env: MLFLOW_PORT] [default: 5000]
    #[arg(short, long, value_name = "PORT", allow_hyphen_values = true, help_heading = "Network")]
    port: Option<String>,

    /// A path that stands before every route, such as /mlflow [env: MLFLOW_STATIC_PREFIX]
    #[arg(long, value_name = "PATH", help_heading = "Network")]
    static_prefix: Option<String>,

    /// Speak HTTPS with this certificate, PEM, followed by those that lead to the authority; files that change are taken
    /// up without a restart [env: TRACKWAY_TLS_CERT]
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    tls_cert: Option<PathBuf>,

    /// The certificate's private key, PEM; its password, if it has one, is read from TRACKWAY_TLS_KEY_PASSWORD
    /// [env: TRACKWAY_TLS_KEY] [default: the file of --tls-cert]
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    tls_key: Option<PathBuf>,

    /// Serve only clients with a certificate that one of these authorities has signed [env: TRACKWAY_TLS_CLIENT_CA]
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    tls_client_ca: Option<PathBuf>,

    /// The proxies whose X-Forwarded-… headers are believed: addresses and networks with commas, '*' for everybody
    /// [env: FORWARDED_ALLOW_IPS] [default: this machine]
    #[arg(long, value_name = "LIST", help_heading = "Network")]
    forwarded_allow_ips: Option<String>,

    /// Close an idle connection after this many seconds; give more than the proxy before this server does
    /// [env: TRACKWAY_KEEP_ALIVE] [default: 75]
    #[arg(long, value_name = "SECONDS", help_heading = "Network")]
    keep_alive: Option<String>,

    /// After SIGTERM, go on taking connections for this many seconds while /ready says 503, so that a balancer can turn
    /// away first [env: TRACKWAY_DRAIN] [default: 0]
    #[arg(long, value_name = "SECONDS", help_heading = "Network")]
    drain: Option<String>,

    /// How many seconds a stop waits for open requests [env: TRACKWAY_SHUTDOWN_TIMEOUT] [default: 30]
    #[arg(long, value_name = "SECONDS", help_heading = "Network")]
    shutdown_timeout: Option<String>,

    /// The Host headers to accept, with commas; * in an entry is a wildcard, '*' alone accepts all
    /// [env: MLFLOW_SERVER_ALLOWED_HOSTS] [default: this machine and private addresses]
    #[arg(long, value_name = "HOSTS", help_heading = "Security")]
    allowed_hosts: Option<String>,

    /// The web origins, beside those of this machine, whose pages may use the server, with commas; '*' accepts all
    /// [env: MLFLOW_SERVER_CORS_ALLOWED_ORIGINS]
    #[arg(long, value_name = "ORIGINS", help_heading = "Security")]
    cors_allowed_origins: Option<String>,

    /// Who may show the page in a frame: SAMEORIGIN, DENY (nobody) or NONE (everybody)
    /// [env: MLFLOW_SERVER_X_FRAME_OPTIONS] [default: SAMEORIGIN]
    #[arg(long, value_name = "WORD", help_heading = "Security")]
    x_frame_options: Option<String>,

    /// Check neither Host nor Origin: any web page a user opens can then use the server
    /// [env: MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE]
    #[arg(long, help_heading = "Security")]
    disable_security_middleware: bool,

    /// A built web page to serve, such as mlflow/server/js/build of an installed MLflow [env: TRACKWAY_UI_DIR]
    #[arg(long, value_name = "DIR", help_heading = "Trackway")]
    ui_dir: Option<PathBuf>,

    /// How to log to stderr: text or json [env: TRACKWAY_LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT", help_heading = "Trackway")]
    log_format: Option<String>,

    /// What to log: error, warn, info, debug (every request) or trace [env: TRACKWAY_LOG_LEVEL] [default: info]
    #[arg(long, value_name = "LEVEL", help_heading = "Trackway")]
    log_level: Option<String>,

    /// One process does the work, so this changes nothing [env: MLFLOW_WORKERS]
    #[arg(
        short,
        long,
        value_name = "N",
        allow_hyphen_values = true,
        help_heading = "Accepted from MLflow, without effect"
    )]
    workers: Option<String>,

    /// /metrics is always there for Prometheus, and needs no folder [env: MLFLOW_EXPOSE_PROMETHEUS]
    #[arg(long, value_name = "DIR", help_heading = "Accepted from MLflow, without effect")]
    expose_prometheus: Option<String>,

    /// Logs every request; nothing is reloaded
    #[arg(long, help_heading = "Accepted from MLflow, without effect")]
    dev: bool,

    /// What uvicorn would be told: --ssl-… , --forwarded-allow-ips and --timeout-… are done, what only tunes is ignored, all
    /// else refused [env: MLFLOW_UVICORN_OPTS]
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true, help_heading = "Network")]
    uvicorn_opts: Option<String>,

    /// The same for gunicorn: --certfile, --keyfile, --ca-certs, --cert-reqs, --keep-alive, …
    /// [env: MLFLOW_GUNICORN_OPTS]
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true, help_heading = "Network")]
    gunicorn_opts: Option<String>,

    /// Options that only tune are ignored, all others refused
    #[arg(
        long,
        value_name = "OPTIONS",
        allow_hyphen_values = true,
        help_heading = "Accepted from MLflow, without effect"
    )]
    waitress_opts: Option<String>,

    /// There are no stored secrets to cache
    #[arg(long, value_name = "SECONDS", help_heading = "Accepted from MLflow, without effect")]
    secrets_cache_ttl: Option<String>,

    /// There are no stored secrets to cache
    #[arg(long, value_name = "N", help_heading = "Accepted from MLflow, without effect")]
    secrets_cache_max_size: Option<String>,

    /// Workspaces are off
    #[arg(long, overrides_with = "enable_workspaces", help_heading = "Accepted from MLflow, without effect")]
    disable_workspaces: bool,

    /// Only the same as --backend-store-uri is possible [env: MLFLOW_REGISTRY_STORE_URI]
    #[arg(long, value_name = "URI", help_heading = "Refused, because not built yet")]
    registry_store_uri: Option<String>,

    /// A copy of the database to read from [env: MLFLOW_READ_REPLICA_BACKEND_STORE_URI]
    #[arg(long, value_name = "URI", help_heading = "Refused, because not built yet")]
    read_replica_backend_store_uri: Option<String>,

    /// An application that asks for users and passwords
    #[arg(long, value_name = "NAME", help_heading = "Refused, because not built yet")]
    app_name: Option<String>,

    /// Keep teams apart [env: MLFLOW_ENABLE_WORKSPACES]
    #[arg(long, overrides_with = "disable_workspaces", help_heading = "Refused, because not built yet")]
    enable_workspaces: bool,

    /// Where workspaces are listed; ignored without --enable-workspaces [env: MLFLOW_WORKSPACE_STORE_URI]
    #[arg(long, value_name = "URI", help_heading = "Refused, because not built yet")]
    workspace_store_uri: Option<String>,

    /// How traces are archived [env: MLFLOW_TRACE_ARCHIVAL_CONFIG]
    #[arg(long, value_name = "PATH", help_heading = "Refused, because not built yet")]
    trace_archival_config: Option<String>,
}

pub fn run(args: ServerArgs) -> Result<(), Failure> {
    let environment = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let settings = Settings::read(args, &environment)?;
    logging::start(settings.log_format, &settings.log_level)?;
    for note in &settings.notes {
        warn(settings.log_format, note);
    }
    let cwd = std::env::current_dir()
        .map_err(|error| Failure::Failed(format!("The current folder cannot be read: {error}.")))?;
    check(&settings, &cwd)?;

    let mut config = settings.config;
    config.limits.max_connections = room_for_connections(config.limits.max_connections);
    // Half of the cores: the writer and large reads have threads of their own, and a thread that need not wake another
    // saves a third of a small request's time.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = (cores / 2).clamp(1, MOST_THREADS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("trackway")
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("The server's threads could not be started: {error}.")))?;
    let ended = runtime.block_on(serve(config, settings.log_format, &cwd));
    // What is still running is work that nobody waits for: its requests were answered or given up.
    runtime.shutdown_timeout(Duration::from_millis(200));
    match ended? {
        Ended::Finished => Ok(()),
        Ended::CutShort => Err(Failure::Failed(
            "The server stopped before every accepted request was finished. Nothing that was acknowledged is lost."
                .to_owned(),
        )),
    }
}

async fn serve(config: Config, format: Format, cwd: &Path) -> Result<Ended, Failure> {
    let (stop, shutdown) = Shutdown::new();
    stop.on_signals().map_err(|error| Failure::Failed(format!("The server cannot listen to signals: {error}.")))?;
    let about = config.clone();
    let server = Server::start(config).await.map_err(|error| Failure::Failed(error.to_string()))?;
    if let Some(warning) = server.certificate_out_of_date() {
        warn(format, &warning);
    }
    announce(&about, server.addresses(), format, cwd);
    Ok(server.run(shutdown).await)
}

fn check(settings: &Settings, cwd: &Path) -> Result<(), Failure> {
    if settings.config.artifacts_only {
        return Ok(());
    }
    let BackendStore::Sqlite(path) = &settings.config.backend_store else {
        return Ok(());
    };
    if !settings.backend_store_given {
        place::check_for_mlflow(cwd, path).map_err(Failure::Failed)?;
    }
    place::check_file_system(&cwd.join(path)).map_err(Failure::Failed)
}

/// Each connection holds a file descriptor. Asks the system for as many as it gives, and leaves some for files.
fn room_for_connections(wanted: usize) -> usize {
    const FOR_FILES: u64 = 128;
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
        let room = current.map_or(u64::MAX, |current| current.saturating_sub(FOR_FILES).max(16));
        wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
    }
    #[cfg(not(unix))]
    wanted
}

fn warn(format: Format, note: &str) {
    match format {
        Format::Text => eprintln!("warning: {note}"),
        Format::Json => tracing::warn!("{note}"),
    }
}

/// Says where the data lies and how to get there.
fn announce(config: &Config, addresses: &[SocketAddr], format: Format, cwd: &Path) {
    let database = match &config.backend_store {
        _ if config.artifacts_only => "none (--artifacts-only)".to_owned(),
        BackendStore::Sqlite(path) => absolute(cwd, path).display().to_string(),
        BackendStore::Postgres(config) => config.to_string(),
    };
    let artifacts = if config.serve_artifacts {
        place_of(&trackway_server::artifacts::without_password(&config.artifacts_destination), cwd)
    } else {
        format!("{} (clients go there themselves)", config.artifact_root(cwd))
    };
    let url = addresses.first().map(|address| url(*address, config)).unwrap_or_default();
    if format == Format::Json {
        tracing::info!(version = server_info::VERSION, database, artifacts, url, "listening");
        return;
    }
    let everywhere = addresses.iter().any(|address| address.ip().is_unspecified());
    let more = if everywhere { "  and on every address of this machine" } else { "" };
    eprint!(
        "Trackway {version}\n  \
         Runs and models  {database}\n  \
         Artifacts        {artifacts}\n  \
         Page and API     {url}{more}\n\n\
         Point a client here:  export MLFLOW_TRACKING_URI={url}\n\
         Ctrl-C stops the server.\n",
        version = server_info::VERSION,
    );
}

fn absolute(cwd: &Path, path: &Path) -> PathBuf {
    cwd.join(path.strip_prefix(".").unwrap_or(path))
}

fn place_of(destination: &str, cwd: &Path) -> String {
    if has_scheme(destination) {
        destination.to_owned()
    } else {
        absolute(cwd, Path::new(destination)).display().to_string()
    }
}

/// An address that a client on this machine can open: nobody can connect to 0.0.0.0 everywhere.
fn url(mut address: SocketAddr, config: &Config) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        });
    }
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{address}{}", config.static_prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_can_be_opened() {
        let config = Config { static_prefix: "/pre".to_owned(), ..Config::default() };
        let of = |address: &str| url(address.parse().unwrap(), &config);
        assert_eq!(of("127.0.0.1:5000"), "http://127.0.0.1:5000/pre");
        assert_eq!(of("0.0.0.0:80"), "http://127.0.0.1:80/pre");
        assert_eq!(of("[::1]:5000"), "http://[::1]:5000/pre");
        assert_eq!(of("[::]:5000"), "http://[::1]:5000/pre");
    }

    #[test]
    fn places_are_shown_whole() {
        let cwd = Path::new("/work");
        assert_eq!(place_of("./mlartifacts", cwd), "/work/mlartifacts");
        assert_eq!(place_of("/srv/art", cwd), "/srv/art");
        assert_eq!(place_of("s3://bucket/x", cwd), "s3://bucket/x");
    }
}
