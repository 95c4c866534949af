//! A row of the table: one command in a defined state, run by both tools and beside what bounds it.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::data::tool::{Measured, Side, Who};
use crate::measure::median;

/// What Trackway must reach in a row.
#[derive(Clone, Copy)]
pub enum Floor {
    Milliseconds(f64),
    /// At most this part of DVC's time: 20.0 is a twentieth.
    OfDvc(f64),
    /// At most this part of DVC's CPU time.
    CpuOfDvc(f64),
    /// At most so many times the bound, plus another bound's time.
    OfBound(f64, &'static str, Option<&'static str>),
    Seconds(f64),
    /// Bytes, of the largest process.
    Memory(f64),
    All(&'static [Floor]),
}

impl Floor {
    pub fn text(self) -> String {
        match self {
            Floor::Milliseconds(ms) => format!("≤ {ms} ms"),
            Floor::OfDvc(part) => format!("≤ 1/{part} of DVC"),
            Floor::CpuOfDvc(part) => format!("CPU ≤ 1/{part} of DVC"),
            Floor::OfBound(times, bound, None) => format!("≤ {times}× `{bound}`"),
            Floor::OfBound(times, bound, Some(plus)) => format!("≤ {times}× `{bound}` + `{plus}`"),
            Floor::Seconds(seconds) => format!("≤ {seconds} s"),
            Floor::Memory(bytes) => format!("≤ {} MB", bytes / 1e6),
            Floor::All(floors) => floors.iter().map(|floor| floor.text()).collect::<Vec<_>>().join(", "),
        }
    }

    pub fn is_of_memory(self) -> bool {
        match self {
            Floor::Memory(_) => true,
            Floor::All(floors) => floors.iter().any(|floor| floor.is_of_memory()),
            _ => false,
        }
    }
}

/// How the standard outputs of the tools are compared.
#[derive(Clone, Copy, PartialEq)]
pub enum Output {
    Same,
    /// Line by line in any order: DVC lists what it removes in the order of a Python set.
    SameLines,
    /// Word by word in any order: DVC's `git add` hint names its files in the order of a Python set.
    SameWords,
    Free,
}

/// What a command does to the disk.
#[derive(Clone, Copy, PartialEq)]
pub enum Writes {
    Little,
    Creates,
    Deletes,
    /// Creates what it then replaces.
    Both,
}

pub type Facts = Vec<(String, String)>;

pub struct Row<S> {
    pub group: &'static str,
    pub name: &'static str,
    pub args: &'static [&'static str],
    pub floor: Floor,
    pub bounds: &'static [&'static str],
    /// Brings the repository into the state that the command begins with; not measured.
    pub before: fn(&mut S) -> Result<()>,
    /// Notes what has become of it, and tells what the tools must agree in.
    pub after: fn(&mut S) -> Result<Facts>,
    pub output: Output,
    /// What it does to the disk, beyond a few files.
    pub writes: Writes,
    /// Runs in each round: short commands need more of them.
    pub repeat: usize,
}

/// The repository of one tool, which knows in which state it is.
pub trait Contender {
    fn side(&self) -> &Side;
    /// Something failed: nothing is known of its state any more.
    fn lost(&mut self);
}

#[derive(Clone, Copy)]
pub struct Figure {
    pub wall: f64,
    pub cpu: f64,
    pub memory: f64,
}

impl From<&Measured> for Figure {
    fn from(m: &Measured) -> Self {
        Figure { wall: m.wall.as_secs_f64(), cpu: m.cpu.as_secs_f64(), memory: m.memory as f64 }
    }
}

/// One interleaved round of a row.
#[derive(Default, Clone)]
pub struct Round {
    pub stock: Option<Figure>,
    pub ours: Option<Figure>,
    pub bounds: BTreeMap<&'static str, Figure>,
}

impl Round {
    /// How much of what the floor allows Trackway used: 1 is just enough.
    fn used(&self, floor: Floor) -> Option<f64> {
        let ours = self.ours?;
        let bound = |name| self.bounds.get(name).map(|f| f.wall);
        Some(match floor {
            Floor::Milliseconds(ms) => ours.wall * 1e3 / ms,
            Floor::OfDvc(part) => ours.wall * part / self.stock?.wall,
            Floor::CpuOfDvc(part) => ours.cpu * part / self.stock?.cpu,
            Floor::OfBound(times, name, plus) => {
                let more = match plus {
                    Some(plus) => bound(plus)?,
                    None => 0.0,
                };
                ours.wall / (times * bound(name)? + more)
            }
            Floor::Seconds(seconds) => ours.wall / seconds,
            Floor::Memory(bytes) => ours.memory / bytes,
            Floor::All(floors) => {
                let used: Option<Vec<f64>> = floors.iter().map(|floor| self.used(*floor)).collect();
                used?.into_iter().fold(0.0, f64::max)
            }
        })
    }
}

