//! What PostgreSQL's types cannot say by themselves.

use std::borrow::Cow;
use std::error::Error;

use tokio_postgres::types::{FromSql, Type};

/// PostgreSQL's text cannot hold NUL, and SQLite's can. So that both keep the same values, NUL is stored as `\x01\x01`
/// and `\x01` as `\x01\x02`: nothing is lost, and the order of texts stays what it was.
const ESCAPE: char = '\u{1}';

pub(crate) fn write(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte <= 1) {
        return Cow::Borrowed(text);
    }
    let mut stored = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\0' => stored.extend([ESCAPE, '\u{1}']),
            ESCAPE => stored.extend([ESCAPE, '\u{2}']),
            other => stored.push(other),
        }
    }
    Cow::Owned(stored)
}

pub(crate) fn read(stored: &str) -> Cow<'_, str> {
    if !stored.contains(ESCAPE) {
        return Cow::Borrowed(stored);
    }
    let mut text = String::with_capacity(stored.len());
    let mut characters = stored.chars();
    while let Some(character) = characters.next() {
        if character != ESCAPE {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some('\u{1}') => text.push('\0'),
            Some('\u{2}') => text.push(ESCAPE),
            // Written by nobody of ours: kept as it is.
            other => {
                text.push(ESCAPE);
                text.extend(other);
            }
        }
    }
    Cow::Owned(text)
}

/// An integer or boolean of any width, since a comparison gives a boolean here and an integer in SQLite.
pub(crate) struct AnyInteger(pub(crate) i64);

impl<'a> FromSql<'a> for AnyInteger {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<AnyInteger, Box<dyn Error + Sync + Send>> {
        Ok(AnyInteger(match *kind {
            Type::BOOL => i64::from(bool::from_sql(kind, raw)?),
            Type::INT2 => i64::from(i16::from_sql(kind, raw)?),
            Type::INT4 => i64::from(i32::from_sql(kind, raw)?),
            _ => i64::from_sql(kind, raw)?,
        }))
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::BOOL | Type::INT2 | Type::INT4 | Type::INT8)
    }
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[test]
    fn nul_is_stored_without_nul_and_in_order() {
        let mut texts = ["", "\0", "\0a", "\0\0", "\u{1}", "\u{1}\u{1}", "\u{1}\u{2}", "\u{2}", "a", "a\0b", "a\u{1}b"];
        texts.sort_unstable();
        let stored: Vec<String> = texts.iter().map(|text| write(text).into_owned()).collect();
        assert!(stored.is_sorted(), "{stored:?}");
        for (text, stored) in texts.iter().zip(&stored) {
            assert!(!stored.contains('\0'));
            assert_eq!(read(stored), *text);
        }
    }
}
