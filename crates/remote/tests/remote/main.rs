//! The remote as its callers see it: one contract for every kind, then what is special to a folder.

mod buckets;
mod contract;
mod credentials;
mod cut;
mod full_disk;
mod hdfs;
mod refused;
mod signed;
mod ssh;
mod streaming;
mod symlinks;
mod uploads;
mod web;
mod webdav;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use trackway_remote::{Options, RelPath, Remote, Resolve, Result};

pub fn path(text: &str) -> RelPath {
    RelPath::new(text).expect(text)
}

pub fn body(content: &[u8]) -> impl Stream<Item = Result<Bytes, String>> + use<> {
    let pieces: Vec<_> = content.chunks(10_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures_util::stream::iter(pieces)
}

/// Content that differs everywhere, so that a shifted or repeated piece shows.
pub fn content(size: usize) -> Vec<u8> {
    (0..size as u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).take(size).collect()
}

pub async fn read(remote: &Remote, at: &str) -> Result<Vec<u8>> {
    collect(remote.get(&path(at)).await?.stream_all()).await
}

pub async fn collect(mut stream: trackway_remote::ByteStream) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(piece) = stream.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

/// Every way a folder is opened.
pub fn folders() -> [Options; 3] {
    let usual = Options::default;
    [usual(), Options { resolve: Resolve::ByName, ..usual() }, Options { sync: true, ..usual() }]
}

pub async fn open(dir: &std::path::Path, options: Options) -> Remote {
    Remote::open(dir.to_str().expect("UTF-8"), options).await.expect("the folder opens")
}

/// All that lies under `dir`, also what listings hide, but not the empty staging folder.
pub fn on_disk(dir: &std::path::Path) -> Vec<String> {
    fn walk(dir: &std::path::Path, prefix: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).expect("readable") {
            let entry = entry.expect("readable");
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().expect("typed").is_dir() {
                if name != ".trackway-staging" {
                    found.push(format!("{name}/"));
                }
                walk(&entry.path(), &format!("{name}/"), found);
            } else {
                found.push(name);
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, "", &mut found);
    found.sort();
    found
}
