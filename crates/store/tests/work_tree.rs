//! Scanning, saving and checking out on a real disk: what is trusted, what is refused, what is left alone.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trackway_store::{
    Cache, CacheOptions, ChangeKind, CheckoutOptions, Content, Error, Filter, Layout, LinkType, NoProgress, Oid,
    Outcome, Plan, SaveOptions, ScanOptions, State, Target, Tree, plan, save, scan, scan_into, unprotect,
};

struct Place {
    _dir: tempfile::TempDir,
    root: PathBuf,
    cache: Cache,
    state: State,
}

impl Place {
    fn new(types: &[LinkType]) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let cache = cache_at(&root, types);
        let state = State::open(&root.join("state"));
        Place { _dir: dir, root, cache, state }
    }

    fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        fs::write(path, content).unwrap();
    }

    fn options(&self) -> ScanOptions<'_> {
        ScanOptions { cache: Some(&self.cache), ..ScanOptions::new(&self.state) }
    }

    fn scan(&self) -> Option<Content> {
        scan(&self.data(), &self.options()).unwrap()
    }

    fn add(&self) -> Content {
        let save = SaveOptions { relink: true, state: &self.state, progress: &NoProgress };
        scan_into(&self.data(), &self.options(), &self.cache, &save).unwrap().unwrap()
    }

    fn plan(&self, target: Option<&Target>, relink: bool) -> Plan {
        plan(&self.data(), self.scan().as_ref(), target, relink).unwrap()
    }

    fn check_out(&self, oid: Oid) -> Outcome {
        let target = self.target(oid);
        let plan = self.plan(Some(&target), false);
        assert_eq!(plan.unsaved(&self.cache, &self.state).unwrap(), Vec::<PathBuf>::new());
        plan.apply(&self.cache, &CheckoutOptions::new(&self.state)).unwrap()
    }

    fn target(&self, oid: Oid) -> Target {
        match oid.is_dir() {
            true => Target::Tree(Arc::new(self.cache.read_tree(&oid).unwrap())),
            false => Target::File { oid, is_exec: false },
        }
    }
}

