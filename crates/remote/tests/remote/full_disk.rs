//! A disk that is full: the error says so, nothing is left, and it goes on when there is room again.

use std::path::Path;
use std::process::Command;

use trackway_remote::{Error, PutOptions};

use crate::{body, folders, on_disk, open, path, read};

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Result<SmallDisk, String> {
        let dir = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(dir.path())
            .output()
            .map_err(|error| error.to_string())?;
        match mount.status.success() {
            true => Ok(SmallDisk(dir)),
            false => Err(String::from_utf8_lossy(&mount.stderr).into_owned()),
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_named_and_recovered_from() {
    for options in folders() {
        let disk = match SmallDisk::mount() {
            Ok(disk) => disk,
            Err(reason) => {
                assert!(!rustix::process::geteuid().is_root(), "root could not mount a tmpfs: {reason}");
                eprintln!("skipped: a small disk can only be mounted by root ({reason})");
                return;
            }
        };
        let remote = open(disk.path(), options).await;
        remote.put(&path("a/kept"), body(b"old"), PutOptions::default()).await.unwrap();
        for at in ["a/kept", "b/new"] {
            let outcome = remote.put(&path(at), body(&vec![1; 8 << 20]), PutOptions::default()).await;
            assert!(matches!(outcome, Err(Error::NoSpace { .. })), "{outcome:?}");
        }
        assert_eq!(on_disk(disk.path()), ["a/", "a/kept"]);
        assert_eq!(read(&remote, "a/kept").await.unwrap(), b"old");

        // Fill it to the last byte with what is published, then make room.
        let mut filler = 0;
        while remote.put(&path(&format!("fill/{filler}")), body(&vec![1; 100_000]), PutOptions::default()).await.is_ok()
        {
            filler += 1;
        }
        assert!(filler > 5, "the disk took only {filler} files");
        remote.delete_tree(&path("fill")).await.unwrap();
        remote.put(&path("a/kept"), body(&vec![1; 1 << 20]), PutOptions::default()).await.unwrap();
        assert_eq!(read(&remote, "a/kept").await.unwrap().len(), 1 << 20);
    }
}
