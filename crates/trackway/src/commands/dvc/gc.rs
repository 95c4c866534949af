use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use trackway_repo::gc::{GcOptions, Swept, SweptPlace};
use trackway_repo::revisions::RevisionOptions;

use super::context::Context;
use super::words::int;
use crate::failure::Failure;

/// What is kept: options that plain `trackway gc` has, too.
#[derive(Debug, Default, clap::Args)]
pub struct Scope {
    /// Keep what the work tree needs
    #[arg(short, long)]
    pub workspace: bool,

    /// Keep what this commit needs
    #[arg(long, value_name = "commit")]
    pub rev: Option<String>,

    /// Keep what the last so many commits need, counted from --rev or from each branch [default: 1]
    #[arg(short, long, value_name = "num", value_parser = int, allow_negative_numbers = true)]
    pub num: Option<i64>,

    /// Keep what the tip of any branch needs
    #[arg(short = 'a', long)]
    pub all_branches: bool,

    /// Keep what any tag needs
    #[arg(short = 'T', long)]
    pub all_tags: bool,

    /// Keep what any commit needs
    #[arg(short = 'A', long)]
    pub all_commits: bool,

    /// Keep what commits since this day need
    #[arg(long = "date", value_name = "yyyy-mm-dd")]
    pub commit_date: Option<String>,

    /// Keep what any experiment needs
    #[arg(long)]
    pub all_experiments: bool,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub scope: Scope,

    /// Keep what the remote does not have
    #[arg(long)]
    pub not_in_remote: bool,

    /// Collect in the remote as well
    #[arg(short, long)]
    pub cloud: bool,

    /// The remote to collect in [default: core.remote]
    #[arg(short, long, value_name = "name")]
    pub remote: Option<String>,

    /// Pass over revisions that cannot be read
    #[arg(long)]
    pub skip_failed: bool,

    /// Do not ask
    #[arg(short, long)]
    pub force: bool,

    /// How many transfers at once [default: four for each processor]
    #[arg(short, long, value_name = "number", value_parser = int, allow_negative_numbers = true)]
    pub jobs: Option<i64>,

    /// Keep what these repositories need too: those that share the cache
    #[arg(short = 'p', long = "projects", value_name = "paths", num_args = 0..)]
    pub projects: Vec<OsString>,

