//! The four files of a configuration: system, global, repository, local; each one shadows those before it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use trackway_ini::{Ini, Section, Value};

use super::environment::Environment;
use super::error::ConfigError;
use super::value::{ConfigValue, Table, merge, table_mut};
use super::{paths, schema};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `/etc/xdg/dvc/config`
    System,
    /// `~/.config/dvc/config`
    Global,
    /// `.dvc/config`
    Repo,
    /// `.dvc/config.local`
    Local,
}

impl Level {
    /// In the order in which they shadow each other.
    pub const ALL: [Level; 4] = [Level::System, Level::Global, Level::Repo, Level::Local];

    pub fn is_repo_level(self) -> bool {
        matches!(self, Level::Repo | Level::Local)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::System => "system",
            Level::Global => "global",
            Level::Repo => "repo",
            Level::Local => "local",
        })
    }
}

/// The files of a configuration. Commands on it are in `commands.rs`.
#[derive(Debug, Clone)]
pub struct Levels {
    files: BTreeMap<Level, PathBuf>,
    pub(super) dvc_dir: Option<PathBuf>,
    pub(super) env: Environment,
    pub(super) warnings: Vec<String>,
    warned: bool,
    /// Contents that stand for a file's, for the configuration of another revision.
    instead: BTreeMap<Level, Option<Vec<u8>>>,
}

/// Sections that hold named tables: `['remote "name"']`.
const NAMED: [&str; 3] = ["remote", "machine", "db"];

impl Levels {
    /// Finds the files; reads none. `dvc_dir` is the repository's `.dvc`, `None` outside of one.
    pub fn new(dvc_dir: Option<&Path>, env: &Environment) -> Levels {
        let dvc_dir = dvc_dir.map(|dir| PathBuf::from(paths::absolute(&dir.to_string_lossy(), env)));
        let mut files = BTreeMap::from([
            (Level::System, env.system_config_dir().join("config")),
            (Level::Global, env.global_config_dir().join("config")),
        ]);
        if let Some(dir) = &dvc_dir {
            files.insert(Level::Repo, dir.join("config"));
            files.insert(Level::Local, dir.join("config.local"));
        }
        Levels { files, dvc_dir, env: env.clone(), warnings: Vec::new(), warned: false, instead: BTreeMap::new() }
    }

    /// Reads a level from these bytes, not from its file: the repository's configuration at another revision (`None`:
    /// it had no such file). Such levels are for reading.
    #[must_use]
    pub fn instead(mut self, level: Level, bytes: Option<Vec<u8>>) -> Levels {
        self.instead.insert(level, bytes);
        self
    }

    /// Finds the files and reads them once without checking, as every `dvc config` and `dvc remote` does first.
    pub fn open(dvc_dir: Option<&Path>, env: &Environment) -> Result<Levels, ConfigError> {
        let levels = Levels::new(dvc_dir, env);
        levels.load_below(None)?;
        Ok(levels)
    }

    /// Warnings since the last call, for the terminal (`WARNING: …`). Take them also when a command failed.
    pub fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    pub fn file(&self, level: Level) -> Option<&Path> {
        self.files.get(&level).map(PathBuf::as_path)
    }

    /// One level's options with absolute paths, every known section there; or all levels merged.
    pub fn read(&self, level: Option<Level>) -> Result<Table, ConfigError> {
        match level {
            None => self.load_below(None),
            Some(level) => self.load_one(level),
        }
    }

    /// All levels below `level` (all, if `None`) merged, unchecked.
    pub fn load_below(&self, level: Option<Level>) -> Result<Table, ConfigError> {
        let mut merged = Table::new();
        for below in self.files.keys().take_while(|below| level.is_none_or(|level| **below < level)) {
            merge(&mut merged, self.load_one(*below)?);
        }
        Ok(merged)
    }

