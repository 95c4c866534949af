//! Writing a repository's own files: all of it or nothing.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::{Error, Result};

/// Replaces a file's content in one step; its permissions stay. Does nothing if the content is the same.
pub fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(path, error);
    // A link is followed: what it leads to is the file that is meant.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = match std::fs::read(path) {
        Ok(old) if old == content => return Ok(()),
        Ok(_) => Some(std::fs::metadata(path).map_err(failed)?.permissions()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new()
        .prefix(".trackway-")
        .suffix(".tmp")
        .permissions(old.unwrap_or_else(|| std::fs::Permissions::from_mode(0o666)))
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    // It may name objects that are on the disk by now, so it is worth being there too.
    file.as_file().sync_data().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// What is wrong with bytes that are not UTF-8, as Python says it.
pub(crate) fn utf8_error(bytes: &[u8], error: std::str::Utf8Error) -> String {
    let start = error.valid_up_to();
    let end = error.error_len().map_or(bytes.len(), |len| start + len);
    let first = bytes.get(start).copied().unwrap_or_default();
    let why = match error.error_len() {
        None => "unexpected end of data",
        Some(1) if !(0xc2..=0xf4).contains(&first) => "invalid start byte",
        Some(_) => "invalid continuation byte",
    };
    match end - start {
        1 => format!("'utf-8' codec can't decode byte {first:#04x} in position {start}: {why}"),
        _ => format!("'utf-8' codec can't decode bytes in position {start}-{}: {why}", end - 1),
    }
}
