//! What our SQL asks of SQLite that it does not have.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

use crate::filter::{Pattern, PatternError};

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    // `text REGEXP pattern` is `regexp(pattern, text)`.
    connection.create_scalar_function("regexp", 2, flags, regexp)
}

fn regexp(context: &Context) -> rusqlite::Result<Option<bool>> {
    let ValueRef::Text(text) = context.get_raw(1) else { return Ok(None) };
    // Compiled once a statement.
    let pattern =
        context.get_or_create_aux(0, |pattern| -> Result<Pattern, Box<dyn std::error::Error + Send + Sync>> {
            Pattern::new(pattern.as_str()?).map_err(|PatternError { message, .. }| message.into())
        })?;
    let text = std::str::from_utf8(text).map_err(|error| rusqlite::Error::UserFunctionError(error.into()))?;
    Ok(Some(pattern.is_match(text)))
}
