//! Objects between a cache and a folder that is a remote.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use trackway_store::transfer::{FolderList, fetch, push};
use trackway_store::{Cache, CacheOptions, Cargo, Depot, Error, Layout, NoProgress, Oid, Tree};

fn cache(root: &Path) -> Cache {
    Cache::open(CacheOptions { root: root.to_owned(), layout: Layout::V3, link_types: Vec::new(), shared: false })
        .unwrap()
}

/// A folder of so many files in the cache.
fn folder(cache: &Cache, count: usize) -> (Arc<Tree>, Oid) {
    let entries: Vec<_> = (0..count)
        .map(|number| (format!("file {number}"), cache.put_bytes(format!("content {number}").as_bytes()).unwrap()))
        .collect();
    let tree = Tree::from_entries(entries).unwrap();
    let oid = cache.put_tree(&tree).unwrap();
    (Arc::new(tree), oid)
}

fn cargo(tree: &Arc<Tree>, oid: Oid, bytes: Option<Vec<u8>>) -> Cargo {
    let files = tree.iter().map(|entry| entry.oid).collect();
    Cargo { files, folders: vec![FolderList { oid, trees: vec![tree.clone()], bytes }] }
}

#[test]
fn a_folder_goes_there_and_comes_back() {
    for count in [3, 700] {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (cache(&dir.path().join("one")), cache(&dir.path().join("other")));
        let depot = Depot::at(&dir.path().join("remote"), Layout::V3, false);
        let (tree, oid) = folder(&one, count);
        let pushed = push(&one, &depot, &cargo(&tree, oid, None), false, &NoProgress).unwrap();
        assert_eq!((pushed.objects, pushed.missing.len(), pushed.failed.len()), (count + 1, 0, 0));
        assert_eq!(push(&one, &depot, &cargo(&tree, oid, None), false, &NoProgress).unwrap().objects, 0);
        let mode = std::fs::metadata(depot.path(&oid)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o444);
        let (read, bytes) = depot.read_tree(&oid).unwrap().unwrap();
        let fetched = fetch(&other, &depot, &cargo(&Arc::new(read), oid, Some(bytes)), &NoProgress).unwrap();
        assert_eq!((fetched.objects, fetched.missing.len(), fetched.failed.len()), (count + 1, 0, 0));
        assert_eq!(other.read_tree(&oid).unwrap().len(), count);
        assert!(tree.iter().all(|entry| other.has(&entry.oid).unwrap()));
        assert_eq!(fetch(&other, &depot, &cargo(&tree, oid, None), &NoProgress).unwrap().objects, 0);
    }
}

#[test]
fn a_list_is_held_back_until_its_files_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (cache(&dir.path().join("one")), cache(&dir.path().join("other")));
    let depot = Depot::at(&dir.path().join("remote"), Layout::V3, false);
    let (tree, oid) = folder(&one, 5);
    let lost = tree.iter().next().unwrap().oid;
    one.remove(&lost).unwrap();
    let pushed = push(&one, &depot, &cargo(&tree, oid, None), false, &NoProgress).unwrap();
    assert_eq!(pushed.missing, [lost]);
    assert!(!depot.path(&oid).exists());

    // A remote whose list promises what it has not.
    one.put_bytes(b"content 0").unwrap();
    push(&one, &depot, &cargo(&tree, oid, None), false, &NoProgress).unwrap();
    std::fs::remove_file(depot.path(&lost)).unwrap();
    let (read, bytes) = depot.read_tree(&oid).unwrap().unwrap();
    let fetched = fetch(&other, &depot, &cargo(&Arc::new(read), oid, Some(bytes)), &NoProgress).unwrap();
    assert_eq!((fetched.objects, fetched.missing.len(), fetched.failed.len()), (4, 0, 2));
    assert!(!other.contains(&oid));
}

#[test]
fn what_is_corrupted_goes_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (cache(&dir.path().join("one")), cache(&dir.path().join("other")));
    let depot = Depot::at(&dir.path().join("remote"), Layout::V3, false);
    let (tree, oid) = folder(&one, 5);
    let bad = tree.iter().last().unwrap().oid;
    let spoil = |path: &Path| {
        std::fs::remove_file(path).unwrap();
        std::fs::write(path, "other").unwrap();
    };
    spoil(&one.path(&bad));
    let pushed = push(&one, &depot, &cargo(&tree, oid, None), false, &NoProgress).unwrap();
    assert!(matches!(pushed.failed[0].error, Some(Error::Corrupt { .. })));
    assert!(!depot.path(&bad).exists() && !depot.path(&oid).exists());

    one.put_bytes(b"content 4").unwrap();
    push(&one, &depot, &cargo(&tree, oid, None), false, &NoProgress).unwrap();
    spoil(&depot.path(&bad));
    let fetched = fetch(&other, &depot, &cargo(&tree, oid, None), &NoProgress).unwrap();
    assert!(matches!(fetched.failed[0].error, Some(Error::Corrupt { .. })));
    assert!(!other.contains(&bad));
    // One that went wrong in the cache counts as absent, and comes again.
    let fine = tree.iter().next().unwrap().oid;
    spoil(&other.path(&fine));
    assert!(!other.has(&fine).unwrap());
    let again = Cargo { files: vec![fine], folders: Vec::new() };
    assert_eq!(fetch(&other, &depot, &again, &NoProgress).unwrap().objects, 1);
    assert!(other.has(&fine).unwrap());
    spoil(&depot.path(&oid));
    assert!(depot.read_tree(&oid).is_err());
}

#[test]
fn listing_and_asking_find_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let one = cache(&dir.path().join("one"));
    let depot = Depot::at(&dir.path().join("remote"), Layout::V3, false);
    let (tree, oid) = folder(&one, 600);
    push(&one, &depot, &cargo(&tree, oid, None), false, &NoProgress).unwrap();
    let mut oids: Vec<Oid> = tree.iter().map(|entry| entry.oid).collect();
    for gone in oids.iter().step_by(7) {
        std::fs::remove_file(depot.path(gone)).unwrap();
    }
    oids.push(Oid::file([7; 16]));
    let listed = depot.find(&oids, &NoProgress).unwrap();
    let asked: Vec<bool> = oids.iter().map(|oid| depot.find(&[*oid], &NoProgress).unwrap()[0]).collect();
    assert_eq!(listed, asked);
    assert_eq!(asked.iter().filter(|there| !**there).count(), 600usize.div_ceil(7) + 1);
}
