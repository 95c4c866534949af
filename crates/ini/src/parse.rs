//! Reading: the document keeps every line, and what each one means.

use std::sync::LazyLock;

use regex::Regex;

use crate::python::{decode, is_space, repr, split_lines, trim};
use crate::{Error, MAX_DEPTH, MAX_SIZE, Section, Value, interpolate};

/// A document: the lines as they were, and their meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct Ini {
    pub(crate) items: Vec<Item>,
    pub(crate) line_end: &'static str,
}

/// A line, or the several lines of a value in triple quotes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    /// A comment or an empty line.
    Trivia(String),
    Header {
        raw: String,
        depth: usize,
        name: String,
    },
    Entry {
        raw: String,
        key: String,
        value: Value,
        /// Where the value starts in `raw`, and where what follows it (blanks, a comment, the line end) starts.
        value_at: usize,
        rest_at: usize,
    },
}

impl Item {
    pub(crate) fn raw(&self) -> &str {
        match self {
            Item::Trivia(raw) | Item::Header { raw, .. } | Item::Entry { raw, .. } => raw,
        }
    }

    pub(crate) fn raw_mut(&mut self) -> &mut String {
        match self {
            Item::Trivia(raw) | Item::Header { raw, .. } | Item::Entry { raw, .. } => raw,
        }
    }
}

/// Python's `\s` of a string pattern.
const SPACE: &str = r"[\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]";
const NOT_SPACE: &str =
    r"[^\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]";

fn pattern(text: &str) -> Regex {
    let text = text.replace("{S}", NOT_SPACE).replace("{s}", SPACE);
    Regex::new(&text).expect("the pattern is written here and right")
}

/// `[name]`: brackets, name, brackets, comment.
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"^{s}*((?:\[{s}*)+)("{s}*{S}.*?{s}*"|'{s}*{S}.*?{s}*'|[^'"\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}"#,
        r#"\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}].*?)((?:{s}*\])+){s}*(\#.*)?$"#
    ))
});
/// `key = rest`.
static KEYWORD: LazyLock<Regex> = LazyLock::new(|| pattern(r#"^{s}*(".*?"|'.*?'|[^'"=].*?){s}*={s}*(.*)$"#));
/// The rest: items that end in a comma, the last item, a lone comma, a comment.
static VALUE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"^(?:((?:(?:".*?"|'.*?'|[^'",\#][^,\#]*?){s}*,{s}*)*)"#,
        r#"(".*?"|'.*?'|[^'",\#\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}"#,
        r#"\x{3000}][^,]*?)?|(,)){s}*(\#.*)?$"#
    ))
});
static LIST_ITEM: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(".*?"|'.*?'|[^'",\#]?.*?){s}*,{s}*"#));

/// What follows the name of a key: its value and where it ends, from the value's start.
struct Parsed {
    value: Value,
    rest_at: usize,
}

impl Ini {
    /// Reads a document. The message of an error is configobj's: of the first wrong line, or, where several lines are
    /// wrong, where the first one is.
    pub fn parse(bytes: impl AsRef<[u8]>) -> Result<Ini, Error> {
        let bytes = bytes.as_ref();
        if bytes.len() > MAX_SIZE {
            return Err(Error::TooLarge(bytes.len()));
        }
        let text = decode(bytes).map_err(Error::Encoding)?;
        Reader::default().read(text)
    }

    /// What the document says, `%(name)s` resolved.
    pub fn tree(&self) -> Result<Section, Error> {
        interpolate::resolve(&self.raw_tree())
    }

    /// What the document says, word for word.
    pub fn raw_tree(&self) -> Section {
        let mut root = Section::new();
        let mut path: Vec<&str> = Vec::new();
        for item in &self.items {
            match item {
                Item::Trivia(_) => {}
                Item::Header { depth, name, .. } => {
                    path.truncate(depth - 1);
                    if let Some(parent) = descend(&mut root, &path) {
                        parent.set(name.as_str(), Section::new());
                    }
                    path.push(name);
                }
                Item::Entry { key, value, .. } => {
                    if let Some(section) = descend(&mut root, &path) {
                        section.set(key.as_str(), value.clone());
                    }
                }
            }
        }
        root
    }
}

fn descend<'a>(root: &'a mut Section, path: &[&str]) -> Option<&'a mut Section> {
    path.iter().try_fold(root, |section, name| match section.get_mut(name) {
        Some(Value::Section(inner)) => Some(inner),
        _ => None,
    })
}

