//! Documents as plain data, read and written.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::emitter::{Content, Node, NodeId, Tree};
use crate::error::{Error, Mark};
use crate::load::{self, Loader};
use crate::resolve::Type;
use crate::scalar;
use crate::value::{Map, Value};

/// Values that aliases and merge keys may add to those that are written out.
pub(crate) const MOST_REPEATED: usize = 1_000_000;

/// The value of the only document in `text`; `Null` if there is none.
///
/// As ruamel.yaml's safe loader reads it for DVC: YAML 1.2, duplicate keys and unknown tags are errors, `<<` merges.
/// What Python would turn into a date (`2020-01-31`) or bytes (`!!binary`) stays a string. A `%YAML 1.1` directive is
/// read past.
pub fn parse(text: &str) -> Result<Value, Error> {
    let mut loader = Loader::new(text, false)?;
    let Some(root) = loader.single_document()? else { return Ok(Value::Null) };
    let (nodes, _) = loader.into_parts();
    let mut builder =
        Builder { nodes: &nodes, left: nodes.len() + MOST_REPEATED, open: vec![false; nodes.len()], depth: 0 };
    builder.value(root)
}

/// `value` as DVC writes it to a file.
pub fn emit(value: &Value) -> String {
    let mut tree = Tree::default();
    let root = match value {
        Value::Null => tree.add(Node::scalar("null", Type::Null)),
        _ => add(&mut tree, value),
    };
    tree.write(root)
}

pub(crate) fn add<'a>(tree: &mut Tree<'a>, value: &'a Value) -> NodeId {
    match value {
        Value::Seq(items) => {
            let items: Vec<NodeId> = items.iter().map(|item| add(tree, item)).collect();
            let flow = items.is_empty();
            tree.add(Node::new(Content::Seq { items, flow }))
        }
        Value::Map(map) => {
            let pairs: Vec<(NodeId, NodeId)> =
                map.iter().map(|(key, value)| (add(tree, key), add(tree, value))).collect();
            let flow = pairs.is_empty();
            tree.add(Node::new(Content::Map { pairs, flow }))
        }
        scalar => {
            let (text, kind) = scalar_text(scalar);
            tree.add(Node::scalar(text, kind))
        }
    }
}

/// How a scalar is written before any quotes.
pub(crate) fn scalar_text(value: &Value) -> (Cow<'_, str>, Type) {
    match value {
        Value::Bool(true) => (Cow::Borrowed("true"), Type::Bool),
        Value::Bool(false) => (Cow::Borrowed("false"), Type::Bool),
        Value::Int(number) => (Cow::Owned(number.to_string()), Type::Int),
        Value::BigInt(digits) => (Cow::Borrowed(digits.as_str()), Type::Int),
        Value::Float(number) => (Cow::Owned(scalar::float(*number)), Type::Float),
        Value::Str(text) => (Cow::Borrowed(text.as_str()), Type::Str),
        Value::Null | Value::Seq(_) | Value::Map(_) => (Cow::Borrowed(""), Type::Null),
    }
}

struct Builder<'n> {
    nodes: &'n [load::Node],
    left: usize,
    /// Collections that we are inside of: an alias to one of them has no end.
    open: Vec<bool>,
    depth: usize,
}

