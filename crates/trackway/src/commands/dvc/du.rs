use std::ffi::OsString;
use std::process::ExitCode;

use super::context::Context;
use super::elsewhere::Elsewhere;
use crate::failure::Failure;
use crate::terminal::table;
use crate::terminal::words::size;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the repository is
    #[arg(value_name = "url")]
    pub url: OsString,

    #[command(flatten)]
    pub elsewhere: Elsewhere,

    /// One line for all
    #[arg(short, long)]
    pub summarize: bool,

    /// A file or folder in the repository
    #[arg(value_name = "path")]
    pub path: Option<OsString>,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let path = context.targets(args.path.as_slice())?.pop().unwrap_or_default();
    let browser = args.elsewhere.open(&args.url, context)?;
    let rows: Vec<Vec<String>> =
        browser.usage(&path, args.summarize)?.into_iter().map(|(path, bytes)| vec![size(bytes), path]).collect();
    context.terminal.line(table::plain(&rows, &[]))?;
    Ok(ExitCode::SUCCESS)
}
