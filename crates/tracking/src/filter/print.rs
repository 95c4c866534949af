//! Comparisons and orders as text that reads back as the same.

use std::fmt;

use super::lexer::{Kind, Lexer, is_word};
use super::{Attribute, Comparison, Field, Op, OrderBy, Value};

impl fmt::Display for Field {
    /// `metrics.acc`, ``params.`learning rate` ``, `status`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, key) = match self {
            Field::Attribute(attribute) => return f.write_str(attribute.name()),
            Field::Dataset(field) => return write!(f, "dataset.{}", field.name()),
            Field::Metric(key) => ("metrics", key),
            Field::Param(key) => ("params", key),
            Field::Tag(key) => ("tags", key),
        };
        let plain = key.split('.').all(|part| !part.is_empty() && part.chars().all(is_word));
        if plain {
            return write!(f, "{kind}.{key}");
        }
        let inside_backticks = key.len() > 1 && key.starts_with('`') && key.ends_with('`');
        for mark in ["`", "\"", "'"] {
            if is_quotation(mark, key) && (mark == "`" || !inside_backticks) {
                return write!(f, "{kind}.{mark}{key}{mark}");
            }
        }
        // Quotation marks take off a pair of backticks inside of them.
        write!(f, "{kind}.\"`{key}`\"")
    }
}

impl fmt::Display for Comparison {
    /// Canonical text. What [`super::parse`] made reads back as the same; a text that no filter
    /// can hold (one with both kinds of quotation marks) does not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.op)?;
        match &self.value {
            Value::None => Ok(()),
            Value::Number(number) if number.is_infinite() => {
                f.write_str(if *number > 0.0 { " 1e999" } else { " -1e999" })
            }
            Value::Number(number) => write!(f, " {number:?}"),
            Value::Integer(number) if self.field == Field::Attribute(Attribute::ExperimentId) => {
                write!(f, " '{number}'")
            }
            Value::Integer(number) => write!(f, " {number}"),
            Value::Text(text) => {
                let mark = if is_quotation("'", text) { "'" } else { "\"" };
                write!(f, " {mark}{text}{mark}")
            }
            Value::List(values) => {
                for (index, value) in values.iter().enumerate() {
                    f.write_str(if index == 0 { " (" } else { ", " })?;
                    write!(
                        f,
                        "'{}'",
                        value.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n").replace('\r', "\\r")
                    )?;
                }
                f.write_str(")")
            }
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

impl fmt::Display for OrderBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, if self.descending { "DESC" } else { "ASC" })
    }
}

/// Whether the text between two marks is one quotation.
fn is_quotation(mark: &str, text: &str) -> bool {
    let quoted = format!("{mark}{text}{mark}");
    let token = Lexer::new(&quoted).next();
    matches!(token.kind, Kind::Quoted | Kind::Backticked) && token.end == quoted.len()
}
