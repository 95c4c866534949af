//! Scalars: block, quoted and plain.

use super::{Kind, ScalarStyle, Scanner, Token, is_break, is_end, is_end_or_blank, shown};
use crate::error::{Error, Mark};

impl Scanner {
    pub(super) fn scan_block_scalar(&mut self, folded: bool) -> Result<(), Error> {
        let start = self.mark();
        self.forward(1);
        let (keep, increment) = self.scan_block_indicators(start)?;
        let spaces = self.skip_spaces();
        let mut header = None;
        if self.peek_char(0) == '#' {
            let length = self.count(|ch| !is_end(ch));
            header = Some(" ".repeat(spaces) + &self.take(length));
        }
        if !is_end(self.peek_char(0)) {
            let problem = format!("expected a comment or a line break, but found {}", shown(self.peek_char(0)));
            return Err(Error::within("while scanning a block scalar", start, problem, self.mark()));
        }
        self.line_break();

        let least = usize::try_from(self.indent + 1).unwrap_or(0);
        let (indent, mut breaks, mut end) = match increment {
            None => {
                let (breaks, deepest, end) = self.scan_block_indentation()?;
                (least.max(deepest), breaks, end)
            }
            Some(increment) => {
                let indent = least.max(1) + increment - 1;
                let (breaks, end) = self.scan_block_breaks(indent);
                (indent, breaks, end)
            }
        };
        let mut text = String::new();
        let mut last_break = None;
        while self.column == indent && self.peek_char(0) != '\0' {
            text.push_str(&breaks);
            let leading_non_space = !matches!(self.peek_char(0), ' ' | '\t');
            let length = self.count(|ch| !is_end(ch));
            text.push_str(&self.take(length));
            last_break = self.line_break();
            (breaks, end) = self.scan_block_breaks(indent);
            if least == 0 && increment.is_none() && self.column == 0 && self.at_document_marker() {
                break;
            }
            if self.column != indent || self.peek_char(0) == '\0' {
                break;
            }
            if folded && last_break == Some('\n') {
                // Where the text was folded: kept so that it can be folded there again.
                if self.keep_comments {
                    text.push('\u{7}');
                }
                if leading_non_space && !matches!(self.peek_char(0), ' ' | '\t') {
                    if breaks.is_empty() {
                        text.push(' ');
                    }
                    continue;
                }
            }
            text.extend(last_break);
        }
        if keep != Some(false) {
            text.extend(last_break);
        }
        let mut trailing = String::new();
        if keep == Some(true) {
            text.push_str(&breaks);
        } else {
            trailing = breaks;
        }
        let style = if folded { ScalarStyle::Folded } else { ScalarStyle::Literal };
        let mut token = Token::new(Kind::Scalar(text, style), start, end);
        if self.keep_comments {
            if let Some(header) = header {
                let id = self.add_comment(header, start);
                self.comments[id].header = true;
                token.carry().pre = Some(vec![id]);
            }
            if !trailing.is_empty() {
                while let Some((comment, mark)) = self.skip_to_token() {
                    trailing.push_str(&" ".repeat(mark.column - 1));
                    trailing.push_str(&comment);
                }
                let id = self.add_comment(trailing, end);
                token.carry().post = Some(id);
            }
        }
        self.tokens.push_back(token);
        Ok(())
    }

    /// `+` (true) or `-` (false), and the digit; in either order.
    fn scan_block_indicators(&mut self, start: Mark) -> Result<(Option<bool>, Option<usize>), Error> {
        let (mut keep, mut increment) = (None, None);
        for _ in 0..2 {
            match self.peek_char(0) {
                ch @ ('+' | '-') if keep.is_none() => {
                    keep = Some(ch == '+');
                    self.forward(1);
                }
                '0' if increment.is_none() => {
                    let problem = "expected indentation indicator in the range 1-9, but found 0";
                    return Err(Error::within("while scanning a block scalar", start, problem, self.mark()));
                }
                ch @ '1'..='9' if increment.is_none() => {
                    increment = ch.to_digit(10).map(|digit| digit as usize);
                    self.forward(1);
                }
                _ => break,
            }
        }
        let ch = self.peek_char(0);
        if ch != ' ' && !is_end(ch) {
            let problem = format!("expected chomping or indentation indicators, but found {}", shown(ch));
            return Err(Error::within("while scanning a block scalar", start, problem, self.mark()));
        }
        Ok((keep, increment))
    }

