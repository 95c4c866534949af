//! A folder of many small files: nothing changed, one file changed, added and checked out as a whole, collected.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::data::Run;
use crate::data::disk::Disk;
use crate::data::material;
use crate::data::rows::{Contender, Facts, Floor, Output, Row, Taken, Writes, take};
use crate::data::tool::{Measured, Side, clean, git, measure, must, prepare_home, remove};

/// How the folder lies in the work tree.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Data {
    /// As a user made it, or copied from the cache: files of their own.
    Plain,
    /// Linked to the cache, or of unknown kind.
    Linked,
    Absent,
}

struct Folder {
    side: Side,
    files: usize,
    data: Data,
    /// The cache holds version 1, put there by this tool's `add` by copy.
    cached: bool,
    /// … and the tool's record of these objects was not forgotten, nor were they touched since: a link changes the
    /// ctime of what it links.
    recorded: bool,
    /// What `data.dvc` names and the work tree holds by copies; none if these are not known to agree.
    at: Option<u64>,
    /// The tool has seen the work tree as it is: its state holds every file.
    settled: bool,
    /// `data.dvc` of version 1 and 2.
    dvc: [Option<Vec<u8>>; 2],
    /// Objects that only version 2 needs, if they are in the cache.
    second: Vec<PathBuf>,
    tagged: bool,
}

impl Contender for Folder {
    fn side(&self) -> &Side {
        &self.side
    }

    fn lost(&mut self) {
        if self.data == Data::Plain {
            self.data = Data::Linked;
        }
        self.uncached();
    }
}

const DATA: &str = "data";
const SPARE: &str = "../spare";

impl Folder {
    fn new(side: Side, files: usize) -> Folder {
        Folder {
            side,
            files,
            data: Data::Absent,
            cached: false,
            recorded: false,
            at: None,
            settled: false,
            dvc: [None, None],
            second: Vec::new(),
            tagged: false,
        }
    }

    fn folder(&self) -> PathBuf {
        self.side.path(DATA)
    }

    fn uncached(&mut self) {
        (self.cached, self.recorded, self.settled) = (false, false, false);
        self.at = None;
        self.second.clear();
    }

    /// Copy is the default where a file system has no reflinks; what else a row needs is set in the repository.
    fn link(&self, kind: &str) -> Result<()> {
        self.side.configure(&if kind == "copy" { String::new() } else { format!("[cache]\n    type = {kind}\n") })
    }

    /// Version 1 as plain files that are not tracked; no cache, no state.
    fn cold(&mut self, link: &str) -> Result<()> {
        self.side.remove_cache()?;
        self.side.forget()?;
        remove(&self.side.path("data.dvc"))?;
        remove(&self.side.path(".gitignore"))?;
        self.link(link)?;
        self.uncached();
        let (data, spare) = (self.folder(), self.side.path(SPARE));
        if self.data != Data::Plain {
            self.side.disk.put_aside(&data)?;
            if spare.exists() {
                fs::rename(&spare, &data)?;
            } else {
                material::fill_folders(&data, self.files)?;
            }
        }
        self.data = Data::Plain;
        material::writable(&data)?;
        if !material::is_version(&data, self.files, 0) {
            material::change(&data, self.files, 0)?;
        }
        Ok(())
    }

    fn added(&mut self) -> Result<()> {
        self.dvc[0] = Some(fs::read(self.side.path("data.dvc"))?);
        (self.cached, self.recorded, self.settled) = (true, true, false);
        self.at = Some(0);
        Ok(())
    }

    /// The cache holds version 1 as `add` by copy left it.
    fn filled(&mut self) -> Result<()> {
        if !self.cached {
            self.cold("copy")?;
            self.side.must(&["add", DATA])?;
            self.added()?;
        }
        Ok(())
    }

    fn write_dvc(&self, version: usize) -> Result<()> {
        let bytes = self.dvc[version].as_ref().context("this version was not added yet")?;
        Ok(fs::write(self.side.path("data.dvc"), bytes)?)
    }

    /// Version 1 lies in the work tree by copy, and the tool has looked at it.
    fn unchanged(&mut self) -> Result<()> {
        if self.cached && self.data == Data::Absent {
            self.link("copy")?;
            self.write_dvc(0)?;
            self.side.must(&["checkout"])?;
            self.data = Data::Plain;
            self.at = Some(0);
        }
        match self.at {
            _ if self.data != Data::Plain || !self.cached => {
                self.cold("copy")?;
                self.filled()?;
            }
            Some(0) => {}
            Some(_) => {
                self.write_dvc(0)?;
                self.side.must(&["checkout"])?;
            }
            None => {
                self.write_dvc(0)?;
                material::change(&self.folder(), self.files, 0)?;
                self.settled = false;
            }
        }
        self.at = Some(0);
        if !self.settled {
            self.side.must(&["status"])?;
            self.settled = true;
        }
        Ok(())
    }

