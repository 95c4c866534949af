//! Points stay exact while several servers write the same series and pack them, and each reader sees all that was
//! acknowledged before it began.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trackway_tracking::{Error, Metric, RunStatus, RunUpdate, Store};

use crate::{fresh, point, run};

type Series = (String, String);
/// Time, step and the value's bits.
type Points = HashSet<(i64, i64, u64)>;

const SERVERS: u64 = 3;
const WRITERS: u64 = 2;
const RUNS: u64 = 3;
const BATCHES: u64 = 60;

/// Splitmix64.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// Points that other writers log too, and more than once: of few steps, times and values.
fn batch(seeded: &mut Seeded) -> Vec<Metric> {
    let from = seeded.next(3000);
    let several = seeded.next(3) == 0;
    let length = [1, 40, 1000][seeded.next(3) as usize];
    (0..length)
        .map(|i| {
            let step = (from + i) as i64;
            let key = if several { format!("m{}", i % 3) } else { format!("m{}", from % 3) };
            let value = if step % 97 == 0 { f64::NAN } else { (step % 7) as f64 + seeded.next(2) as f64 / 3.0 };
            point(&key, step, 1_700_000_000_000 + step * 10, value)
        })
        .collect()
}

fn stored(metric: &Metric) -> (i64, i64, u64) {
    (metric.timestamp, metric.step, if metric.value.is_nan() { f64::NAN } else { metric.value }.to_bits())
}

async fn history(store: &Store, series: &Series) -> Vec<(i64, i64, u64)> {
    loop {
        match store.metric_history(series.0.clone(), series.1.clone(), None, None).await {
            Ok(page) => return page.items.iter().map(|p| (p.timestamp, p.step, p.value.to_bits())).collect(),
            Err(Error::Busy(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(other) => panic!("{other}"),
        }
    }
}

async fn paged(store: &Store, series: &Series) -> Vec<(i64, i64, u64)> {
    let (mut all, mut token) = (Vec::new(), None);
    loop {
        let page = store.metric_history(series.0.clone(), series.1.clone(), Some(997), token).await.unwrap();
        all.extend(page.items.iter().map(|p| (p.timestamp, p.step, p.value.to_bits())));
        token = page.next_page_token;
        if token.is_none() {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_servers_write_and_pack_the_same_series() {
    let fresh = fresh().await;
    let mut runs = Vec::new();
    for i in 0..RUNS {
        runs.push(run(&fresh.store, &format!("r{i}"), 1).await.info.run_id);
    }
    let acknowledged: Arc<Mutex<HashMap<Series, Points>>> = Arc::default();
    let done = Arc::new(AtomicBool::new(false));
    let (mut stores, mut writers, mut readers) = (Vec::new(), Vec::new(), Vec::new());
    for server in 0..SERVERS {
        let store = fresh.again().await;
        for writer in 0..WRITERS {
            let (store, runs, acknowledged) = (store.clone(), runs.clone(), Arc::clone(&acknowledged));
            let mut seeded = Seeded(server * 100 + writer);
            writers.push(tokio::spawn(async move {
                for _ in 0..BATCHES {
                    let run_id = &runs[seeded.next(RUNS) as usize];
                    let metrics = batch(&mut seeded);
                    // As a client does: the same again until it is answered.
                    loop {
                        let logged = match &metrics[..] {
                            [metric] => store.log_metric(run_id.clone(), metric.clone()).await,
                            _ => store.log_batch(run_id.clone(), metrics.clone(), vec![], vec![]).await,
                        };
                        match logged {
                            Ok(()) => break,
                            Err(Error::Busy(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
                            Err(other) => panic!("{other}"),
                        }
                    }
                    for metric in &metrics {
                        let series = (run_id.clone(), metric.key.clone());
                        acknowledged.lock().unwrap().entry(series).or_default().insert(stored(metric));
                    }
                    if seeded.next(8) == 0 {
                        // Ends it, at which it is packed; it takes points nevertheless.
                        let update = RunUpdate { status: Some(RunStatus::Finished), ..RunUpdate::default() };
                        let _ = store.update_run(run_id.clone(), update).await;
                    }
                }
            }));
        }
        let (reader, done, known) = (store.clone(), Arc::clone(&done), Arc::clone(&acknowledged));
        let mut seeded = Seeded(1000 + server);
        readers.push(tokio::spawn(async move {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) {
                let before = {
                    let known = known.lock().unwrap();
                    let all: Vec<_> = known.iter().map(|(series, points)| (series.clone(), points.clone())).collect();
                    if all.is_empty() { None } else { Some(all[seeded.next(all.len() as u64) as usize].clone()) }
                };
                if let Some((series, before)) = before {
                    let read = history(&reader, &series).await;
                    let there: Points = read.iter().copied().collect();
                    assert_eq!(there.len(), read.len(), "a point is there twice");
                    assert!(before.is_subset(&there), "acknowledged and not there: {:?}", before.difference(&there));
                    reads += 1;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            reads
        }));
        stores.push(store);
    }
    let mut disturbed = 0;
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(300)).await;
        fresh.disturb();
        disturbed += 1;
        assert!(disturbed < 400, "the writers do not come to an end");
    }
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    let expected = acknowledged.lock().unwrap().clone();
    assert_eq!(expected.len(), RUNS as usize * 3);
    check(&fresh.store, &expected).await;
    // What still waited is packed when a store is closed.
    for store in stores {
        store.close();
    }
    check(&fresh.store, &expected).await;
}

async fn check(store: &Store, expected: &HashMap<Series, Points>) {
    for (series, points) in expected {
        let ordered = history(store, series).await;
        let there: Points = ordered.iter().copied().collect();
        assert_eq!(there.len(), ordered.len(), "a point is there twice");
        assert!(there == *points, "{} points are there, {} were logged", there.len(), points.len());
        assert_eq!(paged(store, series).await, ordered);
        let latest = points.iter().map(|(time, step, bits)| {
            let value = f64::from_bits(*bits);
            (*step, *time, if value.is_nan() { 0.0 } else { value })
        });
        let latest = latest.max_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2))).unwrap();
        let run = store.get_run(series.0.clone()).await.unwrap();
        let shown = run.metrics.iter().find(|metric| metric.key == series.1).unwrap();
        let value = if shown.value.is_nan() { 0.0 } else { shown.value };
        assert_eq!((shown.step, shown.timestamp, value), latest);
        let names: BTreeSet<_> = run.metrics.iter().map(|metric| &metric.key).collect();
        assert_eq!(names.len(), run.metrics.len());
    }
}
