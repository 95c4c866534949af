//! Purging: what was deleted goes for good, with its artifacts. For a command beside running servers, not for requests.
//!
//! The order is what keeps it safe (`trackway_tracking`'s purge tells how): a thing is looked at, then begun, so that
//! nothing restores it; then its artifacts go, then its rows. Killed anywhere, the next purge goes on with what was begun.
//! A thing whose artifacts cannot be reached stays and is told; the others go.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use trackway_artifacts::{
    Error as ArtifactError, Measured, Options as ArtifactOptions, OwnArtifacts, Owner, PurgePlaces,
};
use trackway_tracking::{Begun, Deleted, Error, OpenError, Options, PurgeRules, Store, limits};

pub use trackway_tracking::{Purgeable, ThinRules, Thinned};

use crate::config::{BackendStore, PROXIED_ARTIFACT_ROOT};

/// Things that are begun, and whose rows go, together.
const AT_ONCE: usize = 100;
/// Artifacts of so many things are deleted at the same time.
const DELETING: usize = 8;
/// How often a database that is not to be reached just now is asked again, a second apart.
const AGAIN: u32 = 30;

/// Why a purge did not come to its end. What it did before is done.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    #[error("There is no database at {0}. Name the one of the server with --backend-store-uri.")]
    NoDatabase(String),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
    #[error(transparent)]
    Store(#[from] Error),
    /// A thing that was named cannot be purged.
    #[error("{0}")]
    Named(String),
}

/// Which things of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Which {
    /// None but those that an earlier purge began.
    #[default]
    None,
    /// All that are deleted.
    All,
    These(Vec<String>),
}

/// What shall go.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    pub runs: Which,
    pub logged_models: Which,
    pub experiments: Which,
    /// Only what was deleted longer ago than this.
    pub older_than: Option<Duration>,
    /// Leave runs and logged models whose files a registered model version uses.
    pub keep_registered: bool,
}

/// What became of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Purged,
    /// It stays as it was, for this reason.
    Kept(String),
    /// Its artifacts could not be deleted. If it was begun, the next purge goes on with it.
    Failed(String),
}

/// One thing that would go.
#[derive(Debug, Clone)]
pub struct Found {
    pub deleted: Deleted,
    /// What it takes in the database, roughly.
    pub database_bytes: u64,
    /// Of an experiment none: its runs and models are found with it, each by itself.
    pub artifacts: Result<Measured, String>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub purged: usize,
    pub kept: usize,
    pub failed: usize,
}

/// Told of each thing as it is done.
pub type Tell<'a> = &'a mut (dyn FnMut(Purgeable, &str, &Outcome) + Send);

pub struct Purge {
    store: Store,
    places: PurgePlaces,
    now: i64,
}

impl Purge {
    /// `destination` is where the servers keep the artifacts that go through them. Without it the one at `tracking_uri`
    /// is asked to delete them. `roots` are further places that clients write to themselves, as far as these are on
    /// servers: what is in buckets and folders is found without.
    pub async fn open(
        backend: &BackendStore,
        destination: Option<&str>,
        roots: &[String],
        tracking_uri: Option<&str>,
    ) -> Result<Purge, PurgeError> {
        let store = open_store(backend).await?;
        let places = PurgePlaces::open(destination, roots, tracking_uri, ArtifactOptions::default()).await?;
        Ok(Purge { store, places, now: now() })
    }

    /// Closes the database.
    pub async fn close(self) {
        close(self.store).await;
    }

    /// Makes sure that what was named by its id can be purged, before anything is.
    pub async fn check(&self, selection: &Selection, given_age: &str) -> Result<(), PurgeError> {
        for kind in KINDS {
            let Which::These(ids) = selection.of(kind) else { continue };
            for id in ids {
                let Some(found) = self.store.get_deleted(kind, id.clone()).await? else {
                    return Err(self.why_not(kind, id).await);
                };
                if !found.begun && found.deleted_time > self.deleted_before(selection, kind) {
                    return Err(PurgeError::Named(too_young(kind, id, given_age)));
                }
            }
        }
        Ok(())
    }