impl Builder<'_> {
    fn value(&mut self, id: usize) -> Result<Value, Error> {
        let nodes = self.nodes;
        let node = &nodes[id];
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| Error::at(node.start, format!("aliases repeat more than {MOST_REPEATED} values")))?;
        if let load::Content::Scalar { text, kind, .. } = &node.content {
            return tagged_scalar(node, text, *kind);
        }
        if std::mem::replace(&mut self.open[id], true) {
            return Err(Error::at(node.start, "found unconstructable recursive node"));
        }
        // Aliases of aliases nest deeper than the text does.
        self.depth += 1;
        if self.depth > load::DEEPEST {
            return Err(Error::at(node.start, format!("maximum depth of data structure exceeded ({})", self.depth)));
        }
        let value = match (&node.content, node.tag.as_ref().map(|tag| tag.core().unwrap_or(&tag.name))) {
            (load::Content::Seq { items, .. }, None | Some("!" | "seq")) => {
                Value::Seq(items.iter().map(|item| self.value(*item)).collect::<Result<_, _>>()?)
            }
            (load::Content::Map { pairs, .. }, None | Some("!" | "map")) => Value::Map(self.map(node, pairs)?),
            (load::Content::Seq { items, .. }, Some("omap")) => self.ordered_map(items)?,
            _ => return Err(unknown_tag(node)),
        };
        self.open[id] = false;
        self.depth -= 1;
        Ok(value)
    }

    fn ordered_map(&mut self, items: &[usize]) -> Result<Value, Error> {
        let mut map = Map::new();
        for item in items {
            let node = &self.nodes[*item];
            match &node.content {
                load::Content::Map { pairs, .. } if pairs.len() == 1 => {
                    let (key, value) = (self.value(pairs[0].0)?, self.value(pairs[0].1)?);
                    map.insert(key, value);
                }
                _ => {
                    let problem = format!("expected a mapping of length 1, but found {}", node.kind_name());
                    return Err(Error::within("while constructing an ordered map", node.start, problem, node.start));
                }
            }
        }
        Ok(Value::Map(map))
    }

    fn map(&mut self, node: &load::Node, pairs: &[(usize, usize)]) -> Result<Map, Error> {
        if !pairs.iter().any(|(key, _)| self.nodes[*key].is_merge_key()) {
            return self.own_entries(node, pairs, true).map(Map::from_unique);
        }
        // What is merged in comes first, and gives way to the mapping's own keys.
        let mut flat = Vec::new();
        self.flatten(node, pairs, &mut flat, 0)?;
        let mut map = Map::new();
        for (key, value) in self.own_entries(node, &flat, false)? {
            map.insert(key, value);
        }
        Ok(map)
    }

    fn flatten(
        &mut self,
        node: &load::Node,
        pairs: &[(usize, usize)],
        flat: &mut Vec<(usize, usize)>,
        depth: usize,
    ) -> Result<(), Error> {
        let context = "while constructing a mapping";
        let nodes = self.nodes;
        if depth > load::DEEPEST {
            return Err(Error::at(node.start, "found unconstructable recursive node"));
        }
        let mut merged = false;
        for (key, value) in pairs {
            if !nodes[*key].is_merge_key() {
                continue;
            }
            if std::mem::replace(&mut merged, true) {
                let problem = "found duplicate merge key \"<<\"";
                return Err(Error::within(context, node.start, problem, nodes[*key].start));
            }
            let sources = match &nodes[*value].content {
                load::Content::Map { .. } => vec![*value],
                load::Content::Seq { items, .. } => items.iter().rev().copied().collect(),
                load::Content::Scalar { .. } => {
                    let problem = "expected a mapping or list of mappings for merging, but found scalar";
                    return Err(Error::within(context, node.start, problem, nodes[*value].start));
                }
            };
            if let Some(wrong) =
                sources.iter().rev().find(|id| !matches!(nodes[**id].content, load::Content::Map { .. }))
            {
                let problem = format!("expected a mapping for merging, but found {}", nodes[*wrong].kind_name());
                return Err(Error::within(context, node.start, problem, nodes[*wrong].start));
            }
            for source in sources {
                let source = &nodes[source];
                let load::Content::Map { pairs, .. } = &source.content else { continue };
                self.left = self.left.checked_sub(pairs.len()).ok_or_else(|| {
                    Error::at(node.start, format!("merge keys repeat more than {MOST_REPEATED} values"))
                })?;
                self.flatten(source, pairs, flat, depth + 1)?;
            }
        }
        flat.extend(pairs.iter().filter(|(key, _)| !nodes[*key].is_merge_key()));
        Ok(())
    }

    fn own_entries(
        &mut self,
        node: &load::Node,
        pairs: &[(usize, usize)],
        unique: bool,
    ) -> Result<Vec<(Value, Value)>, Error> {
        let nodes = self.nodes;
        let mut entries: Vec<(Value, Value)> = Vec::with_capacity(pairs.len());
        let mut texts: HashSet<&str> = HashSet::new();
        let mut others: HashSet<String> = HashSet::new();
        for (key_id, value_id) in pairs {
            let key = self.value(*key_id)?;
            check_key(&key, node.start, nodes[*key_id].start)?;
            let value = self.value(*value_id)?;
            if unique {
                let text = match &nodes[*key_id].content {
                    load::Content::Scalar { text, .. } if matches!(key, Value::Str(_)) => Some(text.as_str()),
                    _ => None,
                };
                let again = match text {
                    Some(text) => !texts.insert(text),
                    None => !others.insert(key.key_text()),
                };
                if again {
                    let before = entries.iter().find(|(other, _)| other.same(&key)).map(|(_, value)| value);
                    let (value, before) = (unfilled(&value), before.map(unfilled));
                    return Err(duplicate_key(&key, &value, before.as_ref(), node.start, nodes[*key_id].start));
                }
            }
            entries.push((key, value));
        }
        Ok(entries)
    }
}

/// As ruamel's safe loader shows a value in the middle of its work: collections are filled later.
fn unfilled(value: &Value) -> Value {
    match value {
        Value::Seq(_) => Value::Seq(Vec::new()),
        Value::Map(_) => Value::Map(Map::new()),
        scalar => scalar.clone(),
    }
}

