use std::ffi::OsString;
use std::process::ExitCode;

use trackway_repo::Error;
use trackway_repo::checkout::{CheckedOut, CheckoutOptions};
use trackway_repo::index::Follow;

use super::context::{Context, Style};
use crate::failure::Failure;
use crate::terminal::Colour;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Count the changes instead of listing them
    #[arg(long)]
    pub summary: bool,

    /// Check out what the targets depend on too
    #[arg(short = 'd', long)]
    pub with_deps: bool,

    /// Take a target that is a folder for all the .dvc files and stages in it
    #[arg(short = 'R', long)]
    pub recursive: bool,

    /// Remove files of the work tree without asking, saved or not
    #[arg(short, long)]
    pub force: bool,

    /// Make the links or copies anew
    #[arg(long)]
    pub relink: bool,

    /// Go on when data is missing from the cache
    #[arg(long)]
    pub allow_missing: bool,

    /// Tracked files and folders, .dvc files and stages; all of them if none is named
    #[arg(value_name = "targets")]
    pub targets: Vec<OsString>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let targets = context.targets(&args.targets)?;
    let options = CheckoutOptions {
        follow: Follow { with_deps: args.with_deps, recursive: args.recursive },
        force: args.force,
        relink: args.relink,
        allow_missing: args.allow_missing,
    };
    let progress = context.terminal.progress();
    let done = context.on_repo(|repo| {
        let done = repo.checkout(&targets, options, &progress)?;
        context.keep_in_bounds(repo);
        Ok(done)
    })?;
    drop(progress);
    if args.summary {
        context.terminal.line(summary(&done))?;
    } else {
        tell_changes(&done, context)?;
    }
    if !done.failed.is_empty() && !args.allow_missing {
        tell_reasons(&done, context);
        return Err(Error::Checkout(done.failed).into());
    }
    if args.relink {
        context.terminal.line("Relinked successfully")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Which objects are missing or wrong; stock does not say it.
pub fn tell_reasons(done: &CheckedOut, context: &Context) {
    const SHOWN: usize = 10;
    for reason in done.reasons.iter().take(SHOWN) {
        if context.style == Style::Trackway || reason.contains("corrupted") || reason.contains("refused") {
            context.terminal.warning(reason);
        }
    }
    if context.style == Style::Trackway && done.reasons.len() > SHOWN {
        context.terminal.warning(format!("{} more objects could not be had.", done.reasons.len() - SHOWN));
    }
}

/// A line for each output that changed, as `git status --short` has them.
pub fn tell_changes(done: &CheckedOut, context: &Context) -> Result<(), Failure> {
    let lists =
        [("M", &done.modified, Colour::Yellow), ("A", &done.added, Colour::Green), ("D", &done.deleted, Colour::Red)];
    for (letter, paths, colour) in lists {
        for path in paths {
            context.terminal.line(format!("{}\t{path}", context.terminal.paint(letter, colour)).replace('\t', TAB))?;
        }
    }
    Ok(())
}

/// Stock's console library widens the tab behind the letter to the next column of eight.
const TAB: &str = "       ";

/// `2 files modified, 1 file added and 1 file deleted`
pub fn summary(done: &CheckedOut) -> String {
    let counted = [(done.files.modified, "modified"), (done.files.added, "added"), (done.files.deleted, "deleted")];
    let parts: Vec<_> = counted
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} file{} {what}", if *count == 1 { "" } else { "s" }))
        .collect();
    match parts.as_slice() {
        [] => "No changes.".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
