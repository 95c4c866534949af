//! Purging: all that hangs on a thing goes, nothing else does, and of a purge and a restore one wins.

use trackway_tracking::{
    Begun, Dataset, DatasetInput, Lifecycle, LoggedModelStatus, NewLoggedModel, NewModelVersion, NewRun, PurgeRules,
    Purgeable, RunSearch, RunStatus, RunUpdate, Store, ViewType,
};

use crate::{fresh, param, point, run, tag};

const ANY: PurgeRules = PurgeRules { deleted_before: i64::MAX, keep_registered: true };

/// The ids of what may be purged, page by page.
async fn listed(store: &Store, kind: Purgeable) -> Vec<String> {
    let (mut ids, mut after) = (vec![], None);
    loop {
        let (page, next) = store.list_deleted(kind, i64::MAX, after, 2).await.unwrap();
        assert!(page.len() <= 2);
        ids.extend(page.into_iter().map(|deleted| deleted.id));
        if next.is_none() {
            return ids;
        }
        after = next;
    }
}

async fn begin(store: &Store, kind: Purgeable, id: &str) -> Begun {
    store.begin_purge(kind, vec![id.to_owned()], ANY).await.unwrap().remove(0)
}

async fn finish(store: &Store, kind: Purgeable, id: &str) -> bool {
    store.finish_purge(kind, vec![id.to_owned()]).await.unwrap().remove(0)
}

async fn purge(store: &Store, kind: Purgeable, id: &str) {
    let begun = begin(store, kind, id).await;
    assert!(matches!(begun, Begun::Yes(_)), "{begun:?}");
    assert!(finish(store, kind, id).await);
}

fn dataset(name: &str) -> DatasetInput {
    let text = |text: &str| text.to_owned();
    let dataset = Dataset { name: text(name), digest: text("x"), source: text("{}"), ..Dataset::default() };
    DatasetInput { dataset, tags: vec![tag("mlflow.data.context", "train")] }
}

/// A run with some of everything, on SQLite more than fits in one slice.
async fn full_run(store: &Store, experiment_id: i64, name: &str) -> String {
    let new = NewRun { experiment_id, name: name.to_owned(), ..NewRun::default() };
    let id = store.create_run(new).await.unwrap().info.run_id;
    // New names cost PostgreSQL a commit each.
    for part in 0..if crate::ONE_WRITER { 9 } else { 1 } {
        let metrics = (0..600).map(|key| point(&format!("m{part}.{key}"), 1, 1, f64::from(key))).collect();
        store.log_batch(id.clone(), metrics, vec![param(&format!("p{part}"), "1")], vec![tag("t", "1")]).await.unwrap();
    }
    for part in 0..10 {
        let metrics = (0..900).map(|step| point("long", part * 900 + step, step, 0.5)).collect();
        store.log_batch(id.clone(), metrics, vec![], vec![]).await.unwrap();
    }
    store.log_inputs(id.clone(), vec![dataset(name), dataset("shared")], vec!["m-1".to_owned()]).await.unwrap();
    store.log_outputs(id.clone(), vec![("m-1".to_owned(), 1)]).await.unwrap();
    let uri = store.get_run_info(id.clone()).await.unwrap().artifact_uri;
    store.note_artifact(uri, "model/MLmodel".to_owned(), 7, None).await.unwrap();
    let ended = RunUpdate { status: Some(RunStatus::Finished), ..RunUpdate::default() };
    store.update_run(id.clone(), ended).await.unwrap();
    id
}

#[tokio::test]
async fn a_purged_run_leaves_nothing_and_takes_nothing_of_others() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let experiment = store.create_experiment("e".to_owned(), None, vec![]).await.unwrap();
    let (gone, stays) = (full_run(store, experiment, "gone").await, full_run(store, experiment, "stays").await);
    let (before, rows) = (store.get_run(stays.clone()).await.unwrap(), fresh.rows());
    assert_eq!(begin(store, Purgeable::Run, &gone).await, Begun::Gone, "an active run is not purged");
    store.delete_run(gone.clone()).await.unwrap();
    assert!(store.weigh(Purgeable::Run, vec![gone.clone()]).await.unwrap()[0].bytes > 10_000);
    purge(store, Purgeable::Run, &gone).await;
    assert!(store.get_run(gone.clone()).await.is_err());
    assert_eq!(store.get_run(stays.clone()).await.unwrap(), before);
    let names = |sets: Vec<trackway_tracking::DatasetSummary>| sets.into_iter().map(|set| set.name).collect::<Vec<_>>();
    assert_eq!(names(store.search_datasets(vec![experiment]).await.unwrap()), ["shared", "stays"]);
    assert_eq!(store.metric_history(stays.clone(), "long".to_owned(), None, None).await.unwrap().items.len(), 9000);
    assert!(!finish(store, Purgeable::Run, &gone).await, "it is purged once");
    // Each table lost its half, and names of metrics are kept.
    for (table, before) in rows {
        // Points move from blocks to chunks meanwhile.
        if table.starts_with("metric_") {
            continue;
        }
        let now = fresh.rows().into_iter().find(|(name, _)| *name == table).unwrap().1;
        let halved = if table == "dataset" { 2 } else { before / 2 };
        assert_eq!(now, halved, "{table} had {before} rows");
    }
    store.delete_run(stays.clone()).await.unwrap();
    purge(store, Purgeable::Run, &stays).await;
    assert!(fresh.rows().into_iter().all(|(_, rows)| rows == 0), "{:?}", fresh.rows());
}

