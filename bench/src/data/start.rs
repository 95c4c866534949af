//! Start: what a command costs that has next to nothing to do.

use std::process::Command;

use anyhow::Result;

use crate::data::Run;
use crate::data::material;
use crate::data::rows::{Contender, Facts, Floor, Output, Row, Taken, Writes, take};
use crate::data::tool::{Side, clean, measure, remove};

struct Tiny {
    side: Side,
    files: u64,
}

impl Contender for Tiny {
    fn side(&self) -> &Side {
        &self.side
    }

    fn lost(&mut self) {}
}

impl Tiny {
    /// No output is tracked; the state database stays as it is in a repository that is in use.
    fn empty(&mut self) -> Result<()> {
        for name in ["small.bin", "small.bin.dvc", ".gitignore", ".dvc/cache"] {
            remove(&self.side.path(name))?;
        }
        Ok(())
    }

    /// A file of new content, so that no state knows it; both tools get the same.
    fn small(&mut self) -> Result<()> {
        self.empty()?;
        self.files += 1;
        material::small_file(&self.side.path("small.bin"), self.files)
    }
}

const ROWS: [Row<Tiny>; 3] = [
    Row {
        group: "start",
        name: "--version",
        args: &["--version"],
        floor: Floor::Milliseconds(5.0),
        bounds: &["git --version"],
        before: |_| Ok(()),
        after: |_| Ok(Facts::new()),
        output: Output::Free,
        writes: Writes::Little,
        repeat: 5,
    },
    Row {
        group: "start",
        name: "status in an empty repository",
        args: &["status"],
        floor: Floor::Milliseconds(10.0),
        bounds: &["git status"],
        before: Tiny::empty,
        after: |_| Ok(Facts::new()),
        output: Output::Same,
        writes: Writes::Little,
        repeat: 5,
    },
    Row {
        group: "start",
        name: "add of one small file",
        args: &["add", "small.bin"],
        floor: Floor::Milliseconds(25.0),
        bounds: &[],
        before: Tiny::small,
        after: |tiny| tiny.side.facts("small.bin"),
        output: Output::SameWords,
        writes: Writes::Little,
        repeat: 5,
    },
];

pub fn measure_all(run: &Run) -> Result<Vec<Taken>> {
    let scene = run.scene("start")?;
    let mut sides = run.sides(&scene, |side| Tiny { side, files: 0 })?;
    let (home, root) = (sides[0].side.home.clone(), sides[0].side.root.clone());
    let mut bound = |name: &'static str, _: &[&str]| {
        let arg = if name == "git --version" { "--version" } else { "status" };
        measure(clean(Command::new("git").arg(arg), &home).current_dir(&root))
    };
    let taken = take(&ROWS, &mut sides, &mut bound, run.rounds, &run.wanted());
    run.clear(&scene)?;
    taken
}
