//! Every section and option of DVC 3.67, their types, and the first error in the words of its validator.

use std::fmt;
use std::net::Ipv6Addr;

use trackway_ini::repr;

use super::error::ConfigError;
use super::value::{ConfigValue, Table};

/// The sections in the schema's order, which is the order in which new ones are written.
pub const SECTIONS: [&str; 13] = [
    "core", "cache", "remote", "state", "index", "machine", "feature", "plots", "exp", "parsing", "hydra", "studio",
    "db",
];

/// What an option holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Text,
    Bool,
    /// Text in lower case.
    Lower,
    Int(Option<i64>, Option<i64>),
    /// A number, at least 0 where so marked.
    Float {
        not_negative: bool,
    },
    /// `true`, `false` or any text.
    BoolOrText,
    /// Link types: `reflink`, `hardlink`, `symlink`, `copy`.
    CacheType,
    Choice(&'static [&'static str]),
    /// Declared as Python's `int` or `bool`, which no text of a file is: every value is an error, as in DVC 3.67.
    Impossible(&'static str),
}

#[derive(Debug, Clone, Copy)]
pub struct Opt {
    pub name: &'static str,
    pub kind: Kind,
    pub default: Option<bool>,
    /// Accepted, without effect.
    pub obsolete: bool,
}

const fn opt(name: &'static str, kind: Kind) -> Opt {
    Opt { name, kind, default: None, obsolete: false }
}

const fn with_default(name: &'static str, default: bool) -> Opt {
    Opt { name, kind: Kind::Bool, default: Some(default), obsolete: false }
}

const fn obsolete(name: &'static str, kind: Kind) -> Opt {
    Opt { name, kind, default: None, obsolete: true }
}

const TEXT: Kind = Kind::Text;
const BOOL: Kind = Kind::Bool;
const INT: Kind = Kind::Int(None, None);
const POSITIVE: Kind = Kind::Int(Some(1), None);
const SECONDS: Kind = Kind::Float { not_negative: true };

