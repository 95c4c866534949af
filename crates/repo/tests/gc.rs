//! What a collection takes and what it keeps, on repositories made at random and on small ones made by hand.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use trackway_repo::Repo;
use trackway_repo::add::AddOptions;
use trackway_repo::checkout::CheckoutOptions;
use trackway_repo::config::Environment;
use trackway_repo::config::settings::{Scope, set};
use trackway_repo::fsck::FsckOptions;
use trackway_repo::gc::GcOptions;
use trackway_repo::revisions::RevisionOptions;
use trackway_repo::tidy::{TidyOptions, Why};
use trackway_store::{HashName, NoProgress, Oid};

/// A folder with git repositories in it.
struct World {
    root: tempfile::TempDir,
}

struct Project {
    world: PathBuf,
    dir: PathBuf,
}

impl World {
    fn new() -> World {
        World { root: tempfile::tempdir().unwrap() }
    }

    fn project(&self, name: &str) -> Project {
        let world = self.root.path().canonicalize().unwrap();
        let dir = world.join(name);
        std::fs::create_dir_all(dir.join(".dvc/tmp")).unwrap();
        std::fs::write(dir.join(".dvc/config"), "").unwrap();
        std::fs::write(dir.join(".dvc/.gitignore"), "/config.local\n/tmp\n/cache\n").unwrap();
        let project = Project { world, dir };
        project.git(&["init", "-q", "-b", "main", "."]);
        project.commit("begin");
        project
    }
}

impl Project {
    fn environment(&self) -> Environment {
        let vars = [("DVC_SITE_CACHE_DIR", self.world.join("site").display().to_string()), ("USER", "ann".to_owned())];
        let vars = vars.map(|(name, value)| (name.to_owned(), value));
        Environment::new(vars, Some(self.world.join("home")), self.dir.clone())
    }

    fn repo(&self) -> Repo {
        Repo::open(&self.dir, &self.environment()).unwrap()
    }

    fn try_git(&self, args: &[&str]) -> Option<String> {
        let output = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "-c", "gc.auto=0"])
            .args(args)
            .current_dir(&self.dir)
            .env("HOME", self.world.join("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn git(&self, args: &[&str]) -> String {
        self.try_git(args).unwrap_or_else(|| panic!("git {args:?} failed"))
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }

    /// Writes a file that DVC tracks, alone or in a folder, and adds it.
    fn add(&self, target: &str, file: &str, content: &str) {
        let path = self.dir.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(&path);
        std::fs::write(path, content).unwrap();
        self.repo().add(&[target.to_owned()], AddOptions::default(), &NoProgress).unwrap();
    }

    fn checkout(&self) {
        let options = CheckoutOptions { force: true, ..CheckoutOptions::default() };
        let done = self.repo().checkout(&[], options, &NoProgress).unwrap();
        assert_eq!(done.failed, Vec::<String>::new());
    }

    fn objects(&self) -> BTreeSet<String> {
        let repo = self.repo();
        let stored = repo.cache(HashName::Md5).unwrap().inventory().unwrap();
        stored.iter().map(|stored| stored.oid.to_string()).collect()
    }

    fn revs(&self, args: &[&str]) -> Vec<String> {
        self.git(args).split_whitespace().map(str::to_owned).collect()
    }

    /// What a commit, or the work tree, needs; read from the .dvc files by hand.
    fn needs(&self, rev: Option<&str>, lists: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
        let texts: Vec<String> = match rev {
            Some(rev) => {
                let names = self.git(&["ls-tree", "--name-only", rev]);
                let files = names.lines().filter(|name| name.ends_with(".dvc") && *name != ".dvc");
                files.map(|name| self.git(&["show", &format!("{rev}:{name}")])).collect()
            }
            None => {
                let entries = std::fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().path());
                let files = entries.filter(|path| path.is_file() && path.to_string_lossy().ends_with(".dvc"));
                files.map(|path| std::fs::read_to_string(path).unwrap()).collect()
            }
        };
        let mut needs = BTreeSet::new();
        for line in texts.iter().flat_map(|text| text.lines()) {
            if let Some(md5) = line.trim_start_matches(['-', ' ']).strip_prefix("md5: ") {
                needs.insert(md5.to_owned());
                needs.extend(lists.get(md5).into_iter().flatten().cloned());
            }
        }
        needs
    }

    /// All directories' lists that are in the cache now.
    fn learn(&self, lists: &mut BTreeMap<String, Vec<String>>) {
        let repo = self.repo();
        let cache = repo.cache(HashName::Md5).unwrap();
        for oid in self.objects().iter().filter(|oid| oid.ends_with(".dir")) {
            let text = std::fs::read_to_string(cache.path(&Oid::parse(oid).unwrap())).unwrap();
            let entries = text.split("\"md5\": \"").skip(1).map(|rest| rest[..32].to_owned());
            lists.insert(oid.clone(), entries.collect());
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    File(u8, u8),
    Inner(u8, u8),
    Commit,
    Branch(u8),
    Switch(u8),
    Tag(u8),
    Merge(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2u8, any::<u8>()).prop_map(|(file, content)| Step::File(file, content)),
        4 => (0..3u8, any::<u8>()).prop_map(|(file, content)| Step::Inner(file, content)),
        5 => Just(Step::Commit),
        1 => (0..3u8).prop_map(Step::Branch),
        2 => (0..3u8).prop_map(Step::Switch),
        1 => any::<u8>().prop_map(Step::Tag),
        1 => (0..3u8).prop_map(Step::Merge),
    ]
}

