//! Between us and the store somebody cuts, delays and swallows: no object is ever half, and what can be
//! gone on with is.

use std::time::Duration;

use bytes::Bytes;
use trackway_remote::{Error, HttpOptions, Options, PutOptions, Remote};
use trackway_testkit::services::fault_proxy::Faults;
use trackway_testkit::services::{FaultProxy, apache, azurite, seaweedfs};

use crate::{body, buckets, content, path, read, webdav};

fn impatient() -> HttpOptions {
    HttpOptions { idle_timeout: Duration::from_secs(2), ..HttpOptions::default() }
}

/// The same bucket, directly and through a proxy.
struct Pair {
    direct: Remote,
    through: Remote,
    proxy: FaultProxy,
}

async fn s3_pair() -> (seaweedfs::Bucket, Pair) {
    let bucket = seaweedfs::bucket().unwrap();
    let proxy = FaultProxy::start(&bucket.endpoint).unwrap();
    let mut options = Options { http: impatient(), ..buckets::s3_options(&bucket) };
    options.s3.endpoint = Some(format!("http://{}", proxy.address()));
    let through = buckets::open(&format!("s3://{}/p", bucket.name), options).await;
    let direct = buckets::s3(&bucket, "p").await;
    (bucket, Pair { direct, through, proxy })
}

async fn azure_pair() -> (azurite::Container, Pair) {
    let container = azurite::container().unwrap();
    let address = container.endpoint.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let proxy = FaultProxy::start(&address).unwrap();
    let mut options = Options { http: impatient(), ..buckets::azure_options(&container) };
    let connection = container.connection_string.replace(&address, &proxy.address());
    options.azure.connection_string = Some(connection.into());
    let through = buckets::open(&format!("azure://{}/p", container.name), options).await;
    let direct = buckets::azure(&container, "p").await;
    (container, Pair { direct, through, proxy })
}

async fn broken_reads_are_gone_on_with(pair: &Pair) {
    let sent = content(3_000_000);
    pair.direct.put(&path("read"), body(&sent), PutOptions::default()).await.unwrap();
    for cut in [10, 400, 5_000, 300_000, 1_000_000, 2_900_000] {
        pair.proxy.cut_all();
        pair.proxy.next(Faults { cut_down: Some(cut), ..Faults::default() });
        pair.proxy.next(Faults { cut_down: Some(cut * 2), ..Faults::default() });
        assert!(read(&pair.through, "read").await.unwrap() == sent, "cut after {cut}");
    }
    // Cut again and again, it gets further each time; cut before anything comes, it gives up.
    pair.proxy.cut_all();
    pair.proxy.set(Faults { cut_down: Some(400_000), ..Faults::default() }).unwrap();
    assert!(read(&pair.through, "read").await.unwrap() == sent);
    pair.proxy.cut_all();
    pair.proxy.set(Faults { cut_down: Some(20), ..Faults::default() }).unwrap();
    let error = read(&pair.through, "read").await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    pair.proxy.set(Faults::default()).unwrap();
}

async fn broken_writes_are_whole_or_absent(pair: &Pair) {
    for (size, cut) in [(10usize, 5u64), (1_000_000, 300_000), (12_000_000, 2_000_000), (12_000_000, 6_000_000)] {
        let sent = content(size);
        let at = format!("written/{size}-{cut}");
        // Some attempts break, the next goes through.
        pair.proxy.cut_all();
        pair.proxy.next(Faults { cut_up: Some(cut), ..Faults::default() });
        pair.proxy.next(Faults { cut_up: Some(cut), ..Faults::default() });
        let options = PutOptions { length: Some(size as u64), ..PutOptions::default() };
        pair.through.put(&path(&at), body(&sent), options).await.expect(&at);
        assert!(read(&pair.direct, &at).await.unwrap() == sent, "{at}");
    }
    // None goes through.
    let sent = content(12_000_000);
    for at in ["written/never", "written/10-5"] {
        let before = pair.direct.stat(&path(at)).await.ok();
        pair.proxy.cut_all();
        pair.proxy.set(Faults { cut_up: Some(3_000_000), ..Faults::default() }).unwrap();
        let error = pair.through.put(&path(at), body(&sent), PutOptions::default()).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        assert_eq!(pair.direct.stat(&path(at)).await.ok(), before, "a half object");
        pair.proxy.set(Faults::default()).unwrap();
    }
}

