//! `GET /metrics` for Prometheus: what the server does, and how much it holds.
//!
//! A request costs two map look-ups and no allocation here. Figures that others keep (the store's queue, the database's
//! size) are asked for only when Prometheus comes by: see [`Metrics::gauge`] and [`Metrics::counter`].

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::MatchedPath;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{Method, StatusCode, header};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric, LabelValueEncoder,
};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds: from a metric that is logged at once to an answer that a person waits for.
const LATENCY_BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// All figures of one server. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Mutex<Registry>,
    requests: Family<Answered, prometheus_client::metrics::counter::Counter>,
    latency: Family<Asked, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    connections: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: Route,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: &'static str,
    route: Route,
}

/// A request's route as it is registered, `/api/2.0/mlflow/logged-models/{model_id}`: there are only so many of them.
#[derive(Debug, Clone)]
pub enum Route {
    Matched(MatchedPath),
    /// No route, or an answer given before there was one.
    None,
}

impl Route {
    fn as_str(&self) -> &str {
        match self {
            Route::Matched(path) => path.as_str(),
            Route::None => "none",
        }
    }
}

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Route {}

impl Hash for Route {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        self.as_str().encode(encoder)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    pub fn new() -> Metrics {
        let inner = Inner {
            registry: Mutex::new(Registry::default()),
            requests: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(LATENCY_BUCKETS)),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
        };
        let mut registry = Registry::default();
        registry.register(
            "trackway_http_requests",
            "Requests answered, by method, route and status",
            inner.requests.clone(),
        );
        registry.register_with_unit(
            "trackway_http_request_duration",
            "Time from a request's head to its answer's head, by method and route",
            Unit::Seconds,
            inner.latency.clone(),
        );
        registry.register("trackway_http_requests_in_flight", "Requests being worked on", inner.in_flight.clone());
        registry.register("trackway_http_connections", "Open connections", inner.connections.clone());
        registry.register_collector(Box::new(Process::new()));
        Metrics { inner: Arc::new(Inner { registry: Mutex::new(registry), ..inner }) }
    }

    /// Shows a value that goes up and down. `read` is called for each visit of Prometheus, so it must be quick.
    pub fn gauge(&self, name: &'static str, help: &'static str, read: impl Fn() -> f64 + Send + Sync + 'static) {
        self.figure(name, help, Kind::Gauge, Box::new(read));
    }

    /// Shows a value that only grows; Prometheus sees `name` with `_total` behind it.
    pub fn counter(&self, name: &'static str, help: &'static str, read: impl Fn() -> f64 + Send + Sync + 'static) {
        self.figure(name, help, Kind::Counter, Box::new(read));
    }

    /// Shows how values are spread. Whoever has the handle puts in what it sees.
    pub fn histogram(&self, name: &'static str, help: &'static str, buckets: &[f64]) -> Histogram {
        let histogram = Histogram::new(buckets.iter().copied());
        self.registry().register(name, help, histogram.clone());
        histogram
    }

    fn figure(&self, name: &'static str, help: &'static str, kind: Kind, read: Box<dyn Fn() -> f64 + Send + Sync>) {
        self.registry().register_collector(Box::new(Figure { name, help, kind, read }));
    }

    fn registry(&self) -> std::sync::MutexGuard<'_, Registry> {
        // Nothing is left half done when a holder of this lock panics: what is registered is registered.
        self.inner.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page for Prometheus.
    pub fn page(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry())?;
        Ok(text)
    }

    /// `GET /metrics`, without the static prefix, as MLflow's exporter has it.
    pub fn routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let metrics = self.clone();
        Router::new().route(
            "/metrics",
            get(move || async move {
                match metrics.page() {
                    Ok(page) => ([(header::CONTENT_TYPE, OPEN_METRICS)], page).into_response(),
                    Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "The figures could not be written.").into_response(),
                }
            }),
        )
    }

    pub(crate) fn request_began(&self) -> InFlight {
        InFlight::new(self.inner.in_flight.clone())
    }

    pub(crate) fn connection_opened(&self) -> InFlight {
        InFlight::new(self.inner.connections.clone())
    }

    pub(crate) fn request_ended(&self, method: &Method, route: Route, status: StatusCode, took: Duration) {
        let method = method_label(method);
        let asked = Asked { method, route };
        self.inner.latency.get_or_create(&asked).observe(took.as_secs_f64());
        let answered = Answered { method, route: asked.route, status: status.as_u16() };
        self.inner.requests.get_or_create(&answered).inc();
    }
}