#[tokio::test]
async fn what_is_begun_is_not_restored_and_not_shown() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let id = run(store, "r", 1).await.info.run_id;
    store.delete_run(id.clone()).await.unwrap();
    let early = PurgeRules { deleted_before: 5, ..ANY };
    let begun = store.begin_purge(Purgeable::Run, vec![id.clone()], early).await.unwrap();
    assert_eq!(begun, [Begun::Gone], "it was deleted later than that");
    assert!(matches!(begin(store, Purgeable::Run, &id).await, Begun::Yes(_)));
    assert!(matches!(begin(store, Purgeable::Run, &id).await, Begun::Yes(_)), "what was broken off is begun again");
    let error = store.restore_run(id.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("The run {id} is being purged and can no longer be restored."));
    store.delete_run(id.clone()).await.unwrap();
    let error = store.log_metric(id.clone(), point("m", 0, 0, 1.0)).await.unwrap_err();
    assert!(error.to_string().contains("Current state is deleted"), "{error}");
    let search = RunSearch { experiment_ids: vec![0], view: ViewType::All, max_results: 9, ..RunSearch::default() };
    assert!(store.search_runs(search).await.unwrap().items.is_empty());
    // Its experiment's coming and going does not bring it back.
    store.delete_experiment(0).await.unwrap();
    store.restore_experiment(0).await.unwrap();
    assert!(store.restore_run(id.clone()).await.is_err());
    let found = store.list_deleted(Purgeable::Run, 5, None, 9).await.unwrap().0;
    assert_eq!((found.len(), found[0].begun, &found[0].id), (1, true, &id), "whatever its age, it is found again");
    assert!(finish(store, Purgeable::Run, &id).await);
}

#[tokio::test]
async fn an_experiment_goes_with_its_runs_and_models() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let experiment = store.create_experiment("e".to_owned(), None, vec![tag("k", "v")]).await.unwrap();
    let name = experiment.to_string();
    let first = full_run(store, experiment, "a").await;
    let second = full_run(store, experiment, "b").await;
    let model = NewLoggedModel { experiment_id: experiment, tags: vec![tag("k", "v")], ..NewLoggedModel::default() };
    let model = store.create_logged_model(model).await.unwrap().model_id;
    let about = trackway_tracking::Metric { model_id: Some(model.clone()), ..point("m", 1, 1, 1.0) };
    store.log_metric(first.clone(), about).await.unwrap();
    store.delete_experiment(experiment).await.unwrap();
    store.restore_run(first.clone()).await.unwrap();
    let Begun::Kept(why) = begin(store, Purgeable::Experiment, &name).await else { panic!("it has an active run") };
    assert_eq!(why, format!("its run {first} was restored; delete the run, or restore the experiment"));
    store.delete_run(first.clone()).await.unwrap();

    assert_eq!(listed(store, Purgeable::Experiment).await, std::slice::from_ref(&name));
    assert!(listed(store, Purgeable::LoggedModel).await.is_empty());
    store.delete_logged_model(model.clone()).await.unwrap();
    assert_eq!(listed(store, Purgeable::LoggedModel).await, std::slice::from_ref(&model));
    let ids = vec![name.clone(), "x".to_owned()];
    assert!(store.weigh(Purgeable::Experiment, ids).await.unwrap()[0].bytes > 200);
    assert!(store.weigh(Purgeable::LoggedModel, vec![model.clone()]).await.unwrap()[0].bytes > 300);
    assert_eq!(store.get_deleted(Purgeable::Experiment, name.clone()).await.unwrap().unwrap().id, name);
    assert!(store.get_deleted(Purgeable::Experiment, "x".to_owned()).await.unwrap().is_none());
    assert!(matches!(begin(store, Purgeable::Experiment, &name).await, Begun::Yes(_)));
    assert!(store.restore_run(second.clone()).await.is_err(), "a run goes with its experiment");
    let error = store.restore_experiment(experiment).await.unwrap_err();
    assert!(error.to_string().contains("is being purged"), "{error}");
    assert!(!finish(store, Purgeable::Experiment, &name).await, "its runs come first");
    for run in store.list_of_experiment(Purgeable::Run, experiment).await.unwrap() {
        purge(store, Purgeable::Run, &run.id).await;
    }
    purge(store, Purgeable::LoggedModel, &model).await;
    assert!(finish(store, Purgeable::Experiment, &name).await);
    assert!(store.get_experiment(experiment).await.is_err());
    assert!(fresh.rows().into_iter().all(|(_, rows)| rows == 0), "{:?}", fresh.rows());
    // Its name is free, and its number is not given again.
    assert!(store.create_experiment("e".to_owned(), None, vec![]).await.unwrap() > experiment);
}

