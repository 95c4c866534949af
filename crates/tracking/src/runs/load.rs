//! What hangs on runs, of many at once: a page is a handful of statements, not a handful for each run.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::{Found, LatestMetric, Run, RunInfo};
use crate::datasets;
use crate::db::{Conn, Row, Sql};
use crate::error::Result;
use crate::{Param, Tag};

/// Runs that are read together.
const TOGETHER: usize = 1000;

/// Which parts of a run are wanted; by default all of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunColumns {
    pub metrics: Keys,
    pub params: Keys,
    pub tags: Keys,
    /// Leaves out data sets and models that went in or came out.
    pub without_inputs_and_outputs: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Keys {
    #[default]
    All,
    These(Vec<String>),
}

impl Keys {
    fn none(&self) -> bool {
        matches!(self, Keys::These(keys) if keys.is_empty())
    }
}

pub(super) fn one(db: &Conn, found: Found) -> Result<Run> {
    let mut runs = Runs::new(vec![found]);
    runs.load(db, &RunColumns::default())?;
    Ok(runs.runs.remove(0))
}

/// The runs of these rows, in their order.
pub(super) fn many(db: &Conn, rows: &[i64], columns: &RunColumns) -> Result<Vec<Run>> {
    let mut all = Vec::with_capacity(rows.len());
    for rows in rows.chunks(TOGETHER) {
        let which = db.dialect().any("id", "?1");
        let sql = format!("{} WHERE {which}", super::SELECT_RUN);
        let found = db.rows(&sql, &[Sql::Integers(rows.to_vec())], super::from_row)?;
        let mut by_row: HashMap<i64, Found> = found.into_iter().map(|found| (found.row, found)).collect();
        let mut runs = Runs::new(rows.iter().filter_map(|row| by_row.remove(row)).collect());
        runs.load(db, columns)?;
        all.append(&mut runs.runs);
    }
    Ok(all)
}

struct Runs {
    rows: Vec<i64>,
    place: HashMap<i64, usize>,
    runs: Vec<Run>,
}

impl Runs {
    fn new(found: Vec<Found>) -> Runs {
        let rows: Vec<i64> = found.iter().map(|found| found.row).collect();
        Runs {
            place: rows.iter().enumerate().map(|(place, row)| (*row, place)).collect(),
            rows,
            runs: found.into_iter().map(|found| bare(found.info)).collect(),
        }
    }

    fn load(&mut self, db: &Conn, columns: &RunColumns) -> Result<()> {
        let metrics = "SELECT m.run, k.name, m.value, m.nan, m.timestamp, m.step FROM latest_metric m JOIN metric_key k ON k.id = m.key";
        self.each(db, metrics, "m.run", Some(("k.name", &columns.metrics)), "m.run, m.key", |run, row| {
            let nan: bool = row.get(3)?;
            let value = if nan { f64::NAN } else { row.get(2)? };
            run.metrics.push(LatestMetric { key: row.get(1)?, value, timestamp: row.get(4)?, step: row.get(5)? });
            Ok(())
        })?;
        let params = "SELECT run, key, value FROM param";
        self.each(db, params, "run", Some(("key", &columns.params)), "run, key", |run, row| {
            run.params.push(Param { key: row.get(1)?, value: row.get(2)? });
            Ok(())
        })?;
        let tags = "SELECT run, key, value FROM tag";
        self.each(db, tags, "run", Some(("key", &columns.tags)), "run, key", |run, row| {
            run.tags.push(Tag { key: row.get(1)?, value: row.get(2)? });
            Ok(())
        })?;
        if columns.without_inputs_and_outputs {
            return Ok(());
        }
        let models = "SELECT run, direction, model_id, step FROM run_model";
        self.each(db, models, "run", None, "run, direction, model_id", |run, row| {
            if row.get::<i64>(1)? == datasets::MODEL_IN {
                run.model_inputs.push(row.get(2)?);
            } else {
                run.model_outputs.push((row.get(2)?, row.get(3)?));
            }
            Ok(())
        })?;
        let mut with_datasets = Vec::new();
        let which = db.dialect().any("run", "?1");
        let sql = format!("SELECT DISTINCT run FROM run_dataset WHERE {which}");
        db.each(&sql, &[Sql::Integers(self.rows.clone())], |row| {
            with_datasets.push(row.get::<i64>(0)?);
            Ok(ControlFlow::Continue(()))
        })?;
        for row in with_datasets {
            if let Some(place) = self.place.get(&row) {
                self.runs[*place].datasets = datasets::of_run(db, row)?;
            }
        }
        Ok(())
    }

    /// Hands each row of a table, whose first column names the run, to its run.
    fn each(
        &mut self,
        db: &Conn,
        select: &str,
        run: &str,
        keys: Option<(&str, &Keys)>,
        order: &str,
        mut read: impl FnMut(&mut Run, &Row) -> Result<()>,
    ) -> Result<()> {
        if keys.is_some_and(|(_, keys)| keys.none()) {
            return Ok(());
        }
        // One run is the common case, and an engine plans it best as an equality.
        let (mut which, mut parameters) = match self.rows[..] {
            [row] => (format!("{run} = ?1"), vec![Sql::Integer(row)]),
            _ => (db.dialect().any(run, "?1"), vec![Sql::Integers(self.rows.clone())]),
        };
        if let Some((column, Keys::These(keys))) = keys {
            which.push_str(&format!(" AND {}", db.dialect().any(column, "?2")));
            parameters.push(Sql::texts(keys.iter().map(String::as_str)));
        }
        let sql = format!("{select} WHERE {which} ORDER BY {order}");
        let Runs { place, runs, .. } = self;
        db.each(&sql, &parameters, |row| {
            if let Some(place) = place.get(&row.get(0)?) {
                read(&mut runs[*place], row)?;
            }
            Ok(ControlFlow::Continue(()))
        })
    }
}

fn bare(info: RunInfo) -> Run {
    Run {
        info,
        metrics: vec![],
        params: vec![],
        tags: vec![],
        datasets: vec![],
        model_inputs: vec![],
        model_outputs: vec![],
    }
}
