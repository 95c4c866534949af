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
