//! The table of links and the place of the site cache. The pickles and the hash were made by Python 3.11 and DVC 3.67.1.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use trackway_repo::ignore::DvcIgnore;
use trackway_repo::links::{LinkState, Links, state};
use trackway_repo::site_cache::{SiteCache, btime, user};

struct Scratch {
    _dir: tempfile::TempDir,
    root: PathBuf,
    site: PathBuf,
}

impl Scratch {
    fn new() -> Scratch {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let base = fs::canonicalize(dir.path()).expect("the folder is there");
        let (root, site) = (base.join("root"), base.join("site"));
        fs::create_dir(&root).expect("a folder");
        Scratch { _dir: dir, root, site }
    }

    fn write(&self, name: &str) -> PathBuf {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(&path, name).expect("a file");
        path
    }

    fn open(&self) -> (Links, DvcIgnore) {
        (Links::open(&self.site, &self.root).expect("a table"), DvcIgnore::new(&self.root).expect("readable"))
    }

    fn database(&self) -> Connection {
        Connection::open(self.site.join("links/cache.db")).expect("a database")
    }
}

fn keys(links: &Links, used: &[PathBuf], ignore: &DvcIgnore) -> Vec<String> {
    links.unused(used, ignore).expect("readable").into_iter().map(|one| one.key).collect()
}

#[test]
fn what_was_made_and_is_unchanged_is_removed() {
    let scratch = Scratch::new();
    let (file, dir) = (scratch.write("data.txt"), scratch.write("dir/sub/a").parent().expect("a parent").to_owned());
    let dir = dir.parent().expect("a parent").to_owned();
    let changed = scratch.write("changed");
    let kept = scratch.write("kept");
    let (mut links, ignore) = scratch.open();
    let missing = scratch.root.join("missing");
    links.save(&[file.clone(), dir.clone(), changed.clone(), kept.clone(), missing], &ignore).expect("saved");
    links.save(std::slice::from_ref(&file), &ignore).expect("saved again");
    assert_eq!(keys(&links, std::slice::from_ref(&kept), &ignore), ["data.txt", "dir", "changed"]);
    let later = SystemTime::now() + Duration::from_secs(5);
    fs::File::options().write(true).open(&changed).and_then(|file| file.set_modified(later)).expect("a time");
    // A file that a person put into the folder makes it another one.
    scratch.write("dir/sub/own");
    assert_eq!(keys(&links, std::slice::from_ref(&kept), &ignore), ["data.txt"]);
    fs::remove_file(scratch.root.join("dir/sub/own")).expect("removed");

    let (mut links, ignore) = scratch.open();
    let unused = links.unused(std::slice::from_ref(&kept), &ignore).expect("readable");
    links.remove(&unused).expect("removed");
    assert!(!file.exists() && !dir.exists() && changed.exists() && kept.exists());
    let rows: i64 = scratch.database().query_row("SELECT count(*) FROM Cache", [], |row| row.get(0)).expect("a row");
    let count: i64 = scratch
        .database()
        .query_row("SELECT value FROM Settings WHERE key = 'count'", [], |row| row.get(0))
        .expect("a row");
    assert_eq!((rows, count), (2, 2));
}

#[test]
fn hidden_files_do_not_count() {
    let scratch = Scratch::new();
    fs::write(scratch.root.join(".dvcignore"), "*.log\n").expect("a file");
    let dir = scratch.write("dir/a").parent().expect("a parent").to_owned();
    let (mut links, ignore) = scratch.open();
    links.save(std::slice::from_ref(&dir), &ignore).expect("saved");
    scratch.write("dir/x.log");
    assert_eq!(keys(&links, &[], &ignore), ["dir"]);
}

