//! The record: figures of both tools and of the bounds, ratios, floors and verdicts, with machine, date and versions.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::data::disk::{discards, is_ext4_without_journal};
use crate::data::material::{FILE_BYTES, Scale};
use crate::data::rows::{Figure, Taken};
use crate::data::tool::{Who, clean, must};
use crate::data::{Run, Table};
use crate::report::{date, file_system, machine, number};

pub struct Record {
    pub rows: Vec<Taken>,
    pub took: Duration,
    table: Table,
    scale: Scale,
    rounds: usize,
    machine: String,
    versions: [String; 2],
    commit: String,
    links: String,
    journal: bool,
    discards: bool,
}

impl Record {
    pub fn new(run: &Run) -> Result<Record> {
        let version = |who| -> Result<String> {
            let mut command = Command::new(run.tools.program(who));
            let said = must(clean(command.arg("--version"), &run.base))?;
            Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
        };
        Ok(Record {
            rows: Vec::new(),
            took: Duration::ZERO,
            table: run.table,
            scale: run.scale,
            rounds: run.rounds,
            machine: format!("{}, everything on one {}", machine(), file_system(&run.base)),
            versions: [version(Who::Stock)?, version(Who::Ours)?],
            commit: commit(),
            links: links(&run.base)?,
            journal: !is_ext4_without_journal(&run.base),
            discards: discards(&run.base),
        })
    }

