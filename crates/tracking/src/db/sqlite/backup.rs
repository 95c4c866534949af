//! A copy of the database while servers write to it, and the way back.
//!
//! The copy is one SQLite snapshot: all that was committed when it began, and nothing of what came later. It appears
//! under its name only when it is whole, checked and on disk.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::migrations;
use crate::db::OpenError;

/// Why there is no copy. The database that was to be copied is never harmed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("There is no database at {}.", .0.display())]
    Missing(PathBuf),
    #[error("{} exists already. Give another name, or --force to put this one in its place.", .0.display())]
    Exists(PathBuf),
    #[error(
        "A server has {} open. Stop it first: it would go on writing to the old database.", .0.display()
    )]
    Open(PathBuf),
    #[error("{} is damaged: {reason}. It was left where it is.", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error(transparent)]
    Foreign(OpenError),
    #[error("{} could not be written: {source}. Nothing was left behind.", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} could not be copied to {}: {reason}. Nothing was left behind.", from.display(), to.display())]
    Copy { from: PathBuf, to: PathBuf, reason: String },
}

/// What a copy holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    pub bytes: u64,
    pub schema: i64,
    pub experiments: u64,
    pub runs: u64,
    /// Where `restore` put what was there before.
    pub aside: Option<PathBuf>,
}

/// Copies the database into the file `to`, while servers may write. `replace`: also when there is a file of that name.
pub fn backup(database: &Path, to: &Path, replace: bool) -> Result<Copied, BackupError> {
    if !replace && to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let part = Part::beside(to)?;
    let copied = copy(database, &part.path, to)?;
    part.keep_as(to)?;
    Ok(copied)
}

/// Puts the copy in the database's place. What is there is kept aside, and only with `replace`; never while a server
/// has it open.
pub fn restore(copy_of_it: &Path, database: &Path, replace: bool) -> Result<Copied, BackupError> {
    let exists = database.symlink_metadata().is_ok();
    if exists && !replace {
        return Err(BackupError::Exists(database.to_owned()));
    }
    // Not a plain copy of the file: it may be a database that was in use, with a log beside it.
    let part = Part::beside(database)?;
    let copied = copy(copy_of_it, &part.path, database)?;
    // Held until the files have their new names.
    let _nobody_else = exists.then(|| close_to_others(database)).transpose()?;
    let aside = put_aside(database).map_err(|source| BackupError::Write { path: database.to_owned(), source })?;
    if let Err(error) = part.keep_as(database) {
        if let Some(aside) = &aside {
            let _ = fs::rename(aside, database);
        }
        return Err(error);
    }
    Ok(Copied { aside, ..copied })
}

/// Writes a snapshot of `from` into the file `part`, and checks what was written.
fn copy(from: &Path, part: &Path, to: &Path) -> Result<Copied, BackupError> {
    let mode = fs::metadata(from).map_err(|_| BackupError::Missing(from.to_owned()))?.permissions();
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            BackupError::Damaged { path: from.to_owned(), reason: error.to_string() }
        }
        _ => BackupError::Copy { from: from.to_owned(), to: to.to_owned(), reason: error.to_string() },
    };
    let source = open(from).map_err(failed)?;
    let version = version_of(&source, from).map_err(|error| match error {
        OpenError::Sqlite(error) => failed(error),
        other => BackupError::Foreign(other),
    })?;
    source.execute("VACUUM INTO ?1", [part.to_string_lossy()]).map_err(failed)?;
    drop(source);

    let damaged = |reason: String| BackupError::Copy { from: from.to_owned(), to: to.to_owned(), reason };
    let written = open(part).map_err(failed)?;
    let check: String = written.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if check != "ok" {
        return Err(damaged(format!("SQLite finds the copy damaged ({check})")));
    }
    if version_of(&written, part).ok() != Some(version) {
        return Err(damaged("the copy has another schema version".to_owned()));
    }
    let count = |table: &str| {
        let number: i64 = written.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        Ok(number.unsigned_abs())
    };
    let (experiments, runs) = (count("experiment").map_err(failed)?, count("run").map_err(failed)?);
    drop(written);
    let bytes = fs::metadata(part)
        .and_then(|written| {
            fs::set_permissions(part, mode)?;
            File::open(part)?.sync_all()?;
            Ok(written.len())
        })
        .map_err(|source| BackupError::Write { path: to.to_owned(), source })?;
    Ok(Copied { bytes, schema: version, experiments, runs, aside: None })
}

