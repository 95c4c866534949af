//! Registered models: named lines of model versions, with tags and aliases.

pub(crate) mod load;

use crate::db::{Conn, Row, Tx, Weight, params};
use crate::error::{Error, Result};
use crate::filter::{self, Attribute, Comparison, Entity, Field, Filter, Op, Value};
use crate::model_versions::{self, ModelVersion};
use crate::search::{Page, Query, Side, Sort, Table};
use crate::{Store, Tag, limits, now};

/// Reads the columns by their place.
macro_rules! model_where {
    ($condition:literal) => {
        concat!("SELECT name, creation_time, last_update_time, description FROM registered_model WHERE ", $condition)
    };
}

/// Prompts are registered models that carry this tag with the value `true`; searches for models leave them out.
pub const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";

/// Times are milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisteredModel {
    pub name: String,
    pub creation_time: i64,
    pub last_update_time: i64,
    pub description: String,
    pub tags: Vec<Tag>,
    pub aliases: Vec<Alias>,
    /// The newest version of each stage that has one.
    pub latest_versions: Vec<ModelVersion>,
}

impl RegisteredModel {
    pub fn is_prompt(&self) -> bool {
        self.tags.iter().any(|tag| tag.key == PROMPT_TAG && tag.value.eq_ignore_ascii_case("true"))
    }
}

/// A name that stands for one version, and can be moved to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Alias {
    pub alias: String,
    pub version: i64,
}

/// A search of registered models or of model versions.
#[derive(Debug, Clone, Default)]
pub struct RegistrySearch {
    pub filter: String,
    pub order_by: Vec<String>,
    pub max_results: usize,
    pub page_token: Option<String>,
}

impl Store {
    pub async fn create_registered_model(
        &self,
        name: String,
        description: String,
        tags: Vec<Tag>,
    ) -> Result<RegisteredModel> {
        check_name(&name, "name")?;
        tags.iter().try_for_each(|tag| limits::check_registry_tag(&tag.key, &tag.value))?;
        self.db
            .create(format!("registered model {name:?} {description:?} {tags:?}"), move |tx| {
                let now = now();
                let fresh = tx.db.execute(
                    "INSERT INTO registered_model VALUES (?1, ?2, ?2, ?3) ON CONFLICT DO NOTHING",
                    params![&name, now, &description],
                )?;
                if fresh == 0 {
                    return Err(Error::AlreadyExists(format!("Registered Model (name={name}) already exists.")));
                }
                tags.iter().try_for_each(|tag| put_tag(tx, &name, tag))?;
                load::model(tx.db, &name)
            })
            .await
    }

    pub async fn get_registered_model(&self, name: String) -> Result<RegisteredModel> {
        self.db.read(Weight::Light, move |db| load::model(db, &name)).await
    }

    /// Without a description the stored one is cleared, as in MLflow.
    pub async fn update_registered_model(&self, name: String, description: Option<String>) -> Result<RegisteredModel> {
        self.db
            .write(name.len() + 256, move |tx| {
                find(tx.db, &name)?;
                tx.db.execute(
                    "UPDATE registered_model SET description = ?2, last_update_time = ?3 WHERE name = ?1",
                    params![&name, description.clone().unwrap_or_default(), now()],
                )?;
                load::model(tx.db, &name)
            })
            .await
    }

    /// Versions, tags and aliases come along.
    pub async fn rename_registered_model(&self, name: String, new_name: String) -> Result<RegisteredModel> {
        check_name(&new_name, "new_name")?;
        self.db
            .write(name.len() + new_name.len() + 64, move |tx| {
                find(tx.db, &name)?;
                if name != new_name && find(tx.db, &new_name).is_ok() {
                    return Err(Error::AlreadyExists(format!("Registered Model (name={new_name}) already exists.")));
                }
                let now = now();
                tx.db.execute(
                    "UPDATE registered_model SET name = ?2, last_update_time = ?3 WHERE name = ?1",
                    params![&name, &new_name, now],
                )?;
                tx.db.execute(
                    "UPDATE model_version SET last_update_time = ?2 WHERE name = ?1",
                    params![&new_name, now],
                )?;
                load::model(tx.db, &new_name)
            })
            .await
    }

    /// Deletes a model for good, with its versions; a model of that name made later counts from 1 again.
    pub async fn delete_registered_model(&self, name: String) -> Result<()> {
        self.db
            .write(name.len(), move |tx| {
                let gone = tx.db.execute("DELETE FROM registered_model WHERE name = ?1", params![&name])?;
                if gone == 0 {
                    return Err(not_found(&name));
                }
                Ok(())
            })
            .await
    }

