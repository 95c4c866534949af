//! `config`, `remote add|list|modify|default|remove|rename` and `cache dir`.
//!
//! Every command works on [`Levels::open`], which reads all files first and fails where one cannot be parsed. It returns
//! what is to be printed; warnings are in [`Levels::take_warnings`], also behind an error.

use super::error::ConfigError;
use super::levels::{Level, Levels};
use super::value::{ConfigValue, Table, flatten, merge, table_mut};

/// What an argument parser says of a name that is none (254).
pub const NAME_ERROR: &str = "name argument should look like remote.name.option or db.name.option or section.option";

/// `section.option`, `remote.name.option` or `db.name.option`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionName {
    /// `remote` or `db`.
    pub kind: Option<String>,
    pub section: String,
    pub option: String,
}

impl OptionName {
    /// Names come in lower case; `None` for what is no name.
    pub fn parse(text: &str) -> Option<OptionName> {
        let parts: Vec<&str> = text.split('.').collect();
        let (kind, section, option) = match parts[..] {
            [section, option] => (None, section, option),
            [kind @ ("remote" | "db"), section, option] => (Some(kind.to_owned()), section, option),
            _ => return None,
        };
        Some(OptionName { kind, section: section.to_lowercase(), option: option.to_lowercase() })
    }

    /// An error unless the section, and the option in it, is there.
    fn check(&self, table: &Table) -> Result<(), ConfigError> {
        let kind = self.kind.as_deref().unwrap_or("section");
        let section = &self.section;
        let Some(inner) = table.get(section) else {
            return Err(ConfigError::invalid(format!("{kind} '{section}' doesn't exist")));
        };
        let option = &self.option;
        if !option.is_empty() && !inner.as_table().is_some_and(|inner| inner.contains_key(option)) {
            return Err(ConfigError::invalid(format!("option '{option}' doesn't exist in {kind} '{section}'")));
        }
        Ok(())
    }

    /// The table that holds the section.
    fn outer<'a>(&self, table: &'a mut Table) -> &'a mut Table {
        match &self.kind {
            Some(kind) => table_mut(table, kind),
            None => table,
        }
    }
}

/// A value that `config NAME` found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The file, when the origin was asked for.
    pub origin: Option<String>,
    pub value: ConfigValue,
}

impl Found {
    /// The line that DVC prints.
    pub fn line(&self) -> String {
        with_origin(&self.origin, &self.value.shown())
    }
}

/// A line of `config --list`.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    pub origin: Option<String>,
    pub name: String,
    pub value: String,
}

impl Listed {
    /// The line that DVC prints.
    pub fn line(&self) -> String {
        with_origin(&self.origin, &format!("{}={}", self.name, self.value))
    }
}

fn with_origin(origin: &Option<String>, text: &str) -> String {
    origin.as_ref().map_or_else(|| text.to_owned(), |file| format!("{file}\t{text}"))
}

#[derive(Debug, Clone, PartialEq)]
pub struct RemoteRow {
    pub name: String,
    pub url: String,
    /// DVC prints the default one in green on a terminal.
    pub default: bool,
}

impl RemoteRow {
    /// The row before it is laid out, with tabs.
    pub fn text(&self) -> String {
        let mark = if self.default { "\t(default)" } else { "" };
        format!("{}\t{}{mark}", self.name, self.url)
    }
}

/// Remotes as `remote list` prints them: an error comes behind the rows before it.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteRows {
    pub rows: Vec<RemoteRow>,
    pub error: Option<ConfigError>,
}

impl Levels {
    /// `config --list [--show-origin]`.
    pub fn list(&self, level: Option<Level>, show_origin: bool) -> Result<Vec<Listed>, ConfigError> {
        let mut listed = Vec::new();
        for level in self.levels_for(level)? {
            let origin = self.origin(level, show_origin);
            for (name, value) in flatten(&self.load_one(level)?) {
                listed.push(Listed { origin: origin.clone(), name, value });
            }
        }
        Ok(listed)
    }

