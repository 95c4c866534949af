//! Filters as conditions.

use super::query::Query;
use super::{Metrics, Side, Sql, number, text, unsupported};
use crate::error::Result;
use crate::filter::{Attribute, Comparison, DatasetField, Field, Filter, Op, Value};

/// SQL that is true, false or, where something is missing, NULL; its parameters are written `?` in their order.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) sql: String,
    pub(crate) parameters: Vec<Sql>,
}

impl Condition {
    pub(crate) fn new(sql: impl Into<String>, parameters: Vec<Sql>) -> Condition {
        Condition { sql: sql.into(), parameters }
    }

    pub(super) fn always() -> Condition {
        Condition::new("1 = 1", vec![])
    }

    pub(super) fn never() -> Condition {
        Condition::new("1 = 0", vec![])
    }

    pub(super) fn not(self) -> Condition {
        Condition { sql: format!("NOT ({})", self.sql), ..self }
    }

    pub(crate) fn all<'a>(conditions: impl Iterator<Item = &'a Condition>) -> Condition {
        let (mut sql, mut parameters) = (String::new(), Vec::new());
        for condition in conditions {
            if !sql.is_empty() {
                sql.push_str(" AND ");
            }
            sql.push_str(&condition.sql);
            parameters.extend_from_slice(&condition.parameters);
        }
        if sql.is_empty() { Condition::always() } else { Condition { sql, parameters } }
    }

    /// Two in parentheses.
    fn joined(self, word: &str, other: Condition) -> Condition {
        let mut parameters = self.parameters;
        parameters.extend(other.parameters);
        Condition { sql: format!("({} {word} {})", self.sql, other.sql), parameters }
    }
}

impl Query<'_> {
    pub(crate) fn filter(&mut self, filter: &Filter) -> Result<()> {
        for part in filter.conjuncts() {
            let condition = self.holds(part)?;
            self.add(condition);
        }
        Ok(())
    }

    fn holds(&self, filter: &Filter) -> Result<Condition> {
        match filter {
            Filter::Is(comparison) => self.comparison(comparison),
            // A part of a filter holds or does not, where SQL knows a third answer for what is missing.
            Filter::Not(part) => {
                let Condition { sql, parameters } = self.holds(part)?;
                Ok(Condition { sql: format!("NOT COALESCE({sql}, FALSE)"), parameters })
            }
            Filter::All(parts) => self.joined("AND", parts),
            Filter::Any(parts) => self.joined("OR", parts),
        }
    }

    /// Halves in parentheses: engines bound how deep an expression may be, and a chain is as deep as it is long.
    fn joined(&self, word: &str, parts: &[Filter]) -> Result<Condition> {
        if let [part] = parts {
            return self.holds(part);
        }
        let (left, right) = parts.split_at(parts.len() / 2);
        Ok(self.joined(word, left)?.joined(word, self.joined(word, right)?))
    }

    pub(crate) fn comparison(&self, Comparison { field, op, value }: &Comparison) -> Result<Condition> {
        match field {
            Field::Attribute(attribute) => {
                let column = self.table.column(*attribute)?;
                Ok(if attribute.is_numeric() {
                    number::of_integers(column, *op, value)
                } else if *attribute == Attribute::ExperimentId {
                    // Ids of experiments are numbers that are compared as text.
                    text::compare(self.db.dialect(), &format!("CAST({column} AS TEXT)"), *op, value)
                } else {
                    text::compare(self.db.dialect(), column, *op, value)
                })
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
                let compared = text::compare(self.db.dialect(), column, *op, value);
                Ok(among(&from, vec![], *op, compared))
            }
        }
    }

    /// A condition on a tag or a param. One that is missing matches nothing but IS NULL, as MLflow's inner join has it.
    fn side(&self, side: Option<Side>, key: &str, op: Op, value: &Value) -> Result<Condition> {
        let side = side.ok_or_else(|| unsupported(self.table.entity))?;
        let from = format!("{} t WHERE {} AND t.key = ?", side.table, side.on("t"));
        let compared = text::compare(self.db.dialect(), "t.value", op, value);
        Ok(of_the_one(&from, vec![Sql::from(key.to_owned())], op, compared))
    }

    fn metric(&self, key: &str, op: Op, value: &Value) -> Result<Condition> {
        let compared = number::of_reals("m.value", op, value);
        match self.table.metric {
            Some(Metrics::OfRun(side)) => {
                let from = format!("{} m WHERE {} AND m.key = ?", side.table, side.on("m"));
                let key = Sql::Integer(self.metric_key(key)?);
                // A NaN differs from every number and compares with none, as in MLflow's SQL store.
                let sql = if matches!(op, Op::Ne | Op::NotIn | Op::NotBetween) {
                    format!("(m.nan = 1 OR {})", compared.sql)
                } else {
                    format!("m.nan = 0 AND {}", compared.sql)
                };
                Ok(of_the_one(&from, vec![key], op, Condition { sql, ..compared }))
            }
            Some(Metrics::OfModel(side)) => {
                let (scope, scope_parameters) =
                    self.metric_scope.clone().unwrap_or_else(|| ("1 = 1".to_owned(), Vec::new()));
                let from = format!("{} m WHERE {} AND m.key = ? AND {scope}", side.table, side.on("m"));
                let parameters = std::iter::once(Sql::from(key.to_owned())).chain(scope_parameters).collect();
                Ok(among(&from, parameters, op, compared))
            }
            None => Err(unsupported(self.table.entity)),
        }
    }
}

/// A condition on the one row that belongs to the searched one, if there is one: `from` ends in a WHERE that finds it,
/// with its parameters. A subquery for a value is left where it stands, one look-up for each searched row, where an
/// engine might turn EXISTS into a join of whole tables.
fn of_the_one(from: &str, mut parameters: Vec<Sql>, op: Op, compared: Condition) -> Condition {
    match op {
        Op::IsNull => Condition::new(format!("(SELECT 1 FROM {from}) IS NULL"), parameters),
        Op::IsNotNull => Condition::new(format!("(SELECT 1 FROM {from}) IS NOT NULL"), parameters),
        _ => {
            // Its parameters stand in front of those of `from`.
            let mut all = compared.parameters;
            all.append(&mut parameters);
            Condition::new(format!("(SELECT {} FROM {from})", compared.sql), all)
        }
    }
}

/// A condition on any of the rows that belong to the searched one.
fn among(from: &str, mut parameters: Vec<Sql>, op: Op, compared: Condition) -> Condition {
    match op {
        Op::IsNull => Condition::new(format!("NOT EXISTS (SELECT 1 FROM {from})"), parameters),
        Op::IsNotNull => Condition::new(format!("EXISTS (SELECT 1 FROM {from})"), parameters),
        _ => {
            parameters.extend(compared.parameters);
            Condition::new(format!("EXISTS (SELECT 1 FROM {from} AND {})", compared.sql), parameters)
        }
    }
}
