//! `metrics/get-history`, `get-history-bulk`, `get-history-bulk-interval`

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use trackway_tracking::points::Point;
use trackway_tracking::{RunHistory, Store};

use super::runs::{MetricOut, run_id};
use crate::error::ApiError;
use crate::state::AppState;
use crate::wire::{self, Params, fields, required};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct GetHistory {
    run_id: Option<String>,
    run_uuid: Option<String>,
    metric_key: Option<String>,
    /// Kept as text: MLflow ignores what is no number here.
    max_results: Option<String>,
    page_token: Option<String>,
}

pub(crate) async fn get_history(
    State(app): State<AppState>,
    Params(request): Params<GetHistory>,
) -> Result<Response, ApiError> {
    let run_id = run_id(request.run_id, request.run_uuid)?;
    let key = required(request.metric_key, "metric_key")?;
    let max_results = match request.max_results.and_then(|text| text.parse::<i64>().ok()) {
        Some(number) => Some(usize::try_from(number).ok().filter(|number| *number > 0).ok_or_else(|| {
            ApiError::invalid(format!(
                "Invalid value {number} for parameter 'max_results' supplied. It must be a positive integer."
            ))
        })?),
        None => None,
    };
    let token = request.page_token.filter(|token| !token.is_empty());
    if let Some(most) = max_results {
        let page = app.store.metric_history(run_id, key.clone(), Some(most), token).await?;
        let metrics = page.items.iter().map(|point| of_history(&key, point)).collect();
        let bytes = 256 + page.items.len() * (key.len() + 88);
        return Ok(wire::json_of(&History { metrics, next_page_token: page.next_page_token }, bytes));
    }
    let after = token.map(|token| Store::metric_history_token(&token)).transpose()?;
    whole_history(app.store, run_id, key, after).await
}

fn of_history<'a>(key: &'a str, point: &Point) -> MetricOut<'a> {
    MetricOut { key, value: point.value, timestamp: point.timestamp, step: point.step, run_id: None }
}

/// Points that are read and written together.
const PART: usize = 65_536;

