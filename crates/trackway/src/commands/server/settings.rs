//! Flags and environment variables become a configuration: read once, judged once.
//!
//! A flag wins over its variable, and an empty variable is none, as in MLflow. What only tunes Python's servers gets a
//! note. What protects or redirects data is honoured, or the server does not start.

use std::path::PathBuf;
use std::time::Duration;

use trackway_server::artifacts::without_password as without_place_password;
use trackway_server::config::{BackendStore, Config, ConfigError, XFrameOptions, has_scheme, without_password};
use trackway_server::security::{AllowedHosts, AllowedOrigins};
use trackway_server::ui;

use super::{ServerArgs, network};
use crate::failure::Failure;
use crate::logging::Format;

/// Looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

#[derive(Debug)]
pub struct Settings {
    pub config: Config,
    /// Whether somebody chose the database, rather than nobody.
    pub backend_store_given: bool,
    pub log_format: Format,
    pub log_level: String,
    /// Sentences for the person who started the server.
    pub notes: Vec<String>,
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::Usage(error.0)
    }
}

impl Settings {
    pub fn read(args: ServerArgs, environment: Environment<'_>) -> Result<Settings, Failure> {
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        let text = |flag: &Option<String>, name: &str| {
            flag.clone().filter(|value| !value.is_empty()).or_else(|| variable(name))
        };
        let mut notes = Vec::new();
        refuse_what_is_not_built(&args, &variable)?;

        let mut config = Config::default();
        network::read(&args, &variable, &mut config, &mut notes)?;

        config.artifacts_only = args.artifacts_only || switch(&variable, "MLFLOW_ARTIFACTS_ONLY")?.unwrap_or(false);
        config.serve_artifacts = match (args.serve_artifacts, args.no_serve_artifacts) {
            (true, _) => true,
            (_, true) => false,
            _ => switch(&variable, "MLFLOW_SERVE_ARTIFACTS")?.unwrap_or(true),
        };
        if config.artifacts_only && !config.serve_artifacts {
            return usage(
                "--artifacts-only together with --no-serve-artifacts leaves nothing to serve. Leave out one of them.",
            );
        }
        let store = text(&args.backend_store_uri, "MLFLOW_BACKEND_STORE_URI");
        if let Some(uri) = &store {
            if config.artifacts_only {
                return usage(&format!(
                    "--artifacts-only opens no database, but --backend-store-uri names one: {}. Leave out one of them.",
                    without_password(uri)
                ));
            }
            config.backend_store = BackendStore::parse(uri)?;
            note_a_password_for_all_to_see(&args, &mut notes);
        }
        if let BackendStore::Postgres(postgres) = &mut config.backend_store
            && let Some(most) = connections(&args, &variable)?
        {
            // As many write as read.
            postgres.connections = (most / 2).max(1);
        }
        check_registry(text(&args.registry_store_uri, "MLFLOW_REGISTRY_STORE_URI"), &config)?;
        config.default_artifact_root = text(&args.default_artifact_root, "MLFLOW_DEFAULT_ARTIFACT_ROOT");
        if let Some(destination) = text(&args.artifacts_destination, "MLFLOW_ARTIFACTS_DESTINATION") {
            config.artifacts_destination = destination;
        }
        if let Some(roots) = text(&args.artifact_roots, "TRACKWAY_ARTIFACT_ROOTS") {
            config.artifact_roots = artifact_roots(&roots)?;
        }
        note_passwords_of_places(&args, &config, &mut notes);
        if let Some(seconds) = variable("MLFLOW_PRESIGNED_DOWNLOAD_URL_TTL_SECONDS") {
            config.download_urls_valid_for = url_lifetime(&seconds)?;
        }

        read_security(&args, &variable, &mut config, &mut notes)?;
        config.ui_dir = args.ui_dir.clone().or_else(|| variable("TRACKWAY_UI_DIR").map(PathBuf::from));
        if let Some(dir) = &config.ui_dir {
            ui::check_dir(dir)?;
        }
        note_what_changes_nothing(&args, &variable, &mut notes);

        let log_format = match text(&args.log_format, "TRACKWAY_LOG_FORMAT") {
            Some(format) => Format::parse(&format)?,
            None => Format::default(),
        };
        let log_level = match text(&args.log_level, "TRACKWAY_LOG_LEVEL") {
            Some(level) => level,
            None if args.dev => "info,trackway=debug,trackway_server=debug".to_owned(),
            None => "info".to_owned(),
        };
        Ok(Settings { config, backend_store_given: store.is_some(), log_format, log_level, notes })
    }
}

