//! DVC's commands as a person meets them: what they print, their exit codes, the files they leave. Recorded from DVC 3.67.1.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use trackway_testkit::{Result, TempDir, temp_dir};

use crate::BIN;

/// A folder with `home`, a link named `dvc`, and `repo`, where commands run.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Result<Place> {
        let folder = temp_dir()?;
        std::os::unix::fs::symlink(BIN, folder.path().join("dvc"))?;
        fs::create_dir_all(folder.path().join("repo"))?;
        fs::create_dir_all(folder.path().join("home"))?;
        Ok(Place { folder })
    }

    fn with_git() -> Result<Place> {
        let place = Place::new()?;
        place.run("git", &["init", "--quiet"])?;
        Ok(place)
    }

    fn repo(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    fn run(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
        let output = Command::new(program.as_ref())
            .args(arguments)
            .current_dir(self.repo())
            .env("HOME", self.folder.path().join("home"))
            .env("DVC_NO_ANALYTICS", "1")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("COLUMNS")
            .stdin(std::process::Stdio::null())
            .output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&*self.folder.path().to_string_lossy(), "/R");
        Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
    }

    fn dvc(&self, arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
        self.run(self.folder.path().join("dvc"), arguments)
    }

    fn read(&self, name: &str) -> Result<String> {
        Ok(fs::read_to_string(self.repo().join(name))?)
    }
}

const NEXT: &str = "What's next?\n------------\n- Check out the documentation: <https://dvc.org/doc>\n\
     - Get help and share ideas: <https://dvc.org/chat>\n- Star us on GitHub: <https://github.com/treeverse/dvc>\n";

fn ok(out: &str) -> (Option<i32>, String, String) {
    (Some(0), out.to_owned(), String::new())
}

fn failed(code: i32, err: &str) -> (Option<i32>, String, String) {
    (Some(code), String::new(), err.to_owned())
}

#[test]
fn init_makes_what_stock_makes() -> Result {
    let place = Place::with_git()?;
    let said = format!("Initialized DVC repository.\n\nYou can now commit the changes to git.\n\n{NEXT}");
    assert_eq!(place.dvc(&["init"])?, ok(&said));
    assert_eq!(place.read(".dvc/config")?, "");
    assert_eq!(place.read(".dvc/.gitignore")?, "/config.local\n/tmp\n/cache\n");
    assert!(place.read(".dvcignore")?.starts_with("# Add patterns of files dvc should ignore"));
    assert_eq!(
        place.run("git", &["status", "--porcelain"])?,
        ok("A  .dvc/.gitignore\nA  .dvc/config\nA  .dvcignore\n")
    );
    let again = "ERROR: failed to initiate DVC - '.dvc' exists. Use `-f` to force.\n";
    assert_eq!(place.dvc(&["init"])?, failed(1, again));
    assert_eq!(place.dvc(&["init", "-q", "-f"])?, ok(""));
    assert_eq!(place.dvc(&["root"])?, ok(".\n"));
    Ok(())
}

#[test]
fn init_wants_git_or_to_be_told() -> Result {
    let place = Place::new()?;
    let (code, out, err) = place.dvc(&["init"])?;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(
        err.starts_with("ERROR: failed to initiate DVC - /R/repo is not tracked by any supported SCM tool"),
        "{err}"
    );
    let both = "ERROR: Cannot initialize repo with `--no-scm` and `--subdir`\n";
    assert_eq!(place.dvc(&["init", "--no-scm", "--subdir"])?, failed(255, both));
    assert_eq!(place.dvc(&["init", "--no-scm"])?, ok(&format!("Initialized DVC repository.\n\n{NEXT}")));
    assert_eq!(place.read(".dvc/config")?, "[core]\n    no_scm = True\n");
    assert!(!place.repo().join(".dvc/.gitignore").exists());
    Ok(())
}

#[test]
fn outside_of_a_repository_commands_say_so() -> Result {
    let place = Place::new()?;
    for arguments in [vec!["root"], vec!["check-ignore", "a"], vec!["install"], vec!["destroy", "-f"]] {
        let (code, out, err) = place.dvc(&arguments)?;
        assert_eq!((code, out.as_str()), (Some(253), ""), "{arguments:?}");
        assert!(err.starts_with("ERROR: you are not inside of a DVC repository (checked up to mount point '"), "{err}");
    }
    assert_eq!(place.dvc(&["config", "-l"])?, ok(""));
    assert_eq!(place.dvc(&["git-hook", "pre-commit"])?, ok(""));
    Ok(())
}

