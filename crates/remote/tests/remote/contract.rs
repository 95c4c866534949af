//! What every kind of remote does the same. A new kind gets a test that calls `holds` on it, empty.

use bytes::Bytes;
use trackway_remote::{Error, PutOptions, RelPath, Remote};

use futures_util::TryStreamExt;
use trackway_testkit::services::{RcloneWebdav, apache, azurite, fake_gcs, seaweedfs};

use crate::{body, buckets, collect, content, folders, open, path, read, webdav};

#[tokio::test]
async fn a_folder_holds_the_contract() {
    for options in folders() {
        let dir = tempfile::tempdir().unwrap();
        let remote = open(dir.path(), options).await;
        holds(&remote).await;
        folders_are_real(&remote).await;
        an_open_object_stays_as_it_was(&remote).await;
    }
}

#[tokio::test]
async fn s3_holds_the_contract() {
    let bucket = seaweedfs::bucket().unwrap();
    for prefix in ["", "a prefix/of two"] {
        holds(&buckets::s3(&bucket, prefix).await).await;
    }
}

#[tokio::test]
async fn azure_holds_the_contract() {
    let container = azurite::container().unwrap();
    for prefix in ["", "a prefix/of two"] {
        holds(&buckets::azure(&container, prefix).await).await;
    }
}

#[tokio::test]
async fn google_holds_the_contract() {
    let bucket = fake_gcs::bucket().unwrap();
    for prefix in ["", "a prefix/of two"] {
        holds(&buckets::gcs(&bucket, prefix).await).await;
    }
}

#[tokio::test]
async fn webdav_holds_the_contract() {
    let apache = apache::place().unwrap();
    for (area, below) in [("dav", ""), ("digest", "/a prefix/of two")] {
        let remote = webdav::open(&apache, area, below, webdav::by_password()).await;
        holds(&remote).await;
        folders_are_real(&remote).await;
    }
}

#[tokio::test]
async fn another_webdav_holds_the_contract() {
    let server = RcloneWebdav::start().unwrap();
    for below in ["", "a%20prefix/of two"] {
        let remote = buckets::open(&format!("webdav://{}/{below}", server.address()), buckets::usual()).await;
        holds(&remote).await;
    }
}

pub async fn holds(remote: &Remote) {
    holds_with(remote, &ODD).await;
}

/// Names that not every store keeps.
pub const ODD: [&str; 10] = ["a b", "..a", "a?b=1", "%2e%2e", "日本語", "-rf", "a:b", "~", "a\nb", "a;b"];

/// `odd`: names that the store keeps.
pub async fn holds_with(remote: &Remote, odd: &[&str]) {
    holds_without_conditions(remote, odd).await;
    of_many_creators_one_succeeds(remote).await;
}

/// For stores that cannot say whether something is there already.
pub async fn holds_without_conditions(remote: &Remote, odd: &[&str]) {
    a_body_comes_back_as_it_went_in(remote).await;
    ranges_are_cut_to_the_file(remote).await;
    a_second_body_replaces_the_first(remote).await;
    a_listing_has_one_level_sorted(remote).await;
    everything_below_is_listed(remote).await;
    what_is_missing_is_not_found(remote).await;
    a_file_and_a_directory_are_told_apart(remote).await;
    files_and_trees_are_deleted(remote).await;
    a_broken_body_leaves_nothing(remote).await;
    names_are_kept_byte_for_byte(remote, odd).await;
    what_is_unsupported_says_so(remote).await;
}

async fn put(remote: &Remote, at: &str, content: &[u8]) {
    remote.put(&path(at), body(content), PutOptions::default()).await.expect(at);
}

async fn names(remote: &Remote, at: &str) -> Vec<String> {
    let entries = remote.list(&path(at)).await.expect(at);
    entries.into_iter().map(|entry| entry.name).collect()
}

async fn a_body_comes_back_as_it_went_in(remote: &Remote) {
    for size in [0, 1, 9_999, 262_143, 262_144, 262_145, 524_288, 3_000_001] {
        let sent = content(size);
        let options = PutOptions { length: Some(size as u64), ..PutOptions::default() };
        let stat = remote.put(&path("bodies/one"), body(&sent), options).await.unwrap();
        assert_eq!(stat.size, size as u64);
        let stored = remote.stat(&path("bodies/one")).await.unwrap();
        assert_eq!((stat.size, stat.is_dir), (stored.size, stored.is_dir));
        // Not every store says which and when, as it takes something.
        assert!(stat.etag.is_none() || stat.etag == stored.etag);
        assert!(stat.modified.is_none() || stat.modified == stored.modified);
        assert!(read(remote, "bodies/one").await.unwrap() == sent, "{size} bytes came back changed");
    }
}

async fn ranges_are_cut_to_the_file(remote: &Remote) {
    for size in [10usize, 1_000_000] {
        let sent = content(size);
        put(remote, "ranged", &sent).await;
        for (start, end) in [(0, 1), (3, 7), (0, size), (size - 1, size + 9), (size, size + 1), (size / 3, size)] {
            let object = remote.get(&path("ranged")).await.unwrap();
            let got = collect(object.stream(start as u64..end as u64)).await.unwrap();
            assert!(got == sent[start.min(size)..end.min(size)], "{start}..{end} of {size}");
        }
    }
}

