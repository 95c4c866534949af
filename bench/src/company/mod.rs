//! Side-by-side benchmark of what a company's server adds: PostgreSQL, several servers, object stores.
//!
//! Each [`Part`] measures one group of rows and returns a [`Section`] of the record. A part is run with every other one by
//! `company`, alone by its name or by `--only`; a run of all of its rows replaces its section in `bench/results/`,
//! whatever stands there of the others.
//!
//! - [`operations`]: all operations of the servers' benchmark, Trackway and MLflow on one PostgreSQL server.
//!   [`carried`] fills MLflow's there.
//! - [`two_servers`]: writes through one server and through two on the same database.
//! - [`search`]: searches among a hundred thousand runs, on PostgreSQL and SQLite, and among a million.
//! - [`points`]: a hundred million metric points on either engine, long histories and charts.
//! - [`artifacts`]: one large file by curl, to and from a folder and a bucket.
//! - [`record`] keeps the sections, and prints them.
//!
//! A new part is a file with a function from [`Run`] to [`Section`], and a line in [`PARTS`].

mod artifacts;
mod carried;
mod operations;
mod points;
pub mod record;
mod search;
mod two_servers;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use trackway_testkit::services::{Postgres, postgres};

use crate::servers::{self, Database, Kind};
use record::{Record, Section};

/// One group of rows.
struct Part {
    /// As `--only` and the command line take it.
    name: &'static str,
    title: &'static str,
    measure: fn(&Run) -> Result<Section>,
}

const PARTS: &[Part] = &[
    Part {
        name: "postgres",
        title: "All operations on PostgreSQL: CPU of server and database together",
        measure: operations::measure,
    },
    Part {
        name: "two-servers",
        title: "Two servers against one on the same database, writes to different runs",
        measure: two_servers::measure,
    },
    Part { name: "search", title: "Searches among 100,000 runs", measure: search::measure },
    Part { name: "search-million", title: "Searches among a million runs", measure: search::measure_many },
    Part { name: "points", title: "A hundred million metric points", measure: points::measure },
    Part { name: "artifacts-local", title: "A large artifact by curl, local", measure: artifacts::local },
    Part { name: "artifacts-s3", title: "A large artifact by curl, through S3", measure: artifacts::s3 },
];

/// What `trackway-bench NAME` runs: one part, or `company` for all.
pub fn knows(word: &str) -> bool {
    word == "company" || PARTS.iter().any(|part| part.name == word)
}

fn usage() -> String {
    let names: Vec<_> = PARTS.iter().map(|part| part.name).collect();
    format!(
        "\
Usage: trackway-bench company [OPTIONS]   all of: {}
       trackway-bench NAME [OPTIONS]      one of them

  --only TEXT    only rows with TEXT in `part: row`; may be given several times
  --rounds N     interleaved rounds of each row (default: 3; with --scale small 1)
  --scale small  fewer runs, smaller files, short rounds: for a first look
  --no-write     print the record, do not write it to bench/results/ (runs of some rows never are)
  --list         say which parts there are, and what is on record of each
  --strict       end with an error when a floor is missed
",
        names.join(", ")
    )
}

/// What all parts need to know.
pub struct Run {
    pub small: bool,
    pub rounds: usize,
    /// An empty folder, removed in the end.
    pub scratch: PathBuf,
    only: Vec<String>,
}

impl Run {
    pub fn wanted(&self, part: &str, row: &str) -> bool {
        let name = format!("{part}: {row}");
        self.only.is_empty() || self.only.iter().any(|o| name.contains(o.as_str()) || o == part)
    }

