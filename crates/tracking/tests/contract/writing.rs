//! The writer: groups, failures inside them, a full queue, several processes on one file.

use std::time::Duration;

use futures_util::FutureExt;
use trackway_tracking::{Error, NewRun, Options, RunSearch, Store};

use crate::{fresh, param, point, run, tag};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_wrong_request_fails_alone_in_its_group() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let id = run(store, "r", 1).await.info.run_id;
    store.log_param(id.clone(), param("p", "fixed")).await.unwrap();
    let mut writes = Vec::new();
    for i in 0..400_i64 {
        let (store, id) = (store.clone(), id.clone());
        writes.push(tokio::spawn(async move {
            if i % 4 == 0 {
                // Interns a new metric name, then is refused: the name's number must not be remembered.
                let batch = store
                    .log_batch(id, vec![point(&format!("new{i}"), 0, 0, 1.0)], vec![param("p", "other")], vec![])
                    .await;
                assert!(matches!(batch, Err(Error::Invalid(_))));
            } else {
                store.log_metric(id, point(&format!("new{}", i - i % 4), i, i, 1.0)).await.unwrap();
            }
        }));
    }
    for write in writes {
        write.await.unwrap();
    }
    let stored = store.get_run(id.clone()).await.unwrap();
    assert_eq!(stored.metrics.len(), 100);
    for metric in stored.metrics {
        let points = store.metric_history(id.clone(), metric.key, None, None).await.unwrap().items;
        assert_eq!(points.len(), 3);
    }
    let stats = store.writer_stats();
    // Several writers rarely find many requests waiting.
    assert!(!crate::ONE_WRITER || stats.groups < stats.requests, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_queue_says_busy() {
    let fresh = fresh().await;
    let options = Options { queue_requests: 4, ..Options::default() };
    let store = Store::open(&fresh.backend(), "mlflow-artifacts:/", &options).await.unwrap();
    let id = run(&store, "r", 1).await.info.run_id;
    let mut writes = Vec::new();
    for i in 0..2000 {
        let (store, id) = (store.clone(), id.clone());
        writes.push(tokio::spawn(async move { store.set_tag(id, tag(&format!("k{i}"), "v")).await }));
    }
    let mut stored = 0;
    for write in writes {
        match write.await.unwrap() {
            Ok(()) => stored += 1,
            Err(error) => assert!(matches!(error, Error::Busy(_)), "{error}"),
        }
    }
    let tags = store.get_run(id).await.unwrap().tags.len();
    assert_eq!(tags, stored + 1, "what was answered is there, and nothing else");
}

#[tokio::test]
async fn two_stores_share_one_database() {
    let fresh = fresh().await;
    let other = fresh.again().await;
    let id = run(&fresh.store, "r", 1).await.info.run_id;
    for i in 0..20 {
        let store = if i % 2 == 0 { &fresh.store } else { &other };
        store.log_metric(id.clone(), point(&format!("m{}", i % 3), i, i, 1.0)).await.unwrap();
    }
    assert_eq!(other.get_run(id).await.unwrap().metrics.len(), 3);
}

#[tokio::test]
async fn a_closed_store_takes_no_more() {
    let fresh = fresh().await;
    let id = run(&fresh.store, "r", 1).await.info.run_id;
    fresh.store.close();
    assert!(matches!(fresh.store.log_metric(id, point("m", 0, 0, 1.0)).await, Err(Error::Busy(_))));
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_not_done_twice() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let new = NewRun { start_time: 1, ..NewRun::default() };
    let (mut lost, mut runs) = (0, 0);
    for _ in 0..100 {
        // The caller asks, and goes away before it looks for the answer: at once, or when the writer is done.
        let mut asked = Box::pin(store.create_run(new.clone()));
        if (&mut asked).now_or_never().is_some() {
            // The caller was held up between asking and looking, and the writer was done by then.
            runs += 1;
            continue;
        }
        let mut done = vec![];
        match lost % 3 {
            0 => drop(asked),
            1 => {
                drop(asked);
                done = all_runs(store, runs + 1).await;
            }
            _ => {
                done = all_runs(store, runs + 1).await;
                drop(asked);
            }
        }
        let again = store.create_run(new.clone()).await.unwrap().info.run_id;
        assert!(done.is_empty() || done.contains(&again), "the run that was created is what is answered");
        // Once told, the answer is spent: the same request is a new run.
        let other = store.create_run(new.clone()).await.unwrap().info.run_id;
        assert_ne!(again, other);
        runs += 2;
        assert_eq!(all_runs(store, runs).await.len(), runs);
        lost += 1;
        if lost == 9 {
            return;
        }
    }
    panic!("only {lost} of 100 answers were lost");
}

/// The ids of all runs, when there are so many.
async fn all_runs(store: &Store, runs: usize) -> Vec<String> {
    for _ in 0..1000 {
        let search = RunSearch { experiment_ids: vec![0], max_results: 1000, ..RunSearch::default() };
        let found = store.search_runs(search).await.unwrap().items;
        if found.len() >= runs {
            return found.into_iter().map(|run| run.info.run_id).collect();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("there are no {runs} runs after ten seconds");
}
