//! The schema `trackway`, its versions, and how servers of several versions share it.
//!
//! A migration runs while older servers go on working, so it only adds: tables, columns with a default, indexes. Each
//! records the oldest schema version whose servers can live with it (`works_with`). A server starts on a schema that is
//! newer than its own as long as that allows it, and a rolling upgrade needs no pause. Of servers that start at once one
//! migrates, under an advisory lock; the others wait for it.

use super::session::{Mode, Session};
use super::{PostgresConfig, session};
use crate::db::{Conn, OpenError, params};
use crate::error::Error;

/// One step of the schema.
struct Migration {
    script: &'static str,
    /// Statements that build indexes beside running writers: each in a transaction of its own, after the script.
    concurrently: &'static [&'static str],
    /// The oldest schema version whose servers can live with this one.
    works_with: i64,
}

const MIGRATIONS: &[Migration] = &[
    Migration { script: include_str!("../migrations/postgres/0001_spine.sql"), concurrently: &[], works_with: 1 },
    Migration {
        script: include_str!("../migrations/postgres/0002_artifact_index.sql"),
        concurrently: &[],
        works_with: 1,
    },
    Migration { script: include_str!("../migrations/postgres/0003_events.sql"), concurrently: &[], works_with: 1 },
    Migration {
        script: include_str!("../migrations/postgres/0004_search.sql"),
        concurrently: &[],
        // Older ones would change metrics and leave their ranks as they were.
        works_with: 4,
    },
];

pub(crate) const NEWEST: i64 = MIGRATIONS.len() as i64;

/// "trackway" in numbers; who holds it in a transaction is the one that migrates.
const LOCK: i64 = 0x7472_6b77_6d69_6772;

/// Brings the schema to this build's version, or refuses a database that it cannot work on.
pub(super) fn migrate(config: &PostgresConfig) -> Result<(), OpenError> {
    let unreachable = |error: &tokio_postgres::Error| OpenError::Unreachable(session::reason(error));
    let db = Conn::Postgres(Session::connect(config).map_err(|error| unreachable(&error))?);
    let Conn::Postgres(session) = &db else { return Ok(()) };
    check_server(&db)?;
    let found = version(&db)?;
    refuse_newer(&db, found)?;
    if found >= NEWEST {
        return Ok(());
    }
    session.begin(Mode::Write);
    db.execute(&format!("SELECT pg_advisory_xact_lock({LOCK})"), params![])?;
    let found = version(&db)?;
    refuse_newer(&db, found)?;
    if found == 0 {
        session.script("CREATE SCHEMA IF NOT EXISTS trackway")?;
        session.script(include_str!("../migrations/postgres/versions.sql"))?;
    }
    let todo = MIGRATIONS.iter().zip(1..).skip(usize::try_from(found).unwrap_or(0));
    // A migration that waits for a lock makes everybody behind it wait too: it shall give up instead.
    session.script("SET LOCAL lock_timeout TO '10s'")?;
    for (migration, version) in todo {
        session.script(migration.script)?;
        for statement in migration.concurrently {
            // On a connection of its own: this transaction holds the lock meanwhile.
            let beside = Session::connect(config).map_err(|error| unreachable(&error))?;
            beside.script(statement)?;
        }
        db.execute(
            "INSERT INTO trackway.schema_version (version, works_with) VALUES (?1, ?2)",
            params![version, migration.works_with],
        )?;
        tracing::info!(version, "brought the schema forward");
    }
    session.commit()?;
    Ok(())
}

fn refuse_newer(db: &Conn, found: i64) -> Result<(), OpenError> {
    if found <= NEWEST {
        return Ok(());
    }
    let needed = db.one("SELECT max(works_with) FROM trackway.schema_version", params![], |row| row.get::<i64>(0))?;
    if needed <= NEWEST {
        tracing::info!(found, newest = NEWEST, "the schema is newer than this server, and works with it");
        return Ok(());
    }
    Err(OpenError::NewerSchema { found, newest: NEWEST })
}

/// 0 when there is none of ours yet.
fn version(db: &Conn) -> Result<i64, Error> {
    let ours: bool =
        db.one("SELECT to_regclass('trackway.schema_version') IS NOT NULL", params![], |row| row.get(0))?;
    if !ours {
        return Ok(0);
    }
    let version: Option<i64> =
        db.one("SELECT max(version) FROM trackway.schema_version", params![], |row| row.get(0))?;
    Ok(version.unwrap_or(0))
}

/// What must be true of the server and of the database.
fn check_server(db: &Conn) -> Result<(), OpenError> {
    let (version, encoding, name, mlflow) = db.one(
        "SELECT current_setting('server_version_num')::int8, current_setting('server_encoding'), current_database()::text, to_regclass('public.alembic_version') IS NOT NULL AND to_regclass('public.latest_metrics') IS NOT NULL",
        params![],
        |row| Ok((row.get::<i64>(0)?, row.get::<String>(1)?, row.get::<String>(2)?, row.get::<bool>(3)?)),
    )?;
    if version < 150_000 {
        return Err(OpenError::OldServer { version: version / 10_000 });
    }
    if encoding != "UTF8" {
        return Err(OpenError::Encoding { name, encoding });
    }
    if mlflow {
        tracing::warn!(
            database = name,
            "this database holds tables of MLflow. They are not touched, and nothing of them is shown: Trackway keeps its own in the schema \"trackway\""
        );
    }
    Ok(())
}
