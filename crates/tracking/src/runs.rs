//! Runs: one execution of training code each, with its params, tags, latest metrics, inputs and outputs.

mod load;
mod plan;
mod search;

use std::collections::{BTreeMap, BTreeSet};

use crate::changes::{Change, Kind};
use crate::datasets::DatasetInput;
use crate::db::{Conn, Dialect, Done, Row, Sql, Tx, Weight, params};
use crate::error::{Error, Result};
use crate::{Lifecycle, Param, Store, Tag, experiments, names, now, rank};

pub use load::{Keys, RunColumns};
pub use search::{RunPage, RunSearch};

/// The tag that mirrors a run's name; the two stay in step both ways.
pub(crate) const RUN_NAME_TAG: &str = "mlflow.runName";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    Running,
    Scheduled,
    Finished,
    Failed,
    Killed,
}

impl RunStatus {
    pub const ALL: [RunStatus; 5] =
        [RunStatus::Running, RunStatus::Scheduled, RunStatus::Finished, RunStatus::Failed, RunStatus::Killed];

    pub fn name(self) -> &'static str {
        match self {
            RunStatus::Running => "RUNNING",
            RunStatus::Scheduled => "SCHEDULED",
            RunStatus::Finished => "FINISHED",
            RunStatus::Failed => "FAILED",
            RunStatus::Killed => "KILLED",
        }
    }

    pub fn from_name(name: &str) -> Option<RunStatus> {
        RunStatus::ALL.into_iter().find(|status| status.name() == name)
    }

    /// No more points are expected, so that what was logged may be packed.
    fn has_ended(self) -> bool {
        matches!(self, RunStatus::Finished | RunStatus::Failed | RunStatus::Killed)
    }
}

/// Times are milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct RunInfo {
    /// 32 hexadecimal digits.
    pub run_id: String,
    pub experiment_id: i64,
    pub name: String,
    pub user_id: String,
    pub status: RunStatus,
    pub start_time: i64,
    pub end_time: Option<i64>,
    pub lifecycle: Lifecycle,
    pub artifact_uri: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub info: RunInfo,
    pub metrics: Vec<LatestMetric>,
    pub params: Vec<Param>,
    pub tags: Vec<Tag>,
    pub datasets: Vec<DatasetInput>,
    /// Ids of the logged models that went in.
    pub model_inputs: Vec<String>,
    /// Ids of the logged models that came out, each with the step.
    pub model_outputs: Vec<(String, i64)>,
}

/// The last point of one metric: the greatest by step, time and value.
#[derive(Debug, Clone, PartialEq)]
pub struct LatestMetric {
    pub key: String,
    pub value: f64,
    pub timestamp: i64,
    pub step: i64,
}

#[derive(Debug, Clone, Default)]
pub struct NewRun {
    pub experiment_id: i64,
    pub user_id: String,
    pub start_time: i64,
    pub tags: Vec<Tag>,
    /// Empty: taken from the tag `mlflow.runName`, else made up.
    pub name: String,
}

#[derive(Debug, Clone, Default)]
pub struct RunUpdate {
    pub status: Option<RunStatus>,
    pub end_time: Option<i64>,
    /// Empty leaves the name as it is.
    pub name: Option<String>,
}

impl Store {
    pub async fn create_run(&self, new: NewRun) -> Result<Run> {
        let run_id = uuid::Uuid::new_v4().simple().to_string();
        // Made once, however often the transaction runs.
        let run = described(&run_id, &new);
        self.db.create_run(&run_id, format!("{new:?}"), move |tx| create(tx, new.experiment_id, &run)).await
    }

    /// Also finds a deleted run, as MLflow does.
    pub async fn get_run(&self, run_id: String) -> Result<Run> {
        self.db
            .read(Weight::Light, move |db| match db.dialect() {
                Dialect::Sqlite => load::one(db, find(db, &run_id)?),
                Dialect::Postgres => load::at_once(db, &run_id)?.ok_or_else(|| not_found(&run_id)),
            })
            .await
    }

    pub async fn get_run_info(&self, run_id: String) -> Result<RunInfo> {
        self.db.read(Weight::Light, move |db| Ok(find(db, &run_id)?.info)).await
    }

