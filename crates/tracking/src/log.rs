//! What a training script sends while it runs: metrics, params and tags, alone or in batches.

use std::collections::BTreeMap;

use crate::changes::{Change, Kind};
use crate::db::{Conn, Dialect, Sql, Tx, params};
use crate::error::{Error, Result};
use crate::metrics::{self, Metric};
use crate::runs::{self, RUN_NAME_TAG};
use crate::{Param, Store, Tag, limits};

impl Store {
    pub async fn log_metric(&self, run_id: String, metric: Metric) -> Result<()> {
        metrics::check(std::slice::from_ref(&metric), false)?;
        self.db
            .write_run(&run_id.clone(), metric.key.len() + 128, move |tx| {
                metrics::append(tx, &run_id, std::slice::from_ref(&metric))
            })
            .await
    }

    pub async fn log_param(&self, run_id: String, mut param: Param) -> Result<()> {
        limits::check_param(&param.key, &mut param.value, "")?;
        self.db
            .write_run(&run_id.clone(), param.key.len() + param.value.len() + 64, move |tx| {
                let (run, experiment) = runs::active_row(tx.db, &run_id)?;
                if let [conflict] = &store_params(tx.db, run, std::slice::from_ref(&param))?[..] {
                    return Err(Error::Invalid(format!(
                        "Changing param values is not allowed. Param with key='{}' was already logged with value='{}' for run ID='{run_id}'. Attempted logging new value '{}'.",
                        param.key, conflict.stored, param.value
                    )));
                }
                tx.changed(Change::run(experiment, &run_id, Kind::Params));
                Ok(())
            })
            .await
    }

    pub async fn set_tag(&self, run_id: String, mut tag: Tag) -> Result<()> {
        limits::check_tag(&tag.key, &mut tag.value, "")?;
        self.db
            .write_run(&run_id.clone(), tag.key.len() + tag.value.len() + 64, move |tx| {
                let (run, experiment) = runs::active_row(tx.db, &run_id)?;
                put_tags(tx, experiment, run, &run_id, std::slice::from_ref(&tag))
            })
            .await
    }

    /// Deleting the tag `mlflow.runName` keeps the run's name, as in MLflow.
    pub async fn delete_tag(&self, run_id: String, key: String) -> Result<()> {
        self.db
            .write_run(&run_id.clone(), key.len() + 64, move |tx| {
                let (run, experiment) = runs::active_row(tx.db, &run_id)?;
                let gone = tx.db.execute("DELETE FROM tag WHERE run = ?1 AND key = ?2", params![run, &key])?;
                if gone == 0 {
                    return Err(Error::NotFound(format!("No tag with name: {key} in run with id {run_id}")));
                }
                tx.changed(Change::run(experiment, &run_id, Kind::Tags));
                Ok(())
            })
            .await
    }

    /// Logs a batch as a whole or not at all.
    pub async fn log_batch(
        &self,
        run_id: String,
        metrics: Vec<Metric>,
        mut params: Vec<Param>,
        mut tags: Vec<Tag>,
    ) -> Result<()> {
        limits::check_run_id(&run_id)?;
        metrics::check(&metrics, true)?;
        let mut bytes = 64 + metrics.len() * size_of::<Metric>();
        for (position, param) in params.iter_mut().enumerate() {
            limits::check_param(&param.key, &mut param.value, &format!("params[{position}]"))?;
            bytes += param.key.len() + param.value.len();
        }
        for (position, tag) in tags.iter_mut().enumerate() {
            limits::check_tag(&tag.key, &mut tag.value, &format!("tags[{position}]"))?;
            bytes += tag.key.len() + tag.value.len();
        }
        limits::check_batch(metrics.len(), params.len(), tags.len())?;
        check_unique(&params)?;
        self.db
            .write_run(&run_id.clone(), bytes, move |tx| {
                if params.is_empty() && tags.is_empty() && !metrics.is_empty() {
                    return metrics::append(tx, &run_id, &metrics);
                }
                let (run, experiment) = runs::active_row(tx.db, &run_id)?;
                let conflicts: Vec<String> = store_params(tx.db, run, &params)?
                    .into_iter()
                    .map(|Conflict { param, stored }| {
                        format!("{{'key': '{}', 'old_value': '{stored}', 'new_value': '{}'}}", param.key, param.value)
                    })
                    .collect();
                if !conflicts.is_empty() {
                    return Err(Error::Invalid(format!(
                        "Changing param values is not allowed. Params were already logged='[{}]' for run ID='{run_id}'.",
                        conflicts.join(", ")
                    )));
                }
                if !metrics.is_empty() {
                    metrics::append(tx, &run_id, &metrics)?;
                }
                put_tags(tx, experiment, run, &run_id, &tags)?;
                if !params.is_empty() {
                    tx.changed(Change::run(experiment, &run_id, Kind::Params));
                }
                Ok(())
            })
            .await
    }

