//! The two locks, between threads here and between processes; a process that is gone is one that has been waited for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use trackway_repo::lock::{Lock, LockError, LockOptions, holder};
use trackway_repo::rwlock::{RwLock, RwLockError};

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let tmp = dir.path().join(".dvc/tmp");
    (dir, tmp)
}

fn take(path: &Path, options: LockOptions) -> Result<Lock, LockError> {
    Lock::acquire(path, options, |_| {})
}

/// The id of a process that is no more.
fn gone() -> u32 {
    let mut child = Command::new("true").spawn().expect("a process");
    child.wait().expect("its end");
    child.id()
}

#[test]
fn one_at_a_time_whatever_the_kind() {
    for hardlink in [false, true] {
        let (_dir, tmp) = scratch();
        let path = tmp.join("lock");
        let options = LockOptions { wait: false, hardlink };
        let held = take(&path, options).expect("free");
        if !hardlink {
            assert_eq!(fs::read_to_string(&path).expect("a file"), format!(" {}\n", std::process::id()));
            assert_eq!(holder(&path).map(|holder| holder.pid), Some(std::process::id()));
            assert!(holder(&path).expect("we run").to_string().contains(&std::process::id().to_string()));
        }
        let start = Instant::now();
        let mut told = 0;
        let error = Lock::acquire(&path, options, |_| told += 1).expect_err("held");
        assert!(start.elapsed() >= Duration::from_secs(3) && start.elapsed() < Duration::from_secs(10));
        assert_eq!(told, 1);
        assert!(matches!(error, LockError::Busy { .. }));
        assert!(
            error.to_string().starts_with("Unable to acquire lock. Most likely another DVC process is running or was ")
        );
        held.release();
        drop(take(&path, options).expect("free again"));
        // Nothing of a hard-linked lock stays, and the other kind leaves its file.
        let left: Vec<_> = fs::read_dir(&tmp).expect("a folder").map(|e| e.expect("an entry").file_name()).collect();
        assert_eq!(left.len(), usize::from(!hardlink), "{left:?}");
    }
}

#[test]
fn waits_until_it_is_free() {
    for hardlink in [false, true] {
        let (_dir, tmp) = scratch();
        let path = tmp.join("lock");
        let held = take(&path, LockOptions { wait: false, hardlink }).expect("free");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| take(&path, LockOptions { wait: true, hardlink }).map(drop));
            std::thread::sleep(Duration::from_millis(200));
            assert!(!waiting.is_finished());
            held.release();
            waiting.join().expect("no panic").expect("free");
        });
    }
}

#[test]
fn a_hard_link_is_not_stopped_by_the_other_kinds_file() {
    let (_dir, tmp) = scratch();
    let path = tmp.join("lock");
    drop(take(&path, LockOptions::default()).expect("free"));
    fs::write(&path, format!(" {}\n", gone())).expect("as left by a process that ended");
    drop(take(&path, LockOptions { wait: false, hardlink: true }).expect("the file is nobody's"));
    // A link that is another's stays, however old: stock does not break it either.
    fs::write(tmp.join("claim.lock"), tmp.join("claim.lock").display().to_string()).expect("a claim");
    fs::hard_link(tmp.join("claim.lock"), &path).expect("a link");
    assert!(take(&path, LockOptions { wait: false, hardlink: true }).is_err());
    assert!(path.exists());
}

