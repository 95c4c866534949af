//! What the server was told at its start: validated, typed, complete.
//!
//! The binary reads flags and environment variables as text and turns them into a [`Config`] once. After that
//! everything is valid by type, and no other part of the server looks at the environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::forwarded::TrustedProxies;
use crate::security::{AllowedHosts, AllowedOrigins};
use crate::tls::TlsFiles;
use trackway_artifacts::Environment;
use trackway_tracking::{Backend, PostgresConfig};

/// The folder that holds proxied artifacts when nothing else is said, as in MLflow.
pub const DEFAULT_ARTIFACTS_DESTINATION: &str = "./mlartifacts";
/// The artifact root of new experiments when the server proxies artifacts, as in MLflow.
pub const PROXIED_ARTIFACT_ROOT: &str = "mlflow-artifacts:/";
/// The artifact root of new experiments when it does not, as in MLflow.
pub const DIRECT_ARTIFACT_ROOT: &str = "./mlruns";

/// A setting that cannot be honoured. The message is a full sentence for the person who typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

#[derive(Debug, Clone)]
pub struct Config {
    /// The interface to listen on: a name or an address.
    pub host: String,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// HTTPS instead of HTTP.
    pub tls: Option<TlsFiles>,
    /// Whose word about the client counts.
    pub trusted_proxies: TrustedProxies,
    pub backend_store: BackendStore,
    /// Where artifacts of new experiments go, as given. See [`Config::artifact_root`].
    pub default_artifact_root: Option<String>,
    /// Where proxied artifacts are kept.
    pub artifacts_destination: String,
    /// Further folders, and places in buckets and on servers, whose artifacts are served to who asks by run or model.
    pub artifact_roots: Vec<String>,
    /// For how long a URL lets a client download from the storage itself.
    pub download_urls_valid_for: Duration,
    /// Where the credentials of stores are looked up.
    pub environment: Environment,
    pub serve_artifacts: bool,
    /// Serve only the artifact proxy: no store is opened.
    pub artifacts_only: bool,
    pub allowed_hosts: AllowedHosts,
    pub cors_allowed_origins: AllowedOrigins,
    pub disable_security_middleware: bool,
    pub x_frame_options: XFrameOptions,
    /// Empty, or begins with a slash and does not end in one.
    pub static_prefix: String,
    /// A built web page to serve instead of the plain one.
    pub ui_dir: Option<PathBuf>,
    pub limits: Limits,
}

impl Default for Config {
    /// What `trackway server` does without flags.
    fn default() -> Self {
        Config {
            host: "127.0.0.1".to_owned(),
            port: 5000,
            tls: None,
            trusted_proxies: TrustedProxies::default(),
            backend_store: BackendStore::Sqlite(PathBuf::from("trackway.db")),
            default_artifact_root: None,
            artifacts_destination: DEFAULT_ARTIFACTS_DESTINATION.to_owned(),
            artifact_roots: Vec::new(),
            download_urls_valid_for: Duration::from_secs(300),
            environment: Environment::default(),
            serve_artifacts: true,
            artifacts_only: false,
            allowed_hosts: AllowedHosts::default(),
            cors_allowed_origins: AllowedOrigins::default(),
            disable_security_middleware: false,
            x_frame_options: XFrameOptions::SameOrigin,
            static_prefix: String::new(),
            ui_dir: None,
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// The artifact root that new experiments get. As MLflow 3.17 does: what was given, else the proxy, else
    /// `./mlruns`; a relative path is made absolute against `cwd`, so that a client elsewhere is not misled by it.
    pub fn artifact_root(&self, cwd: &Path) -> String {
        let root = match &self.default_artifact_root {
            Some(root) => root.as_str(),
            None if self.serve_artifacts => PROXIED_ARTIFACT_ROOT,
            None => DIRECT_ARTIFACT_ROOT,
        };
        if has_scheme(root) || root.starts_with('/') {
            // The URI of a run is shown to everybody.
            return trackway_artifacts::without_password(root);
        }
        cwd.join(root.strip_prefix("./").unwrap_or(root)).to_string_lossy().into_owned()
    }
}

/// Bounds on what a client may hold. Bodies have their own bounds where they are read.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a client may take to send a request's head. An idle kept-alive connection is closed after it, too.
    pub header_read_timeout: Duration,
    /// How long a client may take over the beginning of a TLS connection.
    pub tls_handshake_timeout: Duration,
    /// How long a server that was told to stop goes on as ever, but for saying that it is not ready.
    pub drain: Duration,
    /// How long a stop waits for accepted requests to finish.
    pub graceful_shutdown: Duration,
    /// How many connections are open at once; further ones wait in the kernel's queue.
    pub max_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            header_read_timeout: Duration::from_secs(75),
            tls_handshake_timeout: Duration::from_secs(10),
            drain: Duration::ZERO,
            graceful_shutdown: Duration::from_secs(30),
            max_connections: 10_000,
        }
    }
}

