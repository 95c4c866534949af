//! From the socket to the router and back: listening, connections, what every request goes through, and the stop.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::{HeaderValue, Method, Request, StatusCode};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::Service;

use crate::access_log::{self, RememberRoute, X_REQUEST_ID};
use crate::config::{Config, Limits};
use crate::forwarded::{Caller, TrustedProxies};
use crate::prometheus::Metrics;
use crate::readiness::Draining;
use crate::security::Security;
use crate::tls::{self, Tls};
use crate::unread_body;

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("The host name '{host}' of --host is not known: {source}")]
    UnknownHost { host: String, source: io::Error },
    #[error(
        "Port {port} on {host} is in use by another program. Stop that program, or choose another port with --port (0 takes a free one)."
    )]
    Busy { host: String, port: u16 },
    #[error("Port {port} on {host} may not be opened by this user. Choose a port above 1023 with --port.")]
    Forbidden { host: String, port: u16 },
    #[error("{host} is no address of this machine. Choose another with --host, for example 127.0.0.1 or 0.0.0.0")]
    NotHere { host: String },
    #[error("Cannot listen on {host}, port {port}: {source}")]
    Other { host: String, port: u16, source: io::Error },
}

/// Open sockets that nobody reads from yet: connections wait in the kernel's queue.
#[derive(Debug)]
pub struct Bound {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
}

impl Bound {
    /// Listens on every address of the host: `localhost` often has two. With port 0 all of them share one free port.
    pub async fn open(config: &Config) -> Result<Bound, ListenError> {
        let host = config.host.clone();
        // Brackets are for URLs, but people copy them.
        let name = host.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&host);
        let found = tokio::net::lookup_host((name, config.port)).await.map(Vec::from_iter);
        let addresses = match found {
            Ok(addresses) => addresses,
            Err(source) => return Err(ListenError::UnknownHost { host, source }),
        };
        let mut bound = Bound { listeners: Vec::new(), addresses: Vec::new() };
        let mut port = config.port;
        let mut missing = None;
        for mut address in addresses {
            address.set_port(port);
            if bound.addresses.contains(&address) {
                continue;
            }
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    let address = listener.local_addr().unwrap_or(address);
                    port = address.port();
                    bound.addresses.push(address);
                    bound.listeners.push(listener);
                }
                // A machine without IPv6 still has a name for ::1.
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => missing = Some(error),
                Err(error) if error.kind() == io::ErrorKind::Unsupported => missing = Some(error),
                Err(error) => return Err(why_not(host, port, error)),
            }
        }
        if bound.listeners.is_empty() {
            return Err(match missing {
                Some(_) => ListenError::NotHere { host },
                None => ListenError::UnknownHost { host, source: io::ErrorKind::NotFound.into() },
            });
        }
        Ok(bound)
    }

    /// Where the server listens, with the actual port.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

fn why_not(host: String, port: u16, error: io::Error) -> ListenError {
    match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::Busy { host, port },
        io::ErrorKind::PermissionDenied => ListenError::Forbidden { host, port },
        _ => ListenError::Other { host, port, source: error },
    }
}

/// What every request goes through around the router: security, request id, figures, log, panics.
///
/// One plain function instead of a stack of layers: each layer of a router costs an allocation for each request.
#[derive(Clone)]
pub struct Edge {
    inner: Arc<Inner>,
}

struct Inner {
    router: Router,
    security: Security,
    trusted_proxies: TrustedProxies,
    metrics: Metrics,
    draining: Draining,
    api: [String; 2],
}

impl Edge {
    /// `router` holds all routes, with the static prefix where it applies.
    pub(crate) fn new(router: Router, config: &Config, metrics: Metrics, draining: Draining) -> Edge {
        let api = ["api", "ajax-api"].map(|api| format!("{}/{api}/", config.static_prefix));
        let security = Security::new(config);
        let trusted_proxies = config.trusted_proxies.clone();
        Edge {
            inner: Arc::new(Inner {
                router: router.route_layer(RememberRoute),
                security,
                trusted_proxies,
                metrics,
                draining,
                api,
            }),
        }
    }

