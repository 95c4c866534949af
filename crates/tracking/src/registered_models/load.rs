//! A registered model or a version with what hangs on it. PostgreSQL gives all of it by one statement, where each costs a
//! way to the server.

use std::ops::ControlFlow;

use super::{Alias, RegisteredModel};
use crate::Tag;
use crate::db::{Conn, Dialect, Row, Sql, params};
use crate::error::Result;
use crate::model_versions::{self, DELETED, ModelVersion};

/// The model with its latest versions, these without their aliases.
pub(super) fn model(db: &Conn, name: &str) -> Result<RegisteredModel> {
    if db.dialect() == Dialect::Postgres {
        return parts(db, MODEL, params![name, DELETED])?.into_model(name);
    }
    let mut model = super::find(db, name)?;
    let tags = "SELECT key, value FROM registered_model_tag WHERE name = ?1 ORDER BY key";
    model.tags = db.rows(tags, params![name], |row| Ok(Tag { key: row.get(0)?, value: row.get(1)? }))?;
    let aliases = "SELECT alias, version FROM registered_model_alias WHERE name = ?1 ORDER BY alias";
    model.aliases = db.rows(aliases, params![name], |row| Ok(Alias { alias: row.get(0)?, version: row.get(1)? }))?;
    let latest = "SELECT max(version) FROM model_version WHERE name = ?1 AND stage <> ?2 GROUP BY stage ORDER BY 1";
    let latest: Vec<i64> = db.rows(latest, params![name, DELETED], |row| row.get(0))?;
    let latest = latest.into_iter().map(|version| model_versions::find(db, name, version));
    model.latest_versions = latest.collect::<Result<_>>()?;
    Ok(model)
}

/// A version with its aliases.
pub(crate) fn version(db: &Conn, name: &str, version: i64) -> Result<ModelVersion> {
    if db.dialect() == Dialect::Postgres {
        let Parts { mut versions, mut aliases, .. } = parts(db, VERSION, params![name, DELETED, version])?;
        let mut found = versions.pop().ok_or_else(|| model_versions::not_found(name, version))?;
        aliases.sort_unstable_by(|a, b| a.alias.cmp(&b.alias));
        found.aliases = aliases.into_iter().map(|alias| alias.alias).collect();
        return Ok(found);
    }
    let mut found = model_versions::find(db, name, version)?;
    let aliases = "SELECT alias FROM registered_model_alias WHERE name = ?1 AND version = ?2 ORDER BY alias";
    found.aliases = db.rows(aliases, params![name, version], |row| row.get(0))?;
    Ok(found)
}

/// Versions `v` and their tags, below other kinds of rows.
macro_rules! with_versions {
    ($with:literal, $rest:literal) => {
        concat!(
            "WITH ", $with, "
            SELECT 0, version, creation_time, last_update_time, name, description, stage, source, storage_location, run_id, run_link, model_id FROM v
            UNION ALL SELECT 1, t.version, 0, 0, t.key, t.value, NULL, NULL, NULL, NULL, NULL, NULL
                FROM v JOIN model_version_tag t ON t.name = v.name AND t.version = v.version
            UNION ALL ", $rest
        )
    };
}

const VERSION: &str = with_versions!(
    "v AS MATERIALIZED (SELECT * FROM model_version WHERE name = ?1 AND version = ?3 AND stage <> ?2)",
    "SELECT 2, a.version, 0, 0, a.alias, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM registered_model_alias a WHERE a.name = ?1 AND a.version = ?3"
);

const MODEL: &str = with_versions!(
    "v AS MATERIALIZED (SELECT * FROM model_version WHERE name = ?1 AND version IN
        (SELECT max(version) FROM model_version WHERE name = ?1 AND stage <> ?2 GROUP BY stage))",
    "SELECT 2, a.version, 0, 0, a.alias, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM registered_model_alias a WHERE a.name = ?1
    UNION ALL SELECT 3, 0, 0, 0, t.key, t.value, NULL, NULL, NULL, NULL, NULL, NULL
        FROM registered_model_tag t WHERE t.name = ?1
    UNION ALL SELECT 4, 0, m.creation_time, m.last_update_time, m.name, m.description, NULL, NULL, NULL, NULL, NULL, NULL
        FROM registered_model m WHERE m.name = ?1"
);

/// The rows of one statement by their kinds, which stand in the first column; in any order.
#[derive(Default)]
struct Parts {
    model: Option<RegisteredModel>,
    tags: Vec<Tag>,
    aliases: Vec<Alias>,
    versions: Vec<ModelVersion>,
}

fn parts(db: &Conn, sql: &str, parameters: &[Sql]) -> Result<Parts> {
    let mut parts = Parts::default();
    let mut version_tags = Vec::new();
    db.bare();
    db.each(sql, parameters, |row| {
        match row.get::<i64>(0)? {
            0 => parts.versions.push(version_from(row)?),
            1 => version_tags.push((row.get::<i64>(1)?, tag_from(row)?)),
            2 => parts.aliases.push(Alias { alias: row.get(4)?, version: row.get(1)? }),
            3 => parts.tags.push(tag_from(row)?),
            _ => {
                parts.model = Some(RegisteredModel {
                    name: row.get(4)?,
                    creation_time: row.get(2)?,
                    last_update_time: row.get(3)?,
                    description: row.get(5)?,
                    tags: vec![],
                    aliases: vec![],
                    latest_versions: vec![],
                });
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    version_tags.sort_unstable_by(|(_, a), (_, b)| a.key.cmp(&b.key));
    for (version, tag) in version_tags {
        if let Some(owner) = parts.versions.iter_mut().find(|found| found.version == version) {
            owner.tags.push(tag);
        }
    }
    Ok(parts)
}

impl Parts {
    fn into_model(mut self, name: &str) -> Result<RegisteredModel> {
        self.tags.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        self.aliases.sort_unstable_by(|a, b| a.alias.cmp(&b.alias));
        self.versions.sort_unstable_by_key(|found| found.version);
        let model = self.model.ok_or_else(|| super::not_found(name))?;
        Ok(RegisteredModel { tags: self.tags, aliases: self.aliases, latest_versions: self.versions, ..model })
    }
}

fn version_from(row: &Row) -> Result<ModelVersion> {
    Ok(ModelVersion {
        name: row.get(4)?,
        version: row.get(1)?,
        creation_time: row.get(2)?,
        last_update_time: row.get(3)?,
        description: row.get(5)?,
        stage: row.get(6)?,
        source: row.get(7)?,
        storage_location: row.get(8)?,
        run_id: row.get(9)?,
        run_link: row.get(10)?,
        model_id: row.get(11)?,
        tags: vec![],
        aliases: vec![],
    })
}

fn tag_from(row: &Row) -> Result<Tag> {
    Ok(Tag { key: row.get(4)?, value: row.get(5)? })
}
