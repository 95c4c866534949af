use std::process::ExitCode;

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
    pub name: Option<Name>,

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

/// `section.option`, or `remote.section.option`, in small letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub group: Option<String>,
    pub section: String,
    pub option: String,
}

fn name(text: &str) -> Result<Name, String> {
    let parts: Vec<String> = text.split('.').map(str::to_lowercase).collect();
    match (parts.as_slice(), text.split('.').next()) {
        ([section, option], _) => Ok(Name { group: None, section: section.clone(), option: option.clone() }),
        ([group, section, option], Some("remote" | "db")) => {
            Ok(Name { group: Some(group.clone()), section: section.clone(), option: option.clone() })
        }
        _ => Err("name argument should look like remote.name.option or db.name.option or section.option".to_owned()),
    }
}

pub fn run(_args: Args, context: &Context) -> Result<ExitCode, Failure> {
    Err(context.not_built("config"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_two_or_three_parts() {
        let of = |group: Option<&str>, section: &str, option: &str| {
            Ok(Name { group: group.map(str::to_owned), section: section.to_owned(), option: option.to_owned() })
        };
        assert_eq!(name("Core.Remote"), of(None, "core", "remote"));
        assert_eq!(name("remote.Mine.url"), of(Some("remote"), "mine", "url"));
        assert_eq!(name("remote.url"), of(None, "remote", "url"));
        assert!(name("core").is_err() && name("a.b.c").is_err() && name("remote.a.b.c").is_err());
    }
}
