//! Histories of metrics: whole, in pages, of many runs at once, and thinned out as MLflow does it.
//!
//! A history is what the blocks and the chunks of a series hold together, each point once, in the order of time, step and
//! value. Chunks are read by the beginning of their time, a few at a time: a page costs the same wherever it lies.

use std::ops::ControlFlow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::Store;
use crate::db::{Conn, Weight, params};
use crate::error::{Error, Result};
use crate::metrics::corrupt;
use crate::points::{self, Point};
use crate::search::Page;

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
        let limit = max_results.unwrap_or(usize::MAX);
        let (items, more) = self.metric_history_after(run_id, key, after, limit).await?;
        let next_page_token = items.last().filter(|_| more).map(write_token);
        Ok(Page { items, next_page_token })
    }

    /// The points of a history behind `after`, at most `limit`, and whether there are more.
    pub async fn metric_history_after(
        &self,
        run_id: String,
        key: String,
        after: Option<Point>,
        limit: usize,
    ) -> Result<(Vec<Point>, bool)> {
        self.db
            .read(Weight::Heavy, move |db| {
                let Some((run, key)) = series(db, &run_id, &key)? else { return Ok((vec![], false)) };
                let mut points = first(db, run, key, after.as_ref(), limit)?;
                if let Some(after) = after {
                    points.retain(|point| point.cmp_history(&after).is_gt());
                }
                let more = points.len() > limit;
                points.truncate(limit);
                Ok((points, more))
            })
            .await
    }

    /// Where a page token of [`Store::metric_history`] says to go on.
    pub fn metric_history_token(token: &str) -> Result<Point> {
        read_token(token)
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
                    let mut points = match series(db, &run_id, &key)? {
                        Some((run, key)) => first(db, run, key, None, left)?,
                        None => vec![],
                    };
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
        self.db
            .read(Weight::Heavy, move |db| {
                let mut histories = Vec::new();
                for run_id in run_ids {
                    let mut points = match series(db, &run_id, &key)? {
                        Some((run, key)) => first(db, run, key, None, usize::MAX)?,
                        None => vec![],
                    };
                    if let Some((from, to)) = steps {
                        points.retain(|point| (from..=to).contains(&point.step));
                    }
                    // Stable: points of one step stay by time and value.
                    points.sort_by_key(|point| point.step);
                    histories.push(RunHistory { run_id, points: sample_evenly(points, max_results) });
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

/// At least the first `limit + 1` points behind `after` (and perhaps some before it), in the order of a history.
fn first(db: &Conn, run: i64, key: u32, after: Option<&Point>, limit: usize) -> Result<Vec<Point>> {
    let mut page = Vec::new();
    waiting(db, run, key, &mut page)?;
    // A few more than the page should take; all at once if everything is wanted.
    let mut batch = if limit == usize::MAX { i64::MAX } else { i64::try_from(limit / 1024).unwrap_or(0) + 2 };
    let mut known = 0;
    loop {
        let (read, enough) = chunks(db, (run, key), after, limit, (known, batch), &mut page)?;
        known += read;
        if enough || read < batch {
            break;
        }
        batch = batch.saturating_mul(2);
    }
    points::merge_sorted_dedup(&mut page);
    Ok(page)
}

/// Decodes the next `batch` chunks; their number, and whether the page is complete.
fn chunks(
    db: &Conn,
    (run, key): (i64, u32),
    after: Option<&Point>,
    limit: usize,
    (known, batch): (i64, i64),
    page: &mut Vec<Point>,
) -> Result<(i64, bool)> {
    // Bounded, since PostgreSQL sends all that it finds.
    let sql = "SELECT first_timestamp, data FROM metric_chunk WHERE run = ?1 AND key = ?2 AND last_timestamp >= ?3
               ORDER BY first_timestamp, id LIMIT ?4 OFFSET ?5";
    let from = after.map_or(i64::MIN, |point| point.timestamp);
    let (mut read, mut enough) = (0, false);
    db.each(sql, params![run, key, from, batch, known], |row| {
        let next: i64 = row.get(0)?;
        read += 1;
        if page.len() > limit {
            // Enough, once as many different points as are asked for lie wholly before this chunk and all behind it.
            points::merge_sorted_dedup(page);
            let behind = page.iter().filter(|point| after.is_none_or(|after| point.cmp_history(after).is_gt()));
            if behind.take_while(|point| point.timestamp < next).nth(limit).is_some() {
                enough = true;
                return Ok(ControlFlow::Break(()));
            }
        }
        points::decode_chunk(row.blob(1)?, page).map_err(corrupt)?;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok((read, enough))
}

/// Points of a series that still lie in blocks.
fn waiting(db: &Conn, run: i64, key: u32, into: &mut Vec<Point>) -> Result<()> {
    db.each("SELECT data FROM metric_block WHERE run = ?1 ORDER BY seq", params![run], |row| {
        points::decode_block_key(row.blob(0)?, key, into).map_err(corrupt)?;
        Ok(ControlFlow::Continue(()))
    })
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

    #[test]
    fn samples_lie_where_mlflow_puts_them() {
        let steps = |n: i64, most| {
            let line = (0..n).map(|step| Point { timestamp: step, step, value: 0.0 }).collect();
            sample_evenly(line, most).iter().map(|point| point.step).collect::<Vec<_>>()
        };
        assert_eq!(steps(1000, 5), [0, 200, 400, 600, 999]);
        assert_eq!(steps(11, 5), [0, 3, 5, 7, 10]);
        assert_eq!(steps(3, 5), [0, 1, 2]);
        assert_eq!(steps(3, 1), [2]);
    }
}
