//! Which type a plain scalar has: the YAML 1.2 rules as ruamel.yaml applies them.
//!
//! Wider than the specification's core schema: underscores in numbers, `0b1`, `017` read as decimal, `.5`, dates
//! and `<<` are recognised; `yes`, `on` and `12:30` are plain strings.

/// The type that a plain scalar resolves to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Str,
    Null,
    Bool,
    Int,
    Float,
    Timestamp,
    /// `<<`
    Merge,
    /// `=`
    Value,
}

pub(crate) fn plain(text: &str) -> Type {
    let Some(&first) = text.as_bytes().first() else {
        return Type::Null;
    };
    match first {
        b't' | b'T' | b'f' | b'F' => match text {
            "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Type::Bool,
            _ => Type::Str,
        },
        b'n' | b'N' if matches!(text, "null" | "Null" | "NULL") => Type::Null,
        b'~' if text == "~" => Type::Null,
        b'<' if text == "<<" => Type::Merge,
        b'=' if text == "=" => Type::Value,
        b'-' | b'+' | b'.' | b'0'..=b'9' => number(text),
        _ => Type::Str,
    }
}

/// The regular expressions of ruamel match before a final newline too.
fn number(text: &str) -> Type {
    let text = text.strip_suffix('\n').unwrap_or(text).as_bytes();
    if is_float(text) {
        Type::Float
    } else if text.first() != Some(&b'.') && is_int(text) {
        Type::Int
    } else if text.first().is_some_and(u8::is_ascii_digit) && is_timestamp(text) {
        Type::Timestamp
    } else {
        Type::Str
    }
}

fn unsigned(text: &[u8]) -> &[u8] {
    match text {
        [b'-' | b'+', rest @ ..] => rest,
        _ => text,
    }
}

fn run(text: &[u8], accept: impl Fn(u8) -> bool) -> usize {
    text.iter().take_while(|byte| accept(**byte)).count()
}

fn digits_or_underscores(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'_'
}

fn is_exponent(text: &[u8], sign_needed: bool) -> bool {
    let [b'e' | b'E', rest @ ..] = text else { return false };
    let bare = unsigned(rest);
    if sign_needed && bare.len() == rest.len() {
        return false;
    }
    !bare.is_empty() && bare.iter().all(u8::is_ascii_digit)
}

fn is_float(text: &[u8]) -> bool {
    let bare = unsigned(text);
    if matches!(bare, b".inf" | b".Inf" | b".INF") || matches!(text, b".nan" | b".NaN" | b".NAN") {
        return true;
    }
    match bare.first() {
        Some(b'0'..=b'9') => {
            let whole = run(bare, digits_or_underscores);
            match bare.get(whole) {
                Some(b'.') => {
                    let rest = &bare[whole + 1..];
                    let rest = &rest[run(rest, digits_or_underscores)..];
                    rest.is_empty() || is_exponent(rest, false)
                }
                Some(_) => is_exponent(&bare[whole..], false),
                None => false,
            }
        }
        Some(b'.') => {
            let fraction = run(&bare[1..], digits_or_underscores);
            let rest = &bare[1 + fraction..];
            // `.5e3` is a string: here ruamel wants a sign in the exponent.
            fraction > 0 && (rest.is_empty() || is_exponent(rest, true))
        }
        _ => false,
    }
}

fn is_int(text: &[u8]) -> bool {
    let bare = unsigned(text);
    let all = |digits: &[u8], accept: fn(u8) -> bool| !digits.is_empty() && digits.iter().all(|byte| accept(*byte));
    match bare {
        [b'0', b'b', rest @ ..] => all(rest, |byte| matches!(byte, b'0' | b'1' | b'_')),
        [b'0', b'x', rest @ ..] => all(rest, |byte| byte.is_ascii_hexdigit() || byte == b'_'),
        [b'0', b'o', rest @ ..] => all(rest, |byte| matches!(byte, b'0'..=b'7' | b'_')),
        _ => all(bare, digits_or_underscores),
    }
}

/// `2020-01-31` and `2020-1-3t4:05:06.78 +1:00`.
fn is_timestamp(text: &[u8]) -> bool {
    let digits = |at: &mut usize, least: usize, most: usize| {
        let count = run(&text[*at..], |byte| byte.is_ascii_digit()).min(most);
        *at += count;
        count >= least
    };
    let one = |at: &mut usize, wanted: u8| {
        let found = text.get(*at) == Some(&wanted);
        *at += usize::from(found);
        found
    };
    let mut at = 0;
    if !digits(&mut at, 4, 4) || !one(&mut at, b'-') {
        return false;
    }
    let date = at;
    if digits(&mut at, 2, 2) && one(&mut at, b'-') && digits(&mut at, 2, 2) && at == text.len() {
        return true;
    }
    at = date;
    if !(digits(&mut at, 1, 2) && one(&mut at, b'-') && digits(&mut at, 1, 2)) {
        return false;
    }
    if !one(&mut at, b'T') && !one(&mut at, b't') {
        let spaces = run(&text[at..], |byte| byte == b' ' || byte == b'\t');
        if spaces == 0 {
            return false;
        }
        at += spaces;
    }
    let clock = digits(&mut at, 1, 2)
        && one(&mut at, b':')
        && digits(&mut at, 2, 2)
        && one(&mut at, b':')
        && digits(&mut at, 2, 2);
    if !clock {
        return false;
    }
    if one(&mut at, b'.') {
        at += run(&text[at..], |byte| byte.is_ascii_digit());
    }
    let zone = at;
    at += run(&text[at..], |byte| byte == b' ' || byte == b'\t');
    if one(&mut at, b'Z') {
        return at == text.len();
    }
    if one(&mut at, b'+') || one(&mut at, b'-') {
        if !digits(&mut at, 1, 2) {
            return false;
        }
        if one(&mut at, b':') && !digits(&mut at, 2, 2) {
            return false;
        }
        return at == text.len();
    }
    zone == text.len()
}