/// The answer is lost, the write is not: the creator learns that it was the first all the same.
async fn a_lost_answer_is_found_out(pair: &Pair) {
    for n in 0..5 {
        let at = path(&format!("created/{n}"));
        pair.through.create_if_absent(&path("created/warm"), Bytes::from("w")).await.ok();
        pair.proxy.cut_all();
        pair.proxy.next(Faults { cut_down: Some(1), ..Faults::default() });
        let content = format!("this is creator {n}");
        let stat = pair.through.create_if_absent(&at, Bytes::from(content.clone())).await.unwrap();
        assert_eq!(stat.size, content.len() as u64);
        let second = pair.through.create_if_absent(&at, Bytes::from("another")).await;
        assert!(matches!(second, Err(Error::AlreadyExists { .. })), "{second:?}");
        assert_eq!(read(&pair.direct, at.as_str()).await.unwrap(), content.as_bytes());
    }
}

async fn silence_ends(pair: &Pair) {
    pair.proxy.cut_all();
    pair.proxy.set(Faults { black_hole: true, ..Faults::default() }).unwrap();
    let error = pair.through.stat(&path("read")).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("nothing was heard"), "{error}");
    pair.proxy.set(Faults { refuse: true, ..Faults::default() }).unwrap();
    let error = pair.through.stat(&path("read")).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    pair.proxy.set(Faults::default()).unwrap();
    pair.through.stat(&path("read")).await.unwrap();
}

#[tokio::test]
async fn s3_objects_are_never_half() {
    let (_bucket, pair) = s3_pair().await;
    broken_reads_are_gone_on_with(&pair).await;
    broken_writes_are_whole_or_absent(&pair).await;
    a_lost_answer_is_found_out(&pair).await;
    silence_ends(&pair).await;
}

#[tokio::test]
async fn azure_blobs_are_never_half() {
    let (_container, pair) = azure_pair().await;
    broken_reads_are_gone_on_with(&pair).await;
    broken_writes_are_whole_or_absent(&pair).await;
    a_lost_answer_is_found_out(&pair).await;
    silence_ends(&pair).await;
}

async fn webdav_pair() -> (apache::Place, Pair) {
    let apache = apache::place().unwrap();
    let proxy = FaultProxy::start(&apache.address).unwrap();
    let options = Options { http: impatient(), ..webdav::by_password() };
    let through = buckets::open(&format!("webdav://{}/dav/{}", proxy.address(), apache.folder), options).await;
    let direct = webdav::open(&apache, "dav", "", webdav::by_password()).await;
    (apache, Pair { direct, through, proxy })
}

/// A large body goes once: it arrives or fails, and what fails leaves nothing under its name.
async fn large_bodies_are_whole_or_absent(pair: &Pair) {
    let sent = content(12_000_000);
    for (at, cut) in [("large/a", 2_000_000), ("large/b", 6_000_000), ("large/c", 11_999_000), ("large/d", 300)] {
        pair.proxy.cut_all();
        pair.proxy.set(Faults { cut_up: Some(cut), ..Faults::default() }).unwrap();
        let options = PutOptions { length: Some(sent.len() as u64), ..PutOptions::default() };
        let error = pair.through.put(&path(at), body(&sent), options).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        pair.proxy.set(Faults::default()).unwrap();
        assert!(matches!(pair.direct.stat(&path(at)).await, Err(Error::NotFound { .. })), "a half object");
        pair.proxy.cut_all();
        pair.through.put(&path(at), body(&sent), options).await.unwrap();
        assert!(read(&pair.direct, at).await.unwrap() == sent);
    }
}

/// Whatever request is cut, before it arrived or after it was done.
async fn small_bodies_arrive_through_cuts(pair: &Pair) {
    let sent = content(5_000);
    for round in 0..12 {
        let at = format!("small/{round}");
        pair.proxy.cut_all();
        for n in 0..round % 4 {
            let faults = match (round + n) % 3 {
                0 => Faults { cut_up: Some(200), ..Faults::default() },
                1 => Faults { cut_down: Some(1), ..Faults::default() },
                _ => Faults { cut_down: Some(400 * (n + 1)), ..Faults::default() },
            };
            pair.proxy.next(faults);
        }
        pair.through.put(&path(&at), body(&sent), PutOptions::default()).await.expect(&at);
        assert!(read(&pair.direct, &at).await.unwrap() == sent, "{at}");
    }
    let left = pair.direct.list(&path("small")).await.unwrap();
    assert_eq!(left.len(), 12, "{left:?}");
}

#[tokio::test]
async fn webdav_files_are_never_half() {
    let (_apache, pair) = webdav_pair().await;
    broken_reads_are_gone_on_with(&pair).await;
    small_bodies_arrive_through_cuts(&pair).await;
    large_bodies_are_whole_or_absent(&pair).await;
    silence_ends(&pair).await;
}