pub(crate) fn duplicate_key(key: &Value, value: &Value, before: Option<&Value>, start: Mark, mark: Mark) -> Error {
    // As ruamel shows it: at that moment it has not filled its collections yet.
    let shown = |value: &Value| match value {
        Value::Map(_) => "{}".to_owned(),
        Value::Seq(_) => "[]".to_owned(),
        value => value.to_python(false),
    };
    let (key, value, before) = (key.to_python(false), shown(value), before.map(shown).unwrap_or_default());
    let problem = format!("found duplicate key \"{key}\" with value \"{value}\" (original value: \"{before}\")");
    Error::within("while constructing a mapping", start, problem, mark)
}

/// Sequences may be keys, mappings may not, nor sequences that hold collections.
pub(crate) fn check_key(key: &Value, start: Mark, mark: Mark) -> Result<(), Error> {
    let hashable = match key {
        Value::Map(_) => false,
        Value::Seq(items) => !items.iter().any(|item| matches!(item, Value::Map(_) | Value::Seq(_))),
        _ => true,
    };
    if hashable {
        return Ok(());
    }
    Err(Error::within("while constructing a mapping", start, "found unhashable key", mark))
}

fn unknown_tag(node: &load::Node) -> Error {
    let name = Value::from(node.tag.as_ref().map_or("", |tag| &tag.name)).to_python(true);
    Error::at(node.start, format!("could not determine a constructor for the tag {name}"))
}

fn tagged_scalar(node: &load::Node, text: &str, kind: Type) -> Result<Value, Error> {
    let kind = match node.tag.as_ref().map(load::Tag::core) {
        None => kind,
        Some(Some("str" | "binary" | "timestamp")) => Type::Str,
        Some(Some("null")) => Type::Null,
        Some(Some("bool")) => Type::Bool,
        Some(Some("int")) => Type::Int,
        Some(Some("float")) => Type::Float,
        Some(_) => return Err(unknown_tag(node)),
    };
    scalar_value(text, kind).ok_or_else(|| {
        let name = match kind {
            Type::Bool => "boolean",
            Type::Int => "integer",
            _ => "number",
        };
        Error::at(node.start, format!("'{text}' is no {name}"))
    })
}

/// The value that `text` stands for as a scalar of type `kind`.
pub(crate) fn scalar_value(text: &str, kind: Type) -> Option<Value> {
    Some(match kind {
        Type::Str | Type::Timestamp | Type::Value | Type::Merge => Value::Str(text.to_owned()),
        Type::Null => Value::Null,
        Type::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "y" | "on" => Value::Bool(true),
            "false" | "no" | "n" | "off" => Value::Bool(false),
            _ => return None,
        },
        Type::Int => integer(text)?,
        Type::Float => Value::Float(float(text)?),
    })
}

fn integer(text: &str) -> Option<Value> {
    let text = text.replace('_', "");
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text.as_str()),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0b") => (2, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0x") => (16, &digits[2..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.chars().all(|ch| ch.is_digit(radix)) {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    if let Ok(number) = i64::from_str_radix(&format!("{sign}{digits}"), radix) {
        return Some(Value::Int(number));
    }
    let digits = if radix == 10 { digits.trim_start_matches('0').to_owned() } else { decimal(digits, radix) };
    Some(Value::BigInt(format!("{sign}{digits}")))
}

/// The decimal digits of a number that does not fit.
fn decimal(digits: &str, radix: u32) -> String {
    const BASE: u64 = 1_000_000_000;
    let mut parts: Vec<u64> = vec![0];
    for digit in digits.chars().filter_map(|ch| ch.to_digit(radix)) {
        let mut carry = u64::from(digit);
        for part in &mut parts {
            let sum = *part * u64::from(radix) + carry;
            *part = sum % BASE;
            carry = sum / BASE;
        }
        if carry > 0 {
            parts.push(carry);
        }
    }
    let mut out = parts.pop().unwrap_or(0).to_string();
    for part in parts.iter().rev() {
        out.push_str(&format!("{part:09}"));
    }
    out
}

fn float(text: &str) -> Option<f64> {
    let text = text.replace('_', "").to_ascii_lowercase();
    let bare = text.trim_start_matches(['-', '+']);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    match bare {
        ".inf" => Some(sign * f64::INFINITY),
        ".nan" => Some(f64::NAN),
        _ if bare.starts_with(|ch: char| ch.is_ascii_digit() || ch == '.') => {
            bare.parse().ok().map(|value: f64| sign * value)
        }
        _ => None,
    }
}
