//! The few habits of Python that show in configobj's behaviour: white space, line ends, `repr`, decoding errors.

/// What Python's `str.isspace` holds for white space; a little more than Unicode's property.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Splits as `str.splitlines(True)` does: each line with its end.
pub(crate) fn split_lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let mut end = at + c.len_utf8();
        match c {
            '\r' => {
                if chars.next_if(|(_, next)| *next == '\n').is_some() {
                    end += 1;
                }
            }
            '\n' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}' => {}
            _ => continue,
        }
        lines.push(&text[start..end]);
        start = end;
    }
    if start < text.len() {
        lines.push(&text[start..]);
    }
    lines
}

/// As Python's `repr` of a string: single quotes unless the text has some and no double ones.
pub fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c if u32::from(c) < 0x100 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if u32::from(c) < 0x10000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push(quote);
    out
}

/// Close to Python's `str.isprintable`: no control, format, private or unassigned characters and no blank but ' '.
fn is_printable(c: char) -> bool {
    let unprintable = c.is_control()
        || (c != ' ' && is_space(c))
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}');
    !unprintable
}

/// UTF-8, or what Python says of bytes that are none.
pub(crate) fn decode(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| {
        let start = error.valid_up_to();
        let (length, reason) = match error.error_len() {
            None => (bytes.len() - start, "unexpected end of data"),
            Some(length) => match bytes[start] {
                0xc2..=0xf4 => (length, "invalid continuation byte"),
                _ => (length, "invalid start byte"),
            },
        };
        if length == 1 {
            format!("'utf-8' codec can't decode byte 0x{:02x} in position {start}: {reason}", bytes[start])
        } else {
            format!("'utf-8' codec can't decode bytes in position {start}-{}: {reason}", start + length - 1)
        }
    })
}