    pub async fn handle(&self, request: Request<Body>, peer: Peer) -> Response {
        let Inner { router, security, trusted_proxies, metrics, draining, api } = &*self.inner;
        let began = Instant::now();
        let _in_flight = metrics.request_began();
        let method = request.method().clone();
        let uri = request.uri().clone();
        let path = uri.path();
        let caller = Caller::of(peer, request.headers(), trusted_proxies);
        let (request, unread) = match unread_body::take(request).await {
            Ok(taken) => taken,
            // The client is gone, or sends what is no body: there is nobody to tell more.
            Err(_) => return StatusCode::BAD_REQUEST.into_response(),
        };
        let ((mut response, passed), route, id) = access_log::in_request(async {
            match security.check(&method, path, request.headers(), &caller) {
                Err(refusal) => (refusal, None),
                Ok(passed) => (call(router, request).await, Some(passed)),
            }
        })
        .await;
        if method == Method::OPTIONS && response.status() == StatusCode::METHOD_NOT_ALLOWED {
            answer_options(&mut response, api.iter().any(|api| path.starts_with(api.as_str())));
        }
        if let Some(passed) = passed {
            security.finish(passed, response.headers_mut());
        }
        let took = began.elapsed();
        if let Some(id) = access_log::answered(&method, path, caller.address, &route, response.status(), took, id)
            && let Some(value) = id.header_value()
        {
            response.headers_mut().insert(X_REQUEST_ID, value);
        }
        unread.close_if_left(&mut response);
        if draining.has_begun() {
            // So that a proxy keeps no connection that is about to be closed under its next request.
            response.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        }
        metrics.request_ended(&method, route, response.status(), took);
        response
    }
}

/// A panic is a defect, but one request's defect must not take the connection with it.
async fn call(router: &Router, request: Request<Body>) -> Response {
    let mut router = router.clone();
    let answer = AssertUnwindSafe(async move {
        match router.call(request).await {
            Ok(response) => response,
            Err(impossible) => match impossible {},
        }
    });
    match answer.catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let id = access_log::request_id();
            let words =
                panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            let id = id.map(|id| id.to_string()).unwrap_or_default();
            tracing::error!(
                request_id = id,
                panic = words.unwrap_or("without a message"),
                "a request met a defect of the server"
            );
            let message =
                format!("This server met a defect of its own. Its log says more, under the request id {id} there.");
            crate::not_built::json_error(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", &message)
        }
    }
}

/// OPTIONS without a preflight, on a path that has other methods: 204 under the API and 200 elsewhere, as MLflow 3.17 does.
fn answer_options(response: &mut Response, api: bool) {
    *response.status_mut() = if api { StatusCode::NO_CONTENT } else { StatusCode::OK };
    *response.body_mut() = Body::empty();
    response.headers_mut().remove(http::header::CONTENT_TYPE);
    response.headers_mut().remove(http::header::CONTENT_LENGTH);
}

/// How far a stop has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Running,
    /// `/ready` says no; when balancers had time to notice, no new connections, and what was accepted is finished.
    Finishing,
    /// Now.
    Leaving,
}

/// Tells the server to stop. The first call lets it drain and finish, the second makes it leave at once.
#[derive(Debug, Clone)]
pub struct Stop {
    stage: watch::Sender<Stage>,
}

/// The server's side of [`Stop`].
#[derive(Debug, Clone)]
pub struct Shutdown {
    stage: watch::Receiver<Stage>,
}

impl Shutdown {
    pub fn new() -> (Stop, Shutdown) {
        let (sender, receiver) = watch::channel(Stage::Running);
        (Stop { stage: sender }, Shutdown { stage: receiver })
    }

    async fn reached(&mut self, stage: Stage) {
        if self.stage.wait_for(|now| *now >= stage).await.is_err() {
            // Nobody is left who could say so.
            std::future::pending::<()>().await;
        }
    }
}

impl Stop {
    pub fn stop(&self) {
        self.stage.send_modify(|stage| {
            *stage = match stage {
                Stage::Running => Stage::Finishing,
                Stage::Finishing | Stage::Leaving => Stage::Leaving,
            }
        });
    }

    /// Stops on SIGTERM and on Ctrl-C; a second one leaves at once.
    pub fn on_signals(self) -> io::Result<()> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        _ = terminate.recv() => self.stop(),
                        _ = interrupt.recv() => self.stop(),
                    }
                }
            });
        }
        #[cfg(not(unix))]
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                self.stop();
            }
        });
        Ok(())
    }
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every accepted request was answered.
    Finished,
    /// Time ran out, or a second signal came, while requests were open.
    CutShort,
}

