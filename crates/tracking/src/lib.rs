//! Experiments, runs, metrics, params, tags, datasets, logged models and the model registry.
//!
//! A tour of the room:
//!
//! * [`Store`] is the way in: open it once, clone it freely. Each noun has a file with its types and the store's
//!   methods on it: [`experiments`](Experiment), [`runs`](Run), `log` (what a script sends while it runs),
//!   [`metrics`](Metric), `histories` and `charts` of them, [`datasets`](Dataset), `logged_models`, `registered_models`, `model_versions`.
//! * [`artifact_index`](ArtifactDir) remembers what lies in buckets.
//! * `packing` compresses metric points beside the writers; `changes` tells listeners what was written.
//! * `db` holds the engine: one writer thread that commits many requests at once, readers beside it, migrations.
//! * [`filter`] parses what users search for; `search` turns it into SQL and cuts pages.
//! * `purge` takes apart for good what was deleted; `thin` makes samples of long histories, when asked to.
//! * [`points`] packs metric points into bytes; [`limits`] says what names and values may be.
//!
//! Nothing here knows of HTTP. Values are checked where they come in, with MLflow's limits and messages.

mod artifact_index;
mod changes;
mod charts;
mod datasets;
mod db;
mod error;
mod experiments;
pub mod filter;
mod histories;
pub mod limits;
mod log;
mod logged_models;
mod metrics;
mod model_versions;
mod names;
mod packing;
pub mod points;
mod purge;
mod rank;
mod registered_models;
mod runs;
mod search;
mod thin;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

pub use artifact_index::{ArtifactDir, ArtifactFile, Look};
pub use changes::{Event, Events, Kind as ChangeKind, Listener};
pub use charts::{Axis, Chart};
pub use datasets::{Dataset, DatasetInput, DatasetSummary};
pub use db::{Backend, OpenError, Options, PostgresConfig, WriterStats, backup};
pub use error::{Error, Result};
pub use experiments::{Experiment, ExperimentSearch};
pub use histories::RunHistory;
pub use logged_models::{
    DatasetScope, LoggedModel, LoggedModelMetric, LoggedModelOrder, LoggedModelSearch, LoggedModelStatus,
    NewLoggedModel,
};
pub use metrics::Metric;
pub use model_versions::{ModelVersion, NewModelVersion};
pub use purge::{Begun, Deleted, PurgeRules, Purgeable, Weighed};
pub use registered_models::{Alias, PROMPT_TAG, RegisteredModel, RegistrySearch};
pub use runs::{Keys, LatestMetric, NewRun, Run, RunColumns, RunInfo, RunPage, RunSearch, RunStatus, RunUpdate};
pub use search::Page;
pub use thin::{ThinRules, Thinned};

use changes::Changes;
use db::{Db, Done, Observer};
use packing::Packing;

/// Everything that is tracked. Cheap to clone; all clones share one database.
#[derive(Clone)]
pub struct Store {
    db: Arc<Db>,
    background: Arc<Background>,
    artifact_root: Arc<str>,
    /// Runs are being put in the order of their metrics.
    ranking: Arc<AtomicBool>,
}

/// The threads beside the requests. They end with the last store.
struct Background {
    packing: Arc<Packing>,
    changes: Arc<Changes>,
}

impl Store {
    /// Opens the database, or creates it. New experiments keep their artifacts below `artifact_root`.
    pub async fn open(backend: &Backend, artifact_root: &str, options: &Options) -> Result<Store, OpenError> {
        let (packing, changes) = (Arc::new(Packing::new()), Arc::new(Changes::new()));
        let observer = AfterCommit { packing: Arc::clone(&packing), changes: Arc::clone(&changes) };
        let db = Arc::new(Db::open(backend, options, Arc::new(observer)).await?);
        let background = Arc::new(Background { packing, changes });
        let (artifact_root, ranking) = (artifact_root.into(), Arc::default());
        let store = Store { db: Arc::clone(&db), background, artifact_root, ranking };
        let root = store.artifact_root();
        store.db.write(0, move |tx| experiments::ensure_default(tx, &root)).await.map_err(OpenError::Default)?;
        store.background.packing.start(Arc::clone(&db)).map_err(OpenError::Thread)?;
        store.background.changes.start(db).map_err(OpenError::Thread)?;
        Ok(store)
    }

    fn artifact_root(&self) -> Arc<str> {
        Arc::clone(&self.artifact_root)
    }

    /// What the writer has done since the start.
    pub fn writer_stats(&self) -> WriterStats {
        self.db.writer_stats()
    }

    /// Finishes the writes that were accepted and closes the database. Further writes are refused as "busy".
    pub fn close(&self) {
        self.background.close();
        self.db.close();
    }
}

impl Background {
    fn close(&self) {
        self.packing.close();
        self.changes.close();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.close();
    }
}

/// Hands what was committed to those who act on it later.
struct AfterCommit {
    packing: Arc<Packing>,
    changes: Arc<Changes>,
}

impl Observer for AfterCommit {
    fn committed(&self, done: Vec<Done>) {
        if done.is_empty() {
            return;
        }
        let mut changes = Vec::with_capacity(done.len());
        for done in done {
            match done {
                Done::Appended { run, bytes } => self.packing.appended(run, bytes),
                Done::Ended { run } => self.packing.ended(run),
                Done::Changed(change) => changes.push(change),
            }
        }
        self.changes.note(changes.into_iter());
    }
}

/// A key with a value that may be changed and deleted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tag {
    pub key: String,
    pub value: String,
}

/// A key with a value that never changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Param {
    pub key: String,
    pub value: String,
}

/// What is deleted stays, hidden, until it is restored or purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    Active,
    Deleted,
}

impl Lifecycle {
    pub fn name(self) -> &'static str {
        match self {
            Lifecycle::Active => "active",
            Lifecycle::Deleted => "deleted",
        }
    }

    pub(crate) fn number(self) -> i64 {
        match self {
            Lifecycle::Active => 0,
            Lifecycle::Deleted => 1,
        }
    }

    pub(crate) fn from_number(number: i64) -> Lifecycle {
        if number == 0 { Lifecycle::Active } else { Lifecycle::Deleted }
    }
}

/// Which lifecycles a search looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ViewType {
    #[default]
    ActiveOnly,
    DeletedOnly,
    All,
}

/// Milliseconds since the epoch.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

/// A URI with more path behind it; a query stays at the end, as in `s3://bucket/path?versionId=1`.
fn join_uri(uri: &str, path: &str) -> String {
    let (base, query) = uri.find('?').map_or((uri, ""), |at| uri.split_at(at));
    // `mlflow-artifacts:/` and `s3://bucket/` end in a slash of their own.
    let slash = if base.ends_with('/') { "" } else { "/" };
    format!("{base}{slash}{path}{query}")
}
