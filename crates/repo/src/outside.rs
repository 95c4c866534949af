//! What lies at a URL or a path outside: how it looks, by what it is known again, and its bytes.
//!
//! `import-url`, `update`, `get-url`, `list-url` and `add` reach everything through this; a store is opened in
//! `remotes/anywhere.rs`.

use std::io::Write;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use rayon::prelude::*;
use trackway_dvcfile::{Info, sorted_json};
use trackway_remote::RelPath;
use trackway_store::{Cache, Content, Depot, Hash, HashName, Oid, Progress, ScanOptions, State, Tree, scan, transfer};
use trackway_yaml::{Map, Value};

use crate::bring::Brought;
use crate::error::{Error, Result};
use crate::paths;
use crate::remotes::anywhere::{Anywhere, There};
use crate::remotes::runtime;
use crate::repo::Repo;
use crate::write;

/// Requests to a store that go on at once, where nobody says how many.
const AT_ONCE: usize = 16;

/// A file or folder in a store, as it is now.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub is_dir: bool,
    /// One without a name, of a file.
    pub files: Vec<SeenFile>,
}

#[derive(Clone, Debug)]
pub(crate) struct SeenFile {
    /// In the folder.
    pub inner: String,
    pub size: u64,
    pub etag: Option<String>,
}

/// What was looked at, and by what an import knows it again.
pub(crate) enum Look {
    Here { path: PathBuf, content: Content },
    There { there: Box<There>, seen: Seen },
}

impl Repo {
    /// Looks at something; `None` if nothing is there.
    pub(crate) fn look(&self, place: Anywhere, progress: &dyn Progress) -> Result<Option<Look>> {
        match place {
            Anywhere::Here(path) => {
                let content = match paths::is_in_or_eq(&path, self.root()) {
                    true => scan(&path, &self.work_tree(progress)?.scan_options(HashName::Md5)?)?,
                    // Neither ignore rules nor what we remember of the work tree have a say about other places.
                    false => scan(&path, &ScanOptions { progress, ..ScanOptions::new(&State::disabled()) })?,
                };
                Ok(content.map(|content| Look::Here { path, content }))
            }
            Anywhere::There(there) => {
                let seen = there.look()?;
                Ok(seen.map(|seen| Look::There { there: Box::new(there), seen }))
            }
        }
    }
}

impl Look {
    /// A file that somebody may execute; stores do not know such things.
    pub(crate) fn is_exec(&self) -> bool {
        matches!(self, Look::Here { content, .. } if content.is_exec())
    }

    /// By what an import knows it again, as DVC 3.67: in stores their own checksum, elsewhere the MD5 of what it holds.
    pub(crate) fn identity(&self, progress: &dyn Progress) -> Result<Info> {
        match self {
            Look::Here { content, .. } => Ok(Info {
                hash: Some("md5".to_owned()),
                md5: Some(content.oid().to_string()),
                size: Some(content.size()),
                nfiles: content.nfiles(),
                isexec: content.is_exec(),
                ..Info::default()
            }),
            Look::There { there, seen } => there.identity(seen, progress),
        }
    }

    /// Brings it into the cache.
    pub(crate) fn bring(&self, cache: &Cache, jobs: Option<usize>, progress: &dyn Progress) -> Result<Brought> {
        let hash = |oid| Hash { name: HashName::Md5, oid };
        match self {
            Look::Here { path, content } => {
                let insert = |path: &Path| cache.insert_file(path, progress).map_err(Error::from);
                let Content::Dir(dir) = content else {
                    let oid = insert(path)?;
                    cache.flush()?;
                    return Ok(Brought { hash: hash(oid), size: content.size(), nfiles: None, new: 1 });
                };
                let files: Vec<_> = dir.files().map(|(inner, oid, _)| (path.join(inner), oid)).collect();
                files.par_iter().try_for_each(|(path, oid)| match cache.has(oid)? {
                    true => Ok(()),
                    false => Ok::<_, Error>(cache.insert_as(path, oid, progress)?),
                })?;
                let tree = dir.tree();
                let oid = cache.put_tree(&tree)?;
                cache.flush()?;
                Ok(Brought { hash: hash(oid), size: content.size(), nfiles: content.nfiles(), new: files.len() })
            }
            Look::There { there, seen } => {
                let oids = there.each(seen, jobs, "downloading", progress, |file| {
                    let mut incoming = cache.receive_any()?;
                    there.read(file, &mut |piece| {
                        incoming.write_all(piece).map_err(|error| Error::io(cache.objects_dir(), error))?;
                        progress.add(0, piece.len() as u64);
                        Ok(())
                    })?;
                    Ok(incoming.finish()?)
                })?;
                let brought = seen.brought(&oids)?;
                if let Some(tree) = seen.tree(&oids)? {
                    cache.put_tree(&tree)?;
                }
                cache.flush()?;
                Ok(brought)
            }
        }
    }

