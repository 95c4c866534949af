//! What hangs on runs, of many at once: a page is a handful of statements, not a handful for each run.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::{Found, LatestMetric, Run, RunInfo, RunStatus};
use crate::datasets;
use crate::db::{Conn, Row, Sql};
use crate::error::Result;
use crate::{Lifecycle, Param, Tag};

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

/// A run and all that hangs on it by one statement, where each costs a way to the server and a plan.
pub(super) fn at_once(db: &Conn, run_id: &str) -> Result<Option<Run>> {
    let sql = "WITH r AS MATERIALIZED (SELECT * FROM run WHERE uuid = ?1)
        SELECT 0, artifact_uri, name, id, experiment, start_time, lifecycle::int8, NULL::float8, user_id, status, end_time, uuid FROM r
        UNION ALL SELECT 1, k.name, NULL, m.key, m.timestamp, m.step, m.nan, m.value, NULL, NULL, NULL, NULL
            FROM r JOIN latest_metric m ON m.run = r.id JOIN metric_key k ON k.id = m.key
        UNION ALL SELECT 2, p.key, p.value, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL FROM r JOIN param p ON p.run = r.id
        UNION ALL SELECT 3, t.key, t.value, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL FROM r JOIN tag t ON t.run = r.id
        UNION ALL SELECT 4, m.model_id, NULL, m.direction, m.step, 0, 0, NULL, NULL, NULL, NULL, NULL FROM r JOIN run_model m ON m.run = r.id
        UNION ALL SELECT 5, NULL, NULL, x.dataset, 0, 0, 0, NULL, NULL, NULL, NULL, NULL FROM r JOIN run_dataset x ON x.run = r.id";
    let (mut found, mut metrics, mut with_datasets) = (None, Vec::new(), false);
    let (mut params, mut tags, mut models) = (Vec::new(), Vec::new(), Vec::new());
    db.bare();
    db.each(sql, &[Sql::from(run_id)], |row| {
        match row.get::<i64>(0)? {
            0 => {
                let info = RunInfo {
                    run_id: row.get(11)?,
                    experiment_id: row.get(4)?,
                    name: row.get(2)?,
                    user_id: row.get(8)?,
                    status: RunStatus::from_name(&row.text(9)?).unwrap_or(RunStatus::Running),
                    start_time: row.get(5)?,
                    end_time: row.get(10)?,
                    lifecycle: Lifecycle::from_number(row.get(6)?),
                    artifact_uri: row.get(1)?,
                };
                found = Some((row.get::<i64>(3)?, info));
            }
            1 => {
                let nan: bool = row.get(6)?;
                let value = if nan { f64::NAN } else { row.get(7)? };
                let (key, timestamp, step) = (row.get(1)?, row.get(4)?, row.get(5)?);
                metrics.push((row.get::<i64>(3)?, LatestMetric { key, value, timestamp, step }));
            }
            2 => params.push(Param { key: row.get(1)?, value: row.get(2)? }),
            3 => tags.push(Tag { key: row.get(1)?, value: row.get(2)? }),
            4 => models.push((row.get::<i64>(3)?, row.get::<String>(1)?, row.get::<i64>(4)?)),
            _ => with_datasets = true,
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let Some((row, info)) = found else { return Ok(None) };
    metrics.sort_unstable_by_key(|(key, _)| *key);
    params.sort_unstable_by(|a: &Param, b| a.key.cmp(&b.key));
    tags.sort_unstable_by(|a: &Tag, b| a.key.cmp(&b.key));
    models.sort_unstable();
    let (inputs, outputs): (Vec<_>, Vec<_>) =
        models.into_iter().partition(|(direction, _, _)| *direction == datasets::MODEL_IN);
    Ok(Some(Run {
        info,
        metrics: metrics.into_iter().map(|(_, metric)| metric).collect(),
        params,
        tags,
        datasets: if with_datasets { datasets::of_run(db, row)? } else { vec![] },
        model_inputs: inputs.into_iter().map(|(_, model, _)| model).collect(),
        model_outputs: outputs.into_iter().map(|(_, model, step)| (model, step)).collect(),
    }))
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
