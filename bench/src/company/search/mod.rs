//! Searches among many runs: a hundred thousand, on PostgreSQL beside mlflow and on SQLite beside FastTrackML; then a
//! million, of Trackway alone.
//!
//! [`fill`] makes each server's schema by starting it once, and loads [`data`]'s runs straight into its tables. Every
//! search must find the same runs in the same order on all servers before it is timed.

mod data;
mod fill;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::record::{Floor, Row, Section};
use super::{POSTGRESQL, Run, postgresql, postgresql_version, version};
use crate::http::write_request;
use crate::load::{Load, Until};
use crate::measure::median;
use crate::servers::{Kind, Server};

/// How many times faster than mlflow on the same PostgreSQL, and than FastTrackML on SQLite.
const TIMES_MLFLOW: f64 = 50.0;
const TIMES_FASTTRACKML: f64 = 5.0;
/// The slowest of twenty answers, in milliseconds, among a hundred thousand runs and among a million.
const P95: f64 = 30.0;
const P95_OF_MANY: f64 = 150.0;

const SEARCH: &str = "/api/2.0/mlflow/runs/search";
const OUR_SEARCH: &str = "/api/3.0/trackway/runs/search";
/// Runs on a page.
const PAGE: usize = 100;

/// What is searched for.
struct Search {
    name: &'static str,
    filter: &'static str,
    order: &'static str,
    /// The page in the middle of all runs.
    deep: bool,
    /// Whether other servers know the language; FastTrackML refuses its own page tokens.
    mlflow: bool,
    fasttrackml: bool,
}

const DENSE: &str = "metrics.metric_3 < 0.8 AND params.optimizer = 'adam' AND tags.stage = 'prod'";
const SPARSE: &str = "metrics.metric_5 > 0.99 AND params.optimizer = 'adam' AND tags.`git.branch` = 'feature/7'";
const PLAIN: Search = Search { name: "plain", filter: "", order: "", deep: false, mlflow: true, fasttrackml: true };

#[rustfmt::skip]
const SEARCHES: &[Search] = &[
    PLAIN,
    Search { name: "three filters, one run in five", filter: DENSE, ..PLAIN },
    Search { name: "three filters, one run in 8,000", filter: SPARSE, ..PLAIN },
    Search { name: "ordered by a metric", order: "metrics.metric_1 DESC", ..PLAIN },
    Search { name: "ordered by a metric, three filters", filter: DENSE, order: "metrics.metric_1 DESC", ..PLAIN },
    Search { name: "deep page", deep: true, fasttrackml: false, ..PLAIN },
    Search { name: "deep page, ordered by a metric", order: "metrics.metric_1 DESC", deep: true, fasttrackml: false, ..PLAIN },
    Search { name: "OR, NOT, regular expression", filter: "(params.optimizer RLIKE '^ad' OR metrics.metric_2 > 0.9) AND NOT tags.team = 'fraud'", mlflow: false, fasttrackml: false, ..PLAIN },
];