    /// Sends it to a remote, as objects; nothing of it stays here.
    pub(crate) fn send(
        &self,
        repo: &Repo,
        depot: &Depot,
        jobs: Option<usize>,
        progress: &dyn Progress,
    ) -> Result<Brought> {
        match self {
            Look::Here { path, content } => {
                let files: Vec<_> = match content {
                    Content::File(_) => vec![(path.to_owned(), content.oid(), content.size())],
                    Content::Dir(dir) => dir.files().map(|(inner, oid, size)| (path.join(inner), oid, size)).collect(),
                };
                progress.start("sending", Some(files.len() as u64), Some(content.size()));
                let sent = transfer::with_jobs(jobs, || depot.send(&files, content.tree().as_deref(), progress));
                progress.finish();
                sent?;
                let hash = Hash { name: HashName::Md5, oid: content.oid() };
                Ok(Brought { hash, size: content.size(), nfiles: content.nfiles(), new: files.len() })
            }
            Look::There { there, seen } => {
                // The name of an object is known only when all of it has passed by, so some of it waits on the disk.
                let folder = repo.own_dir();
                std::fs::create_dir_all(&folder).map_err(|error| Error::io(&folder, error))?;
                let waiting = tempfile::tempdir_in(&folder).map_err(|error| Error::io(&folder, error))?;
                let mut oids = Vec::with_capacity(seen.files.len());
                for (round, files) in seen.files.chunks(jobs.unwrap_or(AT_ONCE)).enumerate() {
                    let part = Seen { is_dir: true, files: files.to_vec() };
                    let path = |file: &SeenFile| {
                        let at = part.files.iter().position(|other| std::ptr::eq(other, file)).unwrap_or_default();
                        waiting.path().join(format!("{round}-{at}"))
                    };
                    let came = there.each(&part, jobs, "sending", progress, |file| {
                        let path = path(file);
                        there.download(file, &path, progress)?;
                        let name = trackway_store::hash_file(HashName::Md5, &path, &trackway_store::NoProgress)?;
                        Ok((path, name, file.size))
                    })?;
                    transfer::with_jobs(jobs, || depot.send(&came, None, progress))?;
                    for (path, oid, _) in came {
                        let _ = std::fs::remove_file(path);
                        oids.push(oid);
                    }
                }
                let tree = seen.tree(&oids)?;
                depot.send(&[], tree.as_ref(), progress)?;
                seen.brought(&oids)
            }
        }
    }
}

impl Seen {
    fn tree(&self, oids: &[Oid]) -> Result<Option<Tree>> {
        if !self.is_dir {
            return Ok(None);
        }
        let entries = self.files.iter().zip(oids).map(|(file, oid)| (file.inner.as_bytes(), *oid));
        Ok(Some(Tree::from_entries(entries)?))
    }

