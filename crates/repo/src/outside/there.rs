//! A file or folder in a store: its files, their versions where the store keeps them, and their bytes.

use std::io::Write;
use std::path::Path;

use futures_util::StreamExt;
use rayon::prelude::*;
use trackway_dvcfile::{Dep, Info};
use trackway_remote::{RelPath, Stat};
use trackway_store::{Cache, Hash, HashName, Oid, Progress, Tree, transfer};

use crate::bring::Brought;
use crate::error::{Error, Result};
use crate::remotes::anywhere::There;
use crate::remotes::{runtime, written_etag};
use crate::write;

/// Requests to a store that go on at once, where nobody says how many.
pub(super) const AT_ONCE: usize = 16;

/// A file or folder in a store, as it is now or was in the versions that are meant.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub is_dir: bool,
    /// One without a name, of a file.
    pub files: Vec<SeenFile>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct SeenFile {
    /// In the folder.
    pub inner: String,
    pub size: u64,
    /// Changes with the content; the same in listings and in what is read.
    pub etag: Option<String>,
    /// The etag as DVC writes it.
    pub written_etag: Option<String>,
    /// What is read then; without one, the newest.
    pub version: Option<String>,
}

impl Seen {
    pub(super) fn tree(&self, oids: &[Oid]) -> Result<Option<Tree>> {
        if !self.is_dir {
            return Ok(None);
        }
        let entries = self.files.iter().zip(oids).map(|(file, oid)| (file.inner.as_bytes(), *oid));
        Ok(Some(Tree::from_entries(entries)?))
    }

    pub(super) fn brought(&self, oids: &[Oid]) -> Result<Brought> {
        let tree = self.tree(oids)?;
        let oid = match (&tree, oids) {
            (Some(tree), _) => tree.oid(),
            (None, [oid]) => *oid,
            _ => return Err(Error::dvc("a file has one hash")),
        };
        Ok(Brought {
            hash: Hash { name: HashName::Md5, oid },
            size: self.files.iter().map(|file| file.size).sum(),
            nfiles: tree.map(|tree| tree.len() as u64),
            new: oids.len(),
        })
    }
}

impl There {
    /// The file or the folder; `None` if neither is there. Of a file that is in versions, the one that the URL names.
    pub(crate) fn look(&self) -> Result<Option<Seen>> {
        runtime()?.block_on(async {
            let stat = match &self.version {
                Some(version) => self.remote.stat_version(&self.path, version).await.and_then(|found| {
                    found.ok_or_else(|| trackway_remote::Error::NotFound { path: self.path.to_string() })
                }),
                None => self.remote.stat(&self.path).await,
            };
            let stat = match stat {
                Ok(stat) => stat,
                Err(trackway_remote::Error::NotFound { .. } | trackway_remote::Error::NotADirectory { .. }) => {
                    return Ok(None);
                }
                Err(error) => return Err(trackway_store::Error::from(error).into()),
            };
            if !stat.is_dir {
                return Ok(Some(Seen { is_dir: false, files: vec![self.seen(String::new(), stat)] }));
            }
            let mut files = Vec::new();
            let mut found = self.remote.list_all(&self.path);
            while let Some(file) = found.next().await {
                let file = file.map_err(trackway_store::Error::from)?;
                let inner = file.path.as_str().strip_prefix(self.path.as_str()).unwrap_or(file.path.as_str());
                let inner = inner.trim_start_matches('/').to_owned();
                // Better than DVC 3.67, which would hide files of the folder by its rules: it is refused there, and here.
                if inner.rsplit('/').next() == Some(crate::ignore::FILE_NAME) {
                    return Err(Error::dvc(format!(
                        "{} file should not be in collected dir path: '{}'",
                        crate::ignore::FILE_NAME,
                        self.url
                    )));
                }
                let (size, etag, json_etag, version) = (file.size, file.etag, file.json_etag, file.version);
                files.push(self.seen(inner, Stat { size, etag, json_etag, version, ..Stat::default() }));
            }
            files.sort_by(|a, b| a.inner.cmp(&b.inner));
            Ok(Some(Seen { is_dir: true, files }))
        })
    }

    fn seen(&self, inner: String, stat: Stat) -> SeenFile {
        let written_etag = written_etag(&self.config.scheme, stat.etag.as_deref(), stat.json_etag.as_deref());
        let Stat { size, etag, version, .. } = stat;
        // Elsewhere the newest is what is meant, whatever it is called.
        SeenFile { inner, size, etag, written_etag, version: version.filter(|_| self.keeps_versions()) }
    }

    /// Google tells generations whether versions are kept or not, and as DVC 3.67 they are taken for versions.
    pub(super) fn keeps_versions(&self) -> bool {
        self.version_aware || self.config.scheme == "gs"
    }

    /// Asks for the version of each file that has none from the listing, so that it is that one which is read and recorded.
    pub(crate) fn pin(&self, seen: &mut Seen, progress: &dyn Progress) -> Result<()> {
        if !self.version_aware || seen.files.iter().all(|file| file.version.is_some()) {
            return Ok(());
        }
        seen.files = self.each(seen, None, "looking up versions", progress, |file| match file.version {
            Some(_) => Ok(file.clone()),
            None => {
                let path = self.path_of(file)?;
                let stat = runtime()?.block_on(self.remote.stat(&path)).map_err(trackway_store::Error::from)?;
                Ok(self.seen(file.inner.clone(), stat))
            }
        })?;
        Ok(())
    }

