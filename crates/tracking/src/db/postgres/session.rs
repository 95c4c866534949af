//! One connection to PostgreSQL, driven by the thread that uses it.
//!
//! The connection's I/O runs in a runtime of this session, inside [`Runtime::block_on`]: a statement costs no switch to
//! another thread. Where the server sees our own socket at the other end, statements that come again are named, and what
//! they need is set once ([`super::plans`]). Elsewhere PgBouncer may give each transaction another server connection, so they
//! are unnamed and nothing is set for longer than a transaction.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::error::Error as _;
use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::stream::TryReadyChunksError;
use futures_util::{TryFutureExt, TryStreamExt, future};
use tokio::runtime::Runtime;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Row, Statement};
use uuid::Uuid;

use super::PostgresConfig;
use super::plans::{self, Plans, Way};
use super::text;
use crate::db::Sql;
use crate::error::{Error, Result};

/// A statement that takes longer than this is given up, with its connection.
const WRITE_TIME: Duration = Duration::from_secs(120);
const READ_TIME: Duration = Duration::from_secs(600);

const ALONG_INDEXES: &str = "SET LOCAL enable_seqscan TO off; SET LOCAL enable_bitmapscan TO off;
    SET LOCAL enable_hashjoin TO off; SET LOCAL enable_mergejoin TO off; SET LOCAL enable_memoize TO off;
    SET LOCAL max_parallel_workers_per_gather TO 0";

/// The most rows that are taken out of what has arrived.
const AT_ONCE: usize = 128;

/// A server did not know a name that it was given: something stands between that gives connections to others.
static NAMES_REFUSED: AtomicBool = AtomicBool::new(false);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Writes that share the transaction, or that leave a token in it.
    Write,
    /// One write, which may come again.
    WriteAlone,
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

/// How a statement goes to the server.
enum Plan {
    Kept(Statement),
    Anew(Arc<str>),
}

pub(crate) struct Session {
    client: Client,
    /// `None` only while this is dropped.
    runtime: Option<Runtime>,
    /// A BEGIN that has not been sent: it travels together with the first statement.
    pending: Cell<Option<Mode>>,
    /// The next statement goes without it.
    bare: Cell<bool>,
    in_transaction: Cell<bool>,
    wrote: Cell<bool>,
    failure: Cell<Option<Failure>>,
    time: Cell<Duration>,
    along_indexes: Cell<bool>,
    plans: RefCell<Plans>,
    /// No pooler stands between: plans and settings stay.
    is_direct: bool,
}

