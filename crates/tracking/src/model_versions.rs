//! Model versions: numbered from 1 within their registered model, with stages and tags.

use crate::db::{Conn, Row, Tx, Weight, params};
use crate::error::{Error, Result};
use crate::filter::{self, Attribute, Entity};
use crate::registered_models::{self, RegistrySearch, filter_without_prompts};
use crate::search::{Page, Query, Side, Sort, Table};
use crate::{Store, Tag, limits, logged_models, now};

/// Reads the columns by their place.
macro_rules! version_where {
    ($condition:literal) => {
        concat!("SELECT name, version, creation_time, last_update_time, description, stage, source, storage_location, run_id, run_link, model_id FROM model_version WHERE ", $condition)
    };
}

/// The stage of a deleted version, whose number is not given again.
pub(crate) const DELETED: &str = "Deleted_Internal";

const STAGES: [&str; 4] = ["None", "Staging", "Production", "Archived"];

/// Times are milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelVersion {
    pub name: String,
    pub version: i64,
    pub creation_time: i64,
    pub last_update_time: i64,
    /// `None` once an update came without one, as in MLflow.
    pub description: Option<String>,
    /// `None`, `Staging`, `Production` or `Archived`.
    pub stage: String,
    pub source: String,
    /// Where the files lie, when the source names another model.
    pub storage_location: Option<String>,
    pub run_id: String,
    pub run_link: String,
    /// The logged model that this version was made from, or empty.
    pub model_id: String,
    pub tags: Vec<Tag>,
    /// Filled where a single version is asked for; searches leave them out, as in MLflow.
    pub aliases: Vec<String>,
}

impl ModelVersion {
    /// Where a client downloads the model from.
    pub fn download_uri(&self) -> &str {
        self.storage_location.as_deref().unwrap_or(&self.source)
    }
}

#[derive(Debug, Clone, Default)]
pub struct NewModelVersion {
    pub name: String,
    /// Checked by the caller: whom it may name depends on where artifacts are kept.
    pub source: String,
    /// See [`ModelVersion::storage_location`].
    pub storage_location: Option<String>,
    pub run_id: String,
    pub run_link: String,
    pub description: String,
    pub model_id: String,
    pub tags: Vec<Tag>,
}

impl Store {
    pub async fn create_model_version(&self, new: NewModelVersion) -> Result<ModelVersion> {
        new.tags.iter().try_for_each(|tag| limits::check_registry_tag(&tag.key, &tag.value))?;
        self.db.create(format!("{new:?}"), move |tx| create(tx, &new)).await
    }

    pub async fn get_model_version(&self, name: String, version: i64) -> Result<ModelVersion> {
        self.db.read(Weight::Light, move |db| registered_models::load::version(db, &name, version)).await
    }

    pub async fn update_model_version(
        &self,
        name: String,
        version: i64,
        description: Option<String>,
    ) -> Result<ModelVersion> {
        self.db
            .write(256, move |tx| {
                find(tx.db, &name, version)?;
                tx.db.execute(
                    "UPDATE model_version SET description = ?3, last_update_time = ?4 WHERE name = ?1 AND version = ?2",
                    params![&name, version, &description, now()],
                )?;
                registered_models::load::version(tx.db, &name, version)
            })
            .await
    }

    /// Moves a version to a stage; with `archive_existing` the others there go to Archived.
    pub async fn transition_stage(
        &self,
        name: String,
        version: i64,
        stage: &str,
        archive_existing: bool,
    ) -> Result<ModelVersion> {
        let stage = canonical_stage(stage)?;
        if archive_existing && !matches!(stage, "Staging" | "Production") {
            return Err(Error::Invalid(format!(
                "Model version transition cannot archive existing model versions because '{stage}' is not an Active stage. Valid stages are ['Staging', 'Production']"
            )));
        }
        self.db
            .write(128, move |tx| {
                find(tx.db, &name, version)?;
                let now = now();
                if archive_existing {
                    tx.db.execute("UPDATE model_version SET stage = 'Archived', last_update_time = ?4 WHERE name = ?1 AND version <> ?2 AND stage = ?3", params![&name, version, stage, now])?;
                }
                tx.db.execute("UPDATE model_version SET stage = ?3, last_update_time = ?4 WHERE name = ?1 AND version = ?2", params![&name, version, stage, now])?;
                touch(tx, &name, now)?;
                registered_models::load::version(tx.db, &name, version)
            })
            .await
    }

