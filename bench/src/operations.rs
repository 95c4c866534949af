//! What is measured: each operation writes one request of the MLflow protocol.

use std::io::Write;

use serde_json::{Value, json};

use crate::http::write_request;
use crate::world::{MODELS, World, model_name};

/// How the ratio between two servers is taken for a floor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// CPU time an operation at 1, 8 and 64 clients; the worst ratio counts.
    Cpu,
    /// Requests a second at the largest number of clients.
    Rate,
    /// Median latency with one client, and CPU time an operation: the worse of both.
    LatencyAndCpu,
}

pub struct Operation {
    pub name: &'static str,
    pub clients: &'static [usize],
    pub judge: Judge,
    /// How many times better than mlflow, and than FastTrackML. None: better at all.
    pub floor: (f64, f64),
    /// FastTrackML has no model registry.
    pub registry: bool,
    /// An operation that takes the incumbents long: fewer of them, and few rounds at 64 clients.
    pub heavy: bool,
    pub write: fn(&mut World, usize, &mut Vec<u8>),
}

const CPU: Operation = Operation {
    name: "",
    clients: &[1, 8, 64],
    judge: Judge::Cpu,
    floor: (50.0, 3.0),
    registry: false,
    heavy: false,
    write: |_, _, _| (),
};
const SEARCH: Operation = Operation { judge: Judge::LatencyAndCpu, floor: (50.0, 5.0), heavy: true, ..CPU };

pub const ALL: &[Operation] = &[
    Operation { name: "log-metric", write: log_metric, ..CPU },
    Operation { name: "runs/get", write: get_run, ..CPU },
    Operation { name: "create-run", write: create_run, ..CPU },
    Operation { name: "registered-models/get", registry: true, write: get_model, ..CPU },
    Operation { name: "model-versions/get", registry: true, write: get_version, ..CPU },
    Operation { name: "get-latest-versions", registry: true, write: get_latest_versions, ..CPU },
    Operation {
        name: "log-metric, 64 clients",
        clients: &[64],
        judge: Judge::Rate,
        floor: (40.0, 1.0),
        write: log_metric,
        ..CPU
    },
    Operation {
        name: "log-metric, 256 clients",
        clients: &[256],
        judge: Judge::Rate,
        floor: (80.0, 1.0),
        write: log_metric,
        ..CPU
    },
    Operation {
        name: "log-batch 1 key x 1000 steps",
        floor: (100.0, 10.0),
        heavy: true,
        write: |w, c, o| log_batch(w, c, o, 1, 1000),
        ..CPU
    },
    Operation {
        name: "log-batch 1000 keys x 1 step",
        floor: (30.0, 10.0),
        heavy: true,
        write: |w, c, o| log_batch(w, c, o, 1000, 1),
        ..CPU
    },
    Operation {
        name: "log-batch 20 keys x 50 steps",
        floor: (80.0, 10.0),
        heavy: true,
        write: |w, c, o| log_batch(w, c, o, 20, 50),
        ..CPU
    },
    Operation { name: "search 100 runs, plain", write: |w, _, o| search(w, o, 100, "", ""), ..SEARCH },
    Operation { name: "search 1000 runs, plain", write: |w, _, o| search(w, o, 1000, "", ""), ..SEARCH },
    Operation { name: "search 100 runs, filtered", write: |w, _, o| search(w, o, 100, FILTER, ""), ..SEARCH },
    Operation { name: "search 1000 runs, filtered", write: |w, _, o| search(w, o, 1000, FILTER, ""), ..SEARCH },
    Operation { name: "search 100 runs, ordered by metric", write: |w, _, o| search(w, o, 100, "", ORDER), ..SEARCH },
    Operation { name: "search 1000 runs, ordered by metric", write: |w, _, o| search(w, o, 1000, "", ORDER), ..SEARCH },
    Operation { name: "get-history of 20k points", floor: (50.0, 10.0), write: get_history, ..SEARCH },
];

/// Holds for about a fifth of the runs.
pub const FILTER: &str = "metrics.metric_3 < 0.8 AND params.optimizer = 'adam' AND tags.stage = 'prod'";
pub const ORDER: &str = "metrics.metric_1 DESC";

fn post(out: &mut Vec<u8>, path: &str, body: &[u8]) {
    write_request(out, "POST", path, body);
}