    async fn why_not(&self, kind: Purgeable, id: &str) -> PurgeError {
        // As MLflow 3.17 says it.
        let (missing, message) = match kind {
            Purgeable::Run => (
                self.store.get_run_info(id.to_owned()).await.err(),
                format!(
                    "Run {id} is not in `deleted` lifecycle stage. Only runs in `deleted` lifecycle stage can be deleted."
                ),
            ),
            Purgeable::LoggedModel => (
                self.store.get_logged_model(id.to_owned()).await.err(),
                format!(
                    "Logged model {id} is not in `deleted` lifecycle stage. Only logged models in `deleted` lifecycle stage can be deleted."
                ),
            ),
            Purgeable::Experiment => {
                let missing = match limits::parse_experiment_id(id) {
                    Ok(number) => self.store.get_experiment(number).await.err(),
                    Err(error) => Some(error),
                };
                let message = format!(
                    "Experiments ['{id}'] are not in the deleted lifecycle stage. Only experiments in the deleted lifecycle stage can be hard-deleted."
                );
                (missing, message)
            }
        };
        missing.map_or(PurgeError::Named(message), PurgeError::Store)
    }

    /// What would go: each thing with what it takes. Nothing is changed.
    pub async fn list(&self, selection: &Selection, tell: &mut (dyn FnMut(Found) + Send)) -> Result<(), PurgeError> {
        let mut seen = HashSet::new();
        let mut experiments = Vec::new();
        self.each_page(selection, Purgeable::Experiment, async |page| {
            experiments.extend(page);
            Ok(())
        })
        .await?;
        for experiment in &experiments {
            for kind in [Purgeable::Run, Purgeable::LoggedModel] {
                for part in self.store.list_of_experiment(kind, experiment.experiment_id).await?.chunks(AT_ONCE) {
                    seen.extend(part.iter().map(|deleted| deleted.id.clone()));
                    self.measure(kind, part.to_vec(), tell).await?;
                }
            }
        }
        for kind in [Purgeable::Run, Purgeable::LoggedModel] {
            self.each_page(selection, kind, async |page| {
                let page = page.into_iter().filter(|deleted| !seen.contains(&deleted.id)).collect();
                self.measure(kind, page, tell).await
            })
            .await?;
        }
        self.measure(Purgeable::Experiment, experiments, tell).await
    }

    async fn measure(
        &self,
        kind: Purgeable,
        things: Vec<Deleted>,
        tell: &mut (dyn FnMut(Found) + Send),
    ) -> Result<(), PurgeError> {
        let ids = things.iter().map(|deleted| deleted.id.clone()).collect();
        let weights = self.store.weigh(kind, ids).await?;
        let measured = futures_util::stream::iter(things.into_iter().zip(weights)).map(async |(deleted, weight)| {
            let artifacts = match self.find(&deleted).await {
                Err(error) => Err(error.to_string()),
                Ok(None) => Ok(Measured::default()),
                Ok(Some(own)) => own.measure().await.map_err(|error| error.to_string()),
            };
            Found { deleted, database_bytes: weight.bytes, artifacts }
        });
        let mut measured = std::pin::pin!(measured.buffered(DELETING));
        while let Some(found) = measured.next().await {
            tell(found);
        }
        Ok(())
    }

    /// Purges. What is told as purged is gone for good.
    pub async fn run(&self, selection: &Selection, tell: Tell<'_>) -> Result<Summary, PurgeError> {
        let mut summary = Summary::default();
        let mut tell = |kind: Purgeable, id: &str, outcome: &Outcome| {
            match outcome {
                Outcome::Purged => summary.purged += 1,
                Outcome::Kept(_) => summary.kept += 1,
                Outcome::Failed(_) => summary.failed += 1,
            }
            tell(kind, id, outcome);
        };
        let experiments = self.begin_experiments(selection, &mut tell).await?;
        for kind in [Purgeable::Run, Purgeable::LoggedModel] {
            self.each_page(selection, kind, async |page| self.take(selection, kind, page, &mut tell).await).await?;
            for experiment in &experiments {
                let parts = self.store.list_of_experiment(kind, experiment.experiment_id).await?;
                for part in parts.chunks(AT_ONCE) {
                    self.take(selection, kind, part.to_vec(), &mut tell).await?;
                }
            }
        }
        for experiment in experiments {
            self.finish_experiment(selection, &experiment, &mut tell).await?;
        }
        Ok(summary)
    }

    /// Begins the experiments that may go whole.
    async fn begin_experiments(&self, selection: &Selection, tell: Tell<'_>) -> Result<Vec<Deleted>, PurgeError> {
        let mut found = Vec::new();
        self.each_page(selection, Purgeable::Experiment, async |page| {
            found.extend(page);
            Ok(())
        })
        .await?;
        let mut begun = Vec::new();
        for experiment in found {
            if !experiment.begun
                && let Err(error) = self.look_into(&experiment).await?
            {
                tell(Purgeable::Experiment, &experiment.id, &Outcome::Failed(error.to_string()));
                continue;
            }
            let rules = self.rules(selection, Purgeable::Experiment);
            let ids = vec![experiment.id.clone()];
            match again(|| self.store.begin_purge(Purgeable::Experiment, ids.clone(), rules)).await?.pop() {
                Some(Begun::Yes(experiment)) => begun.push(experiment),
                Some(Begun::Kept(why)) => tell(Purgeable::Experiment, &experiment.id, &Outcome::Kept(why)),
                Some(Begun::Gone) | None => {}
            }
        }
        Ok(begun)
    }

