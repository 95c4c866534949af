//! MD5 of bytes and files, by the fastest implementation at hand.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::mpsc::sync_channel;

use fast_md5::Md5;

use crate::{Error, HashName, Oid, Progress, Result};

/// Takes bytes as they come.
pub struct Hasher {
    name: HashName,
    md5: Md5,
    /// What of a block of `DOS2UNIX_BLOCK` bytes has come so far.
    block: Vec<u8>,
}

/// As DVC 2: a file is read in blocks of this size, and each is text or not by its own first bytes.
const DOS2UNIX_BLOCK: usize = 1 << 20;
const DOS2UNIX_LOOK: usize = 512;

impl Hasher {
    pub fn new(name: HashName) -> Hasher {
        Hasher { name, md5: Md5::new(), block: Vec::new() }
    }

    pub fn update(&mut self, mut bytes: &[u8]) {
        if self.name == HashName::Md5 {
            return self.md5.update(bytes);
        }
        while !bytes.is_empty() {
            let take = bytes.len().min(DOS2UNIX_BLOCK - self.block.len());
            self.block.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.block.len() == DOS2UNIX_BLOCK {
                self.take_block();
            }
        }
    }

    fn take_block(&mut self) {
        if is_text(&self.block[..self.block.len().min(DOS2UNIX_LOOK)]) {
            let mut rest = &self.block[..];
            while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
                self.md5.update(&rest[..at]);
                rest = &rest[at + 1..];
            }
            self.md5.update(rest);
        } else {
            self.md5.update(&self.block);
        }
        self.block.clear();
    }

    pub fn finish(mut self) -> [u8; 16] {
        self.take_block();
        self.md5.finalize()
    }
}

/// As DVC 2: no NUL, and at most 30 % of it outside printable ASCII and `\n\r\t\f\b`.
pub fn is_text(block: &[u8]) -> bool {
    let strange = |byte: &&u8| !matches!(byte, 32..=126 | b'\n' | b'\r' | b'\t' | 12 | 8);
    !block.contains(&0) && block.iter().filter(strange).count() * 10 <= block.len() * 3
}

pub fn hash_bytes(name: HashName, bytes: &[u8]) -> Oid {
    let mut hasher = Hasher::new(name);
    hasher.update(bytes);
    Oid::file(hasher.finish())
}

/// The hash of the file at `path` (symbolic links followed).
pub fn hash_file(name: HashName, path: &Path, progress: &dyn Progress) -> Result<Oid> {
    let mut file = File::open(path).map_err(|error| Error::io("opening", path, error))?;
    let size = file.metadata().map_err(|error| Error::io("looking at", path, error))?.len();
    let (oid, _) = hash_stream(name, &mut file, size, path, None, progress)?;
    Ok(oid)
}

/// From this size on a file is read by one thread and hashed by another.
pub(crate) const BIG: u64 = 4 << 20;
const PART: usize = 1 << 20;

/// Reads `file` to its end and hashes it; with `copy`, what was read is also written there. Tells how many bytes.
/// `size` is what is expected, to choose how; `path` is for errors.
pub(crate) fn hash_stream(
    name: HashName,
    file: &mut File,
    size: u64,
    path: &Path,
    copy: Option<&mut File>,
    progress: &dyn Progress,
) -> Result<(Oid, u64)> {
    if size >= BIG {
        if let Some(copy) = &copy
            && let Some(done) = copy_then_hash(name, file, copy, path, progress)?
        {
            return Ok(done);
        }
        return hash_big(name, file, path, copy, progress);
    }
    let mut bytes = Vec::with_capacity(size as usize + 1);
    file.read_to_end(&mut bytes).map_err(|error| Error::io("reading", path, error))?;
    if let Some(copy) = copy {
        use std::io::Write;
        copy.write_all(&bytes).map_err(|error| Error::io("copying", path, error))?;
    }
    progress.add(0, bytes.len() as u64);
    Ok((hash_bytes(name, &bytes), bytes.len() as u64))
}

/// This thread reads (and writes) parts, another hashes them: hashing is the slower half, and nothing waits but for it.
fn hash_big(
    name: HashName,
    file: &mut File,
    path: &Path,
    mut copy: Option<&mut File>,
    progress: &dyn Progress,
) -> Result<(Oid, u64)> {
    let _ = rustix::fs::fadvise(&*file, 0, None, rustix::fs::Advice::Sequential);
    let (full_tx, full_rx) = sync_channel::<(Vec<u8>, usize)>(4);
    let (empty_tx, empty_rx) = sync_channel::<Vec<u8>>(8);
    for _ in 0..6 {
        let _ = empty_tx.send(vec![0; PART]);
    }
    std::thread::scope(|scope| {
        let hashing = scope.spawn(move || {
            let mut hasher = Hasher::new(name);
            while let Ok((part, len)) = full_rx.recv() {
                hasher.update(&part[..len]);
                let _ = empty_tx.send(part);
            }
            hasher.finish()
        });
        let mut total = 0;
        let outcome = loop {
            if progress.cancelled() {
                break Err(Error::Cancelled);
            }
            let Ok(mut part) = empty_rx.recv() else { break Err(Error::Cancelled) };
            let len = match read_part(file, &mut part) {
                Ok(0) => break Ok(()),
                Ok(len) => len,
                Err(error) => break Err(Error::io("reading", path, error)),
            };
            if let Some(copy) = copy.as_deref_mut() {
                use std::io::Write;
                if let Err(error) = copy.write_all(&part[..len]) {
                    break Err(Error::io("copying", path, error));
                }
            }
            total += len as u64;
            progress.add(0, len as u64);
            if full_tx.send((part, len)).is_err() {
                break Err(Error::Cancelled);
            }
        };
        drop(full_tx);
        let oid = hashing.join().map_err(|_| Error::Cancelled)?;
        outcome.map(|()| (Oid::file(oid), total))
    })
}

