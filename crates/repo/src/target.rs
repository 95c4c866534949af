//! What a person names on the command line: `data.dvc`, `data/part`, `train`, `sub/dvc.yaml:train@x`.

use std::path::Path;

use crate::error::{Error, Result};
use crate::paths::{LOCK_FILE, PROJECT_FILE, is_dvc_file_name};

/// A target taken apart as DVC 3.67 does: a file, a stage's name, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    pub file: Option<String>,
    pub name: Option<String>,
}

impl Target {
    pub fn parse(target: &str) -> Result<Target> {
        let both = |file: Option<&str>, name: Option<&str>| Target {
            file: file.map(str::to_owned),
            name: name.map(str::to_owned),
        };
        if target.is_empty() {
            return Ok(Target::default());
        }
        // Only up to the first '@': the key of a generated stage may hold any character.
        let (group, key) = match target.split_once('@') {
            Some((group, key)) => (group, Some(key)),
            None => (target, None),
        };
        let (path, name) = match group.rsplit_once(':') {
            Some((path, name)) if !name.contains(['\\', '/']) => (path, name),
            _ => (group, ""),
        };
        if !path.is_empty() {
            if Path::new(path).file_name().is_some_and(|file| file == LOCK_FILE) {
                return Err(Error::dvc(format!("Did you mean: `{}`?", target.replacen(".lock", ".yaml", 1))));
            }
            if name.is_empty() {
                return Ok(match is_dvc_file_name(Path::new(target)) {
                    true => both(Some(target), None),
                    false => both(None, Some(target)),
                });
            }
        }
        let name = match (name, key) {
            ("", _) => None,
            (name, None | Some("")) => Some(name.to_owned()),
            (name, Some(key)) => Some(format!("{name}@{key}")),
        };
        let file = if path.is_empty() { PROJECT_FILE } else { path };
        Ok(Target { file: Some(file.to_owned()), name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_taken_apart_as_dvc_does() {
        for (text, file, name) in [
            ("data.dvc", Some("data.dvc"), None),
            ("data", None, Some("data")),
            ("data/part", None, Some("data/part")),
            ("dvc.yaml", Some("dvc.yaml"), None),
            ("dvc.yaml:train", Some("dvc.yaml"), Some("train")),
            (":train", Some("dvc.yaml"), Some("train")),
            ("sub/dvc.yaml:train@a:b", Some("sub/dvc.yaml"), Some("train@a:b")),
            ("train@x", None, Some("train@x")),
            ("s3://bucket/key", None, Some("s3://bucket/key")),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!((target.file.as_deref(), target.name.as_deref()), (file, name), "{text}");
        }
        assert!(Target::parse("sub/dvc.lock").unwrap_err().to_string().contains("sub/dvc.yaml"));
    }
}
