//! Runs with 10 params, 10 metrics and 5 tags each, from a fixed seed: the same on every server.

use crate::world::Random;

pub const START: i64 = 1_700_000_000_000;

pub struct Run {
    pub number: usize,
    pub uuid: String,
    pub name: String,
    pub start: i64,
    pub end: i64,
    pub params: Vec<(String, String)>,
    pub metrics: Vec<f64>,
    pub tags: Vec<(&'static str, String)>,
}

pub fn metric_name(number: usize) -> String {
    format!("metric_{number}")
}

pub fn run(number: usize) -> Run {
    let mut random = Random(number as u64);
    let team = ["vision", "speech", "ranking", "fraud"][(random.next() % 4) as usize];
    let name = format!("run-{number:07}");
    let tags = vec![
        ("git.branch", format!("feature/{}", random.next() % 40)),
        ("mlflow.runName", name.clone()),
        ("mlflow.source.name", "train.py".to_owned()),
        ("stage", if random.next().is_multiple_of(2) { "prod" } else { "dev" }.to_owned()),
        ("team", team.to_owned()),
    ];
    let optimizer = if random.next().is_multiple_of(2) { "adam" } else { "sgd" };
    let mut params = vec![("optimizer".to_owned(), optimizer.to_owned())];
    params.extend((1..10).map(|key| (format!("param_{key}"), format!("{:.6}", random.unit()))));
    let metrics = (0..10).map(|_| random.unit()).collect();
    let uuid = format!("{:016x}{:016x}", random.next(), random.next());
    let start = START + number as i64 * 1000;
    Run { number, uuid, name, start, end: start + 900, params, metrics, tags }
}
