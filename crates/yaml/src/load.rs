//! Tokens to a graph of nodes: the grammar, tags, anchors, and which comment belongs to which node.

use std::collections::HashMap;

use crate::emitter::CommentId;
use crate::error::{Error, Mark};
use crate::resolve::{self, Type};
use crate::scanner::{Carried, Kind, ScalarStyle, Scanner, Token};
use crate::value::Value;

/// Documents nested deeper are refused. (The limit of ruamel is Python's stack.)
pub(crate) const DEEPEST: usize = 100;

/// Up to here any thread's stack will do.
const SHALLOW: usize = 20;

/// Enough for [`DEEPEST`], also where nothing is optimised.
const DEEP_STACK: usize = 16 << 20;

const CORE: &str = "tag:yaml.org,2002:";

/// A tag: its full name, and how it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tag {
    pub name: String,
    pub written: String,
}

impl Tag {
    pub fn core(&self) -> Option<&str> {
        self.name.strip_prefix(CORE)
    }
}

/// Comments of a node while it is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Comments {
    pub post: Option<CommentId>,
    pub pre: Option<Vec<CommentId>>,
    /// Before the end of a collection.
    pub end: Option<Vec<CommentId>>,
    pub from_colon: Option<CommentId>,
    pub after_colon: bool,
}

