//! JSON as Python's `json.dumps` writes it: a blank behind `,` and `:`, and nothing but ASCII.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// On one line, for programs.
pub fn line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    write(value, Line)
}

/// With an indent of two, for people.
pub fn indented(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    write(value, Indented(PrettyFormatter::with_indent(b"  ")))
}

fn write(value: &impl Serialize, formatter: impl Formatter) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut out, formatter))?;
    Ok(out)
}

fn ascii<W: Write + ?Sized>(writer: &mut W, fragment: &str) -> io::Result<()> {
    let mut plain = 0;
    for (at, character) in fragment.char_indices() {
        if character.is_ascii() {
            continue;
        }
        writer.write_all(&fragment.as_bytes()[plain..at])?;
        plain = at + character.len_utf8();
        for unit in character.encode_utf16(&mut [0; 2]) {
            write!(writer, "\\u{unit:04x}")?;
        }
    }
    writer.write_all(&fragment.as_bytes()[plain..])
}

struct Line;

impl Formatter for Line {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        ascii(writer, fragment)
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

struct Indented(PrettyFormatter<'static>);

impl Formatter for Indented {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        ascii(writer, fragment)
    }

    fn begin_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_pythons() {
        let value = json!({"ä\u{1F600}": [1, {"b": null, "c": "x\n\"\u{7f}"}], "e": {}, "f": []});
        assert_eq!(
            String::from_utf8_lossy(&line(&value).expect("written")),
            "{\"e\": {}, \"f\": [], \"\\u00e4\\ud83d\\ude00\": [1, {\"b\": null, \"c\": \"x\\n\\\"\u{7f}\"}]}"
        );
        assert_eq!(
            String::from_utf8_lossy(&indented(&json!({"a": [1]})).expect("written")),
            "{\n  \"a\": [\n    1\n  ]\n}"
        );
    }
}
