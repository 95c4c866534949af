//! One HTTP client for all object stores: pooled connections, deadlines, retries with back-off.
//!
//! A request is made anew for each attempt, since a signature carries its time. What is worth
//! trying again is decided here alone; what an answer means is for each store to say. A body that comes as
//! a stream (`streamed.rs`) is sent once.

mod body;
mod connect;
pub(crate) mod encode;
pub(crate) mod place;
mod streamed;
mod tls;
pub(crate) mod url;
pub(crate) mod xml;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::environment::Environment;
use crate::options::HttpOptions;
use body::Content;
use connect::Connector;
pub(crate) use streamed::NotSent;

/// What a store has to say is no longer than this.
const LONGEST_TEXT: usize = 32 << 20;

type Connections = Pool<Connector, Content>;

pub(crate) struct Client {
    /// Which of this process's clients it is.
    number: u64,
    pool: Connections,
    connector: Connector,
    options: HttpOptions,
    /// How often a store has asked us to slow down, or not answered in time.
    pushed_back: AtomicU64,
}

/// A request, signed and ready.
pub(crate) struct Request {
    pub method: Method,
    pub url: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Request {
    pub fn new(method: Method, url: impl Into<String>) -> Request {
        Request { method, url: url.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }
}

/// Why no answer, or not all of it, has come. Never holds a URL's query.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Connect(String),
    #[error("{0}")]
    Broken(String),
    #[error("nothing was heard for {0} seconds")]
    Timeout(u64),
    #[error("{0}")]
    Refused(String),
}

/// What came back, its body yet to be read.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Incoming,
    idle: Duration,
    /// Whether an attempt before this one may have been carried out unheard.
    pub repeated: bool,
}

impl Client {
    pub fn new(options: &HttpOptions, environment: &Environment) -> Result<Client, String> {
        let connector = Connector::new(options, environment)?;
        static CLIENTS: AtomicU64 = AtomicU64::new(0);
        let number = CLIENTS.fetch_add(1, Ordering::Relaxed);
        let pool = pool(&connector);
        Ok(Client { number, pool, connector, options: options.clone(), pushed_back: AtomicU64::new(0) })
    }

    fn connections(&self) -> Connections {
        OWN.with_borrow_mut(|own| {
            let Some(own) = own else { return self.pool.clone() };
            if let Some((_, pool)) = own.iter().find(|(number, _)| *number == self.number) {
                return pool.clone();
            }
            let pool = pool(&self.connector);
            own.push((self.number, pool.clone()));
            pool
        })
    }

    pub fn options(&self) -> &HttpOptions {
        &self.options
    }

    pub fn pushed_back(&self) -> u64 {
        self.pushed_back.load(Ordering::Relaxed)
    }

    fn note_push_back(&self) {
        self.pushed_back.fetch_add(1, Ordering::Relaxed);
    }

