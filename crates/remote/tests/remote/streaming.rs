//! Large bodies go through in bounded memory, and one that is given up leaves no upload behind.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use trackway_remote::{Error, PutOptions, Remote};
use trackway_testkit::services::{azurite, fake_gcs, seaweedfs};

use crate::{buckets, path};

/// What this process has in memory at most, in bytes, since `forget_peak`.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

const PIECE: usize = 64 * 1024;
const PIECES: usize = 1600;

fn piece(n: usize) -> Bytes {
    let mut piece = vec![(n % 251) as u8; PIECE];
    piece[..8].copy_from_slice(&n.to_le_bytes());
    piece.into()
}

async fn goes_through_in_little_memory(remote: &Remote) {
    let body = futures_util::stream::iter((0..PIECES).map(|n| Ok::<_, String>(piece(n))));
    forget_peak();
    let before = peak();
    let stat = remote.put(&path("large"), body, PutOptions::default()).await.unwrap();
    assert_eq!(stat.size, (PIECE * PIECES) as u64);
    let grown = peak().saturating_sub(before);
    assert!(grown < 24 << 20, "storing 100 MB took {} MB", grown >> 20);
    forget_peak();
    let before = peak();
    let mut stream = remote.get(&path("large")).await.unwrap().stream_all();
    let (mut at, mut expected) = (0usize, Bytes::new());
    while let Some(some) = stream.next().await {
        let mut some = some.unwrap();
        while !some.is_empty() {
            if expected.is_empty() {
                expected = piece(at / PIECE);
            }
            let both = some.len().min(expected.len());
            assert!(some.split_to(both) == expected.split_to(both), "it differs near {at}");
            at += both;
        }
    }
    assert_eq!(at, PIECE * PIECES);
    let grown = peak().saturating_sub(before);
    assert!(grown < 16 << 20, "reading 100 MB took {} MB", grown >> 20);
}

#[tokio::test]
async fn s3_streams() {
    let bucket = seaweedfs::bucket().unwrap();
    let remote = buckets::s3(&bucket, "p").await;
    goes_through_in_little_memory(&remote).await;
    given_up_uploads_are_aborted(&remote).await;
}

#[tokio::test]
async fn azure_streams() {
    let container = azurite::container().unwrap();
    goes_through_in_little_memory(&buckets::azure(&container, "p").await).await;
}

#[tokio::test]
async fn google_streams() {
    let bucket = fake_gcs::bucket().unwrap();
    goes_through_in_little_memory(&buckets::gcs(&bucket, "p").await).await;
}

async fn given_up_uploads_are_aborted(remote: &Remote) {
    let at = path("given-up");
    // Enough for three parts, and then the line is dead, or nothing comes any more.
    let pieces = || futures_util::stream::iter((0..300).map(|n| Ok::<_, String>(piece(n))));
    let dead = pieces().chain(futures_util::stream::iter([Err("the line went dead".to_owned())]));
    let outcome = remote.put(&at, dead, PutOptions::default()).await;
    assert!(matches!(outcome, Err(Error::Incomplete { .. })), "{outcome:?}");
    {
        let silent = pieces().chain(futures_util::stream::pending());
        let put = remote.put(&at, silent, PutOptions::default());
        assert!(tokio::time::timeout(Duration::from_secs(5), put).await.is_err());
    }
    for _ in 0..100 {
        if remote.list_uploads(&at).await.unwrap().is_empty() {
            assert!(matches!(remote.stat(&at).await, Err(Error::NotFound { .. })));
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("an upload was left behind");
}