const CORE: &[Opt] = &[
    opt("remote", Kind::Lower),
    opt("checksum_jobs", POSITIVE),
    with_default("interactive", false),
    with_default("analytics", true),
    with_default("hardlink_lock", false),
    with_default("no_scm", false),
    with_default("autostage", false),
    obsolete("experiments", BOOL),
    with_default("check_update", true),
    opt("site_cache_dir", TEXT),
    opt("machine", Kind::Lower),
];
const LOCAL_COMMON: &[Opt] = &[
    opt("type", Kind::CacheType),
    Opt { name: "protected", kind: BOOL, default: Some(false), obsolete: true },
    opt("shared", Kind::Choice(&["group"])),
    with_default("slow_link_warning", true),
    with_default("verify", false),
];
const CACHE: &[Opt] = &[
    obsolete("local", TEXT),
    obsolete("s3", TEXT),
    obsolete("gs", TEXT),
    obsolete("hdfs", TEXT),
    obsolete("webhdfs", TEXT),
    obsolete("ssh", TEXT),
    obsolete("azure", TEXT),
    opt("dir", TEXT),
];
const REMOTE_COMMON: &[Opt] = &[
    opt("url", TEXT),
    opt("checksum_jobs", POSITIVE),
    opt("jobs", POSITIVE),
    opt("worktree", BOOL),
    obsolete("no_traverse", BOOL),
    opt("version_aware", BOOL),
];
const HTTP: &[Opt] = &[
    opt("auth", Kind::Choice(&["basic", "digest", "custom"])),
    opt("custom_auth_header", TEXT),
    opt("user", TEXT),
    opt("password", TEXT),
    opt("ask_password", BOOL),
    opt("ssl_verify", Kind::BoolOrText),
    opt("method", TEXT),
    opt("connect_timeout", SECONDS),
    opt("read_timeout", SECONDS),
    with_default("verify", false),
];
const WEBDAV: &[Opt] = &[
    opt("user", TEXT),
    opt("password", TEXT),
    opt("ask_password", BOOL),
    opt("token", TEXT),
    opt("bearer_token_command", TEXT),
    opt("custom_auth_header", TEXT),
    opt("cert_path", TEXT),
    opt("key_path", TEXT),
    opt("timeout", INT),
    opt("ssl_verify", Kind::BoolOrText),
    with_default("verify", false),
];
const S3: &[Opt] = &[
    opt("region", TEXT),
    opt("profile", TEXT),
    opt("credentialpath", TEXT),
    opt("configpath", TEXT),
    opt("endpointurl", TEXT),
    opt("access_key_id", TEXT),
    opt("secret_access_key", TEXT),
    opt("session_token", TEXT),
    Opt { name: "listobjects", kind: BOOL, default: Some(false), obsolete: true },
    with_default("use_ssl", true),
    with_default("allow_anonymous_login", false),
    opt("ssl_verify", Kind::BoolOrText),
    opt("sse", TEXT),
    opt("sse_kms_key_id", TEXT),
    opt("sse_customer_algorithm", TEXT),
    opt("sse_customer_key", TEXT),
    opt("acl", TEXT),
    opt("grant_read", TEXT),
    opt("grant_read_acp", TEXT),
    opt("grant_write_acp", TEXT),
    opt("grant_full_control", TEXT),
    opt("cache_regions", Kind::Impossible("bool")),
    opt("read_timeout", INT),
    opt("connect_timeout", INT),
    with_default("verify", false),
];
const GS: &[Opt] = &[
    opt("projectname", TEXT),
    opt("credentialpath", TEXT),
    opt("endpointurl", TEXT),
    with_default("verify", false),
    with_default("allow_anonymous_login", false),
];
const SSH: &[Opt] = &[
    opt("type", Kind::CacheType),
    opt("port", INT),
    opt("user", TEXT),
    opt("password", TEXT),
    opt("ask_password", BOOL),
    opt("passphrase", TEXT),
    opt("ask_passphrase", BOOL),
    opt("keyfile", TEXT),
    opt("timeout", INT),
    opt("gss_auth", BOOL),
    opt("allow_agent", BOOL),
    opt("max_sessions", INT),
    with_default("verify", false),
];
const HDFS: &[Opt] = &[opt("user", TEXT), opt("kerb_ticket", TEXT), opt("replication", Kind::Impossible("int"))];
const WEBHDFS: &[Opt] = &[
    opt("kerberos", BOOL),
    opt("kerberos_principal", TEXT),
    opt("proxy_to", TEXT),
    opt("ssl_verify", Kind::BoolOrText),
    opt("token", TEXT),
    opt("use_https", BOOL),
    opt("user", TEXT),
    opt("password", TEXT),
    opt("data_proxy_target", TEXT),
    with_default("verify", false),
];
const AZURE: &[Opt] = &[
    opt("connection_string", TEXT),
    opt("sas_token", TEXT),
    opt("account_name", TEXT),
    opt("account_key", TEXT),
    opt("tenant_id", TEXT),
    opt("client_id", TEXT),
    opt("client_secret", TEXT),
    opt("allow_anonymous_login", BOOL),
    opt("exclude_environment_credential", BOOL),
    opt("exclude_visual_studio_code_credential", BOOL),
    opt("exclude_shared_token_cache_credential", BOOL),
    opt("exclude_managed_identity_credential", BOOL),
    with_default("verify", false),
    opt("timeout", INT),
    opt("read_timeout", INT),
    opt("connection_timeout", INT),
];
const OSS: &[Opt] =
    &[opt("oss_key_id", TEXT), opt("oss_key_secret", TEXT), opt("oss_endpoint", TEXT), with_default("verify", true)];