#[test]
fn install_writes_hooks_that_call_the_same_name() -> Result {
    let place = Place::with_git()?;
    place.dvc(&["init", "-q"])?;
    assert_eq!(place.dvc(&["install"])?, ok(""));
    let hook = place.read(".git/hooks/pre-push")?;
    assert!(hook.starts_with("#!/") && hook.ends_with("sh\nexec dvc git-hook pre-push $@\n"), "{hook}");
    let driver = "dvc git-hook merge-driver --ancestor %O --our %A --their %B \n";
    assert_eq!(place.run("git", &["config", "merge.dvc.driver"])?, ok(driver));
    let there = "ERROR: failed to install DVC Git hooks - Hook 'post-checkout' already exists. Please refer to \
         <https://man.dvc.org/install> for more info.\n";
    assert_eq!(place.dvc(&["install"])?, failed(1, there));
    for hook in ["post-checkout", "pre-commit", "pre-push"] {
        fs::remove_file(place.repo().join(".git/hooks").join(hook))?;
    }
    assert_eq!(place.run(BIN, &["install"])?, ok(""));
    assert!(place.read(".git/hooks/pre-push")?.ends_with("exec trackway git-hook pre-push $@\n"));
    assert_eq!(place.dvc(&["install", "--use-pre-commit-tool"])?, ok(""));
    let hooks = place.read(".pre-commit-config.yaml")?;
    assert!(
        hooks.starts_with("repos:\n- repo: https://github.com/treeverse/dvc\n  rev: 3.67.1\n  hooks:\n"),
        "{hooks}"
    );
    assert_eq!(place.dvc(&["install", "--use-pre-commit-tool"])?, ok(""));
    assert_eq!(place.read(".pre-commit-config.yaml")?, hooks);
    Ok(())
}

#[test]
fn settings_are_read_and_written() -> Result {
    let place = Place::with_git()?;
    place.dvc(&["init", "-q"])?;
    assert_eq!(place.dvc(&["remote", "add", "-d", "mine", "../store"])?, ok("Setting 'mine' as a default remote.\n"));
    assert_eq!(place.read(".dvc/config")?, "[core]\n    remote = mine\n['remote \"mine\"']\n    url = ../../store\n");
    assert_eq!(place.dvc(&["config", "core.remote"])?, ok("mine\n"));
    assert_eq!(place.dvc(&["remote", "default"])?, ok("mine\n"));
    assert_eq!(place.dvc(&["config", "-l"])?, ok("remote.mine.url=/R/store\ncore.remote=mine\n"));
    let (code, _, err) = place.dvc(&["config", "core.nope", "1"])?;
    assert_eq!(code, Some(251));
    assert!(err.starts_with("ERROR: configuration error - config file error: extra keys not allowed"), "{err}");
    assert_eq!(place.dvc(&["config"])?, failed(1, "ERROR: name argument is required\n"));
    assert_eq!(place.dvc(&["cache", "dir"])?, ok("/R/repo/.dvc/cache\n"));
    Ok(())
}

#[test]
fn check_ignore_tells_the_line_that_decided() -> Result {
    let place = Place::with_git()?;
    place.dvc(&["init", "-q"])?;
    fs::write(place.repo().join(".dvcignore"), "*.log\n!keep.log\n")?;
    assert_eq!(place.dvc(&["check-ignore", "a.log", "keep.log", "b"])?, ok("a.log\n"));
    assert_eq!(
        place.dvc(&["check-ignore", "-d", "-n", "a.log", "keep.log", "b"])?,
        ok(".dvcignore:1:*.log\ta.log\n.dvcignore:2:!keep.log\tkeep.log\n::\tb\n")
    );
    assert_eq!(place.dvc(&["check-ignore", "b"])?, failed(1, ""));
    assert_eq!(place.dvc(&["check-ignore"])?, failed(255, "ERROR: `targets` or `--stdin` needed\n"));
    Ok(())
}

#[test]
fn mistakes_are_answered_with_help_and_254() -> Result {
    let place = Place::new()?;
    let (code, out, err) = place.dvc(&["checkout", "--re"])?;
    let message = "ERROR: ambiguous option: --re could match --recursive, --relink\n";
    assert_eq!((code, err.as_str()), (Some(254), message));
    assert!(out.contains("Usage: dvc checkout"), "{out}");
    let (code, out, err) = place.dvc(&[])?;
    assert_eq!((code, err.as_str()), (Some(254), "ERROR: the following arguments are required: command\n"));
    assert!(out.contains("Usage: dvc [OPTIONS] <COMMAND>"), "{out}");
    let message = "usage: dvc [-q | -v]\ndvc: error: argument -v/--verbose: not allowed with argument -q/--quiet\n";
    assert_eq!(place.dvc(&["add", "-q", "-v", "x"])?, failed(2, message));
    // In our own manner the parser speaks.
    let (code, _, err) = place.run(BIN, &["checkout", "--nonsense"])?;
    assert_eq!(code, Some(2));
    assert!(err.starts_with("error: unexpected argument '--nonsense'"), "{err}");
    Ok(())
}
