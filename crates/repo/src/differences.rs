//! Two snapshots side by side: what was added, deleted, modified, renamed.
//!
//! Both sides are sorted, and are walked together; of two lists of files only what differs is looked at twice.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::LazyLock;

use trackway_store::{Hash, HashName, Oid, Tree};

use crate::error::Result;
use crate::repo::Repo;
use crate::snapshot::{Root, Snapshot, by_names, is_at_or_below};

/// One side of a change.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The tracked file or folder, from the repository's root.
    pub root: &'a [u8],
    /// In that folder; empty for the tracked thing itself.
    pub inner: &'a [u8],
    pub hash: Option<Hash>,
    pub is_dir: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Added,
    Deleted,
    Modified,
    Renamed,
    Unchanged,
    /// The list of the folder that it lies in is not to be had on one side.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    pub kind: Kind,
    pub old: Option<Item<'a>>,
    pub new: Option<Item<'a>>,
}

/// How they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Only by hashes: what has none is not there.
    pub hash_only: bool,
    /// Enter folders even if they have a hash of their own.
    pub granular: bool,
    /// Tell what is the same too. Without it, folders of one hash are not entered.
    pub unchanged: bool,
    /// As DVC 3.67's `diff`: each tracked path is a root to start from, and what is tracked inside of another is met twice.
    pub each_root: bool,
}

impl<'a> Item<'a> {
    pub fn of(root: &'a Root<'_>) -> Item<'a> {
        Item { root: &root.path, inner: b"", hash: root.hash, is_dir: root.is_dir }
    }

    /// From the repository's root.
    pub fn path(&self) -> Vec<u8> {
        match self.inner.is_empty() {
            true => self.root.to_vec(),
            false => [self.root, b"/", self.inner].concat(),
        }
    }

    /// As it is shown: a folder with `/` behind its name.
    pub fn shown(&self) -> String {
        let mut path = self.path();
        if self.is_dir {
            path.push(b'/');
        }
        String::from_utf8_lossy(&path).into_owned()
    }

    fn order(&self, other: &Item<'_>) -> Ordering {
        match self.root == other.root {
            true => by_names(self.inner, other.inner),
            false => by_names(&self.path(), &other.path()),
        }
    }
}

impl Change<'_> {
    /// Where it is: the new place of what was renamed.
    pub fn item(&self) -> &Item<'_> {
        let preferred = match self.kind {
            Kind::Added | Kind::Renamed => self.new.as_ref().or(self.old.as_ref()),
            _ => self.old.as_ref().or(self.new.as_ref()),
        };
        preferred.expect("a change has at least one side")
    }
}

static EMPTY: LazyLock<Tree> = LazyLock::new(Tree::default);