const GDRIVE: &[Opt] = &[
    opt("profile", TEXT),
    opt("gdrive_use_service_account", BOOL),
    opt("gdrive_client_id", TEXT),
    opt("gdrive_client_secret", TEXT),
    opt("gdrive_user_credentials_file", TEXT),
    opt("gdrive_service_account_user_email", TEXT),
    opt("gdrive_service_account_json_file_path", TEXT),
    with_default("gdrive_trash_only", false),
    with_default("gdrive_acknowledge_abuse", false),
    with_default("verify", true),
];
const STATE: &[Opt] = &[
    obsolete("dir", TEXT),
    obsolete("row_limit", POSITIVE),
    obsolete("row_cleanup_quota", Kind::Int(Some(0), Some(100))),
];
const MACHINE: &[Opt] = &[
    opt("cloud", Kind::Choice(&["aws", "azure"])),
    opt("region", Kind::Choice(&["us-west", "us-east", "eu-west", "eu-north"])),
    opt("image", TEXT),
    opt("spot", BOOL),
    opt("spot_price", Kind::Float { not_negative: false }),
    opt("instance_hdd_size", INT),
    opt("instance_type", Kind::Lower),
    opt("instance_gpu", Kind::Lower),
    opt("ssh_private", TEXT),
    opt("startup_script", TEXT),
    opt("setup_script", TEXT),
];
const EXP: &[Opt] = &[
    obsolete("code", TEXT),
    obsolete("data", TEXT),
    obsolete("models", TEXT),
    obsolete("metrics", TEXT),
    obsolete("params", TEXT),
    obsolete("plots", TEXT),
    obsolete("live", TEXT),
    opt("auto_push", BOOL),
    opt("git_remote", TEXT),
];
const HYDRA: &[Opt] = &[
    with_default("enabled", false),
    opt("config_dir", TEXT),
    opt("config_module", TEXT),
    opt("config_name", TEXT),
    opt("plugins_path", TEXT),
];

const INDEX: &[Opt] = &[obsolete("dir", TEXT)];
const FEATURE: &[Opt] = &[with_default("machine", false)];
const PLOTS: &[Opt] = &[opt("html_template", TEXT), with_default("auto_open", false), opt("out_dir", TEXT)];
const PARSING: &[Opt] =
    &[opt("bool", Kind::Choice(&["store_true", "boolean_optional"])), opt("list", Kind::Choice(&["nargs", "append"]))];
const STUDIO: &[Opt] = &[opt("token", TEXT), opt("url", TEXT), opt("repo_url", TEXT), with_default("offline", false)];
const DB: &[Opt] = &[opt("url", TEXT), opt("username", TEXT), opt("password", TEXT)];

/// The options of a plain section (not `remote`, `machine`, `db`, whose options are by name).
pub fn section_options(section: &str) -> Option<Vec<&'static [Opt]>> {
    Some(match section {
        "core" => vec![CORE],
        "cache" => vec![CACHE, LOCAL_COMMON],
        "state" => vec![STATE],
        "index" => vec![INDEX],
        "feature" => vec![FEATURE],
        "plots" => vec![PLOTS],
        "exp" => vec![EXP],
        "parsing" => vec![PARSING],
        "hydra" => vec![HYDRA],
        "studio" => vec![STUDIO],
        _ => return None,
    })
}

/// The options of a remote by its URL's scheme; `None` for a scheme that DVC does not know. `""` is a local path.
pub fn remote_options(scheme: &str) -> Option<Vec<&'static [Opt]>> {
    let own = match scheme {
        "" => LOCAL_COMMON,
        "s3" => S3,
        "gs" => GS,
        "ssh" => SSH,
        "hdfs" => HDFS,
        "webhdfs" => WEBHDFS,
        "azure" => AZURE,
        "oss" => OSS,
        "gdrive" => GDRIVE,
        "http" | "https" => HTTP,
        "webdav" | "webdavs" => WEBDAV,
        _ => return None,
    };
    Some(vec![own, REMOTE_COMMON])
}

/// The first error in a configuration, as voluptuous words it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Invalid {
    pub message: String,
    /// The message is about a value in a dictionary, and says so.
    pub value: bool,
    pub path: Vec<String>,
    /// A group of options that exclude each other, last in the path.
    pub group: Option<&'static str>,
}