/// A filled server on one of the two engines.
struct Contender {
    kind: Kind,
    engine: Engine,
    server: Server,
    experiment: String,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Engine {
    Postgres,
    Sqlite,
}

/// Beside the others.
pub fn measure(run: &Run) -> Result<Section> {
    let runs = if run.small { 10_000 } else { 100_000 };
    let servers = [
        (Kind::Trackway, Engine::Postgres),
        (Kind::Mlflow, Engine::Postgres),
        (Kind::Trackway, Engine::Sqlite),
        (Kind::FastTrackMl, Engine::Sqlite),
    ];
    world(run, "search", runs, &servers, P95)
}

/// Ours alone: it would take the others hours.
pub fn measure_many(run: &Run) -> Result<Section> {
    let runs = if run.small { 100_000 } else { 1_000_000 };
    let servers = [(Kind::Trackway, Engine::Postgres), (Kind::Trackway, Engine::Sqlite)];
    world(run, "search-million", runs, &servers, P95_OF_MANY)
}

/// Fills, compares and times servers with so many runs.
fn world(run: &Run, part: &str, runs: usize, servers: &[(Kind, Engine)], p95: f64) -> Result<Section> {
    let wanted: Vec<&Search> = SEARCHES.iter().filter(|search| run.wanted(part, search.name)).collect();
    if wanted.is_empty() {
        return Ok(Section::default());
    }
    let postgres = postgresql()?;
    let mut section = Section::default();
    let mut kinds: Vec<Kind> = servers.iter().map(|(kind, _)| *kind).collect();
    kinds.dedup();
    for kind in kinds {
        kind.prepare()?;
        section.about.push(version(kind)?);
    }
    section.about.push(postgresql_version(&postgres)?);
    section.about.push(POSTGRESQL.to_owned());
    section.about.push(format!(
        "{runs} runs of 10 params, 10 metrics and 5 tags each, which have ended; pages of {PAGE} whole runs; one client. The runs are \
         loaded straight into the servers' tables"
    ));
    let mut contenders = Vec::new();
    for &(kind, engine) in servers {
        let directory = run.folder(&format!("{part}-{}-{engine:?}", kind.name()))?;
        let began = Instant::now();
        contenders.push(fill::filled(kind, engine, &directory, &postgres, runs)?);
        eprintln!("{kind} on {engine:?} has {runs} runs after {:.0} s", began.elapsed().as_secs_f64());
    }
    for search in wanted {
        let figures = search.measure(run, &contenders, runs)?;
        for engine in [Engine::Postgres, Engine::Sqlite] {
            rows(search, engine, &figures, p95, &mut section.rows);
        }
    }
    for contender in contenders {
        contender.server.stop()?;
    }
    Ok(section)
}

/// What one server has shown in one search, in milliseconds.
struct Figure {
    kind: Kind,
    engine: Engine,
    p50: f64,
    p95: f64,
}

fn rows(search: &Search, engine: Engine, figures: &[Figure], p95: f64, rows: &mut Vec<Row>) {
    let of = |ours: bool| figures.iter().find(|f| f.engine == engine && (f.kind == Kind::Trackway) == ours);
    let Some(ours) = of(true) else { return };
    let name = format!("{}, on {}", search.name, engine.name());
    let least = if engine == Engine::Postgres { TIMES_MLFLOW } else { TIMES_FASTTRACKML };
    let (other, floor) = match of(false) {
        Some(other) => (Some((other.kind.to_string(), other.p50)), Floor::Ratio { is: other.p50 / ours.p50, least }),
        None => (None, Floor::None),
    };
    let row = |name, ours, other, floor| Row { name, unit: "ms".to_owned(), ours, other, floor };
    rows.push(row(format!("{name}: median"), ours.p50, other, floor));
    rows.push(row(format!("{name}: p95"), ours.p95, None, Floor::AtMost(p95)));
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Engine::Postgres => "PostgreSQL",
            Engine::Sqlite => "SQLite",
        }
    }
}

impl Search {
    fn measure(&self, run: &Run, contenders: &[Contender], runs: usize) -> Result<Vec<Figure>> {
        let mut asked = Vec::new();
        for contender in contenders.iter().filter(|contender| self.knows(contender.kind)) {
            asked.push((contender, self.request(contender, runs)?));
        }
        same(self, &asked)?;
        let mut rounds: Vec<Vec<Round>> = asked.iter().map(|_| Vec::new()).collect();
        for _ in 0..run.rounds {
            for ((contender, (path, body)), rounds) in asked.iter().zip(&mut rounds) {
                rounds.push(time(contender, path, body)?);
            }
        }
        let figure = |((contender, _), rounds): (&(&Contender, _), &Vec<Round>)| {
            let of = |of: fn(&Round) -> f64| median(rounds.iter().map(of).collect()) * 1e3;
            let (p50, p95) = (of(|round| round.p50), of(|round| round.p95));
            let (kind, engine) = (contender.kind, contender.engine);
            eprintln!(
                "  {:<36} {:<12} {:<10}: p50 {p50:.2} ms, p95 {p95:.2} ms",
                self.name,
                kind.name(),
                engine.name()
            );
            Figure { kind, engine, p50, p95 }
        };
        Ok(asked.iter().zip(&rounds).map(figure).collect())
    }

