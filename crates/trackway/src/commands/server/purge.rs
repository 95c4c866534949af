//! `trackway server purge`: what was deleted goes for good, with its artifacts, beside running servers.

use std::io::Write;
use std::path::Path;

use clap::Args;
use serde_json::{Value, json};
use trackway_server::config::{BackendStore, Config, DEFAULT_ARTIFACTS_DESTINATION};
use trackway_server::purge::{Found, Outcome, Purge, PurgeError, Purgeable, Selection, Summary, Which};

use crate::commands::age;
use crate::failure::Failure;
use crate::terminal::words::size;

const ABOUT: &str = "\
Deleted runs, logged models and experiments are kept until they are purged. A purge may run beside servers, on their machine or on another \
one, and several at once. One that was broken off is finished by the next. Registered models and versions are gone as soon as they are deleted; \
their files belong to runs and logged models.";

#[derive(Debug, Default, Args)]
#[command(after_help = ABOUT)]
pub struct PurgeArgs {
    /// Only what was deleted longer ago than this, such as 30d or 1d12h
    #[arg(long, value_name = "AGE")]
    pub older_than: Option<String>,

    /// These runs
    #[arg(long, value_name = "ID,…", value_delimiter = ',')]
    pub run_ids: Vec<String>,

    /// These experiments, with all that lies in them
    #[arg(long, value_name = "ID,…", value_delimiter = ',')]
    pub experiment_ids: Vec<String>,

    /// These logged models
    #[arg(long, value_name = "ID,…", value_delimiter = ',')]
    pub logged_model_ids: Vec<String>,

    /// All that is deleted, however long ago
    #[arg(long)]
    pub all: bool,

    /// Also runs and logged models whose files a registered model version uses
    #[arg(long)]
    pub even_registered: bool,

    /// Only list what would go, and how much that is
    #[arg(long)]
    pub dry_run: bool,

    /// Answer in JSON
    #[arg(long)]
    pub json: bool,

    /// The server's database [env: MLFLOW_BACKEND_STORE_URI] [default: sqlite:///trackway.db]
    #[arg(long, value_name = "URI", help_heading = "Storage")]
    pub backend_store_uri: Option<String>,

    /// Where the server keeps the artifacts that go through it [env: MLFLOW_ARTIFACTS_DESTINATION] [default:
    /// ./mlartifacts]
    #[arg(long, value_name = "URI", help_heading = "Storage")]
    pub artifacts_destination: Option<String>,
}

pub fn run(args: PurgeArgs) -> Result<(), Failure> {
    let selection = selection(&args)?;
    let backend = backend(args.backend_store_uri.as_deref())?;
    let destination = destination(args.artifacts_destination.as_deref()).or_else(usual_destination);
    let age = args.older_than.clone().unwrap_or_default();
    let failed = block_on(async {
        let purge = Purge::open(&backend, destination.as_deref(), &roots(), None).await?;
        purge.check(&selection, &age).await?;
        let failed = match args.dry_run {
            true => list(&purge, &selection, args.json).await?,
            false => take(&purge, &selection, args.json).await?,
        };
        purge.close().await;
        Ok(failed)
    })?;
    match failed {
        0 => Ok(()),
        count => Err(left(count)),
    }
}

fn selection(args: &PurgeArgs) -> Result<Selection, Failure> {
    let named = !(args.run_ids.is_empty() && args.experiment_ids.is_empty() && args.logged_model_ids.is_empty());
    if !named && !args.all && args.older_than.is_none() {
        return Err(Failure::Usage(
            "Say what is to be purged: --older-than 30d, ids with --run-ids, --experiment-ids or --logged-model-ids, or --all. \
             With --dry-run it is only listed."
                .to_owned(),
        ));
    }
    if named && args.all {
        return Err(Failure::Usage("--all together with ids is unclear. Leave out one of them.".to_owned()));
    }
    let which = |ids: &[String]| match (named, ids.is_empty()) {
        (false, _) => Which::All,
        (true, true) => Which::None,
        (true, false) => Which::These(ids.to_vec()),
    };
    Ok(Selection {
        runs: which(&args.run_ids),
        logged_models: which(&args.logged_model_ids),
        experiments: which(&args.experiment_ids),
        older_than: args.older_than.as_deref().map(age::parse).transpose().map_err(Failure::Usage)?,
        keep_registered: !args.even_registered,
    })
}

/// The database that servers started with the same words use.
pub fn backend(given: Option<&str>) -> Result<BackendStore, Failure> {
    let given = given.map(str::to_owned).or_else(|| variable("MLFLOW_BACKEND_STORE_URI"));
    match given.filter(|uri| !uri.is_empty()) {
        Some(uri) => Ok(BackendStore::parse(&uri)?),
        None => Ok(Config::default().backend_store),
    }
}

/// Where servers started with the same words keep proxied artifacts, if somebody said.
pub fn destination(given: Option<&str>) -> Option<String> {
    let given = given.map(str::to_owned).filter(|place| !place.is_empty());
    given.or_else(|| variable("MLFLOW_ARTIFACTS_DESTINATION"))
}

/// Where the clients of servers started with the same words keep artifacts themselves.
pub fn roots() -> Vec<String> {
    let listed = variable("TRACKWAY_ARTIFACT_ROOTS").unwrap_or_default();
    let listed = listed.split(',').map(|root| root.trim().to_owned());
    listed.chain(variable("MLFLOW_DEFAULT_ARTIFACT_ROOT")).filter(|root| !root.is_empty()).collect()
}

/// Where a server that was started here without a word keeps them.
pub fn usual_destination() -> Option<String> {
    Path::new(DEFAULT_ARTIFACTS_DESTINATION).is_dir().then(|| DEFAULT_ARTIFACTS_DESTINATION.to_owned())
}

