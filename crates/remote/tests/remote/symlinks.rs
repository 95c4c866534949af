//! Symbolic links that lead out of the folder are refused, also when they are swapped in meanwhile.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use trackway_remote::{Error, Options, PutOptions, RelPath, Resolve};

use crate::{body, folders, on_disk, open, path, read};

const SECRET: &[u8] = b"secret";

/// A folder `root` and, beside it, `outside` with a secret.
fn two_folders() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    std::fs::create_dir_all(root.join("real")).unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), SECRET).unwrap();
    (dir, root, outside)
}

fn untouched(outside: &Path) {
    assert_eq!(on_disk(outside), ["secret"]);
    assert_eq!(std::fs::read(outside.join("secret")).unwrap(), SECRET);
}

#[tokio::test]
async fn links_that_lead_out_are_refused() {
    for options in folders() {
        let (_dir, root, outside) = two_folders();
        symlink(&outside, root.join("absolute")).unwrap();
        symlink("../outside", root.join("relative")).unwrap();
        symlink("../../outside", root.join("real/up")).unwrap();
        symlink("/proc/self/root", root.join("magic")).unwrap();
        symlink(outside.join("secret"), root.join("file")).unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        let remote = open(&root, options).await;
        for through in ["absolute/secret", "relative/secret", "real/up/secret", "file", "magic/etc/passwd"] {
            let at = path(through);
            for outcome in [remote.get(&at).await.map(|_| ()), remote.stat(&at).await.map(|_| ())] {
                assert!(matches!(outcome, Err(Error::InvalidPath { .. })), "{through}: {outcome:?}");
            }
        }
        for dir in ["absolute", "relative", "real/up", "magic"] {
            let at = path(dir);
            assert!(matches!(remote.list(&at).await, Err(Error::InvalidPath { .. })), "{dir}");
            let inside = at.join(&path("new")).unwrap();
            for size in [1, 1_000_000] {
                let written = remote.put(&inside, body(&vec![0; size]), PutOptions::default()).await;
                assert!(matches!(written, Err(Error::InvalidPath { .. })), "{dir}: {written:?}");
            }
            let deeper = at.join(&path("a/b/c")).unwrap();
            assert!(remote.put(&deeper, body(b"1"), PutOptions::default()).await.is_err());
            assert!(remote.delete_file(&at.join(&path("secret")).unwrap()).await.is_err());
            assert!(matches!(remote.delete_tree(&at).await, Err(Error::NotADirectory { .. })));
        }
        let shown: Vec<_> = remote.list(&RelPath::root()).await.unwrap();
        assert_eq!(shown.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["real"]);
        // Writing to the link itself replaces the link; deleting it deletes the link.
        remote.put(&path("file"), body(b"mine"), PutOptions::default()).await.unwrap();
        assert_eq!(read(&remote, "file").await.unwrap(), b"mine");
        remote.delete_file(&path("absolute")).await.unwrap();
        // A tree with links in it goes, what they lead to stays.
        remote.delete_tree(&path("real")).await.unwrap();
        untouched(&outside);
    }
}

#[tokio::test]
async fn links_within_the_folder_are_followed() {
    let (_dir, root, outside) = two_folders();
    std::fs::write(root.join("real/file"), b"1").unwrap();
    symlink("real", root.join("link")).unwrap();
    let remote = open(&root, Options::default()).await;
    assert_eq!(read(&remote, "link/file").await.unwrap(), b"1");
    let shown = remote.list(&RelPath::root()).await.unwrap();
    assert!(shown.iter().any(|entry| entry.name == "link" && entry.is_dir));
    let by_name = Options { resolve: Resolve::ByName, ..Options::default() };
    assert!(matches!(read(&open(&root, by_name).await, "link/file").await, Err(Error::InvalidPath { .. })));
    untouched(&outside);
}

#[tokio::test]
async fn a_pipe_is_refused_and_does_not_hang() {
    for options in folders() {
        let (_dir, root, _outside) = two_folders();
        let made = std::process::Command::new("mkfifo").arg(root.join("pipe")).status().unwrap();
        assert!(made.success());
        let remote = open(&root, options).await;
        let opened = tokio::time::timeout(Duration::from_secs(5), remote.get(&path("pipe"))).await;
        assert!(matches!(opened.unwrap(), Err(Error::InvalidPath { .. })));
        assert!(remote.list(&RelPath::root()).await.unwrap().iter().all(|e| e.name != "pipe"));
    }
}

#[tokio::test]
async fn a_staging_folder_that_is_a_link_is_refused() {
    let (_dir, root, outside) = two_folders();
    let remote = open(&root, Options::default()).await;
    symlink(&outside, root.join(".trackway-staging")).unwrap();
    assert!(remote.put(&path("x"), body(b"1"), PutOptions::default()).await.is_err());
    assert!(remote.delete_tree(&path("real")).await.is_err());
    untouched(&outside);
}

/// A directory and a link to the outside change places all the time while every operation runs
/// through that name: none may read, list, write or delete outside.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_swapped_in_during_the_request_is_refused() {
    for resolve in [Resolve::Detect, Resolve::ByName] {
        let (_dir, root, outside) = two_folders();
        std::fs::write(root.join("real/secret"), b"public").unwrap();
        std::fs::write(root.join("real/marker"), b"").unwrap();
        symlink(&outside, root.join("other")).unwrap();
        let remote = open(&root, Options { resolve, ..Options::default() }).await;
        let stop = Arc::new(AtomicBool::new(false));
        let swapper = std::thread::spawn({
            let (root, stop) = (root.clone(), Arc::clone(&stop));
            move || {
                use rustix::fs::{CWD, RenameFlags, renameat_with};
                let (a, b) = (root.join("real"), root.join("other"));
                while !stop.load(Ordering::Relaxed) {
                    renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).expect("exchange");
                }
            }
        });
        let until = Instant::now() + Duration::from_millis(1500);
        let (mut served, mut refused) = (0, 0);
        while Instant::now() < until {
            match read(&remote, "real/secret").await {
                Ok(content) => {
                    assert_eq!(content, b"public", "the outside was read");
                    served += 1;
                }
                Err(_) => refused += 1,
            }
            // The inside always has a `marker`, the outside never.
            if let Ok(entries) = remote.list(&path("real")).await {
                assert!(entries.iter().any(|entry| entry.name == "marker"), "the outside was listed");
            }
            let _ = remote.put(&path("real/in"), body(b"1"), PutOptions::default()).await;
            let _ = remote.put(&path("real/new/deep"), body(b"1"), PutOptions::default()).await;
            let _ = remote.delete_tree(&path("real/new")).await;
            untouched(&outside);
        }
        stop.store(true, Ordering::Relaxed);
        swapper.join().unwrap();
        untouched(&outside);
        assert!(served > 0 && refused > 0, "served {served}, refused {refused}: nothing was raced");
    }
}
