//! Objects to and from real object stores, also while somebody cuts the connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use trackway_remote::{
    AzureOptions, Environment, GcsOptions, HttpOptions, Options, PutOptions, RelPath, Remote, S3Options,
};
use trackway_store::{
    Cache, CacheOptions, Cargo, Depot, Distant, Error, HashName, Layout, NoProgress, Oid, Progress, Tree, transfer,
};
use trackway_testkit::services::fault_proxy::Faults;
use trackway_testkit::services::{FaultProxy, azurite, fake_gcs, seaweedfs};

/// A store, and two caches beside it.
struct Place {
    runtime: Runtime,
    remote: Remote,
    here: Cache,
    there: Cache,
    _dirs: [TempDir; 2],
}

impl Place {
    fn at(location: &str, options: Options) -> Place {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let remote = runtime.block_on(Remote::open(location, options)).unwrap();
        let dirs = [TempDir::new().unwrap(), TempDir::new().unwrap()];
        let [here, there] = [cache(&dirs[0]), cache(&dirs[1])];
        Place { runtime, remote, here, there, _dirs: dirs }
    }

    fn s3() -> (seaweedfs::Bucket, Place) {
        let bucket = seaweedfs::bucket().unwrap();
        let place = Place::at(&format!("s3://{}/data", bucket.name), s3_options(&bucket, &bucket.endpoint));
        (bucket, place)
    }

    /// The same bucket through a proxy that does harm.
    fn s3_behind(bucket: &seaweedfs::Bucket) -> (FaultProxy, Place) {
        let proxy = FaultProxy::start(&bucket.endpoint).unwrap();
        let endpoint = format!("http://{}", proxy.address());
        let place = Place::at(&format!("s3://{}/data", bucket.name), s3_options(bucket, &endpoint));
        (proxy, place)
    }

    fn depot(&self) -> Depot {
        let handle = self.runtime.handle().clone();
        Depot::Distant(Distant::new(self.remote.clone(), handle, "s3://bucket/data", Layout::V3, None).unwrap())
    }

    fn put(&self, key: &str, content: Vec<u8>) {
        let body = futures_util::stream::iter([Ok::<_, String>(Bytes::from(content))]);
        self.runtime.block_on(self.remote.put(&RelPath::new(key).unwrap(), body, PutOptions::default())).unwrap();
    }
}

fn s3_options(bucket: &seaweedfs::Bucket, endpoint: &str) -> Options {
    let s3 = S3Options {
        endpoint: Some(endpoint.to_owned()),
        region: Some(bucket.region.clone()),
        access_key_id: Some(bucket.access_key.clone()),
        secret_access_key: Some(bucket.secret_key.clone().into()),
        ..S3Options::default()
    };
    Options { s3, ..usual() }
}

/// Nothing of the developer's own environment.
fn usual() -> Options {
    let http = HttpOptions { idle_timeout: Duration::from_secs(5), ..HttpOptions::default() };
    Options { environment: Environment::only::<String, String>([]), http, ..Options::default() }
}

fn cache(dir: &TempDir) -> Cache {
    let options =
        CacheOptions { root: dir.path().join("cache"), layout: Layout::V3, link_types: Vec::new(), shared: false };
    Cache::open(options).unwrap()
}

/// Content that differs everywhere.
fn content(seed: u32, size: usize) -> Vec<u8> {
    (0..size as u32).flat_map(|n| (n ^ seed).wrapping_mul(2_654_435_761).to_le_bytes()).take(size).collect()
}

/// A folder of so many small files, and one large one, in the cache.
fn folder(cache: &Cache, files: u32, large: usize) -> Cargo {
    let mut oids: Vec<Oid> = (0..files).map(|n| cache.put_bytes(&content(n, 20)).unwrap()).collect();
    if large > 0 {
        oids.push(cache.put_bytes(&content(files, large)).unwrap());
    }
    let names: Vec<String> = (0..oids.len()).map(|n| format!("file{n}")).collect();
    let tree = Tree::from_entries(names.into_iter().zip(oids.iter().copied())).unwrap();
    let oid = cache.put_tree(&tree).unwrap();
    let list = transfer::FolderList { oid, trees: vec![Arc::new(tree)], bytes: None };
    Cargo { files: oids, folders: vec![list] }
}