impl From<Carried> for Comments {
    fn from(carried: Carried) -> Comments {
        Comments {
            post: carried.post,
            pre: carried.pre,
            end: None,
            from_colon: carried.from_colon,
            after_colon: carried.after_colon,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Content {
    Scalar { text: String, style: ScalarStyle, kind: Type },
    Seq { items: Vec<usize>, flow: bool },
    Map { pairs: Vec<(usize, usize)>, flow: bool },
}

#[derive(Debug)]
pub(crate) struct Node {
    pub content: Content,
    /// None if the type was found by the rules alone.
    pub tag: Option<Tag>,
    pub anchor: Option<String>,
    pub comments: Option<Comments>,
    pub start: Mark,
}

impl Node {
    pub fn kind_name(&self) -> &'static str {
        match self.content {
            Content::Scalar { .. } => "scalar",
            Content::Seq { .. } => "sequence",
            Content::Map { .. } => "mapping",
        }
    }

    pub fn is_merge_key(&self) -> bool {
        matches!(self.content, Content::Scalar { kind: Type::Merge, .. }) && self.tag.is_none()
    }
}

pub(crate) struct Loader {
    scanner: Scanner,
    pub nodes: Vec<Node>,
    anchors: HashMap<String, usize>,
    handles: HashMap<String, String>,
    depth: usize,
    /// It may nest deeper than [`SHALLOW`].
    deep: bool,
}

/// Anchor, tag, and where they began.
struct Properties {
    anchor: Option<String>,
    tag: Option<Tag>,
    start: Option<Mark>,
    end: Mark,
}

impl Loader {
    pub fn new(text: &str, keep_comments: bool) -> Result<Loader, Error> {
        Ok(Loader {
            scanner: Scanner::new(text, keep_comments)?,
            nodes: Vec::new(),
            anchors: HashMap::new(),
            handles: HashMap::new(),
            depth: 0,
            deep: may_nest_deeply(text),
        })
    }

    pub fn into_parts(self) -> (Vec<Node>, Vec<crate::emitter::Comment>) {
        (self.nodes, self.scanner.comments)
    }

    /// The root of the only document, None if there is none. What nests deeply is read on a stack of its own: whoever calls
    /// may be one of many threads with small stacks.
    pub fn single_document(&mut self) -> Result<Option<usize>, Error> {
        if !self.deep {
            return self.read_document();
        }
        std::thread::scope(|scope| {
            let reader = std::thread::Builder::new().stack_size(DEEP_STACK);
            let reader = reader.spawn_scoped(scope, || self.read_document());
            match reader.map(|reader| reader.join()) {
                Ok(Ok(root)) => root,
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                Err(error) => Err(Error::unmarked(format!("no thread could be started to read it: {error}"))),
            }
        })
    }

    fn read_document(&mut self) -> Result<Option<usize>, Error> {
        let start = self.scanner.get()?;
        self.pass_on(start, false)?;
        if self.peek_is(|kind| matches!(kind, Kind::StreamEnd))? {
            return Ok(None);
        }
        let root = if self.peek_is(|kind| is_directive(kind) || *kind == Kind::DocumentStart)? {
            self.explicit_document()?
        } else {
            self.set_handles(Vec::new());
            Some(self.block_node(false)?)
        };
        let Some(root) = root else { return Ok(None) };
        self.end_of_document(root)?;
        Ok(Some(root))
    }

    fn explicit_document(&mut self) -> Result<Option<usize>, Error> {
        while self.peek_is(|kind| *kind == Kind::DocumentEnd)? {
            self.scanner.get()?;
        }
        if self.peek_is(|kind| *kind == Kind::StreamEnd)? {
            return Ok(None);
        }
        self.directives()?;
        let token = self.scanner.peek()?;
        if token.kind != Kind::DocumentStart {
            let problem = format!("expected '<document start>', but found ('{}',)", token.kind.name());
            return Err(Error::at(token.start, problem));
        }
        self.scanner.get()?;
        let token = self.scanner.peek()?;
        if is_directive(&token.kind) || matches!(token.kind, Kind::DocumentStart | Kind::DocumentEnd | Kind::StreamEnd)
        {
            let mark = token.start;
            return Ok(Some(self.empty_scalar(mark, None)));
        }
        self.block_node(false).map(Some)
    }

    fn directives(&mut self) -> Result<(), Error> {
        let mut version = false;
        let mut handles: Vec<(String, String)> = Vec::new();
        while self.peek_is(is_directive)? {
            let token = self.scanner.get()?;
            match token.kind {
                Kind::VersionDirective(_) if version => {
                    return Err(Error::at(token.start, "found duplicate YAML directive"));
                }
                Kind::VersionDirective(1) => version = true,
                Kind::VersionDirective(_) => {
                    let problem = "found incompatible YAML document (version 1.* is required)";
                    return Err(Error::at(token.start, problem));
                }
                Kind::TagDirective(handle, prefix) => {
                    if handles.iter().any(|(known, _)| *known == handle) {
                        return Err(Error::at(token.start, format!("duplicate tag handle {}", quoted(&handle))));
                    }
                    handles.push((handle, prefix));
                }
                _ => {}
            }
        }
        self.set_handles(handles);
        Ok(())
    }

    fn set_handles(&mut self, handles: Vec<(String, String)>) {
        self.handles = HashMap::from([("!".to_owned(), "!".to_owned()), ("!!".to_owned(), CORE.to_owned())]);
        self.handles.extend(handles);
    }

    /// Nothing but further ends of documents and comments may follow.
    fn end_of_document(&mut self, root: usize) -> Result<(), Error> {
        let mut explicit = false;
        if self.peek_is(|kind| *kind == Kind::DocumentEnd)? {
            let end = self.scanner.get()?;
            let next = self.scanner.peek()?;
            if next.kind != Kind::StreamEnd && next.start.line == end.end.line {
                let name = next.kind.name();
                let problem = format!("found non-comment content after document end marker, ('{name}',)");
                return Err(Error::at(next.start, problem));
            }
            explicit = true;
        }
        while self.peek_is(|kind| *kind == Kind::DocumentEnd)? {
            self.scanner.get()?;
        }
        if self.peek_is(|kind| *kind == Kind::StreamEnd)? {
            return Ok(());
        }
        if !explicit || self.peek_is(is_directive)? {
            self.directives()?;
            let token = self.scanner.peek()?;
            if token.kind != Kind::DocumentStart {
                let problem = format!("expected '<document start>', but found ('{}',)", token.kind.name());
                return Err(Error::at(token.start, problem));
            }
        }
        let mark = self.scanner.peek()?.start;
        Err(Error::within(
            "expected a single document in the stream",
            self.nodes[root].start,
            "but found another document",
            mark,
        ))
    }

    fn peek_is(&mut self, accept: impl Fn(&Kind) -> bool) -> Result<bool, Error> {
        Ok(accept(&self.scanner.peek()?.kind))
    }

    /// Hands the comments of a token that is no node itself to the next token.
    fn pass_on(&mut self, mut token: Token, after_colon: bool) -> Result<Token, Error> {
        if token.carried.is_none() {
            return Ok(token);
        }
        let next = self.scanner.peek()?;
        if matches!(next.kind, Kind::StreamEnd | Kind::DocumentStart) {
            return Ok(token);
        }
        let Some(carried) = token.carried.take() else { return Ok(token) };
        match &mut next.carried {
            None => {
                let from_colon = if after_colon { carried.post } else { carried.from_colon };
                next.carried = Some(Carried { from_colon, after_colon: after_colon || carried.after_colon, ..carried });
            }
            Some(theirs) => {
                theirs.post = carried.post.or(theirs.post);
                theirs.pre = match (carried.pre, theirs.pre.take()) {
                    (Some(mut ours), Some(more)) => {
                        ours.extend(more);
                        Some(ours)
                    }
                    (ours, more) => ours.or(more),
                };
            }
        }
        Ok(token)
    }

    fn add(&mut self, content: Content, properties: Properties, comments: Option<Comments>, start: Mark) -> usize {
        let id = self.nodes.len();
        if let Some(anchor) = &properties.anchor {
            self.anchors.insert(anchor.clone(), id);
        }
        self.nodes.push(Node { content, tag: properties.tag, anchor: properties.anchor, comments, start });
        id
    }

    fn empty_scalar(&mut self, mark: Mark, comments: Option<Comments>) -> usize {
        let content = Content::Scalar { text: String::new(), style: ScalarStyle::Plain, kind: Type::Null };
        self.nodes.push(Node { content, tag: None, anchor: None, comments, start: mark });
        self.nodes.len() - 1
    }

    fn block_node(&mut self, indentless: bool) -> Result<usize, Error> {
        self.node(true, indentless)
    }

    fn flow_node(&mut self) -> Result<usize, Error> {
        self.node(false, false)
    }

    fn node(&mut self, block: bool, indentless: bool) -> Result<usize, Error> {
        if self.peek_is(|kind| matches!(kind, Kind::Alias(_)))? {
            let token = self.scanner.get()?;
            let Kind::Alias(name) = token.kind else { return Err(Error::at(token.start, "expected an alias")) };
            return match self.anchors.get(&name) {
                Some(id) => Ok(*id),
                None => Err(Error::at(token.start, format!("found undefined alias {}", quoted(&name)))),
            };
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            let mark = self.scanner.peek()?.start;
            let problem = format!("maximum depth of data structure exceeded ({})", self.depth);
            return Err(Error::at(mark, problem));
        }
        let properties = self.properties()?;
        let id = self.content(block, indentless, properties)?;
        self.depth -= 1;
        Ok(id)
    }

    fn properties(&mut self) -> Result<Properties, Error> {
        let (mut anchor, mut tag, mut start, mut tag_mark) = (None, None, None, None);
        let mut end = Mark::default();
        for turn in 0..2 {
            let token = self.scanner.peek()?;
            let wanted = match token.kind {
                Kind::Anchor(_) => anchor.is_none(),
                Kind::Tag(..) => tag.is_none(),
                _ => false,
            };
            if !wanted {
                break;
            }
            let mut token = self.scanner.get()?;
            if turn == 0 {
                token = self.pass_on(token, false)?;
            }
            // As ruamel: with the tag first, the node begins at its anchor.
            if tag.is_some() || start.is_none() {
                start = Some(token.start);
            }
            end = token.end;
            match token.kind {
                Kind::Anchor(name) => anchor = Some(name),
                Kind::Tag(handle, suffix) => {
                    tag_mark = Some(token.start);
                    tag = Some((handle, suffix));
                }
                _ => {}
            }
        }
        let tag = match tag {
            None => None,
            Some((None, suffix)) if suffix == "!" || suffix == "!!" => {
                Some(Tag { name: suffix.clone(), written: suffix })
            }
            Some((None, suffix)) => Some(Tag { written: verbatim(&suffix), name: decoded(&suffix) }),
            Some((Some(handle), suffix)) => match self.handles.get(&handle) {
                Some(prefix) => {
                    Some(Tag { name: format!("{prefix}{}", decoded(&suffix)), written: format!("{handle}{suffix}") })
                }
                None => {
                    let problem = format!("found undefined tag handle {}", quoted(&handle));
                    let (start, mark) = (start.unwrap_or_default(), tag_mark.unwrap_or_default());
                    return Err(Error::within("while parsing a node", start, problem, mark));
                }
            },
        };
        Ok(Properties { anchor, tag, start, end })
    }

    fn content(&mut self, block: bool, indentless: bool, mut properties: Properties) -> Result<usize, Error> {
        let token = self.scanner.peek()?;
        let start = properties.start.unwrap_or(token.start);
        match token.kind {
            Kind::BlockEntry if indentless => {
                let comments = token.carried.as_mut().and_then(|carried| {
                    if let Some(post) = carried.post.take() {
                        Some(Comments { post: Some(post), pre: Some(Vec::new()), ..Comments::default() })
                    } else {
                        carried
                            .pre
                            .take_if(|pre| !pre.is_empty())
                            .map(|pre| Comments { pre: Some(pre), ..Comments::default() })
                    }
                });
                let id = self.add(Content::Seq { items: Vec::new(), flow: false }, properties, comments, start);
                self.indentless_sequence(id)?;
                Ok(id)
            }
            Kind::Scalar(..) => {
                let token = self.scanner.get()?;
                let Kind::Scalar(text, style) = token.kind else {
                    return Err(Error::at(token.start, "expected a scalar"));
                };
                let not_specific = properties.tag.take_if(|tag| tag.name == "!").is_some();
                let kind = match style {
                    ScalarStyle::Plain => resolve::plain(&text),
                    _ if not_specific => resolve::plain(&text),
                    _ => Type::Str,
                };
                let comments = token.carried.map(Comments::from);
                Ok(self.add(Content::Scalar { text, style, kind }, properties, comments, start))
            }
            Kind::FlowSequenceStart | Kind::FlowMappingStart => {
                let comments = token.carried.clone().map(Comments::from);
                if token.kind == Kind::FlowSequenceStart {
                    let id = self.add(Content::Seq { items: Vec::new(), flow: true }, properties, comments, start);
                    self.flow_sequence(id)?;
                    Ok(id)
                } else {
                    let id = self.add(Content::Map { pairs: Vec::new(), flow: true }, properties, comments, start);
                    self.flow_mapping(id)?;
                    Ok(id)
                }
            }
            Kind::BlockSequenceStart if block => {
                let comments = match &mut token.carried {
                    Some(carried) if carried.pre.is_none() => token
                        .carried
                        .take()
                        .and_then(|carried| carried.post)
                        .map(|post| Comments { post: Some(post), ..Comments::default() }),
                    carried => carried.clone().map(Comments::from),
                };
                let id = self.add(Content::Seq { items: Vec::new(), flow: false }, properties, comments, start);
                self.block_sequence(id)?;
                Ok(id)
            }
            Kind::BlockMappingStart if block => {
                let comments = token.carried.clone().map(Comments::from);
                let id = self.add(Content::Map { pairs: Vec::new(), flow: false }, properties, comments, start);
                self.block_mapping(id)?;
                Ok(id)
            }
            _ if properties.anchor.is_some() || properties.tag.is_some() => {
                let kind = if properties.tag.take_if(|tag| tag.name == "!").is_some() || properties.tag.is_none() {
                    Type::Null
                } else {
                    Type::Str
                };
                let content = Content::Scalar { text: String::new(), style: ScalarStyle::Plain, kind };
                let _ = properties.end;
                Ok(self.add(content, properties, None, start))
            }
            _ => {
                let context = format!("while parsing a {} node", if block { "block" } else { "flow" });
                let problem = format!("expected the node content, but found '{}'", token.kind.name());
                Err(Error::within(context, start, problem, token.start))
            }
        }
    }

    fn push_item(&mut self, id: usize, item: usize) {
        if let Content::Seq { items, .. } = &mut self.nodes[id].content {
            items.push(item);
        }
    }

    fn push_pair(&mut self, id: usize, key: usize, value: usize) {
        if let Content::Map { pairs, .. } = &mut self.nodes[id].content {
            pairs.push((key, value));
        }
    }

    /// Comments in front of what ends a collection stay with it.
    fn close(&mut self, id: usize, carried: Option<Carried>, flow: bool) -> Option<Carried> {
        let mut carried = carried?;
        let node = &mut self.nodes[id];
        if flow {
            node.comments = Some(Comments::from(carried.clone()));
        }
        if let Some(pre) = carried.pre.take_if(|pre| !pre.is_empty()) {
            let comments = node.comments.get_or_insert_default();
            if flow {
                comments.pre = None;
            }
            if !comments.after_colon {
                comments.end = Some(pre);
            }
        }
        Some(carried)
    }

    fn block_sequence(&mut self, id: usize) -> Result<(), Error> {
        let opening = self.scanner.get()?.start;
        while self.peek_is(|kind| *kind == Kind::BlockEntry)? {
            let token = self.scanner.get()?;
            let token = self.pass_on(token, false)?;
            let item = if self.peek_is(|kind| matches!(kind, Kind::BlockEntry | Kind::BlockEnd))? {
                self.empty_scalar(token.end, None)
            } else {
                self.block_node(false)?
            };
            self.push_item(id, item);
        }
        let token = self.scanner.peek()?;
        if token.kind != Kind::BlockEnd {
            let problem = format!("expected <block end>, but found '{}'", token.kind.name());
            return Err(Error::within("while parsing a block collection", opening, problem, token.start));
        }
        let token = self.scanner.get()?;
        self.close(id, token.carried, false);
        Ok(())
    }

    fn indentless_sequence(&mut self, id: usize) -> Result<(), Error> {
        while self.peek_is(|kind| *kind == Kind::BlockEntry)? {
            let token = self.scanner.get()?;
            let token = self.pass_on(token, false)?;
            let empty =
                self.peek_is(|kind| matches!(kind, Kind::BlockEntry | Kind::Key | Kind::Value | Kind::BlockEnd))?;
            let item = if empty { self.empty_scalar(token.end, None) } else { self.block_node(false)? };
            self.push_item(id, item);
        }
        // The next token keeps what is behind it, but what stands before it ends this sequence.
        let carried = self.scanner.peek()?.carried.take();
        let rest = self.close(id, carried, false);
        self.scanner.peek()?.carried = rest;
        Ok(())
    }

    fn block_mapping(&mut self, id: usize) -> Result<(), Error> {
        let opening = self.scanner.get()?.start;
        loop {
            let key = if self.peek_is(|kind| *kind == Kind::Key)? {
                let token = self.scanner.get()?;
                let token = self.pass_on(token, false)?;
                if self.peek_is(|kind| matches!(kind, Kind::Key | Kind::Value | Kind::BlockEnd))? {
                    self.empty_scalar(token.end, None)
                } else {
                    self.block_node(true)?
                }
            } else if self.peek_is(|kind| *kind == Kind::Value)? {
                let mark = self.scanner.peek()?.start;
                self.empty_scalar(mark, None)
            } else {
                break;
            };
            let value = self.block_value()?;
            self.push_pair(id, key, value);
        }
        let token = self.scanner.peek()?;
        if token.kind != Kind::BlockEnd {
            let problem = format!("expected <block end>, but found '{}'", token.kind.name());
            return Err(Error::within("while parsing a block mapping", opening, problem, token.start));
        }
        let token = self.scanner.get()?;
        let token = self.pass_on(token, false)?;
        self.close(id, token.carried, false);
        Ok(())
    }

    fn block_value(&mut self) -> Result<usize, Error> {
        let token = self.scanner.peek()?;
        if token.kind != Kind::Value {
            let mark = token.start;
            return Ok(self.empty_scalar(mark, None));
        }
        let mut token = self.scanner.get()?;
        if self.peek_is(|kind| *kind == Kind::Value)? {
            token = self.pass_on(token, false)?;
        } else if !self.peek_is(|kind| *kind == Kind::Key)? {
            token = self.pass_on(token, true)?;
        }
        if !self.peek_is(|kind| matches!(kind, Kind::Key | Kind::Value | Kind::BlockEnd))? {
            return self.block_node(true);
        }
        let comments = match token.carried {
            Some(carried) => Some(Comments::from(carried)),
            None => self.scanner.peek()?.carried.as_mut().map(|carried| {
                carried.from_colon = None;
                carried.after_colon = false;
                Comments { post: carried.post.take(), ..Comments::default() }
            }),
        };
        Ok(self.empty_scalar(token.end, comments))
    }

    fn flow_sequence(&mut self, id: usize) -> Result<(), Error> {
        let opening = self.scanner.get()?.start;
        let mut first = true;
        while !self.peek_is(|kind| *kind == Kind::FlowSequenceEnd)? {
            if !first {
                let token = self.scanner.peek()?;
                if token.kind != Kind::FlowEntry {
                    let problem = format!("expected ',' or ']', but got '{}'", token.kind.name());
                    return Err(Error::within("while parsing a flow sequence", opening, problem, token.start));
                }
                self.scanner.get()?;
            }
            first = false;
            if self.peek_is(|kind| *kind == Kind::Key)? {
                let item = self.flow_pair()?;
                self.push_item(id, item);
            } else if !self.peek_is(|kind| *kind == Kind::FlowSequenceEnd)? {
                let item = self.flow_node()?;
                self.push_item(id, item);
            } else {
                break;
            }
        }
        let token = self.scanner.get()?;
        self.close(id, token.carried, true);
        Ok(())
    }

    /// `[key: value]`: a mapping without braces.
    fn flow_pair(&mut self) -> Result<usize, Error> {
        let token = self.scanner.get()?;
        let properties = Properties { anchor: None, tag: None, start: None, end: token.end };
        let id = self.add(Content::Map { pairs: Vec::new(), flow: true }, properties, None, token.start);
        let ends = |kind: &Kind| matches!(kind, Kind::FlowEntry | Kind::FlowSequenceEnd);
        let key = if self.peek_is(|kind| *kind == Kind::Value || ends(kind))? {
            self.empty_scalar(token.end, None)
        } else {
            self.flow_node()?
        };
        let value = self.flow_value(ends)?;
        self.push_pair(id, key, value);
        Ok(id)
    }

    fn flow_value(&mut self, ends: impl Fn(&Kind) -> bool) -> Result<usize, Error> {
        let token = self.scanner.peek()?;
        if token.kind != Kind::Value {
            let mark = token.start;
            return Ok(self.empty_scalar(mark, None));
        }
        let token = self.scanner.get()?;
        if self.peek_is(ends)? { Ok(self.empty_scalar(token.end, None)) } else { self.flow_node() }
    }

    fn flow_mapping(&mut self, id: usize) -> Result<(), Error> {
        let opening = self.scanner.get()?.start;
        let ends = |kind: &Kind| matches!(kind, Kind::FlowEntry | Kind::FlowMappingEnd);
        let mut first = true;
        while !self.peek_is(|kind| *kind == Kind::FlowMappingEnd)? {
            if !first {
                let token = self.scanner.peek()?;
                if token.kind != Kind::FlowEntry {
                    let problem = format!("expected ',' or '}}', but got '{}'", token.kind.name());
                    return Err(Error::within("while parsing a flow mapping", opening, problem, token.start));
                }
                self.scanner.get()?;
            }
            first = false;
            let (key, value);
            if self.peek_is(|kind| *kind == Kind::Key)? {
                let token = self.scanner.get()?;
                key = if self.peek_is(|kind| *kind == Kind::Value || ends(kind))? {
                    self.empty_scalar(token.end, None)
                } else {
                    self.flow_node()?
                };
                value = self.flow_value(ends)?;
            } else if self.peek_is(|kind| *kind == Kind::Value)? {
                let mark = self.scanner.peek()?.end;
                key = self.empty_scalar(mark, None);
                value = self.flow_value(ends)?;
            } else if !self.peek_is(|kind| *kind == Kind::FlowMappingEnd)? {
                key = self.flow_node()?;
                let mark = self.scanner.peek()?.start;
                value = self.empty_scalar(mark, None);
            } else {
                break;
            }
            self.push_pair(id, key, value);
        }
        let token = self.scanner.get()?;
        self.close(id, token.carried, true);
        Ok(())
    }
}

/// A bound from above: brackets open flow collections, and a block collection is indented or follows another's mark.
fn may_nest_deeply(text: &str) -> bool {
    let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).take(SHALLOW + 1).count();
    let opens = |byte: &u8| matches!(byte, b' ' | b'\t' | b'-' | b'?' | b':');
    let marks = text.lines().map(|line| line.bytes().take_while(opens).count()).max().unwrap_or(0);
    brackets + marks > SHALLOW
}

fn is_directive(kind: &Kind) -> bool {
    matches!(kind, Kind::VersionDirective(_) | Kind::TagDirective(..) | Kind::OtherDirective)
}

/// As Python's `repr` shows it.
fn quoted(text: &str) -> String {
    Value::from(text).to_python(true)
}

fn decoded(suffix: &str) -> String {
    let bytes = suffix.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = suffix.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) if bytes[at] == b'%' => {
                out.push(code);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `!<tag>` is written as short as it can be.
fn verbatim(suffix: &str) -> String {
    match (suffix.strip_prefix(CORE), suffix.strip_prefix("!!"), suffix.starts_with('!')) {
        (Some(short), ..) if !short.is_empty() => format!("!!{short}"),
        (_, _, true) => suffix.to_owned(),
        _ => format!("!<{suffix}>"),
    }
}