    /// One file has the content of version 2, `data.dvc` still says version 1.
    fn changed(&mut self) -> Result<()> {
        self.unchanged()?;
        material::change(&self.folder(), self.files, 1)?;
        (self.at, self.settled) = (None, false);
        Ok(())
    }

    /// The same, and version 2 is not in the cache yet.
    fn changed_anew(&mut self) -> Result<()> {
        self.changed()?;
        for object in self.second.drain(..) {
            remove(&object)?;
        }
        Ok(())
    }

    fn objects(&self) -> Result<BTreeMap<String, u64>> {
        self.side.objects(&self.side.path(".dvc/cache"))
    }

    /// After version 2 was added: notes its objects, which lie beside those `before` it.
    fn added_second(&mut self) -> Result<()> {
        self.dvc[1] = Some(fs::read(self.side.path("data.dvc"))?);
        let first = self.dvc[0].clone().context("version 1 was not added yet")?;
        let listed = |dvc: &[u8]| -> Result<String> {
            let text = String::from_utf8_lossy(dvc).into_owned();
            let oid = text.split_whitespace().find(|word| word.ends_with(".dir"));
            Ok(oid.with_context(|| format!("no .dir object is named in {text:?}"))?.to_owned())
        };
        let second = listed(self.dvc[1].as_deref().unwrap_or_default())?;
        let md5 = self.side.path(".dvc/cache/files/md5");
        let place = |oid: &str| md5.join(&oid[..2]).join(&oid[2..]);
        let texts = [fs::read_to_string(place(&listed(&first)?))?, fs::read_to_string(place(&second))?];
        let oids = |text: &'_ str| -> Result<std::collections::BTreeSet<String>> {
            let entries: Vec<serde_json::Value> = serde_json::from_str(text)?;
            Ok(entries.iter().filter_map(|e| Some(e["md5"].as_str()?.to_owned())).collect())
        };
        let only = &oids(&texts[1])? - &oids(&texts[0])?;
        ensure!(only.len() == 1, "{} files differ between the two versions instead of one", only.len());
        self.second = only.iter().map(|oid| place(oid)).chain([place(&second)]).collect();
        (self.at, self.settled) = (Some(1), false);
        Ok(())
    }

    /// Both versions are in the cache, and are git's tags `v1` and `v2`; HEAD is `v1`.
    fn versions(&mut self) -> Result<()> {
        if self.second.is_empty() {
            self.changed()?;
            self.side.must(&["add", DATA])?;
            self.added_second()?;
        }
        if !self.tagged {
            let now = fs::read(self.side.path("data.dvc"))?;
            for (version, tag) in ["v1", "v2"].into_iter().enumerate() {
                self.write_dvc(version)?;
                self.side.git(&["add", "data.dvc", ".gitignore"])?;
                self.side.git(&["commit", "--quiet", "--message", tag])?;
                self.side.git(&["tag", tag])?;
            }
            self.side.git(&["reset", "--quiet", "v1"])?;
            fs::write(self.side.path("data.dvc"), now)?;
            self.tagged = true;
        }
        Ok(())
    }

    fn changed_after_versions(&mut self) -> Result<()> {
        self.versions()?;
        self.changed()
    }

    fn unchanged_with_versions(&mut self) -> Result<()> {
        self.versions()?;
        self.unchanged()
    }

    /// The work tree holds version 1, `data.dvc` names version 2.
    fn other_version(&mut self) -> Result<()> {
        self.unchanged_with_versions()?;
        self.write_dvc(1)?;
        self.at = Some(1);
        Ok(())
    }

    fn other_is_there(&mut self) -> Result<Facts> {
        let version = self.at.context("a version is checked out")?;
        ensure!(material::is_version(&self.folder(), self.files, version), "checkout left the changed file as it was");
        self.settled = false;
        self.side.facts(DATA)
    }

    /// Nothing in the work tree but `data.dvc` of version 1. Plain files are put aside: making them anew costs seconds.
    fn put_away(&mut self) -> Result<()> {
        let spare = self.side.path(SPARE);
        if self.data == Data::Plain && !spare.exists() {
            fs::rename(self.folder(), &spare)?;
        } else {
            self.side.disk.put_aside(&self.folder())?;
        }
        (self.data, self.at, self.settled) = (Data::Absent, None, false);
        self.write_dvc(0)
    }

    fn before_checkout(&mut self, link: &str, recorded: bool) -> Result<()> {
        if recorded && !self.recorded {
            self.uncached();
        }
        self.filled()?;
        self.put_away()?;
        self.link(link)?;
        if !recorded {
            self.side.forget()?;
            self.recorded = false;
        }
        Ok(())
    }

    fn checked_out(&mut self, link: &str) -> Result<Facts> {
        self.data = if link == "copy" { Data::Plain } else { Data::Linked };
        self.at = (link == "copy").then_some(0);
        self.recorded &= link != "hardlink";
        self.side.facts(DATA)
    }

    /// The cache is full, and nothing needs it.
    fn before_gc(&mut self) -> Result<()> {
        self.filled()?;
        self.put_away()?;
        self.link("copy")?;
        remove(&self.side.path("data.dvc"))
    }

    fn collected(&mut self) -> Result<Facts> {
        let left = self.objects()?;
        self.uncached();
        Ok(vec![("objects left".to_owned(), left.len().to_string())])
    }
}