    fn scan_block_indentation(&mut self) -> Result<(String, usize, Mark), Error> {
        let (mut breaks, mut deepest, mut end) = (String::new(), 0, self.mark());
        let mut first = None;
        loop {
            let column = self.column;
            if self.peek_char(0) == ' ' {
                self.forward(1);
                deepest = deepest.max(self.column);
            } else if let Some(ch) = self.line_break() {
                first.get_or_insert(column);
                breaks.push(ch);
                end = self.mark();
            } else {
                break;
            }
        }
        if first.is_some_and(|first| first > 0 && deepest > first) {
            return Err(Error {
                context: Some("more indented follow up line than first in a block scalar".to_owned()),
                context_mark: Some(self.mark()),
                problem: String::new(),
                problem_mark: None,
            });
        }
        Ok((breaks, deepest, end))
    }

    fn scan_block_breaks(&mut self, indent: usize) -> (String, Mark) {
        let (mut breaks, mut end) = (String::new(), self.mark());
        loop {
            while self.column < indent && self.peek_char(0) == ' ' {
                self.forward(1);
            }
            let Some(ch) = self.line_break() else { return (breaks, end) };
            breaks.push(ch);
            end = self.mark();
        }
    }

    pub(super) fn scan_quoted(&mut self, quote: char) -> Result<String, Error> {
        let start = self.mark();
        self.forward(1);
        let mut text = String::new();
        loop {
            self.scan_quoted_word(quote, start, &mut text)?;
            if self.peek_char(0) == quote {
                self.forward(1);
                return Ok(text);
            }
            let length = self.count(|ch| matches!(ch, ' ' | '\t'));
            let blanks = self.take(length);
            if self.peek_char(0) == '\0' {
                let problem = "found unexpected end of stream";
                return Err(Error::within("while scanning a quoted scalar", start, problem, self.mark()));
            }
            match self.line_break() {
                Some(ch) => {
                    let breaks = self.scan_quoted_breaks(start)?;
                    if ch != '\n' {
                        text.push(ch);
                    } else if breaks.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(&breaks);
                }
                None => text.push_str(&blanks),
            }
        }
    }

    fn scan_quoted_word(&mut self, quote: char, start: Mark, text: &mut String) -> Result<(), Error> {
        let double = quote == '"';
        loop {
            let length = self.count(|ch| !matches!(ch, '\'' | '"' | '\\') && !is_end_or_blank(ch));
            text.push_str(&self.take(length));
            match self.peek_char(0) {
                '\'' if !double && self.peek_char(1) == '\'' => {
                    text.push('\'');
                    self.forward(2);
                }
                '\\' if double => {
                    self.forward(1);
                    self.scan_escape(start, text)?;
                }
                ch @ ('\'' | '"' | '\\') if ch != quote => {
                    text.push(ch);
                    self.forward(1);
                }
                _ => return Ok(()),
            }
        }
    }

    fn scan_escape(&mut self, start: Mark, text: &mut String) -> Result<(), Error> {
        let context = "while scanning a double-quoted scalar";
        let ch = self.peek_char(0);
        let plain = match ch {
            '0' => '\0',
            'a' => '\u{7}',
            'b' => '\u{8}',
            't' | '\t' => '\t',
            'n' => '\n',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'r' => '\r',
            'e' => '\u{1b}',
            ' ' | '"' | '/' | '\\' => ch,
            'N' => '\u{85}',
            '_' => '\u{a0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            'x' | 'u' | 'U' => return self.scan_code(start, ch, text),
            _ if is_break(ch) => {
                self.line_break();
                text.push_str(&self.scan_quoted_breaks(start)?);
                return Ok(());
            }
            _ => {
                let problem = format!("found unknown escape character {}", shown(ch));
                return Err(Error::within(context, start, problem, self.mark()));
            }
        };
        text.push(plain);
        self.forward(1);
        Ok(())
    }