/// 0 is an empty file: nothing that is worth a copy.
fn version_of(db: &Connection, path: &Path) -> Result<i64, OpenError> {
    match migrations::version_of(db, path)? {
        0 => Err(OpenError::Foreign { path: path.to_owned(), mlflow: false }),
        version => Ok(version),
    }
}

/// Never makes a file. Writing is allowed, since a database in write-ahead mode may need its log read first.
fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    super::functions::register(&connection)?;
    Ok(connection)
}

/// Folds the log in and locks the database, which only works while nobody else has it open. One that is too damaged to
/// be opened nobody can use: the result is then `None`.
fn close_to_others(database: &Path) -> Result<Option<Connection>, BackupError> {
    let locked = || {
        let connection = open(database)?;
        connection.busy_timeout(std::time::Duration::ZERO)?;
        // Leaving the write-ahead mode needs the database alone.
        let mode: String = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
        connection.execute_batch("BEGIN EXCLUSIVE")?;
        Ok((connection, mode))
    };
    match locked().map_err(|error: rusqlite::Error| error.sqlite_error_code()) {
        Ok((connection, mode)) if mode == "delete" => Ok(Some(connection)),
        Ok(_) | Err(Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) => {
            Err(BackupError::Open(database.to_owned()))
        }
        Err(_) => Ok(None),
    }
}

