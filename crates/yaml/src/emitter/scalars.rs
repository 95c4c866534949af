//! The characters of a scalar, in each of its styles: where lines break, and what is escaped.

use super::{CommentId, Emitter, INDENT, WIDTH};
use crate::scalar::is_break;

impl Emitter<'_, '_> {
    pub(super) fn plain(&mut self, text: &str, split: bool, root: bool) {
        if root {
            self.open_ended = true;
        }
        if text.is_empty() {
            return;
        }
        if !self.whitespace {
            self.out.push(' ');
            self.column += 1;
        }
        self.whitespace = false;
        self.indention = false;
        if self.column + text.len() <= WIDTH && text.is_ascii() && !text.contains('\n') {
            self.out.push_str(text);
            self.column += text.len();
            return;
        }
        let text: Vec<char> = text.chars().collect();
        let mut start = 0;
        while start < text.len() {
            let ch = text[start];
            let same = |ch: char| {
                if ch == ' ' {
                    1
                } else if is_break(ch) {
                    2
                } else {
                    0
                }
            };
            let end = start + text[start..].iter().take_while(|other| same(**other) == same(ch)).count();
            match same(ch) {
                1 if end < text.len() && start + 1 == end && self.column >= WIDTH && split => {
                    self.write_indent();
                    self.whitespace = false;
                    self.indention = false;
                }
                1 => self.text(&text[start..end]),
                2 => {
                    if ch == '\n' {
                        self.line_break('\n');
                    }
                    for ch in &text[start..end] {
                        self.line_break(*ch);
                    }
                    self.write_indent();
                    self.whitespace = false;
                    self.indention = false;
                }
                _ => {
                    let long = end - start + self.column > WIDTH;
                    if long && self.indent.is_some_and(|indent| self.column > indent) {
                        self.write_indent();
                    }
                    self.text(&text[start..end]);
                }
            }
            start = end;
        }
    }

    pub(super) fn single_quoted(&mut self, text: &str, split: bool) {
        self.indicator("'", true, false, false);
        let text: Vec<char> = text.chars().collect();
        let mut start = 0;
        while start < text.len() {
            let ch = text[start];
            let same = |ch: char| {
                if ch == ' ' {
                    1
                } else if is_break(ch) {
                    2
                } else {
                    0
                }
            };
            let end = start + text[start..].iter().take_while(|other| same(**other) == same(ch)).count();
            match same(ch) {
                1 => {
                    let one = start + 1 == end && start != 0 && end != text.len();
                    if one && self.column > WIDTH && split {
                        self.write_indent();
                    } else {
                        self.text(&text[start..end]);
                    }
                }
                2 => {
                    if ch == '\n' {
                        self.line_break('\n');
                    }
                    for ch in &text[start..end] {
                        self.line_break(*ch);
                    }
                    self.write_indent();
                }
                _ => {
                    for ch in &text[start..end] {
                        self.text(std::slice::from_ref(ch));
                        if *ch == '\'' {
                            self.text(&['\'']);
                        }
                    }
                }
            }
            start = end;
        }
        self.indicator("'", false, false, false);
    }

    pub(super) fn double_quoted(&mut self, text: &str, split: bool) {
        self.indicator("\"", true, false, false);
        let text: Vec<char> = text.chars().collect();
        let mut start = 0;
        for end in 0..=text.len() {
            let ch = text.get(end).copied();
            if ch.is_none_or(needs_escape) {
                if start < end {
                    self.text(&text[start..end]);
                    start = end;
                }
                if let Some(ch) = ch {
                    let escaped = escape(ch);
                    self.column += escaped.len();
                    self.out.push_str(&escaped);
                    start = end + 1;
                }
            }
            let inside = 0 < end && end + 1 < text.len() && (ch == Some(' ') || start >= end);
            // `start` may be one ahead of `end`, behind an escape.
            if inside && self.column + end > WIDTH + start && split {
                let backslash = needs_backslash(&text, start, end);
                if start < end {
                    self.text(&text[start..end]);
                    start = end;
                }
                if backslash {
                    self.text(&['\\']);
                }
                self.write_indent();
                self.whitespace = false;
                self.indention = false;
                if text[start] == ' ' {
                    if backslash {
                        self.text(&['\\']);
                    } else {
                        start += 1;
                    }
                }
            }
        }
        self.indicator("\"", false, false, false);
    }

    fn block_header(&mut self, indicator: char, text: &[char], header: Option<CommentId>, root: bool) -> usize {
        let (indent, chomping) = block_hints(text, root);
        let mut hints = String::from(indicator);
        if indent > 0 {
            hints.push('2');
        }
        hints.extend(chomping);
        if let Some(header) = header {
            hints.push_str(&self.comments[header].text.clone());
        }
        self.indicator(&hints, true, false, false);
        if chomping == Some('+') {
            self.open_ended = true;
        }
        self.line_break('\n');
        indent
    }

