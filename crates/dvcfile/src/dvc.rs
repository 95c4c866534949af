//! `.dvc` files.

use md5::{Digest, Md5};
use trackway_yaml::{Map, Value};

use crate::info::{self, text as text_of};
use crate::schema::{self, document, python_str};
use crate::{Annotations, Error, FileEntry, Info, python};

/// A `.dvc` file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DvcFile {
    pub desc: Option<String>,
    /// Of an import: see [`DvcFile::stage_md5`].
    pub md5: Option<String>,
    /// As written; `None` is the file's own folder.
    pub wdir: Option<String>,
    /// `frozen`, or `locked` in old files.
    pub frozen: bool,
    pub deps: Vec<Dep>,
    pub outs: Vec<Out>,
    pub always_changed: bool,
    /// The user's.
    pub meta: Option<Value>,
}

/// An output of a `.dvc` file.
#[derive(Clone, Debug, PartialEq)]
pub struct Out {
    pub path: String,
    pub info: Info,
    pub cache: bool,
    pub push: bool,
    pub persist: bool,
    pub remote: Option<String>,
    pub annotations: Annotations,
    /// `Some` for a folder that a cloud keeps versions of, also if it is empty.
    pub files: Option<Vec<FileEntry>>,
    pub fs_config: Option<Map>,
}

/// What an import came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dep {
    /// Empty only with `db`.
    pub path: String,
    pub info: Info,
    pub repo: Option<RepoDep>,
    /// `db: {query, connection, file_format, table}`.
    pub db: Option<Map>,
    pub files: Option<Vec<FileEntry>>,
    pub fs_config: Option<Map>,
}

/// Another repository (`repo:` of a dependency).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RepoDep {
    pub url: String,
    pub rev: Option<String>,
    pub rev_lock: Option<String>,
    /// A file's name or a mapping.
    pub config: Option<Value>,
    /// A remote's name or its settings.
    pub remote: Option<Value>,
}

impl Out {
    /// A cached output of that path about which nothing is known yet; hashes in it will be of DVC 3's kind.
    pub fn new(path: impl Into<String>) -> Out {
        Out {
            path: path.into(),
            info: Info { hash: Some("md5".to_owned()), ..Info::default() },
            cache: true,
            push: true,
            persist: false,
            remote: None,
            annotations: Annotations::default(),
            files: None,
            fs_config: None,
        }
    }
}

impl DvcFile {
    /// Reads and checks a `.dvc` file. `name` is how messages name it (`./data.dvc`).
    pub fn parse(text: &str, name: &str) -> Result<DvcFile, Error> {
        let data = document(crate::error::parse_yaml(text, name)?);
        schema::check(&schema::DVC_FILE, &data, name, text)?;
        let Value::Map(map) = data else { return Ok(DvcFile::default()) };
        let flag = |key: &str| map.get(key).and_then(Value::as_bool).unwrap_or(false);
        let entries =
            |key: &str| map.get(key).and_then(Value::as_seq).unwrap_or_default().iter().filter_map(Value::as_map);
        Ok(DvcFile {
            desc: text_of(&map, "desc"),
            md5: text_of(&map, "md5").filter(|md5| !md5.is_empty()),
            wdir: text_of(&map, "wdir"),
            frozen: flag("frozen") || flag("locked"),
            deps: entries("deps").map(|dep| Dep::from_map(dep, name)).collect::<Result<_, _>>()?,
            outs: entries("outs").map(|out| Out::from_map(out, name)).collect::<Result<_, _>>()?,
            always_changed: flag("always_changed"),
            meta: map.get("meta").filter(|meta| !meta.is_null()).cloned(),
        })
    }