pub(super) fn usage<T>(message: &str) -> Result<T, Failure> {
    Err(Failure::Usage(message.to_owned()))
}

/// Places that artifact URIs may lead to. A relative path would be another one wherever the server is started.
fn artifact_roots(list: &str) -> Result<Vec<String>, Failure> {
    let roots = list.split(',').map(str::trim).filter(|root| !root.is_empty());
    roots
        .map(|root| match has_scheme(root) || root.starts_with('/') {
            true => Ok(root.to_owned()),
            false => usage(&format!(
                "--artifact-roots takes absolute folders and places in buckets or on servers (s3://bucket/path, sftp://user@host/path), and not '{root}'."
            )),
        })
        .collect()
}

/// Seven days at most, as the clouds have it.
fn url_lifetime(text: &str) -> Result<Duration, Failure> {
    match text.trim().parse::<u32>() {
        Ok(seconds @ 1..=604_800) => Ok(Duration::from_secs(seconds.into())),
        _ => usage(&format!(
            "MLFLOW_PRESIGNED_DOWNLOAD_URL_TTL_SECONDS takes a number of seconds from 1 to 604800 (seven days), and not '{text}'."
        )),
    }
}

/// What would protect data, or send it elsewhere, and is not here: to start without it would be worse than not to start.
fn refuse_what_is_not_built(args: &ServerArgs, variable: &dyn Fn(&str) -> Option<String>) -> Result<(), Failure> {
    if let Some(name) = &args.app_name {
        return usage(&format!(
            "--app-name {name} asks for users and passwords, which Trackway does not have yet. Started without them, the server \
             would let everybody in. Put a proxy that asks for passwords before it, and leave out --app-name"
        ));
    }
    let workspaces = match (args.enable_workspaces, args.disable_workspaces) {
        (true, _) => true,
        (_, true) => false,
        _ => switch(variable, "MLFLOW_ENABLE_WORKSPACES")?.unwrap_or(false),
    };
    if workspaces {
        return usage(
            "--enable-workspaces keeps teams apart, which Trackway cannot do yet. Start one server with a database of its own \
             for each team, or leave out --enable-workspaces (and MLFLOW_ENABLE_WORKSPACES).",
        );
    }
    if let Some(name) = variable("MLFLOW_WORKSPACE") {
        return usage(&format!("MLFLOW_WORKSPACE={name} is meant for clients. Unset it before the server starts."));
    }
    let given = |flag: &Option<String>, name: &str| flag.is_some() || variable(name).is_some();
    if given(&args.read_replica_backend_store_uri, "MLFLOW_READ_REPLICA_BACKEND_STORE_URI") {
        return usage(
            "--read-replica-backend-store-uri is not built yet in Trackway: one SQLite file serves reads and writes. Leave it out \
             (and MLFLOW_READ_REPLICA_BACKEND_STORE_URI).",
        );
    }
    if given(&args.trace_archival_config, "MLFLOW_TRACE_ARCHIVAL_CONFIG") {
        return usage(
            "--trace-archival-config is not built yet in Trackway, which has no traces. Leave it out (and MLFLOW_TRACE_ARCHIVAL_CONFIG).",
        );
    }
    Ok(())
}