/// Calls `visit` for every difference, without looking for renames.
pub fn compare<'a>(old: &'a Snapshot<'_>, new: &'a Snapshot<'_>, how: Comparison, visit: &mut dyn FnMut(Change<'a>)) {
    let (mut i, mut j) = (0, 0);
    while i < old.roots.len() || j < new.roots.len() {
        let first = match (old.roots.get(i), new.roots.get(j)) {
            (Some(a), Some(b)) if by_names(&a.path, &b.path) == Ordering::Greater => &b.path,
            (Some(a), _) => &a.path,
            (None, Some(b)) => &b.path,
            (None, None) => break,
        };
        // What is tracked at or below one path on either side: nearly always that path alone.
        let count = |roots: &[Root<'_>]| roots.iter().take_while(|root| is_at_or_below(&root.path, first)).count();
        let olds = &old.roots[i..i + count(&old.roots[i..])];
        let news = &new.roots[j..j + count(&new.roots[j..])];
        (i, j) = (i + olds.len(), j + news.len());
        let is_one = olds.iter().chain(news).all(|root| root.path == *first);
        match is_one {
            true => compare_roots(olds.first(), news.first(), how, visit),
            false => compare_mixed(olds, news, how, visit),
        }
    }
}

/// Where both sides track the same path, or one of them does.
fn compare_roots<'a>(
    old: Option<&'a Root<'_>>,
    new: Option<&'a Root<'_>>,
    how: Comparison,
    visit: &mut dyn FnMut(Change<'a>),
) {
    tell(old.map(Item::of), new.map(Item::of), false, how, visit);
    let enters = |root: &Root<'_>| root.is_dir && (how.granular || root.hash.is_none());
    let (old, new) = (old.filter(|root| enters(root)), new.filter(|root| enters(root)));
    if !how.unchanged
        && let (Some(old), Some(new)) = (old, new)
        && old.hash.is_some()
        && old.hash == new.hash
    {
        return;
    }
    // Both lists are large where it matters.
    let (old_tree, new_tree) = rayon::join(|| old.map(Root::tree), || new.map(Root::tree));
    if matches!(old_tree, Some(None)) || matches!(new_tree, Some(None)) {
        for (root, is_old) in [(old, true), (new, false)] {
            let Some(root) = root else { continue };
            for item in items_in(root) {
                match is_old {
                    true => tell(Some(item), None, true, how, visit),
                    false => tell(None, Some(item), true, how, visit),
                }
            }
        }
        return;
    }
    let none: &'a Tree = &EMPTY;
    let [old_files, new_files] = [old_tree, new_tree].map(|tree| tree.flatten().unwrap_or(none));
    let path: &'a [u8] = match (old, new) {
        (Some(root), _) | (None, Some(root)) => &root.path,
        (None, None) => return,
    };
    let name = |root: Option<&Root<'_>>| root.and_then(|root| root.hash).map_or(HashName::Md5, |hash| hash.name);
    let (old_name, new_name) = (name(old), name(new));
    let item = |inner: &'a [u8], name, oid| Item { root: path, inner, hash: Some(Hash { name, oid }), is_dir: false };
    // As DVC 3.67's `diff`, which leaves out what took a folder's place, or whose place a folder took.
    let is_folder_in = |tree: &Tree, inner: &[u8]| !how.hash_only && tree.has_dir(inner);
    let mut both = |inner: &'a [u8], old: Option<Oid>, new: Option<Oid>| {
        let same = old == new && old_name == new_name;
        if same && !how.unchanged
            || old.is_none() && is_folder_in(old_files, inner)
            || new.is_none() && is_folder_in(new_files, inner)
        {
            return;
        }
        let old = old.map(|oid| item(inner, old_name, oid));
        let new = new.map(|oid| item(inner, new_name, oid));
        tell(old, new, false, how, visit);
    };
    for (old, new) in Tree::pairs(old_files, new_files) {
        let inner = old.or(new).map_or(&b""[..], |entry| entry.path);
        both(inner, old.map(|entry| entry.oid), new.map(|entry| entry.oid));
    }
}

/// Everything in a folder, folders too.
pub fn items_in<'a>(root: &'a Root<'_>) -> Vec<Item<'a>> {
    let Some(tree) = root.tree() else { return Vec::new() };
    let name = root.hash.map_or(HashName::Md5, |hash| hash.name);
    let folder = |inner: &'a [u8]| Item { root: &root.path, inner, hash: None, is_dir: true };
    let mut items: Vec<Item<'a>> = root.folders().into_iter().map(folder).collect();
    items.extend(tree.iter().map(|entry| Item {
        root: &root.path,
        inner: entry.path,
        hash: Some(Hash { name, oid: entry.oid }),
        is_dir: false,
    }));
    items
}

/// Paths in the order of their names.
#[derive(PartialEq, Eq)]
struct Key(Vec<u8>);

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        by_names(&self.0, &other.0)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Where one side tracks a folder, and the other something inside of it.
fn compare_mixed<'a>(olds: &'a [Root<'_>], news: &'a [Root<'_>], how: Comparison, visit: &mut dyn FnMut(Change<'a>)) {
    type Side<'a> = BTreeMap<Key, Item<'a>>;
    let flatten = |roots: &'a [Root<'_>]| {
        let mut side: Side<'a> = BTreeMap::new();
        let mut unknown: Vec<&'a [u8]> = Vec::new();
        for root in roots {
            // The folders above it are there too, without a hash.
            for (end, _) in root.path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
                let above = Item { root: &root.path[..end], inner: b"", hash: None, is_dir: true };
                side.entry(Key(root.path[..end].to_vec())).or_insert(above);
            }
            side.insert(Key(root.path.clone()), Item::of(root));
            if root.is_dir && (how.granular || root.hash.is_none()) {
                match root.tree() {
                    Some(_) => side.extend(items_in(root).into_iter().map(|item| (Key(item.path()), item))),
                    None => unknown.push(&root.path),
                }
            }
        }
        (side, unknown)
    };
    let ((old, old_unknown), (new, new_unknown)) = (flatten(olds), flatten(news));
    let mut starts: Vec<&[u8]> = olds.iter().chain(news).map(|root| &root.path[..]).collect();
    starts.sort_by(|a, b| by_names(a, b));
    starts.dedup();
    starts.truncate(if how.each_root { starts.len() } else { 1 });
    let mut keys: Vec<&Key> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    for start in starts {
        for key in keys.iter().filter(|key| is_at_or_below(&key.0, start)) {
            let is_below = |folder: &&[u8]| {
                folder.len() < key.0.len() && is_at_or_below(&key.0, folder) && is_at_or_below(folder, start)
            };
            let unknown = old_unknown.iter().chain(&new_unknown).any(is_below);
            let (old, new) = (old.get(key).copied(), new.get(key).copied());
            let has_plain_folder = [&old, &new].into_iter().flatten().any(|item| item.is_dir && item.hash.is_none());
            if !how.hash_only && has_plain_folder {
                continue;
            }
            tell(old, new, unknown, how, visit);
        }
    }
}

