//! Where the server listens and how it speaks there: address, TLS, the proxies before it, time limits.
//!
//! TLS and proxies can be said twice: by flags of ours, and in the options that stock users pass on to uvicorn or gunicorn.
//! A flag of ours wins.

use std::path::PathBuf;
use std::time::Duration;

use trackway_server::config::{Config, parse_static_prefix};
use trackway_server::forwarded::TrustedProxies;
use trackway_server::tls::{ClientCertificates, Password, TlsFiles};

use super::ServerArgs;
use super::python_options::{GUNICORN, Judged, Meaning, UVICORN, WAITRESS};
use super::settings::usage;
use crate::failure::Failure;

/// Looks up a variable; an empty one is none.
type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

pub fn read(
    args: &ServerArgs,
    variable: Variable<'_>,
    config: &mut Config,
    notes: &mut Vec<String>,
) -> Result<(), Failure> {
    let text =
        |flag: &Option<String>, name: &str| flag.clone().filter(|value| !value.is_empty()).or_else(|| variable(name));
    if let Some(host) = text(&args.host, "MLFLOW_HOST") {
        config.host = host;
    }
    if let Some(port) = text(&args.port, "MLFLOW_PORT") {
        config.port = parse_port(&port)?;
    }
    if let Some(prefix) = text(&args.static_prefix, "MLFLOW_STATIC_PREFIX") {
        config.static_prefix = parse_static_prefix(&prefix)?;
    }
    let python = python_options(args, variable, notes)?;
    config.tls = tls(args, variable, &python, notes)?;
    config.trusted_proxies = trusted_proxies(args, variable, &python)?;

    let limits = &mut config.limits;
    let given = [
        (
            "--keep-alive",
            &args.keep_alive,
            "TRACKWAY_KEEP_ALIVE",
            Some(Meaning::KeepAlive),
            &mut limits.header_read_timeout,
        ),
        (
            "--shutdown-timeout",
            &args.shutdown_timeout,
            "TRACKWAY_SHUTDOWN_TIMEOUT",
            Some(Meaning::GracefulShutdown),
            &mut limits.graceful_shutdown,
        ),
        ("--drain", &args.drain, "TRACKWAY_DRAIN", None, &mut limits.drain),
    ];
    for (flag, value, name, meaning, limit) in given {
        let said = text(value, name).or_else(|| meaning.and_then(|meaning| python.last(meaning)));
        if let Some(said) = said {
            *limit = seconds(flag, &said)?;
        }
    }
    Ok(())
}

/// What the options for Python's servers say, in the order of their flags.
#[derive(Default)]
struct Python {
    honoured: Vec<(Meaning, String)>,
    no_proxy_headers: bool,
}

impl Python {
    /// As for those servers, the last one counts.
    fn last(&self, wanted: Meaning) -> Option<String> {
        self.honoured.iter().rev().find(|(meaning, _)| *meaning == wanted).map(|(_, value)| value.clone())
    }
}

fn python_options(args: &ServerArgs, variable: Variable<'_>, notes: &mut Vec<String>) -> Result<Python, Failure> {
    let text =
        |flag: &Option<String>, name: &str| flag.clone().filter(|value| !value.is_empty()).or_else(|| variable(name));
    let mut python = Python::default();
    for (server, given) in [
        (&UVICORN, text(&args.uvicorn_opts, "MLFLOW_UVICORN_OPTS")),
        (&GUNICORN, text(&args.gunicorn_opts, "MLFLOW_GUNICORN_OPTS")),
        (&WAITRESS, args.waitress_opts.clone()),
    ] {
        let Some(given) = given else { continue };
        let Judged { honoured, no_proxy_headers, note } = server.judge(&given).map_err(Failure::Usage)?;
        python.honoured.extend(honoured);
        python.no_proxy_headers |= no_proxy_headers;
        notes.extend(note);
    }
    Ok(python)
}

