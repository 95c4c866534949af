//! The run cache of a remote: the entries `kk/<key>/<value>` in its folder `runs`, copied to and fro.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use trackway_remote::{PutOptions, RelPath};

use super::{Remote, runtime};
use crate::error::{Error, Result};

/// How many entries are on their way at once.
const AT_ONCE: usize = 32;
const FOLDER: &str = "runs";
/// What a step is known by is short; a stranger's file may not be.
const LARGEST: u64 = 64 << 20;

/// Copies the run cache at `from` to the remote; tells how many entries there are. As DVC 3.67 all of them count, but those
/// that are there already are not written again.
pub(crate) fn copy_runs_to(remote: &Remote, from: &Path) -> Result<usize> {
    if let Some(folder) = remote.folder() {
        return copy(from, &folder.join(FOLDER));
    }
    let there = entries_of(remote)?;
    let here = entries_in(from)?;
    let mut lacking = Vec::new();
    for (entry, path) in &here {
        let size = std::fs::metadata(path).map_err(|error| Error::io(path, error))?.len();
        if there.get(entry) != Some(&size) {
            lacking.push((entry, path));
        }
    }
    let opened = remote.open()?;
    runtime()?.block_on(async {
        let puts = lacking.into_iter().map(|(entry, path)| async move {
            let bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
            let options = PutOptions { length: Some(bytes.len() as u64), ..PutOptions::default() };
            let body = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from(bytes))]);
            opened.put(&place(entry)?, body, options).await.map_err(trackway_store::Error::from)?;
            Ok(())
        });
        all(stream::iter(puts).buffer_unordered(AT_ONCE)).await
    })?;
    Ok(here.len())
}

/// The same the other way.
pub(crate) fn copy_runs_from(remote: &Remote, to: &Path) -> Result<usize> {
    if let Some(folder) = remote.folder() {
        return copy(&folder.join(FOLDER), to);
    }
    let there = entries_of(remote)?;
    let lacking = there.iter().filter(|(entry, size)| {
        **size <= LARGEST && std::fs::metadata(to.join(entry)).map(|here| here.len()).ok() != Some(**size)
    });
    let opened = remote.open()?;
    runtime()?.block_on(async {
        let gets = lacking.map(|(entry, size)| async move {
            let object = opened.get(&place(entry)?).await.map_err(trackway_store::Error::from)?;
            let mut body = object.stream_all();
            let mut bytes = Vec::with_capacity(*size as usize);
            while let Some(piece) = body.next().await {
                bytes.extend_from_slice(&piece.map_err(trackway_store::Error::from)?);
            }
            write(&to.join(entry), &bytes)
        });
        all(stream::iter(gets).buffer_unordered(AT_ONCE)).await
    })?;
    Ok(there.len())
}

async fn all(mut outcomes: impl stream::Stream<Item = Result<()>> + Unpin) -> Result<()> {
    while let Some(outcome) = outcomes.next().await {
        outcome?;
    }
    Ok(())
}

fn place(entry: &str) -> Result<RelPath> {
    Ok(RelPath::new(format!("{FOLDER}/{entry}")).map_err(trackway_store::Error::from)?)
}

/// The entries of a remote's run cache, with their sizes.
fn entries_of(remote: &Remote) -> Result<HashMap<String, u64>> {
    let opened = remote.open()?;
    runtime()?.block_on(async {
        let folder = RelPath::new(FOLDER).map_err(trackway_store::Error::from)?;
        let mut files = opened.list_all(&folder);
        let mut entries = HashMap::new();
        while let Some(file) = files.next().await {
            let file = match file {
                Err(trackway_remote::Error::NotFound { .. } | trackway_remote::Error::NotADirectory { .. }) => break,
                file => file.map_err(trackway_store::Error::from)?,
            };
            let entry = file.path.as_str().strip_prefix(FOLDER).map(|path| path.trim_start_matches('/'));
            if let Some(entry) = entry.filter(|entry| is_entry(entry)) {
                entries.insert(entry.to_owned(), file.size);
            }
        }
        Ok(entries)
    })
}

/// Of a folder that is a remote, or of a cache.
fn copy(from: &Path, to: &Path) -> Result<usize> {
    let entries = entries_in(from)?;
    for (entry, path) in &entries {
        let target = to.join(entry);
        let bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
        if std::fs::read(&target).is_ok_and(|there| there == bytes) {
            continue;
        }
        write(&target, &bytes)?;
    }
    Ok(entries.len())
}

fn write(target: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
    }
    crate::write::replace(target, bytes)
}

fn is_entry(path: &str) -> bool {
    let names: Vec<&str> = path.split('/').collect();
    matches!(names[..], [two, key, value] if is_hex(two, 2) && is_hex(key, 64) && key.starts_with(two) && is_hex(value, 64))
}

/// The entries of a run cache, with their files.
fn entries_in(root: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for (folder, two) in names_in(root)?.into_iter().filter(|(_, name)| is_hex(name, 2)) {
        for (folder, key) in names_in(&folder)? {
            for (path, value) in names_in(&folder)? {
                let entry = format!("{two}/{key}/{value}");
                if is_entry(&entry) && path.is_file() {
                    found.push((entry, path));
                }
            }
        }
    }
    Ok(found)
}

fn names_in(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(Error::io(folder, error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io(folder, error))?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((entry.path(), name));
        }
    }
    Ok(found)
}

fn is_hex(name: &str, len: usize) -> bool {
    name.len() == len && name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