const NO_CHANGE: &str = "nothing changed";
const ONE: &str = "one file changed";
const ADD: &str = "add, cold";
const RECORDED: &str = "checkout of all, objects recorded as good";
const NOT_YET: &str = "checkout of all, objects not recorded yet";

const fn row(
    group: &'static str,
    name: &'static str,
    args: &'static [&'static str],
    floor: Floor,
    bounds: &'static [&'static str],
    before: fn(&mut Folder) -> Result<()>,
    after: fn(&mut Folder) -> Result<Facts>,
) -> Row<Folder> {
    Row { group, name, args, floor, bounds, before, after, output: Output::Same, writes: Writes::Little, repeat: 1 }
}

fn nothing(_: &mut Folder) -> Result<Facts> {
    Ok(Facts::new())
}

/// In this order a round makes each state once: the cold `add` fills the cache, the rows below use it up.
fn rows() -> Vec<Row<Folder>> {
    use Floor::{OfBound, OfDvc};
    let facts: fn(&mut Folder) -> Result<Facts> = |f| f.side.facts(DATA);
    let first: fn(&mut Folder) -> Result<Facts> = |f| {
        f.added()?;
        f.side.facts(DATA)
    };
    let second: fn(&mut Folder) -> Result<Facts> = |f| {
        f.added_second()?;
        f.side.facts(DATA)
    };
    let linked: fn(&mut Folder) -> Result<Facts> = |f| {
        f.data = Data::Linked;
        f.uncached();
        f.side.facts(DATA)
    };
    let status = &["git status"];
    let mut rows = vec![
        row(ADD, "by copy", &["add", DATA], OfDvc(2.0), &["cp -r", "md5sum"], |f| f.cold("copy"), first),
        row(NO_CHANGE, "status", &["status"], OfDvc(20.0), status, Folder::unchanged, nothing),
        row(NO_CHANGE, "data status", &["data", "status"], OfDvc(20.0), status, Folder::unchanged, nothing),
        row(NO_CHANGE, "add", &["add", DATA], OfDvc(20.0), status, Folder::unchanged, facts),
        row(NO_CHANGE, "checkout", &["checkout"], OfDvc(20.0), status, Folder::unchanged, facts),
        row(ONE, "status", &["status"], OfDvc(15.0), status, Folder::changed, nothing),
        row(ONE, "add", &["add", DATA], OfDvc(15.0), &[], Folder::changed_anew, second),
        row(ONE, "diff v1 v2", &["diff", "v1", "v2", "--json"], OfDvc(15.0), &[], Folder::versions, nothing),
        row(
            ONE,
            "diff with the work tree",
            &["diff", "--json"],
            OfDvc(15.0),
            &[],
            Folder::changed_after_versions,
            nothing,
        ),
        row(ONE, "checkout", &["checkout"], OfDvc(15.0), &[], Folder::other_version, Folder::other_is_there),
        row("gc", "dry", &["gc", "-w", "--dry"], OfDvc(10.0), &[], Folder::unchanged_with_versions, facts),
        row(
            RECORDED,
            "by copy",
            &["checkout"],
            OfBound(1.3, "cp -r", None),
            &["cp -r"],
            |f| f.before_checkout("copy", true),
            |f| f.checked_out("copy"),
        ),
        row(
            RECORDED,
            "by symlink",
            &["checkout"],
            OfBound(1.3, "cp -as", None),
            &["cp -as"],
            |f| f.before_checkout("symlink", true),
            |f| f.checked_out("symlink"),
        ),
        row(
            RECORDED,
            "by hardlink",
            &["checkout"],
            OfBound(1.3, "cp -al", None),
            &["cp -al"],
            |f| f.before_checkout("hardlink", true),
            |f| f.checked_out("hardlink"),
        ),
        row(
            NOT_YET,
            "by copy",
            &["checkout"],
            OfBound(1.3, "cp -r", Some("md5sum")),
            &["cp -r", "md5sum"],
            |f| f.before_checkout("copy", false),
            |f| f.checked_out("copy"),
        ),
        row(
            NOT_YET,
            "by symlink",
            &["checkout"],
            OfBound(1.3, "cp -as", Some("md5sum")),
            &["cp -as", "md5sum"],
            |f| f.before_checkout("symlink", false),
            |f| f.checked_out("symlink"),
        ),
        row(
            NOT_YET,
            "by hardlink",
            &["checkout"],
            OfBound(1.3, "cp -al", Some("md5sum")),
            &["cp -al", "md5sum"],
            |f| f.before_checkout("hardlink", false),
            |f| f.checked_out("hardlink"),
        ),
        row(
            "gc",
            "removing all",
            &["gc", "-w", "-f"],
            OfBound(1.5, "rm -rf", None),
            &["rm -rf"],
            Folder::before_gc,
            Folder::collected,
        ),
        row(ADD, "by hardlink", &["add", DATA], OfDvc(5.0), &["cp -al", "md5sum"], |f| f.cold("hardlink"), linked),
    ];
    for row in &mut rows {
        row.output = match row.args[0] {
            "gc" => Output::SameLines,
            "add" => Output::SameWords,
            _ => Output::Same,
        };
        row.writes = match (row.group, row.name) {
            // DVC replaces every file of the work tree by a copy of the cache's.
            (ADD, "by copy") => Writes::Both,
            ("gc", "removing all") => Writes::Deletes,
            (ADD | RECORDED | NOT_YET, _) => Writes::Creates,
            _ => Writes::Little,
        };
    }
    rows
}

