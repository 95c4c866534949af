//! A proxy that does harm between the server and the bucket: no artifact is ever half.

use std::time::Duration;

use trackway_testkit::services::{FaultProxy, fault_proxy::Faults, seaweedfs};

use crate::stores::{self, Bucket, s3_config};
use crate::{PROXY, Served};

const FILE: &str = "0/run/artifacts/f";

async fn behind_a_proxy() -> (Served, FaultProxy) {
    let bucket = seaweedfs::bucket().unwrap();
    let proxy = FaultProxy::start(&bucket.endpoint).unwrap();
    let config = s3_config(&bucket, &format!("http://{}", proxy.address()));
    (stores::with_database(config, Some(Bucket::S3(bucket))).await, proxy)
}

fn content(seed: u32, length: usize) -> Vec<u8> {
    (0..length as u32 / 4).flat_map(|at| at.wrapping_mul(2_654_435_761).wrapping_add(seed).to_le_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_upload_leaves_the_old_or_nothing() {
    let (it, proxy) = behind_a_proxy().await;
    for (old, length) in [(None, 100_000), (Some(1), 100_000), (None, 12_000_000), (Some(2), 12_000_000)] {
        if let Some(seed) = old {
            assert_eq!(it.put(FILE, content(seed, length)).await.status, 200);
        } else {
            let gone = it.ask(crate::request("DELETE", &format!("{PROXY}/{FILE}"), &[], "")).await;
            assert_eq!(gone.status, 200);
        }
        for cut in [0, 300, 60_000] {
            // Every connection is cut, so that trying again does not help.
            proxy.set(Faults { cut_up: Some(cut), ..Faults::default() }).unwrap();
            proxy.cut_all();
            let put = it.put(FILE, content(99, length)).await;
            proxy.set(Faults::default()).unwrap();
            proxy.cut_all();
            assert_eq!(put.status, 503, "{cut}: {}", put.text());
            let got = it.get(&format!("{PROXY}/{FILE}")).await;
            match old {
                Some(seed) => assert!(got.status == 200 && got.body == content(seed, length), "{cut}"),
                None => assert_eq!(got.status, 404, "{cut}"),
            }
            let listed = it.get(&format!("{PROXY}?path=0/run/artifacts")).await.json();
            assert_eq!(
                listed["files"].as_array().is_some_and(|files| !files.is_empty()),
                old.is_some(),
                "{cut}: {listed}"
            );
        }
        // The same again succeeds.
        assert_eq!(it.put(FILE, content(99, length)).await.status, 200);
        assert!(it.get(&format!("{PROXY}/{FILE}")).await.body == content(99, length));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_cut_or_delayed_connection_is_not_noticed() {
    let (it, proxy) = behind_a_proxy().await;
    for (round, faults) in [
        Faults { cut_up: Some(1_000_000), ..Faults::default() },
        Faults { cut_down: Some(10), ..Faults::default() },
        Faults { refuse: true, ..Faults::default() },
        Faults { delay: Duration::from_millis(30), ..Faults::default() },
    ]
    .into_iter()
    .enumerate()
    {
        let new = content(round as u32, 12_000_000);
        proxy.cut_all();
        proxy.next(faults.clone());
        let put = it.put(FILE, new.clone()).await;
        assert_eq!(put.status, 200, "{faults:?}: {}", put.text());
        proxy.cut_all();
        proxy.next(Faults { cut_up: None, cut_down: faults.cut_up, ..faults.clone() });
        let got = it.get(&format!("{PROXY}/{FILE}")).await;
        assert!(got.status == 200 && got.body == new, "{faults:?}");
    }
}
