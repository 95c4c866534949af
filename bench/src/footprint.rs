//! Start time, idle memory, and bytes on disk for each metric point.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::http::write_request;
use crate::load::{Load, Until};
use crate::measure::median;
use crate::process_tree;
use crate::report::Report;
use crate::servers::{Kind, Server, database};
use crate::world::Random;

const API: &str = "/api/2.0/mlflow";

#[derive(Clone, Copy)]
pub struct Memory {
    pub kind: Kind,
    /// False: mlflow with its job execution switched off.
    pub jobs: bool,
    pub fresh: f64,
    pub filled: f64,
    pub processes: usize,
}

pub struct Start {
    pub kind: Kind,
    pub fresh: f64,
    pub filled: f64,
}

/// Ready: from the start of the process to the first 200 of `/health`, in a new directory and on the filled database.
/// Memory: once the server has been left alone for a while.
pub fn start_and_memory(filled: &[(Kind, PathBuf)], scratch: &Path, quick: bool, report: &mut Report) -> Result<()> {
    eprintln!("start and memory …");
    let rounds = if quick { 2 } else { 5 };
    let mut times: Vec<(Vec<f64>, Vec<f64>)> = vec![Default::default(); filled.len()];
    for round in 0..rounds {
        for (i, (kind, directory)) in filled.iter().enumerate() {
            let fresh = scratch.join(format!("{}-fresh-{round}", kind.name()));
            let (first, second) = &mut times[i];
            for (directory, times) in [(&fresh, first), (directory, second)] {
                let server = Server::start(*kind, directory, true)?;
                times.push(server.ready.as_secs_f64());
                server.stop()?;
            }
        }
    }
    for ((kind, _), (fresh, filled)) in filled.iter().zip(times) {
        report.starts.push(Start { kind: *kind, fresh: median(fresh), filled: median(filled) });
    }
    for (kind, directory) in filled {
        for &jobs in if *kind == Kind::Mlflow { &[true, false][..] } else { &[true] } {
            let fresh = idle_memory(*kind, &scratch.join(format!("{}-fresh-0", kind.name())), jobs, quick)?;
            let filled = idle_memory(*kind, directory, jobs, quick)?;
            report.memory.push(Memory { kind: *kind, jobs, fresh: fresh.0, filled: filled.0, processes: fresh.1 });
        }
    }
    Ok(())
}

fn idle_memory(kind: Kind, directory: &Path, jobs: bool, quick: bool) -> Result<(f64, usize)> {
    let server = Server::start(kind, directory, jobs)?;
    // mlflow's job consumers come up over ten seconds after its first answer.
    std::thread::sleep(Duration::from_secs(match (kind, quick) {
        (Kind::Mlflow, _) => 20,
        (_, true) => 2,
        (_, false) => 5,
    }));
    let (bytes, processes) = process_tree::memory(server.pid())?;
    server.stop()?;
    Ok((bytes as f64, processes))
}

/// A kind of metric data, and how much of it.
struct Data {
    name: &'static str,
    floor: f64,
    runs: usize,
    keys: usize,
    steps: usize,
    steps_a_batch: usize,
    value: fn(&mut Random, usize, usize) -> f64,
}

/// A loss that falls, with noise, computed in float32 as a training framework does.
fn noisy_loss(random: &mut Random, key: usize, step: usize) -> f64 {
    f64::from((2.0 / (1.0 + step as f64 / (200.0 + key as f64)) + 0.05 * random.normal()) as f32)
}

fn full_noise(random: &mut Random, _key: usize, _step: usize) -> f64 {
    random.unit()
}

const DATA: [Data; 3] = [
    Data {
        name: "disk: long series, float32-made",
        floor: 5.0,
        runs: 1,
        keys: 20,
        steps: 100_000,
        steps_a_batch: 50,
        value: noisy_loss,
    },
    Data {
        name: "disk: long series, float64 noise",
        floor: 8.5,
        runs: 1,
        keys: 20,
        steps: 100_000,
        steps_a_batch: 50,
        value: full_noise,
    },
    Data {
        name: "disk: 1000 runs of 100 keys x 20 steps",
        floor: 30.0,
        runs: 1000,
        keys: 100,
        steps: 20,
        steps_a_batch: 10,
        value: noisy_loss,
    },
];

