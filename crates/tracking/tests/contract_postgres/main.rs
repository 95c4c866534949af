//! What every store must do, on PostgreSQL, in a database whose texts do not compare by bytes by themselves.

#[path = "../contract/artifacts.rs"]
mod artifacts;
#[path = "../contract/events.rs"]
mod events;
#[path = "../contract/metrics.rs"]
mod metrics;
#[path = "../contract/packing.rs"]
mod packing;
#[path = "../contract/purge.rs"]
mod purge;
#[path = "../contract/registry.rs"]
mod registry;
#[path = "../contract/runs.rs"]
mod runs;
#[path = "../contract/search.rs"]
mod search;
#[path = "../contract/search_random.rs"]
mod search_random;
#[path = "../contract/thin.rs"]
mod thin;
#[path = "../contract/words.rs"]
mod words;
#[path = "../contract/writing.rs"]
mod writing;

mod away;
mod encrypted;

use trackway_testkit::services::postgres::{self, Database};
use trackway_tracking::{Backend, Options, PostgresConfig, Store};

pub use words::*;

pub const ONE_WRITER: bool = false;

/// An empty store in a database that goes away with it.
pub struct Fresh {
    pub store: Store,
    database: Database,
}

pub async fn fresh() -> Fresh {
    let database = tokio::task::spawn_blocking(postgres::english_database).await.unwrap().unwrap();
    let store = open(&backend(&database)).await;
    Fresh { store, database }
}

impl Fresh {
    pub fn backend(&self) -> Backend {
        backend(&self.database)
    }

    /// Another store on the same database, as another server would have it.
    pub async fn again(&self) -> Store {
        open(&self.backend()).await
    }

    /// How many rows the tables hold that belong to runs.
    pub fn rows(&self) -> Vec<(&'static str, i64)> {
        let count = |table| self.database.query(&format!("SELECT count(*) FROM trackway.{table}")).unwrap();
        TABLES_OF_RUNS.map(|table| (table, count(table).trim().parse().unwrap())).to_vec()
    }

    /// Ends every connection to the database, in whatever it is doing.
    pub fn disturb(&self) {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        self.database.query(sql).unwrap();
    }

    /// What the tables and indexes of metrics take on disk.
    pub fn bytes(&self) -> u64 {
        let sql = "VACUUM FULL;
            SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
            WHERE relnamespace = 'trackway'::regnamespace AND relkind = 'r'";
        self.database.query(sql).unwrap().lines().last().unwrap().trim().parse().unwrap()
    }
}

fn backend(database: &Database) -> Backend {
    Backend::Postgres(PostgresConfig::parse(database.url(), &|name| std::env::var(name).ok()).unwrap())
}

async fn open(backend: &Backend) -> Store {
    Store::open(backend, "mlflow-artifacts:/", &Options::default()).await.unwrap()
}
