//! A document that can be changed and written again with its comments.
//!
//! As ruamel's round trip, and therefore DVC, does it: comments, blank lines, flow style, block scalars, anchors, merge
//! keys and the look of numbers stay; quotes, indentation and line folding become those of the emitter; `---`,
//! directives and a comment before the first `---` go.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use crate::emitter::{Anchor, Around, Comment, CommentId, Content, Node, NodeId, Style, Tree};
use crate::error::{Error, Mark};
use crate::load::{self, Comments, Loader};
use crate::number;
use crate::plain::{MOST_REPEATED, check_key, duplicate_key, scalar_text, scalar_value};
use crate::resolve::Type;
use crate::scanner::ScalarStyle;
use crate::value::{Map, Value};

type ObjectId = usize;

/// A YAML document with its comments.
///
/// A path names keys from the root on; in a sequence a step is the index, in digits.
#[derive(Clone, Debug)]
pub struct Document {
    objects: Vec<Object>,
    comments: Vec<Comment>,
    root: ObjectId,
}

#[derive(Clone, Debug)]
struct Object {
    data: Data,
    anchor: Option<Anchor>,
    tag: Option<String>,
    mark: Option<Mark>,
}

#[derive(Clone, Debug)]
enum Data {
    Scalar(Scalar),
    Seq(Seq),
    Map(Mapping),
}

#[derive(Clone, Debug)]
struct Scalar {
    value: Value,
    /// How it was written, if that is kept.
    text: Option<String>,
    style: Style,
    /// Where a folded scalar was folded.
    folds: Vec<usize>,
}

/// Comments of a collection as a whole.
#[derive(Clone, Debug, Default)]
struct Own {
    comment: Option<(Option<CommentId>, Option<Vec<CommentId>>)>,
    end: Option<Vec<CommentId>>,
}

#[derive(Clone, Debug, Default)]
struct Seq {
    items: Vec<(ObjectId, Option<Pair>)>,
    flow: Option<bool>,
    own: Own,
}

/// Behind and before.
type Pair = (Option<CommentId>, Option<Vec<CommentId>>);

#[derive(Clone, Debug, Default)]
struct Mapping {
    entries: Vec<Entry>,
    flow: Option<bool>,
    own: Own,
    merge: Option<Merge>,
    /// Comments of keys that went: they are there again if the key comes back.
    left_over: Vec<(Value, Option<(Pair, Pair)>)>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: ObjectId,
    value: ObjectId,
    /// Not merged in by `<<`.
    own: bool,
    comments: Option<(Pair, Pair)>,
}

#[derive(Clone, Debug)]
struct Merge {
    position: usize,
    sources: Vec<ObjectId>,
    /// `<<: [*a, *b]`
    sequence: Option<ObjectId>,
}

impl Document {
    /// Reads a document. An empty one, and one whose root Python takes for false, becomes an empty mapping, as in DVC.
    pub fn parse(text: &str) -> Result<Document, Error> {
        let mut loader = Loader::new(text, true)?;
        let root = loader.single_document()?;
        let (nodes, comments) = loader.into_parts();
        let mut builder = Builder { made: vec![Made::No; nodes.len()], nodes, objects: Vec::new() };
        let root = match root {
            Some(root) => Some(builder.object(root)?),
            None => None,
        };
        let mut document = Document { objects: builder.objects, comments, root: 0 };
        bounded(&document.objects, root)?;
        document.root = match root {
            Some(root) if !document.is_falsy(root) => root,
            _ => document.add(Data::Map(Mapping::default())),
        };
        Ok(document)
    }

    /// What the document means.
    pub fn value(&self) -> Value {
        self.value_of(self.root)
    }

    /// The value at `path`.
    pub fn get(&self, path: &[&str]) -> Option<Value> {
        self.find(path).map(|id| self.value_of(id))
    }

    /// Where the collection at `path` begins; None for scalars, as in ruamel, and for what was not in the text.
    pub fn mark(&self, path: &[&str]) -> Option<Mark> {
        self.objects[self.find(path)?].mark
    }

    /// Makes the document mean `value` with the fewest changes, as DVC's `apply_diff` does.
    pub fn apply(&mut self, value: &Value) {
        self.apply_at(&[], value);
    }

