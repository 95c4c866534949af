//! `.dvcignore` and `.gitignore`. The answers were taken from DVC 3.67.1 where they are not obvious.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use trackway_git::Git;
use trackway_repo::files::Files;
use trackway_repo::gitignore::{self, GitIgnoreError};
use trackway_repo::ignore::{DvcIgnore, IgnoreError};

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Scratch {
        Scratch(tempfile::tempdir().expect("a temporary folder"))
    }

    fn root(&self) -> PathBuf {
        fs::canonicalize(self.0.path()).expect("the folder is there")
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, text).expect("a file");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root().join(name)).expect("a file")
    }
}

/// All that a walk of the repository sees.
fn walk(ignore: &DvcIgnore) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(ignore.root().to_owned(), ignore.top())];
    while let Some((dir, filter)) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a folder") {
            let entry = entry.expect("an entry");
            let (path, name) = (entry.path(), entry.file_name());
            let skipped = filter.skip(&name, path.is_dir());
            assert_eq!(skipped, ignore.skip(&dir, &name, path.is_dir()), "{path:?}");
            assert_eq!(skipped, ignore.is_ignored(&path, path.is_dir()), "{path:?}");
            assert_eq!(skipped, ignore.check_as_found(&path).ignored, "{path:?}");
            if !skipped {
                found.push(path.strip_prefix(ignore.root()).expect("below").display().to_string());
                if path.is_dir() {
                    open.push((path, ignore.for_dir(&filter, &name)));
                }
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_hidden_without_any_file() {
    let scratch = Scratch::new();
    for name in [
        ".dvc/config",
        ".git/HEAD",
        ".hg/x",
        "sub/.git",
        "sub/.hg",
        "sub/.dvc.x",
        "data/file",
        "inner/.dvc/config",
        "inner/file",
    ] {
        scratch.write(name, "");
    }
    let ignore = DvcIgnore::new(&scratch.root()).expect("readable");
    assert_eq!(walk(&ignore), ["data", "data/file", "sub", "sub/.dvc.x", "sub/.hg"]);
    assert!(ignore.top().is_built_in());
    let check = |name: &str| ignore.check_as_found(&scratch.root().join(name));
    assert_eq!(check(".dvc/config").pattern.as_deref(), Some(":.dvc/"));
    assert_eq!(check("inner/file").pattern.as_deref(), Some("in sub_repo:inner"));
    assert_eq!(check("data/file").pattern, None);
    assert!(!ignore.is_ignored(&scratch.root(), true) && !ignore.is_ignored(Path::new("/elsewhere/.git"), true));
    let all = DvcIgnore::with_subrepos(&scratch.root(), Files::WorkTree).expect("readable");
    assert_eq!(walk(&all), ["data", "data/file", "inner", "inner/file", "sub", "sub/.dvc.x", "sub/.hg"]);
}

#[test]
fn files_at_the_root_and_below() {
    let scratch = Scratch::new();
    scratch.write(".dvcignore", "# a comment\r\n\n  *.tmp  \n/top\nlogs/\n!keep.tmp\n");
    scratch.write("sub/.dvcignore", "/local\ndeep/only\n!again.tmp\n");
    for name in
        ["a.tmp", "keep.tmp", "top", "logs/x", "sub/top", "sub/local", "sub/x/local", "sub/deep/only", "sub/again.tmp"]
    {
        scratch.write(name, "");
    }
    scratch.write("sub/x/deep/only", "");
    let ignore = DvcIgnore::new(&scratch.root()).expect("readable");
    assert_eq!(
        walk(&ignore),
        [
            ".dvcignore",
            "keep.tmp",
            "sub",
            "sub/.dvcignore",
            "sub/again.tmp",
            "sub/deep",
            "sub/top",
            "sub/x",
            "sub/x/deep",
            "sub/x/deep/only",
            "sub/x/local"
        ]
    );
    let check = |name: &str| {
        let found = ignore.check_as_found(&scratch.root().join(name));
        (found.ignored, found.pattern.unwrap_or_default())
    };
    assert_eq!(check("a.tmp"), (true, ".dvcignore:3:*.tmp".to_owned()));
    assert_eq!(check("keep.tmp"), (false, ".dvcignore:6:!keep.tmp".to_owned()));
    assert_eq!(check("logs/x"), (true, ".dvcignore:5:logs/".to_owned()));
    assert_eq!(check("sub/x/../local"), (true, "sub/.dvcignore:1:/local".to_owned()));
    assert_eq!(check("sub/again.tmp"), (false, "sub/.dvcignore:3:!again.tmp".to_owned()));
    assert_eq!(check("not/there.tmp"), (true, ".dvcignore:3:*.tmp".to_owned()));
    assert!(ignore.is_ignored_as_found(&scratch.root().join("logs")));
    assert!(ignore.is_ignored_as_found(&scratch.root().join("missing/logs")));
}

#[test]
fn corners_that_are_stocks() {
    let scratch = Scratch::new();
    // `**/` in a nested file hides all that is beside it; at the root it hides nothing.
    scratch.write(".dvcignore", "**/\n*/\n");
    scratch.write("all/.dvcignore", "**/\n");
    scratch.write("all/file", "");
    // An ignore file that is hidden does not count.
    scratch.write("blind/.dvcignore", "/file\n");
    scratch.write("blind/file", "");
    // The name of a folder is not escaped when its lines are moved to the root.
    scratch.write("d[1]/.dvcignore", "file\n");
    scratch.write("d[1]/file", "");
    let ignore = DvcIgnore::new(&scratch.root()).expect("readable");
    assert_eq!(
        walk(&ignore),
        [".dvcignore", "all", "blind", "blind/.dvcignore", "d[1]", "d[1]/.dvcignore", "d[1]/file"]
    );
    scratch.write(".dvcignore", "blind/.dvcignore\n");
    let ignore = DvcIgnore::new(&scratch.root()).expect("readable");
    assert!(walk(&ignore).contains(&"blind/file".to_owned()));
}

#[test]
fn lines_without_meaning_are_told() {
    let scratch = Scratch::new();
    scratch.write(".dvcignore", "ok\nends\\\n");
    let error = DvcIgnore::new(&scratch.root()).expect_err("a bad line");
    assert!(matches!(&error, IgnoreError::Pattern { .. }));
    assert!(error.to_string().starts_with(".dvcignore:2:ends\\: Invalid git pattern: 'ends\\'"), "{error}");
    scratch.write(".dvcignore", "[never closed\n");
    scratch.write("sub/.dvcignore", "[b-a]\n");
    let ignore = DvcIgnore::new(&scratch.root()).expect("such a line is void");
    assert!(ignore.failure().is_none());
    assert!(!ignore.skip(&scratch.root().join("sub"), OsStr::new("b"), false));
    assert!(ignore.failure().is_some_and(|error| error.to_string().starts_with("sub/.dvcignore:1:[b-a]: ")));
    assert!(ignore.failure().is_none(), "told once");
}

fn repository() -> (Scratch, Git) {
    let scratch = Scratch::new();
    let made = std::process::Command::new("git").args(["init", "-q"]).arg(scratch.root()).status();
    assert!(made.expect("the git program").success());
    let git = Git::discover(&scratch.root()).expect("readable").expect("a repository");
    (scratch, git)
}

#[test]
fn lines_come_and_go() {
    let (scratch, git) = repository();
    let root = scratch.root();
    let names = [
        "data.txt",
        "we[i]rd #1!?.txt",
        "a*b",
        "back\\slash",
        "sp ace",
        "ends ",
        "new\nline",
        "sub/deep",
        "dup",
        "dup",
    ];
    let paths: Vec<PathBuf> = names.iter().map(|name| root.join(name)).collect();
    names.iter().for_each(|name| scratch.write(name, ""));
    scratch.write(".gitignore", "/foo");
    let done = gitignore::ignore(&git, &paths).expect("written");
    assert_eq!(done.files, [root.join(".gitignore"), root.join("sub/.gitignore")]);
    assert_eq!(
        scratch.read(".gitignore"),
        "/foo\n/data.txt\n/we\\[i\\]rd \\#1\\!\\?.txt\n/a\\*b\n/back\\\\slash\n/sp ace\n/ends\\ \n/new?line\n/dup\n"
    );
    assert_eq!(scratch.read("sub/.gitignore"), "/deep\n");
    for path in &paths {
        assert!(git.is_ignored(path, false).expect("readable"), "{path:?}");
    }
    assert_eq!(gitignore::ignore(&git, &paths).expect("nothing to do"), Default::default());

    let left = gitignore::unignore(&git, &paths).expect("written");
    assert_eq!(left, [root.join(".gitignore")]);
    assert_eq!(scratch.read(".gitignore"), "/foo\n");
    assert!(!root.join("sub/.gitignore").exists());
    assert!(!git.is_ignored(&paths[0], false).expect("readable"));
    // Nothing to take out: the file is named all the same, and not touched.
    assert_eq!(gitignore::unignore(&git, &paths[..1]).expect("read"), [root.join(".gitignore")]);
    assert_eq!(gitignore::unignore(&git, &[root.join("sub/deep")]).expect("no file"), [] as [PathBuf; 0]);
}

#[test]
fn ignored_by_any_rule_is_ignored() {
    let (scratch, git) = repository();
    scratch.write(".gitignore", "*.bin\r\n/data/\r\n");
    scratch.write("a.bin", "");
    scratch.write("data/x", "");
    let paths = [scratch.root().join("a.bin"), scratch.root().join("data")];
    assert_eq!(gitignore::ignore(&git, &paths).expect("nothing to do"), Default::default());
    gitignore::ignore(&git, &[scratch.root().join("other")]).expect("written");
    assert_eq!(scratch.read(".gitignore"), "*.bin\r\n/data/\r\n/other\n");
    gitignore::unignore(&git, &[scratch.root().join("other")]).expect("written");
    assert_eq!(scratch.read(".gitignore"), "*.bin\r\n/data/\r\n");
}

#[test]
fn what_git_has_and_what_is_elsewhere() {
    let (scratch, git) = repository();
    scratch.write("dir/tracked", "");
    git.add(&[scratch.root().join("dir")]).expect("staged");
    let error = gitignore::refuse_tracked(&git, &scratch.root().join("dir"), "dir").expect_err("tracked");
    assert_eq!(
        error.to_string(),
        " output 'dir' is already tracked by SCM (e.g. Git).\n    You can remove it from Git, then add to DVC.\n        To stop \
         tracking from Git:\n            git rm -r --cached 'dir'\n            git commit -m \"stop tracking dir\" "
    );
    gitignore::refuse_tracked(&git, &scratch.root().join("other"), "other").expect("not tracked");
    let elsewhere = Scratch::new();
    let path = elsewhere.root().join("file");
    let error = gitignore::ignore(&git, std::slice::from_ref(&path)).expect_err("outside");
    assert!(matches!(error, GitIgnoreError::Outside { .. }));
    assert_eq!(
        error.to_string(),
        format!("'{}' is outside of git repository '{}'", path.display(), scratch.root().display())
    );
    // Neither through a link that leads out.
    fs::create_dir(scratch.root().join("sub")).expect("a folder");
    elsewhere.write("ignores", "");
    std::os::unix::fs::symlink(elsewhere.root().join("ignores"), scratch.root().join("sub/.gitignore"))
        .expect("a link");
    assert!(gitignore::ignore(&git, &[scratch.root().join("sub/x")]).is_err());
}
