//! The right side of a comparison: numbers, texts and lists.

use super::entity::ValueKind;
use super::error::{FilterError, named};
use super::key::described;
use super::lexer::{Kind, Token};
use super::parser::{Parser, unclosed};
use super::{Field, MAX_LIST_VALUES, Value};

impl Parser<'_> {
    pub(super) fn value(&mut self, field: &Field, kind: ValueKind) -> Result<Value, FilterError> {
        let token = self.lexer.next();
        let text = self.lexer.slice(token);
        let value = match (kind, token.kind) {
            (ValueKind::Metric, Kind::Number) => text.parse().ok().map(Value::Number),
            (ValueKind::Number, Kind::Number) if text.contains(['.', 'e', 'E']) => text.parse().ok().map(Value::Number),
            (ValueKind::Number | ValueKind::Whole | ValueKind::WholeOrQuoted, Kind::Number) => {
                return self.whole(token, text, field, kind).map(Value::Integer);
            }
            (ValueKind::WholeOrQuoted | ValueKind::QuotedWhole, Kind::Quoted) => {
                let text = self.lexer.inner(token);
                return self.whole(token, text, field, kind).map(Value::Integer);
            }
            (ValueKind::Text | ValueKind::TextOrBare, Kind::Quoted) => {
                Some(Value::Text(self.lexer.inner(token).to_owned()))
            }
            (ValueKind::TextOrBare, Kind::Word | Kind::Number) => {
                let token = self.lexer.bare_value(token.start);
                Some(Value::Text(self.lexer.slice(token).to_owned()))
            }
            _ => None,
        };
        value.ok_or_else(|| self.no_value(token, field, kind))
    }

    fn no_value(&self, token: Token, field: &Field, kind: ValueKind) -> FilterError {
        let name = described(field);
        let found = named(self.lexer.slice(token));
        let (what, help) = wanted(kind);
        let message = match token.kind {
            Kind::Unclosed => return unclosed(&self.lexer, token),
            Kind::End => format!("The value that the {name} is compared with is missing."),
            Kind::Open => {
                let message = "A list can only stand behind IN and NOT IN.";
                return self.error(token.start, message, help);
            }
            Kind::Backticked => {
                format!("{found} is a key, because backticks stand around it, and the {name} is compared with {what}.")
            }
            Kind::Quoted => {
                let text = named(self.lexer.inner(token));
                format!("The {name} is compared with the text {text}, which is not {what}.")
            }
            _ => format!("The {name} is compared with {found}, which is not {what}."),
        };
        self.error(token.start, message, help)
    }

    /// A whole number that fits into 64 bits.
    fn whole(&self, token: Token, text: &str, field: &Field, kind: ValueKind) -> Result<i64, FilterError> {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        // As MLflow, which accepts blanks and a plus sign between the quotation marks.
        text.trim().parse::<i64>().map_err(|error| match error.kind() {
            PosOverflow | NegOverflow => {
                let message = format!("The {} is compared with a number that is too large.", described(field));
                let help = format!("Whole numbers lie between {} and {}.", i64::MIN, i64::MAX);
                self.error(token.start, message, help)
            }
            _ => self.no_value(token, field, kind),
        })
    }

    /// `('a', 'b')`; a comma may stand behind the last value.
    pub(super) fn list(&mut self, field: &Field, kind: ValueKind) -> Result<Vec<String>, FilterError> {
        const HELP: &str = "Write a list of quoted texts, such as ('a', 'b').";
        let name = described(field);
        let open = self.lexer.next();
        if open.kind != Kind::Open {
            let message = format!("A list is missing behind IN for the {name}.");
            return Err(self.error(open.start, message, HELP));
        }
        let mut values = Vec::new();
        loop {
            let token = self.lexer.next();
            match token.kind {
                Kind::Close if values.is_empty() => {
                    return Err(self.error(token.start, format!("The list for the {name} is empty."), HELP));
                }
                Kind::Close => return Ok(values),
                _ if values.len() == MAX_LIST_VALUES => {
                    let message = format!("The list for the {name} has more than {MAX_LIST_VALUES} values.");
                    return Err(self.error(token.start, message, "Search in several steps."));
                }
                _ => values.push(self.list_value(token, field, kind)?),
            }
            let token = self.lexer.next();
            match token.kind {
                Kind::Close => return Ok(values),
                Kind::Comma => {}
                Kind::End => {
                    let message = format!("The list for the {name} is not closed.");
                    return Err(self.error(token.start, message, "Write ) behind its last value."));
                }
                _ => {
                    let message = format!("A comma is missing in the list for the {name}.");
                    let help = "Write a comma between two values. A quotation mark inside a value needs \
                                a backslash before it, or the other kind of quotation marks around the value.";
                    return Err(self.error(token.start, message, help));
                }
            }
        }
    }

    fn list_value(&mut self, token: Token, field: &Field, kind: ValueKind) -> Result<String, FilterError> {
        const HELP: &str = "Write a list of quoted texts, such as ('a', 'b').";
        let name = described(field);
        if matches!(token.kind, Kind::Quoted | Kind::Unclosed) && !self.lexer.slice(token).starts_with('`') {
            let token = self.lexer.list_value(token.start);
            if token.kind == Kind::Unclosed {
                return Err(unclosed(&self.lexer, token));
            }
            let text = unescape(self.lexer.inner(token)).map_err(|(at, message)| {
                let help = r"Write \n for the end of a line, and \\ for a backslash.";
                self.error(token.start + 1 + at, message, help)
            })?;
            if kind == ValueKind::QuotedWhole {
                return self.whole(token, &text, field, kind).map(|number| number.to_string());
            }
            return Ok(text);
        }
        match (token.kind, kind) {
            (Kind::Word | Kind::Number, ValueKind::TextOrBare) => {
                let token = self.lexer.bare_value(token.start);
                Ok(self.lexer.slice(token).to_owned())
            }
            (Kind::End, _) => Err(self.error(
                token.start,
                format!("The list for the {name} is not closed."),
                "Write ) behind its last value.",
            )),
            _ => {
                let found = named(self.lexer.slice(token));
                let message = format!("The list for the {name} holds {found}, which is not a quoted text.");
                Err(self.error(token.start, message, HELP))
            }
        }
    }
}

