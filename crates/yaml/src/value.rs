//! Plain data: what a YAML document means, without how it was written.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;

/// A YAML value. Integers beyond 64 bits keep their digits.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer that does not fit: its decimal digits, with a sign if it is negative.
    BigInt(String),
    Float(f64),
    Str(String),
    Seq(Vec<Value>),
    Map(Map),
}

/// A mapping that keeps its order. Keys are any values; nearly all are strings.
#[derive(Clone, Default)]
pub struct Map {
    entries: Vec<(Value, Value)>,
    /// Only of large maps.
    index: Option<Box<Index>>,
}

/// From this size on looking at each entry takes too long.
const LARGE: usize = 32;

/// Where the first key with a hash stands.
#[derive(Clone, Default)]
struct Index {
    hasher: RandomState,
    places: HashMap<u64, usize>,
}

impl Index {
    fn of(entries: &[(Value, Value)]) -> Box<Index> {
        let mut index = Box::new(Index::default());
        index.places.reserve(entries.len());
        for (at, (key, _)) in entries.iter().enumerate() {
            index.add(key, at);
        }
        index
    }

    fn hash(&self, key: Key<'_>) -> u64 {
        self.hasher.hash_one(key)
    }

    fn add(&mut self, key: &Value, at: usize) {
        if let Entry::Vacant(place) = self.places.entry(self.hasher.hash_one(Key::of(key))) {
            place.insert(at);
        }
    }
}

/// A key to be hashed. Keys that are no scalars are all alike here: hardly anybody has any.
#[derive(Clone, Copy, Hash, PartialEq, Eq)]
enum Key<'k> {
    Text(&'k str),
    Int(i64),
    Digits(&'k str),
    Bool(bool),
    Other,
}

impl<'k> Key<'k> {
    fn of(value: &'k Value) -> Key<'k> {
        match value {
            Value::Str(text) => Key::Text(text),
            Value::Int(number) => Key::Int(*number),
            Value::BigInt(digits) => Key::Digits(digits),
            Value::Bool(flag) => Key::Bool(*flag),
            Value::Null | Value::Float(_) | Value::Seq(_) | Value::Map(_) => Key::Other,
        }
    }
}

impl Map {
    pub fn new() -> Map {
        Map::default()
    }

    /// From entries whose keys are known to differ.
    pub(crate) fn from_unique(entries: Vec<(Value, Value)>) -> Map {
        let index = (entries.len() >= LARGE).then(|| Index::of(&entries));
        Map { entries, index }
    }

    fn position(&self, key: Key<'_>, is_it: impl Fn(&Value) -> bool) -> Option<usize> {
        if let Some(index) = &self.index {
            let at = *index.places.get(&index.hash(key))?;
            if is_it(&self.entries[at].0) {
                return Some(at);
            }
        }
        self.entries.iter().position(|(key, _)| is_it(key))
    }

    fn position_of(&self, key: &str) -> Option<usize> {
        self.position(Key::Text(key), |other| other.as_str() == Some(key))
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Value, &Value)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&Value, &mut Value)> {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.position_of(key).map(|at| &self.entries[at].1)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.position_of(key).map(|at| &mut self.entries[at].1)
    }

    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Replaces the value of `key` where it stands, or adds it at the end.
    pub fn insert(&mut self, key: impl Into<Value>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        if let Some(at) = self.position(Key::of(&key), |other| *other == key) {
            return Some(std::mem::replace(&mut self.entries[at].1, value));
        }
        match &mut self.index {
            Some(index) => index.add(&key, self.entries.len()),
            None if self.entries.len() + 1 >= LARGE => {
                self.entries.push((key, value));
                self.index = Some(Index::of(&self.entries));
                return None;
            }
            None => {}
        }
        self.entries.push((key, value));
        None
    }

    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.position_of(key)?;
        let (_, value) = self.entries.remove(at);
        // All behind it have moved up.
        self.index = (self.entries.len() >= LARGE).then(|| Index::of(&self.entries));
        Some(value)
    }
}