pub fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

/// Runs a purge on threads of its own. Being killed does no harm to it, so no signal is caught.
pub fn block_on<T>(work: impl Future<Output = Result<T, PurgeError>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("The threads of the purge could not be started: {error}.")))?;
    runtime.block_on(work).map_err(|error| Failure::Failed(error.to_string()))
}

pub fn left(count: usize) -> Failure {
    Failure::Failed(format!(
        "{count} {} could not be purged. What was told as purged is gone.",
        if count == 1 { "thing" } else { "things" }
    ))
}

async fn take(purge: &Purge, selection: &Selection, as_json: bool) -> Result<usize, PurgeError> {
    let mut things = Vec::new();
    let mut tell = |kind: Purgeable, id: &str, outcome: &Outcome| match as_json {
        true => things.push(outcome_json(kind, id, outcome)),
        false => tell(kind, id, outcome),
    };
    let Summary { purged, kept, failed } = purge.run(selection, &mut tell).await?;
    if as_json {
        say(&json!({"dry_run": false, "things": things, "purged": purged, "kept": kept, "failed": failed}).to_string());
    } else if purged + kept + failed == 0 {
        say("There is nothing to purge.");
    }
    Ok(failed)
}

/// Tells of one thing in the words of `mlflow gc`.
pub fn tell(kind: Purgeable, id: &str, outcome: &Outcome) {
    let name = match kind {
        Purgeable::Run => "Run",
        Purgeable::LoggedModel => "Logged model",
        Purgeable::Experiment => "Experiment",
    };
    match outcome {
        Outcome::Purged => say(&format!("{name} with ID {id} has been permanently deleted.")),
        Outcome::Kept(why) => warn(&format!("{name} with ID {id} was kept: {why}.")),
        Outcome::Failed(why) => warn(&format!("{name} with ID {id} was not purged: {why}")),
    }
}

async fn list(purge: &Purge, selection: &Selection, as_json: bool) -> Result<usize, PurgeError> {
    let mut total = Total::default();
    let mut things = Vec::new();
    purge
        .list(selection, &mut |found| {
            total.add(&found);
            match as_json {
                true => things.push(found_json(&found)),
                false => say(&line(&found)),
            }
        })
        .await?;
    if as_json {
        say(&json!({
            "dry_run": true,
            "things": things,
            "count": total.count,
            "database_bytes": total.database_bytes,
            "artifact_files": total.files,
            "artifact_bytes": total.bytes,
            "unreachable": total.unreachable,
        })
        .to_string());
    } else if total.count == 0 {
        say("There is nothing to purge.");
    } else {
        say(&format!(
            "Would purge {} {}: {} in the database, {} in {} artifacts.",
            total.count,
            if total.count == 1 { "thing" } else { "things" },
            size(total.database_bytes),
            size(total.bytes),
            total.files
        ));
    }
    Ok(total.unreachable)
}

#[derive(Default)]
struct Total {
    count: usize,
    database_bytes: u64,
    files: u64,
    bytes: u64,
    unreachable: usize,
}

impl Total {
    fn add(&mut self, found: &Found) {
        self.count += 1;
        self.database_bytes += found.database_bytes;
        match &found.artifacts {
            Ok(artifacts) => {
                self.files += artifacts.files;
                self.bytes += artifacts.bytes;
            }
            Err(_) => self.unreachable += 1,
        }
    }
}

fn line(found: &Found) -> String {
    let deleted = &found.deleted;
    let mut line = match deleted.kind {
        Purgeable::Experiment => format!("experiment {}", deleted.id),
        kind => format!("{} {} of experiment {}", word(kind).replace('_', " "), deleted.id, deleted.experiment_id),
    };
    line.push_str(&format!(": {} in the database", size(found.database_bytes)));
    match &found.artifacts {
        Ok(artifacts) if artifacts.files > 0 => {
            line.push_str(&format!(", {} in {} artifacts", size(artifacts.bytes), artifacts.files));
        }
        Ok(_) => {}
        Err(why) => line.push_str(&format!("; it would stay. {why}")),
    }
    if deleted.begun {
        line.push_str(" (half purged)");
    }
    line
}

fn found_json(found: &Found) -> Value {
    let (artifacts, error) = match &found.artifacts {
        Ok(measured) => (Some(measured), None),
        Err(error) => (None, Some(error)),
    };
    json!({
        "kind": word(found.deleted.kind),
        "id": found.deleted.id,
        "experiment_id": found.deleted.experiment_id.to_string(),
        "deleted_time": found.deleted.deleted_time,
        "half_purged": found.deleted.begun,
        "database_bytes": found.database_bytes,
        "artifact_files": artifacts.map(|measured| measured.files),
        "artifact_bytes": artifacts.map(|measured| measured.bytes),
        "error": error,
    })
}

fn outcome_json(kind: Purgeable, id: &str, outcome: &Outcome) -> Value {
    let (word_of, why) = match outcome {
        Outcome::Purged => ("purged", None),
        Outcome::Kept(why) => ("kept", Some(why)),
        Outcome::Failed(why) => ("failed", Some(why)),
    };
    json!({"kind": word(kind), "id": id, "outcome": word_of, "why": why})
}

fn word(kind: Purgeable) -> &'static str {
    match kind {
        Purgeable::Run => "run",
        Purgeable::LoggedModel => "logged_model",
        Purgeable::Experiment => "experiment",
    }
}

/// A purge goes on when nobody listens any more.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn warn(line: &str) {
    let _ = writeln!(std::io::stderr(), "warning: {line}");
}
