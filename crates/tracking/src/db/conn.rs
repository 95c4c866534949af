//! A connection of either engine, as the statements of this crate see it.
//!
//! SQL is written once, with the placeholders `?1`, `?2`, … (or bare `?`, numbered in their order), in words that both
//! engines understand. What has to differ asks [`Conn::dialect`]. Rules that keep one text good for both:
//!
//! * `ON CONFLICT (columns) DO UPDATE`: PostgreSQL wants the columns, and the table's name before its own column.
//! * Numbers are `BIGINT` and `DOUBLE PRECISION` there; a sum of integers is cast (`CAST(sum(x) AS BIGINT)`).
//! * What is read to be changed is locked there (`FOR NO KEY UPDATE`); SQLite has one writer anyway.
//! * Without ORDER BY the rows come in any order there.

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;

use rusqlite::Connection;

use super::postgres::Session;
use crate::error::{Error, Result};

/// The SQL of which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// `column` is one of the values of a list parameter ([`Sql::Integers`], [`Sql::Texts`]) at this placeholder.
    pub(crate) fn any(self, column: &str, placeholder: &str) -> String {
        match self {
            Dialect::Sqlite => format!("{column} IN (SELECT value FROM json_each({placeholder}))"),
            Dialect::Postgres => format!("{column} = ANY({placeholder})"),
        }
    }
}

/// One connection, inside a transaction that its owner began.
#[expect(clippy::large_enum_variant, reason = "there is one for each connection")]
pub(crate) enum Conn {
    Sqlite(Connection),
    Postgres(Session),
}

impl Conn {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Conn::Sqlite(_) => Dialect::Sqlite,
            Conn::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Until the transaction ends, statements go along indexes, a row at a time: where a planner's estimates are off,
    /// reading and joining whole tables costs seconds.
    pub(crate) fn along_indexes(&self) -> Result<()> {
        match self {
            Conn::Sqlite(_) => Ok(()),
            Conn::Postgres(session) => session.along_indexes(),
        }
    }

    /// The next statement is all that this snapshot is for, or all that is written: PostgreSQL is spared a BEGIN and a
    /// COMMIT around it. What follows nevertheless sees a newer snapshot, and a write is committed then.
    pub(crate) fn bare(&self) {
        if let Conn::Postgres(session) = self {
            session.bare();
        }
    }

    /// Runs a statement; the number of rows it changed.
    pub(crate) fn execute(&self, sql: &str, parameters: &[Sql]) -> Result<usize> {
        match self {
            Conn::Sqlite(connection) => {
                Ok(connection.prepare_cached(sql)?.execute(rusqlite::params_from_iter(parameters))?)
            }
            Conn::Postgres(session) => session.execute(sql, parameters),
        }
    }

    /// The first row of the answer, if there is one.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        parameters: &[Sql],
        read: impl FnOnce(&Row) -> Result<T>,
    ) -> Result<Option<T>> {
        match self {
            Conn::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
                rows.next()?.map(|row| read(&Row::Sqlite(row))).transpose()
            }
            Conn::Postgres(session) => {
                session.query(sql, parameters)?.first().map(|row| read(&Row::Postgres(row))).transpose()
            }
        }
    }

    /// The one row that this statement always answers with.
    pub(crate) fn one<T>(&self, sql: &str, parameters: &[Sql], read: impl FnOnce(&Row) -> Result<T>) -> Result<T> {
        self.row(sql, parameters, read)?
            .ok_or_else(|| Error::Storage(format!("The tracking database gave no row for: {sql}")))
    }

    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        parameters: &[Sql],
        mut read: impl FnMut(&Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.each(sql, parameters, |row| {
            all.push(read(row)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(all)
    }

    /// Reads row by row, without holding them all, until `read` breaks.
    pub(crate) fn each(
        &self,
        sql: &str,
        parameters: &[Sql],
        mut read: impl FnMut(&Row) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        match self {
            Conn::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
                while let Some(row) = rows.next()? {
                    if read(&Row::Sqlite(row))?.is_break() {
                        break;
                    }
                }
                Ok(())
            }
            Conn::Postgres(session) => session.each(sql, parameters, |row| read(&Row::Postgres(row))),
        }
    }
}

/// A bound value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sql<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
    Blob(Cow<'a, [u8]>),
    /// A list, for [`Dialect::any`] and PostgreSQL's `unnest`.
    Integers(Vec<i64>),
    /// A list, for [`Dialect::any`] and PostgreSQL's `unnest`.
    Texts(Vec<Cow<'a, str>>),
    /// A list, for PostgreSQL's `unnest`.
    Reals(Vec<f64>),
    /// A list, for PostgreSQL's `unnest`.
    Blobs(Vec<&'a [u8]>),
}

impl<'a> Sql<'a> {
    /// A list of borrowed texts.
    pub(crate) fn texts(texts: impl IntoIterator<Item = &'a str>) -> Sql<'a> {
        Sql::Texts(texts.into_iter().map(Cow::Borrowed).collect())
    }
}

/// `params![run, &tag.key, "x"]`: values as a slice of [`Sql`].
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::db::Sql::from($value)),*][..] };
}
pub(crate) use params;

macro_rules! from {
    ($($type:ty: $value:ident => $sql:expr),* $(,)?) => {
        $(impl<'a> From<$type> for Sql<'a> {
            fn from($value: $type) -> Sql<'a> { $sql }
        })*
    };
}

