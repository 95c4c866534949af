//! One large file: bound by MD5, which no second core can help with, and by writing it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::data::Run;
use crate::data::material;
use crate::data::rows::{Contender, Facts, Floor, Output, Row, Taken, Writes, take};
use crate::data::tool::{Side, clean, measure, must, remove};

struct Big {
    side: Side,
    /// The cache holds the file by this tool's `add` by copy, recorded as good, and the work tree a copy.
    added: bool,
    settled: bool,
}

impl Contender for Big {
    fn side(&self) -> &Side {
        &self.side
    }

    fn lost(&mut self) {
        (self.added, self.settled) = (false, false);
    }
}

const FILE: &str = "big.bin";

impl Big {
    fn file(&self) -> PathBuf {
        self.side.path(FILE)
    }

    /// The file is there, plain and in the page cache; no cache of the tool, no state.
    fn cold(&mut self, config: &str) -> Result<()> {
        self.lost();
        self.side.configure(config)?;
        if !self.file().exists() {
            // A checkout failed and left it in the cache only.
            let objects = self.side.objects(&self.side.path(".dvc/cache"))?;
            let name = objects.keys().next().context("the large file is neither in the work tree nor in the cache")?;
            let object = self.side.path(".dvc/cache/files/md5").join(&name[..2]).join(&name[2..]);
            fs::rename(object, self.file())?;
        }
        // Deleted, not put aside: its place on the disk is needed.
        remove(&self.side.path(".dvc/cache"))?;
        self.side.forget()?;
        remove(&self.side.path("big.bin.dvc"))?;
        remove(&self.side.path(".gitignore"))?;
        material::writable(&self.file())?;
        material::warm(&self.file())
    }

    fn added(&mut self) -> Result<()> {
        if !self.added {
            self.cold("")?;
            self.side.must(&["add", FILE])?;
            self.added = true;
        }
        if !self.settled {
            self.side.must(&["status"])?;
            self.settled = true;
        }
        Ok(())
    }

    fn before_checkout(&mut self) -> Result<()> {
        self.added()?;
        remove(&self.file())?;
        self.settled = false;
        let objects = self.side.objects(&self.side.path(".dvc/cache"))?;
        for name in objects.keys() {
            material::warm(&self.side.path(".dvc/cache/files/md5").join(&name[..2]).join(&name[2..]))?;
        }
        Ok(())
    }

    fn facts(&mut self) -> Result<Facts> {
        self.side.facts(FILE)
    }
}

const fn row(
    name: &'static str,
    args: &'static [&'static str],
    floor: Floor,
    bounds: &'static [&'static str],
    before: fn(&mut Big) -> Result<()>,
    after: fn(&mut Big) -> Result<Facts>,
) -> Row<Big> {
    let output = Output::SameWords;
    Row { group: "one large file", name, args, floor, bounds, before, after, output, writes: Writes::Little, repeat: 1 }
}

fn rows() -> [Row<Big>; 4] {
    use Floor::{Milliseconds, OfBound};
    let md5 = OfBound(1.05, "md5sum", None);
    let added: fn(&mut Big) -> Result<Facts> = |big| {
        big.added = true;
        big.facts()
    };
    [
        row(
            "add by hardlink",
            &["add", FILE],
            md5,
            &["md5sum"],
            |b| b.cold("[cache]\n    type = hardlink\n"),
            Big::facts,
        ),
        row("add by copy", &["add", FILE], md5, &["md5sum", "cp"], |b| b.cold(""), added),
        row("status", &["status"], Milliseconds(10.0), &[], Big::added, |_| Ok(Facts::new())),
        row(
            "checkout by copy, recorded as good",
            &["checkout"],
            OfBound(1.1, "cp", None),
            &["cp"],
            Big::before_checkout,
            Big::facts,
        ),
    ]
}

pub fn measure_all(run: &Run) -> Result<Vec<Taken>> {
    let (rows, wanted) = (rows(), run.wanted());
    if !rows.iter().any(|r| wanted(r.group, r.name)) {
        return Ok(Vec::new());
    }
    let scene = run.scene("big")?;
    let mut sides = run.sides(&scene, |side| Big { side, added: false, settled: false })?;
    eprintln!("writing a file of {} MiB, twice …", run.scale.big >> 20);
    material::big_file(&sides[0].file(), run.scale.big)?;
    must(Command::new("cp").arg("--reflink=auto").args([sides[0].file(), sides[1].file()]))?;
    // The bound works on DVC's file, which every row leaves in the work tree: a third one would need its place on disk.
    let (source, target, home) = (sides[0].file(), scene.join("copy"), sides[0].side.home.clone());
    let mut bound = |name: &'static str, _: &[&str]| {
        let mut command = Command::new(name);
        if name == "cp" {
            // A file of this size was deleted just before each tool's run too, whose memory is taken again: on a virtual
            // machine memory that was not used for long costs several times the copying.
            must(Command::new("cp").arg("--reflink=auto").args([&source, &target]))?;
            remove(&target)?;
            nix::unistd::sync();
            command.arg("--reflink=auto").args([&source, &target]);
        } else {
            command.arg(&source);
        }
        material::warm(&source)?;
        let done = measure(clean(&mut command, &home));
        remove(&target)?;
        done
    };
    let taken = take(&rows, &mut sides, &mut bound, run.rounds, &wanted);
    run.clear(&scene)?;
    taken
}
