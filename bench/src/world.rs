//! The data that every server is filled with: the same runs, metrics, params and tags, from a fixed seed.
//!
//! Ten thousand runs of 10 params, 10 metrics and 5 tags to search among, one run with a metric of 20,000 points, and 20
//! registered models with 5 versions each. The incumbents take minutes to fill, so their filled directories are kept in
//! the user's cache, under the server's version and [`GENERATION`].

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::http::write_request;
use crate::load::{Load, Until};
use crate::servers::{Kind, Server};

/// To be raised when what is filled changes.
pub const GENERATION: u32 = 1;
pub const HISTORY_POINTS: usize = 20_000;
pub const MODELS: usize = 20;
const VERSIONS: usize = 5;
const START: i64 = 1_700_000_000_000;
const API: &str = "/api/2.0/mlflow";

/// SplitMix64: the same numbers on every machine and for every server.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1), with all 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Roughly normal: the sum of twelve uniform numbers.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// Ids on one server of what was filled, and where operations may write.
pub struct World {
    pub search_experiment: String,
    pub write_experiment: String,
    /// Ids of the runs to search among, in the order of their numbers.
    pub runs: Vec<String>,
    pub history_run: String,
    /// One run for each client to write to.
    pub write_runs: Vec<String>,
    /// Counts the requests, so that each writes new points.
    pub counter: usize,
    pub random: Random,
    pub body: Vec<u8>,
}

/// Where the benchmarks keep their data.
pub fn cache_base() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(base.join("trackway/bench"))
}

pub fn cache_directory(kind: Kind, version: &str, runs: usize) -> Result<PathBuf> {
    Ok(cache_base()?.join(format!("{}-{version}-{runs}-runs-generation-{GENERATION}", kind.name())))
}

/// A directory for `kind` under `scratch` with the filled database, made from the cache where there is one.
/// Trackway is filled anew each time.
pub fn filled_directory(kind: Kind, version: &str, runs: usize, scratch: &Path) -> Result<PathBuf> {
    let directory = scratch.join(kind.name());
    let cache = cache_directory(kind, version, runs)?;
    if kind != Kind::Trackway && cache.join(kind.database_file()).exists() {
        fs::create_dir_all(&directory)?;
        for entry in fs::read_dir(&cache)? {
            let entry = entry?;
            fs::copy(entry.path(), directory.join(entry.file_name()))?;
        }
        return Ok(directory);
    }
    let begin = Instant::now();
    eprintln!("filling {kind} with {runs} runs …");
    let server = Server::start(kind, &directory, true)?;
    // The first answer comes before all of mlflow's workers are up.
    server.settled_cpu(0.1)?;
    fill(&server, runs)?;
    server.stop()?;
    crate::servers::database(kind, &directory)?;
    eprintln!("  filled in {:.1} s", begin.elapsed().as_secs_f64());
    if kind != Kind::Trackway {
        // Under another name first: a broken copy must not look like a filled cache.
        let partial = cache.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        fs::create_dir_all(&partial)?;
        fs::copy(directory.join(kind.database_file()), partial.join(kind.database_file()))?;
        fs::rename(&partial, &cache)?;
    }
    Ok(directory)
}

fn create_experiment(server: &Server, name: &str) -> Result<String> {
    let answer = server.call("POST", &format!("{API}/experiments/create"), Some(&json!({"name": name})))?;
    text(&answer["experiment_id"])
}

fn experiment(server: &Server, name: &str) -> Result<String> {
    let answer = server.call("GET", &format!("{API}/experiments/get-by-name?experiment_name={name}"), None)?;
    text(&answer["experiment"]["experiment_id"])
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().with_context(|| format!("expected a string, found {value}"))?.to_owned())
}

/// The run of a number, as `runs/create` takes it (metrics and params follow by `log-batch`).
fn run_body(experiment: &str, number: usize) -> Value {
    let mut random = Random(number as u64);
    let team = ["vision", "speech", "ranking", "fraud"][(random.next() % 4) as usize];
    json!({
        "experiment_id": experiment,
        "run_name": format!("run-{number:05}"),
        "start_time": START + number as i64 * 1000,
        "tags": [
            {"key": "stage", "value": if random.next().is_multiple_of(2) { "prod" } else { "dev" }},
            {"key": "team", "value": team},
            {"key": "mlflow.source.name", "value": "train.py"},
            {"key": "mlflow.source.type", "value": "LOCAL"},
            {"key": "git.branch", "value": format!("feature/{}", random.next() % 40)},
        ],
    })
}

fn batch_body(run: &str, number: usize) -> Value {
    let mut random = Random(0x1000_0000 + number as u64);
    let time = START + number as i64 * 1000 + 500;
    let metrics: Vec<Value> = (0..10)
        .map(|k| json!({"key": format!("metric_{k}"), "value": random.unit(), "timestamp": time, "step": k}))
        .collect();
    let mut params =
        vec![json!({"key": "optimizer", "value": if random.next().is_multiple_of(2) { "adam" } else { "sgd" }})];
    params.extend((1..10).map(|k| json!({"key": format!("param_{k}"), "value": format!("{:.6}", random.unit())})));
    json!({"run_id": run, "metrics": metrics, "params": params})
}

