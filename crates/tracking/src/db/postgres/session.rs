//! One connection to PostgreSQL, driven by the thread that uses it.
//!
//! The connection's I/O runs in a runtime of this session, inside [`Runtime::block_on`]: a statement costs no switch to
//! another thread. Statements are unnamed, and nothing is set for longer than a transaction, so that PgBouncer may give
//! each transaction another server connection.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::error::Error as _;
use std::future::Future;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::{TryStreamExt, future};
use tokio::runtime::Runtime;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Row, SimpleQueryMessage};

use super::PostgresConfig;
use super::text;
use crate::db::Sql;
use crate::error::{Error, Result};

/// A statement that takes longer than this is given up, with its connection.
const WRITE_TIME: Duration = Duration::from_secs(120);
const READ_TIME: Duration = Duration::from_secs(600);

/// Dynamic statements could fill the memory with translations.
const TRANSLATIONS: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Write,
    /// A snapshot for all statements.
    Read,
}

/// Why the database refused, as far as the owner of the transaction acts differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection is gone or the server goes down; nothing of an uncommitted transaction is stored.
    Lost,
    /// Another transaction came in between (a deadlock, the same row inserted): the same again may succeed.
    Again,
    /// The statement itself.
    Statement,
}

/// What became of a commit whose answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Committed,
    RolledBack,
    Open,
    Unknown,
}

pub(crate) struct Session {
    client: Client,
    /// `None` only while this is dropped.
    runtime: Option<Runtime>,
    /// A BEGIN that has not been sent: it travels together with the first statement.
    pending: Cell<Option<Mode>>,
    in_transaction: Cell<bool>,
    transaction: Cell<Option<u64>>,
    wrote: Cell<bool>,
    failure: Cell<Option<Failure>>,
    time: Cell<Duration>,
    translations: RefCell<HashMap<String, String>>,
    /// Which life of which server this reached: another one after a restart, a crash or a failover.
    life: String,
}

