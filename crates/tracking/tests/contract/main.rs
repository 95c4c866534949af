//! What every store must do, whatever database is behind it. Today that is SQLite.

mod metrics;
mod registry;
mod runs;
mod search;
mod writing;

use std::path::Path;

use trackway_tracking::{Backend, Metric, NewRun, Options, Param, Run, Store, Tag};

/// An empty store in a folder that goes away with it.
pub struct Fresh {
    pub store: Store,
    pub dir: tempfile::TempDir,
}

pub async fn fresh() -> Fresh {
    let dir = tempfile::tempdir().unwrap();
    Fresh { store: open(dir.path()).await, dir }
}

pub async fn open(dir: &Path) -> Store {
    Store::open(&Backend::Sqlite(dir.join("trackway.db")), "mlflow-artifacts:/", &Options::default()).await.unwrap()
}

pub async fn run(store: &Store, name: &str, start_time: i64) -> Run {
    let new = NewRun { experiment_id: 0, start_time, name: name.to_owned(), ..NewRun::default() };
    store.create_run(new).await.unwrap()
}

pub fn point(key: &str, step: i64, timestamp: i64, value: f64) -> Metric {
    Metric { key: key.to_owned(), value, timestamp, step, ..Metric::default() }
}

pub fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.to_owned(), value: value.to_owned() }
}

pub fn param(key: &str, value: &str) -> Param {
    Param { key: key.to_owned(), value: value.to_owned() }
}
