//! `.dir` objects: what files a directory has, byte for byte as DVC writes it.
//!
//! `json.dumps` of a list of `{"md5": …, "relpath": …}`, sorted by relpath as Python sorts text: by code points. A name
//! that is not UTF-8 is written as Python writes it: each byte that is no part of UTF-8 is the lone surrogate U+DC00 + byte.

use std::cmp::Ordering;
use std::fmt;
use std::path::Path;
use std::sync::OnceLock;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::oid::parse_hex;
use crate::{Error, HashName, Oid, Result, hash_bytes};

/// The list of a directory's files: relative path and object, sorted as DVC sorts it.
///
/// All paths lie in one piece of memory, so that a million files cost their paths and 28 bytes each.
#[derive(Clone, Default)]
pub struct Tree {
    names: Vec<u8>,
    records: Vec<Record>,
    oid: OnceLock<Oid>,
}

#[derive(Clone, Copy)]
struct Record {
    start: u32,
    len: u32,
    oid: [u8; 16],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Relative to the directory, '/' between names; any bytes but NUL.
    pub path: &'a [u8],
    pub oid: Oid,
}

impl<'a> Entry<'a> {
    pub fn os_path(&self) -> &'a Path {
        os_path(self.path)
    }
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.oid, self.os_path().display())
    }
}

