//! `mlflow gc`: the options, words and exit codes of MLflow 3.17, over Trackway's purge.

use clap::Args;
use trackway_server::purge::{Purge, Selection, Which};

use crate::commands::age;
use crate::commands::server::purge;
use crate::failure::Failure;

const ABOUT: &str = "\
Without ids all that is deleted goes, of each kind for itself: with --run-ids alone all deleted experiments and logged models go too, as in MLflow. \
`trackway server purge` takes only what is named, and lists it first with --dry-run.";

#[derive(Debug, Default, Args)]
#[command(after_help = ABOUT)]
pub struct GcArgs {
    /// Only what was deleted longer ago than this, such as 1d2h3m4s or 1.5d
    #[arg(long, value_name = "TEXT")]
    older_than: Option<String>,

    /// The server's database [env: MLFLOW_BACKEND_STORE_URI] [default: sqlite:///trackway.db]
    #[arg(long, value_name = "PATH")]
    backend_store_uri: Option<String>,

    /// Where the server keeps the artifacts that go through it [env: MLFLOW_ARTIFACTS_DESTINATION]
    #[arg(long, value_name = "URI")]
    artifacts_destination: Option<String>,

    /// These runs, with commas
    #[arg(long, value_name = "TEXT")]
    run_ids: Option<String>,

    /// These experiments with all of their runs, with commas
    #[arg(long, value_name = "TEXT")]
    experiment_ids: Option<String>,

    /// These logged models, with commas
    #[arg(long, value_name = "TEXT")]
    logged_model_ids: Option<String>,

    /// Jobs too; Trackway has none
    #[arg(long)]
    jobs: bool,

    /// These jobs; Trackway has none
    #[arg(long, value_name = "TEXT")]
    job_ids: Option<String>,

    /// The server, which deletes the artifacts that went through it, unless --artifacts-destination says where they lie
    /// [env: MLFLOW_TRACKING_URI]
    #[arg(long, value_name = "TEXT")]
    tracking_uri: Option<String>,

    /// Not built yet: Trackway has no workspaces
    #[arg(long, value_name = "TEXT")]
    workspace: Option<String>,

    /// Not built yet: Trackway has no workspaces
    #[arg(long)]
    all_workspaces: bool,
}

pub fn run(args: GcArgs) -> Result<(), Failure> {
    if args.workspace.is_some() && args.all_workspaces {
        return Err(Failure::Usage("Cannot use --workspace and --all-workspaces together.".to_owned()));
    }
    if args.workspace.is_some() || args.all_workspaces {
        return Err(Failure::Failed(
            "Workspace selection flags are only supported when the tracking store supports workspaces.".to_owned(),
        ));
    }
    let older_than = args.older_than.as_deref().map(age::parse).transpose().map_err(Failure::Failed)?;
    let selection = Selection {
        runs: which(args.run_ids.as_deref()),
        logged_models: which(args.logged_model_ids.as_deref()),
        experiments: which(args.experiment_ids.as_deref()),
        // An empty age is none, as in MLflow.
        older_than: older_than.filter(|_| args.older_than.as_deref() != Some("")),
        // As in MLflow, which does not look at the registry.
        keep_registered: false,
    };
    let backend = purge::backend(args.backend_store_uri.as_deref())?;
    let tracking_uri =
        args.tracking_uri.filter(|uri| !uri.is_empty()).or_else(|| purge::variable("MLFLOW_TRACKING_URI"));
    let mut destination = purge::destination(args.artifacts_destination.as_deref());
    if tracking_uri.is_none() {
        destination = destination.or_else(purge::usual_destination);
    }
    let age = args.older_than.clone().unwrap_or_default();
    let summary = purge::block_on(async {
        let purge = Purge::open(&backend, destination.as_deref(), &purge::roots(), tracking_uri.as_deref()).await?;
        purge.check(&selection, &age).await?;
        let summary = purge.run(&selection, &mut purge::tell).await?;
        purge.close().await;
        Ok(summary)
    })?;
    match summary.failed {
        0 => Ok(()),
        failed => Err(purge::left(failed)),
    }
}

/// As in MLflow: an empty list is none.
fn which(ids: Option<&str>) -> Which {
    match ids {
        None | Some("") => Which::All,
        Some(ids) => Which::These(ids.split(',').map(str::to_owned).collect()),
    }
}
