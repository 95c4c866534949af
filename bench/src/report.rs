//! The report: figures of each server, ratios, floors and verdicts, with machine, date and versions.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use serde_json::{Value, json};

use crate::footprint::{Disk, Memory, Start};
use crate::measure::{Round, Row};
use crate::operations::{self, Judge, Operation};
use crate::servers::Kind;

#[derive(Default)]
pub struct Report {
    quick: bool,
    machine: String,
    pub versions: Vec<(Kind, String)>,
    pub differences: Vec<String>,
    pub durability: Vec<(Kind, String)>,
    pub idle_cpu: Vec<(Kind, f64)>,
    pub rows: Vec<Row>,
    pub starts: Vec<Start>,
    pub memory: Vec<Memory>,
    pub disk: Vec<Disk>,
    pub took: Duration,
}

/// One line of the table of verdicts.
struct Line {
    name: String,
    unit: &'static str,
    /// Figures of Trackway, MLflow and FastTrackML.
    figures: [Option<f64>; 3],
    /// How many times better Trackway is than MLflow and FastTrackML, and the floor of each.
    against: [Option<(f64, f64)>; 2],
    /// A floor on Trackway's own figure.
    at_most: Option<f64>,
}

impl Line {
    /// None when Trackway was not measured.
    fn passes(&self) -> Option<bool> {
        let ours = self.figures[0]?;
        let own = self.at_most.is_none_or(|floor| ours <= floor);
        Some(own && self.against.iter().flatten().all(|(ratio, floor)| ratio >= floor))
    }
}

impl Report {
    /// `scratch` is where the servers' databases lie.
    pub fn new(quick: bool, scratch: &Path) -> Self {
        Report { quick, machine: format!("{}, databases on {}", machine(), file_system(scratch)), ..Default::default() }
    }

    /// The better of the rows of one server (mlflow has one with and one without quick acknowledgement).
    fn best(&self, operation: &str, clients: usize, kind: Kind, of: fn(&Round) -> f64, largest: bool) -> Option<f64> {
        let rows = self.rows.iter().filter(|r| r.operation == operation && r.clients == clients && r.kind == kind);
        rows.map(|r| r.median(of)).reduce(|a, b| if largest { a.max(b) } else { a.min(b) })
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for operation in operations::ALL {
            if self.rows.iter().any(|r| r.operation == operation.name) {
                self.lines_of(operation, &mut lines);
            }
        }
        for start in ["fresh directory", "10k runs"] {
            let figure = |kind| {
                let found = self.starts.iter().find(|s| s.kind == kind)?;
                Some(if start == "10k runs" { found.filled } else { found.fresh } * 1e3)
            };
            lines.push(Line {
                name: format!("ready after start, {start}"),
                unit: "ms",
                figures: Kind::ALL.map(figure),
                against: [None, None],
                at_most: Some(50.0),
            });
        }
        for (name, filled, jobs) in [
            ("memory idle, fresh directory", false, true),
            ("memory idle, 10k runs", true, true),
            ("memory idle, fresh directory, mlflow without job execution", false, false),
        ] {
            let figure = |kind: Kind| {
                let found = self.memory.iter().find(|m| m.kind == kind && (m.jobs == jobs || kind != Kind::Mlflow))?;
                Some(if filled { found.filled } else { found.fresh } / 1e6)
            };
            lines.push(Line {
                name: name.to_owned(),
                unit: "MB",
                figures: Kind::ALL.map(figure),
                against: [None, None],
                at_most: Some(20.0),
            });
        }
        let mut seen: Vec<&str> = Vec::new();
        for disk in &self.disk {
            if seen.contains(&disk.name) {
                continue;
            }
            seen.push(disk.name);
            let figure = |kind| Some(self.disk.iter().find(|d| d.kind == kind && d.name == disk.name)?.bytes_a_point);
            lines.push(Line {
                name: disk.name.to_owned(),
                unit: "bytes/point",
                figures: Kind::ALL.map(figure),
                against: [None, None],
                at_most: Some(disk.floor),
            });
        }
        lines.retain(|l| l.figures.iter().any(Option::is_some));
        lines
    }

