//! Push to and pull from remotes of every kind, each a real server on this machine: many small files, and one large one.

use std::fs;

use anyhow::Result;

use crate::data::Run;
use crate::data::exchange::{Exchange, Load};
use crate::data::loader;
use crate::data::rows::{Contender, Facts, Floor, Output, Row, Taken, Writes, take};
use crate::data::stores::Store;
use crate::data::tool::{Measured, Who, remove};
use Floor::{All, CpuOfDvc, Memory, OfBound, OfDvc};

const RCLONE: &str = "rclone";

/// What is asked of one kind of remote.
struct Kind {
    scheme: &'static str,
    /// As many files as the local remote's rows have and a file as large as theirs, or a part of both.
    part: u64,
    small: Floor,
    idle: Floor,
    large: Floor,
    /// What bounds the rows in which something is moved.
    bounds: &'static [&'static str],
    /// Whether DVC is measured, with small files and with a large one.
    stock: (bool, bool),
}

/// At least 80 % of its rate.
const BARE: Floor = OfBound(1.25, loader::NAME, None);
const EMULATED: Floor = All(&[BARE, CpuOfDvc(20.0)]);

const KINDS: [Kind; 6] = [
    Kind {
        scheme: "s3",
        part: 1,
        small: All(&[OfDvc(5.0), CpuOfDvc(20.0), OfBound(1.0, RCLONE, None)]),
        idle: OfDvc(10.0),
        large: All(&[OfBound(1.25, RCLONE, None), Memory(100e6)]),
        bounds: &[RCLONE],
        stock: (true, false),
    },
    Kind {
        scheme: "ssh",
        part: 10,
        small: OfDvc(5.0),
        idle: OfDvc(1.0),
        large: OfDvc(1.0),
        bounds: &[],
        stock: (true, true),
    },
    Kind {
        scheme: "webdav",
        part: 10,
        small: OfDvc(5.0),
        idle: OfDvc(1.0),
        large: OfDvc(1.0),
        bounds: &[],
        stock: (true, true),
    },
    Kind {
        scheme: "azure",
        part: 10,
        small: EMULATED,
        idle: OfDvc(1.0),
        large: EMULATED,
        bounds: &[loader::NAME],
        stock: (true, true),
    },
    Kind {
        scheme: "gs",
        part: 10,
        small: EMULATED,
        idle: OfDvc(1.0),
        large: EMULATED,
        bounds: &[loader::NAME],
        stock: (true, true),
    },
    // Stock reaches it through a library that comes with Hadoop only.
    Kind {
        scheme: "hdfs",
        part: 10,
        small: BARE,
        idle: BARE,
        large: BARE,
        bounds: &[loader::NAME],
        stock: (false, false),
    },
];

type State<'a> = fn(&mut Exchange<'a>) -> Result<()>;
type After<'a> = fn(&mut Exchange<'a>) -> Result<Facts>;

fn rows<'a>(kind: &Kind, is_large: bool) -> Vec<Row<Exchange<'a>>> {
    let row = |name, args: &'static [&'static str], floor, before: State<'a>, after: After<'a>| Row {
        group: kind.scheme,
        name,
        args,
        floor,
        bounds: kind.bounds,
        before,
        after,
        output: Output::Same,
        // What comes down is written twice: into the cache and into the work tree.
        writes: if args == ["pull"] { Writes::Creates } else { Writes::Little },
        repeat: 1,
    };
    let idle = |name, args: &'static [&'static str], before: State<'a>, after: After<'a>| Row {
        bounds: &[],
        writes: Writes::Little,
        ..row(name, args, kind.idle, before, after)
    };
    if is_large {
        return vec![
            row("large file, push", &["push"], kind.large, Exchange::new_remote, Exchange::has_pushed),
            row("large file, pull", &["pull"], kind.large, Exchange::clone_of_it, Exchange::has_pulled),
        ];
    }
    vec![
        row("small files, push", &["push"], kind.small, Exchange::new_remote, Exchange::has_pushed),
        idle("small files, push, nothing to do", &["push"], Exchange::pushed, Exchange::has_pushed),
        idle("small files, status -c", &["status", "-c"], Exchange::pulled, Exchange::has_looked),
        row("small files, pull", &["pull"], kind.small, Exchange::clone_of_it, Exchange::has_pulled),
        idle("small files, pull, nothing to do", &["pull"], Exchange::pulled, Exchange::has_pulled),
    ]
}

pub fn measure_all(run: &Run) -> Result<Vec<Taken>> {
    let wanted = run.wanted();
    let mut taken = Vec::new();
    for kind in &KINDS {
        let rows = [rows(kind, false), rows(kind, true)];
        if !rows.iter().flatten().any(|row| wanted(row.group, row.name)) {
            continue;
        }
        let scene = run.scene(kind.scheme)?;
        let store = Store::start(kind.scheme)?;
        let small = Load::Files(run.scale.exchanged / kind.part as usize);
        // A quarter, where the small ones are a tenth.
        let large = Load::File(run.scale.large / if kind.part > 1 { 4 } else { 1 });
        for ((load, rows), with_stock) in [small, large].into_iter().zip(&rows).zip([kind.stock.0, kind.stock.1]) {
            if !rows.iter().any(|row| wanted(row.group, row.name)) {
                continue;
            }
            let part = scene.join(load.name());
            fs::create_dir_all(&part)?;
            let mut sides: Vec<Exchange<'_>> = run
                .sides(&part, |mut side| {
                    if matches!((side.who, &store), (Who::Stock, Store::Gs(_))) {
                        // Without it stock's client asks Google itself what kind of bucket this is.
                        side.variables.push(("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false"));
                    }
                    Exchange::new(side, &store, load)
                })?
                .into();
            sides.retain(|side| with_stock || side.side().who == Who::Ours);
            let own = run.side(Who::Ours, &part.join("bound"))?;
            let (plain, copy) = (own.path("plain"), own.path("copy"));
            let (mut number, mut is_up) = (0, false);
            let mut bound = |name: &'static str, args: &[&str]| -> Result<Measured> {
                let mut once = |up: bool| {
                    if up {
                        number += 1;
                        if !plain.exists() {
                            load.fill(&plain)?;
                        }
                    }
                    let local = if up { &plain } else { &copy };
                    store.bound(name, load, up, &own, local, &format!("{name}-{number}").replace(' ', "-"))
                };
                if args == ["push"] {
                    is_up = true;
                    let done = once(true);
                    if let Load::File(_) = load {
                        // Its place is needed.
                        remove(&plain)?;
                    }
                    return done;
                }
                if !is_up {
                    // The row of the push is not asked for.
                    once(true)?;
                    is_up = true;
                }
                let done = once(false);
                remove(&copy)?;
                done
            };
            taken.extend(take(rows, &mut sides, &mut bound, run.rounds, &wanted)?);
            run.clear(&part)?;
        }
        drop(store);
        run.clear(&scene)?;
    }
    Ok(taken)
}
