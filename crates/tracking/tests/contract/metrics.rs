//! Metrics are sets of points that come back as MLflow gives them back, however they were packed.

use trackway_tracking::{Metric, RunStatus, RunUpdate, Store};

use crate::{fresh, point, run};

async fn history(store: &Store, run_id: &str, key: &str) -> Vec<(i64, i64, f64)> {
    let page = store.metric_history(run_id.to_owned(), key.to_owned(), None, None).await.unwrap();
    assert_eq!(page.next_page_token, None);
    page.items.iter().map(|point| (point.timestamp, point.step, point.value)).collect()
}

async fn latest(store: &Store, run_id: &str, key: &str) -> f64 {
    let run = store.get_run(run_id.to_owned()).await.unwrap();
    run.metrics.iter().find(|metric| metric.key == key).unwrap().value
}

async fn finish(store: &Store, run_id: &str) {
    let update = RunUpdate { status: Some(RunStatus::Finished), ..RunUpdate::default() };
    store.update_run(run_id.to_owned(), update).await.unwrap();
}

#[tokio::test]
async fn one_by_one_and_in_batches_make_the_same_history() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let id = run(store, "r", 1).await.info.run_id;
    // Enough to be packed on the way, more than once, and not in the order of time.
    let mut expected = Vec::new();
    for step in 0..700_i64 {
        let time = 1000 + (step * 37) % 701;
        store.log_metric(id.clone(), point("loss", step, time, step as f64 / 3.0)).await.unwrap();
        expected.push((time, step, step as f64 / 3.0));
    }
    for batch in 0..5_i64 {
        let metrics: Vec<Metric> =
            (0..1000).map(|i| point("loss", 700 + batch * 1000 + i, 5000 + batch, 0.5)).collect();
        expected.extend(metrics.iter().map(|metric| (metric.timestamp, metric.step, metric.value)));
        store.log_batch(id.clone(), metrics, vec![], vec![]).await.unwrap();
    }
    expected.sort_by_key(|point| (point.0, point.1));
    assert_eq!(history(store, &id, "loss").await, expected);
    finish(store, &id).await;
    assert_eq!(history(store, &id, "loss").await, expected);
}

#[tokio::test]
async fn a_retry_adds_nothing_also_over_packed_points() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let id = run(store, "r", 1).await.info.run_id;
    let batch: Vec<Metric> = (0..1000).map(|step| point("m", step, step, 1.0)).collect();
    for _ in 0..3 {
        store.log_batch(id.clone(), batch.clone(), vec![], vec![]).await.unwrap();
        store.log_metric(id.clone(), point("m", 5, 5, 1.0)).await.unwrap();
        finish(store, &id).await;
    }
    assert_eq!(history(store, &id, "m").await.len(), 1000);
    // The same place with another value is another point.
    store.log_metric(id.clone(), point("m", 5, 5, 2.0)).await.unwrap();
    assert_eq!(history(store, &id, "m").await.len(), 1001);
}

#[tokio::test]
async fn pages_give_every_point_once() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let id = run(store, "r", 1).await.info.run_id;
    for batch in 0..30_i64 {
        // Many points share a time, and batches overlap in time.
        let metrics =
            (0..1000).map(|i| point("m", batch * 1000 + i, batch * 500 + i, f64::from(i as i32 % 7))).collect();
        store.log_batch(id.clone(), metrics, vec![], vec![]).await.unwrap();
    }
    let all = history(store, &id, "m").await;
    assert_eq!(all.len(), 30_000);
    let mut paged = Vec::new();
    let mut token = None;
    loop {
        let page = store.metric_history(id.clone(), "m".to_owned(), Some(777), token).await.unwrap();
        assert!(page.items.len() <= 777);
        paged.extend(page.items.iter().map(|point| (point.timestamp, point.step, point.value)));
        token = page.next_page_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(paged, all);
    let error = store.metric_history(id, "m".to_owned(), Some(5), Some("garbage".to_owned())).await.unwrap_err();
    assert!(error.to_string().starts_with("Invalid page token"), "{error}");
}

