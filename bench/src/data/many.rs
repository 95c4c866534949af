//! A million files: time and memory of a clean `status`.
//!
//! Both tools look at one repository, in turns, each with its own state: to fill a cache twice would take most of an hour.

use std::process::Command;

use anyhow::Result;

use crate::data::Run;
use crate::data::material;
use crate::data::rows::{Contender, Facts, Floor, Output, Row, Taken, Writes, take};
use crate::data::tool::{Side, Who, clean, measure};

struct Many {
    side: Side,
    seen: bool,
}

impl Contender for Many {
    fn side(&self) -> &Side {
        &self.side
    }

    fn lost(&mut self) {
        self.seen = false;
    }
}

impl Many {
    /// The tool has looked at every file once and remembers it.
    fn seen(&mut self) -> Result<()> {
        if !self.seen {
            self.side.must(&["status"])?;
            self.seen = true;
        }
        Ok(())
    }
}

const ROWS: [Row<Many>; 1] = [Row {
    group: "a million files",
    name: "status, nothing changed",
    args: &["status"],
    floor: Floor::All(&[Floor::Seconds(2.0), Floor::Memory(500e6)]),
    bounds: &["find"],
    before: Many::seen,
    after: |_| Ok(Facts::new()),
    output: Output::Same,
    writes: Writes::Little,
    repeat: 1,
}];

/// Small contents: what is measured is the number of files.
const BYTES: usize = 64;

pub fn measure_all(run: &Run) -> Result<Vec<Taken>> {
    let wanted = run.wanted();
    if !ROWS.iter().any(|r| wanted(r.group, r.name)) {
        return Ok(Vec::new());
    }
    let scene = run.scene("many")?;
    let root = scene.join("repo");
    let side = |who, folder: &str| -> Result<Many> {
        Ok(Many { side: Side::at(who, root.clone(), &scene.join(folder), &run.tools, &run.disk)?, seen: false })
    };
    let mut sides = [side(Who::Stock, "stock")?, side(Who::Ours, "ours")?];
    sides[0].side.initialise()?;
    sides[0].side.configure("[cache]\n    type = hardlink\n")?;
    eprintln!("making {} files and adding them by hardlink …", run.scale.many);
    material::fill(&root.join("data"), run.scale.many, run.scale.many.div_ceil(1000).max(1), BYTES)?;
    if let Err(error) = sides[1].side.must(&["add", "data"]) {
        eprintln!("  {error:#}; DVC adds them instead, which takes minutes");
        sides[0].side.must(&["add", "data"])?;
    }
    let home = sides[0].side.home.clone();
    // One lstat of every file and nothing else.
    let mut bound = |_: &'static str, _: &[&str]| {
        let mut find = Command::new("find");
        measure(clean(find.args(["data", "-size", "+1G"]), &home).current_dir(&root))
    };
    let taken = take(&ROWS, &mut sides, &mut bound, run.rounds, &wanted);
    run.clear(&scene)?;
    taken
}
