//! Parameters in Python files: names that a module, its classes and their `__init__` set to literals.
//!
//! As DVC 3.67: whatever is set to anything else is passed over. Of Python's grammar only as much is read as that needs, so some files that
//! Python refuses are read here.

use trackway_yaml::{Map, Value};

/// Deeper nesting is refused.
const DEEPEST: usize = 200;

/// `None` if it is no Python.
pub(super) fn parse(text: &str) -> Option<Map> {
    let lines = lines(text)?;
    let mut at = 0;
    let indent = lines.first().map_or(0, |line| line.indent);
    let map = block(&lines, &mut at, indent, Scope::Names, 0)?;
    (at == lines.len()).then_some(map)
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Number(Value),
    /// `None`: bytes, or with parts that are worked out when it runs.
    Text(Option<String>),
    /// Brackets, operators.
    Sign(char),
    /// `==`, `+=`, `->` and others that are not what they begin with.
    Other,
}

/// A logical line: brackets and backslashes joined.
struct Line {
    indent: usize,
    tokens: Vec<Token>,
}

#[derive(Clone, Copy, PartialEq)]
enum Scope {
    /// Module or class: `name = …`, and `self.name = …`.
    Names,
    /// `__init__`: `self.name = …` only.
    SelfOnly,
}

fn block(lines: &[Line], at: &mut usize, indent: usize, scope: Scope, depth: usize) -> Option<Map> {
    let mut map = Map::new();
    while let Some(line) = lines.get(*at) {
        if line.indent < indent {
            break;
        }
        // A block where none may be.
        if line.indent > indent || depth > DEEPEST {
            return None;
        }
        *at += 1;
        let name = |position: usize| match line.tokens.get(position) {
            Some(Token::Name(name)) => name.as_str(),
            _ => "",
        };
        let inner = match (name(0), name(1)) {
            ("class", class) if !class.is_empty() => Some((Some(class), Scope::Names)),
            ("def", "__init__") => Some((None, Scope::SelfOnly)),
            _ => None,
        };
        let suite = compound(name(0)).then(|| after_colon(&line.tokens)).flatten();
        let below = lines.get(*at).filter(|next| next.indent > indent).map(|next| next.indent);
        let Some((class, inner_scope)) = inner else {
            if let Some(below) = below {
                let opens = line.tokens.last() == Some(&Token::Sign(':'));
                if !opens {
                    return None;
                }
                skip(lines, at, below);
            } else if suite.is_none() {
                statements(&line.tokens, scope, &mut map);
            }
            continue;
        };
        let suite = suite?;
        let found = match (suite.is_empty(), below) {
            (true, Some(below)) => block(lines, at, below, inner_scope, depth + 1)?,
            (true, None) | (false, Some(_)) => return None,
            (false, None) => {
                let mut found = Map::new();
                statements(suite, inner_scope, &mut found);
                found
            }
        };
        match class {
            Some(class) => drop(map.insert(class, found)),
            None => found.into_iter().for_each(|(key, value)| drop(map.insert(key, value))),
        }
    }
    Some(map)
}

fn skip(lines: &[Line], at: &mut usize, indent: usize) {
    while lines.get(*at).is_some_and(|line| line.indent >= indent) {
        *at += 1;
    }
}

/// Statements that a `:` and a block follow.
fn compound(word: &str) -> bool {
    let words = ["class", "def", "if", "elif", "else", "for", "while", "try", "except", "finally", "with", "async"];
    words.contains(&word)
}

/// What follows the `:` outside brackets; empty if the block is below.
fn after_colon(tokens: &[Token]) -> Option<&[Token]> {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Token::Sign(':') if depth == 0 => return Some(&tokens[index + 1..]),
            _ => {}
        }
    }
    None
}

/// The assignments among statements with `;` between.
fn statements(tokens: &[Token], scope: Scope, map: &mut Map) {
    for statement in split(tokens, ';') {
        if let Some((name, value)) = assignment(statement, scope) {
            map.insert(name, value);
        }
    }
}

