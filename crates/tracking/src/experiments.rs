//! Experiments and their tags.

use crate::changes::{Change, Kind};
use crate::db::{Conn, Dialect, Row, Tx, Weight, params};
use crate::error::{Error, Result};
use crate::filter::{self, Attribute, Entity};
use crate::limits;
use crate::search::{Page, Query, Side, Sort, Table};
use crate::{Lifecycle, Store, Tag, ViewType, now};

/// Reads the columns by their place.
macro_rules! experiment_where {
    ($condition:literal) => {
        concat!(
            "SELECT id, name, artifact_location, lifecycle, creation_time, last_update_time FROM experiment WHERE ",
            $condition
        )
    };
}

/// A named group of runs. Times are milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    pub id: i64,
    pub name: String,
    pub artifact_location: String,
    pub lifecycle: Lifecycle,
    pub creation_time: i64,
    pub last_update_time: i64,
    pub tags: Vec<Tag>,
}

/// What a search of experiments asks for.
#[derive(Debug, Clone, Default)]
pub struct ExperimentSearch {
    pub filter: String,
    pub order_by: Vec<String>,
    pub view: ViewType,
    pub max_results: i64,
    pub page_token: Option<String>,
}

impl Store {
    /// Creates an experiment and returns its id. Without a location its artifacts go below the store's root.
    pub async fn create_experiment(
        &self,
        name: String,
        artifact_location: Option<String>,
        tags: Vec<Tag>,
    ) -> Result<i64> {
        limits::check_experiment_name(&name)?;
        for tag in &tags {
            limits::check_experiment_tag(&tag.key, &tag.value)?;
        }
        let root = self.artifact_root();
        let request = format!("experiment {name:?} {artifact_location:?} {tags:?}");
        self.db.create(request, move |tx| insert(tx, &name, artifact_location.as_deref(), &root, &tags)).await
    }

    /// Also finds a deleted experiment, as MLflow does.
    pub async fn get_experiment(&self, id: i64) -> Result<Experiment> {
        self.db.read(Weight::Light, move |db| with_tags(db, find(db, id)?)).await
    }

    /// Also finds a deleted experiment, as MLflow does.
    pub async fn get_experiment_by_name(&self, name: String) -> Result<Experiment> {
        self.db
            .read(Weight::Light, move |db| {
                let found = db
                    .row(experiment_where!("name = ?1"), params![&name], from_row)?
                    .ok_or_else(|| Error::NotFound(format!("Could not find experiment with name '{name}'")))?;
                with_tags(db, found)
            })
            .await
    }

    pub async fn rename_experiment(&self, id: i64, name: String) -> Result<()> {
        limits::check_experiment_name(&name)?;
        self.db
            .write(name.len(), move |tx| {
                if find(tx.db, id)?.lifecycle != Lifecycle::Active {
                    return Err(Error::InvalidState("Cannot rename a non-active experiment.".to_owned()));
                }
                let other: Option<i64> =
                    tx.db.row("SELECT id FROM experiment WHERE name = ?1 AND id <> ?2", params![&name, id], |row| {
                        row.get(0)
                    })?;
                if other.is_some() {
                    return Err(already_exists(&name));
                }
                tx.db.execute(
                    "UPDATE experiment SET name = ?2, last_update_time = ?3 WHERE id = ?1",
                    params![id, &name, now()],
                )?;
                tx.changed(Change::experiment(id, Kind::Updated));
                Ok(())
            })
            .await
    }

    /// Deletes an experiment and all its runs, until they are restored or purged.
    pub async fn delete_experiment(&self, id: i64) -> Result<()> {
        self.move_experiment(id, Lifecycle::Active, Lifecycle::Deleted).await
    }

    /// Restores an experiment and all its runs, also those that were deleted one by one before, as MLflow does.
    pub async fn restore_experiment(&self, id: i64) -> Result<()> {
        self.move_experiment(id, Lifecycle::Deleted, Lifecycle::Active).await
    }

