use std::process::ExitCode;

use clap_complete::Shell;

use super::context::{Context, Style};
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell to write for
    #[arg(short, long, value_name = "shell", default_value = "bash", value_parser = ["bash", "zsh"])]
    pub shell: String,
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    let shell = if args.shell == "zsh" { Shell::Zsh } else { Shell::Bash };
    let mut script = Vec::new();
    let mut command = super::whole(context.style);
    if context.style == Style::Trackway {
        command = crate::with_trackways_own(command);
    }
    clap_complete::generate(shell, &mut command, context.style.program(), &mut script);
    context.terminal.always(script.trim_ascii_end())?;
    Ok(ExitCode::SUCCESS)
}