    /// [`Document::apply`] for the part at `path`; false if there is no such part.
    pub fn apply_at(&mut self, path: &[&str], value: &Value) -> bool {
        let Some(id) = self.find(path) else { return false };
        match (value, &self.objects[id].data) {
            (Value::Map(_), Data::Map(_)) | (Value::Seq(_), Data::Seq(_)) => self.patch(id, value),
            _ if path.is_empty() => self.root = self.add_value(value),
            _ => return self.set(path, value),
        }
        true
    }

    /// Puts `value` at `path`, for an old value or at the end of its mapping; mappings on the way are made if missing.
    /// False if a step leads into a scalar or beyond a sequence.
    pub fn set(&mut self, path: &[&str], value: &Value) -> bool {
        let Some((last, parents)) = path.split_last() else {
            self.root = self.add_value(value);
            return true;
        };
        let mut id = self.root;
        for step in parents {
            id = match (self.step(id, step), &self.objects[id].data) {
                (Some(next), _) => next,
                (None, Data::Map(_)) => {
                    let made = self.add(Data::Map(Mapping::default()));
                    self.set_key(id, &Value::from(*step), made);
                    made
                }
                _ => return false,
            };
        }
        match &self.objects[id].data {
            Data::Map(_) => {
                let key = Value::from(*last);
                let at = self.position(id, &key);
                self.put(id, at, &key, value);
                true
            }
            Data::Seq(seq) => match last.parse::<usize>() {
                Ok(at) if at < seq.items.len() => {
                    self.put_item(id, at, value);
                    true
                }
                Ok(at) if at == seq.items.len() => {
                    let item = self.add_value(value);
                    self.seq_mut(id).items.push((item, None));
                    true
                }
                _ => false,
            },
            Data::Scalar(_) => false,
        }
    }

    /// Removes what is at `path`; false if there is nothing.
    pub fn remove(&mut self, path: &[&str]) -> bool {
        let Some((last, parents)) = path.split_last() else { return false };
        let Some(id) = self.find(parents) else { return false };
        match &self.objects[id].data {
            Data::Map(_) => match self.position(id, &Value::from(*last)) {
                Some(at) => {
                    self.remove_entry(id, at);
                    true
                }
                None => false,
            },
            Data::Seq(seq) => match last.parse::<usize>() {
                Ok(at) if at < seq.items.len() => {
                    self.seq_mut(id).items.remove(at);
                    true
                }
                _ => false,
            },
            Data::Scalar(_) => false,
        }
    }

    fn add(&mut self, data: Data) -> ObjectId {
        self.objects.push(Object { data, anchor: None, tag: None, mark: None });
        self.objects.len() - 1
    }

    fn add_value(&mut self, value: &Value) -> ObjectId {
        let data = match value {
            Value::Seq(items) => {
                let items = items.iter().map(|item| (self.add_value(item), None)).collect();
                Data::Seq(Seq { items, ..Seq::default() })
            }
            Value::Map(map) => {
                let entries = map
                    .iter()
                    .map(|(key, value)| Entry {
                        key: self.add_value(key),
                        value: self.add_value(value),
                        own: true,
                        comments: None,
                    })
                    .collect();
                Data::Map(Mapping { entries, ..Mapping::default() })
            }
            scalar => Data::Scalar(Scalar { value: scalar.clone(), text: None, style: Style::Any, folds: Vec::new() }),
        };
        self.add(data)
    }

    fn seq_mut(&mut self, id: ObjectId) -> &mut Seq {
        match &mut self.objects[id].data {
            Data::Seq(seq) => seq,
            _ => unreachable!("only called for sequences"),
        }
    }

    fn map_mut(&mut self, id: ObjectId) -> &mut Mapping {
        match &mut self.objects[id].data {
            Data::Map(map) => map,
            _ => unreachable!("only called for mappings"),
        }
    }