    pub async fn update_run(&self, run_id: String, update: RunUpdate) -> Result<RunInfo> {
        self.db
            .write(256, move |tx| {
                let run = active(tx.db, &run_id)?;
                let (row, experiment) = (run.row, run.experiment);
                if update.status.is_some() || update.end_time.is_some() {
                    tx.db.execute(
                        "UPDATE run SET status = COALESCE(?2, status), end_time = COALESCE(?3, end_time) WHERE id = ?1",
                        params![row, update.status.map(RunStatus::name), update.end_time],
                    )?;
                }
                if let Some(name) = update.name.as_ref().filter(|name| !name.is_empty()) {
                    rename(tx.db, row, name)?;
                    set_tag(tx.db, row, RUN_NAME_TAG, name)?;
                }
                if update.status.is_some_and(RunStatus::has_ended) {
                    rank::rank(tx.db, &run)?;
                    tx.done(Done::Ended { run: row });
                }
                tx.changed(Change::run(experiment, &run_id, Kind::Updated));
                Ok(find(tx.db, &run_id)?.info)
            })
            .await
    }

    /// Deletes a run until it is restored or purged. Deleting it twice is no error, as in MLflow.
    pub async fn delete_run(&self, run_id: String) -> Result<()> {
        self.move_run(run_id, Lifecycle::Deleted).await
    }

    pub async fn restore_run(&self, run_id: String) -> Result<()> {
        self.move_run(run_id, Lifecycle::Active).await
    }

    async fn move_run(&self, run_id: String, to: Lifecycle) -> Result<()> {
        self.db
            .write(64, move |tx| {
                let found = find(tx.db, &run_id)?;
                let deleted_time = (to == Lifecycle::Deleted).then(now);
                if to == Lifecycle::Active && experiments::is_purging(tx.db, found.info.experiment_id)? {
                    return Err(purging(&run_id));
                }
                let moved = tx.db.execute(
                    "UPDATE run SET lifecycle = ?2, deleted_time = ?3 WHERE id = ?1 AND lifecycle < 2",
                    params![found.row, to.number(), deleted_time],
                )?;
                if moved == 0 && to == Lifecycle::Active {
                    return Err(purging(&run_id));
                }
                let kind = if to == Lifecycle::Deleted { Kind::Deleted } else { Kind::Restored };
                tx.changed(Change::run(found.info.experiment_id, &run_id, kind));
                Ok(())
            })
            .await
    }
}

/// A run's information with the number of its row, which everything else of the run is stored under.
pub(crate) struct Found {
    pub(crate) row: i64,
    pub(crate) info: RunInfo,
}

const SELECT_RUN: &str =
    "SELECT id, uuid, experiment, name, user_id, status, start_time, end_time, lifecycle, artifact_uri FROM run";

pub(crate) fn find(db: &Conn, run_id: &str) -> Result<Found> {
    db.row(&format!("{SELECT_RUN} WHERE uuid = ?1"), params![run_id], from_row)?.ok_or_else(|| not_found(run_id))
}

/// A run that may be written to, locked until the transaction ends.
pub(crate) struct Active {
    pub(crate) row: i64,
    pub(crate) experiment: i64,
    /// Whether its metrics are in their order for searches: see `rank.rs`.
    pub(crate) ranked: bool,
}

/// Whoever writes to a run holds its row: params are compared with what is there, and a run that is deleted meanwhile takes
/// no more.
pub(crate) const LOCK_POSTGRES: &str =
    "SELECT id, experiment, lifecycle, ranked FROM run WHERE uuid = ?1 FOR NO KEY UPDATE";

pub(crate) fn active(db: &Conn, run_id: &str) -> Result<Active> {
    let sql = match db.dialect() {
        Dialect::Sqlite => "SELECT id, experiment, lifecycle, ranked FROM run WHERE uuid = ?1",
        Dialect::Postgres => LOCK_POSTGRES,
    };
    check_locked(run_id, db.row(sql, params![run_id], locked)?)
}

