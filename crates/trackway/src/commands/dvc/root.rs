use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {}

/// As DVC 3.67 it needs no more than the folder: a repository whose settings are broken still has a root.
pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let root = trackway_repo::find_root(&context.folder)?;
    let shown = trackway_repo::paths::relative(&root, &context.folder);
    context.terminal.line(shown.as_os_str().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
