//! Nodes to objects that remember how they were written.

use std::collections::HashMap;

use super::{Data, Entry, Mapping, Merge, Object, ObjectId, Own, Pair, Scalar, Seq};
use crate::emitter::{Anchor, Style};
use crate::error::{Error, Mark};
use crate::load::{self, Comments};
use crate::number;
use crate::plain::{MOST_REPEATED, check_key, duplicate_key, scalar_value};
use crate::resolve::Type;
use crate::scanner::ScalarStyle;
use crate::value::{Map, Value};

#[derive(Clone, Copy, PartialEq)]
enum Made {
    No,
    Open,
    Done(ObjectId),
}

/// Nodes to objects.
pub(super) struct Builder {
    nodes: Vec<load::Node>,
    pub objects: Vec<Object>,
    made: Vec<Made>,
}

impl Builder {
    pub fn new(nodes: Vec<load::Node>) -> Builder {
        Builder { made: vec![Made::No; nodes.len()], nodes, objects: Vec::new() }
    }

    fn add(&mut self, data: Data, anchor: Option<Anchor>, tag: Option<String>, mark: Option<Mark>) -> ObjectId {
        self.objects.push(Object { data, anchor, tag, mark });
        self.objects.len() - 1
    }

    pub fn object(&mut self, node: usize) -> Result<ObjectId, Error> {
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

/// Refuses documents whose aliases repeat too much or nest too deep, before anything walks them.
pub(super) fn bounded(objects: &[Object], root: Option<ObjectId>) -> Result<(), Error> {
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