    /// Whether all that lies in an experiment can be found.
    async fn look_into(&self, experiment: &Deleted) -> Result<Result<(), ArtifactError>, PurgeError> {
        for kind in [Purgeable::Run, Purgeable::LoggedModel] {
            for part in self.store.list_of_experiment(kind, experiment.experiment_id).await? {
                if let Err(error) = self.find(&part).await {
                    return Ok(Err(error));
                }
            }
        }
        Ok(Ok(()))
    }

    /// Purges runs or logged models: finds their artifacts, begins them, deletes the artifacts, then the rows.
    async fn take(
        &self,
        selection: &Selection,
        kind: Purgeable,
        things: Vec<Deleted>,
        tell: Tell<'_>,
    ) -> Result<(), PurgeError> {
        let mut found = Vec::with_capacity(things.len());
        for deleted in things {
            match self.find(&deleted).await {
                Ok(own) => found.push((deleted.id, own)),
                Err(error) => tell(kind, &deleted.id, &Outcome::Failed(error.to_string())),
            }
        }
        let ids: Vec<String> = found.iter().map(|(id, _)| id.clone()).collect();
        let rules = self.rules(selection, kind);
        let begun = again(|| self.store.begin_purge(kind, ids.clone(), rules)).await?;
        let mut doomed = Vec::with_capacity(found.len());
        for ((id, own), begun) in found.into_iter().zip(begun) {
            match begun {
                Begun::Yes(_) => doomed.push((id, own)),
                Begun::Kept(why) => tell(kind, &id, &Outcome::Kept(why)),
                Begun::Gone => {}
            }
        }
        let deleting = futures_util::stream::iter(doomed).map(async |(id, own): (String, Option<OwnArtifacts>)| {
            let (uri, outcome) = match own {
                None => (None, Ok(())),
                Some(own) => (own.in_bucket().map(str::to_owned), own.delete().await),
            };
            (id, uri, outcome)
        });
        let mut emptied = Vec::new();
        let mut deleting = std::pin::pin!(deleting.buffered(DELETING));
        while let Some((id, uri, outcome)) = deleting.next().await {
            match outcome {
                Ok(()) => {
                    if let Some(uri) = uri {
                        again(|| self.store.forget_artifacts(uri.clone(), String::new())).await?;
                    }
                    emptied.push(id);
                }
                Err(error) => {
                    tell(kind, &id, &Outcome::Failed(format!("{error} It is half purged: purge again to go on.")));
                }
            }
        }
        let taken = again(|| self.store.finish_purge(kind, emptied.clone())).await?;
        for (id, taken) in emptied.iter().zip(taken) {
            if taken {
                tell(kind, id, &Outcome::Purged);
            }
        }
        Ok(())
    }

    async fn finish_experiment(
        &self,
        selection: &Selection,
        experiment: &Deleted,
        tell: Tell<'_>,
    ) -> Result<(), PurgeError> {
        let kind = Purgeable::Experiment;
        // A run may have been created at the very moment when the experiment was deleted.
        for last in [false, true] {
            let ids = vec![experiment.id.clone()];
            if again(|| self.store.finish_purge(kind, ids.clone())).await? == [true] {
                tell(kind, &experiment.id, &Outcome::Purged);
                return Ok(());
            }
            if self.store.get_deleted(kind, experiment.id.clone()).await?.is_none() {
                // Another purge took it.
                return Ok(());
            }
            if last {
                break;
            }
            for kind in [Purgeable::Run, Purgeable::LoggedModel] {
                let new = self.store.list_of_experiment(kind, experiment.experiment_id).await?;
                let new = new.into_iter().filter(|part| !part.begun).collect();
                self.take(selection, kind, new, tell).await?;
            }
        }
        let why = "what lies in it could not all be purged. Purge again to go on.";
        tell(kind, &experiment.id, &Outcome::Failed(why.to_owned()));
        Ok(())
    }

