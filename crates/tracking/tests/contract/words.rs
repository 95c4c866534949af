//! Short ways to say what the tests log.

use trackway_tracking::{Metric, NewRun, Param, Run, Store, Tag};

/// The tables of what hangs on runs.
pub const TABLES_OF_RUNS: [&str; 13] = [
    "run",
    "param",
    "tag",
    "metric_block",
    "metric_chunk",
    "latest_metric",
    "run_dataset",
    "run_dataset_tag",
    "run_model",
    "dataset",
    "artifact_root",
    "artifact_dir",
    "artifact_file",
];

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
