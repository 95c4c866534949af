//! Which way a search goes to its runs.
//!
//! The engines' planners know how often a value occurs, but not that a page ends after a hundred rows, and at a million
//! runs a wrong guess costs seconds. So the way is chosen here, from what a few bounded look-ups find:
//!
//! * In the order of time: along `run_by_start`, testing the filter row by row until the page is full.
//! * In the order of a metric: the same along `metric_rank`, with the few runs beside it that are being written to.
//! * When a filter finds few: from the runs that one of its conditions finds by an index, which are then sorted.
//! * In any other order all runs that the filter finds are sorted.

use crate::db::{Conn, Dialect, Row};
use crate::error::Result;
use crate::filter::{Attribute, Comparison, Field, Filter, Number, Op, OrderBy, Value};
use crate::rank;
use crate::search::{Condition, Page, Query, Sort, Source, Sql};
use crate::{Lifecycle, ViewType};

/// More experiments than this are not walked one by one.
const MOST_WALKS: usize = 16;
/// How many more rows than a page has are tested in the order of time, before other ways are thought of.
const FIRST_LOOK: usize = 10;
/// From so many rows on, they are met with what other conditions find, if that is no more than so many times as many.
const WORTH_MEETING: usize = 300;
const MEETING: usize = 5;
/// The most values of a list that are looked up one by one.
const MOST_VALUES: usize = 100;

pub(super) struct Plan<'a> {
    pub(super) query: &'a Query<'a>,
    pub(super) filter: &'a Filter,
    pub(super) order: &'a [OrderBy],
    pub(super) experiments: &'a [i64],
    pub(super) view: ViewType,
    pub(super) limit: usize,
    pub(super) token: Option<&'a str>,
}

/// A page, and the experiment of which too many runs are not in the order of their metrics.
pub(super) struct Planned {
    pub(super) page: Page<i64>,
    pub(super) to_rank: Option<i64>,
}