    fn title(&self) -> &'static str {
        match self.table {
            Table::Data => "Data commands",
            Table::Remotes => "Remotes",
        }
    }

    pub fn missed(&self) -> usize {
        self.rows.iter().filter(|row| row.passes() == Some(false)).count()
    }

    pub fn markdown(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "# {}: Trackway beside DVC {}, {}\n", self.title(), self.versions[0], date());
        if self.scale.small {
            let _ = writeln!(out, "A run on small data: for a first look, not for a claim.\n");
        }
        let _ = writeln!(out, "Machine: {}. {}\n", self.machine, self.links);
        let _ = writeln!(
            out,
            "- Trackway at commit {}, called through a link named `dvc` (there it says that it is {}).\n\
             - DVC {} from PyPI, compiled to bytecode; analytics and the look for updates are off.\n\
             - Each tool has its own repository of the same files, its own home and state database. The page cache is warm.\n\
             - {}\n\
             - {} interleaved round{}; times are medians, ratios and verdicts the medians of each round's own ratio.\n",
            self.commit,
            self.versions[1],
            self.versions[0],
            self.material(),
            self.rounds,
            if self.rounds == 1 { "" } else { "s" },
        );
        if !self.journal {
            let _ = writeln!(
                out,
                "This ext4 has no journal. It then searches past every inode that was deleted within the last minute, so that creating many \
                 files soon after deleting many costs up to ten times as much. {}\n",
                if self.scale.small {
                    "On small data this is not waited for: the rows that create or delete files say little."
                } else {
                    "So nothing is deleted between measurements, and what creates files waits for a minute after a command that deleted many."
                }
            );
        }
        if self.discards {
            let _ = writeln!(
                out,
                "It is mounted with `discard`: who deletes a file waits until the device knows of its free blocks, which may take \
                 milliseconds.\n"
            );
        }
        self.write_floors(&mut out);
        self.write_bounds(&mut out);
        self.write_figures(&mut out);
        let _ = writeln!(out, "\nThe run took {:.1} minutes.", self.took.as_secs_f64() / 60.0);
        out
    }

    fn material(&self) -> String {
        let Scale { files, exchanged, big, large, many, .. } = self.scale;
        match self.table {
            Table::Data => format!(
                "Folder: {files} files of {FILE_BYTES} bytes, 100 to a folder; local remote: {exchanged}; large file: {} MiB; many: \
                 {many} files of 64 bytes.",
                big >> 20
            ),
            Table::Remotes => format!(
                "S3 (SeaweedFS): {exchanged} files of {FILE_BYTES} bytes and one of {} MiB; SSH (OpenSSH), WebDAV (Apache), Azure (Azurite), \
                 Google (fake-gcs-server) and HDFS (Hadoop): {} files and one of {} MiB, which cache and work tree share by a hard link. All \
                 servers run on the same machine, and their CPU is nobody's.",
                large >> 20,
                exchanged / 10,
                large >> 22
            ),
        }
    }

    fn write_floors(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "## Against the floors\n\nWall time. \"Used\" is what Trackway took of what the floor allows: 100 % is just enough.\n\n\
             | | | DVC | Trackway | bounds | times faster | times less CPU | floor | used | |\n|---|---|--:|--:|---|--:|--:|---|--:|---|"
        );
        for row in &self.rows {
            let seconds = |value: Option<f64>| value.map_or("–".to_owned(), time);
            let bounds: Vec<String> = row
                .bounds
                .iter()
                .filter_map(|name| Some(format!("`{name}` {}", time(row.median(|r| Some(r.bounds.get(name)?.wall))?))))
                .collect();
            let verdict = match row.passes() {
                _ if row.failure.is_some() => "**NOT RUN**",
                _ if !row.differences.is_empty() => "**ANSWERS DIFFER**",
                Some(true) => "pass",
                Some(false) => "**MISS**",
                None => "",
            };
            let mut ours = seconds(row.median(|r| Some(r.ours?.wall)));
            if let (true, Some(bytes)) = (row.floor.is_of_memory(), row.median(|r| Some(r.ours?.memory))) {
                ours += &format!(", {} MB", number(bytes / 1e6));
            }
            let _ = writeln!(
                out,
                "| {} | {} | {} | {ours} | {} | {} | {} | {} | {} | {verdict} |",
                row.group,
                row.name,
                seconds(row.median(|r| Some(r.stock?.wall))),
                bounds.join(", "),
                row.ratio().map_or("–".to_owned(), number),
                row.cpu_ratio().map_or("–".to_owned(), number),
                row.floor.text(),
                row.used().map_or("–".to_owned(), |used| format!("{:.0} %", used * 100.0)),
            );
        }
        for row in &self.rows {
            if let Some(failure) = &row.failure {
                let _ = writeln!(out, "\n**Not run**: {}, {}: {failure}", row.group, row.name);
            }
            for difference in &row.differences {
                let _ = writeln!(out, "\n**Not the same answer**: {}, {}: {difference}", row.group, row.name);
            }
        }
    }

    fn write_bounds(&self, out: &mut String) {
        let _ = writeln!(out, "\n## What bounds each\n");
        for (name, meaning) in BOUNDS {
            let used = |row: &Taken| row.bounds.contains(name);
            if self.rows.iter().any(used) {
                let _ = writeln!(out, "- `{name}`: {meaning}");
            }
        }
        let _ = writeln!(
            out,
            "- A checkout of objects that are not recorded as good reads and hashes each before it is linked or copied, which DVC never does: \
             its floor is that of the copy or link, and `md5sum` of all on top.\n\
             - The bounds run on files that no tool tracks, in the same round as the tools. What was written before is flushed before \
             each clock starts, so that nobody pays for another's pages; what a command itself leaves unwritten is nobody's time."
        );
    }

    fn write_figures(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "\n## All figures\n\nWall: median (least – most). CPU: user and system time of the process tree. Memory: the largest \
             process.\n\n| | command | of | runs | wall | CPU | MB |\n|---|---|---|--:|--:|--:|--:|"
        );
        for row in &self.rows {
            let mut line = |of: &str, figure: &dyn Fn(&crate::data::rows::Round) -> Option<Figure>| {
                let walls: Vec<f64> = row.rounds.iter().filter_map(|r| Some(figure(r)?.wall)).collect();
                let Some(wall) = row.median(|r| Some(figure(r)?.wall)) else {
                    return;
                };
                let least = walls.iter().copied().fold(f64::INFINITY, f64::min);
                let most = walls.iter().copied().fold(0.0, f64::max);
                let _ = writeln!(
                    out,
                    "| {}: {} | `{}` | {of} | {} | {} ({} – {}) | {} | {} |",
                    row.group,
                    row.name,
                    row.command,
                    walls.len(),
                    time(wall),
                    time(least),
                    time(most),
                    time(row.median(|r| Some(figure(r)?.cpu)).unwrap_or_default()),
                    number(row.median(|r| Some(figure(r)?.memory)).unwrap_or_default() / 1e6),
                );
            };
            line("DVC", &|r| r.stock);
            line("Trackway", &|r| r.ours);
            for name in row.bounds {
                line(&format!("`{name}`"), &|r| r.bounds.get(name).copied());
            }
        }
    }

    fn json(&self) -> Value {
        let figure = |f: &Figure| json!({"wall_s": f.wall, "cpu_s": f.cpu, "memory_bytes": f.memory});
        let row = |row: &Taken| {
            let rounds: Vec<Value> = row
                .rounds
                .iter()
                .map(|r| {
                    let bounds: serde_json::Map<_, _> =
                        r.bounds.iter().map(|(name, f)| ((*name).to_owned(), figure(f))).collect();
                    json!({"dvc": r.stock.as_ref().map(figure), "trackway": r.ours.as_ref().map(figure), "bounds": bounds})
                })
                .collect();
            json!({"group": row.group, "name": row.name, "command": row.command, "floor": row.floor.text(),
                   "passes": row.passes(), "times_faster": row.ratio(), "used": row.used(),
                   "differences": row.differences, "failure": row.failure, "rounds": rounds})
        };
        json!({
            "date": date(), "machine": self.machine, "links": self.links, "dvc": self.versions[0], "commit": self.commit,
            "files": self.scale.files, "exchanged": self.scale.exchanged, "large_bytes": self.scale.large, "big_bytes": self.scale.big, "many": self.scale.many,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }

    /// Writes the record and the raw numbers to `bench/results/`.
    pub fn write(&self) -> Result<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{}-{}.md", date(), self.table.name()));
        fs::write(&path, self.markdown())?;
        fs::write(path.with_extension("json"), format!("{:#}\n", self.json()))?;
        Ok(path)
    }
}

