//! Which objects are there, without asking for each of them.
//!
//! When all objects of a large directory were found, a record in `<root>/trackway/presence/` keeps their names, and what
//! the cache's 256 folders looked like then. A folder that looks the same has lost nothing. One that changed is listed
//! once, unless only few of its objects are meant. Format: docs/formats/cache-records.md.

use std::path::PathBuf;

use rayon::prelude::*;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::cache::{Check, Place};
use crate::oid::parse_hex;
use crate::state::{is_racy, now};
use crate::verified::{Stamp, write_file};
use crate::{Cache, Error, NoProgress, Oid, Result, Tree};

/// For fewer objects a look at each is cheaper than the record.
const RECORD_FROM: usize = 512;
/// For fewer objects of one folder a look at each is cheaper than its list.
const LIST_FROM: usize = 16;

/// Objects of one folder, sorted, and how the folder looked when they were found (`None`: not, or not to be trusted).
struct Wanted<'a> {
    objects: &'a [[u8; 16]],
    seen: Option<Seen>,
    /// It was looked at again, and differs from the record.
    is_new: bool,
}

/// How one of the 256 folders looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    ino: u64,
    mtime: i64,
    ctime: i64,
}

impl Cache {
    /// Whether the object is there and, of a directory, right, with all of its files there too.
    pub fn holds(&self, oid: &Oid) -> Result<bool> {
        if !oid.is_dir() {
            return Ok(self.contains(oid));
        }
        if !matches!(self.check(oid, false, &NoProgress)?, Check::Right(_)) {
            return Ok(false);
        }
        if let Some(record) = Record::read(&self.presence_file(oid)) {
            return Ok(self.look_for(oid, &record.objects, Some(&record))?.is_empty());
        }
        match self.read_tree(oid) {
            Ok(tree) => Ok(self.missing(&tree)?.is_empty()),
            Err(Error::Missing { .. } | Error::Corrupt { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Those of the tree's objects that are not there, each once, in the order of their names.
    pub fn missing(&self, tree: &Tree) -> Result<Vec<Oid>> {
        let oid = tree.known_oid().filter(|_| tree.len() >= RECORD_FROM);
        // The record has the same objects, sorted already.
        if let Some((oid, record)) = oid.and_then(|oid| Some((oid, Record::read(&self.presence_file(&oid))?))) {
            return self.look_for(&oid, &record.objects, Some(&record));
        }
        let mut objects: Vec<[u8; 16]> = tree.iter().map(|entry| *entry.oid.bytes()).collect();
        objects.par_sort_unstable();
        objects.dedup();
        match oid {
            Some(oid) => self.look_for(&oid, &objects, None),
            None => Ok(self.look_at(&mut wanted(&objects, None))?),
        }
    }

    /// The same for the sorted objects of a directory of which there is a record, or shall be one.
    fn look_for(&self, dir: &Oid, objects: &[[u8; 16]], record: Option<&Record>) -> Result<Vec<Oid>> {
        let mut folders = wanted(objects, record);
        let missing = self.look_at(&mut folders)?;
        // A folder that was changed a moment ago cannot be trusted yet: that alone is not worth a new record.
        let is_worth = |folder: &Wanted<'_>| folder.is_new && (record.is_none() || folder.seen.is_some());
        if missing.is_empty() && folders.iter().any(is_worth) {
            let seen = folders.iter().map(|folder| (folder.objects[0][0], folder.seen));
            let file = self.presence_file(dir);
            if file.parent().is_some_and(|dir| self.make_dirs(dir).is_ok()) {
                let _ = write_file(&file, &to_bytes(seen, objects), self.record_mode());
            }
        }
        Ok(missing)
    }

    fn look_at(&self, folders: &mut [Wanted<'_>]) -> Result<Vec<Oid>> {
        let missing: Vec<Vec<Oid>> =
            folders.par_iter_mut().with_min_len(8).map(|folder| self.look_in(folder)).collect::<Result<_>>()?;
        Ok(missing.concat())
    }

    /// What is missing in one folder, unless it looks as it was seen.
    fn look_in(&self, folder: &mut Wanted<'_>) -> Result<Vec<Oid>> {
        let name = format!("{:02x}", folder.objects[0][0]);
        let failed = |errno| Error::io("listing", self.objects_dir().join(&name), errno);
        let moment = now();
        let all = || folder.objects.iter().map(|md5| Oid::file(*md5)).collect();
        let Some(objects) = self.objects_fd() else { return Ok(all()) };
        let stat = match rustix::fs::statat(objects, &name, AtFlags::empty()) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(all()),
            Err(errno) => return Err(failed(errno)),
        };
        let stamp = Stamp::of(&stat);
        let seen = Seen { ino: stamp.ino, mtime: stamp.mtime, ctime: stamp.ctime };
        if folder.seen == Some(seen) {
            return Ok(Vec::new());
        }
        folder.is_new = true;
        folder.seen = (!is_racy(seen.mtime, seen.ctime, moment)).then_some(seen);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = match rustix::fs::openat(objects, &name, flags, Mode::empty()) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(all()),
            // A folder that may be entered but not listed.
            Err(Errno::ACCESS) => return self.ask_for(objects, folder.objects, &mut folder.seen),
            Err(errno) => return Err(failed(errno)),
        };
        // The size of a folder tells roughly how much there is to list.
        let listed = folder.objects.len() >= LIST_FROM && stamp.size / 40 <= folder.objects.len() as u64 * 16;
        let rest: Vec<[u8; 16]> = if listed {
            let mut there = Vec::with_capacity(folder.objects.len());
            for entry in Dir::read_from(&dir).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                if entry.file_type() == FileType::RegularFile
                    && let Some(md5) = object_of(&name, entry.file_name().to_bytes())
                {
                    there.push(md5);
                }
            }
            there.sort_unstable();
            folder.objects.iter().filter(|md5| there.binary_search(md5).is_err()).copied().collect()
        } else {
            folder.objects.to_vec()
        };
        self.ask_for(objects, &rest, &mut folder.seen)
    }

    /// Looks at each. One that is reached through a symbolic link can vanish without a trace in its folder.
    fn ask_for(&self, objects: &OwnedFd, rest: &[[u8; 16]], seen: &mut Option<Seen>) -> Result<Vec<Oid>> {
        let mut missing = Vec::new();
        for md5 in rest {
            let oid = Oid::file(*md5);
            let own = rustix::fs::statat(objects.as_fd(), Place::of(&oid).as_str(), AtFlags::SYMLINK_NOFOLLOW);
            if own.is_ok_and(|own| FileType::from_raw_mode(own.st_mode) == FileType::RegularFile) {
                continue;
            }
            *seen = None;
            if self.stat(&oid)?.is_none() {
                missing.push(oid);
            }
        }
        Ok(missing)
    }

    fn presence_file(&self, dir: &Oid) -> PathBuf {
        self.own_dir("presence").join(dir.hex().as_str())
    }

    /// The directory's object is gone.
    pub(crate) fn forget_presence(&self, dir: &Oid) {
        let _ = std::fs::remove_file(self.presence_file(dir));
    }
}

/// The object whose file in the folder bears this name.
fn object_of(shard: &str, name: &[u8]) -> Option<[u8; 16]> {
    let mut hex = [0; 32];
    hex[..2].copy_from_slice(shard.as_bytes());
    hex[2..].copy_from_slice(name.first_chunk::<30>().filter(|_| name.len() == 30)?);
    parse_hex(&hex)
}

/// Sorted objects by their folder.
fn wanted<'a>(objects: &'a [[u8; 16]], record: Option<&Record>) -> Vec<Wanted<'a>> {
    let folder = |objects: &'a [[u8; 16]]| {
        let seen = record.and_then(|record| record.seen[usize::from(objects[0][0])]);
        Wanted { objects, seen, is_new: false }
    };
    objects.chunk_by(|a, b| a[0] == b[0]).map(folder).collect()
}

