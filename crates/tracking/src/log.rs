//! What a training script sends while it runs: metrics, params and tags, alone or in batches.

use crate::db::{Tx, params};
use crate::error::{Error, Result};
use crate::metrics::{self, Metric};
use crate::runs::{self, RUN_NAME_TAG};
use crate::{Param, Store, Tag, limits};

impl Store {
    pub async fn log_metric(&self, run_id: String, metric: Metric) -> Result<()> {
        metrics::check(std::slice::from_ref(&metric), false)?;
        self.db
            .write_run(&run_id.clone(), metric.key.len() + 128, move |tx| {
                let (run, _) = runs::active_row(tx.db, &run_id)?;
                metrics::append(tx, run, &run_id, std::slice::from_ref(&metric))
            })
            .await
    }

    pub async fn log_param(&self, run_id: String, mut param: Param) -> Result<()> {
        limits::check_param(&param.key, &mut param.value, "")?;
        self.db
            .write_run(&run_id.clone(), param.key.len() + param.value.len() + 64, move |tx| {
                let (run, _) = runs::active_row(tx.db, &run_id)?;
                match conflict(tx, run, &param)? {
                    Some(old) => Err(Error::Invalid(format!(
                        "Changing param values is not allowed. Param with key='{}' was already logged with value='{old}' for run ID='{run_id}'. Attempted logging new value '{}'.",
                        param.key, param.value
                    ))),
                    None => Ok(()),
                }
            })
            .await
    }

    pub async fn set_tag(&self, run_id: String, mut tag: Tag) -> Result<()> {
        limits::check_tag(&tag.key, &mut tag.value, "")?;
        self.db
            .write_run(&run_id.clone(), tag.key.len() + tag.value.len() + 64, move |tx| {
                let (run, _) = runs::active_row(tx.db, &run_id)?;
                put_tag(tx, run, &tag)
            })
            .await
    }

    /// Deleting the tag `mlflow.runName` keeps the run's name, as in MLflow.
    pub async fn delete_tag(&self, run_id: String, key: String) -> Result<()> {
        self.db
            .write_run(&run_id.clone(), key.len() + 64, move |tx| {
                let (run, _) = runs::active_row(tx.db, &run_id)?;
                let gone = tx.db.execute("DELETE FROM tag WHERE run = ?1 AND key = ?2", params![run, &key])?;
                if gone == 0 {
                    return Err(Error::NotFound(format!("No tag with name: {key} in run with id {run_id}")));
                }
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
                let (run, _) = runs::active_row(tx.db, &run_id)?;
                let mut conflicts = Vec::new();
                for param in &params {
                    if let Some(old) = conflict(tx, run, param)? {
                        conflicts.push(format!("{{'key': '{}', 'old_value': '{old}', 'new_value': '{}'}}", param.key, param.value));
                    }
                }
                if !conflicts.is_empty() {
                    return Err(Error::Invalid(format!(
                        "Changing param values is not allowed. Params were already logged='[{}]' for run ID='{run_id}'.",
                        conflicts.join(", ")
                    )));
                }
                metrics::append(tx, run, &run_id, &metrics)?;
                // Of a key that comes twice the last wins, as in MLflow.
                tags.iter().try_for_each(|tag| put_tag(tx, run, tag))
            })
            .await
    }

    /// The 2.x client's way to tell of a model below a run: one more entry in the tag `mlflow.log-model.history`.
    /// `model` is the model's description, already checked to be a JSON object.
    pub async fn record_logged_model(&self, run_id: String, model: serde_json::Value) -> Result<()> {
        const HISTORY_TAG: &str = "mlflow.log-model.history";
        self.db
            .write_run(&run_id.clone(), 1024, move |tx| {
                let (run, _) = runs::active_row(tx.db, &run_id)?;
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
                runs::set_tag(tx.db, run, HISTORY_TAG, &serde_json::Value::from(history).to_string())
            })
            .await
    }
}

/// Stores a param; returns the stored value when it differs. Params never change.
fn conflict(tx: &Tx, run: i64, param: &Param) -> Result<Option<String>> {
    let fresh = tx.db.execute(
        "INSERT INTO param VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![run, &param.key, &param.value],
    )?;
    if fresh > 0 {
        return Ok(None);
    }
    let stored: String =
        tx.db.one("SELECT value FROM param WHERE run = ?1 AND key = ?2", params![run, &param.key], |row| row.get(0))?;
    Ok((stored != param.value).then_some(stored))
}

fn put_tag(tx: &Tx, run: i64, tag: &Tag) -> Result<()> {
    if tag.key == RUN_NAME_TAG {
        // An empty name changes neither the name nor the tag, as in MLflow.
        if tag.value.is_empty() {
            return Ok(());
        }
        runs::rename(tx.db, run, &tag.value)?;
    }
    runs::set_tag(tx.db, run, &tag.key, &tag.value)
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
