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
/// So many runs with a metric in a range are sorted before anything else is tried: an index alone counts them.
const SOON_FOUND: usize = 1_000;
/// From so many rows on, other conditions are tested before the runs themselves are read.
const WORTH_NARROWING: usize = 100;
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
                let is_metric = |comparison: &Comparison| matches!(comparison.field, Field::Metric(_));
                if let Some(few) = self.few(SOON_FOUND, is_metric)? {
                    return self.of(&[few]);
                }
                // Most filters find a page soon.
                let first = (self.limit + 1).saturating_mul(FIRST_LOOK);
                walks.iter_mut().for_each(|walk| walk.first = Some(first));
                let page = self.query.page_of(&walks, self.limit, self.token, row)?;
                if page.next_page_token.is_some() || self.see_all(&walks)? {
                    return Ok(Planned { page, to_rank: None });
                }
                walks.iter_mut().for_each(|walk| walk.first = None);
                if let Some(few) = self.few(self.most()?, |_| true)? {
                    return self.of(&[few]);
                }
            }
            return self.of(&walks);
        }
        if filtered && let Some(few) = self.few(self.most()?, |_| true)? {
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
        let few = if self.filter.conjuncts().is_empty() { None } else { self.few(self.most()?, |_| true)? };
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
        // The runs that are being written to lead to their metrics, whatever the planner believes: its statistics may be of
        // a time when no run was ranked.
        let unranked = match self.db().dialect() {
            // Not along another index that has more columns in common with the search.
            Dialect::Sqlite => {
                "run r INDEXED BY run_unranked CROSS JOIN latest_metric o
                 ON r.experiment = ? AND r.ranked = 0 AND o.run = r.id AND o.key = ?"
            }
            Dialect::Postgres => {
                "(SELECT * FROM run WHERE experiment = ? AND ranked = 0 OFFSET 0) r
                 CROSS JOIN LATERAL (SELECT nan, value FROM latest_metric WHERE run = r.id AND key = ? OFFSET 0) o"
            }
        };
        let mut sources = Vec::new();
        for experiment in self.experiments {
            let parameters = vec![Sql::Integer(*experiment), Sql::Integer(key)];
            for nan in 0..2 {
                let of_rank = format!("w.experiment = ? AND w.key = ? AND w.nan = {nan} AND r.id = w.run");
                sources.push(Source {
                    stage: nan,
                    from: "metric_rank w CROSS JOIN run r".to_owned(),
                    parameters: vec![],
                    conditions: vec![Condition::new(of_rank, parameters.clone()), self.lifecycle()],
                    sorts: sorts(nan, "w.value"),
                    first: None,
                });
                sources.push(Source {
                    stage: nan,
                    from: unranked.to_owned(),
                    parameters: parameters.clone(),
                    conditions: vec![Condition::new(format!("o.nan = {nan}"), vec![]), self.lifecycle()],
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
                conditions: vec![Condition::new(without, parameters), self.lifecycle()],
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

    /// How many runs an index may find that are sorted, rather than that all are walked.
    ///
    /// Walking finds a page after `runs / found` times its length, sorting reads all that is found: both cost the same
    /// where `found` is the root of the product.
    fn most(&self) -> Result<usize> {
        let runs = self.db().row("SELECT id FROM run ORDER BY id DESC LIMIT 1", &[], |row| row.get::<i64>(0))?;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rough bound"
        )]
        let most = (runs.unwrap_or(0) as f64 * (self.limit + 1) as f64).sqrt() as usize;
        Ok(most.clamp(1_000, 20_000))
    }

    /// From the runs that one of these comparisons finds by an index, if they are no more than `most`.
    fn few(&self, mut most: usize, may_find: impl Fn(&Comparison) -> bool) -> Result<Option<Source>> {
        let comparisons = || {
            self.filter.conjuncts().iter().filter_map(|part| match part {
                Filter::Is(comparison) => Some(comparison),
                _ => None,
            })
        };
        let mut fewest = None;
        for comparison in comparisons().filter(|comparison| may_find(comparison)) {
            let look_ups = self.look_ups(comparison)?;
            if let Some(found) = self.count_of(&look_ups, most)? {
                most = found;
                fewest = Some((comparison, look_ups));
            }
        }
        let Some((by, look_ups)) = fewest else { return Ok(None) };
        let mut rows = Vec::with_capacity(most);
        for LookUp { sql, parameters } in look_ups {
            rows.extend(self.db().rows(&sql, &parameters, row)?);
        }
        rows.sort_unstable();
        rows.dedup();
        if rows.len() >= WORTH_NARROWING {
            rows = self.narrowed(rows, comparisons().filter(|comparison| *comparison != by))?;
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

    /// Those for which comparisons with what hangs on a run hold, without reading the runs.
    fn narrowed<'f>(&self, rows: Vec<i64>, comparisons: impl Iterator<Item = &'f Comparison>) -> Result<Vec<i64>> {
        let beside = |comparison: &&Comparison| !matches!(comparison.field, Field::Attribute(_));
        let conditions = comparisons
            .filter(beside)
            .map(|comparison| self.query.comparison(comparison))
            .collect::<Result<Vec<_>>>()?;
        if conditions.is_empty() {
            return Ok(rows);
        }
        let Condition { sql, mut parameters } = Condition::all(conditions.iter());
        parameters.insert(0, Sql::Integers(rows));
        let from = match self.db().dialect() {
            Dialect::Sqlite => "(SELECT value AS id FROM json_each(?)) r",
            Dialect::Postgres => "unnest(?) r(id)",
        };
        self.db().rows(&format!("SELECT r.id FROM {from} WHERE {sql}"), &parameters, row)
    }

    /// How many rows these find together, unless they are more than `most` or there is nothing to look up.
    fn count_of(&self, look_ups: &[LookUp], most: usize) -> Result<Option<usize>> {
        let mut found = 0;
        for LookUp { sql, parameters } in look_ups {
            let sql = format!("SELECT count(*) FROM ({sql} LIMIT ?) few");
            let mut parameters = parameters.clone();
            parameters.push(Sql::Integer(i64::try_from(most + 1 - found).unwrap_or(i64::MAX)));
            found += self.db().one(&sql, &parameters, |row| Ok(row.get::<i64>(0)?.unsigned_abs() as usize))?;
            if found > most {
                return Ok(None);
            }
        }
        Ok(Some(found).filter(|_| !look_ups.is_empty()))
    }

    /// Statements that find runs by an index, in any experiment: all for which a comparison holds are among them.
    /// There are none if no index serves.
    fn look_ups(&self, Comparison { field, op, value }: &Comparison) -> Result<Vec<LookUp>> {
        let texts = match (op, value) {
            (Op::Eq, Value::Text(text)) => std::slice::from_ref(text),
            (Op::In, Value::List(texts)) if texts.len() <= MOST_VALUES => texts,
            _ => &[],
        };
        let with_value = |table: &str, key: &str, text: &String| {
            let start = match self.db().dialect() {
                Dialect::Sqlite => "substr(value, 1, 100) = substr(?, 1, 100)",
                Dialect::Postgres => "\"left\"(value, 100) = \"left\"(?, 100)",
            };
            let parameters = vec![Sql::from(key.to_owned()), Sql::from(text.clone())];
            LookUp { sql: format!("SELECT run FROM {table} WHERE key = ? AND {start}"), parameters }
        };
        let with_id = |text: &String| {
            let parameters = vec![Sql::from(text.clone())];
            LookUp { sql: "SELECT id FROM run WHERE uuid = ?".to_owned(), parameters }
        };
        Ok(match field {
            Field::Param(key) => texts.iter().map(|text| with_value("param", key, text)).collect(),
            Field::Tag(key) => texts.iter().map(|text| with_value("tag", key, text)).collect(),
            Field::Attribute(Attribute::RunId) => texts.iter().map(with_id).collect(),
            Field::Metric(key) if self.experiments.len() <= MOST_WALKS => match bounds(*op, value) {
                Some((low, high)) => {
                    let key = self.query.metric_key(key)?;
                    self.experiments.iter().flat_map(|experiment| with_metric(*experiment, key, low, high)).collect()
                }
                None => vec![],
            },
            _ => vec![],
        })
    }
}

/// A statement that finds rows of runs by an index, with its parameters.
struct LookUp {
    sql: String,
    parameters: Vec<Sql>,
}

/// Ranked runs in the range, and all that are not ranked.
fn with_metric(experiment: i64, key: i64, low: f64, high: f64) -> [LookUp; 2] {
    let in_range =
        "SELECT run FROM metric_rank WHERE experiment = ? AND key = ? AND nan = 0 AND value >= ? AND value <= ?";
    let range = vec![Sql::Integer(experiment), Sql::Integer(key), Sql::Real(low), Sql::Real(high)];
    [
        LookUp {
            sql: "SELECT id FROM run WHERE experiment = ? AND ranked = 0".to_owned(),
            parameters: vec![Sql::Integer(experiment)],
        },
        LookUp { sql: in_range.to_owned(), parameters: range },
    ]
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