/// A history without end: read and sent in parts, so that it takes no more memory than one of them.
async fn whole_history(store: Store, run_id: String, key: String, after: Option<Point>) -> Result<Response, ApiError> {
    let (points, more) = store.metric_history_after(run_id.clone(), key.clone(), after, PART).await?;
    if !more {
        let metrics = points.iter().map(|point| of_history(&key, point)).collect();
        let bytes = 256 + points.len() * (key.len() + 88);
        return Ok(wire::json_of(&History { metrics, next_page_token: None }, bytes));
    }
    let mut first = b"{\"metrics\":[".to_vec();
    write_points(&mut first, &key, &points);
    let last = points.last().copied();
    drop(points);
    let rest = stream::try_unfold((store, run_id, key, last), |(store, run_id, key, after)| async move {
        let Some(last) = after else { return Ok(None) };
        let (points, more) = store.metric_history_after(run_id.clone(), key.clone(), Some(last), PART).await?;
        let mut text = Vec::with_capacity(256 + points.len() * (key.len() + 88));
        if !points.is_empty() {
            text.push(b',');
            write_points(&mut text, &key, &points);
        }
        if !more {
            text.extend_from_slice(b"]}");
        }
        let after = points.last().copied().filter(|_| more);
        Ok::<_, trackway_tracking::Error>(Some((Bytes::from(text), (store, run_id, key, after))))
    });
    let body = stream::once(async { Ok(Bytes::from(first)) }).chain(rest);
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn write_points(text: &mut Vec<u8>, key: &str, points: &[Point]) {
    for (place, point) in points.iter().enumerate() {
        if place > 0 {
            text.push(b',');
        }
        // Numbers and texts alone, into memory: it can be written.
        let _ = serde_json::to_writer(&mut *text, &of_history(key, point));
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct GetBulk {
    #[serde(deserialize_with = "fields::list")]
    run_id: Vec<String>,
    metric_key: Option<String>,
    #[serde(deserialize_with = "fields::int64")]
    max_results: Option<i64>,
}

pub(crate) async fn get_history_bulk(
    State(app): State<AppState>,
    Params(request): Params<GetBulk>,
) -> Result<Response, ApiError> {
    const RUNS: usize = 100;
    const POINTS: i64 = 25_000;
    if request.run_id.is_empty() {
        return Err(ApiError::invalid("GetMetricHistoryBulk request must specify at least one run_id."));
    }
    if request.run_id.len() > RUNS {
        return Err(ApiError::invalid(format!(
            "GetMetricHistoryBulk request cannot specify more than {RUNS} run_ids. Received {} run_ids.",
            request.run_id.len()
        )));
    }
    let key = request
        .metric_key
        .filter(|key| !key.is_empty())
        .ok_or_else(|| ApiError::invalid("GetMetricHistoryBulk request must specify a metric_key."))?;
    let most = usize::try_from(request.max_results.unwrap_or(POINTS).min(POINTS)).unwrap_or(0);
    let histories = app.store.metric_history_bulk(request.run_id, key.clone(), most).await?;
    // This route's answer is not protobuf's in MLflow: its list is there even when empty.
    Ok(wire::json(&Bulk { metrics: points_out(&histories, &key) }))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct GetInterval {
    #[serde(deserialize_with = "fields::list")]
    pub(crate) run_ids: Vec<String>,
    pub(crate) metric_key: Option<String>,
    #[serde(deserialize_with = "fields::int64")]
    pub(crate) max_results: Option<i64>,
    #[serde(deserialize_with = "fields::int64")]
    pub(crate) start_step: Option<i64>,
    #[serde(deserialize_with = "fields::int64")]
    pub(crate) end_step: Option<i64>,
}

pub(crate) async fn get_history_bulk_interval(
    State(app): State<AppState>,
    Params(request): Params<GetInterval>,
) -> Result<Response, ApiError> {
    let (key, histories) = sampled(&app, request).await?;
    Ok(wire::json(&History { metrics: points_out(&histories, &key), next_page_token: None }))
}

pub(crate) async fn sampled(app: &AppState, request: GetInterval) -> Result<(String, Vec<RunHistory>), ApiError> {
    const RUNS: usize = 100;
    const POINTS: i64 = 2500;
    const HELP: &str = "See the API docs for more information about request parameters.";
    if request.run_ids.is_empty() {
        return Err(ApiError::missing("run_ids"));
    }
    let key = required(request.metric_key, "metric_key")?;
    if request.run_ids.len() > RUNS {
        return Err(ApiError::invalid(format!(
            "GetMetricHistoryBulkInterval request must specify at most {RUNS} run_ids. Received {} run_ids. {HELP}",
            request.run_ids.len()
        )));
    }
    let most = request.max_results.unwrap_or(POINTS);
    if !(1..=POINTS).contains(&most) {
        return Err(ApiError::invalid(format!("max_results must be between 1 and {POINTS}. {HELP}")));
    }
    let steps = steps(request.start_step, request.end_step)?;
    let histories = app
        .store
        .metric_history_sampled(request.run_ids, key.clone(), usize::try_from(most).unwrap_or(1), steps)
        .await?;
    Ok((key, histories))
}

fn steps(start: Option<i64>, end: Option<i64>) -> Result<Option<(i64, i64)>, ApiError> {
    match (start, end) {
        (Some(start), Some(end)) if start > end => Err(ApiError::invalid(format!(
            "end_step must be greater than start_step. Found start_step={start} and end_step={end}."
        ))),
        (Some(start), Some(end)) => Ok(Some((start, end))),
        (None, None) => Ok(None),
        _ => Err(ApiError::invalid("If either start step or end step are specified, both must be specified.")),
    }
}

pub(crate) fn points_out<'a>(histories: &'a [RunHistory], key: &'a str) -> Vec<MetricOut<'a>> {
    let point = |history: &'a RunHistory| {
        history.points.iter().map(move |point| MetricOut {
            key,
            value: point.value,
            timestamp: point.timestamp,
            step: point.step,
            run_id: Some(&history.run_id),
        })
    };
    histories.iter().flat_map(point).collect()
}

#[derive(Serialize)]
pub(super) struct History<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) metrics: Vec<MetricOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_page_token: Option<String>,
}

#[derive(Serialize)]
struct Bulk<'a> {
    metrics: Vec<MetricOut<'a>>,
}