/// What stands on the command line, `ps` shows to every user of the machine.
fn note_a_password_for_all_to_see(args: &ServerArgs, notes: &mut Vec<String>) {
    if args.backend_store_uri.as_ref().is_some_and(|uri| without_password(uri) != *uri) {
        notes.push(
            "The database's password stands on the command line, where every user of this machine can read it. Set \
             MLFLOW_BACKEND_STORE_URI or PGPASSWORD instead, or keep the password in ~/.pgpass."
                .to_owned(),
        );
    }
}

/// Passwords may stand in the URLs of servers that keep artifacts.
fn note_passwords_of_places(args: &ServerArgs, config: &Config, notes: &mut Vec<String>) {
    let has_password = |uri: &str| without_place_password(uri) != uri;
    let given = [&args.artifacts_destination, &args.default_artifact_root, &args.artifact_roots];
    if given.into_iter().flatten().flat_map(|places| places.split(',')).any(|place| has_password(place.trim())) {
        notes.push(
            "The password of a place for artifacts stands on the command line, where every user of this machine can read it. \
             Set MLFLOW_ARTIFACTS_DESTINATION, MLFLOW_DEFAULT_ARTIFACT_ROOT or TRACKWAY_ARTIFACT_ROOTS instead."
                .to_owned(),
        );
    }
    if config.default_artifact_root.as_deref().is_some_and(has_password) {
        notes.push(
            "The password of the default artifact root is for this server alone: it is not written into the artifact URIs of \
             runs, which everybody sees. Clients need a key of their own to write there."
                .to_owned(),
        );
    }
}

/// How many connections to the database this server may hold. MLflow's variables name those of each of its processes; this
/// is one process.
fn connections(args: &ServerArgs, variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<usize>, Failure> {
    let number = |name: &str, text: Option<String>| match text {
        None => Ok(None),
        Some(text) => match text.trim().parse::<i64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => usage(&format!("{name} takes a number, and not '{text}'.")),
        },
    };
    let given = args.db_connections.clone().or_else(|| variable("TRACKWAY_DB_CONNECTIONS"));
    if let Some(most) = number("--db-connections", given)? {
        return match usize::try_from(most) {
            Ok(most @ 2..=1000) => Ok(Some(most)),
            _ => usage("--db-connections takes a number from 2 (one to write, one to read) to 1000."),
        };
    }
    let kept = number("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", variable("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE"))?;
    let more = number("MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW", variable("MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW"))?;
    // SQLAlchemy's defaults are 5 and 10; a pool of 0 or an overflow of -1 has no bound, and says nothing for us.
    match (kept.unwrap_or(5), more.unwrap_or(10)) {
        _ if kept.is_none() && more.is_none() => Ok(None),
        (kept @ 1..=1000, more @ 0..=1000) => Ok(usize::try_from(kept + more).ok()),
        _ => Ok(None),
    }
}

fn check_registry(registry: Option<String>, config: &Config) -> Result<(), Failure> {
    let Some(registry) = registry else {
        return Ok(());
    };
    let same = match (BackendStore::parse(&registry)?, &config.backend_store) {
        // Two spellings of one path are one database.
        (BackendStore::Sqlite(models), BackendStore::Sqlite(runs)) => {
            std::path::absolute(models).ok() == std::path::absolute(runs).ok()
        }
        (models, runs) => models == *runs,
    };
    if same && !config.artifacts_only {
        return Ok(());
    }
    usage(&format!(
        "--registry-store-uri {} is another database than --backend-store-uri. Trackway keeps models and runs in one. Leave it out \
         (and MLFLOW_REGISTRY_STORE_URI), or give both the same value.",
        without_password(&registry)
    ))
}

