//! The database behind the store: SQLite for one server, PostgreSQL for one or several.
//!
//! The statements of this crate are written once, against `conn`; `sqlite/` and `postgres/` hold what differs: how
//! transactions are begun, grouped and tried again, migrations, errors. `request` is a write on its way; `lost_answers`
//! remembers creations whose answer nobody heard.

mod conn;
mod lost_answers;
mod postgres;
mod request;
mod sqlite;

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Result;
use lost_answers::{Awaiting, LostAnswers};

pub(crate) use conn::{Conn, Dialect, Row, Sql, params};
pub use postgres::PostgresConfig;
pub(crate) use request::{Done, Observer, Tx};
pub use sqlite::backup;

/// Why a database could not be opened. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path} is not a database of Trackway{}. It was not touched. Name another file with --backend-store-uri sqlite:///trackway.db, or start in another folder.", if *mlflow { ", it was made by MLflow" } else { "" }, path = path.display())]
    Foreign { path: PathBuf, mlflow: bool },
    #[error("{path} has schema version {found}, written by a newer Trackway; this one knows versions up to {newest}. Start the newer Trackway, or go back to the copy that it made before its migration ({path}.before-v{next}).", path = path.display(), next = newest + 1)]
    Newer { path: PathBuf, found: i64, newest: i64 },
    #[error("{path} cannot be put into write-ahead mode (SQLite answers \"{mode}\"): its file system cannot share memory between processes. Put the database on a local disk.", path = path.display())]
    NoWal { path: PathBuf, mode: String },
    #[error("The copy that is made before a migration failed: {0}. The database was not changed.")]
    Copy(String),
    #[error("The writer thread could not be started: {0}.")]
    Thread(std::io::Error),
    #[error("The tracking database cannot be written: {0}")]
    Default(crate::Error),
    #[error("{path} cannot be used as a database: {error}. If it is none of Trackway's, name another file with --backend-store-uri sqlite:///trackway.db", path = path.display())]
    Unusable { path: PathBuf, error: rusqlite::Error },
    #[error(
        "The address of the tracking database cannot be read ({0}). Write it as postgresql://user@host:5432/database, with special characters percent-encoded."
    )]
    Url(String),
    #[error("The tracking database cannot be reached: {0}.")]
    Unreachable(String),
    #[error("The tracking database runs on PostgreSQL {version}; Trackway needs version 15 or newer.")]
    OldServer { version: i64 },
    #[error(
        "The database \"{name}\" has the encoding {encoding}; Trackway needs UTF8. Make another: CREATE DATABASE trackway ENCODING 'UTF8' TEMPLATE template0."
    )]
    Encoding { name: String, encoding: String },
    #[error(
        "The database's schema \"trackway\" has version {found}, written by a newer Trackway that this one (version {newest}) cannot work beside. Start the newer Trackway."
    )]
    NewerSchema { found: i64, newest: i64 },
    #[error("The tracking database could not be prepared: {0}")]
    Prepare(#[from] crate::Error),
    #[error("The tracking database could not be opened: {0}.")]
    Sqlite(#[from] rusqlite::Error),
}

/// Where the tracking database is.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one for each store")]
pub enum Backend {
    /// A file, made if it is not there.
    Sqlite(PathBuf),
    Postgres(PostgresConfig),
}

/// How the store is tuned. The defaults serve a laptop and a team alike.
#[derive(Debug, Clone)]
pub struct Options {
    /// Requests that may wait for the writer before further ones are answered "busy".
    pub queue_requests: usize,
    /// Bytes that the waiting requests may hold.
    pub queue_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { queue_requests: 4096, queue_bytes: 256 << 20 }
    }
}

/// How long a read may keep its thread: a few rows are read where the request runs, more goes to a blocking thread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Weight {
    Light,
    Heavy,
}

/// What the writer has done since the start, for `/metrics`.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriterStats {
    /// Requests that wait now.
    pub queued_requests: usize,
    /// Bytes that these hold.
    pub queued_bytes: usize,
    /// Transactions committed.
    pub groups: u64,
    /// Requests applied in them.
    pub requests: u64,
    /// Microseconds spent in COMMIT, flush to disk included.
    pub commit_micros: u64,
}