    pub(super) fn literal(&mut self, text: &str, header: Option<CommentId>, root: bool) {
        let text: Vec<char> = text.chars().collect();
        let indent = self.block_header('|', &text, header, root);
        let mut start = 0;
        let mut at_break = true;
        while start < text.len() || at_break {
            if at_break {
                let end = start + text[start..].iter().take_while(|ch| is_break(**ch)).count();
                for ch in &text[start..end] {
                    self.line_break(*ch);
                }
                start = end;
                if start == text.len() {
                    return;
                }
                if root {
                    let spaces = indent + self.indent.unwrap_or(0);
                    self.out.extend(std::iter::repeat_n(' ', spaces));
                } else {
                    self.write_indent();
                }
                at_break = false;
            } else {
                let end = start + text[start..].iter().take_while(|ch| !is_break(**ch)).count();
                // The column is not moved on here, so that a line of a literal never counts as long.
                self.out.extend(&text[start..end]);
                start = end;
                if start == text.len() {
                    self.line_break('\n');
                    return;
                }
                at_break = true;
            }
        }
    }

    pub(super) fn folded(&mut self, text: &str, header: Option<CommentId>, root: bool) {
        const FOLD: char = '\u{7}';
        let text: Vec<char> = text.chars().collect();
        self.block_header('>', &text, header, root);
        let (mut leading_space, mut spaces, mut breaks) = (true, false, true);
        let (mut start, mut end) = (0, 0);
        while end <= text.len() {
            let ch = text.get(end).copied();
            if breaks {
                if ch.is_none_or(|ch| !is_break(ch) && ch != FOLD) {
                    if !leading_space && ch.is_some_and(|ch| ch != ' ') && text.get(start) == Some(&'\n') {
                        self.line_break('\n');
                    }
                    leading_space = ch == Some(' ');
                    for ch in &text[start.min(end)..end] {
                        self.line_break(*ch);
                    }
                    if ch.is_some() {
                        self.write_indent();
                    }
                    start = end;
                }
            } else if spaces {
                if ch != Some(' ') {
                    if start + 1 == end && self.column > WIDTH {
                        self.write_indent();
                    } else {
                        self.text(&text[start.min(end)..end]);
                    }
                    start = end;
                }
            } else if ch.is_none_or(|ch| ch == ' ' || is_break(ch) || ch == FOLD) {
                self.text(&text[start.min(end)..end]);
                if ch == Some(FOLD) && end + 2 < text.len() {
                    self.line_break('\n');
                    self.write_indent();
                    end += 2;
                }
                if ch.is_none() {
                    self.line_break('\n');
                }
                start = end;
            }
            if let Some(ch) = ch {
                breaks = is_break(ch);
                spaces = ch == ' ';
            }
            end += 1;
        }
    }
}

fn needs_escape(ch: char) -> bool {
    matches!(ch, '"' | '\\' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
        || !matches!(ch, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn escape(ch: char) -> String {
    let short = match ch {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let code = u32::from(ch);
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}

/// Whether a line of a double quoted scalar must end in a backslash, so that no space comes in where it breaks.
fn needs_backslash(text: &[char], start: usize, end: usize) -> bool {
    let Some(space) = text[end..].iter().position(|ch| *ch == ' ').map(|at| at + end) else {
        return true;
    };
    let stop = text[end..space].iter().position(|ch| *ch == '\n').map_or(space, |at| at + end);
    let Some(&next) = text.get(stop + 1) else {
        return true;
    };
    if text[stop] == '\n' && next != ' ' {
        return true;
    }
    let quotes = text[end..stop].iter().any(|ch| matches!(ch, '"' | '\''));
    let two_spaces = text[end - 1] == ' ' && text[end] == ' ';
    quotes || matches!(next, ' ' | '\n') || two_spaces || start == end
}

/// The indent to announce (0: none) and the chomping indicator of a block scalar.
fn block_hints(text: &[char], root: bool) -> (usize, Option<char>) {
    let (Some(&first), Some(&last)) = (text.first(), text.last()) else {
        return (0, None);
    };
    let mut indent = 0;
    if first == ' ' || is_break(first) || (root && holds_document_marker(text)) {
        indent = INDENT;
    }
    if !is_break(last) {
        return (indent, Some('-'));
    }
    let keep = text.len() == 1 || is_break(text[text.len() - 2]);
    (indent, keep.then_some('+'))
}

fn holds_document_marker(text: &[char]) -> bool {
    (0..text.len().saturating_sub(3)).any(|at| {
        (at == 0 || text[at - 1] == '\n')
            && matches!(text[at..at + 3], ['-', '-', '-'] | ['.', '.', '.'])
            && matches!(text[at + 3], ' ' | '\r' | '\n')
    })
}
