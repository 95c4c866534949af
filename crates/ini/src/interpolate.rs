//! `%(name)s` in values, as configobj's default interpolation resolves it.

use std::collections::HashSet;

use crate::{Error, MAX_SIZE, Section, Value};

/// Deeper chains of names are refused (Python runs out of stack later).
const MAX_CHAIN: usize = 100;

pub(crate) fn resolve(tree: &Section) -> Result<Section, Error> {
    if !has_cookie(tree) {
        return Ok(tree.clone());
    }
    let mut budget = MAX_SIZE;
    section(&mut vec![(None, tree)], &mut budget)
}

fn has_cookie(tree: &Section) -> bool {
    tree.iter().any(|(_, value)| match value {
        Value::Text(text) => text.contains('%'),
        Value::List(items) => items.iter().any(|item| item.contains('%')),
        Value::Section(inner) => has_cookie(inner),
    })
}

/// The sections from the top down to the one at hand, with their names.
type Path<'a> = Vec<(Option<&'a str>, &'a Section)>;

fn section<'a>(path: &mut Path<'a>, budget: &mut usize) -> Result<Section, Error> {
    let here = path[path.len() - 1].1;
    let mut resolved = Section::new();
    for (key, value) in here.iter() {
        let value = match value {
            Value::Text(text) => Value::Text(expand(key, text, path, &mut HashSet::new(), budget)?),
            Value::List(items) => Value::List(
                items
                    .iter()
                    .map(|item| expand(key, item, path, &mut HashSet::new(), budget))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Section(inner) => {
                path.push((Some(key), inner));
                let inner = section(path, budget);
                path.pop();
                Value::Section(inner?)
            }
        };
        resolved.set(key, value);
    }
    Ok(resolved)
}

fn expand<'a>(
    key: &str,
    text: &str,
    path: &[(Option<&'a str>, &'a Section)],
    trail: &mut HashSet<(String, Option<&'a str>)>,
    budget: &mut usize,
) -> Result<String, Error> {
    let place = (key.to_owned(), path[path.len() - 1].0);
    if !trail.insert(place.clone()) {
        return Err(Error::Interpolation(format!("interpolation loop detected in value \"{key}\".")));
    }
    if trail.len() > MAX_CHAIN {
        return Err(Error::Interpolation(format!("interpolation of value \"{key}\" is nested too deeply.")));
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, name, after)) = next_name(rest) {
        out.push_str(before);
        let (value, found) = fetch(name, path)?;
        let Value::Text(value) = value else {
            return Err(Error::Interpolation("expected string or bytes-like object, got 'list'".to_owned()));
        };
        out.push_str(&expand(name, value, &path[..found], trail, budget)?);
        rest = after;
    }
    out.push_str(rest);
    trail.remove(&place);
    *budget = budget.checked_sub(out.len()).ok_or_else(|| {
        Error::Interpolation(format!("interpolation of value \"{key}\" makes the configuration too large."))
    })?;
    Ok(out)
}

/// The first `%(name)s`: what stands before it, the name, what follows.
fn next_name(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(at) = text[from..].find("%(") {
        let start = from + at;
        let name = &text[start + 2..];
        let end = name.find(')')?;
        if let Some(after) = name[end + 1..].strip_prefix('s') {
            return Some((&text[..start], &name[..end], after));
        }
        from = start + 2;
    }
    None
}

/// Looks in the section, in its `DEFAULT`, then one level up; also says how much of the path leads to the finding.
fn fetch<'a>(name: &str, path: &[(Option<&'a str>, &'a Section)]) -> Result<(&'a Value, usize), Error> {
    for depth in (1..=path.len()).rev() {
        let here = path[depth - 1].1;
        let scalar = |section: &'a Section| section.get(name).filter(|value| !matches!(value, Value::Section(_)));
        if let Some(value) = scalar(here).or_else(|| scalar(here.section("DEFAULT")?)) {
            return Ok((value, depth));
        }
    }
    Err(Error::Interpolation(format!("missing option \"{name}\" in interpolation.")))
}