    /// `config NAME`: the value of the highest level that has one. Missing on all levels is silence, missing on a level
    /// that was asked for is an error.
    pub fn get(
        &self,
        name: &OptionName,
        level: Option<Level>,
        show_origin: bool,
    ) -> Result<Option<Found>, ConfigError> {
        for here in self.levels_for(level)?.into_iter().rev() {
            let mut table = self.load_one(here)?;
            let table = name.outer(&mut table);
            match name.check(table) {
                Err(error) if level.is_some() => return Err(error),
                Err(_) => continue,
                Ok(()) => {}
            }
            let value = table.get(&name.section).and_then(|inner| inner.as_table()?.get(&name.option));
            // `config core.` asks for the option '', which DVC does not expect.
            let value = value.ok_or_else(|| ConfigError::Unexpected(trackway_ini::repr(&name.option)))?;
            return Ok(Some(Found { origin: self.origin(here, show_origin), value: value.clone() }));
        }
        Ok(None)
    }

    /// `config NAME VALUE`.
    pub fn set(&mut self, name: &OptionName, value: &str, level: Option<Level>) -> Result<(), ConfigError> {
        self.edit(level, |_, table| {
            table_mut(name.outer(table), &name.section).insert(name.option.clone(), value.into());
            Ok(())
        })
    }

    /// `config --unset NAME`.
    pub fn unset(&mut self, name: &OptionName, level: Option<Level>) -> Result<(), ConfigError> {
        self.edit(level, |_, table| {
            let outer = name.outer(table);
            name.check(outer)?;
            match table_mut(outer, &name.section).shift_remove(&name.option) {
                Some(_) => Ok(()),
                None => Err(ConfigError::Unexpected(trackway_ini::repr(&name.option))),
            }
        })
    }

    /// `remote add`. With `default` the caller first prints [`Levels::default_notice`], also when this fails then.
    pub fn remote_add(
        &mut self,
        name: &str,
        url: &str,
        default: bool,
        force: bool,
        level: Option<Level>,
    ) -> Result<(), ConfigError> {
        let name = name.to_lowercase();
        self.edit(level, |_, table| {
            let remotes = table_mut(table, "remote");
            if remotes.contains_key(&name) && !force {
                let message = format!("remote '{name}' already exists. Use `-f|--force` to overwrite it.");
                return Err(ConfigError::invalid(message));
            }
            let options = Table::from_iter([("url".to_owned(), url.into())]);
            remotes.insert(name.clone(), ConfigValue::Table(options));
            if default {
                table_mut(table, "core").insert("remote".to_owned(), ConfigValue::Text(name));
            }
            Ok(())
        })
    }

    /// The line on standard output before `remote add -d` does its work.
    pub fn default_notice(name: &str) -> String {
        format!("Setting '{}' as a default remote.", name.to_lowercase())
    }

    /// `remote list`.
    pub fn remote_list(&self, level: Option<Level>) -> Result<RemoteRows, ConfigError> {
        let mut table = self.read(level)?;
        let default =
            table_mut_if_there(&mut table, "core").and_then(|core| core.get("remote").map(ConfigValue::shown));
        let mut rows = Vec::new();
        for (name, value) in table.get("remote").and_then(ConfigValue::as_table).into_iter().flatten() {
            // As DVC 3.67: a level may hold a part of a remote, without its URL; then the command breaks off.
            let Some(url) = value.as_table().and_then(|options| options.get("url")) else {
                return Ok(RemoteRows { rows, error: Some(ConfigError::Unexpected("'url'".to_owned())) });
            };
            rows.push(RemoteRow { name: name.clone(), url: url.shown(), default: default.as_ref() == Some(name) });
        }
        Ok(RemoteRows { rows, error: None })
    }

