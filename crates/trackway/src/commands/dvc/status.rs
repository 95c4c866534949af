use std::process::ExitCode;

use serde::{Serialize, Serializer};
use trackway_repo::index::Follow;
use trackway_repo::status::{Change, State, Status, StatusOptions};

use super::context::Context;
use super::transfer::{self, Jobs, Revisions, Selected};
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub jobs: Jobs,

    #[command(flatten)]
    pub selected: Selected,

    /// Compare the cache with a remote instead of the work tree with the cache
    #[arg(short, long)]
    pub cloud: bool,

    /// The remote to compare with [default: core.remote]
    #[arg(short, long, value_name = "name")]
    pub remote: Option<String>,

    #[command(flatten)]
    pub revisions: Revisions,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Do not ask whether imported data has changed where it came from
    #[arg(long)]
    pub no_updates: bool,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    if args.cloud || args.remote.is_some() {
        return cloud(&args, context);
    }
    let meaningless: Vec<_> = [
        (args.revisions.all_branches, "--all-branches"),
        (args.revisions.all_tags, "--all-tags"),
        (args.revisions.all_commits, "--all-commits"),
        (args.jobs.jobs.is_some_and(|jobs| jobs != 0), "--jobs"),
    ]
    .into_iter()
    .filter_map(|(given, name)| given.then_some(name))
    .collect();
    let targets = context.targets(&args.selected.targets)?;
    let options = StatusOptions {
        follow: Follow { with_deps: args.selected.with_deps, recursive: args.selected.recursive },
        check_updates: !args.no_updates,
    };
    let progress = context.terminal.progress();
    let status = context.on_repo(|repo| {
        if !meaningless.is_empty() {
            let list = meaningless.join(", ");
            return Err(Failure::failed(format!("The following options are meaningless for local status: {list}")));
        }
        // Refused as stock refuses it while another command holds the repository.
        drop(repo.lock()?);
        repo.status(&targets, options, &progress).map_err(|error| Failure::from(error).caught(""))
    })?;
    drop(progress);
    if args.json {
        context.terminal.json(&Json(&status))?;
        return Ok(ExitCode::SUCCESS);
    }
    if context.terminal.is_quiet() {
        return Ok(ExitCode::from(u8::from(!status.stages.is_empty())));
    }
    if status.stages.is_empty() {
        context.terminal.line(match status.nothing_tracked {
            true => NOTHING_TRACKED,
            false => "Data and pipelines are up to date.",
        })?;
    }
    for (stage, changes) in &status.stages {
        context.terminal.line(format!("{stage}:"))?;
        for change in changes {
            tell(change, context)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

const NOTHING_TRACKED: &str =
    "There are no data or pipelines tracked in this project yet.\nSee <https://dvc.org/doc/start> to get started!";

/// The cache beside a remote.
fn cloud(args: &Args, context: &Context) -> Result<ExitCode, Failure> {
    let targets = context.targets(&args.selected.targets)?;
    let options = transfer::options(&args.jobs, &args.selected, args.remote.clone(), &args.revisions, None);
    let progress = context.terminal.progress();
    let status = context.on_repo(|repo| {
        // Refused as stock refuses it while another command holds the repository.
        drop(repo.lock()?);
        repo.cloud_status(&targets, &options, &progress).map_err(|error| Failure::from(error).caught(""))
    })?;
    drop(progress);
    if args.json {
        context.terminal.json(&JsonMap(status.changes.iter().collect()))?;
        return Ok(ExitCode::SUCCESS);
    }
    if context.terminal.is_quiet() {
        return Ok(ExitCode::from(u8::from(!status.changes.is_empty())));
    }
    if status.changes.is_empty() {
        let remote = status.remote.as_deref().unwrap_or("None");
        context.terminal.line(match status.nothing_tracked {
            true => NOTHING_TRACKED.to_owned(),
            false => format!("Cache and remote '{remote}' are in sync."),
        })?;
    }
    // As DVC 3.67: indented with `--cloud`, not with `--remote` alone.
    let indent = if args.cloud { "\t" } else { "" };
    for (name, word) in &status.changes {
        context.terminal.line(format!("{indent}{:<20}{name}", format!("{word}:")))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(change: &Change, context: &Context) -> Result<(), Failure> {
    let list = match change {
        Change::Deps(list) | Change::Outs(list) => list,
        other => return context.terminal.line(format!("\t{}", name(other))),
    };
    context.terminal.line(format!("\t{}:", name(change)))?;
    for (path, state) in list {
        match state {
            State::Is(word) => context.terminal.line(format!("\t\t{:<20}{path}", format!("{word}:")))?,
            State::Params(params) => {
                context.terminal.line(format!("\t\t{path}:"))?;
                for (param, word) in params {
                    context.terminal.line(format!("\t\t\t{:<20}{param}", format!("{word}:")))?;
                }
            }
        }
    }
    Ok(())
}

fn name(change: &Change) -> &'static str {
    match change {
        Change::Deps(_) => "changed deps",
        Change::Outs(_) => "changed outs",
        Change::AlwaysChanged => "always changed",
        Change::Command => "changed command",
        Change::Checksum => "changed checksum",
    }
}

/// `{"data.dvc": [{"changed outs": {"data": "modified"}}, "changed command"]}`
struct Json<'a>(&'a Status);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stages = self.0.stages.iter();
        serializer
            .collect_map(stages.map(|(stage, changes)| (stage, changes.iter().map(JsonChange).collect::<Vec<_>>())))
    }
}

struct JsonChange<'a>(&'a Change);

impl Serialize for JsonChange<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Change::Deps(list) | Change::Outs(list) => {
                let states: Vec<_> = list.iter().map(|(path, state)| (path, JsonState(state))).collect();
                serializer.collect_map([(name(self.0), JsonMap(states))])
            }
            other => serializer.serialize_str(name(other)),
        }
    }
}

struct JsonMap<K, V>(Vec<(K, V)>);

impl<K: Serialize, V: Serialize> Serialize for JsonMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

struct JsonState<'a>(&'a State);

impl Serialize for JsonState<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            State::Is(word) => serializer.serialize_str(word),
            State::Params(params) => serializer.collect_map(params.iter().map(|(param, word)| (param, word))),
        }
    }
}