/// The parts between signs outside brackets.
fn split(tokens: &[Token], sign: char) -> Vec<&[Token]> {
    let mut depth = 0usize;
    let mut parts = Vec::new();
    let mut from = 0;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Token::Sign(found) if depth == 0 && *found == sign => {
                parts.push(&tokens[from..index]);
                from = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[from..]);
    parts
}

fn assignment(tokens: &[Token], scope: Scope) -> Option<(String, Value)> {
    // One name only: `a = b = 1` is passed over.
    let [target, value] = split(tokens, '=').try_into().ok()?;
    let target = split(target, ':').first().copied()?;
    let name = match target {
        [Token::Name(name)] if scope == Scope::Names => name,
        [Token::Name(object), Token::Sign('.'), Token::Name(name)] if object == "self" => name,
        _ => return None,
    };
    let mut reader = Literal { tokens: value, at: 0 };
    let value = reader.tuple_or_value()?;
    (reader.at == reader.tokens.len()).then(|| (name.clone(), value))
}

struct Literal<'t> {
    tokens: &'t [Token],
    at: usize,
}

impl Literal<'_> {
    fn take(&mut self, sign: char) -> bool {
        let there = self.tokens.get(self.at) == Some(&Token::Sign(sign));
        self.at += usize::from(there);
        there
    }

    /// `1, 2` without brackets is a tuple.
    fn tuple_or_value(&mut self) -> Option<Value> {
        let first = self.value(0)?;
        if self.at == self.tokens.len() {
            return Some(first);
        }
        let mut items = vec![first];
        while self.take(',') {
            if self.at == self.tokens.len() {
                break;
            }
            items.push(self.value(0)?);
        }
        Some(Value::Seq(items))
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        let token = self.tokens.get(self.at)?.clone();
        self.at += 1;
        match token {
            Token::Name(name) => match name.as_str() {
                "None" => Some(Value::Null),
                "True" => Some(Value::Bool(true)),
                "False" => Some(Value::Bool(false)),
                "set" if self.take('(') && self.take(')') => Some(Value::Seq(Vec::new())),
                _ => None,
            },
            Token::Number(number) => Some(number),
            Token::Text(text) => {
                let mut all = text?;
                while let Some(Token::Text(more)) = self.tokens.get(self.at) {
                    all.push_str(more.as_ref()?);
                    self.at += 1;
                }
                Some(Value::Str(all))
            }
            Token::Sign(sign @ ('-' | '+')) => match (self.value(depth + 1)?, sign) {
                (number @ (Value::Int(_) | Value::BigInt(_) | Value::Float(_)), '+') => Some(number),
                (Value::Int(number), _) => Some(Value::Int(number.checked_neg()?)),
                (Value::Float(number), _) => Some(Value::Float(-number)),
                (Value::BigInt(digits), _) => {
                    let negative = digits.strip_prefix('-').map_or_else(|| format!("-{digits}"), str::to_owned);
                    Some(negative.parse().map_or(Value::BigInt(negative), Value::Int))
                }
                _ => None,
            },
            Token::Sign('[') => self.items(']', depth).map(|(items, _)| Value::Seq(items)),
            Token::Sign('(') => {
                let (mut items, comma) = self.items(')', depth)?;
                if items.len() == 1 && !comma { items.pop() } else { Some(Value::Seq(items)) }
            }
            Token::Sign('{') => self.braces(depth),
            _ => None,
        }
    }

    fn items(&mut self, close: char, depth: usize) -> Option<(Vec<Value>, bool)> {
        let mut items = Vec::new();
        let mut comma = false;
        while !self.take(close) {
            if !items.is_empty() && !comma {
                return None;
            }
            items.push(self.value(depth + 1)?);
            comma = self.take(',');
        }
        Some((items, comma))
    }

    /// A dictionary, or a set: its values, each once.
    fn braces(&mut self, depth: usize) -> Option<Value> {
        if self.take('}') {
            return Some(Value::Map(Map::new()));
        }
        let mut map = Map::new();
        let mut set: Vec<Value> = Vec::new();
        loop {
            let key = self.value(depth + 1)?;
            if self.take(':') {
                let value = self.value(depth + 1)?;
                map.insert(key, value);
            } else if !set.contains(&key) {
                set.push(key);
            }
            if !map.is_empty() && !set.is_empty() {
                return None;
            }
            let comma = self.take(',');
            if self.take('}') {
                return Some(if set.is_empty() { Value::Map(map) } else { Value::Seq(set) });
            }
            if !comma {
                return None;
            }
        }
    }
}