fn cache_at(root: &Path, types: &[LinkType]) -> Cache {
    let options =
        CacheOptions { root: root.join("cache"), layout: Layout::V3, link_types: types.to_vec(), shared: false };
    Cache::open(options).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

const KINDS: [&[LinkType]; 4] = [&[], &[LinkType::Copy], &[LinkType::Hardlink, LinkType::Copy], &[LinkType::Symlink]];

#[test]
fn a_directory_goes_in_and_comes_out_with_every_link_type() {
    for types in KINDS {
        let place = Place::new(types);
        place.write("data/a.txt", "a");
        place.write("data/sub/b", "b");
        place.write("data/sub/deep/same", "a");
        place.write("data/empty", "");
        let added = place.add();
        // As DVC 3.67 names this directory.
        let json = r#"[{"md5": "0cc175b9c0f1b6a831c399e269772661", "relpath": "a.txt"}, {"md5": "d41d8cd98f00b204e9800998ecf8427e", "relpath": "empty"}, {"md5": "92eb5ffee6ae2fec3ad71c777531578f", "relpath": "sub/b"}, {"md5": "0cc175b9c0f1b6a831c399e269772661", "relpath": "sub/deep/same"}]"#;
        assert_eq!(fs::read_to_string(place.cache.path(&added.oid())).unwrap(), json);
        assert_eq!((added.size(), added.nfiles()), (3, Some(4)));
        assert_eq!(place.scan().unwrap().oid(), added.oid());
        assert_eq!(place.cache.objects().unwrap().count(), 4);
        for object in place.cache.objects().unwrap() {
            let oid = object.unwrap().oid;
            place.cache.rehash(&oid, &NoProgress).unwrap();
            assert_eq!(mode(&place.cache.path(&oid)), 0o444, "{types:?}");
        }
        place.cache.flush().unwrap();
        fs::remove_dir_all(place.data()).unwrap();
        assert!(place.scan().is_none());
        let outcome = place.check_out(added.oid());
        assert_eq!((outcome.files, outcome.failed.len()), (4, 0));
        assert_eq!(fs::read_to_string(place.data().join("sub/deep/same")).unwrap(), "a");
        assert_eq!(place.scan().unwrap().oid(), added.oid());
        let object = place.cache.path(&Oid::parse("0cc175b9c0f1b6a831c399e269772661").unwrap());
        let file = place.data().join("a.txt");
        match types.first() {
            Some(LinkType::Hardlink) => assert_eq!(inode(&file), inode(&object)),
            Some(LinkType::Symlink) => assert_eq!(fs::read_link(&file).unwrap(), object),
            _ => assert_eq!((mode(&file), fs::metadata(&file).unwrap().nlink()), (0o644, 1)),
        }
        assert!(place.plan(Some(&place.target(added.oid())), false).is_empty());
    }
}

#[test]
fn with_copies_the_file_stays_and_with_links_it_becomes_the_object() {
    for types in KINDS {
        let place = Place::new(types);
        place.write("data", "content");
        fs::set_permissions(place.data(), fs::Permissions::from_mode(0o750)).unwrap();
        let before = inode(&place.data());
        let added = place.add();
        assert!(added.is_exec());
        let object = place.cache.path(&added.oid());
        // As DVC 3.67: 0750 becomes 0744, of a link 0544.
        match types.first() {
            Some(LinkType::Hardlink) => {
                assert_eq!((inode(&place.data()), inode(&object), mode(&object)), (before, before, 0o544));
            }
            Some(LinkType::Symlink) => {
                assert_eq!((fs::read_link(place.data()).unwrap(), mode(&object)), (object, 0o544))
            }
            _ => assert_eq!((inode(&place.data()), mode(&place.data()), mode(&object)), (before, 0o744, 0o444)),
        }
        assert_eq!(place.scan().unwrap().oid(), added.oid());
        place.cache.verify(&added.oid()).unwrap();
        unprotect(&place.data(), false, place.data().parent().unwrap(), &NoProgress).unwrap();
        assert_eq!((mode(&place.data()), fs::symlink_metadata(place.data()).unwrap().nlink()), (0o644, 1));
    }
}

#[test]
fn a_change_of_any_kind_is_seen() {
    let place = Place::new(&[]);
    for (name, content) in [("a", "1"), ("b/c", "2"), ("b/d", "3")] {
        place.write(&format!("data/{name}"), content);
    }
    let first = place.scan().unwrap().oid();
    let old = fs::metadata(place.data().join("a")).unwrap().modified().unwrap();
    // Same size, same time: only the change time tells.
    place.write("data/a", "9");
    fs::File::options().write(true).open(place.data().join("a")).unwrap().set_modified(old).unwrap();
    let second = place.scan().unwrap().oid();
    assert_ne!(first, second);
    place.write("data/b/e", "4");
    let third = place.scan().unwrap();
    assert_eq!(third.nfiles(), Some(4));
    fs::remove_dir_all(place.data().join("b")).unwrap();
    assert_eq!(place.scan().unwrap().nfiles(), Some(1));
    place.write("data/b/c", "2");
    place.write("data/b/d", "3");
    assert_eq!(place.scan().unwrap().oid(), second);
    for round in 0..50 {
        // Rewritten in place within one tick of the clock: never mistaken for what it was.
        fs::write(place.data().join("a"), format!("{}", round % 10)).unwrap();
        let fresh = scan(&place.data(), &ScanOptions::new(&State::disabled())).unwrap().unwrap();
        assert_eq!(place.scan().unwrap().oid(), fresh.oid(), "round {round}");
    }
}

struct Skip(&'static str);

impl Filter for Skip {
    fn skips(&self, _dir: &Path, name: &std::ffi::OsStr, _is_dir: bool) -> bool {
        name == self.0
    }
    fn fingerprint(&self, _root: &Path) -> Option<[u8; 16]> {
        Some(*trackway_store::hash_bytes(Default::default(), self.0.as_bytes()).bytes())
    }
}

#[test]
fn rules_that_change_are_seen_though_no_folder_changed() {
    let place = Place::new(&[]);
    for name in ["a", "b", "sub/c"] {
        place.write(&format!("data/{name}"), name);
    }
    std::thread::sleep(std::time::Duration::from_millis(60));
    let count = |skip: &'static str| {
        let filter = Skip(skip);
        let options = ScanOptions { filter: Some(&filter), ..place.options() };
        scan(&place.data(), &options).unwrap().unwrap().nfiles()
    };
    assert_eq!([count("none"), count("a"), count("sub"), count("none"), count("none")], [3, 2, 2, 3, 3].map(Some));
}

#[test]
fn what_stock_refuses_is_refused() {
    let place = Place::new(&[]);
    place.write("data/sub/.dvcignore", "");
    let error = scan(&place.data(), &place.options()).unwrap_err();
    let expected =
        format!(".dvcignore file should not be in collected dir path: '{}'", place.data().join("sub").display());
    assert_eq!(error.to_string(), expected);
    fs::remove_file(place.data().join("sub/.dvcignore")).unwrap();
    place.write("data/file", "x");
    symlink("file", place.data().join("link")).unwrap();
    symlink("sub", place.data().join("dirlink")).unwrap();
    assert_eq!(place.scan().unwrap().nfiles(), Some(2));
    symlink("nowhere", place.data().join("broken")).unwrap();
    assert!(matches!(scan(&place.data(), &place.options()), Err(Error::Io { .. })));
    fs::remove_file(place.data().join("broken")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.data().join("socket")).unwrap();
    assert!(matches!(scan(&place.data(), &place.options()), Err(Error::NotFileOrDir { .. })));
}

#[test]
fn a_damaged_object_is_neither_linked_nor_trusted() {
    for types in KINDS {
        let place = Place::new(types);
        place.write("data/a", "content of a");
        place.write("data/b", "content of b");
        let added = place.add();
        let tree = added.tree().unwrap();
        let victim = tree.get(b"a").unwrap();
        let object = place.cache.path(&victim);
        let target = Target::Tree(tree);
        fs::remove_dir_all(place.data()).unwrap();
        // A flip that keeps the size.
        fs::set_permissions(&object, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&object, "content of x").unwrap();
        assert!(matches!(place.cache.verify(&victim), Err(Error::Corrupt { .. })));
        let plan = place.plan(Some(&target), false);
        let outcome = plan.apply(&place.cache, &CheckoutOptions::new(&place.state)).unwrap();
        assert_eq!(outcome.failed.len(), 1, "{types:?}");
        assert!(matches!(outcome.failed[0].error, Error::Corrupt { .. }));
        assert!(!place.data().join("a").exists() && place.data().join("b").exists());
        // Adding the right content again heals it.
        place.write("data/a", "content of a");
        assert_eq!(place.add().oid(), added.oid());
        place.cache.rehash(&victim, &NoProgress).unwrap();
    }
}

#[test]
fn what_the_cache_does_not_hold_is_asked_for() {
    let place = Place::new(&[]);
    place.write("data/a", "1");
    let first = place.add().oid();
    place.write("data/a", "2");
    place.write("data/new", "3");
    let plan = place.plan(Some(&place.target(first)), false);
    let unsaved = plan.unsaved(&place.cache, &place.state).unwrap();
    assert_eq!(unsaved, [place.data().join("a"), place.data().join("new")]);
    let kinds: Vec<ChangeKind> = plan.changes.iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Modified, ChangeKind::Deleted]);
    plan.apply(&place.cache, &CheckoutOptions::new(&place.state)).unwrap();
    assert_eq!(place.scan().unwrap().oid(), first);
}

