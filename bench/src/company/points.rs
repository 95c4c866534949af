//! A hundred million metric points: what they take on disk on either engine, and whether the pages of a run, of a long
//! history and of a chart care how many others there are.
//!
//! Points go in through the store itself, a thousand a batch, by several writers at once. Runs have one metric of 100,000
//! points, as a training loop computes it in single precision, a step each tenth of a second or so.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use trackway_testkit::services::Postgres;
use trackway_tracking::{Backend, Metric, NewRun, Options, PostgresConfig, RunStatus, RunUpdate, Store};

use super::record::{Floor, Row, Section};
use super::{POSTGRESQL, Run, database, postgresql, postgresql_version, version};
use crate::http;
use crate::measure::median;
use crate::report::number;
use crate::servers::{Database, Kind, Server, Setup};

const PART: &str = "points";
const API: &str = "/api/2.0/mlflow";
const KEY: &str = "loss";

/// Points of a run, and of the one that has a long history.
const EACH: i64 = 100_000;
const LONG: i64 = 1_000_000;
/// Runs of a chart.
const CHART: usize = 100;
const WRITERS: usize = 8;

const BYTES: f64 = 6.0;
const CHART_MS: f64 = 500.0;
const HISTORY: f64 = 50.0;
/// A run page among all points may take so much of the time among a hundredth of them.
const NO_SLOWER: f64 = 0.8;

pub fn measure(run: &Run) -> Result<Section> {
    let rows = ["SQLite: disk", "SQLite: pages", "PostgreSQL: disk", "PostgreSQL: pages"];
    if !rows.iter().any(|row| run.wanted(PART, row)) {
        return Ok(Section::default());
    }
    let runs = if run.small { 110 } else { 1000 };
    let mut section = Section::default();
    let postgres = postgresql()?;
    section.about.push(format!(
        "{}, {}; {runs} runs of {EACH} points and one of {LONG}",
        version(Kind::Trackway)?,
        postgresql_version(&postgres)?
    ));
    section.about.push(POSTGRESQL.to_owned());
    section.about.push(
        "Bytes are those of the database file, or of all tables and indexes of the schema with their TOAST, after VACUUM (not FULL)"
            .to_owned(),
    );
    section.about.push(
        "A run page is runs/get and get-history-bulk-interval of one run; the figure beside it is that with ten runs stored"
            .to_owned(),
    );
    if run.wanted(PART, "SQLite") {
        let folder = run.folder("points-sqlite")?;
        let file = folder.join(Kind::Trackway.database_file());
        let backend = Backend::Sqlite(file.clone());
        let setup = Setup::default();
        let size = || Ok(std::fs::metadata(&file)?.len());
        engine("SQLite", run, runs, &backend, &folder, &setup, &size, None, &mut section)?;
        super::remove(&file)?;
    }
    if run.wanted(PART, "PostgreSQL") {
        let ours = database(&postgres, Kind::Trackway.name())?;
        let backend = Backend::Postgres(PostgresConfig::parse(&ours.url, &|_| None)?);
        let setup = Setup { database: Some(ours), ..Default::default() };
        let size = || disk(&postgres);
        let folder = run.folder("points-postgres")?;
        engine("PostgreSQL", run, runs, &backend, &folder, &setup, &size, Some(&postgres), &mut section)?;
    }
    Ok(section)
}

fn disk(postgres: &Postgres) -> Result<u64> {
    let sql = "VACUUM (ANALYZE);
        SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
        WHERE relnamespace = 'trackway'::regnamespace AND relkind = 'r'";
    let answer = postgres.query(Kind::Trackway.name(), sql)?;
    Ok(answer.lines().last().context("PostgreSQL told no size")?.trim().parse()?)
}

#[allow(clippy::too_many_arguments)]
fn engine(
    name: &str,
    run: &Run,
    runs: usize,
    backend: &Backend,
    folder: &Path,
    setup: &Setup,
    size: &dyn Fn() -> Result<u64>,
    postgres: Option<&Postgres>,
    section: &mut Section,
) -> Result<()> {
    let mut ids = fill(name, backend, 10, EACH)?;
    let few = pages(run, folder, setup, &ids)?;
    let before = size()?;
    ids.extend(fill(name, backend, runs - 10, EACH)?);
    let stored = (size()? - before) as f64 / ((runs - 10) as f64 * EACH as f64);
    let long = fill(name, backend, 1, LONG)?.remove(0);
    section.rows.push(Row {
        name: format!("{name}: disk, {} M points", runs as i64 * EACH / 1_000_000),
        unit: "bytes a point".to_owned(),
        ours: stored,
        other: None,
        floor: Floor::AtMost(BYTES),
    });
    if let Some(postgres) = postgres {
        postgres.query(Kind::Trackway.name(), "VACUUM (ANALYZE)")?;
    }
    let many = pages(run, folder, setup, &ids)?;
    section.rows.push(Row {
        name: format!("{name}: pages of a run"),
        unit: "ms".to_owned(),
        ours: many,
        other: Some(("with 1 M points".to_owned(), few)),
        floor: Floor::Ratio { is: few / many, least: NO_SLOWER },
    });
    let server = Server::start_as(Kind::Trackway, folder, true, setup)?;
    let wanted: Vec<_> = ids[..CHART].iter().map(|id| format!("run_ids={id}")).collect();
    let path = format!("/api/3.0/trackway/metrics/chart?metric_key={KEY}&{}", wanted.join("&"));
    section.rows.push(Row {
        name: format!("{name}: pages: a chart of {CHART} runs"),
        unit: "ms".to_owned(),
        ours: time(run.rounds, server.address, &[path])?,
        other: None,
        floor: Floor::AtMost(CHART_MS),
    });
    let path = format!("{API}/metrics/get-history?run_id={long}&metric_key={KEY}");
    let ours = time(run.rounds, server.address, &[path])?;
    server.stop()?;
    let theirs = postgres.map(|postgres| mlflow(run, postgres)).transpose()?;
    section.rows.push(Row {
        name: format!("{name}: pages: get-history of {LONG} points"),
        unit: "ms".to_owned(),
        ours,
        other: theirs.map(|theirs| ("MLflow".to_owned(), theirs)),
        floor: theirs.map_or(Floor::None, |theirs| Floor::Ratio { is: theirs / ours, least: HISTORY }),
    });
    Ok(())
}