    fn lines_of(&self, operation: &Operation, lines: &mut Vec<Line>) {
        let name = operation.name;
        let (mlflow_floor, ftml_floor) = operation.floor;
        let mut line = |label: String, unit, scale: f64, clients, of: fn(&Round) -> f64, largest: bool| {
            let figures = Kind::ALL.map(|kind| self.best(name, clients, kind, of, largest));
            let ratio = |other: Option<f64>| {
                let (ours, other) = (figures[0]?, other?);
                Some(if largest { ours / other } else { other / ours })
            };
            lines.push(Line {
                name: label,
                unit,
                figures: figures.map(|f| f.map(|f| f * scale)),
                against: [ratio(figures[1]).map(|r| (r, mlflow_floor)), ratio(figures[2]).map(|r| (r, ftml_floor))],
                at_most: None,
            });
        };
        match operation.judge {
            Judge::Cpu => {
                for &clients in operation.clients {
                    line(
                        format!("{name}: CPU, {clients} client{}", plural(clients)),
                        "µs",
                        1e6,
                        clients,
                        |r| r.cpu,
                        false,
                    );
                }
            }
            Judge::Rate => {
                let clients = operation.clients[0];
                line(format!("{name}: rate"), "/s", 1.0, clients, |r| r.rate, true);
            }
            Judge::LatencyAndCpu => {
                line(format!("{name}: median latency, 1 client"), "ms", 1e3, 1, |r| r.p50, false);
                line(format!("{name}: CPU, 1 client"), "ms", 1e3, 1, |r| r.cpu, false);
            }
        }
    }

    pub fn missed(&self) -> usize {
        self.lines().iter().filter(|l| l.passes() == Some(false)).count()
    }

    pub fn markdown(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "# Trackway beside MLflow and FastTrackML, {}\n", date());
        if self.quick {
            let _ = writeln!(out, "A quick run (one short round): for a first look, not for a claim.\n");
        }
        let _ = writeln!(out, "Machine: {}.\n", self.machine);
        for difference in &self.differences {
            let _ = writeln!(out, "**Not the same answers**: {difference}.\n");
        }
        for (kind, version) in &self.versions {
            let _ = write!(out, "- {kind} {version}");
            if let Some((_, text)) = self.durability.iter().find(|(k, _)| k == kind) {
                let _ = write!(out, ". SQLite with {text}");
            }
            if let Some((_, idle)) = self.idle_cpu.iter().find(|(k, _)| k == kind) {
                let _ = write!(out, ". Idle it uses {:.2} ms of CPU a second (taken off below)", idle * 1e3);
            }
            let _ = writeln!(out, ".");
        }
        if self.versions.iter().any(|(k, _)| *k == Kind::Mlflow) {
            let _ = writeln!(
                out,
                "- MLflow runs with its defaults: 4 workers and job execution, its Python compiled beforehand, telemetry off."
            );
        }
        let _ = writeln!(
            out,
            "\n## Against the floors\n\nRatios say how many times better Trackway is; of MLflow's figures with and without quick \
             acknowledgement by the client, the better one counts.\n"
        );
        let _ =
            writeln!(out, "| | unit | Trackway | MLflow | FastTrackML | × MLflow (floor) | × FastTrackML (floor) | |");
        let _ = writeln!(out, "|---|---|--:|--:|--:|--:|--:|---|");
        for line in self.lines() {
            let figures = line.figures.map(|f| f.map_or("–".to_owned(), number));
            let mut against = line.against.map(|a| match a {
                Some((ratio, floor)) => format!("{} ({})", number(ratio), number(floor)),
                None => String::new(),
            });
            if let Some(floor) = line.at_most {
                against[0] = format!("at most {}", number(floor));
            }
            let verdict = match line.passes() {
                Some(true) => "pass",
                Some(false) => "**MISS**",
                None => "",
            };
            let [ours, mlflow, ftml] = figures;
            let _ = writeln!(
                out,
                "| {} | {} | {ours} | {mlflow} | {ftml} | {} | {} | {verdict} |",
                line.name, line.unit, against[0], against[1]
            );
        }
        if !self.rows.is_empty() {
            let _ = writeln!(
                out,
                "\n## All figures\n\nMedians over the rounds. CPU is that of the server's whole process tree for one answer.\n\n{}",
                figures(&self.rows).trim_end()
            );
        }
        if !self.memory.is_empty() {
            let processes: Vec<String> = self
                .memory
                .iter()
                .map(|m| {
                    let jobs = if m.jobs { "" } else { " without job execution" };
                    format!("{}{jobs} {}", m.kind, m.processes)
                })
                .collect();
            let _ = writeln!(
                out,
                "\nProcesses when idle: {}. Memory is PSS, summed over the process tree.",
                processes.join(", ")
            );
        }
        if !self.disk.is_empty() {
            let _ = writeln!(
                out,
                "\nDisk: size of the database file (all tables and indexes) less its size before the points, over the points; \
                 the incumbents store a twentieth of Trackway's {} points.",
                self.disk.iter().map(|d| d.points).max().unwrap_or(0)
            );
        }
        let _ = writeln!(out, "\nThe run took {:.1} minutes.", self.took.as_secs_f64() / 60.0);
        out
    }

    fn json(&self) -> Value {
        json!({
            "date": date(),
            "machine": self.machine,
            "quick": self.quick,
            "differences": self.differences,
            "versions": self.versions.iter().map(|(k, v)| (k.name().to_owned(), json!(v))).collect::<serde_json::Map<_, _>>(),
            "durability": self.durability.iter().map(|(k, v)| (k.name().to_owned(), json!(v))).collect::<serde_json::Map<_, _>>(),
            "idle_cpu_s_per_s": self.idle_cpu.iter().map(|(k, v)| (k.name().to_owned(), json!(v))).collect::<serde_json::Map<_, _>>(),
            "rows": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "ready_s": self.starts.iter().map(|s| json!({"server": s.kind.name(), "fresh": s.fresh, "filled": s.filled})).collect::<Vec<_>>(),
            "memory_bytes": self.memory.iter().map(|m| json!({"server": m.kind.name(), "jobs": m.jobs, "fresh": m.fresh, "filled": m.filled, "processes": m.processes})).collect::<Vec<_>>(),
            "disk": self.disk.iter().map(|d| json!({"data": d.name, "server": d.kind.name(), "points": d.points, "bytes_a_point": d.bytes_a_point})).collect::<Vec<_>>(),
        })
    }

    /// Writes the table and the raw numbers to `bench/results/`.
    pub fn write(&self) -> Result<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        fs::create_dir_all(&folder)?;
        let name = format!("{}-spine{}", date(), if self.quick { "-quick" } else { "" });
        let path = folder.join(format!("{name}.md"));
        fs::write(&path, self.markdown())?;
        fs::write(folder.join(format!("{name}.json")), format!("{:#}\n", self.json()))?;
        Ok(path)
    }
}

