//! MLflow's REST protocol, one file a noun. Each handler decodes its request, calls the store and writes the answer.
//!
//! Fields are accepted in snake_case and camelCase, as protobuf's JSON has it; answers are snake_case.

pub mod experiments;
pub mod gateway;
pub mod graphql;
pub mod inputs;
pub mod log;
pub mod logged_models;
pub mod metrics;
mod model_sources;
pub mod model_versions;
pub mod registered_models;
pub mod runs;
mod uri;

use serde::{Deserialize, Serialize};
use trackway_tracking::{Param, Tag, ViewType};

use crate::wire::fields;

/// A key and a value, as tags, params and aliases come in and go out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct KeyValueIn {
    #[serde(deserialize_with = "fields::text")]
    pub(crate) key: String,
    #[serde(deserialize_with = "fields::text")]
    pub(crate) value: String,
}

impl From<KeyValueIn> for Tag {
    fn from(given: KeyValueIn) -> Tag {
        Tag { key: given.key, value: given.value }
    }
}

impl From<KeyValueIn> for Param {
    fn from(given: KeyValueIn) -> Param {
        Param { key: given.key, value: given.value }
    }
}

#[derive(Serialize)]
pub(crate) struct KeyValueOut<'a> {
    key: &'a str,
    value: &'a str,
}

pub(crate) fn tags_out(tags: &[Tag]) -> Vec<KeyValueOut<'_>> {
    tags.iter().map(|tag| KeyValueOut { key: &tag.key, value: &tag.value }).collect()
}

pub(crate) fn params_out(params: &[Param]) -> Vec<KeyValueOut<'_>> {
    params.iter().map(|param| KeyValueOut { key: &param.key, value: &param.value }).collect()
}

/// Reads a list of something into the store's type of it.
pub(crate) fn into<A: Into<B>, B>(given: Vec<A>) -> Vec<B> {
    given.into_iter().map(Into::into).collect()
}

pub(crate) fn view_type<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<ViewType>, D::Error> {
    fields::enumeration(
        deserializer,
        &[
            ("ACTIVE_ONLY", 1, ViewType::ActiveOnly),
            ("DELETED_ONLY", 2, ViewType::DeletedOnly),
            ("ALL", 3, ViewType::All),
        ],
    )
}