    /// Gives all of a kind that were chosen, and those that an earlier purge began.
    async fn each_page(
        &self,
        selection: &Selection,
        kind: Purgeable,
        mut take: impl AsyncFnMut(Vec<Deleted>) -> Result<(), PurgeError>,
    ) -> Result<(), PurgeError> {
        let which = selection.of(kind);
        let before = match which {
            Which::All => self.deleted_before(selection, kind),
            Which::None | Which::These(_) => i64::MIN,
        };
        let mut after = None;
        loop {
            let (page, next) = self.store.list_deleted(kind, before, after, AT_ONCE).await?;
            take(page).await?;
            if next.is_none() {
                break;
            }
            after = next;
        }
        let Which::These(ids) = which else { return Ok(()) };
        for part in ids.chunks(AT_ONCE) {
            let mut page = Vec::with_capacity(part.len());
            for id in part {
                page.extend(self.store.get_deleted(kind, id.clone()).await?);
            }
            take(page.into_iter().filter(|deleted| !deleted.begun).collect()).await?;
        }
        Ok(())
    }

    async fn find(&self, deleted: &Deleted) -> Result<Option<OwnArtifacts>, ArtifactError> {
        match deleted.kind {
            Purgeable::Run => self.places.find(&deleted.artifact_uri, Owner::Run(&deleted.id)).await,
            Purgeable::LoggedModel => self.places.find(&deleted.artifact_uri, Owner::LoggedModel(&deleted.id)).await,
            // All that lies there belongs to its runs and models, or to somebody else.
            Purgeable::Experiment => Ok(None),
        }
    }

    fn rules(&self, selection: &Selection, kind: Purgeable) -> PurgeRules {
        PurgeRules { deleted_before: self.deleted_before(selection, kind), keep_registered: selection.keep_registered }
    }

    /// As MLflow 3.17 has it: runs and models that are exactly as old go, experiments stay.
    fn deleted_before(&self, selection: &Selection, kind: Purgeable) -> i64 {
        let Some(age) = selection.older_than else { return i64::MAX };
        let before = self.now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        if kind == Purgeable::Experiment { before.saturating_sub(1) } else { before }
    }
}

const KINDS: [Purgeable; 3] = [Purgeable::Experiment, Purgeable::Run, Purgeable::LoggedModel];

impl Selection {
    fn of(&self, kind: Purgeable) -> &Which {
        match kind {
            Purgeable::Run => &self.runs,
            Purgeable::LoggedModel => &self.logged_models,
            Purgeable::Experiment => &self.experiments,
        }
    }
}

/// Makes samples of the long histories of runs that ended so long ago, or with `dry_run` counts what would go.
pub async fn thin_metrics(
    backend: &BackendStore,
    age: Duration,
    rules: impl Fn(i64) -> ThinRules,
    dry_run: bool,
) -> Result<Thinned, PurgeError> {
    let store = open_store(backend).await?;
    let rules = rules(now().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)));
    let mut all = Thinned::default();
    let mut after = None;
    loop {
        let (thinned, next) = again(|| store.thin_metrics(rules, after, dry_run)).await?;
        all.runs += thinned.runs;
        all.series += thinned.series;
        all.points += thinned.points;
        if next.is_none() {
            break;
        }
        after = next;
    }
    close(store).await;
    Ok(all)
}

/// The database of a server, which is not made if it is not there.
async fn open_store(backend: &BackendStore) -> Result<Store, PurgeError> {
    if let BackendStore::Sqlite(path) = backend
        && !path.exists()
    {
        return Err(PurgeError::NoDatabase(path.display().to_string()));
    }
    Ok(Store::open(&backend.to_backend(), PROXIED_ARTIFACT_ROOT, &Options::default()).await?)
}

async fn close(store: Store) {
    // Waits for threads, which is blocking work; one that panicked was logged.
    let _ = tokio::task::spawn_blocking(move || store.close()).await;
}

/// As MLflow 3.17 says it.
fn too_young(kind: Purgeable, id: &str, age: &str) -> String {
    match kind {
        Purgeable::Run => {
            format!("Run {id} is not older than the required age. Only runs older than {age} can be deleted.")
        }
        Purgeable::LoggedModel => format!(
            "Logged model {id} is not older than the required age. Only logged models older than {age} can be deleted."
        ),
        Purgeable::Experiment => format!(
            "Experiments ['{id}'] are not older than the required age. Only experiments older than {age} can be deleted."
        ),
    }
}

/// Asks again while the database is away or contended: a purge of hours should outlive a failover.
async fn again<T, F: Future<Output = Result<T, Error>>>(ask: impl Fn() -> F) -> Result<T, Error> {
    for _ in 0..AGAIN {
        match ask().await {
            Err(Error::Busy(_)) => tokio::time::sleep(Duration::from_secs(1)).await,
            answer => return answer,
        }
    }
    ask().await
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
