//! The one writer: a thread that drains its queue and commits many requests in one transaction.
//!
//! Every request runs in a savepoint of its own, so that a wrong one fails alone. All are answered after the
//! commit has reached the disk; if the commit fails, every member of the group is told so.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::db::request::{Done, MetricKeys, Observer, Request, Tx};
use crate::db::{Conn, OpenError, Options, WriterStats, params};
use crate::error::{Error, Result};

/// A group is closed when it holds this much, so that its first member does not wait for ever.
const GROUP_REQUESTS: usize = 1024;
const GROUP_BYTES: usize = 16 << 20;
const GROUP_TIME: Duration = Duration::from_millis(20);

/// Numbers of metric names, remembered. Names are never deleted, so only a rollback can make an entry wrong.
#[derive(Default)]
struct Keys {
    known: RefCell<HashMap<String, u32>>,
    /// Entries younger than the last commit: forgotten when the transaction or savepoint is rolled back.
    fresh: RefCell<Vec<String>>,
}

impl Keys {
    /// Past this many names the cache starts anew: names come from outside and may be without number.
    const MOST: usize = 100_000;

    fn forget_fresh(&self) {
        let mut known = self.known.borrow_mut();
        for name in self.fresh.borrow_mut().drain(..) {
            known.remove(&name);
        }
    }

    fn keep_fresh(&self) {
        self.fresh.borrow_mut().clear();
    }
}

impl MetricKeys for Keys {
    fn are_known(&self) -> bool {
        true
    }

    fn intern(&self, db: &Conn, name: &str) -> Result<u32> {
        if let Some(id) = self.known.borrow().get(name) {
            return Ok(*id);
        }
        let found = db.row("SELECT id FROM metric_key WHERE name = ?1", params![name], |row| row.get(0))?;
        let id = match found {
            Some(id) => id,
            None => {
                db.one("INSERT INTO metric_key (name) VALUES (?1) RETURNING id", params![name], |row| row.get(0))?
            }
        };
        let mut known = self.known.borrow_mut();
        if known.len() >= Self::MOST {
            known.clear();
        }
        known.insert(name.to_owned(), id);
        self.fresh.borrow_mut().push(name.to_owned());
        Ok(id)
    }
}

struct Job {
    bytes: usize,
    request: Box<dyn Request>,
}

#[derive(Default)]
struct Counters {
    queued_requests: AtomicUsize,
    queued_bytes: AtomicUsize,
    groups: AtomicU64,
    requests: AtomicU64,
    commit_micros: AtomicU64,
}

