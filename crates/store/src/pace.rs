//! How many transfers go at once: as many as make it faster, and fewer when the other side asks for it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::{Error, Progress, Result};

/// With so many it begins.
const FIRST: usize = 16;
/// So many at the most, where nobody says how many.
const MOST: usize = 64;
/// More than this nobody gets.
const LIMIT: usize = 256;
/// So many threads drive light work.
const MOST_LANES: usize = 8;
/// How often it is looked whether the person has interrupted.
pub(crate) const LOOK: Duration = Duration::from_millis(100);
/// How long it is measured before the number changes.
const WINDOW: Duration = Duration::from_millis(500);
/// How many windows it stays as it is after a change that did not pay.
const PATIENCE: u32 = 8;
/// A transfer costs about as much as moving so many bytes, beside its own.
const COST: u64 = 64 << 10;

/// Does `work` with every item, on threads of their own: they mostly wait. The first error ends it. `pushed_back` counts how
/// often the other side asked us to slow down.
pub(crate) fn each<T: Sync>(
    items: &[T],
    jobs: Option<usize>,
    pushed_back: &dyn Fn() -> u64,
    progress: &dyn Progress,
    work: &(dyn Fn(&T, &Moved) -> Result<()> + Sync),
) -> Result<()> {
    let moved = Moved::default();
    let crew = Crew::new(items.len(), jobs, &moved);
    std::thread::scope(|scope| {
        let (crew, mut started) = (&crew, 0);
        crew.control(pushed_back, |limit| {
            while started < limit {
                let number = started;
                crew.state().working += 1;
                scope.spawn(move || crew.work(number, items, progress, work));
                started += 1;
            }
        });
    });
    crew.outcome()
}

/// The same with work that does little but wait for answers: a few threads drive all of it, each its share, on a runtime and over
/// connections of its own. So a small object costs no change of threads, which would be most of its cost.
pub(crate) fn each_light<'a, T: Sync>(
    items: &'a [T],
    jobs: Option<usize>,
    moved: &'a Moved,
    pushed_back: &dyn Fn() -> u64,
    progress: &'a dyn Progress,
    work: &(dyn Fn(&'a T) -> LocalBoxFuture<'a, Result<()>> + Sync),
) -> Result<()> {
    let crew = Crew::new(items.len(), jobs, moved);
    let lanes = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, MOST_LANES).min(crew.most);
    std::thread::scope(|scope| {
        let crew = &crew;
        crew.state().working += lanes;
        for lane in 0..lanes {
            scope.spawn(move || crew.drive((lane, lanes), items, progress, work));
        }
        crew.control(pushed_back, |_| {});
    });
    crew.outcome()
}

/// Bytes that went by, for the measurement.
#[derive(Default)]
pub(crate) struct Moved(AtomicU64);

impl Moved {
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

struct Crew<'a> {
    next: AtomicUsize,
    done: AtomicU64,
    moved: &'a Moved,
    ended: AtomicBool,
    most: usize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    limit: usize,
    working: usize,
    failed: Option<Error>,
}

