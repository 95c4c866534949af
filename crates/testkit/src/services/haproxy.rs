//! HAProxy: requests go in turns to the HTTP servers behind it that are healthy, or connections to
//! whichever PostgreSQL of a Patroni pair leads.

use std::fmt::Write;

use anyhow::{Context, bail};
use rustix::process::Signal;

use super::daemon::{Daemon, Launch};
use super::folder::Folder;
use super::ports::{self, Port};
use super::{Patroni, Service, programs, unknown};
use crate::Result;

#[derive(Debug)]
pub struct Haproxy {
    _server: Daemon,
    port: Port,
    _folder: Folder,
}

impl Haproxy {
    /// In front of HTTP servers (`127.0.0.1:5000`), in turns. One is left out while its `/health` is
    /// not answered 200. A request that reached no server, or got no answer, goes to another one.
    pub fn http(backends: &[impl AsRef<str>]) -> Result<Self> {
        let mut servers = String::new();
        for (number, backend) in backends.iter().enumerate() {
            let backend = backend.as_ref().trim_start_matches("http://");
            writeln!(servers, "  server s{number} {backend} check inter 200ms fall 2 rise 1")?;
        }
        Self::launch(&format!(
            "  mode http\n\
             \x20 balance roundrobin\n\
             \x20 option httpchk GET /health\n\
             \x20 option redispatch 1\n\
             \x20 retries 3\n\
             \x20 retry-on conn-failure empty-response response-timeout\n\
             {servers}"
        ))
    }

    /// In front of a pair of PostgreSQL: connections go to the one that leads, and those to one that
    /// leads no more are cut.
    pub fn primary_of(patroni: &Patroni) -> Result<Self> {
        let mut servers = String::new();
        for (number, (database, rest)) in patroni.addresses().iter().enumerate() {
            let (_, port) = rest.split_once(':').context("A node's address has no port")?;
            writeln!(
                servers,
                "  server s{number} {database} check port {port} inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions"
            )?;
        }
        Self::launch(&format!("  mode tcp\n  option httpchk GET /primary\n{servers}"))
    }

    /// `backend=127.0.0.1:5000`, once for each.
    pub(super) fn start_with(options: &[(&str, &str)]) -> Result<Self> {
        let mut backends = Vec::new();
        for (name, value) in options {
            match *name {
                "backend" => backends.push(*value),
                _ => return unknown(name),
            }
        }
        if backends.is_empty() {
            bail!("HAProxy needs backend=HOST:PORT, once for each server behind it");
        }
        Self::http(&backends)
    }

    /// `127.0.0.1:8080`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    fn launch(rest: &str) -> Result<Self> {
        let folder = Folder::new("haproxy")?;
        let port = ports::reserve()?;
        let settings = format!(
            "global\n\
             \x20 maxconn 2000\n\
             defaults\n\
             \x20 timeout connect 2s\n\
             \x20 timeout client 5m\n\
             \x20 timeout server 5m\n\
             listen all\n\
             \x20 bind 127.0.0.1:{}\n\
             {rest}",
            port.number
        );
        let file = folder.write("haproxy.cfg", &settings)?;
        let server = Launch::new(&programs::system("haproxy", "haproxy")?, &folder, false, "KILL")
            .stopped_by(Signal::USR1)
            .args(["-db", "-f"])
            .args([file])
            .start(|| ports::answers(port.number))?;
        Ok(Self { _server: server, port, _folder: folder })
    }
}

impl Service for Haproxy {
    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![("HAPROXY_URL", self.url())]
    }
}
