//! `${…}`: finding it in texts, reading what it names, and writing values into texts.

use trackway_yaml::{Map, Value};

use crate::python;

/// A `${…}` in a text.
pub(super) struct Match<'t> {
    pub start: usize,
    pub end: usize,
    pub inner: &'t str,
}

/// All `${…}` of a text. As DVC 3.67: a backslash before it keeps it as it is, and it does not span lines.
pub(super) fn matches(text: &str) -> Vec<Match<'_>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    // Where the next `}` is known to lie, so that a text full of `${` is read once.
    let mut no_close_before = 0;
    while let Some(offset) = text[at..].find("${") {
        let start = at + offset;
        at = start + 2;
        if start > 0 && bytes[start - 1] == b'\\' {
            continue;
        }
        if at < no_close_before {
            continue;
        }
        let stop = text[at..].find(['}', '\n']).map_or(text.len(), |offset| at + offset);
        if bytes.get(stop) == Some(&b'}') {
            found.push(Match { start, end: stop + 1, inner: &text[at..stop] });
            at = stop + 1;
        } else {
            no_close_before = stop;
        }
    }
    found
}

pub(super) fn is_interpolated(text: &str) -> bool {
    !matches(text).is_empty()
}

/// Reads `a.b[0]` as the parts `a.b.0`; the error is the text that DVC shows, with a pointer.
pub(super) fn parse(expression: &str) -> Result<String, String> {
    let chars: Vec<char> = expression.chars().collect();
    let word_end = |from: usize| {
        let end = chars[from..].iter().position(|c| ".[]".contains(*c)).map_or(chars.len(), |offset| from + offset);
        (end > from).then_some(end)
    };
    let after_blanks = |from: usize| {
        chars[from..].iter().position(|c| !" \t\n\r".contains(*c)).map_or(chars.len(), |offset| from + offset)
    };
    let text = |from: usize, to: usize| chars[from..to].iter().collect::<String>();
    let Some(mut at) = word_end(0) else { return Err(explain(expression, 0, "!W:(.[])")) };
    let mut parts = vec![text(0, at)];
    loop {
        let next = after_blanks(at);
        let end = match chars.get(next) {
            Some('.') => word_end(next + 1).map(|end| (text(next + 1, end), end)),
            Some('[') => word_end(next + 1).and_then(|end| {
                let close = after_blanks(end);
                (chars.get(close) == Some(&']')).then(|| (text(next + 1, end), close + 1))
            }),
            None => return Ok(parts.join(".")),
            Some(_) => None,
        };
        let Some((part, end)) = end else { return Err(explain(expression, next, "end of text")) };
        parts.push(part);
        at = end;
    }
}

fn explain(expression: &str, at: usize, expected: &str) -> String {
    let embraced = format!("${{{expression}}}");
    let at = at + 2;
    let rest: Vec<char> = embraced.chars().skip(at).collect();
    let word: String = rest.iter().take_while(|c| c.is_alphanumeric()).take(16).collect();
    let found = if word.is_empty() { rest.first().map(char::to_string).unwrap_or_default() } else { word };
    let found = python::repr(&Value::from(found)).replace("\\\\", "\\");
    // The message counts in lines; an expression is always on one.
    format!(
        "{embraced}\n{}^\nParseException: Expected {expected}, found {found}  (at char {at}), (line:1, col:{})",
        " ".repeat(at),
        at + 1
    )
}

/// How truth values and lists become arguments (`parsing.bool`, `parsing.list`).
#[derive(Clone, Copy, Default)]
pub(super) struct ArgumentStyle {
    pub bool_optional: bool,
    pub list_append: bool,
}

/// A value inside a longer text.
pub(super) fn to_text(value: &Value, style: ArgumentStyle) -> Result<String, String> {
    match value {
        Value::Bool(value) => Ok(value.to_string()),
        Value::Str(text) => Ok(text.clone()),
        Value::Map(map) => arguments(map, style),
        other => Ok(python::repr(other)),
    }
}

/// `--key value …` of a mapping.
fn arguments(map: &Map, style: ArgumentStyle) -> Result<String, String> {
    let mut flat = Vec::new();
    flatten(map, "", &mut flat);
    let mut out = String::new();
    for (key, value) in flat {
        match value {
            Value::Bool(true) => out.push_str(&format!("--{key} ")),
            Value::Bool(false) if style.bool_optional => out.push_str(&format!("--no-{key} ")),
            Value::Bool(false) => {}
            Value::Str(text) => out.push_str(&format!("--{key} {} ", python::shell_quote(text))),
            Value::Seq(items) => {
                for (index, item) in items.iter().enumerate() {
                    let item = match item {
                        Value::Str(text) => python::shell_quote(text),
                        Value::Seq(_) | Value::Map(_) => {
                            return Err(format!("Cannot interpolate nested iterable in '{key}'"));
                        }
                        other => python::repr(other),
                    };
                    if style.list_append || index == 0 {
                        out.push_str(&format!("--{key} "));
                    }
                    out.push_str(&item);
                    out.push(' ');
                }
            }
            other => out.push_str(&format!("--{key} {} ", python::repr(other))),
        }
    }
    Ok(out.trim_end().to_owned())
}

/// `{a: {b: 1}}` as `a.b`; empty mappings vanish.
fn flatten<'v>(map: &'v Map, prefix: &str, out: &mut Vec<(String, &'v Value)>) {
    for (key, value) in map.iter() {
        let key = match key {
            Value::Str(text) => format!("{prefix}{text}"),
            other => format!("{prefix}{}", python::repr(other)),
        };
        match value {
            Value::Map(inner) => flatten(inner, &format!("{key}."), out),
            value => out.push((key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_found_as_dvc_finds_them() {
        let inner = |text| matches(text).iter().map(|found| found.inner.to_owned()).collect::<Vec<_>>();
        assert_eq!(inner("${a} \\${b} ${c.d}"), ["a", "c.d"]);
        assert_eq!(inner("${a\n}${b}"), ["b"]);
        assert_eq!(inner("${${a}}"), ["${a"]);
        assert_eq!(inner("${"), Vec::<String>::new());
        assert_eq!(inner("$${a}é${b}"), ["a", "b"]);
        assert_eq!(matches(&"${".repeat(200_000)).len(), 0);
    }

    #[test]
    fn expressions_are_read_as_dvc_reads_them() {
        for (text, path) in [
            ("a", "a"),
            ("a.b", "a.b"),
            ("a[0].b", "a.0.b"),
            ("a[0] [1]", "a.0.1"),
            ("a[0] ", "a.0"),
            ("a[ 0 ]", "a. 0 "),
            (" a", " a"),
            ("a[0]. b", "a.0. b"),
            (" ", " "),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(path), "{text:?}");
        }
        for (text, at, message) in [
            ("a[", 3, "Expected end of text, found '['"),
            ("", 2, "Expected !W:(.[]), found '}'"),
            (".a", 2, "Expected !W:(.[]), found '.'"),
            ("a[0]b", 6, "Expected end of text, found 'b'"),
            ("a.b]", 5, "Expected end of text, found ']'"),
            ("a..b", 3, "Expected end of text, found '.'"),
        ] {
            let column = at + 1;
            let expected = format!(
                "${{{text}}}\n{}^\nParseException: {message}  (at char {at}), (line:1, col:{column})",
                " ".repeat(at)
            );
            assert_eq!(parse(text), Err(expected));
        }
    }
}
