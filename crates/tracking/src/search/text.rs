//! Comparisons of texts, which both engines answer alike.
//!
//! PostgreSQL's texts are stored with an escape for NUL (`db/postgres/text.rs`). Where a single character is to be
//! matched, the few texts that hold the escape take another way.

use super::{Condition, Sql, pattern};
use crate::db::Dialect;
use crate::filter::{Op, Pattern, Value};

/// A column that holds the byte by which NUL is escaped.
const HAS_ESCAPE: &str = "chr(1)";

pub(super) fn compare(dialect: Dialect, column: &str, op: Op, value: &Value) -> Condition {
    match (op, value) {
        (Op::IsNull, _) => Condition::new(format!("{column} IS NULL"), vec![]),
        (Op::IsNotNull, _) => Condition::new(format!("{column} IS NOT NULL"), vec![]),
        (Op::Ne, Value::Text(text)) => Condition::new(format!("{column} <> ?"), vec![Sql::from(text.clone())]),
        (_, Value::Text(text)) => match op {
            Op::Like => like(dialect, column, text, false),
            Op::NotLike => like(dialect, column, text, false).not(),
            Op::ILike => like(dialect, column, text, true),
            Op::NotILike => like(dialect, column, text, true).not(),
            _ => Condition::new(format!("{column} = ?"), vec![Sql::from(text.clone())]),
        },
        (_, Value::List(texts)) => {
            let among = one_of(dialect, column, texts);
            if op == Op::NotIn { among.not() } else { among }
        }
        (_, Value::Pattern(pattern)) => {
            let matches = matches(dialect, column, pattern);
            if op == Op::NotRLike { matches.not() } else { matches }
        }
        // The parser gives texts no other values.
        _ => Condition::never(),
    }
}

fn one_of(dialect: Dialect, column: &str, texts: &[String]) -> Condition {
    // SQLite's JSON, which carries lists, ends a text at a NUL.
    if dialect == Dialect::Sqlite && texts.iter().any(|text| text.contains('\0')) {
        let marks = vec!["?"; texts.len()].join(", ");
        return Condition::new(format!("{column} IN ({marks})"), texts.iter().cloned().map(Sql::from).collect());
    }
    Condition::new(dialect.any(column, "?"), vec![Sql::from(texts.to_vec())])
}

/// `%` and `_` have a meaning, nothing escapes them. Without case, `A` to `Z` count as `a` to `z`.
fn like(dialect: Dialect, column: &str, text: &str, ignore_case: bool) -> Condition {
    let (column, text) = if ignore_case {
        (format!("lower({column})"), text.to_ascii_lowercase())
    } else {
        (column.to_owned(), text.to_owned())
    };
    match dialect {
        // Connections bring their own LIKE, which minds case as MLflow's SQLite store does (`db/sqlite/functions.rs`).
        Dialect::Sqlite => Condition::new(format!("{column} LIKE ?"), vec![Sql::from(text)]),
        Dialect::Postgres => {
            let like = format!("{column} LIKE ? ESCAPE ''");
            if !text.contains(['_', '\u{1}', '\u{2}']) {
                return Condition::new(like, vec![Sql::from(text)]);
            }
            let pattern = pattern::of_like(&text);
            let sql = format!("(CASE WHEN strpos({column}, {HAS_ESCAPE}) = 0 THEN {like} ELSE {column} ~ ? END)");
            Condition::new(sql, vec![Sql::from(text), Sql::from(pattern)])
        }
    }
}

fn matches(dialect: Dialect, column: &str, pattern: &Pattern) -> Condition {
    match dialect {
        Dialect::Sqlite => Condition::new(format!("{column} REGEXP ?"), vec![Sql::from(pattern.text().to_owned())]),
        Dialect::Postgres => {
            let (plain, escaped) = (pattern::of_text(pattern.hir()), pattern::of_escaped(pattern.hir()));
            let sql = format!("{column} ~ (CASE WHEN strpos({column}, {HAS_ESCAPE}) = 0 THEN ? ELSE ? END)");
            Condition::new(sql, vec![Sql::from(plain), Sql::from(escaped)])
        }
    }
}
