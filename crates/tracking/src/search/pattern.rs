//! Regular expressions in PostgreSQL's words, "advanced regular expressions".
//!
//! What a pattern means is known from its HIR, where classes are lists of ranges and nothing depends on a locale. It is
//! printed with the few constructs that mean the same there: characters by their numbers, classes as ranges, groups,
//! alternatives, repetitions, and look-around for what `\b` and the line anchors of `(?m)` test. Whether a text
//! matches does not depend on what is greedy, so everything is.

use std::fmt::Write;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look};

/// What follows is an advanced regular expression, whatever it begins with and however the server is set.
const ADVANCED: &str = "***:";
/// PostgreSQL counts no further in one repetition.
const MOST: u32 = 255;
/// How `db/postgres/text.rs` stores NUL and U+0001, and every character of a stored text.
const STORED_0: &str = r"\u0001\u0001";
const STORED_1: &str = r"\u0001\u0002";
const STORED_ANY: &str = r"(?:\u0001[\u0001\u0002]|[^\u0001])";

/// For texts without U+0001, which have no NUL in them.
pub(super) fn of_text(hir: &Hir) -> String {
    let mut printer = Printer { out: ADVANCED.to_owned(), escaped: false };
    printer.write(hir);
    printer.out
}

/// For stored texts with U+0001. From their beginning, so that no match begins amidst an escape.
pub(super) fn of_escaped(hir: &Hir) -> String {
    let mut printer = Printer { out: format!("{ADVANCED}^{STORED_ANY}*(?:"), escaped: true };
    printer.write(hir);
    printer.out.push(')');
    printer.out
}

/// What LIKE matches, for stored texts with U+0001.
pub(super) fn of_like(like: &str) -> String {
    let mut printer = Printer { out: format!("{ADVANCED}^"), escaped: true };
    for character in like.chars() {
        match character {
            '%' => printer.out.extend([STORED_ANY, "*"]),
            '_' => printer.out.push_str(STORED_ANY),
            other => printer.character(other),
        }
    }
    printer.out.push('$');
    printer.out
}

struct Printer {
    out: String,
    /// NUL and U+0001 stand in the text as two characters.
    escaped: bool,
}

