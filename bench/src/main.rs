//! Side-by-side benchmark of `trackway server`, `mlflow server` and `fml server` (FastTrackML), and, in [`data`], of the
//! data commands beside DVC, and, in [`company`], of PostgreSQL, several servers and object stores.
//!
//! One run, top to bottom:
//! 1. [`world`] fills each server with the same ten thousand runs, one long metric and a registry (the incumbents' filled
//!    databases are cached), and [`servers`] starts all three on them, each with its own defaults.
//! 2. [`same`] compares their answers; a difference ends the run before any time is taken.
//! 3. [`measure`] drives each of the [`operations`] through [`load`] (raw sockets of [`http`], one epoll thread, closed
//!    loop) in interleaved rounds, and charges each server the CPU time of its whole [`process_tree`].
//! 4. [`footprint`] takes start time, idle memory and bytes on disk for each metric point.
//! 5. [`report`] prints one table with ratios, floors and verdicts, and writes it to `bench/results/`.

mod company;
mod data;
mod footprint;
mod http;
mod load;
mod measure;
mod operations;
mod process_tree;
mod report;
mod same;
mod servers;
mod world;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use measure::{Contender, Effort};
use report::Report;
use servers::{Kind, Server};
use world::World;

const USAGE: &str = "\
Usage: trackway-bench [OPTIONS]        the tracking servers
       trackway-bench data [OPTIONS]   the data commands; see `trackway-bench data --help`
       trackway-bench remotes [OPTIONS]  push and pull with servers of every kind
       trackway-bench company [OPTIONS]  PostgreSQL, several servers, artifacts; see `trackway-bench company --help`

  --servers LIST   which servers, of trackway,mlflow,fasttrackml (default: all three)
  --only NAME      only what has NAME in its name; may be given several times (also: start, memory, disk)
  --quick          one short round of each, and less data on disk: for a first look, not for a claim
  --rounds N       rounds of each measurement (default: 3)
  --runs N         runs to search among (default: 10000)
  --no-write       print the report, do not write it to bench/results/
  --despite-differences  measure although the servers' answers differ; the report says where
  --strict         end with an error when a floor is missed
";

struct Arguments {
    kinds: Vec<Kind>,
    only: Vec<String>,
    quick: bool,
    rounds: Option<usize>,
    runs: usize,
    write: bool,
    strict: bool,
    despite: bool,
}

fn arguments() -> Result<Arguments> {
    let mut parsed = Arguments {
        kinds: Kind::ALL.to_vec(),
        only: Vec::new(),
        quick: false,
        rounds: None,
        runs: 10_000,
        write: true,
        strict: false,
        despite: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--servers" => {
                parsed.kinds.clear();
                for name in value()?.split(',') {
                    let kind = Kind::ALL.into_iter().find(|k| k.name() == name);
                    parsed.kinds.push(kind.with_context(|| format!("there is no server {name}"))?);
                }
            }
            "--only" => parsed.only.push(value()?),
            "--quick" => parsed.quick = true,
            "--rounds" => parsed.rounds = Some(value()?.parse().context("--rounds takes a number")?),
            "--runs" => parsed.runs = value()?.parse().context("--runs takes a number")?,
            "--no-write" => parsed.write = false,
            "--strict" => parsed.strict = true,
            "--despite-differences" => parsed.despite = true,
            "-h" | "--help" => {
                print!("{USAGE}");
                std::process::exit(0);
            }
            other => bail!("there is no option {other}\n\n{USAGE}"),
        }
    }
    Ok(parsed)
}

/// Clients that write to a run of their own.
const WRITERS: usize = 256;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("data") => return data::main(data::Table::Data, words),
        Some("load") => return data::loader::main(words),
        Some("remotes") => return data::main(data::Table::Remotes, words),
        Some(word) if company::knows(word) => return company::main(word, words),
        _ => {}
    }
    let arguments = arguments()?;
    let wanted = |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|o| name.contains(o.as_str()));
    let scratch = tempfile::Builder::new().prefix("trackway-bench-").tempdir()?;
    servers::end_on_signal(scratch.path())?;
    let mut report = Report::new(arguments.quick, scratch.path());
    for &kind in &arguments.kinds {
        kind.prepare()?;
        report.versions.push((kind, kind.version()?));
    }
    let begin = Instant::now();
    let operations: Vec<_> = operations::ALL.iter().filter(|o| wanted(o.name)).collect();
    let footprint = ["start", "memory"].into_iter().any(wanted);

    let mut directories = Vec::new();
    if !operations.is_empty() || footprint {
        for (kind, version) in &report.versions {
            directories.push((*kind, world::filled_directory(*kind, version, arguments.runs, scratch.path())?));
        }
    }
    if !operations.is_empty() {
        let mut contenders = Vec::new();
        for (kind, directory) in &directories {
            let server = Server::start(*kind, directory, true)?;
            server.settled_cpu(0.1)?;
            let world = World::open(&server, arguments.runs, WRITERS)?;
            contenders.push(Contender { server, world, idle_cpu: 0.0 });
        }
        eprintln!("comparing answers …");
        report.differences = same::differences(&contenders)?;
        let told = report.differences.join("\n");
        if !told.is_empty() && !arguments.despite {
            bail!("{told}\nNo times are taken of answers that differ; --despite-differences does, and says so.");
        }
        eprintln!("{told}");
        std::thread::sleep(Duration::from_secs(if arguments.quick { 1 } else { 5 }));
        for contender in &mut contenders {
            contender.idle_cpu = contender.server.idle_cpu(Duration::from_secs(if arguments.quick { 2 } else { 5 }))?;
            report.idle_cpu.push((contender.server.kind, contender.idle_cpu));
        }
        let rounds = arguments.rounds.unwrap_or(if arguments.quick { 1 } else { 3 });
        let time = Duration::from_millis(if arguments.quick { 400 } else { 1500 });
        for operation in operations {
            report.rows.extend(measure::operation(
                operation,
                &mut contenders,
                Effort { rounds, time, spare: arguments.quick },
            )?);
        }
        for contender in contenders {
            contender.server.stop()?;
        }
    }
    for (kind, directory) in &directories {
        report.durability.push((*kind, kind.durability(&servers::database(*kind, directory)?.0)));
    }
    if footprint {
        let directories = &directories;
        footprint::start_and_memory(directories, scratch.path(), arguments.quick, &mut report)?;
    }
    footprint::disk(&arguments.kinds, scratch.path(), arguments.quick, &wanted, &mut report)?;

    report.took = begin.elapsed();
    print!("{}", report.markdown());
    if arguments.write {
        let path = report.write()?;
        eprintln!("written to {}", path.display());
    }
    let missed = report.missed();
    if arguments.strict && missed > 0 {
        bail!("{missed} floors were missed");
    }
    Ok(())
}
