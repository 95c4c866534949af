//! `foreach` and `matrix`: one definition, many stages.

use std::collections::HashMap;
use std::rc::Rc;

use trackway_yaml::{Map, Value};

use super::context::{Failure, Kind, Node, Resolving};
use super::expression;
use crate::{Error, python};

/// More stages than this from one definition are refused.
const MOST_STAGES: usize = 100_000;

/// The stages of a group, by the part of their names behind `@`, in order.
#[derive(Default)]
pub(super) struct Members {
    pub keys: Vec<String>,
    /// What `item` (and `key`) are for each.
    values: HashMap<String, Vec<(&'static str, Rc<Node>)>>,
}

impl Members {
    pub fn get(&self, key: &str) -> Option<&Vec<(&'static str, Rc<Node>)>> {
        self.values.get(key)
    }

    /// A key that comes again keeps its place and takes the new value, as in Python's dicts.
    fn insert(&mut self, key: String, value: Vec<(&'static str, Rc<Node>)>) {
        if self.values.insert(key.clone(), value).is_none() {
            self.keys.push(key);
        }
    }
}

/// The stages of `foreach: data`. `name` and `file` are for messages; `warnings` takes what DVC warns of.
pub(super) fn foreach(
    data: &Value,
    resolving: &mut Resolving,
    name: &str,
    file: &str,
    warnings: &mut Vec<String>,
) -> Result<Members, Error> {
    let place = format!("'stages.{name}.foreach'");
    let node = resolving.node(data).map_err(|failure| failure.about(&place, file))?;
    let mut members = Members::default();
    let context = resolving.context;
    match &node.kind {
        Kind::Scalar(value) => {
            return Err(Error::Resolve(format!(
                "failed to resolve {place} in '{file}': expected list/dictionary, got {}",
                python::type_name(value)
            )));
        }
        Kind::Dict(entries) => {
            warn(&["item", "key"], name, |key| context.contains(key), warnings);
            limit(entries.len(), name)?;
            for (key, node) in entries {
                members.insert(key.to_string(), vec![("item", node.clone()), ("key", text(key))]);
            }
        }
        Kind::List(items) => {
            warn(&["item"], name, |key| context.contains(key), warnings);
            limit(items.len(), name)?;
            let by_index = items.iter().any(|item| item.is_container());
            for (index, item) in items.iter().enumerate() {
                let key = if by_index {
                    index.to_string()
                } else {
                    item.name().map_err(|failure| failure.about(&place, file))?
                };
                members.insert(key, vec![("item", item.clone())]);
            }
        }
    }
    Ok(members)
}

/// The stages of `matrix: data`: every combination.
pub(super) fn matrix(
    data: &Map,
    resolving: &mut Resolving,
    name: &str,
    file: &str,
    warnings: &mut Vec<String>,
) -> Result<Members, Error> {
    let place = format!("'stages.{name}.matrix'");
    let node = resolving.node(&Value::Map(data.clone())).map_err(|failure| failure.about(&place, file))?;
    let context = resolving.context;
    warn(&["key", "item"], name, |key| context.contains(key), warnings);
    let Kind::Dict(axes) = &node.kind else { return Ok(Members::default()) };
    let mut columns: Vec<(&Rc<str>, Vec<Rc<Node>>)> = Vec::new();
    let mut count: usize = 1;
    for (axis, node) in axes {
        let values = match &node.kind {
            Kind::List(items) => items.clone(),
            Kind::Dict(entries) => entries.iter().map(|(key, _)| text(key)).collect(),
            // As DVC 3.67: a text is a list of its characters.
            Kind::Scalar(Value::Str(letters)) if node.is_literal() => {
                letters.chars().map(|letter| text(&letter.to_string())).collect()
            }
            Kind::Scalar(value) => {
                return Err(Error::Resolve(format!(
                    "failed to resolve {place} in '{file}': '{axis}' is a {}, expected a list",
                    python::type_name(value)
                )));
            }
        };
        count = count.saturating_mul(values.len());
        columns.push((axis, values));
    }
    limit(count, name)?;
    let mut members = Members::default();
    for number in 0..count {
        let mut rest = number;
        let mut picks = vec![0; columns.len()];
        for (pick, (_, values)) in picks.iter_mut().zip(&columns).rev() {
            *pick = rest % values.len();
            rest /= values.len();
        }
        let mut parts = Vec::new();
        let mut item = Vec::new();
        for (pick, (axis, values)) in picks.iter().zip(&columns) {
            let value = &values[*pick];
            parts.push(if value.is_container() {
                format!("{axis}{pick}")
            } else {
                value.name().map_err(|failure| failure.about(&place, file))?
            });
            item.push(((*axis).clone(), value.clone()));
        }
        let key = parts.join("-");
        members.insert(key.clone(), vec![("key", text(&key)), ("item", Rc::new(Node::dict(item)))]);
    }
    Ok(members)
}

/// Checks that all templates within are well formed.
pub(super) fn check_syntax(data: &Value) -> Result<(), Failure> {
    match data {
        Value::Str(text) => expression::matches(text)
            .iter()
            .try_for_each(|found| expression::parse(found.inner).map(drop).map_err(Failure::Parse)),
        Value::Seq(items) => items.iter().try_for_each(check_syntax),
        Value::Map(map) => map.iter().try_for_each(|(key, value)| {
            check_syntax(key)?;
            check_syntax(value)
        }),
        _ => Ok(()),
    }
}

/// Whether there is a template anywhere within.
pub(super) fn is_templated(data: &Value) -> bool {
    match data {
        Value::Str(text) => expression::is_interpolated(text),
        Value::Seq(items) => items.iter().any(is_templated),
        Value::Map(map) => map.iter().any(|(key, value)| is_templated(key) || is_templated(value)),
        _ => false,
    }
}

fn text(text: &str) -> Rc<Node> {
    Rc::new(Node::local(&Value::from(text), ""))
}

fn limit(count: usize, name: &str) -> Result<(), Error> {
    if count <= MOST_STAGES {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "'{name}' makes {count} stages, more than the {MOST_STAGES} that are allowed; split it or shorten its lists"
    )))
}

fn warn(keys: &[&str], name: &str, taken: impl Fn(&str) -> bool, warnings: &mut Vec<String>) {
    let taken: Vec<&str> = keys.iter().copied().filter(|key| taken(key)).collect();
    if !taken.is_empty() {
        let verb = if taken.len() == 1 { "is" } else { "are" };
        warnings.push(format!(
            "{} {verb} already specified, will be overwritten for stages generated from '{name}'",
            taken.join(" and ")
        ));
    }
}