    pub fn load_one(&self, level: Level) -> Result<Table, ConfigError> {
        // As DVC 3.67: outside a repository its levels are a missing key of a dictionary.
        let file = self.file(level).ok_or_else(|| ConfigError::Unexpected(format!("'{level}'")))?;
        let bytes = match self.instead.get(&level) {
            Some(bytes) => bytes.clone(),
            None => read_text(&self.env.absolute(file))?,
        };
        let mut table = match bytes {
            Some(bytes) => table_of(&parse(&bytes)?)?,
            None => Table::new(),
        };
        paths::load(&mut table, &self.dir_of(level), &self.env)?;
        for section in schema::SECTIONS {
            table.entry(section.to_owned()).or_insert_with(|| ConfigValue::Table(Table::new()));
        }
        Ok(table)
    }

    /// Checks a merged configuration; unknown features earn one warning in a process.
    pub(super) fn validate(&mut self, table: &Table) -> Result<Table, ConfigError> {
        let checked = schema::validate(table);
        let unsupported = match &checked {
            Ok(checked) => checked.unsupported.clone(),
            Err(_) => schema::unsupported_features(table),
        };
        if !unsupported.is_empty() && !self.warned {
            self.warned = true;
            let names: Vec<String> = unsupported.iter().map(|name| format!("'feature.{name}'")).collect();
            let verb = if names.len() == 1 { " is" } else { "s are" };
            self.warnings.push(format!("{} config option{verb} unsupported", names.join(", ")));
        }
        Ok(checked?.table)
    }

    /// Changes one level: reads it, lets `change` work, checks the outcome together with the levels below, writes it
    /// and reads everything again. As DVC, the last step may fail with the file already written.
    pub(super) fn edit(
        &mut self,
        level: Option<Level>,
        change: impl FnOnce(&Levels, &mut Table) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        let level = level.unwrap_or(Level::Repo);
        if self.dvc_dir.is_none() && level.is_repo_level() {
            return Err(ConfigError::invalid("Not inside a DVC repo"));
        }
        let mut table = self.load_one(level)?;
        change(self, &mut table)?;
        paths::save(&mut table, &self.dir_of(level), &self.env)?;
        let mut merged = self.load_below(Some(level))?;
        merge(&mut merged, table.clone());
        self.validate(&merged)?;
        self.save(level, &table)?;
        let all = self.load_below(None)?;
        self.validate(&all)?;
        Ok(())
    }

    fn dir_of(&self, level: Level) -> String {
        let dir = self.file(level).and_then(Path::parent).unwrap_or(Path::new(""));
        paths::absolute(&dir.to_string_lossy(), &self.env)
    }

    /// Writes a level. A file as DVC writes them is written anew in the same way; in any other one (comments, another
    /// indent, quotes that need not be) only the lines that must change do.
    fn save(&self, level: Level, table: &Table) -> Result<(), ConfigError> {
        let Some(file) = self.file(level) else { return Ok(()) };
        let file = self.env.absolute(file);
        let packed = pack(table);
        let fresh = trackway_ini::write(&packed).map_err(unexpected)?;
        let old = read_text(&file)?;
        let text = match &old {
            None => fresh,
            Some(bytes) => {
                let ini = parse(bytes)?;
                let before = self.packed(&mut table_of(&ini)?, level)?;
                let as_written = trackway_ini::write(&ini.raw_tree()).is_ok_and(|text| text.as_bytes() == bytes);
                if as_written || bytes.is_empty() {
                    // Texts with %(name)s are put back as they were, where DVC would write what they stand for.
                    let raw = self.packed(&mut raw_table(&ini), level)?;
                    trackway_ini::write(&restore(&packed, &before, &raw)).map_err(unexpected)?
                } else {
                    patch(ini, &before, &packed)?.unwrap_or(fresh)
                }
            }
        };
        if old.is_some_and(|old| old == text.as_bytes()) {
            return Ok(());
        }
        write_file(&file, &text)
    }

    /// What DVC would write for a file that was read and not changed.
    fn packed(&self, table: &mut Table, level: Level) -> Result<Section, ConfigError> {
        let dir = self.dir_of(level);
        paths::load(table, &dir, &self.env)?;
        paths::save(table, &dir, &self.env)?;
        Ok(pack(table))
    }
}

