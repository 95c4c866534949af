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
