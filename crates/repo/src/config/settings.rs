//! Trackway's own settings: `.dvc/trackway.ini` in a repository over `~/.config/trackway/config.ini` of a user.
//!
//! They stand beside DVC's configuration, which refuses unknown names; stock DVC passes over the file.
//!
//! ```ini
//! [cache]
//! keep_commits = 10   # objects of so many last commits stay
//! max_size = 200G     # what the cache may take
//! trash_grace = 7d    # how long removed objects can be had back
//! auto = true         # collect by itself
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use trackway_ini::{Ini, Section, Value};

use super::environment::Environment;
use super::error::ConfigError;
use super::levels::write_file;
use super::schema::closest;

/// The file in `.dvc`.
pub const FILE: &str = "trackway.ini";

/// All settings that there are: section, name, what it holds.
const KNOWN: [(&str, &str, Holds); 4] = [
    ("cache", "keep_commits", Holds::Count),
    ("cache", "max_size", Holds::Size),
    ("cache", "trash_grace", Holds::Duration),
    ("cache", "auto", Holds::Bool),
];

#[derive(Debug, Clone, Copy)]
enum Holds {
    Count,
    Size,
    Duration,
    Bool,
}

impl Holds {
    fn wants(self) -> &'static str {
        match self {
            Holds::Count => "a whole number such as 10",
            Holds::Size => "a size such as 200G, 1.5T or 500M",
            Holds::Duration => "a time such as 7d, 12h or 30m",
            Holds::Bool => "true or false",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{file} is not a settings file: {reason}")]
    Parse { file: String, reason: String },
    #[error("{file} has the unknown setting {name}{}", hint(.nearest))]
    Unknown { file: String, name: String, nearest: Option<String> },
    #[error("There is no setting {name}{}", hint(.nearest))]
    NoSuch { name: String, nearest: Option<String> },
    #[error("{file}: {name} cannot be {value:?}. Give it {wants}.")]
    BadValue { file: String, name: String, value: String, wants: &'static str },
    #[error("Not inside a repository, so there is no {FILE} to write. Set it for the user instead.")]
    NoRepository,
    #[error(transparent)]
    Io(#[from] ConfigError),
}

fn hint(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!(". Did you mean {name}?"),
        None => {
            let names: Vec<String> = KNOWN.iter().map(|(section, key, _)| format!("{section}.{key}")).collect();
            format!(". Known are {}.", names.join(", "))
        }
    }
}

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    User,
    Repo,
}

/// Settings of both files, the repository's over the user's. `None`: not set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// `cache.keep_commits`
    pub keep_commits: Option<u32>,
    /// `cache.max_size`, in bytes
    pub max_size: Option<u64>,
    /// `cache.trash_grace`
    pub trash_grace: Option<Duration>,
    /// `cache.auto`
    pub auto: Option<bool>,
}

/// Where a scope's file lies; `None` for a repository's outside of one.
pub fn file(scope: Scope, dvc_dir: Option<&Path>, env: &Environment) -> Option<PathBuf> {
    match scope {
        Scope::User => Some(env.absolute(&env.user_config_home().join("trackway/config.ini"))),
        Scope::Repo => dvc_dir.map(|dir| env.absolute(&dir.join(FILE))),
    }
}

impl Settings {
    pub fn load(dvc_dir: Option<&Path>, env: &Environment) -> Result<Settings, SettingsError> {
        let mut settings = Settings::default();
        for scope in [Scope::User, Scope::Repo] {
            if let Some(path) = file(scope, dvc_dir, env) {
                settings.apply(&read(&path)?.raw_tree(), &path.to_string_lossy())?;
            }
        }
        Ok(settings)
    }