#[test]
fn pickles_are_pythons() {
    let scratch = Scratch::new();
    let (mut links, _) = scratch.open();
    for (inode, mtime, pickled) in [
        (5, "1", "80049509000000000000004b058c01319486942e"),
        (255, "z", "80049509000000000000004bff8c017a9486942e"),
        (300, "x", "8004950a000000000000004d2c018c01789486942e"),
        (70000, "ab", "8004950d000000000000004a701101008c0261629486942e"),
        (0x7fff_ffff, "q", "8004950c000000000000004affffff7f8c01719486942e"),
        (0x8000_0000, "ab", "8004950f000000000000008a0500000080008c0261629486942e"),
        (0xffff_ffff, "y", "8004950e000000000000008a05ffffffff008c01799486942e"),
        (1 << 63, "q", "80049512000000000000008a090000000000000080008c01719486942e"),
    ] {
        let state = LinkState { inode, mtime: mtime.to_owned() };
        links.save_states(&[(&scratch.root.join("x"), state)]).expect("saved");
        let value: Vec<u8> = scratch
            .database()
            .query_row("SELECT value FROM Cache WHERE key = 'x'", [], |row| row.get(0))
            .expect("a row");
        assert_eq!(value.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), pickled, "{inode}");
    }
}

#[test]
fn rows_of_another_shape_are_passed_over() {
    let scratch = Scratch::new();
    let file = scratch.write("file");
    let (mut links, ignore) = scratch.open();
    // Outside of the repository, as a person with a hand in the table would have it: the same inode, the same time.
    let victim = scratch.root.parent().expect("a parent").join("victim");
    fs::hard_link(&file, &victim).expect("a link");
    assert_eq!(state(&file, &ignore).expect("readable"), state(&victim, &ignore).expect("readable"));
    links.save(std::slice::from_ref(&file), &ignore).expect("saved");
    let good: Vec<u8> = scratch.database().query_row("SELECT value FROM Cache", [], |row| row.get(0)).expect("a row");
    for key in ["../victim", victim.to_str().expect("UTF-8"), ""] {
        let put = "INSERT OR REPLACE INTO Cache(key, raw, mode, value) VALUES (?1, 1, 4, ?2)";
        scratch.database().execute(put, rusqlite::params![key, good]).expect("a row");
    }
    for at in 0..good.len() {
        let cut = &good[..at];
        scratch.database().execute("UPDATE Cache SET value = ?1 WHERE key = 'file'", [cut]).expect("a row");
        assert_eq!(keys(&links, &[], &ignore), [] as [&str; 0], "{at}");
    }
    // `os.system("…")` as a pickle.
    let evil = b"cos\nsystem\n(S'true'\ntR.".to_vec();
    scratch.database().execute("UPDATE Cache SET value = ?1 WHERE key = 'file'", [evil]).expect("a row");
    assert_eq!(keys(&links, &[], &ignore), [] as [&str; 0]);
    scratch.database().execute("UPDATE Cache SET value = ?1 WHERE key = 'file'", [good]).expect("a row");
    assert_eq!(keys(&links, &[], &ignore), ["file"]);
}

#[test]
fn the_folder_is_named_as_stock_names_it() {
    let dir = |root: &str, btime, user| {
        let base = Path::new("/var/tmp/dvc");
        let site = SiteCache { base, root: Path::new(root), subdir: None, btime, user };
        site.dir().display().to_string()
    };
    // md5(str(("/home/u/my repo", None, 1700000000.125, "u", 3, 0)))
    assert_eq!(dir("/home/u/my repo", Some(1700000000.125), "u"), "/var/tmp/dvc/repo/1104ccd7ad18e76f2406cb396e9bb666");
    assert_eq!(
        dir("/it's \"é\"\n\u{200b}", Some(1795426985.0), "root"),
        "/var/tmp/dvc/repo/d42ffb9136f913f56ff69599720ab8c7"
    );
    assert_eq!(dir("/it's", None, "root"), "/var/tmp/dvc/repo/3af8ea048e9bb8fd72e285c0c4aac13a");
}

#[test]
fn the_folder_is_made_for_all_users() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let tmp = scratch.root.join("tmp");
    assert_eq!(btime(&tmp).expect("no folder"), None);
    fs::create_dir(&tmp).expect("a folder");
    let time = btime(&tmp).expect("made");
    assert_eq!(btime(&tmp).expect("kept"), time);
    let name = user(|name| (name == "USER").then(|| "somebody".into())).expect("from the environment");
    assert_eq!(name, "somebody");
    let base = scratch.site.join("deep/base");
    let site = SiteCache { base: &base, root: &scratch.root, subdir: None, btime: time, user: &name };
    let dir = site.create().expect("made");
    assert_eq!((dir.clone(), true), (site.create().expect("there"), dir.is_dir()));
    assert_eq!(fs::metadata(base.join("repo")).expect("there").permissions().mode() & 0o777, 0o777);
}