const MAGIC: &[u8; 8] = b"TWPRES01";
const HEADER: usize = 16;
const FOLDER: usize = 24;
const TABLE: usize = HEADER + 256 * FOLDER;

struct Record {
    seen: Vec<Option<Seen>>,
    objects: Vec<[u8; 16]>,
}

impl Record {
    /// `None` where there is none, or it is damaged.
    fn read(path: &std::path::Path) -> Option<Record> {
        let bytes = std::fs::read(path).ok()?;
        let rest = bytes.get(TABLE..).filter(|rest| rest.len() % 16 == 0)?;
        let crc = u32::from_le_bytes(bytes[8..12].try_into().ok()?);
        if &bytes[..8] != MAGIC || crc32fast::hash(&bytes[12..]) != crc {
            return None;
        }
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            word
        };
        let folder = |index: usize| {
            let at = HEADER + index * FOLDER;
            let ino = u64::from_le_bytes(word(at));
            let (mtime, ctime) = (i64::from_le_bytes(word(at + 8)), i64::from_le_bytes(word(at + 16)));
            (ino != 0).then_some(Seen { ino, mtime, ctime })
        };
        let objects: Vec<[u8; 16]> = rest.as_chunks().0.to_vec();
        objects.is_sorted().then(|| Record { seen: (0..256).map(folder).collect(), objects })
    }
}

