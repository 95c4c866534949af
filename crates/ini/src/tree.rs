//! What a document says: sections, keys and values in order.

use indexmap::IndexMap;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    List(Vec<String>),
    Section(Section),
}

impl Value {
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_section(&self) -> Option<&Section> {
        match self {
            Value::Section(section) => Some(section),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

/// Keys and subsections in the order of the file. Equality ignores order, as of Python's dictionaries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Section {
    entries: IndexMap<String, Value>,
}

impl Section {
    pub fn new() -> Section {
        Section::default()
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.entries.get_mut(key)
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_text()
    }

    pub fn section(&self, key: &str) -> Option<&Section> {
        self.get(key)?.as_section()
    }

    pub fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Sets a value; an existing key keeps its place, a new one goes to the end.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.entries.insert(key.into(), value.into());
    }

    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.entries.shift_remove(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

impl From<Section> for Value {
    fn from(section: Section) -> Value {
        Value::Section(section)
    }
}

impl IntoIterator for Section {
    type Item = (String, Value);
    type IntoIter = indexmap::map::IntoIter<String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Section {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Section {
        Section { entries: entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect() }
    }
}