/// Cuts the text into logical lines; `None` if a text or a bracket has no end.
fn lines(text: &str) -> Option<Vec<Line>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let chars: Vec<char> = text.replace("\r\n", "\n").replace('\r', "\n").chars().collect();
    let mut lines = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let mut indent = 0;
        while let Some(c) = chars.get(at).filter(|c| [' ', '\t', '\u{c}'].contains(*c)) {
            indent = match c {
                '\t' => (indent / 8 + 1) * 8,
                '\u{c}' => 0,
                _ => indent + 1,
            };
            at += 1;
        }
        let tokens = tokens(&chars, &mut at)?;
        if !tokens.is_empty() {
            lines.push(Line { indent, tokens });
        }
    }
    Some(lines)
}

fn tokens(chars: &[char], at: &mut usize) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut open: Vec<char> = Vec::new();
    while let Some(&c) = chars.get(*at) {
        let next = chars.get(*at + 1).copied();
        match c {
            '\n' => {
                *at += 1;
                if open.is_empty() {
                    return Some(tokens);
                }
            }
            ' ' | '\t' | '\u{c}' => *at += 1,
            '\\' if next == Some('\n') => *at += 2,
            '#' => {
                while chars.get(*at).is_some_and(|c| *c != '\n') {
                    *at += 1;
                }
            }
            '"' | '\'' => tokens.push(Token::Text(quoted(chars, at, "")?)),
            c if c.is_alphabetic() || c == '_' => {
                let start = *at;
                while chars.get(*at).is_some_and(|c| c.is_alphanumeric() || *c == '_') {
                    *at += 1;
                }
                let word: String = chars[start..*at].iter().collect();
                let prefix = word.to_ascii_lowercase();
                let quote = matches!(chars.get(*at), Some('"' | '\''));
                if quote && ["r", "u", "b", "f", "t", "br", "rb", "fr", "rf", "tr", "rt"].contains(&prefix.as_str()) {
                    tokens.push(Token::Text(quoted(chars, at, &prefix)?));
                } else {
                    tokens.push(Token::Name(word));
                }
            }
            c if c.is_ascii_digit() || (c == '.' && next.is_some_and(|next| next.is_ascii_digit())) => {
                tokens.push(number(chars, at)?);
            }
            '(' | '[' | '{' => {
                open.push(c);
                tokens.push(Token::Sign(c));
                *at += 1;
            }
            ')' | ']' | '}' => {
                let opened = match c {
                    ')' => '(',
                    ']' => '[',
                    _ => '{',
                };
                if open.pop() != Some(opened) {
                    return None;
                }
                tokens.push(Token::Sign(c));
                *at += 1;
            }
            '=' | '!' | '<' | '>' | '+' | '-' | '*' | '/' | '%' | '&' | '|' | '^' | '@' | ':' | '~' => {
                let mut length = 1;
                while length < 3
                    && chars.get(*at + length).is_some_and(|more| long_sign(&chars[*at..*at + length], *more))
                {
                    length += 1;
                }
                tokens.push(if length == 1 { Token::Sign(c) } else { Token::Other });
                *at += length;
            }
            ',' | '.' | ';' => {
                tokens.push(Token::Sign(c));
                *at += 1;
            }
            _ => return None,
        }
    }
    open.is_empty().then_some(tokens)
}