impl Session {
    pub(super) fn connect(config: &PostgresConfig) -> Result<Session, tokio_postgres::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("the operating system gives this process a poll descriptor");
        let (client, life) = runtime.block_on(async {
            let client = config.connect().await?;
            let life = life(&client).await?;
            Ok::<_, tokio_postgres::Error>((client, life))
        })?;
        Ok(Session {
            client,
            runtime: Some(runtime),
            pending: Cell::new(None),
            in_transaction: Cell::new(false),
            transaction: Cell::new(None),
            wrote: Cell::new(false),
            failure: Cell::new(None),
            time: Cell::new(WRITE_TIME),
            translations: RefCell::default(),
            life,
        })
    }

    pub(super) fn life(&self) -> &str {
        &self.life
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let runtime = self.runtime.as_ref().expect("a session that is used is not being dropped");
        runtime.block_on(future)
    }

    /// False once the server hung up, as far as this end was told.
    pub(super) fn is_alive(&self) -> bool {
        // Lets the connection read what came since its last use.
        self.block_on(async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        });
        !self.client.is_closed()
    }

    /// Begins a transaction with the next statement.
    pub(super) fn begin(&self, mode: Mode) {
        self.pending.set(Some(mode));
        self.transaction.set(None);
        self.wrote.set(false);
        self.failure.set(None);
        self.time.set(if mode == Mode::Write { WRITE_TIME } else { READ_TIME });
    }

    pub(super) fn commit(&self) -> Result<()> {
        self.end("COMMIT")
    }

    pub(super) fn rollback(&self) -> Result<()> {
        self.end("ROLLBACK")
    }

    fn end(&self, how: &str) -> Result<()> {
        if self.pending.take().is_some() || !self.in_transaction.take() {
            return Ok(());
        }
        self.run(self.client.batch_execute(how))
    }

    /// The number of the open transaction, by which its fate can be asked for later.
    pub(super) fn transaction(&self) -> Option<u64> {
        self.transaction.get()
    }

    /// Whether anything was written since this was last asked.
    pub(super) fn take_wrote(&self) -> bool {
        self.wrote.take()
    }

    pub(super) fn take_failure(&self) -> Option<Failure> {
        self.failure.take()
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure.get()
    }

    /// What became of a transaction of an earlier connection, in that life of the server.
    pub(super) fn fate(&self, transaction: u64, life: &str) -> Result<Fate> {
        // A number that is still to be given has no status: asking for it is an error.
        let status = "SELECT CASE WHEN $1::text::xid8 < pg_snapshot_xmax(pg_current_snapshot()) THEN pg_xact_status($1::text::xid8) END";
        let number = transaction.to_string();
        let rows = self.run(self.client.query_typed(status, &[(&number, Type::TEXT)]))?;
        let status: Option<String> = rows.first().and_then(|row| row.get(0));
        Ok(match status.as_deref() {
            // A server that crashed gives numbers again whose transactions had not reached the disk.
            Some("committed") if life != self.life => Fate::Unknown,
            Some("committed") => Fate::Committed,
            Some("in progress") if life == self.life => Fate::Open,
            Some("in progress") => Fate::Unknown,
            // A server that never heard of it was promoted without it.
            _ => Fate::RolledBack,
        })
    }

    /// Runs statements as they stand, several at once, outside of any transaction unless they begin one.
    pub(super) fn script(&self, sql: &str) -> Result<()> {
        self.run(self.client.batch_execute(sql))
    }

    pub(crate) fn execute(&self, sql: &str, parameters: &[Sql]) -> Result<usize> {
        self.wrote.set(true);
        let sql = self.translate(sql);
        let changed = self.run(self.client.execute_typed(&sql, &typed(parameters)))?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    pub(crate) fn query(&self, sql: &str, parameters: &[Sql]) -> Result<Vec<Row>> {
        self.note_write(sql);
        let sql = self.translate(sql);
        self.run(self.client.query_typed(&sql, &typed(parameters)))
    }

    pub(crate) fn each(
        &self,
        sql: &str,
        parameters: &[Sql],
        mut read: impl FnMut(&Row) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.note_write(sql);
        let sql = self.translate(sql);
        let typed: Vec<_> = parameters.iter().map(|value| (value, value.kind())).collect();
        let rows = self.run(self.client.query_typed_raw(&sql, typed))?;
        let mut rows = std::pin::pin!(rows);
        while let Some(row) = self.run(rows.try_next())? {
            if read(&row)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn note_write(&self, sql: &str) {
        if !sql.starts_with("SELECT") {
            self.wrote.set(true);
        }
    }

    /// Waits for the server, having sent a BEGIN before it if one is due.
    fn run<T>(&self, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        let pending = self.pending.take();
        if pending.is_some() {
            self.in_transaction.set(true);
        }
        let outcome = self.block_on(async {
            tokio::time::timeout(self.time.get(), async {
                match pending {
                    None => answer.await,
                    Some(mode) => {
                        // Both are sent at once: the answers come in their order.
                        let (begun, answer) = future::join(self.send_begin(mode), answer).await;
                        begun?;
                        answer
                    }
                }
            })
            .await
        });
        match outcome {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.fail(&error)),
            Err(_) => {
                self.failure.set(Some(Failure::Lost));
                Err(Error::Busy(
                    "The tracking database did not answer in time. Send the request again in a moment.".to_owned(),
                ))
            }
        }
    }

    async fn send_begin(&self, mode: Mode) -> Result<(), tokio_postgres::Error> {
        // No JIT: it would cost more than the searches of this crate take.
        let begin = match mode {
            Mode::Write => "BEGIN; SET LOCAL search_path TO trackway; SELECT pg_current_xact_id()",
            Mode::Read => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path TO trackway; SET LOCAL jit TO off"
            }
        };
        for message in self.client.simple_query(begin).await? {
            if let SimpleQueryMessage::Row(row) = message {
                self.transaction.set(row.get(0).and_then(|number| number.parse().ok()));
            }
        }
        Ok(())
    }

    fn fail(&self, error: &tokio_postgres::Error) -> Error {
        let failure = classify(error);
        // The first one tells: what follows in a failed transaction says only that it failed.
        if self.failure.get().is_none() {
            self.failure.set(Some(failure));
        }
        told(error, failure)
    }

    /// PostgreSQL's placeholders are `$1`, `$2`, …
    fn translate(&self, sql: &str) -> String {
        let mut translations = self.translations.borrow_mut();
        if let Some(translated) = translations.get(sql) {
            return translated.clone();
        }
        let translated = placeholders(sql);
        if translations.len() < TRANSLATIONS {
            translations.insert(sql.to_owned(), translated.clone());
        }
        translated
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A runtime that is merely dropped waits for its threads, which is forbidden where an async caller lets go of us.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Differs after each start of a server, and after a crash that its main process outlived: that resets statistics.
async fn life(client: &Client) -> Result<String, tokio_postgres::Error> {
    let sql = "SELECT concat(pg_postmaster_start_time(), ' ', (SELECT stats_reset FROM pg_stat_bgwriter))";
    let rows = client.query_typed(sql, &[]).await?;
    rows.first().map_or(Ok(String::new()), |row| row.try_get(0))
}

fn typed<'a>(parameters: &'a [Sql<'a>]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    parameters.iter().map(|value| (value as &(dyn ToSql + Sync), value.kind())).collect()
}

/// `?1` and bare `?` (numbered in their order) become `$1`, but for those in quotes.
fn placeholders(sql: &str) -> String {
    let mut translated = String::with_capacity(sql.len() + 8);
    let mut next = 0;
    let mut quote = None;
    let mut characters = sql.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None, '?') => {
                translated.push('$');
                if !characters.peek().is_some_and(char::is_ascii_digit) {
                    next += 1;
                    translated.push_str(&next.to_string());
                }
                continue;
            }
            _ => {}
        }
        translated.push(character);
    }
    translated
}

