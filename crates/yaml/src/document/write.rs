//! Objects to nodes, for the emitter.

use std::borrow::Cow;
use std::fmt;

use super::{Data, Document, Mapping, ObjectId, Own, Scalar, Seq};
use crate::emitter::{Around, Content, Node, NodeId, Style, Tree};
use crate::plain::scalar_text;
use crate::resolve::Type;

/// The text as DVC would write it.
impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tree = Tree { nodes: Vec::new(), comments: self.comments.clone() };
        let mut writer = Writer { document: self, tree: &mut tree, made: vec![None; self.objects.len()] };
        let root = writer.node(self.root);
        f.write_str(&tree.write(root))
    }
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