    async fn move_experiment(&self, id: i64, from: Lifecycle, to: Lifecycle) -> Result<()> {
        self.db
            .write(16, move |tx| {
                let now = now();
                let changed = tx.db.execute(
                    "UPDATE experiment SET lifecycle = ?3, last_update_time = ?4 WHERE id = ?1 AND lifecycle = ?2",
                    params![id, from.number(), to.number(), now],
                )?;
                if changed == 0 && to == Lifecycle::Active && is_purging(tx.db, id)? {
                    return Err(Error::Invalid(format!(
                        "The experiment {id} is being purged and can no longer be restored."
                    )));
                }
                if changed == 0 {
                    return Err(not_found(id));
                }
                let deleted_time = (to == Lifecycle::Deleted).then_some(now);
                tx.db.execute(
                    "UPDATE run SET lifecycle = ?2, deleted_time = ?3 WHERE experiment = ?1 AND lifecycle < 2",
                    params![id, to.number(), deleted_time],
                )?;
                let kind = if to == Lifecycle::Deleted { Kind::Deleted } else { Kind::Restored };
                tx.changed(Change::experiment(id, kind));
                Ok(())
            })
            .await
    }

    pub async fn set_experiment_tag(&self, id: i64, tag: Tag) -> Result<()> {
        limits::check_experiment_tag(&tag.key, &tag.value)?;
        self.db
            .write(tag.key.len() + tag.value.len(), move |tx| {
                check_active(&find(tx.db, id)?)?;
                tx.db.execute("INSERT INTO experiment_tag VALUES (?1, ?2, ?3) ON CONFLICT (experiment, key) DO UPDATE SET value = excluded.value", params![id, &tag.key, &tag.value])?;
                tx.changed(Change::experiment(id, Kind::Tags));
                Ok(())
            })
            .await
    }

    pub async fn delete_experiment_tag(&self, id: i64, key: String) -> Result<()> {
        self.db
            .write(key.len(), move |tx| {
                check_active(&find(tx.db, id)?)?;
                let gone = tx
                    .db
                    .execute("DELETE FROM experiment_tag WHERE experiment = ?1 AND key = ?2", params![id, &key])?;
                if gone == 0 {
                    return Err(Error::NotFound(format!("No tag with name: {key} in experiment with id {id}")));
                }
                tx.changed(Change::experiment(id, Kind::Tags));
                Ok(())
            })
            .await
    }

    pub async fn search_experiments(&self, search: ExperimentSearch) -> Result<Page<Experiment>> {
        let limit = limits::check_max_results(search.max_results, limits::SEARCH_RESULTS)?;
        let filter = filter::parse(Entity::Experiment, &search.filter)?;
        let order = filter::parse_order_by(Entity::Experiment, &search.order_by)?;
        self.db
            .read(Weight::Heavy, move |db| {
                let mut query = Query::new(db, &EXPERIMENTS, "experiment e");
                query.lifecycle("e.lifecycle", search.view);
                query.filter(&filter)?;
                // As MLflow 3.17 orders them; the id makes the order total.
                let by_default = if order.is_empty() { vec![Sort::integer("e.creation_time", true)] } else { vec![] };
                query.order(&order, by_default, Sort::integer("e.id", true))?;
                let page = query.page(limit, search.page_token.as_deref(), |row| row.get(0))?;
                page.load(|id| with_tags(db, find(db, id)?))
            })
            .await
    }
}

/// How filters and orders on experiments become SQL.
const EXPERIMENTS: Table = Table {
    entity: Entity::Experiment,
    id: &["e.id"],
    attribute: |attribute| match attribute {
        Attribute::Name => Some("e.name"),
        Attribute::ExperimentId => Some("e.id"),
        Attribute::CreationTime => Some("e.creation_time"),
        Attribute::LastUpdateTime => Some("e.last_update_time"),
        _ => None,
    },
    tag: Some(Side { table: "experiment_tag", owner: &[("experiment", "e.id")] }),
    param: None,
    metric: None,
};