#[test]
fn readers_share_and_writers_do_not() {
    let (_dir, tmp) = scratch();
    fs::create_dir_all(&tmp).expect("a folder");
    let rwlock = RwLock::new(&tmp, false);
    let text = || fs::read_to_string(tmp.join("rwlock")).expect("a file");
    let pid = std::process::id();
    let guard = rwlock.acquire("a \"b\" é", &["/r/in".into()], &["/r/out".into()]).expect("free");
    assert_eq!(
        text(),
        format!(
            "{{\"write\": {{\"/r/out\": {{\"pid\": {pid}, \"cmd\": \"a \\\"b\\\" \\u00e9\"}}}}, \"read\": {{\"/r/in\": \
             [{{\"pid\": {pid}, \"cmd\": \"a \\\"b\\\" \\u00e9\"}}]}}}}"
        )
    );
    // Another command of this process is another owner, as for stock.
    let shared = rwlock.acquire("other", &["/r/in".into(), "/r/outer".into()], &[]).expect("reading is shared");
    for (read, write) in [("/r/out", ""), ("/r/out/below", ""), ("", "/r"), ("", "/r/in"), ("/", "")] {
        let paths = |path: &str| (!path.is_empty()).then(|| PathBuf::from(path)).into_iter().collect::<Vec<_>>();
        let error = rwlock.acquire("third", &paths(read), &paths(write)).expect_err("in the way");
        assert!(matches!(error, RwLockError::Busy { .. }), "{error}");
    }
    let error = rwlock.acquire("third", &[], &["/r/out/x".into()]).expect_err("in the way").to_string();
    assert_eq!(
        error,
        format!(
            "'/r/out/x' is busy, it is being blocked by:\n  (PID {pid}): a \"b\" é\n\nIf there are no processes with such \
             PIDs, you can manually remove '{}/rwlock' and try again.",
            tmp.display()
        )
    );
    shared.release().expect("written");
    drop(guard);
    assert_eq!(text(), "{}");
    // Its own entries are in nobody's way.
    let one = rwlock.acquire("same", &["/x".into()], &["/y".into()]).expect("free");
    let two = rwlock.acquire("same", &["/y".into()], &["/y".into()]).expect("its own");
    drop((two, one));
}

#[test]
fn entries_of_the_dead_go_only_when_they_are_in_the_way() {
    let (_dir, tmp) = scratch();
    fs::create_dir_all(&tmp).expect("a folder");
    let (rwlock, pid) = (RwLock::new(&tmp, false), gone());
    fs::write(
        tmp.join("rwlock"),
        format!(
            "{{\"write\": {{\"/w\": {{\"pid\": {pid}, \"cmd\": \"killed\"}}}}, \"read\": {{\"/caf\\udce9\": [{{\"pid\": \
             {pid}, \"cmd\": \"\\ud83d\\ude00\"}}]}}}}"
        ),
    )
    .expect("a file");
    let guard = rwlock.acquire("ours", &["/w/x".into()], &[]).expect("the dead do not block");
    assert_eq!(guard.dropped.len(), 1);
    assert_eq!((guard.dropped[0].pid, guard.dropped[0].command.as_str()), (pid, "killed"));
    guard.release().expect("written");
    let left = fs::read_to_string(tmp.join("rwlock")).expect("a file");
    assert_eq!(
        left,
        format!(
            "{{\"write\": {{}}, \"read\": {{\"/caf\\udce9\": [{{\"pid\": {pid}, \"cmd\": \"\\ud83d\\ude00\"}}]}}}}"
        )
    );
}

#[test]
fn a_file_that_is_not_ours_to_understand() {
    let (_dir, tmp) = scratch();
    fs::create_dir_all(&tmp).expect("a folder");
    let rwlock = RwLock::new(&tmp, false).shown_as(Path::new(".dvc/tmp/rwlock"));
    let corrupted = "Unable to read RWLock-file '.dvc/tmp/rwlock'. JSON structure is corrupted";
    let format = "RWLock-file '.dvc/tmp/rwlock' format error.";
    for (text, message) in [
        ("", corrupted),
        ("{", corrupted),
        ("[]", format),
        ("{\"x\": {}}", format),
        ("{\"write\": {\"a\": {\"pid\": \"1\", \"cmd\": \"x\"}}}", format),
        ("{\"write\": {\"a\": [1, \"x\"]}}", format),
        ("{\"read\": {\"a\": {\"pid\": 1, \"cmd\": \"x\"}}}", format),
        ("{\"read\": {\"a\": [{\"pid\": 1, \"cmd\": \"x\", \"z\": 1}]}}", format),
    ] {
        fs::write(tmp.join("rwlock"), text).expect("a file");
        assert_eq!(rwlock.acquire("c", &["/q".into()], &[]).expect_err(text).to_string(), message, "{text}");
        assert_eq!(fs::read_to_string(tmp.join("rwlock")).expect("a file"), text);
    }
}
