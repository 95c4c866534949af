//! Two PostgreSQL under Patroni, with etcd: one leads, the other follows and takes over when the
//! first is gone. What the leader has acknowledged is on both, because replication is synchronous.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::Pid;
use serde_json::{Value, json};

use super::daemon::{Daemon, Launch};
use super::folder::Folder;
use super::ports::{self, Port};
use super::postgres::{children_of, kill_all, query_by_socket};
use super::{Service, none, programs};
use crate::Result;
use crate::client::Client;

/// So long the leader's lease lasts: somebody else leads some seconds after its death.
const LEASE_SECONDS: u32 = 10;
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Node {
    patroni: Option<Daemon>,
    name: &'static str,
    database: Port,
    rest: Port,
    client: Client,
}

#[derive(Debug)]
pub struct Patroni {
    nodes: [Node; 2],
    _etcd: Daemon,
    etcd_port: Port,
    _etcd_peers: Port,
    folder: Folder,
}

impl Patroni {
    /// Returns when one node leads and the other has all that it has.
    pub fn start() -> Result<Self> {
        let folder = Folder::for_postgres("patroni")?;
        let (etcd_port, etcd_peers) = (ports::reserve()?, ports::reserve()?);
        let clients = format!("http://127.0.0.1:{}", etcd_port.number);
        let peers = format!("http://127.0.0.1:{}", etcd_peers.number);
        let health = Client::new(&clients);
        let etcd = Launch::new(&programs::system("etcd", "patroni")?, &folder, true, "KILL")
            .args(["--name", "etcd", "--data-dir", "etcd", "--unsafe-no-fsync"])
            .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("etcd={peers}")])
            .start(|| health.send("GET", "/health", &[], None).is_ok_and(|reply| reply.text().contains("\"true\"")))?;
        let nodes = [Node::new("one")?, Node::new("two")?];
        let mut patroni = Self { nodes, _etcd: etcd, etcd_port, _etcd_peers: etcd_peers, folder };
        // The second copies the first, so that has to lead before.
        patroni.launch(0, "/primary")?;
        patroni.launch(1, "/synchronous")?;
        Ok(patroni)
    }

    pub(super) fn start_with(options: &[(&str, &str)]) -> Result<Self> {
        none(options)?;
        Self::start()
    }

    /// The URL of the node that leads; waits for one when there is none.
    pub fn primary(&self) -> Result<String> {
        let node = &self.nodes[self.leader()?];
        Ok(format!("postgresql://postgres@127.0.0.1:{}/postgres", node.database.number))
    }

    /// One URL with both nodes, for clients that look for the one that can be written to.
    pub fn url(&self) -> String {
        let [one, two] = &self.nodes;
        let (one, two) = (one.database.number, two.database.number);
        format!("postgresql://postgres@127.0.0.1:{one},127.0.0.1:{two}/postgres?target_session_attrs=read-write")
    }

    /// Of each node: where its PostgreSQL is, and where Patroni says how it is (`/primary`, `/replica`).
    pub fn addresses(&self) -> [(String, String); 2] {
        let address = |port: &Port| format!("127.0.0.1:{}", port.number);
        [0, 1].map(|node| (address(&self.nodes[node].database), address(&self.nodes[node].rest)))
    }

    /// Ends the node that leads by `kill -9`, with its Patroni. `primary` waits for the other to lead.
    pub fn kill_primary(&mut self) -> Result {
        let leader = self.leader()?;
        self.kill(leader)
    }

    /// Starts a node that was killed; it follows the other, and this returns when it has all of it.
    pub fn restart(&mut self) -> Result {
        let dead = self.nodes.iter().position(|node| node.patroni.is_none()).context("Both nodes run")?;
        self.launch(dead, "/synchronous")
    }

    /// Hands the lead over in good order, as for an upgrade.
    pub fn switch_over(&self) -> Result {
        let leader = self.leader()?;
        let order = json!({"leader": self.nodes[leader].name, "candidate": self.nodes[1 - leader].name});
        let headers = [("content-type", "application/json")];
        let body = order.to_string();
        let reply = self.nodes[leader].client.send("POST", "/switchover", &headers, Some(body.as_bytes()))?;
        if reply.status != 200 {
            bail!("The lead was not handed over: {} {}", reply.status, reply.text());
        }
        Ok(())
    }

    fn leader(&self) -> Result<usize> {
        // Patroni says so as soon as it has the lease, when PostgreSQL may still be getting there.
        let writable = |node: &Node| {
            let recovering = "SELECT pg_is_in_recovery()";
            let answer = query_by_socket(self.folder.path(), node.database.number, "postgres", recovering);
            answer.is_ok_and(|answer| answer.trim() == "f")
        };
        let asked = Instant::now();
        while asked.elapsed() < TAKEN_OVER_WITHIN {
            if let Some(leader) = self.nodes.iter().position(|node| node.is("/primary") && writable(node)) {
                return Ok(leader);
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("No node leads after {} s", TAKEN_OVER_WITHIN.as_secs());
    }

    fn kill(&mut self, node: usize) -> Result {
        let node = &mut self.nodes[node];
        node.patroni.take().context("The node is not running")?.kill()?;
        // Its PostgreSQL is in a group of its own.
        let path = self.folder.join(node.name).join("postmaster.pid");
        let pid =
            fs::read_to_string(path).ok().and_then(|file| file.lines().next()?.parse().ok()).and_then(Pid::from_raw);
        match pid {
            Some(pid) => kill_all(&[vec![pid], children_of(pid)].concat()),
            None => Ok(()),
        }
    }

    fn launch(&mut self, node: usize, ready: &str) -> Result {
        let node = &mut self.nodes[node];
        let bin = programs::postgres("postgres")?;
        let bin = bin.parent().context("PostgreSQL's programs are in no folder")?;
        let data = self.folder.join(node.name);
        let login = |user| json!({"username": user, "password": "not secret"});
        // JSON is YAML too.
        let settings = json!({
            "scope": "test",
            "name": node.name,
            "etcd3": {"host": format!("127.0.0.1:{}", self.etcd_port.number)},
            "restapi": {
                "listen": format!("127.0.0.1:{}", node.rest.number),
                "connect_address": format!("127.0.0.1:{}", node.rest.number),
            },
            "bootstrap": {
                "dcs": {
                    "ttl": LEASE_SECONDS,
                    "loop_wait": 2,
                    "retry_timeout": 4,
                    "maximum_lag_on_failover": 1 << 20,
                    "synchronous_mode": true,
                    "postgresql": {
                        "use_pg_rewind": true,
                        "use_slots": true,
                        "parameters": {"fsync": "off", "full_page_writes": "on", "wal_log_hints": "on"},
                    },
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "no-sync"],
            },
            "postgresql": {
                "listen": format!("127.0.0.1:{}", node.database.number),
                "connect_address": format!("127.0.0.1:{}", node.database.number),
                "bin_dir": bin,
                "data_dir": data,
                "pgpass": self.folder.join(&format!("{}.pgpass", node.name)),
                "authentication": {"superuser": login("postgres"), "replication": login("replicator")},
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 trust",
                    "host replication all 127.0.0.1/32 trust",
                ],
                "parameters": {"unix_socket_directories": self.folder.path(), "max_connections": 200},
            },
        });
        let file = self.folder.write(&format!("{}.yml", node.name), &settings.to_string())?;
        // SIGTERM: it ends its PostgreSQL too, which would live on if it were killed.
        let launch = Launch::new(&programs::system("patroni", "patroni")?, &self.folder, true, "TERM")
            .log(self.folder.join(&format!("{}.log", node.name)))
            .args([file]);
        node.patroni = Some(launch.start(|| node.is(ready))?);
        Ok(())
    }
}