pub(crate) fn os_path(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

/// What takes a path's place in `Tree::replace`.
#[derive(Clone, Copy, Debug)]
pub enum Replacement<'a> {
    Nothing,
    File(Oid),
    Tree(&'a Tree),
}

/// One path that differs between two trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference<'a> {
    Added(Entry<'a>),
    Deleted(Entry<'a>),
    Modified { path: &'a [u8], old: Oid, new: Oid },
}

impl<'a> Difference<'a> {
    pub fn path(&self) -> &'a [u8] {
        match self {
            Difference::Added(entry) | Difference::Deleted(entry) => entry.path,
            Difference::Modified { path, .. } => path,
        }
    }
}

/// Longest name of one file or directory that Linux has, and longest path.
const MAX_NAME: usize = 255;
const MAX_PATH: usize = 4095;
/// Paths are addressed by 32 bits.
const MAX_NAMES: usize = u32::MAX as usize;
/// A `.dir` object of more bytes is refused before it is read: about twenty million files.
pub(crate) const MAX_TREE_BYTES: u64 = 2 << 30;

impl Tree {
    /// Reads a `.dir` object, strictly. `name` is for the errors: its oid, or a file's name.
    pub fn parse(name: &str, json: &[u8]) -> Result<Tree> {
        let refuse = |place: String, reason: String| Error::InvalidTree { object: name.to_owned(), place, reason };
        // As DVC 3.67, which reads it as text. It also makes sure that surrogates below come from escapes.
        if let Err(error) = std::str::from_utf8(json) {
            return Err(refuse(format!("byte {}", error.valid_up_to()), "it is not UTF-8".to_owned()));
        }
        let mut builder = Builder::new(name);
        builder.tree.records.reserve(json.len() / 90);
        let mut reader = serde_json::Deserializer::from_slice(json);
        let read = TreeSeed(&mut builder).deserialize(&mut reader).and_then(|()| reader.end());
        if let Err(error) = read {
            // What a builder refused says more than where the reader stood.
            return Err(builder.refused.take().unwrap_or_else(|| {
                refuse(format!("line {}, column {}", error.line(), error.column()), error.to_string())
            }));
        }
        builder.finish()
    }

    /// Sorts; refuses what `parse` refuses.
    pub fn from_entries<P: AsRef<[u8]>>(entries: impl IntoIterator<Item = (P, Oid)>) -> Result<Tree> {
        let mut builder = Builder::new("that is being made");
        for (path, oid) in entries {
            builder.add(path.as_ref(), oid)?;
        }
        builder.finish()
    }

    /// For entries from a directory of this machine: valid, and none twice.
    pub(crate) fn from_listing<'a>(
        count: usize,
        entries: impl Iterator<Item = (&'a [u8], &'a [u8], [u8; 16])>,
    ) -> Result<Tree> {
        let mut tree = Tree { records: Vec::with_capacity(count), ..Tree::default() };
        for (dir, name, oid) in entries {
            let start = tree.names.len();
            if start + dir.len() + name.len() >= MAX_NAMES {
                return Err(Builder::new("that is being made").refuse(name, "all paths together are longer than 4 GiB"));
            }
            if !dir.is_empty() {
                tree.names.extend_from_slice(dir);
                tree.names.push(b'/');
            }
            tree.names.extend_from_slice(name);
            tree.records.push(Record { start: start as u32, len: (tree.names.len() - start) as u32, oid });
        }
        tree.sort();
        Ok(tree)
    }

    fn sort(&mut self) {
        let names = &self.names;
        let name = |record: &Record| &names[record.start as usize..(record.start + record.len) as usize];
        let ordered = |a: &Record, b: &Record| compare_names(name(a), name(b));
        if !self.records.is_sorted_by(|a, b| ordered(a, b) != Ordering::Greater) {
            self.records.sort_by(ordered);
        }
    }

    fn name(&self, record: &Record) -> &[u8] {
        &self.names[record.start as usize..(record.start + record.len) as usize]
    }

    fn entry(&self, index: usize) -> Entry<'_> {
        let record = &self.records[index];
        Entry { path: self.name(record), oid: Oid::file(record.oid) }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut json = Vec::with_capacity(2 + self.names.len() + self.records.len() * 61);
        json.push(b'[');
        for (index, entry) in self.iter().enumerate() {
            if index > 0 {
                json.extend_from_slice(b", ");
            }
            json.extend_from_slice(b"{\"md5\": \"");
            json.extend_from_slice(entry.oid.hex().as_str().as_bytes());
            json.extend_from_slice(b"\", \"relpath\": \"");
            write_escaped(&mut json, entry.path);
            json.extend_from_slice(b"\"}");
        }
        json.push(b']');
        json
    }

    /// The name of the object that `to_bytes` gives.
    pub fn oid(&self) -> Oid {
        *self.oid.get_or_init(|| Oid::dir(*hash_bytes(HashName::Md5, &self.to_bytes()).bytes()))
    }

    /// The same if it need not be computed.
    pub(crate) fn known_oid(&self) -> Option<Oid> {
        self.oid.get().copied()
    }

    /// The tree was read from this object, or was found to be it: `oid` need not write it out.
    pub(crate) fn with_oid(self, oid: Oid) -> Tree {
        Tree { oid: OnceLock::from(oid), ..self }
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entry<'_>> + DoubleEndedIterator + Clone {
        self.records.iter().map(|record| Entry { path: self.name(record), oid: Oid::file(record.oid) })
    }

    fn find(&self, path: &[u8]) -> std::result::Result<usize, usize> {
        self.records.binary_search_by(|record| compare_names(self.name(record), path))
    }

    pub fn get(&self, path: &[u8]) -> Option<Oid> {
        self.find(path).ok().map(|index| Oid::file(self.records[index].oid))
    }

    /// Where the entries below the directory `path` lie: all that begin with `path/` are neighbours.
    fn below(&self, path: &[u8]) -> std::ops::Range<usize> {
        if path.is_empty() {
            return 0..self.len();
        }
        let prefix = [path, b"/"].concat();
        let start = self.records.partition_point(|record| compare_names(self.name(record), &prefix) == Ordering::Less);
        let count = self.records[start..].partition_point(|record| self.name(record).starts_with(&prefix));
        start..start + count
    }

    /// Whether `path` is a directory in the tree: an entry lies below it. The empty path is the tree itself.
    pub fn has_dir(&self, path: &[u8]) -> bool {
        path.is_empty() || !self.below(path).is_empty()
    }

    /// The entries at or below `prefix`, with their full paths.
    pub fn filter(&self, prefix: &[u8]) -> Tree {
        let mut tree = Tree::default();
        if let Ok(index) = self.find(prefix) {
            tree.push(self.entry(index).path, self.records[index].oid);
        }
        for index in self.below(prefix) {
            tree.push(self.entry(index).path, self.records[index].oid);
        }
        tree
    }

    /// The directory `prefix` as a tree of its own; `None` if there is no such directory.
    pub fn subtree(&self, prefix: &[u8]) -> Option<Tree> {
        let range = self.below(prefix);
        if range.is_empty() && !prefix.is_empty() {
            return None;
        }
        let cut = if prefix.is_empty() { 0 } else { prefix.len() + 1 };
        let mut tree = Tree::default();
        for index in range {
            tree.push(&self.entry(index).path[cut..], self.records[index].oid);
        }
        Some(tree)
    }

    /// Adds behind the last entry, without any check.
    fn push(&mut self, path: &[u8], oid: [u8; 16]) {
        let start = self.names.len() as u32;
        self.names.extend_from_slice(path);
        self.records.push(Record { start, len: path.len() as u32, oid });
    }

    /// The tree with what is at or below `path` replaced. A file that stands where a directory is needed is refused.
    pub fn replace(&self, path: &[u8], with: Replacement<'_>) -> Result<Tree> {
        let mut builder = Builder::new("that is being changed");
        let gone = self.below(path);
        for (index, entry) in self.iter().enumerate() {
            if !gone.contains(&index) && entry.path != path {
                builder.tree.push(entry.path, *entry.oid.bytes());
            }
        }
        match with {
            Replacement::Nothing => {}
            Replacement::File(oid) => builder.add(path, oid)?,
            Replacement::Tree(tree) => {
                let mut full = if path.is_empty() { Vec::new() } else { [path, b"/"].concat() };
                let cut = full.len();
                for entry in tree.iter() {
                    full.truncate(cut);
                    full.extend_from_slice(entry.path);
                    builder.add(&full, entry.oid)?;
                }
            }
        }
        builder.finish()
    }

    /// What differs, in the order of the paths.
    pub fn diff<'a>(old: &'a Tree, new: &'a Tree) -> impl Iterator<Item = Difference<'a>> {
        Pairs { left: old, right: new, i: 0, j: 0 }.filter_map(|pair| match pair {
            (Some(old), None) => Some(Difference::Deleted(old)),
            (None, Some(new)) => Some(Difference::Added(new)),
            (Some(old), Some(new)) if old.oid != new.oid => {
                Some(Difference::Modified { path: new.path, old: old.oid, new: new.oid })
            }
            _ => None,
        })
    }

    /// Both trees side by side, in the order of the paths.
    pub fn pairs<'a>(old: &'a Tree, new: &'a Tree) -> Pairs<'a> {
        Pairs { left: old, right: new, i: 0, j: 0 }
    }

    /// Three-way merge as DVC's merge driver does it, path by path: what one side did not touch is taken from the other.
    pub fn merge(ancestor: &Tree, ours: &Tree, theirs: &Tree) -> Result<Tree> {
        if Tree::diff(ancestor, ours).next().is_none() {
            return Ok(theirs.clone());
        }
        if Tree::diff(ancestor, theirs).next().is_none() {
            return Ok(ours.clone());
        }
        let refuse =
            |what: String| Err(Error::Merge { message: format!("unable to auto-merge the following paths:\n{what}") });
        let shown = |entry: Entry<'_>| entry.os_path().display().to_string();
        let mut builder = Builder::new("that is being merged");
        let mut clashes = Vec::new();
        for pair in Tree::pairs(ours, theirs) {
            let Some(entry) = pair.0.or(pair.1) else { continue };
            let base = ancestor.get(entry.path);
            match (base, pair.0.map(|entry| entry.oid), pair.1.map(|entry| entry.oid)) {
                (_, Some(ours), Some(theirs)) if ours == theirs => builder.add(entry.path, ours)?,
                (Some(base), ours, Some(theirs)) if ours == Some(base) => builder.add(entry.path, theirs)?,
                (Some(base), Some(ours), theirs) if theirs == Some(base) => builder.add(entry.path, ours)?,
                // One side has not touched it, the other has removed it.
                (Some(base), ours, theirs) if ours.or(theirs) == Some(base) => {}
                (None, Some(oid), None) | (None, None, Some(oid)) => builder.add(entry.path, oid)?,
                _ => clashes.push(shown(entry)),
            }
        }
        // As DVC 3.67, which cannot tell that both sides removed a file from a conflict.
        let gone = ancestor.iter().find(|entry| ours.get(entry.path).is_none() && theirs.get(entry.path).is_none());
        if let Some(entry) = gone {
            let parts: Vec<String> = shown(entry).split('/').map(|part| format!("'{part}'")).collect();
            let comma = if parts.len() == 1 { "," } else { "" };
            return refuse(format!("both deleted: ({}{comma})", parts.join(", ")));
        }
        if !clashes.is_empty() {
            return refuse(clashes.join("\n"));
        }
        builder.finish()
    }
}