/// Reads what [`LOCK_POSTGRES`] selects: the run, and its lifecycle.
pub(crate) fn locked(row: &Row) -> Result<(Active, i64)> {
    Ok((Active { row: row.get(0)?, experiment: row.get(1)?, ranked: row.get(3)? }, row.get(2)?))
}

pub(crate) fn check_locked(run_id: &str, found: Option<(Active, i64)>) -> Result<Active> {
    let (run, lifecycle) = found.ok_or_else(|| not_found(run_id))?;
    check_active(run_id, Lifecycle::from_number(lifecycle))?;
    Ok(run)
}

/// The row number and the experiment of a run that may be written to, locked until the transaction ends.
pub(crate) fn active_row(db: &Conn, run_id: &str) -> Result<(i64, i64)> {
    active(db, run_id).map(|run| (run.row, run.experiment))
}

fn check_active(run_id: &str, lifecycle: Lifecycle) -> Result<()> {
    if lifecycle == Lifecycle::Active {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "The run {run_id} must be in the 'active' state. Current state is {}.",
        lifecycle.name()
    )))
}

fn purging(run_id: &str) -> Error {
    Error::Invalid(format!("The run {run_id} is being purged and can no longer be restored."))
}

fn not_found(run_id: &str) -> Error {
    Error::NotFound(format!("Run with id={run_id} not found"))
}

/// Reads the columns of [`SELECT_RUN`] by their place: a search reads thousands of rows, and names cost a look-up each.
fn from_row(row: &Row) -> Result<Found> {
    let status = row.text(5)?;
    Ok(Found {
        row: row.get(0)?,
        info: RunInfo {
            run_id: row.get(1)?,
            experiment_id: row.get(2)?,
            name: row.get(3)?,
            user_id: row.get(4)?,
            status: RunStatus::from_name(&status).unwrap_or(RunStatus::Running),
            start_time: row.get(6)?,
            end_time: row.get(7)?,
            lifecycle: Lifecycle::from_number(row.get(8)?),
            artifact_uri: row.get(9)?,
        },
    })
}

/// The run that is asked for, but for where its artifacts lie.
fn described(run_id: &str, new: &NewRun) -> Result<Run> {
    let mut tags = new.tags.clone();
    let tag =
        tags.iter().find(|tag| tag.key == RUN_NAME_TAG).map(|tag| tag.value.clone()).filter(|name| !name.is_empty());
    if let Some(tag) = &tag
        && !new.name.is_empty()
        && *tag != new.name
    {
        return Err(Error::Invalid(format!(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='{}', mlflow.runName='{tag}').",
            new.name
        )));
    }
    let name = if new.name.is_empty() { tag.unwrap_or_else(names::random) } else { new.name.clone() };
    tags.retain(|tag| tag.key != RUN_NAME_TAG);
    tags.push(Tag { key: RUN_NAME_TAG.to_owned(), value: name.clone() });
    let mut keys = BTreeSet::new();
    if let Some(tag) = tags.iter().find(|tag| !keys.insert(&tag.key)) {
        return Err(Error::BadRequest(format!(
            "The tag '{}' is given twice. Send each tag of a new run once.",
            tag.key
        )));
    }
    let info = RunInfo {
        run_id: run_id.to_owned(),
        experiment_id: new.experiment_id,
        name,
        user_id: new.user_id.clone(),
        status: RunStatus::Running,
        start_time: new.start_time,
        end_time: None,
        lifecycle: Lifecycle::Active,
        artifact_uri: String::new(),
    };
    Ok(Run {
        info,
        metrics: vec![],
        params: vec![],
        tags,
        datasets: vec![],
        model_inputs: vec![],
        model_outputs: vec![],
    })
}

fn create(tx: &Tx, experiment: i64, described: &Result<Run>) -> Result<Run> {
    let mut run = match described {
        Ok(run) => run.clone(),
        // A wrong experiment is told first, as MLflow does.
        Err(error) => {
            experiments::check_active(&experiments::find(tx.db, experiment)?)?;
            return Err(error.clone());
        }
    };
    run.info.artifact_uri = match tx.db.dialect() {
        Dialect::Sqlite => insert_sqlite(tx.db, &run)?,
        Dialect::Postgres => insert_postgres(tx, &run)?,
    };
    tx.changed(Change::run(experiment, &run.info.run_id, Kind::Created));
    Ok(run)
}

