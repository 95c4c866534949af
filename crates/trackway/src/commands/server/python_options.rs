//! What people pass on to uvicorn, gunicorn and waitress, the Python servers that run MLflow.
//!
//! None of them is here. An option that only tunes them may be forgotten, with a note. Any other is refused by name, for it may
//! protect (a certificate, a user to run as) or redirect (another address, another folder). So the lists below name
//! what is harmless, and what they do not name is refused.

/// One Python server: the flag that carries its options, and those that only tune.
#[derive(Debug)]
pub struct PythonServer {
    flag: &'static str,
    /// Options that take a value.
    tunes: &'static [&'static str],
    /// Options that stand alone.
    switches: &'static [&'static str],
}

pub const UVICORN: PythonServer = PythonServer {
    flag: "--uvicorn-opts",
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
        "--forwarded-allow-ips",
        "--limit-concurrency",
        "--backlog",
        "--limit-max-requests",
        "--limit-max-requests-jitter",
        "--timeout-keep-alive",
        "--timeout-graceful-shutdown",
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
        "--proxy-headers",
        "--no-proxy-headers",
        "--server-header",
        "--no-server-header",
        "--date-header",
        "--no-date-header",
    ],
};

pub const GUNICORN: PythonServer = PythonServer {
    flag: "--gunicorn-opts",
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
        "--graceful-timeout",
        "--keep-alive",
        "--backlog",
        "--worker-tmp-dir",
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
        "--forwarded-allow-ips",
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
        "--enable-stdio-inheritance",
        "--spew",
    ],
};

pub const WAITRESS: PythonServer = PythonServer {
    flag: "--waitress-opts",
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
    /// A note when all options only tune, none when there are none, an error that names the first other one.
    pub fn judge(&self, given: &str) -> Result<Option<String>, String> {
        let flag = self.flag;
        let words = shlex::split(given).ok_or_else(|| format!("{flag} '{given}' has a quote that is not closed."))?;
        let mut words = words.iter().map(String::as_str);
        let mut ignored = Vec::new();
        while let Some(word) = words.next() {
            let (name, has_value) = match word.split_once('=') {
                Some((name, _)) if name.starts_with("--") => (name, true),
                _ => (word, false),
            };
            if self.tunes.contains(&name) {
                if !has_value {
                    words.next();
                }
            } else if !self.switches.contains(&name) {
                return Err(self.refusal(name));
            }
            ignored.push(name);
        }
        if ignored.is_empty() {
            return Ok(None);
        }
        Ok(Some(format!(
            "{flag} has no effect: {} only tunes a Python server, which Trackway does without.",
            ignored.join(" ")
        )))
    }

    fn refusal(&self, name: &str) -> String {
        let flag = self.flag;
        let tls = ["--ssl", "--cert", "--key", "--ca-certs", "--do-handshake", "--suppress-ragged", "--ciphers"];
        if tls.iter().any(|start| name.starts_with(start)) {
            return format!(
                "{flag} asks for TLS by {name} but Trackway does not speak it yet. Started without, the server would send everything in \
                 the clear. Put a proxy that speaks TLS before it, and leave out {name}"
            );
        }
        format!(
            "{flag} holds {name} which Trackway cannot honour, and which may protect or redirect data. Leave it out."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_tune_are_noted() {
        assert_eq!(UVICORN.judge(""), Ok(None));
        assert_eq!(
            UVICORN.judge("--log-level debug --reload --timeout-keep-alive=30").unwrap().unwrap(),
            "--uvicorn-opts has no effect: --log-level --reload --timeout-keep-alive only tunes a Python server, which Trackway does without."
        );
        assert!(GUNICORN.judge("-k 'uvicorn.workers.UvicornWorker' --access-logfile -").is_ok());
        assert!(WAITRESS.judge("--threads=8 --no-expose-tracebacks").is_ok());
    }

    #[test]
    fn every_other_option_is_refused_by_name() {
        for (server, given, name) in [
            (&UVICORN, "--ssl-keyfile=k", "TLS by --ssl-keyfile"),
            (&UVICORN, "--log-level debug --ssl-certfile c", "TLS by --ssl-certfile"),
            (&UVICORN, "--root-path /x", "--root-path"),
            (&UVICORN, "--uds /tmp/x", "--uds"),
            (&UVICORN, "--env-file x", "--env-file"),
            (&UVICORN, "--header X-Frame-Options:DENY", "--header"),
            (&UVICORN, "--host 0.0.0.0", "--host"),
            (&UVICORN, "stray", "stray"),
            (&GUNICORN, "--certfile=c --keyfile=k", "TLS by --certfile"),
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
        assert!(UVICORN.judge("--log-level 'debug").unwrap_err().contains("not closed"));
    }
}
