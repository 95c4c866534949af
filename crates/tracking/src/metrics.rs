//! Metrics as time series: appending, histories and samples.
//!
//! A request's points are appended as one small block for the run, all keys together. `packing` makes compressed
//! chunks of one key each of them later. Points are a set: one that is sent twice is there once, wherever its copies lie.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::db::{Conn, Dialect, Done, Sql, Tx, Weight, params};
use crate::error::{Error, Result};
use crate::points::{self, Point};
use crate::search::Page;
use crate::{Store, limits};

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

/// The points of one run, for charts and bulk reads.
#[derive(Debug, Clone)]
pub struct RunHistory {
    pub run_id: String,
    pub points: Vec<Point>,
}

impl Store {
    /// The history of a metric by time, step and value; an unknown run or key has none, as in MLflow.
    /// Without `max_results` all of it.
    pub async fn metric_history(
        &self,
        run_id: String,
        key: String,
        max_results: Option<usize>,
        page_token: Option<String>,
    ) -> Result<Page<Point>> {
        let after = page_token.filter(|token| !token.is_empty()).map(|token| read_token(&token)).transpose()?;
        self.db
            .read(Weight::Heavy, move |db| {
                let Some((run, key)) = series(db, &run_id, &key)? else {
                    return Ok(Page { items: vec![], next_page_token: None });
                };
                let mut points = match (max_results, after) {
                    (Some(limit), _) => history_page(db, run, key, after.as_ref(), limit)?,
                    (None, _) => history(db, run, key, after.map(|point| point.timestamp))?,
                };
                if let Some(after) = after {
                    points.retain(|point| point.cmp_history(&after).is_gt());
                }
                let mut next_page_token = None;
                if let Some(limit) = max_results
                    && points.len() > limit
                {
                    points.truncate(limit);
                    next_page_token = points.last().map(write_token);
                }
                Ok(Page { items: points, next_page_token })
            })
            .await
    }

    /// Histories of one metric for many runs, ordered by run id, at most `max_results` points in all.
    pub async fn metric_history_bulk(
        &self,
        mut run_ids: Vec<String>,
        key: String,
        max_results: usize,
    ) -> Result<Vec<RunHistory>> {
        run_ids.sort();
        run_ids.dedup();
        self.db
            .read(Weight::Heavy, move |db| {
                let mut left = max_results;
                let mut histories = Vec::new();
                for run_id in run_ids {
                    if left == 0 {
                        break;
                    }
                    let mut points = history_by_name(db, &run_id, &key)?;
                    points.truncate(left);
                    left -= points.len();
                    histories.push(RunHistory { run_id, points });
                }
                Ok(histories)
            })
            .await
    }

    /// At most `max_results` points a run, evenly spread over its rows by step, first and last kept: what MLflow 3.17
    /// does with NTILE. A run that is asked for twice comes twice.
    pub async fn metric_history_sampled(
        &self,
        run_ids: Vec<String>,
        key: String,
        max_results: usize,
        steps: Option<(i64, i64)>,
    ) -> Result<Vec<RunHistory>> {
        self.histories_by_step(run_ids, key, steps, move |points| sample_evenly(points, max_results)).await
    }

    /// For charts: at most `max_points` a run by step, in which every peak and every dip stays visible. Each stretch of
    /// equal length gives its first, smallest, largest and last point.
    pub async fn metric_chart(
        &self,
        run_ids: Vec<String>,
        key: String,
        max_points: usize,
        steps: Option<(i64, i64)>,
    ) -> Result<Vec<RunHistory>> {
        self.histories_by_step(run_ids, key, steps, move |points| sample_extremes(points, max_points)).await
    }

    async fn histories_by_step(
        &self,
        run_ids: Vec<String>,
        key: String,
        steps: Option<(i64, i64)>,
        sample: impl Fn(Vec<Point>) -> Vec<Point> + Send + 'static,
    ) -> Result<Vec<RunHistory>> {
        self.db
            .read(Weight::Heavy, move |db| {
                let mut histories = Vec::new();
                for run_id in run_ids {
                    let mut points = history_by_name(db, &run_id, &key)?;
                    if let Some((from, to)) = steps {
                        points.retain(|point| (from..=to).contains(&point.step));
                    }
                    // Stable: points of one step stay by time and value.
                    points.sort_by_key(|point| point.step);
                    histories.push(RunHistory { run_id, points: sample(points) });
                }
                Ok(histories)
            })
            .await
    }
}