#[tokio::test]
async fn what_a_registered_version_or_another_experiment_uses_stays_if_asked() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let run = run(store, "r", 1).await.info;
    let model = store.create_logged_model(NewLoggedModel::default()).await.unwrap();
    store.finalize_logged_model(model.model_id.clone(), LoggedModelStatus::Ready).await.unwrap();
    store.create_registered_model("wine".to_owned(), String::new(), vec![]).await.unwrap();
    for source in [format!("{}/model", run.artifact_uri), format!("models:/{}", model.model_id)] {
        let new = NewModelVersion { name: "wine".to_owned(), source, ..NewModelVersion::default() };
        store.create_model_version(new).await.unwrap();
    }
    store.delete_run(run.run_id.clone()).await.unwrap();
    store.delete_logged_model(model.model_id.clone()).await.unwrap();
    for (kind, id, version) in [(Purgeable::Run, &run.run_id, 1), (Purgeable::LoggedModel, &model.model_id, 2)] {
        let kept = Begun::Kept(format!("version {version} of the registered model 'wine' uses its files"));
        assert_eq!(begin(store, kind, id).await, kept);
        store.delete_model_version("wine".to_owned(), version).await.unwrap();
        purge(store, kind, id).await;
    }
    // The numbers of deleted versions are not given again.
    let new = NewModelVersion { name: "wine".to_owned(), source: "s3://b/m".to_owned(), ..NewModelVersion::default() };
    assert_eq!(store.create_model_version(new).await.unwrap().version, 3);

    let outer = crate::run(store, "outer", 1).await.info;
    let inside = format!("{}/shared", outer.artifact_uri);
    let inner = store.create_experiment("inner".to_owned(), Some(inside), vec![]).await.unwrap();
    store.delete_run(outer.run_id.clone()).await.unwrap();
    let rules = PurgeRules { keep_registered: false, ..ANY };
    let begun = store.begin_purge(Purgeable::Run, vec![outer.run_id], rules).await.unwrap();
    assert_eq!(begun, [Begun::Kept(format!("experiment {inner} keeps its artifacts inside of it"))]);
}

#[tokio::test]
async fn of_a_purge_and_a_restore_one_wins() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let other = fresh.again().await;
    for _ in 0..20 {
        let id = run(store, "r", 1).await.info.run_id;
        store.delete_run(id.clone()).await.unwrap();
        let (begun, restored) = tokio::join!(begin(store, Purgeable::Run, &id), other.restore_run(id.clone()));
        match begun {
            Begun::Yes(_) => {
                assert!(restored.is_err(), "both won");
                assert!(finish(store, Purgeable::Run, &id).await);
            }
            Begun::Gone => {
                restored.unwrap();
                assert_eq!(store.get_run(id).await.unwrap().info.lifecycle, Lifecycle::Active);
            }
            Begun::Kept(why) => panic!("{why}"),
        }
    }
}

#[tokio::test]
async fn several_purges_at_once_take_each_thing_once_while_others_write() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let other = fresh.again().await;
    let mut ids = vec![];
    for number in 0..30 {
        let id = run(store, "r", number).await.info.run_id;
        store.log_inputs(id.clone(), vec![dataset("shared"), dataset(&number.to_string())], vec![]).await.unwrap();
        store.delete_run(id.clone()).await.unwrap();
        ids.push(id);
    }
    let mut found = listed(store, Purgeable::Run).await;
    found.sort();
    let mut expected = ids.clone();
    expected.sort();
    assert_eq!(found, expected);
    let work = async |store: &Store| {
        store.begin_purge(Purgeable::Run, ids.clone(), ANY).await.unwrap();
        store.finish_purge(Purgeable::Run, ids.clone()).await.unwrap().into_iter().filter(|taken| *taken).count()
    };
    let writes = async {
        let mut runs = vec![];
        for number in 0..20 {
            let id = run(store, "w", number).await.info.run_id;
            store.log_inputs(id.clone(), vec![dataset("shared")], vec![]).await.unwrap();
            runs.push(id);
        }
        runs
    };
    let (first, second, written) = tokio::join!(work(store), work(&other), writes);
    assert_eq!(first + second, ids.len());
    assert_eq!(listed(store, Purgeable::Run).await, Vec::<String>::new());
    for id in written {
        let names: Vec<_> =
            store.get_run(id).await.unwrap().datasets.into_iter().map(|input| input.dataset.name).collect();
        assert_eq!(names, ["shared"], "a dataset that is in use went with a run");
    }
}