fn get(out: &mut Vec<u8>, path: &str) {
    write_request(out, "GET", path, b"");
}

/// Milliseconds that go on as a training run's clock does.
fn time(counter: usize) -> u64 {
    1_760_000_000_000 + counter as u64 * 37
}

fn log_metric(world: &mut World, client: usize, out: &mut Vec<u8>) {
    world.counter += 1;
    let n = world.counter;
    let value = f64::from((1.0 + 0.1 * world.random.normal()) as f32);
    let run = &world.write_runs[client];
    let body = format!(
        r#"{{"run_uuid":"{run}","run_id":"{run}","key":"loss","value":{value},"timestamp":{},"step":{n}}}"#,
        time(n)
    );
    post(out, "/api/2.0/mlflow/runs/log-metric", body.as_bytes());
}

fn get_run(world: &mut World, _client: usize, out: &mut Vec<u8>) {
    let run = &world.runs[(world.random.next() % world.runs.len() as u64) as usize];
    get(out, &format!("/api/2.0/mlflow/runs/get?run_uuid={run}&run_id={run}"));
}

fn create_run(world: &mut World, client: usize, out: &mut Vec<u8>) {
    world.counter += 1;
    let body = json!({
        "experiment_id": world.write_experiment,
        "start_time": time(world.counter),
        "run_name": format!("made-{client}-{}", world.counter),
        "tags": [
            {"key": "mlflow.user", "value": "bench"},
            {"key": "mlflow.source.name", "value": "train.py"},
            {"key": "mlflow.source.type", "value": "LOCAL"},
        ],
    });
    post(out, "/api/2.0/mlflow/runs/create", body.to_string().as_bytes());
}

fn some_model(world: &mut World) -> String {
    model_name((world.random.next() % MODELS as u64) as usize)
}

fn get_model(world: &mut World, _client: usize, out: &mut Vec<u8>) {
    get(out, &format!("/api/2.0/mlflow/registered-models/get?name={}", some_model(world)));
}

fn get_version(world: &mut World, _client: usize, out: &mut Vec<u8>) {
    get(out, &format!("/api/2.0/mlflow/model-versions/get?name={}&version=3", some_model(world)));
}

fn get_latest_versions(world: &mut World, _client: usize, out: &mut Vec<u8>) {
    let body = json!({"name": some_model(world), "stages": ["Production"]});
    post(out, "/api/2.0/mlflow/registered-models/get-latest-versions", body.to_string().as_bytes());
}

fn log_batch(world: &mut World, client: usize, out: &mut Vec<u8>, keys: usize, steps: usize) {
    let mut body = std::mem::take(&mut world.body);
    body.clear();
    let _ = write!(body, r#"{{"run_id":"{}","metrics":["#, world.write_runs[client]);
    for step in 0..steps {
        world.counter += 1;
        let n = world.counter;
        for key in 0..keys {
            let value = f64::from((1.0 + 0.1 * world.random.unit()) as f32);
            let comma = if step == 0 && key == 0 { "" } else { "," };
            let _ = write!(
                body,
                r#"{comma}{{"key":"batch{keys}/metric_{key}","value":{value},"timestamp":{},"step":{n}}}"#,
                time(n)
            );
        }
    }
    body.extend_from_slice(br#"],"params":[],"tags":[]}"#);
    post(out, "/api/2.0/mlflow/runs/log-batch", &body);
    world.body = body;
}

/// The body of a search, as the client sends it.
pub fn search_body(world: &World, count: usize, filter: &str, order: &str) -> Value {
    let order: &[&str] = if order.is_empty() { &[] } else { &[order] };
    json!({
        "experiment_ids": [world.search_experiment],
        "filter": filter,
        "order_by": order,
        "max_results": count,
        "run_view_type": "ACTIVE_ONLY",
    })
}

fn search(world: &mut World, out: &mut Vec<u8>, count: usize, filter: &str, order: &str) {
    post(out, "/api/2.0/mlflow/runs/search", search_body(world, count, filter, order).to_string().as_bytes());
}

fn get_history(world: &mut World, _client: usize, out: &mut Vec<u8>) {
    let run = &world.history_run;
    get(out, &format!("/api/2.0/mlflow/metrics/get-history?run_uuid={run}&run_id={run}&metric_key=loss"));
}