impl Plan<'_> {
    pub(super) fn page(&self) -> Result<Planned> {
        let filtered = !self.filter.conjuncts().is_empty();
        let walks = self.walks();
        if let Some(mut walks) = walks {
            if filtered {
                // Most filters find a page soon.
                let first = (self.limit + 1).saturating_mul(FIRST_LOOK);
                walks.iter_mut().for_each(|walk| walk.first = Some(first));
                let page = self.query.page_of(&walks, self.limit, self.token, row)?;
                if page.next_page_token.is_some() || self.see_all(&walks)? {
                    return Ok(Planned { page, to_rank: None });
                }
                walks.iter_mut().for_each(|walk| walk.first = None);
                if let Some(few) = self.few()? {
                    return self.of(&[few]);
                }
            }
            return self.of(&walks);
        }
        if filtered && let Some(few) = self.few()? {
            return self.of(&[few]);
        }
        if let Some(ranked) = self.ranked()? {
            let to_rank = self.unranked()?;
            let page = self.query.page_of(&ranked, self.limit, self.token, row)?;
            return Ok(Planned { page, to_rank });
        }
        self.of(&[self.query.source(self.scope())])
    }

    fn of(&self, sources: &[Source]) -> Result<Planned> {
        let page = self.query.page_of(sources, self.limit, self.token, row)?;
        Ok(Planned { page, to_rank: None })
    }

    pub(super) fn count(&self) -> Result<u64> {
        let few = if self.filter.conjuncts().is_empty() { None } else { self.few()? };
        self.query.count(&few.unwrap_or_else(|| self.query.source(self.scope())))
    }

    fn db(&self) -> &Conn {
        self.query.db()
    }

    fn lifecycles(&self) -> &'static [Lifecycle] {
        match self.view {
            ViewType::ActiveOnly => &[Lifecycle::Active],
            ViewType::DeletedOnly => &[Lifecycle::Deleted],
            ViewType::All => &[Lifecycle::Active, Lifecycle::Deleted],
        }
    }

    /// The runs of the searched experiments.
    fn scope(&self) -> Vec<Condition> {
        let experiments = match self.experiments {
            [] => Condition::new("1 = 0", vec![]),
            [one] => Condition::new("r.experiment = ?", vec![Sql::Integer(*one)]),
            many => Condition::new(self.db().dialect().any("r.experiment", "?"), vec![Sql::Integers(many.to_vec())]),
        };
        vec![experiments, self.lifecycle()]
    }

    fn lifecycle(&self) -> Condition {
        let numbers: Vec<_> = self.lifecycles().iter().map(|lifecycle| lifecycle.number().to_string()).collect();
        Condition::new(format!("r.lifecycle IN ({})", numbers.join(", ")), vec![])
    }

    /// Along the index by time, for each experiment and lifecycle; `None` if the order is another.
    fn walks(&self) -> Option<Vec<Source>> {
        let sorts = self.query.sorts();
        if sorts.first()?.expression() != "r.start_time" || !sorts.iter().all(Sort::is_plain) {
            return None;
        }
        let lifecycles = self.lifecycles();
        if self.experiments.len() * lifecycles.len() > MOST_WALKS {
            return None;
        }
        let pairs = self.experiments.iter().flat_map(|one| lifecycles.iter().map(move |lifecycle| (*one, *lifecycle)));
        let walk = |(experiment, lifecycle): (i64, Lifecycle)| {
            let sql = format!("r.experiment = ? AND r.lifecycle = {}", lifecycle.number());
            self.query.source(vec![Condition::new(sql, vec![Sql::Integer(experiment)])])
        };
        Some(pairs.map(walk).collect())
    }

    fn see_all(&self, walks: &[Source]) -> Result<bool> {
        for walk in walks {
            if !self.query.sees_all(walk, self.token)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// In the order of a metric: numbers, then NaN, then runs without it.
    fn ranked(&self) -> Result<Option<Vec<Source>>> {
        let Some(OrderBy { field: Field::Metric(name), descending }) = self.order.first() else { return Ok(None) };
        if self.experiments.len() > MOST_WALKS {
            return Ok(None);
        }
        let key = self.query.metric_key(name)?;
        let rest = &self.query.sorts()[2..];
        let sorts = |stage: usize, value: &str| {
            let kind = Sort::constant_integer(i64::try_from(stage).unwrap_or(0));
            let value = if stage == 0 { Sort::real(value, *descending) } else { Sort::constant_real(0.0, *descending) };
            [kind, value].into_iter().chain(rest.iter().cloned()).collect::<Vec<_>>()
        };
        let unranked = match self.db().dialect() {
            // Not along another index that has more columns in common with the search.
            Dialect::Sqlite => "run r INDEXED BY run_unranked CROSS JOIN latest_metric o",
            Dialect::Postgres => "run r CROSS JOIN latest_metric o",
        };
        let mut sources = Vec::new();
        for experiment in self.experiments {
            for nan in 0..2 {
                let of_rank =
                    format!("w.experiment = ? AND w.key = ? AND w.nan = {nan} AND r.id = w.run AND r.ranked = 1");
                let parameters = vec![Sql::Integer(*experiment), Sql::Integer(key)];
                sources.push(Source {
                    stage: nan,
                    from: "metric_rank w CROSS JOIN run r".to_owned(),
                    parameters: vec![],
                    conditions: vec![Condition::new(of_rank, parameters.clone()), self.lifecycle()],
                    sorts: sorts(nan, "w.value"),
                    first: None,
                });
                let beside =
                    format!("r.experiment = ? AND r.ranked = 0 AND o.run = r.id AND o.key = ? AND o.nan = {nan}");
                sources.push(Source {
                    stage: nan,
                    from: unranked.to_owned(),
                    parameters: vec![],
                    conditions: vec![Condition::new(beside, parameters), self.lifecycle()],
                    sorts: sorts(nan, "o.value"),
                    first: None,
                });
            }
            let without =
                "r.experiment = ? AND (SELECT 1 FROM latest_metric o WHERE o.run = r.id AND o.key = ?) IS NULL";
            sources.push(Source {
                stage: 2,
                from: "run r".to_owned(),
                parameters: vec![],
                conditions: vec![
                    Condition::new(without, vec![Sql::Integer(*experiment), Sql::Integer(key)]),
                    self.lifecycle(),
                ],
                sorts: sorts(2, ""),
                first: None,
            });
        }
        Ok(Some(sources))
    }

    /// An experiment with too many runs that are not in the order of their metrics.
    fn unranked(&self) -> Result<Option<i64>> {
        for experiment in self.experiments {
            let sql = format!(
                "SELECT count(*) FROM (SELECT 1 FROM run WHERE experiment = ?1 AND ranked = 0 LIMIT {}) few",
                rank::TOO_MANY + 1
            );
            let many = self.db().one(&sql, &[Sql::Integer(*experiment)], |row| row.get::<i64>(0))?;
            if many > rank::TOO_MANY {
                return Ok(Some(*experiment));
            }
        }
        Ok(None)
    }

    /// From the runs that one condition of the filter finds by an index, if they are few.
    fn few(&self) -> Result<Option<Source>> {
        let runs = self.db().row("SELECT id FROM run ORDER BY id DESC LIMIT 1", &[], |row| row.get::<i64>(0))?;
        // Walking finds a page after `runs / found` times its length, sorting reads all that is found: both cost the
        // same where `found` is the root of the product.
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rough bound"
        )]
        let mut most = ((runs.unwrap_or(0) as f64 * (self.limit + 1) as f64).sqrt() as usize).clamp(1_000, 20_000);
        let comparisons = || {
            self.filter.conjuncts().iter().filter_map(|part| match part {
                Filter::Is(comparison) => Some(comparison),
                _ => None,
            })
        };
        let mut fewest: Option<(&Comparison, Vec<i64>)> = None;
        for comparison in comparisons() {
            if let Some(found) = self.found_by(comparison, most)? {
                most = found.len();
                fewest = Some((comparison, found));
            }
        }
        let Some((by, mut rows)) = fewest else { return Ok(None) };
        // To read what another condition finds is much cheaper than to test row by row.
        for comparison in comparisons().filter(|comparison| *comparison != by) {
            if rows.len() < WORTH_MEETING {
                break;
            }
            if let Some(others) = self.found_by(comparison, rows.len() * MEETING)? {
                rows.retain(|row| others.binary_search(row).is_ok());
            }
        }
        let mut source = self.query.source(self.scope());
        source.parameters.push(Sql::Integers(rows));
        // Both are read first, and nothing else decides where to begin.
        source.from = match self.db().dialect() {
            Dialect::Sqlite => {
                source.conditions.insert(0, Condition::new("r.id = few.value", vec![]));
                "json_each(?) few CROSS JOIN run r".to_owned()
            }
            Dialect::Postgres => "(SELECT * FROM run WHERE id = ANY(?) OFFSET 0) r".to_owned(),
        };
        Ok(Some(source))
    }

    /// The runs that an index finds for a condition, in any experiment; `None` if none can or if they are more than
    /// `most`. All for which the condition holds are among them.
    fn found_by(&self, Comparison { field, op, value }: &Comparison, most: usize) -> Result<Option<Vec<i64>>> {
        let texts = match (op, value) {
            (Op::Eq, Value::Text(text)) => vec![text.clone()],
            (Op::In, Value::List(texts)) if texts.len() <= MOST_VALUES => texts.clone(),
            _ => vec![],
        };
        let mut found = Vec::new();
        match field {
            Field::Param(key) if !texts.is_empty() => {
                for text in texts {
                    self.with_value("param", key, &text, most, &mut found)?;
                }
            }
            Field::Tag(key) if !texts.is_empty() => {
                for text in texts {
                    self.with_value("tag", key, &text, most, &mut found)?;
                }
            }
            Field::Attribute(Attribute::RunId) if !texts.is_empty() => {
                for text in texts {
                    found.extend(self.db().row("SELECT id FROM run WHERE uuid = ?1", &[Sql::from(text)], row)?);
                }
            }
            Field::Metric(key) => {
                let Some((low, high)) = bounds(*op, value) else { return Ok(None) };
                let key = self.query.metric_key(key)?;
                for experiment in self.experiments.iter().take(MOST_WALKS + 1) {
                    self.with_metric(*experiment, key, low, high, most, &mut found)?;
                }
                if self.experiments.len() > MOST_WALKS {
                    return Ok(None);
                }
            }
            _ => return Ok(None),
        }
        found.sort_unstable();
        found.dedup();
        Ok(Some(found).filter(|found| found.len() <= most))
    }

    fn with_value(&self, table: &str, key: &str, value: &str, most: usize, found: &mut Vec<i64>) -> Result<()> {
        let start = match self.db().dialect() {
            Dialect::Sqlite => "substr(value, 1, 100) = substr(?2, 1, 100)",
            Dialect::Postgres => "\"left\"(value, 100) = \"left\"(?2, 100)",
        };
        let sql = format!(
            "SELECT run FROM {table} WHERE key = ?1 AND {start} LIMIT {}",
            (most + 1).saturating_sub(found.len())
        );
        found.extend(self.db().rows(&sql, &[Sql::from(key.to_owned()), Sql::from(value.to_owned())], row)?);
        Ok(())
    }

    /// Ranked ones in the range, and all that are not ranked.
    fn with_metric(
        &self,
        experiment: i64,
        key: i64,
        low: f64,
        high: f64,
        most: usize,
        found: &mut Vec<i64>,
    ) -> Result<()> {
        let left = |found: &Vec<i64>| (most + 1).saturating_sub(found.len());
        let sql = format!("SELECT id FROM run WHERE experiment = ?1 AND ranked = 0 LIMIT {}", left(found));
        found.extend(self.db().rows(&sql, &[Sql::Integer(experiment)], row)?);
        let sql = format!(
            "SELECT run FROM metric_rank WHERE experiment = ?1 AND key = ?2 AND nan = 0 AND value >= ?3 AND value <= ?4 LIMIT {}",
            left(found)
        );
        let parameters = [Sql::Integer(experiment), Sql::Integer(key), Sql::Real(low), Sql::Real(high)];
        found.extend(self.db().rows(&sql, &parameters, row)?);
        Ok(())
    }
}

fn row(row: &Row) -> Result<i64> {
    row.get(0)
}

/// The range of values for which a comparison may hold; `None` if it is no range.
fn bounds(op: Op, value: &Value) -> Option<(f64, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
    let real = |number: &Number| match number {
        Number::Fraction(number) => *number,
        Number::Whole(number) => *number as f64,
    };
    match (op, value) {
        (Op::Eq, Value::Number(number)) => Some((real(number), real(number))),
        (Op::Lt | Op::Le, Value::Number(number)) => Some((f64::NEG_INFINITY, real(number))),
        (Op::Gt | Op::Ge, Value::Number(number)) => Some((real(number), f64::INFINITY)),
        (Op::Between, Value::Range(low, high)) => Some((real(low), real(high))),
        _ => None,
    }
}