impl Invalid {
    fn new(message: impl Into<String>, path: &[&str]) -> Invalid {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        Invalid { message: message.into(), value: true, path, group: None }
    }

    fn extra(path: &[&str]) -> Invalid {
        Invalid { value: false, ..Invalid::new("extra keys not allowed", path) }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.value {
            f.write_str(" for dictionary value")?;
        }
        let mut path: Vec<String> = self.path.iter().map(|part| repr(part)).collect();
        path.extend(self.group.map(|group| format!("<{group}>")));
        if path.is_empty() { Ok(()) } else { write!(f, " @ data[{}]", path.join("][")) }
    }
}

/// A configuration with typed values and defaults, and the unknown options of `feature`, which only earn a warning.
pub(super) struct Validated {
    pub table: Table,
    pub unsupported: Vec<String>,
}

/// Checks a merged configuration.
pub(super) fn validate(data: &Table) -> Result<Validated, ConfigError> {
    let mut unsupported = Vec::new();
    // All sections are looked at even behind an error: the warning about `feature` comes first.
    let mut first: Option<Invalid> = None;
    let mut table = Table::new();
    for (name, value) in data {
        match section(name, value, &mut unsupported) {
            Ok(value) => {
                table.insert(name.clone(), value);
            }
            Err(invalid) => {
                first.get_or_insert(invalid);
            }
        }
    }
    match first {
        None => Ok(Validated { table, unsupported }),
        Some(invalid) => {
            let nearest = if invalid.message == "extra keys not allowed" { nearest(data, &invalid.path) } else { None };
            Err(ConfigError::Invalid { message: invalid.to_string(), cause: None, nearest })
        }
    }
}

/// The names in `feature` that are unknown, also where the configuration is wrong elsewhere.
pub(super) fn unsupported_features(data: &Table) -> Vec<String> {
    let mut names = Vec::new();
    if let Some(value) = data.get("feature") {
        // An error in it is found by `validate`; here only the names count.
        if section("feature", value, &mut names).is_err() {
            names.clear();
        }
    }
    names
}

fn section(name: &str, value: &ConfigValue, unsupported: &mut Vec<String>) -> Result<ConfigValue, Invalid> {
    let plain = section_options(name);
    if plain.is_none() && !matches!(name, "remote" | "machine" | "db") {
        return Err(Invalid::extra(&[name]));
    }
    let data = value.as_table().ok_or_else(|| Invalid::new("expected a dictionary", &[name]))?;
    if let Some(options) = plain {
        if name == "hydra" && data.contains_key("config_dir") && data.contains_key("config_module") {
            let message = "two or more values in the same group of exclusion 'config_source'";
            return Err(Invalid { value: false, group: Some("config_source"), ..Invalid::new(message, &[name]) });
        }
        if name != "feature" {
            return mapping(data, &options, &[name]).map(ConfigValue::Table);
        }
        let (known, unknown): (Vec<_>, Vec<_>) = data.iter().partition(|(key, _)| find(&options, key).is_some());
        let known: Table = known.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let checked = mapping(&known, &options, &[name])?;
        unsupported.extend(unknown.into_iter().map(|(key, _)| key.clone()));
        unsupported.sort();
        return Ok(ConfigValue::Table(checked));
    }
    let mut out = Table::new();
    let mut first = None;
    for (key, value) in data {
        let path = [name, key.as_str()];
        let checked = match (name, value.as_table()) {
            ("remote", _) => remote(value, &path),
            (_, None) => Err(Invalid::new("expected a dictionary", &path)),
            ("machine", Some(inner)) => mapping(inner, &[MACHINE], &path),
            (_, Some(inner)) => mapping(inner, &[DB], &path),
        };
        match checked {
            Ok(table) => {
                out.insert(key.clone(), ConfigValue::Table(table));
            }
            Err(invalid) => {
                first.get_or_insert(invalid);
            }
        }
    }
    first.map_or(Ok(ConfigValue::Table(out)), Err)
}

