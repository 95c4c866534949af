use std::ffi::OsString;
use std::process::ExitCode;

use trackway_repo::add::AddOptions;
use trackway_repo::add_elsewhere::ElsewhereOptions;

use super::context::Context;
use super::words::int;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Record the data without putting it into the cache
    #[arg(long)]
    pub no_commit: bool,

    /// Take the targets as patterns: * ? [abc] and ** for folders
    #[arg(long)]
    pub glob: bool,

    /// Where to put the data in the work tree
    #[arg(short, long, value_name = "path")]
    pub out: Option<OsString>,

    /// Send the data to the remote without keeping it here
    #[arg(long)]
    pub to_remote: bool,

    /// The remote to send the data to
    #[arg(short, long, value_name = "name")]
    pub remote: Option<String>,

    /// How many transfers at once, with --to-remote
    #[arg(long, value_name = "number", value_parser = int, allow_negative_numbers = true)]
    pub remote_jobs: Option<i64>,

    /// Overwrite what is in the way
    #[arg(short, long)]
    pub force: bool,

    /// Leave the files of the work tree as they are instead of linking them to the cache
    #[arg(long)]
    pub no_relink: bool,

    /// Files and folders to track
    #[arg(value_name = "targets", required = true)]
    pub targets: Vec<OsString>,
}

impl Args {
    /// As DVC 3.67 refuses options that say nothing together.
    fn check(&self) -> Result<(), Failure> {
        let invalid = if self.to_remote || self.out.is_some() {
            let with = if self.to_remote { "--to-remote" } else { "--out" };
            let option = if self.targets.len() != 1 {
                "multiple targets"
            } else if self.glob {
                "--glob option"
            } else if self.no_commit {
                "--no-commit option"
            } else {
                return Ok(());
            };
            format!("{option} can't be used with {with}")
        } else if self.remote.is_some() {
            "--remote can't be used without --to-remote".to_owned()
        } else if self.remote_jobs.is_some_and(|jobs| jobs != 0) {
            "--remote-jobs can't be used without --to-remote".to_owned()
        } else {
            return Ok(());
        };
        Err(Failure::failed(invalid))
    }
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    args.check()?;
    let targets = context.targets(&args.targets)?;
    if let ([source], true) = (targets.as_slice(), args.to_remote || args.out.is_some()) {
        let options = ElsewhereOptions {
            out: args.out.clone().map(|out| context.targets(&[out])).transpose()?.and_then(|mut out| out.pop()),
            to_remote: args.to_remote,
            remote: args.remote,
            jobs: args.remote_jobs.and_then(|jobs| usize::try_from(jobs).ok()),
            force: args.force,
        };
        let progress = context.terminal.progress();
        let added = context.on_repo(|repo| {
            repo.add_from_elsewhere(source, &options, &progress).map_err(|error| Failure::from(error).caught(""))
        })?;
        drop(progress);
        context.tell_what_to_commit(&added.to_commit)?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = AddOptions { no_commit: args.no_commit, glob: args.glob, no_relink: args.no_relink };
    let progress = context.terminal.progress();
    let added = context.on_repo(|repo| {
        let added = repo.add(&targets, options, &progress).map_err(|error| Failure::from(error).caught(""))?;
        context.keep_in_bounds(repo);
        Ok(added)
    })?;
    drop(progress);
    if !added.link_failures.is_empty() {
        context.terminal.notice(format!(
            "\nSome targets could not be linked from cache to workspace.\nSee <https://dvc.org/doc/user-guide/troubleshooting#cache-types> for more information.\nTo re-link these targets, reconfigure cache types and then run:\n\n\t{} checkout {}",
            context.style.program(),
            added.link_failures.join(" ")
        ));
    }
    context.tell_what_to_commit(&added.to_commit)?;
    Ok(ExitCode::SUCCESS)
}
