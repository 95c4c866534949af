//! Paths as DVC reckons with them: by their letters, without asking the file system.

use std::path::{Component, Path, PathBuf};

/// `os.path.normpath`: no `.`, no empty names, `..` taken back where a name stands before it.
pub fn normalize(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => match out.components().next_back() {
                Some(Component::Normal(_)) => {
                    out.pop();
                }
                Some(Component::RootDir) => {}
                _ => out.push(".."),
            },
            other => out.push(other),
        }
    }
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

/// `os.path.abspath` seen from `base`, which is absolute.
pub fn absolute(path: &Path, base: &Path) -> PathBuf {
    normalize(&base.join(path))
}

/// `os.path.relpath`: the way from `start` to `path`, both absolute and normal; `.` for itself.
pub fn relative(path: &Path, start: &Path) -> PathBuf {
    let mut ours = path.components().peekable();
    let mut theirs = start.components().peekable();
    while let (Some(a), Some(b)) = (ours.peek(), theirs.peek()) {
        if a != b {
            break;
        }
        ours.next();
        theirs.next();
    }
    let mut out: PathBuf = theirs.map(|_| "..").collect();
    out.extend(ours);
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

/// Whether `path` is `ancestor` or lies below it.
pub fn is_in_or_eq(path: &Path, ancestor: &Path) -> bool {
    path.starts_with(ancestor)
}

/// Whether `path` lies below `ancestor`.
pub fn is_in(path: &Path, ancestor: &Path) -> bool {
    path != ancestor && path.starts_with(ancestor)
}

/// The file's name of a tracked file: `dvc.yaml`, or what ends in `.dvc`.
pub fn is_dvc_file_name(path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes().ends_with(b".dvc") || path.file_name().is_some_and(|name| name == PROJECT_FILE)
}

pub const PROJECT_FILE: &str = "dvc.yaml";
pub const LOCK_FILE: &str = "dvc.lock";
pub const DVC_FILE_SUFFIX: &str = ".dvc";
pub const DVC_DIR: &str = ".dvc";

/// A path as messages show it: what is not UTF-8 is replaced.
pub fn show(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_as_python_does() {
        for (given, wanted) in
            [("a/./b//c", "a/b/c"), ("a/../b", "b"), ("../a", "../a"), ("/../a", "/a"), ("", "."), ("a/..", ".")]
        {
            assert_eq!(normalize(Path::new(given)), Path::new(wanted), "{given}");
        }
    }

    #[test]
    fn the_relative_way_is_that_of_python() {
        for (path, start, wanted) in
            [("/a/b", "/a", "b"), ("/a", "/a/b", ".."), ("/a", "/a", "."), ("/x/y", "/a/b", "../../x/y")]
        {
            assert_eq!(relative(Path::new(path), Path::new(start)), Path::new(wanted), "{path} from {start}");
        }
    }
}
