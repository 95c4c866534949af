//! What people pass on to uvicorn, gunicorn and waitress, the Python servers that run MLflow.
//!
//! None of them is here. An option that says what this server can do itself (TLS, trusted proxies, time limits) is done.
//! One that only tunes a Python server may be forgotten, with a note. Any other is refused by name, for it may protect (a
//! user to run as) or redirect (another address, another folder). So the lists below name what is honoured and what is
//! harmless, and what they do not name is refused.

/// One Python server: the flag that carries its options, and what becomes of each.
#[derive(Debug)]
pub struct PythonServer {
    flag: &'static str,
    /// Options that this server honours, all with a value.
    honoured: &'static [(&'static str, Meaning)],
    /// Options that take a value and only tune.
    tunes: &'static [&'static str],
    /// Options that stand alone and only tune.
    switches: &'static [&'static str],
}

/// What an honoured option says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    Certificate,
    Key,
    KeyPassword,
    /// Who signs the certificates of clients.
    ClientAuthorities,
    /// 0: clients need no certificate, 1: they may have one, 2: they must. The numbers of Python's ssl.CERT_….
    ClientCertificates,
    /// The proxies whose word about the client counts.
    TrustedProxies,
    /// Seconds for which an idle connection is kept.
    KeepAlive,
    /// Seconds for which a stop waits for open requests.
    GracefulShutdown,
}

/// What is to be made of the options that were given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judged {
    pub honoured: Vec<(Meaning, String)>,
    /// uvicorn's `--no-proxy-headers`: no proxy is believed.
    pub no_proxy_headers: bool,
    pub note: Option<String>,
}

pub const UVICORN: PythonServer = PythonServer {
    flag: "--uvicorn-opts",
    honoured: &[
        ("--ssl-certfile", Meaning::Certificate),
        ("--ssl-keyfile", Meaning::Key),
        ("--ssl-keyfile-password", Meaning::KeyPassword),
        ("--ssl-ca-certs", Meaning::ClientAuthorities),
        ("--ssl-cert-reqs", Meaning::ClientCertificates),
        ("--forwarded-allow-ips", Meaning::TrustedProxies),
        ("--timeout-keep-alive", Meaning::KeepAlive),
        ("--timeout-graceful-shutdown", Meaning::GracefulShutdown),
    ],
    tunes: &[
        "--workers",
        "--loop",
        "--http",
        "--ws",
        "--ws-max-size",
        "--ws-max-queue",
        "--ws-ping-interval",
        "--ws-ping-timeout",
        "--ws-per-message-deflate",
        "--lifespan",
        "--interface",
        "--log-config",
        "--log-level",
        // TLS 1.2 and 1.3 with the ciphers of today are all there is here.
        "--ssl-version",
        "--ssl-ciphers",
        "--limit-concurrency",
        "--backlog",
        "--limit-max-requests",
        "--limit-max-requests-jitter",
        "--timeout-worker-healthcheck",
        "--h11-max-incomplete-event-size",
        "--reload-dir",
        "--reload-include",
        "--reload-exclude",
        "--reload-delay",
    ],
    switches: &[
        "--reload",
        "--access-log",
        "--no-access-log",
        "--use-colors",
        "--no-use-colors",
        "--server-header",
        "--no-server-header",
        "--date-header",
        "--no-date-header",
    ],
};

pub const GUNICORN: PythonServer = PythonServer {
    flag: "--gunicorn-opts",
    honoured: &[
        ("--certfile", Meaning::Certificate),
        ("--keyfile", Meaning::Key),
        ("--ca-certs", Meaning::ClientAuthorities),
        ("--cert-reqs", Meaning::ClientCertificates),
        ("--forwarded-allow-ips", Meaning::TrustedProxies),
        ("--keep-alive", Meaning::KeepAlive),
        ("--graceful-timeout", Meaning::GracefulShutdown),
    ],
    tunes: &[
        "-w",
        "--workers",
        "-k",
        "--worker-class",
        "--threads",
        "--worker-connections",
        "--max-requests",
        "--max-requests-jitter",
        "-t",
        "--timeout",
        "--backlog",
        "--worker-tmp-dir",
        "--ssl-version",
        "--ciphers",
        "--log-level",
        "--log-file",
        "--error-logfile",
        "--access-logfile",
        "--access-logformat",
        "--log-config",
        "--log-config-json",
        "--logger-class",
        "--statsd-host",
        "--statsd-prefix",
        "--dogstatsd-tags",
        "-n",
        "--name",
        "--limit-request-line",
        "--limit-request-fields",
        "--limit-request-field_size",
        "--reload-engine",
        "--reload-extra-file",
    ],
    switches: &[
        "--preload",
        "--reload",
        "--no-sendfile",
        "--reuse-port",
        "--capture-output",
        "--disable-redirect-access-to-syslog",
        "-R",
        "--do-handshake-on-connect",
        "--suppress-ragged-eofs",
        "--enable-stdio-inheritance",
        "--spew",
    ],
};

