//! Real servers for tests and for developers: each on a free port of 127.0.0.1, with its data in a
//! temporary folder, ready when `start` returns, ended and removed when the value is dropped.
//!
//! ```no_run
//! # fn main() -> trackway_testkit::Result {
//! use trackway_testkit::services::{FaultProxy, Postgres, postgres, seaweedfs};
//!
//! // A database of this test's own, on the server that the whole test run shares.
//! let database = postgres::database()?;
//! println!("{}", database.url());
//! // A bucket, a container likewise.
//! let bucket = seaweedfs::bucket()?;
//! println!("{} {}", bucket.endpoint, bucket.name);
//!
//! // A server of its own, to do harm to.
//! let mut server = Postgres::start(postgres::Options { durable: true, ..Default::default() })?;
//! let proxy = FaultProxy::start(&server.address())?;
//! server.crash()?;
//! server.restart()?;
//! # Ok(()) }
//! ```
//!
//! ```text
//! postgres.rs     PostgreSQL: locale, durability, TLS, password; crash, restart; `database()`
//! pgbouncer.rs    PgBouncer in transaction mode, in front of a PostgreSQL
//! patroni.rs      two PostgreSQL under Patroni, with etcd: `kill_primary`, `primary`
//! haproxy.rs      HAProxy in front of HTTP servers, or of whichever PostgreSQL of a pair leads
//! prometheus.rs   Prometheus, asking servers for /metrics
//! seaweedfs.rs    S3 that is complete: conditional writes, versions, signatures; `bucket()`
//! rclone.rs       S3 that is sloppy: it ignores conditions; SFTP without extensions
//! sshd.rs         OpenSSH's server; `directory()`
//! juicefs.rs      JuiceFS's gateway, an S3 by MinIO's code over a file system
//! apache.rs       WebDAV, HTTP that takes uploads, git over HTTP, TLS; `place()`
//! rclone_webdav.rs  a second WebDAV
//! azurite.rs      Azure Blob Storage; `container()`
//! fake_gcs.rs     Google Cloud Storage; `bucket()`
//! fault_proxy.rs  a TCP proxy of our own that delays, cuts, garbles, refuses and swallows
//!
//! daemon.rs       starts, watches and ends one program; it dies with the process that started it
//! folder.rs       its temporary folder
//! ports.rs        free ports, reserved against each other
//! programs.rs     where the programs are
//! signing.rs      the signed requests that make a bucket or a container
//! host.rs         named services told what to do by lines of words, and one host shared by a run
//! ```
//!
//! **Shared ones.** nextest runs each test in a process of its own, so a server that tests share has
//! to live elsewhere. `cargo xtask test` is that place; by hand, `cargo xtask services start` is.
//! `postgres::database()` and its like ask there (`host::shared`), and a service starts when it is
//! first asked for. When nobody is there to be asked, the test's process starts one for itself.
//!
//! **Missing programs** fail a test, with a message that says how to install them; nothing is
//! skipped. `cargo xtask services install` installs them, and `cargo xtask test` does so by itself.
//!
//! A new service is a file with a struct that implements `Service`, and a line in `start`.

pub mod apache;
pub mod azurite;
mod daemon;
pub mod fake_gcs;
pub mod fault_proxy;
mod folder;
pub mod haproxy;
pub mod hdfs;
pub mod host;
pub mod juicefs;
pub mod patroni;
pub mod pgbouncer;
mod ports;
pub mod postgres;
pub mod programs;
pub mod prometheus;
pub mod rclone;
mod rclone_webdav;
pub mod seaweedfs;
mod signing;
pub mod sshd;

pub use apache::Apache;
pub use azurite::Azurite;
pub use fake_gcs::FakeGcs;
pub use fault_proxy::FaultProxy;
pub use haproxy::Haproxy;
pub use hdfs::Hdfs;
pub use juicefs::JuiceFs;
pub use patroni::Patroni;
pub use pgbouncer::Pgbouncer;
pub use postgres::Postgres;
pub use prometheus::Prometheus;
pub use rclone::Rclone;
pub use rclone_webdav::RcloneWebdav;
pub use seaweedfs::SeaweedFs;
pub use sshd::Sshd;

use anyhow::bail;
use serde_json::Value;

use crate::Result;

/// The names by which services are asked for.
pub const NAMES: [&str; 15] = [
    "postgres",
    "pgbouncer",
    "patroni",
    "haproxy",
    "prometheus",
    "seaweedfs",
    "rclone",
    "juicefs",
    "apache",
    "rclone-webdav",
    "azurite",
    "fake-gcs",
    "hdfs",
    "sshd",
    "fault-proxy",
];

/// What can be done with a service without knowing which it is.
pub trait Service: Send {
    /// By which variables clients are told of it.
    fn variables(&self) -> Vec<(&'static str, String)>;

    /// Does what the words say: `crash`, `restart`, and what else the service's file has.
    fn tell(&mut self, words: &[&str]) -> Result<Value> {
        bail!("There is nothing to be done with it by {words:?}")
    }
}

/// Starts a service by its name, with options such as `tls=yes`.
pub fn start(name: &str, options: &[(&str, &str)]) -> Result<Box<dyn Service>> {
    Ok(match name {
        "postgres" => Box::new(Postgres::start(postgres::Options::read(options)?)?),
        "pgbouncer" => Box::new(Pgbouncer::start_with(options)?),
        "patroni" => Box::new(Patroni::start_with(options)?),
        "haproxy" => Box::new(Haproxy::start_with(options)?),
        "prometheus" => Box::new(Prometheus::start_with(options)?),
        "seaweedfs" => Box::new(SeaweedFs::start_with(options)?),
        "azurite" => Box::new(Azurite::start_with(options)?),
        "fake-gcs" => Box::new(FakeGcs::start_with(options)?),
        "hdfs" => Box::new(Hdfs::start_with(options)?),
        "juicefs" => Box::new(JuiceFs::start_with(options)?),
        "apache" => Box::new(Apache::start_with(options)?),
        "rclone-webdav" => Box::new(RcloneWebdav::start_with(options)?),
        "rclone" => Box::new(Rclone::start_with(options)?),
        "sshd" => Box::new(Sshd::start_with(options)?),
        "fault-proxy" => Box::new(FaultProxy::start_with(options)?),
        _ => bail!("There is no service {name}; there are: {}", NAMES.join(", ")),
    })
}

/// For services without options.
fn none(options: &[(&str, &str)]) -> Result {
    match options {
        [] => Ok(()),
        [(name, _), ..] => unknown(name),
    }
}

fn unknown<T>(option: &str) -> Result<T> {
    bail!("{option} is no option of this service")
}

fn yes_or_no(name: &str, value: &str) -> Result<bool> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => bail!("{name}={value} should be {name}=yes or {name}=no"),
    }
}
