//! Rounds over the operations: server A, B, C, then A, B, C again, so that the machine's noise hits all alike.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::load::{Load, Outcome, Until};
use crate::operations::{Judge, Operation};
use crate::servers::{Kind, Server};
use crate::world::World;

/// A server that is filled and warm, and what is known of it.
pub struct Contender {
    pub server: Server,
    pub world: World,
    /// CPU seconds a second that the tree uses without any request; taken off what operations are charged.
    pub idle_cpu: f64,
}

/// One operation at one number of clients against one server: what a round saw.
#[derive(Clone)]
pub struct Round {
    pub p50: f64,
    pub p95: f64,
    pub mean: f64,
    /// Answers a second.
    pub rate: f64,
    /// Seconds of CPU of the process tree (and of the database server, if there is one) for an answer.
    pub cpu: f64,
    pub answers: usize,
    pub errors: usize,
    /// Requests that had to be sent again because the server had closed their connection.
    pub reconnects: usize,
    pub first_error: Option<String>,
}

/// The rounds of one row of the report.
pub struct Row {
    pub operation: &'static str,
    pub clients: usize,
    pub kind: Kind,
    pub quick_ack: bool,
    pub rounds: Vec<Round>,
}

impl Row {
    pub fn median(&self, of: fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(of).collect())
    }

    pub fn errors(&self) -> usize {
        self.rounds.iter().map(|r| r.errors).sum()
    }

    pub fn json(&self) -> Value {
        let rounds: Vec<Value> = self
            .rounds
            .iter()
            .map(|r| {
                json!({"p50_s": r.p50, "p95_s": r.p95, "mean_s": r.mean, "rate": r.rate, "cpu_s": r.cpu,
                       "answers": r.answers, "errors": r.errors, "reconnects": r.reconnects, "first_error": r.first_error})
            })
            .collect();
        json!({"operation": self.operation, "clients": self.clients, "server": self.kind.name(),
               "quick_ack": self.quick_ack, "rounds": rounds})
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    pub time: Duration,
    /// Leave out what takes the incumbents minutes each and no floor is on: heavy operations by many clients.
    pub spare: bool,
}

/// Measures one operation on all contenders at each of its numbers of clients.
pub fn operation(operation: &Operation, contenders: &mut [Contender], effort: Effort) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for &clients in operation.clients {
        let mut these: Vec<Row> = Vec::new();
        let rounds = if operation.heavy && clients > 8 { effort.rounds.min(1) } else { effort.rounds };
        for round in 0..rounds {
            let mut i = 0;
            for contender in contenders.iter_mut() {
                let kind = contender.server.kind;
                if operation.registry && !kind.has_registry() {
                    continue;
                }
                if effort.spare && operation.heavy && clients > 8 && kind != Kind::Trackway {
                    continue;
                }
                // mlflow answers in two packets and waits ~40 ms for the acknowledgement of the first: measured with
                // the client's delayed acknowledgement (as every HTTP library has it) and without. With many clients
                // these waits overlap, so there the first is measured only where the rate counts.
                let both = clients == 1 || operation.judge == Judge::Rate;
                let modes: &[bool] = match kind {
                    Kind::Mlflow if both => &[true, false],
                    Kind::Mlflow => &[true],
                    _ => &[false],
                };
                for &quick_ack in modes {
                    if round == 0 {
                        these.push(Row { operation: operation.name, clients, kind, quick_ack, rounds: Vec::new() });
                    }
                    let seen = measure(operation, contender, clients, quick_ack, effort)?;
                    eprintln!(
                        "  {:<38} {clients:>3} clients {:<12}{} p50 {:>9.3} ms  {:>8.0}/s  cpu {:>10.1} us{}",
                        operation.name,
                        kind.name(),
                        if kind == Kind::Mlflow && quick_ack { " quickack" } else { "         " },
                        seen.p50 * 1e3,
                        seen.rate,
                        seen.cpu * 1e6,
                        seen.first_error
                            .as_deref()
                            .map(|e| format!("  {} errors: {e}", seen.errors))
                            .unwrap_or_default(),
                    );
                    these[i].rounds.push(seen);
                    i += 1;
                }
            }
        }
        rows.extend(these);
    }
    Ok(rows)
}

fn measure(
    operation: &Operation,
    contender: &mut Contender,
    clients: usize,
    quick_ack: bool,
    effort: Effort,
) -> Result<Round> {
    let Contender { server, world, idle_cpu } = contender;
    let mut load = Load::connect(server.address, clients, quick_ack)?;
    let mut make = |client: usize, out: &mut Vec<u8>| (operation.write)(world, client, out);
    let quick = server.kind != Kind::Mlflow;
    // Warm-up: every connection is accepted and used, caches are filled.
    let warm = if quick {
        Until { time: effort.time.min(Duration::from_millis(300)), least: 2 * clients, most: usize::MAX }
    } else {
        Until::count(if operation.heavy { clients.min(8) } else { 2 * clients.max(8) })
    };
    load.drive(warm, &mut make)?;
    let before = server.settled_cpu(*idle_cpu)?;
    let begin = std::time::Instant::now();
    let least = if operation.heavy { clients.max(3) } else { clients.max(20) };
    let outcome = load.drive(Until { time: effort.time, least, most: usize::MAX }, &mut make)?;
    let after = server.settled_cpu(*idle_cpu)?;
    let idle = *idle_cpu * begin.elapsed().as_secs_f64();
    if server.kind == Kind::Trackway {
        let first = outcome.first_error.as_deref().unwrap_or_default();
        ensure!(outcome.errors == 0, "Trackway answered {} of {}: {first}", outcome.errors, operation.name);
    }
    ensure!(outcome.answered() > 0, "{} answered no {}: {:?}", server.kind, operation.name, outcome.first_error);
    let cpu = ((after - before).as_secs_f64() - idle).max(0.0) / outcome.answered() as f64;
    Ok(summary(outcome, cpu))
}

fn summary(outcome: Outcome, cpu: f64) -> Round {
    let mut latencies: Vec<f64> = outcome.latencies.iter().map(Duration::as_secs_f64).collect();
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share).round() as usize];
    Round {
        p50: at(0.5),
        p95: at(0.95),
        mean: latencies.iter().sum::<f64>() / latencies.len() as f64,
        rate: latencies.len() as f64 / outcome.elapsed.as_secs_f64(),
        cpu,
        answers: latencies.len(),
        errors: outcome.errors,
        reconnects: outcome.reconnects,
        first_error: outcome.first_error,
    }
}
