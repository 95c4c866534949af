//! The record: sections of rows with figures, floors and verdicts, as JSON and as the table made from it.

use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::report::{self, number};

#[derive(Default, Serialize, Deserialize)]
pub struct Record {
    pub sections: Vec<Section>,
}

/// What one part of the benchmark has found. The part fills `about`, `rows` and `more`.
#[derive(Default, Serialize, Deserialize)]
pub struct Section {
    pub name: String,
    pub title: String,
    pub machine: String,
    /// With `--scale small`: for a first look, not for a claim.
    #[serde(default)]
    pub small: bool,
    pub rounds: usize,
    pub minutes: f64,
    /// Versions, settings, how it was measured: a line each.
    pub about: Vec<String>,
    pub rows: Vec<Row>,
    /// Further tables, as Markdown.
    pub more: String,
}

#[derive(Serialize, Deserialize)]
pub struct Row {
    pub name: String,
    pub unit: String,
    pub ours: f64,
    /// Who it is compared with, and that one's figure.
    pub other: Option<(String, f64)>,
    pub floor: Floor,
}

#[derive(Serialize, Deserialize)]
pub enum Floor {
    /// By how much ours is better (below 1: worse), and by how much it has to be.
    Ratio { is: f64, least: f64 },
    /// On our own figure.
    AtMost(f64),
    /// For the record.
    None,
}

impl Row {
    pub fn passes(&self) -> Option<bool> {
        match self.floor {
            Floor::Ratio { is, least } => Some(is >= least),
            Floor::AtMost(most) => Some(self.ours <= most),
            Floor::None => None,
        }
    }
}

impl Section {
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "\n## {}\n\nMachine: {}.\n", self.title, self.machine);
        if self.small {
            let _ = writeln!(out, "**A small run: a first look, not a claim.**\n");
        }
        for line in &self.about {
            let _ = writeln!(out, "- {line}.");
        }
        let _ = writeln!(out, "- `{}`: rounds {}, {:.1} minutes.", self.name, self.rounds, self.minutes);
        let _ =
            writeln!(out, "\n| | unit | Trackway | beside it | | ratio | floor | |\n|---|---|--:|---|--:|--:|--:|---|");
        for row in &self.rows {
            let (who, other) = match &row.other {
                Some((who, other)) => (who.as_str(), number(*other)),
                None => ("", String::new()),
            };
            let (ratio, floor) = match row.floor {
                Floor::Ratio { is, least } => (number(is), format!("≥ {}", number(least))),
                Floor::AtMost(most) => (String::new(), format!("≤ {}", number(most))),
                Floor::None => (String::new(), String::new()),
            };
            let verdict = match row.passes() {
                Some(true) => "PASS",
                Some(false) => "**MISS**",
                None => "",
            };
            let _ = writeln!(
                out,
                "| {} | {} | {} | {who} | {other} | {ratio} | {floor} | {verdict} |",
                row.name,
                row.unit,
                number(row.ours)
            );
        }
        if !self.more.is_empty() {
            let _ = writeln!(out, "\n{}", self.more.trim_end());
        }
        out
    }
}

impl Record {
    /// What was recorded today, if anything.
    pub fn read(path: &Path) -> Result<Record> {
        match fs::read(path.with_extension("json")) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).with_context(|| format!("{}.json is no record", path.display()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Record::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}.json", path.display())),
        }
    }

    /// Takes a section in, in place of the last of that name; a small run does not replace a full one.
    pub fn put(&mut self, section: Section) {
        if section.small && self.sections.iter().any(|known| known.name == section.name && !known.small) {
            return;
        }
        self.sections.retain(|known| known.name != section.name);
        self.sections.push(section);
    }

    /// Writes it, its sections in the order of these names.
    pub fn write(&mut self, path: &Path, order: &[&str]) -> Result<()> {
        self.sections.sort_by_key(|section| order.iter().position(|name| *name == section.name));
        let mut markdown = format!("# A company's server, {}\n", report::date());
        let _ = writeln!(
            markdown,
            "\nRatios say how many times better Trackway is. Each section was measured by itself; what else the machine did then \
             stands in its load. Times suffer from it, CPU figures less."
        );
        for section in &self.sections {
            markdown.push_str(&section.markdown());
        }
        fs::write(path.with_extension("md"), markdown)?;
        fs::write(path.with_extension("json"), format!("{:#}\n", serde_json::to_value(&self)?))?;
        Ok(())
    }
}

/// Today's record, without its extension.
pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("results").join(format!("{}-company", report::date()))
}

/// The machine, the file system that data lie on, and how busy it has been over the last minutes.
pub fn machine_now(scratch: &Path) -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<_> = load.split(' ').take(3).collect();
    let (machine, system) = (report::machine(), report::file_system(scratch));
    format!("{machine}, data on {system}; load over the last 1, 5 and 15 minutes {}", load.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_measured_again_replaces_what_was_recorded() {
        let row = |ours| Row {
            name: "time".into(),
            unit: "ms".into(),
            ours,
            other: Some(("MLflow".into(), 40.0)),
            floor: Floor::Ratio { is: 40.0 / ours, least: 20.0 },
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("today");
        let mut record = Record::read(&path).unwrap();
        for ours in [4.0, 2.0] {
            record.put(Section { name: "b".into(), title: "B".into(), rows: vec![row(ours)], ..Default::default() });
        }
        record.put(Section { name: "a".into(), title: "A".into(), ..Default::default() });
        record.put(Section { name: "b".into(), small: true, ..Default::default() });
        record.write(&path, &["a", "b"]).unwrap();
        let again = Record::read(&path).unwrap();
        assert_eq!(again.sections.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(again.sections[1].rows[0].passes(), Some(true));
        assert!(again.sections[1].markdown().contains("| time | ms | 2 | MLflow | 40 | 20 | ≥ 20 | PASS |"));
    }
}