/// Fills an empty server.
pub fn fill(server: &Server, runs: usize) -> Result<()> {
    let search = create_experiment(server, "bench-search")?;
    let write = create_experiment(server, "bench-write")?;
    let mut number = 0;
    fire(server, runs, &mut |out| {
        write_request(out, "POST", &format!("{API}/runs/create"), run_body(&search, number).to_string().as_bytes());
        number += 1;
    })?;
    let ids = run_ids(server, &search, runs)?;
    let mut number = 0;
    fire(server, runs, &mut |out| {
        let body = batch_body(&ids[number], number).to_string();
        write_request(out, "POST", &format!("{API}/runs/log-batch"), body.as_bytes());
        number += 1;
    })?;

    let body = json!({"experiment_id": write, "run_name": "history", "start_time": START});
    let answer = server.call("POST", &format!("{API}/runs/create"), Some(&body))?;
    let run = text(&answer["run"]["info"]["run_id"])?;
    let mut random = Random(7);
    for first in (0..HISTORY_POINTS).step_by(1000) {
        let points: Vec<Value> = (first..first + 1000)
            .map(|step| {
                let value = f64::from((2.0 / (1.0 + step as f64 / 500.0) + 0.05 * random.normal()) as f32);
                json!({"key": "loss", "value": value, "timestamp": START + step as i64 * 40, "step": step})
            })
            .collect();
        server.call("POST", &format!("{API}/runs/log-batch"), Some(&json!({"run_id": run, "metrics": points})))?;
    }
    if server.kind.has_registry() {
        for model in 0..MODELS {
            fill_model(server, &model_name(model))?;
        }
    }
    Ok(())
}

pub fn model_name(number: usize) -> String {
    format!("model-{number:02}")
}

fn fill_model(server: &Server, name: &str) -> Result<()> {
    let post = |path: &str, body: Value| server.call("POST", &format!("{API}/{path}"), Some(&body));
    let tags = json!([{"key": "team", "value": "vision"}, {"key": "task", "value": "classification"}]);
    post("registered-models/create", json!({"name": name, "description": "A model of the benchmark.", "tags": tags}))?;
    for version in 1..=VERSIONS {
        let source = format!("s3://bucket/{name}/{version}");
        let tags = json!([{"key": "checked", "value": "yes"}]);
        post(
            "model-versions/create",
            json!({"name": name, "source": source, "description": "A version.", "tags": tags}),
        )?;
    }
    let stage = |version: &str, stage: &str| {
        let body = json!({"name": name, "version": version, "stage": stage, "archive_existing_versions": false});
        post("model-versions/transition-stage", body)
    };
    stage("3", "Production")?;
    stage("4", "Staging")?;
    post("registered-models/alias", json!({"name": name, "alias": "champion", "version": "3"}))?;
    Ok(())
}

/// Sends `count` requests over eight connections; each must be answered 200.
pub fn fire(server: &Server, count: usize, make: &mut dyn FnMut(&mut Vec<u8>)) -> Result<()> {
    let mut load = Load::connect(server.address, 8.min(count), true)?;
    let outcome = load.drive(Until::count(count), &mut |_, out| make(out))?;
    if let Some(error) = outcome.first_error {
        bail!("{} answered {} of {count} requests with an error, the first: {error}", server.kind, outcome.errors);
    }
    Ok(())
}

/// Ids of the runs `run-00000` … in the order of their numbers.
fn run_ids(server: &Server, experiment: &str, runs: usize) -> Result<Vec<String>> {
    let mut by_name = HashMap::new();
    // FastTrackML 0.6.0 refuses its own page tokens, so there it is one page; mlflow's supervisor kills a worker that
    // is busy with one answer for more than five seconds, so there it is many.
    let page = if server.kind == Kind::FastTrackMl { runs + 1 } else { 500 };
    let mut body = json!({"experiment_ids": [experiment], "max_results": page});
    loop {
        let answer = server.call("POST", &format!("{API}/runs/search"), Some(&body))?;
        for run in answer["runs"].as_array().context("runs/search answered no runs")? {
            by_name.insert(text(&run["info"]["run_name"])?, text(&run["info"]["run_id"])?);
        }
        match answer["next_page_token"].as_str() {
            Some(token) if !token.is_empty() && by_name.len() < runs => body["page_token"] = json!(token),
            _ => break,
        }
    }
    ensure!(by_name.len() == runs, "{} found {} runs where {runs} were filled", server.kind, by_name.len());
    let id = |n| by_name.remove(&format!("run-{n:05}")).with_context(|| format!("run-{n:05} is not there"));
    (0..runs).map(id).collect()
}

impl World {
    /// Finds the filled data again and makes a run to write to for each of `clients`.
    pub fn open(server: &Server, runs: usize, clients: usize) -> Result<World> {
        let search_experiment = experiment(server, "bench-search")?;
        let write_experiment = experiment(server, "bench-write")?;
        let ids = run_ids(server, &search_experiment, runs)?;
        let mut number = 0;
        fire(server, clients, &mut |out| {
            let name = format!("writer-{number:03}");
            let body = json!({"experiment_id": write_experiment, "run_name": name, "start_time": START + number});
            write_request(out, "POST", &format!("{API}/runs/create"), body.to_string().as_bytes());
            number += 1;
        })?;
        // Told apart here and not by a filter: FastTrackML's knows no run names.
        let body = json!({"experiment_ids": [write_experiment], "max_results": 1000});
        let found = server.call("POST", &format!("{API}/runs/search"), Some(&body))?;
        let mut write_runs = Vec::new();
        let mut history_run = None;
        for run in found["runs"].as_array().context("the runs to write to are not there")? {
            let id = text(&run["info"]["run_id"])?;
            match text(&run["info"]["run_name"])?.as_str() {
                "history" => history_run = Some(id),
                name if name.starts_with("writer-") => write_runs.push(id),
                _ => {}
            }
        }
        let history_run = history_run.context("the run with the long history is not there")?;
        ensure!(
            write_runs.len() == clients,
            "{} has {} runs to write to instead of {clients}",
            server.kind,
            write_runs.len()
        );
        let random = Random(42);
        Ok(World {
            search_experiment,
            write_experiment,
            runs: ids,
            history_run,
            write_runs,
            counter: 0,
            random,
            body: Vec::new(),
        })
    }
}
