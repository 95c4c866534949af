//! `trackway gc`: what DVC's does, but into a trash, with a budget, and for all projects of a cache.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use trackway_repo::Repo;
use trackway_repo::config::parse_size;
use trackway_repo::tidy::{Gone, Tidied, TidyOptions, Why};

use super::context::Context;
use super::gc::{Scope, has_scope, revisions};
use crate::failure::Failure;
use crate::terminal::words::size;

/// Move what nothing needs out of the cache. What the work trees of all projects on the cache need stays; the options say
/// what stays beside it, and without any, the settings do (`trackway cache keep`). Removed objects lie in a trash for a
/// week, from where a command that misses one takes it back.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub scope: Scope,

    /// Keep what so many of the newest commits need
    #[arg(long, value_name = "count")]
    pub newest: Option<usize>,

    /// Let the cache with its trash take at most so much: work trees first, then the newest commits until it is full
    #[arg(long, value_name = "size", value_parser = bytes)]
    pub max_size: Option<u64>,

    /// Take only what a remote has
    #[arg(long)]
    pub pushed: bool,

    /// The remote to ask [default: all that are local folders]
    #[arg(short, long, value_name = "name")]
    pub remote: Option<String>,

    /// Pass over revisions that cannot be read
    #[arg(long)]
    pub skip_failed: bool,

    /// Go on when the list of a directory is missing; its files are lost
    #[arg(short, long)]
    pub force: bool,

    /// Keep what these repositories need too: those on this cache that only stock DVC has worked in
    #[arg(short = 'p', long = "projects", value_name = "paths", num_args = 0..)]
    pub projects: Vec<OsString>,

    /// Delete at once
    #[arg(long)]
    pub no_trash: bool,

    /// List every object that would go, its size, its age and why
    #[arg(long)]
    pub dry: bool,

    /// Put back what the last collection took
    #[arg(long, conflicts_with_all = ["dry", "empty_trash"])]
    pub undo: bool,

    /// Put back all that is in the trash
    #[arg(long, conflicts_with_all = ["dry", "empty_trash", "undo"])]
    pub undo_all: bool,

    /// Delete what is in the trash
    #[arg(long, conflicts_with = "dry")]
    pub empty_trash: bool,

    /// Tell it as JSON
    #[arg(long)]
    pub json: bool,
}

