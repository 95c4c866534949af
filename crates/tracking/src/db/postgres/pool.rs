//! Threads that each hold one connection and take requests from a shared queue.
//!
//! Writes of different runs that wait together are committed together, in the order of their keys, so that two groups
//! (of this server or of another one) never wait for each other in a circle. When one member of a group fails after it
//! wrote, the group is rolled back and each member runs by itself.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::PostgresConfig;
use super::keys::{Keys, Lookup, Wanted};
use super::session::{self, Failure, Mode, Session};
use crate::db::request::{Observer, Request, Tx};
use crate::db::{Conn, OpenError, Options, WriterStats};
use crate::error::{Error, Result};

/// Writes that are committed together at most, by number and by bytes.
const GROUP_REQUESTS: usize = 64;
const GROUP_BYTES: usize = 4 << 20;

/// How often a transaction is tried again when others came in between, or when the connection was lost.
const AGAIN: u32 = 12;
const RECONNECTS: u32 = 3;

/// After a connection failed, requests are refused for this long before the next one tries again.
const REST: Duration = Duration::from_millis(200);

/// How often the tokens of transactions that were done are swept, in transactions that left one.
const SWEEP: u64 = 1000;

type Read = Box<dyn FnOnce(Result<&Conn>) + Send>;

pub(super) enum Job {
    Write {
        /// What the write locks. It may then share a transaction, and when the answer to a commit is lost it is simply
        /// done again, which changes nothing. A write without a key runs alone, and is done once.
        key: Option<String>,
        bytes: usize,
        request: Box<dyn Request>,
    },
    /// Gets a connection inside a snapshot, or the reason why there is none.
    Read(Read),
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    bytes: usize,
    closed: bool,
    /// Threads that wait for a job, the last one to come on top: it gets the next job, so that little work stays with few
    /// connections, whose caches are warm and whose statements are planned.
    idle: Vec<usize>,
}

#[derive(Default)]
struct Counters {
    groups: AtomicU64,
    requests: AtomicU64,
    commit_micros: AtomicU64,
    tokens: AtomicU64,
}

struct Shared {
    config: PostgresConfig,
    queue: Mutex<Queue>,
    /// One for each thread.
    ready: Vec<Condvar>,
    /// Since when the database is away, so that not every request waits for a connection in vain.
    away: Mutex<Option<(Instant, Error)>>,
    counters: Counters,
    keys: Arc<Keys>,
    observer: Arc<dyn Observer>,
    most_requests: usize,
    most_bytes: usize,
}

pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Pool {
    pub(super) fn start(
        name: &str,
        config: &PostgresConfig,
        keys: &Arc<Keys>,
        options: &Options,
        observer: &Arc<dyn Observer>,
    ) -> Result<Pool, OpenError> {
        let shared = Arc::new(Shared {
            config: config.clone(),
            queue: Mutex::default(),
            ready: (0..config.connections.max(1)).map(|_| Condvar::new()).collect(),
            away: Mutex::default(),
            counters: Counters::default(),
            keys: Arc::clone(keys),
            observer: Arc::clone(observer),
            most_requests: options.queue_requests,
            most_bytes: options.queue_bytes,
        });
        let mut threads = Vec::new();
        for number in 0..shared.ready.len() {
            let worker = Worker { number, shared: Arc::clone(&shared), connection: None };
            let thread = std::thread::Builder::new().name(format!("trackway-{name}"));
            threads.push(thread.spawn(move || worker.run()).map_err(OpenError::Thread)?);
        }
        Ok(Pool { shared, threads: Mutex::new(threads) })
    }

    pub(super) fn push(&self, job: Job) -> Result<()> {
        let bytes = job.bytes();
        let mut queue = lock(&self.shared.queue);
        if queue.closed {
            return Err(Error::Busy("The server is shutting down. Send the request again in a moment.".to_owned()));
        }
        if queue.jobs.len() >= self.shared.most_requests || queue.bytes + bytes > self.shared.most_bytes {
            return Err(Error::Busy("The server's queue is full. Send the request again in a moment.".to_owned()));
        }
        queue.bytes += bytes;
        queue.jobs.push_back(job);
        let woken = queue.idle.pop();
        drop(queue);
        if let Some(number) = woken {
            self.shared.ready[number].notify_one();
        }
        Ok(())
    }

    pub(super) fn stats(&self) -> WriterStats {
        let (queued_requests, queued_bytes) = {
            let queue = lock(&self.shared.queue);
            (queue.jobs.len(), queue.bytes)
        };
        let counters = &self.shared.counters;
        WriterStats {
            queued_requests,
            queued_bytes,
            groups: counters.groups.load(Ordering::Relaxed),
            requests: counters.requests.load(Ordering::Relaxed),
            commit_micros: counters.commit_micros.load(Ordering::Relaxed),
        }
    }

    /// Takes no more, finishes what was accepted, and hangs up.
    pub(super) fn close(&self) {
        lock(&self.shared.queue).closed = true;
        self.shared.ready.iter().for_each(Condvar::notify_one);
        for thread in lock(&self.threads).drain(..) {
            // A panic in the thread was logged there; closing goes on.
            let _ = thread.join();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Job::Write { bytes, .. } => *bytes,
            Job::Read(_) => 256,
        }
    }
}

