use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use trackway_repo::ignore::DvcIgnore;
use trackway_repo::paths;

use super::context::Context;
use crate::failure::{Failure, code};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show the line that decided
    #[arg(short, long)]
    pub details: bool,

    /// Show all the lines that match, not only the one that decided
    #[arg(short, long, hide = true)]
    pub all: bool,

    /// With --details, show paths too that no line matches
    #[arg(short, long)]
    pub non_matching: bool,

    /// Read paths from standard input, one a line
    #[arg(long)]
    pub stdin: bool,

    /// Files and folders
    #[arg(value_name = "targets")]
    pub targets: Vec<OsString>,
}

impl Args {
    fn check(&self, quiet: bool) -> Result<(), Failure> {
        let wrong = if !self.stdin && self.targets.is_empty() {
            "`targets` or `--stdin` needed"
        } else if self.stdin && !self.targets.is_empty() {
            "cannot have both `targets` and `--stdin`"
        } else if self.non_matching && !self.details {
            "`--non-matching` is only valid with `--details`"
        } else if self.all && !self.details {
            "`--all` is only valid with `--details`"
        } else if quiet && self.details {
            "cannot use both `--details` and `--quiet`"
        } else {
            return Ok(());
        };
        Err(Failure::uncaught(wrong))
    }
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let repo = context.repo()?;
    args.check(context.terminal.is_quiet())?;
    let ignore = repo.dvcignore()?;
    let mut any = false;
    if args.stdin {
        for line in io::stdin().lock().split(b'\n') {
            let line = line.map_err(|error| Failure::unexpected(format!("cannot read standard input: {error}")))?;
            // As DVC 3.67: an empty line ends it.
            if line.is_empty() {
                break;
            }
            any |= args.show(&ignore, OsStr::from_bytes(&line), context)?;
            // Whoever feeds the lines may wait for the answer to each.
            context.terminal.flush()?;
        }
    }
    for target in &args.targets {
        any |= args.show(&ignore, target, context)?;
    }
    Ok(if any { ExitCode::SUCCESS } else { ExitCode::from(code::FAILED) })
}

impl Args {
    /// Whether a line of an ignore file is about `target`: without details one that hides it, with details any.
    fn show(&self, ignore: &DvcIgnore, target: &OsStr, context: &Context) -> Result<bool, Failure> {
        let path = paths::absolute(Path::new(target), &context.folder);
        let found = ignore.check(&path, path.is_dir());
        if !self.details {
            if found.ignored {
                context.terminal.line(target.as_bytes())?;
            }
            return Ok(found.ignored);
        }
        let matched = found.pattern.is_some();
        if let Some(pattern) = found.pattern.or_else(|| self.non_matching.then(|| "::".to_owned())) {
            context.terminal.line([pattern.as_bytes(), b"\t", target.as_bytes()].concat())?;
        }
        Ok(matched)
    }
}
