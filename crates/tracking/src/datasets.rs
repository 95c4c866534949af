//! Datasets that runs read, and the models that went into runs or came out of them.

use crate::changes::{Change, Kind};
use crate::db::{Conn, Dialect, Weight, params};
use crate::error::{Error, Result};
use crate::{Store, Tag, limits, runs};

/// `run_model.direction`.
pub(crate) const MODEL_IN: i64 = 0;
pub(crate) const MODEL_OUT: i64 = 1;

/// The tag that says what a dataset was used for: training, evaluation, …
const CONTEXT_TAG: &str = "mlflow.data.context";

/// A data set as a run saw it. Name and digest identify it within an experiment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dataset {
    pub name: String,
    pub digest: String,
    pub source_type: String,
    pub source: String,
    pub schema: Option<String>,
    pub profile: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct DatasetInput {
    pub dataset: Dataset,
    pub tags: Vec<Tag>,
}

/// One row of the list of datasets that the UI offers for filtering.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetSummary {
    pub experiment_id: i64,
    pub name: String,
    pub digest: String,
    pub context: Option<String>,
}

impl Store {
    /// Notes datasets and models as inputs of a run. What is noted already stays as it is, tags included, as in MLflow.
    pub async fn log_inputs(&self, run_id: String, datasets: Vec<DatasetInput>, models: Vec<String>) -> Result<()> {
        limits::check_run_id(&run_id)?;
        datasets.iter().try_for_each(check)?;
        let bytes = datasets
            .iter()
            .map(|input| 256 + input.dataset.source.len() + input.dataset.profile.as_ref().map_or(0, String::len))
            .sum();
        self.db
            .write(bytes, move |tx| {
                let (run, experiment) = runs::active_row(tx.db, &run_id)?;
                for input in &datasets {
                    let dataset = intern(tx.db, experiment, &input.dataset)?;
                    let fresh = tx.db.execute(
                        "INSERT INTO run_dataset VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                        params![run, dataset],
                    )?;
                    if fresh == 0 {
                        continue;
                    }
                    for tag in &input.tags {
                        let fresh = tx.db.execute(
                            "INSERT INTO run_dataset_tag VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                            params![run, dataset, &tag.key, &tag.value],
                        )?;
                        if fresh == 0 {
                            return Err(Error::BadRequest(format!(
                                "The tag '{}' of dataset '{}' is given twice. Send each tag once.",
                                tag.key, input.dataset.name
                            )));
                        }
                    }
                }
                models.iter().try_for_each(|model| note_model(tx.db, run, MODEL_IN, model, 0))?;
                tx.changed(Change::run(experiment, &run_id, Kind::Inputs));
                Ok(())
            })
            .await
    }

    /// Notes logged models as outputs of a run, each with the step at which it came. Noting one twice changes nothing.
    pub async fn log_outputs(&self, run_id: String, models: Vec<(String, i64)>) -> Result<()> {
        self.db
            .write(64 * models.len(), move |tx| {
                let (run, experiment) = runs::active_row(tx.db, &run_id)?;
                models.iter().try_for_each(|(model, step)| note_model(tx.db, run, MODEL_OUT, model, *step))?;
                tx.changed(Change::run(experiment, &run_id, Kind::Inputs));
                Ok(())
            })
            .await
    }

    /// Datasets that runs of these experiments read, at most 1000, as MLflow's UI asks for them.
    pub async fn search_datasets(&self, experiment_ids: Vec<i64>) -> Result<Vec<DatasetSummary>> {
        self.db
            .read(Weight::Heavy, move |db| {
                let sql =
                    "SELECT DISTINCT d.name, d.digest, t.value FROM dataset d JOIN run_dataset x ON x.dataset = d.id
                     LEFT JOIN run_dataset_tag t ON t.run = x.run AND t.dataset = x.dataset AND t.key = ?2
                     WHERE d.experiment = ?1 ORDER BY d.name, d.digest, t.value LIMIT 1000";
                let mut summaries = Vec::new();
                for experiment_id in experiment_ids {
                    summaries.extend(db.rows(sql, params![experiment_id, CONTEXT_TAG], |row| {
                        Ok(DatasetSummary {
                            experiment_id,
                            name: row.get(0)?,
                            digest: row.get(1)?,
                            context: row.get(2)?,
                        })
                    })?);
                }
                summaries.truncate(1000);
                Ok(summaries)
            })
            .await
    }
}

/// MLflow's limits; its messages count characters.
fn check(input: &DatasetInput) -> Result<()> {
    let dataset = &input.dataset;
    let optional = |text: &Option<String>| text.as_deref().unwrap_or_default().to_owned();
    limits::check_length("name", 500, &dataset.name)?;
    limits::check_length("digest", 36, &dataset.digest)?;
    limits::check_length("source", 65_535, &dataset.source)?;
    limits::check_length("schema", 1_048_575, &optional(&dataset.schema))?;
    limits::check_length("profile", 16_777_215, &optional(&dataset.profile))?;
    for tag in &input.tags {
        limits::check_length("key", 255, &tag.key)?;
        limits::check_length("value", 500, &tag.value)?;
    }
    Ok(())
}

/// The number of a dataset, stored now if it is new.
fn intern(db: &Conn, experiment: i64, dataset: &Dataset) -> Result<i64> {
    let find = match db.dialect() {
        Dialect::Sqlite => "SELECT id FROM dataset WHERE experiment = ?1 AND name = ?2 AND digest = ?3",
        // A purge deletes datasets that nobody has: this one is about to be had.
        Dialect::Postgres => "SELECT id FROM dataset WHERE experiment = ?1 AND name = ?2 AND digest = ?3 FOR KEY SHARE",
    };
    loop {
        db.execute("INSERT INTO dataset (experiment, name, digest, source_type, source, schema, profile) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING", params![experiment, &dataset.name, &dataset.digest, &dataset.source_type, &dataset.source, &dataset.schema, &dataset.profile])?;
        // Not there: a purge took it between the two.
        if let Some(id) = db.row(find, params![experiment, &dataset.name, &dataset.digest], |row| row.get(0))? {
            return Ok(id);
        }
    }
}

fn note_model(db: &Conn, run: i64, direction: i64, model: &str, step: i64) -> Result<()> {
    db.execute(
        "INSERT INTO run_model VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        params![run, direction, model, step],
    )?;
    Ok(())
}

pub(crate) fn of_run(db: &Conn, run: i64) -> Result<Vec<DatasetInput>> {
    let inputs = db.rows(
        "SELECT d.id, d.name, d.digest, d.source_type, d.source, d.schema, d.profile FROM run_dataset x JOIN dataset d ON d.id = x.dataset WHERE x.run = ?1 ORDER BY x.dataset",
        params![run],
        |row| {
        let id: i64 = row.get(0)?;
        let dataset = Dataset {
            name: row.get(1)?,
            digest: row.get(2)?,
            source_type: row.get(3)?,
            source: row.get(4)?,
            schema: row.get(5)?,
            profile: row.get(6)?,
        };
        Ok((id, DatasetInput { dataset, tags: vec![] }))
        },
    )?;
    inputs
        .into_iter()
        .map(|(id, mut input)| {
            let tags = "SELECT key, value FROM run_dataset_tag WHERE run = ?1 AND dataset = ?2 ORDER BY key";
            input.tags = db.rows(tags, params![run, id], |row| Ok(Tag { key: row.get(0)?, value: row.get(1)? }))?;
            Ok(input)
        })
        .collect()
}
