//! Listings of buckets from the database's memory, and how it stays true.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trackway_testkit::services::{FaultProxy, fault_proxy::Faults, seaweedfs};

use crate::stores::{self, Bucket, s3_config};
use crate::{PROXY, Served, request, serve_with};

const RUN: &str = "0/run/artifacts";

/// The names in a directory of the run, those of directories with a slash.
async fn names(it: &Served, dir: &str) -> String {
    let listed = it.get(&format!("{PROXY}?path={RUN}/{dir}")).await;
    assert_eq!(listed.status, 200, "{}", listed.text());
    let name =
        |file: &Value| format!("{}{}", file["path"].as_str().unwrap(), if file["is_dir"] == true { "/" } else { "" });
    let listed = listed.json();
    listed["files"].as_array().into_iter().flatten().map(name).collect::<Vec<_>>().join(" ")
}

async fn until_listed(it: &Served, dir: &str, expected: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    while names(it, dir).await != expected {
        assert!(Instant::now() < until, "{dir} still has {}", names(it, dir).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A server whose database is in `dir`, and one without a database.
async fn two(bucket: seaweedfs::Bucket) -> (Served, Served) {
    let config = s3_config(&bucket, &bucket.endpoint);
    let alone = serve_with(tempfile::tempdir().unwrap(), config.clone(), None, None).await;
    (stores::with_database(config, Some(Bucket::S3(bucket))).await, alone)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_put_and_delete_is_seen() {
    let (it, other) = two(seaweedfs::bucket().unwrap()).await;
    other.put(&format!("{RUN}/before/x"), "1").await;
    // Never looked at, so the bucket is asked first.
    assert_eq!(names(&it, "").await, "before/");
    it.put(&format!("{RUN}/mine"), "1").await;
    assert_eq!(names(&it, "").await, "before/ mine");
    // Others write here, so it is looked at again soon.
    other.put(&format!("{RUN}/theirs"), "22").await;
    until_listed(&it, "", "before/ mine theirs").await;
    other.ask(request("DELETE", &format!("{PROXY}/{RUN}/mine"), &[], "")).await;
    until_listed(&it, "", "before/ theirs").await;
    assert_eq!(names(&it, "before").await, "x");
    assert_eq!(names(&other, "").await, "before/ theirs", "without a database the bucket is listed");
    let listed = other.get(&format!("{PROXY}?path={RUN}")).await.json();
    assert_eq!(listed["files"][1], json!({"path": "theirs", "is_dir": false, "file_size": 2}));
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_share_the_memory() {
    let bucket = seaweedfs::bucket().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let database = stores::database(&dir).await;
    let config = s3_config(&bucket, &bucket.endpoint);
    let one = serve_with(tempfile::tempdir().unwrap(), config.clone(), Some(database.clone()), None).await;
    let other = serve_with(dir, config, Some(database), Some(Bucket::S3(bucket))).await;
    assert_eq!(names(&one, "").await, "");
    for round in 0..3 {
        one.put(&format!("{RUN}/d/a{round}"), "1").await;
        other.put(&format!("{RUN}/d/b{round}"), "1").await;
    }
    let all = "a0 a1 a2 b0 b1 b2";
    assert_eq!((names(&one, "d").await.as_str(), names(&other, "d").await.as_str()), (all, all));
    one.ask(request("DELETE", &format!("{PROXY}/{RUN}/d"), &[], "")).await;
    // Of the directory itself the store knows a while longer.
    assert_eq!((names(&one, "d").await, names(&other, "d").await), (String::new(), String::new()));
    one.put(&format!("{RUN}/x"), "1").await;
    // The folder of the run, above its artifacts.
    one.ask(request("DELETE", &format!("{PROXY}/0/run"), &[], "")).await;
    assert!(!names(&one, "").await.contains('x') && !names(&other, "").await.contains('x'));
}

/// Once it was looked at, a run's artifacts are listed without the bucket: here it cannot be reached.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_asks_no_bucket() {
    let bucket = seaweedfs::bucket().unwrap();
    let proxy = FaultProxy::start(&bucket.endpoint).unwrap();
    let config = s3_config(&bucket, &format!("http://{}", proxy.address()));
    let it = stores::with_database(config, Some(Bucket::S3(bucket))).await;
    assert_eq!(names(&it, "").await, "");
    for path in ["a", "d/b", "d/e/c"] {
        assert_eq!(it.put(&format!("{RUN}/{path}"), "1").await.status, 200);
    }
    proxy.set(Faults { refuse: true, ..Faults::default() }).unwrap();
    proxy.cut_all();
    for (dir, expected) in [("", "a d/"), ("d", "b e/"), ("d/e", "c"), ("missing", "")] {
        assert_eq!(names(&it, dir).await, expected, "{dir}");
    }
    let of_run = it.get("/api/2.0/mlflow/artifacts/list?run_id=run&path=d").await.json();
    assert_eq!(
        of_run["files"],
        json!([
            {"path": "d/b", "is_dir": false, "file_size": 1},
            {"path": "d/e", "is_dir": true},
        ])
    );
    // What was never looked at cannot be known.
    assert_eq!(it.get(&format!("{PROXY}?path=0/other/artifacts")).await.status, 503);
}