pub const WAITRESS: PythonServer = PythonServer {
    flag: "--waitress-opts",
    honoured: &[],
    tunes: &[
        "--threads",
        "--backlog",
        "--recv-bytes",
        "--send-bytes",
        "--outbuf-overflow",
        "--outbuf-high-watermark",
        "--inbuf-overflow",
        "--connection-limit",
        "--cleanup-interval",
        "--channel-timeout",
        "--channel-request-lookahead",
        "--max-request-header-size",
        "--max-request-body-size",
        "--asyncore-loop-timeout",
        "--ident",
    ],
    switches: &[
        "--log-socket-errors",
        "--no-log-socket-errors",
        "--expose-tracebacks",
        "--no-expose-tracebacks",
        "--asyncore-use-poll",
        "--no-asyncore-use-poll",
    ],
};

impl PythonServer {
    /// Sorts the options; the error names the first that is neither honoured nor harmless. Values are not shown: one may be
    /// a password.
    pub fn judge(&self, given: &str) -> Result<Judged, String> {
        let flag = self.flag;
        let words = shlex::split(given).ok_or_else(|| format!("{flag} has a quote that is not closed."))?;
        let mut words = words.into_iter();
        let mut judged = Judged::default();
        let mut ignored = Vec::new();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (word, None),
            };
            if let Some((_, meaning)) = self.honoured.iter().find(|(honoured, _)| *honoured == name) {
                let value = value.or_else(|| words.next()).ok_or_else(|| format!("{flag}: {name} needs a value."))?;
                judged.honoured.push((*meaning, value));
            } else if self.flag == UVICORN.flag && matches!(name.as_str(), "--proxy-headers" | "--no-proxy-headers") {
                judged.no_proxy_headers = name == "--no-proxy-headers";
            } else if self.tunes.contains(&name.as_str()) {
                if value.is_none() {
                    words.next();
                }
                ignored.push(name);
            } else if self.switches.contains(&name.as_str()) {
                ignored.push(name);
            } else {
                return Err(format!(
                    "{flag} holds {name} which Trackway cannot honour, and which may protect or redirect data. Leave it out."
                ));
            }
        }
        if !ignored.is_empty() {
            judged.note = Some(format!(
                "In {flag}, {} only tunes a Python server, which Trackway does without: it has no effect.",
                ignored.join(" ")
            ));
        }
        Ok(judged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_tune_are_noted() {
        assert_eq!(UVICORN.judge(""), Ok(Judged::default()));
        assert_eq!(
            UVICORN.judge("--log-level debug --reload --backlog=30").unwrap().note.unwrap(),
            "In --uvicorn-opts, --log-level --reload --backlog only tunes a Python server, which Trackway does without: it has no effect."
        );
        assert!(GUNICORN.judge("-k 'uvicorn.workers.UvicornWorker' --access-logfile -").is_ok());
        assert!(WAITRESS.judge("--threads=8 --no-expose-tracebacks").is_ok());
    }

    #[test]
    fn what_this_server_can_do_itself_is_honoured() {
        let judged = UVICORN
            .judge("--ssl-keyfile k.pem --ssl-certfile=c.pem --ssl-keyfile-password 's3 =cret' --ssl-cert-reqs 2")
            .unwrap();
        let expected = [
            (Meaning::Key, "k.pem"),
            (Meaning::Certificate, "c.pem"),
            (Meaning::KeyPassword, "s3 =cret"),
            (Meaning::ClientCertificates, "2"),
        ];
        assert_eq!(judged.honoured, expected.map(|(meaning, value)| (meaning, value.to_owned())));
        assert_eq!(judged.note, None);

        let judged = GUNICORN.judge("--forwarded-allow-ips='*' --keep-alive 90 -w 4").unwrap();
        assert_eq!(judged.honoured[0], (Meaning::TrustedProxies, "*".to_owned()));
        assert_eq!(judged.honoured[1], (Meaning::KeepAlive, "90".to_owned()));
        assert!(judged.note.unwrap().contains(" -w only tunes"));

        assert!(UVICORN.judge("--no-proxy-headers").unwrap().no_proxy_headers);
        assert!(!UVICORN.judge("--no-proxy-headers --proxy-headers").unwrap().no_proxy_headers);
        assert_eq!(UVICORN.judge("--ssl-keyfile").unwrap_err(), "--uvicorn-opts: --ssl-keyfile needs a value.");
    }

    #[test]
    fn every_other_option_is_refused_by_name() {
        for (server, given, name) in [
            (&UVICORN, "--root-path /x", "--root-path"),
            (&UVICORN, "--uds /tmp/x", "--uds"),
            (&UVICORN, "--env-file x", "--env-file"),
            (&UVICORN, "--header X-Frame-Options:DENY", "--header"),
            (&UVICORN, "--host 0.0.0.0", "--host"),
            (&UVICORN, "stray", "stray"),
            (&GUNICORN, "--bind 0.0.0.0:80", "--bind"),
            (&GUNICORN, "-b :80", "-b"),
            (&GUNICORN, "--user nobody", "--user"),
            (&GUNICORN, "--config c.py", "--config"),
            (&GUNICORN, "--chdir /x", "--chdir"),
            (&WAITRESS, "--listen=*:80", "--listen"),
            (&WAITRESS, "--url-prefix=/x", "--url-prefix"),
            (&WAITRESS, "--trusted-proxy=1.2.3.4", "--trusted-proxy"),
        ] {
            let error = server.judge(given).unwrap_err();
            assert!(error.contains(name), "{given}: {error}");
        }
        let open = UVICORN.judge("--ssl-keyfile-password 's3cret").unwrap_err();
        assert!(open.contains("not closed") && !open.contains("s3cret"), "{open}");
    }
}
