//! From a parsed filter and order to SQL with bound parameters, and pages by keyset.
//!
//! A page token holds the sort keys of the last row, so that the next page goes on behind it, however many
//! rows came or went before it, and a deep page costs what a first one costs.

use std::ops::ControlFlow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::Value as Json;

use crate::db::{Conn, Row, params};
use crate::error::{Error, Result};
use crate::filter::{Attribute, Comparison, DatasetField, Entity, Field, Filter, Number, Op, OrderBy, Value};
use crate::{Lifecycle, ViewType};

type Sql = crate::db::Sql<'static>;

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

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Integer,
    Real,
    Text,
}

/// One sort key. Its expression is never NULL, so that pages can be cut by comparison.
pub(crate) struct Sort {
    expression: String,
    descending: bool,
    kind: Kind,
}

impl Sort {
    pub(crate) fn integer(expression: impl Into<String>, descending: bool) -> Sort {
        Sort { expression: expression.into(), descending, kind: Kind::Integer }
    }

    pub(crate) fn real(expression: impl Into<String>, descending: bool) -> Sort {
        Sort { expression: expression.into(), descending, kind: Kind::Real }
    }

    pub(crate) fn text(expression: impl Into<String>, descending: bool) -> Sort {
        Sort { expression: expression.into(), descending, kind: Kind::Text }
    }
}

/// A search under construction.
pub(crate) struct Query<'a> {
    db: &'a Conn,
    table: &'a Table,
    from: String,
    join_parameters: Vec<Sql>,
    conditions: Vec<String>,
    parameters: Vec<Sql>,
    sorts: Vec<Sort>,
    /// Restricts the metrics of logged models to datasets: SQL on alias `m`, and its parameters.
    metric_scope: Option<(String, Vec<Sql>)>,
}

