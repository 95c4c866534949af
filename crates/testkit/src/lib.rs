//! For tests only: a running `trackway server`, a small client to talk to it, and the real servers
//! that it may stand on.
//!
//! ```no_run
//! # fn main() -> trackway_testkit::Result {
//! # use trackway_testkit as testkit;
//! # let bin = "trackway"; // env!("CARGO_BIN_EXE_trackway") in a test of crates/trackway
//! use testkit::{Server, json};
//!
//! // Its own empty folder, a free port, ready when this returns.
//! let mut server = Server::start(bin)?;
//! // A relative route is one of MLflow's API 2.0; anything but a 2xx answer is an error.
//! let made = server.post("experiments/create", json!({"name": "wine"}))?;
//! let id = made["experiment_id"].as_str().unwrap();
//! // `send` returns whatever comes back.
//! let refused = server.send("POST", "experiments/create", &json!({"name": "wine"}))?;
//! assert_eq!((refused.status, refused.error_code()), (400, "RESOURCE_ALREADY_EXISTS".into()));
//!
//! // The same folder and port after a crash: what was acknowledged is there.
//! server.kill9()?;
//! server.restart()?;
//! server.get(&format!("experiments/get?experiment_id={id}"))?;
//!
//! // SIGTERM; the log has what it printed.
//! assert!(server.stop()?.success(), "{}", server.log());
//! # Ok(()) }
//! ```
//!
//! ```text
//! server.rs   Server, and how it is started: arguments, environment, folder
//! client.rs   Reply, and the requests
//! services/   PostgreSQL, object stores and what may stand between, see the tour there
//! ```
//!
//! A test that needs the binary lives in `crates/trackway/tests`, where cargo builds it first and
//! names it in `env!("CARGO_BIN_EXE_trackway")`; `binary` finds it from anywhere else. A server
//! that a test leaves running ends with the test, and when the test panics, its log is printed.

mod client;
mod server;
pub mod services;

pub use client::Reply;
pub use serde_json::{Value, json};
pub use server::{Builder, Server, binary};
pub use tempfile::TempDir;

/// What a test returns: `fn works() -> testkit::Result`.
pub type Result<T = (), E = anyhow::Error> = anyhow::Result<T, E>;

/// An empty folder that is removed when the value is dropped.
pub fn temp_dir() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("trackway-test-").tempdir()?)
}
