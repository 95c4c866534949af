//! A key inside a remote, valid by type.

use std::fmt;

use crate::error::{Error, Result};

/// Names that begin so are the remote's own: uploads in the making and trees on their way out lie in a
/// folder of this name under the root.
pub(crate) const STAGING: &str = ".trackway-staging";

/// A relative path of `/`-separated names: never absolute, no `.` or `..`, no empty name, no NUL, nothing
/// of the remote's own. A backslash is an ordinary character of a name, as it is on Linux.
///
/// The empty path is the root: it can be listed, but not read, written or deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelPath(String);

impl RelPath {
    /// The longest path and the longest name that Linux file systems take.
    const MAX_PATH: usize = 4095;
    const MAX_NAME: usize = 255;

    pub fn root() -> RelPath {
        RelPath(String::new())
    }

    pub fn new(path: impl Into<String>) -> Result<RelPath> {
        let path = path.into();
        if path.is_empty() {
            return Ok(RelPath::root());
        }
        match Self::fault(&path) {
            None => Ok(RelPath(path)),
            Some(reason) => Err(Error::InvalidPath { path, reason }),
        }
    }

    fn fault(path: &str) -> Option<&'static str> {
        if path.len() > Self::MAX_PATH {
            return Some("it is longer than 4095 bytes");
        }
        if path.starts_with('/') {
            return Some("it is absolute");
        }
        if path.contains('\0') {
            return Some("it contains a NUL character");
        }
        path.split('/').find_map(|name| match name {
            "" => Some("it contains an empty name"),
            "." | ".." => Some("it contains '.' or '..'"),
            STAGING => Some("this name is kept for uploads in the making"),
            _ if name.len() > Self::MAX_NAME => Some("one of its names is longer than 255 bytes"),
            _ => None,
        })
    }

    /// `self/tail`. Both are valid, so only the length can be wrong.
    pub fn join(&self, tail: &RelPath) -> Result<RelPath> {
        match (self.is_root(), tail.is_root()) {
            (true, _) => Ok(tail.clone()),
            (_, true) => Ok(self.clone()),
            _ => RelPath::new(format!("{}/{}", self.0, tail.0)),
        }
    }

    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last name; of the root, the empty string.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }

    /// All but the last name; of a single name, the root.
    pub fn parent(&self) -> RelPath {
        RelPath(self.0.rsplit_once('/').map_or("", |(head, _)| head).to_owned())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|name| !name.is_empty())
    }

    /// Whether `self` is `ancestor` or lies below it.
    pub fn is_within(&self, ancestor: &RelPath) -> bool {
        ancestor.is_root()
            || self.0.strip_prefix(&ancestor.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for RelPath {
    type Err = Error;

    fn from_str(path: &str) -> Result<RelPath> {
        RelPath::new(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_could_leave_the_root() {
        for bad in [
            "/",
            "/a",
            "//a",
            "..",
            ".",
            "a/..",
            "a/../b",
            "./a",
            "a/.",
            "a//b",
            "a/",
            "a\0b",
            "\0",
            ".trackway-staging",
            ".trackway-staging/x",
            "a/.trackway-staging",
        ] {
            assert!(RelPath::new(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(RelPath::new("x".repeat(256)).is_err());
        assert!(RelPath::new(vec!["abc"; 1025].join("/")).is_err());
    }

    #[test]
    fn keeps_ordinary_names_as_they_are() {
        for good in ["a", "a/b", "...", "..a", "a\\b", "..\\a", "%2e%2e", "é/日本", "a b", "-", "~"] {
            assert_eq!(RelPath::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn knows_parents_and_children() {
        let path = RelPath::new("a/b/c").unwrap();
        assert_eq!(path.file_name(), "c");
        assert_eq!(path.parent().as_str(), "a/b");
        assert!(path.parent().parent().parent().is_root());
        assert!(path.is_within(&RelPath::new("a/b").unwrap()));
        assert!(path.is_within(&RelPath::root()));
        assert!(!RelPath::new("ab").unwrap().is_within(&RelPath::new("a").unwrap()));
        assert_eq!(RelPath::root().join(&path).unwrap(), path);
        assert_eq!(path.join(&RelPath::root()).unwrap(), path);
    }

    proptest::proptest! {
        #[test]
        fn an_accepted_path_stays_below_the_root(text in "[a/.\\\\%0-9\0]{0,12}") {
            if let Ok(path) = RelPath::new(text) {
                let joined = std::path::Path::new("/root").join(path.as_str());
                let plain = joined.components().all(|part| {
                    matches!(part, std::path::Component::Normal(_) | std::path::Component::RootDir)
                });
                proptest::prop_assert!(plain && joined.starts_with("/root"));
            }
        }
    }
}
