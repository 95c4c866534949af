//! How many transfers go at once: as many as make it faster, and fewer when the other side asks for it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Error, Progress, Result};

/// With so many it begins.
const FIRST: usize = 16;
/// So many at the most, where nobody says how many.
const MOST: usize = 64;
/// More than this nobody gets.
const LIMIT: usize = 256;
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
    let most = jobs.unwrap_or(MOST).clamp(1, LIMIT).min(items.len());
    let crew = Crew {
        next: AtomicUsize::new(0),
        done: AtomicU64::new(0),
        moved: Moved::default(),
        ended: AtomicBool::new(false),
        state: Mutex::new(State { limit: most.min(FIRST), working: 0, failed: None }),
        changed: Condvar::new(),
    };
    std::thread::scope(|scope| {
        let (crew, mut started) = (&crew, 0);
        let mut controller = Controller::new(most, crew.score(), pushed_back());
        loop {
            let limit = crew.state().limit;
            while started < limit {
                let number = started;
                crew.state().working += 1;
                scope.spawn(move || crew.work(number, items, progress, work));
                started += 1;
            }
            let state = crew.state();
            if state.working == 0 {
                return;
            }
            let waited = crew.changed.wait_timeout(state, WINDOW / 5);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if let Some(limit) = controller.look(state.limit, crew.score(), pushed_back()) {
                state.limit = limit;
                crew.changed.notify_all();
            }
        }
    });
    match crew.state.into_inner().unwrap_or_else(PoisonError::into_inner).failed {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Bytes that went by, for the measurement.
#[derive(Default)]
pub(crate) struct Moved(AtomicU64);

impl Moved {
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

struct Crew {
    next: AtomicUsize,
    done: AtomicU64,
    moved: Moved,
    ended: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    limit: usize,
    working: usize,
    failed: Option<Error>,
}

impl Crew {
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
                false => work(item, &self.moved),
            };
            if let Err(error) = outcome {
                self.ended.store(true, Ordering::Relaxed);
                self.state().failed.get_or_insert(error);
                return;
            }
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_over(&self, items: usize) -> bool {
        self.ended.load(Ordering::Relaxed) || self.next.load(Ordering::Relaxed) >= items
    }
}

struct Leaving<'a>(&'a Crew);

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

        let fail = |at: &usize, _: &Moved| if *at == 3 { Err(Error::Cancelled) } else { Ok(()) };
        assert!(matches!(each(&items, Some(2), &|| 0, &NoProgress, &fail), Err(Error::Cancelled)));
    }
}