#[tokio::test]
async fn values_come_back_as_mlflow_stores_them() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let id = run(store, "r", 1).await.info.run_id;
    let values = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -0.0, f64::MIN_POSITIVE, 0.1];
    let metrics = values.iter().enumerate().map(|(step, value)| point("m", step as i64, 0, *value)).collect();
    store.log_batch(id.clone(), metrics, vec![], vec![]).await.unwrap();
    for _ in 0..2 {
        let got: Vec<f64> = history(store, &id, "m").await.iter().map(|point| point.2).collect();
        assert_eq!(got[..2], [f64::MAX, f64::MIN]);
        assert!(got[2].is_nan());
        assert_eq!(got[3].to_bits(), 0.0_f64.to_bits());
        assert_eq!(got[4..], [f64::MIN_POSITIVE, 0.1]);
        finish(store, &id).await;
    }
}

#[tokio::test]
async fn latest_is_the_greatest_by_step_time_and_value() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let id = run(store, "r", 1).await.info.run_id;
    let log = async |metric: Metric| store.log_metric(id.clone(), metric).await.unwrap();
    log(point("m", 5, 10, 1.0)).await;
    log(point("m", 4, 99, 2.0)).await;
    assert_eq!(latest(store, &id, "m").await, 1.0);
    log(point("m", 5, 10, 3.0)).await;
    assert_eq!(latest(store, &id, "m").await, 3.0);
    log(point("m", 5, 10, f64::NAN)).await;
    assert_eq!(latest(store, &id, "m").await, 3.0, "a NaN counts as 0");
    log(point("n", 0, 0, -1.0)).await;
    log(point("n", 0, 0, f64::NAN)).await;
    assert!(latest(store, &id, "n").await.is_nan(), "0 is more than -1");
    log(point("z", 0, 0, 0.0)).await;
    log(point("z", 0, 0, f64::NAN)).await;
    assert_eq!(latest(store, &id, "z").await, 0.0, "of equals the first stays");
    // Within one batch the same rules.
    let batch = vec![point("b", 1, 1, 7.0), point("b", 2, 0, -7.0), point("b", 2, 0, f64::NAN)];
    store.log_batch(id.clone(), batch, vec![], vec![]).await.unwrap();
    assert!(latest(store, &id, "b").await.is_nan());
}

#[tokio::test]
async fn mlflow_12813_metric_table_stays_small() {
    let fresh = fresh().await;
    let id = run(&fresh.store, "r", 1).await.info.run_id;
    let mut state = 1_u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 16_777_216.0
    };
    const POINTS: i64 = 200_000;
    for batch in 0..POINTS / 1000 {
        // What a training loop computes in single precision, one point a tenth of a second or so.
        let metrics = (0..1000)
            .map(|i| {
                let step = batch * 1000 + i;
                point(
                    "loss",
                    step,
                    1_700_000_000_000 + step * 100 + i64::from((noise() * 5.0) as i32),
                    f64::from(1.0 / (1.0 + step as f32) + noise() * 0.01),
                )
            })
            .collect();
        fresh.store.log_batch(id.clone(), metrics, vec![], vec![]).await.unwrap();
    }
    fresh.store.close();
    let empty = crate::fresh().await;
    run(&empty.store, "r", 1).await;
    empty.store.close();
    let each = (fresh.bytes() - empty.bytes()) as f64 / POINTS as f64;
    assert!(each <= 5.0, "{each:.2} bytes a point");
}

#[tokio::test]
async fn sampling_is_by_step_and_repeats_runs_that_are_asked_for_twice() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let id = run(store, "r", 1).await.info.run_id;
    let metrics = (0..1000).map(|step| point("m", 999 - step, step, step as f64)).collect();
    store.log_batch(id.clone(), metrics, vec![], vec![]).await.unwrap();
    let sampled = store.metric_history_sampled(vec![id.clone(), id.clone()], "m".to_owned(), 5, None).await.unwrap();
    for history in &sampled {
        assert_eq!(history.points.iter().map(|point| point.step).collect::<Vec<_>>(), [0, 200, 400, 600, 999]);
    }
    assert_eq!(sampled.len(), 2);
    let part =
        store.metric_history_sampled(vec![id, "unknown".to_owned()], "m".to_owned(), 5, Some((10, 12))).await.unwrap();
    assert_eq!(part[0].points.len(), 3);
    assert_eq!(part[1].points.len(), 0);
}