pub fn bytes(text: &str) -> Result<u64, String> {
    parse_size(text).ok_or_else(|| "give it a size such as 200G, 1.5T or 500M".to_owned())
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let progress = context.terminal.progress();
    context.on_repo(|repo| {
        if args.undo || args.undo_all {
            let back = repo.undo_tidy(args.undo_all, &progress)?;
            return match args.json {
                true => context.terminal.json(&json!({"restored": back})),
                false if back == 0 => context.terminal.line("There is nothing in the trash."),
                false => context.terminal.line(format!("Put {} back into the cache.", objects(back))),
            };
        }
        if args.empty_trash {
            return tell(&repo.empty_whole_trash()?, &args, context);
        }
        let options = options(&args, repo)?;
        let tidied = repo.tidy(&options, &progress)?;
        context.tell_warnings(repo);
        tell(&tidied, &args, context)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn options(args: &Args, repo: &Repo) -> Result<TidyOptions, Failure> {
    let settings = repo.settings()?;
    let mut options = TidyOptions::new(&settings);
    let said = has_scope(&args.scope) || args.newest.is_some() || args.max_size.is_some() || args.pushed;
    if !said && options.newest.is_none() && options.max_size.is_none() {
        return Err(Failure::Usage(
            "Say what to keep: -w for what the work tree needs, -a, -T or -A for branches, tags or all commits, --newest COUNT, --max-size SIZE or --pushed. `trackway cache keep` sets it once and for all."
                .to_owned(),
        ));
    }
    if args.scope.num.is_some() && args.scope.rev.is_none() && !args.scope.all_branches {
        return Err(Failure::Usage("--num counts from --rev or --all-branches: give one of them.".to_owned()));
    }
    if said {
        (options.newest, options.max_size) = (args.newest, args.max_size);
    }
    options.revisions = revisions(&args.scope)?;
    options.pushed = args.pushed;
    options.remote = args.remote.clone();
    options.skip_failed = args.skip_failed;
    options.force = args.force;
    options.projects = args.projects.iter().map(PathBuf::from).collect();
    options.no_trash = args.no_trash;
    options.dry = args.dry;
    Ok(options)
}

fn tell(tidied: &Tidied, args: &Args, context: &Context) -> Result<(), Failure> {
    if args.json {
        return context.terminal.json(&as_json(tidied, args.dry));
    }
    for gone in &tidied.gone {
        context.terminal.line(format!(
            "{}  {:>6}  {:>5}  {}",
            gone.hash.oid,
            size(gone.size),
            days(gone.age),
            why(gone)
        ))?;
    }
    for line in lines(tidied, args) {
        context.terminal.line(line)?;
    }
    Ok(())
}

fn lines(tidied: &Tidied, args: &Args) -> Vec<String> {
    let mut lines = Vec::new();
    let (count, bytes) = (objects(tidied.objects), size(tidied.bytes));
    match (tidied.objects, args.dry, args.no_trash) {
        (0, ..) if !args.empty_trash => lines.push("Nothing to remove.".to_owned()),
        (0, ..) => {}
        (_, true, _) => lines.push(format!("Would remove {count} ({bytes}).")),
        (_, false, true) => lines.push(format!("Deleted {count} ({bytes}).")),
        (_, false, false) if tidied.trash_bytes == 0 => {
            lines.push(format!("Removed {count} ({bytes}): with them in the trash the budget would be exceeded."));
        }
        (_, false, false) => lines.push(match tidied.until.and_then(date) {
            Some(until) => {
                format!("Moved {count} ({bytes}) to the trash. `trackway gc --undo` puts them back, until {until}.")
            }
            None => format!("Moved {count} ({bytes}) to the trash. `trackway gc --undo` puts them back."),
        }),
    }
    let only_now = tidied.objects > 0 && tidied.trash_bytes == 0 && tidied.freed_objects == tidied.objects;
    if tidied.freed_objects > 0 && !only_now {
        let would = if args.dry { "Would delete" } else { "Deleted" };
        lines.push(format!("{would} {} ({}) from the trash.", objects(tidied.freed_objects), size(tidied.freed_bytes)));
    }
    if tidied.spared > 0 {
        lines.push(format!("Kept {} that no remote is known to have.", objects(tidied.spared)));
    }
    if let Some(max) = tidied.over_budget {
        lines.push(format!("What the work trees need is more than {}; all of it stays.", size(max)));
    }
    if !args.empty_trash {
        lines.push(format!("The cache takes {}, its trash {}.", size(tidied.cache_bytes), size(tidied.trash_bytes)));
    }
    if tidied.objects > 0 {
        lines.push("Projects in which only stock DVC works on this cache are not known; name them with -p.".to_owned());
    }
    lines
}

fn as_json(tidied: &Tidied, dry: bool) -> Value {
    let gone: Vec<Value> = tidied
        .gone
        .iter()
        .map(|gone| {
            let mut value = json!({
                "hash": gone.hash.name.as_str(),
                "oid": gone.hash.oid.to_string(),
                "size": gone.size,
                "age": gone.age.as_secs(),
            });
            let reason = match &gone.why {
                Why::NotNeeded => json!({"reason": "not needed"}),
                Why::OldRevision { rev, output } => json!({"reason": "old revision", "rev": rev, "output": output}),
                Why::Trash => json!({"reason": "trash"}),
            };
            if let (Value::Object(value), Value::Object(reason)) = (&mut value, reason) {
                value.extend(reason);
            }
            value
        })
        .collect();
    let mut value = json!({
        "dry": dry,
        "removed": {"objects": tidied.objects, "size": tidied.bytes},
        "deleted_from_trash": {"objects": tidied.freed_objects, "size": tidied.freed_bytes},
        "spared": tidied.spared,
        "cache_size": tidied.cache_bytes,
        "trash_size": tidied.trash_bytes,
    });
    if let (true, Value::Object(map)) = (dry, &mut value) {
        map.insert("objects".to_owned(), gone.into());
    }
    value
}

fn why(gone: &Gone) -> String {
    match &gone.why {
        Why::NotNeeded => "no commit needs it".to_owned(),
        Why::OldRevision { rev, output } => format!("last needed by {output} at {rev}"),
        Why::Trash => "in the trash".to_owned(),
    }
}

pub fn objects(count: usize) -> String {
    if count == 1 { "1 object".to_owned() } else { format!("{count} objects") }
}

fn days(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86400),
    }
}

fn date(moment: SystemTime) -> Option<String> {
    let zoned = jiff::Timestamp::try_from(moment).ok()?.to_zoned(jiff::tz::TimeZone::system());
    Some(zoned.date().to_string())
}

impl Context {
    /// After a command that used the cache: what the settings say of its size is enforced, and told in one line.
    pub fn keep_in_bounds(&self, repo: &Repo) {
        match repo.tidy_by_itself(SystemTime::now(), &trackway_store::NoProgress) {
            Ok(Some(tidied)) if tidied.did_something() && !self.terminal.is_quiet() => {
                let mut parts = Vec::new();
                if tidied.objects > 0 {
                    parts.push(format!("{} ({}) went to the trash", objects(tidied.objects), size(tidied.bytes)));
                }
                if tidied.freed_objects > 0 {
                    parts.push(format!(
                        "{} ({}) in the trash were deleted",
                        objects(tidied.freed_objects),
                        size(tidied.freed_bytes)
                    ));
                }
                self.terminal.notice(format!(
                    "Cache: {}. It takes {} now (`trackway gc --undo`, `trackway cache status`).",
                    parts.join(", "),
                    size(tidied.cache_bytes + tidied.trash_bytes)
                ));
            }
            Ok(_) => {}
            Err(error) => self.terminal.warning(format!("The cache was not kept in its bounds: {error}")),
        }
    }
}
