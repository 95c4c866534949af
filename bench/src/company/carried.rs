//! MLflow's filled SQLite database, carried over into a PostgreSQL database that MLflow has just set up: the same rows in the same
//! tables, in seconds, where filling it over REST takes hours of CPU.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use trackway_testkit::services::Postgres;

pub fn carry(sqlite: &Path, postgres: &Postgres, database: &str) -> Result<()> {
    let from = Connection::open_with_flags(sqlite, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("cannot open {}", sqlite.display()))?;
    let tables: Vec<String> = from
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('alembic_version', 'sqlite_sequence')")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    // What MLflow makes at its start (a default experiment) is in the old database, too.
    let list: Vec<_> = tables.iter().map(|table| format!("\"{table}\"")).collect();
    postgres.query(database, &format!("TRUNCATE {} CASCADE", list.join(", ")))?;
    for table in &tables {
        let sql = copy(&from, table)?;
        postgres.query(database, &sql).with_context(|| format!("cannot carry the table {table} over"))?;
    }
    postgres.query(database, NUMBERS)?;
    Ok(())
}

/// A script that psql runs: a table's rows as CSV, where nothing stands for NULL, and `""` for an empty text.
fn copy(from: &Connection, table: &str) -> Result<String> {
    // Generated columns are generated there, too.
    let columns: Vec<String> = from
        .prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0")?
        .query_map([table], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let columns: Vec<_> = columns.iter().map(|name| format!("\"{name}\"")).collect();
    let (count, columns) = (columns.len(), columns.join(", "));
    // Rows come in any order, and the tables refer to each other.
    let mut sql = format!(
        "SET session_replication_role = replica;\nCOPY \"{table}\" ({}) FROM STDIN WITH (FORMAT csv);\n",
        columns
    );
    let mut rows = from.prepare(&format!("SELECT {columns} FROM \"{table}\""))?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..count {
            if column > 0 {
                sql.push(',');
            }
            match row.get_ref(column)? {
                ValueRef::Null => {}
                ValueRef::Integer(value) => write!(sql, "{value}")?,
                ValueRef::Real(value) => write!(sql, "{value:?}")?,
                ValueRef::Text(value) => write!(sql, "\"{}\"", std::str::from_utf8(value)?.replace('"', "\"\""))?,
                ValueRef::Blob(value) => {
                    sql.push_str("\\x");
                    value.iter().try_for_each(|byte| write!(sql, "{byte:02x}"))?;
                }
            }
        }
        sql.push('\n');
    }
    sql.push_str("\\.\n");
    Ok(sql)
}

/// Sequences go on behind the last number that was carried over.
const NUMBERS: &str = "DO $$ DECLARE c record; BEGIN
    FOR c IN SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name) AS sequence
             FROM information_schema.columns WHERE table_schema = 'public' LOOP
        IF c.sequence IS NOT NULL THEN
            EXECUTE format('SELECT setval(%L, GREATEST(1, (SELECT max(%I) FROM %I)))', c.sequence, c.column_name, c.table_name);
        END IF;
    END LOOP;
END $$";
