use std::ffi::OsString;
use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

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
    args.check(context.terminal.is_quiet())?;
    Err(context.not_built("check-ignore"))
}