    fn scan_code(&mut self, start: Mark, letter: char, text: &mut String) -> Result<(), Error> {
        let context = "while scanning a double-quoted scalar";
        let length = match letter {
            'x' => 2,
            'u' => 4,
            _ => 8,
        };
        self.forward(1);
        let mut code = 0_u32;
        for at in 0..length {
            let ch = self.peek_char(at);
            let Some(digit) = ch.to_digit(16) else {
                let problem =
                    format!("expected escape sequence of {length} hexdecimal numbers, but found {}", shown(ch));
                return Err(Error::within(context, start, problem, self.mark()));
            };
            code = code.wrapping_mul(16).wrapping_add(digit);
        }
        let Some(ch) = char::from_u32(code) else {
            let problem = format!("found the escape of {code:#x}, which is no Unicode character");
            return Err(Error::within(context, start, problem, self.mark()));
        };
        text.push(ch);
        self.forward(length);
        Ok(())
    }

    fn scan_quoted_breaks(&mut self, start: Mark) -> Result<String, Error> {
        let mut breaks = String::new();
        loop {
            if self.at_document_marker() {
                let problem = "found unexpected document separator";
                return Err(Error::within("while scanning a quoted scalar", start, problem, self.mark()));
            }
            while matches!(self.peek_char(0), ' ' | '\t') {
                self.forward(1);
            }
            match self.line_break() {
                Some(ch) => breaks.push(ch),
                None => return Ok(breaks),
            }
        }
    }

    pub(super) fn scan_plain(&mut self) -> Result<(), Error> {
        let start = self.mark();
        let mut end = start;
        let indent = usize::try_from(self.indent + 1).unwrap_or(0);
        let in_flow = !self.flow.is_empty();
        let mut text = String::new();
        let mut spaces = String::new();
        while self.peek_char(0) != '#' {
            let mut length = 0;
            loop {
                let ch = self.peek_char(length);
                let stops = match ch {
                    ':' => is_end_or_blank(self.peek_char(length + 1)),
                    '?' => false,
                    ',' | '[' | ']' | '{' | '}' => in_flow,
                    _ => is_end_or_blank(ch),
                };
                if stops {
                    break;
                }
                length += 1;
            }
            if length == 0 {
                break;
            }
            self.simple_key_allowed = false;
            text.push_str(&spaces);
            text.push_str(&self.take(length));
            end = self.mark();
            spaces = self.scan_plain_spaces();
            if spaces.is_empty() || self.peek_char(0) == '#' || (!in_flow && self.column < indent) {
                break;
            }
        }
        let mut token = Token::new(Kind::Scalar(text, ScalarStyle::Plain), start, end);
        if self.keep_comments && spaces.starts_with('\n') {
            let id = self.add_comment(spaces + "\n", start);
            token.carry().post = Some(id);
        }
        self.tokens.push_back(token);
        Ok(())
    }

    fn scan_plain_spaces(&mut self) -> String {
        let length = self.count(|ch| ch == ' ');
        let blanks = self.take(length);
        let Some(first) = self.line_break() else { return blanks };
        self.simple_key_allowed = true;
        if self.at_document_marker() {
            return String::new();
        }
        let mut breaks = String::new();
        loop {
            if self.peek_char(0) == ' ' {
                self.forward(1);
            } else if let Some(ch) = self.line_break() {
                breaks.push(ch);
                if self.at_document_marker() {
                    return String::new();
                }
            } else {
                break;
            }
        }
        if first != '\n' {
            breaks.insert(0, first);
        } else if breaks.is_empty() {
            breaks.push(' ');
        }
        breaks
    }
}