impl PartialEq for Tree {
    fn eq(&self, other: &Tree) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Tree {}

impl fmt::Debug for Tree {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.iter().take(20)).finish()
    }
}

/// Two trees side by side: what has one path comes together.
pub struct Pairs<'a> {
    left: &'a Tree,
    right: &'a Tree,
    i: usize,
    j: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Option<Entry<'a>>, Option<Entry<'a>>);

    fn next(&mut self) -> Option<Self::Item> {
        let left = (self.i < self.left.len()).then(|| self.left.entry(self.i));
        let right = (self.j < self.right.len()).then(|| self.right.entry(self.j));
        let order = match (left, right) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => compare_names(left.path, right.path),
        };
        self.i += usize::from(order != Ordering::Greater);
        self.j += usize::from(order != Ordering::Less);
        Some(match order {
            Ordering::Less => (left, None),
            Ordering::Equal => (left, right),
            Ordering::Greater => (None, right),
        })
    }
}

/// The order of Python's text: by code points, bytes that are not UTF-8 as the surrogates that stand for them.
pub(crate) fn compare_names(a: &[u8], b: &[u8]) -> Ordering {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let rest = |name: &[u8]| name.get(same).copied();
    match (rest(a), rest(b)) {
        (None, None) => Ordering::Equal,
        // The end of a name that is not UTF-8 may be the first half of a character in the other.
        (None, Some(_)) if is_utf8(a) => Ordering::Less,
        (Some(_), None) if is_utf8(b) => Ordering::Greater,
        // Bytes of UTF-8 order as their code points do, but surrogates are below U+E000 and above U+D7FF.
        (Some(x), Some(y)) if (x < 0x80 && y < 0x80) || (is_utf8(a) && is_utf8(b)) => x.cmp(&y),
        _ => code_points(a).cmp(code_points(b)),
    }
}

