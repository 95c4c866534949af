//! From a parsed filter and order to SQL with bound parameters, and pages by keyset.
//!
//! - `condition.rs`: filters; `number.rs` and `text.rs`: comparisons that answer alike on both engines.
//! - `sort.rs`: orders, and which table has to be joined for them.
//! - `query.rs`: a search under construction, its sources, and how it is run.
//! - `token.rs`: page tokens. One holds the sort keys of the last row, so that the next page goes on behind it,
//!   however many rows came or went before it, and a deep page costs what a first one costs.
//! - `pattern.rs`: regular expressions in PostgreSQL's words.

mod condition;
mod number;
mod pattern;
mod query;
mod sort;
mod text;
mod token;

use crate::error::{Error, Result};
use crate::filter::{Attribute, Entity};

pub(crate) use condition::Condition;
pub(crate) use query::{Query, Source};
pub(crate) use sort::Sort;

pub(crate) type Sql = crate::db::Sql<'static>;

/// One page of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Asks for the next page; `None` at the end.
    pub next_page_token: Option<String>,
}

impl<T> Page<T> {
    /// Makes each item's answer.
    pub(crate) fn load<U>(self, load: impl FnMut(T) -> Result<U>) -> Result<Page<U>> {
        let items = self.items.into_iter().map(load).collect::<Result<_>>()?;
        Ok(Page { items, next_page_token: self.next_page_token })
    }

    pub fn map<U>(self, to: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(to).collect(), next_page_token: self.next_page_token }
    }
}

/// A table of keys and values that belongs to the searched one.
#[derive(Clone, Copy)]
pub(crate) struct Side {
    pub(crate) table: &'static str,
    /// Columns that name the owner, each with the owner's expression.
    pub(crate) owner: &'static [(&'static str, &'static str)],
}

impl Side {
    fn on(&self, alias: &str) -> String {
        let conditions: Vec<_> =
            self.owner.iter().map(|(column, owner)| format!("{alias}.{column} = {owner}")).collect();
        conditions.join(" AND ")
    }
}

/// How the fields of one entity are found in SQL.
pub(crate) struct Table {
    pub(crate) entity: Entity,
    /// The columns that identify a row; the callback of [`Query::page`] reads them.
    pub(crate) id: &'static [&'static str],
    pub(crate) attribute: fn(Attribute) -> Option<&'static str>,
    pub(crate) tag: Option<Side>,
    pub(crate) param: Option<Side>,
    /// Latest metrics by the number of their key (runs), or metrics by name (logged models).
    pub(crate) metric: Option<Metrics>,
}

#[derive(Clone, Copy)]
pub(crate) enum Metrics {
    /// `latest_metric`, by the number of the metric's name.
    OfRun(Side),
    /// `logged_model_metric`, by name; the caller may scope it to datasets.
    OfModel(Side),
}

impl Table {
    fn column(&self, attribute: Attribute) -> Result<&'static str> {
        (self.attribute)(attribute).ok_or_else(|| unsupported(self.entity))
    }
}

fn unsupported(entity: Entity) -> Error {
    // The parser admits only what the entity has; this is reached when the two disagree.
    Error::Storage(format!("A search of {entity:?} names a field that its table does not have."))
}
