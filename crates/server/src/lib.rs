//! The HTTP server: MLflow's REST protocol over the tracking store and the artifact store.
//!
//! A tour of the room:
//!
//! * [`Server`] opens the stores and the sockets, and runs until it is told to stop.
//! * `router.rs` shows the whole HTTP surface; `state.rs` what handlers can reach.
//! * `mlflow/` has a file a noun: its requests, its handlers, its answers. `artifacts/` moves files.
//! * `api/` is what MLflow does not have.
//! * [`wire`] is JSON by protobuf's rules; [`error`] says what an error is to a client.
//! * `serve.rs` is what every request goes through: [`security`], ids, figures ([`prometheus`]), the log.
//! * [`tls`] is HTTPS without a proxy; [`forwarded`] is who asks when there is one.
//! * [`purge`] is a command of an operator: what was deleted goes for good, beside running servers.
//! * [`config`] is what the server was told at its start. Nothing else here reads the environment.

pub mod access_log;
mod api;
pub mod artifacts;
pub mod config;
pub mod error;
pub mod forwarded;
mod mlflow;
pub mod not_built;
pub mod prometheus;
pub mod purge;
mod readiness;
mod router;
pub mod security;
pub mod serve;
pub mod server_info;
mod state;
pub mod tls;
pub mod ui;
mod unread_body;
pub mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

pub use trackway_tracking::backup;
use trackway_tracking::{OpenError, Options, Store};

use artifacts::ArtifactService;
use config::Config;
use readiness::Draining;
use serve::{Bound, Edge, Ended, ListenError, Shutdown};
use tls::{Tls, TlsError};

/// Why a server could not start. The message is for the person who started it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    Artifacts(#[from] artifacts::StartError),
    #[error("The current directory cannot be read: {0}.")]
    Directory(std::io::Error),
}

/// A server with open stores and sockets.
pub struct Server {
    config: Config,
    bound: Bound,
    edge: Edge,
    tls: Option<Arc<Tls>>,
    store: Option<Store>,
}

impl Server {
    /// Listens first, so that a busy port is told before anything is created, then opens the stores.
    pub async fn start(config: Config) -> Result<Server, StartError> {
        let tls = config.tls.clone().map(Tls::open).transpose()?.map(Arc::new);
        let bound = Bound::open(&config).await?;
        let cwd = std::env::current_dir().map_err(StartError::Directory)?;
        let artifact_root = config.artifact_root(&cwd);
        let figures = prometheus::Metrics::new();
        if let Some(tls) = &tls {
            show_certificate(tls, &figures);
        }
        let store = if config.artifacts_only {
            None
        } else {
            let store = Store::open(&config.backend_store.to_backend(), &artifact_root, &Options::default()).await?;
            show_writer(&store, &figures);
            Some(store)
        };
        // Behind the database, so that one that is refused leaves no empty folder.
        let artifacts = Arc::new(ArtifactService::open(&config, &artifact_root, store.clone()).await?);
        let draining = Draining::default();
        let router = router::router(&config, store.clone(), artifacts, &figures, draining.clone());
        let edge = Edge::new(router, &config, figures, draining);
        Ok(Server { config, bound, edge, tls, store })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.bound.addresses()
    }

    /// A sentence if the certificate that it shows is not valid now.
    pub fn certificate_out_of_date(&self) -> Option<String> {
        self.tls.as_ref()?.out_of_date()
    }

    /// Serves until `shutdown`, finishes what was accepted and closes the store.
    pub async fn run(self, shutdown: Shutdown) -> Ended {
        let ended = serve::serve(self.edge, self.bound, &self.config.limits, self.tls, shutdown).await;
        if let Some(store) = self.store {
            // Waits for the writer thread, which is blocking work.
            let closed = tokio::task::spawn_blocking(move || store.close()).await;
            if let Err(error) = closed {
                tracing::error!(%error, "the tracking database was not closed cleanly; it recovers at the next start");
            }
        }
        ended
    }
}

fn show_certificate(tls: &Arc<Tls>, figures: &prometheus::Metrics) {
    let tls = Arc::clone(tls);
    figures.gauge(
        "trackway_tls_certificate_ends_seconds",
        "When the certificate ends, in seconds since 1970",
        move || tls.ends().duration_since(UNIX_EPOCH).map_or(0.0, |ends| ends.as_secs_f64()),
    );
}

/// The writer's figures for Prometheus.
fn show_writer(store: &Store, figures: &prometheus::Metrics) {
    let stats = |store: &Store, figure: fn(trackway_tracking::WriterStats) -> f64| {
        let store = store.clone();
        move || figure(store.writer_stats())
    };
    figures.gauge(
        "trackway_store_queue_requests",
        "Writes that wait for the writer",
        stats(store, |stats| stats.queued_requests as f64),
    );
    figures.gauge(
        "trackway_store_queue_bytes",
        "Bytes that the waiting writes hold",
        stats(store, |stats| stats.queued_bytes as f64),
    );
    figures.counter("trackway_store_commits", "Transactions committed", stats(store, |stats| stats.groups as f64));
    figures.counter(
        "trackway_store_writes",
        "Writes applied, many to a transaction",
        stats(store, |stats| stats.requests as f64),
    );
    figures.counter(
        "trackway_store_commit_seconds",
        "Time spent in commits, flush to disk included",
        stats(store, |stats| stats.commit_micros as f64 / 1e6),
    );
}
