//! Live changes: which runs and experiments were touched, told to whoever listens, on whichever server they are.
//!
//! After a commit the changes are noted in memory, one entry a run however often it is written to, and four times a second
//! what was noted is stored as rows of the table `event`. Whoever listens reads that table, so that a listener on one
//! server hears what was written through another, also behind PgBouncer.
//!
//! A listener's cursor is the number of the last event it saw. It misses nothing, for numbers are given in the order of
//! the commits: by SQLite's one writer, and on PostgreSQL under an advisory lock that only these small transactions take.
//!
//! A server that is killed takes up to a quarter second of noted changes with it. So each start stores an event without a
//! run ([`Event::is_reset`]), at which a page asks anew for all that it shows.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::db::{Conn, Db, Dialect, Sql, Tx, Weight, params};
use crate::error::Result;
use crate::{Store, now};

/// What is noted waits so long for more of the same.
const TOGETHER: Duration = Duration::from_millis(250);
/// How often the table is looked at while somebody listens.
const LOOK: Duration = Duration::from_millis(500);
/// Events older than this are deleted, and those beyond this number: a listener that comes back later begins anew.
const KEPT_FOR: Duration = Duration::from_secs(3600);
const KEPT: i64 = 100_000;
const TRIM_EVERY: Duration = Duration::from_secs(300);
/// Newest events that are held in memory while somebody listens.
const IN_MEMORY: usize = 10_000;
/// Runs noted at most between two flushes; beyond it listeners are told to ask for everything.
const NOTED: usize = 100_000;
/// "trkwEVNT" in numbers; who holds it in a transaction may number events.
const LOCK: i64 = 0x7472_6b77_4556_4e54;

/// What happened to a run or an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Created,
    /// Name, status or end time.
    Updated,
    Metrics,
    Params,
    Tags,
    /// Datasets and models that went in or came out.
    Inputs,
    Deleted,
    Restored,
}

impl Kind {
    pub const ALL: [Kind; 8] = [
        Kind::Created,
        Kind::Updated,
        Kind::Metrics,
        Kind::Params,
        Kind::Tags,
        Kind::Inputs,
        Kind::Deleted,
        Kind::Restored,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Created => "created",
            Kind::Updated => "updated",
            Kind::Metrics => "metrics",
            Kind::Params => "params",
            Kind::Tags => "tags",
            Kind::Inputs => "inputs",
            Kind::Deleted => "deleted",
            Kind::Restored => "restored",
        }
    }

    fn bit(self) -> i64 {
        1 << self as i64
    }
}

/// A change as a write notes it, before it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    experiment: i64,
    /// Empty: the experiment itself changed.
    run_id: String,
    kinds: i64,
}

impl Change {
    pub(crate) fn run(experiment: i64, run_id: &str, kind: Kind) -> Change {
        Change { experiment, run_id: run_id.to_owned(), kinds: kind.bit() }
    }

    pub(crate) fn experiment(experiment: i64, kind: Kind) -> Change {
        Change { experiment, run_id: String::new(), kinds: kind.bit() }
    }

    pub(crate) fn and(mut self, kind: Kind) -> Change {
        self.kinds |= kind.bit();
        self
    }
}

/// One stored event: everything that happened to a run, or to an experiment itself, within a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: i64,
    /// Milliseconds since the epoch.
    pub time: i64,
    pub experiment_id: i64,
    pub run_id: Option<String>,
    kinds: i64,
}

impl Event {
    /// Something may have happened that nobody was told of: ask for everything that is shown.
    pub fn is_reset(&self) -> bool {
        self.kinds == 0
    }

    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(|kind| self.kinds & kind.bit() != 0)
    }

    /// Whether somebody who listens to these experiments (none named: to all) wants it.
    pub fn concerns(&self, experiments: &[i64]) -> bool {
        self.is_reset() || experiments.is_empty() || experiments.contains(&self.experiment_id)
    }
}

/// What happened behind a cursor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Events {
    pub events: Vec<Event>,
    /// The cursor to go on from.
    pub next: i64,
    /// The cursor is too old, or of another database: there may be changes that are not among the events.
    pub reset: bool,
}

/// A listener: as long as there is one, the table is looked at twice a second.
pub struct Listener {
    newest: watch::Receiver<i64>,
}