/// A file of options by itself, as `--config` names one.
pub fn read_file(file: &Path) -> Result<Table, ConfigError> {
    let bytes = read_text(file)?.ok_or_else(|| ConfigError::io(&ErrorKind::NotFound.into(), file))?;
    table_of(&parse(&bytes)?)
}

fn unexpected(error: trackway_ini::Error) -> ConfigError {
    ConfigError::Unexpected(error.to_string())
}

/// The bytes of a file that may be missing, no more than may be parsed and one.
fn read_text(file: &Path) -> Result<Option<Vec<u8>>, ConfigError> {
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(file).and_then(|open| open.take(trackway_ini::MAX_SIZE as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ConfigError::io(&error, file)),
    }
}

fn parse(bytes: &[u8]) -> Result<Ini, ConfigError> {
    Ini::parse(bytes).map_err(|error| ConfigError::caused(error.to_string()))
}

fn table_of(ini: &Ini) -> Result<Table, ConfigError> {
    Ok(named(lower(ini.tree().map_err(unexpected)?)))
}

fn raw_table(ini: &Ini) -> Table {
    named(lower(ini.raw_tree()))
}

/// Names are read in lower case, at every depth.
fn lower(section: Section) -> Table {
    section
        .into_iter()
        .map(|(key, value)| {
            let value = match value {
                Value::Text(text) => ConfigValue::Text(text),
                Value::List(items) => ConfigValue::List(items),
                Value::Section(inner) => ConfigValue::Table(lower(inner)),
            };
            (key.to_lowercase(), value)
        })
        .collect()
}

/// `remote "name"` becomes `name` in `remote`.
fn named(flat: Table) -> Table {
    let mut table: Table = NAMED.iter().map(|kind| ((*kind).to_owned(), ConfigValue::Table(Table::new()))).collect();
    for (section, value) in flat {
        match section_name(&section) {
            Some((kind, name)) => {
                table_mut(&mut table, kind).insert(name.to_owned(), value);
            }
            None => {
                table.insert(section, value);
            }
        }
    }
    table
}

fn section_name(section: &str) -> Option<(&'static str, &str)> {
    let rest = section.trim_start();
    let kind = NAMED.into_iter().find(|kind| rest.starts_with(kind))?;
    let name = rest[kind.len()..].trim_start().strip_prefix('"')?.trim_end().strip_suffix('"')?;
    (!name.contains('\n')).then_some((kind, name))
}

/// The reverse of `named`, empty sections left out: the sections with names last.
fn pack(table: &Table) -> Section {
    let mut packed = Section::new();
    for (key, value) in table.iter().filter(|(key, value)| value.is_truthy() && !NAMED.contains(&key.as_str())) {
        packed.set(key.as_str(), plain(value));
    }
    for kind in NAMED {
        for (name, value) in table.get(kind).and_then(ConfigValue::as_table).into_iter().flatten() {
            packed.set(format!("{kind} \"{name}\""), plain(value));
        }
    }
    packed
}

fn plain(value: &ConfigValue) -> Value {
    match value {
        ConfigValue::List(items) => Value::List(items.clone()),
        ConfigValue::Table(table) => {
            Value::Section(table.iter().map(|(key, value)| (key.as_str(), plain(value))).collect())
        }
        other => Value::Text(other.shown()),
    }
}

/// Puts the words of the file back where only `%(name)s` had been resolved.
fn restore(packed: &Section, resolved: &Section, raw: &Section) -> Section {
    packed
        .iter()
        .map(|(key, value)| {
            let value = match (value, resolved.get(key), raw.get(key)) {
                (Value::Section(new), Some(Value::Section(old)), Some(Value::Section(raw))) => {
                    Value::Section(restore(new, old, raw))
                }
                (new, Some(old), Some(raw)) if new == old => raw.clone(),
                (new, ..) => new.clone(),
            };
            (key, value)
        })
        .collect()
}