    fn is_falsy(&self, id: ObjectId) -> bool {
        match &self.objects[id].data {
            Data::Scalar(scalar) => match &scalar.value {
                Value::Null | Value::Bool(false) | Value::Int(0) => true,
                Value::Float(value) => *value == 0.0,
                Value::Str(text) => text.is_empty() && self.objects[id].tag.is_none(),
                _ => false,
            },
            Data::Seq(seq) => seq.items.is_empty(),
            Data::Map(map) => map.entries.is_empty(),
        }
    }

    fn value_of(&self, id: ObjectId) -> Value {
        match &self.objects[id].data {
            Data::Scalar(scalar) => scalar.value.clone(),
            Data::Seq(seq) => Value::Seq(seq.items.iter().map(|(item, _)| self.value_of(*item)).collect()),
            Data::Map(map) => Value::Map(Map::from_unique(
                map.entries.iter().map(|entry| (self.value_of(entry.key), self.value_of(entry.value))).collect(),
            )),
        }
    }

    fn key_is(&self, key: ObjectId, wanted: &Value) -> bool {
        match (&self.objects[key].data, wanted) {
            (Data::Scalar(scalar), _) => scalar.value.same(wanted),
            _ => self.value_of(key).same(wanted),
        }
    }

    fn position(&self, id: ObjectId, key: &Value) -> Option<usize> {
        match &self.objects[id].data {
            Data::Map(map) => map.entries.iter().position(|entry| self.key_is(entry.key, key)),
            _ => None,
        }
    }

    fn step(&self, id: ObjectId, step: &str) -> Option<ObjectId> {
        match &self.objects[id].data {
            Data::Map(map) => self.position(id, &Value::from(step)).map(|at| map.entries[at].value),
            Data::Seq(seq) => seq.items.get(step.parse::<usize>().ok()?).map(|(item, _)| *item),
            Data::Scalar(_) => None,
        }
    }

    fn find(&self, path: &[&str]) -> Option<ObjectId> {
        path.iter().try_fold(self.root, |id, step| self.step(id, step))
    }

    fn same_as(&self, id: ObjectId, value: &Value) -> bool {
        let object = &self.objects[id];
        match &object.data {
            // A tagged scalar equals nothing.
            Data::Scalar(scalar) => object.tag.is_none() && scalar.value.same(value),
            _ => self.value_of(id).same(value),
        }
    }

    fn set_key(&mut self, id: ObjectId, key: &Value, value: ObjectId) {
        let key_id = self.add_value(key);
        let map = self.map_mut(id);
        let left = map.left_over.iter().position(|(left, _)| left.same(key)).map(|at| map.left_over.remove(at).1);
        map.entries.push(Entry { key: key_id, value, own: true, comments: left.flatten() });
    }

    /// A new string in place of a block scalar becomes a block scalar.
    fn replacement(&mut self, old: ObjectId, value: &Value) -> ObjectId {
        let style = match (&self.objects[old].data, value) {
            (Data::Scalar(scalar), Value::Str(_)) => Some(scalar.style),
            _ => None,
        };
        let id = self.add_value(value);
        if let (Some(style), Data::Scalar(scalar)) = (style, &mut self.objects[id].data) {
            scalar.style = style;
        }
        id
    }

    fn put(&mut self, id: ObjectId, at: Option<usize>, key: &Value, value: &Value) {
        let Some(at) = at else {
            let made = self.add_value(value);
            return self.set_key(id, key, made);
        };
        let old = self.map_mut(id).entries[at].value;
        let made = self.replacement(old, value);
        let entry = &mut self.map_mut(id).entries[at];
        entry.value = made;
        entry.own = true;
    }

    fn put_item(&mut self, id: ObjectId, at: usize, value: &Value) {
        let old = self.seq_mut(id).items[at].0;
        let made = self.replacement(old, value);
        self.seq_mut(id).items[at].0 = made;
    }

    fn remove_entry(&mut self, id: ObjectId, at: usize) {
        let key = match &self.objects[id].data {
            Data::Map(map) => self.value_of(map.entries[at].key),
            _ => return,
        };
        let map = self.map_mut(id);
        let entry = map.entries.remove(at);
        if let Some(merge) = &mut map.merge
            && merge.position > at
        {
            merge.position -= 1;
        }
        if entry.comments.is_some() {
            map.left_over.push((key, entry.comments));
        }
    }

