//! Packing: what lies in blocks becomes chunks, beside the writers.
//!
//! Writers only append blocks. A thread of the store notes how much waits for which run ([`Packing::appended`]) and packs
//! a run when that is much, when the run ends, and when nothing came for a while. It also looks for runs that others left
//! behind: a server that was killed, or a client.
//!
//! A pack reads blocks on a snapshot, compresses them with no lock held, and swaps in one transaction: it deletes exactly
//! the blocks and chunks that it has read and adds what it made of them. If any of them is gone, another server was
//! quicker; then nothing is changed. So a point lies in a block or in a chunk at any moment and for any reader.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::db::{Conn, Db, Dialect, Sql, Tx, Weight, params};
use crate::error::{Error, Result};
use crate::metrics::{append_block, corrupt};
use crate::now;
use crate::points::{self, ChunkSummary, Point};

/// Blocks of a run that may wait before they are packed: by number, and by bytes.
const BLOCKS: usize = 1024;
const BLOCK_BYTES: usize = 256 << 10;
/// A run to which nothing was appended for so long is packed, unless that would save next to nothing.
const IDLE: Duration = Duration::from_secs(120);
/// A single block below this holds too few points of any key for a chunk.
const SMALL: usize = 128;
/// Runs that are kept count of. Those beyond are found by the search for what was left behind.
const COUNTED: usize = 200_000;

/// When runs that nobody keeps count of are searched for: soon after the start, then now and then.
const FIRST_SEARCH: Duration = Duration::from_secs(60);
const SEARCH_EVERY: Duration = Duration::from_secs(3600);
/// Such a run has had no block for this long.
const LEFT_BEHIND: Duration = Duration::from_secs(600);

/// Bytes and number of blocks that are packed at once.
const AT_ONCE_BYTES: i64 = 8 << 20;
const AT_ONCE: usize = 8192;

/// A key with fewer waiting points stays in a block: a chunk of its own would cost more than it saves.
const CHUNK_LEAST: usize = 16;
/// The chunks before new points are taken in with them until one holds so many.
const CHUNK_ENOUGH: usize = 2048;
/// Chunks of a key that are taken in at most.
const TAKEN_IN: usize = 4;

pub(crate) struct Packing {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: HashMap<i64, Waiting>,
    due: VecDeque<i64>,
    closed: bool,
}

/// What was appended to a run since it was packed last.
struct Waiting {
    blocks: usize,
    bytes: usize,
    last: Instant,
    due: bool,
}