async fn a_second_body_replaces_the_first(remote: &Remote) {
    put(remote, "replaced", &content(600_000)).await;
    let before = remote.get(&path("replaced")).await.unwrap();
    let (first, _) = (before.stat().clone(), put(remote, "replaced", b"short").await);
    let after = remote.stat(&path("replaced")).await.unwrap();
    assert_ne!(first.etag, after.etag);
    assert!(after.etag.is_some() && after.modified.is_some());
    assert_eq!(read(remote, "replaced").await.unwrap(), b"short");
    // What was opened before stays what it was, or ends with an error: it is never a mixture.
    match collect(before.stream_all()).await {
        Ok(read) => assert!(read == content(600_000), "an open object changed"),
        Err(error) => assert!(matches!(error, Error::Changed { .. }), "{error}"),
    }
}

async fn an_open_object_stays_as_it_was(remote: &Remote) {
    put(remote, "stays", &content(600_000)).await;
    let before = remote.get(&path("stays")).await.unwrap();
    put(remote, "stays", b"short").await;
    assert!(collect(before.stream_all()).await.unwrap() == content(600_000));
}

async fn everything_below_is_listed(remote: &Remote) {
    let below = async |at: &str| -> Vec<String> {
        let found: Vec<_> = remote.list_all(&path(at)).try_collect().await.expect(at);
        assert!(found.iter().all(|found| found.size == 2));
        let mut names: Vec<_> = found.into_iter().map(|found| found.path.to_string()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(below("level").await, ["level/C", "level/a/x", "level/a/y/z", "level/b", "level/é"]);
    assert_eq!(below("level/a").await, ["level/a/x", "level/a/y/z"]);
    assert_eq!(below("level/missing").await, [""; 0]);
}

async fn a_listing_has_one_level_sorted(remote: &Remote) {
    for name in ["b", "a/x", "a/y/z", "C", "é"] {
        put(remote, &format!("level/{name}"), b"12").await;
    }
    let entries = remote.list(&path("level")).await.unwrap();
    let shown: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.is_dir, e.size)).collect();
    assert_eq!(shown, [("C", false, 2), ("a", true, 0), ("b", false, 2), ("é", false, 2)]);
    assert_eq!(names(remote, "level/a").await, ["x", "y"]);
    let top = remote.list(&RelPath::root()).await.unwrap();
    assert!(top.iter().any(|entry| entry.name == "level" && entry.is_dir));
    assert!(top.iter().all(|entry| !entry.name.starts_with('.')), "{top:?}");
}

async fn what_is_missing_is_not_found(remote: &Remote) {
    for at in ["missing", "missing/deeper", "level/missing"] {
        let at = path(at);
        assert!(matches!(remote.get(&at).await, Err(Error::NotFound { .. })));
        assert!(matches!(remote.stat(&at).await, Err(Error::NotFound { .. })));
        assert!(matches!(remote.list(&at).await, Err(Error::NotFound { .. })));
        assert!(matches!(remote.delete_file(&at).await, Err(Error::NotFound { .. })));
        assert!(matches!(remote.delete_tree(&at).await, Err(Error::NotFound { .. })));
    }
}

async fn a_file_and_a_directory_are_told_apart(remote: &Remote) {
    put(remote, "kinds/dir/file", b"1").await;
    let (dir, file) = (path("kinds/dir"), path("kinds/dir/file"));
    assert!(remote.stat(&dir).await.unwrap().is_dir);
    assert!(remote.stat(&RelPath::root()).await.unwrap().is_dir);
    assert!(!remote.stat(&file).await.unwrap().is_dir);
    assert!(matches!(remote.get(&dir).await, Err(Error::IsADirectory { .. })));
    assert!(matches!(remote.list(&file).await, Err(Error::NotADirectory { .. })));
    assert!(matches!(remote.delete_file(&dir).await, Err(Error::IsADirectory { .. })));
    assert!(matches!(remote.delete_tree(&file).await, Err(Error::NotADirectory { .. })));
    assert_eq!(read(remote, "kinds/dir/file").await.unwrap(), b"1");
    for refused in [
        remote.delete_tree(&RelPath::root()).await,
        remote.delete_file(&RelPath::root()).await,
        remote.put(&RelPath::root(), body(b"1"), PutOptions::default()).await.map(|_| ()),
    ] {
        assert!(matches!(refused, Err(Error::InvalidPath { .. })));
    }
}

