//! Text to tokens, with the comments between them.
//!
//! No event parser for Rust hands out comments or refuses what ruamel.yaml refuses in its words, and DVC's users see
//! both; so this scanner is our own. It takes YAML 1.2 as ruamel does: tabs separate nothing in block style, a simple
//! key fits on one line and in 1024 characters, and `a:b` is one word.
//!
//! With comments on, a comment (its text runs over the blank lines behind it) is a token of its own until the token
//! before it or behind it takes it; [`Scanner::get`] and [`Scanner::peek`] decide which, as ruamel does.

mod scalars;
mod tags;

use std::collections::VecDeque;

use crate::emitter::{Comment, CommentId};
use crate::error::{Error, Mark};
use crate::value::Value;

/// Longer documents are refused before anything is allocated for them.
pub(crate) const LONGEST_DOCUMENT: usize = 64 << 20;
const LONGEST_SIMPLE_KEY: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScalarStyle {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    StreamStart,
    StreamEnd,
    VersionDirective(u32),
    TagDirective(String, String),
    OtherDirective,
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    /// The handle, and the rest.
    Tag(Option<String>, String),
    Scalar(String, ScalarStyle),
    Comment(CommentId),
}

impl Kind {
    /// What ruamel calls the token in its messages.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::StreamStart => "<stream start>",
            Kind::StreamEnd => "<stream end>",
            Kind::VersionDirective(_) | Kind::TagDirective(..) | Kind::OtherDirective => "<directive>",
            Kind::DocumentStart => "<document start>",
            Kind::DocumentEnd => "<document end>",
            Kind::BlockSequenceStart => "<block sequence start>",
            Kind::BlockMappingStart => "<block mapping start>",
            Kind::BlockEnd => "<block end>",
            Kind::FlowSequenceStart => "[",
            Kind::FlowSequenceEnd => "]",
            Kind::FlowMappingStart => "{",
            Kind::FlowMappingEnd => "}",
            Kind::BlockEntry => "-",
            Kind::FlowEntry => ",",
            Kind::Key => "?",
            Kind::Value => ":",
            Kind::Alias(_) => "<alias>",
            Kind::Anchor(_) => "<anchor>",
            Kind::Tag(..) => "<tag>",
            Kind::Scalar(..) => "<scalar>",
            Kind::Comment(_) => "<comment>",
        }
    }
}

/// The comments that a token carries.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Carried {
    pub post: Option<CommentId>,
    pub pre: Option<Vec<CommentId>>,
    /// `post` came from the colon before, and may belong to a key without a value.
    pub from_colon: Option<CommentId>,
    /// Handed on by a colon: ruamel then loses the comments before the end of the collection that begins here.
    pub after_colon: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub start: Mark,
    pub end: Mark,
    pub carried: Option<Carried>,
}

impl Token {
    fn new(kind: Kind, start: Mark, end: Mark) -> Token {
        Token { kind, start, end, carried: None }
    }

    fn carry(&mut self) -> &mut Carried {
        self.carried.get_or_insert_default()
    }
}

struct SimpleKey {
    token_number: usize,
    required: bool,
    index: usize,
    mark: Mark,
}

pub(crate) struct Scanner {
    /// The text with NULs behind it.
    chars: Vec<char>,
    index: usize,
    line: usize,
    column: usize,
    keep_comments: bool,
    pub comments: Vec<Comment>,
    done: bool,
    flow: Vec<char>,
    tokens: VecDeque<Token>,
    taken: usize,
    indent: isize,
    indents: Vec<isize>,
    simple_key_allowed: bool,
    /// The possible simple key of every flow level.
    simple_keys: Vec<Option<SimpleKey>>,
}