#[test]
fn directories_come_and_go_and_files_become_directories() {
    let place = Place::new(&[]);
    place.write("data/x/y/z", "1");
    place.write("data/k", "2");
    let first = place.add().oid();
    fs::remove_dir_all(place.data()).unwrap();
    place.write("data/x", "now a file");
    place.write("data/k/deep/er", "now a directory");
    fs::create_dir_all(place.data().join("hollow/in")).unwrap();
    let second = place.add().oid();
    assert_eq!(place.check_out(first).failed.len(), 0);
    assert_eq!(place.scan().unwrap().oid(), first);
    assert!(!place.data().join("hollow").exists());
    assert_eq!(place.check_out(second).failed.len(), 0);
    assert_eq!(place.scan().unwrap().oid(), second);
    // An empty directory alone is a reason to check out.
    fs::create_dir(place.data().join("void")).unwrap();
    let plan = place.plan(Some(&place.target(second)), false);
    assert_eq!((plan.changes.len(), plan.remove_dirs.clone()), (0, vec![PathBuf::from("void")]));
    plan.apply(&place.cache, &CheckoutOptions::new(&place.state)).unwrap();
    assert!(!place.data().join("void").exists());
    // The whole output becomes a file, and nothing.
    place.write("other", "file");
    let file = place.cache.insert_file(&place.root.join("other"), &NoProgress).unwrap();
    assert_eq!(place.check_out(file).failed.len(), 0);
    assert_eq!(fs::read_to_string(place.data()).unwrap(), "file");
    assert_eq!(place.check_out(second).failed.len(), 0);
    place.plan(None, false).apply(&place.cache, &CheckoutOptions::new(&place.state)).unwrap();
    assert!(!place.data().exists());
}