pub(super) struct Writer {
    queue: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    counters: Arc<Counters>,
    queue_bytes: usize,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        options: &Options,
        observer: Arc<dyn Observer>,
    ) -> Result<Writer, OpenError> {
        let (queue, jobs) = sync_channel(options.queue_requests);
        let counters = Arc::new(Counters::default());
        let thread = std::thread::Builder::new()
            .name("trackway-writer".to_owned())
            .spawn({
                let counters = Arc::clone(&counters);
                move || run(&Conn::Sqlite(connection), &jobs, &counters, &*observer)
            })
            .map_err(OpenError::Thread)?;
        Ok(Writer {
            queue: Mutex::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
            counters,
            queue_bytes: options.queue_bytes,
        })
    }

    /// Queues a request, which is answered when its group is on disk. `bytes` is what it holds.
    pub(super) fn write(&self, bytes: usize, request: Box<dyn Request>) -> Result<()> {
        self.enqueue(Job { bytes, request })
    }

    fn enqueue(&self, job: Job) -> Result<()> {
        let bytes = job.bytes;
        let full = || Error::Busy("The server's write queue is full. Send the request again in a moment.".to_owned());
        if self.counters.queued_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > self.queue_bytes {
            self.counters.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(full());
        }
        self.counters.queued_requests.fetch_add(1, Ordering::Relaxed);
        let sent = match &*self.queue.lock().unwrap_or_else(|poison| poison.into_inner()) {
            Some(queue) => queue.try_send(job).map_err(|refused| match refused {
                TrySendError::Full(_) => full(),
                TrySendError::Disconnected(_) => {
                    Error::Storage("The writer of the tracking database has stopped.".to_owned())
                }
            }),
            None => Err(Error::Busy("The server is shutting down. Send the request again in a moment.".to_owned())),
        };
        if sent.is_err() {
            self.counters.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.counters.queued_requests.fetch_sub(1, Ordering::Relaxed);
        }
        sent
    }

    pub(super) fn stats(&self) -> WriterStats {
        let counters = &self.counters;
        WriterStats {
            queued_requests: counters.queued_requests.load(Ordering::Relaxed),
            queued_bytes: counters.queued_bytes.load(Ordering::Relaxed),
            groups: counters.groups.load(Ordering::Relaxed),
            requests: counters.requests.load(Ordering::Relaxed),
            commit_micros: counters.commit_micros.load(Ordering::Relaxed),
        }
    }

    pub(super) fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(|poison| poison.into_inner()).take());
        let thread = self.thread.lock().unwrap_or_else(|poison| poison.into_inner()).take();
        if let Some(thread) = thread {
            // A panic in the thread was logged there; closing goes on.
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(db: &Conn, jobs: &Receiver<Job>, counters: &Counters, observer: &dyn Observer) {
    let metric_keys = Keys::default();
    while let Ok(first) = jobs.recv() {
        let taken = |job: Job| {
            counters.queued_bytes.fetch_sub(job.bytes, Ordering::Relaxed);
            counters.queued_requests.fetch_sub(1, Ordering::Relaxed);
            job
        };
        let next = || jobs.try_recv().ok().map(taken);
        let mut members = Vec::new();
        let committed = group(db, &metric_keys, taken(first), next, &mut members).and_then(|done| {
            let start = Instant::now();
            let committed = execute(db, "COMMIT");
            counters.commit_micros.fetch_add(micros(start.elapsed()), Ordering::Relaxed);
            committed.map(|()| done)
        });
        let committed = match committed {
            Ok(done) => {
                metric_keys.keep_fresh();
                observer.committed(done);
                Ok(())
            }
            Err(error) => {
                metric_keys.forget_fresh();
                tracing::error!(%error, requests = members.len(), "a group of writes was rolled back");
                if !is_autocommit(db)
                    && let Err(error) = execute(db, "ROLLBACK")
                {
                    tracing::error!(%error, "the rollback failed");
                }
                Err(error)
            }
        };
        counters.groups.fetch_add(1, Ordering::Relaxed);
        counters.requests.fetch_add(members.len() as u64, Ordering::Relaxed);
        for member in members {
            member.finish(committed.clone());
        }
    }
}

/// Begins a transaction and applies requests in it; what they have done. An error means that the whole group is lost.
fn group(
    db: &Conn,
    metric_keys: &Keys,
    first: Job,
    next: impl Fn() -> Option<Job>,
    members: &mut Vec<Box<dyn Request>>,
) -> Result<Vec<Done>> {
    let start = Instant::now();
    let tx = Tx { db, metric_keys, done: RefCell::default() };
    let mut bytes = first.bytes;
    members.push(first.request);
    execute(db, "BEGIN IMMEDIATE")?;
    loop {
        if let Some(member) = members.last_mut() {
            apply(&tx, metric_keys, member.as_mut())?;
        }
        if members.len() >= GROUP_REQUESTS || bytes >= GROUP_BYTES || start.elapsed() >= GROUP_TIME {
            return Ok(tx.done.into_inner());
        }
        let Some(job) = next() else { return Ok(tx.done.into_inner()) };
        bytes += job.bytes;
        members.push(job.request);
    }
}

/// Applies one request in a savepoint. An error means that the transaction is gone, with all that was applied before.
fn apply(tx: &Tx, keys: &Keys, request: &mut dyn Request) -> Result<()> {
    execute(tx.db, "SAVEPOINT request")?;
    let succeeded = catch_unwind(AssertUnwindSafe(|| request.apply(tx))).unwrap_or_else(|_| {
        tracing::error!("a write panicked; it was rolled back");
        false
    });
    if is_autocommit(tx.db) {
        // SQLite rolls the whole transaction back by itself on some errors, a full disk among them.
        return Err(Error::StorageFull(
            "The disk that holds the tracking database is full or failing. Nothing of this request was stored; free some space and send it again.".to_owned(),
        ));
    }
    if !succeeded {
        keys.forget_fresh();
        execute(tx.db, "ROLLBACK TO request")?;
    }
    execute(tx.db, "RELEASE request")
}

fn execute(db: &Conn, sql: &str) -> Result<()> {
    db.execute(sql, params![]).map(|_| ())
}

/// Whether the transaction is gone.
fn is_autocommit(db: &Conn) -> bool {
    matches!(db, Conn::Sqlite(connection) if connection.is_autocommit())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
