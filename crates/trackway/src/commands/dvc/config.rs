use std::process::ExitCode;

use trackway_repo::config::{self, Levels, OptionName};

use super::context::Context;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub level: Level,

    /// Remove the setting
    #[arg(short, long)]
    pub unset: bool,

    /// The setting: section.option, remote.name.option or db.name.option
    #[arg(value_name = "name", value_parser = name)]
    pub name: Option<OptionName>,

    /// The new value; without one, the setting is shown
    #[arg(value_name = "value")]
    pub value: Option<String>,

    /// Show all settings
    #[arg(short, long)]
    pub list: bool,

    /// Show which file each setting comes from
    #[arg(long)]
    pub show_origin: bool,
}

/// Which file of settings. Later ones win over earlier ones: system, global, project, local.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(multiple = false)]
pub struct Level {
    /// The user's settings
    #[arg(long)]
    global: bool,

    /// The machine's settings
    #[arg(long)]
    system: bool,

    /// The repository's settings, .dvc/config
    #[arg(long)]
    project: bool,

    /// Your own settings in this repository, .dvc/config.local
    #[arg(long)]
    local: bool,
}

impl Level {
    /// `None`: the command's own choice.
    pub fn chosen(&self) -> Option<config::Level> {
        match self {
            Level { global: true, .. } => Some(config::Level::Global),
            Level { system: true, .. } => Some(config::Level::System),
            Level { project: true, .. } => Some(config::Level::Repo),
            Level { local: true, .. } => Some(config::Level::Local),
            _ => None,
        }
    }
}

fn name(text: &str) -> Result<OptionName, String> {
    OptionName::parse(text).ok_or_else(|| config::NAME_ERROR.to_owned())
}

pub fn run(args: Args, context: &Context) -> Result<ExitCode, Failure> {
    edit(context, |levels| apply(&args, levels, context))
}

fn apply(args: &Args, levels: &mut Levels, context: &Context) -> Result<ExitCode, Failure> {
    let level = args.level.chosen();
    if args.show_origin && (args.value.is_some() || args.unset) {
        return Err(Failure::failed(
            "--show-origin can't be used together with any of these options: -u/--unset, value",
        ));
    }
    if args.list {
        if args.name.is_some() || args.value.is_some() || args.unset {
            return Err(Failure::failed(
                "-l/--list can't be used together with any of these options: -u/--unset, name, value",
            ));
        }
        for listed in levels.list(level, args.show_origin)? {
            context.terminal.line(listed.line())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Some(name) = &args.name else { return Err(Failure::failed("name argument is required")) };
    if args.unset && args.value.is_some() {
        let message = "a value makes no sense together with -u/--unset".to_owned();
        return Err(Failure::Dvc { message, code: crate::failure::code::ARGUMENTS });
    }
    match &args.value {
        _ if args.unset => levels.unset(name, level)?,
        Some(value) => levels.set(name, value, level)?,
        None => {
            if let Some(found) = levels.get(name, level, args.show_origin)? {
                context.terminal.line(found.line())?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Does something with the files of settings and passes on what they are warned of, also when it failed.
pub fn edit(
    context: &Context,
    change: impl FnOnce(&mut Levels) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    let mut levels = context.levels()?;
    let outcome = change(&mut levels);
    for warning in levels.take_warnings() {
        context.terminal.warning(warning);
    }
    outcome
}
