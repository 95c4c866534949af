//! Paths in a configuration: relative ones are written relative to the folder of their file, read as absolute ones.

use super::environment::Environment;
use super::error::ConfigError;
use super::schema::Invalid;
use super::value::{ConfigValue, Table};

/// Options of remotes that hold paths.
const REMOTE_PATHS: [&str; 8] = [
    "url",
    "gdrive_user_credentials_file",
    "gdrive_service_account_json_file_path",
    "credentialpath",
    "configpath",
    "keyfile",
    "cert_path",
    "key_path",
];

/// Makes the paths of a file absolute.
pub(super) fn load(table: &mut Table, dir: &str, env: &Environment) -> Result<(), ConfigError> {
    map(table, &|value| resolve(dir, value, env))
}

/// Makes them what is written into a file in `dir`.
pub(super) fn save(table: &mut Table, dir: &str, env: &Environment) -> Result<(), ConfigError> {
    map(table, &|value| {
        let text = match value {
            ConfigValue::Path { written: Some(written), path } if !has_scheme(path) => written.clone(),
            ConfigValue::Path { path, .. } if !has_scheme(path) => relative(path, dir, env),
            ConfigValue::Text(path) if has_scheme(path) || path.starts_with('/') => path.clone(),
            ConfigValue::Text(path) if expand_user(path, env) != *path => path.clone(),
            ConfigValue::Text(path) => relative(path, dir, env),
            other => other.shown(),
        };
        ConfigValue::Text(text)
    })
}

/// Walks the places that hold paths. As voluptuous: a section that is none is an error kept until the end, a value
/// that is no text one at once.
fn map(table: &mut Table, change: &dyn Fn(&ConfigValue) -> ConfigValue) -> Result<(), ConfigError> {
    let mut first: Option<Invalid> = None;
    let mut wrong = |path: Vec<String>| {
        first.get_or_insert(Invalid { message: "expected a dictionary".to_owned(), value: true, path, group: None });
    };
    for (section, value) in table.iter_mut() {
        let (named, options): (bool, &[&str]) = match section.as_str() {
            "cache" => (false, &["dir"]),
            "remote" => (true, &REMOTE_PATHS),
            "machine" => (true, &["startup_script", "setup_script"]),
            _ => continue,
        };
        let ConfigValue::Table(inner) = value else {
            wrong(vec![section.clone()]);
            continue;
        };
        if !named {
            map_options(inner, options, change)?;
            continue;
        }
        for (name, value) in inner.iter_mut() {
            match value {
                ConfigValue::Table(inner) => map_options(inner, options, change)?,
                _ => wrong(vec![section.clone(), name.clone()]),
            }
        }
    }
    first.map_or(Ok(()), |invalid| Err(ConfigError::Unexpected(invalid.to_string())))
}

fn map_options(
    table: &mut Table,
    options: &[&str],
    change: &dyn Fn(&ConfigValue) -> ConfigValue,
) -> Result<(), ConfigError> {
    for (option, value) in table.iter_mut().filter(|(option, _)| options.contains(&option.as_str())) {
        let _ = option;
        if value.as_text().is_none() {
            let message = format!("expected string or bytes-like object, got '{}'", value.type_name());
            return Err(ConfigError::Unexpected(message));
        }
        *value = change(value);
    }
    Ok(())
}

fn resolve(dir: &str, value: &ConfigValue, env: &Environment) -> ConfigValue {
    let Some(text) = value.as_text() else { return value.clone() };
    if has_scheme(text) || text.starts_with('/') {
        return ConfigValue::Text(text.to_owned());
    }
    let expanded = expand_user(text, env);
    if expanded.starts_with('/') {
        return ConfigValue::Path { path: expanded, written: Some(text.to_owned()) };
    }
    ConfigValue::Path { path: normalize(&format!("{dir}/{text}")), written: None }
}

/// `\w+://` at the start.
fn has_scheme(text: &str) -> bool {
    text.split_once("://")
        .is_some_and(|(scheme, _)| !scheme.is_empty() && scheme.chars().all(|c| c.is_alphanumeric() || c == '_'))
}

/// `~` and `~name` at the start, as Python's `expanduser`.
fn expand_user(text: &str, env: &Environment) -> String {
    let Some(rest) = text.strip_prefix('~') else { return text.to_owned() };
    let (user, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let home =
        if user.is_empty() { env.home_dir().map(|home| home.to_string_lossy().into_owned()) } else { home_of(user) };
    match home {
        Some(home) => {
            let joined = format!("{}{tail}", home.trim_end_matches('/'));
            if joined.is_empty() { "/".to_owned() } else { joined }
        }
        None => text.to_owned(),
    }
}

/// The home of another user, from the system's list of users.
fn home_of(user: &str) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.len() >= 6 && fields[0] == user).then(|| fields[5].to_owned())
    })
}

/// As Python's `normpath` of an absolute path.
pub(super) fn normalize(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    // POSIX keeps exactly two slashes at the start apart.
    let root = if path.starts_with("//") && !path.starts_with("///") { "//" } else { "/" };
    format!("{root}{}", parts.join("/"))
}

pub(super) fn absolute(path: &str, env: &Environment) -> String {
    if path.starts_with('/') { normalize(path) } else { normalize(&format!("{}/{path}", env.cwd.to_string_lossy())) }
}

/// As Python's `relpath`.
pub(super) fn relative(path: &str, start: &str, env: &Environment) -> String {
    let (path, start) = (absolute(path, env), absolute(start, env));
    let split = |text: &str| text.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (path, start) = (split(&path), split(&start));
    let shared = path.iter().zip(&start).take_while(|(a, b)| a == b).count();
    let mut parts = vec!["..".to_owned(); start.len() - shared];
    parts.extend_from_slice(&path[shared..]);
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}