/// A bucket has keys only, and may hold `a` beside `a/b`.
pub async fn folders_are_real(remote: &Remote) {
    let (dir, below) = (path("kinds/dir"), path("kinds/dir/file/x"));
    assert!(matches!(remote.get(&below).await, Err(Error::NotADirectory { .. })));
    for size in [1, 1_000_000] {
        let sent = content(size);
        let over = remote.put(&dir, body(&sent), PutOptions::default()).await;
        assert!(matches!(over, Err(Error::IsADirectory { .. })), "{over:?}");
        let under = remote.put(&below, body(&sent), PutOptions::default()).await;
        assert!(matches!(under, Err(Error::NotADirectory { .. })), "{under:?}");
    }
    assert_eq!(read(remote, "kinds/dir/file").await.unwrap(), b"1");
    let at = path("bodies/one");
    assert!(matches!(remote.complete_multipart(&at, "x", &[]).await, Err(Error::Unsupported { .. })));
    assert!(matches!(remote.abort_multipart(&at, "x").await, Err(Error::Unsupported { .. })));
    // SeaweedFS and Azurite take a backslash for a slash.
    put(remote, "back/a\\b", b"1").await;
    assert_eq!(names(remote, "back").await, ["a\\b"]);
}

async fn of_many_creators_one_succeeds(remote: &Remote) {
    let at = path("created/once");
    let creators: Vec<_> = (0..16u8)
        .map(|n| {
            let (remote, at) = (remote.clone(), at.clone());
            tokio::spawn(async move { (n, remote.create_if_absent(&at, Bytes::from(vec![n])).await) })
        })
        .collect();
    let mut winners = Vec::new();
    for creator in creators {
        match creator.await.unwrap() {
            (n, Ok(_)) => winners.push(n),
            (_, Err(Error::AlreadyExists { .. })) => {}
            (_, Err(other)) => panic!("{other}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(read(remote, "created/once").await.unwrap(), winners);
    let options = PutOptions { if_absent: true, ..PutOptions::default() };
    let large = remote.put(&at, body(&content(1_000_000)), options).await;
    assert!(matches!(large, Err(Error::AlreadyExists { .. })));
}

async fn files_and_trees_are_deleted(remote: &Remote) {
    for name in ["x", "y/z", "y/w/v/u", "y/w/t"] {
        put(remote, &format!("doomed/{name}"), b"1").await;
    }
    remote.delete_file(&path("doomed/x")).await.unwrap();
    assert_eq!(names(remote, "doomed").await, ["y"]);
    remote.delete_tree(&path("doomed")).await.unwrap();
    let doomed: Vec<_> = (0..40).map(|n| format!("doomed/many/{n} & <{n}>")).collect();
    for name in &doomed {
        put(remote, name, b"1").await;
    }
    let mut paths: Vec<_> = doomed.iter().map(|name| path(name)).collect();
    paths.push(path("doomed/many/was never there"));
    let kept = paths.remove(7);
    remote.delete_many(&paths).await.unwrap();
    assert_eq!(names(remote, "doomed/many").await, [kept.file_name()]);
    remote.delete_file(&kept).await.unwrap();
    remote.delete_tree(&path("doomed")).await.ok();
    assert!(matches!(remote.stat(&path("doomed")).await, Err(Error::NotFound { .. })));
    let deep = vec!["d"; 40].join("/");
    put(remote, &format!("deep/{deep}/x"), b"1").await;
    remote.delete_tree(&path("deep")).await.unwrap();
    assert!(matches!(remote.stat(&path("deep")).await, Err(Error::NotFound { .. })));
}

async fn a_broken_body_leaves_nothing(remote: &Remote) {
    for size in [0, 5, 300_000, 2_000_000] {
        let sent = content(size);
        let broken = futures_util::stream::StreamExt::chain(
            body(&sent),
            futures_util::stream::iter([Err("the line went dead".to_owned())]),
        );
        let outcome = remote.put(&path("broken/new"), broken, PutOptions::default()).await;
        let Err(Error::Incomplete { reason, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(reason, "the line went dead");
        for length in [size as u64 + 1, (size as u64).saturating_sub(1)] {
            if length == size as u64 {
                continue;
            }
            let options = PutOptions { length: Some(length), ..PutOptions::default() };
            let outcome = remote.put(&path("broken/new"), body(&sent), options).await;
            assert!(matches!(outcome, Err(Error::Incomplete { .. })), "{outcome:?}");
        }
    }
    assert!(matches!(remote.stat(&path("broken")).await, Err(Error::NotFound { .. })));
}

async fn names_are_kept_byte_for_byte(remote: &Remote, odd: &[&str]) {
    for name in odd {
        put(remote, &format!("odd/{name}"), name.as_bytes()).await;
    }
    let mut sorted = odd.to_vec();
    sorted.sort_unstable();
    assert_eq!(names(remote, "odd").await, sorted);
    for name in odd {
        assert_eq!(read(remote, &format!("odd/{name}")).await.unwrap(), name.as_bytes());
    }
}

async fn what_is_unsupported_says_so(remote: &Remote) {
    let at = path("bodies/one");
    let hour = std::time::Duration::from_secs(3600);
    if !remote.capabilities().multipart {
        assert!(matches!(remote.create_multipart(&at, 2).await, Err(Error::Unsupported { .. })));
    }
    if !remote.capabilities().signed_urls {
        assert!(matches!(remote.sign_get(&at, hour).await, Err(Error::Unsupported { .. })));
        assert!(matches!(remote.sign_put(&at, hour, "text/plain").await, Err(Error::Unsupported { .. })));
    }
}
