//! `trackway server backup` and `trackway server restore`: a copy of the SQLite database, and the way back.
//!
//! A PostgreSQL database has tools of its own for this, which know it better; these commands then say which line to run.

use std::path::PathBuf;

use clap::Args;
use trackway_server::backup::{self, Copied};
use trackway_server::config::BackendStore;

use crate::failure::Failure;

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The database, as the server was told of it [env: MLFLOW_BACKEND_STORE_URI] [default: sqlite:///trackway.db]
    #[arg(long, value_name = "URI")]
    backend_store_uri: Option<String>,

    /// The file to write
    #[arg(long, value_name = "FILE")]
    to: PathBuf,

    /// Also when the file exists: it is replaced when the new copy is whole
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The database to replace [env: MLFLOW_BACKEND_STORE_URI] [default: sqlite:///trackway.db]
    #[arg(long, value_name = "URI")]
    backend_store_uri: Option<String>,

    /// The copy to put in its place
    #[arg(long, value_name = "FILE")]
    from: PathBuf,

    /// Also when there is a database: it is kept beside, as FILE.before-restore
    #[arg(long)]
    force: bool,
}

pub fn backup(args: BackupArgs) -> Result<(), Failure> {
    let database = match store(args.backend_store_uri)? {
        Database::Sqlite(path) => path,
        Database::Postgres(uri) => {
            return Err(Failure::Failed(format!(
                "PostgreSQL copies its databases itself, also while servers write. Run\n  \
                 pg_dump --format=custom --schema=trackway --no-owner --file={} {uri}\n\
                 It asks for the password, or takes it from PGPASSWORD or ~/.pgpass.",
                quoted(&args.to.to_string_lossy())
            )));
        }
    };
    let copied = backup::backup(&database, &args.to, args.force).map_err(failed)?;
    println!("{} holds {}", args.to.display(), contents(&copied));
    Ok(())
}

pub fn restore(args: RestoreArgs) -> Result<(), Failure> {
    let database = match store(args.backend_store_uri)? {
        Database::Sqlite(path) => path,
        Database::Postgres(uri) => {
            return Err(Failure::Failed(format!(
                "PostgreSQL restores its databases itself. Stop the servers, then run\n  \
                 pg_restore --clean --if-exists --no-owner --single-transaction --dbname={uri} {}\n\
                 It asks for the password, or takes it from PGPASSWORD or ~/.pgpass.",
                quoted(&args.from.to_string_lossy())
            )));
        }
    };
    let copied = backup::restore(&args.from, &database, args.force).map_err(failed)?;
    println!("{} now holds {}", database.display(), contents(&copied));
    if let Some(aside) = copied.aside {
        println!("What was there before is kept as {}", aside.display());
    }
    Ok(())
}

enum Database {
    Sqlite(PathBuf),
    /// Its address without a password, for a shell.
    Postgres(String),
}

fn store(uri: Option<String>) -> Result<Database, Failure> {
    let uri = uri.or_else(|| std::env::var("MLFLOW_BACKEND_STORE_URI").ok()).filter(|uri| !uri.is_empty());
    let Some(uri) = uri else {
        return Ok(Database::Sqlite(PathBuf::from("trackway.db")));
    };
    match BackendStore::parse(&uri)? {
        BackendStore::Sqlite(path) => Ok(Database::Sqlite(path)),
        BackendStore::Postgres(_) => Ok(Database::Postgres(quoted(&for_libpq(&uri)))),
    }
}

/// The address as PostgreSQL's own tools take it: without the name of a Python driver, and without a password.
fn for_libpq(uri: &str) -> String {
    let Some((_, rest)) = uri.split_once("://") else {
        return uri.to_owned();
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let place = match place.rsplit_once('@') {
        Some((who, host)) => format!("{}@{host}", who.split(':').next().unwrap_or_default()),
        None => place.to_owned(),
    };
    let parameters: Vec<_> =
        query.split('&').filter(|parameter| !parameter.is_empty() && !parameter.starts_with("password=")).collect();
    let mark = if parameters.is_empty() { "" } else { "?" };
    format!("postgresql://{place}{mark}{}", parameters.join("&"))
}

fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), |quoted| quoted.into_owned())
}

fn failed(error: backup::BackupError) -> Failure {
    Failure::Failed(error.to_string())
}

fn contents(copied: &Copied) -> String {
    format!(
        "{} experiments and {} runs in {} bytes, schema version {}; checked, and on disk.",
        copied.experiments, copied.runs, copied.bytes, copied.schema
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_for_postgresqls_own_tools_have_no_password() {
        for (uri, expected) in [
            ("postgresql+psycopg2://ann:p%40w@db:6432/ml", "postgresql://ann@db:6432/ml"),
            ("postgres:///ml?host=/run&password=pw&user=ann", "postgresql:///ml?host=/run&user=ann"),
            (
                "postgresql://h1,h2/ml?target_session_attrs=read-write",
                "postgresql://h1,h2/ml?target_session_attrs=read-write",
            ),
        ] {
            assert_eq!(for_libpq(uri), expected);
        }
        assert_eq!(quoted("postgresql:///ml?a=b&c=d"), "'postgresql:///ml?a=b&c=d'");
    }
}
