//! The schema's versions. Migrations run by themselves at start, forward only, after a copy of the database.

use std::path::Path;

use rusqlite::Connection;

use crate::db::OpenError;

/// Marks a file as ours in SQLite's header ("trkw").
const APPLICATION_ID: i64 = 0x7472_6b77;

/// One script a version; the version of a database (`PRAGMA user_version`) is the number of scripts it has seen.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/sqlite/0001_spine.sql"),
    include_str!("../migrations/sqlite/0002_artifact_index.sql"),
    include_str!("../migrations/sqlite/0003_events.sql"),
    include_str!("../migrations/sqlite/0004_search.sql"),
];

/// The schema version that this build writes.
pub(crate) const NEWEST: i64 = MIGRATIONS.len() as i64;

/// Brings the database to the newest schema. Two servers that start at once are ordered by SQLite's write lock.
pub(super) fn migrate(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let found = version_of(db, path)?;
    if found == NEWEST {
        return Ok(());
    }
    if found > 0 {
        copy_aside(db, path, found)?;
    }
    db.execute_batch("BEGIN IMMEDIATE")?;
    // Another process may have migrated between the look above and the lock.
    let found = version_of(db, path)?;
    for script in &MIGRATIONS[usize::try_from(found).unwrap_or(0)..] {
        db.execute_batch(script)?;
    }
    db.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {NEWEST}; COMMIT"))?;
    Ok(())
}

/// 0 for an empty file. Refuses a database that is not ours and one that a newer Trackway wrote.
pub(super) fn version_of(db: &Connection, path: &Path) -> Result<i64, OpenError> {
    let number = |pragma: &str| db.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    if application != APPLICATION_ID {
        let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables > 0 {
            let mlflow: i64 =
                db.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'alembic_version'", [], |row| {
                    row.get(0)
                })?;
            return Err(OpenError::Foreign { path: path.to_owned(), mlflow: mlflow > 0 });
        }
        return Ok(0);
    }
    if version > NEWEST {
        return Err(OpenError::Newer { path: path.to_owned(), found: version, newest: NEWEST });
    }
    Ok(version)
}

fn copy_aside(db: &Connection, path: &Path, version: i64) -> Result<(), OpenError> {
    // Somebody may have gone back to an earlier copy and comes this way again: each time has its own.
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".before-v{}", version + 1));
        if number > 1 {
            name.push(format!(".{number}"));
        }
        name
    };
    let free = (1..1000).map(numbered).find(|name| !Path::new(name).exists());
    let Some(name) = free else {
        return Err(OpenError::Copy(format!("{} copies lie beside {} already", 999, path.display())));
    };
    let mut part = name.clone();
    part.push(".part");
    let _ = std::fs::remove_file(&part);
    db.execute("VACUUM INTO ?1", [part.to_string_lossy()])?;
    std::fs::File::open(&part).and_then(|file| file.sync_all()).map_err(|e| OpenError::Copy(e.to_string()))?;
    std::fs::rename(&part, &name).map_err(|e| OpenError::Copy(e.to_string()))?;
    tracing::info!(copy = %Path::new(&name).display(), "copied the database before its schema is brought forward");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Connection {
        Connection::open(path).unwrap()
    }

    #[test]
    fn newer_schema_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trackway.db");
        migrate(&open(&path), &path).unwrap();
        open(&path).execute_batch("PRAGMA user_version = 999").unwrap();
        let message = migrate(&open(&path), &path).unwrap_err().to_string();
        assert!(message.contains("schema version 999"), "{message}");
        assert!(message.contains("newer"), "{message}");
    }

    #[test]
    fn foreign_database_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mlflow.db");
        open(&path).execute_batch("CREATE TABLE alembic_version (version_num TEXT)").unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = migrate(&open(&path), &path).unwrap_err();
        assert!(matches!(error, OpenError::Foreign { mlflow: true, .. }), "{error}");
        assert_eq!(before, std::fs::read(&path).unwrap());
    }

    #[test]
    fn copy_is_made_before_an_old_schema_moves() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trackway.db");
        migrate(&open(&path), &path).unwrap();
        copy_aside(&open(&path), &path, 1).unwrap();
        let copy = dir.path().join("trackway.db.before-v2");
        assert_eq!(version_of(&open(&copy), &copy).unwrap(), NEWEST);
        copy_aside(&open(&path), &path, 1).unwrap();
        assert!(dir.path().join("trackway.db.before-v2.2").exists());
    }
}