    /// The 2.x client's way to tell of a model below a run: one more entry in the tag `mlflow.log-model.history`.
    /// `model` is the model's description, already checked to be a JSON object.
    pub async fn record_logged_model(&self, run_id: String, model: serde_json::Value) -> Result<()> {
        const HISTORY_TAG: &str = "mlflow.log-model.history";
        self.db
            .write_run(&run_id.clone(), 1024, move |tx| {
                let (run, experiment) = runs::active_row(tx.db, &run_id)?;
                let stored: Option<String> = tx.db.row("SELECT value FROM tag WHERE run = ?1 AND key = ?2", params![run, HISTORY_TAG], |row| row.get(0))?;
                let mut history: Vec<serde_json::Value> = match stored {
                    Some(stored) => serde_json::from_str(&stored).map_err(|error| {
                        Error::BadRequest(format!("The tag '{HISTORY_TAG}' of run {run_id} holds no JSON list of models ({error}). Delete the tag and log the model again."))
                    })?,
                    None => vec![],
                };
                // A retry of the same call adds nothing.
                if history.last() != Some(&model) {
                    history.push(model.clone());
                }
                let tag = Tag { key: HISTORY_TAG.to_owned(), value: serde_json::Value::from(history).to_string() };
                put_tags(tx, experiment, run, &run_id, &[tag])
            })
            .await
    }
}

/// A param that is stored with another value. Params never change.
struct Conflict<'a> {
    param: &'a Param,
    stored: String,
}

/// Stores params whose keys differ; returns those that are there with another value, and stores them not. The run is locked.
fn store_params<'a>(db: &Conn, run: i64, params: &'a [Param]) -> Result<Vec<Conflict<'a>>> {
    match db.dialect() {
        _ if params.is_empty() => Ok(vec![]),
        Dialect::Postgres => {
            // The statement sees the table as it was before its own INSERT.
            let sql = "WITH fresh AS (INSERT INTO param SELECT ?1, * FROM unnest(?2, ?3) ON CONFLICT DO NOTHING)
                 SELECT g.place - 1, p.value FROM unnest(?2, ?3) WITH ORDINALITY AS g(key, value, place)
                 JOIN param p ON p.run = ?1 AND p.key = g.key WHERE p.value <> g.value ORDER BY g.place";
            let keys = Sql::texts(params.iter().map(|param| param.key.as_str()));
            let values = Sql::texts(params.iter().map(|param| param.value.as_str()));
            db.rows(sql, &[Sql::Integer(run), keys, values], |row| {
                let place = usize::try_from(row.get::<i64>(0)?).unwrap_or(usize::MAX);
                let param = params.get(place).ok_or_else(|| Error::Storage("A param has no place.".to_owned()))?;
                Ok(Conflict { param, stored: row.get(1)? })
            })
        }
        Dialect::Sqlite => {
            let mut conflicts = Vec::new();
            for param in params {
                let insert = "INSERT INTO param VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
                if db.execute(insert, params![run, &param.key, &param.value])? > 0 {
                    continue;
                }
                let stored = "SELECT value FROM param WHERE run = ?1 AND key = ?2";
                let stored: String = db.one(stored, params![run, &param.key], |row| row.get(0))?;
                if stored != param.value {
                    conflicts.push(Conflict { param, stored });
                }
            }
            Ok(conflicts)
        }
    }
}

/// Sets tags; of a key that comes twice the last wins, as in MLflow. The tag of the run's name renames it.
fn put_tags(tx: &Tx, experiment: i64, run: i64, run_id: &str, tags: &[Tag]) -> Result<()> {
    // An empty name changes neither the name nor the tag, as in MLflow.
    let counts = |tag: &&Tag| tag.key != RUN_NAME_TAG || !tag.value.is_empty();
    let last: BTreeMap<&str, &str> = tags.iter().filter(counts).map(|tag| (&*tag.key, &*tag.value)).collect();
    if last.is_empty() {
        return Ok(());
    }
    let mut change = Change::run(experiment, run_id, Kind::Tags);
    if let Some(name) = last.get(RUN_NAME_TAG) {
        runs::rename(tx.db, run, name)?;
        change = change.and(Kind::Updated);
    }
    runs::set_tags(tx.db, run, &last)?;
    tx.changed(change);
    Ok(())
}

fn check_unique(params: &[Param]) -> Result<()> {
    let mut keys: Vec<&str> = params.iter().map(|param| param.key.as_str()).collect();
    keys.sort_unstable();
    let mut twice: Vec<String> =
        keys.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| format!("'{}'", pair[0])).collect();
    twice.dedup();
    if twice.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "Duplicate parameter keys have been submitted: [{}]. Please ensure the request contains only one param value per param key.",
        twice.join(", ")
    )))
}