fn tls(
    args: &ServerArgs,
    variable: Variable<'_>,
    python: &Python,
    notes: &mut Vec<String>,
) -> Result<Option<TlsFiles>, Failure> {
    let file = |flag: &Option<PathBuf>, name: &str, meaning| {
        let flag = flag.clone().or_else(|| variable(name).map(PathBuf::from));
        flag.or_else(|| python.last(meaning).map(PathBuf::from))
    };
    let certificate = file(&args.tls_cert, "TRACKWAY_TLS_CERT", Meaning::Certificate);
    let key = file(&args.tls_key, "TRACKWAY_TLS_KEY", Meaning::Key);
    let required = args.tls_client_ca.clone().or_else(|| variable("TRACKWAY_TLS_CLIENT_CA").map(PathBuf::from));
    let clients = match required {
        Some(path) => ClientCertificates::Required(path),
        None => clients_as_python_says(python, notes)?,
    };
    let Some(certificate) = certificate else {
        if key.is_some() {
            return usage(
                "A TLS key is given, but no certificate. Name its file with --tls-cert (as uvicorn: --ssl-certfile).",
            );
        }
        if clients != ClientCertificates::NotAsked {
            return usage(
                "Clients are asked for certificates, but the server has none itself. Name its files with --tls-cert and --tls-key.",
            );
        }
        return Ok(None);
    };
    let key_password = variable("TRACKWAY_TLS_KEY_PASSWORD").or_else(|| python.last(Meaning::KeyPassword));
    Ok(Some(TlsFiles {
        // As in Python, one file may hold both.
        key: key.unwrap_or_else(|| certificate.clone()),
        certificate,
        key_password: key_password.map(Password::new),
        clients,
    }))
}

fn clients_as_python_says(python: &Python, notes: &mut Vec<String>) -> Result<ClientCertificates, Failure> {
    let authorities = python.last(Meaning::ClientAuthorities).map(PathBuf::from);
    let asked = python.last(Meaning::ClientCertificates).unwrap_or_else(|| "0".to_owned());
    match (asked.trim(), authorities) {
        ("0", None) => Ok(ClientCertificates::NotAsked),
        ("0", Some(_)) => {
            notes.push("Clients are not asked for certificates: --ssl-ca-certs alone does nothing, as in uvicorn. Add --ssl-cert-reqs 2, or use --tls-client-ca.".to_owned());
            Ok(ClientCertificates::NotAsked)
        }
        ("1", Some(path)) => Ok(ClientCertificates::Optional(path)),
        ("2", Some(path)) => Ok(ClientCertificates::Required(path)),
        ("1" | "2", None) => {
            usage("--ssl-cert-reqs asks clients for certificates. Say who signs them, with --ssl-ca-certs FILE.")
        }
        (other, _) => usage(&format!(
            "--ssl-cert-reqs takes 0 (clients need no certificate), 1 (they may have one) or 2 (they must), and not '{other}'."
        )),
    }
}

fn trusted_proxies(args: &ServerArgs, variable: Variable<'_>, python: &Python) -> Result<TrustedProxies, Failure> {
    // As for uvicorn and gunicorn, an empty list is one: nobody.
    let list = args.forwarded_allow_ips.clone().or_else(|| python.last(Meaning::TrustedProxies));
    match list.or_else(|| variable("FORWARDED_ALLOW_IPS")) {
        Some(list) if args.forwarded_allow_ips.is_some() => Ok(TrustedProxies::parse(&list)?),
        _ if python.no_proxy_headers => Ok(TrustedProxies::nobody()),
        Some(list) => Ok(TrustedProxies::parse(&list)?),
        None => Ok(TrustedProxies::default()),
    }
}

fn parse_port(text: &str) -> Result<u16, Failure> {
    text.trim()
        .parse()
        .map_err(|_| Failure::Usage(format!("--port takes a number from 0 (a free port) to 65535, and not '{text}'.")))
}

/// A day at most: longer is a mistake, and waits of a year overflow in places.
fn seconds(flag: &str, text: &str) -> Result<Duration, Failure> {
    match text.trim().parse::<u32>() {
        Ok(seconds @ 0..=86_400) => Ok(Duration::from_secs(seconds.into())),
        _ => usage(&format!("{flag} takes a number of seconds up to 86400 (a day), and not '{text}'.")),
    }
}
