//! Logged models: what a run trained, with the files, params, tags and metrics of its own (MLflow 3).

use crate::db::{Conn, Row, Sql, Tx, Weight, params};
use crate::error::{Error, Result};
use crate::filter::{self, Attribute, Entity, OrderBy};
use crate::search::{Metrics, Page, Query, Side, Sort, Table};
use crate::{Param, Store, Tag, experiments, names, now};

/// Reads the columns by their place.
macro_rules! model_where {
    ($condition:literal) => {
        concat!("SELECT id, experiment, name, artifact_uri, creation_time, last_update_time, status, status_message, model_type, source_run_id FROM logged_model WHERE ", $condition)
    };
}

/// The tag that lists the model versions made from a logged model.
const VERSIONS_TAG: &str = "mlflow.modelVersions";

/// As protobuf numbers them; the number is what is stored and filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoggedModelStatus {
    Unspecified,
    Pending,
    Ready,
    UploadFailed,
}

impl LoggedModelStatus {
    pub const ALL: [LoggedModelStatus; 4] = [
        LoggedModelStatus::Unspecified,
        LoggedModelStatus::Pending,
        LoggedModelStatus::Ready,
        LoggedModelStatus::UploadFailed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            LoggedModelStatus::Unspecified => "LOGGED_MODEL_STATUS_UNSPECIFIED",
            LoggedModelStatus::Pending => "LOGGED_MODEL_PENDING",
            LoggedModelStatus::Ready => "LOGGED_MODEL_READY",
            LoggedModelStatus::UploadFailed => "LOGGED_MODEL_UPLOAD_FAILED",
        }
    }

    pub fn number(self) -> i64 {
        self as i64
    }

    fn from_number(number: i64) -> LoggedModelStatus {
        LoggedModelStatus::ALL
            .into_iter()
            .find(|status| status.number() == number)
            .unwrap_or(LoggedModelStatus::Unspecified)
    }
}

