//! Registered models, versions, stages and aliases; logged models.

use trackway_tracking::{
    Error, LoggedModelSearch, LoggedModelStatus, Metric, ModelVersion, NewLoggedModel, NewModelVersion, RegistrySearch,
    Store,
};

use crate::{fresh, param, point, run, tag};

async fn version(store: &Store, name: &str) -> ModelVersion {
    let new = NewModelVersion { name: name.to_owned(), source: "s3://b/p".to_owned(), ..NewModelVersion::default() };
    store.create_model_version(new).await.unwrap()
}

fn search(filter: &str) -> RegistrySearch {
    RegistrySearch { filter: filter.to_owned(), max_results: 100, ..RegistrySearch::default() }
}

#[tokio::test]
async fn versions_are_numbered_and_numbers_never_come_again() {
    let fresh = fresh().await;
    let store = &fresh.store;
    store.create_registered_model("m".to_owned(), String::new(), vec![]).await.unwrap();
    for number in 1..=3 {
        assert_eq!(version(store, "m").await.version, number);
    }
    store.set_alias("m".to_owned(), "champ".to_owned(), 3).await.unwrap();
    store.delete_model_version("m".to_owned(), 3).await.unwrap();
    assert!(matches!(store.get_version_by_alias("m".to_owned(), "champ".to_owned()).await, Err(Error::Invalid(_))));
    assert!(matches!(store.get_model_version("m".to_owned(), 3).await, Err(Error::NotFound(_))));
    assert_eq!(version(store, "m").await.version, 4);
    store.delete_registered_model("m".to_owned()).await.unwrap();
    store.create_registered_model("m".to_owned(), String::new(), vec![]).await.unwrap();
    assert_eq!(version(store, "m").await.version, 1, "a new model counts anew");
}

#[tokio::test]
async fn stages_archive_what_was_there() {
    let fresh = fresh().await;
    let store = &fresh.store;
    store.create_registered_model("m".to_owned(), String::new(), vec![]).await.unwrap();
    for _ in 0..3 {
        version(store, "m").await;
    }
    store.transition_stage("m".to_owned(), 1, "production", false).await.unwrap();
    let moved = store.transition_stage("m".to_owned(), 2, "Production", true).await.unwrap();
    assert_eq!(moved.stage, "Production");
    let first = store.get_model_version("m".to_owned(), 1).await.unwrap();
    assert_eq!((first.stage.as_str(), first.last_update_time), ("Archived", moved.last_update_time));
    let latest = store.get_latest_versions("m".to_owned(), vec![]).await.unwrap();
    assert_eq!(
        latest.iter().map(|v| (v.version, v.stage.as_str())).collect::<Vec<_>>(),
        [(1, "Archived"), (2, "Production"), (3, "None")]
    );
    let latest = store.get_latest_versions("m".to_owned(), vec!["PRODUCTION".to_owned()]).await.unwrap();
    assert_eq!(latest.len(), 1);
    assert!(matches!(store.transition_stage("m".to_owned(), 1, "Live", false).await, Err(Error::Invalid(_))));
    assert!(matches!(store.transition_stage("m".to_owned(), 1, "None", true).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn rename_takes_everything_along() {
    let fresh = fresh().await;
    let store = &fresh.store;
    store.create_registered_model("a".to_owned(), "d".to_owned(), vec![tag("t", "1")]).await.unwrap();
    store.create_registered_model("taken".to_owned(), String::new(), vec![]).await.unwrap();
    version(store, "a").await;
    store.set_model_version_tag("a".to_owned(), 1, tag("k", "v")).await.unwrap();
    store.set_alias("a".to_owned(), "champ".to_owned(), 1).await.unwrap();
    assert!(matches!(
        store.rename_registered_model("a".to_owned(), "taken".to_owned()).await,
        Err(Error::AlreadyExists(_))
    ));
    let renamed = store.rename_registered_model("a".to_owned(), "b".to_owned()).await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.tags.len(), renamed.aliases.len()), ("b", 1, 1));
    let version = store.get_version_by_alias("b".to_owned(), "champ".to_owned()).await.unwrap();
    assert_eq!(
        (version.name.as_str(), version.tags, version.aliases),
        ("b", vec![tag("k", "v")], vec!["champ".to_owned()])
    );
    assert!(matches!(store.get_registered_model("a".to_owned()).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn prompts_hide_among_models() {
    let fresh = fresh().await;
    let store = &fresh.store;
    store.create_registered_model("model".to_owned(), String::new(), vec![]).await.unwrap();
    store
        .create_registered_model("prompt".to_owned(), String::new(), vec![tag("mlflow.prompt.is_prompt", "true")])
        .await
        .unwrap();
    let names = async |filter: &str| {
        let page = store.search_registered_models(search(filter)).await.unwrap();
        page.items.into_iter().map(|model| model.name).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["model"]);
    assert_eq!(names("tags.`mlflow.prompt.is_prompt` != 'true'").await, ["model"]);
    assert_eq!(names("tags.`mlflow.prompt.is_prompt` = 'true'").await, ["prompt"]);
    assert!(store.get_registered_model("prompt".to_owned()).await.unwrap().is_prompt());
}

#[tokio::test]
async fn logged_models_keep_their_own_metrics() {
    let fresh = fresh().await;
    let store = &fresh.store;
    let run_id = run(store, "r", 1).await.info.run_id;
    let new = |name: &str| NewLoggedModel {
        name: name.to_owned(),
        params: vec![param("p", "1")],
        ..NewLoggedModel::default()
    };
    let a = store.create_logged_model(new("a")).await.unwrap();
    let b = store.create_logged_model(new("b")).await.unwrap();
    assert_eq!(a.artifact_uri, format!("mlflow-artifacts:/0/models/{}/artifacts", a.model_id));
    let about = |model: &str, value: f64| Metric { model_id: Some(model.to_owned()), ..point("acc", 0, 0, value) };
    store
        .log_batch(run_id.clone(), vec![about(&a.model_id, 0.9), about(&b.model_id, 0.5)], vec![], vec![])
        .await
        .unwrap();
    let missing = store.log_metric(run_id, about("m-missing", 1.0)).await.unwrap_err();
    assert!(missing.to_string().contains("m-missing"), "{missing}");
    let ready = store.finalize_logged_model(a.model_id.clone(), LoggedModelStatus::Ready).await.unwrap();
    assert_eq!((ready.status, ready.metrics.len(), ready.params.len()), (LoggedModelStatus::Ready, 1, 1));
    let names = async |filter: &str| {
        let search = LoggedModelSearch {
            experiment_ids: vec![0],
            filter: filter.to_owned(),
            max_results: 10,
            ..LoggedModelSearch::default()
        };
        let page = store.search_logged_models(search).await.unwrap();
        page.items.into_iter().map(|model| model.name).collect::<Vec<_>>()
    };
    assert_eq!(names("metrics.acc > 0.7").await, ["a"]);
    assert_eq!(names("status = 2").await, ["a"]);
    assert_eq!(names("name = 'b' AND params.p = '1'").await, ["b"]);
    store.log_logged_model_params(a.model_id.clone(), vec![param("p", "1")]).await.unwrap();
    assert!(matches!(
        store.log_logged_model_params(a.model_id.clone(), vec![param("p", "2")]).await,
        Err(Error::BadRequest(_))
    ));
    store.delete_logged_model(a.model_id.clone()).await.unwrap();
    store.delete_logged_model(a.model_id.clone()).await.unwrap();
    assert!(matches!(store.get_logged_model(a.model_id).await, Err(Error::NotFound(_))));
}