/// Checks a remote by its URL.
fn remote(value: &ConfigValue, path: &[&str]) -> Result<Table, Invalid> {
    let data = value.as_table().ok_or_else(|| Invalid::new("expected a dictionary", path))?;
    let url = data.get("url").ok_or_else(|| Invalid::new("expected 'url'", path))?;
    let (scheme, netloc) =
        split_url(url.as_text().unwrap_or_default()).ok_or_else(|| Invalid::new("not a valid value", path))?;
    let scheme = if netloc.is_empty() { "" } else { scheme.as_str() };
    if scheme == "remote" {
        return Ok(data.clone());
    }
    let options =
        remote_options(scheme).ok_or_else(|| Invalid::new(format!("Unsupported URL type {scheme}://"), path))?;
    mapping(data, &options, path)
}

/// Checks a remote that was put together from references, for its use: paths start at the remote.
pub(super) fn validate_remote(data: &Table) -> Result<Table, ConfigError> {
    remote(&ConfigValue::Table(data.clone()), &[]).map_err(|mut invalid| {
        // Raised outside of any dictionary: a message about the remote as a whole names no place.
        invalid.value &= !invalid.path.is_empty();
        ConfigError::invalid(invalid.to_string())
    })
}

/// Scheme and network location as Python's `urlparse` finds them; `None` where it refuses the URL.
pub(super) fn split_url(url: &str) -> Option<(String, String)> {
    let url = url.trim_start_matches(|c: char| c <= ' ').replace(['\t', '\r', '\n'], "");
    let (scheme, rest) = match url.split_once(':') {
        Some((scheme, rest))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) =>
        {
            (scheme.to_ascii_lowercase(), rest)
        }
        _ => (String::new(), url.as_str()),
    };
    let Some(rest) = rest.strip_prefix("//") else { return Some((scheme, String::new())) };
    let netloc = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    match (netloc.find('['), netloc.find(']')) {
        (None, None) => {}
        (Some(open), Some(close)) if open < close => {
            let host = &netloc[open + 1..close];
            let future = host.starts_with('v') && host.contains('.');
            if !future && host.split('%').next()?.parse::<Ipv6Addr>().is_err() {
                return None;
            }
        }
        _ => return None,
    }
    Some((scheme, netloc.to_owned()))
}