fn play(project: &Project, steps: &[Step], lists: &mut BTreeMap<String, Vec<String>>) {
    for step in steps {
        match step {
            Step::File(file, content) => project.add(&format!("f{file}"), &format!("f{file}"), &format!("{content}")),
            Step::Inner(file, content) => project.add("d", &format!("d/x{file}"), &format!("{content}")),
            Step::Commit => project.commit("step"),
            Step::Branch(branch) => drop(project.try_git(&["branch", &format!("b{branch}")])),
            Step::Switch(branch) => {
                project.commit("before");
                if project.try_git(&["checkout", "-q", &format!("b{branch}")]).is_some() {
                    project.checkout();
                }
            }
            Step::Tag(tag) => drop(project.try_git(&["tag", &format!("t{tag}")])),
            Step::Merge(branch) => {
                project.commit("before");
                let merged = project.try_git(&["merge", "-q", "--no-edit", "-s", "ours", &format!("b{branch}")]);
                if merged.is_none() {
                    let _ = project.try_git(&["merge", "--abort"]);
                }
            }
        }
        project.learn(lists);
    }
}

/// The commits that the options name, as git tells them.
fn named(project: &Project, options: &RevisionOptions) -> HashSet<String> {
    let mut revs = HashSet::new();
    if options.all_commits {
        revs.extend(project.revs(&["rev-list", "HEAD", "--all"]));
    }
    if options.all_branches {
        for branch in project.revs(&["for-each-ref", "--format=%(refname)", "refs/heads"]) {
            revs.extend(project.revs(&["rev-list", "--first-parent", &format!("-n{}", options.num), &branch]));
        }
    }
    if options.all_tags {
        revs.extend(project.revs(&["for-each-ref", "--format=%(objectname)", "refs/tags"]));
    }
    for rev in &options.revs {
        revs.extend(project.revs(&["rev-list", "--first-parent", &format!("-n{}", options.num), rev]));
    }
    revs
}