    fn brought(&self, oids: &[Oid]) -> Result<Brought> {
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
    /// The file or the folder; `None` if neither is there.
    pub(crate) fn look(&self) -> Result<Option<Seen>> {
        if self.version.is_some() {
            // Versions of single objects are read where `trackway_remote` learns to ask for them.
            return Err(Error::dvc(format!(
                "'{}' names a version, and this build does not reach versions yet.",
                self.url
            )));
        }
        runtime()?.block_on(async {
            let stat = match self.remote.stat(&self.path).await {
                Ok(stat) => stat,
                Err(trackway_remote::Error::NotFound { .. } | trackway_remote::Error::NotADirectory { .. }) => {
                    return Ok(None);
                }
                Err(error) => return Err(trackway_store::Error::from(error).into()),
            };
            if !stat.is_dir {
                let file = SeenFile { inner: String::new(), size: stat.size, etag: stat.etag };
                return Ok(Some(Seen { is_dir: false, files: vec![file] }));
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
                files.push(SeenFile { inner, size: file.size, etag: file.etag });
            }
            files.sort_by(|a, b| a.inner.cmp(&b.inner));
            Ok(Some(Seen { is_dir: true, files }))
        })
    }

    fn identity(&self, seen: &Seen, progress: &dyn Progress) -> Result<Info> {
        let key = match self.config.scheme.as_str() {
            "s3" | "gs" | "azure" => "etag",
            "http" | "https" | "hdfs" | "webhdfs" | "webdav" | "webdavs" => "checksum",
            _ => "md5",
        };
        let ids: Vec<String> = match key {
            "md5" => {
                let hashed = self.each(seen, None, "hashing", progress, |file| {
                    let mut hasher = trackway_store::Hasher::new(HashName::Md5);
                    self.read(file, &mut |piece| {
                        hasher.update(piece);
                        Ok(())
                    })?;
                    Ok(Oid::file(hasher.finish()).to_string())
                });
                hashed?
            }
            _ => seen.files.iter().map(|file| self.own_checksum(file)).collect::<Result<_>>()?,
        };
        let id = match (seen.is_dir, ids.as_slice()) {
            (false, [id]) => id.clone(),
            _ => {
                let entry = |(file, id): (&SeenFile, &String)| {
                    Value::Map(Map::from_iter([
                        (key.into(), id.as_str().into()),
                        ("relpath".into(), file.inner.as_str().into()),
                    ]))
                };
                let list = Value::Seq(seen.files.iter().zip(&ids).map(entry).collect());
                Oid::dir(*trackway_store::hash_bytes(HashName::Md5, sorted_json(&list).as_bytes()).bytes()).to_string()
            }
        };
        let mut info = Info {
            hash: Some("md5".to_owned()),
            size: Some(seen.files.iter().map(|file| file.size).sum()),
            nfiles: seen.is_dir.then_some(seen.files.len() as u64),
            ..Info::default()
        };
        match key {
            // As DVC 3.67: of a folder it is always the MD5 of the list.
            _ if seen.is_dir => info.md5 = Some(id),
            "etag" => info.etag = Some(id),
            "checksum" => info.checksum = Some(id),
            _ => info.md5 = Some(id),
        }
        Ok(info)
    }

    /// A file's checksum as DVC 3.67 writes it, by what the store says of it.
    fn own_checksum(&self, file: &SeenFile) -> Result<String> {
        let etag = file.etag.as_deref().ok_or_else(|| {
            Error::dvc(format!(
                "'{}/{}' has no checksum that its store tells, so that nobody could see whether it changed.",
                self.url, file.inner
            ))
        })?;
        Ok(match self.config.scheme.as_str() {
            "azure" | "http" | "https" => format!("\"{etag}\""),
            _ => etag.to_owned(),
        })
    }

    /// Works on all files, several at once, in their order.
    fn each<T: Send>(
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
    fn read(&self, file: &SeenFile, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let path = match file.inner.as_str() {
            "" => self.path.clone(),
            inner => {
                let inner = RelPath::new(inner).map_err(trackway_store::Error::from)?;
                self.path.join(&inner).map_err(trackway_store::Error::from)?
            }
        };
        runtime()?.block_on(async {
            let object = self.remote.get(&path).await.map_err(trackway_store::Error::from)?;
            let stat = object.stat();
            if stat.size != file.size || stat.etag.is_some() && file.etag.is_some() && stat.etag != file.etag {
                return Err(Error::dvc(format!(
                    "'{}/{}' was changed meanwhile. Run the command again.",
                    self.url, file.inner
                )));
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