pub struct Disk {
    pub name: &'static str,
    pub floor: f64,
    pub kind: Kind,
    pub points: usize,
    pub bytes_a_point: f64,
}

/// Size of the whole database (every table and index, the write-ahead log folded in) less its size before, for each
/// point. The incumbents get a twentieth of the points: they need the same bytes for each, and minutes for all.
pub fn disk(
    kinds: &[Kind],
    scratch: &Path,
    quick: bool,
    wanted: &dyn Fn(&str) -> bool,
    report: &mut Report,
) -> Result<()> {
    for data in DATA.iter().filter(|d| wanted(d.name)) {
        for &kind in kinds {
            let share = if kind == Kind::Trackway { 1 } else { 20 } * if quick { 4 } else { 1 };
            let (runs, steps) = match data.runs {
                1 => (1, data.steps / share),
                n => ((n / share).max(1), data.steps),
            };
            let begin = Instant::now();
            let bytes = write_points(kind, data, runs, steps, scratch)?;
            let points = runs * data.keys * steps;
            let bytes_a_point = bytes as f64 / points as f64;
            eprintln!(
                "  {:<40} {:<12} {points:>8} points {bytes_a_point:>8.2} bytes each, {:.1} s",
                data.name,
                kind.name(),
                begin.elapsed().as_secs_f64()
            );
            report.disk.push(Disk { name: data.name, floor: data.floor, kind, points, bytes_a_point });
        }
    }
    Ok(())
}

fn write_points(kind: Kind, data: &Data, runs: usize, steps: usize, scratch: &Path) -> Result<u64> {
    let directory = tempfile::Builder::new().prefix(&format!("{}-disk-", kind.name())).tempdir_in(scratch)?;
    // The runs are there before: what they take is not the points'.
    let server = Server::start(kind, directory.path(), true)?;
    let mut ids = Vec::new();
    for number in 0..runs {
        let body = json!({"experiment_id": "0", "run_name": format!("run-{number}"), "start_time": 1_760_000_000_000_u64 + number as u64});
        let answer = server.call("POST", &format!("{API}/runs/create"), Some(&body))?;
        ids.push(answer["run"]["info"]["run_id"].as_str().context("runs/create gave no run_id")?.to_owned());
    }
    server.stop()?;
    let before = database(kind, directory.path())?.1;

    let server = Server::start(kind, directory.path(), true)?;
    let mut random = Random(11);
    let batches = steps.div_ceil(data.steps_a_batch);
    let mut sent = 0;
    let mut time = 1_760_000_000_000_u64;
    // One connection: a training run logs in its order.
    let mut load = Load::connect(server.address, 1, true)?;
    let outcome = load.drive(Until::count(runs * batches), &mut |_, out| {
        let (run, batch) = (&ids[sent / batches], sent % batches);
        sent += 1;
        let mut body = Vec::new();
        let _ = write!(body, r#"{{"run_id":"{run}","metrics":["#);
        let mut comma = "";
        for step in batch * data.steps_a_batch..((batch + 1) * data.steps_a_batch).min(steps) {
            time += 35 + random.next() % 11;
            for key in 0..data.keys {
                let value = (data.value)(&mut random, key, step);
                let _ = write!(
                    body,
                    r#"{comma}{{"key":"train/metric_{key}","value":{value},"timestamp":{time},"step":{step}}}"#
                );
                comma = ",";
            }
        }
        body.extend_from_slice(b"]}");
        write_request(out, "POST", &format!("{API}/runs/log-batch"), &body);
    })?;
    if let Some(error) = outcome.first_error {
        bail!("{kind} answered a batch with an error: {error}");
    }
    for id in &ids {
        let body = json!({"run_id": id, "status": "FINISHED", "end_time": time});
        server.call("POST", &format!("{API}/runs/update"), Some(&body))?;
    }
    // Time for work that goes on after the answers.
    server.settled_cpu(0.1)?;
    server.stop()?;
    let (_, after) = database(kind, directory.path())?;
    Ok(after.saturating_sub(before))
}