fn scope() -> impl Strategy<Value = RevisionOptions> {
    (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2), any::<bool>(), 1..4i64).prop_map(
        |(all_branches, all_tags, all_commits, head, num)| RevisionOptions {
            all_branches,
            all_tags,
            all_commits,
            revs: if head { vec!["HEAD".to_owned()] } else { Vec::new() },
            num,
            ..RevisionOptions::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn gc_takes_what_no_kept_revision_reaches_and_nothing_else(
        steps in prop::collection::vec(step(), 5..30),
        revisions in scope(),
        trash in any::<bool>(),
    ) {
        let world = World::new();
        let project = world.project("p");
        let mut lists = BTreeMap::new();
        play(&project, &steps, &mut lists);
        let before = project.objects();
        let mut wanted = project.needs(None, &lists);
        for rev in named(&project, &revisions) {
            wanted.extend(project.needs(Some(&rev), &lists));
        }
        let repo = project.repo();
        if trash {
            let options = TidyOptions { revisions, ..TidyOptions::new(&repo.settings().unwrap()) };
            let dry = repo.tidy(&TidyOptions { dry: true, ..options.clone() }, &NoProgress).unwrap();
            prop_assert_eq!(project.objects(), before.clone());
            let tidied = project.repo().tidy(&options, &NoProgress).unwrap();
            prop_assert_eq!(dry.gone.len(), tidied.objects);
        } else {
            let options = GcOptions { revisions, force: true, ..GcOptions::default() };
            repo.gc(&options, &mut |_| false, &NoProgress).unwrap();
        }
        let expected: BTreeSet<_> = before.intersection(&wanted).cloned().collect();
        prop_assert_eq!(project.objects(), expected);
        prop_assert!(project.repo().fsck(&FsckOptions::default(), &NoProgress).unwrap().is_clean());
        if trash {
            project.repo().undo_tidy(false, &NoProgress).unwrap();
            prop_assert_eq!(project.objects(), before);
        }
    }

    #[test]
    fn a_budget_keeps_the_work_tree_and_the_newest_commits_that_fit(
        steps in prop::collection::vec(step(), 5..25),
        budget in 0..600u64,
    ) {
        let world = World::new();
        let project = world.project("p");
        let mut lists = BTreeMap::new();
        play(&project, &steps, &mut lists);
        let before = project.objects();
        let repo = project.repo();
        let size = |repo: &Repo| trackway_repo::tidy::size_of(repo.cache(HashName::Md5).unwrap()).unwrap();
        let total = size(&repo);
        let options = TidyOptions { max_size: Some(budget), ..TidyOptions::new(&repo.settings().unwrap()) };
        let tidied = repo.tidy(&options, &NoProgress).unwrap();
        let after = project.objects();
        let needs = project.needs(None, &lists);
        prop_assert!(before.intersection(&needs).all(|oid| after.contains(oid)));
        if total <= budget {
            prop_assert_eq!(&after, &before);
        }
        let left = size(&project.repo());
        prop_assert_eq!(left, tidied.cache_bytes);
        prop_assert!(left + tidied.trash_bytes <= budget || tidied.over_budget.is_some());
    }
}

fn three_versions(project: &Project) {
    for content in ["one", "two", "three"] {
        project.add("f", "f", content);
        project.commit(content);
    }
}

fn tidy(project: &Project, change: impl FnOnce(&mut TidyOptions)) -> trackway_repo::tidy::Tidied {
    let repo = project.repo();
    let mut options = TidyOptions::new(&repo.settings().unwrap());
    change(&mut options);
    repo.tidy(&options, &NoProgress).unwrap()
}

#[test]
fn a_cache_miss_takes_the_object_out_of_the_trash() {
    let world = World::new();
    let project = world.project("p");
    three_versions(&project);
    assert_eq!(tidy(&project, |_| {}).objects, 2);
    assert_eq!(project.objects().len(), 1);
    project.git(&["checkout", "-q", "HEAD~2"]);
    project.checkout();
    assert_eq!(std::fs::read_to_string(project.dir.join("f")).unwrap(), "one");
    // The other is still in the trash, and the last collection can be undone.
    assert_eq!(project.objects().len(), 2);
    assert_eq!(project.repo().undo_tidy(false, &NoProgress).unwrap(), 1);
    assert_eq!(project.objects().len(), 3);
}

#[test]
fn the_trash_is_emptied_when_its_time_has_come_but_not_of_what_is_needed_again() {
    let world = World::new();
    let project = world.project("p");
    three_versions(&project);
    tidy(&project, |_| {});
    project.git(&["checkout", "-q", "HEAD~1"]);
    // The data was not checked out, but the work tree needs it.
    let later = SystemTime::now() + Duration::from_secs(8 * 24 * 3600);
    let tidied = tidy(&project, |options| options.now = later);
    assert_eq!((tidied.objects, tidied.freed_objects), (1, 1));
    project.checkout();
    assert_eq!(std::fs::read_to_string(project.dir.join("f")).unwrap(), "two");
}

#[test]
fn a_dry_run_says_why() {
    let world = World::new();
    let project = world.project("p");
    three_versions(&project);
    project.add("f", "f", "never committed");
    project.add("f", "f", "four");
    let gone = tidy(&project, |options| options.dry = true).gone;
    assert_eq!(gone.len(), 4);
    assert_eq!(gone.iter().filter(|gone| gone.why == Why::NotNeeded).count(), 1);
    assert!(gone.iter().any(|gone| matches!(&gone.why, Why::OldRevision { output, .. } if output == "f")));
    assert_eq!(project.objects().len(), 5);
}

#[test]
fn two_projects_on_one_cache_keep_each_others_data() {
    let world = World::new();
    let (one, other) = (world.project("one"), world.project("other"));
    for project in [&one, &other] {
        std::fs::write(project.dir.join(".dvc/config"), "[cache]\n    dir = ../../shared\n").unwrap();
        project.commit("config");
    }
    three_versions(&one);
    other.add("g", "g", "others");
    other.commit("g");
    other.add("g", "g", "newer");
    other.commit("g");
    assert_eq!(one.objects().len(), 5);
    // Only old versions go, of either.
    assert_eq!(tidy(&one, |_| {}).objects, 3);
    other.checkout();
    // Stock's way keeps it too.
    let gc = |project: &Project| {
        let options = GcOptions { force: true, ..GcOptions::default() };
        project.repo().gc(&options, &mut |_| false, &NoProgress)
    };
    gc(&one).unwrap();
    assert_eq!(one.objects().len(), 2);
    // A project that cannot be found stops ours, until it is dropped.
    std::fs::rename(&other.dir, world.root.path().join("elsewhere")).unwrap();
    let refused = one.repo().tidy(&TidyOptions::new(&Default::default()), &NoProgress);
    assert!(refused.unwrap_err().to_string().contains("trackway cache forget"));
    let repo = one.repo();
    assert!(repo.cache(HashName::Md5).unwrap().unregister(&other.dir).unwrap());
    assert_eq!(tidy(&one, |_| {}).objects, 1);
}

#[test]
fn a_revision_that_cannot_be_read_stops_a_collection_that_would_keep_it() {
    let world = World::new();
    let project = world.project("p");
    three_versions(&project);
    std::fs::write(project.dir.join("bad.dvc"), "outs: [").unwrap();
    project.commit("bad");
    std::fs::remove_file(project.dir.join("bad.dvc")).unwrap();
    project.commit("good");
    let run = |change: &dyn Fn(&mut TidyOptions)| {
        let mut options = TidyOptions::new(&Default::default());
        change(&mut options);
        project.repo().tidy(&options, &NoProgress)
    };
    let all = |options: &mut TidyOptions| options.revisions.all_commits = true;
    assert!(run(&all).unwrap_err().to_string().contains("Failed to collect"));
    assert!(run(&|options| options.newest = Some(5)).is_err());
    assert_eq!(project.objects().len(), 3);
    assert_eq!(run(&|options| (all(options), options.skip_failed = true).1).unwrap().objects, 0);
    assert_eq!(run(&|_| {}).unwrap().objects, 2);
}

#[test]
fn nothing_is_collected_beside_a_writer() {
    let world = World::new();
    let project = world.project("p");
    three_versions(&project);
    let writer = project.repo();
    let held = writer.use_cache().unwrap();
    let busy = project.repo().tidy(&TidyOptions::new(&Default::default()), &NoProgress);
    assert!(busy.unwrap_err().to_string().contains("Another command works with the cache"));
    assert_eq!(project.repo().tidy_by_itself(SystemTime::now(), &NoProgress).unwrap().map(|done| done.objects), None);
    drop(held);
    assert_eq!(tidy(&project, |_| {}).objects, 2);
}

#[test]
fn the_automatic_one_takes_only_what_is_pushed_and_not_young() {
    let world = World::new();
    let project = world.project("p");
    let remote = world.root.path().join("remote");
    std::fs::write(
        project.dir.join(".dvc/config"),
        format!("[core]\n    remote = r\n['remote \"r\"']\n    url = {}\n", remote.display()),
    )
    .unwrap();
    three_versions(&project);
    let env = project.environment();
    let dvc_dir = project.dir.join(".dvc");
    let later = |days: u64| SystemTime::now() + Duration::from_secs(days * 24 * 3600);
    let run = |now| project.repo().tidy_by_itself(now, &NoProgress).unwrap();
    // Nothing is configured.
    assert!(run(later(2)).is_none());
    set(Scope::Repo, "cache.keep_commits", Some("1"), Some(&dvc_dir), &env).unwrap();
    // No remote has anything.
    assert_eq!(run(later(2)).unwrap().objects, 0);
    for entry in project.objects() {
        let oid = Oid::parse(&entry).unwrap();
        let repo = project.repo();
        let to = remote.join("files/md5").join(&entry[..2]).join(&entry[2..]);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(repo.cache(HashName::Md5).unwrap().path(&oid), to).unwrap();
    }
    // It is too young, and then it was looked at a moment ago.
    std::fs::remove_file(dvc_dir.join("tmp/trackway/collected")).unwrap();
    assert_eq!(run(SystemTime::now()).unwrap().objects, 0);
    assert!(run(SystemTime::now()).is_none());
    assert_eq!(run(later(2)).unwrap().objects, 2);
    assert_eq!(project.objects().len(), 1);
    set(Scope::Repo, "cache.auto", Some("false"), Some(&dvc_dir), &env).unwrap();
    assert!(run(later(30)).is_none());
}

#[test]
fn fsck_finds_a_flipped_bit_in_any_object_and_repairs_it() {
    let world = World::new();
    let project = world.project("p");
    project.add("d", "d/one", "1");
    project.add("d", "d/two", "2");
    project.commit("d");
    let fsck = |repair| project.repo().fsck(&FsckOptions { repair, ..FsckOptions::default() }, &NoProgress).unwrap();
    assert!(fsck(false).is_clean());
    let needed = project.needs(None, &{
        let mut lists = BTreeMap::new();
        project.learn(&mut lists);
        lists
    });
    for oid in &needed {
        let path = project.repo().cache(HashName::Md5).unwrap().path(&Oid::parse(oid).unwrap());
        let good = std::fs::read(&path).unwrap();
        flip(&path);
        let found = fsck(false);
        assert_eq!(found.damaged.len(), 1, "{oid}");
        assert!(!found.is_clean() && !found.damaged[0].needed_by.is_empty());
        let found = fsck(true);
        assert!(found.is_clean(), "{found:?}");
        assert!(found.damaged[0].set_aside.as_ref().is_some_and(|aside| aside.exists()));
        assert_eq!(std::fs::read(&path).unwrap(), good);
        // And when it is gone altogether.
        std::fs::remove_file(&path).unwrap();
        assert_eq!(fsck(false).missing.len(), 1);
        assert!(fsck(true).is_clean());
        assert_eq!(std::fs::read(&path).unwrap(), good);
    }
    // Without a copy anywhere it stays wrong.
    let (one, path) = (project.dir.join("d/one"), object_of(&project, "1"));
    std::fs::remove_file(one).unwrap();
    flip(&path);
    let found = fsck(true);
    assert!(!found.is_clean() && found.damaged[0].repaired_from.is_none());
    assert!(!path.exists());
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[0] ^= 1;
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn object_of(project: &Project, content: &str) -> PathBuf {
    let oid = trackway_store::hash_bytes(HashName::Md5, content.as_bytes());
    project.repo().cache(HashName::Md5).unwrap().path(&oid)
}