impl Waiting {
    /// Whether packing would change anything worth while.
    fn is_worth_it(&self) -> bool {
        self.blocks > 1 || self.bytes >= SMALL
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

impl Packing {
    pub(crate) fn new() -> Packing {
        Packing { shared: Arc::default(), thread: Mutex::default() }
    }

    pub(crate) fn start(&self, db: Arc<Db>) -> std::io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread =
            std::thread::Builder::new().name("trackway-packing".to_owned()).spawn(move || run(&shared, &db))?;
        *self.thread.lock().unwrap_or_else(|poison| poison.into_inner()) = Some(thread);
        Ok(())
    }

    /// A block of so many bytes was appended to a run.
    pub(crate) fn appended(&self, run: i64, bytes: usize) {
        let mut queue = self.shared.queue();
        if queue.waiting.len() >= COUNTED && !queue.waiting.contains_key(&run) {
            return;
        }
        let waiting =
            queue.waiting.entry(run).or_insert(Waiting { blocks: 0, bytes: 0, last: Instant::now(), due: false });
        waiting.blocks += 1;
        waiting.bytes += bytes;
        waiting.last = Instant::now();
        if (waiting.blocks >= BLOCKS || waiting.bytes >= BLOCK_BYTES) && !waiting.due {
            waiting.due = true;
            queue.due.push_back(run);
            self.shared.wake.notify_all();
        }
    }

    /// No more is expected of a run.
    pub(crate) fn ended(&self, run: i64) {
        let mut queue = self.shared.queue();
        match queue.waiting.get_mut(&run) {
            Some(waiting) if !waiting.due && waiting.is_worth_it() => {
                waiting.due = true;
                queue.due.push_back(run);
                self.shared.wake.notify_all();
            }
            Some(waiting) if !waiting.due => {
                queue.waiting.remove(&run);
            }
            _ => {}
        }
    }

    /// Packs what is due, and ends.
    pub(crate) fn close(&self) {
        self.shared.queue().closed = true;
        self.shared.wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(|poison| poison.into_inner()).take();
        if let Some(thread) = thread {
            // A panic in the thread was logged there; closing goes on.
            let _ = thread.join();
        }
    }
}

impl Drop for Packing {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(shared: &Shared, db: &Db) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    let mut search_at = Instant::now() + FIRST_SEARCH;
    loop {
        while let Some(run) = next(shared) {
            // As long as there is more than is packed at once.
            loop {
                match runtime.block_on(pack(db, run)) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        // Its blocks are read as they lie, and it comes again.
                        tracing::debug!(%error, run, "a run was not packed");
                        break;
                    }
                }
            }
        }
        let mut queue = shared.queue();
        if queue.closed && queue.due.is_empty() {
            return;
        }
        if queue.due.is_empty() {
            let timed = shared.wake.wait_timeout(queue, IDLE / 4).unwrap_or_else(|poison| poison.into_inner());
            queue = timed.0;
            let idle: Vec<i64> = (queue.waiting.iter())
                .filter(|(_, waiting)| !waiting.due && waiting.last.elapsed() >= IDLE)
                .map(|(run, _)| *run)
                .collect();
            for run in idle {
                if queue.waiting.remove(&run).is_some_and(|waiting| waiting.is_worth_it()) {
                    queue.due.push_back(run);
                }
            }
        }
        drop(queue);
        if Instant::now() >= search_at {
            search_at = Instant::now() + SEARCH_EVERY;
            match runtime.block_on(left_behind(db)) {
                Ok(runs) => shared.queue().due.extend(runs),
                Err(error) => tracing::debug!(%error, "runs that wait to be packed could not be searched for"),
            }
        }
    }
}

fn next(shared: &Shared) -> Option<i64> {
    let mut queue = shared.queue();
    let run = queue.due.pop_front()?;
    queue.waiting.remove(&run);
    Some(run)
}

/// Runs with several blocks, the last of them old: what is packed leaves one at most.
async fn left_behind(db: &Db) -> Result<Vec<i64>> {
    let before = (now() - i64::try_from(LEFT_BEHIND.as_millis()).unwrap_or(0)).saturating_mul(1000);
    let sql = "SELECT run FROM metric_block GROUP BY run HAVING count(*) > 1 AND max(seq) < ?1";
    db.read(Weight::Light, move |db| db.rows(sql, params![before], |row| row.get(0))).await
}

/// Packs blocks of a run: keys with enough points into chunks, the rest into one block. True if there is more.
async fn pack(db: &Db, run: i64) -> Result<bool> {
    let Some((read, more)) = db.read(Weight::Light, move |db| Taken::read(db, run)).await? else {
        return Ok(false);
    };
    let swap = read.packed();
    let bytes = swap.bytes();
    db.write(bytes, move |tx| swap.apply(tx, run)).await?;
    Ok(more)
}

/// What a pack takes away, as it was read.
struct Taken {
    blocks: Vec<i64>,
    chunks: Vec<i64>,
    /// Points that become chunks, by key, with those of the chunks that are taken in.
    large: Vec<(u32, Vec<Point>)>,
    rest: Vec<(u32, Point)>,
}

impl Taken {
    /// Nothing, if packing would change nothing.
    fn read(db: &Conn, run: i64) -> Result<Option<(Taken, bool)>> {
        let mut blocks: Vec<i64> = Vec::new();
        let (mut bytes, mut more) = (0, false);
        let listed = "SELECT seq, length(data) FROM metric_block WHERE run = ?1 ORDER BY seq LIMIT ?2";
        db.each(listed, params![run, AT_ONCE + 1], |row| {
            if bytes >= AT_ONCE_BYTES || blocks.len() == AT_ONCE {
                more = true;
                return Ok(ControlFlow::Break(()));
            }
            blocks.push(row.get(0)?);
            bytes += row.get::<i64>(1)?;
            Ok(ControlFlow::Continue(()))
        })?;
        let Some(last) = blocks.last() else { return Ok(None) };
        let mut rest = Vec::new();
        let data = "SELECT data FROM metric_block WHERE run = ?1 AND seq <= ?2 ORDER BY seq";
        db.each(data, params![run, last], |row| {
            rest.append(&mut points::decode_block(row.blob(0)?).map_err(corrupt)?);
            Ok(ControlFlow::Continue(()))
        })?;
        let mut large = take_large(&mut rest, CHUNK_LEAST);
        if large.is_empty() && blocks.len() <= 1 {
            return Ok(None);
        }
        let chunks = take_in(db, run, &mut large)?;
        Ok(Some((Taken { blocks, chunks, large, rest }, more)))
    }