/// The same files without any tool, for what bounds the tools: in a git repository of their own.
pub struct Plain {
    folder: PathBuf,
    home: PathBuf,
    disk: Disk,
}

impl Plain {
    pub fn new(scene: &Path, files: usize, tracked: bool, disk: &Disk) -> Result<Plain> {
        let plain = Plain { folder: scene.join("plain/repo"), home: scene.join("plain/home"), disk: disk.clone() };
        prepare_home(&plain.home)?;
        material::fill_folders(&plain.folder.join(DATA), files)?;
        if tracked {
            // Into one pack file without compression: a hundred thousand loose objects would take a minute.
            let add = ["-c", "core.bigFileThreshold=1", "-c", "core.compression=0", "add", "."];
            git(&plain.folder, &plain.home, ["init", "--quiet"])?;
            git(&plain.folder, &plain.home, add)?;
            git(&plain.folder, &plain.home, ["commit", "--quiet", "--message", "data"])?;
            git(&plain.folder, &plain.home, ["status"])?;
        }
        Ok(plain)
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        clean(command.args(args), &self.home).current_dir(&self.folder);
        command
    }

    /// Runs the bound of this name.
    pub fn bound(&self, name: &'static str) -> Result<Measured> {
        let copy = "../copy";
        let data = self.folder.join(DATA);
        let data = data.to_str().context("the benchmark's folder has a name that is not UTF-8")?;
        let done = match name {
            "git status" => return measure(&mut self.command("git", &["status"])),
            "md5sum" => return self.md5sum(),
            "rm -rf" => {
                must(&mut self.command("cp", &["-r", DATA, copy]))?;
                nix::unistd::sync();
                let done = measure(&mut self.command("rm", &["-rf", copy]));
                self.disk.deleted();
                done
            }
            "cp -as" => measure(&mut self.command("cp", &["-as", data, copy])),
            "cp -al" => measure(&mut self.command("cp", &["-al", DATA, copy])),
            _ => measure(&mut self.command("cp", &["-r", "--reflink=auto", DATA, copy])),
        };
        self.disk.put_aside(&self.folder.join(copy))?;
        done
    }

    /// `md5sum` of every file, as many at a time as there are cores.
    fn md5sum(&self) -> Result<Measured> {
        let list = self.folder.join("../list");
        let listed = must(&mut self.command("find", &[DATA, "-type", "f", "-print0"]))?;
        fs::write(&list, listed.stdout)?;
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get()).to_string();
        let args = ["-0", "-P", &cores, "-n", "500", "-a"].map(OsStr::new);
        let mut command = Command::new("xargs");
        command.args(args).arg(&list).arg("md5sum");
        measure(clean(&mut command, &self.home).current_dir(&self.folder))
    }
}

pub fn measure_all(run: &Run) -> Result<Vec<Taken>> {
    let scene = run.scene("folder")?;
    let rows = rows();
    let wanted = run.wanted();
    let tracked = rows.iter().any(|r| wanted(r.group, r.name) && r.bounds.contains(&"git status"));
    if !rows.iter().any(|r| wanted(r.group, r.name)) {
        return Ok(Vec::new());
    }
    let plain = Plain::new(&scene, run.scale.files, tracked, &run.disk)?;
    let mut sides = run.sides(&scene, |side| Folder::new(side, run.scale.files))?;
    let taken = take(&rows, &mut sides, &mut |name, _| plain.bound(name), run.rounds, &wanted);
    run.clear(&scene)?;
    taken
}