fn read_security(
    args: &ServerArgs,
    variable: &dyn Fn(&str) -> Option<String>,
    config: &mut Config,
    notes: &mut Vec<String>,
) -> Result<(), Failure> {
    let text =
        |flag: &Option<String>, name: &str| flag.clone().filter(|value| !value.is_empty()).or_else(|| variable(name));
    if let Some(hosts) = text(&args.allowed_hosts, "MLFLOW_SERVER_ALLOWED_HOSTS") {
        config.allowed_hosts = AllowedHosts::parse(&hosts);
    }
    if let Some(origins) = text(&args.cors_allowed_origins, "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS") {
        config.cors_allowed_origins = AllowedOrigins::parse(&origins);
    }
    if let Some(word) = text(&args.x_frame_options, "MLFLOW_SERVER_X_FRAME_OPTIONS") {
        config.x_frame_options = XFrameOptions::parse(&word)?;
    }
    config.disable_security_middleware = args.disable_security_middleware
        || switch(variable, "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE")?.unwrap_or(false);
    if config.disable_security_middleware {
        notes.push("Neither Host nor Origin is checked (--disable-security-middleware): any web page that a user opens can use this server.".to_owned());
        return Ok(());
    }
    if config.allowed_hosts.any() {
        notes.push("Every Host header is accepted (--allowed-hosts '*'), so DNS rebinding is not stopped.".to_owned());
    }
    if config.cors_allowed_origins.any() {
        notes.push("Every origin is accepted (--cors-allowed-origins '*'): any web page that a user opens can use this server.".to_owned());
    }
    Ok(())
}

/// Notes on what tunes Python's servers and has no meaning here.
fn note_what_changes_nothing(args: &ServerArgs, variable: &dyn Fn(&str) -> Option<String>, notes: &mut Vec<String>) {
    let text =
        |flag: &Option<String>, name: &str| flag.clone().filter(|value| !value.is_empty()).or_else(|| variable(name));
    let mut ignored = |flag: &str, why: &str| notes.push(format!("{flag} has no effect: {why}"));
    if text(&args.workers, "MLFLOW_WORKERS").is_some() {
        ignored("--workers", "one process does the work.");
    }
    if text(&args.expose_prometheus, "MLFLOW_EXPOSE_PROMETHEUS").is_some() {
        ignored("--expose-prometheus", "/metrics is always there, and needs no folder.");
    }
    if args.dev {
        ignored("--dev", "there is nothing to reload. Every request is logged.");
    }
    if args.secrets_cache_ttl.is_some() || args.secrets_cache_max_size.is_some() {
        ignored("--secrets-cache-ttl and --secrets-cache-max-size", "there are no stored secrets to cache.");
    }
    if text(&args.workspace_store_uri, "MLFLOW_WORKSPACE_STORE_URI").is_some() {
        ignored("--workspace-store-uri", "workspaces are off.");
    }
}

