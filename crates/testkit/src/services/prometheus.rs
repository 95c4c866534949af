//! Prometheus, which asks servers for `/metrics` every second and answers questions about what it got.

use std::fmt::Write;

use anyhow::bail;
use serde_json::Value;

use super::daemon::{Daemon, Launch};
use super::folder::Folder;
use super::ports::{self, Port};
use super::{Service, programs, unknown};
use crate::Result;
use crate::client::Client;

#[derive(Debug)]
pub struct Prometheus {
    _server: Daemon,
    port: Port,
    client: Client,
    _folder: Folder,
}

impl Prometheus {
    /// Of these servers, `127.0.0.1:5000`. It calls them the job `servers`.
    pub fn start(targets: &[impl AsRef<str>]) -> Result<Self> {
        let folder = Folder::new("prometheus")?;
        let port = ports::reserve()?;
        let mut settings = "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n".to_owned();
        writeln!(settings, "- job_name: servers\n  static_configs:\n  - targets:")?;
        for target in targets {
            writeln!(settings, "    - \"{}\"", target.as_ref().trim_start_matches("http://"))?;
        }
        let file = folder.write("prometheus.yml", &settings)?;
        let client = Client::new(&format!("http://127.0.0.1:{}", port.number));
        let server = Launch::new(&programs::system("prometheus", "prometheus")?, &folder, false, "KILL")
            .args([format!("--config.file={}", file.display())])
            .args(["--storage.tsdb.path=data", "--log.level=warn"])
            .args([format!("--web.listen-address=127.0.0.1:{}", port.number)])
            .start(|| client.send("GET", "/-/ready", &[], None).is_ok_and(|reply| reply.status == 200))?;
        Ok(Self { _server: server, port, client, _folder: folder })
    }

    /// `target=127.0.0.1:5000`, once for each.
    pub(super) fn start_with(options: &[(&str, &str)]) -> Result<Self> {
        let mut targets = Vec::new();
        for (name, value) in options {
            match *name {
                "target" => targets.push(*value),
                _ => return unknown(name),
            }
        }
        if targets.is_empty() {
            bail!("Prometheus needs target=HOST:PORT, once for each server that it is to ask");
        }
        Self::start(&targets)
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number)
    }

    /// What it answers to a question such as `up`: a list of `{"metric": {…}, "value": […]}`.
    pub fn query(&self, question: &str) -> Result<Value> {
        let escaped: String = question.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let mut answer = self.client.ok("GET", &format!("/api/v1/query?query={escaped}"), None)?;
        Ok(answer["data"]["result"].take())
    }
}

impl Service for Prometheus {
    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![("PROMETHEUS_URL", self.url())]
    }
}
