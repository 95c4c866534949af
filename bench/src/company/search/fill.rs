//! Runs straight into the tables of each server, as its own code would have written them: over HTTP, mlflow would take
//! hours. The schema is made by the server itself, which is started once before. Points of metrics are left out where
//! a table has the latest ones, which is all that a search reads.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, params};
use serde_json::json;
use trackway_testkit::services::postgres::Postgres;

use super::data::{self, Run};
use super::{Contender, Engine};
use crate::company::database;
use crate::servers::{Kind, Server, Setup};

pub(super) fn filled(
    kind: Kind,
    engine: Engine,
    directory: &Path,
    postgres: &Postgres,
    runs: usize,
) -> Result<Contender> {
    let store = match engine {
        Engine::Postgres => Some(database(postgres, kind.name())?),
        Engine::Sqlite => None,
    };
    let setup = Setup { database: store.clone(), ..Setup::default() };
    let store = store.map(|database| database.url);
    let start = || Server::start_as(kind, directory, true, &setup);
    let server = start()?;
    let made = server.call("POST", "/api/2.0/mlflow/experiments/create", Some(&json!({"name": "bench-search"})))?;
    let experiment = made["experiment_id"].as_str().context("the new experiment has no id")?.to_owned();
    server.stop()?;
    match (kind, &store) {
        (Kind::Trackway, None) => trackway_sqlite(&directory.join(kind.database_file()), &experiment, runs)?,
        (Kind::FastTrackMl, None) => fasttrackml(&directory.join(kind.database_file()), &experiment, runs)?,
        (Kind::Trackway, Some(url)) => trackway_postgres(url, &experiment, runs)?,
        (_, Some(url)) => mlflow_postgres(url, &experiment, runs)?,
        (Kind::Mlflow, None) => anyhow::bail!("mlflow is compared on PostgreSQL"),
    }
    let server = start()?;
    server.settled_cpu(0.1)?;
    Ok(Contender { kind, engine, server, experiment })
}

/// Metrics, as rows say them: number of the key, value, time.
fn points(run: &Run) -> impl Iterator<Item = (usize, f64, i64)> + '_ {
    run.metrics.iter().enumerate().map(|(key, value)| (key, *value, run.start + 500))
}

fn sqlite(path: &Path) -> Result<Connection> {
    let db = Connection::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -2000000; PRAGMA foreign_keys = OFF")?;
    Ok(db)
}

/// Rows in transactions of some ten thousand runs; the log is folded in at the end, and the statistics are made.
fn in_transactions(db: &Connection, runs: usize, mut put: impl FnMut(&Run) -> Result<()>) -> Result<()> {
    for number in 0..runs {
        if number % 20_000 == 0 {
            db.execute_batch(if number == 0 { "BEGIN" } else { "COMMIT; BEGIN" })?;
        }
        put(&data::run(number))?;
    }
    db.execute_batch("COMMIT")?;
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

fn trackway_sqlite(path: &Path, experiment: &str, runs: usize) -> Result<()> {
    let db = sqlite(path)?;
    let mut keys = Vec::new();
    for key in 0..10 {
        db.execute("INSERT INTO metric_key (name) VALUES (?1)", [data::metric_name(key)])?;
        keys.push(db.last_insert_rowid());
    }
    let mut run_row = db.prepare(
        "INSERT INTO run (uuid, experiment, name, user_id, status, start_time, end_time, artifact_uri, ranked)
         VALUES (?1, ?2, ?3, '', 'FINISHED', ?4, ?5, ?6, 1)",
    )?;
    let mut param = db.prepare("INSERT INTO param VALUES (?1, ?2, ?3)")?;
    let mut tag = db.prepare("INSERT INTO tag VALUES (?1, ?2, ?3)")?;
    let mut latest = db.prepare("INSERT INTO latest_metric VALUES (?1, ?2, ?3, 0, ?4, ?5)")?;
    let mut rank =
        db.prepare("INSERT INTO metric_rank (experiment, key, nan, value, run) VALUES (?1, ?2, 0, ?3, ?4)")?;
    in_transactions(&db, runs, |run| {
        let uri = format!("mlflow-artifacts:/{experiment}/{}/artifacts", run.uuid);
        run_row.execute(params![run.uuid, experiment, run.name, run.start, run.end, uri])?;
        let row = db.last_insert_rowid();
        for (key, value) in &run.params {
            param.execute(params![row, key, value])?;
        }
        for (key, value) in &run.tags {
            tag.execute(params![row, key, value])?;
        }
        for (key, value, time) in points(run) {
            latest.execute(params![row, keys[key], value, time, key as i64])?;
            rank.execute(params![experiment, keys[key], value, row])?;
        }
        Ok(())
    })
}

fn fasttrackml(path: &Path, experiment: &str, runs: usize) -> Result<()> {
    let db = sqlite(path)?;
    db.execute("INSERT OR IGNORE INTO contexts (id, json) VALUES (1, '{}')", [])?;
    let mut run_row = db.prepare(
        "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time,
            source_version, lifecycle_stage, artifact_uri, experiment_id, row_num)
         VALUES (?1, ?2, 'UNKNOWN', 'train.py', '', '', 'FINISHED', ?3, ?4, '', 'active', ?5, ?6, ?7)",
    )?;
    let mut param = db.prepare("INSERT INTO params (key, value_str, run_uuid) VALUES (?1, ?2, ?3)")?;
    let mut tag = db.prepare("INSERT INTO tags (key, value, run_uuid) VALUES (?1, ?2, ?3)")?;
    let mut latest = db.prepare(
        "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid, last_iter, context_id)
         VALUES (?1, ?2, ?3, ?4, 0, ?5, 1, 1)",
    )?;
    in_transactions(&db, runs, |run| {
        let uri = format!("file:///tmp/{}/artifacts", run.uuid);
        run_row.execute(params![run.uuid, run.name, run.start, run.end, uri, experiment, run.number as i64])?;
        for (key, value) in &run.params {
            param.execute(params![key, value, run.uuid])?;
        }
        for (key, value) in &run.tags {
            tag.execute(params![key, value, run.uuid])?;
        }
        for (key, value, time) in points(run) {
            latest.execute(params![data::metric_name(key), value, time, key as i64, run.uuid])?;
        }
        Ok(())
    })
}