/// A row with what all rounds saw.
pub struct Taken {
    pub group: &'static str,
    pub name: &'static str,
    pub command: String,
    pub floor: Floor,
    pub bounds: &'static [&'static str],
    pub rounds: Vec<Round>,
    /// In what the two tools' answers differ.
    pub differences: Vec<String>,
    /// Why it could not be measured.
    pub failure: Option<String>,
}

impl Taken {
    /// The median over the rounds of what `of` finds in each.
    pub fn median(&self, of: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = self.rounds.iter().filter_map(of).collect();
        (!values.is_empty()).then(|| median(values))
    }

    /// How many times faster than DVC: the median of the rounds' ratios, since a disk's speed changes between rounds.
    pub fn ratio(&self) -> Option<f64> {
        self.median(|r| Some(r.stock?.wall / r.ours?.wall))
    }

    /// How many times less CPU than DVC.
    pub fn cpu_ratio(&self) -> Option<f64> {
        self.median(|r| Some(r.stock?.cpu / r.ours?.cpu))
    }

    /// What Trackway used of what the floor allows; the median over the rounds.
    pub fn used(&self) -> Option<f64> {
        self.median(|r| r.used(self.floor))
    }

    pub fn passes(&self) -> Option<bool> {
        if self.failure.is_some() || !self.differences.is_empty() {
            return Some(false);
        }
        self.used().map(|used| used <= 1.0)
    }
}

/// Runs a bound, which may depend on the command that it is a bound of.
pub type Bound<'a> = dyn FnMut(&'static str, &'static [&'static str]) -> Result<Measured> + 'a;

/// Measures rows in interleaved rounds: all rows in their order, in each of them the tools and the bounds.
pub fn take<S: Contender>(
    rows: &[Row<S>],
    sides: &mut [S],
    bound: &mut Bound,
    rounds: usize,
    wanted: &dyn Fn(&str, &str) -> bool,
) -> Result<Vec<Taken>> {
    let rows: Vec<&Row<S>> = rows.iter().filter(|row| wanted(row.group, row.name)).collect();
    let mut taken: Vec<Taken> = rows
        .iter()
        .map(|row| Taken {
            group: row.group,
            name: row.name,
            command: format!("dvc {}", row.args.join(" ")),
            floor: row.floor,
            bounds: row.bounds,
            rounds: Vec::new(),
            differences: Vec::new(),
            failure: None,
        })
        .collect();
    for round in 0..rounds {
        for (row, taken) in rows.iter().zip(&mut taken) {
            for repeat in 0..row.repeat {
                let seen = once(row, sides, bound, round + repeat, taken)?;
                eprintln!("  {}", line(taken, &seen));
                taken.rounds.push(seen);
            }
        }
        sides[0].side().disk.empty()?;
    }
    Ok(taken)
}

fn line(taken: &Taken, round: &Round) -> String {
    let time = |figure: Option<Figure>| match figure {
        Some(f) => format!("{:9.4} s (cpu {:8.4})", f.wall, f.cpu),
        None => format!("{:>26}", "–"),
    };
    let mut text =
        format!("{:<16} {:<36} DVC {}  Trackway {}", taken.group, taken.name, time(round.stock), time(round.ours));
    for (name, figure) in &round.bounds {
        text += &format!("  {name} {:.4}", figure.wall);
    }
    if let Some(failure) = &taken.failure {
        text += &format!("  FAILED: {failure}");
    }
    if !taken.differences.is_empty() {
        text += "  ANSWERS DIFFER";
    }
    text
}

fn once<S: Contender>(
    row: &Row<S>,
    sides: &mut [S],
    bound: &mut Bound,
    turn: usize,
    taken: &mut Taken,
) -> Result<Round> {
    let mut round = Round::default();
    let mut answers: [Option<Facts>; 2] = [None, None];
    // Who goes first changes, so that neither always runs on the disk that the other left.
    let mut order: Vec<usize> = (0..sides.len()).collect();
    if !turn.is_multiple_of(2) {
        order.reverse();
    }
    for i in order {
        let contender = &mut sides[i];
        let who = contender.side().who;
        if taken.failure.is_some() {
            continue;
        }
        match run(row, contender) {
            Ok((figure, facts)) => {
                let (answer, measured) = match who {
                    Who::Stock => (&mut answers[0], &mut round.stock),
                    Who::Ours => (&mut answers[1], &mut round.ours),
                };
                (*answer, *measured) = (Some(facts), Some(figure));
            }
            Err(error) => {
                taken.failure = Some(format!("{}: {error:#}", who.name()));
                contender.lost();
            }
        }
    }
    if let [Some(stock), Some(ours)] = &answers
        && taken.differences.is_empty()
    {
        taken.differences = differences(stock, ours);
    }
    for name in row.bounds {
        if matches!(row.writes, Writes::Creates | Writes::Both) {
            sides[0].side().disk.rest();
        }
        // What the one before wrote shall be on the disk.
        nix::unistd::sync();
        let done = bound(name, row.args)?;
        if let Some(failure) = done.failure() {
            bail!("the bound {name} of {}: {} failed with {failure}", row.group, row.name);
        }
        round.bounds.insert(name, Figure::from(&done));
    }
    Ok(round)
}