/// Brings a document from one state to another, line by line. `None` where that is beyond it.
fn patch(mut ini: Ini, before: &Section, after: &Section) -> Result<Option<String>, ConfigError> {
    let mut gone: Vec<&str> = before.iter().map(|(name, _)| name).filter(|name| !after.contains(name)).collect();
    for (name, value) in after.iter() {
        let Value::Section(new) = value else {
            if before.get(name) != Some(value) {
                let key = document_key(&ini, &[], name);
                ini.set(&[], &key, value.clone()).map_err(unexpected)?;
            }
            continue;
        };
        // A section that vanished while an equal one came was renamed.
        let renamed = gone
            .iter()
            .position(|old| section_name(old).is_some() && !before.contains(name) && before.get(old) == Some(value));
        let section = match renamed {
            Some(at) => {
                let old = document_section(&ini, gone.remove(at)).unwrap_or_default();
                ini.rename_section(&[&old], name).map_err(unexpected)?;
                continue;
            }
            None => match document_section(&ini, name) {
                Some(section) => section,
                None => {
                    let last_plain =
                        ini.sections().into_iter().rfind(|path| path.len() == 1 && section_name(path[0]).is_none());
                    let after = last_plain.map(|path| path[0].to_owned()).filter(|_| section_name(name).is_none());
                    let after = after.as_deref().map(|name| [name]);
                    ini.add_section(&[name], after.as_ref().map(|path| &path[..])).map_err(unexpected)?;
                    name.to_owned()
                }
            },
        };
        let empty = Section::new();
        let old = before.section(name).unwrap_or(&empty);
        for (key, _) in old.iter().filter(|(key, _)| !new.contains(key)) {
            let key = document_key(&ini, &[&section], key);
            ini.remove(&[&section], &key);
        }
        for (key, value) in new.iter().filter(|(key, value)| old.get(key) != Some(value)) {
            if matches!(value, Value::Section(_)) || matches!(old.get(key), Some(Value::Section(_))) {
                return Ok(None);
            }
            let key = document_key(&ini, &[&section], key);
            ini.set(&[&section], &key, value.clone()).map_err(unexpected)?;
        }
    }
    for name in gone {
        let Some(section) = document_section(&ini, name) else {
            let key = document_key(&ini, &[], name);
            ini.remove(&[], &key);
            continue;
        };
        let keys: Vec<String> = ini.keys(&[&section]).into_iter().map(str::to_owned).collect();
        // A plain section goes because its last option went: comments in it are worth keeping.
        if section_name(name).is_none() {
            for key in keys {
                ini.remove(&[&section], &key);
            }
            if !ini.is_bare(&[&section]) {
                continue;
            }
        }
        ini.remove_section(&[&section]);
    }
    let text = ini.to_string();
    let faithful = Ini::parse(&text).is_ok_and(|again| again.raw_tree() == ini.raw_tree());
    Ok(faithful.then_some(text))
}

/// The name under which a section stands in the document: the last that reads as `name`.
fn document_section(ini: &Ini, name: &str) -> Option<String> {
    let wanted = section_name(name);
    let found = ini.sections().into_iter().rfind(|path| {
        path.len() == 1 && {
            let lowered = path[0].to_lowercase();
            if wanted.is_some() { section_name(&lowered) == wanted } else { lowered == name }
        }
    });
    found.map(|path| path[0].to_owned())
}

fn document_key(ini: &Ini, section: &[&str], key: &str) -> String {
    ini.keys(section).into_iter().rfind(|other| other.to_lowercase() == key).unwrap_or(key).to_owned()
}

/// Writes beside the file and renames; mode and links of an old file stay.
pub(super) fn write_file(file: &Path, text: &str) -> Result<(), ConfigError> {
    let target = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let failed = |error: std::io::Error| ConfigError::io(&error, &target);
    let dir = target.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(failed)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".config-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut temporary = builder.tempfile_in(dir).map_err(failed)?;
    temporary.write_all(text.as_bytes()).map_err(failed)?;
    if let Ok(old) = std::fs::metadata(&target) {
        temporary.as_file().set_permissions(old.permissions()).map_err(failed)?;
    }
    temporary.persist(&target).map_err(|error| failed(error.error))?;
    Ok(())
}
