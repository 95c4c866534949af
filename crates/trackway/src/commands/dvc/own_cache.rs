//! `trackway cache`: DVC's subcommands, and what plain `trackway` has beside them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use trackway_repo::cache_status::{CacheStatus, Share};
use trackway_repo::config::settings::{self, Scope};
use trackway_store::HashName;

use super::cache;
use super::context::Context;
use crate::failure::Failure;
use crate::terminal::table::{Align, plain};
use crate::terminal::words::size;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(flatten)]
    Dvc(cache::Command),
    /// Show what holds the space: by project, by revision, trash, older layout, run cache
    Status {
        /// Tell it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Set what the cache keeps; without options, show it
    ///
    /// The settings are in .dvc/trackway.ini. They are enforced after `add`, `pull` and `checkout`, which then take only what
    /// a remote has and what is older than a day, and they are what `trackway gc` without options does.
    Keep {
        /// Keep what so many of the newest commits need
        #[arg(long, value_name = "count")]
        commits: Option<u32>,
        /// Let the cache with its trash take at most so much, such as 200G
        #[arg(long, value_name = "size")]
        max_size: Option<String>,
        /// How long removed objects can be had back, such as 7d
        #[arg(long, value_name = "time")]
        trash_grace: Option<String>,
        /// Whether to collect without being asked
        #[arg(long, value_name = "true|false")]
        auto: Option<bool>,
        /// Remove a setting: commits, max-size, trash-grace or auto
        #[arg(long, value_name = "name", value_parser = ["commits", "max-size", "trash-grace", "auto"])]
        unset: Vec<String>,
        /// For all of this user's repositories, not for this one
        #[arg(long)]
        user: bool,
        /// Tell it as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the projects that are known to use this cache
    Projects {
        /// Tell it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a project off the list of those whose data is kept
    Forget {
        /// The project's folder
        #[arg(value_name = "path")]
        project: OsString,
    },
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Dvc(command) => return cache::run(cache::Args { command }, context),
        Command::Status { json } => {
            let status = context.on_repo(|repo| Ok(repo.cache_status()?))?;
            if json { context.terminal.json(&as_json(&status))? } else { tell(&status, context)? }
        }
        Command::Keep { commits, max_size, trash_grace, auto, unset, user, json } => {
            let mut changes: Vec<(&str, Option<String>)> = Vec::new();
            let mut set = |name, value: Option<String>| changes.extend(value.map(|value| (name, Some(value))));
            set("commits", commits.map(|count| count.to_string()));
            set("max-size", max_size);
            set("trash-grace", trash_grace);
            set("auto", auto.map(|auto| auto.to_string()));
            changes.extend(unset.iter().map(|name| (name.as_str(), None)));
            keep(context, &changes, if user { Scope::User } else { Scope::Repo }, json)?;
        }
        Command::Projects { json } => {
            let projects = context
                .on_repo(|repo| Ok(repo.cache(HashName::Md5)?.projects().map_err(trackway_repo::Error::from)?))?;
            let shown: Vec<String> = projects.iter().map(|path| path.to_string_lossy().into_owned()).collect();
            if json {
                context.terminal.json(&shown)?;
            } else {
                shown.iter().try_for_each(|path| context.terminal.line(path))?;
                context.terminal.notice("Projects in which only stock DVC works are not known.");
            }
        }
        Command::Forget { project } => {
            let path = trackway_repo::paths::absolute(Path::new(&project), &context.folder);
            let known = context.on_repo(|repo| {
                Ok(repo.cache(HashName::Md5)?.unregister(&path).map_err(trackway_repo::Error::from)?)
            })?;
            if !known {
                return Err(Failure::failed(format!(
                    "The project '{}' is not on the list. `trackway cache projects` shows it.",
                    path.display()
                )));
            }
            context.terminal.line(format!("What '{}' needs is no longer kept for it.", path.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

const SETTINGS: [(&str, &str); 4] = [
    ("commits", "cache.keep_commits"),
    ("max-size", "cache.max_size"),
    ("trash-grace", "cache.trash_grace"),
    ("auto", "cache.auto"),
];

fn keep(context: &Context, changes: &[(&str, Option<String>)], scope: Scope, json: bool) -> Result<(), Failure> {
    let env = context.environment();
    let dvc_dir: Option<PathBuf> = trackway_repo::find_root(&context.folder).ok().map(|root| root.join(".dvc"));
    let failed = |error: settings::SettingsError| Failure::from(trackway_repo::Error::from(error));
    for (name, value) in changes {
        let Some((_, setting)) = SETTINGS.iter().find(|(known, _)| known == name) else { continue };
        settings::set(scope, setting, value.as_deref(), dvc_dir.as_deref(), &env).map_err(failed)?;
    }
    let mut shown = serde_json::Map::new();
    for (name, setting) in SETTINGS {
        let mut value = None;
        for scope in [Scope::Repo, Scope::User] {
            if value.is_none() {
                value = settings::get(scope, setting, dvc_dir.as_deref(), &env).map_err(failed)?;
            }
        }
        if json {
            shown.insert(name.to_owned(), value.map_or(Value::Null, Value::String));
        } else {
            context.terminal.line(format!("{name:<12} {}", value.as_deref().unwrap_or("(not set)")))?;
        }
    }
    if json { context.terminal.json(&Value::Object(shown)) } else { Ok(()) }
}

fn tell(status: &CacheStatus, context: &Context) -> Result<(), Failure> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |what: String, share: Share| {
        rows.push(vec![size(share.bytes), share.objects.to_string(), what]);
    };
    row(format!("{} in all", status.root.display()), status.total);
    for project in &status.projects {
        row(format!("the work tree of {}", project.root.display()), project.work_tree);
        row(format!("  beside it, its {} newest commits", status.newest), project.newest);
        row("  only its older history".to_owned(), project.old);
    }
    row("needed by no project that is known".to_owned(), status.unreached);
    if status.legacy.objects > 0 {
        row("of all, in the layout of DVC 2".to_owned(), status.legacy);
    }
    row("in the trash".to_owned(), status.trash);
    row("run cache".to_owned(), status.runs);
    if status.damaged.objects > 0 {
        row("damaged, set aside by fsck".to_owned(), status.damaged);
    }
    context.terminal.line(plain(&rows, &[Align::Right, Align::Right]))?;
    for project in &status.projects {
        if let Some(why) = &project.unreadable {
            context.terminal.warning(format!("{}: {why}", project.root.display()));
        }
    }
    Ok(())
}

fn as_json(status: &CacheStatus) -> Value {
    let share = |share: Share| json!({"objects": share.objects, "size": share.bytes});
    let projects: Vec<Value> = status
        .projects
        .iter()
        .map(|project| {
            json!({
                "root": project.root.to_string_lossy(),
                "work_tree": share(project.work_tree),
                "newest_commits": share(project.newest),
                "older_history": share(project.old),
                "problem": project.unreadable,
            })
        })
        .collect();
    json!({
        "root": status.root.to_string_lossy(),
        "total": share(status.total),
        "legacy": share(status.legacy),
        "projects": projects,
        "newest": status.newest,
        "not_needed": share(status.unreached),
        "trash": share(status.trash),
        "run_cache": share(status.runs),
        "damaged": share(status.damaged),
        "settings": {
            "commits": status.settings.keep_commits,
            "max_size": status.settings.max_size,
            "trash_grace": status.settings.trash_grace.map(|grace| grace.as_secs()),
            "auto": status.settings.auto,
        },
    })
}