    fn patch(&mut self, id: ObjectId, value: &Value) {
        match value {
            Value::Map(wanted) => self.patch_map(id, wanted),
            Value::Seq(wanted) => self.patch_seq(id, wanted),
            _ => {}
        }
    }

    fn patches(&self, id: ObjectId, value: &Value) -> bool {
        matches!((&self.objects[id].data, value), (Data::Map(_), Value::Map(_)) | (Data::Seq(_), Value::Seq(_)))
    }

    fn patch_map(&mut self, id: ObjectId, wanted: &Map) {
        // Large mappings (a lock file's stages) are not searched key by key.
        let mut texts: HashMap<String, usize> = HashMap::new();
        let mut others = Vec::new();
        if let Data::Map(map) = &self.objects[id].data {
            for (at, entry) in map.entries.iter().enumerate() {
                match &self.objects[entry.key].data {
                    Data::Scalar(Scalar { value: Value::Str(text), .. }) => {
                        texts.insert(text.clone(), at);
                    }
                    _ => others.push(at),
                }
            }
        }
        let mut kept = vec![false; texts.len() + others.len()];
        for (key, value) in wanted.iter() {
            let at = match key {
                Value::Str(text) => texts.get(text).copied(),
                _ => others.iter().copied().find(|at| self.key_is(self.map_mut_key(id, *at), key)),
            };
            if let Some(at) = at {
                kept[at] = true;
                let old = self.map_mut(id).entries[at].value;
                if self.patches(old, value) {
                    self.patch(old, value);
                    continue;
                }
                if self.same_as(old, value) {
                    continue;
                }
            }
            self.put(id, at, key, value);
        }
        for at in (0..kept.len()).rev().filter(|at| !kept[*at]) {
            self.remove_entry(id, at);
        }
    }

    fn map_mut_key(&self, id: ObjectId, at: usize) -> ObjectId {
        match &self.objects[id].data {
            Data::Map(map) => map.entries[at].key,
            _ => id,
        }
    }

    fn patch_seq(&mut self, id: ObjectId, wanted: &[Value]) {
        if self.seq_mut(id).items.len() != wanted.len() {
            let items = wanted.iter().map(|value| (self.add_value(value), None)).collect();
            self.seq_mut(id).items = items;
            return;
        }
        for (at, value) in wanted.iter().enumerate() {
            let old = self.seq_mut(id).items[at].0;
            if self.patches(old, value) {
                self.patch(old, value);
            } else if !self.same_as(old, value) {
                self.put_item(id, at, value);
            }
        }
    }
}

/// The text as DVC would write it.
impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tree = Tree { nodes: Vec::new(), comments: self.comments.clone() };
        let mut writer = Writer { document: self, tree: &mut tree, made: vec![None; self.objects.len()] };
        let root = writer.node(self.root);
        f.write_str(&tree.write(root))
    }
}

/// Refuses documents whose aliases repeat too much or nest too deep, before anything walks them.
fn bounded(objects: &[Object], root: Option<ObjectId>) -> Result<(), Error> {
    let Some(root) = root else { return Ok(()) };
    let (size, depth) = size(objects, root, &mut vec![None; objects.len()]);
    if size > objects.len() + MOST_REPEATED {
        return Err(Error::unmarked(format!("aliases repeat more than {MOST_REPEATED} values")));
    }
    if depth > load::DEEPEST {
        return Err(Error::unmarked(format!("maximum depth of data structure exceeded ({depth})")));
    }
    Ok(())
}

/// How many values an object holds, and how deep. What aliases refer to is met before them, so that no call goes
/// deeper than the text does.
fn size(objects: &[Object], id: ObjectId, known: &mut Vec<Option<(usize, usize)>>) -> (usize, usize) {
    if let Some(size) = known[id] {
        return size;
    }
    let (mut total, mut deepest) = (1_usize, 0);
    let inner: Vec<ObjectId> = match &objects[id].data {
        Data::Scalar(_) => Vec::new(),
        Data::Seq(seq) => seq.items.iter().map(|(item, _)| *item).collect(),
        Data::Map(map) => map.entries.iter().flat_map(|entry| [entry.key, entry.value]).collect(),
    };
    for inner in inner {
        let (size, depth) = self::size(objects, inner, known);
        total = total.saturating_add(size);
        deepest = deepest.max(depth);
    }
    known[id] = Some((total, deepest + 1));
    (total, deepest + 1)
}

