//! The files that are tracked: the same bytes for both tools, from a fixed seed, no two files alike.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::data::tool::entries;
use crate::world::Random;

/// How large everything is.
#[derive(Clone, Copy)]
pub struct Scale {
    pub small: bool,
    pub files: usize,
    pub big: u64,
    /// Files of the rows about remotes.
    pub exchanged: usize,
    /// Bytes of the large file of the rows about remotes.
    pub large: u64,
    pub many: usize,
}

impl Scale {
    pub const FULL: Scale =
        Scale { small: false, files: 100_000, big: 4 << 30, exchanged: 20_000, large: 4 << 30, many: 1_000_000 };
    pub const SMALL: Scale =
        Scale { small: true, files: 5_000, big: 256 << 20, exchanged: 1_000, large: 256 << 20, many: 50_000 };
}

/// Files in each folder.
const IN_FOLDER: usize = 100;
pub const FILE_BYTES: usize = 4096;

/// `path` of a numbered file: `0012/file-00001234.bin`.
pub fn name(number: usize, in_folder: usize) -> String {
    format!("{:04}/file-{number:08}.bin", number / in_folder)
}

fn content(number: usize, version: u64, bytes: usize) -> Vec<u8> {
    let mut random = Random((number as u64) << 8 | version);
    let mut out = Vec::with_capacity(bytes + 8);
    while out.len() < bytes {
        out.extend_from_slice(&random.next().to_le_bytes());
    }
    out.truncate(bytes);
    out
}

/// Fills `folder` with `count` files of `bytes` each, `in_folder` to a folder.
pub fn fill(folder: &Path, count: usize, in_folder: usize, bytes: usize) -> Result<()> {
    for number in 0..count {
        let path = folder.join(name(number, in_folder));
        if number % in_folder == 0 {
            fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        }
        fs::write(&path, content(number, 0, bytes)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Where [`fill_folders`] puts a numbered file.
pub fn place(number: usize) -> String {
    name(number, IN_FOLDER)
}

pub fn fill_folders(folder: &Path, count: usize) -> Result<()> {
    fill(folder, count, IN_FOLDER, FILE_BYTES)
}

/// The file that is changed in the rows of one changed file: one in the middle.
pub fn changed(folder: &Path, count: usize) -> PathBuf {
    folder.join(name(count / 2, IN_FOLDER))
}

/// Writes a version of that file in place; version 0 is what [`fill_folders`] wrote.
pub fn change(folder: &Path, count: usize, version: u64) -> Result<()> {
    Ok(fs::write(changed(folder, count), content(count / 2, version, FILE_BYTES))?)
}

pub fn is_version(folder: &Path, count: usize, version: u64) -> bool {
    fs::read(changed(folder, count)).is_ok_and(|bytes| bytes == content(count / 2, version, FILE_BYTES))
}

pub fn small_file(path: &Path, number: u64) -> Result<()> {
    Ok(fs::write(path, content(1, number, 16))?)
}

pub fn big_file(path: &Path, bytes: u64) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut random = Random(99);
    for _ in 0..bytes / 8 {
        file.write_all(&random.next().to_le_bytes())?;
    }
    file.flush()?;
    Ok(())
}

/// Reads a file to its end, so that it lies in the page cache.
pub fn warm(path: &Path) -> Result<()> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut buffer = vec![0; 1 << 20];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Gives the owner the right to write back, which the tools take from what they link.
pub fn writable(path: &Path) -> Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in entries(path)? {
            writable(&entry)?;
        }
        return Ok(());
    }
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o644))?)
}
