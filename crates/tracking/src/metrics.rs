//! Metrics as they are logged: checked, appended, and the last point of each kept.
//!
//! A request's points are appended as one small block for the run, all keys together. `packing` makes compressed
//! chunks of one key each of them later. Points are a set: one that is sent twice is there once, wherever its copies lie.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::changes::{Change, Kind};
use crate::db::{Conn, Dialect, Done, Sql, Tx, params};
use crate::error::{Error, Result};
use crate::points::{self, Point};
use crate::runs::{self, Active};
use crate::{limits, rank};

/// One metric as a client logs it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metric {
    pub key: String,
    pub value: f64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    pub step: i64,
    /// The logged model that the metric is about.
    pub model_id: Option<String>,
    pub dataset_name: Option<String>,
    pub dataset_digest: Option<String>,
}

pub(crate) fn corrupt(error: impl std::fmt::Display) -> Error {
    Error::Storage(error.to_string())
}

/// Appends metrics, checked before, to a run that it locks.
pub(crate) fn append(tx: &Tx, run_id: &str, metrics: &[Metric]) -> Result<()> {
    let (run, bytes) = match tx.db.dialect() {
        Dialect::Sqlite => {
            let run = runs::active(tx.db, run_id)?;
            rank::unrank(tx.db, &run)?;
            let bytes = store_sqlite(tx.db, run.row, &block(tx, metrics)?)?;
            (run, bytes)
        }
        Dialect::Postgres => {
            let block = block(tx, metrics)?;
            if metrics.iter().all(|metric| metric.model_id.is_none()) {
                tx.bare();
            }
            store_postgres(tx.db, run_id, &block)?
        }
    };
    tx.done(Done::Appended { run: run.row, bytes });
    tx.changed(Change::run(run.experiment, run_id, Kind::Metrics));
    append_to_models(tx, run_id, metrics)
}

fn block(tx: &Tx, metrics: &[Metric]) -> Result<Vec<(u32, Point)>> {
    let mut block = Vec::with_capacity(metrics.len());
    let mut previous: Option<(&str, u32)> = None;
    for metric in metrics {
        let key = match previous {
            Some((name, key)) if name == metric.key => key,
            _ => tx.metric_key(&metric.key)?,
        };
        previous = Some((&metric.key, key));
        let point = Point { timestamp: metric.timestamp, step: metric.step, value: metric.value }.normalised();
        block.push((key, point));
    }
    Ok(block)
}

/// Appends a block. Blocks are only added and taken away, never changed, and a number is not given again: packing relies
/// on both.
pub(crate) fn append_block(db: &Conn, run: i64, block: &[(u32, Point)]) -> Result<usize> {
    let data = encode(block);
    let size = data.len();
    let sql = match db.dialect() {
        Dialect::Sqlite => BLOCK_SQLITE,
        Dialect::Postgres => "INSERT INTO metric_block VALUES (?1, ?2, ?3, ?4)",
    };
    db.execute(sql, params![run, block_number(), size, data])?;
    Ok(size)
}

/// Other processes may write to the file, with clocks of the same machine: the number is above the others of the run.
const BLOCK_SQLITE: &str = "INSERT INTO metric_block VALUES (?1, MAX(?2, COALESCE((SELECT max(seq) + 1 FROM metric_block WHERE run = ?1), 0)), ?3, ?4)";

fn encode(block: &[(u32, Point)]) -> Vec<u8> {
    let mut data = Vec::with_capacity(24 + block.len() * 12);
    points::encode_block(block, &mut data);
    data
}

/// Microseconds since the epoch, and different at each call of this process. Should two servers take the same for one run,
/// the database refuses the second, which then tries again.
fn block_number() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(time.as_micros()).unwrap_or(0);
    let next = |last: i64| Some(micros.max(last + 1));
    LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).map_or(micros, |last| micros.max(last + 1))
}

/// The last point of each key: the greatest by (step, timestamp, value), a NaN counting as 0, and of equals the one that
/// came first, as MLflow 3.17 does. Ordered by key.
fn latest(block: &[(u32, Point)]) -> Vec<(u32, Point)> {
    if block.len() == 1 {
        return block.to_vec();
    }
    let mut latest: HashMap<u32, Point> = HashMap::new();
    for (key, point) in block {
        let rank = |point: &Point| (point.step, point.timestamp);
        latest
            .entry(*key)
            .and_modify(|best| {
                let newer = rank(point).cmp(&rank(best)).then(zeroed(point.value).total_cmp(&zeroed(best.value)));
                if newer.is_gt() {
                    *best = *point;
                }
            })
            .or_insert(*point);
    }
    let mut latest: Vec<_> = latest.into_iter().collect();
    latest.sort_unstable_by_key(|(key, _)| *key);
    latest
}

