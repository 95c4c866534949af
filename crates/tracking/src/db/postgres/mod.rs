//! PostgreSQL behind the store, alone or behind PgBouncer, shared by several servers.
//!
//! * `config`: where it is and how it is reached; `tls`: how the connection is encrypted;
//! * `session`: one connection, and how SQL and errors are translated;
//! * `plans`: which statements are named, so that the server keeps their plans;
//! * `pool`: threads with a connection each, group commit, what happens when the database goes away;
//! * `keys`: numbers of metric names;
//! * `migrations`: the schema `trackway`;
//! * `text`: what PostgreSQL's types cannot say.

mod config;
mod keys;
mod migrations;
mod plans;
mod pool;
mod session;
pub(super) mod text;
mod tls;

use std::sync::Arc;

use tokio::sync::oneshot;

pub use config::PostgresConfig;
pub(crate) use session::Session;

use super::request::{Observer, Request};
use super::{Conn, OpenError, Options, WriterStats};
use crate::error::{Error, Result};
use keys::Keys;
use pool::{Job, Pool};

pub(super) struct Postgres {
    writers: Pool,
    readers: Pool,
}

impl Postgres {
    /// Brings the schema forward and starts the threads. Blocks.
    pub(super) fn open(
        config: &PostgresConfig,
        options: &Options,
        observer: &Arc<dyn Observer>,
    ) -> Result<Postgres, OpenError> {
        migrations::migrate(config)?;
        let keys = Arc::<Keys>::default();
        Ok(Postgres {
            writers: Pool::start("writer", config, &keys, options, observer)?,
            readers: Pool::start("reader", config, &keys, options, observer)?,
        })
    }

    /// Queues a request. `key`: what it locks, so that it may be committed together with others.
    pub(super) fn write(&self, key: Option<String>, bytes: usize, request: Box<dyn Request>) -> Result<()> {
        self.writers.push(Job::Write { key, bytes, request })
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Conn) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.readers.push(Job::Read(Box::new(move |db| {
            // The caller may be gone.
            let _ = answer.send(db.and_then(job));
        })))?;
        answered.await.unwrap_or_else(|_| {
            Err(Error::Storage(
                "A read of the tracking database was broken off by an error inside the server.".to_owned(),
            ))
        })
    }

    pub(super) fn stats(&self) -> WriterStats {
        self.writers.stats()
    }

    pub(super) fn close(&self) {
        self.writers.close();
        self.readers.close();
    }
}