fn run<S: Contender>(row: &Row<S>, contender: &mut S) -> Result<(Figure, Facts)> {
    (row.before)(contender)?;
    let disk = contender.side().disk.clone();
    if matches!(row.writes, Writes::Creates | Writes::Both) {
        disk.rest();
    }
    nix::unistd::sync();
    let done = contender.side().run(row.args)?;
    if matches!(row.writes, Writes::Deletes | Writes::Both) {
        disk.deleted();
    }
    if let Some(failure) = done.failure() {
        bail!("`dvc {}` failed with {failure}", row.args.join(" "));
    }
    let mut facts = (row.after)(contender)?;
    let mut said = contender.side().masked(&done.stdout);
    let mut parts: Vec<&str> = match row.output {
        Output::SameLines => said.lines().collect(),
        Output::SameWords => said.split_whitespace().collect(),
        Output::Same | Output::Free => Vec::new(),
    };
    if !parts.is_empty() {
        parts.sort_unstable();
        said = parts.join("\n");
    }
    if row.output != Output::Free {
        facts.push(("standard output".to_owned(), said));
    }
    Ok((Figure::from(&done), facts))
}

fn differences(stock: &Facts, ours: &Facts) -> Vec<String> {
    let mut found = Vec::new();
    let names: std::collections::BTreeSet<&String> = stock.iter().chain(ours).map(|(name, _)| name).collect();
    for name in names {
        let of = |facts: &'_ Facts| facts.iter().find(|(n, _)| n == name).map(|(_, text)| text.clone());
        let (stock, ours) = (of(stock), of(ours));
        if stock != ours {
            let short = |text: Option<String>, other: Option<&String>| match text {
                Some(text) => excerpt(&text, other.map_or("", |o| o)),
                None => "not there".to_owned(),
            };
            let (left, right) = (short(stock.clone(), ours.as_ref()), short(ours, stock.as_ref()));
            found.push(format!("{name}: DVC {left}, Trackway {right}"));
        }
    }
    found
}

/// The place where a text begins to differ from another.
fn excerpt(text: &str, other: &str) -> String {
    let same = text.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let part: String = text.chars().skip(same.saturating_sub(20)).take(120).collect();
    format!("{part:?}{}", if same > 20 { format!(" (from character {})", same - 20) } else { String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(wall: f64) -> Figure {
        Figure { wall, cpu: wall, memory: 600e6 }
    }

    fn taken(floor: Floor, stock: f64, ours: f64, bound: f64) -> Taken {
        let bounds = BTreeMap::from([("cp", figure(bound)), ("md5sum", figure(1.0))]);
        let round = Round { stock: Some(figure(stock)), ours: Some(figure(ours)), bounds };
        let rounds = vec![round];
        let (group, name, command) = ("", "", String::new());
        Taken { group, name, command, floor, bounds: &[], rounds, differences: Vec::new(), failure: None }
    }

    #[test]
    fn floors() {
        for (floor, enough, short) in [
            (Floor::OfDvc(20.0), taken(Floor::OfDvc(20.0), 4.0, 0.2, 0.0), taken(Floor::OfDvc(20.0), 4.0, 0.21, 0.0)),
            (
                Floor::OfBound(1.3, "cp", Some("md5sum")),
                taken(Floor::OfBound(1.3, "cp", Some("md5sum")), 9.0, 3.5, 2.0),
                taken(Floor::OfBound(1.3, "cp", Some("md5sum")), 9.0, 3.7, 2.0),
            ),
            (
                Floor::Milliseconds(5.0),
                taken(Floor::Milliseconds(5.0), 1.0, 0.004, 0.0),
                taken(Floor::Milliseconds(5.0), 1.0, 0.006, 0.0),
            ),
        ] {
            assert_eq!(enough.passes(), Some(true), "{}", floor.text());
            assert_eq!(short.passes(), Some(false), "{}", floor.text());
        }
        // Fast enough, with too much memory.
        assert_eq!(
            taken(Floor::All(&[Floor::Seconds(2.0), Floor::Memory(500e6)]), 20.0, 1.0, 0.0).passes(),
            Some(false)
        );
    }

    #[test]
    fn other_answers_are_no_pass() {
        let mut row = taken(Floor::OfDvc(20.0), 4.0, 0.1, 0.0);
        let same = vec![("data.dvc".to_owned(), "outs:\n".to_owned())];
        row.differences = differences(&same, &same);
        assert_eq!(row.passes(), Some(true));
        row.differences = differences(&same, &vec![("data.dvc".to_owned(), "outs: []\n".to_owned())]);
        assert_eq!(row.passes(), Some(false));
        row.differences = differences(&same, &Vec::new());
        assert_eq!(row.differences.len(), 1);
    }

    #[test]
    fn what_was_not_measured_is_no_pass() {
        let mut row = taken(Floor::OfDvc(20.0), 4.0, 0.1, 0.0);
        row.rounds[0].ours = None;
        assert_eq!(row.passes(), None);
        row.failure = Some("not built".to_owned());
        assert_eq!(row.passes(), Some(false));
    }
}