fn is_utf8(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok()
}

fn code_points(name: &[u8]) -> impl Iterator<Item = u32> {
    name.utf8_chunks().flat_map(|chunk| {
        chunk.valid().chars().map(u32::from).chain(chunk.invalid().iter().map(|byte| 0xdc00 + u32::from(*byte)))
    })
}

/// As Python's json escapes text when it keeps to ASCII.
fn write_escaped(json: &mut Vec<u8>, name: &[u8]) {
    if name.iter().all(|byte| (0x20..0x7f).contains(byte) && *byte != b'"' && *byte != b'\\') {
        json.extend_from_slice(name);
        return;
    }
    let unit = |json: &mut Vec<u8>, unit: u32| json.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
    for point in code_points(name) {
        match point {
            0x22 => json.extend_from_slice(b"\\\""),
            0x5c => json.extend_from_slice(b"\\\\"),
            0x0a => json.extend_from_slice(b"\\n"),
            0x0d => json.extend_from_slice(b"\\r"),
            0x09 => json.extend_from_slice(b"\\t"),
            0x0c => json.extend_from_slice(b"\\f"),
            0x08 => json.extend_from_slice(b"\\b"),
            0x20..0x7f => json.push(point as u8),
            0..0x10000 => unit(json, point),
            _ => {
                unit(json, 0xd800 + ((point - 0x10000) >> 10));
                unit(json, 0xdc00 + ((point - 0x10000) & 0x3ff));
            }
        }
    }
}

/// Back from what a JSON reader gives for escaped surrogates (three bytes ED Bx xx) to the raw byte they stand for.
fn unescape_surrogates(name: &[u8]) -> std::result::Result<Vec<u8>, &'static str> {
    let mut raw = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(byte) = rest.first().copied() {
        if byte == 0xed && rest.len() >= 3 && rest[1] >= 0xa0 {
            let point = 0xd000 | u32::from(rest[1] & 0x3f) << 6 | u32::from(rest[2] & 0x3f);
            let Some(byte @ 0x80..=0xff) = point.checked_sub(0xdc00) else {
                return Err("it has a surrogate that stands for no byte");
            };
            raw.push(byte as u8);
            rest = &rest[3..];
        } else {
            raw.push(byte);
            rest = &rest[1..];
        }
    }
    Ok(raw)
}

/// Why a relative path from outside is refused.
fn invalid_path(path: &[u8]) -> Option<&'static str> {
    if path.is_empty() {
        return Some("its path is empty");
    }
    if path.len() > MAX_PATH {
        return Some("its path is longer than 4,095 bytes");
    }
    if path[0] == b'/' {
        return Some("its path is absolute");
    }
    if path.contains(&0) {
        return Some("its path has a NUL byte");
    }
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" => return Some("its path has an empty name"),
            b"." | b".." => return Some("its path has the name '.' or '..'"),
            _ if name.len() > MAX_NAME => return Some("its path has a name longer than 255 bytes"),
            _ => {}
        }
    }
    None
}

/// Collects entries and refuses what must not be in a tree.
struct Builder {
    object: String,
    tree: Tree,
    refused: Option<Error>,
}

impl Builder {
    fn new(object: &str) -> Builder {
        Builder { object: object.to_owned(), tree: Tree::default(), refused: None }
    }

