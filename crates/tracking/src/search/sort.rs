//! Orders, and which table has to be joined for them.

use super::query::Query;
use super::{Metrics, Side, Sql, unsupported};
use crate::error::{Error, Result};
use crate::filter::{Attribute, Field, OrderBy};

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Integer,
    Real,
    Text,
}

/// One sort key. Its expression is never NULL, so that pages can be cut by comparison.
#[derive(Clone)]
pub(crate) struct Sort {
    pub(super) expression: String,
    pub(super) descending: bool,
    pub(super) kind: Kind,
    /// What the expression reads from, with the parameters in it: ` LEFT JOIN …`.
    pub(super) join: Option<(String, Vec<Sql>)>,
    /// Of one source of a search: the key of all its rows.
    pub(super) constant: Option<Sql>,
}

impl Sort {
    fn new(expression: impl Into<String>, descending: bool, kind: Kind) -> Sort {
        Sort { expression: expression.into(), descending, kind, join: None, constant: None }
    }

    pub(crate) fn integer(expression: impl Into<String>, descending: bool) -> Sort {
        Sort::new(expression, descending, Kind::Integer)
    }

    pub(crate) fn real(expression: impl Into<String>, descending: bool) -> Sort {
        Sort::new(expression, descending, Kind::Real)
    }

    pub(crate) fn text(expression: impl Into<String>, descending: bool) -> Sort {
        Sort::new(expression, descending, Kind::Text)
    }

    /// The same in all rows of a source.
    pub(crate) fn constant_integer(value: i64) -> Sort {
        Sort { constant: Some(Sql::Integer(value)), ..Sort::integer(value.to_string(), false) }
    }

    /// The same in all rows of a source.
    pub(crate) fn constant_real(value: f64, descending: bool) -> Sort {
        Sort { constant: Some(Sql::Real(value)), ..Sort::real("0.0", descending) }
    }

    pub(crate) fn expression(&self) -> &str {
        &self.expression
    }

    /// Whether it needs no table beside the searched one.
    pub(crate) fn is_plain(&self) -> bool {
        self.join.is_none()
    }
}

impl Query<'_> {
    /// Sorts by what was asked for, then by `defaults`, then by `last`, which must make the order total.
    pub(crate) fn order(&mut self, order: &[OrderBy], defaults: Vec<Sort>, last: Sort) -> Result<()> {
        order.iter().try_for_each(|key| self.order_by(key))?;
        for sort in defaults.into_iter().chain([last]) {
            self.then_by(sort);
        }
        Ok(())
    }

    pub(crate) fn then_by(&mut self, sort: Sort) {
        // What is sorted by already cannot tell rows apart any more.
        if !self.sorts.iter().any(|other| other.expression == sort.expression) {
            self.sorts.push(sort);
        }
    }

    pub(crate) fn order_by(&mut self, OrderBy { field, descending }: &OrderBy) -> Result<()> {
        let alias = format!("o{}", self.sorts.len());
        match field {
            Field::Attribute(attribute) => {
                let column = self.table.column(*attribute)?;
                let kind = if attribute.is_numeric() || *attribute == Attribute::ExperimentId {
                    Kind::Integer
                } else {
                    Kind::Text
                };
                if matches!(attribute, Attribute::EndTime | Attribute::StatusMessage) {
                    self.sort_with_missing_last(column, *descending, kind, None);
                } else {
                    // As it stands, so that an index may give the order.
                    self.then_by(Sort::new(column, *descending, kind));
                }
                Ok(())
            }
            Field::Tag(key) => self.sort_by_side(self.table.tag, key, &alias, *descending),
            Field::Param(key) => self.sort_by_side(self.table.param, key, &alias, *descending),
            Field::Metric(key) => self.sort_by_metric(key, &alias, *descending),
            Field::Dataset(_) => Err(Error::invalid("Runs cannot be ordered by datasets.")),
        }
    }

    /// Missing values come last in both directions, as in MLflow.
    fn sort_with_missing_last(&mut self, column: &str, descending: bool, kind: Kind, join: Option<(String, Vec<Sql>)>) {
        let nothing = if kind == Kind::Text { "''" } else { "0" };
        let is_missing = Sort::integer(format!("(CASE WHEN {column} IS NULL THEN 1 ELSE 0 END)"), false);
        self.sorts.push(Sort { join, ..is_missing });
        self.sorts.push(Sort::new(format!("COALESCE({column}, {nothing})"), descending, kind));
    }

    fn sort_by_side(&mut self, side: Option<Side>, key: &str, alias: &str, descending: bool) -> Result<()> {
        let side = side.ok_or_else(|| unsupported(self.table.entity))?;
        let join = format!(" LEFT JOIN {} {alias} ON {} AND {alias}.key = ?", side.table, side.on(alias));
        let join = Some((join, vec![Sql::from(key.to_owned())]));
        self.sort_with_missing_last(&format!("{alias}.value"), descending, Kind::Text, join);
        Ok(())
    }

    /// Numbers, then NaN, then missing, in both directions, as in MLflow.
    fn sort_by_metric(&mut self, key: &str, alias: &str, descending: bool) -> Result<()> {
        match self.table.metric {
            Some(Metrics::OfRun(side)) => {
                let key = self.metric_key(key)?;
                let join = format!(" LEFT JOIN {} {alias} ON {} AND {alias}.key = ?", side.table, side.on(alias));
                let kind = Sort::integer(format!("COALESCE({alias}.nan, 2)"), false);
                self.sorts.push(Sort { join: Some((join, vec![Sql::Integer(key)])), ..kind });
                self.sorts.push(Sort::real(format!("COALESCE({alias}.value, 0.0)"), descending));
            }
            Some(Metrics::OfModel(side)) => {
                // Of a metric's many points the latest counts.
                let (scope, scope_parameters) =
                    self.metric_scope.clone().unwrap_or_else(|| ("1 = 1".to_owned(), Vec::new()));
                let owner: Vec<_> = side.owner.iter().map(|(column, _)| format!("m.{column}")).collect();
                let owner = owner.join(", ");
                let join = format!(
                    " LEFT JOIN (SELECT {owner}, m.value, row_number() OVER (PARTITION BY {owner} ORDER BY m.timestamp DESC, m.step DESC) AS newest FROM {} m WHERE m.key = ? AND {scope}) {alias} ON {} AND {alias}.newest = 1",
                    side.table,
                    side.on(alias)
                );
                let parameters = std::iter::once(Sql::from(key.to_owned())).chain(scope_parameters).collect();
                self.sort_with_missing_last(
                    &format!("{alias}.value"),
                    descending,
                    Kind::Real,
                    Some((join, parameters)),
                );
            }
            None => return Err(unsupported(self.table.entity)),
        }
        Ok(())
    }
}
