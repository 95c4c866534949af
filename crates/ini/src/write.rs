//! A fresh text for a tree, byte for byte what configobj writes.

use crate::{Error, Section, Value};

const INDENT: &str = "    ";

/// As configobj's `write` for an object made from a dictionary: four blanks for every level, values before sections,
/// a line end at the end, also of an empty text.
pub fn write(tree: &Section) -> Result<String, Error> {
    let mut out = String::new();
    write_section(tree, 0, &mut out)?;
    if out.is_empty() {
        out.push('\n');
    }
    Ok(out)
}

fn write_section(section: &Section, depth: usize, out: &mut String) -> Result<(), Error> {
    let indent = INDENT.repeat(depth);
    for (key, value) in section.iter() {
        if !matches!(value, Value::Section(_)) {
            out.push_str(&indent);
            out.push_str(&quote(key, false)?);
            out.push_str(" = ");
            out.push_str(&quote_value(value)?);
            out.push('\n');
        }
    }
    for (name, value) in section.iter() {
        if let Value::Section(inner) = value {
            out.push_str(&indent);
            out.push_str(&header(name, depth + 1)?);
            out.push('\n');
            write_section(inner, depth + 1, out)?;
        }
    }
    Ok(())
}

/// `[name]`, with as many brackets as the section is deep.
pub(crate) fn header(name: &str, depth: usize) -> Result<String, Error> {
    Ok(format!("{}{}{}", "[".repeat(depth), quote(name, false)?, "]".repeat(depth)))
}

/// The right side of `key = …`.
pub(crate) fn quote_value(value: &Value) -> Result<String, Error> {
    match value {
        Value::Text(text) => quote(text, true),
        Value::List(items) if items.is_empty() => Ok(",".to_owned()),
        Value::List(items) if items.len() == 1 => Ok(quote(&items[0], false)? + ","),
        Value::List(items) => {
            let quoted = items.iter().map(|item| quote(item, false)).collect::<Result<Vec<_>, _>>()?;
            Ok(quoted.join(", "))
        }
        Value::Section(_) => Err(Error::Unquotable("a section".to_owned())),
    }
}

/// As configobj's `_quote`: plain where that is safe, else double quotes, single quotes around a double one, and three
/// quotes (single ones first) for values with line ends or both kinds.
pub(crate) fn quote(text: &str, multiline: bool) -> Result<String, Error> {
    const EDGE: [char; 7] = [' ', '\r', '\n', '\x0b', '\t', '\'', '"'];
    let unquotable = || Error::Unquotable(text.to_owned());
    if text.is_empty() {
        return Ok("\"\"".to_owned());
    }
    let (single, double, lines) = (text.contains('\''), text.contains('"'), text.contains('\n'));
    if multiline && (lines || (single && double)) {
        return match (text.contains("\"\"\""), text.contains("'''")) {
            (true, true) => Err(unquotable()),
            (false, _) => Ok(format!("'''{text}'''")),
            (true, false) => Ok(format!("\"\"\"{text}\"\"\"")),
        };
    }
    if lines {
        return Err(unquotable());
    }
    let plain = !text.starts_with(EDGE) && !text.ends_with(EDGE) && !text.contains([',', '#']);
    match (plain, single, double) {
        (true, ..) => Ok(text.to_owned()),
        (false, true, true) => Err(unquotable()),
        (false, _, true) => Ok(format!("'{text}'")),
        (false, _, false) => Ok(format!("\"{text}\"")),
    }
}
