//! Push to and pull from a remote that is a folder of the same disk.

use anyhow::Result;

use crate::data::Run;
use crate::data::exchange::{Exchange, Load};
use crate::data::folder::Plain;
use crate::data::rows::{Facts, Floor, Output, Row, Taken, Writes, take};
use crate::data::stores::Store;

const fn row(
    name: &'static str,
    args: &'static [&'static str],
    part: f64,
    bounds: &'static [&'static str],
    before: fn(&mut Exchange<'static>) -> Result<()>,
    after: fn(&mut Exchange<'static>) -> Result<Facts>,
) -> Row<Exchange<'static>> {
    let group = "local remote";
    let writes = if bounds.is_empty() { Writes::Little } else { Writes::Creates };
    Row { group, name, args, floor: Floor::OfDvc(part), bounds, before, after, output: Output::Same, writes, repeat: 1 }
}

const ROWS: [Row<Exchange<'static>>; 4] = [
    row("push", &["push"], 4.0, &["cp -r"], Exchange::new_remote, Exchange::has_pushed),
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
    let load = Load::Files(run.scale.exchanged);
    let mut sides = run.sides(&scene, |side| Exchange::new(side, &Store::Folder, load))?;
    let taken = take(&ROWS, &mut sides, &mut |name, _| plain.bound(name), run.rounds, &wanted);
    run.clear(&scene)?;
    taken
}