/// What is asked for where nothing is in the cache yet.
fn wanted(depot: &Depot, cargo: &Cargo) -> Cargo {
    let list = &cargo.folders[0];
    let (tree, bytes) = depot.read_tree(&list.oid).unwrap().unwrap();
    let list = transfer::FolderList { oid: list.oid, trees: vec![Arc::new(tree)], bytes: Some(bytes) };
    Cargo { files: cargo.files.clone(), folders: vec![list] }
}

fn goes_to_and_fro(place: &Place) {
    let depot = place.depot();
    let cargo = folder(&place.here, 40, 12 << 20);
    let pushed = transfer::push(&place.here, &depot, &cargo, false, &NoProgress).unwrap();
    assert_eq!((pushed.objects, pushed.failed.len(), pushed.missing.len()), (42, 0, 0));
    let again = transfer::push(&place.here, &depot, &cargo, false, &NoProgress).unwrap();
    assert_eq!((again.objects, again.bytes), (0, 0));

    let fetched = transfer::fetch(&place.there, &depot, &wanted(&depot, &cargo), &NoProgress).unwrap();
    assert_eq!((fetched.objects, fetched.failed.len(), fetched.missing.len()), (42, 0, 0));
    for oid in cargo.files.iter().chain([&cargo.folders[0].oid]) {
        place.there.rehash(oid, &NoProgress).unwrap();
    }
    let mut all = depot.inventory(&NoProgress).unwrap();
    all.sort_unstable();
    assert_eq!(all.len(), 42);

    // A collection: the lists go first, then the rest.
    depot.delete(&depot.folders(&NoProgress).unwrap(), &NoProgress).unwrap();
    assert!(depot.inventory(&NoProgress).unwrap().is_empty());
    assert_eq!(depot.find(&cargo.files, &NoProgress).unwrap(), vec![false; 41]);
}

#[test]
fn to_s3_and_back() {
    goes_to_and_fro(&Place::s3().1);
}

#[test]
fn to_azure_and_back() {
    let container = azurite::container().unwrap();
    let connection = Some(container.connection_string.clone().into());
    let azure = AzureOptions { connection_string: connection, ..AzureOptions::default() };
    goes_to_and_fro(&Place::at(&format!("azure://{}/data", container.name), Options { azure, ..usual() }));
}

#[test]
fn to_gcs_and_back() {
    let bucket = fake_gcs::bucket().unwrap();
    let gcs = GcsOptions { endpoint: Some(bucket.endpoint.clone()), anonymous: true, ..GcsOptions::default() };
    goes_to_and_fro(&Place::at(&format!("gs://{}/data", bucket.name), Options { gcs, ..usual() }));
}

/// More than a page of a listing, and of them few or many asked for.
#[test]
fn many_objects_are_found_among_many() {
    let (_bucket, place) = Place::s3();
    let depot = place.depot();
    let absent = Oid::parse("0123456789abcdef0123456789abcdef").unwrap();
    // Of so many, pages are asked for in turn; of so many, at once.
    for files in [1500, 3300] {
        let cargo = folder(&place.here, files, 0);
        transfer::push(&place.here, &depot, &cargo, false, &NoProgress).unwrap();
        for count in [1, 5, 30, files as usize] {
            let mut asked = cargo.files[..count].to_vec();
            asked.push(absent);
            let found = depot.find(&asked, &NoProgress).unwrap();
            assert!(found[..count].iter().all(|found| *found) && !found[count], "{count} of {files}");
        }
    }
    // The lists of both folders are there too.
    assert_eq!(depot.inventory(&NoProgress).unwrap().len(), 3302);
}

#[test]
fn what_is_corrupted_there_never_enters_the_cache() {
    let (_bucket, place) = Place::s3();
    let depot = place.depot();
    let cargo = folder(&place.here, 3, 6 << 20);
    transfer::push(&place.here, &depot, &cargo, false, &NoProgress).unwrap();
    let (small, large) = (cargo.files[1], cargo.files[3]);
    for (oid, size) in [(small, 20), (large, 6 << 20)] {
        let name = oid.to_string();
        place.put(&format!("files/md5/{}/{}", &name[..2], &name[2..]), content(99, size));
    }
    let fetched = transfer::fetch(&place.there, &depot, &wanted(&depot, &cargo), &NoProgress).unwrap();
    // Those two, and the list of their folder.
    assert_eq!((fetched.objects, fetched.failed.len()), (2, 3));
    assert!(!place.there.contains(&small) && !place.there.contains(&large));
    assert!(!place.there.contains(&cargo.folders[0].oid));
    assert!(fetched.failed.iter().any(|failed| matches!(failed.error, Some(Error::Corrupt { .. }))));
}

