//! One level of a folder.

use rustix::fs::{AtFlags, Dir, FileType, OFlags};

use super::beneath::{self, Beneath};
use super::to_stat;
use crate::Entry;
use crate::error::{Error, Result};
use crate::path::{RelPath, STAGING};

pub(super) fn list(root: &Beneath, path: &RelPath) -> Result<Vec<Entry>> {
    let failed = |errno| Error::from_errno(errno, "listing", path.as_str());
    let dir = root.open_dir(path.as_str(), true)?;
    let mut entries = Vec::new();
    for item in Dir::read_from(&dir).map_err(failed)? {
        let item = item.map_err(failed)?;
        let raw_name = item.file_name();
        let name = raw_name.to_string_lossy();
        if matches!(&*name, "." | ".." | STAGING) {
            continue;
        }
        let (is_dir, size) = match item.file_type() {
            FileType::Directory => (true, 0),
            FileType::RegularFile | FileType::Unknown => {
                match rustix::fs::statat(&dir, raw_name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => match to_stat(&stat, &name) {
                        Ok(stat) => (stat.is_dir, stat.size),
                        Err(_) => continue,
                    },
                    // Deleted while we looked.
                    Err(rustix::io::Errno::NOENT) => continue,
                    Err(errno) => return Err(failed(errno)),
                }
            }
            // A link counts as what it leads to, if that lies in the folder; else it is not there.
            FileType::Symlink => match linked(root, path, &name) {
                Some(found) => found,
                None => continue,
            },
            _ => continue,
        };
        entries.push(Entry { name: name.into_owned(), is_dir, size });
    }
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn linked(root: &Beneath, dir: &RelPath, name: &str) -> Option<(bool, u64)> {
    let path = dir.join(&RelPath::new(name).ok()?).ok()?;
    let file = root.open(path.as_str(), OFlags::PATH).ok()?;
    let stat = beneath::fstat(&file, path.as_str()).ok()?;
    let stat = to_stat(&stat, path.as_str()).ok()?;
    Some((stat.is_dir, stat.size))
}
