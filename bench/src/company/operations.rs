//! All operations of the servers' benchmark, Trackway and MLflow each in a database of its own on one PostgreSQL server.

use std::time::Duration;

use anyhow::{Result, bail};
use trackway_testkit::services::Postgres;

use super::carried::carry;
use super::record::{Floor, Row, Section};
use super::{POSTGRESQL, Run, database, postgresql, postgresql_version, version};
use crate::measure::{self, Contender, Effort};
use crate::operations::{self, Operation};
use crate::report::{figures, number, plural};
use crate::servers::{Kind, Server, Setup};
use crate::world::{self, World};
use crate::{WRITERS, same};

const PART: &str = "postgres";
const KINDS: [Kind; 2] = [Kind::Trackway, Kind::Mlflow];
const FLOOR: f64 = 20.0;

pub fn measure(run: &Run) -> Result<Section> {
    let wanted: Vec<_> = operations::ALL.iter().filter(|o| run.wanted(PART, o.name)).collect();
    if wanted.is_empty() {
        return Ok(Section::default());
    }
    let runs = if run.small { 1500 } else { 10_000 };
    let postgres = postgresql()?;
    let mut contenders = Vec::new();
    for kind in KINDS {
        kind.prepare()?;
        let database = database(&postgres, kind.name())?;
        let folder = run.folder(&format!("{PART}-{}", kind.name()))?;
        // Its supervisor ends workers that are busy for five seconds, be it with their own start on a busy machine.
        let patience = ["--uvicorn-opts", "--timeout-worker-healthcheck 120"];
        let arguments = if kind == Kind::Mlflow { patience.map(str::to_owned).to_vec() } else { Vec::new() };
        let setup = Setup { database: Some(database), arguments, ..Default::default() };
        let server = Server::start_as(kind, &folder, true, &setup)?;
        // The first answer comes before all of mlflow's workers are up.
        server.settled_cpu(0.1)?;
        eprintln!("filling {kind} with {runs} runs …");
        if kind == Kind::Trackway {
            world::fill(&server, runs)?;
        } else {
            // From its cached SQLite database.
            let filled = world::filled_directory(kind, &kind.version()?, runs, &run.scratch)?;
            carry(&filled.join(kind.database_file()), &postgres, kind.name())?;
        }
        let world = World::open(&server, runs, WRITERS)?;
        contenders.push(Contender { server, world, idle_cpu: 0.0 });
    }
    eprintln!("comparing answers …");
    let differences = same::differences(&contenders)?;
    if !differences.is_empty() {
        bail!("{}\nNo times are taken of answers that differ.", differences.join("\n"));
    }

    let mut section = Section::default();
    section.about.push(format!(
        "{}, {}, {}: one database each on one PostgreSQL server, {runs} runs, the same answers",
        version(Kind::Trackway)?,
        version(Kind::Mlflow)?,
        postgresql_version(&postgres)?
    ));
    section.about.push(POSTGRESQL.to_owned());
    section.about.push(
        "CPU is that of the server's process tree and of all of PostgreSQL's processes (backends, ended ones too, WAL writer, \
         checkpointer), until the work that answers leave behind is done, for one answer; what both use when idle is taken off"
            .to_owned(),
    );
    section.about.push(
        "MLflow runs with its defaults (4 uvicorn workers, job execution) but for more patience with busy workers, its Python compiled beforehand, telemetry off; of its \
         figures with and without quick acknowledgement by the client, the better one counts"
            .to_owned(),
    );
    std::thread::sleep(Duration::from_secs(if run.small { 1 } else { 5 }));
    for contender in &mut contenders {
        contender.idle_cpu = contender.server.idle_cpu(Duration::from_secs(if run.small { 2 } else { 5 }))?;
        let idle = number(contender.idle_cpu * 1e3);
        section
            .about
            .push(format!("{} with PostgreSQL uses {idle} ms of CPU a second when idle", contender.server.kind));
    }

    let time = Duration::from_millis(if run.small { 400 } else { 1500 });
    let mut rows = Vec::new();
    let mut vacuums = String::new();
    for operation in wanted {
        vacuum(&postgres)?;
        let these = measure::operation(operation, &mut contenders, Effort { rounds: run.rounds, time, spare: true })?;
        vacuums.push_str(&left_to_vacuum(operation.name, &postgres, &contenders, &these)?);
        for &clients in operation.clients {
            let cpu = |kind| {
                let of = these.iter().filter(|row| row.kind == kind && row.clients == clients);
                of.map(|row| row.median(|r| r.cpu)).reduce(f64::min)
            };
            let (Some(ours), Some(theirs)) = (cpu(Kind::Trackway), cpu(Kind::Mlflow)) else {
                continue;
            };
            section.rows.push(Row {
                name: row_name(operation, clients),
                unit: "CPU µs".to_owned(),
                ours: ours * 1e6,
                other: Some((Kind::Mlflow.to_string(), theirs * 1e6)),
                floor: Floor::Ratio { is: theirs / ours, least: FLOOR },
            });
        }
        rows.extend(these);
    }
    for contender in contenders {
        contender.server.stop()?;
    }
    section.more = format!("Medians over the rounds.\n\n{}", figures(&rows));
    section.more.push_str("\nWhat vacuuming afterwards cost, in PostgreSQL's CPU for an answer that was measured:\n\n");
    section.more.push_str("| operation | Trackway µs | MLflow µs |\n|---|--:|--:|\n");
    section.more.push_str(&vacuums);
    Ok(section)
}

fn row_name(operation: &Operation, clients: usize) -> String {
    match operation.name {
        name if name.ends_with("clients") => name.to_owned(),
        name => format!("{name}, {clients} client{}", plural(clients)),
    }
}

fn vacuum(postgres: &Postgres) -> Result<()> {
    for kind in KINDS {
        postgres.query(kind.name(), "VACUUM (ANALYZE)")?;
    }
    Ok(())
}

/// What an operation leaves to autovacuum, which is off.
fn left_to_vacuum(name: &str, postgres: &Postgres, contenders: &[Contender], rows: &[measure::Row]) -> Result<String> {
    let mut costs = Vec::new();
    for contender in contenders {
        let kind = contender.server.kind;
        let answers: usize =
            rows.iter().filter(|row| row.kind == kind).flat_map(|row| &row.rounds).map(|round| round.answers).sum();
        let before = contender.server.settled_cpu(contender.idle_cpu)?;
        postgres.query(kind.name(), "VACUUM (ANALYZE)")?;
        let cost = contender.server.settled_cpu(contender.idle_cpu)?.saturating_sub(before);
        costs.push(number(cost.as_secs_f64() * 1e6 / answers.max(1) as f64));
    }
    Ok(format!("| {name} | {} |\n", costs.join(" | ")))
}