/// Serves until `shutdown`, then finishes what was accepted, within `limits.graceful_shutdown`.
pub async fn serve(edge: Edge, bound: Bound, limits: &Limits, tls: Option<Arc<Tls>>, mut shutdown: Shutdown) -> Ended {
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    // Without pipeline_flush, which takes the bound from hyper's buffer: for a slow reader it would hold a whole file.
    http.timer(TokioTimer::new()).header_read_timeout(limits.header_read_timeout);
    let door = Arc::new(Door { edge, http, tls, handshake_timeout: limits.tls_handshake_timeout });
    let room = Arc::new(Semaphore::new(limits.max_connections));
    let up_to_date = door.tls.clone().map(|tls| tokio::spawn(tls.keep_up_to_date()));
    {
        let accepting = futures_util::future::join_all(
            bound.listeners.iter().map(|listener| accept(listener, &door, &graceful, &room)),
        );
        tokio::select! {
            _ = accepting => {}
            () = drained(&mut shutdown, &door.edge.inner.draining, limits.drain) => {}
        }
    }
    // Closing the sockets first lets another server take the port while this one finishes.
    drop(bound);
    if let Some(up_to_date) = up_to_date {
        up_to_date.abort();
    }
    tokio::select! {
        () = graceful.shutdown() => Ended::Finished,
        () = tokio::time::sleep(limits.graceful_shutdown) => Ended::CutShort,
        () = shutdown.reached(Stage::Leaving) => Ended::CutShort,
    }
}

/// Waits for the word to stop, and as long after it as balancers need to notice that this server is not ready.
async fn drained(shutdown: &mut Shutdown, draining: &Draining, drain: Duration) {
    shutdown.reached(Stage::Finishing).await;
    draining.begin();
    tokio::select! {
        () = tokio::time::sleep(drain) => {}
        () = shutdown.reached(Stage::Leaving) => {}
    }
}

/// What every connection is met with.
struct Door {
    edge: Edge,
    http: http1::Builder,
    tls: Option<Arc<Tls>>,
    handshake_timeout: Duration,
}

/// Who is at the other end of a connection: a client, or a proxy before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub address: IpAddr,
    /// Whether the connection itself is encrypted.
    pub tls: bool,
}

