//! `.dir` objects: byte for byte as Python's json writes them, strict in reading them.

use proptest::prelude::*;
use trackway_store::{Difference, HashName, Oid, Replacement, Tree, hash_bytes};

/// Names (as hexadecimal), the object's name and its bytes, recorded from Python 3.11's json and os.fsdecode.
const GOLDEN: &str = include_str!("golden/trees.tsv");

fn oid_of(name: &[u8]) -> Oid {
    hash_bytes(HashName::Md5, name)
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn is_written_as_python_writes_it() {
    let mut lines = 0;
    for line in GOLDEN.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let names: Vec<Vec<u8>> = fields[0].split_whitespace().map(unhex).collect();
        let tree = Tree::from_entries(names.iter().map(|name| (name, oid_of(name)))).unwrap();
        assert_eq!(String::from_utf8(tree.to_bytes()).unwrap(), fields[2]);
        assert_eq!(tree.oid().to_string(), fields[1]);
        let back = Tree::parse("golden", fields[2].as_bytes()).unwrap();
        assert_eq!(back, tree);
        for name in &names {
            assert_eq!(back.get(name), Some(oid_of(name)));
        }
        lines += 1;
    }
    assert_eq!(lines, 36);
}

#[test]
fn hostile_objects_are_refused_with_their_place() {
    let md5 = "0cc175b9c0f1b6a831c399e269772661";
    let one = |path: &str| format!(r#"[{{"md5": "{md5}", "relpath": "ok"}}, {{"md5": "{md5}", "relpath": "{path}"}}]"#);
    let cases = [
        (one("../x"), "entry 1, '../x'"),
        (one("a/../x"), "entry 1, 'a/../x'"),
        (one("a/.."), "'a/..'"),
        (one("./x"), "'./x'"),
        (one("/etc/passwd"), "absolute"),
        (one(""), "empty"),
        (one("a//b"), "empty name"),
        (one("a/"), "empty name"),
        (one("a\\u0000b"), "NUL"),
        (one("ok"), "'ok': it is listed twice"),
        (one("ok/b"), "'ok': it is listed as a file and as a directory"),
        (one(&"x".repeat(256)), "255 bytes"),
        (one(&"x/".repeat(3000)), "4,095 bytes"),
        (one("\\ud800"), "surrogate"),
        (one("\\udc41"), "surrogate"),
        (r#"[{"relpath": "a"}]"#.to_owned(), "no 'md5'"),
        (format!(r#"[{{"md5": "{md5}"}}]"#), "no 'relpath'"),
        (format!(r#"[{{"md5": "{md5}.dir", "relpath": "a"}}]"#), "32 hexadecimal digits"),
        (r#"[{"md5": "../../../../etc/passwd0000000000", "relpath": "a"}]"#.to_owned(), "32 hexadecimal digits"),
        (format!(r#"[{{"md5": "{}", "relpath": "a"}}]"#, md5.to_uppercase()), "32 hexadecimal digits"),
        (r#"{"md5": 1}"#.to_owned(), "list"),
        (r#"[1]"#.to_owned(), "file with"),
        (r#"[{"md5": 1, "relpath": "a"}]"#.to_owned(), "string"),
        ("[] []".to_owned(), "line 1"),
        ("".to_owned(), "line 1"),
        ("[".repeat(100_000), "line 1"),
        (format!(r#"[{{"x": {}"#, "[".repeat(100_000)), "line 1"),
    ];
    for (json, expected) in cases {
        let error = Tree::parse("ab.dir", json.as_bytes()).expect_err(&json[..json.len().min(100)]).to_string();
        assert!(error.contains(expected) && error.contains("ab.dir"), "{error} lacks {expected}");
    }
    assert!(Tree::parse("x", b"[{\"md5\": \"\xff\"}]").unwrap_err().to_string().contains("UTF-8"));
}

#[test]
fn unknown_keys_are_tolerated_as_stock_does() {
    let json = r#"[{"size": 3, "md5": "0cc175b9c0f1b6a831c399e269772661", "x": {"y": [1]}, "relpath": "a\\b"}]"#;
    let tree = Tree::parse("x", json.as_bytes()).unwrap();
    assert_eq!(tree.iter().next().unwrap().path, b"a\\b");
}

#[test]
fn parts_are_taken_out_and_put_in() {
    let tree = |names: &[&str]| Tree::from_entries(names.iter().map(|name| (name, oid_of(name.as_bytes())))).unwrap();
    let full = tree(&["a.txt", "a/x", "a/y/z", "a0", "b"]);
    let names =
        |tree: &Tree| -> Vec<String> { tree.iter().map(|entry| entry.os_path().display().to_string()).collect() };
    assert_eq!(names(&full.filter(b"a")), ["a/x", "a/y/z"]);
    assert_eq!(names(&full.filter(b"b")), ["b"]);
    assert_eq!(names(&full.filter(b"c")), [""; 0]);
    assert_eq!(names(&full.subtree(b"a").unwrap()), ["x", "y/z"]);
    assert!(full.subtree(b"b").is_none() && full.subtree(b"a0/x").is_none());
    assert!(full.has_dir(b"a/y") && full.has_dir(b"") && !full.has_dir(b"b"));
    let part = tree(&["new", "y/n"]);
    assert_eq!(names(&full.replace(b"a", Replacement::Tree(&part)).unwrap()), ["a.txt", "a/new", "a/y/n", "a0", "b"]);
    assert_eq!(
        names(&full.replace(b"a/y", Replacement::File(oid_of(b"1"))).unwrap()),
        ["a.txt", "a/x", "a/y", "a0", "b"]
    );
    assert_eq!(names(&full.replace(b"a", Replacement::Nothing).unwrap()), ["a.txt", "a0", "b"]);
    let error = full.replace(b"b/c", Replacement::File(oid_of(b"1"))).unwrap_err();
    assert!(error.to_string().contains("as a file and as a directory"), "{error}");
}

#[test]
fn merges_file_by_file() {
    let tree = |names: &[(&str, &str)]| {
        Tree::from_entries(names.iter().map(|(name, content)| (name, oid_of(content.as_bytes())))).unwrap()
    };
    let base = tree(&[("a", "1")]);
    let merged = Tree::merge(&base, &tree(&[("a", "1"), ("b", "2")]), &tree(&[("a", "1"), ("c", "3")])).unwrap();
    assert_eq!(merged, tree(&[("a", "1"), ("b", "2"), ("c", "3")]));
    assert_eq!(Tree::merge(&base, &base, &tree(&[])).unwrap(), tree(&[]));
    assert_eq!(
        Tree::merge(&base, &tree(&[("a", "2")]), &tree(&[("a", "1"), ("c", "3")])).unwrap(),
        tree(&[("a", "2"), ("c", "3")])
    );
    assert_eq!(Tree::merge(&base, &Tree::default(), &tree(&[("a", "1"), ("c", "3")])).unwrap(), tree(&[("c", "3")]));
    for (ours, theirs) in [(tree(&[]), tree(&[("a", "2")])), (tree(&[("a", "2")]), tree(&[]))] {
        let error = Tree::merge(&base, &ours, &theirs).unwrap_err();
        assert!(error.to_string().ends_with("following paths:\na"), "{error}");
    }
    let folder = tree(&[("a", "1"), ("d/e", "1")]);
    let error = Tree::merge(&folder, &tree(&[("a", "1"), ("b", "2")]), &tree(&[("a", "3")])).unwrap_err();
    assert!(error.to_string().ends_with("both deleted: ('d', 'e')"), "{error}");
    let error = Tree::merge(&base, &tree(&[("a", "1"), ("b", "2")]), &tree(&[("a", "1"), ("b", "3")])).unwrap_err();
    assert!(error.to_string().ends_with("following paths:\nb"), "{error}");
}

fn names() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let name = prop::collection::vec(prop_oneof![Just(b'a'), Just(b'.'), 0x80..=0xffu8, 1..=0x7fu8], 1..5);
    let path = prop::collection::vec(name, 1..4).prop_map(|parts| parts.join(&b'/'));
    prop::collection::vec(path, 0..20)
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(names in names()) {
        let Ok(tree) = Tree::from_entries(names.iter().map(|name| (name, oid_of(name)))) else { return Ok(()) };
        let bytes = tree.to_bytes();
        let back = Tree::parse("x", &bytes).unwrap();
        prop_assert_eq!(&back, &tree);
        prop_assert_eq!(back.to_bytes(), bytes);
        let listed: Vec<Vec<u8>> = back.iter().map(|entry| entry.path.to_vec()).collect();
        for name in &listed {
            prop_assert_eq!(back.get(name), Some(oid_of(name)));
        }
    }

    #[test]
    fn a_difference_leads_from_one_to_the_other(old in names(), new in names(), salt in 0..2u8) {
        let (Ok(old), Ok(new)) = (
            Tree::from_entries(old.iter().map(|name| (name, oid_of(name)))),
            Tree::from_entries(new.iter().map(|name| (name, oid_of(&[&name[..], &[salt][..usize::from(salt)]].concat())))),
        ) else { return Ok(()) };
        let mut entries: std::collections::BTreeMap<Vec<u8>, Oid> =
            old.iter().map(|entry| (entry.path.to_vec(), entry.oid)).collect();
        for difference in Tree::diff(&old, &new) {
            match difference {
                Difference::Added(entry) => prop_assert!(entries.insert(entry.path.to_vec(), entry.oid).is_none()),
                Difference::Deleted(entry) => prop_assert_eq!(entries.remove(entry.path), Some(entry.oid)),
                Difference::Modified { path, old, new } => prop_assert_eq!(entries.insert(path.to_vec(), new), Some(old)),
            }
        }
        prop_assert_eq!(Tree::from_entries(entries).unwrap(), new);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Tree::parse("x", &bytes);
    }
}