fn trackway_postgres(url: &str, experiment: &str, runs: usize) -> Result<()> {
    let keys: Vec<String> = (0..10).map(|key| format!("({}, '{}')", key + 1, data::metric_name(key))).collect();
    psql(url, &format!("INSERT INTO trackway.metric_key (id, name) VALUES {}", keys.join(", ")))?;
    copy(
        url,
        "trackway.run (id, uuid, experiment, name, user_id, status, start_time, end_time, artifact_uri, ranked)",
        runs,
        |run, out| {
            let (id, uuid) = (run.number + 1, &run.uuid);
            writeln!(
                out,
                "{id}\t{uuid}\t{experiment}\t{}\t\tFINISHED\t{}\t{}\tmlflow-artifacts:/{experiment}/{uuid}/artifacts\t1",
                run.name, run.start, run.end
            )
        },
    )?;
    copy(url, "trackway.param (run, key, value)", runs, |run, out| {
        run.params.iter().try_for_each(|(key, value)| writeln!(out, "{}\t{key}\t{value}", run.number + 1))
    })?;
    copy(url, "trackway.tag (run, key, value)", runs, |run, out| {
        run.tags.iter().try_for_each(|(key, value)| writeln!(out, "{}\t{key}\t{value}", run.number + 1))
    })?;
    copy(url, "trackway.latest_metric (run, key, value, nan, timestamp, step)", runs, |run, out| {
        points(run).try_for_each(|(key, value, time)| {
            writeln!(out, "{}\t{}\t{value}\t0\t{time}\t{key}", run.number + 1, key + 1)
        })
    })?;
    copy(url, "trackway.metric_rank (experiment, key, nan, value, run)", runs, |run, out| {
        points(run)
            .try_for_each(|(key, value, _)| writeln!(out, "{experiment}\t{}\t0\t{value}\t{}", key + 1, run.number + 1))
    })?;
    psql(
        url,
        "SELECT setval(pg_get_serial_sequence('trackway.run', 'id'), (SELECT max(id) FROM trackway.run));
         SELECT setval(pg_get_serial_sequence('trackway.metric_key', 'id'), 10);",
    )?;
    psql(url, "VACUUM ANALYZE")
}

fn mlflow_postgres(url: &str, experiment: &str, runs: usize) -> Result<()> {
    let columns = "run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, \
                   source_version, lifecycle_stage, artifact_uri, experiment_id";
    copy(url, &format!("runs ({columns})"), runs, |run, out| {
        let uuid = &run.uuid;
        writeln!(
            out,
            "{uuid}\t{}\tUNKNOWN\t\t\t\tFINISHED\t{}\t{}\t\tactive\tmlflow-artifacts:/{experiment}/{uuid}/artifacts\t{experiment}",
            run.name, run.start, run.end
        )
    })?;
    copy(url, "params (key, value, run_uuid)", runs, |run, out| {
        run.params.iter().try_for_each(|(key, value)| writeln!(out, "{key}\t{value}\t{}", run.uuid))
    })?;
    copy(url, "tags (key, value, run_uuid)", runs, |run, out| {
        run.tags.iter().try_for_each(|(key, value)| writeln!(out, "{key}\t{value}\t{}", run.uuid))
    })?;
    copy(url, "latest_metrics (key, value, timestamp, step, is_nan, run_uuid)", runs, |run, out| {
        points(run).try_for_each(|(key, value, time)| {
            writeln!(out, "{}\t{value}\t{time}\t{key}\tf\t{}", data::metric_name(key), run.uuid)
        })
    })?;
    psql(url, "VACUUM ANALYZE")
}

fn psql(url: &str, sql: &str) -> Result<()> {
    let done = Command::new("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", url, "-c", sql])
        .stdout(Stdio::null())
        .status()
        .context("psql cannot be run: it comes with PostgreSQL's client")?;
    ensure!(done.success(), "psql ended with {done}");
    Ok(())
}

/// Rows by COPY, the runs' one after the other.
fn copy(
    url: &str,
    table: &str,
    runs: usize,
    mut rows: impl FnMut(&Run, &mut dyn Write) -> std::io::Result<()>,
) -> Result<()> {
    let mut child = Command::new("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", url, "-c", &format!("COPY {table} FROM STDIN")])
        .stdin(Stdio::piped())
        .spawn()
        .context("psql cannot be run: it comes with PostgreSQL's client")?;
    let mut out = BufWriter::with_capacity(1 << 20, child.stdin.take().context("psql has no input")?);
    let written = (0..runs).try_for_each(|number| rows(&data::run(number), &mut out)).and_then(|()| out.flush());
    drop(out);
    let done = child.wait()?;
    ensure!(done.success(), "psql could not copy into {table}: {done}");
    Ok(written?)
}