impl Node {
    fn new(name: &'static str) -> Result<Self> {
        let rest = ports::reserve()?;
        let client = Client::new(&format!("http://127.0.0.1:{}", rest.number));
        Ok(Self { patroni: None, name, database: ports::reserve()?, rest, client })
    }

    /// Whether Patroni says that it is what the route asks.
    fn is(&self, route: &str) -> bool {
        self.client.send("GET", route, &[], None).is_ok_and(|reply| reply.status == 200)
    }
}

impl Drop for Patroni {
    fn drop(&mut self) {
        for node in 0..2 {
            if self.nodes[node].patroni.is_some() {
                let _ = self.kill(node);
            }
        }
    }
}

impl Service for Patroni {
    fn variables(&self) -> Vec<(&'static str, String)> {
        let [(one, one_rest), (two, two_rest)] = self.addresses();
        vec![
            ("PATRONI_URL", self.url()),
            ("PATRONI_NODES", format!("{one} {two}")),
            ("PATRONI_REST", format!("{one_rest} {two_rest}")),
        ]
    }

    fn tell(&mut self, words: &[&str]) -> Result<Value> {
        match words {
            ["primary"] => return Ok(json!({"url": self.primary()?})),
            ["kill-primary"] => self.kill_primary()?,
            ["restart"] => self.restart()?,
            ["switch-over"] => self.switch_over()?,
            _ => bail!("Patroni can be told: primary, kill-primary, restart, switch-over"),
        }
        Ok(Value::Null)
    }
}