/// Where experiments, runs and models are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
// One is made, at the start.
#[allow(clippy::large_enum_variant)]
pub enum BackendStore {
    Sqlite(PathBuf),
    Postgres(PostgresConfig),
}

impl BackendStore {
    pub(crate) fn to_backend(&self) -> Backend {
        match self {
            BackendStore::Sqlite(path) => Backend::Sqlite(path.clone()),
            BackendStore::Postgres(config) => Backend::Postgres(config.clone()),
        }
    }

    /// Reads `--backend-store-uri` as MLflow does, where a path without a scheme means MLflow's file store.
    pub fn parse(uri: &str) -> Result<BackendStore, ConfigError> {
        let refuse = |message: String| Err(ConfigError(message));
        let shown = without_password(uri);
        let scheme = if has_scheme(uri) {
            uri.split(':').next().unwrap_or_default().to_ascii_lowercase()
        } else {
            String::new()
        };
        match scheme.as_str() {
            "sqlite" | "sqlite+pysqlite" => parse_sqlite(uri),
            "postgresql"
            | "postgres"
            | "postgresql+psycopg"
            | "postgresql+psycopg2"
            | "postgresql+asyncpg"
            | "postgresql+pg8000" => {
                // SQLAlchemy's name of a driver says nothing about the database.
                let rest = &uri[scheme.len()..];
                match PostgresConfig::parse(&format!("postgresql{rest}"), &|name| std::env::var(name).ok()) {
                    Ok(config) => Ok(BackendStore::Postgres(config)),
                    Err(error) => refuse(format!("The backend store {shown} cannot be used. {error}")),
                }
            }
            "" | "file" => refuse(format!(
                "The backend store {shown} is a folder, which MLflow calls a file store. Trackway keeps runs in a database and never writes \
                 into such a folder. Give an SQLite file, for example --backend-store-uri sqlite:///trackway.db \
                 or stay with `mlflow server` for this folder."
            )),
            "http" | "https" | "databricks" | "databricks-uc" | "uc" => refuse(format!(
                "The backend store {shown} is another server. A server keeps its data itself: give an SQLite file, \
                 for example --backend-store-uri sqlite:///trackway.db"
            )),
            _ if scheme.starts_with("mysql")
                || scheme.starts_with("mssql")
                || scheme.starts_with("sqlite")
                || scheme.starts_with("postgres") =>
            {
                refuse(format!(
                    "The backend store {shown} needs the database driver `{scheme}`, which Trackway does not have. \
                     Give an SQLite file, for example --backend-store-uri sqlite:///trackway.db"
                ))
            }
            _ => refuse(format!(
                "The backend store {shown} begins with `{scheme}:`, which Trackway does not know. \
                 Give an SQLite file, for example --backend-store-uri sqlite:///trackway.db"
            )),
        }
    }
}

/// `sqlite:///relative/path` and `sqlite:////absolute/path`, percent-decoded, as SQLAlchemy reads them.
fn parse_sqlite(uri: &str) -> Result<BackendStore, ConfigError> {
    let rest = uri.split_once(':').map_or("", |(_, rest)| rest);
    let Some(rest) = rest.strip_prefix("///") else {
        if rest.is_empty() || rest == "//" {
            return Err(in_memory(uri));
        }
        return Err(ConfigError(format!(
            "The backend store {uri} is not spelled as an SQLite URI. Write three slashes before a relative path \
             (sqlite:///trackway.db) and four before an absolute one (sqlite:////srv/trackway.db)."
        )));
    };
    let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let name = option.split('=').next().unwrap_or_default();
        // These two tune the Python driver and have no meaning here. Others (mode, vfs, uri, …) say where and how to store.
        if !matches!(name, "timeout" | "check_same_thread") {
            return Err(ConfigError(format!(
                "The backend store {uri} carries the option `{name}`, which Trackway does not know. Give the path alone."
            )));
        }
    }
    let path = percent_decode_str(path).decode_utf8().map_err(|_| {
        ConfigError(format!("The backend store {uri} does not decode to UTF-8 text. Check its percent signs."))
    })?;
    if path.is_empty() || path == ":memory:" || path.starts_with("file:") {
        return Err(in_memory(uri));
    }
    if path.contains('\0') {
        return Err(ConfigError(format!("The backend store {uri} contains a NUL byte, which no path can.")));
    }
    Ok(BackendStore::Sqlite(PathBuf::from(path.as_ref())))
}

