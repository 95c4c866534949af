//! `metrics/chart`: a metric of many runs for drawing, in columns.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Deserializer, Serialize};
use trackway_tracking::{Axis, Chart};

use crate::error::ApiError;
use crate::state::AppState;
use crate::wire::{self, Body, Params, fields, required};

const RUNS: usize = 1000;
const POINTS: i64 = 1000;
const MOST_POINTS: i64 = 100_000;
/// Points in one answer at most.
const ALL_POINTS: usize = 5_000_000;

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Request {
    #[serde(deserialize_with = "fields::list")]
    run_ids: Vec<String>,
    metric_key: Option<String>,
    #[serde(deserialize_with = "axis")]
    x: Axis,
    #[serde(deserialize_with = "fields::int64")]
    from: Option<i64>,
    #[serde(deserialize_with = "fields::int64")]
    to: Option<i64>,
    #[serde(deserialize_with = "fields::int64")]
    max_points: Option<i64>,
}

fn axis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Axis, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None | Some("" | "step") => Ok(Axis::Step),
        Some("time") => Ok(Axis::Time),
        Some(_) => Err(serde::de::Error::custom("x is \"step\" or \"time\"")),
    }
}

pub(super) async fn by_query(State(app): State<AppState>, Params(request): Params<Request>) -> Answer {
    draw(app, request).await
}

/// The same for lists of runs that are too long for an address.
pub(super) async fn by_body(State(app): State<AppState>, Body(request): Body<Request>) -> Answer {
    draw(app, request).await
}

type Answer = Result<Response, ApiError>;

async fn draw(app: AppState, request: Request) -> Answer {
    let key = required(request.metric_key, "metric_key")?;
    if request.run_ids.is_empty() || request.run_ids.len() > RUNS {
        return Err(ApiError::invalid(format!(
            "A chart takes 1 to {RUNS} run_ids; {} were given.",
            request.run_ids.len()
        )));
    }
    let range = match (request.from, request.to) {
        (None, None) => None,
        (from, to) => Some((from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX))),
    };
    if let Some((from, to)) = range
        && from > to
    {
        return Err(ApiError::invalid(format!("A chart cannot go from {from} to {to}: 'from' is beyond 'to'.")));
    }
    let most = usize::try_from(request.max_points.unwrap_or(POINTS).clamp(4, MOST_POINTS)).unwrap_or(4);
    let max_points = most.min((ALL_POINTS / request.run_ids.len()).max(4));
    let chart = Chart { run_ids: request.run_ids, key: key.clone(), axis: request.x, range, max_points };
    let histories = app.store.chart(chart).await?;
    let series: Vec<Series> = histories
        .iter()
        .map(|history| Series {
            run_id: &history.run_id,
            steps: history.points.iter().map(|point| point.step).collect(),
            timestamps: history.points.iter().map(|point| point.timestamp).collect(),
            values: history.points.iter().map(|point| point.value.is_finite().then_some(point.value)).collect(),
        })
        .collect();
    let points: usize = histories.iter().map(|history| history.points.len()).sum();
    Ok(wire::json_of(&ChartOut { metric_key: &key, series }, 256 + series_bytes(points, histories.len())))
}

fn series_bytes(points: usize, runs: usize) -> usize {
    points * 44 + runs * 96
}

#[derive(Serialize)]
struct ChartOut<'a> {
    metric_key: &'a str,
    series: Vec<Series<'a>>,
}

/// Columns of equal length; a NaN is `null`.
#[derive(Serialize)]
struct Series<'a> {
    run_id: &'a str,
    steps: Vec<i64>,
    timestamps: Vec<i64>,
    values: Vec<Option<f64>>,
}
