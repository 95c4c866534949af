use std::process::ExitCode;

use serde_json::{Value, json};
use trackway_repo::fsck::{Fault, Fsck, FsckOptions};

use super::context::Context;
use super::tidy::objects;
use crate::failure::Failure;
use crate::terminal::words::size;

/// Verify every object of the cache and every reference to one. Exit code 1 when something is wrong.
///
/// What the work tree needs must be there. What only commits need may be missing: it was never fetched, or collected.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What any commit needs must be there, too
    #[arg(short = 'A', long)]
    pub all_commits: bool,

    /// Set damaged objects aside, and bring back what is damaged or missing: from the trash, from copies in the work tree,
    /// from a remote
    #[arg(long)]
    pub repair: bool,

    /// The remote to repair from [default: all that are local folders]
    #[arg(short, long, value_name = "name")]
    pub remote: Option<String>,

    /// Tell it as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let options = FsckOptions { all_commits: args.all_commits, repair: args.repair, remote: args.remote };
    let progress = context.terminal.progress();
    let found = context.on_repo(|repo| Ok(repo.fsck(&options, &progress)?))?;
    drop(progress);
    if args.json {
        context.terminal.json(&as_json(&found))?;
    } else {
        for line in lines(&found, options.repair) {
            context.terminal.line(line)?;
        }
    }
    Ok(if found.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn lines(found: &Fsck, repair: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for (word, faults) in [("damaged", &found.damaged), ("missing", &found.missing)] {
        for fault in faults {
            lines.push(format!("{word}  {}: {}", fault.hash.oid, fault.problem));
            match fault.needed_by.as_slice() {
                [] => lines.push("  nothing needs it".to_owned()),
                names => lines.extend(names.iter().map(|name| format!("  needed by {name}"))),
            }
            lines.extend(fault.set_aside.iter().map(|path| format!("  set aside as {}", path.display())));
            lines.extend(fault.repaired_from.iter().map(|from| format!("  repaired from {from}")));
        }
    }
    for (rev, why) in &found.unreadable {
        lines.push(format!("unreadable  {rev}: {why}"));
    }
    lines.extend(found.bad_runs.iter().map(|path| format!("damaged  run cache entry {}", path.display())));
    lines.push(format!("Verified {} ({}) and {} runs.", objects(found.objects), size(found.bytes), found.runs));
    if found.leftovers > 0 {
        lines.push(format!("Removed what {} processes left behind that had died.", found.leftovers));
    }
    if found.not_here > 0 {
        lines.push(format!("{} that only older revisions need are not in this cache.", objects(found.not_here)));
    }
    let open = found.damaged.iter().chain(&found.missing).filter(|fault| fault.repaired_from.is_none()).count();
    if found.is_clean() {
        lines.push("All is well.".to_owned());
    } else if open > 0 && !repair {
        lines.push("`trackway fsck --repair` brings back what the trash, the work tree or a remote has.".to_owned());
    }
    lines
}

fn as_json(found: &Fsck) -> Value {
    let faults = |faults: &[Fault]| -> Vec<Value> {
        faults
            .iter()
            .map(|fault| {
                json!({
                    "hash": fault.hash.name.as_str(),
                    "oid": fault.hash.oid.to_string(),
                    "problem": fault.problem,
                    "needed_by": fault.needed_by,
                    "set_aside": fault.set_aside.as_ref().map(|path| path.to_string_lossy().into_owned()),
                    "repaired_from": fault.repaired_from,
                })
            })
            .collect()
    };
    let unreadable: Vec<Value> =
        found.unreadable.iter().map(|(rev, why)| json!({"rev": rev, "problem": why})).collect();
    let bad_runs: Vec<_> = found.bad_runs.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    json!({
        "clean": found.is_clean(),
        "objects": found.objects,
        "size": found.bytes,
        "damaged": faults(&found.damaged),
        "missing": faults(&found.missing),
        "not_here": found.not_here,
        "unreadable": unreadable,
        "runs": found.runs,
        "damaged_runs": bad_runs,
        "leftovers": found.leftovers,
    })
}
