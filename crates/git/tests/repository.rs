//! Repositories made by the `git` program, read by us.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use trackway_git::{Error, Git, Kind, Untracked};

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Scratch {
        let scratch = Scratch(tempfile::tempdir().expect("a temporary folder"));
        scratch.git(&["init", "-q", "-b", "main"]);
        scratch
    }

    fn path(&self) -> PathBuf {
        fs::canonicalize(self.0.path()).expect("the folder is there")
    }

    fn git(&self, arguments: &[&str]) -> String {
        git(&self.path(), arguments)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, text).expect("a file");
    }

    fn commit(&self, name: &str, text: &str) -> String {
        self.write(name, text);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", name]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn open(&self) -> Git {
        Git::discover(&self.path()).expect("readable").expect("a repository")
    }
}

fn git(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(dir)
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "protocol.file.allow=always"])
        .args(arguments)
        .output()
        .expect("the git program");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn is_found_from_inside() {
    let scratch = Scratch::new();
    scratch.commit("a/b/file", "x");
    let from_inside = Git::discover(&scratch.path().join("a/b")).expect("readable").expect("a repository");
    assert_eq!(from_inside.root(), scratch.path());
    assert_eq!(from_inside.git_dir(), scratch.path().join(".git"));
    assert_eq!(from_inside.hooks_dir(), scratch.path().join(".git/hooks"));
    assert!(!from_inside.is_bare());
    assert_eq!(from_inside.configured_hooks_dir(), None);
    scratch.git(&["config", "core.hooksPath", "my/hooks"]);
    assert_eq!(scratch.open().configured_hooks_dir(), Some(scratch.path().join("my/hooks")));
    // Through a symbolic link the root is the real one.
    let outside = tempfile::tempdir().expect("a temporary folder");
    std::os::unix::fs::symlink(scratch.path().join("a"), outside.path().join("link")).expect("a link");
    let linked = Git::discover(&outside.path().join("link")).expect("readable").expect("a repository");
    assert_eq!(linked.root(), scratch.path());
}

#[test]
fn nothing_is_found_outside() {
    let outside = tempfile::tempdir().expect("a temporary folder");
    assert!(Git::discover(outside.path()).expect("readable").is_none());
    // An empty `.git` is no repository, and git goes on looking above it.
    fs::create_dir(outside.path().join(".git")).expect("a folder");
    assert!(Git::discover(outside.path()).expect("readable").is_none());
    assert!(matches!(Git::discover(&outside.path().join("missing")), Err(Error::Open { .. })));
}

#[test]
fn linked_work_trees_submodules_and_bare_repositories() {
    let scratch = Scratch::new();
    let head = scratch.commit("file", "x");
    let place = tempfile::tempdir().expect("a temporary folder");
    let place = fs::canonicalize(place.path()).expect("the folder is there");
    fs::create_dir_all(&place).expect("a folder");

    let tree = place.join("tree");
    scratch.git(&["worktree", "add", "-q", tree.to_str().expect("UTF-8"), "-b", "side"]);
    let linked = Git::discover(&tree).expect("readable").expect("a repository");
    assert_eq!(linked.root(), tree);
    assert_eq!(linked.common_dir(), scratch.path().join(".git"));
    assert_ne!(linked.git_dir(), linked.common_dir());
    assert_eq!(linked.hooks_dir(), scratch.path().join(".git/hooks"));
    assert_eq!(linked.active_branch().expect("HEAD"), Some("side".to_owned()));
    assert_eq!(linked.resolve("main").expect("a branch").hex(), head);
    assert!(linked.is_tracked(Path::new("file")).expect("an index"));

    let outer = Scratch::new();
    outer.git(&["submodule", "add", "-q", scratch.path().to_str().expect("UTF-8"), "deps/inner"]);
    outer.commit("own", "x");
    assert_eq!(outer.open().submodules().expect("an index"), [Path::new("deps/inner")]);
    let inner = Git::discover(&outer.path().join("deps/inner")).expect("readable").expect("a repository");
    assert_eq!(inner.root(), outer.path().join("deps/inner"));
    let tree = outer.open().tree(outer.open().head().expect("HEAD").expect("a commit")).expect("a tree");
    assert_eq!(tree.entry(Path::new("deps/inner")).expect("read").map(|e| e.kind), Some(Kind::Submodule));
    assert_eq!(tree.list(Path::new("deps/inner")).expect("read"), Some(Vec::new()));
    // Staging leaves out what lies in a submodule.
    outer.write("deps/inner/file", "changed");
    outer.open().add(&[outer.path().join("deps/inner/file")]).expect("staged");

    let bare = place.join("bare.git");
    scratch.git(&["clone", "-q", "--bare", ".", bare.to_str().expect("UTF-8")]);
    let bare_git = Git::discover(&bare).expect("readable").expect("a repository");
    assert!(bare_git.is_bare());
    assert_eq!(bare_git.root(), bare);
    assert_eq!(bare_git.resolve("main").expect("a branch").hex(), head);
    fs::remove_dir_all(place).expect("removed");
}

