//! What every store must do, on SQLite. `contract_postgres` runs the same on PostgreSQL.

mod artifacts;
mod events;
mod metrics;
mod packing;
mod purge;
mod registry;
mod runs;
mod search;
mod search_random;
mod thin;
mod words;
mod writing;

use trackway_tracking::{Backend, Options, Store};

pub use words::*;

pub const ONE_WRITER: bool = true;

/// An empty store in a folder that goes away with it.
pub struct Fresh {
    pub store: Store,
    dir: tempfile::TempDir,
}

pub async fn fresh() -> Fresh {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&backend(&dir)).await;
    Fresh { store, dir }
}

impl Fresh {
    pub fn backend(&self) -> Backend {
        backend(&self.dir)
    }

    /// Another store on the same database, as another process would have it.
    pub async fn again(&self) -> Store {
        open(&self.backend()).await
    }

    /// How many rows the tables hold that belong to runs.
    pub fn rows(&self) -> Vec<(&'static str, i64)> {
        let db = rusqlite::Connection::open(self.dir.path().join("trackway.db")).unwrap();
        let count = |table| db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        TABLES_OF_RUNS.map(|table| (table, count(table))).to_vec()
    }

    /// Nothing comes between a store and its file.
    pub fn disturb(&self) {}

    /// What the closed database takes on disk.
    pub fn bytes(&self) -> u64 {
        std::fs::metadata(self.dir.path().join("trackway.db")).unwrap().len()
    }
}

fn backend(dir: &tempfile::TempDir) -> Backend {
    Backend::Sqlite(dir.path().join("trackway.db"))
}

async fn open(backend: &Backend) -> Store {
    Store::open(backend, "mlflow-artifacts:/", &Options::default()).await.unwrap()
}