/// Stores a new run; where its artifacts lie.
fn insert_sqlite(db: &Conn, Run { info, tags, .. }: &Run) -> Result<String> {
    let experiment = experiments::find(db, info.experiment_id)?;
    experiments::check_active(&experiment)?;
    let artifact_uri = crate::join_uri(&experiment.artifact_location, &format!("{}/artifacts", info.run_id));
    let sql = "INSERT INTO run (uuid, experiment, name, user_id, status, start_time, artifact_uri) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id";
    let values = params![
        &info.run_id,
        info.experiment_id,
        &info.name,
        &info.user_id,
        info.status.name(),
        info.start_time,
        &artifact_uri
    ];
    let row = db.one(sql, values, |row| row.get(0))?;
    set_tags(db, row, &tags.iter().map(|tag| (&*tag.key, &*tag.value)).collect())?;
    Ok(artifact_uri)
}

/// The same in one statement, which finds the run there if it comes again. It joins paths as [`crate::join_uri`] does.
fn insert_postgres(tx: &Tx, Run { info, tags, .. }: &Run) -> Result<String> {
    let sql = "WITH e AS (SELECT id, lifecycle, split_part(artifact_location, '?', 1) AS base, artifact_location FROM experiment WHERE id = ?2),
         to_be AS MATERIALIZED (SELECT id, lifecycle,
            base || CASE WHEN base LIKE '%/' THEN '' ELSE '/' END || ?7 || substr(artifact_location, length(base) + 1) AS artifact_uri FROM e),
         r AS (INSERT INTO run (uuid, experiment, name, user_id, status, start_time, artifact_uri)
            SELECT ?1, id, ?3, ?4, ?5, ?6, artifact_uri FROM to_be WHERE lifecycle = 0
            ON CONFLICT (uuid) DO NOTHING RETURNING id),
         t AS (INSERT INTO tag SELECT r.id, g.* FROM r, unnest(?8, ?9) g)
         SELECT lifecycle, artifact_uri FROM to_be";
    let values = params![
        &info.run_id,
        info.experiment_id,
        &info.name,
        &info.user_id,
        info.status.name(),
        info.start_time,
        format!("{}/artifacts", info.run_id),
        Sql::texts(tags.iter().map(|tag| &*tag.key)),
        Sql::texts(tags.iter().map(|tag| &*tag.value)),
    ];
    tx.bare();
    let found = tx.db.row(sql, values, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (lifecycle, artifact_uri) = found.ok_or_else(|| experiments::not_found(info.experiment_id))?;
    experiments::check_lifecycle(info.experiment_id, Lifecycle::from_number(lifecycle))?;
    Ok(artifact_uri)
}

pub(crate) fn rename(db: &Conn, row: i64, name: &str) -> Result<()> {
    db.execute("UPDATE run SET name = ?2 WHERE id = ?1", params![row, name])?;
    Ok(())
}

pub(crate) fn set_tag(db: &Conn, row: i64, key: &str, value: &str) -> Result<()> {
    set_tags(db, row, &BTreeMap::from([(key, value)]))
}

macro_rules! or_change {
    () => {
        "ON CONFLICT (run, key) DO UPDATE SET value = excluded.value WHERE t.value <> excluded.value"
    };
}

pub(crate) fn set_tags(db: &Conn, row: i64, tags: &BTreeMap<&str, &str>) -> Result<()> {
    match db.dialect() {
        Dialect::Sqlite => {
            for (key, value) in tags {
                db.execute(
                    concat!("INSERT INTO tag AS t VALUES (?1, ?2, ?3) ", or_change!()),
                    params![row, key, value],
                )?;
            }
        }
        Dialect::Postgres => {
            let sql = concat!("INSERT INTO tag AS t SELECT ?1, * FROM unnest(?2, ?3) ", or_change!());
            let (keys, values) = (Sql::texts(tags.keys().copied()), Sql::texts(tags.values().copied()));
            db.execute(sql, &[Sql::Integer(row), keys, values])?;
        }
    }
    Ok(())
}
