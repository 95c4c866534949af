//! A document that can be changed and written again with its comments.
//!
//! As ruamel's round trip, and therefore DVC, does it: comments, blank lines, flow style, block scalars, anchors, merge
//! keys and the look of numbers stay; quotes, indentation and line folding become those of the emitter; `---`,
//! directives and a comment before the first `---` go.

mod build;
mod write;

use std::collections::HashMap;

use crate::emitter::{Anchor, Comment, CommentId, Style};
use crate::error::{Error, Mark};
use crate::load::Loader;
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
        let mut builder = build::Builder::new(nodes);
        let root = match root {
            Some(root) => Some(builder.object(root)?),
            None => None,
        };
        let mut document = Document { objects: builder.objects, comments, root: 0 };
        build::bounded(&document.objects, root)?;
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