fn tell<'a>(
    old: Option<Item<'a>>,
    new: Option<Item<'a>>,
    unknown: bool,
    how: Comparison,
    visit: &mut dyn FnMut(Change<'a>),
) {
    let kind = match unknown {
        true => Kind::Unknown,
        false => kind(old.as_ref(), new.as_ref(), how.hash_only),
    };
    if (old.is_some() || new.is_some()) && (kind != Kind::Unchanged || how.unchanged) {
        visit(Change { kind, old, new });
    }
}

fn kind(old: Option<&Item<'_>>, new: Option<&Item<'_>>, hash_only: bool) -> Kind {
    let hash_of = |item: Option<&Item<'_>>| item.and_then(|item| item.hash);
    let by_hash = match (hash_of(old), hash_of(new)) {
        (None, Some(_)) => Kind::Added,
        (Some(_), None) => Kind::Deleted,
        (Some(old), Some(new)) if old != new => Kind::Modified,
        _ => Kind::Unchanged,
    };
    match (old, new) {
        _ if hash_only => by_hash,
        (None, Some(_)) => Kind::Added,
        (Some(_), None) => Kind::Deleted,
        (Some(old), Some(new)) if old.is_dir != new.is_dir => Kind::Modified,
        _ if by_hash == Kind::Unchanged => Kind::Unchanged,
        _ => Kind::Modified,
    }
}

/// Which of the snapshot's items the cache lacks, by their numbers. The files of a folder are asked for together.
pub fn not_in_cache(repo: &Repo, snapshot: &Snapshot<'_>, items: &[Item<'_>]) -> Result<Vec<usize>> {
    let mut lacking: HashMap<&[u8], Option<HashSet<Oid>>> = HashMap::new();
    let mut found = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let Some(hash) = item.hash else { continue };
        let cache = repo.cache(hash.name)?;
        if !item.inner.is_empty() && !lacking.contains_key(item.root) {
            let root = snapshot.roots.iter().find(|root| root.path == item.root);
            let missing = root.and_then(Root::tree).map(|tree| cache.missing(tree)).transpose()?;
            lacking.insert(item.root, missing.map(|oids| oids.into_iter().collect()));
        }
        let is_there = match lacking.get(item.root).filter(|_| !item.inner.is_empty()) {
            Some(Some(lacking)) => !lacking.contains(&hash.oid),
            _ => cache.contains(&hash.oid),
        };
        if !is_there {
            found.push(at);
        }
    }
    Ok(found)
}

/// Makes pairs of what was deleted in one place and added in another, in the order of the paths. As DVC 3.67: first come what
/// is neither, then what was added or renamed, then what was deleted.
pub fn with_renames(changes: Vec<Change<'_>>) -> Vec<Change<'_>> {
    let (mut added, mut deleted, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        match change.kind {
            Kind::Added => added.push(change),
            Kind::Deleted => deleted.push(change),
            _ => told.push(change),
        }
    }
    added.sort_by(|a, b| a.item().order(b.item()));
    deleted.sort_by(|a, b| a.item().order(b.item()));
    let mut gone: HashMap<Hash, VecDeque<usize>> = HashMap::new();
    for (at, change) in deleted.iter().enumerate() {
        if let Some(hash) = change.old.as_ref().and_then(|item| item.hash) {
            gone.entry(hash).or_default().push_back(at);
        }
    }
    let mut left: Vec<Option<Change<'_>>> = deleted.into_iter().map(Some).collect();
    for mut change in added {
        let hash = change.new.as_ref().and_then(|item| item.hash);
        let from = hash.and_then(|hash| gone.get_mut(&hash)?.pop_front());
        if let Some(from) = from.and_then(|at| left[at].take()) {
            change = Change { kind: Kind::Renamed, old: from.old, new: change.new };
        }
        told.push(change);
    }
    told.extend(left.into_iter().flatten());
    told
}