struct Worker {
    number: usize,
    shared: Arc<Shared>,
    connection: Option<Conn>,
}

/// What became of one try of a group.
enum Tried {
    /// Committed, or refused by the members' own fault.
    Done,
    /// Rolled back: each member for itself.
    Apart,
    /// Rolled back for a reason that passes.
    Again(Error),
    /// Rolled back, because metric names had to be stored first. They are now.
    Named,
    Lost(Error),
    Failed(Error),
}

impl Worker {
    fn run(mut self) {
        while let Some(jobs) = self.take() {
            let (mut writes, mut once) = (Vec::new(), false);
            for job in jobs {
                match job {
                    Job::Write { request, key, .. } => {
                        once |= key.is_none();
                        writes.push(request);
                    }
                    Job::Read(read) => self.read(read),
                }
            }
            if !writes.is_empty() {
                self.write(writes, once.then(Token::new));
            }
        }
    }

    /// Waits for work: one job, or a group of writes, ordered by what they lock.
    fn take(&self) -> Option<Vec<Job>> {
        let mut queue = lock(&self.shared.queue);
        let first = loop {
            if let Some(job) = queue.jobs.pop_front() {
                break job;
            }
            if queue.closed {
                return None;
            }
            queue.idle.push(self.number);
            queue = self.shared.ready[self.number].wait(queue).unwrap_or_else(|poison| poison.into_inner());
            // Still there only if nobody woke it.
            queue.idle.retain(|number| *number != self.number);
        };
        let mut group = vec![first];
        let mut bytes = group[0].bytes();
        while let Job::Write { key: Some(_), .. } = group[0] {
            let may_join = matches!(queue.jobs.front(), Some(Job::Write { key: Some(_), .. }));
            if !may_join || group.len() == GROUP_REQUESTS || bytes >= GROUP_BYTES {
                break;
            }
            let Some(job) = queue.jobs.pop_front() else { break };
            bytes += job.bytes();
            group.push(job);
        }
        queue.bytes -= bytes.min(queue.bytes);
        if group.len() > 1 {
            group.sort_by(|a, b| a.key().cmp(&b.key()));
        }
        Some(group)
    }

    /// Runs reads on a fresh snapshot. The answer is told before the snapshot is given up.
    fn read(&mut self, read: Read) {
        match self.connected() {
            Err(error) => read(Err(error)),
            Ok(connection) => {
                let Conn::Postgres(session) = connection else { return };
                session.begin(Mode::Read);
                if catch_unwind(AssertUnwindSafe(|| read(Ok(connection)))).is_err() {
                    tracing::error!("a read panicked");
                }
                let lost = session.take_failure() == Some(Failure::Lost);
                if session.commit().is_err() || lost {
                    self.connection = None;
                }
            }
        }
    }

    /// Runs writes until they are done, refused or given up, and answers them.
    fn write(&mut self, mut members: Vec<Box<dyn Request>>, mut token: Option<Token>) {
        let (mut again, mut lost, mut named) = (0, 0, 0);
        loop {
            let error = match self.try_group(&mut members, token.as_mut()) {
                Tried::Done => return finish(members, Ok(())),
                Tried::Failed(error) if members.len() == 1 => return finish(members, Err(error)),
                Tried::Apart | Tried::Failed(_) => {
                    for member in members {
                        self.write(vec![member], None);
                    }
                    return;
                }
                Tried::Again(error) => {
                    again += 1;
                    if members.len() > 1 {
                        for member in members {
                            self.write(vec![member], None);
                        }
                        return;
                    }
                    // Two that met once should not meet again.
                    std::thread::sleep(Duration::from_micros(300) * fastrand(again));
                    error
                }
                Tried::Named => {
                    named += 1;
                    contended()
                }
                Tried::Lost(error) => {
                    self.connection = None;
                    lost += 1;
                    error
                }
            };
            if again >= AGAIN || lost >= RECONNECTS || named >= AGAIN {
                return finish(members, Err(error));
            }
        }
    }

