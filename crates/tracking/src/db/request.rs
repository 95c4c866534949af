//! A request on its way through the writers of either engine.

use std::cell::RefCell;

use tokio::sync::oneshot;

use super::Conn;
use crate::changes::Change;
use crate::error::{Error, Result};

/// What a job sees of the database while it runs inside a transaction.
pub(crate) struct Tx<'a> {
    pub(crate) db: &'a Conn,
    pub(super) metric_keys: &'a dyn MetricKeys,
    pub(super) done: RefCell<Vec<Done>>,
}

/// What somebody wants to know of once it is committed.
#[derive(Debug, Clone)]
pub(crate) enum Done {
    /// A block of this many bytes was appended to a run.
    Appended {
        run: i64,
        bytes: usize,
    },
    /// Nothing more is expected of a run.
    Ended {
        run: i64,
    },
    Changed(Change),
}

/// Is told what was done, after the commit. Now and then also of something whose request was rolled back, and of
/// something twice; never too early, and never nothing.
pub(crate) trait Observer: Send + Sync {
    fn committed(&self, done: Vec<Done>);
}

impl Tx<'_> {
    /// The number of a metric's name, given now if it is new.
    pub(crate) fn metric_key(&self, name: &str) -> Result<u32> {
        self.metric_keys.intern(self.db, name)
    }

    /// The next statement is all that this job writes: see [`Conn::bare`].
    pub(crate) fn bare(&self) {
        if self.metric_keys.are_known() {
            self.db.bare();
        }
    }

    /// Notes a change that listeners are told of after the commit.
    pub(crate) fn changed(&self, change: Change) {
        self.done(Done::Changed(change));
    }

    /// Notes what the observer is told after the commit.
    pub(crate) fn done(&self, done: Done) {
        self.done.borrow_mut().push(done);
    }
}

pub(super) trait Request: Send {
    /// Applies the request inside a transaction; true when it succeeded. It may be applied again, if that transaction
    /// was rolled back for no fault of its own: then only the last time counts.
    fn apply(&mut self, tx: &Tx) -> bool;
    /// Answers the caller, after the commit or when the transaction is lost.
    fn finish(self: Box<Self>, committed: Result<()>);
}

/// Takes an answer that nobody waits for any more.
pub(super) type Unheard<T> = Box<dyn FnOnce(Result<T>) + Send>;

struct Write<T, F> {
    job: F,
    outcome: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
    unheard: Option<Unheard<T>>,
}

/// A request that runs `job`, and where its answer comes.
pub(super) fn request<T: Send + 'static>(
    job: impl Fn(&Tx) -> Result<T> + Send + 'static,
    unheard: Option<Unheard<T>>,
) -> (Box<dyn Request>, oneshot::Receiver<Result<T>>) {
    let (answer, answered) = oneshot::channel();
    (Box::new(Write { job, outcome: None, answer, unheard }), answered)
}

impl<T: Send, F: Fn(&Tx) -> Result<T> + Send> Request for Write<T, F> {
    fn apply(&mut self, tx: &Tx) -> bool {
        self.outcome = None;
        self.outcome = Some((self.job)(tx));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn finish(self: Box<Self>, committed: Result<()>) {
        let answer = match (self.outcome, committed) {
            // Refused on its own account, whatever became of the group.
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(Error::Storage(
                "An error inside the server broke this request off; nothing of it was stored.".to_owned(),
            )),
        };
        // The caller may be gone; what it asked for is done all the same.
        if let (Err(answer), Some(unheard)) = (self.answer.send(answer), self.unheard) {
            unheard(answer);
        }
    }
}

/// Gives each metric name its number. Names are never deleted.
pub(super) trait MetricKeys {
    fn intern(&self, db: &Conn, name: &str) -> Result<u32>;
    /// False when a number that was given is none, and all that is written has to be taken back.
    fn are_known(&self) -> bool;
}