    /// Deletes a version and the aliases on it. Its number is not given again.
    pub async fn delete_model_version(&self, name: String, version: i64) -> Result<()> {
        self.db
            .write(64, move |tx| {
                find(tx.db, &name, version)?;
                let now = now();
                tx.db.execute("DELETE FROM registered_model_alias WHERE name = ?1 AND version = ?2", params![&name, version])?;
                tx.db.execute("DELETE FROM model_version_tag WHERE name = ?1 AND version = ?2", params![&name, version])?;
                tx.db.execute("UPDATE model_version SET stage = ?3, last_update_time = ?4, description = NULL, user_id = '', source = '',
                         storage_location = NULL, run_id = '', run_link = '', model_id = '' WHERE name = ?1 AND version = ?2", params![&name, version, DELETED, now])?;
                touch(tx, &name, now)
            })
            .await
    }

    pub async fn set_model_version_tag(&self, name: String, version: i64, tag: Tag) -> Result<()> {
        limits::check_registry_tag(&tag.key, &tag.value)?;
        self.db
            .write(64 + tag.value.len(), move |tx| {
                find(tx.db, &name, version)?;
                put_tag(tx, &name, version, &tag)
            })
            .await
    }

    /// Deleting a tag that is not there is no error, as in MLflow.
    pub async fn delete_model_version_tag(&self, name: String, version: i64, key: String) -> Result<()> {
        limits::check_key(&key, "key")?;
        self.db
            .write(64, move |tx| {
                find(tx.db, &name, version)?;
                tx.db.execute(
                    "DELETE FROM model_version_tag WHERE name = ?1 AND version = ?2 AND key = ?3",
                    params![&name, version, &key],
                )?;
                Ok(())
            })
            .await
    }

    pub async fn search_model_versions(&self, search: RegistrySearch) -> Result<Page<ModelVersion>> {
        let filter = filter::parse(Entity::ModelVersion, &search.filter)?;
        let order = filter::parse_order_by(Entity::ModelVersion, &search.order_by)?;
        self.db
            .read(Weight::Heavy, move |db| {
                let mut query = Query::new(db, &MODEL_VERSIONS, "model_version v");
                query.condition("v.stage <> ?", [DELETED.to_owned().into()]);
                filter_without_prompts(&mut query, &filter, "v.name", "model_version_tag")?;
                // As MLflow 3.17 orders them.
                let mut behind = vec![Sort::text("v.name", false)];
                if order.is_empty() {
                    behind.insert(0, Sort::integer("v.last_update_time", true));
                }
                query.order(&order, behind, Sort::integer("v.version", true))?;
                let page = query.page(search.max_results, search.page_token.as_deref(), |row| {
                    Ok((row.get::<String>(0)?, row.get(1)?))
                })?;
                page.load(|(name, version)| find(db, &name, version))
            })
            .await
    }
}

/// How filters and orders on model versions become SQL.
const MODEL_VERSIONS: Table = Table {
    entity: Entity::ModelVersion,
    id: &["v.name", "v.version"],
    attribute: |attribute| match attribute {
        Attribute::Name => Some("v.name"),
        Attribute::VersionNumber => Some("v.version"),
        Attribute::RunId => Some("v.run_id"),
        Attribute::SourcePath => Some("v.source"),
        Attribute::CreationTimestamp => Some("v.creation_time"),
        Attribute::LastUpdatedTimestamp => Some("v.last_update_time"),
        _ => None,
    },
    tag: Some(Side { table: "model_version_tag", owner: &[("name", "v.name"), ("version", "v.version")] }),
    param: None,
    metric: None,
};

/// A stage in its usual spelling; any case is taken.
pub(crate) fn canonical_stage(stage: &str) -> Result<&'static str> {
    STAGES.into_iter().find(|known| known.eq_ignore_ascii_case(stage)).ok_or_else(|| {
        Error::Invalid(format!("Invalid Model Version stage: {stage}. Value must be one of {}.", STAGES.join(", ")))
    })
}

fn create(tx: &Tx, new: &NewModelVersion) -> Result<ModelVersion> {
    registered_models::find(tx.db, &new.name)?;
    let now = now();
    // First, since it locks the model: of two that register at once the second gets the next number.
    touch(tx, &new.name, now)?;
    let version: i64 = tx.db.one(
        "SELECT COALESCE(max(version), 0) + 1 FROM model_version WHERE name = ?1",
        params![&new.name],
        |row| row.get(0),
    )?;
    tx.db.execute("INSERT INTO model_version (name, version, creation_time, last_update_time, description, source, storage_location, run_id, run_link, model_id)
             VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", params![&new.name, version, now, &new.description, &new.source, &new.storage_location, &new.run_id, &new.run_link, &new.model_id])?;
    // Of a key that comes twice the last wins, as in MLflow.
    new.tags.iter().try_for_each(|tag| put_tag(tx, &new.name, version, tag))?;
    if !new.model_id.is_empty() {
        logged_models::note_version(tx, &new.model_id, &new.name, version)?;
    }
    find(tx.db, &new.name, version)
}

fn touch(tx: &Tx, name: &str, now: i64) -> Result<()> {
    tx.db.execute("UPDATE registered_model SET last_update_time = ?2 WHERE name = ?1", params![name, now])?;
    Ok(())
}

fn put_tag(tx: &Tx, name: &str, version: i64, tag: &Tag) -> Result<()> {
    tx.db.execute("INSERT INTO model_version_tag VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name, version, key) DO UPDATE SET value = excluded.value", params![name, version, &tag.key, &tag.value])?;
    Ok(())
}

/// A version with its tags.
pub(crate) fn find(db: &Conn, name: &str, version: i64) -> Result<ModelVersion> {
    let mut found = db
        .row(version_where!("name = ?1 AND version = ?2 AND stage <> ?3"), params![name, version, DELETED], from_row)?
        .ok_or_else(|| not_found(name, version))?;
    let tags = "SELECT key, value FROM model_version_tag WHERE name = ?1 AND version = ?2 ORDER BY key";
    found.tags = db.rows(tags, params![name, version], |row| Ok(Tag { key: row.get(0)?, value: row.get(1)? }))?;
    Ok(found)
}

pub(crate) fn not_found(name: &str, version: i64) -> Error {
    Error::NotFound(format!("Model Version (name={name}, version={version}) not found"))
}

fn from_row(row: &Row) -> Result<ModelVersion> {
    Ok(ModelVersion {
        name: row.get(0)?,
        version: row.get(1)?,
        creation_time: row.get(2)?,
        last_update_time: row.get(3)?,
        description: row.get(4)?,
        stage: row.get(5)?,
        source: row.get(6)?,
        storage_location: row.get(7)?,
        run_id: row.get(8)?,
        run_link: row.get(9)?,
        model_id: row.get(10)?,
        tags: vec![],
        aliases: vec![],
    })
}