#[test]
fn what_is_corrupted_here_is_not_sent() {
    let (_bucket, place) = Place::s3();
    let depot = place.depot();
    let cargo = folder(&place.here, 1, 6 << 20);
    for oid in &cargo.files {
        let path = place.here.path(oid);
        let size = std::fs::metadata(&path).unwrap().len() as usize;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, content(77, size)).unwrap();
    }
    let pushed = transfer::push(&place.here, &depot, &cargo, false, &NoProgress).unwrap();
    assert_eq!((pushed.objects, pushed.failed.len()), (0, 3));
    assert!(depot.inventory(&NoProgress).unwrap().is_empty());
}

#[test]
fn cut_connections_are_gone_on_with() {
    let bucket = seaweedfs::bucket().unwrap();
    let (proxy, place) = Place::s3_behind(&bucket);
    let depot = place.depot();
    let cargo = folder(&place.here, 10, 12 << 20);
    for cut in [300, 2000, 100_000, 3_000_000] {
        proxy.next(Faults { cut_up: Some(cut), ..Faults::default() });
        proxy.next(Faults { cut_down: Some(cut), ..Faults::default() });
    }
    let pushed = transfer::push(&place.here, &depot, &cargo, false, &NoProgress).unwrap();
    assert_eq!((pushed.objects, pushed.failed.len()), (12, 0));
    proxy.cut_all();
    for cut in [300, 2000, 100_000, 3_000_000] {
        proxy.next(Faults { cut_down: Some(cut), ..Faults::default() });
    }
    let fetched = transfer::fetch(&place.there, &depot, &wanted(&depot, &cargo), &NoProgress).unwrap();
    assert_eq!((fetched.objects, fetched.failed.len()), (12, 0));
    for oid in &cargo.files {
        place.there.rehash(oid, &NoProgress).unwrap();
    }
}

/// A changed byte costs at most another attempt: it never enters the cache, and never becomes an object unseen.
#[test]
fn garbled_bytes_are_never_taken_in() {
    let bucket = seaweedfs::bucket().unwrap();
    let (proxy, place) = Place::s3_behind(&bucket);
    let depot = place.depot();
    let cargo = folder(&place.here, 3, 20 << 20);
    for place in [5_000_000, 9_000_000] {
        proxy.next(Faults { corrupt_up: Some(place), ..Faults::default() });
    }
    let mut tries = 0;
    while !transfer::push(&place.here, &depot, &cargo, true, &NoProgress).is_ok_and(|done| done.failed.is_empty()) {
        tries += 1;
        assert!(tries < 10, "it does not get through");
    }
    for place in [700_000, 6_000_000, 12_000_000] {
        proxy.cut_all();
        proxy.next(Faults { corrupt_down: Some(place), ..Faults::default() });
    }
    let fetch = || transfer::fetch(&place.there, &depot, &wanted(&depot, &cargo), &NoProgress);
    let mut tries = 0;
    while !fetch().is_ok_and(|fetched| fetched.failed.is_empty()) {
        tries += 1;
        assert!(tries < 10, "it does not get through");
    }
    for oid in &cargo.files {
        place.there.rehash(oid, &NoProgress).unwrap();
    }
}

#[test]
fn a_store_that_is_gone_ends_it_with_one_error() {
    let bucket = seaweedfs::bucket().unwrap();
    let (proxy, place) = Place::s3_behind(&bucket);
    proxy.set(Faults { refuse: true, ..Faults::default() }).unwrap();
    let cargo = folder(&place.here, 50, 0);
    let failed = transfer::push(&place.here, &place.depot(), &cargo, false, &NoProgress).err().unwrap();
    assert!(matches!(failed, Error::Remote(trackway_remote::Error::Unreachable { .. })), "{failed}");
}