/// Objects to nodes.
struct Writer<'w, 'd> {
    document: &'d Document,
    tree: &'w mut Tree<'d>,
    made: Vec<Option<NodeId>>,
}

impl<'d> Writer<'_, 'd> {
    fn node(&mut self, id: ObjectId) -> NodeId {
        let document = self.document;
        let object = &document.objects[id];
        let shared = !matches!(object.data, Data::Scalar(_)) || object.anchor.is_some();
        if let Some(node) = self.made[id]
            && shared
        {
            return node;
        }
        let node = match &object.data {
            Data::Scalar(scalar) => self.tree.add(scalar_node(scalar)),
            Data::Seq(seq) => {
                let flow = if seq.items.is_empty() { seq.flow.unwrap_or(true) } else { seq.flow.unwrap_or(false) };
                self.tree.add(Node::new(Content::Seq { items: Vec::new(), flow }))
            }
            Data::Map(map) => {
                let empty = map.entries.is_empty() && map.merge.is_none();
                let flow = if empty { map.flow.unwrap_or(true) } else { map.flow.unwrap_or(false) };
                self.tree.add(Node::new(Content::Map { pairs: Vec::new(), flow }))
            }
        };
        self.made[id] = Some(node);
        self.tree.nodes[node].anchor = object.anchor.clone();
        self.tree.nodes[node].tag = object.tag.clone();
        match &object.data {
            Data::Scalar(_) => {}
            Data::Seq(seq) => self.sequence(node, seq),
            Data::Map(map) => self.mapping(node, map),
        }
        node
    }

    fn around(own: &Own) -> Option<Around> {
        // Without comments before it, ruamel forgets those before its end.
        own.comment.clone().map(|(post, pre)| Around { post, pre, end: Some(own.end.clone().unwrap_or_default()) })
    }

    fn sequence(&mut self, node: NodeId, seq: &'d Seq) {
        self.tree.nodes[node].around = Self::around(&seq.own);
        for (item, comments) in &seq.items {
            let item = self.node(*item);
            if let Some((post, pre)) = comments {
                let old = self.tree.nodes[item].around.take().unwrap_or_default();
                self.tree.nodes[item].around =
                    Some(Around { post: old.post.or(*post), pre: old.pre.or_else(|| pre.clone()), end: old.end });
            }
            if let Content::Seq { items, .. } = &mut self.tree.nodes[node].content {
                items.push(item);
            }
        }
    }

    fn mapping(&mut self, node: NodeId, map: &'d Mapping) {
        self.tree.nodes[node].around = Self::around(&map.own);
        let mut made = Vec::with_capacity(map.entries.len() + 1);
        for entry in &map.entries {
            if !entry.own {
                continue;
            }
            let key = self.node(entry.key);
            if let Content::Seq { flow, .. } | Content::Map { flow, .. } = &mut self.tree.nodes[key].content {
                *flow = true;
            }
            let value = self.node(entry.value);
            if let Some((of_key, of_value)) = &entry.comments {
                self.tree.nodes[key].around = Some(Around { post: of_key.0, pre: of_key.1.clone(), end: None });
                let end = self.tree.nodes[value].around.take().and_then(|around| around.end);
                self.tree.nodes[value].around = Some(Around { post: of_value.0, pre: of_value.1.clone(), end });
            }
            made.push((key, value));
        }
        if let Some(merge) = &map.merge {
            let value = match (merge.sequence, merge.sources.first()) {
                (Some(sequence), _) => self.node(sequence),
                (None, Some(source)) => self.node(*source),
                (None, None) => return,
            };
            let key = self.tree.add(Node::scalar("<<", Type::Merge));
            made.insert(merge.position.min(made.len()), (key, value));
        }
        if let Content::Map { pairs, .. } = &mut self.tree.nodes[node].content {
            *pairs = made;
        }
    }
}

