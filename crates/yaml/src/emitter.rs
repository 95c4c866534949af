//! Writes a tree of nodes the way ruamel.yaml's emitter does with its defaults: width 80, block style, indent 2, dashes
//! of a sequence under the key they belong to.
//!
//! Its habits are part of DVC's file format and therefore kept: a folded plain scalar leaves a space at the end of
//! the line, keys from 128 characters on get a `?`, comments go back to the column where they stood.

mod scalars;

use std::borrow::Cow;

use crate::resolve::{self, Type};
use crate::scalar::{self, Analysis};

const WIDTH: usize = 80;
const INDENT: usize = 2;
const LONGEST_SIMPLE_KEY: usize = 128;

pub(crate) type NodeId = usize;
pub(crate) type CommentId = usize;

/// A run of comment lines and blank lines.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comment {
    pub text: String,
    /// Where it stood; a comment behind a block scalar moves left of it.
    pub column: isize,
    /// It stands behind the `|` or `>` of a block scalar.
    pub header: bool,
    /// Written already, before the dash or key in front of a collection.
    pub done: bool,
}

/// The comments around a node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Around {
    /// Behind the node, on its line, and what follows.
    pub post: Option<CommentId>,
    /// Before the node.
    pub pre: Option<Vec<CommentId>>,
    /// Before the end of a collection.
    pub end: Option<Vec<CommentId>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// As fits best.
    Any,
    Double,
    Single,
    Literal,
    Folded,
}

#[derive(Debug)]
pub(crate) enum Content<'a> {
    Scalar { text: Cow<'a, str>, style: Style, kind: Type },
    Seq { items: Vec<NodeId>, flow: bool },
    Map { pairs: Vec<(NodeId, NodeId)>, flow: bool },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Anchor {
    pub name: Option<String>,
    /// Written even if nothing refers to it.
    pub always: bool,
}

#[derive(Debug)]
pub(crate) struct Node<'a> {
    pub content: Content<'a>,
    /// A tag that the reader would not find by itself, as it is written.
    pub tag: Option<String>,
    pub anchor: Option<Anchor>,
    pub around: Option<Around>,
}

impl<'a> Node<'a> {
    pub fn new(content: Content<'a>) -> Node<'a> {
        Node { content, tag: None, anchor: None, around: None }
    }

    pub fn scalar(text: impl Into<Cow<'a, str>>, kind: Type) -> Node<'a> {
        Node::new(Content::Scalar { text: text.into(), style: Style::Any, kind })
    }
}

/// Nodes and the comments that they name.
#[derive(Debug, Default)]
pub(crate) struct Tree<'a> {
    pub nodes: Vec<Node<'a>>,
    pub comments: Vec<Comment>,
}

impl<'a> Tree<'a> {
    pub fn add(&mut self, node: Node<'a>) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// The document with this root.
    pub fn write(mut self, root: NodeId) -> String {
        let names = self.anchor_names(root);
        let comments = std::mem::take(&mut self.comments);
        let mut emitter = Emitter {
            nodes: &self.nodes,
            written: vec![false; self.nodes.len()],
            names,
            comments,
            out: String::new(),
            column: 0,
            whitespace: true,
            indention: true,
            no_newline: false,
            open_ended: false,
            indent: None,
            indents: Vec::new(),
            flow: Vec::new(),
        };
        emitter.node(root, Context { root: true, ..Context::default() });
        emitter.write_indent();
        if emitter.open_ended {
            emitter.indicator("...", true, false, false);
            emitter.write_indent();
        }
        emitter.out
    }

    /// The anchor of every node that needs one: those met twice, and scalars that had one.
    fn anchor_names(&self, root: NodeId) -> Vec<Option<String>> {
        let mut seen = vec![false; self.nodes.len()];
        let mut names = vec![None; self.nodes.len()];
        let mut made = 0;
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            let anchor = self.nodes[id].anchor.as_ref();
            if std::mem::replace(&mut seen[id], true) {
                if names[id].is_none() {
                    names[id] = Some(anchor.and_then(|anchor| anchor.name.clone()).unwrap_or_else(|| {
                        made += 1;
                        format!("id{made:03}")
                    }));
                }
                continue;
            }
            names[id] = anchor.filter(|anchor| anchor.always).and_then(|anchor| anchor.name.clone());
            match &self.nodes[id].content {
                Content::Scalar { .. } => {}
                Content::Seq { items, .. } => open.extend(items.iter().rev()),
                Content::Map { pairs, .. } => {
                    for (key, value) in pairs.iter().rev() {
                        open.extend([*value, *key]);
                    }
                }
            }
        }
        names
    }
}

#[derive(Clone, Copy, Default)]
struct Context {
    root: bool,
    sequence: bool,
    mapping: bool,
    simple_key: bool,
}

const ITEM: Context = Context { root: false, sequence: true, mapping: false, simple_key: false };
const VALUE: Context = Context { root: false, sequence: false, mapping: true, simple_key: false };
const KEY: Context = Context { root: false, sequence: false, mapping: true, simple_key: true };

struct Emitter<'t, 'a> {
    nodes: &'t [Node<'a>],
    written: Vec<bool>,
    names: Vec<Option<String>>,
    comments: Vec<Comment>,
    out: String,
    column: usize,
    /// The last character was a space (or there was none).
    whitespace: bool,
    /// The line holds nothing but spaces, dashes, `?` and `:` so far.
    indention: bool,
    /// The next line break is not to be written: we stand behind a dash.
    no_newline: bool,
    /// A plain scalar at the root needs `...` behind it.
    open_ended: bool,
    indent: Option<usize>,
    /// The outer indents, each with whether a sequence opened there.
    indents: Vec<(Option<usize>, bool)>,
    flow: Vec<char>,
}

