//! The database behind the store: one writer thread with group commit, and readers beside it.
//!
//! Today that is SQLite. PostgreSQL gets a file of its own beside `sqlite.rs`; the statements in the
//! modules above keep to what both engines understand.

mod functions;
mod lost_answers;
mod migrations;
mod readers;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use crate::error::Result;
use lost_answers::{Awaiting, LostAnswers};
use readers::Readers;
pub(crate) use writer::Tx;
use writer::Writer;
pub use writer::WriterStats;

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
    #[error("The tracking database could not be opened: {0}.")]
    Sqlite(#[from] rusqlite::Error),
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

pub(crate) struct Db {
    writer: Writer,
    readers: Arc<Readers>,
    lost_answers: Arc<LostAnswers>,
}

/// How long a read may keep its thread: a few rows are read where the request runs, more goes to a blocking thread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Weight {
    Light,
    Heavy,
}

impl Db {
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Db, OpenError> {
        Db::open_at(path, options).map_err(|error| match error {
            OpenError::Sqlite(error) => OpenError::Unusable { path: path.to_owned(), error },
            other => other,
        })
    }

    fn open_at(path: &Path, options: &Options) -> Result<Db, OpenError> {
        let connection = connect(path)?;
        migrations::version_of(&connection, path)?;
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            return Err(OpenError::NoWal { path: path.to_owned(), mode });
        }
        migrations::migrate(&connection, path)?;
        // Fewer, larger checkpoints: hot pages are then written to the database once for many commits.
        connection.execute_batch("PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864")?;
        Ok(Db {
            writer: Writer::start(connection, options)?,
            readers: Arc::new(Readers::new(path)),
            lost_answers: Arc::default(),
        })
    }

    /// Runs `job` in the next group of the writer and waits until that group is on disk.
    /// `bytes` is what the job holds in memory, so that the queue can be bounded.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        bytes: usize,
        job: impl FnOnce(&Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.write(bytes, job, None)?.await.unwrap_or_else(|_| Err(lost_answers::stopped()))
    }

    /// The same for a job that creates something: a client that lost the answer and asks the same again is given it.
    /// `request` is what was asked, in full.
    pub(crate) async fn create<T: Send + 'static>(
        &self,
        request: String,
        job: impl FnOnce(&Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if let Some(answer) = self.lost_answers.claim(&request).await {
            return Ok(answer);
        }
        let unheard = lost_answers::keeper(request.clone(), Arc::clone(&self.lost_answers));
        let answer = self.writer.write(512 + 2 * request.len(), job, Some(unheard))?;
        Awaiting::new(answer, request, Arc::clone(&self.lost_answers)).heard().await
    }

    /// Runs `job` on one consistent snapshot of the database.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        weight: Weight,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if weight == Weight::Light {
            return self.readers.read(job);
        }
        let readers = Arc::clone(&self.readers);
        match tokio::task::spawn_blocking(move || readers.read(job)).await {
            Ok(answer) => answer,
            Err(error) => {
                Err(crate::Error::Storage(format!("A read of the tracking database was broken off: {error}.")))
            }
        }
    }

    pub(crate) fn writer_stats(&self) -> WriterStats {
        self.writer.stats()
    }

    /// Finishes what was accepted, then closes the writer's connection (which folds the write-ahead log in).
    pub(crate) fn close(&self) {
        self.writer.close();
    }
}

/// A connection with what every one of ours needs.
fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(256);
    functions::register(&connection)?;
    // Without this SQLite plans a statement anew whenever its parameters change.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // FULL: an answered write survives a power cut. LIKE distinguishes case, as MLflow's own SQLite store does.
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA case_sensitive_like = ON",
    )?;
    Ok(connection)
}
