//! What templates may name: the values of `params.yaml` and `vars`, each with where it came from.

use std::rc::Rc;

use trackway_yaml::{Map, Value};

use super::expression;
use super::files::{self, Folder};
use crate::Error;
use crate::python;

/// Where a value came from.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// A file, `vars[0]`, `train.vars[0]`; nothing for `item` and `key`.
    source: Option<Rc<str>>,
    /// The keys that lead there, with dots.
    path: String,
    /// From a params file, so that a stage that uses it is said to depend on it.
    tracked: bool,
}

/// A value and all within it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub kind: Kind,
    origin: Origin,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Scalar(Value),
    List(Vec<Rc<Node>>),
    Dict(Vec<(Rc<str>, Rc<Node>)>),
}

/// What went wrong, as far as it decides how DVC tells it.
#[derive(Debug)]
pub(super) enum Failure {
    /// A wrong `${…}`, or a value that cannot stand there. Told on a line of its own.
    Parse(String),
    NotFound(String),
    /// Told on a line of its own.
    Merge(String),
    /// Told on a line of its own.
    Loaded(String),
    /// A file that `vars` names is not there or is no mapping, or a reserved key.
    Other(String),
    /// Not about templates at all.
    Hard(Error),
}

impl Failure {
    /// DVC's message about `what` (`'stages.train.cmd'`, `stage 'train'`) in the file.
    pub fn about(self, what: &str, file: &str) -> Error {
        let (gap, message) = match self {
            Failure::Parse(message) | Failure::Merge(message) | Failure::Loaded(message) => ("\n", message),
            Failure::NotFound(message) | Failure::Other(message) => (" ", message),
            Failure::Hard(error) => return error,
        };
        Error::Resolve(format!("failed to parse {what} in '{file}':{gap}{message}"))
    }
}

/// The values of files that templates used: by file, then by key.
pub(super) type Tracked = Vec<(String, Map)>;

/// The values that templates see.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    top: Vec<(Rc<str>, Rc<Node>)>,
    /// Files that were loaded, and which keys of them; `None` is the whole file.
    imports: Vec<(String, Option<Vec<String>>)>,
    /// `item` and `key`, which nothing may redefine.
    reserved: Vec<&'static str>,
}

impl Origin {
    fn child(&self, key: &str) -> Origin {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Origin { source: self.source.clone(), path, tracked: self.tracked }
    }
}

impl Node {
    fn new(value: &Value, origin: Origin) -> Node {
        let kind = match value {
            Value::Seq(items) => Kind::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| Rc::new(Node::new(item, origin.child(&index.to_string()))))
                    .collect(),
            ),
            Value::Map(map) => Kind::Dict(entries(map, &origin)),
            scalar => Kind::Scalar(scalar.clone()),
        };
        Node { kind, origin }
    }

    /// A value that is part of the definition itself.
    pub fn local(value: &Value, path: &str) -> Node {
        Node::new(value, Origin { path: path.to_owned(), ..Origin::default() })
    }

    pub fn list(items: Vec<Rc<Node>>) -> Node {
        Node { kind: Kind::List(items), origin: Origin::default() }
    }

    pub fn dict(entries: Vec<(Rc<str>, Rc<Node>)>) -> Node {
        Node { kind: Kind::Dict(entries), origin: Origin::default() }
    }

    /// The value as a part of a stage's name. As DVC 3.67: truth values are written as Python writes them if they come from `vars` or a
    /// file, and as YAML writes them if they stand in the definition.
    pub fn name(&self) -> Result<String, Failure> {
        match &self.kind {
            Kind::Scalar(Value::Bool(value)) if !self.is_literal() => Ok(python::repr(&Value::Bool(*value))),
            _ => expression::to_text(&self.value(), expression::ArgumentStyle::default()).map_err(Failure::Parse),
        }
    }

    /// Stands in the definition itself.
    pub fn is_literal(&self) -> bool {
        self.origin.source.is_none()
    }

    pub fn is_container(&self) -> bool {
        !matches!(self.kind, Kind::Scalar(_))
    }

    pub fn value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::List(items) => Value::Seq(items.iter().map(|item| item.value()).collect()),
            Kind::Dict(entries) => {
                Value::Map(entries.iter().map(|(key, node)| (Value::from(&**key), node.value())).collect())
            }
        }
    }

    /// Roughly how much memory the value takes.
    fn weight(&self) -> usize {
        match &self.kind {
            Kind::Scalar(Value::Str(text)) => text.len() + 16,
            Kind::Scalar(_) => 16,
            Kind::List(items) => 16 + items.iter().map(|item| item.weight()).sum::<usize>(),
            Kind::Dict(entries) => 16 + entries.iter().map(|(key, node)| key.len() + node.weight()).sum::<usize>(),
        }
    }

    fn get(&self, key: &str) -> Option<&Rc<Node>> {
        let key = key.trim();
        match &self.kind {
            Kind::Scalar(_) => None,
            Kind::Dict(entries) => find(entries, key),
            Kind::List(items) => {
                let index: i64 = key.replace('_', "").parse().ok()?;
                let index = if index < 0 { index + i64::try_from(items.len()).ok()? } else { index };
                items.get(usize::try_from(index).ok()?)
            }
        }
    }
}

