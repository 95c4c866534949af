use std::ffi::OsString;
use std::process::ExitCode;

use serde::{Serialize, Serializer};
use trackway_repo::diff::{Diff, DiffOptions, Entry};

use super::context::Context;
use crate::failure::Failure;
use crate::terminal::{Colour, table};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these tracked files and folders
    #[arg(long, value_name = "paths", num_args = 0..)]
    pub targets: Option<Vec<OsString>>,

    /// The older revision
    #[arg(value_name = "a_rev", default_value = "HEAD")]
    pub a_rev: String,

    /// The newer revision [default: the work tree]
    #[arg(value_name = "b_rev")]
    pub b_rev: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Show the hashes
    #[arg(long)]
    pub show_hash: bool,

    /// Print a table in Markdown
    #[arg(long = "md")]
    pub markdown: bool,

    /// Leave out what is missing from the cache
    #[arg(long)]
    pub hide_missing: bool,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    // As DVC 3.67: between two revisions nobody asks for the cache.
    let hides_missing = args.hide_missing || args.b_rev.as_deref().is_some_and(|rev| !rev.is_empty());
    let options = DiffOptions {
        old: args.a_rev,
        new: args.b_rev.filter(|rev| !rev.is_empty()),
        targets: context.targets(&args.targets.unwrap_or_default())?,
        look_for_missing: !args.hide_missing || args.json,
    };
    let progress = context.terminal.progress();
    let diff = context.on_repo(|repo| {
        // Refused as stock refuses it while another command holds the repository.
        drop(repo.lock()?);
        repo.diff(&options, &progress).map_err(|error| Failure::from(error).caught("failed to get diff"))
    })?;
    drop(progress);
    let shown = Shown { diff: &diff, hides_missing, shows_hashes: args.show_hash };
    if args.json {
        context.terminal.json(&shown)?;
    } else if args.markdown {
        context.terminal.line(shown.markdown())?;
    } else {
        shown.tell(context)?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Shown<'a> {
    diff: &'a Diff,
    hides_missing: bool,
    shows_hashes: bool,
}

impl<'a> Shown<'a> {
    /// The lists in the order in which people read them.
    fn lists(&self) -> Vec<(&'static str, Colour, &'a [Entry])> {
        let diff = self.diff;
        let mut lists = vec![
            ("added", Colour::Green, &diff.added[..]),
            ("deleted", Colour::Red, &diff.deleted[..]),
            ("renamed", Colour::Green, &diff.renamed[..]),
            ("modified", Colour::Yellow, &diff.modified[..]),
        ];
        if !self.hides_missing {
            lists.push(("not in cache", Colour::Yellow, &diff.not_in_cache[..]));
        }
        lists
    }

    fn tell(&self, context: &Context) -> Result<(), Failure> {
        let mut counts = Vec::new();
        for (state, colour, entries) in self.lists() {
            if entries.is_empty() {
                continue;
            }
            let header = format!("{}{}", state[..1].to_uppercase(), &state[1..]);
            context.terminal.line(format!("{}:", context.terminal.paint(&header, colour)))?;
            for entry in entries {
                let digest = if self.shows_hashes { digest(entry) } else { None };
                let digest = digest.map(|digest| format!("{digest}  ")).unwrap_or_default();
                context.terminal.line(format!("    {digest}{}", path(entry)))?;
            }
            context.terminal.line("")?;
            let files = entries.iter().filter(|entry| !path(entry).ends_with('/')).count();
            if files > 0 {
                counts.push(format!("{files} {state}"));
            }
        }
        match counts.is_empty() {
            true => Ok(()),
            false => context.terminal.line(format!("files summary: {}", counts.join(", "))),
        }
    }

    fn markdown(&self) -> String {
        let headers: &[&str] = if self.shows_hashes { &["Status", "Hash", "Path"] } else { &["Status", "Path"] };
        let rows = self.lists().into_iter().flat_map(|(state, _, entries)| {
            entries.iter().map(move |entry| {
                let hash = self.shows_hashes.then(|| digest(entry).unwrap_or_default());
                std::iter::once(state.to_owned()).chain(hash).chain([path(entry)]).collect()
            })
        });
        table::markdown(headers, &rows.collect::<Vec<_>>())
    }
}

/// `old -> new` for what was renamed.
fn path(entry: &Entry) -> String {
    match &entry.new_path {
        Some(new) => format!("{} -> {new}", entry.path),
        None => entry.path.clone(),
    }
}

/// The first eight digits, of what was modified both.
fn digest(entry: &Entry) -> Option<String> {
    let short = |hash: trackway_store::Hash| hash.oid.hex().as_str()[..8].to_owned();
    match (entry.hash, entry.new_hash) {
        (Some(old), Some(new)) => Some(format!("{}..{}", short(old), short(new))),
        (hash, _) => hash.map(short),
    }
}

/// `{"added": [{"path": …, "hash": …}], "deleted": …, "modified": …, "renamed": …, "not in cache": …}`
impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let diff = self.diff;
        if diff.is_empty() {
            return serializer.collect_map(std::iter::empty::<(&str, &str)>());
        }
        let list = |entries: &'_ [Entry], is_modified: bool| -> Vec<JsonEntry> {
            entries.iter().map(|entry| JsonEntry::of(entry, is_modified, self.shows_hashes)).collect()
        };
        let mut lists = vec![
            ("added", list(&diff.added, false)),
            ("deleted", list(&diff.deleted, false)),
            ("modified", list(&diff.modified, true)),
            ("renamed", list(&diff.renamed, false)),
        ];
        if !self.hides_missing {
            lists.push(("not in cache", list(&diff.not_in_cache, false)));
        }
        serializer.collect_map(lists)
    }
}

#[derive(Serialize)]
struct JsonEntry {
    path: OneOrBoth<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<OneOrBoth<Option<String>>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OneOrBoth<T> {
    One(T),
    Both { old: T, new: T },
}

impl JsonEntry {
    fn of(entry: &Entry, is_modified: bool, shows_hash: bool) -> JsonEntry {
        let text = |hash: Option<trackway_store::Hash>| hash.map(|hash| hash.oid.to_string());
        let hash = match is_modified {
            true => OneOrBoth::Both { old: text(entry.hash), new: text(entry.new_hash) },
            false => OneOrBoth::One(text(entry.hash)),
        };
        let path = match &entry.new_path {
            Some(new) => OneOrBoth::Both { old: entry.path.clone(), new: new.clone() },
            None => OneOrBoth::One(entry.path.clone()),
        };
        JsonEntry { path, hash: shows_hash.then_some(hash) }
    }
}
