use std::ffi::OsString;
use std::process::ExitCode;

use serde::{Serialize, Serializer};
use trackway_repo::data_status::{Changed, Changes, DataStatus, DataStatusOptions};

use super::super::context::Context;
use crate::failure::Failure;
use crate::terminal::Colour;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Tracked files and folders, .dvc files and stages; all of them if none is named
    #[arg(value_name = "targets")]
    pub targets: Vec<OsString>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// List the files in tracked folders
    #[arg(long)]
    pub granular: bool,

    /// List what is unchanged too
    #[arg(long)]
    pub unchanged: bool,

    /// List files that neither git nor DVC tracks
    #[arg(
        long,
        value_name = "untracked_files",
        value_parser = ["no", "all"],
        num_args = 0..=1,
        default_value = "no",
        default_missing_value = "all"
    )]
    pub untracked_files: String,

    /// The remote to look in, with --not-in-remote [default: core.remote]
    #[arg(short, long, value_name = "name")]
    pub remote: Option<String>,

    /// List what the remote does not have
    #[arg(long)]
    pub not_in_remote: bool,

    /// Trust what is remembered of the remote instead of asking it
    #[arg(long)]
    pub no_remote_refresh: bool,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let options = DataStatusOptions {
        targets: context.targets(&args.targets)?,
        granular: args.granular,
        untracked: args.untracked_files == "all",
        git_state: !args.json && !context.terminal.is_quiet(),
        not_in_remote: args.not_in_remote,
        remote: args.remote.clone(),
    };
    let progress = context.terminal.progress();
    let status = context.on_repo(|repo| Ok(repo.data_status(&options, &progress)?))?;
    drop(progress);
    let mut sections: Vec<Section<'_>> = vec![
        Section::list("not_in_cache", &status.not_in_cache),
        Section::list("not_in_remote", &status.not_in_remote),
        Section { name: "committed", content: Content::Changes(&status.committed) },
        Section { name: "uncommitted", content: Content::Changes(&status.uncommitted) },
    ];
    if args.untracked_files != "no" {
        sections.push(Section::list("untracked", &status.untracked));
    }
    if args.unchanged {
        sections.push(Section::list("unchanged", &status.unchanged));
    }
    sections.retain(|section| !section.is_empty());
    if args.json {
        context.terminal.json(&Json(&sections))?;
    } else {
        tell(&sections, &status, context)?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Section<'a> {
    name: &'static str,
    content: Content<'a>,
}

enum Content<'a> {
    Paths(&'a [String]),
    Changes(&'a Changes),
}

impl<'a> Section<'a> {
    fn list(name: &'static str, paths: &'a [String]) -> Section<'a> {
        Section { name, content: Content::Paths(paths) }
    }

    fn is_empty(&self) -> bool {
        match self.content {
            Content::Paths(paths) => paths.is_empty(),
            Content::Changes(changes) => changes.0.is_empty(),
        }
    }

    /// What a person is told: the title, what to do about it, the colour.
    fn words(&self) -> (&'static str, &'static [&'static str], Option<Colour>) {
        match self.name {
            "not_in_cache" => ("Not in cache", &["use \"dvc fetch <file>...\" to download files"], Some(Colour::Red)),
            "not_in_remote" => ("Not in remote", &["use \"dvc push <file>...\" to upload files"], Some(Colour::Red)),
            "committed" => (
                "DVC committed changes",
                &["git commit the corresponding dvc files to update the repo"],
                Some(Colour::Green),
            ),
            "uncommitted" => (
                "DVC uncommitted changes",
                &["use \"dvc commit <file>...\" to track changes", "use \"dvc checkout <file>...\" to discard changes"],
                Some(Colour::Yellow),
            ),
            "untracked" => (
                "Untracked files",
                &["use \"git add <file> ...\" or \"dvc add <file>...\" to commit to git or to dvc"],
                Some(Colour::Cyan),
            ),
            _ => ("DVC unchanged files", &[], None),
        }
    }
}

fn tell(sections: &[Section<'_>], status: &DataStatus, context: &Context) -> Result<(), Failure> {
    let terminal = &context.terminal;
    if sections.is_empty() {
        terminal.line(if status.git.is_empty { "No changes in an empty git repo." } else { "No changes." })?;
    }
    for (at, section) in sections.iter().enumerate() {
        if at > 0 {
            terminal.line("")?;
        }
        let (title, hints, colour) = section.words();
        terminal.line(format!("{title}:"))?;
        for hint in hints {
            terminal.line(format!("  ({hint})"))?;
        }
        let tell = |item: &str| {
            let line = format!("        {item}");
            terminal.line(colour.map_or(line.clone(), |colour| terminal.paint(&line, colour)))
        };
        match section.content {
            Content::Paths(paths) => paths.iter().try_for_each(|path| tell(path))?,
            Content::Changes(changes) => {
                for (state, list) in &changes.0 {
                    for change in list {
                        match change {
                            Changed::Path(path) => tell(&format!("{state}: {path}"))?,
                            Changed::Renamed { old, new } => tell(&format!("{state}: {old} -> {new}"))?,
                        }
                    }
                }
            }
        }
    }
    if status.git.is_dirty {
        let other = if sections.is_empty() { "" } else { "other " };
        let message = format!("(there are {other}changes not tracked by dvc, use \"git status\" to see)");
        terminal.line(terminal.paint(&message, Colour::Blue))?;
    }
    Ok(())
}

/// `{"committed": {"added": ["data/"], "renamed": [{"old": …, "new": …}]}, "unchanged": […]}`
struct Json<'a>(&'a [Section<'a>]);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|section| (section.name, &section.content)))
    }
}

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Content::Paths(paths) => paths.serialize(serializer),
            Content::Changes(changes) => serializer.collect_map(
                changes.0.iter().map(|(state, list)| (state, list.iter().map(JsonChange).collect::<Vec<_>>())),
            ),
        }
    }
}

struct JsonChange<'a>(&'a Changed);

impl Serialize for JsonChange<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Changed::Path(path) => serializer.serialize_str(path),
            Changed::Renamed { old, new } => serializer.collect_map([("old", old), ("new", new)]),
        }
    }
}