/// The numbers of a run and of a metric's name; `None` when either is unknown.
fn series(db: &Conn, run_id: &str, key: &str) -> Result<Option<(i64, u32)>> {
    let found = db.row(
        "SELECT r.id, k.id FROM run r, metric_key k WHERE r.uuid = ?1 AND k.name = ?2",
        params![run_id, key],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(found)
}

fn history_by_name(db: &Conn, run_id: &str, key: &str) -> Result<Vec<Point>> {
    match series(db, run_id, key)? {
        Some((run, key)) => history(db, run, key, None),
        None => Ok(vec![]),
    }
}

/// All points of a series in history order; with `from`, chunks that end before that time are left out unread.
fn history(db: &Conn, run: i64, key: u32, from: Option<i64>) -> Result<Vec<Point>> {
    let mut all = Vec::new();
    db.each(
        "SELECT data FROM metric_chunk WHERE run = ?1 AND key = ?2 AND last_timestamp >= ?3 ORDER BY first_timestamp",
        params![run, key, from.unwrap_or(i64::MIN)],
        |row| {
            points::decode_chunk(row.blob(0)?, &mut all).map_err(corrupt)?;
            Ok(ControlFlow::Continue(()))
        },
    )?;
    waiting(db, run, key, &mut all)?;
    points::merge_sorted_dedup(&mut all);
    Ok(all)
}

/// At least the first `limit + 1` points behind `after`, reading no more chunks than that takes.
fn history_page(db: &Conn, run: i64, key: u32, after: Option<&Point>, limit: usize) -> Result<Vec<Point>> {
    let mut page = Vec::new();
    waiting(db, run, key, &mut page)?;
    let from = after.map_or(i64::MIN, |point| point.timestamp);
    let chunks = "SELECT first_timestamp, data FROM metric_chunk WHERE run = ?1 AND key = ?2 AND last_timestamp >= ?3 ORDER BY first_timestamp";
    db.each(chunks, params![run, key, from], |row| {
        let first: i64 = row.get(0)?;
        if page.len() > limit {
            // Enough, once as many different points as are asked for lie wholly before this chunk and all behind it.
            points::merge_sorted_dedup(&mut page);
            let behind = page.iter().filter(|point| after.is_none_or(|after| point.cmp_history(after).is_gt()));
            if behind.take_while(|point| point.timestamp < first).nth(limit).is_some() {
                return Ok(ControlFlow::Break(()));
            }
        }
        points::decode_chunk(row.blob(1)?, &mut page).map_err(corrupt)?;
        Ok(ControlFlow::Continue(()))
    })?;
    points::merge_sorted_dedup(&mut page);
    Ok(page)
}

/// Points of a series that still lie in blocks.
fn waiting(db: &Conn, run: i64, key: u32, into: &mut Vec<Point>) -> Result<()> {
    db.each("SELECT data FROM metric_block WHERE run = ?1 ORDER BY seq", params![run], |row| {
        points::decode_block_key(row.blob(0)?, key, into).map_err(corrupt)?;
        Ok(ControlFlow::Continue(()))
    })
}

pub(crate) fn corrupt(error: impl std::fmt::Display) -> Error {
    Error::Storage(error.to_string())
}

/// Appends metrics to a run inside the writer's transaction, checked before.
pub(crate) fn append(tx: &Tx, run: i64, run_id: &str, metrics: &[Metric]) -> Result<()> {
    if metrics.is_empty() {
        return Ok(());
    }
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
    let bytes = store(tx.db, run, &block)?;
    tx.done(Done::Appended { run, bytes });
    append_to_models(tx, run_id, metrics)
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
fn store(db: &Conn, run: i64, block: &[(u32, Point)]) -> Result<usize> {
    let latest = latest(block);
    match db.dialect() {
        Dialect::Sqlite => {
            let sql = format!("INSERT INTO latest_metric AS m VALUES (?1, ?2, ?3, ?4, ?5, ?6) {NEWER}");
            for (key, point) in latest {
                let Point { timestamp, step, value } = point;
                db.execute(&sql, params![run, key, zeroed(value), value.is_nan(), timestamp, step])?;
            }
            append_block(db, run, block)
        }
        Dialect::Postgres => {
            let data = encode(block);
            let size = data.len();
            let all = |number: fn(&(u32, Point)) -> i64| Sql::Integers(latest.iter().map(number).collect());
            let parameters = [
                Sql::Integer(run),
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
                "WITH block AS (INSERT INTO metric_block VALUES (?1, ?2, ?3, ?4))
                 INSERT INTO latest_metric AS m SELECT ?1, * FROM unnest(?5, ?6, ?7, ?8, ?9) {NEWER}"
            );
            db.execute(&sql, &parameters)?;
            Ok(size)
        }
    }
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

/// The first point of each of `most` stretches whose lengths differ by one at most (the longer ones first), and the last
/// point in place of the last one kept.
fn sample_evenly(points: Vec<Point>, most: usize) -> Vec<Point> {
    let most = most.max(1);
    if points.len() <= most {
        return points;
    }
    let (length, longer) = (points.len() / most, points.len() % most);
    let mut kept = Vec::with_capacity(most);
    let mut start = 0;
    for stretch in 0..most {
        kept.push(points[start]);
        start += length + usize::from(stretch < longer);
    }
    if let (Some(kept), Some(last)) = (kept.last_mut(), points.last()) {
        *kept = *last;
    }
    kept
}

pub(crate) fn sample_extremes(points: Vec<Point>, most: usize) -> Vec<Point> {
    if points.len() <= most.max(4) {
        return points;
    }
    let stretches = (most / 4).max(1);
    let mut kept = Vec::with_capacity(stretches * 4);
    for stretch in 0..stretches {
        let (from, to) = (points.len() * stretch / stretches, points.len() * (stretch + 1) / stretches);
        let part = &points[from..to];
        let numbers = || part.iter().enumerate().filter(|(_, point)| !point.value.is_nan());
        let smallest = numbers().min_by(|a, b| a.1.value.total_cmp(&b.1.value)).map(|(place, _)| place);
        let largest = numbers().max_by(|a, b| a.1.value.total_cmp(&b.1.value)).map(|(place, _)| place);
        let mut places = vec![0, part.len() - 1];
        places.extend(smallest.into_iter().chain(largest));
        places.sort_unstable();
        places.dedup();
        kept.extend(places.into_iter().map(|place| part[place]));
    }
    kept
}

fn write_token(last: &Point) -> String {
    BASE64.encode(serde_json::json!([last.timestamp, last.step, last.value.to_bits()]).to_string())
}

fn read_token(token: &str) -> Result<Point> {
    let bytes = BASE64.decode(token).map_err(|_| Error::invalid("Invalid page token, could not base64-decode"))?;
    let (timestamp, step, bits): (i64, i64, u64) = serde_json::from_slice(&bytes).map_err(|_| {
        Error::invalid("Invalid page token: it was not made for a metric history. Start again without a page token.")
    })?;
    Ok(Point { timestamp, step, value: f64::from_bits(bits) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: i64) -> Vec<Point> {
        (0..n).map(|step| Point { timestamp: step, step, value: 0.0 }).collect()
    }

    fn steps(points: &[Point]) -> Vec<i64> {
        points.iter().map(|point| point.step).collect()
    }

    #[test]
    fn samples_lie_where_mlflow_puts_them() {
        assert_eq!(steps(&sample_evenly(line(1000), 5)), [0, 200, 400, 600, 999]);
        assert_eq!(steps(&sample_evenly(line(11), 5)), [0, 3, 5, 7, 10]);
        assert_eq!(steps(&sample_evenly(line(3), 5)), [0, 1, 2]);
        assert_eq!(steps(&sample_evenly(line(3), 1)), [2]);
    }

    #[test]
    fn charts_keep_peaks_and_dips() {
        let mut points = line(100_000);
        points[12_345].value = 7.0;
        points[54_321].value = -7.0;
        points[777].value = f64::NAN;
        let kept = sample_extremes(points, 400);
        assert!(kept.len() <= 400);
        assert!(kept.iter().any(|point| point.value == 7.0 && point.step == 12_345));
        assert!(kept.iter().any(|point| point.value == -7.0 && point.step == 54_321));
        assert_eq!((kept[0].step, kept[kept.len() - 1].step), (0, 99_999));
        assert!(kept.is_sorted_by_key(|point| point.step));
    }
}
