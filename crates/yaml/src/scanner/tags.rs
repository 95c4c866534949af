//! Anchors, aliases, tags and directives.

use super::{Kind, Scanner, is_end, is_end_or_blank, shown};
use crate::error::{Error, Mark};

impl Scanner {
    pub(super) fn scan_anchor(&mut self, indicator: char) -> Result<String, Error> {
        let start = self.mark();
        let name = if indicator == '*' { "alias" } else { "anchor" };
        self.forward(1);
        let length = self.count(is_anchor_char);
        let wrong = |scanner: &Scanner| {
            let found = shown(scanner.peek_char(0));
            Error::within(
                format!("while scanning an {name}"),
                start,
                format!("expected alphabetic or numeric character, but found {found}"),
                scanner.mark(),
            )
        };
        if length == 0 {
            return Err(wrong(self));
        }
        let value = self.take(length);
        let ch = self.peek_char(0);
        if !is_end_or_blank(ch) && !matches!(ch, '?' | ':' | ',' | '[' | ']' | '{' | '}' | '%' | '@' | '`') {
            return Err(wrong(self));
        }
        Ok(value)
    }

    pub(super) fn scan_tag(&mut self) -> Result<(Option<String>, String), Error> {
        let start = self.mark();
        let mut short = "!";
        if self.peek_char(1) == '!' {
            short = "!!";
            self.forward(1);
        }
        let ch = self.peek_char(1);
        let (handle, suffix) = if ch == '<' {
            self.forward(2);
            let suffix = self.scan_tag_uri("tag", start)?;
            if self.peek_char(0) != '>' {
                let problem = format!("expected '>' but found {}", shown(self.peek_char(0)));
                return Err(Error::within("while parsing a tag", start, problem, self.mark()));
            }
            self.forward(1);
            (None, suffix)
        } else if is_end_or_blank(ch) {
            self.forward(1);
            (None, short.to_owned())
        } else {
            let mut length = 1;
            while !matches!(self.peek_char(length), ' ' | '!') && !is_end(self.peek_char(length)) {
                length += 1;
            }
            let handle = if self.peek_char(length) == '!' {
                self.scan_tag_handle("tag", start)?
            } else {
                self.forward(1);
                short.to_owned()
            };
            (Some(handle), self.scan_tag_uri("tag", start)?)
        };
        let ch = self.peek_char(0);
        if ch != ' ' && !is_end(ch) {
            let problem = format!("expected ' ', but found {}", shown(ch));
            return Err(Error::within("while scanning a tag", start, problem, self.mark()));
        }
        Ok((handle, suffix))
    }

    fn scan_tag_handle(&mut self, name: &str, start: Mark) -> Result<String, Error> {
        let wrong = |scanner: &Scanner, comma: &str| {
            let problem = format!("expected '!'{comma} but found {}", shown(scanner.peek_char(0)));
            Error::within(format!("while scanning an {name}"), start, problem, scanner.mark())
        };
        if self.peek_char(0) != '!' {
            return Err(wrong(self, ","));
        }
        let mut length = 1;
        if self.peek_char(length) != ' ' {
            while self.peek_char(length).is_ascii_alphanumeric() || matches!(self.peek_char(length), '-' | '_') {
                length += 1;
            }
            if self.peek_char(length) != '!' {
                self.forward(length);
                return Err(wrong(self, ""));
            }
            length += 1;
        }
        Ok(self.take(length))
    }

    fn scan_tag_uri(&mut self, name: &str, start: Mark) -> Result<String, Error> {
        let length = self.count(|ch| ch.is_ascii_alphanumeric() || "-;/?:@&=+$,_.!~*'()[]%#".contains(ch));
        if length == 0 {
            let problem = format!("expected URI, but found {}", shown(self.peek_char(0)));
            return Err(Error::within(format!("while parsing an {name}"), start, problem, self.mark()));
        }
        for at in 0..length {
            if self.peek_char(at) == '%' {
                for digit in [at + 1, at + 2] {
                    if !self.peek_char(digit).is_ascii_hexdigit() {
                        let found = shown(self.peek_char(digit));
                        self.forward(at + 1);
                        let problem =
                            format!("expected URI escape sequence of 2 hexdecimal numbers, but found {found}");
                        return Err(Error::within(format!("while scanning an {name}"), start, problem, self.mark()));
                    }
                }
            }
        }
        Ok(self.take(length))
    }

    pub(super) fn scan_directive(&mut self) -> Result<Kind, Error> {
        let start = self.mark();
        let wrong = |scanner: &Scanner, wanted: &str| {
            let problem = format!("expected {wanted}, but found {}", shown(scanner.peek_char(0)));
            Error::within("while scanning a directive", start, problem, scanner.mark())
        };
        self.forward(1);
        let length = self.count(|ch| ch.is_ascii_alphanumeric() || matches!(ch, '-' | '_' | ':' | '.'));
        if length == 0 {
            return Err(wrong(self, "alphabetic or numeric character"));
        }
        let name = self.take(length);
        if self.peek_char(0) != ' ' && !is_end(self.peek_char(0)) {
            return Err(wrong(self, "alphabetic or numeric character"));
        }
        let kind = match name.as_str() {
            "YAML" => {
                self.skip_spaces();
                let major = self.scan_version_number(start)?;
                if self.peek_char(0) != '.' {
                    return Err(wrong(self, "a digit or '.'"));
                }
                self.forward(1);
                self.scan_version_number(start)?;
                if self.peek_char(0) != ' ' && !is_end(self.peek_char(0)) {
                    return Err(wrong(self, "a digit or '.'"));
                }
                Kind::VersionDirective(major)
            }
            "TAG" => {
                self.skip_spaces();
                let handle = self.scan_tag_handle("directive", start)?;
                if self.peek_char(0) != ' ' {
                    return Err(wrong(self, "' '"));
                }
                self.skip_spaces();
                let prefix = self.scan_tag_uri("directive", start)?;
                if self.peek_char(0) != ' ' && !is_end(self.peek_char(0)) {
                    return Err(wrong(self, "' '"));
                }
                Kind::TagDirective(handle, prefix)
            }
            _ => {
                let length = self.count(|ch| !is_end(ch));
                self.take(length);
                Kind::OtherDirective
            }
        };
        self.skip_spaces();
        if self.peek_char(0) == '#' {
            let length = self.count(|ch| !is_end(ch));
            self.take(length);
        }
        if !is_end(self.peek_char(0)) {
            return Err(wrong(self, "a comment or a line break"));
        }
        self.line_break();
        Ok(kind)
    }

    fn scan_version_number(&mut self, start: Mark) -> Result<u32, Error> {
        let length = self.count(|ch| ch.is_ascii_digit());
        if length == 0 {
            let problem = format!("expected a digit, but found {}", shown(self.peek_char(0)));
            return Err(Error::within("while scanning a directive", start, problem, self.mark()));
        }
        Ok(self.take(length).parse().unwrap_or(u32::MAX))
    }
}

fn is_anchor_char(ch: char) -> bool {
    !is_end_or_blank(ch) && !matches!(ch, ',' | '[' | ']' | '{' | '}' | '\u{feff}')
}