fn scalar_node(scalar: &Scalar) -> Node<'_> {
    let (text, kind) = scalar_text(&scalar.value);
    let text = scalar.text.as_ref().map_or(text, |text| Cow::Borrowed(text.as_str()));
    let kind = match (&scalar.text, kind) {
        (Some(_), Type::Str) if scalar.style == Style::Any => Type::Timestamp,
        _ => kind,
    };
    let text = if scalar.folds.is_empty() { text } else { Cow::Owned(folded_again(&text, &scalar.folds)) };
    Node::new(Content::Scalar { text, style: scalar.style, kind })
}

/// Marks where the text is to be folded: at single spaces between words that are still there.
fn folded_again(text: &str, folds: &[usize]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for at in folds.iter().rev().copied() {
        let word = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|ch| !ch.is_whitespace());
        if chars.get(at) == Some(&' ') && word(at.checked_sub(1)) && word(Some(at + 1)) {
            chars.insert(at, '\u{7}');
        }
    }
    chars.into_iter().collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Made {
    No,
    Open,
    Done(ObjectId),
}

/// Nodes to objects.
struct Builder {
    nodes: Vec<load::Node>,
    objects: Vec<Object>,
    made: Vec<Made>,
}

impl Builder {
    fn add(&mut self, data: Data, anchor: Option<Anchor>, tag: Option<String>, mark: Option<Mark>) -> ObjectId {
        self.objects.push(Object { data, anchor, tag, mark });
        self.objects.len() - 1
    }

    fn object(&mut self, node: usize) -> Result<ObjectId, Error> {
        match self.made[node] {
            Made::Done(id) => return Ok(id),
            Made::Open => {
                return Err(Error::at(self.nodes[node].start, "found unconstructable recursive node"));
            }
            Made::No => self.made[node] = Made::Open,
        }
        let id = match &self.nodes[node].content {
            load::Content::Scalar { .. } => self.scalar(node)?,
            load::Content::Seq { items, flow } => {
                let (items, flow) = (items.clone(), *flow);
                self.sequence(node, &items, flow)?
            }
            load::Content::Map { pairs, flow } => {
                let (pairs, flow) = (pairs.clone(), *flow);
                self.mapping(node, &pairs, flow)?
            }
        };
        self.made[node] = Made::Done(id);
        Ok(id)
    }

    fn scalar(&mut self, id: usize) -> Result<ObjectId, Error> {
        let node = &self.nodes[id];
        let load::Content::Scalar { text, style, kind } = &node.content else {
            return Err(Error::at(node.start, "expected a scalar"));
        };
        let anchor = node.anchor.clone().map(|name| Anchor { name: Some(name), always: true });
        let style = match style {
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
            ScalarStyle::Single => Style::Single,
            ScalarStyle::Double => Style::Double,
            ScalarStyle::Plain => Style::Any,
        };
        let core = node.tag.as_ref().map(load::Tag::core);
        let kind = match core {
            None => *kind,
            Some(Some("null")) => Type::Null,
            Some(Some("bool")) => Type::Bool,
            Some(Some("int")) => Type::Int,
            Some(Some("float")) => Type::Float,
            Some(Some("timestamp")) => Type::Timestamp,
            Some(_) => {
                let tag = node.tag.as_ref().map(|tag| tag.written.clone());
                let scalar = Scalar { value: Value::Str(text.clone()), text: None, style, folds: Vec::new() };
                return Ok(self.add(Data::Scalar(scalar), anchor, tag, None));
            }
        };
        let block = matches!(style, Style::Literal | Style::Folded);
        let mut scalar = Scalar { value: Value::Null, text: None, style: Style::Any, folds: Vec::new() };
        let mut anchored = anchor;
        match kind {
            Type::Str | Type::Merge | Type::Value => {
                let mut plain = text.clone();
                if style == Style::Folded {
                    scalar.folds = text
                        .chars()
                        .enumerate()
                        .filter(|(_, ch)| *ch == '\u{7}')
                        .enumerate()
                        .map(|(before, (at, _))| at - before)
                        .collect();
                    plain.retain(|ch| ch != '\u{7}');
                }
                scalar.value = Value::Str(plain);
                if block {
                    scalar.style = style;
                }
            }
            Type::Timestamp => {
                scalar.value = Value::Str(text.clone());
                let Some(normal) = number::timestamp(text) else {
                    return Err(Error::at(node.start, format!("'{text}' is no date")));
                };
                scalar.text = Some(normal);
                // Its name is lost, but not that it is shared.
                anchored = anchored.map(|_| Anchor { name: None, always: false });
            }
            _ => {
                let Some(value) = scalar_value(text, kind) else {
                    return Err(Error::at(node.start, format!("'{text}' is no number")));
                };
                match &value {
                    Value::Int(_) | Value::BigInt(_) => scalar.text = Some(number::integer(text)),
                    Value::Float(number) if number.is_finite() => scalar.text = Some(number::float(text, *number)),
                    Value::Float(_) | Value::Null => anchored = None,
                    _ => {}
                }
                scalar.value = value;
            }
        }
        Ok(self.add(Data::Scalar(scalar), anchored, None, None))
    }