enum Engine {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

pub(crate) struct Db {
    engine: Engine,
    lost_answers: Arc<LostAnswers>,
}

impl Db {
    /// Opens the database and brings its schema forward.
    pub(crate) async fn open(
        backend: &Backend,
        options: &Options,
        observer: Arc<dyn Observer>,
    ) -> Result<Db, OpenError> {
        let engine = match backend {
            Backend::Sqlite(path) => Engine::Sqlite(sqlite::Sqlite::open(path, options, observer)?),
            Backend::Postgres(config) => {
                let (config, options) = (config.clone(), options.clone());
                let opened =
                    tokio::task::spawn_blocking(move || postgres::Postgres::open(&config, &options, &observer)).await;
                Engine::Postgres(opened.unwrap_or_else(|error| Err(OpenError::Unreachable(error.to_string())))?)
            }
        };
        Ok(Db { engine, lost_answers: Arc::default() })
    }

    /// Runs `job` in a transaction and waits until it is on disk. `bytes` is what the job holds in memory, so that the
    /// queue can be bounded. The job may be run again, if its transaction was rolled back for no fault of its own.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        bytes: usize,
        job: impl Fn(&Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (request, answer) = request::request(job, None);
        self.push(None, bytes, request)?;
        answer.await.unwrap_or_else(|_| Err(lost_answers::stopped()))
    }

    /// The same for a job that writes to one run only and begins by locking it ([`crate::runs::active_row`]). Such jobs
    /// may share a transaction.
    pub(crate) async fn write_run<T: Send + 'static>(
        &self,
        run_id: &str,
        bytes: usize,
        job: impl Fn(&Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (request, answer) = request::request(job, None);
        self.push(Some(run_id), bytes, request)?;
        answer.await.unwrap_or_else(|_| Err(lost_answers::stopped()))
    }

    /// The same for a job that creates something: a client that lost the answer and asks the same again is given it.
    /// `request` is what was asked, in full.
    pub(crate) async fn create<T: Send + 'static>(
        &self,
        request: String,
        job: impl Fn(&Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.create_as(None, request, job).await
    }

    /// The same for a job that creates the run of this id: done once more it changes nothing, and like what is written to
    /// runs it may share a transaction.
    pub(crate) async fn create_run<T: Send + 'static>(
        &self,
        run_id: &str,
        request: String,
        job: impl Fn(&Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.create_as(Some(run_id), request, job).await
    }

    async fn create_as<T: Send + 'static>(
        &self,
        run_id: Option<&str>,
        request: String,
        job: impl Fn(&Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if let Some(answer) = self.lost_answers.claim(&request).await {
            return Ok(answer);
        }
        let unheard = lost_answers::keeper(request.clone(), Arc::clone(&self.lost_answers));
        let (job, answer) = request::request(job, Some(unheard));
        self.push(run_id, 512 + 2 * request.len(), job)?;
        Awaiting::new(answer, request, Arc::clone(&self.lost_answers)).heard().await
    }

    fn push(&self, run_id: Option<&str>, bytes: usize, request: Box<dyn request::Request>) -> Result<()> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.write(bytes, request),
            Engine::Postgres(engine) => engine.write(run_id.map(str::to_owned), bytes, request),
        }
    }

    /// Runs `job` on one consistent snapshot of the database.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        weight: Weight,
        job: impl FnOnce(&Conn) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.read(weight, job).await,
            Engine::Postgres(engine) => engine.read(job).await,
        }
    }

    pub(crate) fn writer_stats(&self) -> WriterStats {
        match &self.engine {
            Engine::Sqlite(engine) => engine.stats(),
            Engine::Postgres(engine) => engine.stats(),
        }
    }

    /// Finishes what was accepted and closes the database.
    pub(crate) fn close(&self) {
        match &self.engine {
            Engine::Sqlite(engine) => engine.close(),
            Engine::Postgres(engine) => engine.close(),
        }
    }
}
