//! Writing a repository's own files: all of it or nothing.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// Replaces a file's content in one step; its permissions stay. Does nothing if the content is the same.
pub fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let mut batch = Batch::default();
    batch.replace(path, content)?;
    batch.finish()
}

/// Many files that are replaced together: they go to the disk at once, and only then each takes its place. One by one that
/// would cost some milliseconds for each.
#[derive(Default)]
pub struct Batch {
    written: Vec<(NamedTempFile, PathBuf)>,
}

/// Beyond so many files the whole file system is told to write, not each file.
const FEW: usize = 8;

impl Batch {
    /// Writes the content beside `path`, which stays as it is until [`Batch::finish`].
    pub fn replace(&mut self, path: &Path, content: &[u8]) -> Result<()> {
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
            .tempfile_in(room_for(folder))
            .map_err(failed)?;
        file.write_all(content).map_err(failed)?;
        self.written.push((file, path.to_owned()));
        Ok(())
    }

    /// Puts the files in their places.
    pub fn finish(self) -> Result<()> {
        match self.written.as_slice() {
            [] => return Ok(()),
            few if few.len() <= FEW => {
                for (file, path) in few {
                    file.as_file().sync_data().map_err(|error| Error::io(path, error))?;
                }
            }
            [(file, path), ..] => {
                rustix::fs::syncfs(file.as_file()).map_err(|error| Error::io(path, error.into()))?;
            }
        }
        for (file, path) in self.written {
            file.persist(&path).map_err(|error| Error::io(&path, error.error))?;
        }
        Ok(())
    }
}

/// Where a file is written before it takes its place in `folder`: among what a killed command may leave behind, if that is on
/// the same file system, so that nothing strange is left among the person's files.
fn room_for(folder: &Path) -> PathBuf {
    let device = |path: &Path| std::fs::metadata(path).map(|meta| meta.dev()).ok();
    let own = folder.ancestors().map(|above| above.join(".dvc/tmp/trackway")).find(|own| own.is_dir());
    own.filter(|own| device(own) == device(folder)).unwrap_or_else(|| folder.to_owned())
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

/// Makes a file that a person asked for: all of it or nothing, with a new file's mode.
pub(crate) fn download(path: &Path, fill: &mut dyn FnMut(&mut std::fs::File) -> Result<()>) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |error: std::io::Error| Error::io(path, error);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mode = std::fs::Permissions::from_mode(0o666);
    let new = tempfile::Builder::new().prefix(".trackway-").suffix(".tmp").permissions(mode).tempfile_in(folder);
    let mut new = new.map_err(failed)?;
    fill(new.as_file_mut())?;
    new.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
