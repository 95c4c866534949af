//! A small HTTP/1.1 client over raw sockets: exact about when a request starts and when its answer is complete.
//!
//! [`Connection`] is the non-blocking half that the load generator drives; [`call`] is one request and its JSON answer,
//! for filling and for comparing answers.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::linux::net::TcpStreamExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

/// Appends a request to `out`. The body is JSON when there is one.
pub fn write_request(out: &mut Vec<u8>, method: &str, path: &str, body: &[u8]) {
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: trackway-bench\r\nAccept: */*\r\n");
    if !body.is_empty() {
        let head = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        out.extend_from_slice(head.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

enum Body {
    Head,
    Length(usize),
    ChunkSize,
    ChunkData(usize),
    Trailer,
}

/// Reads one answer incrementally. The body is kept only when asked for, or when the status is not 200.
pub struct Answer {
    state: Body,
    pending: Vec<u8>,
    keep: bool,
    pub status: u16,
    pub close: bool,
    pub body: Vec<u8>,
    pub body_bytes: usize,
}

impl Answer {
    pub fn new(keep: bool) -> Self {
        Answer {
            state: Body::Head,
            pending: Vec::new(),
            keep,
            status: 0,
            close: false,
            body: Vec::new(),
            body_bytes: 0,
        }
    }

    fn reset(&mut self) {
        self.state = Body::Head;
        self.pending.clear();
        self.status = 0;
        self.close = false;
        self.body.clear();
        self.body_bytes = 0;
    }

    fn take(&mut self, bytes: &[u8]) {
        self.body_bytes += bytes.len();
        if self.keep || self.status != 200 {
            self.body.extend_from_slice(bytes);
        }
    }

    /// Feeds what was read; true when the answer is complete.
    fn feed(&mut self, mut input: &[u8]) -> Result<bool> {
        loop {
            match self.state {
                Body::Head => {
                    self.pending.extend_from_slice(input);
                    let Some(end) = find(&self.pending, b"\r\n\r\n") else {
                        return Ok(false);
                    };
                    let all = std::mem::take(&mut self.pending);
                    self.state = self.read_head(&all[..end])?;
                    if matches!(self.state, Body::Length(0)) {
                        return Ok(true);
                    }
                    // What followed the head in the same read is at most one read long.
                    return self.feed(&all[end + 4..]);
                }
                Body::Length(left) => {
                    let n = left.min(input.len());
                    self.take(&input[..n]);
                    self.state = Body::Length(left - n);
                    return Ok(left == n);
                }
                Body::ChunkSize | Body::Trailer => {
                    let Some(end) = input.iter().position(|b| *b == b'\n') else {
                        self.pending.extend_from_slice(input);
                        return Ok(false);
                    };
                    self.pending.extend_from_slice(&input[..end]);
                    input = &input[end + 1..];
                    let line = std::mem::take(&mut self.pending);
                    let line = std::str::from_utf8(&line)?.trim();
                    if matches!(self.state, Body::Trailer) {
                        if line.is_empty() {
                            return Ok(true);
                        }
                        continue;
                    }
                    if line.is_empty() {
                        continue; // the line end behind the previous chunk's data
                    }
                    let size = usize::from_str_radix(line.split(';').next().unwrap_or(line).trim(), 16)
                        .with_context(|| format!("the chunk size {line:?} is no hexadecimal number"))?;
                    self.state = if size == 0 { Body::Trailer } else { Body::ChunkData(size) };
                }
                Body::ChunkData(left) => {
                    let n = left.min(input.len());
                    self.take(&input[..n]);
                    input = &input[n..];
                    if n < left {
                        self.state = Body::ChunkData(left - n);
                        return Ok(false);
                    }
                    self.state = Body::ChunkSize;
                }
            }
        }
    }

    fn read_head(&mut self, head: &[u8]) -> Result<Body> {
        let head = std::str::from_utf8(head).context("the answer's head is not text")?;
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        self.status = first
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .ok_or_else(|| anyhow!("the status line {first:?} has no status"))?;
        let mut state = None;
        for line in lines {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                state = Some(Body::Length(value.parse().context("the Content-Length is no number")?));
            } else if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
                state = Some(Body::ChunkSize);
            } else if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
                self.close = true;
            }
        }
        state.ok_or_else(|| anyhow!("the answer has neither Content-Length nor chunks: {head:?}"))
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

pub enum Progress {
    Wait,
    WaitToWrite,
    Done,
}

/// One keep-alive connection with at most one request under way.
pub struct Connection {
    pub stream: TcpStream,
    /// Acknowledge at once instead of up to 40 ms later. Linux leaves this mode by itself, so it is set before each read.
    quick_ack: bool,
    pub out: Vec<u8>,
    written: usize,
    pub answer: Answer,
    pub started: Instant,
}

impl Connection {
    pub fn open(address: SocketAddr, quick_ack: bool, keep: bool) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let answer = Answer::new(keep);
        Ok(Connection { stream, quick_ack, out: Vec::new(), written: 0, answer, started: Instant::now() })
    }

    /// Starts the request that stands in `out`.
    pub fn start(&mut self) -> Result<Progress> {
        self.written = 0;
        self.answer.reset();
        self.started = Instant::now();
        self.write()
    }

    pub fn write(&mut self) -> Result<Progress> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(0) => bail!("the server closed the connection while a request was sent"),
                Ok(n) => self.written += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Progress::WaitToWrite),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e).context("sending a request failed"),
            }
        }
        self.acknowledge()?;
        Ok(Progress::Wait)
    }

    pub fn read(&mut self, scratch: &mut [u8]) -> Result<Progress> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => bail!("the server closed the connection before its answer was complete"),
                Ok(n) => {
                    if self.answer.feed(&scratch[..n])? {
                        return Ok(Progress::Done);
                    }
                    self.acknowledge()?;
                    if n < scratch.len() {
                        return Ok(Progress::Wait);
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Progress::Wait),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e).context("reading an answer failed"),
            }
        }
    }

    fn acknowledge(&self) -> Result<()> {
        if self.quick_ack {
            self.stream.set_quickack(true)?;
        }
        Ok(())
    }
}

/// One request on a connection of its own: status and body.
pub fn exchange(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
    let mut connection = Connection::open(address, true, true)?;
    connection.stream.set_read_timeout(Some(Duration::from_secs(300)))?;
    write_request(&mut connection.out, method, path, body);
    connection.start()?;
    let mut scratch = vec![0; 1 << 16];
    loop {
        // A blocking socket reports its timeout as WouldBlock, which `read` returns as `Wait`.
        let before = Instant::now();
        if let Progress::Done = connection.read(&mut scratch).with_context(|| format!("{method} {path}"))? {
            return Ok((connection.answer.status, connection.answer.body));
        }
        if before.elapsed() > Duration::from_secs(299) {
            bail!("{method} {path} was not answered within 300 s");
        }
    }
}

/// One request of the MLflow protocol; anything but 200 is an error.
pub fn call(address: SocketAddr, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let bytes = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
    let (status, answer) = exchange(address, method, path, &bytes)?;
    if status != 200 {
        bail!("{method} {path} was answered {status}: {}", String::from_utf8_lossy(&answer));
    }
    serde_json::from_slice(&answer).with_context(|| format!("the answer to {method} {path} is not JSON"))
}