async fn accept(listener: &TcpListener, door: &Arc<Door>, graceful: &GracefulShutdown, room: &Arc<Semaphore>) {
    loop {
        let Ok(permit) = Arc::clone(room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, from)) => {
                // Without it the kernel holds back an answer's last packet until the client acknowledges, 40 ms later.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "cannot set TCP_NODELAY");
                }
                // An IPv4 client of a socket for both kinds is the IPv4 client that it is.
                let address = from.ip().to_canonical();
                tokio::spawn(connection(stream, address, Arc::clone(door), graceful.watcher(), permit));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // Mostly: no file descriptor is left. Others close soon; spinning would not help them.
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// One connection from its first byte to its last, in a task of its own.
async fn connection(
    stream: TcpStream,
    address: IpAddr,
    door: Arc<Door>,
    graceful: Watcher,
    permit: OwnedSemaphorePermit,
) {
    let open = door.edge.inner.metrics.connection_opened();
    match &door.tls {
        None => requests(stream, Peer { address, tls: false }, &door, graceful).await,
        Some(tls) => {
            if let Some(stream) = tls::greet(tls, stream, door.handshake_timeout).await {
                requests(stream, Peer { address, tls: true }, &door, graceful).await;
            }
        }
    }
    drop((open, permit));
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    door: &Door,
    graceful: Watcher,
) {
    let service = hyper::service::service_fn(|request: Request<hyper::body::Incoming>| {
        let edge = door.edge.clone();
        async move { Ok::<_, Infallible>(edge.handle(request.map(Body::new), peer).await) }
    });
    // A client that goes away or sends no HTTP is its own affair.
    if let Err(error) = graceful.watch(door.http.serve_connection(TokioIo::new(stream), service)).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn routes() -> Router {
        let router = Router::new()
            .route("/api/2.0/mlflow/runs/get", get(|| async { "run" }))
            .route("/api/2.0/mlflow/logged-models/{model_id}", get(|| async { "model" }))
            .route("/", get(|| async { "page" }))
            .route(
                "/slow",
                get(|| async {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    "done"
                }),
            )
            .route("/never", get(std::future::pending::<&str>))
            .route("/long", get(|| async { long_answer() }))
            .route("/panic", get(|| async { panic!("a defect in a test") as &'static str }))
            .route("/busy", get(|| async { StatusCode::SERVICE_UNAVAILABLE }));
        crate::not_built::attach(router, &Config::default())
    }

    const PIECE: usize = 64 << 10;
    static PIECES: AtomicUsize = AtomicUsize::new(0);

    /// An answer of 1 GiB that counts what was taken of it.
    fn long_answer() -> Body {
        let pieces = std::iter::repeat_with(|| {
            PIECES.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(bytes::Bytes::from(vec![0; PIECE]))
        });
        Body::from_stream(futures_util::stream::iter(pieces.take((1 << 30) / PIECE)))
    }

    fn edge() -> (Edge, Metrics) {
        let metrics = Metrics::new();
        (Edge::new(routes(), &Config::default(), metrics.clone(), Draining::default()), metrics)
    }

    async fn ask(edge: &Edge, method: &str, path: &str) -> Response {
        let request =
            Request::builder().method(method).uri(path).header("host", "localhost").body(Body::empty()).unwrap();
        edge.handle(request, Peer { address: IpAddr::from([127, 0, 0, 1]), tls: false }).await
    }

    async fn text(response: Response) -> String {
        String::from_utf8(axum::body::to_bytes(response.into_body(), 10_000).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn options_are_answered_as_stock_does() {
        let (edge, _) = edge();
        let api = ask(&edge, "OPTIONS", "/api/2.0/mlflow/runs/get").await;
        assert_eq!((api.status().as_u16(), &api.headers()["allow"]), (204, "GET,HEAD".parse().as_ref().unwrap()));
        assert_eq!(api.headers()["x-content-type-options"], "nosniff");
        assert_eq!(text(api).await, "");
        assert_eq!(ask(&edge, "OPTIONS", "/").await.status(), 200);
        assert_eq!(ask(&edge, "OPTIONS", "/api/2.0/mlflow/nope").await.status(), 404);
    }

    #[tokio::test]
    async fn a_panic_becomes_an_error_with_the_id_of_its_log_line() {
        let (edge, _) = edge();
        let response = ask(&edge, "GET", "/panic").await;
        assert_eq!(response.status(), 500);
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body = text(response).await;
        assert!(body.contains("INTERNAL_ERROR") && body.contains(&id), "{body}");
        assert!(!body.contains("a defect in a test"), "what went wrong inside is for the log");
        assert_eq!(ask(&edge, "GET", "/").await.status(), 200);
    }

    #[tokio::test]
    async fn only_errors_of_the_server_carry_an_id() {
        let (edge, _) = edge();
        assert!(ask(&edge, "GET", "/busy").await.headers().contains_key("x-request-id"));
        assert!(!ask(&edge, "GET", "/").await.headers().contains_key("x-request-id"));
        assert!(!ask(&edge, "GET", "/nope").await.headers().contains_key("x-request-id"));
    }

    #[tokio::test]
    async fn figures_name_routes_and_not_what_clients_put_in_them() {
        let (edge, metrics) = edge();
        for path in ["/api/2.0/mlflow/logged-models/m-1", "/api/2.0/mlflow/logged-models/m-2", "/secret-name"] {
            ask(&edge, "GET", path).await;
        }
        let page = metrics.page().unwrap();
        let model = "trackway_http_requests_total{method=\"GET\",route=\"/api/2.0/mlflow/logged-models/{model_id}\",status=\"200\"} 2";
        assert!(page.contains(model), "{page}");
        assert!(page.contains("route=\"none\",status=\"404\"} 1") && !page.contains("secret-name"), "{page}");
    }

    struct Running {
        address: SocketAddr,
        stop: Stop,
        ended: tokio::task::JoinHandle<Ended>,
    }

    async fn start(limits: Limits) -> Running {
        let config = Config { port: 0, limits, ..Config::default() };
        let bound = Bound::open(&config).await.unwrap();
        let address = bound.addresses()[0];
        let (stop, shutdown) = Shutdown::new();
        let (edge, _) = edge();
        let ended = tokio::spawn(async move { serve(edge, bound, &config.limits, None, shutdown).await });
        Running { address, stop, ended }
    }

    async fn send(address: SocketAddr, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
        stream
    }

    /// Reads one answer, or what there is of it when the connection ends.
    async fn answer(stream: &mut TcpStream) -> String {
        let mut seen = Vec::new();
        let mut buffer = [0; 1024];
        while !String::from_utf8_lossy(&seen).contains("\r\n\r\n") {
            match stream.read(&mut buffer).await.unwrap_or(0) {
                0 => break,
                read => seen.extend_from_slice(&buffer[..read]),
            }
        }
        String::from_utf8(seen).unwrap()
    }

    #[tokio::test]
    async fn a_stop_finishes_what_was_accepted_and_takes_nothing_new() {
        let server = start(Limits::default()).await;
        let mut idle = send(server.address, "/").await;
        assert!(answer(&mut idle).await.starts_with("HTTP/1.1 200"));
        let mut slow = send(server.address, "/slow").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.stop.stop();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(TcpStream::connect(server.address).await.is_err(), "the port is closed at once");
        assert!(answer(&mut slow).await.ends_with("done"));
        assert_eq!(server.ended.await.unwrap(), Ended::Finished);
        assert_eq!(idle.read(&mut [0; 8]).await.unwrap(), 0, "an idle connection is closed");
    }

    #[tokio::test]
    async fn a_server_that_drains_still_answers_and_keeps_no_connection() {
        let limits = Limits { drain: Duration::from_millis(500), ..Limits::default() };
        let server = start(limits).await;
        server.stop.stop();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut stream = send(server.address, "/").await;
        let answer = answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
        assert_eq!(server.ended.await.unwrap(), Ended::Finished);
    }

    #[tokio::test]
    async fn a_stop_is_bounded_in_time() {
        let server = start(Limits { graceful_shutdown: Duration::from_millis(200), ..Limits::default() }).await;
        let _never = send(server.address, "/never").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.stop.stop();
        assert_eq!(server.ended.await.unwrap(), Ended::CutShort);
    }

    #[tokio::test]
    async fn a_second_stop_leaves_at_once() {
        let server = start(Limits::default()).await;
        let _never = send(server.address, "/never").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.stop.stop();
        server.stop.stop();
        assert_eq!(tokio::time::timeout(Duration::from_secs(5), server.ended).await.unwrap().unwrap(), Ended::CutShort);
    }

    #[tokio::test]
    async fn a_client_that_dawdles_over_its_head_is_cut_off() {
        let server = start(Limits { header_read_timeout: Duration::from_millis(200), ..Limits::default() }).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: local").await.unwrap();
        let mut left = Vec::new();
        tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut left)).await.unwrap().unwrap();
        assert!(!String::from_utf8_lossy(&left).starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_makes_nothing_pile_up() {
        let server = start(Limits::default()).await;
        let _stream = send(server.address, "/long").await;
        let mut before = usize::MAX;
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            match PIECES.load(Ordering::Relaxed) {
                now if now == before && now > 0 => break,
                now => before = now,
            }
        }
        // What the kernel takes for the socket, and hyper's own buffer.
        assert!(before * PIECE < 32 << 20, "{before} pieces");
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_wait() {
        let server = start(Limits { max_connections: 1, ..Limits::default() }).await;
        let mut first = send(server.address, "/").await;
        assert!(answer(&mut first).await.starts_with("HTTP/1.1 200"));
        let mut second = send(server.address, "/").await;
        assert!(tokio::time::timeout(Duration::from_millis(200), answer(&mut second)).await.is_err());
        drop(first);
        assert!(answer(&mut second).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn why_a_server_cannot_listen() {
        let first = Bound::open(&Config { port: 0, ..Config::default() }).await.unwrap();
        let port = first.addresses()[0].port();
        let busy = Bound::open(&Config { port, ..Config::default() }).await.unwrap_err().to_string();
        assert!(busy.starts_with(&format!("Port {port} on 127.0.0.1 is in use by another program.")), "{busy}");
        // An address of the range kept for documentation.
        let elsewhere = Config { host: "192.0.2.1".to_owned(), port: 0, ..Config::default() };
        let elsewhere = Bound::open(&elsewhere).await.unwrap_err().to_string();
        assert!(elsewhere.starts_with("192.0.2.1 is no address of this machine."), "{elsewhere}");
        let unknown = Config { host: "no such host".to_owned(), ..Config::default() };
        let unknown = Bound::open(&unknown).await.unwrap_err().to_string();
        assert!(unknown.starts_with("The host name 'no such host' of --host is not known"), "{unknown}");
    }

    #[tokio::test]
    async fn a_name_with_two_addresses_gets_one_port() {
        let bound = Bound::open(&Config { host: "localhost".to_owned(), port: 0, ..Config::default() }).await.unwrap();
        assert!(bound.addresses().iter().all(|address| address.port() == bound.addresses()[0].port()));
        assert!(bound.addresses().iter().all(|address| address.ip().is_loopback()));
    }
}
