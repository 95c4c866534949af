//! What is recorded of a file or folder: its hash, size and, for clouds, its version.

use trackway_yaml::{Map, Value};

use crate::schema::python_str;

/// The hash and the metadata of a dependency, an output, or a file of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// The `hash: md5` marker. `None` is a file of DVC 2.x, whose `md5` was taken with CRLF read as LF.
    pub hash: Option<String>,
    pub md5: Option<String>,
    pub etag: Option<String>,
    pub checksum: Option<String>,
    pub version_id: Option<String>,
    pub size: Option<u64>,
    pub nfiles: Option<u64>,
    pub isexec: bool,
    /// The remote whose `etag`, `checksum` and `version_id` these are (`cloud: {remote: {…}}`).
    pub cloud: Option<String>,
}

/// A file of a folder that is kept as it is in a cloud (`files:`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileEntry {
    /// With `/`, as written. Untrusted: may hold `..`.
    pub relpath: String,
    pub info: Info,
}

/// The key under which the identity of what lies at `path` is kept. As DVC 3.67: by the scheme of its URL.
pub(crate) fn hash_key(path: &str) -> &'static str {
    match scheme(path) {
        Some("http" | "https" | "hdfs" | "webhdfs" | "gdrive") => "checksum",
        Some("webdav" | "webdavs" | "s3" | "gs" | "gcs" | "azure" | "abfs" | "abfss" | "adl" | "oss") => "etag",
        _ => "md5",
    }
}

/// The scheme of a URL; `None` for a path.
pub(crate) fn scheme(path: &str) -> Option<&str> {
    let (scheme, _) = path.split_once("://")?;
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    valid.then_some(scheme)
}

pub(crate) fn text(map: &Map, key: &str) -> Option<String> {
    map.get(key).filter(|value| !value.is_null()).map(python_str)
}

fn number(map: &Map, key: &str) -> Option<u64> {
    match map.get(key)? {
        // Nothing has a negative size; DVC never writes one.
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::BigInt(digits) => digits.parse().ok(),
        Value::Bool(value) => Some(u64::from(*value)),
        _ => None,
    }
}

impl Info {
    /// The entries of a checked mapping; `cloud` is merged into it as DVC does.
    pub(crate) fn from_map(map: &Map) -> Info {
        let mut map = map.clone();
        let cloud = match map.remove("cloud") {
            Some(Value::Map(cloud)) => cloud.into_iter().next(),
            _ => None,
        };
        let mut remote = None;
        if let Some((Value::Str(name), Value::Map(more))) = cloud {
            remote = Some(name);
            for (key, value) in more {
                map.insert(key, value);
            }
        }
        Info {
            hash: text(&map, "hash"),
            // An empty checksum is none, as in files of DVC 0.x.
            md5: text(&map, "md5").filter(|md5| !md5.is_empty()),
            etag: text(&map, "etag").filter(|etag| !etag.is_empty()),
            checksum: text(&map, "checksum").filter(|checksum| !checksum.is_empty()),
            version_id: text(&map, "version_id").filter(|version| !version.is_empty()),
            size: number(&map, "size"),
            nfiles: number(&map, "nfiles"),
            isexec: map.get("isexec").and_then(Value::as_bool).unwrap_or(false),
            cloud: remote,
        }
    }

    /// What identifies the thing at `path`, as written in this record.
    pub fn identity(&self, path: &str) -> Option<&str> {
        self.by_key(self.key_for(hash_key(path), path))
    }

    /// What `remote://name/path` leads to is known by what is recorded of it.
    pub(crate) fn key_for(&self, key: &'static str, path: &str) -> &'static str {
        match self {
            // As DVC 3.67: a folder is known by the MD5 of the list of its files' checksums, whatever these are.
            _ if self.is_dir() => "md5",
            _ if scheme(path) != Some("remote") => key,
            Info { md5: Some(_), .. } => "md5",
            Info { etag: Some(_), .. } => "etag",
            Info { checksum: Some(_), .. } => "checksum",
            _ => key,
        }
    }

    /// Whether `md5` names a `.dir` object.
    pub fn is_dir(&self) -> bool {
        self.md5.as_deref().is_some_and(|md5| md5.ends_with(".dir"))
    }

    fn by_key(&self, key: &str) -> Option<&str> {
        match key {
            "etag" => self.etag.as_deref(),
            "checksum" => self.checksum.as_deref(),
            _ => self.md5.as_deref(),
        }
    }

    /// Writes the hash, then the metadata, in DVC's order.
    pub(crate) fn write(&self, key: &'static str, map: &mut Map) {
        if let Some(value) = self.by_key(key) {
            map.insert(key, value);
        }
        if let Some(size) = self.size {
            map.insert("size", size);
        }
        if let Some(nfiles) = self.nfiles {
            map.insert("nfiles", nfiles);
        }
        if self.isexec {
            map.insert("isexec", true);
        }
        let versions = [("version_id", &self.version_id), ("etag", &self.etag), ("checksum", &self.checksum)];
        let mut cloud = Map::new();
        for (name, value) in versions {
            match value {
                Some(value) if self.cloud.is_none() => drop(map.insert(name, value.as_str())),
                _ => {}
            }
        }
        if let Some(md5) = &self.md5 {
            map.insert("md5", md5.as_str());
        }
        if let Some(remote) = &self.cloud {
            for (name, value) in [("etag", &self.etag), ("checksum", &self.checksum), ("version_id", &self.version_id)]
            {
                if let Some(value) = value {
                    cloud.insert(name, value.as_str());
                }
            }
            if !cloud.is_empty() {
                let mut by_remote = Map::new();
                by_remote.insert(remote.as_str(), cloud);
                map.insert("cloud", by_remote);
            }
        }
    }
}

impl FileEntry {
    pub(crate) fn from_map(map: &Map) -> FileEntry {
        FileEntry { relpath: text(map, "relpath").unwrap_or_default(), info: Info::from_map(map) }
    }

    pub(crate) fn to_map(&self) -> Map {
        let mut map = Map::new();
        map.insert("relpath", self.relpath.as_str());
        // A file in a place that keeps versions is known by its etag; its MD5 is that of an output.
        let key = if self.info.md5.is_none() && self.info.cloud.is_none() { "etag" } else { "md5" };
        self.info.write(key, &mut map);
        map
    }
}

/// `files:` of a checked mapping.
pub(crate) fn files(map: &Map) -> Option<Vec<FileEntry>> {
    let entries = map.get("files")?.as_seq()?;
    Some(entries.iter().filter_map(Value::as_map).map(FileEntry::from_map).collect())
}

/// `files:` as written: by path.
pub(crate) fn files_value(files: &[FileEntry]) -> Value {
    let mut files: Vec<&FileEntry> = files.iter().collect();
    files.sort_by(|a, b| a.relpath.cmp(&b.relpath));
    Value::Seq(files.into_iter().map(|entry| Value::Map(entry.to_map())).collect())
}
