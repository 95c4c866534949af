//! The load generator: N keep-alive connections, each with one request under way, driven by one thread over epoll.
//!
//! A closed loop: a client sends its next request when the last is answered. One thread keeps the client's own share of
//! the machine small and alike for every server. Requests are written out before their clock starts.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::http::{Connection, Progress};

/// When to stop sending: both `least` requests and `time` are over, or `most` requests are sent.
#[derive(Clone, Copy)]
pub struct Until {
    pub time: Duration,
    pub least: usize,
    pub most: usize,
}

impl Until {
    pub fn count(n: usize) -> Self {
        Until { time: Duration::ZERO, least: n, most: n }
    }
}

/// What one drive saw.
#[derive(Default)]
pub struct Outcome {
    pub latencies: Vec<Duration>,
    pub elapsed: Duration,
    pub errors: usize,
    pub first_error: Option<String>,
    pub body_bytes: usize,
    /// Connections that the server closed while a request was under way, which was then sent again.
    pub reconnects: usize,
}

impl Outcome {
    pub fn answered(&self) -> usize {
        self.latencies.len()
    }
}

pub struct Load {
    /// The clients are spread over them in turn.
    addresses: Vec<SocketAddr>,
    quick_ack: bool,
    connections: Vec<Connection>,
    epoll: Epoll,
    scratch: Vec<u8>,
}

impl Load {
    pub fn connect(address: SocketAddr, clients: usize, quick_ack: bool) -> Result<Self> {
        Load::connect_to_all(vec![address], clients, quick_ack)
    }

    pub fn connect_to_all(addresses: Vec<SocketAddr>, clients: usize, quick_ack: bool) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let mut load = Load { addresses, quick_ack, connections: Vec::new(), epoll, scratch: vec![0; 1 << 18] };
        for i in 0..clients {
            let connection = load.open(i)?;
            load.connections.push(connection);
        }
        Ok(load)
    }

    fn open(&self, client: usize) -> Result<Connection> {
        let connection = Connection::open(self.addresses[client % self.addresses.len()], self.quick_ack, false)?;
        connection.stream.set_nonblocking(true)?;
        self.epoll.add(&connection.stream, EpollEvent::new(EpollFlags::EPOLLIN, client as u64))?;
        Ok(connection)
    }

    /// Sends requests until `until`, then waits for what is under way. `make` writes the request of a client.
    pub fn drive(&mut self, until: Until, make: &mut dyn FnMut(usize, &mut Vec<u8>)) -> Result<Outcome> {
        let begin = Instant::now();
        let mut outcome = Outcome::default();
        let mut sent = 0;
        let mut under_way = 0;
        for client in 0..self.connections.len() {
            if sent < until.most {
                self.send(client, make)?;
                sent += 1;
                under_way += 1;
            }
        }
        let mut events = vec![EpollEvent::empty(); 512];
        let mut idle_since = Instant::now();
        while under_way > 0 {
            let n = match self.epoll.wait(&mut events, EpollTimeout::from(1000u16)) {
                Ok(n) => n,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(e) => return Err(e.into()),
            };
            if n == 0 && idle_since.elapsed() > Duration::from_secs(300) {
                bail!("no answer came within 300 s");
            }
            for event in &events[..n] {
                idle_since = Instant::now();
                let client = event.data() as usize;
                let connection = &mut self.connections[client];
                let mut progress = Ok(Progress::Wait);
                if event.events().contains(EpollFlags::EPOLLOUT) {
                    progress = connection.write();
                    if matches!(progress, Ok(Progress::Wait)) {
                        self.watch(client, EpollFlags::EPOLLIN)?;
                    }
                }
                let connection = &mut self.connections[client];
                if event.events().intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) {
                    progress = connection.read(&mut self.scratch);
                }
                if let Err(error) = progress {
                    // A server may close a connection that was idle for a while just as a request is sent: HTTP
                    // clients send it again, and so does this one.
                    outcome.reconnects += 1;
                    if outcome.reconnects > 10 * self.connections.len() {
                        return Err(error);
                    }
                    self.send_again(client)?;
                    continue;
                }
                if let Ok(Progress::Done) = progress {
                    let latency = connection.started.elapsed();
                    let answer = &connection.answer;
                    outcome.body_bytes += answer.body_bytes;
                    if answer.status == 200 {
                        outcome.latencies.push(latency);
                    } else {
                        outcome.errors += 1;
                        let text = || format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body));
                        outcome.first_error.get_or_insert_with(text);
                    }
                    if answer.close {
                        self.connections[client] = self.open(client)?;
                    }
                    let more = sent < until.least || begin.elapsed() < until.time;
                    if more && sent < until.most {
                        self.send(client, make)?;
                        sent += 1;
                    } else {
                        under_way -= 1;
                    }
                }
            }
        }
        outcome.elapsed = begin.elapsed();
        Ok(outcome)
    }

    fn send(&mut self, client: usize, make: &mut dyn FnMut(usize, &mut Vec<u8>)) -> Result<()> {
        let connection = &mut self.connections[client];
        connection.out.clear();
        make(client, &mut connection.out);
        match connection.start() {
            Ok(progress) => self.watch_writing(client, &progress),
            Err(_) => self.send_again(client),
        }
    }

    /// Sends a client's request over a new connection; its clock goes on.
    fn send_again(&mut self, client: usize) -> Result<()> {
        let mut connection = self.open(client)?;
        let old = &mut self.connections[client];
        let started = old.started;
        connection.out = std::mem::take(&mut old.out);
        let progress = connection.start().context("cannot send a request again")?;
        connection.started = started;
        self.connections[client] = connection;
        self.watch_writing(client, &progress)
    }

    fn watch_writing(&self, client: usize, progress: &Progress) -> Result<()> {
        if let Progress::WaitToWrite = progress {
            self.watch(client, EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT)?;
        }
        Ok(())
    }

    fn watch(&self, client: usize, flags: EpollFlags) -> Result<()> {
        let stream = &self.connections[client].stream;
        Ok(self.epoll.modify(stream, &mut EpollEvent::new(flags, client as u64))?)
    }
}
