//! The right side of a comparison: numbers, texts, ranges, patterns and lists.

use super::entity::ValueKind;
use super::error::{FilterError, named};
use super::key::described;
use super::lexer::{Kind, Token};
use super::parser::{Parser, unclosed};
use super::{Field, MAX_LIKE_BYTES, MAX_LIST_VALUES, Number, Op, Pattern, Value};

const TEXTS: &str = "Write a list of quoted texts, such as ('a', 'b').";
const NUMBERS: &str = "Write a list of numbers, such as (1, 2).";

impl Parser<'_> {
    /// The value that this comparator takes.
    pub(super) fn value_of(&mut self, field: &Field, op: Op, kind: ValueKind) -> Result<Value, FilterError> {
        match op {
            Op::IsNull | Op::IsNotNull => Ok(Value::None),
            Op::In | Op::NotIn if kind.is_number() => {
                self.list(field, NUMBERS, |parser, token| parser.number(token, field, kind)).map(Value::Numbers)
            }
            Op::In | Op::NotIn => {
                self.list(field, TEXTS, |parser, token| parser.list_text(token, field, kind)).map(Value::List)
            }
            Op::Between | Op::NotBetween => self.range(field, kind),
            Op::RLike | Op::NotRLike => self.pattern(field, kind),
            Op::Like | Op::NotLike | Op::ILike | Op::NotILike => self.like(field, kind),
            _ if kind.is_number() || kind == ValueKind::QuotedWhole => {
                let token = self.lexer.next();
                self.number(token, field, kind).map(Value::Number)
            }
            _ => Ok(Value::Text(self.text(field, kind)?.1)),
        }
    }

    fn number(&mut self, token: Token, field: &Field, kind: ValueKind) -> Result<Number, FilterError> {
        let text = self.lexer.slice(token);
        let fraction = match (kind, token.kind) {
            (ValueKind::Metric, Kind::Number) => text.parse().ok(),
            (ValueKind::Number, Kind::Number) if text.contains(['.', 'e', 'E']) => text.parse().ok(),
            (ValueKind::Number | ValueKind::Whole | ValueKind::WholeOrQuoted, Kind::Number) => {
                return self.whole(token, text, field, kind).map(Number::Whole);
            }
            (ValueKind::WholeOrQuoted | ValueKind::QuotedWhole, Kind::Quoted) => {
                let text = self.lexer.inner(token);
                return self.whole(token, text, field, kind).map(Number::Whole);
            }
            _ => None,
        };
        fraction.map(Number::Fraction).ok_or_else(|| self.no_value(token, field, kind))
    }

    /// A text, and where it begins.
    fn text(&mut self, field: &Field, kind: ValueKind) -> Result<(usize, String), FilterError> {
        let token = self.lexer.next();
        match (kind, token.kind) {
            (_, Kind::Quoted) => Ok((token.start + 1, self.lexer.inner(token).to_owned())),
            (ValueKind::TextOrBare, Kind::Word | Kind::Number) => {
                let token = self.lexer.bare_value(token.start);
                Ok((token.start, self.lexer.slice(token).to_owned()))
            }
            _ => Err(self.no_value(token, field, kind)),
        }
    }

    fn like(&mut self, field: &Field, kind: ValueKind) -> Result<Value, FilterError> {
        let (at, text) = self.text(field, kind)?;
        if text.len() > MAX_LIKE_BYTES {
            let message = format!("The text behind LIKE for the {} is {} bytes long.", described(field), text.len());
            return Err(self.error(at, message, format!("At most {MAX_LIKE_BYTES} bytes are read.")));
        }
        Ok(Value::Text(text))
    }

    fn pattern(&mut self, field: &Field, kind: ValueKind) -> Result<Value, FilterError> {
        let (at, text) = self.text(field, kind)?;
        Pattern::new(&text).map(Value::Pattern).map_err(|error| {
            let message =
                format!("The {} is compared with a wrong regular expression: {}.", described(field), error.message);
            let help =
                "Write it as Rust's regex crate knows it, such as '^resnet[0-9]+$', or '(?i)adam' to ignore case.";
            self.error(at + error.offset, message, help)
        })
    }

    /// `1 AND 2`
    fn range(&mut self, field: &Field, kind: ValueKind) -> Result<Value, FilterError> {
        let token = self.lexer.next();
        let low = self.number(token, field, kind)?;
        if !self.takes_keyword("AND") {
            let at = self.lexer.peek().start;
            let message = format!("AND is missing in the range for the {}.", described(field));
            return Err(self.error(at, message, "Write both ends, such as BETWEEN 1 AND 2."));
        }
        let token = self.lexer.next();
        let high = self.number(token, field, kind)?;
        Ok(Value::Range(low, high))
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
    fn list<T>(
        &mut self,
        field: &Field,
        help: &str,
        mut read: impl FnMut(&mut Self, Token) -> Result<T, FilterError>,
    ) -> Result<Vec<T>, FilterError> {
        let name = described(field);
        let open = self.lexer.next();
        if open.kind != Kind::Open {
            let message = format!("A list is missing behind IN for the {name}.");
            return Err(self.error(open.start, message, help));
        }
        let mut values = Vec::new();
        loop {
            let token = self.lexer.next();
            match token.kind {
                Kind::Close if values.is_empty() => {
                    return Err(self.error(token.start, format!("The list for the {name} is empty."), help));
                }
                Kind::Close => return Ok(values),
                _ if values.len() == MAX_LIST_VALUES => {
                    let message = format!("The list for the {name} has more than {MAX_LIST_VALUES} values.");
                    return Err(self.error(token.start, message, "Search in several steps."));
                }
                Kind::End => return Err(self.unclosed_list(token, field)),
                _ => values.push(read(self, token)?),
            }
            let token = self.lexer.next();
            match token.kind {
                Kind::Close => return Ok(values),
                Kind::Comma => {}
                Kind::End => return Err(self.unclosed_list(token, field)),
                _ => {
                    let message = format!("A comma is missing in the list for the {name}.");
                    let help = "Write a comma between two values. A quotation mark inside a value needs \
                                a backslash before it, or the other kind of quotation marks around the value.";
                    return Err(self.error(token.start, message, help));
                }
            }
        }
    }

    fn unclosed_list(&self, end: Token, field: &Field) -> FilterError {
        let message = format!("The list for the {} is not closed.", described(field));
        self.error(end.start, message, "Write ) behind its last value.")
    }

    fn list_text(&mut self, token: Token, field: &Field, kind: ValueKind) -> Result<String, FilterError> {
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
            _ => {
                let found = named(self.lexer.slice(token));
                let message =
                    format!("The list for the {} holds {found}, which is not a quoted text.", described(field));
                Err(self.error(token.start, message, TEXTS))
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
