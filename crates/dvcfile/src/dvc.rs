//! `.dvc` files.

use trackway_yaml::{Map, Value};

use crate::{Annotations, Error, FileEntry, Info};

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
        unimplemented!("{text}{name}")
    }

    /// What is written: DVC's keys in DVC's order, without those that say nothing.
    pub fn to_value(&self) -> Value {
        unimplemented!()
    }

    /// The file's text. With `old_text`, that text with only what differs changed.
    pub fn dump(&self, old_text: Option<&str>) -> Result<String, Error> {
        unimplemented!("{old_text:?}")
    }

    /// The `md5:` of an import's file: over everything in it that identifies the import.
    pub fn stage_md5(&self) -> String {
        unimplemented!()
    }

    /// No command, one dependency, one output.
    pub fn is_import(&self) -> bool {
        self.deps.len() == 1 && self.outs.len() == 1
    }
}
