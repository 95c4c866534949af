//! `--glob`: targets as patterns, as Python's `glob` reads them with `**`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::paths;

/// The paths that the patterns stand for, seen from `cwd`; folder by folder, by their letters.
pub(crate) fn expand(cwd: &Path, patterns: &[String]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for pattern in patterns {
        for path in matches_of(cwd, pattern) {
            found.push(path.into_os_string().into_string().map_err(|name| {
                Error::dvc(format!(
                    "'{}' cannot be added: its name is not UTF-8, and a '.dvc' file cannot hold it. Rename it, or add the folder it lies in.",
                    paths::show(Path::new(&name))
                ))
            })?);
        }
    }
    if found.is_empty() {
        let list: Vec<_> = patterns.iter().map(|pattern| format!("'{pattern}'")).collect();
        return Err(Error::dvc(format!("Glob [{}] has no matches.", list.join(", "))));
    }
    Ok(found)
}

/// A pattern has few parts; more than this is meant to harm.
const MOST_PARTS: usize = 1000;

fn matches_of(cwd: &Path, pattern: &str) -> Vec<PathBuf> {
    let start = if pattern.starts_with('/') { PathBuf::from("/") } else { PathBuf::new() };
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).take(MOST_PARTS).collect();
    let mut found = vec![start];
    for (at, part) in parts.iter().enumerate() {
        let is_last = at + 1 == parts.len();
        let mut next = Vec::new();
        for base in &found {
            let folder = cwd.join(base);
            match *part {
                "**" => below(&folder, base, is_last, &mut next),
                part if has_magic(part) => {
                    let names = names_in(&folder).into_iter().filter(|name| {
                        let hidden = name.as_encoded_bytes().starts_with(b".") && !part.starts_with('.');
                        !hidden && name_matches(part, &name.to_string_lossy())
                    });
                    next.extend(names.map(|name| base.join(name)));
                }
                part if folder.join(part).symlink_metadata().is_ok() => next.push(base.join(part)),
                _ => {}
            }
        }
        found = next;
    }
    found.retain(|path| !path.as_os_str().is_empty());
    found
}

/// What `**` stands for: the folder itself and all below it that is not hidden; at the end of a pattern files too.
fn below(folder: &Path, shown: &Path, files_too: bool, found: &mut Vec<PathBuf>) {
    let mut waiting = vec![(folder.to_owned(), shown.to_owned())];
    while let Some((folder, shown)) = waiting.pop() {
        found.push(shown.clone());
        let mut deeper = Vec::new();
        for name in names_in(&folder).into_iter().filter(|name| !name.as_encoded_bytes().starts_with(b".")) {
            let path = folder.join(&name);
            // A link to a folder is not followed: it may lead back.
            if path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
                deeper.push((path, shown.join(name)));
            } else if files_too {
                found.push(shown.join(name));
            }
        }
        waiting.extend(deeper.into_iter().rev());
    }
}

fn names_in(folder: &Path) -> Vec<OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
    names.sort_by(|one, other| OsStr::cmp(one, other));
    names
}

fn has_magic(part: &str) -> bool {
    part.contains(['*', '?', '['])
}

/// Python's `fnmatch` of one name: `*`, `?`, `[abc]`, `[!a-c]`; a bracket that is not closed is itself.
fn name_matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and how much of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('[') => in_brackets(&pattern[p..], name[n]),
            Some(letter) => (*letter == name[n]).then_some(1),
            None => None,
        };
        match (step, star) {
            (Some(len), _) => {
                p += len;
                n += 1;
            }
            (None, Some((at, taken))) => {
                star = Some((at, taken + 1));
                p = at + 1;
                n = taken + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|letter| *letter == '*')
}

/// How long the bracket is that `pattern` begins with, if it has the letter.
fn in_brackets(pattern: &[char], letter: char) -> Option<usize> {
    let negated = pattern.get(1) == Some(&'!');
    let first = if negated { 2 } else { 1 };
    // A closing bracket that comes first is one of the letters.
    let Some(end) = (first + 1..pattern.len()).find(|at| pattern[*at] == ']') else {
        return (letter == '[').then_some(1);
    };
    let letters = &pattern[first..end];
    let mut found = false;
    let mut at = 0;
    while at < letters.len() {
        if letters.get(at + 1) == Some(&'-') && at + 2 < letters.len() {
            found |= (letters[at]..=letters[at + 2]).contains(&letter);
            at += 3;
        } else {
            found |= letters[at] == letter;
            at += 1;
        }
    }
    (found != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::name_matches;

    #[test]
    fn names_match_as_in_python() {
        for (pattern, name, wanted) in [
            ("*.csv", "a.csv", true),
            ("*.csv", "a.csvx", false),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXbY", false),
            ("[ab]?", "bz", true),
            ("[!ab]?", "bz", false),
            ("[a-c]", "b", true),
            ("[]a]", "]", true),
            ("[a", "[a", true),
            ("", "", true),
            ("*", "é", true),
        ] {
            assert_eq!(name_matches(pattern, name), wanted, "{pattern} {name}");
        }
    }
}
