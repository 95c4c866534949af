//! By what an import knows again what it has brought: as DVC 3.67 writes it into the `.dvc` file.
//!
//! In buckets and on WebDAV it is the etag, on HTTP and HDFS a checksum, and where the store tells none the MD5 of what it
//! holds. Of a folder it is the MD5 of the list of these, or where versions are kept the list itself (`files:`).

use trackway_dvcfile::{Dep, FileEntry, Info, sorted_json};
use trackway_store::{HashName, Oid, Progress};
use trackway_yaml::{Map, Value};

use super::{Look, Seen, SeenFile, over_http};
use crate::error::{Error, Result};
use crate::remotes::anywhere::There;
use crate::remotes::runtime;

/// What a `.dvc` file records of the origin of an import.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Identity {
    pub info: Info,
    /// Of a folder in a place that keeps versions.
    pub files: Option<Vec<FileEntry>>,
}

impl Identity {
    pub fn of(dep: &Dep) -> Identity {
        Identity { info: dep.info.clone(), files: dep.files.clone() }
    }

    /// What has become of it since it was recorded; `None` if it is the same. As DVC 3.67: the newest version need not be the
    /// recorded one's content to be an update.
    pub fn change(&self, now: &Identity, path: &str) -> Option<&'static str> {
        if let (Some(recorded), Some(version)) = (&self.info.version_id, &now.info.version_id)
            && recorded != version
        {
            return Some("update available");
        }
        let same = match (&self.files, &now.files) {
            (Some(recorded), Some(found)) => {
                let known =
                    |file: &FileEntry| (file.relpath.clone(), file.info.etag.as_deref().map(strong).map(str::to_owned));
                let (mut left, mut right): (Vec<_>, Vec<_>) =
                    (recorded.iter().map(known).collect(), found.iter().map(known).collect());
                left.sort();
                right.sort();
                left == right
            }
            (None, None) => {
                let recorded = self.info.identity(path).map(strong);
                recorded.is_some() && now.info.identity(path).map(strong) == recorded
            }
            _ => false,
        };
        (!same).then_some("modified")
    }
}

/// Apache calls the etag of what was just written a weak one, and DVC writes it down so; it is the same content.
fn strong(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag)
}

impl Look {
    /// By what an import knows it again.
    pub(crate) fn identity(&self, progress: &dyn Progress) -> Result<Identity> {
        match self {
            Look::Here { content, .. } => {
                let info = Info {
                    hash: Some("md5".to_owned()),
                    md5: Some(content.oid().to_string()),
                    size: Some(content.size()),
                    nfiles: content.nfiles(),
                    isexec: content.is_exec(),
                    ..Info::default()
                };
                Ok(Identity { info, files: None })
            }
            Look::There { there, seen } => there.identity(seen, progress),
        }
    }
}

impl There {
    fn identity(&self, seen: &Seen, progress: &dyn Progress) -> Result<Identity> {
        let key = match self.config.scheme.as_str() {
            "s3" | "gs" | "azure" | "webdav" | "webdavs" => "etag",
            "http" | "https" | "hdfs" | "webhdfs" => "checksum",
            _ => "md5",
        };
        let hash = Some("md5".to_owned());
        if seen.is_dir && self.version_aware {
            let files = seen.files.iter().map(|file| {
                let info = Info {
                    etag: file.written_etag.clone(),
                    size: Some(file.size),
                    version_id: file.version.clone(),
                    ..Info::default()
                };
                FileEntry { relpath: file.inner.clone(), info }
            });
            return Ok(Identity { info: Info { hash, ..Info::default() }, files: Some(files.collect()) });
        }
        let ids = self.each(seen, None, "looking at", progress, |file| self.checksum(key, file))?;
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
            hash,
            size: Some(seen.files.iter().map(|file| file.size).sum()),
            nfiles: seen.is_dir.then_some(seen.files.len() as u64),
            version_id: seen.files.first().filter(|_| !seen.is_dir).and_then(|file| file.version.clone()),
            ..Info::default()
        };
        match key {
            // As DVC 3.67: of a folder it is always the MD5 of the list.
            _ if seen.is_dir => info.md5 = Some(id),
            "etag" => info.etag = Some(id),
            "checksum" => info.checksum = Some(id),
            _ => info.md5 = Some(id),
        }
        Ok(Identity { info, files: None })
    }

    fn checksum(&self, key: &str, file: &SeenFile) -> Result<String> {
        if key == "md5" {
            let mut hasher = trackway_store::Hasher::new(HashName::Md5);
            self.read(file, &mut |piece| {
                hasher.update(piece);
                Ok(())
            })?;
            return Ok(Oid::file(hasher.finish()).to_string());
        }
        let told = match self.config.scheme.as_str() {
            "hdfs" | "webhdfs" => {
                let path = self.path_of(file)?;
                runtime()?.block_on(self.remote.checksum(&path)).map_err(trackway_store::Error::from)?
            }
            "http" | "https" => {
                let path = self.path_of(file)?;
                let described =
                    runtime()?.block_on(self.remote.describe(&path)).map_err(trackway_store::Error::from)?;
                described.map(|described| over_http::checksum(&described))
            }
            _ => file.written_etag.clone(),
        };
        told.ok_or_else(|| {
            Error::dvc(format!(
                "'{}' has no checksum that its store tells, so that nobody could see whether it changed. Download it \
                 with `get-url` and track it with `add`.",
                self.shown(file)
            ))
        })
    }
}