    /// The anchor of a collection, which is written only if something refers to it.
    fn anchor(&self, node: usize) -> Option<Anchor> {
        let name = self.nodes[node].anchor.clone().filter(|name| !is_generated(name))?;
        Some(Anchor { name: Some(name), always: false })
    }

    fn own(&self, node: usize) -> Own {
        match &self.nodes[node].comments {
            None => Own::default(),
            Some(comments) => Own { comment: Some((comments.post, comments.pre.clone())), end: comments.end.clone() },
        }
    }

    fn collection_tag(&self, node: usize, core: &str) -> Option<String> {
        let tag = self.nodes[node].tag.as_ref()?;
        (tag.name != "!" && tag.core() != Some(core)).then(|| tag.written.clone())
    }

    fn sequence(&mut self, node: usize, nodes: &[usize], flow: bool) -> Result<ObjectId, Error> {
        let own = self.own(node);
        let mut items = Vec::with_capacity(nodes.len());
        for child in nodes {
            let comments = self.nodes[*child].comments.take();
            let comments = comments.map(|comments| (comments.post, comments.pre));
            items.push((self.object(*child)?, comments));
        }
        let flow = (!items.is_empty()).then_some(flow);
        let (anchor, tag, mark) = (self.anchor(node), self.collection_tag(node, "seq"), self.nodes[node].start);
        Ok(self.add(Data::Seq(Seq { items, flow, own }), anchor, tag, Some(mark)))
    }

    fn mapping(&mut self, node: usize, pairs: &[(usize, usize)], flow: bool) -> Result<ObjectId, Error> {
        let mut map = Mapping { own: Own::default(), ..Mapping::default() };
        map.merge = self.merge(node, pairs)?;
        map.own = self.own(node);
        let mut known: HashMap<String, usize> = HashMap::new();
        let start = self.nodes[node].start;
        for (key_node, value_node) in pairs {
            if self.nodes[*key_node].is_merge_key() {
                continue;
            }
            let key = self.object(*key_node)?;
            let key_value = self.key(key);
            check_key(&key_value, start, self.nodes[*key_node].start)?;
            let value = self.object(*value_node)?;
            let before = known.insert(key_value.key_text(), map.entries.len());
            if let Some(before) = before {
                bounded(&self.objects, Some(value))?;
                bounded(&self.objects, Some(map.entries[before].value))?;
                let (value, before) = (self.value_of(value), self.value_of(map.entries[before].value));
                let mark = self.nodes[*key_node].start;
                return Err(duplicate_key(&key_value, &value, Some(&before), start, mark));
            }
            let mut comments: Option<(Pair, Pair)> = None;
            let mut of_key = self.nodes[*key_node].comments.clone();
            if let Some(Comments { from_colon: Some(post), pre, post: own, .. }) = &of_key {
                let last = map.entries.last_mut();
                match last {
                    Some(last)
                        if matches!(
                            &self.objects[last.value].data,
                            Data::Scalar(Scalar { value: Value::Null, .. })
                        ) =>
                    {
                        let slot = last.comments.get_or_insert_default();
                        slot.1 = (Some(*post), slot.1.1.take().or_else(|| pre.clone()));
                    }
                    _ => comments.get_or_insert_default().0 = (*own, pre.clone()),
                }
                self.nodes[*key_node].comments = None;
                of_key = None;
            }
            if let Some(of_key) = of_key {
                comments.get_or_insert_default().0 = (of_key.post, of_key.pre);
            }
            if let Some(of_value) = self.nodes[*value_node].comments.clone() {
                comments.get_or_insert_default().1 = (of_value.post, of_value.pre);
            }
            map.entries.push(Entry { key, value, own: true, comments });
        }
        let sources = map.merge.as_ref().map(|merge| merge.sources.clone()).unwrap_or_default();
        for source in sources {
            let Data::Map(source) = &self.objects[source].data else { continue };
            let mut merged = Vec::new();
            for entry in &source.entries {
                let key = self.key(entry.key).key_text();
                if known.insert(key, usize::MAX).is_none() {
                    merged.push(Entry { key: entry.key, value: entry.value, own: false, comments: None });
                }
            }
            map.entries.extend(merged);
        }
        map.flow = (!map.entries.is_empty()).then_some(flow);
        let (anchor, tag) = (self.anchor(node), self.collection_tag(node, "map"));
        Ok(self.add(Data::Map(map), anchor, tag, Some(start)))
    }

