//! Filters and orders as text that reads back as the same.

use std::fmt;

use super::lexer::{Kind, Lexer, is_word};
use super::{Attribute, Comparison, Field, Filter, Number, Op, OrderBy, Value};

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
            Value::Number(number) if self.field == Field::Attribute(Attribute::ExperimentId) => {
                write!(f, " '{number}'")
            }
            Value::Number(number) => write!(f, " {number}"),
            Value::Range(low, high) => write!(f, " {low} AND {high}"),
            Value::Numbers(numbers) => {
                for (index, number) in numbers.iter().enumerate() {
                    f.write_str(if index == 0 { " (" } else { ", " })?;
                    write!(f, "{number}")?;
                }
                f.write_str(")")
            }
            Value::Text(text) => quoted(f, text),
            Value::Pattern(pattern) => quoted(f, pattern.text()),
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

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let mark = if is_quotation("'", text) { "'" } else { "\"" };
    write!(f, " {mark}{text}{mark}")
}

impl fmt::Display for Filter {
    /// `metrics.a > 1.0 AND (params.b = 'x' OR NOT params.c = 'y')`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, word) = match self {
            Filter::Is(comparison) => return comparison.fmt(f),
            Filter::Not(part) if matches!(**part, Filter::Is(_)) => return write!(f, "NOT {part}"),
            Filter::Not(part) => return write!(f, "NOT ({part})"),
            Filter::All(parts) => (parts, " AND "),
            Filter::Any(parts) => (parts, " OR "),
        };
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                f.write_str(word)?;
            }
            // AND binds closer than OR.
            if matches!((self, part), (Filter::All(_), Filter::Any(_))) {
                write!(f, "({part})")?;
            } else {
                part.fmt(f)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Fraction(number) if number.is_infinite() => {
                f.write_str(if *number > 0.0 { "1e999" } else { "-1e999" })
            }
            Number::Fraction(number) => write!(f, "{number:?}"),
            Number::Whole(number) => write!(f, "{number}"),
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