impl Printer {
    fn write(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Empty => self.out.push_str("(?:)"),
            // A pattern on texts has no literal that is not one.
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => text.chars().for_each(|character| self.character(character)),
                Err(_) => self.nothing(),
            },
            HirKind::Class(Class::Unicode(class)) => self.class(class),
            HirKind::Class(Class::Bytes(class)) => match class.to_unicode_class() {
                Some(class) => self.class(&class),
                None => self.nothing(),
            },
            HirKind::Look(look) => self.look(*look),
            HirKind::Repetition(repetition) => self.repetition(&repetition.sub, repetition.min, repetition.max),
            HirKind::Capture(capture) => self.group(&capture.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.write(part)),
            HirKind::Alternation(parts) => {
                self.out.push_str("(?:");
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        self.out.push('|');
                    }
                    self.write(part);
                }
                self.out.push(')');
            }
        }
    }

    fn group(&mut self, hir: &Hir) {
        self.out.push_str("(?:");
        self.write(hir);
        self.out.push(')');
    }

    /// What matches nowhere.
    fn nothing(&mut self) {
        self.out.push_str("(?!)");
    }

    fn character(&mut self, character: char) {
        match (character, self.escaped) {
            ('\0', true) => self.out.push_str(STORED_0),
            ('\u{1}', true) => self.out.push_str(STORED_1),
            ('\0' | '\u{1}', false) => self.nothing(),
            _ => self.number(character),
        }
    }

    fn number(&mut self, character: char) {
        if character.is_ascii_alphanumeric() {
            self.out.push(character);
            return;
        }
        let number = u32::from(character);
        // Writing to a string cannot fail.
        let _ = if number > 0xffff { write!(self.out, "\\U{number:08x}") } else { write!(self.out, "\\u{number:04x}") };
    }

    fn class(&mut self, class: &ClassUnicode) {
        let has = |wanted: char| class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&wanted));
        let mut rest = class.clone();
        rest.difference(&ClassUnicode::new([ClassUnicodeRange::new('\0', '\u{1}')]));
        let mut choices = 0;
        self.out.push_str("(?:");
        if !rest.ranges().is_empty() {
            self.out.push('[');
            for range in rest.ranges() {
                self.number(range.start());
                if range.end() > range.start() {
                    self.out.push('-');
                    self.number(range.end());
                }
            }
            self.out.push(']');
            choices += 1;
        }
        for (character, stored) in [('\0', STORED_0), ('\u{1}', STORED_1)] {
            if self.escaped && has(character) {
                self.out.push_str(if choices > 0 { "|" } else { "" });
                self.out.push_str(stored);
                choices += 1;
            }
        }
        if choices == 0 {
            self.nothing();
        }
        self.out.push(')');
    }

    fn repetition(&mut self, hir: &Hir, min: u32, max: Option<u32>) {
        let times = |printer: &mut Printer, mut least: u32, mut more: u32| {
            while least + more > 0 {
                let some = least.min(MOST);
                let others = more.min(MOST - some);
                printer.group(hir);
                let _ = write!(printer.out, "{{{some},{}}}", some + others);
                (least, more) = (least - some, more - others);
            }
        };
        self.out.push_str("(?:");
        match max {
            Some(max) => times(self, min, max.saturating_sub(min)),
            None => {
                times(self, min, 0);
                self.group(hir);
                self.out.push('*');
            }
        }
        self.out.push(')');
    }

    fn look(&mut self, look: Look) {
        let word = match look {
            Look::Start => return self.out.push('^'),
            Look::End => return self.out.push('$'),
            Look::StartLF => return self.out.push_str(r"(?:^|(?<=\u000a))"),
            Look::EndLF => return self.out.push_str(r"(?:$|(?=\u000a))"),
            // Not between the two characters of a line's end.
            Look::StartCRLF => return self.out.push_str(r"(?:^|(?<=\u000a)|(?<=\u000d)(?!\u000a))"),
            Look::EndCRLF => return self.out.push_str(r"(?:$|(?=\u000d)|(?<!\u000d)(?=\u000a))"),
            Look::WordUnicode
            | Look::WordUnicodeNegate
            | Look::WordStartUnicode
            | Look::WordEndUnicode
            | Look::WordStartHalfUnicode
            | Look::WordEndHalfUnicode => word_class(true),
            _ => word_class(false),
        };
        let word = Printer::ranges(&word);
        let (before, after) = (format!("(?<={word})"), format!("(?={word})"));
        let (not_before, not_after) = (format!("(?<!{word})"), format!("(?!{word})"));
        let parts = match look {
            Look::WordUnicode | Look::WordAscii => format!("(?:{before}{not_after}|{not_before}{after})"),
            Look::WordUnicodeNegate | Look::WordAsciiNegate => format!("(?:{before}{after}|{not_before}{not_after})"),
            Look::WordStartUnicode | Look::WordStartAscii => format!("{not_before}{after}"),
            Look::WordEndUnicode | Look::WordEndAscii => format!("{before}{not_after}"),
            Look::WordStartHalfUnicode | Look::WordStartHalfAscii => not_before,
            _ => not_after,
        };
        self.out.push_str(&parts);
    }

    fn ranges(class: &ClassUnicode) -> String {
        let mut printer = Printer { out: String::new(), escaped: false };
        printer.class(class);
        printer.out
    }
}

/// The characters of `\w`.
fn word_class(unicode: bool) -> ClassUnicode {
    let parsed = regex_syntax::ParserBuilder::new().unicode(unicode).utf8(true).build().parse(r"\w");
    match parsed.map(Hir::into_kind) {
        Ok(HirKind::Class(Class::Unicode(class))) => class,
        Ok(HirKind::Class(Class::Bytes(class))) => class.to_unicode_class().unwrap_or_else(ClassUnicode::empty),
        _ => ClassUnicode::empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Pattern;

    fn text(pattern: &str) -> String {
        of_text(Pattern::new(pattern).unwrap().hir())
    }

    #[test]
    fn patterns_in_postgresqls_words() {
        assert_eq!(text("^ab.?c$"), r"***:^ab(?:(?:(?:[\u0002-\u0009\u000b-\U0010ffff])){0,1})c$");
        assert_eq!(
            text("(a|é)+"),
            r"***:(?:(?:(?:[a\u00e9])){1,1}(?:(?:[a\u00e9]))*)".replace("(?:[a\\u00e9])", "(?:(?:[a\\u00e9]))")
        );
        assert_eq!(text(r"x\x00"), "***:x(?!)");
        assert_eq!(text("a{300}"), "***:(?:(?:a){255,255}(?:a){45,45})");
        assert_eq!(text("a{250,300}"), "***:(?:(?:a){250,255}(?:a){0,45})");
        assert_eq!(of_like("a_%"), format!("***:^a{STORED_ANY}{STORED_ANY}*$"));
    }
}
