//! A search under construction, and how it is run.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::sort::{Kind, Sort};
use super::token::{behind, compare, read_token, write_token};
use super::{Condition, Page, Sql, Table};
use crate::db::{Conn, Row, params};
use crate::error::Result;
use crate::{Lifecycle, ViewType};

pub(crate) struct Query<'a> {
    pub(super) db: &'a Conn,
    pub(super) table: &'a Table,
    /// The searched table under its alias: `run r`.
    from: &'static str,
    conditions: Vec<Condition>,
    pub(super) sorts: Vec<Sort>,
    /// Restricts the metrics of logged models to datasets: SQL on alias `m`, and its parameters.
    pub(super) metric_scope: Option<(String, Vec<Sql>)>,
}

/// One way to some of the rows, already in the right order, so that only as many are read as a page needs. All sources
/// of a search together have every row once.
pub(crate) struct Source {
    /// Sources of one stage are merged; those of a later one come behind all of it.
    pub(crate) stage: usize,
    /// Has the searched table under its alias, and whatever leads to it.
    pub(crate) from: String,
    pub(crate) parameters: Vec<Sql>,
    pub(crate) conditions: Vec<Condition>,
    /// The search's sorts, in words that fit `from`.
    pub(crate) sorts: Vec<Sort>,
    /// Only so many rows are looked at, if a number stands here: the first in the order. `from` and `conditions` then
    /// are of the searched table alone.
    pub(crate) first: Option<usize>,
}

/// What a row is, and where it stands in the order.
struct Found<T> {
    item: T,
    keys: Vec<Sql>,
}

impl<'a> Query<'a> {
    pub(crate) fn new(db: &'a Conn, table: &'a Table, from: &'static str) -> Query<'a> {
        Query { db, table, from, conditions: Vec::new(), sorts: Vec::new(), metric_scope: None }
    }

    /// Adds a condition with its parameters, written `?` in order.
    pub(crate) fn condition(&mut self, sql: impl Into<String>, parameters: impl IntoIterator<Item = Sql>) {
        self.add(Condition { sql: sql.into(), parameters: parameters.into_iter().collect() });
    }

    pub(super) fn add(&mut self, condition: Condition) {
        self.conditions.push(condition);
    }

    /// From here on metrics of logged models count only where this condition on alias `m` holds.
    pub(crate) fn scope_metrics(&mut self, scope: Option<(String, Vec<Sql>)>) {
        self.metric_scope = scope;
    }

    pub(crate) fn lifecycle(&mut self, column: &str, view: ViewType) {
        match view {
            ViewType::ActiveOnly => self.condition(format!("{column} = 0"), []),
            ViewType::DeletedOnly => self.condition(format!("{column} = {}", Lifecycle::Deleted.number()), []),
            // Both values named, so that an index that begins with the lifecycle still serves.
            ViewType::All => self.condition(format!("{column} IN (0, 1)"), []),
        }
    }

    /// `column` is one of the numbers; one is written as an equality, which lets an index give the order as well.
    pub(crate) fn one_of(&mut self, column: &str, values: Vec<i64>) {
        match values[..] {
            [] => self.condition("1 = 0", []),
            [value] => self.condition(format!("{column} = ?"), [Sql::Integer(value)]),
            _ => self.condition(self.db.dialect().any(column, "?"), [Sql::Integers(values)]),
        }
    }

    /// The number of a metric's name; one that no metric has when the name is not known.
    pub(crate) fn metric_key(&self, name: &str) -> Result<i64> {
        let id = self.db.row("SELECT id FROM metric_key WHERE name = ?1", params![name], |row| row.get(0))?;
        Ok(id.unwrap_or(-1))
    }

    /// The search's sorts, in the words of the searched table.
    pub(crate) fn sorts(&self) -> &[Sort] {
        &self.sorts
    }

    pub(crate) fn db(&self) -> &'a Conn {
        self.db
    }

    /// All rows of the searched table for which a condition holds.
    pub(crate) fn source(&self, conditions: Vec<Condition>) -> Source {
        let (from, sorts) = (self.from.to_owned(), self.sorts.clone());
        Source { stage: 0, from, parameters: Vec::new(), conditions, sorts, first: None }
    }

    /// Runs the search. `item` reads the columns of [`Table::id`]; what hangs on the found rows is loaded afterwards
    /// ([`Page::load`]): one connection answers one statement at a time.
    pub(crate) fn page<T>(
        &self,
        limit: usize,
        token: Option<&str>,
        item: impl FnMut(&Row) -> Result<T>,
    ) -> Result<Page<T>> {
        self.page_of(&[self.source(vec![])], limit, token, item)
    }

