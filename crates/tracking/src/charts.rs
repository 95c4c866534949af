//! Charts: a metric of many runs, thinned out so that every peak and every dip stays visible.
//!
//! The runs are dealt out to several readers, each with a connection of its own: decompressing is most of the work.

use std::collections::HashMap;
use std::ops::ControlFlow;

use futures_util::future;

use crate::Store;
use crate::db::{Conn, Weight, params};
use crate::error::Result;
use crate::histories::RunHistory;
use crate::metrics::corrupt;
use crate::points::{self, Point};

/// Readers that work on one chart.
const READERS: usize = 4;

/// What runs along the bottom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Axis {
    #[default]
    Step,
    Time,
}

#[derive(Debug, Clone, Default)]
pub struct Chart {
    pub run_ids: Vec<String>,
    pub key: String,
    pub axis: Axis,
    /// First and last step or time that is shown.
    pub range: Option<(i64, i64)>,
    /// Of each run.
    pub max_points: usize,
}

impl Store {
    /// At most `max_points` points a run, in the order of the axis. Each stretch of equal length gives its first,
    /// smallest, largest and last point. A run that is not known has none.
    pub async fn chart(&self, chart: Chart) -> Result<Vec<RunHistory>> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let readers = cores.min(READERS).min(chart.run_ids.len()).max(1);
        let dealt = (0..readers).map(|first| {
            let run_ids = chart.run_ids.iter().skip(first).step_by(readers).cloned().collect();
            let part = Chart { run_ids, ..chart.clone() };
            self.db.read(Weight::Heavy, move |db| draw(db, &part))
        });
        let mut parts: Vec<_> = future::try_join_all(dealt).await?.into_iter().map(|part| part.into_iter()).collect();
        Ok((0..chart.run_ids.len()).filter_map(|place| parts[place % readers].next()).collect())
    }
}

fn draw(db: &Conn, chart: &Chart) -> Result<Vec<RunHistory>> {
    let mut runs: HashMap<String, i64> = HashMap::new();
    let sql = format!("SELECT uuid, id FROM run WHERE {}", db.dialect().any("uuid", "?1"));
    db.each(&sql, params![chart.run_ids.clone()], |row| {
        runs.insert(row.get(0)?, row.get(1)?);
        Ok(ControlFlow::Continue(()))
    })?;
    let key: Option<u32> =
        db.row("SELECT id FROM metric_key WHERE name = ?1", params![&chart.key], |row| row.get(0))?;
    let mut waiting: HashMap<i64, Vec<Point>> = HashMap::new();
    if let Some(key) = key {
        let sql = format!("SELECT run, data FROM metric_block WHERE {}", db.dialect().any("run", "?1"));
        db.each(&sql, params![runs.values().copied().collect::<Vec<i64>>()], |row| {
            let into = waiting.entry(row.get(0)?).or_default();
            points::decode_block_key(row.blob(1)?, key, into).map_err(corrupt)?;
            Ok(ControlFlow::Continue(()))
        })?;
    }
    let mut drawn = Vec::with_capacity(chart.run_ids.len());
    for run_id in &chart.run_ids {
        let mut points = Vec::new();
        if let (Some(run), Some(key)) = (runs.get(run_id), key) {
            points.extend_from_slice(waiting.get(run).map_or(&[], Vec::as_slice));
            chunks(db, *run, key, chart, &mut points)?;
            arrange(&mut points, chart);
        }
        drawn.push(RunHistory { run_id: run_id.clone(), points: sample_extremes(points, chart.max_points) });
    }
    Ok(drawn)
}

fn chunks(db: &Conn, run: i64, key: u32, chart: &Chart, into: &mut Vec<Point>) -> Result<()> {
    let (first, last) = match chart.axis {
        Axis::Step => ("min_step", "max_step"),
        Axis::Time => ("first_timestamp", "last_timestamp"),
    };
    let (from, to) = chart.range.unwrap_or((i64::MIN, i64::MAX));
    let sql = format!(
        "SELECT data FROM metric_chunk WHERE run = ?1 AND key = ?2 AND {last} >= ?3 AND {first} <= ?4 ORDER BY first_timestamp"
    );
    db.each(&sql, params![run, key, from, to], |row| {
        points::decode_chunk(row.blob(0)?, into).map_err(corrupt)?;
        Ok(ControlFlow::Continue(()))
    })
}

fn arrange(points: &mut Vec<Point>, chart: &Chart) {
    points::merge_sorted_dedup(points);
    let x = match chart.axis {
        Axis::Step => |point: &Point| point.step,
        Axis::Time => |point: &Point| point.timestamp,
    };
    if let Some((from, to)) = chart.range {
        points.retain(|point| (from..=to).contains(&x(point)));
    }
    if !points.is_sorted_by_key(x) {
        // Stable: points of one step stay by time and value.
        points.sort_by_key(x);
    }
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
        let (mut smallest, mut largest) = (None::<usize>, None::<usize>);
        for (place, point) in part.iter().enumerate().filter(|(_, point)| !point.value.is_nan()) {
            if smallest.is_none_or(|smallest| point.value < part[smallest].value) {
                smallest = Some(place);
            }
            if largest.is_none_or(|largest| point.value > part[largest].value) {
                largest = Some(place);
            }
        }
        let mut places = vec![0, part.len() - 1];
        places.extend(smallest.into_iter().chain(largest));
        places.sort_unstable();
        places.dedup();
        kept.extend(places.into_iter().map(|place| part[place]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_keep_peaks_and_dips() {
        let mut points: Vec<Point> = (0..100_000).map(|step| Point { timestamp: step, step, value: 0.0 }).collect();
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