    /// Compresses: the long part, done with no transaction open.
    fn packed(mut self) -> Swap {
        let mut made = Vec::new();
        for (key, points) in &mut self.large {
            points::merge_sorted_dedup(points);
            for points in points.chunks(points::MAX_CHUNK_POINTS) {
                let (summary, data) = points::encode_chunk(points);
                made.push((*key, summary, data));
            }
        }
        // Keys together: the block names each only once.
        self.rest.sort_by_key(|(key, _)| *key);
        Swap { blocks: self.blocks, chunks: self.chunks, made, rest: self.rest }
    }
}

/// Takes the keys with at least `least` points out of a block.
fn take_large(block: &mut Vec<(u32, Point)>, least: usize) -> Vec<(u32, Vec<Point>)> {
    let mut counts: HashMap<u32, usize> = HashMap::new();
    for (key, _) in &*block {
        *counts.entry(*key).or_default() += 1;
    }
    counts.retain(|_, count| *count >= least);
    if counts.is_empty() {
        return vec![];
    }
    let mut large: HashMap<u32, Vec<Point>> =
        counts.into_iter().map(|(key, count)| (key, Vec::with_capacity(count))).collect();
    block.retain(|(key, point)| match large.get_mut(key) {
        Some(points) => {
            points.push(*point);
            false
        }
        None => true,
    });
    let mut large: Vec<_> = large.into_iter().collect();
    large.sort_by_key(|(key, _)| *key);
    large
}