    pub async fn set_registered_model_tag(&self, name: String, tag: Tag) -> Result<()> {
        limits::check_registry_tag(&tag.key, &tag.value)?;
        self.db
            .write(name.len() + tag.value.len() + 64, move |tx| {
                find(tx.db, &name)?;
                put_tag(tx, &name, &tag)
            })
            .await
    }

    /// Deleting a tag that is not there is no error, as in MLflow.
    pub async fn delete_registered_model_tag(&self, name: String, key: String) -> Result<()> {
        limits::check_key(&key, "key")?;
        self.db
            .write(name.len() + key.len(), move |tx| {
                find(tx.db, &name)?;
                tx.db.execute("DELETE FROM registered_model_tag WHERE name = ?1 AND key = ?2", params![&name, &key])?;
                Ok(())
            })
            .await
    }

    pub async fn set_alias(&self, name: String, alias: String, version: i64) -> Result<()> {
        check_alias(&alias)?;
        self.db
            .write(name.len() + alias.len(), move |tx| {
                model_versions::find(tx.db, &name, version)?;
                tx.db.execute("INSERT INTO registered_model_alias VALUES (?1, ?2, ?3) ON CONFLICT (name, alias) DO UPDATE SET version = excluded.version", params![&name, &alias, version])?;
                Ok(())
            })
            .await
    }

    /// Deleting an alias that is not there is no error, as in MLflow.
    pub async fn delete_alias(&self, name: String, alias: String) -> Result<()> {
        check_alias_letters(&alias)?;
        self.db
            .write(name.len() + alias.len(), move |tx| {
                find(tx.db, &name)?;
                tx.db.execute(
                    "DELETE FROM registered_model_alias WHERE name = ?1 AND alias = ?2",
                    params![&name, &alias],
                )?;
                Ok(())
            })
            .await
    }

    /// `latest` is always the newest version, whatever its stage.
    pub async fn get_version_by_alias(&self, name: String, alias: String) -> Result<ModelVersion> {
        self.db
            .read(Weight::Light, move |db| {
                find(db, &name)?;
                if alias.eq_ignore_ascii_case(LATEST) {
                    let newest = load::model(db, &name)?.latest_versions.pop();
                    let newest =
                        newest.ok_or_else(|| Error::NotFound(format!("Latest version not found for model {name}.")))?;
                    return load::version(db, &name, newest.version);
                }
                let version: Option<i64> = db.row(
                    "SELECT version FROM registered_model_alias WHERE name = ?1 AND alias = ?2",
                    params![&name, &alias],
                    |row| row.get(0),
                )?;
                // Not a 404: MLflow's clients tell a missing alias from a missing model by this code.
                let version =
                    version.ok_or_else(|| Error::Invalid(format!("Registered model alias {alias} not found.")))?;
                load::version(db, &name, version)
            })
            .await
    }

    /// The newest version of each of these stages, or of all stages.
    pub async fn get_latest_versions(&self, name: String, stages: Vec<String>) -> Result<Vec<ModelVersion>> {
        let stages = stages.iter().map(|stage| model_versions::canonical_stage(stage)).collect::<Result<Vec<_>>>()?;
        self.db
            .read(Weight::Light, move |db| {
                let RegisteredModel { aliases, latest_versions: mut latest, .. } = load::model(db, &name)?;
                if !stages.is_empty() {
                    latest.retain(|version| stages.contains(&version.stage.as_str()));
                }
                // With aliases here, without where a model is shown with its latest versions, as in MLflow 3.17.
                for found in &mut latest {
                    let own = aliases.iter().filter(|alias| alias.version == found.version);
                    found.aliases = own.map(|alias| alias.alias.clone()).collect();
                }
                Ok(latest)
            })
            .await
    }

    pub async fn search_registered_models(&self, search: RegistrySearch) -> Result<Page<RegisteredModel>> {
        let filter = filter::parse(Entity::RegisteredModel, &search.filter)?;
        let order = filter::parse_order_by(Entity::RegisteredModel, &search.order_by)?;
        self.db
            .read(Weight::Heavy, move |db| {
                let mut query = Query::new(db, &REGISTERED_MODELS, "registered_model r");
                filter_without_prompts(&mut query, &filter, "r.name", "registered_model_tag")?;
                query.order(&order, vec![], Sort::text("r.name", false))?;
                let page = query.page(search.max_results, search.page_token.as_deref(), |row| row.get::<String>(0))?;
                page.load(|name| load::model(db, &name))
            })
            .await
    }
}