    /// `remote modify NAME OPTION [VALUE]`. No value is Python's None for the check, and an error for most options.
    pub fn remote_modify(
        &mut self,
        name: &str,
        option: &str,
        value: Option<&str>,
        level: Option<Level>,
    ) -> Result<(), ConfigError> {
        let value = value.map_or(ConfigValue::Null, ConfigValue::from);
        self.remote_change(name, level, |options| {
            options.insert(option.to_owned(), value);
        })
    }

    /// `remote modify --unset NAME OPTION`. An option that is not there is no error.
    pub fn remote_unset(&mut self, name: &str, option: &str, level: Option<Level>) -> Result<(), ConfigError> {
        self.remote_change(name, level, |options| {
            options.shift_remove(option);
        })
    }

    fn remote_change(
        &mut self,
        name: &str,
        level: Option<Level>,
        change: impl FnOnce(&mut Table),
    ) -> Result<(), ConfigError> {
        let name = name.to_lowercase();
        self.edit(level, |levels, table| {
            let mut merged = levels.load_below(level)?;
            merge(&mut merged, table.clone());
            remote_exists(&merged, &name)?;
            change(table_mut(table_mut(table, "remote"), &name));
            Ok(())
        })
    }

    /// `remote default`: the default remote's name. `None`: DVC prints `No default remote set` to standard output and
    /// ends with 1.
    pub fn remote_default(&self, level: Option<Level>) -> Result<Option<String>, ConfigError> {
        let mut table = self.read(level)?;
        Ok(table_mut_if_there(&mut table, "core").and_then(|core| core.get("remote").map(ConfigValue::shown)))
    }

    /// `remote default NAME`.
    pub fn remote_set_default(&mut self, name: &str, level: Option<Level>) -> Result<(), ConfigError> {
        let name = name.to_lowercase();
        self.edit(level, |levels, table| {
            let merged = levels.load_below(level)?;
            let has = |table: &Table| {
                table.get("remote").and_then(ConfigValue::as_table).map(|remotes| remotes.contains_key(&name))
            };
            if has(table) != Some(true) {
                // As DVC 3.67: no level lies below the system's, and its merged table has no such key.
                let known = has(&merged).ok_or_else(|| ConfigError::Unexpected("'remote'".to_owned()))?;
                if !known {
                    return Err(ConfigError::invalid("default remote must be present in remote list."));
                }
            }
            table_mut(table, "core").insert("remote".to_owned(), ConfigValue::Text(name));
            Ok(())
        })
    }

    /// `remote default --unset`.
    pub fn remote_unset_default(&mut self, level: Option<Level>) -> Result<(), ConfigError> {
        self.edit(level, |_, table| {
            table_mut(table, "core").shift_remove("remote");
            Ok(())
        })
    }

