//! Values of a configuration: as read, and as the schema makes them.

use indexmap::IndexMap;
use trackway_ini::repr;

/// Options of a section, or sections of a configuration, in order.
pub type Table = IndexMap<String, ConfigValue>;

#[derive(Debug, Clone, PartialEq)]
pub enum ConfigValue {
    /// `remote modify` without a value sets Python's None.
    Null,
    Text(String),
    /// A path from a file, made absolute; `written` is what stands in the file where that must come back.
    Path {
        path: String,
        written: Option<String>,
    },
    List(Vec<String>),
    Table(Table),
    Bool(bool),
    Int(i64),
    Float(f64),
}

impl ConfigValue {
    pub fn as_text(&self) -> Option<&str> {
        match self {
            ConfigValue::Text(text) | ConfigValue::Path { path: text, .. } => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            ConfigValue::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_int(&self) -> Option<i64> {
        match self {
            ConfigValue::Int(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_table(&self) -> Option<&Table> {
        match self {
            ConfigValue::Table(table) => Some(table),
            _ => None,
        }
    }

    /// As Python's `str` shows it.
    pub fn shown(&self) -> String {
        match self.as_text() {
            Some(text) => text.to_owned(),
            None => self.repr(),
        }
    }

    /// As Python's `repr` shows it.
    pub fn repr(&self) -> String {
        match self {
            ConfigValue::Null => "None".to_owned(),
            ConfigValue::Text(text) | ConfigValue::Path { path: text, .. } => repr(text),
            ConfigValue::List(items) => {
                let items: Vec<String> = items.iter().map(|item| repr(item)).collect();
                format!("[{}]", items.join(", "))
            }
            ConfigValue::Table(table) => {
                let items: Vec<String> = table.iter().map(|(k, v)| format!("{}: {}", repr(k), v.repr())).collect();
                format!("{{{}}}", items.join(", "))
            }
            ConfigValue::Bool(true) => "True".to_owned(),
            ConfigValue::Bool(false) => "False".to_owned(),
            ConfigValue::Int(value) => value.to_string(),
            ConfigValue::Float(value) => format!("{value:?}"),
        }
    }

    /// Python's name of the type, for messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            ConfigValue::Null => "NoneType",
            ConfigValue::Text(_) | ConfigValue::Path { .. } => "str",
            ConfigValue::List(_) => "list",
            ConfigValue::Table(_) => "dict",
            ConfigValue::Bool(_) => "bool",
            ConfigValue::Int(_) => "int",
            ConfigValue::Float(_) => "float",
        }
    }

    /// False for what Python takes for false: empty text, list, table.
    pub(crate) fn is_truthy(&self) -> bool {
        match self {
            ConfigValue::Null => false,
            ConfigValue::Text(text) | ConfigValue::Path { path: text, .. } => !text.is_empty(),
            ConfigValue::List(items) => !items.is_empty(),
            ConfigValue::Table(table) => !table.is_empty(),
            ConfigValue::Bool(value) => *value,
            ConfigValue::Int(value) => *value != 0,
            ConfigValue::Float(value) => *value != 0.0,
        }
    }
}

impl From<&str> for ConfigValue {
    fn from(text: &str) -> ConfigValue {
        ConfigValue::Text(text.to_owned())
    }
}

/// Lays `update` over `into`: tables are merged, other values replaced.
pub fn merge(into: &mut Table, update: Table) {
    for (key, value) in update {
        match (into.get_mut(&key), value) {
            (Some(ConfigValue::Table(old)), ConfigValue::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// `section.option` and value for every option, in order; empty tables vanish.
pub(crate) fn flatten(table: &Table) -> Vec<(String, String)> {
    fn walk(prefix: &str, table: &Table, out: &mut Vec<(String, String)>) {
        for (key, value) in table {
            let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                ConfigValue::Table(inner) => walk(&key, inner, out),
                value => out.push((key, value.shown())),
            }
        }
    }
    let mut out = Vec::new();
    walk("", table, &mut out);
    out
}

/// The table under a key, made where it is missing or something else.
pub(crate) fn table_mut<'a>(table: &'a mut Table, key: &str) -> &'a mut Table {
    let slot = table.entry(key.to_owned()).or_insert_with(|| ConfigValue::Table(Table::new()));
    if !matches!(slot, ConfigValue::Table(_)) {
        *slot = ConfigValue::Table(Table::new());
    }
    match slot {
        ConfigValue::Table(inner) => inner,
        _ => unreachable!("it was made a table above"),
    }
}
