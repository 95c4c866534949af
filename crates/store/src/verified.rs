//! The record of objects that were found right: what each looked like when its content was last known.
//!
//! 256 files of fixed records, described in docs/formats/cache-records.md. All of it may be deleted at any time; a lost
//! update costs one hashing. A file that is damaged, or that cannot be written, counts as absent.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::Stat;

use crate::Oid;

/// What a file looks like from outside: while all of it is the same, its content is taken to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Stamp {
    pub ino: u64,
    pub size: u64,
    /// Nanoseconds since 1970.
    pub mtime: i64,
    pub ctime: i64,
}

impl Stamp {
    pub fn of(stat: &Stat) -> Stamp {
        Stamp {
            ino: stat.st_ino,
            size: stat.st_size as u64,
            mtime: nanoseconds(stat.st_mtime, stat.st_mtime_nsec as i64),
            ctime: nanoseconds(stat.st_ctime, stat.st_ctime_nsec as i64),
        }
    }

    /// The same but for its change time, which linking and unlinking move.
    pub fn same_but_ctime(&self, other: &Stamp) -> bool {
        self.ino == other.ino && self.size == other.size && self.mtime == other.mtime
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ino.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.mtime.to_le_bytes());
        out.extend_from_slice(&self.ctime.to_le_bytes());
    }

    /// From the 32 bytes that `write` gave.
    pub fn read(bytes: &[u8]) -> Stamp {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            word
        };
        Stamp {
            ino: u64::from_le_bytes(word(0)),
            size: u64::from_le_bytes(word(8)),
            mtime: i64::from_le_bytes(word(16)),
            ctime: i64::from_le_bytes(word(24)),
        }
    }
}

pub(crate) fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

const MAGIC: &[u8; 8] = b"TWVERIF1";
const HEADER: usize = 16;
/// 16 bytes of oid, one that is 1 for a directory's object, seven of zero, 32 of stamp.
const RECORD: usize = 56;

pub(crate) struct Verified {
    dir: PathBuf,
    file_mode: Option<u32>,
    shards: Vec<Mutex<Option<Shard>>>,
}

#[derive(Default)]
struct Shard {
    /// The file's records as they are.
    bytes: Vec<u8>,
    /// What differs from it; `None`: forgotten.
    changed: HashMap<Oid, Option<Stamp>>,
}

impl Verified {
    /// `file_mode`: given to the files where a group shares the cache.
    pub fn new(dir: PathBuf, file_mode: Option<u32>) -> Verified {
        Verified { dir, file_mode, shards: (0..256).map(|_| Mutex::default()).collect() }
    }

    fn with<T>(&self, index: u8, work: impl FnOnce(&mut Shard) -> T) -> T {
        let mut shard = self.shards[usize::from(index)].lock().unwrap_or_else(PoisonError::into_inner);
        work(shard.get_or_insert_with(|| Shard::read(&self.path(index))))
    }

    fn path(&self, index: u8) -> PathBuf {
        self.dir.join(format!("{index:02x}"))
    }

    pub fn get(&self, oid: &Oid) -> Option<Stamp> {
        self.with(oid.bytes()[0], |shard| shard.get(oid))
    }

    pub fn set(&self, oid: &Oid, stamp: Stamp) {
        self.with(oid.bytes()[0], |shard| {
            if shard.get(oid) != Some(stamp) {
                shard.changed.insert(*oid, Some(stamp));
            }
        });
    }

    pub fn forget(&self, oid: &Oid) {
        self.with(oid.bytes()[0], |shard| shard.changed.insert(*oid, None));
    }

    /// Writes what changed. `make_dir` is called once if there is anything to write.
    pub fn save(&self, make_dir: impl FnOnce(&Path) -> bool) {
        let mut make_dir = Some(make_dir);
        for index in 0..=255u8 {
            let mut shard = self.shards[usize::from(index)].lock().unwrap_or_else(PoisonError::into_inner);
            let Some(shard) = shard.as_mut().filter(|shard| !shard.changed.is_empty()) else { continue };
            if make_dir.take().is_some_and(|make_dir| !make_dir(&self.dir)) {
                return;
            }
            // Others may have written meanwhile: keep theirs where we know nothing newer.
            let path = self.path(index);
            let mut merged = Shard::read(&path);
            merged.changed = std::mem::take(&mut shard.changed);
            merged.bytes = merged.merge();
            if write_file(&path, &merged.to_bytes(), self.file_mode).is_err() {
                return;
            }
            merged.changed.clear();
            *shard = merged;
        }
    }
}

impl Shard {
    fn read(path: &Path) -> Shard {
        let bytes = std::fs::read(path).ok().and_then(Shard::checked).unwrap_or_default();
        Shard { bytes, changed: HashMap::new() }
    }

    fn checked(mut file: Vec<u8>) -> Option<Vec<u8>> {
        if file.len() < HEADER || &file[..8] != MAGIC {
            return None;
        }
        let count = u32::from_le_bytes(file[8..12].try_into().ok()?) as usize;
        let crc = u32::from_le_bytes(file[12..16].try_into().ok()?);
        let records = file.split_off(HEADER);
        (records.len() == count.checked_mul(RECORD)? && crc32fast::hash(&records) == crc).then_some(records)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut file = Vec::with_capacity(HEADER + self.bytes.len());
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(&((self.bytes.len() / RECORD) as u32).to_le_bytes());
        file.extend_from_slice(&crc32fast::hash(&self.bytes).to_le_bytes());
        file.extend_from_slice(&self.bytes);
        file
    }