    fn try_group(&mut self, members: &mut [Box<dyn Request>], token: Option<&mut Token>) -> Tried {
        let shared = Arc::clone(&self.shared);
        let connection = match self.connected() {
            Ok(connection) => connection,
            // It was tried just now, by this thread or another: the caller shall not wait for a third time.
            Err(error) => return Tried::Failed(error),
        };
        let Conn::Postgres(session) = connection else { return Tried::Done };
        match &token {
            // The answer to its commit was lost: it may have been done.
            Some(token) if token.sent => match session.begin_as(token.name) {
                Ok(true) => {}
                Ok(false) => return Tried::Done,
                Err(error) => return Tried::Lost(error),
            },
            Some(_) => session.begin(Mode::Write),
            None => session.begin(if members.len() == 1 { Mode::WriteAlone } else { Mode::Write }),
        }
        let wanted = Wanted::default();
        let lookup = Lookup { keys: &shared.keys, wanted: &wanted };
        let tx = Tx { db: connection, metric_keys: &lookup, done: RefCell::default() };
        let alone = members.len() == 1;
        for member in members.iter_mut() {
            session.take_wrote();
            let applied = catch_unwind(AssertUnwindSafe(|| member.apply(&tx))).unwrap_or_else(|_| {
                tracing::error!("a write panicked; it was rolled back");
                false
            });
            let failure = session.failure();
            if failure == Some(Failure::Lost) {
                return Tried::Lost(lost());
            }
            if !wanted.is_empty() {
                // All is for nothing; the others only say which names they need.
                if failure.is_some() {
                    break;
                }
                continue;
            }
            if applied && failure.is_none() {
                continue;
            }
            if failure.is_some() || session.take_wrote() {
                if session.rollback().is_err() {
                    return Tried::Lost(lost());
                }
                return match failure {
                    Some(Failure::Again) => Tried::Again(contended()),
                    _ if alone && applied => Tried::Failed(Error::Storage(
                        "A statement failed and the request went on; nothing of it was stored.".to_owned(),
                    )),
                    _ if alone => Tried::Done,
                    _ => Tried::Apart,
                };
            }
            // Refused before it wrote anything: the others are not concerned.
        }
        if !wanted.is_empty() {
            return match session.rollback().and_then(|()| shared.keys.learn(connection, wanted.take())) {
                Ok(()) => Tried::Named,
                Err(_) if session.failure() == Some(Failure::Lost) => Tried::Lost(lost()),
                Err(error) => Tried::Failed(error),
            };
        }
        let start = Instant::now();
        let token_left = token.is_some();
        let committed = match token {
            Some(token) if !token.sent && session.wrote() => {
                token.sent = true;
                session.commit_as(token.name)
            }
            _ => session.commit(),
        };
        let counters = &shared.counters;
        counters.commit_micros.fetch_add(micros(start.elapsed()), Ordering::Relaxed);
        counters.groups.fetch_add(1, Ordering::Relaxed);
        counters.requests.fetch_add(members.len() as u64, Ordering::Relaxed);
        let left_token = token_left && counters.tokens.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1;
        if committed.is_ok() && left_token {
            // Nobody asks for one after minutes. What fails here is swept the next time.
            let _ = session.script("DELETE FROM trackway.done WHERE at < now() - interval '1 day'");
            session.take_failure();
        }
        let done = tx.done.into_inner();
        let tried = match committed {
            Ok(()) => Tried::Done,
            Err(error) => match session.take_failure() {
                Some(Failure::Lost) => Tried::Lost(error),
                Some(Failure::Again) => Tried::Again(error),
                _ => Tried::Failed(error),
            },
        };
        if let Tried::Done = tried {
            shared.observer.committed(done);
        }
        tried
    }

    fn connected(&mut self) -> Result<&Conn> {
        if !matches!(&self.connection, Some(Conn::Postgres(session)) if session.is_alive()) {
            self.connection = None;
            self.connection = Some(self.shared.connect()?);
        }
        self.connection.as_ref().ok_or_else(lost)
    }
}

impl Shared {
    fn connect(&self) -> Result<Conn> {
        if let Some((since, error)) = &*lock(&self.away)
            && since.elapsed() < REST
        {
            return Err(error.clone());
        }
        match Session::connect(&self.config) {
            Ok(session) => {
                if lock(&self.away).take().is_some() {
                    tracing::info!("the tracking database is back");
                }
                Ok(Conn::Postgres(session))
            }
            Err(error) => {
                let reason = session::reason(&error);
                let error = Error::Busy(format!(
                    "The tracking database is not to be reached just now ({reason}). Send the request again in a moment."
                ));
                if lock(&self.away).replace((Instant::now(), error.clone())).is_none() {
                    tracing::error!(%reason, "the tracking database is not to be reached");
                }
                Err(error)
            }
        }
    }
}

impl Job {
    fn key(&self) -> Option<&str> {
        match self {
            Job::Write { key, .. } => key.as_deref(),
            Job::Read(_) => None,
        }
    }
}

/// By which a transaction is known when the answer to its commit was lost. The number that PostgreSQL gives it would not
/// do: after a crash, and on a standby that was promoted, the same number is given again.
struct Token {
    name: Uuid,
    /// It stands in a commit that was sent.
    sent: bool,
}

impl Token {
    fn new() -> Token {
        Token { name: Uuid::new_v4(), sent: false }
    }
}

fn finish(members: Vec<Box<dyn Request>>, committed: Result<()>) {
    for member in members {
        member.finish(committed.clone());
    }
}

fn lost() -> Error {
    Error::Busy("The connection to the tracking database was lost. Send the request again in a moment.".to_owned())
}

fn contended() -> Error {
    Error::Busy("Others are changing the same things. Send the request again in a moment.".to_owned())
}

/// A small random factor that grows with the number of tries.
fn fastrand(tries: u32) -> u32 {
    let random = u32::from(Uuid::new_v4().as_bytes()[0]);
    1 + random % (1 << tries.min(7))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