const NEWER: &str = "ON CONFLICT (run, key) DO UPDATE SET value = excluded.value, nan = excluded.nan, timestamp = excluded.timestamp, step = excluded.step
    WHERE (excluded.step, excluded.timestamp, excluded.value) > (m.step, m.timestamp, m.value)";

/// Stores a block and the last points of its keys; the block's bytes.
fn store_sqlite(db: &Conn, run: i64, block: &[(u32, Point)]) -> Result<usize> {
    let sql = format!("INSERT INTO latest_metric AS m VALUES (?1, ?2, ?3, ?4, ?5, ?6) {NEWER}");
    for (key, point) in latest(block) {
        let Point { timestamp, step, value } = point;
        db.execute(&sql, params![run, key, zeroed(value), value.is_nan(), timestamp, step])?;
    }
    append_block(db, run, block)
}

/// The same on PostgreSQL, where locking the run is part of the one statement.
fn store_postgres(db: &Conn, run_id: &str, block: &[(u32, Point)]) -> Result<(Active, usize)> {
    let latest = latest(block);
    let data = encode(block);
    let size = data.len();
    let all = |number: fn(&(u32, Point)) -> i64| Sql::Integers(latest.iter().map(number).collect());
    let parameters = [
        Sql::from(run_id),
        Sql::Integer(block_number()),
        Sql::from(size),
        Sql::from(data),
        all(|(key, _)| i64::from(*key)),
        Sql::Reals(latest.iter().map(|(_, point)| zeroed(point.value)).collect()),
        all(|(_, point)| i64::from(point.value.is_nan())),
        all(|(_, point)| point.timestamp),
        all(|(_, point)| point.step),
    ];
    let sql = format!(
        "WITH r AS MATERIALIZED ({}), into_run AS (SELECT id FROM r WHERE lifecycle = 0 AND ranked = 0),
         block AS (INSERT INTO metric_block SELECT id, ?2, ?3, ?4 FROM into_run),
         latest AS (INSERT INTO latest_metric AS m SELECT id, g.* FROM into_run, unnest(?5, ?6, ?7, ?8, ?9) g WHERE true {NEWER})
         SELECT * FROM r",
        runs::LOCK_POSTGRES
    );
    let stored = || runs::check_locked(run_id, db.row(&sql, &parameters, runs::locked)?);
    let run = stored()?;
    if !run.ranked {
        return Ok((run, size));
    }
    // Nothing was stored, and the run may be held no more.
    rank::unrank(db, &runs::active(db, run_id)?)?;
    Ok((stored()?, size))
}

fn zeroed(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

/// Metrics that name a logged model are its metrics too.
fn append_to_models(tx: &Tx, run_id: &str, metrics: &[Metric]) -> Result<()> {
    for metric in metrics {
        let Some(model_id) = &metric.model_id else { continue };
        let known: Option<i64> =
            tx.db.row("SELECT 1 FROM logged_model WHERE id = ?1", params![model_id], |row| row.get(0))?;
        if known.is_none() {
            return Err(Error::BadRequest(format!(
                "The metric '{}' names the logged model '{model_id}', which does not exist. Create the model first.",
                metric.key
            )));
        }
        let value = Point { timestamp: 0, step: 0, value: metric.value }.normalised().value;
        tx.db.execute(
            "INSERT INTO logged_model_metric VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
            params![
                model_id,
                &metric.key,
                metric.timestamp,
                metric.step,
                run_id,
                // As MLflow stores it: a logged model's NaN is 0.
                zeroed(value),
                &metric.dataset_name,
                &metric.dataset_digest
            ],
        )?;
    }
    Ok(())
}

/// Checks what a client logs. `batch`: the fields are named with their place in the request.
pub(crate) fn check(metrics: &[Metric], batch: bool) -> Result<()> {
    // MLflow names the place only when there is more than one.
    let single = metrics.len() == 1 && !batch;
    let mut previous = "";
    for (position, metric) in metrics.iter().enumerate() {
        // A batch mostly repeats its keys: the same name is not judged twice in a row.
        let known = metric.key == previous && metric.timestamp >= 0;
        previous = &metric.key;
        if known && metric.dataset_name.is_none() && metric.dataset_digest.is_none() {
            continue;
        }
        let check = |path: &str| limits::check_metric(&metric.key, metric.value, metric.timestamp, path);
        if check("").is_err() {
            check(&if single { String::new() } else { format!("metrics[{position}]") })?;
        }
        if metric.dataset_name.is_some() != metric.dataset_digest.is_some() {
            return Err(Error::invalid("Both dataset_name and dataset_digest must be provided if one is provided"));
        }
    }
    Ok(())
}