impl Session {
    pub(super) fn connect(config: &PostgresConfig) -> Result<Session, tokio_postgres::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("the operating system gives this process a poll descriptor");
        let (client, is_direct) = runtime.block_on(async {
            let client = config.connect().await?;
            let is_direct = !NAMES_REFUSED.load(Ordering::Relaxed) && is_direct(&client, config.ports()).await?;
            if is_direct {
                client.batch_execute("SET search_path TO trackway; SET jit TO off").await?;
            }
            Ok::<_, tokio_postgres::Error>((client, is_direct))
        })?;
        Ok(Session {
            client,
            is_direct,
            runtime: Some(runtime),
            pending: Cell::new(None),
            bare: Cell::new(false),
            in_transaction: Cell::new(false),
            wrote: Cell::new(false),
            failure: Cell::new(None),
            time: Cell::new(WRITE_TIME),
            along_indexes: Cell::new(false),
            plans: RefCell::default(),
        })
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
        self.bare.set(false);
        self.along_indexes.set(false);
        self.wrote.set(false);
        self.failure.set(None);
        self.time.set(if mode == Mode::Read { READ_TIME } else { WRITE_TIME });
    }

    /// The next statement is a transaction by itself, where that is possible; what follows it begins one as usual.
    pub(in crate::db) fn bare(&self) {
        let may_be = matches!(self.pending.get(), Some(Mode::Read | Mode::WriteAlone));
        self.bare.set(self.is_direct && may_be);
    }

    pub(super) fn commit(&self) -> Result<()> {
        self.end("COMMIT")
    }

    /// Commits, and notes by this token that it was done.
    pub(super) fn commit_as(&self, token: Uuid) -> Result<()> {
        let parameters = [Sql::from(token.to_string())];
        let plan = self.plan("INSERT INTO trackway.done (token) VALUES (?1::text::uuid)", &parameters)?;
        let Plan::Kept(statement) = plan else {
            return self.end(&format!("INSERT INTO trackway.done (token) VALUES ('{token}'); COMMIT"));
        };
        self.in_transaction.set(false);
        let values = values(&parameters);
        self.run(async {
            // Both are sent at once. Where the first fails, the second takes all back.
            let note = self.client.execute(&statement, &values);
            let (noted, committed) = future::join(note, self.client.batch_execute("COMMIT")).await;
            noted.and(committed)
        })
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

    /// Begins a transaction by this token, unless one was committed by it. Waits for one that is under way.
    pub(super) fn begin_as(&self, token: Uuid) -> Result<bool> {
        self.begin(Mode::Write);
        let note = "INSERT INTO done (token) VALUES (?1::text::uuid) ON CONFLICT DO NOTHING";
        let fresh = self.execute(note, &[Sql::from(token.to_string())])?;
        self.wrote.set(false);
        if fresh == 0 {
            self.rollback()?;
        }
        Ok(fresh > 0)
    }

    pub(super) fn wrote(&self) -> bool {
        self.wrote.get()
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

    /// See [`crate::db::Conn::along_indexes`]; it goes with a BEGIN that is yet to be sent.
    pub(in crate::db) fn along_indexes(&self) -> Result<()> {
        if self.pending.get().is_some() {
            self.along_indexes.set(true);
            return Ok(());
        }
        self.script(ALONG_INDEXES)
    }

    /// Runs statements as they stand, several at once, outside of any transaction unless they begin one.
    pub(in crate::db) fn script(&self, sql: &str) -> Result<()> {
        self.run(self.client.batch_execute(sql))
    }

    pub(crate) fn execute(&self, sql: &str, parameters: &[Sql]) -> Result<usize> {
        self.wrote.set(true);
        let changed = match self.plan(sql, parameters)? {
            Plan::Kept(statement) => self.run(self.client.execute(&statement, &values(parameters))),
            Plan::Anew(sql) => self.run(self.client.execute_typed(&sql, &typed(parameters))),
        };
        self.bare.set(false);
        Ok(usize::try_from(changed?).unwrap_or(usize::MAX))
    }

    pub(crate) fn query(&self, sql: &str, parameters: &[Sql]) -> Result<Vec<Row>> {
        self.note_write(sql);
        let rows = match self.plan(sql, parameters)? {
            Plan::Kept(statement) => self.run(self.client.query(&statement, &values(parameters))),
            Plan::Anew(sql) => self.run(self.client.query_typed(&sql, &typed(parameters))),
        };
        self.bare.set(false);
        rows
    }

    pub(crate) fn each(
        &self,
        sql: &str,
        parameters: &[Sql],
        mut read: impl FnMut(&Row) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.note_write(sql);
        let rows = match self.plan(sql, parameters)? {
            Plan::Kept(statement) => self.run(self.client.query_raw(&statement, parameters))?,
            Plan::Anew(sql) => {
                let typed: Vec<_> = parameters.iter().map(|value| (value, value.kind())).collect();
                self.run(self.client.query_typed_raw(&sql, typed))?
            }
        };
        // To enter the runtime costs more than a small row.
        let mut rows = std::pin::pin!(rows.try_ready_chunks(AT_ONCE));
        let failed = |error: TryReadyChunksError<_, _>| error.1;
        let mut read_all = || {
            while let Some(rows) = self.run(rows.try_next().map_err(failed))? {
                for row in rows {
                    if read(&row)?.is_break() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        };
        let outcome = read_all();
        self.bare.set(false);
        outcome
    }

    /// How this statement is sent. One that came before gets a name where that is of use.
    fn plan(&self, sql: &str, parameters: &[Sql]) -> Result<Plan> {
        // The borrow ends before the server is asked.
        let way = self.plans.borrow_mut().of(sql, parameters);
        Ok(match way {
            Way::Planned(statement) => Plan::Kept(statement),
            Way::Worthy(text) if self.is_direct => {
                let kinds: Vec<Type> = parameters.iter().map(Sql::kind).collect();
                let statement = self.run(self.client.prepare_typed(&text, &kinds))?;
                self.plans.borrow_mut().keep(sql, parameters, statement.clone());
                Plan::Kept(statement)
            }
            Way::Text(text) | Way::Worthy(text) => Plan::Anew(text),
        })
    }

    fn note_write(&self, sql: &str) {
        if !sql.starts_with("SELECT") {
            self.wrote.set(true);
        }
    }

    /// Waits for the server, having sent a BEGIN before it if one is due.
    fn run<T>(&self, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        let pending = if self.bare.get() { None } else { self.pending.take() };
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
        let begin = match (mode, self.is_direct) {
            (Mode::Write | Mode::WriteAlone, true) => "BEGIN",
            (Mode::Read, true) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            (Mode::Write | Mode::WriteAlone, false) => "BEGIN; SET LOCAL search_path TO trackway",
            (Mode::Read, false) => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path TO trackway; SET LOCAL jit TO off"
            }
        };
        if self.along_indexes.get() {
            return self.client.batch_execute(&format!("{begin}; {ALONG_INDEXES}")).await;
        }
        self.client.batch_execute(begin).await
    }

    fn fail(&self, error: &tokio_postgres::Error) -> Error {
        self.bare.set(false);
        let mut failure = classify(error);
        if self.is_direct && is_about_plans(error) {
            // Another session meets a schema that changed under a plan. One whose names the server does not know is no
            // session at all, so that there is a pooler after all: no names from now on.
            failure = Failure::Lost;
            if error.code() != Some(&SqlState::FEATURE_NOT_SUPPORTED) {
                NAMES_REFUSED.store(true, Ordering::Relaxed);
            }
        }
        // The first one tells: what follows in a failed transaction says only that it failed.
        if self.failure.get().is_none() {
            self.failure.set(Some(failure));
        }
        told(error, failure)
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

fn typed<'a>(parameters: &'a [Sql<'a>]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    parameters.iter().map(|value| (value as &(dyn ToSql + Sync), value.kind())).collect()
}

fn values<'a>(parameters: &'a [Sql<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    parameters.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// Whether the server's client is this process. It is not where a pooler stands between, nor, which costs only speed, where
/// addresses are translated or the way is a socket of the file system.
async fn is_direct(client: &Client, server_ports: &[u16]) -> Result<bool, tokio_postgres::Error> {
    let asked = "SELECT pg_catalog.host(pg_catalog.inet_client_addr()), pg_catalog.inet_client_port()";
    let rows = client.query_typed(asked, &[]).await?;
    let Some(row) = rows.first() else { return Ok(false) };
    let (Some(address), Some(port)) = (row.try_get::<_, Option<String>>(0)?, row.try_get::<_, Option<i32>>(1)?) else {
        return Ok(false);
    };
    let (Ok(address), Ok(port)) = (address.parse::<std::net::IpAddr>(), u16::try_from(port)) else { return Ok(false) };
    Ok(plans::is_own_socket(address.to_canonical(), port, server_ports))
}

fn is_about_plans(error: &tokio_postgres::Error) -> bool {
    let Some(db) = error.as_db_error() else { return false };
    let code = db.code();
    *code == SqlState::INVALID_SQL_STATEMENT_NAME
        || *code == SqlState::DUPLICATE_PSTATEMENT
        // "cached plan must not change result type", in whatever language.
        || (*code == SqlState::FEATURE_NOT_SUPPORTED && db.routine() == Some("RevalidateCachedQuery"))
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
    pub(super) fn kind(&self) -> Type {
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