/// Logs runs of so many points, and ends them. Returns their ids once all is packed.
fn fill(engine: &str, backend: &Backend, runs: usize, points: i64) -> Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let begin = Instant::now();
    let ids = runtime.block_on(async {
        let store = Store::open(backend, "mlflow-artifacts:/", &Options::default()).await?;
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            let store = store.clone();
            let runs = (writer..runs).step_by(WRITERS);
            writers.push(tokio::spawn(async move {
                let mut ids = Vec::new();
                for number in runs {
                    ids.push(log_run(&store, number, points).await?);
                }
                Ok::<_, anyhow::Error>(ids)
            }));
        }
        let mut ids = Vec::new();
        for writer in writers {
            ids.extend(writer.await??);
        }
        let logged = begin.elapsed().as_secs_f64();
        tokio::task::spawn_blocking(move || store.close()).await?;
        let rate = runs as f64 * points as f64 / logged;
        eprintln!(
            "  {engine}: {runs} runs of {points} points in {logged:.1} s ({} points/s), packed after {:.1} s",
            number(rate),
            begin.elapsed().as_secs_f64()
        );
        Ok::<_, anyhow::Error>(ids)
    })?;
    Ok(ids)
}

async fn log_run(store: &Store, number: usize, points: i64) -> Result<String> {
    let new = NewRun { experiment_id: 0, start_time: 1, name: format!("run-{number}"), ..NewRun::default() };
    let id = store.create_run(new).await?.info.run_id;
    let mut state = number as u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 16_777_216.0
    };
    let mut timestamp = 1_760_000_000_000;
    for batch in 0..points / 1000 {
        let metrics = (batch * 1000..(batch + 1) * 1000)
            .map(|step| {
                timestamp += 98 + i64::from((noise() * 5.0) as i32);
                let value = f64::from(2.0 * (-(step as f32) / 30_000.0).exp() + 0.3 + noise() * 0.05);
                Metric { key: KEY.to_owned(), value, timestamp, step, ..Metric::default() }
            })
            .collect();
        store.log_batch(id.clone(), metrics, vec![], vec![]).await?;
    }
    let ended = RunUpdate { status: Some(RunStatus::Finished), ..RunUpdate::default() };
    store.update_run(id.clone(), ended).await?;
    Ok(id)
}

/// Milliseconds of what a run page asks for.
fn pages(run: &Run, folder: &Path, setup: &Setup, ids: &[String]) -> Result<f64> {
    let server = Server::start_as(Kind::Trackway, folder, true, setup)?;
    let id = &ids[ids.len() / 2];
    let asked = [
        format!("{API}/runs/get?run_id={id}"),
        format!("/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={id}&metric_key={KEY}&max_results=320"),
    ];
    let time = time(run.rounds * 5, server.address, &asked)?;
    server.stop()?;
    Ok(time)
}

/// The median time of asking for all of these, after one round that does not count.
fn time(rounds: usize, address: std::net::SocketAddr, paths: &[String]) -> Result<f64> {
    let mut times = Vec::new();
    for round in 0..=rounds {
        let begin = Instant::now();
        for path in paths {
            let (status, answer) = http::exchange(address, "GET", path, b"")?;
            ensure!(status == 200, "{path} was answered {status}: {}", String::from_utf8_lossy(&answer));
            ensure!(answer.len() > 100, "{path} was answered by nothing");
        }
        if round > 0 {
            times.push(begin.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(median(times))
}

/// MLflow's time for the history of a run that has as many points, which are put into its tables past it.
fn mlflow(run: &Run, postgres: &Postgres) -> Result<f64> {
    Kind::Mlflow.prepare()?;
    let theirs: Database = database(postgres, Kind::Mlflow.name())?;
    let folder = run.folder("points-mlflow")?;
    let setup = Setup { database: Some(theirs), ..Default::default() };
    let server = Server::start_as(Kind::Mlflow, &folder, false, &setup)?;
    let body = serde_json::json!({"experiment_id": "0", "run_name": "long", "start_time": 1});
    let made = server.call("POST", &format!("{API}/runs/create"), Some(&body))?;
    let id = made["run"]["info"]["run_id"].as_str().context("a run has an id")?.to_owned();
    let sql = format!(
        "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan)
         SELECT '{KEY}', 2 * exp(-n / 30000.0) + 0.3 + random() * 0.05, 1760000000000 + n * 100, '{id}', n, false
         FROM generate_series(0, {}) n; VACUUM (ANALYZE)",
        LONG - 1
    );
    for statement in sql.split(';') {
        postgres.query(Kind::Mlflow.name(), statement)?;
    }
    server.settled_cpu(0.1)?;
    std::thread::sleep(Duration::from_secs(1));
    let path = format!("{API}/metrics/get-history?run_id={id}&metric_key={KEY}");
    let time = time(run.rounds, server.address, &[path])?;
    server.stop()?;
    Ok(time)
}