    /// A folder of its own for a server.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.scratch.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

pub fn main(command: &str, words: impl Iterator<Item = String>) -> Result<()> {
    let (mut only, mut rounds, mut small, mut write, mut strict) = (Vec::new(), None, false, true, false);
    let mut words = words;
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--only" => only.push(value()?),
            "--rounds" => rounds = Some(value()?.parse().context("--rounds takes a number")?),
            "--scale" => {
                small = match value()?.as_str() {
                    "small" => true,
                    "full" => false,
                    other => bail!("--scale is small or full, not {other}"),
                }
            }
            "--no-write" => write = false,
            "--strict" => strict = true,
            "--list" => return list(),
            "-h" | "--help" => {
                print!("{}", usage());
                return Ok(());
            }
            other => bail!("there is no option {other}\n\n{}", usage()),
        }
    }
    ensure!(rounds != Some(0), "--rounds takes a number above 0");
    let scratch = tempfile::Builder::new().prefix("trackway-bench-").tempdir()?;
    servers::end_on_signal(scratch.path())?;
    let run =
        Run { small, rounds: rounds.unwrap_or(if small { 1 } else { 3 }), scratch: scratch.path().to_owned(), only };

    let mut record = Record::read(&record::path())?;
    let mut missed = 0;
    let mut measured = false;
    for part in PARTS.iter().filter(|part| command == "company" || command == part.name) {
        let begin = Instant::now();
        let mut section = (part.measure)(&run)?;
        if section.rows.is_empty() {
            continue;
        }
        measured = true;
        section.name = part.name.to_owned();
        section.title = part.title.to_owned();
        section.small = run.small;
        section.rounds = run.rounds;
        section.minutes = begin.elapsed().as_secs_f64() / 60.0;
        section.machine = record::machine_now(&run.scratch);
        print!("{}", section.markdown());
        missed += section.rows.iter().filter(|row| row.passes() == Some(false)).count();
        if write && run.only.is_empty() {
            record.put(section);
            record.write(&record::path(), &PARTS.iter().map(|part| part.name).collect::<Vec<_>>())?;
            eprintln!("written to {}", record::path().display());
        }
    }
    ensure!(measured, "no row has such a name: {}", run.only.join(", "));
    ensure!(!strict || missed == 0, "{missed} floors were missed");
    Ok(())
}

fn list() -> Result<()> {
    let record = Record::read(&record::path())?;
    for part in PARTS {
        let known = record.sections.iter().find(|section| section.name == part.name);
        let known = known.map_or("nothing on record today".to_owned(), |section| {
            let missed = section.rows.iter().filter(|row| row.passes() == Some(false)).count();
            format!("{} rows, {missed} missed", section.rows.len())
        });
        println!("{:<16} {} ({known})", part.name, part.title);
    }
    Ok(())
}

/// PostgreSQL as production has it: what is committed is on disk.
///
/// Autovacuum is off and vacuuming is done by hand between measurements, for it would be charged to whichever server happens
/// to be measured when it wakes up.
pub fn postgresql() -> Result<Postgres> {
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Postgres::start(postgres::Options {
        durable: true,
        settings: vec![
            setting("autovacuum", "off"),
            setting("shared_buffers", "1GB"),
            setting("max_wal_size", "8GB"),
            setting("checkpoint_timeout", "30min"),
        ],
        ..Default::default()
    })
}

/// A new database on it, of the server's name.
pub fn database(postgres: &Postgres, name: &str) -> Result<Database> {
    let pid = postgres.pid().context("PostgreSQL is not running")?;
    Ok(Database { url: postgres.create_database(name)?, pid })
}

/// `Trackway 0.1.0 at COMMIT`, `MLflow 3.17.2`, `PostgreSQL 15.18`.
pub fn version(kind: Kind) -> Result<String> {
    Ok(format!("{kind} {}", kind.version()?))
}

pub fn postgresql_version(postgres: &Postgres) -> Result<String> {
    let version = postgres.query("postgres", "SHOW server_version")?;
    Ok(format!("PostgreSQL {}", version.split_whitespace().next().unwrap_or("unknown")))
}

/// How the PostgreSQL of [`postgresql`] is set, for the record.
pub const POSTGRESQL: &str = "PostgreSQL has shared_buffers=1GB, max_wal_size=8GB, checkpoint_timeout=30min and else its \
    defaults (fsync, full_page_writes and synchronous_commit on: every answer after an fsync), for both servers; autovacuum is \
    off, both databases are vacuumed and analyzed by hand before each operation";

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