/// Times are milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedModel {
    /// `m-` and 32 hexadecimal digits.
    pub model_id: String,
    pub experiment_id: i64,
    pub name: String,
    pub artifact_uri: String,
    pub creation_time: i64,
    pub last_update_time: i64,
    pub status: LoggedModelStatus,
    pub status_message: Option<String>,
    pub model_type: String,
    pub source_run_id: String,
    pub tags: Vec<Tag>,
    pub params: Vec<Param>,
    pub metrics: Vec<LoggedModelMetric>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LoggedModelMetric {
    pub key: String,
    pub value: f64,
    pub timestamp: i64,
    pub step: i64,
    pub run_id: String,
    pub dataset_name: Option<String>,
    pub dataset_digest: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct NewLoggedModel {
    pub experiment_id: i64,
    /// Empty: one is made up.
    pub name: String,
    pub model_type: String,
    /// May name a run that does not exist, as in MLflow.
    pub source_run_id: String,
    pub params: Vec<Param>,
    pub tags: Vec<Tag>,
}

/// Restricts the metrics of a search to one dataset.
#[derive(Debug, Clone, Default)]
pub struct DatasetScope {
    pub name: String,
    pub digest: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct LoggedModelOrder {
    pub field_name: String,
    pub descending: bool,
    pub dataset: Option<DatasetScope>,
}

#[derive(Debug, Clone, Default)]
pub struct LoggedModelSearch {
    pub experiment_ids: Vec<i64>,
    pub filter: String,
    pub datasets: Vec<DatasetScope>,
    pub order_by: Vec<LoggedModelOrder>,
    pub max_results: usize,
    pub page_token: Option<String>,
}

impl Store {
    pub async fn create_logged_model(&self, new: NewLoggedModel) -> Result<LoggedModel> {
        check_name(&new.name)?;
        self.db.create(format!("{new:?}"), move |tx| create(tx, &new)).await
    }

    pub async fn get_logged_model(&self, model_id: String) -> Result<LoggedModel> {
        self.db.read(Weight::Light, move |db| load(db, find(db, &model_id, false)?)).await
    }

    /// Sets the status at the end of an upload.
    pub async fn finalize_logged_model(&self, model_id: String, status: LoggedModelStatus) -> Result<LoggedModel> {
        self.db
            .write(64, move |tx| {
                find(tx.db, &model_id, true)?;
                tx.db.execute(
                    "UPDATE logged_model SET status = ?2, last_update_time = ?3 WHERE id = ?1",
                    params![&model_id, status.number(), now()],
                )?;
                load(tx.db, find(tx.db, &model_id, true)?)
            })
            .await
    }

    /// Hides a model until it is purged. Deleting it twice is no error, as in MLflow.
    pub async fn delete_logged_model(&self, model_id: String) -> Result<()> {
        self.db
            .write(64, move |tx| {
                find(tx.db, &model_id, true)?;
                tx.db.execute(
                    "UPDATE logged_model SET lifecycle = 1, last_update_time = ?2 WHERE id = ?1 AND lifecycle < 2",
                    params![&model_id, now()],
                )?;
                Ok(())
            })
            .await
    }

    pub async fn set_logged_model_tags(&self, model_id: String, tags: Vec<Tag>) -> Result<()> {
        let bytes = tags.iter().map(|tag| tag.key.len() + tag.value.len()).sum();
        self.db
            .write(bytes, move |tx| {
                find(tx.db, &model_id, true)?;
                tags.iter().try_for_each(|tag| put_tag(tx, &model_id, tag))
            })
            .await
    }

    pub async fn delete_logged_model_tag(&self, model_id: String, key: String) -> Result<()> {
        self.db
            .write(64, move |tx| {
                find(tx.db, &model_id, true)?;
                let gone = tx
                    .db
                    .execute("DELETE FROM logged_model_tag WHERE model = ?1 AND key = ?2", params![&model_id, &key])?;
                if gone == 0 {
                    return Err(Error::NotFound(format!(
                        "No tag with key '{key}' found for model with ID '{model_id}'."
                    )));
                }
                Ok(())
            })
            .await
    }

    /// Adds params. The same param again changes nothing (a retry); another value is an error.
    pub async fn log_logged_model_params(&self, model_id: String, params: Vec<Param>) -> Result<()> {
        let bytes = params.iter().map(|param| param.key.len() + param.value.len()).sum();
        self.db
            .write(bytes, move |tx| {
                find(tx.db, &model_id, true)?;
                params.iter().try_for_each(|param| put_param(tx, &model_id, param))
            })
            .await
    }

    pub async fn search_logged_models(&self, search: LoggedModelSearch) -> Result<Page<LoggedModel>> {
        if search.datasets.iter().any(|dataset| dataset.name.is_empty()) {
            return Err(Error::invalid("`dataset_name` in the `datasets` clause must be specified."));
        }
        let filter = filter::parse(Entity::LoggedModel, &search.filter)?;
        let mut order = Vec::new();
        for key in &search.order_by {
            order.push((
                OrderBy {
                    field: filter::parse_order_key(Entity::LoggedModel, &key.field_name)?,
                    descending: key.descending,
                },
                key.dataset.clone(),
            ));
        }
        self.db
            .read(Weight::Heavy, move |db| {
                let mut query = Query::new(db, &LOGGED_MODELS, "logged_model l");
                query.one_of("l.experiment", search.experiment_ids);
                query.condition("l.lifecycle = 0", []);
                if !search.datasets.is_empty() {
                    let (scope, parameters) = scope(&search.datasets);
                    if !filter
                        .comparisons()
                        .iter()
                        .any(|comparison| matches!(comparison.field, filter::Field::Metric(_)))
                    {
                        // Then a model needs any metric on one of the datasets.
                        query.condition(
                            format!("EXISTS (SELECT 1 FROM logged_model_metric m WHERE m.model = l.id AND {scope})"),
                            parameters.clone(),
                        );
                    }
                    query.scope_metrics(Some((scope, parameters)));
                }
                query.filter(&filter)?;
                for (key, dataset) in order {
                    query.scope_metrics(dataset.map(|dataset| scope(&[dataset])));
                    query.order_by(&key)?;
                }
                query.then_by(Sort::integer("l.creation_time", true));
                query.then_by(Sort::text("l.id", false));
                let page = query.page(search.max_results, search.page_token.as_deref(), |row| row.get::<String>(0))?;
                page.load(|id| load(db, find(db, &id, false)?))
            })
            .await
    }
}

/// How filters and orders on logged models become SQL.
const LOGGED_MODELS: Table = Table {
    entity: Entity::LoggedModel,
    id: &["l.id"],
    attribute: |attribute| match attribute {
        Attribute::Name => Some("l.name"),
        Attribute::ModelId => Some("l.id"),
        Attribute::ModelType => Some("l.model_type"),
        // MLflow compares the number; as text it also takes `'2'`.
        Attribute::Status => Some("CAST(l.status AS TEXT)"),
        Attribute::StatusMessage => Some("l.status_message"),
        Attribute::SourceRunId => Some("l.source_run_id"),
        Attribute::CreationTimestamp => Some("l.creation_time"),
        Attribute::LastUpdatedTimestamp => Some("l.last_update_time"),
        Attribute::ExperimentId => Some("l.experiment"),
        Attribute::ArtifactLocation => Some("l.artifact_uri"),
        Attribute::LifecycleStage => Some("CASE l.lifecycle WHEN 0 THEN 'active' ELSE 'deleted' END"),
        _ => None,
    },
    tag: Some(Side { table: "logged_model_tag", owner: &[("model", "l.id")] }),
    param: Some(Side { table: "logged_model_param", owner: &[("model", "l.id")] }),
    metric: Some(Metrics::OfModel(Side { table: "logged_model_metric", owner: &[("model", "l.id")] })),
};

/// A condition on a metric's dataset.
fn scope(datasets: &[DatasetScope]) -> (String, Vec<Sql<'static>>) {
    let mut parameters = Vec::new();
    let mut conditions = Vec::new();
    for dataset in datasets {
        parameters.push(Sql::from(dataset.name.clone()));
        match &dataset.digest {
            Some(digest) => {
                parameters.push(Sql::from(digest.clone()));
                conditions.push("(m.dataset_name = ? AND m.dataset_digest = ?)");
            }
            None => conditions.push("m.dataset_name = ?"),
        }
    }
    (format!("({})", conditions.join(" OR ")), parameters)
}

fn create(tx: &Tx, new: &NewLoggedModel) -> Result<LoggedModel> {
    let experiment = experiments::find(tx.db, new.experiment_id)?;
    experiments::check_active(&experiment)?;
    let id = format!("m-{}", uuid::Uuid::new_v4().simple());
    let name = if new.name.is_empty() { names::random() } else { new.name.clone() };
    let artifact_uri = crate::join_uri(&experiment.artifact_location, &format!("models/{id}/artifacts"));
    tx.db.execute("INSERT INTO logged_model (id, experiment, name, artifact_uri, creation_time, last_update_time, status, model_type, source_run_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8)", params![&id,
            experiment.id,
            &name,
            &artifact_uri,
            now(),
            LoggedModelStatus::Pending.number(),
            &new.model_type,
            &new.source_run_id])?;
    for param in &new.params {
        put_param(tx, &id, param)?;
    }
    for tag in &new.tags {
        put_tag(tx, &id, tag)?;
    }
    load(tx.db, find(tx.db, &id, false)?)
}

fn put_param(tx: &Tx, model_id: &str, param: &Param) -> Result<()> {
    let fresh = tx.db.execute(
        "INSERT INTO logged_model_param VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![model_id, &param.key, &param.value],
    )?;
    if fresh > 0 {
        return Ok(());
    }
    let stored: String = tx.db.one(
        "SELECT value FROM logged_model_param WHERE model = ?1 AND key = ?2",
        params![model_id, &param.key],
        |row| row.get(0),
    )?;
    if stored == param.value {
        return Ok(());
    }
    Err(Error::BadRequest(format!(
        "Changing param values is not allowed. Param '{}' of logged model '{model_id}' was logged with value '{stored}' before; '{}' is refused.",
        param.key, param.value
    )))
}

fn put_tag(tx: &Tx, model_id: &str, tag: &Tag) -> Result<()> {
    tx.db.execute("INSERT INTO logged_model_tag VALUES (?1, ?2, ?3) ON CONFLICT (model, key) DO UPDATE SET value = excluded.value", params![model_id, &tag.key, &tag.value])?;
    Ok(())
}

/// Notes on a logged model that a version was made from it, as MLflow 3.17 does.
pub(crate) fn note_version(tx: &Tx, model_id: &str, name: &str, version: i64) -> Result<()> {
    find(tx.db, model_id, false)?;
    let stored: Option<String> = tx.db.row(
        "SELECT value FROM logged_model_tag WHERE model = ?1 AND key = ?2",
        params![model_id, VERSIONS_TAG],
        |row| row.get(0),
    )?;
    // A tag that somebody wrote over with something else is replaced.
    let mut versions: Vec<serde_json::Value> =
        stored.and_then(|stored| serde_json::from_str(&stored).ok()).unwrap_or_default();
    let entry = serde_json::json!({ "name": name, "version": version });
    if !versions.contains(&entry) {
        versions.push(entry);
    }
    put_tag(tx, model_id, &Tag { key: VERSIONS_TAG.to_owned(), value: serde_json::Value::from(versions).to_string() })
}

fn find(db: &Conn, model_id: &str, deleted_too: bool) -> Result<LoggedModel> {
    db.row(model_where!("id = ?1 AND lifecycle <= ?2"), params![model_id, deleted_too], from_row)?
        .ok_or_else(|| Error::NotFound(format!("Logged model with ID '{model_id}' not found.")))
}

fn load(db: &Conn, mut model: LoggedModel) -> Result<LoggedModel> {
    let id = &model.model_id;
    let tags = "SELECT key, value FROM logged_model_tag WHERE model = ?1 ORDER BY key";
    model.tags = db.rows(tags, params![id], |row| Ok(Tag { key: row.get(0)?, value: row.get(1)? }))?;
    let params = "SELECT key, value FROM logged_model_param WHERE model = ?1 ORDER BY key";
    model.params = db.rows(params, params![id], |row| Ok(Param { key: row.get(0)?, value: row.get(1)? }))?;
    let metric = |row: &Row| {
        Ok(LoggedModelMetric {
            key: row.get(0)?,
            value: row.get(1)?,
            timestamp: row.get(2)?,
            step: row.get(3)?,
            run_id: row.get(4)?,
            dataset_name: row.get(5)?,
            dataset_digest: row.get(6)?,
        })
    };
    let metrics = "SELECT key, value, timestamp, step, run_id, dataset_name, dataset_digest FROM logged_model_metric WHERE model = ?1 ORDER BY key, timestamp, step, run_id";
    model.metrics = db.rows(metrics, params![id], metric)?;
    Ok(model)
}

fn from_row(row: &Row) -> Result<LoggedModel> {
    Ok(LoggedModel {
        model_id: row.get(0)?,
        experiment_id: row.get(1)?,
        name: row.get(2)?,
        artifact_uri: row.get(3)?,
        creation_time: row.get(4)?,
        last_update_time: row.get(5)?,
        status: LoggedModelStatus::from_number(row.get(6)?),
        status_message: row.get(7)?,
        model_type: row.get(8)?,
        source_run_id: row.get(9)?,
        tags: vec![],
        params: vec![],
        metrics: vec![],
    })
}

/// As MLflow 3.17; an empty name is made up later.
fn check_name(name: &str) -> Result<()> {
    if name.contains(['/', ':', '.', '%', '"', '\'']) {
        return Err(Error::Invalid(format!(
            "Invalid model name ('{name}') provided. Model name must be a non-empty string and cannot contain the following characters: ('/', ':', '.', '%', '\"', \"'\")"
        )));
    }
    Ok(())
}