#[test]
fn revisions() {
    let scratch = Scratch::new();
    let git = scratch.open();
    assert_eq!(git.head().expect("HEAD"), None);
    assert_eq!(git.active_branch().expect("HEAD"), Some("main".to_owned()));
    assert_eq!(git.all_commits().expect("none"), []);
    let error = git.resolve("HEAD").expect_err("no commit yet");
    assert_eq!(error.to_string(), "unknown Git revision 'HEAD'");

    let one = scratch.commit("file", "1");
    scratch.git(&["tag", "light"]);
    scratch.git(&["tag", "-a", "-m", "x", "heavy"]);
    let two = scratch.commit("file", "2");
    let three = scratch.commit("file", "3");
    scratch.git(&["branch", "old", &one]);
    for (rev, id) in [
        ("HEAD", &three),
        ("HEAD~1", &two),
        ("HEAD^^", &one),
        ("main", &three),
        ("refs/heads/main", &three),
        ("old", &one),
        ("light", &one),
        ("heavy", &one),
        ("@{0}", &three),
        ("@", &three),
        (two.as_str(), &two),
        (&two[..7], &two),
    ] {
        assert_eq!(&git.resolve(rev).unwrap_or_else(|e| panic!("{rev}: {e}")).hex(), id, "{rev}");
    }
    for rev in ["nope", "HEAD~9", "HEAD:file", "", "deadbeef", "--all", &"0".repeat(40)] {
        assert_eq!(git.resolve(rev).expect_err(rev).to_string(), format!("unknown Git revision '{rev}'"));
    }
    assert_eq!(git.branches().expect("refs"), ["main", "old"]);
    assert_eq!(git.tags().expect("refs"), ["heavy", "light"]);
    let names = |found: Vec<(String, trackway_git::CommitId)>| {
        found.into_iter().map(|(name, id)| format!("{name} {id}")).collect::<Vec<_>>()
    };
    assert_eq!(names(git.commits_back("main", 2).expect("read")), [format!("main {three}"), format!("main~1 {two}")]);
    assert_eq!(names(git.commits_back("HEAD", -1).expect("read")).len(), 3);
    assert_eq!(names(git.commits_back("HEAD", 0).expect("read")).len(), 0);
    let id = git.head().expect("HEAD").expect("a commit");
    let time: i64 = scratch.git(&["log", "-1", "--format=%ct"]).parse().expect("a number");
    assert_eq!(git.commit_time(id).expect("read"), time);
}