fn classify(error: &tokio_postgres::Error) -> Failure {
    let Some(code) = error.code() else {
        // Not the server's word: the connection broke, unless a value could not be converted.
        return if error.is_closed() || is_io(error) { Failure::Lost } else { Failure::Statement };
    };
    if code.code().starts_with("08")
        || [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            // A standby, or a primary that became one.
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            SqlState::TOO_MANY_CONNECTIONS,
        ]
        .contains(code)
    {
        return Failure::Lost;
    }
    let again = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::UNIQUE_VIOLATION,
        SqlState::FOREIGN_KEY_VIOLATION,
    ];
    if again.contains(code) { Failure::Again } else { Failure::Statement }
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(|source| source.is::<std::io::Error>())
}

fn told(error: &tokio_postgres::Error, failure: Failure) -> Error {
    let reason = reason(error);
    match failure {
        Failure::Lost => Error::Busy(format!(
            "The tracking database is not to be reached just now ({reason}). Send the request again in a moment."
        )),
        Failure::Again => Error::Busy(format!(
            "Others are changing the same things in the tracking database ({reason}). Send the request again in a moment."
        )),
        Failure::Statement => match error.code() {
            Some(code) if *code == SqlState::DISK_FULL || *code == SqlState::OUT_OF_MEMORY => {
                Error::StorageFull(format!(
                    "The tracking database has no room ({reason}). Nothing of this request was stored; free some space and send it again."
                ))
            }
            Some(code) if *code == SqlState::QUERY_CANCELED => Error::Busy(format!(
                "The tracking database gave this request up ({reason}). Send it again in a moment, or ask for less."
            )),
            _ => Error::Storage(format!("The tracking database reports: {reason}.")),
        },
    }
}

/// The error in one line. PostgreSQL's messages name tables and values, never a password.
pub(super) fn reason(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => db_reason(db),
        None => match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

fn db_reason(error: &DbError) -> String {
    format!("{}, SQLSTATE {}", error.message(), error.code().code())
}

impl Sql<'_> {
    fn kind(&self) -> Type {
        match self {
            // Whatever the statement needs there.
            Sql::Null => Type::UNKNOWN,
            Sql::Integer(_) => Type::INT8,
            Sql::Real(_) => Type::FLOAT8,
            Sql::Text(_) => Type::TEXT,
            Sql::Blob(_) => Type::BYTEA,
            Sql::Integers(_) => Type::INT8_ARRAY,
            Sql::Texts(_) => Type::TEXT_ARRAY,
            Sql::Reals(_) => Type::FLOAT8_ARRAY,
            Sql::Blobs(_) => Type::BYTEA_ARRAY,
        }
    }
}

impl ToSql for Sql<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Sql::Null => Ok(IsNull::Yes),
            Sql::Integer(number) => number.to_sql(&Type::INT8, out),
            Sql::Real(number) => number.to_sql(&Type::FLOAT8, out),
            Sql::Text(stored) => text::write(stored).to_sql(&Type::TEXT, out),
            Sql::Blob(bytes) => bytes.as_ref().to_sql(&Type::BYTEA, out),
            Sql::Integers(list) => list.to_sql(&Type::INT8_ARRAY, out),
            Sql::Texts(list) => {
                let stored: Vec<Cow<str>> = list.iter().map(|item| text::write(item)).collect();
                stored.to_sql(&Type::TEXT_ARRAY, out)
            }
            Sql::Reals(list) => list.to_sql(&Type::FLOAT8_ARRAY, out),
            Sql::Blobs(list) => list.to_sql(&Type::BYTEA_ARRAY, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::placeholders;

    #[test]
    fn placeholders_are_numbered() {
        assert_eq!(placeholders("a = ?2 AND b = ?1"), "a = $2 AND b = $1");
        assert_eq!(placeholders("a = ? AND b = '?''?' AND \"?\" = ?"), "a = $1 AND b = '?''?' AND \"?\" = $2");
    }
}
