//! Experiments and runs through their lives.

use trackway_tracking::{
    Dataset, DatasetInput, Error, ExperimentSearch, Lifecycle, NewRun, RunStatus, RunUpdate, ViewType,
};

use crate::{fresh, param, point, run, tag};

#[tokio::test]
async fn everything_of_a_run_comes_back_after_a_restart() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let experiment = store.create_experiment("e".to_owned(), None, vec![tag("team", "a")]).await.unwrap();
    let new = NewRun {
        experiment_id: experiment,
        user_id: "u".to_owned(),
        start_time: 7,
        tags: vec![tag("k", "v")],
        name: String::new(),
    };
    let created = store.create_run(new).await.unwrap();
    let id = created.info.run_id.clone();
    assert_eq!(created.info.artifact_uri, format!("mlflow-artifacts:/{experiment}/{id}/artifacts"));
    store.log_batch(id.clone(), vec![point("m", 1, 2, 3.0)], vec![param("p", "1")], vec![tag("t", "2")]).await.unwrap();
    let dataset = Dataset {
        name: "d".into(),
        digest: "x".into(),
        source_type: "local".into(),
        source: "{}".into(),
        schema: None,
        profile: Some("{}".into()),
    };
    let input = DatasetInput { dataset, tags: vec![tag("mlflow.data.context", "train")] };
    store.log_inputs(id.clone(), vec![input.clone()], vec!["m-1".to_owned()]).await.unwrap();
    store.log_outputs(id.clone(), vec![("m-2".to_owned(), 3)]).await.unwrap();
    let before = store.get_run(id.clone()).await.unwrap();
    store.close();
    let again = fresh.again().await;
    let after = again.get_run(id).await.unwrap();
    assert_eq!(before, after);
    assert_eq!(after.params, [param("p", "1")]);
    assert_eq!(after.datasets, [input]);
    assert_eq!((after.model_inputs, after.model_outputs), (vec!["m-1".to_owned()], vec![("m-2".to_owned(), 3)]));
    assert!(after.tags.contains(&tag("mlflow.runName", &after.info.name)), "a made-up name is a tag too");
}

#[tokio::test]
async fn params_never_change_and_a_batch_is_all_or_nothing() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let id = run(store, "r", 1).await.info.run_id;
    store.log_param(id.clone(), param("p", "1")).await.unwrap();
    store.log_param(id.clone(), param("p", "1")).await.unwrap();
    let error = store.log_param(id.clone(), param("p", "2")).await.unwrap_err();
    assert!(error.to_string().starts_with("Changing param values is not allowed. Param with key='p'"), "{error}");
    let error = store
        .log_batch(id.clone(), vec![point("m", 0, 0, 1.0)], vec![param("q", "1"), param("p", "2")], vec![tag("t", "1")])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    let stored = store.get_run(id.clone()).await.unwrap();
    assert_eq!((stored.params, stored.metrics.len()), (vec![param("p", "1")], 0));
    let error = store.log_batch(id, vec![], vec![param("x", "1"), param("x", "1")], vec![]).await.unwrap_err();
    assert!(error.to_string().starts_with("Duplicate parameter keys"), "{error}");
}

#[tokio::test]
async fn name_and_name_tag_stay_in_step() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let id = run(store, "one", 1).await.info.run_id;
    let name = async || {
        let run = store.get_run(id.clone()).await.unwrap();
        let tagged = run.tags.iter().find(|tag| tag.key == "mlflow.runName").map(|tag| tag.value.clone());
        (run.info.name, tagged)
    };
    assert_eq!(name().await, ("one".to_owned(), Some("one".to_owned())));
    store.set_tag(id.clone(), tag("mlflow.runName", "two")).await.unwrap();
    assert_eq!(name().await, ("two".to_owned(), Some("two".to_owned())));
    let update = RunUpdate { name: Some("three".to_owned()), ..RunUpdate::default() };
    store.update_run(id.clone(), update).await.unwrap();
    assert_eq!(name().await, ("three".to_owned(), Some("three".to_owned())));
    store.delete_tag(id.clone(), "mlflow.runName".to_owned()).await.unwrap();
    assert_eq!(name().await, ("three".to_owned(), None));
}

#[tokio::test]
async fn deleted_runs_take_no_writes_until_restored() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let id = run(store, "r", 1).await.info.run_id;
    store.delete_run(id.clone()).await.unwrap();
    store.delete_run(id.clone()).await.unwrap();
    let error = store.log_metric(id.clone(), point("m", 0, 0, 1.0)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("The run {id} must be in the 'active' state. Current state is deleted."));
    store.restore_run(id.clone()).await.unwrap();
    store.log_metric(id.clone(), point("m", 0, 0, 1.0)).await.unwrap();
    let update = RunUpdate { status: Some(RunStatus::Killed), end_time: Some(9), name: None };
    let info = store.update_run(id, update).await.unwrap();
    assert_eq!((info.status, info.end_time), (RunStatus::Killed, Some(9)));
    let error = store.get_run("nope".to_owned()).await.unwrap_err();
    assert_eq!(error, Error::NotFound("Run with id=nope not found".to_owned()));
}

#[tokio::test]
async fn experiments_take_their_runs_along() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let id = store.create_experiment("e".to_owned(), Some("s3://b/x?v=1".to_owned()), vec![]).await.unwrap();
    let new = NewRun { experiment_id: id, ..NewRun::default() };
    let run = store.create_run(new.clone()).await.unwrap().info;
    assert_eq!(run.artifact_uri, format!("s3://b/x/{}/artifacts?v=1", run.run_id));
    store.delete_experiment(id).await.unwrap();
    assert!(store.delete_experiment(id).await.is_err());
    assert!(matches!(store.create_run(new).await, Err(Error::Invalid(_))));
    assert!(matches!(store.create_experiment("e".to_owned(), None, vec![]).await, Err(Error::AlreadyExists(_))));
    assert_eq!(store.get_run(run.run_id.clone()).await.unwrap().info.lifecycle, Lifecycle::Deleted);
    assert_eq!(store.get_experiment_by_name("e".to_owned()).await.unwrap().lifecycle, Lifecycle::Deleted);
    assert!(matches!(store.rename_experiment(id, "f".to_owned()).await, Err(Error::InvalidState(_))));
    store.restore_experiment(id).await.unwrap();
    assert_eq!(store.get_run(run.run_id).await.unwrap().info.lifecycle, Lifecycle::Active);
    let names = async |view| {
        let search = ExperimentSearch {
            max_results: 10,
            view,
            order_by: vec!["name".to_owned()],
            ..ExperimentSearch::default()
        };
        let page = store.search_experiments(search).await.unwrap();
        page.items.into_iter().map(|experiment| experiment.name).collect::<Vec<_>>()
    };
    assert_eq!(names(ViewType::ActiveOnly).await, ["Default", "e"]);
    store.delete_experiment(0).await.unwrap();
    assert_eq!(names(ViewType::DeletedOnly).await, ["Default"]);
    assert_eq!(names(ViewType::All).await, ["Default", "e"]);
}