/// A yes-or-no variable, with the words that MLflow's command line knows.
fn switch(variable: &dyn Fn(&str) -> Option<String>, name: &str) -> Result<Option<bool>, Failure> {
    let Some(value) = variable(name) else {
        return Ok(None);
    };
    match value.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Ok(Some(true)),
        "" | "0" | "false" | "f" | "no" | "n" | "off" => Ok(Some(false)),
        _ => usage(&format!("{name} takes true or false, and not '{value}'.")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use clap::Parser;
    use trackway_server::forwarded::TrustedProxies;
    use trackway_server::tls::{ClientCertificates, Password};

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        args: ServerArgs,
    }

    fn read(flags: &[&str], variables: &[(&str, &str)]) -> Result<Settings, String> {
        let args = Only::try_parse_from([&["server"], flags].concat()).map_err(|error| error.to_string())?.args;
        let variables: HashMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::read(args, &|name| variables.get(name).cloned()).map_err(|failure| match failure {
            Failure::Usage(message) => message,
            other => panic!("{other:?} is no error of usage"),
        })
    }

    fn ok(flags: &[&str], variables: &[(&str, &str)]) -> Settings {
        read(flags, variables).unwrap()
    }

    #[test]
    fn without_flags_everything_is_local_and_silent() {
        let settings = ok(&[], &[]);
        assert_eq!((settings.config.host.as_str(), settings.config.port), ("127.0.0.1", 5000));
        assert_eq!(settings.config.backend_store, BackendStore::Sqlite("trackway.db".into()));
        assert_eq!(settings.config.artifacts_destination, "./mlartifacts");
        assert!(settings.config.serve_artifacts && !settings.config.artifacts_only && !settings.backend_store_given);
        assert!(!settings.config.disable_security_middleware);
        assert_eq!(settings.notes, Vec::<String>::new());
    }

    #[test]
    fn flags_win_over_variables_and_empty_variables_are_none() {
        let variables = [
            ("MLFLOW_HOST", "0.0.0.0"),
            ("MLFLOW_PORT", "8080"),
            ("MLFLOW_BACKEND_STORE_URI", "sqlite:///env.db"),
            ("MLFLOW_ARTIFACTS_DESTINATION", "./env"),
            ("MLFLOW_DEFAULT_ARTIFACT_ROOT", "./root"),
            ("MLFLOW_STATIC_PREFIX", "/env"),
        ];
        let config = ok(&[], &variables).config;
        assert_eq!((config.host.as_str(), config.port, config.static_prefix.as_str()), ("0.0.0.0", 8080, "/env"));
        assert_eq!(config.backend_store, BackendStore::Sqlite("env.db".into()));
        assert_eq!(config.artifacts_destination, "./env");
        assert_eq!(config.default_artifact_root.as_deref(), Some("./root"));

        let flags = ["-h", "::1", "-p", "0", "--backend-store-uri", "sqlite:///flag.db", "--static-prefix=/flag"];
        let config = ok(&flags, &variables).config;
        assert_eq!((config.host.as_str(), config.port, config.static_prefix.as_str()), ("::1", 0, "/flag"));
        assert_eq!(config.backend_store, BackendStore::Sqlite("flag.db".into()));

        let settings = ok(&["--backend-store-uri", ""], &variables.map(|(name, _)| (name, "")));
        assert_eq!((settings.config.host.as_str(), settings.config.port), ("127.0.0.1", 5000));
        assert!(!settings.backend_store_given);
        // As click: the last one counts.
        assert_eq!(ok(&["-p", "1", "--port", "2"], &[]).config.port, 2);
    }

    #[test]
    fn places_for_artifacts() {
        let variables =
            [("TRACKWAY_ARTIFACT_ROOTS", "s3://a/b, gs://c,/d,"), ("MLFLOW_PRESIGNED_DOWNLOAD_URL_TTL_SECONDS", "60")];
        let config = ok(&[], &variables).config;
        assert_eq!(config.artifact_roots, ["s3://a/b", "gs://c", "/d"]);
        assert_eq!(config.download_urls_valid_for, Duration::from_secs(60));
        assert_eq!(ok(&["--artifact-roots", "s3://x"], &variables).config.artifact_roots, ["s3://x"]);
        assert!(read(&["--artifact-roots", "x/y"], &[]).unwrap_err().contains("'x/y'"));
        let config = ok(&["--artifacts-destination", "sftp://u@h/p", "--artifact-roots", "hdfs:/a,webdavs://h/b"], &[]);
        assert_eq!(config.config.artifact_roots, ["hdfs:/a", "webdavs://h/b"]);
        assert_eq!(config.notes, Vec::<String>::new());
        let secret = [
            ("MLFLOW_ARTIFACTS_DESTINATION", "webdavs://u:pw@h/b"),
            ("MLFLOW_DEFAULT_ARTIFACT_ROOT", "sftp://u:pw@h/b"),
        ];
        let notes = ok(&[], &secret).notes;
        assert!(notes.len() == 1 && notes[0].contains("this server alone"), "{notes:?}");
        let notes = ok(&["--artifact-roots", "/a, sftp://u:pw@h/b"], &[]).notes;
        assert!(notes.len() == 1 && notes[0].contains("command line") && !notes[0].contains("pw"), "{notes:?}");
        let forever = [("MLFLOW_PRESIGNED_DOWNLOAD_URL_TTL_SECONDS", "604801")];
        assert!(read(&[], &forever).unwrap_err().contains("seven days"));
    }

    #[test]
    fn ports() {
        for bad in ["x", "-1", "65536", "5000.0"] {
            let error = read(&["--port", bad], &[]).unwrap_err();
            assert_eq!(error, format!("--port takes a number from 0 (a free port) to 65535, and not '{bad}'."));
        }
    }

    #[test]
    fn switches_know_the_words_of_click() {
        for (word, expected) in [
            ("true", true),
            ("T", true),
            ("1", true),
            ("on", true),
            ("false", false),
            ("0", false),
            ("No", false),
            ("off", false),
        ] {
            assert_eq!(ok(&[], &[("MLFLOW_SERVE_ARTIFACTS", word)]).config.serve_artifacts, expected, "{word}");
            let off = ok(&[], &[("MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", word)]);
            assert_eq!(off.config.disable_security_middleware, expected, "{word}");
        }
        assert!(
            read(&[], &[("MLFLOW_SERVE_ARTIFACTS", "bogus")])
                .unwrap_err()
                .contains("takes true or false, and not 'bogus'")
        );
        assert!(ok(&["--serve-artifacts"], &[("MLFLOW_SERVE_ARTIFACTS", "false")]).config.serve_artifacts);
        assert!(!ok(&["--serve-artifacts", "--no-serve-artifacts"], &[]).config.serve_artifacts);
    }

    #[test]
    fn what_protects_or_redirects_and_is_not_built_stops_the_start() {
        for (flags, says) in [
            (vec!["--app-name", "basic-auth"], "let everybody in"),
            (vec!["--enable-workspaces"], "keeps teams apart"),
            (vec!["--read-replica-backend-store-uri", "sqlite:///r.db"], "not built yet"),
            (vec!["--registry-store-uri", "sqlite:///other.db"], "is another database"),
            (vec!["--registry-store-uri", "postgresql://a:pw@h/d"], "is another database"),
            (vec!["--trace-archival-config", "x.yaml"], "has no traces"),
            (vec!["--uvicorn-opts", "--ssl-keyfile k.pem"], "but no certificate"),
            (vec!["--tls-client-ca", "ca.pem"], "the server has none itself"),
            (vec!["--gunicorn-opts", "--certfile=c.pem --cert-reqs 2"], "Say who signs them"),
            (vec!["--gunicorn-opts", "--certfile=c.pem --cert-reqs CERT_REQUIRED"], "takes 0 (clients need"),
            (vec!["--forwarded-allow-ips", "proxy"], "'proxy', which is no address"),
            (vec!["--keep-alive", "soon"], "--keep-alive takes a number of seconds"),
            (vec!["--backend-store-uri", "./mlruns"], "file store"),
            (vec!["--artifacts-only", "--backend-store-uri", "sqlite:///x.db"], "opens no database"),
            (vec!["--artifacts-only", "--no-serve-artifacts"], "leaves nothing to serve"),
            (vec!["--x-frame-options", "foo"], "Choose SAMEORIGIN, DENY or NONE."),
            (vec!["--static-prefix", "foo"], "must begin with a '/'"),
            (vec!["--ui-dir", "/nonexistent"], "holds no index.html"),
            (vec!["--log-format", "xml"], "Choose text or json."),
        ] {
            let error = read(&flags, &[]).unwrap_err();
            assert!(error.contains(says), "{flags:?}: {error}");
            assert!(!error.contains("pw"), "{error}");
        }
        for (name, value) in [
            ("MLFLOW_ENABLE_WORKSPACES", "true"),
            ("MLFLOW_WORKSPACE", "team"),
            ("MLFLOW_READ_REPLICA_BACKEND_STORE_URI", "x"),
            ("MLFLOW_REGISTRY_STORE_URI", "sqlite:///other.db"),
            ("MLFLOW_TRACE_ARCHIVAL_CONFIG", "x.yaml"),
            ("MLFLOW_UVICORN_OPTS", "--ssl-keyfile=c"),
        ] {
            assert!(read(&[], &[(name, value)]).is_err(), "{name}");
        }
    }

    #[test]
    fn tls_is_said_by_flags_of_ours_or_as_for_uvicorn_and_gunicorn() {
        let as_uvicorn = "--ssl-keyfile k.pem --ssl-certfile c.pem --ssl-keyfile-password s3cret --ssl-ca-certs ca.pem";
        let settings = ok(&["--uvicorn-opts", as_uvicorn], &[]);
        assert!(settings.notes[0].contains("--ssl-ca-certs alone does nothing"), "{:?}", settings.notes);
        let tls = settings.config.tls.unwrap();
        assert_eq!((tls.certificate, tls.key), ("c.pem".into(), "k.pem".into()));
        assert_eq!(
            (tls.key_password, tls.clients),
            (Some(Password::new("s3cret".into())), ClientCertificates::NotAsked)
        );

        for (asks, expected) in
            [("1", ClientCertificates::Optional("ca.pem".into())), ("2", ClientCertificates::Required("ca.pem".into()))]
        {
            let tls = ok(&["--uvicorn-opts", &format!("{as_uvicorn} --ssl-cert-reqs={asks}")], &[]).config.tls;
            assert_eq!(tls.unwrap().clients, expected);
        }
        let tls = ok(&["--gunicorn-opts", "--certfile=both.pem"], &[]).config.tls.unwrap();
        assert_eq!((tls.certificate, tls.key), ("both.pem".into(), "both.pem".into()));

        let ours =
            ["--tls-cert", "o.pem", "--tls-key", "ok.pem", "--tls-client-ca", "oca.pem", "--uvicorn-opts", as_uvicorn];
        let tls = ok(&ours, &[("TRACKWAY_TLS_KEY_PASSWORD", "other")]).config.tls.unwrap();
        assert!(!format!("{tls:?}").contains("other"), "a password is shown nowhere");
        assert_eq!((tls.certificate, tls.key), ("o.pem".into(), "ok.pem".into()));
        assert_eq!(tls.clients, ClientCertificates::Required("oca.pem".into()));
        assert_eq!(ok(&[], &[]).config.tls, None);
    }

    #[test]
    fn proxies_and_time_limits() {
        let trusted = |flags: &[&str], variables: &[(&str, &str)]| ok(flags, variables).config.trusted_proxies;
        let of = |list: &str| TrustedProxies::parse(list).unwrap();
        assert_eq!(trusted(&[], &[]), of("127.0.0.1,::1"));
        assert_eq!(trusted(&[], &[("FORWARDED_ALLOW_IPS", "10.0.0.0/8")]), of("10.0.0.0/8"));
        assert_eq!(trusted(&["--uvicorn-opts", "--forwarded-allow-ips='*'"], &[]), of("*"));
        assert_eq!(trusted(&["--forwarded-allow-ips", "10.0.0.1"], &[("FORWARDED_ALLOW_IPS", "*")]), of("10.0.0.1"));
        assert_eq!(trusted(&["--forwarded-allow-ips", ""], &[]), of(""));
        assert_eq!(trusted(&["--uvicorn-opts", "--no-proxy-headers"], &[("FORWARDED_ALLOW_IPS", "*")]), of(""));

        let seconds = |flags: &[&str]| {
            let limits = ok(flags, &[]).config.limits;
            [limits.header_read_timeout, limits.graceful_shutdown, limits.drain].map(|limit| limit.as_secs())
        };
        assert_eq!(seconds(&[]), [75, 30, 0]);
        assert_eq!(seconds(&["--uvicorn-opts", "--timeout-keep-alive 120 --timeout-graceful-shutdown=5"]), [120, 5, 0]);
        assert_eq!(
            seconds(&["--gunicorn-opts", "--keep-alive 120", "--keep-alive", "90", "--drain", "7"]),
            [90, 30, 7]
        );
    }

    #[test]
    fn connections_to_postgresql() {
        let number = |flags: &[&str], variables: &[(&str, &str)]| {
            let all = [&["--backend-store-uri", "postgresql://ann@db/ml"], flags].concat();
            match ok(&all, variables).config.backend_store {
                BackendStore::Postgres(postgres) => postgres.connections,
                BackendStore::Sqlite(_) => 0,
            }
        };
        let (pool, overflow) = ("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW");
        let usual = number(&[], &[]);
        assert_eq!(number(&["--db-connections", "20"], &[(pool, "3")]), 10);
        assert_eq!(number(&["--db-connections", "3"], &[]), 1);
        assert_eq!(number(&[], &[(pool, "20"), (overflow, "0")]), 10);
        assert_eq!(number(&[], &[(pool, "20")]), 15);
        assert_eq!(number(&[], &[(pool, "0")]), usual);
        assert_eq!(number(&[], &[(pool, "9"), (overflow, "-1")]), usual);
        assert!(read(&["--db-connections", "1", "--backend-store-uri", "postgresql://db/ml"], &[]).is_err());
    }

    #[test]
    fn a_password_on_the_command_line_is_told() {
        let uri = "postgresql+psycopg2://ann:s3cret@db/ml?password=s3cret";
        let notes = ok(&["--backend-store-uri", uri], &[]).notes;
        assert!(notes[0].contains("every user of this machine") && !notes[0].contains("s3cret"), "{notes:?}");
        assert!(ok(&[], &[("MLFLOW_BACKEND_STORE_URI", uri)]).notes.is_empty());
        assert!(ok(&["--backend-store-uri", "postgresql://ann@db/ml"], &[]).notes.is_empty());
        assert!(!format!("{:?}", ok(&["--backend-store-uri", uri], &[]).config).contains("s3cret"));
    }

    #[test]
    fn what_means_the_same_is_fine() {
        ok(&["--registry-store-uri", "sqlite:///trackway.db"], &[]);
        ok(&["--registry-store-uri", "sqlite:///./trackway.db"], &[]);
        ok(&["--registry-store-uri", "sqlite:///x.db", "--backend-store-uri", "sqlite:///x.db"], &[]);
        ok(&["--disable-workspaces"], &[("MLFLOW_ENABLE_WORKSPACES", "true")]);
        ok(&[], &[("MLFLOW_ENABLE_WORKSPACES", "false")]);
    }

    #[test]
    fn what_only_tunes_gets_a_note() {
        for (flags, says) in [
            (vec!["--workers", "4"], "--workers has no effect: one process"),
            (vec!["-w", "1"], "--workers"),
            (vec!["--expose-prometheus", "./prom"], "/metrics is always there"),
            (vec!["--dev"], "nothing to reload"),
            (vec!["--secrets-cache-ttl", "30"], "no stored secrets"),
            (vec!["--workspace-store-uri", "x"], "workspaces are off"),
            (vec!["--uvicorn-opts", "--log-level debug --ws none"], "--uvicorn-opts"),
            (vec!["--gunicorn-opts", "--timeout 120 -k gevent"], "--gunicorn-opts"),
            (vec!["--waitress-opts", "--threads=8"], "--waitress-opts"),
            (vec!["--allowed-hosts", "*"], "Every Host header is accepted"),
            (vec!["--cors-allowed-origins", "*"], "Every origin is accepted"),
            (vec!["--disable-security-middleware"], "Neither Host nor Origin is checked"),
        ] {
            let notes = ok(&flags, &[]).notes;
            assert_eq!(notes.len(), 1, "{flags:?}: {notes:?}");
            assert!(notes[0].contains(says), "{flags:?}: {notes:?}");
        }
    }
}