    /// What was there when it was recorded; `None` where nothing says which versions these were.
    pub(crate) fn recorded(&self, dep: &Dep, progress: &dyn Progress) -> Result<Option<Seen>> {
        let recorded: Vec<(&str, &Info)> = match &dep.files {
            Some(files) => files.iter().map(|file| (file.relpath.as_str(), &file.info)).collect(),
            None => vec![("", &dep.info)],
        };
        if recorded.is_empty() || recorded.iter().any(|(_, info)| info.version_id.is_none()) {
            return Ok(None);
        }
        let files = recorded.iter().map(|(inner, info)| SeenFile {
            inner: (*inner).to_owned(),
            size: info.size.unwrap_or_default(),
            etag: None,
            written_etag: info.etag.clone(),
            version: info.version_id.clone(),
        });
        let mut seen = Seen { is_dir: dep.files.is_some(), files: files.collect() };
        if recorded.iter().any(|(_, info)| info.size.is_none()) {
            seen.files = self.each(&seen, None, "looking up versions", progress, |file| {
                let (path, version) = (self.path_of(file)?, file.version.as_deref().unwrap_or_default());
                let found = runtime()?.block_on(self.remote.stat_version(&path, version));
                let found = found.map_err(trackway_store::Error::from)?;
                let stat = found.ok_or_else(|| self.gone(file))?;
                Ok(SeenFile { size: stat.size, ..file.clone() })
            })?;
        }
        Ok(Some(seen))
    }

    fn gone(&self, file: &SeenFile) -> Error {
        let version = file.version.as_deref().unwrap_or_default();
        Error::dvc(format!("the version '{version}' of '{}' is not there any more", self.shown(file)))
    }

    /// As messages name it.
    pub(super) fn shown(&self, file: &SeenFile) -> String {
        match file.inner.as_str() {
            "" => self.url.clone(),
            inner => format!("{}/{inner}", self.url),
        }
    }

    fn missing_version(&self, error: trackway_remote::Error, file: &SeenFile) -> Error {
        match error {
            trackway_remote::Error::NotFound { .. } if file.version.is_some() => self.gone(file),
            error => trackway_store::Error::from(error).into(),
        }
    }

    pub(super) fn path_of(&self, file: &SeenFile) -> Result<RelPath> {
        match file.inner.as_str() {
            "" => Ok(self.path.clone()),
            inner => {
                let inner = RelPath::new(inner).map_err(trackway_store::Error::from)?;
                Ok(self.path.join(&inner).map_err(trackway_store::Error::from)?)
            }
        }
    }

    /// Into the cache, under the name that its content gets.
    pub(crate) fn bring(&self, file: &SeenFile, cache: &Cache, progress: &dyn Progress) -> Result<Oid> {
        let mut incoming = cache.receive_any()?;
        self.read(file, &mut |piece| {
            incoming.write_all(piece).map_err(|error| Error::io(cache.objects_dir(), error))?;
            progress.add(0, piece.len() as u64);
            Ok(())
        })?;
        Ok(incoming.finish()?)
    }

    /// Works on all files, several at once, in their order.
    pub(crate) fn each<T: Send>(
        &self,
        seen: &Seen,
        jobs: Option<usize>,
        doing: &'static str,
        progress: &dyn Progress,
        work: impl Fn(&SeenFile) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let total = seen.files.iter().map(|file| file.size).sum();
        progress.start(doing, Some(seen.files.len() as u64), Some(total));
        let done = transfer::with_jobs(jobs.or(Some(AT_ONCE)), || {
            let one = |file: &SeenFile| {
                if progress.cancelled() {
                    return Err(Error::Interrupted);
                }
                work(file).inspect(|_| progress.add(1, 0))
            };
            seen.files.par_iter().map(one).collect()
        });
        progress.finish();
        done
    }

    /// Reads a file as it was seen: one that is another by now is an error, as is one that ends too early.
    pub(super) fn read(&self, file: &SeenFile, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let path = self.path_of(file)?;
        runtime()?.block_on(async {
            let object = match &file.version {
                Some(version) => self.remote.get_version(&path, version).await,
                None => self.remote.get(&path).await,
            };
            let object = object.map_err(|error| self.missing_version(error, file))?;
            let stat = object.stat();
            if stat.size != file.size || stat.etag.is_some() && file.etag.is_some() && stat.etag != file.etag {
                let shown = self.shown(file);
                return Err(Error::dvc(format!("'{shown}' was changed meanwhile. Run the command again.")));
            }
            let mut pieces = object.stream_all();
            while let Some(piece) = pieces.next().await {
                take(&piece.map_err(trackway_store::Error::from)?)?;
            }
            Ok(())
        })
    }

    /// To a file of this machine, all of it or nothing.
    pub(crate) fn download(&self, file: &SeenFile, to: &Path, progress: &dyn Progress) -> Result<()> {
        let folder = to.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
        write::download(to, &mut |new| {
            self.read(file, &mut |piece| {
                progress.add(0, piece.len() as u64);
                new.write_all(piece).map_err(|error| Error::io(to, error))
            })
        })
    }

    /// All of it to a file or folder of this machine.
    pub(crate) fn download_all(
        &self,
        seen: &Seen,
        to: &Path,
        jobs: Option<usize>,
        progress: &dyn Progress,
    ) -> Result<()> {
        if seen.is_dir {
            std::fs::create_dir_all(to).map_err(|error| Error::io(to, error))?;
        }
        self.each(seen, jobs, "downloading", progress, |file| {
            let path = match file.inner.as_str() {
                "" => to.to_owned(),
                // A name that led out of the folder would be none here.
                inner => to.join(RelPath::new(inner).map_err(trackway_store::Error::from)?.as_str()),
            };
            self.download(file, &path, progress)
        })
        .map(drop)
    }
}