/// Adds the points of the chunks before the new ones while they are small, so that a point is rewritten a few times at
/// most and a long series does not lie in crumbs. Returns which chunks.
fn take_in(db: &Conn, run: i64, large: &mut [(u32, Vec<Point>)]) -> Result<Vec<i64>> {
    let newest = |points: &[Point]| points.iter().map(|point| point.timestamp).max().unwrap_or(i64::MAX);
    // By key, the latest first: id and number of points.
    let mut before: HashMap<u32, Vec<(i64, usize)>> = HashMap::new();
    match db.dialect() {
        Dialect::Sqlite => {
            let sql = "SELECT id, points FROM metric_chunk WHERE run = ?1 AND key = ?2 AND first_timestamp <= ?3
                       ORDER BY first_timestamp DESC, id DESC LIMIT ?4";
            for (key, points) in &*large {
                let found = db.rows(sql, params![run, *key, newest(points), TAKEN_IN], |row| {
                    Ok((row.get(0)?, row.get::<u32>(1)? as usize))
                })?;
                before.insert(*key, found);
            }
        }
        Dialect::Postgres => {
            let sql = "SELECT g.key, c.id, c.points FROM unnest(?2, ?3) AS g(key, newest) CROSS JOIN LATERAL
                       (SELECT id, points, first_timestamp FROM metric_chunk WHERE run = ?1 AND key = g.key AND first_timestamp <= g.newest
                        ORDER BY first_timestamp DESC, id DESC LIMIT ?4) c ORDER BY g.key, c.first_timestamp DESC, c.id DESC";
            let keys = Sql::Integers(large.iter().map(|(key, _)| i64::from(*key)).collect());
            let times = Sql::Integers(large.iter().map(|(_, points)| newest(points)).collect());
            let parameters = [Sql::Integer(run), keys, times, TAKEN_IN.into()];
            db.each(sql, &parameters, |row| {
                before.entry(row.get(0)?).or_default().push((row.get(1)?, row.get::<u32>(2)? as usize));
                Ok(ControlFlow::Continue(()))
            })?;
        }
    }
    let mut taken: HashMap<i64, usize> = HashMap::new();
    for (place, (key, points)) in large.iter().enumerate() {
        let mut count = points.len();
        for (id, more) in before.remove(key).unwrap_or_default() {
            if more > 2 * count || more + count > CHUNK_ENOUGH {
                break;
            }
            count += more;
            taken.insert(id, place);
        }
    }
    let mut chunks: Vec<i64> = taken.keys().copied().collect();
    chunks.sort_unstable();
    if !chunks.is_empty() {
        let sql = format!("SELECT id, data FROM metric_chunk WHERE {}", db.dialect().any("id", "?1"));
        db.each(&sql, params![chunks.clone()], |row| {
            let id: i64 = row.get(0)?;
            if let Some((_, points)) = taken.get(&id).and_then(|place| large.get_mut(*place)) {
                points::decode_chunk(row.blob(1)?, points).map_err(corrupt)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(chunks)
}

/// What a pack changes, in one transaction.
struct Swap {
    blocks: Vec<i64>,
    chunks: Vec<i64>,
    made: Vec<(u32, ChunkSummary, Vec<u8>)>,
    rest: Vec<(u32, Point)>,
}

impl Swap {
    fn bytes(&self) -> usize {
        let made: usize = self.made.iter().map(|(_, _, data)| data.len() + 64).sum();
        made + 8 * (self.blocks.len() + self.chunks.len()) + 32 * self.rest.len()
    }

    fn apply(&self, tx: &Tx, run: i64) -> Result<()> {
        let db = tx.db;
        // A run that is being purged takes nothing any more; whoever marks it so waits for us.
        let there = match db.dialect() {
            Dialect::Sqlite => "SELECT 1 FROM run WHERE id = ?1 AND lifecycle < 2",
            Dialect::Postgres => "SELECT 1 FROM run WHERE id = ?1 AND lifecycle < 2 FOR SHARE",
        };
        db.row(there, params![run], |row| row.get::<i64>(0))?.ok_or_else(overtaken)?;
        let any = |column| db.dialect().any(column, "?2");
        let sql = format!("DELETE FROM metric_block WHERE run = ?1 AND {}", any("seq"));
        if db.execute(&sql, params![run, self.blocks.clone()])? != self.blocks.len() {
            return Err(overtaken());
        }
        if !self.chunks.is_empty() {
            let sql = format!("DELETE FROM metric_chunk WHERE run = ?1 AND {}", any("id"));
            if db.execute(&sql, params![run, self.chunks.clone()])? != self.chunks.len() {
                return Err(overtaken());
            }
        }
        self.insert(db, run)?;
        if !self.rest.is_empty() {
            append_block(db, run, &self.rest)?;
        }
        Ok(())
    }

    fn insert(&self, db: &Conn, run: i64) -> Result<()> {
        const COLUMNS: &str =
            "metric_chunk (run, key, points, first_timestamp, last_timestamp, min_step, max_step, data)";
        if self.made.is_empty() {
            return Ok(());
        }
        if db.dialect() == Dialect::Postgres {
            let all = |number: fn(&ChunkSummary) -> i64| {
                Sql::Integers(self.made.iter().map(|(_, summary, _)| number(summary)).collect())
            };
            let parameters = [
                Sql::Integer(run),
                Sql::Integers(self.made.iter().map(|(key, _, _)| i64::from(*key)).collect()),
                all(|summary| i64::from(summary.count)),
                all(|summary| summary.first_timestamp),
                all(|summary| summary.last_timestamp),
                all(|summary| summary.min_step),
                all(|summary| summary.max_step),
                Sql::Blobs(self.made.iter().map(|(_, _, data)| data.as_slice()).collect()),
            ];
            let sql = format!("INSERT INTO {COLUMNS} SELECT ?1, * FROM unnest(?2, ?3, ?4, ?5, ?6, ?7, ?8)");
            db.execute(&sql, &parameters)?;
            return Ok(());
        }
        let sql = format!("INSERT INTO {COLUMNS} VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
        for (key, summary, data) in &self.made {
            let ChunkSummary { count, first_timestamp, last_timestamp, min_step, max_step, .. } = *summary;
            db.execute(&sql, params![run, *key, count, first_timestamp, last_timestamp, min_step, max_step, data])?;
        }
        Ok(())
    }
}

/// Another server, or a purge, changed what was read.
fn overtaken() -> Error {
    Error::Busy("Another server has packed or deleted these points already.".to_owned())
}
