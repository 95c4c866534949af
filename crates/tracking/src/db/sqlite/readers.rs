//! The pool of read connections.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::db::{Conn, params};
use crate::error::Result;

/// Connections kept open between reads; a burst opens more and closes them again.
const KEPT: usize = 8;

pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Conn>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Readers {
        Readers { path: path.to_owned(), idle: Mutex::new(Vec::new()) }
    }

    /// Closes the connections that nobody uses just now.
    pub(super) fn close(&self) {
        self.idle.lock().unwrap_or_else(|poison| poison.into_inner()).clear();
    }

    pub(super) fn read<T>(&self, job: impl FnOnce(&Conn) -> Result<T>) -> Result<T> {
        let idle = self.idle.lock().unwrap_or_else(|poison| poison.into_inner()).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let connection = super::connect(&self.path)?;
                connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -4000")?;
                Conn::Sqlite(connection)
            }
        };
        // One snapshot for all statements of the job.
        connection.execute("BEGIN", params![])?;
        let answer = job(&connection);
        let ended = connection.execute("COMMIT", params![]);
        if ended.is_ok() {
            let mut idle = self.idle.lock().unwrap_or_else(|poison| poison.into_inner());
            if idle.len() < KEPT {
                idle.push(connection);
            }
        }
        answer
    }
}