#[test]
fn wrong_keys_and_missing_buckets_end_it_with_one_error() {
    let bucket = seaweedfs::bucket().unwrap();
    let mut options = s3_options(&bucket, &bucket.endpoint);
    options.s3.secret_access_key = Some("wrong".into());
    let place = Place::at(&format!("s3://{}/data", bucket.name), options);
    let cargo = folder(&place.here, 50, 0);
    let failed = transfer::push(&place.here, &place.depot(), &cargo, false, &NoProgress).err().unwrap();
    assert!(matches!(failed, Error::Remote(trackway_remote::Error::Refused { .. })), "{failed}");

    let place = Place::at("s3://no-such-bucket/data", s3_options(&bucket, &bucket.endpoint));
    let cargo = folder(&place.here, 50, 0);
    let failed = transfer::push(&place.here, &place.depot(), &cargo, false, &NoProgress).err().unwrap();
    assert!(matches!(failed, Error::Remote(trackway_remote::Error::NoBucket { .. })), "{failed}");
}

/// Interrupts when so many bytes have gone by.
struct After(u64, AtomicU64);

impl Progress for After {
    fn start(&self, _: &'static str, _: Option<u64>, _: Option<u64>) {}
    fn add(&self, _: u64, bytes: u64) {
        self.1.fetch_add(bytes, Ordering::Relaxed);
    }
    fn finish(&self) {}
    fn cancelled(&self) -> bool {
        self.1.load(Ordering::Relaxed) >= self.0
    }
}

#[test]
fn an_interrupted_transfer_is_gone_on_with() {
    let (_bucket, place) = Place::s3();
    let depot = place.depot();
    let cargo = folder(&place.here, 5, 30 << 20);
    let interrupt = After(10 << 20, AtomicU64::new(0));
    assert!(matches!(transfer::push(&place.here, &depot, &cargo, false, &interrupt), Err(Error::Cancelled)));
    assert_eq!(depot.find(&cargo.files[5..], &NoProgress).unwrap(), [false]);
    assert_eq!(depot.find(&[cargo.folders[0].oid], &NoProgress).unwrap(), [false]);
    let pushed = transfer::push(&place.here, &depot, &cargo, false, &NoProgress).unwrap();
    assert!(pushed.failed.is_empty());

    let interrupt = After(10 << 20, AtomicU64::new(0));
    let want = wanted(&depot, &cargo);
    assert!(matches!(transfer::fetch(&place.there, &depot, &want, &interrupt), Err(Error::Cancelled)));
    assert!(!place.there.contains(&cargo.files[5]) && !place.there.contains(&cargo.folders[0].oid));
    let fetched = transfer::fetch(&place.there, &depot, &wanted(&depot, &cargo), &NoProgress).unwrap();
    assert!(fetched.failed.is_empty());
    place.there.rehash(&cargo.files[5], &NoProgress).unwrap();
}

/// Of DVC 2: names that are no MD5 of the bytes, right below the root.
#[test]
fn the_older_layout_lies_beside() {
    let (_bucket, place) = Place::s3();
    let handle = place.runtime.handle().clone();
    let depot = Distant::new(place.remote.clone(), handle, "s3://bucket/data", Layout::V2, None).unwrap();
    let depot = Depot::Distant(depot);
    let [one, two] = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let open = |dir: &TempDir| {
        let root = dir.path().join("cache");
        Cache::open(CacheOptions { root, layout: Layout::V2, link_types: Vec::new(), shared: false }).unwrap()
    };
    let (here, there) = (open(&one), open(&two));
    let oid = here.put_bytes(b"one\r\ntwo\r\n").unwrap();
    assert_ne!(oid, trackway_store::hash_bytes(HashName::Md5, b"one\r\ntwo\r\n"));
    let cargo = || Cargo { files: vec![oid], folders: Vec::new() };
    assert_eq!(transfer::push(&here, &depot, &cargo(), false, &NoProgress).unwrap().objects, 1);
    assert_eq!(transfer::fetch(&there, &depot, &cargo(), &NoProgress).unwrap().objects, 1);
    assert_eq!(there.read(&oid).unwrap(), b"one\r\ntwo\r\n");
    transfer::push(&place.here, &place.depot(), &folder(&place.here, 3, 0), false, &NoProgress).unwrap();
    assert_eq!(depot.folders(&NoProgress).unwrap().iter().map(|folder| folder.len()).sum::<usize>(), 1);
}