fn insert(tx: &Tx, name: &str, artifact_location: Option<&str>, root: &str, tags: &[Tag]) -> Result<i64> {
    let taken: Option<i64> = tx.db.row("SELECT id FROM experiment WHERE name = ?1", params![name], |row| row.get(0))?;
    if taken.is_some() {
        return Err(already_exists(name));
    }
    let now = now();
    let id: i64 = tx.db.one("INSERT INTO experiment (name, artifact_location, creation_time, last_update_time) VALUES (?1, ?2, ?3, ?3) RETURNING id", params![name, artifact_location.unwrap_or_default(), now], |row| row.get(0))?;
    if artifact_location.is_none() {
        tx.db.execute(
            "UPDATE experiment SET artifact_location = ?2 WHERE id = ?1",
            params![id, crate::join_uri(root, &id.to_string())],
        )?;
    }
    for tag in tags {
        // Of a key that comes twice the last wins, as everywhere else that tags are set.
        tx.db.execute("INSERT INTO experiment_tag VALUES (?1, ?2, ?3) ON CONFLICT (experiment, key) DO UPDATE SET value = excluded.value", params![id, &tag.key, &tag.value])?;
    }
    tx.changed(Change::experiment(id, Kind::Created));
    Ok(id)
}

/// Makes experiment 0, "Default", which clients use when they name none. A database has it from its first day.
pub(crate) fn ensure_default(tx: &Tx, root: &str) -> Result<()> {
    let any: Option<i64> = tx.db.row("SELECT id FROM experiment LIMIT 1", params![], |row| row.get(0))?;
    if any.is_some() {
        return Ok(());
    }
    tx.db.execute("INSERT INTO experiment (id, name, artifact_location, creation_time, last_update_time) VALUES (0, 'Default', ?1, ?2, ?2)", params![crate::join_uri(root, "0"), now()])?;
    Ok(())
}

pub(crate) fn find(db: &Conn, id: i64) -> Result<Experiment> {
    db.row(experiment_where!("id = ?1"), params![id], from_row)?.ok_or_else(|| not_found(id))
}

pub(crate) fn check_active(experiment: &Experiment) -> Result<()> {
    check_lifecycle(experiment.id, experiment.lifecycle)
}

pub(crate) fn check_lifecycle(id: i64, lifecycle: Lifecycle) -> Result<()> {
    if lifecycle == Lifecycle::Active {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "The experiment {id} must be in the 'active' state. Current state is {}.",
        lifecycle.name()
    )))
}

/// Whether an experiment is past restoring; it stays as it is until the transaction ends.
pub(crate) fn is_purging(db: &Conn, id: i64) -> Result<bool> {
    let sql = match db.dialect() {
        Dialect::Sqlite => "SELECT lifecycle FROM experiment WHERE id = ?1",
        Dialect::Postgres => "SELECT lifecycle FROM experiment WHERE id = ?1 FOR SHARE",
    };
    let lifecycle: Option<i64> = db.row(sql, params![id], |row| row.get(0))?;
    Ok(lifecycle == Some(crate::purge::PURGING))
}

fn with_tags(db: &Conn, mut experiment: Experiment) -> Result<Experiment> {
    let tags = "SELECT key, value FROM experiment_tag WHERE experiment = ?1 ORDER BY key";
    experiment.tags = db.rows(tags, params![experiment.id], |row| Ok(Tag { key: row.get(0)?, value: row.get(1)? }))?;
    Ok(experiment)
}

fn from_row(row: &Row) -> Result<Experiment> {
    Ok(Experiment {
        id: row.get(0)?,
        name: row.get(1)?,
        artifact_location: row.get(2)?,
        lifecycle: Lifecycle::from_number(row.get(3)?),
        creation_time: row.get(4)?,
        last_update_time: row.get(5)?,
        tags: Vec::new(),
    })
}

pub(crate) fn not_found(id: i64) -> Error {
    Error::not_found(format!("No Experiment with id={id} exists"))
}

fn already_exists(name: &str) -> Error {
    Error::AlreadyExists(format!(
        "Experiment(name={name}) already exists. Choose another name; the name of a deleted experiment stays taken."
    ))
}