#[test]
fn branches_of_remotes_and_experiments() {
    let origin = Scratch::new();
    origin.commit("file", "1");
    origin.git(&["checkout", "-q", "-b", "feature"]);
    let feature = origin.commit("file", "2");
    origin.git(&["checkout", "-q", "main"]);
    let place = tempfile::tempdir().expect("a temporary folder");
    let clone = place.path().join("clone");
    origin.git(&["clone", "-q", ".", clone.to_str().expect("UTF-8")]);
    let repo = Git::discover(&clone).expect("readable").expect("a repository");
    assert_eq!(repo.branches().expect("refs"), ["main"]);
    assert_eq!(repo.resolve("feature").expect("of the remote").hex(), feature);
    assert_eq!(repo.all_commits().expect("read").len(), 2);
    git(&clone, &["remote", "add", "other", "nowhere"]);
    git(&clone, &["update-ref", "refs/remotes/other/feature", "HEAD"]);
    let repo = Git::discover(&clone).expect("readable").expect("a repository");
    assert_eq!(repo.resolve("feature").expect_err("two").to_string(), "ambiguous Git revision 'feature'");

    let base = origin.git(&["rev-parse", "main"]);
    origin.git(&["update-ref", &format!("refs/exps/{}/{}/lucky-name", &base[..2], &base[2..]), &feature]);
    origin.git(&["update-ref", "refs/exps/stash", &feature]);
    let repo = origin.open();
    assert_eq!(repo.resolve("lucky-name").expect("an experiment").hex(), feature);
    let experiments = repo.experiments().expect("refs");
    assert_eq!(experiments.len(), 1);
    assert_eq!((experiments[0].name.as_str(), &experiments[0].baseline), ("lucky-name", &base));
    let commits: Vec<_> = repo.experiment_commits().expect("read").iter().map(|id| id.hex()).collect();
    assert_eq!(commits, std::slice::from_ref(&feature));
    origin.git(&["update-ref", "refs/exps/exec/EXEC_BASELINE", &feature]);
    assert_eq!(origin.open().resolve("HEAD").expect("the baseline").hex(), feature);
    assert_eq!(origin.open().resolve("HEAD~1").expect("below the baseline").hex(), base);
}

#[test]
fn all_commits_are_those_of_git_log() {
    let scratch = Scratch::new();
    for n in 0..5 {
        scratch.commit("file", &n.to_string());
    }
    scratch.git(&["checkout", "-q", "-b", "side", "HEAD~2"]);
    scratch.commit("other", "x");
    scratch.git(&["tag", "-a", "-m", "x", "kept"]);
    scratch.git(&["checkout", "-q", "main"]);
    scratch.git(&["branch", "-D", "-q", "side"]);
    scratch.git(&["merge", "-q", "--no-edit", "kept"]);
    let mut ours: Vec<_> = scratch.open().all_commits().expect("read").iter().map(|id| id.hex()).collect();
    let mut theirs: Vec<_> = scratch.git(&["log", "--all", "--format=%H"]).lines().map(str::to_owned).collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
    assert_eq!(ours.len(), 7);
}