    fn refuse(&self, path: &[u8], reason: &str) -> Error {
        let place = format!("entry {}, '{}'", self.tree.len(), shorten(path));
        Error::InvalidTree { object: self.object.clone(), place, reason: reason.to_owned() }
    }

    fn add(&mut self, path: &[u8], oid: Oid) -> Result<()> {
        if let Some(reason) = invalid_path(path) {
            return Err(self.refuse(path, reason));
        }
        if oid.is_dir() {
            return Err(self.refuse(path, "it is a directory object inside another"));
        }
        if self.tree.names.len() + path.len() > MAX_NAMES {
            return Err(self.refuse(path, "all paths together are longer than 4 GiB"));
        }
        self.tree.push(path, *oid.bytes());
        Ok(())
    }

    fn finish(mut self) -> Result<Tree> {
        self.tree.sort();
        self.tree.names.shrink_to_fit();
        self.tree.records.shrink_to_fit();
        let tree = &self.tree;
        let place = |path: &[u8], reason: &str| Error::InvalidTree {
            object: self.object.clone(),
            place: format!("'{}'", shorten(path)),
            reason: reason.to_owned(),
        };
        let mut dir_before: &[u8] = b"";
        for index in 0..tree.len() {
            let path = tree.entry(index).path;
            if index > 0 && tree.entry(index - 1).path == path {
                return Err(place(path, "it is listed twice"));
            }
            let dir = path.iter().rposition(|byte| *byte == b'/').map_or(&b""[..], |end| &path[..end]);
            if dir == dir_before {
                continue;
            }
            // Each directory above is looked for among the files, once for each run of neighbours.
            for (end, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
                if tree.find(&path[..end]).is_ok() {
                    return Err(place(&path[..end], "it is listed as a file and as a directory"));
                }
            }
            dir_before = dir;
        }
        Ok(self.tree)
    }
}

fn shorten(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]).escape_debug().to_string(),
        None => text.escape_debug().to_string(),
    }
}

struct TreeSeed<'a>(&'a mut Builder);

impl<'de> DeserializeSeed<'de> for TreeSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for TreeSeed<'_> {
    type Value = ();
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of files")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        while seq.next_element_seed(EntrySeed(self.0))?.is_some() {}
        Ok(())
    }
}

struct EntrySeed<'a>(&'a mut Builder);

impl<'de> DeserializeSeed<'de> for EntrySeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EntrySeed<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a file with 'md5' and 'relpath'")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        let builder = self.0;
        let mut oid = None;
        let mut path: Option<Text<'de>> = None;
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match key.bytes() {
                b"md5" => oid = Some(map.next_value::<Text<'de>>()?),
                b"relpath" => path = Some(map.next_value()?),
                // As DVC 3.67: sizes and the like may stand there (older versions and clouds wrote them).
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let path = path.ok_or_else(|| A::Error::custom(format!("entry {} has no 'relpath'", builder.tree.len())))?;
        let added = unescape_surrogates_if_any(path.bytes())
            .map_err(|reason| builder.refuse(path.bytes(), reason))
            .and_then(|raw| match oid.as_ref().map(Text::bytes).map(parse_hex) {
                Some(Some(oid)) => builder.add(raw.as_deref().unwrap_or(path.bytes()), Oid::file(oid)),
                Some(None) => Err(builder.refuse(path.bytes(), "its 'md5' is not 32 hexadecimal digits")),
                None => Err(builder.refuse(path.bytes(), "it has no 'md5'")),
            });
        added.map_err(|error| {
            builder.refused = Some(error);
            A::Error::custom("refused")
        })
    }
}

fn unescape_surrogates_if_any(name: &[u8]) -> std::result::Result<Option<Vec<u8>>, &'static str> {
    if name.contains(&0xed) { unescape_surrogates(name).map(Some) } else { Ok(None) }
}

/// A JSON string as bytes: borrowed where nothing is escaped, with lone surrogates as three bytes.
enum Text<'de> {
    Borrowed(&'de [u8]),
    Owned(Vec<u8>),
}

impl Text<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Text::Borrowed(bytes) => bytes,
            Text::Owned(bytes) => bytes,
        }
    }
}

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Text<'de>, E> {
                Ok(Text::Borrowed(text.as_bytes()))
            }
            fn visit_str<E>(self, text: &str) -> std::result::Result<Text<'de>, E> {
                Ok(Text::Owned(text.as_bytes().to_vec()))
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> std::result::Result<Text<'de>, E> {
                Ok(Text::Borrowed(bytes))
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> std::result::Result<Text<'de>, E> {
                Ok(Text::Owned(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(TextVisitor)
    }
}