#[derive(Default)]
struct Reader {
    items: Vec<Item>,
    /// Names along the current section's path, each with the keys and sections it already has; the first is the top.
    open: Vec<std::collections::HashSet<String>>,
    first_error: Option<(String, usize)>,
    errors: usize,
}

impl Reader {
    fn read(mut self, text: &str) -> Result<Ini, Error> {
        let raws = split_lines(text);
        let lines: Vec<&str> = raws.iter().map(|line| line.trim_end_matches(['\r', '\n'])).collect();
        let line_end = raws.first().map_or("\n", |line| if line.ends_with("\r\n") { "\r\n" } else { "\n" });
        self.open.push(Default::default());
        let mut index = 0;
        while index < lines.len() {
            let (line, raw) = (lines[index], raws[index]);
            let stripped = trim(line);
            if stripped.is_empty() || stripped.starts_with('#') {
                self.items.push(Item::Trivia(raw.to_owned()));
                index += 1;
            } else if let Some((opened, name, closed)) = header(line) {
                self.header(raw, opened, name, closed, index);
                index += 1;
            } else {
                index = self.entry(&lines, &raws, index);
            }
        }
        match (self.first_error, self.errors) {
            (Some((message, line)), 1) => Err(Error::Syntax { message, line }),
            (Some((_, line)), _) => {
                let message = format!("Parsing failed with several errors.\nFirst error at line {line}.");
                Err(Error::Syntax { message, line })
            }
            (None, _) => Ok(Ini { items: self.items, line_end }),
        }
    }

    fn error(&mut self, message: &str, index: usize) {
        self.errors += 1;
        let line = index + 1;
        self.first_error.get_or_insert_with(|| (format!("{message} at line {line}."), line));
    }

    fn header(&mut self, raw: &str, depth: usize, name: &str, closed: usize, index: usize) {
        let current = self.open.len() - 1;
        if depth != closed {
            return self.error("Cannot compute the section depth", index);
        }
        if depth > current + 1 {
            return self.error("Section too nested", index);
        }
        if depth > MAX_DEPTH {
            return self.error("Section nested deeper than is read", index);
        }
        // A duplicate leaves the section that was open in place, as configobj does.
        if !self.open[depth - 1].insert(name.to_owned()) {
            return self.error("Duplicate section name", index);
        }
        self.open.truncate(depth);
        self.open.push(Default::default());
        self.items.push(Item::Header { raw: raw.to_owned(), depth, name: name.to_owned() });
    }

    /// Reads the entry that starts at line `index`; returns the line to go on with.
    fn entry(&mut self, lines: &[&str], raws: &[&str], index: usize) -> usize {
        let line = lines[index];
        let Some((key, value_at)) = keyword(line) else {
            let message = format!("Invalid line ({}) (matched as neither section nor keyword)", repr(line));
            self.error(&message, index);
            return index + 1;
        };
        let text = &line[value_at..];
        let mut raw = raws[index].to_owned();
        let mut last = index;
        let parsed = if text.starts_with("\"\"\"") || text.starts_with("'''") {
            match triple_quoted(lines, index, value_at) {
                Some((value, end, rest)) => {
                    for raw_line in &raws[index + 1..=end] {
                        raw.push_str(raw_line);
                    }
                    last = end;
                    let before: usize = raws[index..end].iter().map(|raw| raw.len()).sum();
                    Parsed { value: Value::Text(value), rest_at: before + rest }
                }
                None => {
                    self.error("Parse error in multiline value", index);
                    return index + 1;
                }
            }
        } else {
            match value(text) {
                Some(parsed) => Parsed { rest_at: value_at + parsed.rest_at, ..parsed },
                None => {
                    self.error("Parse error in value", index);
                    return index + 1;
                }
            }
        };
        let key = unquote(key).unwrap_or_default().to_owned();
        let here = self.open.len() - 1;
        if self.open[here].insert(key.clone()) {
            let Parsed { value, rest_at } = parsed;
            self.items.push(Item::Entry { raw, key, value, value_at, rest_at });
        } else {
            self.error("Duplicate keyword name", last);
        }
        last + 1
    }
}