    /// Only list what would go
    #[arg(long)]
    pub dry: bool,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    check_scope(&args)?;
    context.on_repo(|repo| {
        context.terminal.warning(warning(&args, context));
        let force = args.force || args.dry;
        if !force && !context.terminal.confirm("Are you sure you want to proceed?")? {
            return Ok(ExitCode::FAILURE);
        }
        let options = GcOptions {
            revisions: revisions(&args.scope)?,
            force,
            cloud: args.cloud,
            remote: args.remote.clone(),
            not_in_remote: args.not_in_remote,
            skip_failed: args.skip_failed,
            projects: args.projects.iter().map(PathBuf::from).collect(),
            dry: args.dry,
        };
        let mut asked = None;
        let mut ask = |question: &str| match context.terminal.confirm_on_a_terminal(question) {
            Ok(answer) => answer,
            Err(failure) => {
                asked = Some(failure);
                false
            }
        };
        let progress = context.terminal.progress();
        let swept = repo.gc(&options, &mut ask, &progress);
        drop(progress);
        if let Some(failure) = asked {
            return Err(failure);
        }
        for one in swept? {
            tell(&one, context)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn tell(swept: &Swept, context: &Context) -> Result<(), Failure> {
    use std::os::unix::ffi::OsStrExt;
    for path in &swept.paths {
        context.terminal.line([b"Removing ", path.as_os_str().as_bytes()].concat())?;
    }
    context.terminal.line(match (swept.place, swept.count) {
        (SweptPlace::Cache, 0) => "No unused 'repo' cache to remove.".to_owned(),
        (SweptPlace::LegacyCache, 0) => "No unused 'legacy' cache to remove.".to_owned(),
        (SweptPlace::Remote, 0) => "No unused cache to remove from remote.".to_owned(),
        (SweptPlace::Cache, count) => format!("Removed {count} objects from repo cache."),
        (SweptPlace::LegacyCache, count) => format!("Removed {count} objects from legacy cache."),
        (SweptPlace::Remote, count) => format!("Removed {count} objects from remote."),
    })
}

/// As DVC 3.67 refuses arguments that say nothing, or that contradict each other.
fn check_scope(args: &Args) -> Result<(), Failure> {
    if args.not_in_remote && args.cloud {
        return Err(Failure::uncaught("`--not-in-remote` and `--cloud` are mutually exclusive"));
    }
    // A number is one of Python's truths: 0 is none.
    let num = args.scope.num.is_some_and(|num| num != 0);
    if !(has_scope(&args.scope) || num) {
        return Err(Failure::uncaught(
            "Either of `-w|--workspace`, `-a|--all-branches`, `-T|--all-tags` `--all-experiments`, `--all-commits`, `--date` or `--rev` needs to be set.",
        ));
    }
    if num && !(given(&args.scope.rev) || args.scope.all_branches) {
        return Err(Failure::uncaught("`--num` can only be used alongside `--rev` or `--all-branches`"));
    }
    Ok(())
}

/// Whether it was said what is kept.
pub fn has_scope(args: &Scope) -> bool {
    args.workspace
        || args.all_tags
        || args.all_commits
        || args.all_branches
        || args.all_experiments
        || given(&args.commit_date)
        || given(&args.rev)
}

fn given(text: &Option<String>) -> bool {
    text.as_ref().is_some_and(|text| !text.is_empty())
}

/// What is said before anything is asked, in stock's words.
fn warning(args: &Args, context: &Context) -> String {
    let num = args.scope.num.filter(|num| *num != 0).or(given(&args.scope.rev).then_some(1));
    let mut text = "This will remove all cache except items used in the workspace".to_owned();
    if args.scope.all_commits {
        text.push_str(" and all git commits");
    } else {
        match (args.scope.all_branches, args.scope.all_tags, num) {
            (true, true, Some(num)) => {
                text.push_str(&format!(" and last {num} commits from all git branches and all git tags"));
            }
            (true, true, None) => text.push_str(" and all git branches and tags"),
            (true, false, Some(num)) => text.push_str(&format!(" and last {num} commits from all git branches")),
            (true, false, None) => text.push_str(" and all git branches"),
            (false, true, _) => text.push_str(" and all git tags"),
            (false, false, _) => {}
        }
        if let Some(date) = args.scope.commit_date.as_ref().filter(|date| !date.is_empty()) {
            text.push_str(&format!(" and all git commits before date {date}"));
        }
        if let (Some(rev), Some(num)) = (args.scope.rev.as_ref().filter(|rev| !rev.is_empty()), num) {
            text.push_str(&format!(" and last {num} commits from {rev}"));
        }
    }
    if args.scope.all_experiments {
        text.push_str(" and all experiments");
    }
    if args.not_in_remote {
        text.push_str(" that are not present in the DVC remote");
    }
    if args.projects.is_empty() {
        text.push_str(" of the current repo.");
    } else {
        text.push_str(" of the current and the following repos:");
        for project in &args.projects {
            let path = trackway_repo::paths::absolute(Path::new(project), &context.folder);
            text.push_str(&format!("\n  - {}", path.display()));
        }
    }
    text
}

pub fn revisions(args: &Scope) -> Result<RevisionOptions, Failure> {
    Ok(RevisionOptions {
        revs: args.rev.iter().filter(|rev| !rev.is_empty()).cloned().collect(),
        all_branches: args.all_branches,
        all_tags: args.all_tags,
        all_commits: args.all_commits,
        all_experiments: args.all_experiments,
        since: args.commit_date.as_deref().filter(|date| !date.is_empty()).map(midnight).transpose()?,
        num: args.num.filter(|num| *num != 0).unwrap_or(1),
        work_tree: true,
    })
}

/// `2024-05-06` as the moment at which that day began here, in seconds since 1970; else what Python says of it.
fn midnight(text: &str) -> Result<i64, Failure> {
    let no_match = || Failure::unexpected(format!("time data '{text}' does not match format '%Y-%m-%d'"));
    let digits = |text: &str, most: usize| text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (year, rest) =
        text.split_once('-').filter(|(year, _)| digits(year, 4) == 4 && year.len() == 4).ok_or_else(no_match)?;
    // Python takes as many digits as make a month or a day, and leaves the rest to what follows.
    let take = |text: &str, range: std::ops::RangeInclusive<i8>| {
        (1..=digits(text, 2))
            .rev()
            .find_map(|len| text[..len].parse().ok().filter(|n| range.contains(n)).map(|n: i8| (n, len)))
    };
    let (month, len) = take(rest, 1..=12).ok_or_else(no_match)?;
    let rest = rest[len..].strip_prefix('-').ok_or_else(no_match)?;
    let (day, len) = take(rest, 1..=31).ok_or_else(no_match)?;
    if len < rest.len() {
        return Err(Failure::unexpected(format!("unconverted data remains: {}", &rest[len..])));
    }
    let date = jiff::civil::Date::new(year.parse().map_err(|_| no_match())?, month, day)
        .map_err(|_| Failure::unexpected("day is out of range for month"))?;
    let moment = date.to_zoned(jiff::tz::TimeZone::system()).map_err(|error| Failure::unexpected(error.to_string()))?;
    Ok(moment.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_as_python_reads_them() {
        for good in ["2024-05-06", "2024-5-6", "2024-12-31", "1970-01-02"] {
            assert!(midnight(good).is_ok(), "{good}");
        }
        let day = midnight("2024-05-07").ok().zip(midnight("2024-05-06").ok()).map(|(a, b)| a - b);
        assert_eq!(day, Some(86400));
        for (bad, message) in [
            ("nope", "time data 'nope' does not match format '%Y-%m-%d'"),
            ("2024-13-01", "time data '2024-13-01' does not match format '%Y-%m-%d'"),
            ("2024-05-06T00:00:00+00:00", "unconverted data remains: T00:00:00+00:00"),
            ("2024-02-30", "day is out of range for month"),
        ] {
            match midnight(bad) {
                Err(Failure::Dvc { message: said, .. }) => assert_eq!(said, format!("unexpected error - {message}")),
                _ => panic!("{bad} was taken"),
            }
        }
    }
}