    fn knows(&self, kind: Kind) -> bool {
        match kind {
            Kind::Trackway => true,
            Kind::Mlflow => self.mlflow,
            Kind::FastTrackMl => self.fasttrackml,
        }
    }

    /// Path and body, as the client sends them.
    fn request(&self, contender: &Contender, runs: usize) -> Result<(&'static str, Value)> {
        let order: &[&str] = if self.order.is_empty() { &[] } else { &[self.order] };
        let mut body = json!({
            "experiment_ids": [contender.experiment],
            "filter": self.filter,
            "order_by": order,
            "max_results": PAGE,
            "run_view_type": "ACTIVE_ONLY",
        });
        if self.deep {
            body["page_token"] = match contender.kind {
                Kind::Trackway => our_token(contender, &body, runs / 2)?,
                _ => json!(BASE64.encode(format!("{{\"offset\": {}}}", runs / 2))),
            };
        }
        Ok((SEARCH, body))
    }
}

/// The token behind so many runs: the same for pages of any length.
fn our_token(contender: &Contender, body: &Value, mut left: usize) -> Result<Value> {
    let mut body = body.clone();
    body["columns"] = json!([]);
    while left > 0 {
        let step = left.min(50_000);
        body["max_results"] = json!(step);
        let answer = contender.server.call("POST", OUR_SEARCH, Some(&body))?;
        body["page_token"] = answer["next_page_token"].clone();
        left -= step;
    }
    Ok(body["page_token"].clone())
}

/// All servers must find the same.
fn same(search: &Search, asked: &[(&Contender, (&str, Value))]) -> Result<()> {
    let mut expected: Option<(Kind, Vec<String>)> = None;
    for (contender, (path, body)) in asked {
        let answer = contender.server.call("POST", path, Some(body))?;
        let runs = answer["runs"].as_array().with_context(|| format!("{} found nothing", contender.kind))?;
        let names = runs.iter().map(|run| run["info"]["run_name"].as_str().unwrap_or_default().to_owned());
        let names: Vec<String> = names.collect();
        let run = &runs[0]["data"];
        for (part, wanted) in [("params", 10), ("metrics", 10), ("tags", 5)] {
            let found = run[part].as_array().map_or(0, Vec::len);
            ensure!(found == wanted, "{} answers with {found} {part} of a run instead of {wanted}", contender.kind);
        }
        match &expected {
            None => expected = Some((contender.kind, names)),
            Some((kind, wanted)) => ensure!(
                *wanted == names,
                "{kind} and {} do not find the same for {}: {:?} and {:?}",
                contender.kind,
                search.name,
                &wanted[..wanted.len().min(5)],
                &names[..names.len().min(5)]
            ),
        }
    }
    Ok(())
}

/// In seconds.
struct Round {
    p50: f64,
    p95: f64,
}

fn time(contender: &Contender, path: &str, body: &Value) -> Result<Round> {
    let body = body.to_string();
    let mut load = Load::connect(contender.server.address, 1, contender.kind == Kind::Mlflow)?;
    let mut make = |_, out: &mut Vec<u8>| write_request(out, "POST", path, body.as_bytes());
    let ours = contender.kind == Kind::Trackway;
    load.drive(Until::count(if ours { 10 } else { 1 }), &mut make)?;
    let least = if ours { 50 } else { 5 };
    let outcome = load.drive(Until { time: Duration::from_secs(2), least, most: 2000 }, &mut make)?;
    if let Some(error) = outcome.first_error {
        bail!("{} answered a search with an error: {error}", contender.kind);
    }
    let mut latencies: Vec<f64> = outcome.latencies.iter().map(Duration::as_secs_f64).collect();
    latencies.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share).round() as usize];
    Ok(Round { p50: at(0.5), p95: at(0.95) })
}
