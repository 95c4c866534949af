//! Side-by-side benchmark of the data commands: stock DVC, Trackway called as `dvc`, and what bounds both.
//!
//! - [`tool`] holds the two programs, a repository of each, and takes wall time, CPU and memory of one command.
//! - [`rows`] runs a row: brings both repositories into the state it begins with, runs both tools and the bounds in
//!   turns, and compares what the tools said and left behind.
//! - [`start`], [`folder`], [`local_remote`], [`big`] and [`many`] are the rows, each with its own data from [`material`].
//! - [`remotes`] are the rows of `trackway-bench remotes`: push and pull ([`exchange`]) with servers of every kind
//!   ([`stores`]), beside rclone or a bare [`loader`].
//! - [`disk`] keeps deletions away from what is measured, and [`record`] prints the table and writes it to `bench/results/`.

mod big;
mod disk;
mod exchange;
mod folder;
pub mod loader;
mod local_remote;
mod many;
mod material;
mod record;
mod remotes;
mod rows;
mod start;
mod stores;
mod tool;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use disk::Disk;
use material::Scale;
use record::Record;
use tool::{Side, Tools, Who, must};

use crate::{servers, world};

const USAGE: &str = "\
Usage: trackway-bench data [OPTIONS]      folders and caches
       trackway-bench remotes [OPTIONS]   push and pull with S3, SSH, WebDAV, Azure, Google and HDFS servers

  --rounds N     interleaved rounds of each row (default: 3; with --scale small 1)
  --only TEXT    only rows with TEXT in their name or group; may be given several times
  --scale small  5,000 files and 256 MiB instead of 100,000 and 4 GiB, 50,000 instead of a million; of remotes 1,000 and
                 256 MiB instead of 20,000 and 4 GiB: for a first look
  --files N      files in the folder of the rows about many files (default: 100000; of remotes 20000)
  --large MIB    size of the large file in the rows about remotes (default: 4096)
  --ours PATH    Trackway's program (default: $TRACKWAY_BIN, or the one beside this program)
  --stock PATH   DVC's program (default: the `dvc` beside $TRACKWAY_PYTHON_DVC_3_67)
  --no-write     print the record, do not write it to bench/results/ (small runs are never written, partial ones
                 only of remotes)
  --strict       end with an error when a floor is missed or answers differ
";

struct Arguments {
    rounds: Option<usize>,
    only: Vec<String>,
    scale: Scale,
    ours: Option<PathBuf>,
    stock: Option<PathBuf>,
    write: bool,
    strict: bool,
}

fn arguments(table: Table, words: impl Iterator<Item = String>) -> Result<Arguments> {
    let mut parsed = Arguments {
        rounds: None,
        only: Vec::new(),
        scale: Scale::FULL,
        ours: None,
        stock: None,
        write: true,
        strict: false,
    };
    let (mut files, mut large) = (None, None);
    let mut words = words;
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--rounds" => parsed.rounds = Some(value()?.parse().context("--rounds takes a number")?),
            "--only" => parsed.only.push(value()?),
            "--scale" => {
                parsed.scale = match value()?.as_str() {
                    "small" => Scale::SMALL,
                    "full" => Scale::FULL,
                    other => bail!("--scale is small or full, not {other}"),
                }
            }
            "--files" => files = Some(value()?.parse().context("--files takes a number")?),
            "--large" => large = Some(value()?.parse::<u64>().context("--large takes a number")?),
            "--ours" => parsed.ours = Some(value()?.into()),
            "--stock" => parsed.stock = Some(value()?.into()),
            "--no-write" => parsed.write = false,
            "--strict" => parsed.strict = true,
            "-h" | "--help" => {
                print!("{USAGE}");
                std::process::exit(0);
            }
            other => bail!("there is no option {other}\n\n{USAGE}"),
        }
    }
    if let Some(files) = files {
        ensure!(files > 0, "--files takes a number above 0");
        match table {
            Table::Data => parsed.scale.files = files,
            Table::Remotes => parsed.scale.exchanged = files,
        }
    }
    if let Some(large) = large {
        ensure!(large > 0, "--large takes a number above 0");
        parsed.scale.large = large << 20;
    }
    ensure!(parsed.rounds != Some(0), "--rounds takes a number above 0");
    Ok(parsed)
}

/// Which table is made.
#[derive(Clone, Copy, PartialEq)]
pub enum Table {
    Data,
    Remotes,
}

impl Table {
    /// Of the record's file.
    fn name(self) -> &'static str {
        match self {
            Table::Data => "data",
            Table::Remotes => "remotes",
        }
    }
}

/// Measures the rows of one kind.
type Part = fn(&Run) -> Result<Vec<rows::Taken>>;

/// What all scenes need to know.
struct Run {
    table: Table,
    base: PathBuf,
    tools: Tools,
    disk: Disk,
    scale: Scale,
    rounds: usize,
    only: Vec<String>,
}

impl Run {
    /// A folder for the data of a scene, which removes it when it is done.
    fn scene(&self, name: &str) -> Result<PathBuf> {
        let scene = self.base.join(name);
        fs::create_dir_all(&scene)?;
        Ok(scene)
    }

