//! Thinning: long histories of old runs keep their shape and their ends, and nothing else changes.

use trackway_tracking::{RunStatus, RunUpdate, ThinRules, Thinned};

use crate::{fresh, point, run};

#[tokio::test]
async fn long_histories_of_ended_runs_keep_their_peaks_and_ends() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let mut ids = vec![];
    for end_time in [Some(100), Some(900), None] {
        let id = run(store, "r", 1).await.info.run_id;
        for part in 0..5 {
            let value = |step: i64| if step == 3333 { 9.0 } else { (step % 7) as f64 / 10.0 };
            let long = (part * 1000..part * 1000 + 1000).map(|step| point("long", step, step, value(step)));
            let short = (0..20).map(|step| point("short", step, part * 20 + step, 0.5));
            let metrics: Vec<_> = long.chain(short).collect();
            store.log_batch(id.clone(), metrics[..500].to_vec(), vec![], vec![]).await.unwrap();
            store.log_batch(id.clone(), metrics[500..].to_vec(), vec![], vec![]).await.unwrap();
        }
        if end_time.is_some() {
            let ended = RunUpdate { status: Some(RunStatus::Finished), end_time, ..RunUpdate::default() };
            store.update_run(id.clone(), ended).await.unwrap();
        }
        ids.push(id);
    }
    // Closing packs what is due.
    store.close();
    let again = fresh.again().await;
    let store = &again;
    let latest = store.get_run(ids[0].clone()).await.unwrap().metrics;
    let history =
        async |id: &String| store.metric_history(id.clone(), "long".to_owned(), None, None).await.unwrap().items;
    let before = history(&ids[0]).await;
    assert_eq!(before.len(), 5000);
    let rules = ThinRules { ended_before: 500, keep: 200 };
    let (counted, next) = store.thin_metrics(rules, None, true).await.unwrap();
    assert_eq!((counted, next), (Thinned { runs: 1, series: 1, points: 4800 }, None));
    assert_eq!(history(&ids[0]).await.len(), 5000, "counting changes nothing");

    let (thinned, _) = store.thin_metrics(rules, None, false).await.unwrap();
    assert_eq!((thinned.runs, thinned.series), (1, 1));
    let after = history(&ids[0]).await;
    assert_eq!(after.len() as u64, 5000 - thinned.points);
    assert!((100..=200).contains(&after.len()), "{}", after.len());
    assert!(after.iter().all(|kept| before.iter().any(|point| point.same(kept))), "no point is made up");
    assert_eq!((after[0].step, after[after.len() - 1].step), (0, 4999));
    assert!(after.iter().any(|point| point.value == 9.0), "the peak stays");
    assert_eq!(store.get_run(ids[0].clone()).await.unwrap().metrics, latest);
    for (id, why) in [(&ids[1], "ended later"), (&ids[2], "runs on")] {
        assert_eq!(history(id).await.len(), 5000, "it {why}");
    }
    assert_eq!(store.thin_metrics(rules, None, false).await.unwrap().0, Thinned::default(), "once is enough");
}
