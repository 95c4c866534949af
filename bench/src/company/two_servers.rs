//! The same writers, half of them moved to a second server on the same database.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use trackway_testkit::services::Postgres;

use super::record::{Floor, Row, Section};
use super::{POSTGRESQL, Run, database, postgresql, postgresql_version, version};
use crate::http::write_request;
use crate::load::{Load, Until};
use crate::measure::median;
use crate::servers::{Kind, Server, Setup};

const PART: &str = "two-servers";
const API: &str = "/api/2.0/mlflow";
const FLOOR: f64 = 1.5;

/// What a writer sends, and how many points that is.
struct Writing {
    name: &'static str,
    clients: usize,
    points: usize,
}

const WRITINGS: [Writing; 2] = [
    Writing { name: "log-metric, 64 clients", clients: 64, points: 1 },
    Writing { name: "log-batch of 1000 points, 16 clients", clients: 16, points: 1000 },
];

pub fn measure(run: &Run) -> Result<Section> {
    let wanted: Vec<_> = WRITINGS.iter().filter(|writing| run.wanted(PART, writing.name)).collect();
    if wanted.is_empty() {
        return Ok(Section::default());
    }
    let postgres = postgresql()?;
    let database = database(&postgres, Kind::Trackway.name())?;
    let setup = Setup { database: Some(database), ..Default::default() };
    let servers = ["first", "second"]
        .iter()
        .map(|name| Server::start_as(Kind::Trackway, &run.folder(&format!("{PART}-{name}"))?, true, &setup))
        .collect::<Result<Vec<_>>>()?;

    let mut section = Section::default();
    section.about.push(format!("{}, {}", version(Kind::Trackway)?, postgresql_version(&postgres)?));
    section.about.push(POSTGRESQL.to_owned());
    section.about.push(
        "Each client writes to a run of its own; with two servers, every other client speaks with the second one. The figure \
         beside Trackway's is that of one server. All points that were acknowledged are counted afterwards, and have to be there once"
            .to_owned(),
    );
    section.about.push(
        "The clients, the servers and PostgreSQL share the machine's cores: a second server adds something only where \
         one of them leaves cores idle"
            .to_owned(),
    );
    for writing in wanted {
        section.rows.push(row(run, writing, &servers, &postgres)?);
    }
    for server in servers {
        server.stop()?;
    }
    Ok(section)
}

fn row(run: &Run, writing: &Writing, servers: &[Server], postgres: &Postgres) -> Result<Row> {
    let ids = make_runs(&servers[0], writing)?;
    let time = Duration::from_millis(if run.small { 800 } else { 4000 });
    let mut sent = vec![0_usize; ids.len()];
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..run.rounds {
        for count in [1, 2] {
            let addresses: Vec<SocketAddr> = servers[..count].iter().map(|server| server.address).collect();
            postgres.query(Kind::Trackway.name(), "VACUUM (ANALYZE)")?;
            let mut load = Load::connect_to_all(addresses, writing.clients, false)?;
            let mut make = |client: usize, out: &mut Vec<u8>| {
                let body = body(&ids[client], sent[client], writing.points);
                sent[client] += writing.points;
                write_request(out, "POST", &format!("{API}/runs/log-batch"), body.as_bytes());
            };
            load.drive(Until { time: time / 4, least: 2 * writing.clients, most: usize::MAX }, &mut make)?;
            let outcome = load.drive(Until { time, least: writing.clients, most: usize::MAX }, &mut make)?;
            ensure!(outcome.errors == 0, "{} answered {:?}", Kind::Trackway, outcome.first_error);
            let rate = (outcome.answered() * writing.points) as f64 / outcome.elapsed.as_secs_f64();
            eprintln!(
                "  {:<38} {count} server{}: {rate:>10.0} points/s",
                writing.name,
                if count == 1 { " " } else { "s" }
            );
            rates[count - 1].push(rate);
        }
    }
    exact(&servers[1], &ids, &sent)?;
    let ratios = rates[1].iter().zip(&rates[0]).map(|(two, one)| two / one).collect();
    let [one, two] = rates.map(median);
    Ok(Row {
        name: writing.name.to_owned(),
        unit: "points/s".to_owned(),
        ours: two,
        other: Some(("one server".to_owned(), one)),
        floor: Floor::Ratio { is: median(ratios), least: FLOOR },
    })
}

fn make_runs(server: &Server, writing: &Writing) -> Result<Vec<String>> {
    let post = |path: &str, body| server.call("POST", &format!("{API}/{path}"), Some(&body));
    let made = post("experiments/create", json!({"name": writing.name}))?;
    (0..writing.clients)
        .map(|client| {
            let body = json!({"experiment_id": made["experiment_id"], "run_name": format!("writer-{client}"), "start_time": 1});
            let made = post("runs/create", body)?;
            Ok(made["run"]["info"]["run_id"].as_str().context("a run has an id")?.to_owned())
        })
        .collect()
}

/// Steps go on from the client's last one.
fn body(run: &str, first: usize, points: usize) -> String {
    let metrics: Vec<_> = (first..first + points)
        .map(|step| json!({"key": "loss", "value": (step as f64).sin(), "timestamp": 1_760_000_000_000_u64 + step as u64 * 37, "step": step}))
        .collect();
    json!({"run_id": run, "metrics": metrics, "params": [], "tags": []}).to_string()
}

/// Every point that was acknowledged is there, once, asked from the server that wrote the fewer of them.
fn exact(server: &Server, ids: &[String], sent: &[usize]) -> Result<()> {
    for (id, sent) in ids.iter().zip(sent) {
        let path = format!("{API}/metrics/get-history?run_id={id}&metric_key=loss");
        let answer = server.call("GET", &path, None)?;
        let points = answer["metrics"].as_array().context("get-history answered no metrics")?;
        let steps: std::collections::BTreeSet<_> = points.iter().filter_map(|point| point["step"].as_u64()).collect();
        ensure!(
            points.len() == *sent && steps.len() == *sent && steps.last().is_none_or(|last| *last + 1 == *sent as u64),
            "{} points were acknowledged for a run, and {} are there with {} different steps",
            sent,
            points.len(),
            steps.len()
        );
    }
    Ok(())
}
