//! `trackway server thin-metrics`: long histories of old runs give way to samples, beside running servers.

use clap::Args;
use serde_json::json;
use trackway_server::purge::{ThinRules, Thinned, thin_metrics};

use super::purge::{backend, block_on};
use crate::commands::age;
use crate::failure::Failure;

const ABOUT: &str = "\
Each series keeps the first, smallest, largest and last point of each stretch of its history. The latest values, by which runs are searched and \
ordered, stay as they are. This cannot be undone.";

#[derive(Debug, Default, Args)]
#[command(after_help = ABOUT)]
pub struct ThinMetricsArgs {
    /// Of runs that ended longer ago than this, such as 90d
    #[arg(long, value_name = "AGE", required = true)]
    older_than: String,

    /// How many points each metric of a run keeps
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(4..))]
    keep: u32,

    /// Only count what would go
    #[arg(long)]
    dry_run: bool,

    /// Answer in JSON
    #[arg(long)]
    json: bool,

    /// The server's database [env: MLFLOW_BACKEND_STORE_URI] [default: sqlite:///trackway.db]
    #[arg(long, value_name = "URI", help_heading = "Storage")]
    backend_store_uri: Option<String>,
}

pub fn run(args: ThinMetricsArgs) -> Result<(), Failure> {
    let age = age::parse(&args.older_than).map_err(Failure::Usage)?;
    let backend = backend(args.backend_store_uri.as_deref())?;
    let keep = usize::try_from(args.keep).unwrap_or(usize::MAX);
    let Thinned { runs, series, points } =
        block_on(thin_metrics(&backend, age, |ended_before| ThinRules { ended_before, keep }, args.dry_run))?;
    if args.json {
        println!("{}", json!({"dry_run": args.dry_run, "runs": runs, "series": series, "points": points}));
    } else if series == 0 {
        println!("There is nothing to thin.");
    } else {
        let did = if args.dry_run { "Would take" } else { "Took" };
        println!("{did} {points} points of {series} series of {runs} runs.");
    }
    Ok(())
}