    /// The same from these sources, which all together have every row once.
    pub(crate) fn page_of<T>(
        &self,
        sources: &[Source],
        limit: usize,
        token: Option<&str>,
        mut item: impl FnMut(&Row) -> Result<T>,
    ) -> Result<Page<T>> {
        let token = token.filter(|token| !token.is_empty());
        let after = token.map(|token| read_token(token, &self.sorts)).transpose()?;
        let mut found: Vec<Found<T>> = Vec::new();
        let mut stages: Vec<usize> = sources.iter().map(|source| source.stage).collect();
        stages.sort_unstable();
        stages.dedup();
        for stage in stages {
            let wanted = limit + 1 - found.len();
            let mut lists = Vec::new();
            for source in sources.iter().filter(|source| source.stage == stage) {
                lists.push(self.read(source, after.as_deref(), wanted, &mut item)?);
            }
            found.extend(self.merged(lists, wanted));
            if found.len() > limit {
                break;
            }
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next_page_token = match found.last_mut() {
            Some(last) if more => Some(write_token(std::mem::take(&mut last.keys))),
            _ => None,
        };
        Ok(Page { items: found.into_iter().map(|found| found.item).collect(), next_page_token })
    }

    /// Whether a source that looks at its first rows only looks at all of them.
    pub(crate) fn sees_all(&self, source: &Source, token: Option<&str>) -> Result<bool> {
        let Some(first) = source.first else { return Ok(true) };
        let token = token.filter(|token| !token.is_empty());
        let after = token.map(|token| read_token(token, &self.sorts)).transpose()?;
        let Some(behind) = after.map_or(Some(Condition::always()), |keys| behind(&source.sorts, &keys)) else {
            return Ok(true);
        };
        let conditions = Condition::all(source.conditions.iter().chain([&behind]));
        let sql =
            format!("SELECT count(*) FROM (SELECT 1 FROM {} WHERE {} LIMIT {first}) few", source.from, conditions.sql);
        self.db.one(&sql, &conditions.parameters, |row| Ok(row.get::<i64>(0)?.unsigned_abs() < first as u64))
    }

    /// How many rows a source has, whatever the page.
    pub(crate) fn count(&self, source: &Source) -> Result<u64> {
        let conditions = Condition::all(source.conditions.iter().chain(&self.conditions));
        let sql = format!("SELECT count(*) FROM {} WHERE {}", source.from, conditions.sql);
        let parameters = [&source.parameters[..], &conditions.parameters].concat();
        self.db.one(&sql, &parameters, |row| Ok(row.get::<i64>(0)?.unsigned_abs()))
    }

    fn read<T>(
        &self,
        source: &Source,
        after: Option<&[Sql]>,
        limit: usize,
        item: &mut impl FnMut(&Row) -> Result<T>,
    ) -> Result<Vec<Found<T>>> {
        let behind = match after {
            Some(keys) => match behind(&source.sorts, keys) {
                Some(behind) => behind,
                None => return Ok(Vec::new()),
            },
            None => Condition::always(),
        };
        let order: Vec<_> = source
            .sorts
            .iter()
            .filter(|sort| sort.constant.is_none())
            .map(|sort| format!("{}{}", sort.expression, if sort.descending { " DESC" } else { "" }))
            .collect();
        let order = order.join(", ");
        let (mut from, mut parameters) = (source.from.clone(), source.parameters.clone());
        let conditions = match source.first {
            None => Condition::all(source.conditions.iter().chain(&self.conditions).chain([&behind])),
            Some(first) => {
                let inner = Condition::all(source.conditions.iter().chain([&behind]));
                let alias = self.from.rsplit(' ').next().unwrap_or_default();
                from = format!(
                    "(SELECT {alias}.* FROM {from} WHERE {} ORDER BY {order} LIMIT {first}) {alias}",
                    inner.sql
                );
                parameters.extend(inner.parameters);
                Condition::all(self.conditions.iter())
            }
        };
        for (join, values) in source.sorts.iter().filter_map(|sort| sort.join.as_ref()) {
            from.push_str(join);
            parameters.extend_from_slice(values);
        }
        parameters.extend(conditions.parameters);
        let ids = self.table.id.len();
        let read = source.sorts.iter().filter(|sort| sort.constant.is_none());
        let columns: Vec<&str> =
            self.table.id.iter().copied().chain(read.map(|sort| sort.expression.as_str())).collect();
        let sql = format!(
            "SELECT {} FROM {from} WHERE {} ORDER BY {order} LIMIT {limit}",
            columns.join(", "),
            conditions.sql,
        );
        let keys = |row: &Row| -> Result<Vec<Sql>> {
            let mut column = ids;
            let key = |sort: &Sort| {
                if let Some(constant) = &sort.constant {
                    return Ok(constant.clone());
                }
                column += 1;
                Ok(match sort.kind {
                    Kind::Integer => Sql::Integer(row.get(column - 1)?),
                    Kind::Real => Sql::Real(row.get(column - 1)?),
                    Kind::Text => Sql::from(row.get::<String>(column - 1)?),
                })
            };
            source.sorts.iter().map(key).collect()
        };
        let mut found = Vec::new();
        self.db.each(&sql, &parameters, |row| {
            found.push(Found { item: item(row)?, keys: keys(row)? });
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// The first rows of several lists that are each in order.
    fn merged<T>(&self, mut lists: Vec<Vec<Found<T>>>, limit: usize) -> Vec<Found<T>> {
        if lists.len() == 1 {
            return lists.remove(0);
        }
        let mut all: Vec<Found<T>> = lists.into_iter().flatten().collect();
        all.sort_by(|left, right| {
            let pairs = self.sorts.iter().zip(left.keys.iter().zip(&right.keys));
            let orders = pairs.map(|(sort, (left, right))| compare(left, right, sort.descending));
            orders.fold(Ordering::Equal, Ordering::then)
        });
        all.truncate(limit);
        all
    }
}
