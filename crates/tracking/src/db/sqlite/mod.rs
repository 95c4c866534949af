//! SQLite behind the store: one writer thread with group commit, and readers beside it.

pub mod backup;
mod functions;
mod migrations;
mod readers;
mod writer;

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::request::{Observer, Request};
use super::{Conn, OpenError, Options, Weight, WriterStats};
use crate::error::{Error, Result};
use readers::Readers;
use writer::Writer;

pub(super) struct Sqlite {
    writer: Writer,
    readers: Arc<Readers>,
}

impl Sqlite {
    pub(super) fn open(path: &Path, options: &Options, observer: Arc<dyn Observer>) -> Result<Sqlite, OpenError> {
        Sqlite::open_at(path, options, observer).map_err(|error| match error {
            OpenError::Sqlite(error) => OpenError::Unusable { path: path.to_owned(), error },
            other => other,
        })
    }

    fn open_at(path: &Path, options: &Options, observer: Arc<dyn Observer>) -> Result<Sqlite, OpenError> {
        let connection = connect(path)?;
        migrations::version_of(&connection, path)?;
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            return Err(OpenError::NoWal { path: path.to_owned(), mode });
        }
        migrations::migrate(&connection, path)?;
        // Fewer, larger checkpoints: hot pages are then written to the database once for many commits.
        connection.execute_batch("PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864")?;
        Ok(Sqlite { writer: Writer::start(connection, options, observer)?, readers: Arc::new(Readers::new(path)) })
    }

    /// Queues a request for the next group of the writer, which is answered when that group is on disk.
    pub(super) fn write(&self, bytes: usize, request: Box<dyn Request>) -> Result<()> {
        self.writer.write(bytes, request)
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        weight: Weight,
        job: impl FnOnce(&Conn) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if weight == Weight::Light {
            return self.readers.read(job);
        }
        let readers = Arc::clone(&self.readers);
        match tokio::task::spawn_blocking(move || readers.read(job)).await {
            Ok(answer) => answer,
            Err(error) => Err(Error::Storage(format!("A read of the tracking database was broken off: {error}."))),
        }
    }

    pub(super) fn stats(&self) -> WriterStats {
        self.writer.stats()
    }

    /// Finishes what was accepted, then closes the writer's connection: the last one folds the write-ahead log in.
    pub(super) fn close(&self) {
        self.readers.close();
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
    // FULL: an answered write survives a power cut.
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY")?;
    Ok(connection)
}