impl<'a> Crew<'a> {
    fn new(items: usize, jobs: Option<usize>, moved: &'a Moved) -> Crew<'a> {
        let most = jobs.unwrap_or(MOST).clamp(1, LIMIT).min(items);
        Crew {
            next: AtomicUsize::new(0),
            done: AtomicU64::new(0),
            moved,
            ended: AtomicBool::new(false),
            most,
            state: Mutex::new(State { limit: most.min(FIRST), working: 0, failed: None }),
            changed: Condvar::new(),
        }
    }

    /// Changes the limit while anybody works; `staff` is told it, to have so many.
    fn control(&self, pushed_back: &dyn Fn() -> u64, mut staff: impl FnMut(usize)) {
        let mut controller = Controller::new(self.most, self.score(), pushed_back());
        loop {
            let limit = self.state().limit;
            staff(limit);
            let state = self.state();
            if state.working == 0 {
                return;
            }
            let waited = self.changed.wait_timeout(state, WINDOW / 5);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if let Some(limit) = controller.look(state.limit, self.score(), pushed_back()) {
                state.limit = limit;
                self.changed.notify_all();
            }
        }
    }

    fn outcome(self) -> Result<()> {
        match self.state.into_inner().unwrap_or_else(PoisonError::into_inner).failed {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn fail(&self, error: Error) {
        self.ended.store(true, Ordering::Relaxed);
        self.state().failed.get_or_insert(error);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn score(&self) -> u64 {
        self.done.load(Ordering::Relaxed) * COST + self.moved.0.load(Ordering::Relaxed)
    }

    fn work<T>(
        &self,
        number: usize,
        items: &[T],
        progress: &dyn Progress,
        work: &(dyn Fn(&T, &Moved) -> Result<()> + Sync),
    ) {
        // Whoever waits for its turn is told, whatever happens in here.
        let _leaving = Leaving(self);
        loop {
            let mut state = self.state();
            while number >= state.limit && !self.is_over(items.len()) {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            drop(state);
            let at = match self.is_over(items.len()) {
                true => return,
                false => self.next.fetch_add(1, Ordering::Relaxed),
            };
            let Some(item) = items.get(at) else { return };
            let outcome = match progress.cancelled() {
                true => Err(Error::Cancelled),
                false => work(item, self.moved),
            };
            if let Err(error) = outcome {
                return self.fail(error);
            }
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Does its share of light work: as one of so many lanes.
    fn drive<'w, T>(
        &self,
        lane: (usize, usize),
        items: &'w [T],
        progress: &dyn Progress,
        work: &(dyn Fn(&'w T) -> LocalBoxFuture<'w, Result<()>> + Sync),
    ) {
        let _leaving = Leaving(self);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let outcome = match runtime {
            Ok(runtime) => {
                trackway_remote::with_own_connections(|| runtime.block_on(self.lane(lane, items, progress, work)))
            }
            Err(error) => Err(Error::io("starting", "a thread for the network", error)),
        };
        if let Err(error) = outcome {
            self.fail(error);
        }
    }

    async fn lane<'w, T>(
        &self,
        (lane, lanes): (usize, usize),
        items: &'w [T],
        progress: &dyn Progress,
        work: &(dyn Fn(&'w T) -> LocalBoxFuture<'w, Result<()>> + Sync),
    ) -> Result<()> {
        let mut under_way = FuturesUnordered::new();
        while !self.ended.load(Ordering::Relaxed) {
            let share = (self.state().limit + lanes - 1 - lane) / lanes;
            while under_way.len() < share && !self.is_over(items.len()) {
                let at = self.next.fetch_add(1, Ordering::Relaxed);
                under_way.extend(items.get(at).map(work));
            }
            if under_way.is_empty() && self.is_over(items.len()) {
                break;
            }
            match tokio::time::timeout(LOOK, under_way.next()).await {
                Ok(Some(outcome)) => {
                    outcome?;
                    self.done.fetch_add(1, Ordering::Relaxed);
                }
                // It has no share at the moment.
                Ok(None) => tokio::time::sleep(LOOK).await,
                Err(_) => {}
            }
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
        }
        Ok(())
    }

    fn is_over(&self, items: usize) -> bool {
        self.ended.load(Ordering::Relaxed) || self.next.load(Ordering::Relaxed) >= items
    }
}

struct Leaving<'a>(&'a Crew<'a>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.state().working -= 1;
        self.0.changed.notify_all();
    }
}

/// Decides how many there should be from what was done in the last window.
struct Controller {
    most: usize,
    since: Instant,
    score: u64,
    pushed_back: u64,
    /// The rate before the last growth, and the number then.
    before: Option<(f64, usize)>,
    resting: u32,
}

impl Controller {
    fn new(most: usize, score: u64, pushed_back: u64) -> Controller {
        Controller { most, since: Instant::now(), score, pushed_back, before: None, resting: 0 }
    }

    /// The new number, if it changes.
    fn look(&mut self, limit: usize, score: u64, pushed_back: u64) -> Option<usize> {
        let elapsed = self.since.elapsed();
        if elapsed < WINDOW {
            return None;
        }
        let rate = (score - self.score) as f64 / elapsed.as_secs_f64();
        let was_pushed_back = pushed_back > self.pushed_back;
        (self.since, self.score, self.pushed_back) = (Instant::now(), score, pushed_back);
        let next = self.decide(limit, rate, was_pushed_back);
        (next != limit).then_some(next)
    }

    fn decide(&mut self, limit: usize, rate: f64, pushed_back: bool) -> usize {
        if pushed_back {
            (self.before, self.resting) = (None, PATIENCE);
            return (limit / 2).max(1);
        }
        if self.resting > 0 {
            self.resting -= 1;
            return limit;
        }
        match self.before.take() {
            // It did not pay.
            Some((before, smaller)) if rate < before * 1.1 => {
                self.resting = PATIENCE;
                smaller
            }
            _ if limit < self.most => {
                self.before = Some((rate, limit));
                (limit + limit / 2 + 1).min(self.most)
            }
            _ => limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoProgress;

    #[test]
    fn grows_while_it_pays_and_shrinks_when_asked() {
        let mut controller = Controller::new(64, 0, 0);
        assert_eq!(controller.decide(16, 100.0, false), 25);
        assert_eq!(controller.decide(25, 140.0, false), 38);
        // More brought nothing: back, and it stays so for a while.
        assert_eq!(controller.decide(38, 141.0, false), 25);
        for _ in 0..PATIENCE {
            assert_eq!(controller.decide(25, 200.0, false), 25);
        }
        assert_eq!(controller.decide(25, 200.0, false), 38);
        assert_eq!(controller.decide(38, 0.0, true), 19);
        assert_eq!(Controller::new(2, 0, 0).decide(1, 1.0, true), 1);
    }

    #[test]
    fn every_item_is_done_once_and_the_first_error_ends_it() {
        let items: Vec<usize> = (0..1000).collect();
        let seen: Vec<AtomicUsize> = items.iter().map(|_| AtomicUsize::new(0)).collect();
        let count = |at: &usize, _: &Moved| {
            seen[*at].fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        each(&items, Some(5), &|| 0, &NoProgress, &count).unwrap();
        assert!(seen.iter().all(|seen| seen.load(Ordering::Relaxed) == 1));
        each::<usize>(&[], None, &|| 0, &NoProgress, &count).unwrap();

        let moved = Moved::default();
        let light = |at: &'_ usize| {
            let at = *at;
            let seen = &seen;
            Box::pin(async move {
                tokio::time::sleep(Duration::from_micros(50)).await;
                seen[at].fetch_add(1, Ordering::Relaxed);
                Ok(())
            }) as LocalBoxFuture<'_, Result<()>>
        };
        each_light(&items, None, &moved, &|| 0, &NoProgress, &light).unwrap();
        assert!(seen.iter().all(|seen| seen.load(Ordering::Relaxed) == 2));
        let fail = |at: &'_ usize| {
            let failed = *at == 3;
            Box::pin(async move { if failed { Err(Error::Cancelled) } else { Ok(()) } }) as LocalBoxFuture<'_, _>
        };
        assert!(matches!(each_light(&items, Some(2), &moved, &|| 0, &NoProgress, &fail), Err(Error::Cancelled)));

        let fail = |at: &usize, _: &Moved| if *at == 3 { Err(Error::Cancelled) } else { Ok(()) };
        assert!(matches!(each(&items, Some(2), &|| 0, &NoProgress, &fail), Err(Error::Cancelled)));
    }
}