/// Medians of every row, as a table.
pub fn figures(rows: &[Row]) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "| operation | clients | server | p50 ms | p95 ms | mean ms | answers/s | CPU µs | errors |");
    let _ = writeln!(out, "|---|--:|---|--:|--:|--:|--:|--:|--:|");
    for row in rows {
        let mode = if row.kind == Kind::Mlflow && row.quick_ack { ", quick ack" } else { "" };
        let _ = writeln!(
            out,
            "| {} | {} | {}{mode} | {} | {} | {} | {} | {} | {} |",
            row.operation,
            row.clients,
            row.kind,
            number(row.median(|r| r.p50) * 1e3),
            number(row.median(|r| r.p95) * 1e3),
            number(row.median(|r| r.mean) * 1e3),
            number(row.median(|r| r.rate)),
            number(row.median(|r| r.cpu) * 1e6),
            row.errors(),
        );
    }
    out
}

pub fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// Three digits that matter.
pub fn number(value: f64) -> String {
    match value {
        v if !v.is_finite() => "–".to_owned(),
        v if v >= 100.0 || v == v.trunc() => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

/// Today in UTC, as YYYY-MM-DD.
pub fn date() -> String {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (year, month, day) = civil((seconds / 86400) as i64);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Days since 1970-01-01 to a date of the Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

pub fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model =
        cpu.lines().find(|l| l.starts_with("model name")).and_then(|l| l.split(": ").nth(1)).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, |n| n.get());
    let kernel = read("/proc/sys/kernel/osrelease");
    let release = kernel.split('-').next().unwrap_or_default().trim().to_owned();
    let memory = read("/proc/meminfo");
    let kilobytes: u64 = memory.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    format!("{model}, {cores} cores, {} GB of memory, Linux {release}", kilobytes / 1_000_000)
}

/// The type of the file system a folder lies on: what an fsync costs depends on it.
pub fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let of_folder = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        folder.starts_with(point).then_some((point.len(), kind))
    });
    of_folder.max().map_or("an unknown file system".to_owned(), |(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(20_454), (2026, 1, 1));
    }

    #[test]
    fn a_floor_that_is_missed_is_told() {
        let mut line = Line {
            name: String::new(),
            unit: "",
            figures: [Some(1.0), Some(49.0), None],
            against: [Some((49.0, 50.0)), None],
            at_most: None,
        };
        assert_eq!(line.passes(), Some(false));
        line.against[0] = Some((50.0, 50.0));
        assert_eq!(line.passes(), Some(true));
        line.at_most = Some(0.5);
        assert_eq!(line.passes(), Some(false));
        line.figures[0] = None;
        assert_eq!(line.passes(), None);
    }
}
