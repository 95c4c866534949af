//! `trackway gc`, `fsck` and `cache` as a person meets them, and what `kill -9` leaves of a collection.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use trackway_testkit::{Result, TempDir, temp_dir};

use crate::BIN;

struct Place {
    folder: TempDir,
}

impl Place {
    /// A repository with two versions of a folder of `count` files.
    fn with_versions(count: usize) -> Result<Place> {
        let place = Place { folder: temp_dir()? };
        fs::create_dir_all(place.repo().join("data"))?;
        fs::create_dir_all(place.folder.path().join("home"))?;
        place.git(&["init", "--quiet"])?;
        place.ok(&["init", "-q"])?;
        place.ok(&["config", "cache.type", "hardlink"])?;
        for version in ["old", "new"] {
            for number in 0..count {
                let path = place.repo().join("data").join(number.to_string());
                let _ = fs::remove_file(&path);
                fs::write(path, format!("{version} {number}"))?;
            }
            place.ok(&["add", "-q", "data"])?;
            place.git(&["add", "-A"])?;
            place.git(&["commit", "-q", "-m", version])?;
        }
        Ok(place)
    }

    fn repo(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.repo())
            .env("HOME", self.folder.path().join("home"))
            .env("DVC_SITE_CACHE_DIR", self.folder.path().join("site"))
            .env("DVC_NO_ANALYTICS", "1")
            .env_remove("XDG_CONFIG_HOME")
            .stdin(Stdio::null());
        for name in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"] {
            command.env(name, "a");
        }
        for name in ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] {
            command.env(name, "a@example.com");
        }
        command
    }

    fn git(&self, arguments: &[&str]) -> Result<()> {
        assert!(self.command("git", arguments).output()?.status.success(), "git {arguments:?}");
        Ok(())
    }

    fn run(&self, arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
        let output = self.command(BIN, arguments).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
    }

    fn ok(&self, arguments: &[&str]) -> Result<String> {
        let (code, out, err) = self.run(arguments)?;
        assert_eq!(code, Some(0), "{arguments:?}: {out}{err}");
        Ok(out)
    }

    /// How many objects the cache and its trash have.
    fn counts(&self) -> Result<(u64, u64)> {
        let status: serde_json::Value = serde_json::from_str(&self.ok(&["cache", "status", "--json"])?)?;
        let count = |name: &str| status[name]["objects"].as_u64().unwrap_or(u64::MAX);
        Ok((count("total"), count("trash")))
    }
}

#[test]
fn a_collection_that_is_killed_loses_nothing_and_can_be_done_again() -> Result {
    let place = Place::with_versions(900)?;
    let mut moved_a_part = 0;
    for round in 0..15_u64 {
        let undo = round % 3 == 2;
        let mut child = place
            .command(BIN, if undo { &["gc", "--undo-all"] } else { &["gc", "-w"] })
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        std::thread::sleep(Duration::from_millis(5 + round * 37 % 110));
        let _ = child.kill();
        child.wait()?;
        let (objects, trash) = place.counts()?;
        assert_eq!(objects + trash, 1802, "round {round}");
        moved_a_part += u64::from(trash > 0 && objects > 901);
        place.ok(&["fsck"])?;
    }
    println!("{moved_a_part} of 15 were killed while objects moved");
    place.ok(&["gc", "-w"])?;
    assert_eq!(place.counts()?, (901, 901));
    // The old version comes out of the trash.
    place.git(&["checkout", "-q", "HEAD~1"])?;
    place.ok(&["checkout"])?;
    assert_eq!(fs::read_to_string(place.repo().join("data/7"))?, "old 7");
    assert_eq!(place.counts()?, (1802, 0));
    place.ok(&["fsck", "-A"])?;
    Ok(())
}

#[test]
fn what_goes_can_be_seen_before_and_had_back_after() -> Result {
    let place = Place::with_versions(2)?;
    let (code, _, err) = place.run(&["gc"])?;
    assert_eq!(code, Some(2));
    assert!(err.contains("Say what to keep"), "{err}");
    let dry = place.ok(&["gc", "-w", "--dry"])?;
    assert_eq!(dry.lines().filter(|line| line.contains("last needed by data")).count(), 3, "{dry}");
    assert!(dry.contains("Would remove 3 objects"), "{dry}");
    assert_eq!(place.counts()?, (6, 0));
    assert!(place.ok(&["gc", "-w"])?.contains("`trackway gc --undo` puts them back, until "));
    assert_eq!(place.counts()?, (3, 3));
    assert_eq!(place.ok(&["gc", "--undo"])?, "Put 3 objects back into the cache.\n");
    assert_eq!(place.counts()?, (6, 0));
    // Under DVC's name it is gone at once.
    let freed = place.ok(&["dvc", "gc", "-w", "-f"])?;
    assert_eq!(freed, "Removed 3 objects from repo cache.\nNo unused 'legacy' cache to remove.\n");
    assert_eq!(place.counts()?, (3, 0));
    Ok(())
}

#[test]
fn the_settings_are_what_a_plain_collection_does() -> Result {
    let place = Place::with_versions(1)?;
    assert!(place.ok(&["cache", "keep", "--commits", "1", "--trash-grace", "3d"])?.contains("commits      1\n"));
    assert_eq!(fs::read_to_string(place.repo().join(".dvc/trackway.ini"))?.matches("keep_commits = 1").count(), 1);
    place.ok(&["gc"])?;
    assert_eq!(place.counts()?, (2, 2));
    place.ok(&["cache", "keep", "--unset", "commits", "--unset", "trash-grace"])?;
    assert_eq!(place.run(&["gc"])?.0, Some(2));
    assert_eq!(place.run(&["cache", "keep", "--max-size", "lots"])?.0, Some(255));
    Ok(())
}

#[test]
fn a_damaged_object_is_found_set_aside_and_repaired() -> Result {
    let place = Place::with_versions(3)?;
    let object =
        place.ok(&["gc", "-A", "--dry", "--json"]).and(walk_first(&place.repo().join(".dvc/cache/files/md5")))?;
    let good = fs::read(&object)?;
    fs::remove_file(&object)?;
    fs::write(&object, "damaged")?;
    let (code, out, _) = place.run(&["fsck"])?;
    assert_eq!(code, Some(1));
    assert!(out.contains("its content has the hash "), "{out}");
    let (code, out, _) = place.run(&["fsck", "--repair", "-A"])?;
    let (now, _, _) = place.run(&["fsck"])?;
    match fs::read(&object) {
        // The work tree had it.
        Ok(bytes) => assert_eq!((code, now, bytes), (Some(0), Some(0), good), "{out}"),
        Err(_) => assert_eq!(code, Some(1), "{out}"),
    }
    assert_eq!(fs::read_dir(place.repo().join(".dvc/cache/trackway/damaged"))?.count(), 1);
    Ok(())
}

/// The first file below a folder.
fn walk_first(folder: &std::path::Path) -> Result<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    folders.sort();
    for folder in folders {
        if let Some(entry) = fs::read_dir(folder)?.next() {
            return Ok(entry?.path());
        }
    }
    panic!("the cache is empty")
}