fn in_memory(uri: &str) -> ConfigError {
    ConfigError(format!(
        "The backend store {uri} names no file, so nothing would be kept. Give a path, for example \
         --backend-store-uri sqlite:///trackway.db"
    ))
}

/// Whether `uri` begins with a scheme and a colon. One letter is a Windows drive, not a scheme.
pub fn has_scheme(uri: &str) -> bool {
    match uri.split_once(':') {
        Some((scheme, _)) => {
            scheme.len() > 1
                && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        }
        None => false,
    }
}

/// `uri` as it may be shown: database URIs carry passwords, before the host or among the parameters.
pub fn without_password(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return uri.to_owned();
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    // A password may hold what should have been encoded, so all up to the last @ is taken for one.
    let place = match place.rsplit_once('@') {
        Some((who, host)) => match who.split_once(':') {
            Some((user, _)) => format!("{user}:***@{host}"),
            None => place.to_owned(),
        },
        None => place.to_owned(),
    };
    if query.is_empty() {
        return format!("{scheme}://{place}{}", if rest.ends_with('?') { "?" } else { "" });
    }
    let parameters: Vec<String> = query
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if is_secret(name) => format!("{name}=***"),
            _ => parameter.to_owned(),
        })
        .collect();
    format!("{scheme}://{place}?{}", parameters.join("&"))
}

fn is_secret(parameter: &str) -> bool {
    let parameter = percent_decode_str(parameter).decode_utf8_lossy().to_ascii_lowercase();
    ["password", "secret", "token"].iter().any(|word| parameter.contains(word))
}

/// The X-Frame-Options header of every answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XFrameOptions {
    SameOrigin,
    Deny,
    /// No header: any page may embed this one.
    None,
}

impl XFrameOptions {
    /// Stock takes any word and sends it; a word that browsers ignore would protect nobody, so it is refused here.
    pub fn parse(text: &str) -> Result<XFrameOptions, ConfigError> {
        match text.trim().to_ascii_uppercase().as_str() {
            "SAMEORIGIN" => Ok(XFrameOptions::SameOrigin),
            "DENY" => Ok(XFrameOptions::Deny),
            "NONE" => Ok(XFrameOptions::None),
            _ => {
                Err(ConfigError(format!("--x-frame-options does not know '{text}'. Choose SAMEORIGIN, DENY or NONE.")))
            }
        }
    }

    pub fn header(self) -> Option<&'static str> {
        match self {
            XFrameOptions::SameOrigin => Some("SAMEORIGIN"),
            XFrameOptions::Deny => Some("DENY"),
            XFrameOptions::None => None,
        }
    }
}