    fn get(&self, oid: &Oid) -> Option<Stamp> {
        if let Some(changed) = self.changed.get(oid) {
            return *changed;
        }
        let (mut low, mut high) = (0, self.bytes.len() / RECORD);
        while low < high {
            let middle = low + (high - low) / 2;
            let record = &self.bytes[middle * RECORD..(middle + 1) * RECORD];
            match key(record).cmp(&sort_key(oid)) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(Stamp::read(&record[24..])),
            }
        }
        None
    }

    /// The records with the changes in their places.
    fn merge(&self) -> Vec<u8> {
        let mut changes: Vec<_> = self.changed.iter().map(|(oid, stamp)| (sort_key(oid), *stamp)).collect();
        changes.sort_unstable_by_key(|(key, _)| *key);
        let mut out = Vec::with_capacity(self.bytes.len() + changes.len() * RECORD);
        let mut changes = changes.into_iter().peekable();
        let put = |out: &mut Vec<u8>, (key, stamp): ([u8; 17], Option<Stamp>)| {
            if let Some(stamp) = stamp {
                out.extend_from_slice(&key);
                out.extend_from_slice(&[0; 7]);
                stamp.write(out);
            }
        };
        for record in self.bytes.chunks_exact(RECORD) {
            let mut replaced = false;
            while let Some(change) = changes.next_if(|(change, _)| *change <= key(record)) {
                replaced |= change.0 == key(record);
                put(&mut out, change);
            }
            if !replaced {
                out.extend_from_slice(record);
            }
        }
        for change in changes {
            put(&mut out, change);
        }
        out
    }
}

fn sort_key(oid: &Oid) -> [u8; 17] {
    let mut key = [0; 17];
    key[..16].copy_from_slice(oid.bytes());
    key[16] = u8::from(oid.is_dir());
    key
}

fn key(record: &[u8]) -> [u8; 17] {
    let mut key = [0; 17];
    key.copy_from_slice(&record[..17]);
    key
}

/// Temp and rename beside it. Not synced: what a power cut leaves half is refused by its checksum.
pub(crate) fn write_file(path: &Path, bytes: &[u8], mode: Option<u32>) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    let dir = path.parent().unwrap_or(Path::new("."));
    let permissions = std::fs::Permissions::from_mode(mode.unwrap_or(0o644));
    let mut temp = tempfile::Builder::new().prefix(".tmp-").permissions(permissions.clone()).tempfile_in(dir)?;
    if mode.is_some() {
        // A group's files are the group's whatever the umask of the one who writes.
        temp.as_file().set_permissions(permissions)?;
    }
    temp.write_all(bytes)?;
    temp.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oid(first: u8, last: u8, dir: bool) -> Oid {
        let mut bytes = [0; 16];
        (bytes[0], bytes[15]) = (first, last);
        if dir { Oid::dir(bytes) } else { Oid::file(bytes) }
    }

    #[test]
    fn remembers_forgets_and_merges_what_others_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let stamp = |ino| Stamp { ino, size: 2, mtime: -3, ctime: 4 };
        let open = || Verified::new(dir.path().join("verified"), None);
        let make = |path: &Path| std::fs::create_dir_all(path).is_ok();
        let (one, other) = (open(), open());
        for last in 0..50 {
            one.set(&oid(7, last * 2, last % 3 == 0), stamp(u64::from(last)));
        }
        assert_eq!(other.get(&oid(7, 1, false)), None);
        one.save(make);
        other.set(&oid(7, 1, false), stamp(100));
        other.set(&oid(7, 200, true), stamp(101));
        other.forget(&oid(7, 2, false));
        other.save(make);
        let read = open();
        assert_eq!(read.get(&oid(7, 1, false)), Some(stamp(100)));
        assert_eq!(read.get(&oid(7, 200, true)), Some(stamp(101)));
        assert_eq!(read.get(&oid(7, 200, false)), None);
        assert_eq!(read.get(&oid(7, 2, false)), None);
        for last in (0..50).filter(|last| *last != 1) {
            assert_eq!(read.get(&oid(7, last * 2, last % 3 == 0)), Some(stamp(u64::from(last))), "{last}");
        }
    }

    #[test]
    fn a_damaged_file_counts_as_absent() {
        let dir = tempfile::tempdir().unwrap();
        let record = Verified::new(dir.path().to_owned(), None);
        record.set(&oid(9, 9, false), Stamp { ino: 1, size: 1, mtime: 1, ctime: 1 });
        record.save(|_| true);
        let path = dir.path().join("09");
        let good = std::fs::read(&path).unwrap();
        assert_eq!(good.len(), HEADER + RECORD);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            assert_eq!(Verified::new(dir.path().to_owned(), None).get(&oid(9, 9, false)), None, "byte {at}");
        }
        std::fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert_eq!(Verified::new(dir.path().to_owned(), None).get(&oid(9, 9, false)), None);
    }
}