/// Keys that are no text are not seen by templates.
fn entries(map: &Map, origin: &Origin) -> Vec<(Rc<str>, Rc<Node>)> {
    map.iter()
        .filter_map(|(key, value)| Some((key.as_str()?, value)))
        .map(|(key, value)| (Rc::from(key), Rc::new(Node::new(value, origin.child(key)))))
        .collect()
}

fn find<'e>(entries: &'e [(Rc<str>, Rc<Node>)], key: &str) -> Option<&'e Rc<Node>> {
    entries.iter().find(|(name, _)| &**name == key).map(|(_, node)| node)
}

impl Context {
    /// Loads what `vars` lists: files, whole or some of their keys, and mappings. `stage` is empty for the global ones.
    pub fn load(&mut self, folder: &Folder, vars: &[Value], wdir: &str, stage: &str) -> Result<(), Failure> {
        for (index, item) in vars.iter().enumerate() {
            match item {
                Value::Str(item) => self.load_file(folder, item, wdir)?,
                Value::Map(map) => {
                    let dot = if stage.is_empty() { "" } else { "." };
                    let source = Rc::from(format!("{stage}{dot}vars[{index}]"));
                    self.merge(&entries(map, &Origin { source: Some(source), ..Origin::default() }), None)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Loads `params.yaml`, if there is one.
    pub fn load_default(&mut self, folder: &Folder, wdir: &str) -> Result<(), Failure> {
        match folder.read(&files::join(wdir, super::DEFAULT_PARAMS_FILE)) {
            Ok(None) => Ok(()),
            _ => self.load_file(folder, super::DEFAULT_PARAMS_FILE, wdir),
        }
    }

    fn load_file(&mut self, folder: &Folder, item: &str, wdir: &str) -> Result<(), Failure> {
        let (path, keys) = item.split_once(':').unwrap_or((item, ""));
        let path = files::join(wdir, path);
        let keys: Option<Vec<String>> = (!keys.is_empty())
            .then(|| keys.split(',').filter(|key| !key.is_empty()).map(str::to_owned).collect::<Vec<_>>())
            .filter(|keys| !keys.is_empty());
        if let Some((_, imported)) = self.imports.iter().find(|(name, _)| *name == path) {
            match (&keys, imported) {
                (None, None) => return Ok(()),
                (Some(_), None) => {
                    return Err(Failure::Loaded(format!("cannot partially load '{item}' as it's already loaded.")));
                }
                (Some(keys), Some(imported)) if keys.iter().all(|key| !imported.contains(key)) => {}
                _ => {
                    return Err(Failure::Loaded(format!("cannot load '{item}' as it's partially loaded already")));
                }
            }
        }
        let content = match folder.read(&path) {
            Ok(Some(content)) => content,
            Ok(None) => return Err(Failure::Other(format!("'{path}' does not exist"))),
            Err(error @ crate::ReadError::IsDirectory(_)) => return Err(Failure::Other(error.to_string())),
            Err(error) => return Err(Failure::Hard(error.into())),
        };
        let value = crate::params::read_params(&content, &path).map_err(Failure::Hard)?;
        let Value::Map(map) = value else {
            return Err(Failure::Other(format!(
                "expected a dictionary, got '{}' in file '{path}'",
                python::type_name(&value)
            )));
        };
        let chosen = match &keys {
            None => map,
            Some(keys) => {
                let mut chosen = Map::new();
                for key in keys {
                    let value =
                        map.get(key).ok_or_else(|| Failure::Other(format!("could not find '{key}' in '{path}'")))?;
                    chosen.insert(key.as_str(), value.clone());
                }
                chosen
            }
        };
        let origin = Origin { source: Some(Rc::from(path.as_str())), path: String::new(), tracked: true };
        self.merge(&entries(&chosen, &origin), Some(item))?;
        match self.imports.iter_mut().find(|(name, _)| *name == path) {
            None => self.imports.push((path, keys)),
            Some((_, imported)) => {
                if let (Some(imported), Some(keys)) = (imported, keys) {
                    imported.extend(keys);
                }
            }
        }
        Ok(())
    }

    fn merge(&mut self, new: &[(Rc<str>, Rc<Node>)], item: Option<&str>) -> Result<(), Failure> {
        let touched: Vec<&str> = self.reserved.iter().copied().filter(|key| find(new, key).is_some()).collect();
        if let Some((last, before)) = touched.split_last() {
            let keys = if before.is_empty() { (*last).to_owned() } else { format!("{} and {last}", before.join(", ")) };
            let plural = if touched.len() > 1 { "s" } else { "" };
            let place = item.map(|item| format!(" in '{item}'")).unwrap_or_default();
            return Err(Failure::Other(format!("attempted to modify reserved key{plural} {keys}{place}")));
        }
        merge_into(&mut self.top, new)
    }

    /// A copy for a stage with `vars` of its own. As DVC 3.67: lists and mappings forget where they came from.
    pub fn for_stage(&self) -> Context {
        fn forget(node: &Rc<Node>) -> Rc<Node> {
            match &node.kind {
                Kind::Scalar(_) => node.clone(),
                Kind::List(items) => Rc::new(Node::list(items.clone())),
                Kind::Dict(entries) => {
                    Rc::new(Node::dict(entries.iter().map(|(key, node)| (key.clone(), forget(node))).collect()))
                }
            }
        }
        Context { top: self.top.iter().map(|(key, node)| (key.clone(), forget(node))).collect(), ..self.clone() }
    }

    /// A copy with `item` or `key` set, which its stage's `vars` cannot redefine.
    pub fn with(&self, temporary: Vec<(&'static str, Rc<Node>)>) -> Context {
        let mut context = self.clone();
        for (key, node) in temporary {
            match context.top.iter_mut().find(|(name, _)| &**name == key) {
                Some((_, old)) => *old = node,
                None => context.top.push((Rc::from(key), node)),
            }
            context.reserved.push(key);
        }
        context
    }

    pub fn contains(&self, key: &str) -> bool {
        find(&self.top, key).is_some()
    }

    /// The node at `a.b.0`, or at `a.b[0]` where the syntax has been checked before.
    pub fn select(&self, key: &str, tracked: Option<&mut Tracked>) -> Result<Rc<Node>, Failure> {
        let missing = || Failure::NotFound(format!("Could not find '{key}'"));
        let normalized = key.replace('[', ".").replace(']', "");
        let mut parts = normalized.split('.');
        let first = parts.next().unwrap_or_default().trim();
        let mut node = find(&self.top, first).ok_or_else(missing)?;
        for part in parts {
            node = node.get(part).ok_or_else(missing)?;
        }
        if let Some(tracked) = tracked {
            track(node, tracked);
        }
        Ok(node.clone())
    }
}

fn track(node: &Node, tracked: &mut Tracked) {
    let Some(source) = node.origin.source.as_deref().filter(|_| node.origin.tracked) else { return };
    if matches!(node.kind, Kind::Dict(_)) {
        return;
    }
    let at = tracked.iter().position(|(file, _)| file == source).unwrap_or_else(|| {
        tracked.push((source.to_owned(), Map::new()));
        tracked.len() - 1
    });
    tracked[at].1.insert(node.origin.path.as_str(), node.value());
}

fn merge_into(into: &mut Vec<(Rc<str>, Rc<Node>)>, new: &[(Rc<str>, Rc<Node>)]) -> Result<(), Failure> {
    for (key, node) in new {
        let Some((_, old)) = into.iter_mut().find(|(name, _)| name == key) else {
            into.push((key.clone(), node.clone()));
            continue;
        };
        if let (Kind::Dict(_), Kind::Dict(more)) = (&old.kind, &node.kind) {
            if let Kind::Dict(entries) = &mut Rc::make_mut(old).kind {
                merge_into(entries, more)?;
            }
            continue;
        }
        let source = |origin: &Origin| origin.source.as_deref().unwrap_or("None").to_owned();
        return Err(Failure::Merge(format!(
            "cannot redefine '{}' from '{}' as it already exists in '{}'",
            node.origin.path,
            source(&node.origin),
            source(&old.origin)
        )));
    }
    Ok(())
}

/// How values are put in place of templates.
pub(super) struct Resolving<'c> {
    pub context: &'c Context,
    /// The stage's key that is being resolved (`cmd`); decides which values may stand there.
    pub key: Option<&'c str>,
    /// Expressions have been checked before.
    pub checked: bool,
    pub style: expression::ArgumentStyle,
    pub tracked: Option<&'c mut Tracked>,
    /// How much more text may be produced.
    pub budget: &'c std::cell::Cell<usize>,
}

impl Resolving<'_> {
    /// `data` with all templates resolved, also those in keys.
    pub fn value(&mut self, data: &Value) -> Result<Value, Failure> {
        match data {
            Value::Str(text) => self.text(text).map(|node| match node {
                Resolved::Text(text) => Value::Str(text),
                Resolved::Node(node) => node.value(),
            }),
            Value::Seq(items) => Ok(Value::Seq(items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?)),
            Value::Map(map) => {
                let mut resolved = Map::new();
                for (key, value) in map.iter() {
                    let key = self.value(key)?;
                    if matches!(key, Value::Seq(_) | Value::Map(_)) {
                        return Err(Failure::Hard(Error::Resolve(format!(
                            "a key must be a single value, not a {}",
                            python::type_name(&key)
                        ))));
                    }
                    let value = self.value(value)?;
                    resolved.insert(key, value);
                }
                Ok(Value::Map(resolved))
            }
            other => Ok(other.clone()),
        }
    }

    /// The same, but values keep where they came from: for what `foreach` and `matrix` go through.
    pub fn node(&mut self, data: &Value) -> Result<Rc<Node>, Failure> {
        self.node_at(data, "")
    }

    fn node_at(&mut self, data: &Value, path: &str) -> Result<Rc<Node>, Failure> {
        match data {
            Value::Str(text) => Ok(match self.text(text)? {
                Resolved::Text(text) => Rc::new(Node::local(&Value::Str(text), path)),
                Resolved::Node(node) => node,
            }),
            Value::Seq(items) => {
                let items = items.iter().enumerate();
                let nodes = items.map(|(index, item)| self.node_at(item, &format!("{path}.{index}")));
                Ok(Rc::new(Node::list(nodes.collect::<Result<_, _>>()?)))
            }
            Value::Map(map) => {
                let mut nodes = Vec::new();
                for (key, value) in map.iter() {
                    let key = match key {
                        Value::Str(text) => match self.text(text)? {
                            Resolved::Text(text) => text,
                            Resolved::Node(_) => {
                                return Err(Failure::Hard(Error::Resolve(format!(
                                    "the key '{text}' cannot be a template; write its text out"
                                ))));
                            }
                        },
                        // Keys that are no text are names of stages at the top; further in, templates do not see them.
                        other if path.is_empty() => expression::to_text(other, self.style).map_err(Failure::Parse)?,
                        _ => continue,
                    };
                    nodes.push((Rc::from(key.as_str()), self.node_at(value, &format!("{path}.{key}"))?));
                }
                Ok(Rc::new(Node::dict(nodes)))
            }
            other => Ok(Rc::new(Node::local(other, path))),
        }
    }

    fn text(&mut self, text: &str) -> Result<Resolved, Failure> {
        let found = expression::matches(text);
        if let [only] = found.as_slice()
            && only.end - only.start == text.len()
        {
            let node = self.select(only.inner)?;
            self.spend(node.weight())?;
            return Ok(Resolved::Node(node));
        }
        let mut out = String::new();
        let mut at = 0;
        for one in &found {
            let value = self.select(one.inner)?.value();
            out.push_str(&text[at..one.start]);
            let value = expression::to_text(&value, self.style).map_err(Failure::Parse)?;
            self.spend(value.len())?;
            out.push_str(&value);
            at = one.end;
        }
        out.push_str(&text[at..]);
        Ok(Resolved::Text(out.replace("\\${", "${")))
    }

    fn select(&mut self, inner: &str) -> Result<Rc<Node>, Failure> {
        let node = if self.checked {
            self.context.select(inner, self.tracked.as_deref_mut())?
        } else {
            let path = expression::parse(inner).map_err(Failure::Parse)?;
            self.context.select(&path, self.tracked.as_deref_mut())?
        };
        // As DVC 3.67: only `cmd` takes a mapping, and only `foreach` takes anything.
        if let Some(key) = self.key.filter(|key| !key.contains("foreach")) {
            match (&node.kind, key) {
                (Kind::Scalar(_), _) | (Kind::Dict(_), "cmd") => {}
                (kind, _) => {
                    let name = if matches!(kind, Kind::List(_)) { "list" } else { "dict" };
                    return Err(Failure::Parse(format!("Cannot interpolate data of type '{name}'")));
                }
            }
        }
        Ok(node)
    }

    fn spend(&self, amount: usize) -> Result<(), Failure> {
        match self.budget.get().checked_sub(amount) {
            Some(rest) => {
                self.budget.set(rest);
                Ok(())
            }
            None => Err(Failure::Hard(Error::Invalid(
                "the templates of this file produce too much text; make what they insert smaller".to_owned(),
            ))),
        }
    }
}

enum Resolved {
    Text(String),
    Node(Rc<Node>),
}