impl std::fmt::Debug for Map {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_map().entries(self.iter()).finish()
    }
}

/// Equal as Python's dicts are: the order does not matter.
impl PartialEq for Map {
    fn eq(&self, other: &Map) -> bool {
        self.len() == other.len()
            && self.entries.iter().all(|(key, value)| {
                other.position(Key::of(key), |k| k == key).is_some_and(|at| other.entries[at].1 == *value)
            })
    }
}

impl FromIterator<(Value, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (Value, Value)>>(entries: I) -> Map {
        let mut map = Map::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

impl IntoIterator for Map {
    type Item = (Value, Value);
    type IntoIter = std::vec::IntoIter<(Value, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl Value {
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_seq(&self) -> Option<&[Value]> {
        match self {
            Value::Seq(items) => Some(items),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

impl Value {
    /// Equal as Python sees it: `1 == 1.0 == True`.
    pub(crate) fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Seq(a), Value::Seq(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b)),
            (Value::Map(a), Value::Map(b)) => {
                a.len() == b.len() && a.iter().all(|(key, value)| b.iter().any(|(k, v)| k.same(key) && v.same(value)))
            }
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => a == b,
                _ => self == other,
            },
        }
    }

    /// One text for all values that are equal as keys in Python.
    pub(crate) fn key_text(&self) -> String {
        match (self, self.number()) {
            (Value::Str(text), _) => format!("s{text}"),
            (_, Some(number)) => format!("n{number}"),
            _ => self.to_python(true),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Value::Bool(value) => Some(f64::from(u8::from(*value))),
            Value::Int(value) if value.unsigned_abs() < 1 << 53 => Some(*value as f64),
            Value::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// As Python's `str` (or `repr`, if `quoted`) shows it; for messages.
    pub(crate) fn to_python(&self, quoted: bool) -> String {
        match self {
            Value::Null => "None".to_owned(),
            Value::Bool(true) => "True".to_owned(),
            Value::Bool(false) => "False".to_owned(),
            Value::Int(value) => value.to_string(),
            Value::BigInt(digits) => digits.clone(),
            Value::Float(value) => crate::scalar::float(*value).replace('.', if value.is_finite() { "." } else { "" }),
            Value::Str(text) if !quoted => text.clone(),
            Value::Str(text) => {
                let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
                let mut out = String::from(quote);
                for ch in text.chars() {
                    match ch {
                        '\n' => out.push_str("\\n"),
                        '\t' => out.push_str("\\t"),
                        '\r' => out.push_str("\\r"),
                        '\\' => out.push_str("\\\\"),
                        _ if ch == quote => out.extend(['\\', ch]),
                        _ if is_printable(ch) => out.push(ch),
                        _ => out.push_str(&match u32::from(ch) {
                            code @ 0..=0xff => format!("\\x{code:02x}"),
                            code @ 0x100..=0xffff => format!("\\u{code:04x}"),
                            code => format!("\\U{code:08x}"),
                        }),
                    }
                }
                out.push(quote);
                out
            }
            Value::Seq(items) => {
                let items: Vec<String> = items.iter().map(|item| item.to_python(true)).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Map(map) => {
                let entries: Vec<String> = map
                    .iter()
                    .map(|(key, value)| format!("{}: {}", key.to_python(true), value.to_python(true)))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }
}

/// Whether Python's `repr` shows a character as it is: no control, format, private or space character but ` `. (What
/// Unicode has not assigned is not told apart.)
fn is_printable(ch: char) -> bool {
    let format = matches!(ch, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{180e}')
        || matches!(ch, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(ch, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    let private = matches!(ch, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    !(format || private || ch.is_control() || (ch.is_whitespace() && ch != ' '))
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Str(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        i64::try_from(value).map_or_else(|_| Value::BigInt(value.to_string()), Value::Int)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Float(value)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Value {
        Value::Map(map)
    }
}

impl<V: Into<Value>> From<Vec<V>> for Value {
    fn from(items: Vec<V>) -> Value {
        Value::Seq(items.into_iter().map(Into::into).collect())
    }
}