/// How much the kernel copies before it is hashed, and before the disk is told to begin.
const STEP: usize = 8 << 20;
const WRITE_OUT: u64 = 64 << 20;

/// The kernel copies, and another thread hashes the copy behind it: what is hashed is what will be kept. `None` where the
/// kernel does not copy; nothing was written then.
fn copy_then_hash(
    name: HashName,
    file: &File,
    copy: &File,
    path: &Path,
    progress: &dyn Progress,
) -> Result<Option<(Oid, u64)>> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::FileExt;

    // A copy that cannot be read back has no such second half.
    if !rustix::fs::fcntl_getfl(copy).is_ok_and(|flags| flags.contains(OFlags::RDWR)) {
        return Ok(None);
    }
    let mut first = match rustix::fs::copy_file_range(file, None, copy, None, STEP) {
        // Of files in /proc and the like the kernel says that they are empty.
        Ok(0) | Err(_) => return Ok(None),
        Ok(count) => Some(count),
    };
    let (copied, ready) = sync_channel::<u64>(1 << 16);
    std::thread::scope(|scope| {
        let hashing = scope.spawn(move || -> std::io::Result<[u8; 16]> {
            let (mut hasher, mut part, mut at) = (Hasher::new(name), vec![0; PART], 0u64);
            for end in ready {
                while at < end {
                    let want = usize::try_from(end - at).unwrap_or(PART).min(PART);
                    match copy.read_at(&mut part[..want], at) {
                        Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                        Ok(len) => {
                            hasher.update(&part[..len]);
                            at += len as u64;
                        }
                        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            Ok(hasher.finish())
        });
        let (mut total, mut written) = (0, 0);
        let outcome = loop {
            if progress.cancelled() {
                break Err(Error::Cancelled);
            }
            let count = match first.take().map_or_else(|| rustix::fs::copy_file_range(file, None, copy, None, STEP), Ok)
            {
                Ok(0) => break Ok(()),
                Ok(count) => count as u64,
                Err(rustix::io::Errno::INTR) => continue,
                Err(errno) => break Err(Error::io("copying", path, errno)),
            };
            total += count;
            progress.add(0, count);
            if copied.send(total).is_err() {
                break Ok(());
            }
            if total - written >= WRITE_OUT {
                // Starts to write it out, without waiting: there is less to wait for at the end.
                let len = std::num::NonZeroU64::new(total - written);
                let _ = rustix::fs::fadvise(copy, written, len, rustix::fs::Advice::DontNeed);
                written = total;
            }
        };
        drop(copied);
        let hashed = hashing.join().map_err(|_| Error::Cancelled)?;
        outcome?;
        let md5 = hashed.map_err(|error| Error::io("reading the copy of", path, error))?;
        Ok(Some((Oid::file(md5), total)))
    })
}

/// Fills the part unless the file ends.
fn read_part(file: &mut File, part: &mut [u8]) -> std::io::Result<usize> {
    let mut len = 0;
    while len < part.len() {
        match file.read(&mut part[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_hashed_as_it_is_written_whatever_its_length() {
        let dir = tempfile::tempdir().unwrap();
        for size in [BIG as usize, BIG as usize + 1, STEP, STEP * 3 + 12345, WRITE_OUT as usize + STEP + 1] {
            let bytes: Vec<u8> = (0..size as u32).flat_map(|i| [(i / 251) as u8, i as u8]).take(size).collect();
            let path = dir.path().join("source");
            std::fs::write(&path, &bytes).unwrap();
            for name in [HashName::Md5, HashName::Md5Dos2Unix] {
                let target = dir.path().join("target");
                let mut copy =
                    File::options().read(true).write(true).create(true).truncate(true).open(&target).unwrap();
                let mut file = File::open(&path).unwrap();
                let done =
                    hash_stream(name, &mut file, size as u64, &path, Some(&mut copy), &crate::NoProgress).unwrap();
                assert_eq!(done, (hash_bytes(name, &bytes), size as u64));
                assert!(std::fs::read(&target).unwrap() == bytes, "{size}");
                // One that cannot be read back goes the other way, to the same end.
                let mut copy = File::create(&target).unwrap();
                let mut file = File::open(&path).unwrap();
                let again =
                    hash_stream(name, &mut file, size as u64, &path, Some(&mut copy), &crate::NoProgress).unwrap();
                assert_eq!(again, done);
                assert!(std::fs::read(&target).unwrap() == bytes, "{size}");
            }
        }
    }
}