#[test]
fn nothing_is_written_through_a_symbolic_link() {
    let place = Place::new(&[]);
    place.write("data/sub/a", "1");
    let target = place.target(place.add().oid());
    fs::remove_dir_all(place.data().join("sub")).unwrap();
    let plan = place.plan(Some(&target), false);
    // Swapped in after the plan was made.
    fs::create_dir(place.root.join("outside")).unwrap();
    symlink(place.root.join("outside"), place.data().join("sub")).unwrap();
    let outcome = plan.apply(&place.cache, &CheckoutOptions::new(&place.state)).unwrap();
    assert!(matches!(outcome.failed[0].error, Error::Escapes { .. }), "{outcome:?}");
    assert_eq!(fs::read_dir(place.root.join("outside")).unwrap().count(), 0);
}

#[test]
fn half_a_file_of_a_killed_checkout_is_no_unsaved_content() {
    let place = Place::new(&[LinkType::Copy]);
    place.write("data/a", "the whole content");
    let oid = place.add().oid();
    let target = place.target(oid);
    fs::remove_dir_all(place.data()).unwrap();
    // A checkout that fails leaves its note, as a killed one does.
    let whole = place.cache.path(&place.cache.read_tree(&oid).unwrap().get(b"a").unwrap());
    let away = place.root.join("away");
    fs::rename(&whole, &away).unwrap();
    let outcome = place.plan(Some(&target), false).apply(&place.cache, &CheckoutOptions::new(&place.state)).unwrap();
    assert!(matches!(outcome.failed[0].error, Error::Missing { .. }));
    fs::rename(&away, &whole).unwrap();
    for (half, asked) in [("the who", 0), ("", 0), ("the whom", 1), ("the whole content and more", 1)] {
        place.write("data/a", half);
        let plan = place.plan(Some(&target), false);
        assert_eq!(plan.unsaved(&place.cache, &place.state).unwrap().len(), asked, "'{half}'");
    }
    place.write("data/a", "the who");
    assert_eq!(place.check_out(oid).failed.len(), 0);
    // It ended well: from now on a half is the user's.
    place.write("data/a", "the who");
    assert_eq!(place.plan(Some(&target), false).unsaved(&place.cache, &place.state).unwrap().len(), 1);
}

#[test]
fn a_file_that_changed_after_the_scan_is_not_saved_as_what_it_was() {
    let place = Place::new(&[]);
    place.write("data/a", "1");
    let content = place.scan().unwrap();
    place.write("data/a", "2");
    let options = SaveOptions { relink: false, state: &place.state, progress: &NoProgress };
    assert!(matches!(save(&place.data(), &content, &place.cache, &options), Err(Error::Changed { .. })));
    let content = place.scan().unwrap();
    save(&place.data(), &content, &place.cache, &options).unwrap();
    assert_eq!(place.cache.read_tree(&content.oid()).unwrap(), *content.tree().unwrap());
}

#[test]
fn what_dead_writers_left_is_cleared_and_what_live_ones_write_is_not() {
    let place = Place::new(&[]);
    let oid = place.cache.put_bytes(b"x").unwrap();
    assert_eq!(place.cache.other_writers(), Vec::<String>::new());
    let other = cache_at(&place.root, &[]);
    assert_eq!(other.other_writers().len(), 1);
    let shard = place.cache.path(&oid).parent().unwrap().to_owned();
    let dead = place.root.join("cache/trackway/writers/1-dead");
    fs::write(&dead, "").unwrap();
    fs::write(shard.join(".trackway-1-dead-0.tmp"), "half").unwrap();
    let own = place.cache.receive(&oid).unwrap();
    other.put_bytes(b"y").unwrap();
    assert!(!dead.exists() && !shard.join(".trackway-1-dead-0.tmp").exists());
    assert_eq!(fs::read_dir(&shard).unwrap().count(), 2);
    drop(own);
    assert_eq!(fs::read_dir(&shard).unwrap().count(), 1);
    drop(other);
    assert_eq!(fs::read_dir(place.root.join("cache/trackway/writers")).unwrap().count(), 1);
}