/// Checks `--static-prefix` with the rules of MLflow 3.17. Characters that would need escaping in a path are refused, too.
pub fn parse_static_prefix(text: &str) -> Result<String, ConfigError> {
    let refuse = |why: &str| Err(ConfigError(format!("--static-prefix {why} It is '{text}'.")));
    if text.is_empty() {
        return Ok(String::new());
    }
    if !text.starts_with('/') {
        return refuse("must begin with a '/'.");
    }
    if text.ends_with('/') {
        return refuse("should not end with a '/'.");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~!$&'()+,;=:@".contains(c);
    if !text.chars().all(plain) {
        return refuse("may hold letters, digits and -._~!$&'()+,;=:@ between its slashes.");
    }
    if text.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
        return refuse("must not have an empty part, '.' or '..' in it.");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(path: &str) -> BackendStore {
        BackendStore::Sqlite(PathBuf::from(path))
    }

    #[test]
    fn sqlite_uris_are_read_as_sqlalchemy_reads_them() {
        for (uri, path) in [
            ("sqlite:///trackway.db", "trackway.db"),
            ("sqlite:///./a/b.db", "./a/b.db"),
            ("sqlite:////srv/trackway.db", "/srv/trackway.db"),
            ("sqlite:///m%20x.db", "m x.db"),
            ("sqlite+pysqlite:///x.db", "x.db"),
            ("SQLite:///x.db", "x.db"),
            ("sqlite:///x.db?timeout=30&check_same_thread=false", "x.db"),
        ] {
            assert_eq!(BackendStore::parse(uri), Ok(sqlite(path)), "{uri}");
        }
    }

    #[test]
    fn every_other_backend_store_is_refused_with_a_way_out() {
        for (uri, says) in [
            ("sqlite://", "names no file"),
            ("sqlite:///", "names no file"),
            ("sqlite:///:memory:", "names no file"),
            ("sqlite:///file:x?mode=memory&uri=true", "option `mode`"),
            ("sqlite:///x.db?vfs=unix-none", "option `vfs`"),
            ("sqlite://x.db", "three slashes"),
            ("sqlite:x.db", "three slashes"),
            ("sqlite+pysqlcipher:///x.db", "driver `sqlite+pysqlcipher`"),
            ("mysql+pymysql://db/ml", "driver `mysql+pymysql`"),
            ("mssql+pyodbc://db/ml", "driver `mssql+pyodbc`"),
            ("./mlruns", "file store"),
            ("/srv/mlruns", "file store"),
            ("file:///srv/mlruns", "file store"),
            ("trackway.db", "file store"),
            ("http://other:5000", "another server"),
            ("databricks", "file store"),
            ("s3://bucket", "`s3:`"),
        ] {
            let error = BackendStore::parse(uri).expect_err(uri).to_string();
            assert!(error.contains(says), "{uri}: {error}");
            assert!(error.contains("sqlite:///") || error.contains("path alone"), "{uri}: {error}");
            assert!(!error.contains("secret"), "{uri}: {error}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        for (uri, shown) in [
            ("postgresql://ann:pw@db/ml", "postgresql://ann:***@db/ml"),
            ("postgresql://ann:p/w@x:y@db:1,db2:2/ml?a=b", "postgresql://ann:***@db:1,db2:2/ml?a=b"),
            (
                "postgresql:///ml?user=ann&password=pw&sslpassword=pw&host=/run",
                "postgresql:///ml?user=ann&password=***&sslpassword=***&host=/run",
            ),
            ("postgresql://ann@db/ml?pass%77ord=pw", "postgresql://ann@db/ml?pass%77ord=***"),
            ("sqlite:///x.db", "sqlite:///x.db"),
            ("sqlite:///x.db?", "sqlite:///x.db?"),
            ("./mlruns", "./mlruns"),
        ] {
            assert_eq!(without_password(uri), shown);
        }
    }

    #[test]
    fn static_prefixes() {
        for good in ["", "/mlflow", "/a/b", "/team-1/ml.flow"] {
            assert_eq!(parse_static_prefix(good).as_deref(), Ok(good));
        }
        for bad in ["mlflow", "/mlflow/", "/", "/a//b", "/a/../b", "/{x}", "/a b", "/a?b", "/a#b", "/ä"] {
            assert!(parse_static_prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn frame_options() {
        assert_eq!(XFrameOptions::parse("sameorigin").map(XFrameOptions::header), Ok(Some("SAMEORIGIN")));
        assert_eq!(XFrameOptions::parse("DENY").map(XFrameOptions::header), Ok(Some("DENY")));
        assert_eq!(XFrameOptions::parse("None").map(XFrameOptions::header), Ok(None));
        assert!(XFrameOptions::parse("ALLOW-FROM x").is_err());
    }

    #[test]
    fn artifact_roots() {
        let cwd = Path::new("/work dir");
        let with = |root: Option<&str>, serve| Config {
            default_artifact_root: root.map(str::to_owned),
            serve_artifacts: serve,
            ..Config::default()
        };
        assert_eq!(with(None, true).artifact_root(cwd), "mlflow-artifacts:/");
        assert_eq!(with(None, false).artifact_root(cwd), "/work dir/mlruns");
        assert_eq!(with(Some("s3://b/x"), true).artifact_root(cwd), "s3://b/x");
        assert_eq!(with(Some("sftp://u:pw@h/x"), false).artifact_root(cwd), "sftp://u@h/x");
        assert_eq!(with(Some("./art"), true).artifact_root(cwd), "/work dir/art");
        assert_eq!(with(Some("/srv/art"), false).artifact_root(cwd), "/srv/art");
    }
}