/// Gives the database another name, and its log and shared memory with it: left behind, they would be taken for those
/// of the new one.
fn put_aside(database: &Path) -> io::Result<Option<PathBuf>> {
    let is_there = |suffix: &str| with_suffix(database, suffix).symlink_metadata().is_ok();
    if !["", "-wal", "-shm"].into_iter().any(is_there) {
        return Ok(None);
    }
    let numbered = (1..10_000).map(|number| match number {
        1 => with_suffix(database, ".before-restore"),
        number => with_suffix(database, &format!(".before-restore.{number}")),
    });
    let free = |path: &PathBuf| ["", "-wal", "-shm"].into_iter().all(|suffix| !with_suffix(path, suffix).exists());
    let aside = numbered.into_iter().find(free).ok_or(io::ErrorKind::AlreadyExists)?;
    // The log goes first: a crash in between leaves a database that lacks its last writes aside, not a mixed one.
    for suffix in ["-wal", "-shm", ""] {
        match fs::rename(with_suffix(database, suffix), with_suffix(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(Some(aside).filter(|aside| aside.exists()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// A file that is being written beside its later name; removed unless it is kept.
struct Part {
    path: PathBuf,
}

impl Part {
    fn beside(to: &Path) -> Result<Part, BackupError> {
        // Two at once must not write into one file.
        let part = Part { path: with_suffix(to, &format!(".{}.part", std::process::id())) };
        part.remove();
        // Whether the folder can be written is told before anything is read.
        let made = File::create_new(&part.path);
        made.map_err(|source| BackupError::Write { path: to.to_owned(), source })?;
        Ok(part)
    }

    fn keep_as(self, to: &Path) -> Result<(), BackupError> {
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::rename(&self.path, to)
            .and_then(|()| File::open(folder)?.sync_all())
            .map_err(|source| BackupError::Write { path: to.to_owned(), source })
    }

    fn remove(&self) {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let _ = fs::remove_file(with_suffix(&self.path, suffix));
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database as a server leaves it when it is killed: with a log beside it.
    fn database(folder: &Path, runs: u32) -> (PathBuf, Connection) {
        let path = folder.join("trackway.db");
        let connection = super::super::connect(&path).unwrap();
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
        migrations::migrate(&connection, &path).unwrap();
        for number in 0..runs {
            add_experiment(&connection, &format!("e{number}"));
        }
        (path, connection)
    }

    fn add_experiment(db: &Connection, name: &str) {
        let insert =
            "INSERT INTO experiment (name, artifact_location, creation_time, last_update_time) VALUES (?1, '', 0, 0)";
        db.execute(insert, [name]).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_copy_has_what_is_only_in_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let (path, open_elsewhere) = database(dir.path(), 3);
        let to = dir.path().join("copies.db");
        let copied = backup(&path, &to, false).unwrap();
        assert_eq!((copied.experiments, copied.runs, copied.schema), (3, 0, migrations::NEWEST));
        assert_eq!(copied.bytes, fs::metadata(&to).unwrap().len());

        add_experiment(&open_elsewhere, "later");
        assert!(matches!(backup(&path, &to, false), Err(BackupError::Exists(_))));
        assert_eq!(backup(&path, &to, true).unwrap().experiments, 4);
        assert_eq!(names(dir.path()), ["copies.db", "trackway.db", "trackway.db-shm", "trackway.db-wal"]);
    }

    #[test]
    fn a_copy_that_fails_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("copy.db");
        assert!(matches!(backup(&dir.path().join("none.db"), &to, false), Err(BackupError::Missing(_))));
        fs::write(dir.path().join("empty.db"), "").unwrap();
        assert!(matches!(backup(&dir.path().join("empty.db"), &to, false), Err(BackupError::Foreign(_))));
        fs::write(dir.path().join("text.db"), "not a database".repeat(1000)).unwrap();
        assert!(matches!(backup(&dir.path().join("text.db"), &to, false), Err(BackupError::Damaged { .. })));
        let (path, open) = database(dir.path(), 1);
        drop(open);
        let nowhere = dir.path().join("no/such/copy.db");
        assert!(matches!(backup(&path, &nowhere, false), Err(BackupError::Write { .. })));
        assert_eq!(names(dir.path()), ["empty.db", "text.db", "trackway.db"]);
    }

    #[test]
    fn what_is_restored_replaces_nothing_by_surprise() {
        let dir = tempfile::tempdir().unwrap();
        let (path, open) = database(dir.path(), 2);
        let to = dir.path().join("copy.db");
        backup(&path, &to, false).unwrap();
        add_experiment(&open, "later");
        assert!(matches!(restore(&to, &path, false), Err(BackupError::Exists(_))));
        assert!(matches!(restore(&to, &path, true), Err(BackupError::Open(_))));
        drop(open);
        let copied = restore(&to, &path, true).unwrap();
        let aside = copied.aside.unwrap();
        assert_eq!(aside, dir.path().join("trackway.db.before-restore"));
        let count = |path: &Path| backup(path, &dir.path().join("count.db"), true).unwrap().experiments;
        assert_eq!((count(&path), count(&aside)), (2, 3));
        assert_eq!(restore(&to, &path, true).unwrap().aside.unwrap(), dir.path().join("trackway.db.before-restore.2"));
        assert_eq!(restore(&to, &dir.path().join("new.db"), false).unwrap().aside, None);
    }

    #[test]
    fn a_log_without_its_database_is_not_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let (path, open) = database(dir.path(), 1);
        let to = dir.path().join("copy.db");
        backup(&path, &to, false).unwrap();
        add_experiment(&open, "only in the log");
        // As after a crash, and a database that somebody removed without its log.
        let log = fs::read(dir.path().join("trackway.db-wal")).unwrap();
        drop(open);
        fs::remove_file(&path).unwrap();
        fs::write(dir.path().join("trackway.db-wal"), log).unwrap();
        restore(&to, &path, false).unwrap();
        let open = super::super::connect(&path).unwrap();
        let count: i64 = open.query_row("SELECT count(*) FROM experiment", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1);
    }

    #[test]
    fn a_damaged_database_can_be_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (path, open) = database(dir.path(), 2);
        drop(open);
        let to = dir.path().join("copy.db");
        backup(&path, &to, false).unwrap();
        fs::write(&path, "rubbish".repeat(1000)).unwrap();
        assert!(matches!(restore(&path, &to, true), Err(BackupError::Damaged { .. })), "rubbish replaces nothing");
        assert_eq!(restore(&to, &path, true).unwrap().experiments, 2);
    }
}
