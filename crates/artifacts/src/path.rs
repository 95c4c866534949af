//! What a client may call an artifact.

use percent_encoding::percent_decode_str;
use trackway_remote::RelPath;

use crate::error::{Error, Result};

/// MLflow keeps uploads in the making beside the finished ones, under names that begin so. It shows none
/// of them and lets nobody use such a name.
pub(crate) const UPLOADING: &str = ".artifact.uploading.";

/// A path as a client gave it, judged as MLflow 3.17 judges it and decoded.
///
/// It is percent-decoded until nothing changes, however often it was encoded; it must not be absolute, on
/// Linux or on Windows, nor contain `..`, `#` or NUL. A backslash is part of a name. Control characters
/// stand in names as `%01`. For reading, `a//b/./c/` means `a/b/c`; for writing see [`ArtifactPath::target`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactPath {
    text: String,
    path: RelPath,
}

impl ArtifactPath {
    pub fn root() -> ArtifactPath {
        ArtifactPath { text: String::new(), path: RelPath::root() }
    }

    /// `given` may be encoded: the path of a URL, or a parameter that was decoded once already.
    pub fn parse(given: &str) -> Result<ArtifactPath> {
        let decoded = decode(given).ok_or(Error::InvalidPath)?;
        if !is_safe(&decoded) {
            return Err(Error::InvalidPath);
        }
        let text = escape_control_characters(decoded);
        let plain: Vec<_> = text.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
        let path = RelPath::new(plain.join("/")).map_err(|_| Error::InvalidPath)?;
        Ok(ArtifactPath { text, path })
    }

    /// The file `name`, which is taken literally, in this directory.
    pub fn child(&self, name: &str) -> Result<ArtifactPath> {
        let name = RelPath::new(name).map_err(|_| Error::InvalidPath)?;
        if name.is_root() || name.names().count() > 1 || !is_safe(name.as_str()) {
            return Err(Error::InvalidPath);
        }
        let path = self.path.join(&name).map_err(|_| Error::InvalidPath)?;
        Ok(ArtifactPath { text: path.to_string(), path })
    }

    /// Where it lies.
    pub fn as_rel_path(&self) -> &RelPath {
        &self.path
    }

    /// As the client wrote it, decoded.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where to store. As MLflow 3.17 has it, a path that names a file in a roundabout way is refused.
    pub fn target(&self) -> Result<&RelPath> {
        let (head, name) = self.text.rsplit_once('/').unwrap_or(("", &self.text));
        if name.is_empty() {
            return Err(Error::NoFileName);
        }
        if name == "." {
            return Err(Error::InvalidPath);
        }
        if name.starts_with(UPLOADING) {
            return Err(Error::ReservedName { name: name.to_owned() });
        }
        let head = head.trim_end_matches('/');
        let plain = self.path.parent();
        if head != plain.as_str() {
            return Err(Error::NotPlain { given: head.to_owned(), plain: plain.to_string() });
        }
        Ok(&self.path)
    }
}

/// Decodes until nothing changes, at most as often as MLflow does. What is not UTF-8 then is refused: MLflow
/// would put the same replacement character for different bytes and mix up the files.
fn decode(given: &str) -> Option<String> {
    let mut text = given.to_owned();
    for _ in 0..=10 {
        let decoded = percent_decode_str(&text).decode_utf8().ok()?;
        if decoded == text {
            return Some(text);
        }
        text = decoded.into_owned();
    }
    None
}

fn is_safe(path: &str) -> bool {
    let bytes = path.as_bytes();
    let slash = |at: usize| matches!(bytes.get(at), Some(b'/' | b'\\'));
    let windows_drive = bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes.get(1) == Some(&b':') && slash(2);
    let windows_share = slash(0) && slash(1);
    let file_uri = bytes.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"file:"));
    !(path.contains(['#', '\0'])
        || path.starts_with('/')
        || windows_drive
        || windows_share
        || file_uri
        || path.split('/').any(|name| name == ".."))
}