/// Counts one thing that is open, until it is dropped: also when its task is cancelled.
pub(crate) struct InFlight(Gauge);

impl InFlight {
    fn new(gauge: Gauge) -> InFlight {
        gauge.inc();
        InFlight(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A client may invent methods; labels must be few.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
}

struct Figure {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    read: Box<dyn Fn() -> f64 + Send + Sync>,
}

impl fmt::Debug for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figure").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Collector for Figure {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        encode_figure(&mut encoder, self.name, self.help, self.kind, (self.read)())
    }
}

fn encode_figure(encoder: &mut DescriptorEncoder, name: &str, help: &str, kind: Kind, value: f64) -> fmt::Result {
    match kind {
        Kind::Gauge => {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        }
        Kind::Counter => {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
        }
    }
}

/// What the operating system knows about this process, under the names that every Prometheus client uses.
#[derive(Debug)]
struct Process {
    started: f64,
}

impl Process {
    fn new() -> Process {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        Process { started }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let start_time = ("process_start_time_seconds", "When this process began, since 1970");
        encode_figure(&mut encoder, start_time.0, start_time.1, Kind::Gauge, self.started)?;
        if let Some(bytes) = resident_memory() {
            encode_figure(&mut encoder, "process_resident_memory_bytes", "Memory in use", Kind::Gauge, bytes)?;
        }
        if let Some(seconds) = cpu_seconds() {
            encode_figure(&mut encoder, "process_cpu_seconds", "Processor time used", Kind::Counter, seconds)?;
        }
        if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
            encode_figure(
                &mut encoder,
                "process_open_fds",
                "Open files and sockets",
                Kind::Gauge,
                entries.count() as f64,
            )?;
        }
        Ok(())
    }
}

/// None where there is no `/proc`.
fn resident_memory() -> Option<f64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: f64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as f64)
}

fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name stands in brackets and may hold anything, so fields are counted from behind it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let user: f64 = fields.nth(11)?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_figures_are_shown() {
        let metrics = Metrics::new();
        metrics.gauge("trackway_store_queue", "Writes waiting", || 3.0);
        metrics.counter("trackway_store_commits", "Commits", || 41.0);
        let groups = metrics.histogram("trackway_store_group", "Writes in one commit", &[1.0, 8.0]);
        groups.observe(5.0);
        let open = metrics.request_began();
        metrics.request_ended(&Method::POST, Route::None, StatusCode::FORBIDDEN, Duration::from_micros(700));
        metrics.request_ended(&Method::from_bytes(b"BREW").unwrap(), Route::None, StatusCode::OK, Duration::ZERO);

        let page = metrics.page().unwrap();
        for line in [
            "trackway_store_queue 3.0",
            "trackway_store_commits_total 41.0",
            "trackway_store_group_sum 5.0",
            "trackway_store_group_bucket{le=\"8.0\"} 1",
            "trackway_http_requests_in_flight 1",
            "trackway_http_requests_total{method=\"POST\",route=\"none\",status=\"403\"} 1",
            "trackway_http_requests_total{method=\"other\",route=\"none\",status=\"200\"} 1",
            "trackway_http_request_duration_seconds_bucket{le=\"0.0005\",method=\"POST\",route=\"none\"} 0",
            "trackway_http_request_duration_seconds_bucket{le=\"0.001\",method=\"POST\",route=\"none\"} 1",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line} is missing in\n{page}");
        }
        assert!(page.ends_with("# EOF\n"));
        drop(open);
        assert!(metrics.page().unwrap().contains("trackway_http_requests_in_flight 0\n"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_is_shown() {
        let page = Metrics::new().page().unwrap();
        for name in [
            "process_resident_memory_bytes ",
            "process_cpu_seconds_total ",
            "process_open_fds ",
            "process_start_time_seconds ",
        ] {
            let line = page.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in\n{page}"));
            let value: f64 = line[name.len()..].parse().unwrap();
            assert!(value >= 0.0, "{line}");
        }
    }
}