impl Listener {
    /// Waits until there may be events behind this cursor.
    pub async fn behind(&mut self, cursor: i64) {
        // It fails when the store is closed: then there is nothing to come.
        if self.newest.wait_for(|newest| *newest > cursor).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Store {
    /// Begins to listen. To miss nothing, listen first and ask [`Store::events`] afterwards.
    pub fn listen(&self) -> Listener {
        let newest = self.background.changes.shared.newest.subscribe();
        self.background.changes.shared.wake.notify_all();
        Listener { newest }
    }

    /// The events behind a cursor, oldest first, of these experiments or of all; without a cursor none, but one to begin
    /// from.
    pub async fn events(&self, after: Option<i64>, experiments: Vec<i64>, limit: usize) -> Result<Events> {
        if let Some(after) = after
            && let Some(events) = self.background.changes.shared.recent(after, &experiments, limit)
        {
            return Ok(events);
        }
        self.db.read(Weight::Light, move |db| read(db, after, &experiments, limit)).await
    }
}

fn read(db: &Conn, after: Option<i64>, experiments: &[i64], limit: usize) -> Result<Events> {
    let ends = "SELECT COALESCE(min(id), 0), COALESCE(max(id), 0) FROM event";
    let (oldest, newest): (i64, i64) = db.one(ends, params![], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(after) = after else { return Ok(Events { next: newest, ..Events::default() }) };
    if after + 1 < oldest || after > newest {
        return Ok(Events { next: newest, reset: true, ..Events::default() });
    }
    let found = rows(db, after, limit)?;
    let next = found.last().map_or(after, |event| event.id);
    let events = found.into_iter().filter(|event| event.concerns(experiments)).collect();
    Ok(Events { events, next, reset: false })
}

fn rows(db: &Conn, after: i64, limit: usize) -> Result<Vec<Event>> {
    db.rows(
        "SELECT id, time, experiment, run, kinds FROM event WHERE id > ?1 ORDER BY id LIMIT ?2",
        params![after, limit],
        |row| {
            let run: String = row.get(3)?;
            Ok(Event {
                id: row.get(0)?,
                time: row.get(1)?,
                experiment_id: row.get(2)?,
                run_id: (!run.is_empty()).then_some(run),
                kinds: row.get(4)?,
            })
        },
    )
}

/// Notes, stores and looks for changes.
pub(crate) struct Changes {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Noted {
    changes: HashMap<(i64, String), i64>,
    reset: bool,
    closed: bool,
}

struct Shared {
    noted: Mutex<Noted>,
    wake: Condvar,
    newest: watch::Sender<i64>,
    memory: Mutex<VecDeque<Event>>,
}

impl Shared {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    fn memory(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.memory.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// From memory, if all behind the cursor is there.
    fn recent(&self, after: i64, experiments: &[i64], limit: usize) -> Option<Events> {
        let memory = self.memory();
        let (first, last) = (memory.front()?.id, memory.back()?.id);
        if after < first || after > last {
            return None;
        }
        let behind = memory.partition_point(|event| event.id <= after);
        let found = || memory.range(behind..).take(limit);
        let next = found().next_back().map_or(after, |event| event.id);
        let events = found().filter(|event| event.concerns(experiments)).cloned().collect();
        Some(Events { events, next, reset: false })
    }
}

impl Changes {
    pub(crate) fn new() -> Changes {
        let shared = Shared {
            noted: Mutex::new(Noted { reset: true, ..Noted::default() }),
            wake: Condvar::new(),
            newest: watch::Sender::new(-1),
            memory: Mutex::default(),
        };
        Changes { shared: Arc::new(shared), thread: Mutex::default() }
    }

    pub(crate) fn start(&self, db: Arc<Db>) -> std::io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("trackway-events".to_owned()).spawn(move || run(&shared, &db))?;
        *self.thread.lock().unwrap_or_else(|poison| poison.into_inner()) = Some(thread);
        Ok(())
    }

    pub(crate) fn note(&self, changes: impl Iterator<Item = Change>) {
        let mut noted = self.shared.noted();
        let idle = noted.changes.is_empty() && !noted.reset;
        for change in changes {
            if noted.changes.len() >= NOTED {
                noted.changes.clear();
                noted.reset = true;
            }
            *noted.changes.entry((change.experiment, change.run_id)).or_default() |= change.kinds;
        }
        if idle && !noted.changes.is_empty() {
            self.shared.wake.notify_all();
        }
    }

    /// Stores what is noted, and ends.
    pub(crate) fn close(&self) {
        self.shared.noted().closed = true;
        self.shared.wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(|poison| poison.into_inner()).take();
        if let Some(thread) = thread {
            // A panic in the thread was logged there; closing goes on.
            let _ = thread.join();
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(shared: &Shared, db: &Arc<Db>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    let mut trimmed = Instant::now();
    loop {
        let closed = wait(shared);
        let (batch, reset) = {
            let mut noted = shared.noted();
            (std::mem::take(&mut noted.changes), std::mem::take(&mut noted.reset))
        };
        if !batch.is_empty() || reset {
            let trim = trimmed.elapsed() >= TRIM_EVERY;
            match runtime.block_on(store(db, batch.clone(), reset, trim)) {
                Ok(()) if trim => trimmed = Instant::now(),
                Ok(()) => {}
                Err(error) => {
                    tracing::debug!(%error, "events could not be stored; they are kept for the next time");
                    let mut noted = shared.noted();
                    noted.reset |= reset;
                    for (what, kinds) in batch {
                        *noted.changes.entry(what).or_default() |= kinds;
                    }
                }
            }
        }
        if closed {
            return;
        }
        if shared.newest.receiver_count() == 0 {
            shared.memory().clear();
        } else if let Err(error) = runtime.block_on(look(shared, db)) {
            tracing::debug!(%error, "events could not be read");
        }
    }
}

/// Waits until there is something to do; true when that is the end.
fn wait(shared: &Shared) -> bool {
    let mut noted = shared.noted();
    let asleep = |noted: &mut Noted| {
        noted.changes.is_empty() && !noted.reset && !noted.closed && shared.newest.receiver_count() == 0
    };
    noted = shared.wake.wait_while(noted, asleep).unwrap_or_else(|poison| poison.into_inner());
    let start = Instant::now();
    while !noted.closed {
        let pause = if noted.changes.is_empty() && !noted.reset { LOOK } else { TOGETHER };
        let Some(left) = pause.checked_sub(start.elapsed()) else { break };
        noted = shared.wake.wait_timeout(noted, left).unwrap_or_else(|poison| poison.into_inner()).0;
    }
    noted.closed
}

async fn store(db: &Db, batch: HashMap<(i64, String), i64>, reset: bool, trim: bool) -> Result<()> {
    let bytes = 64 * batch.len();
    db.write(bytes, move |tx| {
        if tx.db.dialect() == Dialect::Postgres {
            tx.db.execute("SELECT pg_advisory_xact_lock(?1)", params![LOCK])?;
        }
        let mut rows: Vec<(i64, &str, i64)> =
            batch.iter().map(|((experiment, run), kinds)| (*experiment, run.as_str(), *kinds)).collect();
        if reset {
            rows.push((-1, "", 0));
        }
        insert(tx, &rows)?;
        if trim {
            let before = now() - i64::try_from(KEPT_FOR.as_millis()).unwrap_or(i64::MAX);
            // The newest stays, whatever its age: it tells which cursors are too old.
            tx.db.execute(
                "DELETE FROM event WHERE id < (SELECT max(id) FROM event) AND (time < ?1 OR id <= (SELECT max(id) FROM event) - ?2)",
                params![before, KEPT],
            )?;
        }
        Ok(())
    })
    .await
}

fn insert(tx: &Tx, rows: &[(i64, &str, i64)]) -> Result<()> {
    let time = now();
    match tx.db.dialect() {
        Dialect::Sqlite => {
            for (experiment, run, kinds) in rows {
                tx.db.execute(
                    "INSERT INTO event (time, experiment, run, kinds) VALUES (?1, ?2, ?3, ?4)",
                    params![time, experiment, run, kinds],
                )?;
            }
        }
        Dialect::Postgres => {
            tx.db.execute(
                "INSERT INTO event (time, experiment, run, kinds) SELECT ?1, * FROM unnest(?2, ?3, ?4)",
                &[
                    Sql::Integer(time),
                    Sql::Integers(rows.iter().map(|row| row.0).collect()),
                    Sql::texts(rows.iter().map(|row| row.1)),
                    Sql::Integers(rows.iter().map(|row| row.2).collect()),
                ],
            )?;
        }
    }
    Ok(())
}

/// Takes newer events into memory and tells the listeners.
async fn look(shared: &Shared, db: &Db) -> Result<()> {
    let known = shared.memory().back().map(|event| event.id);
    let found: Vec<Event> = db
        .read(Weight::Light, move |db| match known {
            Some(known) => rows(db, known, IN_MEMORY),
            // The newest alone: what lies before it is read by whoever has an older cursor.
            None => {
                let newest: i64 = db.one("SELECT COALESCE(max(id), 0) FROM event", params![], |row| row.get(0))?;
                rows(db, newest - 1, 1)
            }
        })
        .await?;
    let Some(newest) = found.last().map(|event| event.id) else { return Ok(()) };
    {
        let mut memory = shared.memory();
        memory.extend(found);
        let surplus = memory.len().saturating_sub(IN_MEMORY);
        memory.drain(..surplus);
    }
    shared.newest.send_replace(newest);
    Ok(())
}
