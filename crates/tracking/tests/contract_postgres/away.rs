//! The database goes away and comes back: what was acknowledged is there, and nothing twice.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use trackway_testkit::services::{Postgres, postgres};
use trackway_tracking::{Backend, Error, NewRun, Options, PostgresConfig, RunSearch, Store};

use crate::{point, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_outlive_a_crash_of_the_database() {
    let durable = || Postgres::start(postgres::Options { durable: true, ..Default::default() });
    let mut server = tokio::task::spawn_blocking(durable).await.unwrap().unwrap();
    let backend = Backend::Postgres(PostgresConfig::parse(&server.url(), &|_| None).unwrap());
    let store = Store::open(&backend, "mlflow-artifacts:/", &Options::default()).await.unwrap();
    let id = run(&store, "r", 1).await.info.run_id;
    let acknowledged = Arc::new(Mutex::new(HashSet::new()));
    let created = Arc::new(Mutex::new(HashSet::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..6_i64 {
        let (store, id, stop) = (store.clone(), id.clone(), Arc::clone(&stop));
        let (acknowledged, created) = (Arc::clone(&acknowledged), Arc::clone(&created));
        writers.push(tokio::spawn(async move {
            let (mut step, mut refused) = (0, 0);
            while !stop.load(Ordering::Relaxed) {
                step += 1;
                let (key, new) = (format!("m{writer}"), NewRun { start_time: step, ..NewRun::default() });
                let written = if writer == 0 {
                    store.create_run(new).await.map(|run| {
                        created.lock().unwrap().insert(run.info.run_id);
                    })
                } else {
                    store.log_metric(id.clone(), point(&key, step, step, step as f64)).await.map(|()| {
                        acknowledged.lock().unwrap().insert((key, step));
                    })
                };
                match written {
                    Ok(()) => {}
                    Err(Error::Busy(_)) => {
                        refused += 1;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            refused
        }));
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        server = tokio::task::spawn_blocking(move || {
            server.crash().unwrap();
            std::thread::sleep(Duration::from_millis(300));
            server.restart().unwrap();
            server
        })
        .await
        .unwrap();
    }
    let before = acknowledged.lock().unwrap().len();
    let start = Instant::now();
    while acknowledged.lock().unwrap().len() < before + 50 && start.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut refused = 0;
    for writer in writers {
        refused += writer.await.unwrap();
    }
    assert!(refused > 0, "the crashes were not noticed by anybody");
    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
    assert!(acknowledged.len() >= before + 50, "the store did not go on after the last crash");
    for writer in 1..6 {
        let key = format!("m{writer}");
        let points = store.metric_history(id.clone(), key.clone(), None, None).await.unwrap().items;
        let steps: HashSet<i64> = points.iter().map(|point| point.step).collect();
        assert_eq!(steps.len(), points.len(), "a point is there twice");
        let lost: Vec<_> = acknowledged.iter().filter(|(known, step)| *known == key && !steps.contains(step)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    }
    let search = RunSearch { experiment_ids: vec![0], max_results: 50_000, ..RunSearch::default() };
    let there: HashSet<String> =
        store.search_runs(search).await.unwrap().items.into_iter().map(|run| run.info.run_id).collect();
    let created = std::mem::take(&mut *created.lock().unwrap());
    assert!(created.iter().all(|run| there.contains(run)), "a created run was lost");
    // A creation whose fate is not known is refused; each crash leaves one such at most.
    assert!(there.len() <= created.len() + 1 + 3, "{} runs for {} creations", there.len(), created.len());
}
