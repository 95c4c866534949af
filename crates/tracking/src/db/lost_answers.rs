//! Creations whose answer nobody heard.
//!
//! A client that loses its connection sends a creation again, and would get a second run for one. When the writer finds
//! nobody waiting for what it created, the answer is kept here for a while, and an equal request is given it. That the
//! equal request might come from somebody else does no harm: nobody knows of the first one's run.
//!
//! What this cannot see: an answer that left the server and was lost behind it.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// A client gives up sooner than this.
const KEPT_FOR: Duration = Duration::from_secs(600);
const KEPT: usize = 1000;

type Answer = Box<dyn Any + Send>;

#[derive(Default)]
pub(super) struct LostAnswers {
    entries: Mutex<HashMap<String, Entry>>,
}

enum Entry {
    /// The caller is gone, the writer is not done. Who asks the same waits here.
    Pending(Vec<oneshot::Sender<Answer>>),
    Done(Instant, Answer),
}

impl LostAnswers {
    /// The answer to an equal request that was lost, waiting for it if it is under way.
    pub(super) async fn claim<T: 'static>(&self, request: &str) -> Option<T> {
        let waiting = {
            let mut entries = self.entries();
            match entries.get_mut(request)? {
                Entry::Pending(waiting) => {
                    let (give, take) = oneshot::channel();
                    waiting.push(give);
                    Some(take)
                }
                Entry::Done(..) => None,
            }
        };
        let answer = match waiting {
            // The first request failed after all: then this one is on its own.
            Some(answer) => answer.await.ok()?,
            None => match self.entries().remove(request)? {
                Entry::Done(since, answer) if since.elapsed() < KEPT_FOR => answer,
                _ => return None,
            },
        };
        answer.downcast().ok().map(|answer| *answer)
    }

    /// The caller went away before the writer was done.
    fn orphaned(&self, request: String) {
        let mut entries = self.entries();
        make_room(&mut entries);
        entries.entry(request).or_insert(Entry::Pending(vec![]));
    }

    /// The writer is done and nobody is there.
    fn unheard<T: Send + 'static>(&self, request: String, answer: Result<T>) {
        let mut entries = self.entries();
        let waiting = match entries.remove(&request) {
            Some(Entry::Pending(waiting)) => waiting,
            _ => vec![],
        };
        // A failure changed nothing: those who wait try by themselves, since their channels close here.
        let Ok(answer) = answer else { return };
        let mut answer: Answer = Box::new(answer);
        for waiting in waiting {
            match waiting.send(answer) {
                Ok(()) => return,
                Err(back) => answer = back,
            }
        }
        make_room(&mut entries);
        entries.insert(request, Entry::Done(Instant::now(), answer));
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}

pub(super) fn stopped() -> Error {
    Error::Storage("The writer of the tracking database has stopped.".to_owned())
}

fn make_room(entries: &mut HashMap<String, Entry>) {
    if entries.len() >= KEPT {
        entries.retain(|_, entry| !matches!(entry, Entry::Done(since, _) if since.elapsed() >= KEPT_FOR));
    }
    if entries.len() >= KEPT {
        entries.retain(|_, entry| matches!(entry, Entry::Pending(_)));
    }
}

/// Waits for the writer's answer, and hands it over to [`LostAnswers`] if it is dropped before.
pub(super) struct Awaiting<T: Send + 'static> {
    answer: oneshot::Receiver<Result<T>>,
    request: Option<(String, Arc<LostAnswers>)>,
}

impl<T: Send + 'static> Awaiting<T> {
    pub(super) fn new(answer: oneshot::Receiver<Result<T>>, request: String, lost: Arc<LostAnswers>) -> Awaiting<T> {
        Awaiting { answer, request: Some((request, lost)) }
    }

    pub(super) async fn heard(mut self) -> Result<T> {
        let answer = (&mut self.answer).await;
        self.request = None;
        answer.unwrap_or_else(|_| Err(stopped()))
    }
}

impl<T: Send + 'static> Drop for Awaiting<T> {
    fn drop(&mut self) {
        let Some((request, lost)) = self.request.take() else { return };
        // After this either the answer is here, or the writer finds the channel closed.
        self.answer.close();
        match self.answer.try_recv() {
            Ok(answer) => lost.unheard(request, answer),
            Err(_) => lost.orphaned(request),
        }
    }
}

/// What the writer calls when nobody took the answer.
pub(super) fn keeper<T: Send + 'static>(request: String, lost: Arc<LostAnswers>) -> Box<dyn FnOnce(Result<T>) + Send> {
    Box::new(move |answer| lost.unheard(request, answer))
}