impl<'a> Query<'a> {
    pub(crate) fn new(db: &'a Conn, table: &'a Table, from: &str) -> Query<'a> {
        Query {
            db,
            table,
            from: from.to_owned(),
            join_parameters: Vec::new(),
            conditions: Vec::new(),
            parameters: Vec::new(),
            sorts: Vec::new(),
            metric_scope: None,
        }
    }

    /// Adds a condition with its parameters, written `?` in order.
    pub(crate) fn condition(&mut self, sql: impl Into<String>, parameters: impl IntoIterator<Item = Sql>) {
        self.conditions.push(sql.into());
        self.parameters.extend(parameters);
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

    /// `column IN (…)`; one value is written as an equality, which lets an index give the order as well.
    pub(crate) fn one_of(&mut self, column: &str, values: Vec<Sql>) {
        match values.len() {
            0 => self.condition("1 = 0", []),
            1 => self.condition(format!("{column} = ?"), values),
            n => self.condition(format!("{column} IN ({})", marks(n)), values),
        }
    }

    pub(crate) fn filter(&mut self, filter: &Filter) -> Result<()> {
        for part in filter.conjuncts() {
            let (sql, parameters) = self.holds(part)?;
            self.condition(sql, parameters);
        }
        Ok(())
    }

    /// A filter as one condition.
    fn holds(&self, filter: &Filter) -> Result<(String, Vec<Sql>)> {
        match filter {
            Filter::Is(comparison) => self.comparison(comparison),
            // A part of a filter holds or does not, where SQL knows a third answer for what is missing.
            Filter::Not(part) => {
                let (sql, parameters) = self.holds(part)?;
                Ok((format!("NOT COALESCE({sql}, FALSE)"), parameters))
            }
            Filter::All(parts) => self.joined("AND", parts),
            Filter::Any(parts) => self.joined("OR", parts),
        }
    }

    /// Halves in parentheses: engines bound how deep an expression may be, and a chain is as deep as it is long.
    fn joined(&self, word: &str, parts: &[Filter]) -> Result<(String, Vec<Sql>)> {
        if let [part] = parts {
            return self.holds(part);
        }
        let (left, right) = parts.split_at(parts.len() / 2);
        let ((left, mut parameters), (right, more)) = (self.joined(word, left)?, self.joined(word, right)?);
        parameters.extend(more);
        Ok((format!("({left} {word} {right})"), parameters))
    }

    fn comparison(&self, comparison: &Comparison) -> Result<(String, Vec<Sql>)> {
        let Comparison { field, op, value } = comparison;
        match field {
            Field::Attribute(attribute) => {
                let column = self.column(*attribute)?;
                // Ids of experiments are numbers that are compared as text.
                let column = if *attribute == Attribute::ExperimentId {
                    format!("CAST({column} AS TEXT)")
                } else {
                    column.to_owned()
                };
                Ok(compare(&column, *op, value))
            }
            Field::Tag(key) => self.side(self.table.tag, key, *op, value),
            Field::Param(key) => self.side(self.table.param, key, *op, value),
            Field::Metric(key) => self.metric(key, *op, value),
            Field::Dataset(field) => {
                let (joins, column) = match field {
                    DatasetField::Name => ("", "d.name"),
                    DatasetField::Digest => ("", "d.digest"),
                    DatasetField::Context => (
                        " JOIN run_dataset_tag c ON c.run = x.run AND c.dataset = x.dataset AND c.key = 'mlflow.data.context'",
                        "c.value",
                    ),
                };
                let from = format!("run_dataset x JOIN dataset d ON d.id = x.dataset{joins} WHERE x.run = r.id");
                Ok(exists(&from, vec![], column, *op, value))
            }
        }
    }

    /// A condition on a tag or a param. One that is missing matches nothing but IS NULL, as MLflow's inner join has it.
    fn side(&self, side: Option<Side>, key: &str, op: Op, value: &Value) -> Result<(String, Vec<Sql>)> {
        let side = side.ok_or_else(|| unsupported(self.table.entity))?;
        let from = format!("{} t WHERE {} AND t.key = ?", side.table, side.on("t"));
        Ok(exists(&from, vec![Sql::from(key.to_owned())], "t.value", op, value))
    }

    fn metric(&self, key: &str, op: Op, value: &Value) -> Result<(String, Vec<Sql>)> {
        match self.table.metric {
            Some(Metrics::OfRun(side)) => {
                let from = format!("{} m WHERE {} AND m.key = ?", side.table, side.on("m"));
                let key = Sql::Integer(self.metric_key(key)?);
                if matches!(op, Op::IsNull | Op::IsNotNull) {
                    return Ok(exists(&from, vec![key], "m.value", op, value));
                }
                let (sql, mut parameters) = compare("m.value", op, value);
                // A NaN differs from every number and compares with none, as in MLflow's SQL store.
                let sql = if matches!(op, Op::Ne | Op::NotIn | Op::NotBetween) {
                    format!("(m.nan = 1 OR {sql})")
                } else {
                    format!("m.nan = 0 AND {sql}")
                };
                parameters.insert(0, key);
                Ok((format!("EXISTS (SELECT 1 FROM {from} AND {sql})"), parameters))
            }
            Some(Metrics::OfModel(side)) => {
                let (scope, scope_parameters) =
                    self.metric_scope.clone().unwrap_or_else(|| ("TRUE".to_owned(), Vec::new()));
                let from = format!("{} m WHERE {} AND m.key = ? AND {scope}", side.table, side.on("m"));
                let parameters = std::iter::once(Sql::from(key.to_owned())).chain(scope_parameters).collect();
                Ok(exists(&from, parameters, "m.value", op, value))
            }
            None => Err(unsupported(self.table.entity)),
        }
    }

    /// The number of a metric's name; one that no metric has when the name is not known.
    fn metric_key(&self, name: &str) -> Result<i64> {
        let id = self.db.row("SELECT id FROM metric_key WHERE name = ?1", params![name], |row| row.get(0))?;
        Ok(id.unwrap_or(-1))
    }

    /// Sorts by what was asked for, then by `defaults`, then by `last`, which must make the order total.
    pub(crate) fn order(&mut self, order: &[OrderBy], defaults: Vec<Sort>, last: Sort) -> Result<()> {
        order.iter().try_for_each(|key| self.order_by(key))?;
        self.sorts.extend(defaults);
        self.sorts.push(last);
        Ok(())
    }

    pub(crate) fn then_by(&mut self, sort: Sort) {
        self.sorts.push(sort);
    }

    pub(crate) fn order_by(&mut self, OrderBy { field, descending }: &OrderBy) -> Result<()> {
        let alias = format!("o{}", self.sorts.len());
        match field {
            Field::Attribute(attribute) => {
                let column = self.column(*attribute)?;
                self.sort_with_missing_last(column, *descending, kind_of(*attribute));
                Ok(())
            }
            Field::Tag(key) => self.sort_by_side(self.table.tag, key, &alias, *descending),
            Field::Param(key) => self.sort_by_side(self.table.param, key, &alias, *descending),
            Field::Metric(key) => self.sort_by_metric(key, &alias, *descending),
            Field::Dataset(_) => Err(Error::invalid("Runs cannot be ordered by datasets.")),
        }
    }

    /// Missing values come last in both directions, as in MLflow.
    fn sort_with_missing_last(&mut self, column: &str, descending: bool, kind: Kind) {
        let nothing = if kind == Kind::Text { "''" } else { "0" };
        self.sorts.push(Sort::integer(format!("(CASE WHEN {column} IS NULL THEN 1 ELSE 0 END)"), false));
        self.sorts.push(Sort { expression: format!("COALESCE({column}, {nothing})"), descending, kind });
    }

    fn sort_by_side(&mut self, side: Option<Side>, key: &str, alias: &str, descending: bool) -> Result<()> {
        let side = side.ok_or_else(|| unsupported(self.table.entity))?;
        self.from.push_str(&format!(" LEFT JOIN {} {alias} ON {} AND {alias}.key = ?", side.table, side.on(alias)));
        self.join_parameters.push(Sql::from(key.to_owned()));
        self.sort_with_missing_last(&format!("{alias}.value"), descending, Kind::Text);
        Ok(())
    }

    /// Numbers, then NaN, then missing, in both directions, as in MLflow.
    fn sort_by_metric(&mut self, key: &str, alias: &str, descending: bool) -> Result<()> {
        match self.table.metric {
            Some(Metrics::OfRun(side)) => {
                let key = self.metric_key(key)?;
                self.from.push_str(&format!(
                    " LEFT JOIN {} {alias} ON {} AND {alias}.key = ?",
                    side.table,
                    side.on(alias)
                ));
                self.join_parameters.push(Sql::Integer(key));
                self.sorts.push(Sort::integer(format!("COALESCE({alias}.nan, 2)"), false));
                self.sorts.push(Sort::real(format!("COALESCE({alias}.value, 0.0)"), descending));
            }
            Some(Metrics::OfModel(side)) => {
                // Of a metric's many points the latest counts.
                let (scope, scope_parameters) =
                    self.metric_scope.clone().unwrap_or_else(|| ("1 = 1".to_owned(), Vec::new()));
                let owner: Vec<_> = side.owner.iter().map(|(column, _)| format!("m.{column}")).collect();
                let owner = owner.join(", ");
                self.from.push_str(&format!(
                    " LEFT JOIN (SELECT {owner}, m.value, row_number() OVER (PARTITION BY {owner} ORDER BY m.timestamp DESC, m.step DESC) AS newest FROM {} m WHERE m.key = ? AND {scope}) {alias} ON {} AND {alias}.newest = 1",
                    side.table,
                    side.on(alias)
                ));
                self.join_parameters.push(Sql::from(key.to_owned()));
                self.join_parameters.extend(scope_parameters);
                self.sort_with_missing_last(&format!("{alias}.value"), descending, Kind::Real);
            }
            None => return Err(unsupported(self.table.entity)),
        }
        Ok(())
    }

    /// Runs the search. `item` reads the columns of [`Table::id`]; what hangs on the found rows is loaded afterwards
    /// ([`Page::load`]): one connection answers one statement at a time.
    pub(crate) fn page<T>(
        mut self,
        limit: usize,
        token: Option<&str>,
        mut item: impl FnMut(&Row) -> Result<T>,
    ) -> Result<Page<T>> {
        if let Some(token) = token.filter(|token| !token.is_empty()) {
            let keys = read_token(token, &self.sorts)?;
            let (sql, parameters) = behind(&self.sorts, &keys);
            self.condition(sql, parameters);
        }
        let ids = self.table.id.len();
        let columns: Vec<&str> =
            self.table.id.iter().copied().chain(self.sorts.iter().map(|sort| sort.expression.as_str())).collect();
        let order: Vec<_> = self
            .sorts
            .iter()
            .map(|sort| format!("{}{}", sort.expression, if sort.descending { " DESC" } else { "" }))
            .collect();
        let conditions = if self.conditions.is_empty() { "1 = 1".to_owned() } else { self.conditions.join(" AND ") };
        let sql = format!(
            "SELECT {} FROM {} WHERE {conditions} ORDER BY {} LIMIT {}",
            columns.join(", "),
            self.from,
            order.join(", "),
            limit + 1
        );
        let parameters: Vec<Sql> = self.join_parameters.iter().chain(&self.parameters).cloned().collect();
        let keys = |row: &Row| -> Result<Vec<Sql>> {
            let key = |(place, sort): (usize, &Sort)| {
                Ok(match sort.kind {
                    Kind::Integer => Sql::Integer(row.get(ids + place)?),
                    Kind::Real => Sql::Real(row.get(ids + place)?),
                    Kind::Text => Sql::from(row.get::<String>(ids + place)?),
                })
            };
            self.sorts.iter().enumerate().map(key).collect()
        };
        let mut items = Vec::new();
        let (mut last, mut more) = (None, false);
        self.db.each(&sql, &parameters, |row| {
            if items.len() == limit {
                more = true;
                return Ok(ControlFlow::Break(()));
            }
            items.push(item(row)?);
            if items.len() == limit {
                last = Some(keys(row)?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let next_page_token = last.filter(|_| more).map(write_token);
        Ok(Page { items, next_page_token })
    }

    fn column(&self, attribute: Attribute) -> Result<&'static str> {
        (self.table.attribute)(attribute).ok_or_else(|| unsupported(self.table.entity))
    }
}

fn unsupported(entity: Entity) -> Error {
    // The parser admits only what the entity has; this is reached when the two disagree.
    Error::Storage(format!("A search of {entity:?} names a field that its table does not have."))
}

fn marks(n: usize) -> String {
    vec!["?"; n].join(", ")
}

/// A condition on a row beside the searched one: `from` ends in a WHERE that finds it, with its parameters.
fn exists(from: &str, mut parameters: Vec<Sql>, column: &str, op: Op, value: &Value) -> (String, Vec<Sql>) {
    let sql = match op {
        Op::IsNull => format!("NOT EXISTS (SELECT 1 FROM {from})"),
        Op::IsNotNull => format!("EXISTS (SELECT 1 FROM {from})"),
        _ => {
            let (sql, more) = compare(column, op, value);
            parameters.extend(more);
            format!("EXISTS (SELECT 1 FROM {from} AND {sql})")
        }
    };
    (sql, parameters)
}

fn compare(column: &str, op: Op, value: &Value) -> (String, Vec<Sql>) {
    let number = |number: &Number| match number {
        Number::Fraction(number) => Sql::Real(*number),
        Number::Whole(number) => Sql::Integer(*number),
    };
    let parameters = match value {
        Value::Number(value) => vec![number(value)],
        Value::Range(low, high) => vec![number(low), number(high)],
        Value::Numbers(numbers) => numbers.iter().map(number).collect(),
        Value::Text(text) => vec![Sql::from(text.clone())],
        Value::Pattern(pattern) => vec![Sql::from(pattern.text().to_owned())],
        Value::List(texts) => texts.iter().cloned().map(Sql::from).collect(),
        Value::None => vec![],
    };
    let sql = match op {
        Op::Eq => format!("{column} = ?"),
        Op::Ne => format!("{column} <> ?"),
        Op::Lt => format!("{column} < ?"),
        Op::Le => format!("{column} <= ?"),
        Op::Gt => format!("{column} > ?"),
        Op::Ge => format!("{column} >= ?"),
        Op::Between => format!("{column} BETWEEN ? AND ?"),
        Op::NotBetween => format!("{column} NOT BETWEEN ? AND ?"),
        // Connections are set to a LIKE that minds case; a pattern has no escapes.
        Op::Like => format!("{column} LIKE ?"),
        Op::NotLike => format!("{column} NOT LIKE ?"),
        Op::ILike => format!("lower({column}) LIKE lower(?)"),
        Op::NotILike => format!("lower({column}) NOT LIKE lower(?)"),
        Op::RLike => format!("{column} REGEXP ?"),
        Op::NotRLike => format!("{column} NOT REGEXP ?"),
        Op::In => format!("{column} IN ({})", marks(parameters.len())),
        Op::NotIn => format!("{column} NOT IN ({})", marks(parameters.len())),
        Op::IsNull => format!("{column} IS NULL"),
        Op::IsNotNull => format!("{column} IS NOT NULL"),
    };
    (sql, parameters)
}

fn kind_of(attribute: Attribute) -> Kind {
    match attribute {
        Attribute::CreationTime
        | Attribute::CreationTimestamp
        | Attribute::EndTime
        | Attribute::ExperimentId
        | Attribute::LastUpdateTime
        | Attribute::LastUpdatedTimestamp
        | Attribute::StartTime
        | Attribute::VersionNumber => Kind::Integer,
        _ => Kind::Text,
    }
}

/// "Comes after these keys in the order": `k0 > v0 OR (k0 = v0 AND (k1 > v1 OR …))`.
fn behind(sorts: &[Sort], keys: &[Sql]) -> (String, Vec<Sql>) {
    let mut sql = String::new();
    let mut parameters = Vec::new();
    let after = |sort: &Sort| if sort.descending { "<" } else { ">" };
    // Said once more for the first key alone, where an index can use it.
    if let (Some(sort), Some(key)) = (sorts.first(), keys.first()) {
        sql.push_str(&format!("{} {}= ? AND ", sort.expression, after(sort)));
        parameters.push(key.clone());
    }
    for (position, (sort, key)) in sorts.iter().zip(keys).enumerate() {
        let last = position + 1 == sorts.len();
        sql.push_str(&format!("({} {} ?", sort.expression, after(sort)));
        parameters.push(key.clone());
        if !last {
            sql.push_str(&format!(" OR {} = ? AND ", sort.expression));
            parameters.push(key.clone());
        }
    }
    sql.push_str(&")".repeat(sorts.len()));
    (sql, parameters)
}

fn write_token(keys: Vec<Sql>) -> String {
    let keys: Vec<Json> = keys
        .into_iter()
        .map(|key| match key {
            Sql::Integer(number) => Json::from(number),
            // By its bits: a decimal might come back one unit off.
            Sql::Real(number) => serde_json::json!({ "bits": number.to_bits() }),
            Sql::Text(text) => Json::from(text.into_owned()),
            Sql::Null | Sql::Blob(_) | Sql::Integers(_) | Sql::Texts(_) => Json::Null,
        })
        .collect();
    BASE64.encode(Json::from(keys).to_string())
}

fn read_token(token: &str, sorts: &[Sort]) -> Result<Vec<Sql>> {
    let wrong =
        || Error::invalid("Invalid page token: it was not made by this search. Start again without a page token.");
    let bytes = BASE64.decode(token).map_err(|_| Error::invalid("Invalid page token, could not base64-decode"))?;
    let keys: Vec<Json> = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
    if keys.len() != sorts.len() {
        return Err(wrong());
    }
    keys.into_iter()
        .zip(sorts)
        .map(|(key, sort)| match (sort.kind, key) {
            (Kind::Integer, Json::Number(number)) => number.as_i64().map(Sql::Integer).ok_or_else(wrong),
            (Kind::Text, Json::String(text)) => Ok(Sql::from(text)),
            (Kind::Real, Json::Object(object)) => {
                let bits = object.get("bits").and_then(Json::as_u64).ok_or_else(wrong)?;
                Ok(Sql::Real(f64::from_bits(bits)))
            }
            _ => Err(wrong()),
        })
        .collect()
}