#[test]
fn received_bytes_must_be_the_object() {
    use std::io::Write;
    let place = Place::new(&[]);
    let oid = trackway_store::hash_bytes(Default::default(), b"right");
    let mut incoming = place.cache.receive(&oid).unwrap();
    incoming.write_all(b"wrong").unwrap();
    assert!(matches!(incoming.finish(), Err(Error::Corrupt { .. })));
    assert!(!place.cache.contains(&oid));
    let mut incoming = place.cache.receive(&oid).unwrap();
    incoming.write_all(b"right").unwrap();
    incoming.finish().unwrap();
    place.cache.rehash(&oid, &NoProgress).unwrap();
    let tree = Tree::from_entries([("a", oid)]).unwrap();
    let mut incoming = place.cache.receive(&tree.oid()).unwrap();
    incoming.write_all(&tree.to_bytes()).unwrap();
    incoming.finish().unwrap();
    assert_eq!(place.cache.read_tree(&tree.oid()).unwrap(), tree);
    assert!(place.cache.remove(&oid).unwrap() && !place.cache.remove(&oid).unwrap());
}

#[test]
fn names_that_are_not_utf8_survive() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new(&[]);
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::create_dir_all(place.data()).unwrap();
    fs::write(place.data().join(name), "x").unwrap();
    let oid = place.add().oid();
    assert!(fs::read_to_string(place.cache.path(&oid)).unwrap().contains(r#""relpath": "caf\udce9""#));
    fs::remove_dir_all(place.data()).unwrap();
    place.check_out(oid);
    assert_eq!(fs::read_to_string(place.data().join(name)).unwrap(), "x");
}

#[test]
fn what_changed_after_the_scan_is_neither_overwritten_nor_deleted() {
    for types in KINDS {
        let place = Place::new(types);
        for name in ["keep", "sub/gone", "sub/new"] {
            place.write(&format!("data/{name}"), &format!("one {name}"));
        }
        let first = place.add().oid();
        fs::remove_file(place.data().join("sub/gone")).unwrap();
        place.write("data/sub/new", "two new");
        place.write("data/keep", "two keep");
        let second = place.add().oid();
        assert_eq!(place.check_out(first).failed.len(), 0);
        let plan = place.plan(Some(&place.target(second)), false);
        assert_eq!(plan.unsaved(&place.cache, &place.state).unwrap(), Vec::<PathBuf>::new());
        // As long as what was there.
        place.write("data/sub/gone", "mine sub/go!");
        place.write("data/keep", "mine kee");
        let outcome = plan.apply(&place.cache, &CheckoutOptions::new(&place.state)).unwrap();
        let failed: Vec<_> = outcome.failed.iter().map(|failure| failure.path.clone()).collect();
        assert_eq!(failed, [place.data().join("keep"), place.data().join("sub/gone")], "{types:?}");
        assert!(outcome.failed.iter().all(|failure| matches!(failure.error, Error::Changed { .. })));
        assert_eq!(fs::read_to_string(place.data().join("sub/gone")).unwrap(), "mine sub/go!");
        assert_eq!(fs::read_to_string(place.data().join("keep")).unwrap(), "mine kee");
        assert_eq!(fs::read_to_string(place.data().join("sub/new")).unwrap(), "two new");
    }
}

#[test]
fn what_a_checkout_remembers_is_what_a_scan_finds() {
    for types in KINDS {
        let place = Place::new(types);
        for i in 0..40 {
            place.write(&format!("data/d{}/s{}/f{i}", i % 3, i % 5), &format!("{i}"));
        }
        let first = place.add().oid();
        for i in 0..20 {
            fs::remove_file(place.data().join(format!("d{}/s{}/f{i}", i % 3, i % 5))).unwrap();
        }
        place.write("data/d0/f1", "new");
        place.write("data/e/deep/er/f", "new");
        fs::remove_dir_all(place.data().join("d1/s4")).unwrap();
        place.write("data/d1/s4", "a file now");
        let second = place.add().oid();
        for oid in [first, second, first, first, second] {
            let outcome = place.check_out(oid);
            assert_eq!(outcome.failed.len(), 0);
            if let Some(content) = outcome.content {
                assert_eq!(content.oid(), oid);
                let Content::Dir(known) = &content else { panic!("a directory") };
                let fresh = State::open(&place.root.join("fresh"));
                let Content::Dir(found) = scan(&place.data(), &ScanOptions::new(&fresh)).unwrap().unwrap() else {
                    panic!("a directory")
                };
                assert_eq!(known.tree().to_bytes(), found.tree().to_bytes());
                assert_eq!(known.folders().collect::<Vec<_>>(), found.folders().collect::<Vec<_>>());
                assert_eq!(known.times(), found.times());
                assert_eq!(content.size(), found.files().map(|(_, _, size)| size).sum::<u64>());
                fs::remove_dir_all(place.root.join("fresh")).unwrap();
            }
            assert_eq!(place.scan().unwrap().oid(), oid);
            // A stranger's file in a folder that the checkout wrote to is seen.
            place.write("data/d0/strange", "x");
            assert_ne!(place.scan().unwrap().oid(), oid);
            fs::remove_file(place.data().join("d0/strange")).unwrap();
        }
    }
}

/// Counts the bytes that are read.
#[derive(Default)]
struct Bytes(std::sync::atomic::AtomicU64);

impl trackway_store::Progress for Bytes {
    fn start(&self, _: &'static str, _: Option<u64>, _: Option<u64>) {}

    fn add(&self, _: u64, bytes: u64) {
        self.0.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
    }

    fn finish(&self) {}
}

#[test]
fn switching_between_revisions_reads_no_object_again() {
    let place = Place::new(&[LinkType::Hardlink]);
    place.write("data/a", "first");
    place.write("data/same", "same");
    let first = place.add().oid();
    fs::remove_file(place.data().join("a")).unwrap();
    place.write("data/b", "second");
    let second = place.add().oid();
    // The object of `a` lost a link to somebody else, and is read once.
    assert_eq!(place.check_out(first).files, 1);
    let check_out = |oid| {
        let read = Bytes::default();
        let plan = place.plan(Some(&place.target(oid)), false);
        let options = CheckoutOptions { progress: &read, ..CheckoutOptions::new(&place.state) };
        assert_eq!(plan.apply(&place.cache, &options).unwrap().files, 1);
        read.0.into_inner()
    };
    for oid in [second, first, second, first] {
        assert_eq!(check_out(oid), 0);
    }
    fs::remove_file(place.data().join("a")).unwrap();
    assert_eq!(check_out(first), 5);
}

#[test]
fn an_old_layout_and_a_shared_cache_keep_their_own_records_and_modes() {
    for (layout, own) in [(Layout::V3, "trackway/verified"), (Layout::V2, "trackway/verified-v2")] {
        let mut place = Place::new(&[LinkType::Copy]);
        let root = place.root.join("shared");
        let options = CacheOptions { root: root.clone(), layout, link_types: vec![LinkType::Copy], shared: true };
        place.cache = Cache::open(options).unwrap();
        // DVC 2 hashes text as if its lines ended in \n.
        place.write("data/text", "one\r\ntwo\r\n");
        for i in 0..600 {
            place.write(&format!("data/f{i}"), &format!("{i}"));
        }
        let content = place.add();
        place.cache.flush().unwrap();
        let text = if layout == Layout::V2 { "one\ntwo\n" } else { "one\r\ntwo\r\n" };
        let oid = trackway_store::hash_bytes(trackway_store::HashName::Md5, text.as_bytes());
        let object = place.cache.path(&oid);
        assert!(object.exists(), "{layout:?}");
        assert_eq!((mode(&object), mode(object.parent().unwrap())), (0o444, 0o2775));
        assert_eq!(mode(&root.join(own)), 0o2775);
        let shard = fs::read_dir(root.join(own)).unwrap().next().unwrap().unwrap().path();
        assert_eq!(mode(&shard), 0o664);
        assert!(place.cache.holds(&content.oid()).unwrap());
        fs::remove_file(&object).unwrap();
        assert!(!place.cache.holds(&content.oid()).unwrap());
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_read_all_the_same() {
    let mut place = Place::new(&[LinkType::Copy]);
    for i in 0..600 {
        place.write(&format!("data/f{i}"), &format!("{i}"));
    }
    let oid = place.add().oid();
    place.cache.flush().unwrap();
    // Files where folders would have to be made: also root can write nothing there.
    let own = place.root.join("cache/trackway");
    place.cache = cache_at(&place.root.join("nowhere"), &[]);
    fs::remove_dir_all(&own).unwrap();
    fs::write(&own, "").unwrap();
    place.cache = cache_at(&place.root, &[LinkType::Copy]);
    assert!(place.cache.holds(&oid).unwrap());
    fs::remove_dir_all(place.data()).unwrap();
    let outcome = place.check_out(oid);
    assert_eq!((outcome.files, outcome.failed.len()), (600, 0));
    place.cache.flush().unwrap();
    assert_eq!(place.scan().unwrap().oid(), oid);
    assert_eq!(fs::read(&own).unwrap(), b"");
}