    /// A request that may be tried several times.
    pub fn attempts(&self) -> Attempts<'_> {
        Attempts { client: self, made: 0, repeated: false }
    }

    /// Tries the same request until it is answered, where it needs no signature.
    pub async fn send(&self, make: impl Fn() -> Request) -> Result<Answer, Failure> {
        let mut attempts = self.attempts();
        loop {
            if let Some(outcome) = attempts.send(make()).await {
                return outcome;
            }
        }
    }

    /// All of an answer to a question that changes nothing. One that breaks off is asked for again.
    pub async fn told<E, F>(&self, ask: impl Fn() -> F) -> Result<Bytes, E>
    where
        E: From<Failure>,
        F: Future<Output = Result<Answer, E>>,
    {
        let mut attempt = 1;
        loop {
            match ask().await?.bytes(LONGEST_TEXT).await {
                Err(Failure::Broken(_) | Failure::Timeout(_)) if attempt < self.options.attempts => {
                    tokio::time::sleep(back_off(attempt)).await;
                    attempt += 1;
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    /// One attempt and no more.
    pub async fn send_once(&self, request: Request) -> Result<Answer, Failure> {
        let idle = self.options.idle_timeout;
        // A body is sent at 100 kB/s at the least.
        let deadline = idle + Duration::from_millis(request.body.len() as u64 / 100);
        let Request { method, url, headers, body } = request;
        let sent = self.prepare(method, url, headers, Content::Whole(body))?;
        let answer = tokio::time::timeout(deadline, self.connections().request(sent)).await;
        let answer = answer.map_err(|_| Failure::Timeout(deadline.as_secs()))?;
        self.heard(answer)
    }

    fn prepare(
        &self,
        method: Method,
        url: String,
        headers: HeaderMap,
        body: Content,
    ) -> Result<http::Request<Content>, Failure> {
        // An empty body has a length too, which hyper leaves out and Azure demands.
        let is_empty = matches!(&body, Content::Whole(bytes) if bytes.is_empty());
        let is_empty_body = is_empty && matches!(method, Method::PUT | Method::POST);
        let mut sent = http::Request::builder().method(method).uri(&url);
        if let Some(all) = sent.headers_mut() {
            *all = headers;
            if is_empty_body {
                all.insert(http::header::CONTENT_LENGTH, http::HeaderValue::from_static("0"));
            }
        }
        let mut sent =
            sent.body(body).map_err(|_| Failure::Refused("the address of the store makes no valid URL".to_owned()))?;
        if let Some(authorization) = self.connector.proxy_authorization(sent.uri()) {
            sent.headers_mut().insert(http::header::PROXY_AUTHORIZATION, authorization);
        }
        Ok(sent)
    }

    fn heard(
        &self,
        answer: Result<http::Response<Incoming>, hyper_util::client::legacy::Error>,
    ) -> Result<Answer, Failure> {
        let answer = answer.map_err(|error| {
            let reason = innermost(&error);
            match error.is_connect() {
                true if tls::is_final(&error) => Failure::Refused(reason),
                true => Failure::Connect(reason),
                false => Failure::Broken(reason),
            }
        })?;
        let (head, body) = answer.into_parts();
        let idle = self.options.idle_timeout;
        Ok(Answer { status: head.status, headers: head.headers, body, idle, repeated: false })
    }
}

thread_local! {
    /// Of this thread alone, by the clients that they belong to.
    static OWN: RefCell<Option<Vec<(u64, Connections)>>> = const { RefCell::new(None) };
}

/// For a thread that drives a runtime of its own within `work`: what it asks stores for goes over connections that live on that
/// runtime, so that no other thread has to be woken for them.
pub fn with_own_connections<T>(work: impl FnOnce() -> T) -> T {
    let before = OWN.replace(Some(Vec::new()));
    let done = work();
    OWN.set(before);
    done
}

fn pool(connector: &Connector) -> Connections {
    Pool::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build(connector.clone())
}

/// What has been tried so far of one request.
pub(crate) struct Attempts<'a> {
    client: &'a Client,
    made: u32,
    repeated: bool,
}

impl Attempts<'_> {
    /// Sends the request. None means: send it once more, signed anew; the pause before that is over then.
    pub async fn send(&mut self, request: Request) -> Option<Result<Answer, Failure>> {
        self.made += 1;
        let outcome = self.client.send_once(request).await;
        match &outcome {
            Ok(answer) if matches!(answer.status.as_u16(), 429 | 503) => self.client.note_push_back(),
            Err(Failure::Timeout(_)) => self.client.note_push_back(),
            _ => {}
        }
        let wait = match &outcome {
            _ if self.made >= self.client.options.attempts => None,
            Ok(answer) if is_worth_repeating(answer.status) => Some(asked_wait(&answer.headers)),
            Err(Failure::Connect(_) | Failure::Broken(_) | Failure::Timeout(_)) => Some(None),
            _ => None,
        };
        let Some(asked) = wait else {
            return Some(outcome.map(|answer| Answer { repeated: self.repeated, ..answer }));
        };
        // Before there is a connection, nothing was carried out.
        self.repeated |= !matches!(outcome, Err(Failure::Connect(_)));
        if let Ok(answer) = outcome {
            // Read, so that the connection can be used again.
            let _ = answer.text().await;
        }
        tokio::time::sleep(asked.unwrap_or_else(|| back_off(self.made))).await;
        None
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The next piece of the body, or None at its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = tokio::time::timeout(self.idle, self.body.frame()).await;
            match frame.map_err(|_| Failure::Timeout(self.idle.as_secs()))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(Failure::Broken(innermost(&error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) if !piece.is_empty() => return Ok(Some(piece)),
                    _ => {}
                },
            }
        }
    }

    /// All of a body that is known to be small: at most `limit` bytes.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, Failure> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if all.len() + piece.len() > limit {
                return Err(Failure::Refused("the answer is longer than it can be".to_owned()));
            }
            if all.is_empty() && hyper::body::Body::is_end_stream(&self.body) {
                return Ok(piece);
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// What a store has to say: XML or JSON.
    pub async fn text(self) -> Result<String, Failure> {
        let bytes = self.bytes(LONGEST_TEXT).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// An ETag as it is compared: without quotes.
pub(crate) fn unquoted(etag: &str) -> String {
    etag.trim().trim_start_matches("W/").trim_matches('"').to_owned()
}

/// Which bytes of how many an answer has. The status says nothing: rclone sends a range with 200.
pub(crate) fn range(answer: &Answer) -> Option<(Range<u64>, u64)> {
    let Some(range) = answer.header("content-range") else {
        let size = answer.header("content-length")?.parse().ok()?;
        return Some((0..size, size));
    };
    let (range, size) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    Some((first..last.checked_add(1)?, size.parse().ok()?))
}

/// A time as XML and JSON have it.
pub(crate) fn time(text: &str) -> Option<SystemTime> {
    text.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

fn is_worth_repeating(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// What the store asks us to wait, if that is bearable.
fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    (seconds <= 30).then(|| Duration::from_secs(seconds))
}

/// 50 ms, 100 ms, 200 ms, … up to 5 s, each anywhere between half and all of it.
pub(crate) fn back_off(attempt: u32) -> Duration {
    let full = Duration::from_millis(50 << attempt.clamp(1, 8).saturating_sub(1)).min(Duration::from_secs(5));
    let mut byte = [0];
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut byte);
    full / 2 + full * u32::from(byte[0]) / 512
}

/// The last error of a chain says what happened; those before it only where.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
