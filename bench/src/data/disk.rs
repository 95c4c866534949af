//! What lies on the disk besides the measured commands: folders that are in the way are put aside and not deleted.
//!
//! ext4 without a journal does not give a deleted inode out again for a minute, and searches past all of them: to create
//! files soon after as many were deleted costs ten times as much. So nothing is deleted between measurements of a round,
//! and a command that creates files waits until what a measured one deleted is a minute old.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::data::tool::remove;

/// The kernel's minute, and some more.
const REST: Duration = Duration::from_secs(65);

#[derive(Clone)]
pub struct Disk(Rc<Inner>);

struct Inner {
    trash: PathBuf,
    number: Cell<usize>,
    deleted: Cell<Option<Instant>>,
    /// Whether to wait after deletions.
    rests: bool,
}

impl Disk {
    /// The trash lies beside what is measured, on the same file system.
    pub fn new(base: &Path, rests: bool) -> Disk {
        let trash = base.join("trash");
        Disk(Rc::new(Inner { trash, number: Cell::new(0), deleted: Cell::new(None), rests }))
    }

    /// Takes a folder out of the way, if it is there.
    pub fn put_aside(&self, path: &Path) -> Result<()> {
        if fs::symlink_metadata(path).is_ok() {
            fs::create_dir_all(&self.0.trash)?;
            self.0.number.set(self.0.number.get() + 1);
            fs::rename(path, self.0.trash.join(self.0.number.get().to_string()))?;
        }
        Ok(())
    }

    /// Deletes what was put aside.
    pub fn empty(&self) -> Result<()> {
        if self.0.trash.exists() {
            remove(&self.0.trash)?;
            self.deleted();
        }
        Ok(())
    }

    /// Many files were deleted just now.
    pub fn deleted(&self) {
        self.0.deleted.set(Some(Instant::now()));
    }

    /// Waits until creating files costs what it costs at other times.
    pub fn rest(&self) {
        if let (true, Some(deleted)) = (self.0.rests, self.0.deleted.get()) {
            // On the disk the deleted inodes are forgotten after one minute, before that after six.
            nix::unistd::sync();
            std::thread::sleep(REST.saturating_sub(deleted.elapsed()));
        }
    }
}

/// Device, type and options of the mount that a folder lies on.
fn mount(folder: &Path) -> Option<(String, String, String)> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let of_folder = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (device, point, kind, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
        folder.starts_with(point).then_some((point.len(), device, kind, options))
    });
    let (_, device, kind, options) = of_folder.max()?;
    Some((device.to_owned(), kind.to_owned(), options.to_owned()))
}

/// Whether a folder lies on ext4 without a journal.
pub fn is_ext4_without_journal(folder: &Path) -> bool {
    let Some((device, kind, _)) = mount(folder) else {
        return false;
    };
    let name = device.rsplit('/').next().unwrap_or_default();
    // The kernel lists the mode of the journal there, if there is one.
    let options = fs::read_to_string(format!("/proc/fs/ext4/{name}/options"));
    kind == "ext4" && options.is_ok_and(|text| !text.lines().any(|line| line.starts_with("data=")))
}

/// Whether each deletion tells the device at once which blocks are free.
pub fn discards(folder: &Path) -> bool {
    mount(folder).is_some_and(|(_, _, options)| options.split(',').any(|option| option == "discard"))
}
