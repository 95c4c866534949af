//! Changes reach listeners on every server, few for many writes, and none is missed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use trackway_tracking::{ChangeKind, Event, NewRun, RunStatus, RunUpdate, Store};

use crate::{fresh, param, point, run, tag};

/// Listens until `enough`, from a cursor on.
async fn listen(store: &Store, from: i64, experiments: Vec<i64>, enough: impl Fn(&[Event]) -> bool) -> Vec<Event> {
    let mut listener = store.listen();
    let (mut cursor, mut all) = (from, Vec::new());
    let listening = async {
        while !enough(&all) {
            let told = store.events(Some(cursor), experiments.clone(), 7).await.unwrap();
            assert!(!told.reset);
            if told.next == cursor {
                listener.behind(cursor).await;
            }
            cursor = told.next;
            all.extend(told.events);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), listening).await.expect("the changes were not told");
    all
}

async fn cursor(store: &Store) -> i64 {
    store.events(None, vec![], 1).await.unwrap().next
}

fn kinds(events: &[Event], run_id: &str) -> BTreeSet<&'static str> {
    let of_run = events.iter().filter(|event| event.run_id.as_deref() == Some(run_id));
    of_run.flat_map(|event| event.kinds().map(ChangeKind::name)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_writes_is_told_by_another() {
    let fresh = fresh().await;
    let (writer, reader) = (&fresh.store, fresh.again().await);
    let from = cursor(&reader).await;
    let experiment = writer.create_experiment("e".to_owned(), None, vec![]).await.unwrap();
    let other = run(writer, "other", 1).await.info.run_id;
    let new = NewRun { experiment_id: experiment, ..NewRun::default() };
    let id = writer.create_run(new).await.unwrap().info.run_id;
    for step in 0..300 {
        writer.log_metric(id.clone(), point("m", step, step, 0.5)).await.unwrap();
    }
    writer.log_batch(id.clone(), vec![], vec![param("p", "1")], vec![tag("t", "1")]).await.unwrap();
    let ended = RunUpdate { status: Some(RunStatus::Finished), ..RunUpdate::default() };
    writer.update_run(id.clone(), ended).await.unwrap();
    writer.delete_run(id.clone()).await.unwrap();
    let all = BTreeSet::from(["created", "deleted", "metrics", "params", "tags", "updated"]);
    let told = listen(&reader, from, vec![experiment], |told| kinds(told, &id).contains("deleted")).await;
    assert_eq!(kinds(&told, &id), all);
    assert!(told.iter().filter(|event| event.run_id.is_some()).count() < 300, "each write was told of");
    assert!(kinds(&told, &other).is_empty(), "another experiment's run was told of");
    assert!(told.iter().any(|event| event.run_id.is_none() && event.experiment_id == experiment));
    // Without a listener too, and for all experiments.
    let later = reader.events(Some(from), vec![], 1000).await.unwrap();
    assert_eq!(kinds(&later.events, &other), BTreeSet::from(["created"]));
    assert!(later.events.is_sorted_by_key(|event| event.id));
    // A cursor of another database, and one from before everything.
    assert!(reader.events(Some(later.next + 1000), vec![], 10).await.unwrap().reset);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_is_missed_while_several_servers_write() {
    let fresh = fresh().await;
    let mut from = cursor(&fresh.store).await;
    let mut writers = Vec::new();
    const RUNS: i64 = 150;
    for server in 0..3_i64 {
        let store = fresh.again().await;
        writers.push(tokio::spawn(async move {
            let mut runs = Vec::new();
            for i in 0..RUNS {
                runs.push(run(&store, &format!("{server}-{i}"), i).await.info.run_id);
                tokio::time::sleep(Duration::from_millis(7)).await;
            }
            // Its last changes are stored when it goes.
            store.close();
            runs
        }));
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut listener = fresh.store.listen();
    let listening = async {
        while seen.len() < 3 * RUNS as usize {
            let told = fresh.store.events(Some(from), vec![], 1000).await.unwrap();
            if told.next == from {
                listener.behind(from).await;
            }
            from = told.next;
            for run_id in told.events.into_iter().filter_map(|event| event.run_id) {
                *seen.entry(run_id).or_default() += 1;
            }
        }
    };
    let all = tokio::time::timeout(Duration::from_secs(60), listening).await;
    let mut written = BTreeSet::new();
    for writer in writers {
        written.extend(writer.await.unwrap());
    }
    assert!(all.is_ok(), "{} of {} changes were told", seen.len(), written.len());
    assert_eq!(seen.keys().cloned().collect::<BTreeSet<_>>(), written);
}