    /// Lays the settings of a file over these.
    fn apply(&mut self, tree: &Section, file: &str) -> Result<(), SettingsError> {
        for (section, value) in tree.iter() {
            let Value::Section(inner) = value else {
                return Err(unknown(file, section));
            };
            if !KNOWN.iter().any(|(known, ..)| *known == section) {
                return Err(unknown(file, section));
            }
            for (key, value) in inner.iter() {
                let name = format!("{section}.{key}");
                let (_, _, holds) = find(&name).ok_or_else(|| unknown(file, &name))?;
                let text = match value {
                    Value::Text(text) => text.clone(),
                    Value::List(items) => items.join(", "),
                    Value::Section(_) => return Err(unknown(file, &name)),
                };
                self.put(&name, holds, &text, file)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, name: &str, holds: Holds, text: &str, file: &str) -> Result<(), SettingsError> {
        let bad = || SettingsError::BadValue {
            file: file.to_owned(),
            name: name.to_owned(),
            value: text.to_owned(),
            wants: holds.wants(),
        };
        match name {
            "cache.keep_commits" => self.keep_commits = Some(text.trim().parse().map_err(|_| bad())?),
            "cache.max_size" => self.max_size = Some(parse_size(text).ok_or_else(bad)?),
            "cache.trash_grace" => self.trash_grace = Some(parse_duration(text).ok_or_else(bad)?),
            _ => self.auto = Some(parse_bool(text).ok_or_else(bad)?),
        }
        Ok(())
    }
}

/// A setting's text in one file.
pub fn get(
    scope: Scope,
    name: &str,
    dvc_dir: Option<&Path>,
    env: &Environment,
) -> Result<Option<String>, SettingsError> {
    let (section, key, _) = find(name).ok_or_else(|| no_such(name))?;
    let Some(path) = file(scope, dvc_dir, env) else { return Ok(None) };
    Ok(read(&path)?.get(&[section], key).and_then(Value::as_text).map(str::to_owned))
}

/// Sets a setting in one file, or removes it (`None`). Comments and other lines stay.
pub fn set(
    scope: Scope,
    name: &str,
    value: Option<&str>,
    dvc_dir: Option<&Path>,
    env: &Environment,
) -> Result<(), SettingsError> {
    let (section, key, holds) = find(name).ok_or_else(|| no_such(name))?;
    let path = file(scope, dvc_dir, env).ok_or(SettingsError::NoRepository)?;
    let shown = path.to_string_lossy();
    let mut ini = read(&path)?;
    match value {
        Some(value) => {
            Settings::default().put(name, holds, value, &shown)?;
            let quoted = |error: trackway_ini::Error| SettingsError::Parse {
                file: shown.to_string(),
                reason: error.to_string(),
            };
            ini.set(&[section], key, value.into()).map_err(quoted)?;
        }
        None => {
            if ini.remove(&[section], key) && ini.is_bare(&[section]) {
                ini.remove_section(&[section]);
            }
        }
    }
    Ok(write_file(&path, &ini.to_string())?)
}

fn read(path: &Path) -> Result<Ini, SettingsError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Ini::new()),
        Err(error) => return Err(ConfigError::io(&error, path).into()),
    };
    Ini::parse(bytes)
        .map_err(|error| SettingsError::Parse { file: path.to_string_lossy().into_owned(), reason: error.to_string() })
}

fn find(name: &str) -> Option<(&'static str, &'static str, Holds)> {
    KNOWN.into_iter().find(|(section, key, _)| name.split_once('.') == Some((section, key)))
}

fn nearest(name: &str) -> Option<String> {
    let names: Vec<String> = KNOWN.iter().map(|(section, key, _)| format!("{section}.{key}")).collect();
    closest(name, names.iter().map(String::as_str))
}

fn unknown(file: &str, name: &str) -> SettingsError {
    SettingsError::Unknown { file: file.to_owned(), name: name.to_owned(), nearest: nearest(name) }
}

fn no_such(name: &str) -> SettingsError {
    SettingsError::NoSuch { name: name.to_owned(), nearest: nearest(name) }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A number and its unit, apart.
fn number_and_unit(text: &str) -> Option<(f64, String)> {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..at].parse().ok()?;
    Some((number, text[at..].trim().to_lowercase()))
}

/// Bytes; `K`, `M`, `G`, `T`, `P` are powers of 1024, with or without `B` or `iB` behind.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let letter =
        unit.strip_suffix("ib").filter(|letter| !letter.is_empty()).or(unit.strip_suffix('b')).unwrap_or(&unit);
    let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == letter)?;
    let bytes = number * 1024f64.powi(i32::try_from(power).ok()?);
    (bytes < 2f64.powi(63)).then_some(bytes as u64)
}

/// `s`, `m`, `h`, `d`, `w`; a lone number only where it is 0.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let unit = match unit.as_str() {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        "w" => 7.0 * 86400.0,
        "" if number == 0.0 => 0.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * unit).ok()
}