    /// `remote remove`: also takes the default away that names it, on this level and on those that shadow it. As DVC,
    /// this makes `config.local`.
    pub fn remote_remove(&mut self, name: &str, level: Option<Level>) -> Result<(), ConfigError> {
        let name = name.to_lowercase();
        self.edit(level, |_, table| {
            remote_exists(table, &name)?;
            table_mut(table, "remote").shift_remove(&name);
            Ok(())
        })?;
        let lowest = level.unwrap_or(Level::Repo);
        for here in Level::ALL.into_iter().rev().take_while(|here| *here >= lowest) {
            self.edit(Some(here), |_, table| {
                let core = table_mut(table, "core");
                if core.get("remote").and_then(ConfigValue::as_text) == Some(&name) {
                    core.shift_remove("remote");
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// `remote rename`: also in the defaults of this level and of those that shadow it. As DVC, the new name is written
    /// as given and read in lower case.
    pub fn remote_rename(&mut self, name: &str, new: &str, level: Option<Level>) -> Result<(), ConfigError> {
        let name = name.to_lowercase();
        let all = self.load_below(None)?;
        if all.get("remote").and_then(ConfigValue::as_table).is_some_and(|remotes| remotes.contains_key(new)) {
            let message = format!("Rename failed. Remote name {} already exists.", trackway_ini::repr(new));
            return Err(ConfigError::invalid(message));
        }
        let rename_default = |table: &mut Table| {
            let core = table_mut(table, "core");
            if core.get("remote").and_then(ConfigValue::as_text) == Some(&name) {
                core.insert("remote".to_owned(), new.into());
            }
        };
        self.edit(level, |_, table| {
            remote_exists(table, &name)?;
            let remotes = table_mut(table, "remote");
            if let Some(options) = remotes.get(&name).cloned() {
                remotes.insert(new.to_owned(), options);
                remotes.shift_remove(&name);
            }
            rename_default(table);
            Ok(())
        })?;
        let lowest = level.unwrap_or(Level::Repo);
        for here in Level::ALL.into_iter().rev().take_while(|here| *here > lowest) {
            self.edit(Some(here), |_, table| {
                rename_default(table);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// `cache dir`: where the cache is, for one level only what it says itself.
    pub fn cache_dir(&self, level: Option<Level>) -> Result<String, ConfigError> {
        let table = self.read(level)?;
        let name = OptionName { kind: None, section: "cache".to_owned(), option: "dir".to_owned() };
        match (name.check(&table), &self.dvc_dir) {
            (Ok(()), _) => {
                let dir = table.get("cache").and_then(|cache| cache.as_table()?.get("dir"));
                Ok(dir.map(ConfigValue::shown).unwrap_or_default())
            }
            (Err(_), Some(dvc_dir)) if level.is_none() => Ok(dvc_dir.join("cache").to_string_lossy().into_owned()),
            (Err(error), _) => Err(error),
        }
    }

    /// `cache dir PATH`: relative to the working directory.
    pub fn set_cache_dir(&mut self, path: &str, level: Option<Level>) -> Result<(), ConfigError> {
        self.edit(level, |_, table| {
            table_mut(table, "cache").insert("dir".to_owned(), path.into());
            Ok(())
        })
    }

    /// `cache dir --unset`.
    pub fn unset_cache_dir(&mut self, level: Option<Level>) -> Result<(), ConfigError> {
        let name = OptionName { kind: None, section: "cache".to_owned(), option: "dir".to_owned() };
        self.unset(&name, level)
    }

    fn levels_for(&self, level: Option<Level>) -> Result<Vec<Level>, ConfigError> {
        match level {
            Some(level) if level.is_repo_level() && self.dvc_dir.is_none() => {
                Err(ConfigError::invalid("Not inside a DVC repo"))
            }
            Some(level) => Ok(vec![level]),
            None => Ok(Level::ALL.into_iter().filter(|level| self.file(*level).is_some()).collect()),
        }
    }

    /// The file of a level as `--show-origin` names it: those of the repository relative to its root.
    fn origin(&self, level: Level, show: bool) -> Option<String> {
        let file = self.file(level).filter(|_| show)?;
        let shown = match level.is_repo_level() {
            true => self.dvc_dir.as_ref().and_then(|dir| file.strip_prefix(dir.parent()?).ok()).unwrap_or(file),
            false => file,
        };
        Some(shown.to_string_lossy().into_owned())
    }
}

fn remote_exists(table: &Table, name: &str) -> Result<(), ConfigError> {
    match table.get("remote").and_then(ConfigValue::as_table).is_some_and(|remotes| remotes.contains_key(name)) {
        true => Ok(()),
        false => {
            let known = table.get("remote").and_then(ConfigValue::as_table);
            let known = known.into_iter().flat_map(|remotes| remotes.keys().map(String::as_str));
            let nearest = super::schema::closest(name, known);
            Err(ConfigError::Invalid { message: format!("remote '{name}' doesn't exist."), cause: None, nearest })
        }
    }
}

fn table_mut_if_there<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Table> {
    match table.get_mut(key) {
        Some(ConfigValue::Table(inner)) => Some(inner),
        _ => None,
    }
}