    /// What is written: DVC's keys in DVC's order, without those that say nothing.
    pub fn to_value(&self) -> Value {
        let import = self.is_import();
        let mut map = Map::new();
        for (key, text) in [("desc", self.desc.clone()), ("md5", self.md5.clone()), ("wdir", self.plain_wdir())] {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                map.insert(key, text);
            }
        }
        if self.frozen {
            map.insert("frozen", true);
        }
        if !self.deps.is_empty() {
            map.insert("deps", Value::Seq(self.deps.iter().map(|dep| dep.to_value(import)).collect()));
        }
        if !self.outs.is_empty() {
            map.insert("outs", Value::Seq(self.outs.iter().map(Out::to_value).collect()));
        }
        if self.always_changed {
            map.insert("always_changed", true);
        }
        if let Some(meta) = self.meta.as_ref().filter(|meta| python::truthy(meta)) {
            map.insert("meta", meta.clone());
        }
        Value::Map(map)
    }

    /// The file's text. With `old_text`, that text with only what differs changed.
    pub fn dump(&self, old_text: Option<&str>) -> Result<String, Error> {
        let value = self.to_value();
        let Some(old) = old_text else { return Ok(trackway_yaml::emit(&value)) };
        let mut document = crate::error::parse_document(old, "the .dvc file")?;
        document.apply(&value);
        Ok(document.to_string())
    }

    /// The `md5:` of an import's file: over everything in it that identifies the import.
    ///
    /// As DVC 3.67: the MD5 of the JSON of what is written, without what only describes it. `wdir` counts, unless it is the file's folder.
    pub fn stage_md5(&self) -> String {
        const TOP: [&str; 3] = ["md5", "meta", "desc"];
        const ANYWHERE: [&str; 11] =
            ["desc", "type", "labels", "meta", "locked", "frozen", "metric", "persist", "isexec", "size", "nfiles"];
        let mut value = self.to_value();
        if let Value::Map(map) = &mut value {
            for key in TOP {
                map.remove(key);
            }
        }
        let mut json = String::new();
        python::sorted_json(&without(&value, &ANYWHERE), &mut json);
        Md5::digest(json.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// No command, one dependency, one output.
    pub fn is_import(&self) -> bool {
        self.deps.len() == 1 && self.outs.len() == 1
    }

    /// An import whose dependency is another repository's.
    pub fn is_repo_import(&self) -> bool {
        self.is_import() && self.deps[0].repo.is_some()
    }

    /// An import that has not been downloaded yet.
    pub fn is_partial_import(&self) -> bool {
        self.is_import()
            && self.outs[0].info.identity(&self.outs[0].path).is_none()
            && self.outs[0].files.as_ref().is_none_or(Vec::is_empty)
    }

    fn plain_wdir(&self) -> Option<String> {
        self.wdir.as_deref().map(plain_path).filter(|wdir| wdir != ".")
    }
}

impl Out {
    fn from_map(map: &Map, name: &str) -> Result<Out, Error> {
        let path = text_of(map, "path").ok_or_else(|| no_path(name))?;
        let flag = |key: &str, default: bool| map.get(key).and_then(Value::as_bool).unwrap_or(default);
        Ok(Out {
            path,
            info: Info::from_map(map),
            cache: flag("cache", true),
            push: flag("push", true),
            persist: flag("persist", false),
            remote: text_of(map, "remote"),
            annotations: Annotations::from_map(map),
            files: info::files(map),
            fs_config: map.get("fs_config").and_then(Value::as_map).cloned(),
        })
    }

    fn to_value(&self) -> Value {
        let mut map = Map::new();
        let with_files = has_files(&self.files);
        write_head(&mut map, &self.path, &self.info, with_files, &self.fs_config);
        self.annotations.write(&mut map);
        if !self.cache {
            map.insert("cache", false);
        }
        if self.persist {
            map.insert("persist", true);
        }
        if let Some(remote) = self.remote.as_deref().filter(|remote| !remote.is_empty()) {
            map.insert("remote", remote);
        }
        if !self.push {
            map.insert("push", false);
        }
        write_files(&mut map, &self.files, with_files);
        Value::Map(map)
    }
}

impl Dep {
    fn from_map(map: &Map, name: &str) -> Result<Dep, Error> {
        let db = map.get("db").and_then(Value::as_map).cloned();
        let path = match text_of(map, "path") {
            Some(path) if !path.is_empty() => path,
            _ if db.is_some() => String::new(),
            _ => return Err(no_path(name)),
        };
        Ok(Dep {
            path,
            info: Info::from_map(map),
            repo: map.get("repo").and_then(Value::as_map).map(RepoDep::from_map),
            db,
            files: info::files(map),
            fs_config: map.get("fs_config").and_then(Value::as_map).cloned(),
        })
    }

    fn to_value(&self, import: bool) -> Value {
        let mut map = Map::new();
        if let Some(db) = &self.db {
            let said: Map = db.clone().into_iter().filter(|(_, value)| python::truthy(value)).collect();
            if !said.is_empty() {
                map.insert("db", said);
            }
        } else if let Some(repo) = &self.repo {
            map.insert("path", self.path.as_str());
            map.insert("repo", repo.to_map());
        } else if info::scheme(&self.path) == Some("ds") {
            map.insert("path", self.path.as_str());
        } else {
            let with_files = import && has_files(&self.files);
            write_head(&mut map, &self.path, &self.info, with_files, &self.fs_config);
            write_files(&mut map, &self.files, with_files);
        }
        Value::Map(map)
    }
}

impl RepoDep {
    fn from_map(map: &Map) -> RepoDep {
        RepoDep {
            url: text_of(map, "url").unwrap_or_default(),
            rev: text_of(map, "rev"),
            rev_lock: text_of(map, "rev_lock"),
            config: map.get("config").cloned(),
            remote: map.get("remote").cloned(),
        }
    }

    fn to_map(&self) -> Map {
        let mut map = Map::new();
        map.insert("url", self.url.as_str());
        for (key, text) in [("rev", &self.rev), ("rev_lock", &self.rev_lock)] {
            if let Some(text) = text.as_deref().filter(|text| !text.is_empty()) {
                map.insert(key, text);
            }
        }
        for (key, value) in [("config", &self.config), ("remote", &self.remote)] {
            if let Some(value) = value.as_ref().filter(|value| python::truthy(value)) {
                map.insert(key, value.clone());
            }
        }
        map
    }
}

impl Annotations {
    pub(crate) fn from_map(map: &Map) -> Annotations {
        let labels = map.get("labels").and_then(Value::as_seq).unwrap_or_default();
        Annotations {
            desc: text_of(map, "desc"),
            type_: text_of(map, "type"),
            labels: labels.iter().map(python_str).collect(),
            meta: map.get("meta").filter(|meta| !meta.is_null()).cloned(),
        }
    }

    pub(crate) fn write(&self, map: &mut Map) {
        for (key, text) in [("desc", &self.desc), ("type", &self.type_)] {
            if let Some(text) = text.as_deref().filter(|text| !text.is_empty()) {
                map.insert(key, text);
            }
        }
        if !self.labels.is_empty() {
            map.insert("labels", self.labels.clone());
        }
        if let Some(meta) = self.meta.as_ref().filter(|meta| python::truthy(meta)) {
            map.insert("meta", meta.clone());
        }
    }
}

fn no_path(name: &str) -> Error {
    Error::Invalid(format!("'{name}' has an entry without a 'path'; say which file or folder it is about"))
}

fn has_files(files: &Option<Vec<FileEntry>>) -> bool {
    files.as_ref().is_some_and(|files| !files.is_empty())
}

fn write_head(map: &mut Map, path: &str, info: &Info, with_files: bool, fs_config: &Option<Map>) {
    let external = info::scheme(path).is_some();
    if !with_files {
        // As DVC 3.67: an output of DVC 2's kind says `md5:` also when it has none yet.
        if info.hash.is_none() && info.md5.is_none() && !external {
            map.insert("md5", Value::Null);
        }
        info.write(info.key_for(info::hash_key(path), path), map);
    }
    if info.hash.is_some() || external {
        map.insert("hash", "md5");
    }
    map.insert("path", plain_path(path));
    if let Some(config) = fs_config.as_ref().filter(|config| !config.is_empty()) {
        map.insert("fs_config", config.clone());
    }
}

fn write_files(map: &mut Map, files: &Option<Vec<FileEntry>>, with_files: bool) {
    if let Some(files) = files.as_ref().filter(|_| with_files) {
        map.insert("files", info::files_value(files));
    }
}

/// `./a/../b` as `b`. Paths that leave their folder are left as they are: where they lead needs the repository to tell.
pub(crate) fn plain_path(path: &str) -> String {
    if path.starts_with('/') || info::scheme(path).is_some() {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                None | Some(&"..") => parts.push(".."),
                Some(_) => drop(parts.pop()),
            },
            part => parts.push(part),
        }
    }
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

pub(crate) fn without(value: &Value, keys: &[&str]) -> Value {
    match value {
        Value::Seq(items) => Value::Seq(items.iter().map(|item| without(item, keys)).collect()),
        Value::Map(map) => Value::Map(
            map.iter()
                .filter(|(key, _)| !key.as_str().is_some_and(|key| keys.contains(&key)))
                .map(|(key, value)| (key.clone(), without(value, keys)))
                .collect(),
        ),
        other => other.clone(),
    }
}