fn is_break(ch: char) -> bool {
    matches!(ch, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_end(ch: char) -> bool {
    ch == '\0' || is_break(ch)
}

fn is_end_or_blank(ch: char) -> bool {
    matches!(ch, ' ' | '\t') || is_end(ch)
}

/// A character as Python's `repr` shows it.
fn shown(ch: char) -> String {
    // The NUL that stands for the end is no text that a value could hold, but is shown all the same.
    Value::from(ch.to_string()).to_python(true)
}

fn is_allowed(ch: char) -> bool {
    matches!(ch, '\t' | '\n' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

impl Scanner {
    pub fn new(text: &str, keep_comments: bool) -> Result<Scanner, Error> {
        if text.len() > LONGEST_DOCUMENT {
            return Err(Error::unmarked(format!(
                "the document has {} bytes, and more than {LONGEST_DOCUMENT} are not read",
                text.len()
            )));
        }
        let mut chars = Vec::with_capacity(text.len() + 8);
        // As Python reads a text file: every kind of line end becomes `\n`.
        let mut after_return = false;
        for ch in text.chars() {
            if std::mem::replace(&mut after_return, ch == '\r') && ch == '\n' {
                continue;
            }
            let ch = if ch == '\r' { '\n' } else { ch };
            if !is_allowed(ch) {
                return Err(Error::unmarked(format!(
                    "unacceptable character #x{:04x}: special characters are not allowed\n  in \"<unicode string>\", position {}",
                    u32::from(ch),
                    chars.len()
                )));
            }
            chars.push(ch);
        }
        chars.extend(['\0'; 8]);
        let mut scanner = Scanner {
            chars,
            index: 0,
            line: 1,
            column: 0,
            keep_comments,
            comments: Vec::new(),
            done: false,
            flow: Vec::new(),
            tokens: VecDeque::new(),
            taken: 0,
            indent: -1,
            indents: Vec::new(),
            simple_key_allowed: true,
            simple_keys: vec![None],
        };
        let mark = scanner.mark();
        scanner.push(Kind::StreamStart, mark);
        Ok(scanner)
    }

    // What the parser uses.

    /// The next token, which stays.
    pub fn peek(&mut self) -> Result<&mut Token, Error> {
        self.fill()?;
        if self.keep_comments {
            self.gather_comments()?;
        }
        // The stream's end is never taken twice.
        self.tokens.front_mut().ok_or_else(|| Error::unmarked("the document ends too early"))
    }

    /// The next token with the comment behind it.
    pub fn get(&mut self) -> Result<Token, Error> {
        self.fill()?;
        if self.keep_comments {
            self.gather_comments()?;
            self.take_post_comment()?;
        }
        self.taken += 1;
        self.tokens.pop_front().ok_or_else(|| Error::unmarked("the document ends too early"))
    }

    fn fill(&mut self) -> Result<(), Error> {
        while self.need_more()? {
            self.fetch_more()?;
        }
        Ok(())
    }

    /// Comments in front of a token become its own.
    fn gather_comments(&mut self) -> Result<(), Error> {
        let mut gathered = Vec::new();
        if let Some(id) = self.take_comment(0) {
            gathered.push(id);
        }
        while self.need_more()? {
            self.fetch_more()?;
            if let Some(id) = self.take_comment(0) {
                gathered.push(id);
            }
        }
        if !gathered.is_empty()
            && let Some(token) = self.tokens.front_mut()
        {
            token.carry().pre.get_or_insert_default().extend(gathered);
        }
        if !self.done && self.tokens.len() < 2 {
            self.fetch_more()?;
        }
        Ok(())
    }

    fn take_comment(&mut self, at: usize) -> Option<CommentId> {
        let Kind::Comment(id) = self.tokens.get(at)?.kind else { return None };
        self.tokens.remove(at);
        self.taken += 1;
        Some(id)
    }

    /// Only tokens that can end a line take a comment; one on a later line goes to scalars alone.
    fn take_post_comment(&mut self) -> Result<(), Error> {
        let (Some(token), Some(next)) = (self.tokens.front(), self.tokens.get(1)) else { return Ok(()) };
        let Kind::Comment(id) = next.kind else { return Ok(()) };
        let (ended, began) = (token.end.line, next.start.line);
        let scalar = matches!(token.kind, Kind::Scalar(..));
        let closes = matches!(token.kind, Kind::Value | Kind::FlowSequenceEnd | Kind::FlowMappingEnd);
        if !(scalar || closes && ended == began) {
            return Ok(());
        }
        self.take_comment(1);
        if ended != began {
            let comment = &mut self.comments[id];
            let column = usize::try_from(comment.column).unwrap_or(0);
            let before = "\n".repeat(began.saturating_sub(ended)) + &" ".repeat(column);
            comment.text.insert_str(0, &before);
            if let Some(token) = self.tokens.front_mut() {
                token.carry().post = Some(id);
            }
        }
        self.fetch_more()?;
        while let Some(more) = self.take_comment(1) {
            let column = usize::try_from(self.comments[more].column).unwrap_or(0);
            let text = " ".repeat(column) + &self.comments[more].text;
            self.comments[id].text.push_str(&text);
            self.fetch_more()?;
        }
        if let Some(token) = self.tokens.front_mut() {
            token.carry().post = Some(id);
        }
        Ok(())
    }

    // The characters.

    fn mark(&self) -> Mark {
        Mark { line: self.line, column: self.column + 1 }
    }

    fn peek_char(&self, ahead: usize) -> char {
        self.chars.get(self.index + ahead).copied().unwrap_or('\0')
    }

    fn forward(&mut self, count: usize) {
        for _ in 0..count {
            let ch = self.peek_char(0);
            if self.index + 1 < self.chars.len() {
                self.index += 1;
            }
            // Other breaks do not count as lines.
            if ch == '\n' {
                self.line += 1;
                self.column = 0;
            } else if ch != '\u{feff}' {
                self.column += 1;
            }
        }
    }

    /// For characters that are no breaks.
    fn take(&mut self, count: usize) -> String {
        let text = self.chars[self.index..self.index + count].iter().collect();
        self.index += count;
        self.column += count;
        text
    }

    fn count(&self, accept: impl Fn(char) -> bool) -> usize {
        self.chars[self.index..].iter().take_while(|ch| **ch != '\0' && accept(**ch)).count()
    }

    fn skip_spaces(&mut self) -> usize {
        let count = self.count(|ch| ch == ' ');
        self.index += count;
        self.column += count;
        count
    }

    fn line_break(&mut self) -> Option<char> {
        let ch = self.peek_char(0);
        match ch {
            '\n' | '\u{85}' => {
                self.forward(1);
                Some('\n')
            }
            '\u{2028}' | '\u{2029}' => {
                self.forward(1);
                Some(ch)
            }
            _ => None,
        }
    }

    fn at_document_marker(&self) -> bool {
        let three = [self.peek_char(0), self.peek_char(1), self.peek_char(2)];
        matches!(three, ['-', '-', '-'] | ['.', '.', '.']) && is_end_or_blank(self.peek_char(3))
    }

    // The queue.

    fn push(&mut self, kind: Kind, start: Mark) {
        let end = self.mark();
        self.tokens.push_back(Token::new(kind, start, end));
    }

    fn need_more(&mut self) -> Result<bool, Error> {
        if self.done {
            return Ok(false);
        }
        if self.tokens.is_empty() {
            return Ok(true);
        }
        self.drop_stale_keys()?;
        Ok(self.simple_keys.iter().flatten().map(|key| key.token_number).min() == Some(self.taken))
    }

    fn fetch_more(&mut self) -> Result<(), Error> {
        if self.done {
            return Ok(());
        }
        if let Some((text, start)) = self.skip_to_token() {
            let id = self.add_comment(text.trim_end_matches(' ').to_owned(), start);
            self.push(Kind::Comment(id), start);
            return Ok(());
        }
        self.drop_stale_keys()?;
        self.unwind_indent(self.column.cast_signed());
        let start = self.mark();
        let ch = self.peek_char(0);
        let blank_behind = is_end_or_blank(self.peek_char(1));
        match ch {
            '\0' => self.fetch_stream_end(),
            '%' if self.column == 0 => {
                self.unwind_indent(-1);
                self.remove_simple_key()?;
                self.simple_key_allowed = false;
                let kind = self.scan_directive()?;
                self.push(kind, start);
                Ok(())
            }
            '-' | '.' if self.column == 0 && self.at_document_marker() => {
                self.unwind_indent(-1);
                self.remove_simple_key()?;
                self.simple_key_allowed = false;
                self.forward(3);
                self.push(if ch == '-' { Kind::DocumentStart } else { Kind::DocumentEnd }, start);
                Ok(())
            }
            '[' | '{' => self.fetch_flow_start(ch),
            ']' | '}' => {
                self.remove_simple_key()?;
                if self.flow.pop().is_some() {
                    self.simple_keys.pop();
                }
                self.simple_key_allowed = false;
                self.forward(1);
                self.push(if ch == ']' { Kind::FlowSequenceEnd } else { Kind::FlowMappingEnd }, start);
                Ok(())
            }
            ',' => {
                self.simple_key_allowed = true;
                self.remove_simple_key()?;
                self.forward(1);
                self.push(Kind::FlowEntry, start);
                Ok(())
            }
            '-' if blank_behind => self.fetch_block_entry(),
            '?' if !self.flow.is_empty() || blank_behind => self.fetch_key(),
            ':' if self.is_value_here() => self.fetch_value(),
            '*' | '&' => {
                self.save_simple_key()?;
                self.simple_key_allowed = false;
                let name = self.scan_anchor(ch)?;
                self.push(if ch == '*' { Kind::Alias(name) } else { Kind::Anchor(name) }, start);
                Ok(())
            }
            '!' => {
                self.save_simple_key()?;
                self.simple_key_allowed = false;
                let (handle, suffix) = self.scan_tag()?;
                self.push(Kind::Tag(handle, suffix), start);
                Ok(())
            }
            '|' | '>' if self.flow.is_empty() => {
                self.simple_key_allowed = true;
                self.remove_simple_key()?;
                self.scan_block_scalar(ch == '>')
            }
            '\'' | '"' => {
                self.save_simple_key()?;
                self.simple_key_allowed = false;
                let text = self.scan_quoted(ch)?;
                let style = if ch == '"' { ScalarStyle::Double } else { ScalarStyle::Single };
                self.push(Kind::Scalar(text, style), start);
                Ok(())
            }
            _ if self.is_plain_here() => {
                self.save_simple_key()?;
                self.simple_key_allowed = false;
                self.scan_plain()
            }
            _ => Err(Error {
                context: Some("while scanning for the next token".to_owned()),
                context_mark: None,
                problem: format!("found character {} that cannot start any token", shown(ch)),
                problem_mark: Some(start),
            }),
        }
    }

    fn add_comment(&mut self, text: String, start: Mark) -> CommentId {
        let column = start.column.cast_signed() - 1;
        self.comments.push(Comment { text, column, done: false, header: false });
        self.comments.len() - 1
    }

    /// Skips to where a token begins. With comments on it stops behind a comment or blank lines, and returns them.
    fn skip_to_token(&mut self) -> Option<(String, Mark)> {
        if self.index == 0 && self.peek_char(0) == '\u{feff}' {
            self.forward(1);
        }
        loop {
            while self.peek_char(0) == ' ' || (self.peek_char(0) == '\t' && !self.flow.is_empty()) {
                self.forward(1);
            }
            if self.peek_char(0) == '#' {
                let start = self.mark();
                let length = self.count(|ch| !is_end(ch));
                let mut text = self.take(length);
                if self.keep_comments {
                    match self.peek_char(0) {
                        '\0' => text.push('\n'),
                        ch => {
                            text.push(ch);
                            self.forward(1);
                        }
                    }
                    while let Some(ch) = self.line_break() {
                        text.push(ch);
                    }
                    self.simple_key_allowed |= self.flow.is_empty();
                    return Some((text, start));
                }
            }
            self.line_break()?;
            self.simple_key_allowed |= self.flow.is_empty();
            if self.keep_comments && self.peek_char(0) == '\n' {
                let start = self.mark();
                let mut text = String::new();
                loop {
                    if let Some(ch) = self.line_break() {
                        text.push(ch);
                    } else if matches!(self.peek_char(0), ' ' | '\t') {
                        text.push(self.peek_char(0));
                        self.forward(1);
                    } else {
                        break;
                    }
                }
                if self.peek_char(0) == '#' {
                    let keep = text.rfind('\n').map_or(0, |at| at + 1);
                    text.truncate(keep);
                }
                return Some((text, start));
            }
        }
    }

    // Simple keys: a scalar, alias, or flow collection on one line that turns out to be a key at its colon.

    fn drop_stale_keys(&mut self) -> Result<(), Error> {
        let (line, index, now) = (self.line, self.index, self.mark());
        for slot in &mut self.simple_keys {
            if let Some(key) = slot
                && (key.mark.line != line || index - key.index > LONGEST_SIMPLE_KEY)
            {
                if key.required {
                    return Err(missing_colon(key.mark, now));
                }
                *slot = None;
            }
        }
        Ok(())
    }

    fn save_simple_key(&mut self) -> Result<(), Error> {
        let required = self.flow.is_empty() && self.indent == self.column.cast_signed();
        if self.simple_key_allowed {
            self.remove_simple_key()?;
            let key = SimpleKey {
                token_number: self.taken + self.tokens.len(),
                required,
                index: self.index,
                mark: self.mark(),
            };
            if let Some(slot) = self.simple_keys.last_mut() {
                *slot = Some(key);
            }
        }
        Ok(())
    }

    fn remove_simple_key(&mut self) -> Result<(), Error> {
        let now = self.mark();
        match self.simple_keys.last_mut().and_then(Option::take) {
            Some(key) if key.required => Err(missing_colon(key.mark, now)),
            _ => Ok(()),
        }
    }

    // Indentation.

    fn unwind_indent(&mut self, column: isize) {
        if !self.flow.is_empty() {
            return;
        }
        while self.indent > column {
            let mark = self.mark();
            self.indent = self.indents.pop().unwrap_or(-1);
            self.push(Kind::BlockEnd, mark);
        }
    }

    fn add_indent(&mut self, column: isize) -> bool {
        let deeper = self.indent < column;
        if deeper {
            self.indents.push(self.indent);
            self.indent = column;
        }
        deeper
    }

    // Tokens one by one.

    fn fetch_stream_end(&mut self) -> Result<(), Error> {
        self.unwind_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        self.simple_keys = vec![None];
        let mark = self.mark();
        self.push(Kind::StreamEnd, mark);
        self.done = true;
        Ok(())
    }

    fn fetch_flow_start(&mut self, ch: char) -> Result<(), Error> {
        self.save_simple_key()?;
        self.flow.push(ch);
        self.simple_keys.push(None);
        self.simple_key_allowed = true;
        let start = self.mark();
        self.forward(1);
        self.push(if ch == '[' { Kind::FlowSequenceStart } else { Kind::FlowMappingStart }, start);
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Result<(), Error> {
        let start = self.mark();
        if self.flow.is_empty() {
            if !self.simple_key_allowed {
                return Err(Error::at(start, "sequence entries are not allowed here"));
            }
            if self.add_indent(self.column.cast_signed()) {
                self.push(Kind::BlockSequenceStart, start);
            }
        }
        self.simple_key_allowed = true;
        self.remove_simple_key()?;
        self.forward(1);
        self.push(Kind::BlockEntry, start);
        Ok(())
    }

    fn fetch_key(&mut self) -> Result<(), Error> {
        let start = self.mark();
        if self.flow.is_empty() {
            if !self.simple_key_allowed {
                return Err(Error::at(start, "mapping keys are not allowed here"));
            }
            if self.add_indent(self.column.cast_signed()) {
                self.push(Kind::BlockMappingStart, start);
            }
        }
        self.simple_key_allowed = self.flow.is_empty();
        self.remove_simple_key()?;
        self.forward(1);
        self.push(Kind::Key, start);
        Ok(())
    }

    fn is_value_here(&self) -> bool {
        let blank_behind = is_end_or_blank(self.peek_char(1));
        match self.flow.last() {
            None | Some('[') => blank_behind,
            _ => blank_behind || !self.tokens.back().is_some_and(|token| token.kind == Kind::Value),
        }
    }

    fn fetch_value(&mut self) -> Result<(), Error> {
        let start = self.mark();
        if let Some(key) = self.simple_keys.last_mut().and_then(Option::take) {
            let at = key.token_number - self.taken;
            self.tokens.insert(at, Token::new(Kind::Key, key.mark, key.mark));
            if self.flow.is_empty() && self.add_indent(key.mark.column.cast_signed() - 1) {
                self.tokens.insert(at, Token::new(Kind::BlockMappingStart, key.mark, key.mark));
            }
            self.simple_key_allowed = false;
        } else {
            if self.flow.is_empty() {
                if !self.simple_key_allowed {
                    return Err(Error::at(start, "mapping values are not allowed here"));
                }
                if self.add_indent(self.column.cast_signed()) {
                    self.push(Kind::BlockMappingStart, start);
                }
            }
            self.simple_key_allowed = self.flow.is_empty();
            self.remove_simple_key()?;
        }
        self.forward(1);
        self.push(Kind::Value, start);
        Ok(())
    }

    fn is_plain_here(&self) -> bool {
        let (ch, next) = (self.peek_char(0), self.peek_char(1));
        match ch {
            '\t' | ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                false
            }
            '-' => !is_end_or_blank(next),
            ':' if !self.flow.is_empty() => !matches!(next, ' ' | '\t'),
            '?' | ':' => self.flow.is_empty() && !is_end_or_blank(next),
            _ => !is_end(ch),
        }
    }
}

fn missing_colon(key: Mark, now: Mark) -> Error {
    Error::within("while scanning a simple key", key, "could not find expected ':'", now)
}