#[test]
fn the_files_of_a_commit() {
    let scratch = Scratch::new();
    scratch.write("dir/sub/deep", "deep");
    scratch.write("dir/run.sh", "#!");
    fs::set_permissions(scratch.path().join("dir/run.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("mode");
    std::os::unix::fs::symlink("sub/deep", scratch.path().join("dir/link")).expect("a link");
    let odd = OsStr::from_bytes(b"caf\xe9 \n");
    fs::write(scratch.path().join(odd), "odd").expect("a file");
    scratch.commit("top", "text");
    scratch.write("top", "changed since");

    let git = scratch.open();
    let tree = git.tree(git.resolve("HEAD").expect("a commit")).expect("a tree");
    let kind = |path: &Path| tree.entry(path).expect("read").map(|entry| entry.kind);
    assert_eq!(tree.read(Path::new("top")).expect("read"), Some(b"text".to_vec()));
    assert_eq!(tree.read(Path::new("./dir/sub/deep")).expect("read"), Some(b"deep".to_vec()));
    assert_eq!(tree.read(Path::new("dir/link")).expect("read"), Some(b"sub/deep".to_vec()));
    assert_eq!(tree.read(Path::new(odd)).expect("read"), Some(b"odd".to_vec()));
    assert_eq!(tree.read(Path::new("dir")).expect("read"), None);
    assert_eq!(tree.read(Path::new("top/below")).expect("read"), None);
    assert_eq!(tree.read(Path::new("missing")).expect("read"), None);
    assert_eq!(kind(Path::new("")), Some(Kind::Dir));
    assert_eq!(kind(Path::new("dir/sub")), Some(Kind::Dir));
    assert_eq!(kind(Path::new("dir/run.sh")), Some(Kind::Executable));
    assert_eq!(kind(Path::new("dir/link")), Some(Kind::Symlink));
    assert_eq!(kind(Path::new("top")), Some(Kind::File));
    assert_eq!(kind(Path::new("../top")), None);
    assert_eq!(kind(Path::new("/top")), None);
    let names: Vec<_> =
        tree.list(Path::new("dir")).expect("read").expect("a folder").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["link", "run.sh", "sub"]);
    assert_eq!(tree.list(Path::new("top")).expect("read"), None);
    let mut walked = Vec::new();
    tree.walk(Path::new(""), |path, _| {
        walked.push(path.to_owned());
        path != Path::new("dir/sub")
    })
    .expect("read");
    assert_eq!(
        walked,
        [
            Path::new(odd),
            Path::new("dir"),
            Path::new("top"),
            Path::new("dir/link"),
            Path::new("dir/run.sh"),
            Path::new("dir/sub")
        ]
    );
    let entry = tree.entry(Path::new("top")).expect("read").expect("there");
    assert_eq!(tree.size(entry.id).expect("read"), 4);
    // Also from other threads, and after a repack.
    scratch.git(&["gc", "-q"]);
    let clone = tree.clone();
    let read = std::thread::spawn(move || clone.read(Path::new("dir/sub/deep"))).join().expect("no panic");
    assert_eq!(read.expect("read"), Some(b"deep".to_vec()));
}

#[test]
fn what_is_tracked() {
    let scratch = Scratch::new();
    let git = scratch.open();
    assert!(!git.is_tracked(Path::new("dir")).expect("no index yet"));
    scratch.write("dir/a", "");
    scratch.write("dir/b", "");
    scratch.write("dir-x", "");
    scratch.commit("dir.x", "");
    let tracked = |path: &Path| git.is_tracked(path).expect("an index");
    assert!(tracked(Path::new("dir")) && tracked(Path::new("dir/a")) && tracked(&scratch.path().join("dir-x")));
    assert!(!tracked(Path::new("di")) && !tracked(Path::new("dir/c")) && !tracked(Path::new("/elsewhere/dir")));
    assert_eq!(git.tracked_under(Path::new("dir")).expect("an index"), [Path::new("dir/a"), Path::new("dir/b")]);
    assert_eq!(git.tracked_under(&scratch.path()).expect("an index").len(), 4);
}

#[test]
fn ignored_as_git_says() {
    let scratch = Scratch::new();
    scratch.write(".gitignore", "/data\n*.tmp\n!keep.tmp\nonly/\n\\#odd\n/we\\[i\\]rd\nends \n");
    scratch.write("sub/.gitignore", "/local\n!again.tmp\n");
    scratch.write(".git/info/exclude", "excluded\n");
    scratch.write("user", "by-user\n");
    scratch.git(&["config", "core.excludesFile", scratch.path().join("user").to_str().expect("UTF-8")]);
    let git = scratch.open();
    let mut paths: Vec<(String, bool)> = Vec::new();
    for name in
        ["data", "data/below", "sub/data", "a.tmp", "keep.tmp", "sub/again.tmp", "sub/a.tmp", "only", "#odd", "we[i]rd"]
    {
        paths.extend([(name.to_owned(), false), (name.to_owned(), true)]);
    }
    for name in
        ["local", "sub/local", "sub/x/local", "excluded", "sub/excluded", "by-user", "only/inside", "ends", "none"]
    {
        paths.extend([(name.to_owned(), false), (name.to_owned(), true)]);
    }
    for (path, is_dir) in paths {
        let asked = if is_dir { format!("{path}/") } else { path.clone() };
        let theirs = Command::new("git")
            .current_dir(scratch.path())
            .args(["check-ignore", "-q", "--no-index", &asked])
            .status()
            .expect("the git program")
            .success();
        assert_eq!(git.is_ignored(Path::new(&path), is_dir).expect("read"), theirs, "{asked}");
        assert_eq!(git.is_ignored(&scratch.path().join(&path), is_dir).expect("read"), theirs, "{asked}");
    }
    assert!(!git.is_ignored(Path::new("/elsewhere/data"), false).expect("read"));
    assert!(!git.is_ignored(&scratch.path(), true).expect("read"));
    // What was read is kept until it is said to have changed.
    scratch.write(".gitignore", "/new\n");
    git.forget_ignores();
    assert!(git.is_ignored(Path::new("new"), false).expect("read"));
    assert!(!git.is_ignored(Path::new("data"), false).expect("read"));
}

#[test]
fn staging_and_the_state_of_the_work_tree() {
    let scratch = Scratch::new();
    scratch.write(".gitignore", "/skipped\n");
    scratch.write("gone", "");
    scratch.commit("kept", "1");
    let git = scratch.open();
    assert!(!git.status(Untracked::All).expect("git runs").is_dirty());
    fs::remove_file(scratch.path().join("gone")).expect("removed");
    scratch.write("kept", "2");
    scratch.write("new dir/*", "star");
    scratch.write("new dir/other", "");
    scratch.write("skipped", "");
    let odd = OsStr::from_bytes(b"n\xe9\nw");
    fs::write(scratch.path().join(odd), "").expect("a file");

    let status = git.status(Untracked::Normal).expect("git runs");
    assert_eq!(status.staged, [] as [&Path; 0]);
    assert_eq!(status.unstaged, [Path::new("gone"), Path::new("kept")]);
    assert_eq!(status.untracked, [Path::new("new dir/"), Path::new(odd)]);
    let all = git.untracked_files(Untracked::All).expect("git runs");
    assert_eq!(all, [Path::new("new dir/*"), Path::new("new dir/other"), Path::new(odd)]);
    assert_eq!(git.untracked_files(Untracked::No).expect("git runs"), [] as [&Path; 0]);

    let root = scratch.path();
    git.add(&[
        root.join("gone"),
        "kept".into(),
        root.join("new dir/*"),
        odd.into(),
        "skipped".into(),
        "missing".into(),
    ])
    .expect("staged");
    let status = git.status(Untracked::All).expect("git runs");
    let staged: Vec<&Path> = status.staged.iter().map(PathBuf::as_path).collect();
    assert_eq!(staged, [Path::new("gone"), Path::new("kept"), Path::new("new dir/*"), Path::new(odd)]);
    assert_eq!(status.untracked, [Path::new("new dir/other")]);
    git.reset(&["gone".into(), root.join("new dir/*")]).expect("reset");
    let status = git.status(Untracked::No).expect("git runs");
    assert_eq!(status.staged, [Path::new("kept"), Path::new(odd)]);
    assert_eq!(status.unstaged, [Path::new("gone")]);
    git.add(&[]).expect("nothing to do");
    assert!(matches!(git.add(&["/elsewhere/file".into()]), Err(Error::Outside { .. })));
    git.set_config("merge.dvc.name", "DVC merge driver").expect("written");
    assert_eq!(scratch.git(&["config", "merge.dvc.name"]), "DVC merge driver");
    // Somebody holds the index: said in git's words.
    scratch.write(".git/index.lock", "");
    let error = git.add(&["new dir/other".into()]).expect_err("locked").to_string();
    assert!(error.starts_with("cannot run `git add") && error.contains("index.lock"), "{error}");
}
