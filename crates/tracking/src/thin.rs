//! Thinning: of runs that ended long ago, long histories of metrics give way to samples, when an operator asks for it.
//!
//! A series keeps the first, smallest, largest and last point of each of some hundred stretches, as a chart shows it. The
//! latest values, by which is searched and ordered, stay. As in packing, what was read on a snapshot is swapped in one
//! short transaction, which changes nothing if somebody else was quicker. A series that was thinned is short: another
//! run over the same database finds nothing to do, and one that was killed goes on.

use std::time::{Duration, Instant};

use crate::Store;
use crate::charts::sample_extremes;
use crate::db::{Conn, Dialect, Tx, Weight, params};
use crate::error::{Error, Result};
use crate::metrics::corrupt;
use crate::points;

/// Runs that are looked at with one statement.
const AT_ONCE: usize = 100;

/// What is thinned.
#[derive(Debug, Clone, Copy)]
pub struct ThinRules {
    /// Runs that ended then or before, in milliseconds since the epoch.
    pub ended_before: i64,
    /// Points that a series keeps at most; no fewer than 4.
    pub keep: usize,
}

/// What was thinned, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Thinned {
    pub runs: u64,
    pub series: u64,
    /// Points that went.
    pub points: u64,
}

/// A series as it was read.
struct Series {
    run: i64,
    key: u32,
    chunks: Vec<i64>,
    points: u64,
}

impl Store {
    /// Thins the next runs after the row `after`, or with `dry_run` counts. Returns where to go on, `None` at the end.
    pub async fn thin_metrics(
        &self,
        rules: ThinRules,
        after: Option<i64>,
        dry_run: bool,
    ) -> Result<(Thinned, Option<i64>)> {
        let rules = ThinRules { keep: rules.keep.max(4), ..rules };
        let runs: Vec<i64> = self
            .db
            .read(Weight::Heavy, move |db| {
                db.rows(
                    "SELECT id FROM run WHERE id > ?1 AND lifecycle < 2 AND status IN ('FINISHED', 'FAILED', 'KILLED')
                     AND end_time <= ?2 ORDER BY id LIMIT ?3",
                    params![after.unwrap_or(i64::MIN), rules.ended_before, AT_ONCE],
                    |row| row.get(0),
                )
            })
            .await?;
        let next = runs.last().copied().filter(|_| runs.len() == AT_ONCE);
        let mut thinned = Thinned::default();
        for run in runs {
            let long = self.db.read(Weight::Heavy, move |db| long_series(db, run, rules.keep)).await?;
            thinned.runs += u64::from(!long.is_empty());
            for series in long {
                let count = series.points;
                let kept = match dry_run {
                    true => rules.keep as u64,
                    false => self.thin_series(series, rules.keep).await?,
                };
                thinned.series += 1;
                thinned.points += count.saturating_sub(kept);
            }
        }
        Ok((thinned, next))
    }

    /// Returns how many points are left.
    async fn thin_series(&self, series: Series, keep: usize) -> Result<u64> {
        let start = Instant::now();
        let chunks = series.chunks.clone();
        let mut all = self.db.read(Weight::Heavy, move |db| read(db, &chunks)).await?;
        points::merge_sorted_dedup(&mut all);
        // Stable: points of one step stay by time and value, so that the latest one is the last.
        all.sort_by_key(|point| point.step);
        let mut kept = sample_extremes(all, keep);
        points::merge_sorted_dedup(&mut kept);
        let left = kept.len() as u64;
        let made: Vec<_> = kept.chunks(points::MAX_CHUNK_POINTS).map(points::encode_chunk).collect();
        let bytes = made.iter().map(|(_, data)| data.len() + 64).sum();
        self.db.write(bytes, move |tx| swap(tx, &series, &made)).await?;
        // Half of the time belongs to the servers.
        tokio::time::sleep(start.elapsed().min(Duration::from_millis(200))).await;
        Ok(left)
    }
}

/// The series of a run that have more packed points than are kept. The few points that wait in a block stay.
fn long_series(db: &Conn, run: i64, keep: usize) -> Result<Vec<Series>> {
    let sql = "SELECT key, CAST(sum(points) AS BIGINT) FROM metric_chunk WHERE run = ?1 GROUP BY key HAVING sum(points) > ?2 ORDER BY key";
    let found: Vec<(u32, i64)> = db.rows(sql, params![run, keep], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let sql = "SELECT id FROM metric_chunk WHERE run = ?1 AND key = ?2 ORDER BY id";
    found
        .into_iter()
        .map(|(key, points)| {
            let chunks = db.rows(sql, params![run, key], |row| row.get(0))?;
            Ok(Series { run, key, chunks, points: u64::try_from(points).unwrap_or(0) })
        })
        .collect()
}

fn read(db: &Conn, chunks: &[i64]) -> Result<Vec<points::Point>> {
    let mut all = Vec::new();
    for chunk in chunks {
        // One that is gone was packed anew meanwhile; the swap will see it.
        db.row("SELECT data FROM metric_chunk WHERE id = ?1", params![*chunk], |row| {
            points::decode_chunk(row.blob(0)?, &mut all).map_err(corrupt)
        })?;
    }
    Ok(all)
}

fn swap(tx: &Tx, series: &Series, made: &[(points::ChunkSummary, Vec<u8>)]) -> Result<()> {
    let db = tx.db;
    let there = match db.dialect() {
        Dialect::Sqlite => "SELECT 1 FROM run WHERE id = ?1 AND lifecycle < 2",
        Dialect::Postgres => "SELECT 1 FROM run WHERE id = ?1 AND lifecycle < 2 FOR SHARE",
    };
    let overtaken =
        || Error::Busy("A server has packed these points anew meanwhile. Thin once more in a moment.".to_owned());
    db.row(there, params![series.run], |row| row.get::<i64>(0))?.ok_or_else(overtaken)?;
    let sql = format!("DELETE FROM metric_chunk WHERE run = ?1 AND {}", db.dialect().any("id", "?2"));
    if db.execute(&sql, params![series.run, series.chunks.clone()])? != series.chunks.len() {
        return Err(overtaken());
    }
    for (summary, data) in made {
        db.execute(
            "INSERT INTO metric_chunk (run, key, points, first_timestamp, last_timestamp, min_step, max_step, data)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                series.run,
                series.key,
                summary.count,
                summary.first_timestamp,
                summary.last_timestamp,
                summary.min_step,
                summary.max_step,
                data
            ],
        )?;
    }
    Ok(())
}