fn escape_control_characters(text: String) -> String {
    if !text.contains(|c: char| c.is_ascii_control()) {
        return text;
    }
    text.chars().fold(String::new(), |mut escaped, c| {
        match c.is_ascii_control() {
            true => escaped.push_str(&format!("%{:02x}", c as u32)),
            false => escaped.push(c),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traversal_in_every_spelling_is_refused() {
        for bad in TRAVERSAL {
            assert!(ArtifactPath::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    /// The spellings of the public reports on MLflow's artifact paths, and their relatives.
    const TRAVERSAL: &[&str] = &[
        "..",
        "../x",
        "../../etc/passwd",
        "a/../../x",
        "a/..",
        "a/../b",
        "x/../../../../etc/passwd",
        "%2e%2e/x",
        "%2e%2e%2fx",
        "..%2fx",
        ".%2e/x",
        "%2E%2E%2Fx",
        "a%2f..%2f..%2fx",
        "%252e%252e%252fx",
        "%252e%252e/x",
        "..%252f..%252fx",
        "%25252e%25252e%25252fx",
        "%2525252525252525252e%2525252525252525252e/x",
        "%252525252525252525252525252e",
        "/",
        "/etc/passwd",
        "//etc/passwd",
        "///etc/passwd",
        "%2fetc/passwd",
        "%2Fetc%2Fpasswd",
        "%252fetc%252fpasswd",
        "//proc/self/root/etc/passwd",
        "/proc/self/environ",
        "/%2e%2e/x",
        "C:/x",
        "c:/x",
        "C:\\x",
        "C%3a/x",
        "c%3A%5cx",
        "\\\\server\\share",
        "%5c%5cserver%5cshare",
        "\\/server/share",
        "\\\\?\\C:\\x",
        "file:///etc/passwd",
        "file:/etc/passwd",
        "file:x",
        "FILE:///etc/passwd",
        "file%3a%2f%2f%2fetc%2fpasswd",
        "a#b",
        "#",
        "x#/../../y",
        "%23/../x",
        "a%2523b",
        "#../../etc/passwd",
        "a\0b",
        "a%00b",
        "..%00/x",
        "a%2500.txt",
        "%00",
        "%ff",
        "a%c0%ae%c0%aeb",
        "..%c0%afx",
        ".trackway-staging",
        "a/.trackway-staging/x",
        "%2etrackway-staging/x",
    ];

    #[test]
    fn what_only_looks_like_traversal_is_a_name() {
        for (given, stored) in [
            ("...", "..."),
            ("..a", "..a"),
            ("a..", "a.."),
            ("..;/x", "..;/x"),
            ("..%5cx", "..\\x"),
            ("a\\..\\b", "a\\..\\b"),
            ("%u002e%u002e/x", "%u002e%u002e/x"),
            ("~/x", "~/x"),
            ("proc/self/root", "proc/self/root"),
            ("a%3fb", "a?b"),
            ("dbfs:/x", "dbfs:/x"),
            ("http:x", "http:x"),
            ("C:x", "C:x"),
            ("\\x", "\\x"),
        ] {
            assert_eq!(ArtifactPath::parse(given).unwrap().as_rel_path().as_str(), stored);
        }
    }

    #[test]
    fn names_are_decoded_until_nothing_changes() {
        for (given, stored) in [
            ("a%20b", "a b"),
            ("a%2520b", "a b"),
            ("a%252520b", "a b"),
            ("100%", "100%"),
            ("%25", "%"),
            ("a+b", "a+b"),
            ("%e2%82%ac", "€"),
            ("d%2fe", "d/e"),
            ("a%01b", "a%01b"),
            ("a\tb", "a%09b"),
            ("Model:v1.txt", "Model:v1.txt"),
        ] {
            assert_eq!(ArtifactPath::parse(given).unwrap().as_rel_path().as_str(), stored);
        }
    }

    #[test]
    fn roundabout_paths_are_read_but_not_written() {
        for (given, plain) in [("a//b/c", "a/b/c"), ("a/./b", "a/b"), ("./a", "a")] {
            let path = ArtifactPath::parse(given).unwrap();
            assert_eq!(path.as_rel_path().as_str(), plain);
            assert!(matches!(path.target(), Err(Error::NotPlain { .. })), "{given}");
        }
        for given in ["", "a/", "a/b/"] {
            let path = ArtifactPath::parse(given).unwrap();
            assert!(matches!(path.target(), Err(Error::NoFileName)), "{given}");
        }
        assert!(matches!(ArtifactPath::parse(".").unwrap().target(), Err(Error::InvalidPath)));
        assert!(matches!(ArtifactPath::parse("a/.").unwrap().target(), Err(Error::InvalidPath)));
        let reserved = ArtifactPath::parse("a/.artifact.uploading.x").unwrap();
        assert!(matches!(reserved.target(), Err(Error::ReservedName { .. })));
        // As MLflow 3.17: only the directory is looked at.
        assert_eq!(ArtifactPath::parse("a//b").unwrap().target().unwrap().as_str(), "a/b");
        assert_eq!(ArtifactPath::parse("a/b").unwrap().target().unwrap().as_str(), "a/b");
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_accepted_stays_below(given in "([a.#/\\\\:\0]|%2e|%2f|%25|%5c|%00|%23|c:|file:){0,10}") {
            if let Ok(path) = ArtifactPath::parse(&given) {
                let path = path.as_rel_path().as_str();
                proptest::prop_assert!(!path.starts_with('/') && path.split('/').all(|name| name != ".."));
                proptest::prop_assert!(!path.contains(['#', '\0']));
            }
        }
    }
}