/// Whether `more` belongs to the operator that has begun.
fn long_sign(begun: &[char], more: char) -> bool {
    let text: String = begun.iter().chain([&more]).collect();
    let signs = [
        "==", "!=", "<=", ">=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "@=", ":=", "->", "**", "//", "<<",
        ">>", "**=", "//=", "<<=", ">>=",
    ];
    signs.contains(&text.as_str())
}

/// A text from its first quote on. The inner `None`: it is no plain text.
#[allow(clippy::option_option)]
fn quoted(chars: &[char], at: &mut usize, prefix: &str) -> Option<Option<String>> {
    let quote = *chars.get(*at)?;
    let triple = chars.get(*at + 1) == Some(&quote) && chars.get(*at + 2) == Some(&quote);
    *at += if triple { 3 } else { 1 };
    let raw = prefix.contains('r');
    let mut plain = !prefix.contains(['b', 'f', 't']);
    let mut out = String::new();
    loop {
        let c = *chars.get(*at)?;
        if c == quote {
            let ends = !triple || (chars.get(*at + 1) == Some(&quote) && chars.get(*at + 2) == Some(&quote));
            if ends {
                *at += if triple { 3 } else { 1 };
                return Some(plain.then_some(out));
            }
        }
        *at += 1;
        match c {
            '\n' if !triple => return None,
            '\\' => {
                let escaped = *chars.get(*at)?;
                *at += 1;
                if raw {
                    out.push('\\');
                    out.push(escaped);
                } else if let Some(text) = escape(chars, at, escaped) {
                    out.push_str(&text);
                } else {
                    plain = false;
                }
            }
            c => out.push(c),
        }
    }
}

fn escape(chars: &[char], at: &mut usize, escaped: char) -> Option<String> {
    let mut code = |digits: usize, radix: u32| {
        let mut number = 0u32;
        for _ in 0..digits {
            number = number * radix + chars.get(*at)?.to_digit(radix)?;
            *at += 1;
        }
        char::from_u32(number).map(String::from)
    };
    let simple = match escaped {
        '\n' => "",
        '\\' => "\\",
        '\'' => "'",
        '"' => "\"",
        'a' => "\u{7}",
        'b' => "\u{8}",
        'f' => "\u{c}",
        'n' => "\n",
        'r' => "\r",
        't' => "\t",
        'v' => "\u{b}",
        'x' => return code(2, 16),
        'u' => return code(4, 16),
        'U' => return code(8, 16),
        'N' => return None,
        '0'..='7' => {
            let mut number = escaped.to_digit(8)?;
            for _ in 0..2 {
                let Some(digit) = chars.get(*at).and_then(|c| c.to_digit(8)) else { break };
                number = number * 8 + digit;
                *at += 1;
            }
            return char::from_u32(number).map(String::from);
        }
        // Python keeps the backslash before what it does not know.
        other => return Some(format!("\\{other}")),
    };
    Some(simple.to_owned())
}

fn number(chars: &[char], at: &mut usize) -> Option<Token> {
    let start = *at;
    while let Some(&c) = chars.get(*at) {
        let exponent = matches!(chars.get(*at - usize::from(*at > start)), Some('e' | 'E'))
            && (c == '+' || c == '-')
            && chars.get(start + 1).is_none_or(|c| !"xX".contains(*c));
        if !(c.is_ascii_alphanumeric() || c == '_' || c == '.' || exponent) {
            break;
        }
        *at += 1;
    }
    let text: String = chars[start..*at].iter().filter(|c| **c != '_').collect();
    let lower = text.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            // Beyond 64 bits it is passed over.
            return Some(i64::from_str_radix(digits, radix).map_or(Token::Other, |n| Token::Number(Value::Int(n))));
        }
    }
    if lower.ends_with('j') {
        return Some(Token::Other);
    }
    if lower.bytes().all(|b| b.is_ascii_digit()) {
        let value = lower.parse().map_or_else(|_| Value::BigInt(lower.clone()), Value::Int);
        return Some(Token::Number(value));
    }
    lower.parse().ok().map(|number| Token::Number(Value::Float(number)))
}