fn find(options: &[&'static [Opt]], name: &str) -> Option<&'static Opt> {
    // A later list overrides an earlier one.
    options.iter().rev().flat_map(|list| list.iter()).find(|option| option.name == name)
}

/// Checks a table against its options and adds defaults; the first error counts.
fn mapping(data: &Table, options: &[&'static [Opt]], path: &[&str]) -> Result<Table, Invalid> {
    let mut out = Table::new();
    for (key, value) in data {
        let place = [path, &[key.as_str()]].concat();
        let option = find(options, key).ok_or_else(|| Invalid::extra(&place))?;
        let value = check(option.kind, value).map_err(|message| Invalid::new(message, &place))?;
        out.insert(key.clone(), value);
    }
    for option in options.iter().flat_map(|list| list.iter()) {
        if let Some(default) = option.default
            && !out.contains_key(option.name)
        {
            out.insert(option.name.to_owned(), ConfigValue::Bool(default));
        }
    }
    Ok(out)
}

fn check(kind: Kind, value: &ConfigValue) -> Result<ConfigValue, String> {
    let lower = || value.shown().to_lowercase();
    let boolean = || match lower().as_str() {
        "true" => Ok(ConfigValue::Bool(true)),
        "false" => Ok(ConfigValue::Bool(false)),
        _ => Err("expected true or false".to_owned()),
    };
    let text = || value.as_text().map(|_| value.clone()).ok_or_else(|| "expected str".to_owned());
    match kind {
        Kind::Text => text(),
        Kind::Bool => boolean(),
        Kind::Lower => Ok(ConfigValue::Text(lower())),
        Kind::BoolOrText => boolean().or_else(|error| text().map_err(|_| error)),
        Kind::Impossible(name) => Err(format!("expected {name}")),
        Kind::Int(min, max) => {
            // A remote that is put together from checked ones is checked again.
            let number = value.as_int().or_else(|| value.as_text().and_then(parse_int)).ok_or("expected int")?;
            match (min, max) {
                (Some(min), _) if number < min => Err(format!("value must be at least {min}")),
                (_, Some(max)) if number > max => Err(format!("value must be at most {max}")),
                _ => Ok(ConfigValue::Int(number)),
            }
        }
        Kind::Float { not_negative } => {
            let number = match value {
                ConfigValue::Float(number) => Some(*number),
                value => value.as_text().and_then(parse_float),
            };
            let number = number.ok_or("expected float")?;
            match not_negative && (number.is_nan() || number < 0.0) {
                true => Err("value must be at least 0".to_owned()),
                false => Ok(ConfigValue::Float(number)),
            }
        }
        Kind::Choice(choices) => {
            let text = lower();
            match choices.contains(&text.as_str()) {
                true => Ok(ConfigValue::Text(text)),
                false => Err(format!("expected one of {}", choices.join(", "))),
            }
        }
        Kind::CacheType => cache_types(value),
    }
}

fn cache_types(value: &ConfigValue) -> Result<ConfigValue, String> {
    let types: Vec<String> = match value {
        ConfigValue::Null => return Ok(ConfigValue::Null),
        ConfigValue::List(items) => items.clone(),
        ConfigValue::Table(table) => table.keys().cloned().collect(),
        other => other.shown().split(',').map(|name| name.trim().to_owned()).collect(),
    };
    let mut wrong: Vec<&str> = Vec::new();
    for name in &types {
        if !["reflink", "hardlink", "symlink", "copy"].contains(&name.as_str()) && !wrong.contains(&name.as_str()) {
            wrong.push(name);
        }
    }
    // DVC lists several wrong ones in no certain order; here they come as written.
    if wrong.is_empty() {
        Ok(ConfigValue::List(types))
    } else {
        Err(format!("Unsupported cache type(s): {}", wrong.join(", ")))
    }
}

/// Digits as Python's `int` and `float` take them: single underscores between digits go.
fn without_underscores(text: &str) -> Option<String> {
    let text = text.trim();
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
        if *byte == b'_' && !(digit(at.checked_sub(1)) && digit(Some(at + 1))) {
            return None;
        }
    }
    Some(text.replace('_', ""))
}

/// A number too large for us is the largest one that we have: Python knows no bound.
fn parse_int(text: &str) -> Option<i64> {
    let text = without_underscores(text)?;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
    if digits.is_empty() || digits.len() > 4300 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX }))
}

fn parse_float(text: &str) -> Option<f64> {
    without_underscores(text)?.parse().ok()
}

/// The known name nearest to the unknown one at the end of a path.
fn nearest(data: &Table, path: &[String]) -> Option<String> {
    let wanted = path.last()?;
    let options = match path {
        [_] => return closest(wanted, SECTIONS.into_iter()),
        [section, _] => section_options(section)?,
        [section, name, _] if section == "remote" => {
            let url = data.get(section)?.as_table()?.get(name)?.as_table()?.get("url")?;
            let (scheme, netloc) = split_url(url.as_text()?)?;
            remote_options(if netloc.is_empty() { "" } else { &scheme })?
        }
        [section, ..] if section == "machine" => vec![MACHINE],
        _ => vec![DB],
    };
    let names = options.iter().flat_map(|list| list.iter()).filter(|option| !option.obsolete).map(|option| option.name);
    closest(wanted, names)
}

/// The nearest of some names, when it is near enough to have been meant.
pub(super) fn closest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let wanted: Vec<char> = wanted.chars().take(64).collect();
    let limit = (wanted.len() / 3).max(1);
    names
        .map(|name| (distance(&wanted, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.to_owned())
}

/// Levenshtein's distance.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != y)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}
