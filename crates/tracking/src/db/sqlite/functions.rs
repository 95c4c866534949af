//! What our SQL asks of SQLite that it does not have, or has otherwise.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

use crate::filter::{Pattern, PatternError};

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    // `text REGEXP pattern` is `regexp(pattern, text)`, `text LIKE pattern` is `like(pattern, text)`.
    connection.create_scalar_function("regexp", 2, flags, regexp)?;
    // SQLite's own ends a text at a NUL, and takes time beyond all bounds for some patterns.
    connection.create_scalar_function("like", 2, flags, |context| {
        let (Some(pattern), Some(text)) = (text(context, 0)?, text(context, 1)?) else { return Ok(None) };
        Ok(Some(is_like(text, pattern)))
    })
}

fn regexp(context: &Context) -> rusqlite::Result<Option<bool>> {
    let Some(text) = text(context, 1)? else { return Ok(None) };
    // Compiled once a statement.
    let pattern =
        context.get_or_create_aux(0, |pattern| -> Result<Pattern, Box<dyn std::error::Error + Send + Sync>> {
            Pattern::new(pattern.as_str()?).map_err(|PatternError { message, .. }| message.into())
        })?;
    Ok(Some(pattern.is_match(text)))
}

fn text<'a>(context: &'a Context, place: usize) -> rusqlite::Result<Option<&'a str>> {
    match context.get_raw(place) {
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Ok(Some(text)),
            Err(error) => Err(rusqlite::Error::UserFunctionError(error.into())),
        },
        _ => Ok(None),
    }
}

/// `%` stands for any text, `_` for any one character; case matters. Only the last `%` is ever tried again: those before
/// it have matched as early as they can.
fn is_like(text: &str, pattern: &str) -> bool {
    let (mut text, mut pattern) = (text.chars(), pattern.chars());
    let mut again = None;
    loop {
        let before = text.clone();
        match (pattern.next(), text.next()) {
            (Some('%'), _) => {
                text = before;
                again = Some((text.clone(), pattern.clone()));
            }
            (Some('_'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            (None, None) => return true,
            _ => {
                let Some((from, behind)) = &mut again else { return false };
                if from.next().is_none() {
                    return false;
                }
                (text, pattern) = (from.clone(), behind.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn like() {
        for (text, pattern) in [
            ("", ""),
            ("", "%"),
            ("a", "_"),
            ("abc", "a%c"),
            ("a\0c", "a_c"),
            ("aXbXc", "%X_"),
            ("aab", "%ab"),
            ("%", "%%"),
        ] {
            assert!(is_like(text, pattern), "{text:?} {pattern:?}");
        }
        for (text, pattern) in
            [("a", ""), ("", "_"), ("A", "a"), ("ab", "a"), ("a\0b", "a"), ("abcd", "a%c"), ("é", "__")]
        {
            assert!(!is_like(text, pattern), "{text:?} {pattern:?}");
        }
        assert!(!is_like(&"a".repeat(10_000), &"%a".repeat(100).replacen("%a", "%b", 1)));
    }
}