/// What a value must be, and an example.
fn wanted(kind: ValueKind) -> (&'static str, &'static str) {
    match kind {
        ValueKind::Metric => ("a number", "Write a number without quotation marks, such as 0.5."),
        ValueKind::Number => ("a number", "Write a number without quotation marks, such as 1700000000000."),
        ValueKind::Whole => ("a whole number", "Write a whole number without quotation marks, such as 1700000000000."),
        ValueKind::WholeOrQuoted => ("a whole number", "Write a whole number, such as 3."),
        ValueKind::QuotedWhole => ("a quoted whole number", "Write a whole number in quotation marks, such as '1'."),
        ValueKind::Text | ValueKind::TextOrBare => {
            ("a quoted text", "Put single or double quotation marks around it, such as 'abc'.")
        }
    }
}

/// The text of a quotation in a list, its escapes read as Python reads them, because MLflow leaves
/// the reading of lists to Python. An error has its offset.
fn unescape(text: &str) -> Result<String, (usize, String)> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '\n', '\r']) {
        let offset = text.len() - rest.len() + at;
        result.push_str(&rest[..at]);
        let tail = &rest[at..];
        if !tail.starts_with('\\') {
            return Err((offset, "A value in a list goes on over the end of a line.".to_owned()));
        }
        let (character, length) = escape(tail).ok_or_else(|| {
            (offset, format!("{} is not a whole escape.", named(&tail.chars().take(4).collect::<String>())))
        })?;
        result.extend(character);
        if length == 1 {
            result.push('\\');
        }
        rest = &tail[length..];
    }
    result.push_str(rest);
    Ok(result)
}

/// What an escape stands for, and its length. Length 1 is a backslash that escapes nothing.
fn escape(text: &str) -> Option<(Option<char>, usize)> {
    let bytes = text.as_bytes();
    let simple = match bytes.get(1)? {
        b'\\' => '\\',
        b'\'' => '\'',
        b'"' => '"',
        b'a' => '\u{7}',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'v' => '\u{b}',
        b'\r' if bytes.get(2) == Some(&b'\n') => return Some((None, 3)),
        b'\n' | b'\r' => return Some((None, 2)),
        b'0'..=b'7' => {
            let digits = bytes[1..].iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
            let code = u32::from_str_radix(&text[1..=digits], 8).ok()?;
            return Some((Some(char::from_u32(code)?), 1 + digits));
        }
        letter @ (b'x' | b'u' | b'U') => {
            let digits = match letter {
                b'x' => 2,
                b'u' => 4,
                _ => 8,
            };
            let digits =
                text.get(2..2 + digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
            let code = u32::from_str_radix(digits, 16).ok()?;
            return Some((Some(char::from_u32(code)?), 2 + digits.len()));
        }
        // A character by its Unicode name.
        b'N' => return None,
        _ => return Some((None, 1)),
    };
    Some((Some(simple), 2))
}