    /// Ends a scene: its data goes.
    fn clear(&self, scene: &Path) -> Result<()> {
        self.disk.empty()?;
        tool::remove(scene)?;
        self.disk.deleted();
        Ok(())
    }

    /// A repository of each tool.
    fn sides<S>(&self, scene: &Path, make: impl Fn(Side) -> S) -> Result<[S; 2]> {
        Ok([make(self.side(Who::Stock, scene)?), make(self.side(Who::Ours, scene)?)])
    }

    fn side(&self, who: Who, scene: &Path) -> Result<Side> {
        Side::new(who, scene, &self.tools, &self.disk)
    }

    fn wanted(&self) -> impl Fn(&str, &str) -> bool {
        let only = self.only.clone();
        move |group: &str, name: &str| {
            let full = format!("{group}: {name}");
            only.is_empty() || only.iter().any(|o| full.contains(o.as_str()))
        }
    }
}

/// Stock's program, compiled to bytecode: without it every start would pay for compiling.
fn stock(given: Option<PathBuf>) -> Result<PathBuf> {
    let program = match given {
        Some(path) => path,
        None => {
            let python = std::env::var_os("TRACKWAY_PYTHON_DVC_3_67").context(
                "TRACKWAY_PYTHON_DVC_3_67 is not set: it names the Python of an environment made from \
                 compat/requirements/dvc-3.67.txt; `cargo xtask bench data` makes it",
            )?;
            PathBuf::from(python).with_file_name("dvc")
        }
    };
    let program = std::path::absolute(program)?;
    let compile = "import compileall, dvc, os; d = os.path.dirname(os.path.dirname(dvc.__file__)); \
                   compileall.compile_dir(d, quiet=2, workers=0)";
    let python = program.with_file_name("python");
    // In a link named `dvc` to another program, as in a comparison of two builds of Trackway, there is nothing to do.
    if python.exists() {
        must(Command::new(python).args(["-c", compile]))?;
    }
    Ok(program)
}

fn ours(given: Option<PathBuf>) -> Result<PathBuf> {
    let program = match (given, std::env::var_os("TRACKWAY_BIN")) {
        (Some(path), _) => path,
        (None, Some(path)) => PathBuf::from(path),
        (None, None) => std::env::current_exe()?.with_file_name("trackway"),
    };
    let program = std::path::absolute(program)?;
    ensure!(
        program.exists(),
        "there is no {}; run `cargo build --release -p trackway` or set TRACKWAY_BIN",
        program.display()
    );
    Ok(program)
}

pub fn main(table: Table, words: impl Iterator<Item = String>) -> Result<()> {
    let arguments = arguments(table, words)?;
    let base = world::cache_base()?.join("data");
    fs::create_dir_all(base.parent().context("the cache has a parent")?)?;
    let lock = File::create(base.with_extension("lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("another benchmark of the data commands is running"),
        Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the benchmark's folder"),
    }
    // What a killed run left.
    tool::remove(&base)?;
    fs::create_dir_all(&base)?;
    servers::end_on_signal(&base)?;
    let done = run(table, arguments, &base);
    tool::remove(&base)?;
    done
}

fn run(table: Table, arguments: Arguments, base: &Path) -> Result<()> {
    let begin = Instant::now();
    let (stock, program) = (stock(arguments.stock)?, ours(arguments.ours)?);
    // Trackway is DVC when it is called by that name. A program that is called `dvc` already is taken as it is: the
    // scripts of Python environments look for their libraries beside themselves.
    let ours = if program.file_name().is_some_and(|name| name == "dvc") {
        program
    } else {
        let link = base.join("bin/dvc");
        fs::create_dir_all(base.join("bin"))?;
        std::os::unix::fs::symlink(&program, &link)?;
        link
    };
    let rounds = arguments.rounds.unwrap_or(if arguments.scale.small { 1 } else { 3 });
    let run = Run {
        table,
        base: base.to_owned(),
        tools: Tools { stock, ours },
        // Not for a first look, where the waits would be most of the time.
        disk: Disk::new(base, !arguments.scale.small && disk::is_ext4_without_journal(base)),
        scale: arguments.scale,
        rounds,
        only: arguments.only,
    };
    let mut record = Record::new(&run)?;
    let parts: &[Part] = match table {
        Table::Data => {
            &[start::measure_all, folder::measure_all, local_remote::measure_all, big::measure_all, many::measure_all]
        }
        Table::Remotes => &[remotes::measure_all],
    };
    for measure_all in parts {
        record.rows.extend(measure_all(&run)?);
    }
    ensure!(!record.rows.is_empty(), "no row has such a name: {}", run.only.join(", "));
    record.took = begin.elapsed();
    print!("{}", record.markdown());
    // The table of remotes may be taken kind by kind: it says which rows it has.
    if arguments.write && !run.scale.small && (run.only.is_empty() || table == Table::Remotes) {
        eprintln!("written to {}", record.write()?.display());
    }
    let missed = record.missed();
    ensure!(!arguments.strict || missed == 0, "{missed} floors were missed");
    Ok(())
}