from! {
    i64: value => Sql::Integer(value),
    &i64: value => Sql::Integer(*value),
    u32: value => Sql::Integer(i64::from(value)),
    i32: value => Sql::Integer(i64::from(value)),
    usize: value => Sql::Integer(i64::try_from(value).unwrap_or(i64::MAX)),
    bool: value => Sql::Integer(i64::from(value)),
    f64: value => Sql::Real(value),
    &'a str: value => Sql::Text(Cow::Borrowed(value)),
    &'a &str: value => Sql::Text(Cow::Borrowed(value)),
    &'a String: value => Sql::Text(Cow::Borrowed(value)),
    String: value => Sql::Text(Cow::Owned(value)),
    &'a [u8]: value => Sql::Blob(Cow::Borrowed(value)),
    &'a Vec<u8>: value => Sql::Blob(Cow::Borrowed(value)),
    Vec<u8>: value => Sql::Blob(Cow::Owned(value)),
    Vec<i64>: value => Sql::Integers(value),
    Vec<String>: value => Sql::Texts(value.into_iter().map(Cow::Owned).collect()),
    &'a Option<String>: value => value.as_deref().into(),
}

impl<'a, T: Into<Sql<'a>>> From<Option<T>> for Sql<'a> {
    fn from(value: Option<T>) -> Sql<'a> {
        value.map_or(Sql::Null, Into::into)
    }
}

impl rusqlite::ToSql for Sql<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, Value, ValueRef};
        Ok(ToSqlOutput::Borrowed(match self {
            Sql::Null => ValueRef::Null,
            Sql::Integer(number) => ValueRef::Integer(*number),
            Sql::Real(number) => ValueRef::Real(*number),
            Sql::Text(text) => ValueRef::Text(text.as_bytes()),
            Sql::Blob(bytes) => ValueRef::Blob(bytes),
            Sql::Integers(list) => {
                return Ok(ToSqlOutput::Owned(Value::Text(serde_json::Value::from(list.clone()).to_string())));
            }
            Sql::Texts(list) => {
                return Ok(ToSqlOutput::Owned(Value::Text(serde_json::json!(list).to_string())));
            }
            Sql::Reals(_) | Sql::Blobs(_) => {
                return Err(rusqlite::Error::ToSqlConversionFailure("lists of this kind are PostgreSQL's".into()));
            }
        }))
    }
}

/// One row of an answer.
pub(crate) enum Row<'a, 'stmt> {
    Sqlite(&'a rusqlite::Row<'stmt>),
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_, '_> {
    /// The value of a column by its place, counted from 0.
    pub(crate) fn get<T: Column>(&self, column: usize) -> Result<T> {
        match self {
            Row::Sqlite(row) => Ok(T::of_sqlite(row, column)?),
            Row::Postgres(row) => T::of_postgres(row, column).map_err(unreadable),
        }
    }

    /// The bytes of a column, without a copy.
    pub(crate) fn blob(&self, column: usize) -> Result<&[u8]> {
        match self {
            Row::Sqlite(row) => row.get_ref(column)?.as_blob().map_err(unreadable),
            Row::Postgres(row) => row.try_get(column).map_err(unreadable),
        }
    }

    /// The text of a column, without a copy where that is possible.
    pub(crate) fn text(&self, column: usize) -> Result<Cow<'_, str>> {
        match self {
            Row::Sqlite(row) => Ok(Cow::Borrowed(row.get_ref(column)?.as_str().map_err(unreadable)?)),
            Row::Postgres(row) => {
                let stored: &str = row.try_get(column).map_err(unreadable)?;
                Ok(super::postgres::text::read(stored))
            }
        }
    }
}

fn unreadable(error: impl fmt::Display) -> Error {
    Error::Storage(format!("The tracking database holds a value of another kind than expected: {error}."))
}

/// What a column can be read as.
pub(crate) trait Column: Sized {
    fn of_sqlite(row: &rusqlite::Row, column: usize) -> rusqlite::Result<Self>;
    fn of_postgres(row: &tokio_postgres::Row, column: usize) -> Result<Self, tokio_postgres::Error>;
}

macro_rules! column {
    ($($type:ty, $postgres:ty, $value:ident => $read:expr);* $(;)?) => {
        $(impl Column for $type {
            fn of_sqlite(row: &rusqlite::Row, column: usize) -> rusqlite::Result<Self> {
                row.get(column)
            }
            fn of_postgres(row: &tokio_postgres::Row, column: usize) -> Result<Self, tokio_postgres::Error> {
                row.try_get::<_, $postgres>(column).map(|$value| $read)
            }
        }
        impl Column for Option<$type> {
            fn of_sqlite(row: &rusqlite::Row, column: usize) -> rusqlite::Result<Self> {
                row.get(column)
            }
            fn of_postgres(row: &tokio_postgres::Row, column: usize) -> Result<Self, tokio_postgres::Error> {
                row.try_get::<_, Option<$postgres>>(column).map(|value| value.map(|$value| $read))
            }
        })*
    };
}

use super::postgres::text::AnyInteger;

column! {
    i64, AnyInteger, value => value.0;
    u32, AnyInteger, value => u32::try_from(value.0).unwrap_or(u32::MAX);
    bool, AnyInteger, value => value.0 != 0;
    f64, f64, value => value;
    String, &str, value => super::postgres::text::read(value).into_owned();
    Vec<u8>, Vec<u8>, value => value;
}
