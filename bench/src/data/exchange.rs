//! Push to and pull from a remote that is a folder of the same disk.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::data::Run;
use crate::data::folder::Plain;
use crate::data::material;
use crate::data::rows::{Contender, Facts, Floor, Output, Row, Taken, Writes, take};
use crate::data::tool::Side;

struct Exchange {
    side: Side,
    files: usize,
    /// The cache and the work tree hold the data.
    added: bool,
    /// Number of the remote; a new one has a new path, of which no index remembers anything.
    remote: usize,
    pushed: bool,
}

impl Contender for Exchange {
    fn side(&self) -> &Side {
        &self.side
    }

    fn lost(&mut self) {
        (self.added, self.pushed) = (false, false);
    }
}

const DATA: &str = "data";

impl Exchange {
    fn remote(&self) -> PathBuf {
        self.side.path(&format!("../remote-{}", self.remote))
    }

    fn added(&mut self) -> Result<()> {
        if !self.added {
            self.side.remove_cache()?;
            self.side.forget()?;
            self.side.disk.put_aside(&self.side.path(DATA))?;
            material::fill_folders(&self.side.path(DATA), self.files)?;
            self.side.must(&["add", DATA])?;
            self.added = true;
        }
        Ok(())
    }

    fn empty_remote(&mut self) -> Result<()> {
        self.added()?;
        self.side.disk.put_aside(&self.remote())?;
        self.remote += 1;
        self.pushed = false;
        fs::create_dir_all(self.remote())?;
        let name = format!("../../remote-{}", self.remote);
        self.side.configure(&format!("[core]\n    remote = store\n['remote \"store\"']\n    url = {name}\n"))
    }

    fn pushed(&mut self) -> Result<()> {
        if !self.pushed {
            self.empty_remote()?;
            self.side.must(&["push"])?;
            self.pushed = true;
        }
        Ok(())
    }

    /// As a fresh clone: nothing but `data.dvc`, and no memory.
    fn clone_of_it(&mut self) -> Result<()> {
        self.pushed()?;
        self.side.remove_cache()?;
        self.side.forget()?;
        self.added = false;
        self.side.disk.put_aside(&self.side.path(DATA))
    }

    fn has_pushed(&mut self) -> Result<Facts> {
        self.pushed = true;
        self.side.object_facts("the remote", &self.remote())
    }

    fn has_pulled(&mut self) -> Result<Facts> {
        self.added = true;
        self.side.facts(DATA)
    }

    fn pulled(&mut self) -> Result<()> {
        self.pushed()?;
        self.added()
    }
}

const fn row(
    name: &'static str,
    args: &'static [&'static str],
    part: f64,
    bounds: &'static [&'static str],
    before: fn(&mut Exchange) -> Result<()>,
    after: fn(&mut Exchange) -> Result<Facts>,
) -> Row<Exchange> {
    let group = "local remote";
    let writes = if bounds.is_empty() { Writes::Little } else { Writes::Creates };
    Row { group, name, args, floor: Floor::OfDvc(part), bounds, before, after, output: Output::Same, writes, repeat: 1 }
}

const ROWS: [Row<Exchange>; 4] = [
    row("push", &["push"], 4.0, &["cp -r"], Exchange::empty_remote, Exchange::has_pushed),
    row("push, nothing to do", &["push"], 30.0, &[], Exchange::pushed, Exchange::has_pushed),
    row("pull", &["pull"], 6.0, &["cp -r"], Exchange::clone_of_it, Exchange::has_pulled),
    row("pull, nothing to do", &["pull"], 30.0, &[], Exchange::pulled, Exchange::has_pulled),
];

pub fn measure_all(run: &Run) -> Result<Vec<Taken>> {
    let wanted = run.wanted();
    if !ROWS.iter().any(|r| wanted(r.group, r.name)) {
        return Ok(Vec::new());
    }
    let scene = run.scene("exchange")?;
    let plain = Plain::new(&scene, run.scale.exchanged, false, &run.disk)?;
    let mut sides = run.sides(&scene, |side| Exchange {
        side,
        files: run.scale.exchanged,
        added: false,
        remote: 0,
        pushed: false,
    })?;
    let taken = take(&ROWS, &mut sides, &mut |name| plain.bound(name), run.rounds, &wanted);
    run.clear(&scene)?;
    taken
}