/// A section's opening brackets, its name without quotes, its closing brackets.
fn header(line: &str) -> Option<(usize, &str, usize)> {
    // Most lines are no headers, and a pattern is slow to build: look first.
    if !line.trim_start_matches(is_space).starts_with('[') {
        return None;
    }
    if let Some(name) = trim(line).strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let word =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        let quoted = name.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).filter(|inner| {
            let parts = inner.strip_suffix('"').and_then(|rest| rest.split_once(" \""));
            parts.is_some_and(|(kind, name)| word(kind) && word(name))
        });
        if word(name) {
            return Some((1, name, 1));
        }
        if let Some(name) = quoted {
            return Some((1, name, 1));
        }
    }
    let found = HEADER.captures(line)?;
    let count = |group: usize, bracket: char| found.get(group).map_or(0, |m| m.as_str().matches(bracket).count());
    Some((count(1, '['), unquote(found.get(2)?.as_str())?, count(3, ']')))
}

/// The key, quotes and all, and where the value starts.
fn keyword(line: &str) -> Option<(&str, usize)> {
    if let Some((left, _)) = line.split_once('=')
        && !left.contains(['\'', '"'])
        && !trim(left).is_empty()
    {
        let after = left.len() + 1;
        let blanks = line[after..].len() - line[after..].trim_start_matches(is_space).len();
        return Some((trim(left), after + blanks));
    }
    let found = KEYWORD.captures(line)?;
    Some((found.get(1)?.as_str(), found.get(2)?.start()))
}

fn value(text: &str) -> Option<Parsed> {
    let trimmed = text.trim_end_matches(is_space);
    if !trimmed.contains(['\'', '"', ',', '#']) {
        return Some(Parsed { value: Value::Text(trimmed.to_owned()), rest_at: trimmed.len() });
    }
    let found = VALUE.captures(text)?;
    let comment_at = found.get(4).map_or(text.len(), |comment| comment.start());
    let rest_at = text[..comment_at].trim_end_matches(is_space).len();
    let done = |value| Some(Parsed { value, rest_at });
    if found.get(3).is_some() {
        return done(Value::List(Vec::new()));
    }
    let listed = found.get(1).map_or("", |items| items.as_str());
    let last = found.get(2).map(|last| last.as_str()).filter(|last| !last.is_empty());
    if listed.is_empty() {
        return done(Value::Text(last.map_or(Some(""), unquote)?.to_owned()));
    }
    let mut items = Vec::new();
    for item in LIST_ITEM.captures_iter(listed) {
        items.push(unquote(item.get(1)?.as_str())?.to_owned());
    }
    if let Some(last) = last {
        items.push(unquote(last)?.to_owned());
    }
    done(Value::List(items))
}

/// Takes quotes off. Nothing is not a value here: `None`, as configobj then finds an error.
fn unquote(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    if (first == '"' || first == '\'') && text.ends_with(first) {
        return Some(if text.len() < 2 { "" } else { &text[1..text.len() - 1] });
    }
    Some(text)
}

/// A value in triple quotes that starts in line `index`: the value, its last line, and where in that line it ends.
fn triple_quoted(lines: &[&str], index: usize, value_at: usize) -> Option<(String, usize, usize)> {
    let text = &lines[index][value_at..];
    let (quotes, inner) = text.split_at(3);
    // The first closing quotes that only blanks and a comment follow.
    let close = |line: &str| {
        line.match_indices(quotes.chars().next()?).map(|(at, _)| at).filter(|at| line[*at..].starts_with(quotes)).find(
            |at| {
                let after = line[at + 3..].trim_start_matches(is_space);
                after.is_empty() || after.starts_with('#')
            },
        )
    };
    if let Some(at) = close(inner) {
        return Some((inner[..at].to_owned(), index, value_at + 3 + at + 3));
    }
    if inner.contains(quotes) {
        return None;
    }
    let mut value = inner.to_owned();
    for (number, line) in lines.iter().enumerate().skip(index + 1) {
        value.push('\n');
        if line.contains(quotes) {
            let at = close(line)?;
            value.push_str(&line[..at]);
            return Some((value, number, at + 3));
        }
        value.push_str(line);
    }
    None
}