fn to_bytes(seen: impl Iterator<Item = (u8, Option<Seen>)>, objects: &[[u8; 16]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(TABLE + objects.len() * 16);
    bytes.resize(TABLE, 0);
    bytes[..8].copy_from_slice(MAGIC);
    for (shard, seen) in seen {
        let Some(seen) = seen else { continue };
        let at = HEADER + usize::from(shard) * FOLDER;
        bytes[at..at + 8].copy_from_slice(&seen.ino.to_le_bytes());
        bytes[at + 8..at + 16].copy_from_slice(&seen.mtime.to_le_bytes());
        bytes[at + 16..at + 24].copy_from_slice(&seen.ctime.to_le_bytes());
    }
    bytes.extend_from_slice(objects.as_flattened());
    let crc = crc32fast::hash(&bytes[12..]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CacheOptions, Layout};

    fn cache(root: &std::path::Path) -> Cache {
        let options = CacheOptions { root: root.to_owned(), layout: Layout::V3, link_types: Vec::new(), shared: false };
        Cache::open(options).unwrap()
    }

    /// A tree of `count` objects that are there.
    fn filled(cache: &Cache, count: usize) -> (Oid, Vec<Oid>) {
        let objects: Vec<Oid> = (0..count).map(|i| cache.put_bytes(format!("{i}").as_bytes()).unwrap()).collect();
        let tree = Tree::from_entries(objects.iter().enumerate().map(|(i, oid)| (format!("{i}"), *oid))).unwrap();
        (cache.put_tree(&tree).unwrap(), objects)
    }

    fn seen(cache: &Cache, dir: &Oid) -> usize {
        Record::read(&cache.presence_file(dir)).map_or(0, |record| record.seen.iter().flatten().count())
    }

    #[test]
    fn what_goes_missing_is_noticed_whether_the_folders_were_trusted_or_not() {
        for settle in [false, true] {
            let root = tempfile::tempdir().unwrap();
            let cache = cache(root.path());
            let (dir, objects) = filled(&cache, 2000);
            if settle {
                std::thread::sleep(std::time::Duration::from_millis(60));
            }
            for _ in 0..3 {
                assert!(cache.holds(&dir).unwrap());
            }
            if settle {
                let folders: std::collections::HashSet<u8> = objects.iter().map(|oid| oid.bytes()[0]).collect();
                assert_eq!(seen(&cache, &dir), folders.len());
            }
            for victim in [&objects[0], &objects[777], &objects[1999]] {
                let path = cache.path(victim);
                let aside = root.path().join("aside");
                std::fs::rename(&path, &aside).unwrap();
                assert!(!cache.holds(&dir).unwrap());
                assert_eq!(cache.missing(&cache.read_tree(&dir).unwrap()).unwrap(), [*victim]);
                std::fs::rename(&aside, &path).unwrap();
                assert!(cache.holds(&dir).unwrap());
                assert!(cache.missing(&cache.read_tree(&dir).unwrap()).unwrap().is_empty());
            }
            // A whole folder, and a folder in a file's place.
            let shard = cache.path(&objects[5]).parent().unwrap().to_owned();
            std::fs::rename(&shard, root.path().join("aside")).unwrap();
            assert!(!cache.holds(&dir).unwrap());
            std::fs::rename(root.path().join("aside"), &shard).unwrap();
            assert!(cache.holds(&dir).unwrap());
            std::fs::remove_file(cache.path(&objects[6])).unwrap();
            std::fs::create_dir(cache.path(&objects[6])).unwrap();
            assert!(!cache.holds(&dir).unwrap());
        }
    }

    #[test]
    fn an_object_that_is_removed_at_once_after_each_look_never_counts_as_there() {
        let root = tempfile::tempdir().unwrap();
        let cache = cache(root.path());
        let (dir, objects) = filled(&cache, 600);
        let bytes = std::fs::read(cache.path(&objects[3])).unwrap();
        for _ in 0..200 {
            assert!(cache.holds(&dir).unwrap());
            std::fs::remove_file(cache.path(&objects[3])).unwrap();
            assert!(!cache.holds(&dir).unwrap());
            std::fs::write(cache.path(&objects[3]), &bytes).unwrap();
        }
    }

    #[test]
    fn a_damaged_record_counts_as_absent_and_goes_with_its_directory() {
        let root = tempfile::tempdir().unwrap();
        let cache = cache(root.path());
        let (dir, _) = filled(&cache, 600);
        assert!(cache.holds(&dir).unwrap());
        let path = cache.presence_file(&dir);
        let good = std::fs::read(&path).unwrap();
        assert_eq!(good.len(), TABLE + 600 * 16);
        for at in (0..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[at] ^= 4;
            std::fs::write(&path, &bad).unwrap();
            assert!(Record::read(&path).is_none(), "byte {at}");
        }
        std::fs::write(&path, &good[..good.len() - 16]).unwrap();
        assert!(Record::read(&path).is_none());
        assert!(cache.holds(&dir).unwrap());
        assert!(cache.remove(&dir).unwrap());
        assert!(!path.exists());
        assert!(!cache.holds(&dir).unwrap());
    }

    #[test]
    fn an_object_behind_a_symbolic_link_is_looked_at_every_time() {
        let root = tempfile::tempdir().unwrap();
        let cache = cache(root.path());
        let (dir, objects) = filled(&cache, 600);
        let elsewhere = root.path().join("elsewhere");
        std::fs::rename(cache.path(&objects[9]), &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, cache.path(&objects[9])).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(60));
        assert!(cache.holds(&dir).unwrap());
        assert!(cache.holds(&dir).unwrap());
        std::fs::remove_file(&elsewhere).unwrap();
        assert!(!cache.holds(&dir).unwrap());
    }
}