impl<'a> Emitter<'_, 'a> {
    fn node(&mut self, id: NodeId, mut context: Context) {
        let nodes = self.nodes;
        let node = &nodes[id];
        if self.is_alias(id) {
            let name = format!("*{}", self.names[id].as_deref().unwrap_or_default());
            self.indicator(&name, true, false, false);
            self.no_newline = false;
            return;
        }
        self.written[id] = true;
        if let Some(name) = &self.names[id] {
            let name = format!("&{name}");
            self.indicator(&name, true, false, false);
            self.no_newline = false;
            if matches!(node.content, Content::Scalar { .. }) {
                context.sequence = false;
            }
        }
        match &node.content {
            Content::Scalar { text, style, kind } => self.scalar(node, text, *style, *kind, context),
            Content::Seq { items, flow } => {
                self.collection_tag(node);
                self.sequence(node, items, *flow, context);
            }
            Content::Map { pairs, flow } => {
                self.collection_tag(node);
                self.mapping(node, pairs, *flow);
            }
        }
    }

    fn is_alias(&self, id: NodeId) -> bool {
        self.written[id] && self.names[id].is_some()
    }

    fn collection_tag(&mut self, node: &Node<'a>) {
        if let Some(tag) = &node.tag {
            self.indicator(tag, true, false, false);
        }
    }

    fn increase_indent(&mut self, flow: bool, sequence: bool, indentless: bool) {
        self.indents.push((self.indent, sequence));
        match self.indent {
            None if !flow => self.indent = Some(0),
            Some(indent) if !indentless => self.indent = Some(indent + INDENT),
            _ => {}
        }
    }

    fn decrease_indent(&mut self) {
        self.indent = self.indents.pop().and_then(|(indent, _)| indent);
    }

    /// Spaces that move a bracket behind a dash to where a block would start.
    fn flow_align(&self, before_comment: bool) -> usize {
        let in_sequence = self.indents.len() >= 2 && self.indents[self.indents.len() - 1].1;
        if !in_sequence && (self.indents.is_empty() || !before_comment) {
            return 0;
        }
        let base = self.indents.last().and_then(|(indent, _)| *indent).unwrap_or(0);
        if before_comment {
            return base + INDENT;
        }
        (base + INDENT).saturating_sub(self.column + 1)
    }

    fn sequence(&mut self, node: &Node<'a>, items: &[NodeId], flow: bool, context: Context) {
        let mut force = false;
        if let Some(around) = &node.around {
            let (indention, column) = (self.indention, self.column);
            if !flow && self.post_comment(around.post) {
                self.indention = false;
                self.no_newline = true;
            }
            if self.pre_comments(around.pre.as_deref(), true) {
                if flow {
                    force = self.indents.last().is_some_and(|(_, sequence)| !sequence);
                }
                self.indention = indention;
                self.no_newline = !indention;
            }
            if flow {
                self.column = column;
            }
        }
        let (post, end) = self.end_comments(node, flow);
        if !self.flow.is_empty() || flow || items.is_empty() {
            self.flow_sequence(items, force, post);
        } else {
            self.block_sequence(items, context, end);
        }
    }

    /// The comments that go with the end of a collection: behind it in flow style, before the dedent in block style.
    fn end_comments(&self, node: &Node<'a>, flow: bool) -> (Option<CommentId>, Option<Vec<CommentId>>) {
        let around = node.around.as_ref();
        (around.filter(|_| flow).and_then(|around| around.post), around.and_then(|around| around.end.clone()))
    }

    fn flow_sequence(&mut self, items: &[NodeId], force: bool, post: Option<CommentId>) {
        self.open_flow("[", '[', force, true);
        self.dash_behind_dash();
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.indicator(",", false, false, false);
            }
            if self.column > WIDTH {
                self.write_indent();
            }
            self.node(*item, ITEM);
        }
        self.close_flow("]", items.is_empty(), post);
    }

    fn dash_behind_dash(&mut self) {
        if let [.., (_, true), (_, true)] = self.indents[..] {
            self.indention = true;
            self.no_newline = false;
        }
    }

    fn open_flow(&mut self, bracket: &str, context: char, force: bool, sequence: bool) {
        if force {
            self.increase_indent(true, sequence, false);
        }
        let opening = " ".repeat(self.flow_align(force)) + bracket;
        self.indicator(&opening, true, true, false);
        if !force {
            self.increase_indent(true, sequence, false);
        }
        self.flow.push(context);
    }

    fn close_flow(&mut self, bracket: &str, empty: bool, post: Option<CommentId>) {
        self.decrease_indent();
        self.flow.pop();
        if !bracket.is_empty() {
            self.indicator(bracket, false, false, false);
        }
        if post.is_some() {
            self.post_comment(post);
        } else if !empty {
            self.no_newline = false;
        } else if self.flow.is_empty() {
            self.line_break('\n');
        }
    }

    fn mapping(&mut self, node: &Node<'a>, pairs: &[(NodeId, NodeId)], flow: bool) {
        let mut force = false;
        if let Some(around) = &node.around {
            if !flow {
                self.post_comment(around.post);
            }
            if around.pre.as_ref().is_some_and(|pre| !pre.is_empty()) {
                self.pre_comments(around.pre.as_deref(), true);
                if flow {
                    force = self.indents.last().is_some_and(|(_, sequence)| !sequence);
                }
            }
        }
        let (post, end) = self.end_comments(node, flow);
        if !self.flow.is_empty() || flow || pairs.is_empty() {
            self.flow_mapping(pairs, force, post);
        } else {
            self.block_mapping(pairs, end);
        }
    }

    fn flow_mapping(&mut self, pairs: &[(NodeId, NodeId)], force: bool, post: Option<CommentId>) {
        // `[a: 1]` needs no braces around its only pair.
        let braces = !(pairs.len() == 1 && self.flow.last() == Some(&'['));
        self.open_flow(if braces { "{" } else { "" }, if braces { '{' } else { ' ' }, force, false);
        for (at, (key, value)) in pairs.iter().enumerate() {
            if at > 0 {
                self.indicator(",", false, false, false);
            }
            if self.column > WIDTH {
                self.write_indent();
            }
            if self.is_simple_key(*key) {
                self.node(*key, KEY);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, false);
                self.node(*key, VALUE);
                if self.column > WIDTH {
                    self.write_indent();
                }
                self.indicator(":", true, false, false);
            }
            self.node(*value, VALUE);
        }
        self.close_flow(if braces { "}" } else { "" }, pairs.is_empty(), post);
    }

    fn block_sequence(&mut self, items: &[NodeId], context: Context, end: Option<Vec<CommentId>>) {
        self.increase_indent(false, true, context.mapping && !self.indention);
        self.dash_behind_dash();
        for item in items {
            self.comments_before(*item);
            let no_newline = self.column == 0 && self.no_newline;
            self.write_indent();
            self.indicator("-", true, false, true);
            if no_newline {
                self.no_newline = true;
            }
            self.node(*item, ITEM);
        }
        self.pre_comments(end.as_deref(), false);
        self.decrease_indent();
        self.no_newline = false;
    }

    fn block_mapping(&mut self, pairs: &[(NodeId, NodeId)], end: Option<Vec<CommentId>>) {
        self.increase_indent(false, false, false);
        for (key, value) in pairs {
            self.comments_before(*key);
            self.write_indent();
            if self.is_simple_key(*key) {
                let alias = self.is_alias(*key);
                self.node(*key, KEY);
                if alias {
                    self.out.push(' ');
                }
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.node(*key, VALUE);
                self.write_indent();
                self.indicator(":", true, false, true);
            }
            self.node(*value, VALUE);
        }
        self.pre_comments(end.as_deref(), false);
        self.decrease_indent();
    }

    fn comments_before(&mut self, id: NodeId) {
        if self.is_alias(id) {
            return;
        }
        let node = &self.nodes[id];
        if let Some(around) = &node.around {
            self.pre_comments(around.pre.as_deref(), !matches!(node.content, Content::Scalar { .. }));
        }
    }

    fn is_simple_key(&self, id: NodeId) -> bool {
        let node = &self.nodes[id];
        let chars = |text: &Option<String>| text.as_ref().map_or(0, |text| text.chars().count());
        let mut length = chars(&self.names[id]);
        if self.is_alias(id) {
            return length < LONGEST_SIMPLE_KEY;
        }
        let simple = match &node.content {
            Content::Scalar { text, kind, .. } => {
                // The length of the tag counts though it is not written.
                length += node.tag.as_ref().map_or_else(|| short_tag(*kind).len(), |tag| tag.chars().count());
                length += text.chars().count();
                !scalar::analyze(text).multiline
            }
            Content::Seq { items, flow } => {
                length += node.tag.as_ref().map_or(5, |tag| tag.chars().count());
                *flow || items.is_empty()
            }
            Content::Map { pairs, flow } => {
                length += node.tag.as_ref().map_or(5, |tag| tag.chars().count());
                *flow || pairs.is_empty()
            }
        };
        simple && length < LONGEST_SIMPLE_KEY
    }

    fn scalar(&mut self, node: &Node<'a>, text: &str, style: Style, kind: Type, context: Context) {
        let mut text = text;
        let header = node.around.as_ref().and_then(|around| around.pre.as_ref()?.first().copied());
        let header = header.filter(|id| self.comments[*id].header);
        let mut analysis = scalar::analyze(text);
        let mut chosen = self.choose(node, text, &analysis, style, kind, context);
        if text.is_empty() && chosen == Chosen::Single && kind == Type::Null && node.tag.is_none() {
            text = "null";
            analysis = scalar::analyze(text);
            chosen = self.choose(node, text, &analysis, style, kind, context);
        }
        if let Some(tag) = &node.tag {
            self.indicator(tag, true, false, false);
            if context.sequence && self.flow.is_empty() {
                self.no_newline = true;
            }
        }
        self.increase_indent(true, false, false);
        if context.sequence && self.flow.is_empty() {
            self.write_indent();
        }
        let split = !context.simple_key;
        match chosen {
            Chosen::Plain => self.plain(text, split, context.root),
            Chosen::Single => self.single_quoted(text, split),
            Chosen::Double => self.double_quoted(text, split),
            Chosen::Literal => self.literal(text, header, context.root),
            Chosen::Folded => self.folded(text, header, context.root),
        }
        let post = node.around.as_ref().and_then(|around| around.post);
        if let Some(post) = post
            && matches!(chosen, Chosen::Literal | Chosen::Folded)
        {
            let comment = &mut self.comments[post];
            let indent = self.indent.map_or(0, usize::cast_signed);
            if comment.column >= indent {
                comment.column = indent - 1;
            }
        }
        self.post_comment(post);
        self.decrease_indent();
    }

    fn choose(
        &self,
        node: &Node<'a>,
        text: &str,
        analysis: &Analysis,
        style: Style,
        kind: Type,
        context: Context,
    ) -> Chosen {
        if text.is_empty() && node.tag.as_ref().is_some_and(|tag| tag.starts_with("!!")) {
            return Chosen::Plain;
        }
        if style == Style::Double {
            return Chosen::Double;
        }
        if style == Style::Any && (node.tag.is_some() || resolve::plain(text) == kind) {
            let in_flow = !self.flow.is_empty();
            let allowed = if in_flow { analysis.flow_plain } else { analysis.block_plain };
            if allowed && !(context.simple_key && (analysis.empty || analysis.multiline)) {
                return Chosen::Plain;
            }
        }
        if self.flow.is_empty() && !context.simple_key {
            match style {
                Style::Literal => return Chosen::Literal,
                Style::Folded => return Chosen::Folded,
                _ => {}
            }
        }
        if style == Style::Any && text.contains(['\'', '\n']) {
            return Chosen::Double;
        }
        if matches!(style, Style::Any | Style::Single)
            && analysis.single_quoted
            && !(context.simple_key && analysis.multiline)
        {
            return Chosen::Single;
        }
        Chosen::Double
    }

    fn indicator(&mut self, text: &str, need_whitespace: bool, whitespace: bool, indention: bool) {
        if need_whitespace && !self.whitespace {
            self.out.push(' ');
            self.column += 1;
        }
        self.whitespace = whitespace;
        self.indention = self.indention && indention;
        self.column += text.chars().count();
        self.open_ended = false;
        self.out.push_str(text);
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            if self.no_newline {
                self.no_newline = false;
            } else {
                self.line_break('\n');
            }
        }
        if self.column < indent {
            self.whitespace = true;
            for _ in self.column..indent {
                self.out.push(' ');
            }
            self.column = indent;
        }
    }

    fn line_break(&mut self, ch: char) {
        self.whitespace = true;
        self.indention = true;
        self.column = 0;
        self.out.push(ch);
    }

    fn text(&mut self, chars: &[char]) {
        self.out.extend(chars);
        self.column += chars.len();
    }

    fn comment(&mut self, id: CommentId, before: bool) {
        let comment = &self.comments[id];
        let mut value = comment.text.as_str();
        let column = if value.starts_with('\n') { self.column.cast_signed() } else { comment.column };
        if !before {
            value = value.strip_suffix('\n').unwrap_or(value);
        }
        let mut spaces = column - self.column.cast_signed();
        if self.column > 0 && !value.trim().is_empty() && spaces < 1 && !value.starts_with('\n') {
            spaces = 1;
        }
        self.out.extend(std::iter::repeat_n(' ', usize::try_from(spaces).unwrap_or(0)));
        self.out.push_str(value);
        if !before {
            self.line_break('\n');
        }
    }

    fn post_comment(&mut self, post: Option<CommentId>) -> bool {
        if let Some(id) = post {
            self.comment(id, false);
        }
        post.is_some()
    }

    fn pre_comments(&mut self, pre: Option<&[CommentId]>, collection: bool) -> bool {
        let Some(pre) = pre else { return false };
        for id in pre {
            if self.comments[*id].header || (collection && self.comments[*id].done) {
                continue;
            }
            if self.column != 0 {
                self.line_break('\n');
            }
            self.comment(*id, true);
            if collection {
                self.comments[*id].done = true;
            }
        }
        true
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chosen {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
}

fn short_tag(kind: Type) -> &'static str {
    match kind {
        Type::Str => "!!str",
        Type::Null => "!!null",
        Type::Bool => "!!bool",
        Type::Int => "!!int",
        Type::Float => "!!float",
        Type::Timestamp => "!!timestamp",
        Type::Merge => "!!merge",
        Type::Value => "!!value",
    }
}
