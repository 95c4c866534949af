//! The commands of DVC, in stock's order. A new command is a file with `Args` and `run`, and a line here.

use std::process::ExitCode;

use clap::{ArgMatches, Args as _, FromArgMatches as _};

use super::context::{Context, Style};
use super::*;
use crate::failure::Failure;

pub struct Command {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    /// What `--help` says of it; empty for those that people do not type.
    pub about: &'static str,
    pub built: Option<Built>,
}

/// Functions and not values: to start one command, no other command's arguments are put together.
#[derive(Clone, Copy)]
pub struct Built {
    pub arguments: fn(clap::Command) -> clap::Command,
    pub run: fn(&ArgMatches, &Context) -> Result<ExitCode, Failure>,
}

macro_rules! built {
    ($name:literal, $module:ident, $aliases:expr, $about:literal) => {
        built!($name, $module, Args, run, $aliases, $about)
    };
    ($name:literal, $module:ident, $args:ident, $run:ident, $aliases:expr, $about:literal) => {
        Command {
            name: $name,
            aliases: $aliases,
            about: $about,
            built: Some(Built {
                arguments: $module::$args::augment_args,
                run: |matches, context| {
                    let args = $module::$args::from_arg_matches(matches).map_err(Failure::Arguments)?;
                    $module::$run(args, context)
                },
            }),
        }
    };
}

macro_rules! later {
    ($name:literal, $aliases:expr, $about:literal) => {
        Command { name: $name, aliases: $aliases, about: $about, built: None }
    };
}

pub const COMMANDS: &[Command] = &[
    built!("add", add, &[], "Track files and folders with DVC"),
    later!("artifacts", &[], "Download artifacts of the model registry"),
    built!("cache", cache, &[], "Show, move and migrate the cache"),
    built!("check-ignore", check_ignore, &[], "Say which paths `.dvcignore` excludes"),
    built!("checkout", checkout, &[], "Bring the work tree's data to what the .dvc files say"),
    built!("commit", commit, &[], "Put changed data into the cache and record it"),
    built!("completion", completion, &[], "Print a script for the shell's tab completion"),
    built!("config", config, &[], "Show and change settings"),
    later!("daemon", &[], ""),
    later!("dag", &[], "Draw the graph of stages"),
    built!("data", data, &[], "Ask after tracked data"),
    built!("pull", pull, &[], "Download tracked data from a remote and check it out"),
    built!("push", push, &[], "Upload tracked data to a remote"),
    built!("fetch", fetch, &[], "Download tracked data from a remote into the cache"),
    built!("status", status, &[], "Show what changed, or how cache and remote differ"),
    later!("dataset", &["ds"], ""),
    built!("destroy", destroy, &[], "Remove all of DVC's files, its settings and the cache"),
    built!("diff", diff, &[], "Show which data differs between two revisions, or from the work tree"),
    built!("du", du, &[], "Show how much space tracked data takes"),
    later!("experiments", &["exp"], "Run and compare experiments"),
    built!("freeze", freeze, &[], "Freeze stages or .dvc files: they are not run or updated"),
    built!("unfreeze", freeze, Args, run_unfreeze, &[], "Unfreeze stages or .dvc files"),
    built!("gc", gc, &[], "Remove objects that nothing needs from the cache or a remote"),
    built!("get", get, &[], "Copy a file or folder out of a repository"),
    built!("get-url", get_url, &[], "Download from a URL"),
    built!("git-hook", git_hook, &[], ""),
    built!("import", import, &[], "Copy data from another repository and track where it came from"),
    later!("import-db", &[], "Snapshot a database's table or query as a file"),
    later!("test-db", &[], ""),
    built!("import-url", import_url, &[], "Copy data from a URL and track where it came from"),
    built!("init", init, &[], "Make a DVC repository"),
    built!("install", install, &[], "Install git hooks and the merge driver"),
    built!("list", list, &["ls"], "List what a repository holds, tracked by DVC or by git"),
    built!("list-url", list_url, &["ls-url"], "List what is at a URL"),
    later!("metrics", &[], "Show and compare metrics"),
    built!("move", move_, &["mv"], "Rename or move tracked data"),
    later!("params", &[], "Compare parameters"),
    later!("plots", &[], "Draw and compare plots"),
    later!("queue", &[], "Manage queued experiments"),
    built!("remote", remote, &[], "Set up and show remotes"),
    built!("remove", remove, &["rm"], "Stop tracking data, or remove stages"),
    later!("repro", &[], "Run the stages whose dependencies changed"),
    built!("root", root, &[], "Print the relative path to the repository's root"),
    later!("stage", &[], "Make and list stages"),
    later!("studio", &[], "Log in to DVC Studio"),
    built!("unprotect", unprotect, &[], "Turn links to the cache into files of your own"),
    built!("update", update, &[], "Bring imports up to date"),
    built!("version", version, &["doctor"], "Show versions, settings and what the system can do"),
];

/// Commands that plain `trackway` has for itself: some in place of DVC's, some beside them.
pub const OWN: &[Command] = &[
    built!("cache", own_cache, &[], "Show what holds the cache's space, and set what is kept"),
    built!("fsck", fsck, &[], "Verify every object and every reference, and repair"),
    built!("gc", tidy, &[], "Move what nothing needs out of the cache, to where it can be had back"),
];

pub fn find(style: Style, name: &str) -> Option<&'static Command> {
    let named = |command: &&'static Command| command.name == name || command.aliases.contains(&name);
    let own = OWN.iter().find(named).filter(|_| style == Style::Trackway);
    own.or_else(|| COMMANDS.iter().find(named))
}

/// All commands of one style, in stock's order; what only plain `trackway` has comes last.
pub fn all(style: Style) -> impl Iterator<Item = &'static Command> {
    let added = OWN
        .iter()
        .filter(move |own| style == Style::Trackway && COMMANDS.iter().all(|command| command.name != own.name));
    COMMANDS.iter().map(move |command| find(style, command.name).unwrap_or(command)).chain(added)
}

/// Every word that names a command, in stock's order.
pub fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().flat_map(|command| std::iter::once(command.name).chain(command.aliases.iter().copied()))
}