    fn merge(&mut self, node: usize, pairs: &[(usize, usize)]) -> Result<Option<Merge>, Error> {
        let context = "while constructing a mapping";
        let start = self.nodes[node].start;
        let mut merge: Option<Merge> = None;
        for (at, (key, value)) in pairs.iter().enumerate() {
            if !self.nodes[*key].is_merge_key() {
                continue;
            }
            if merge.is_some() {
                let problem = "found duplicate merge key \"<<\"";
                return Err(Error::within(context, start, problem, self.nodes[*key].start));
            }
            let mut made = Merge { position: at, sources: Vec::new(), sequence: None };
            match &self.nodes[*value].content {
                load::Content::Map { .. } => made.sources.push(self.object(*value)?),
                load::Content::Seq { items, .. } => {
                    let items = items.clone();
                    made.sequence = Some(self.object(*value)?);
                    for item in items {
                        if !matches!(self.nodes[item].content, load::Content::Map { .. }) {
                            let found = self.nodes[item].kind_name();
                            let problem = format!("expected a mapping for merging, but found {found}");
                            return Err(Error::within(context, start, problem, self.nodes[item].start));
                        }
                        made.sources.push(self.object(item)?);
                    }
                }
                load::Content::Scalar { .. } => {
                    let problem = "expected a mapping or list of mappings for merging, but found scalar";
                    return Err(Error::within(context, start, problem, self.nodes[*value].start));
                }
            }
            merge = Some(made);
        }
        Ok(merge.filter(|merge| !merge.sources.is_empty()))
    }

    /// The value of a key, as far as it shows whether it can be one.
    fn key(&self, id: ObjectId) -> Value {
        match &self.objects[id].data {
            Data::Scalar(scalar) => scalar.value.clone(),
            Data::Map(_) => Value::Map(Map::new()),
            Data::Seq(seq) => {
                let items = seq.items.iter().map(|(item, _)| match &self.objects[*item].data {
                    Data::Scalar(scalar) => scalar.value.clone(),
                    _ => Value::Map(Map::new()),
                });
                Value::Seq(items.collect())
            }
        }
    }

    fn value_of(&self, id: ObjectId) -> Value {
        match &self.objects[id].data {
            Data::Scalar(scalar) => scalar.value.clone(),
            Data::Seq(seq) => Value::Seq(seq.items.iter().map(|(item, _)| self.value_of(*item)).collect()),
            Data::Map(map) => Value::Map(
                map.entries.iter().map(|entry| (self.value_of(entry.key), self.value_of(entry.value))).collect(),
            ),
        }
    }
}

/// `id001`: a name that ruamel gave, and gives anew.
fn is_generated(name: &str) -> bool {
    name.strip_prefix("id")
        .is_some_and(|digits| digits.bytes().take_while(u8::is_ascii_digit).count() >= 3 && digits != "000")
}