/// How filters and orders on registered models become SQL.
const REGISTERED_MODELS: Table = Table {
    entity: Entity::RegisteredModel,
    id: &["r.name"],
    attribute: |attribute| match attribute {
        Attribute::Name => Some("r.name"),
        Attribute::LastUpdatedTimestamp => Some("r.last_update_time"),
        _ => None,
    },
    tag: Some(Side { table: "registered_model_tag", owner: &[("name", "r.name")] }),
    param: None,
    metric: None,
};

/// Applies a filter, and leaves prompts out unless the filter asks for them. What a filter says of the prompt's tag
/// otherwise (`!= 'true'`) is dropped: models do not have the tag, so it would match none. As MLflow 3.17 does; a
/// filter that names the tag inside of OR or NOT, which MLflow does not know, is taken as it is.
pub(crate) fn filter_without_prompts(query: &mut Query, filter: &Filter, name: &str, tags: &str) -> Result<()> {
    let names_prompts = |part: &Comparison| matches!(&part.field, Field::Tag(key) if key == PROMPT_TAG);
    let (on_prompt, rest): (Vec<&Filter>, Vec<&Filter>) =
        filter.conjuncts().iter().partition(|part| part.comparisons().into_iter().any(names_prompts));
    let asks_for_prompts = on_prompt.first().is_some_and(|part| match part {
        Filter::Is(Comparison { op: Op::Eq, value: Value::Text(text), .. }) => text.eq_ignore_ascii_case("true"),
        Filter::Is(Comparison { op: Op::Ne, value: Value::Text(text), .. }) => text.eq_ignore_ascii_case("false"),
        Filter::Is(_) => false,
        _ => true,
    });
    if asks_for_prompts {
        return query.filter(filter);
    }
    query.condition(
        format!(
            "NOT EXISTS (SELECT 1 FROM {tags} p WHERE p.name = {name} AND p.key = '{PROMPT_TAG}' AND p.value = 'true')"
        ),
        [],
    );
    rest.into_iter().try_for_each(|part| query.filter(part))
}

fn put_tag(tx: &Tx, name: &str, tag: &Tag) -> Result<()> {
    tx.db.execute("INSERT INTO registered_model_tag VALUES (?1, ?2, ?3) ON CONFLICT (name, key) DO UPDATE SET value = excluded.value", params![name, &tag.key, &tag.value])?;
    Ok(())
}

pub(crate) fn find(db: &Conn, name: &str) -> Result<RegisteredModel> {
    db.row(model_where!("name = ?1"), params![name], from_row)?.ok_or_else(|| not_found(name))
}

fn from_row(row: &Row) -> Result<RegisteredModel> {
    Ok(RegisteredModel {
        name: row.get(0)?,
        creation_time: row.get(1)?,
        last_update_time: row.get(2)?,
        description: row.get(3)?,
        tags: vec![],
        aliases: vec![],
        latest_versions: vec![],
    })
}

fn not_found(name: &str) -> Error {
    Error::NotFound(format!("Registered Model with name={name} not found"))
}

fn check_name(name: &str, parameter: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::Invalid(format!("Missing value for required parameter '{parameter}'.")));
    }
    if name.contains(['/', ':']) {
        return Err(Error::Invalid(format!("Invalid model name '{name}'. Names cannot contain '/' or ':'.")));
    }
    limits::check_path(name, parameter)
}

/// The alias that every model has by itself.
const LATEST: &str = "latest";

fn check_alias_letters(alias: &str) -> Result<()> {
    if alias.is_empty() {
        return Err(Error::invalid("Missing value for required parameter 'alias'."));
    }
    if !alias.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
        return Err(Error::Invalid(format!(
            "Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )));
    }
    limits::check_length("Registered model alias name", 255, alias)
}

fn check_alias(alias: &str) -> Result<()> {
    check_alias_letters(alias)?;
    if alias.eq_ignore_ascii_case(LATEST) {
        return Err(Error::invalid("'latest' alias name (case insensitive) is reserved."));
    }
    let is_version = |rest: &str| !rest.is_empty() && rest.chars().all(char::is_numeric);
    if alias.strip_prefix(['v', 'V']).is_some_and(is_version) {
        return Err(Error::Invalid(format!("Version alias name '{alias}' is reserved.")));
    }
    Ok(())
}
