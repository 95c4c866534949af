//! Uploads that end badly: cancelled, killed, abandoned.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt;
use trackway_remote::{Error, Options, PutOptions, RelPath};

use crate::{body, folders, on_disk, open, path, read};

/// Much content, then silence.
fn endless() -> impl futures_util::Stream<Item = Result<Bytes, String>> + Send {
    futures_util::stream::iter(std::iter::repeat_n(Ok(Bytes::from(vec![7; 100_000])), 20))
        .chain(futures_util::stream::pending())
}

fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !happened() {
        assert!(Instant::now() < until, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn staged_bytes(root: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(root.join(".trackway-staging")) else {
        return 0;
    };
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|found| found.len()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_upload_leaves_nothing() {
    for options in folders() {
        let dir = tempfile::tempdir().unwrap();
        let remote = open(dir.path(), options).await;
        remote.put(&path("a/kept"), body(b"old"), PutOptions::default()).await.unwrap();
        for at in ["a/kept", "b/new"] {
            let upload = tokio::spawn({
                let remote = remote.clone();
                async move { remote.put(&path(at), endless(), PutOptions::default()).await }
            });
            wait_until("the upload", || staged_bytes(dir.path()) > 1_000_000);
            assert!(remote.list(&RelPath::root()).await.unwrap().iter().all(|e| e.name == "a"));
            upload.abort();
            assert!(upload.await.unwrap_err().is_cancelled());
            wait_until("the clean-up", || on_disk(dir.path()) == ["a/", "a/kept"]);
        }
        assert_eq!(read(&remote, "a/kept").await.unwrap(), b"old");
    }
}

/// Not a test: the process that the next one kills.
#[tokio::test]
#[ignore = "started by a_killed_upload_is_never_seen_and_swept_later"]
async fn endless_upload() {
    if let Ok(root) = std::env::var("TRACKWAY_TEST_ENDLESS_UPLOAD") {
        let remote = open(root.as_ref(), Options::default()).await;
        let _ = remote.put(&path("a/new"), endless(), PutOptions::default()).await;
    }
}

#[tokio::test]
async fn a_killed_upload_is_never_seen_and_swept_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "uploads::endless_upload"])
        .env("TRACKWAY_TEST_ENDLESS_UPLOAD", dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the upload", || staged_bytes(dir.path()) > 1_000_000);
    child.kill().unwrap();
    child.wait().unwrap();

    let remote = open(dir.path(), Options::default()).await;
    assert_eq!(remote.list(&RelPath::root()).await.unwrap(), []);
    assert!(matches!(remote.stat(&path("a/new")).await, Err(Error::NotFound { .. })));
    let left = on_disk(dir.path());
    assert_eq!(left.len(), 1, "a young upload may be another server's, it stays: {left:?}");

    let file = File::options().write(true).open(dir.path().join(&left[0])).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(25 * 60 * 60)).unwrap();
    open(dir.path(), Options::default()).await;
    assert_eq!(on_disk(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_tree_that_was_being_deleted_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join(".trackway-staging/gone-1");
    std::fs::create_dir_all(gone.join("a/b")).unwrap();
    std::fs::write(gone.join("a/b/c"), b"1").unwrap();
    open(dir.path(), Options::default()).await;
    assert_eq!(on_disk(dir.path()), Vec::<String>::new());
}

/// Deeper than a process may have files open.
#[tokio::test]
async fn a_very_deep_tree_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let remote = open(dir.path(), Options::default()).await;
    let deep = path(&vec!["d"; 1_500].join("/"));
    remote.put(&deep, body(b"1"), PutOptions::default()).await.unwrap();
    remote.delete_tree(&path("d")).await.unwrap();
    assert_eq!(on_disk(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_folder_that_was_deleted_meanwhile_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let remote = open(&root, Options::default()).await;
    remote.put(&path("a"), body(b"1"), PutOptions::default()).await.unwrap();
    std::fs::remove_dir_all(&root).unwrap();
    assert!(matches!(read(&remote, "a").await, Err(Error::NotFound { .. })));
    remote.put(&path("b/c"), body(b"2"), PutOptions::default()).await.unwrap();
    assert_eq!(std::fs::read(root.join("b/c")).unwrap(), b"2");
}

#[tokio::test]
async fn files_and_directories_get_the_modes_of_ordinary_ones() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let remote = open(dir.path(), Options::default()).await;
    remote.put(&path("d/f"), body(b"1"), PutOptions::default()).await.unwrap();
    std::fs::create_dir(dir.path().join("e")).unwrap();
    std::fs::write(dir.path().join("e/f"), b"1").unwrap();
    let mode = |at: &str| std::fs::metadata(dir.path().join(at)).unwrap().permissions().mode();
    assert_eq!(mode("d"), mode("e"));
    assert_eq!(mode("d/f"), mode("e/f"));
    assert_eq!(mode(".trackway-staging") & 0o777, 0o700);
}

#[tokio::test]
async fn a_file_in_place_of_the_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"1").unwrap();
    let opened = trackway_remote::Remote::open(file.to_str().unwrap(), Options::default()).await;
    let Err(error) = opened else { panic!("it opened") };
    assert!(error.to_string().contains("it is not a directory"), "{error}");
}