const BOUNDS: &[(&str, &str)] = &[
    ("git --version", "starting a small native program."),
    (
        "git status",
        "the same files tracked by git: one lstat of each file and one read of each folder, compared with its index.",
    ),
    (
        "md5sum",
        "reading and hashing all bytes, one process for each core where there are many files; one file has one MD5 only.",
    ),
    (
        "cp -r",
        "creating each file once and copying its bytes, by one thread: what any checkout by copy, and any filling of a cache by copy, must do.",
    ),
    (
        "cp -al",
        "one link() for each file by one thread: what any checkout by hardlink, and any filling of a cache by hardlink, must do.",
    ),
    ("cp -as", "one symlink() for each file by one thread."),
    (
        "rclone",
        "`rclone copy` with 32 transfers at once, or `rclone copyto` with 6 parts of 8 MiB at once, from plain files to the same server and \
         back; it hashes nothing that it need not.",
    ),
    (
        crate::data::loader::NAME,
        "a loop over the requests that store or read the same bodies, 32 small ones or 6 parts at once, and nothing else: no hash, no \
         cache, no look at what is there; what comes down is written to files once.",
    ),
    ("rm -rf", "one unlink() for each file of a plain copy by one thread."),
    ("cp", "copying the large file once."),
    ("find", "one lstat of each file, by one thread, with nothing to compare it with."),
];

/// Seconds, or milliseconds below one.
fn time(seconds: f64) -> String {
    if seconds < 1.0 { format!("{} ms", number(seconds * 1e3)) } else { format!("{} s", number(seconds)) }
}

/// The commit of this source tree, which the programs were built from when `cargo xtask` built them.
fn commit() -> String {
    let ask = |args: &[&str]| {
        let done = must(Command::new("git").args(args).current_dir(env!("CARGO_MANIFEST_DIR"))).ok()?;
        Some(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    };
    let Some(hash) = ask(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let changed = ask(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
    if changed { format!("{hash} with changes") } else { hash }
}

/// What DVC's default `cache.type = reflink,copy` comes to here.
fn links(base: &Path) -> Result<String> {
    let (from, to) = (base.join("reflink-from"), base.join("reflink-to"));
    fs::write(&from, "x")?;
    let reflink = must(Command::new("cp").arg("--reflink=always").args([&from, &to])).is_ok();
    Ok(if reflink {
        "The file system has reflinks: \"copy\", the default cache type, is a reflink there for all tools and `cp`."
    } else {
        "The file system has no reflinks: the default cache type comes to copies."
    }
    .to_owned())
}
