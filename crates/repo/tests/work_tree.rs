//! Commands on the work tree that must never lose what a person has, whatever the cache lacks.

use std::fs;
use std::path::{Path, PathBuf};

use trackway_repo::Repo;
use trackway_repo::add::AddOptions;
use trackway_repo::add_elsewhere::ElsewhereOptions;
use trackway_repo::checkout::CheckoutOptions;
use trackway_repo::config::Environment;
use trackway_store::NoProgress;

struct Scratch {
    _dir: tempfile::TempDir,
    root: PathBuf,
}

impl Scratch {
    fn new() -> Scratch {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = fs::canonicalize(dir.path()).expect("the folder is there").join("repo");
        fs::create_dir_all(root.join(".dvc/tmp")).expect("folders");
        fs::write(root.join(".dvc/config"), "[core]\n    no_scm = true\n").expect("a file");
        Scratch { _dir: dir, root }
    }

    fn repo(&self) -> Repo {
        let site = self.root.join("../site").to_string_lossy().into_owned();
        let vars = [("DVC_SITE_CACHE_DIR".to_owned(), site), ("USER".to_owned(), "tester".to_owned())];
        let environment = Environment::new(vars, Some(self.root.join("../home")), self.root.clone());
        Repo::discover(&environment).expect("a repository")
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(&path, text).expect("a file");
        path
    }

    fn add(&self, targets: &[&str]) {
        let targets: Vec<_> = targets.iter().map(|target| (*target).to_owned()).collect();
        self.repo().add(&targets, AddOptions::default(), &NoProgress).expect("it is added");
    }

    fn object(&self, md5: &str) -> PathBuf {
        self.root.join(".dvc/cache/files/md5").join(&md5[..2]).join(&md5[2..])
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("a file")
}

/// MD5 of "1\n" and "2\n".
const ONE: &str = "b026324c6904b2a9cb4b88d6d61c81d1";
const TWO: &str = "26ab0db90d72e28ad0ba1e22ee510510";

#[test]
fn a_checkout_that_fails_keeps_what_is_there() {
    let place = Scratch::new();
    let (a, b) = (place.write("d/a", "1\n"), place.write("d/b", "2\n"));
    place.add(&["d"]);
    fs::remove_file(place.object(ONE)).expect("the object is there");
    fs::remove_file(&a).expect("the file is there");
    fs::remove_file(&b).expect("the file is there");
    let done = place.repo().checkout(&[], CheckoutOptions::default(), &NoProgress).expect("it is told what failed");
    assert_eq!(done.failed, ["d"]);
    assert!(done.reasons[0].contains(ONE), "{:?}", done.reasons);
    assert_eq!(text(&b), "2\n");
    assert!(!a.exists());
}

#[test]
fn a_folder_without_its_list_is_not_emptied_even_by_force() {
    let place = Scratch::new();
    let a = place.write("d/a", "1\n");
    place.add(&["d"]);
    let recorded = text(&place.root.join("d.dvc"));
    let md5 = recorded.split("md5: ").nth(1).and_then(|rest| rest.lines().next()).expect("a hash");
    fs::remove_file(place.object(md5)).expect("the list is there");
    fs::write(&a, "changed\n").expect("a file");
    let forced = CheckoutOptions { force: true, ..CheckoutOptions::default() };
    let done = place.repo().checkout(&[], forced, &NoProgress).expect("it is told what failed");
    assert_eq!(done.failed, ["d"]);
    assert_eq!(text(&a), "changed\n");
}

#[test]
fn a_corrupted_object_is_named_and_replaces_nothing() {
    let place = Scratch::new();
    let f = place.write("f", "1\n");
    place.add(&["f"]);
    place.write("f", "2\n");
    place.add(&["f"]);
    // The second object rots, and the first is checked out in between.
    let object = place.object(TWO);
    fs::remove_file(&object).expect("the object is there");
    fs::write(&object, "3\n").expect("a file");
    fs::write(&f, "1\n").expect("a file");
    let done = place.repo().checkout(&[], CheckoutOptions::default(), &NoProgress).expect("it is told what failed");
    assert_eq!(done.failed, ["f"]);
    assert!(done.reasons[0].contains("corrupted"), "{:?}", done.reasons);
    assert_eq!(text(&f), "1\n");
}

#[test]
fn what_was_added_before_a_target_failed_is_recorded() {
    let place = Scratch::new();
    place.write("a", "1\n");
    let targets = ["a".to_owned(), "missing".to_owned(), "b".to_owned()];
    let error = place.repo().add(&targets, AddOptions::default(), &NoProgress).expect_err("one is missing");
    assert!(error.to_string().starts_with("output 'missing' does not exist: [Errno 2]"), "{error}");
    assert!(text(&place.root.join("a.dvc")).contains(ONE));
    assert!(!place.root.join("b.dvc").exists());
}

#[test]
fn data_from_elsewhere_goes_to_a_remote_and_nowhere_else() {
    let place = Scratch::new();
    let remote = place.root.join("../remote");
    let config =
        format!("[core]\n    no_scm = true\n    remote = r\n['remote \"r\"']\n    url = {}\n", remote.display());
    fs::write(place.root.join(".dvc/config"), config).expect("a file");
    place.write("../outside/x", "1\n");
    place.write("../outside/s/y", "2\n");
    let options = ElsewhereOptions { to_remote: true, ..ElsewhereOptions::default() };
    place.repo().add_from_elsewhere("../outside", &options, &NoProgress).expect("it is sent");
    assert!(text(&place.root.join("outside.dvc")).contains("nfiles: 2"));
    assert!(!place.root.join("outside").exists());
    assert!(!place.object(ONE).exists());
    for (md5, content) in [(ONE, "1\n"), (TWO, "2\n")] {
        assert_eq!(text(&remote.join("files/md5").join(&md5[..2]).join(&md5[2..])), content);
    }
}

#[test]
fn objects_of_dvc_2_come_into_the_cache_of_dvc_3() {
    let place = Scratch::new();
    place.write("a", "1\r\n");
    // Hashed as DVC 2 did, as if it were "1\n".
    place.write(&format!(".dvc/cache/{}/{}", &ONE[..2], &ONE[2..]), "1\r\n");
    place.write("a.dvc", &format!("outs:\n- md5: {ONE}\n  size: 3\n  path: a\n"));
    let repo = place.repo();
    assert_eq!(repo.count_legacy_objects().expect("it is counted"), 1);
    assert_eq!(repo.migrate_cache(&NoProgress).expect("it is done"), 1);
    assert_eq!(repo.migrate_cache(&NoProgress).expect("it is done again"), 0);
    assert_eq!(repo.legacy_files().expect("they are read"), ["a.dvc"]);
    repo.migrate_files(&NoProgress).expect("they are written");
    let new = text(&place.root.join("a.dvc"));
    assert!(new.contains("hash: md5") && !new.contains(ONE), "{new}");
    assert!(place.repo().legacy_files().expect("they are read").is_empty());
}
