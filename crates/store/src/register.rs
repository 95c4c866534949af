//! The projects that use a cache: `<root>/trackway/projects/<md5 of the path>`, a file that holds the path.
//!
//! Every command of ours that uses the cache enters its project, so that no project's collection takes what another one
//! needs. A cache in a project's own `.dvc` folder belongs to that project without an entry: the two move together.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::verified::write_file;
use crate::{Cache, Error, HashName, Result, hash_bytes};

impl Cache {
    /// The project whose `.dvc` folder this cache lies in.
    pub fn own_project(&self) -> Option<PathBuf> {
        let dvc_dir = self.root().parent().filter(|dir| dir.file_name().is_some_and(|name| name == ".dvc"))?;
        dvc_dir.parent().map(Path::to_owned)
    }

    /// Enters a project, by its absolute path. In a cache that cannot be written to it is passed over: what does not write
    /// there cannot make others forget it either.
    pub fn register(&self, project: &Path) {
        if self.own_project().as_deref() == Some(project) {
            return;
        }
        let dir = self.projects_dir();
        let path = dir.join(file_name(project));
        if path.exists() || self.make_dirs(&dir).is_err() {
            return;
        }
        let mode = if self.is_shared() { 0o664 } else { 0o644 };
        let text = [project.as_os_str().as_bytes(), b"\n"].concat();
        let _ = write_file(&path, &text, Some(mode));
    }

    /// All projects: the one that the cache lies in, then the registered ones by their paths.
    pub fn projects(&self) -> Result<Vec<PathBuf>> {
        let dir = self.projects_dir();
        let failed = |error: std::io::Error| Error::io("reading", &dir, error);
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => Some(entries),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let mut found = Vec::new();
        for entry in entries.into_iter().flatten() {
            let entry = entry.map_err(failed)?;
            if entry.file_name().as_bytes().starts_with(b".") {
                continue;
            }
            let mut text = std::fs::read(entry.path()).map_err(failed)?;
            if text.last() == Some(&b'\n') {
                text.pop();
            }
            let project = PathBuf::from(OsString::from_vec(text));
            if project.is_absolute() && file_name(&project) == entry.file_name() {
                found.push(project);
            }
        }
        found.sort();
        let own = self.own_project();
        found.retain(|project| Some(project) != own.as_ref());
        Ok(own.into_iter().chain(found).collect())
    }

    /// Forgets a project; `false` if it was not registered.
    pub fn unregister(&self, project: &Path) -> Result<bool> {
        let path = self.projects_dir().join(file_name(project));
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("deleting", path, error)),
        }
    }

    fn projects_dir(&self) -> PathBuf {
        self.root().join("trackway").join("projects")
    }
}

fn file_name(project: &Path) -> OsString {
    hash_bytes(HashName::Md5, project.as_os_str().as_bytes()).to_string().into()
}
