//! The queries of MLflow's pages, and what else may come, against a real store. The answers are typed in from MLflow 3.17.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use http::{Request, header};
use serde_json::{Value, json};
use tower::ServiceExt;
use trackway_tracking::{
    Dataset, DatasetInput, Metric, NewModelVersion, NewRun, Options, Param, RunStatus, RunUpdate, Store, Tag,
};

use crate::artifacts::ArtifactService;
use crate::config::Config;
use crate::state::AppState;

struct Served {
    _dir: tempfile::TempDir,
    root: String,
    store: Store,
    router: Router,
}

async fn serve() -> Served {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("artifacts").to_str().unwrap().to_owned();
    let store =
        Store::open(&trackway_tracking::Backend::Sqlite(dir.path().join("test.db")), &root, &Options::default())
            .await
            .unwrap();
    let config = Config { artifacts_destination: root.clone(), ..Config::default() };
    let artifacts = Arc::new(ArtifactService::open(&config, &root, None).await.unwrap());
    let app = AppState { store: store.clone(), artifacts, draining: Default::default(), listeners: Default::default() };
    let route = post(super::post).layer(DefaultBodyLimit::max(super::LARGEST_REQUEST));
    Served { _dir: dir, root, store, router: Router::new().route("/graphql", route).with_state(app) }
}

impl Served {
    async fn send(&self, body: String) -> (u16, Value) {
        let request = Request::post("/graphql").header(header::CONTENT_TYPE, "application/json");
        let response = self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// The answer to a request that must have status 200.
    async fn ask(&self, query: &str, variables: Value) -> Value {
        let (status, answer) = self.send(json!({ "query": query, "variables": variables }).to_string()).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The data of a request without errors.
    async fn data(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.ask(query, variables).await;
        assert_eq!(answer["errors"], Value::Null, "{query}");
        answer["data"].take()
    }

    async fn refused(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.ask(query, variables).await;
        assert_eq!(answer["data"], Value::Null, "{query}");
        answer["errors"].take()
    }

    async fn run(&self, experiment_id: i64, name: &str) -> String {
        let (user_id, name) = ("u".to_owned(), name.to_owned());
        let new = NewRun { experiment_id, user_id, start_time: 1_700_000_000_000, tags: Vec::new(), name };
        self.store.create_run(new).await.unwrap().info.run_id
    }
}

fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.to_owned(), value: value.to_owned() }
}

fn point(key: &str, step: i64, value: f64) -> Metric {
    Metric { key: key.to_owned(), value, timestamp: 1000 + step, step, ..Metric::default() }
}

const GET_EXPERIMENT: &str = r#"query MlflowGetExperimentQuery($input: MlflowGetExperimentInput!)
    @component(name: "MLflow.ExperimentRunTracking") {
  mlflowGetExperiment(input: $input) {
    apiError { code message }
    experiment { artifactLocation effectiveTraceArchivalRetention experimentId lifecycleStage name tags { key value } }
  }
}"#;

#[test]
fn the_schema_is_valid() {
    assert_eq!(super::SCHEMA.schema_definition.mutation.as_ref().unwrap().as_str(), "Mutation");
}

#[tokio::test]
async fn an_experiment() {
    let served = serve().await;
    let location = Some("s3://bucket/e".to_owned());
    let id = served.store.create_experiment("e2".to_owned(), location, vec![tag("b", "2")]).await.unwrap();
    assert_eq!(
        served.data(GET_EXPERIMENT, json!({ "input": { "experimentId": id.to_string() } })).await,
        json!({ "mlflowGetExperiment": {
            "apiError": null,
            "experiment": {
                "artifactLocation": "s3://bucket/e", "effectiveTraceArchivalRetention": "", "experimentId": "1",
                "lifecycleStage": "active", "name": "e2", "tags": [{ "key": "b", "value": "2" }],
            },
        } })
    );
    let times = "{ mlflowGetExperiment(input: {experimentId: \"0\"}) { experiment { creationTime tags { key } } } }";
    let default = served.data(times, Value::Null).await;
    let experiment = &default["mlflowGetExperiment"]["experiment"];
    assert!(experiment["creationTime"].as_str().unwrap().parse::<i64>().unwrap() > 1_700_000_000_000);
    assert_eq!(experiment["tags"], json!([]));
    assert_eq!(
        served.ask(GET_EXPERIMENT, json!({ "input": { "experimentId": "99" } })).await,
        json!({ "data": { "mlflowGetExperiment": null }, "errors": ["No Experiment with id=99 exists"] })
    );
}

const RUN: &str = "
    info { runName status runUuid experimentId endTime lifecycleStage startTime userId }
    experiment { experimentId name tags { key value } lifecycleStage }
    data { metrics { key value step timestamp } params { key value } tags { key value } }
    inputs {
      datasetInputs { dataset { digest name profile schema source sourceType } tags { key value } }
      modelInputs { modelId }
    }
    outputs { modelOutputs { modelId step } }
    modelVersions { version name status source }";

#[tokio::test]
async fn a_run() {
    let served = serve().await;
    let run_id = served.run(0, "fin").await;
    let query = format!(
        "query GetRun($data: MlflowGetRunInput!) {{
            mlflowGetRun(input: $data) {{ apiError {{ helpUrl code message }} run {{ {RUN} }} }} }}"
    );
    let bare = json!({ "mlflowGetRun": { "apiError": null, "run": {
        "info": {
            "runName": "fin", "status": "RUNNING", "runUuid": run_id, "experimentId": "0", "endTime": "0",
            "lifecycleStage": "active", "startTime": "1700000000000", "userId": "u",
        },
        "experiment": { "experimentId": "0", "name": "Default", "tags": [], "lifecycleStage": "active" },
        "data": { "metrics": [], "params": [], "tags": [{ "key": "mlflow.runName", "value": "fin" }] },
        "inputs": { "datasetInputs": [], "modelInputs": [] },
        "outputs": { "modelOutputs": [] },
        "modelVersions": [],
    } } });
    assert_eq!(served.data(&query, json!({ "data": { "runId": run_id } })).await, bare);

    let store = &served.store;
    let metrics = vec![
        point("m", 2, 2.0),
        point("nan", 0, f64::NAN),
        point("inf", 0, f64::INFINITY),
        point("late", i64::MAX - 1000, -0.5),
    ];
    let params = vec![Param { key: "p".to_owned(), value: String::new() }];
    store.log_batch(run_id.clone(), metrics, params, Vec::new()).await.unwrap();
    let text = |text: &str| text.to_owned();
    let dataset = Dataset {
        name: text("ds"),
        digest: text("abc"),
        source_type: text("local"),
        source: text("s"),
        schema: None,
        profile: Some(text("{}")),
    };
    let input = DatasetInput { dataset, tags: vec![tag("mlflow.data.context", "train")] };
    store.log_inputs(run_id.clone(), vec![input], vec![text("m-in")]).await.unwrap();
    store.log_outputs(run_id.clone(), vec![(text("m-out"), 3)]).await.unwrap();
    store.create_registered_model(text("gq"), String::new(), Vec::new()).await.unwrap();
    let version = NewModelVersion {
        name: text("gq"),
        source: text("s3://b/m"),
        storage_location: None,
        run_id: run_id.clone(),
        run_link: String::new(),
        description: String::new(),
        model_id: String::new(),
        tags: Vec::new(),
    };
    store.create_model_version(version).await.unwrap();
    let end = RunUpdate { status: Some(RunStatus::Killed), end_time: Some(5), name: None };
    store.update_run(run_id.clone(), end).await.unwrap();

    let run = &served.data(&query, json!({ "data": { "runUuid": run_id } })).await["mlflowGetRun"]["run"];
    assert_eq!((&run["info"]["status"], &run["info"]["endTime"]), (&json!("KILLED"), &json!("5")));
    assert_eq!(
        run["data"]["metrics"],
        json!([
            { "key": "m", "value": 2.0, "step": "2", "timestamp": "1002" },
            { "key": "nan", "value": null, "step": "0", "timestamp": "1000" },
            { "key": "inf", "value": 1.797_693_134_862_315_7e308, "step": "0", "timestamp": "1000" },
            { "key": "late", "value": -0.5, "step": "9223372036854774807", "timestamp": "9223372036854775807" },
        ])
    );
    assert_eq!(run["data"]["params"], json!([{ "key": "p", "value": "" }]));
    assert_eq!(
        run["inputs"],
        json!({
            "datasetInputs": [{
                "dataset": {
                    "digest": "abc", "name": "ds", "profile": "{}", "schema": "", "source": "s", "sourceType": "local",
                },
                "tags": [{ "key": "mlflow.data.context", "value": "train" }],
            }],
            "modelInputs": [{ "modelId": "m-in" }],
        })
    );
    assert_eq!(run["outputs"], json!({ "modelOutputs": [{ "modelId": "m-out", "step": "3" }] }));
    assert_eq!(
        run["modelVersions"],
        json!([{ "version": "1", "name": "gq", "status": "READY", "source": "s3://b/m" }])
    );
    assert_eq!(
        served.ask(&query, json!({ "data": { "runId": "nope" } })).await,
        json!({ "data": { "mlflowGetRun": null }, "errors": ["Run with id=nope not found"] })
    );
}

#[tokio::test]
async fn runs_of_several_experiments() {
    let served = serve().await;
    let other = served.store.create_experiment("other".to_owned(), None, Vec::new()).await.unwrap();
    for (experiment, name) in [(0, "a"), (other, "b"), (other, "c")] {
        served.run(experiment, name).await;
    }
    let ask = "(input: {experimentIds: [\"0\", \"1\"], runViewType: ALL, orderBy: [\"run_name\"], maxResults: 2}) {
        runs { info { runName } experiment { name } modelVersions { name } } nextPageToken }";
    for operation in ["query", "mutation"] {
        let data = served.data(&format!("{operation} {{ mlflowSearchRuns{ask} }}"), json!({})).await;
        assert_eq!(
            data["mlflowSearchRuns"]["runs"],
            json!([
                { "info": { "runName": "a" }, "experiment": { "name": "Default" }, "modelVersions": [] },
                { "info": { "runName": "b" }, "experiment": { "name": "other" }, "modelVersions": [] },
            ])
        );
        let token = data["mlflowSearchRuns"]["nextPageToken"].as_str().unwrap();
        let next = "query N($t: String) { mlflowSearchRuns(input: {experimentIds: [\"0\", \"1\"], runViewType: ALL,
            orderBy: [\"run_name\"], maxResults: 2, pageToken: $t}) { runs { info { runName } } nextPageToken } }";
        assert_eq!(
            served.data(next, json!({ "t": token })).await,
            json!({ "mlflowSearchRuns": { "runs": [{ "info": { "runName": "c" } }], "nextPageToken": "" } })
        );
    }
    let wrong =
        served.ask("{ mlflowSearchRuns(input: {filter: \"bogus = 1\"}) { runs { info { runId } } } }", json!({}));
    let wrong = wrong.await;
    assert_eq!(wrong["data"], json!({ "mlflowSearchRuns": null }));
    assert!(wrong["errors"][0].as_str().unwrap().contains("bogus"), "{wrong}");
}

#[tokio::test]
async fn points_of_a_chart() {
    let served = serve().await;
    let run_id = served.run(0, "r").await;
    let points = (0..6).map(|step| point("z", step, step as f64 * 1.5)).chain([point("z", 6, f64::NAN)]).collect();
    served.store.log_batch(run_id.clone(), points, Vec::new(), Vec::new()).await.unwrap();
    let query = "query GetMetricHistoryBulkInterval($data: MlflowGetMetricHistoryBulkIntervalInput!) {
        mlflowGetMetricHistoryBulkInterval(input: $data) {
            __typename metrics { timestamp step runId key value } apiError { code message } } }";
    let mut data = served
        .data(query, json!({ "data": { "runIds": [run_id, "nope"], "metricKey": "z", "maxResults": 320 } }))
        .await;
    let mut answer = data["mlflowGetMetricHistoryBulkInterval"].take();
    let expected: Vec<Value> = [Some(0.0), Some(1.5), Some(3.0), Some(4.5), Some(6.0), Some(7.5), None]
        .iter()
        .enumerate()
        .map(|(step, value)| {
            let (timestamp, step) = ((1000 + step).to_string(), step.to_string());
            json!({ "timestamp": timestamp, "step": step, "runId": run_id, "key": "z", "value": value })
        })
        .collect();
    assert_eq!(answer["metrics"].take(), Value::Array(expected));
    assert_eq!(answer["__typename"], "MlflowGetMetricHistoryBulkIntervalResponse");

    let none = served.data(query, json!({ "data": { "runIds": [run_id], "metricKey": "none" } })).await;
    assert_eq!(none["mlflowGetMetricHistoryBulkInterval"]["metrics"], json!([]));
    let many = served.ask(query, json!({ "data": { "runIds": [run_id], "metricKey": "z", "maxResults": 2501 } })).await;
    assert_eq!(many["data"], json!({ "mlflowGetMetricHistoryBulkInterval": null }));
    assert!(many["errors"][0].as_str().unwrap().starts_with("max_results must be between 1 and 2500."));
}

#[tokio::test]
async fn artifacts_datasets_and_versions() {
    let served = serve().await;
    let run_id = served.run(0, "r").await;
    let folder = std::path::Path::new(&served.root).join("0").join(&run_id).join("artifacts");
    std::fs::create_dir_all(folder.join("d")).unwrap();
    std::fs::write(folder.join("a.txt"), "hello").unwrap();
    let list = "query L($i: MlflowListArtifactsInput!) { mlflowListArtifacts(input: $i) {
        files { path isDir fileSize } nextPageToken apiError { code message } } }";
    assert_eq!(
        served.data(list, json!({ "i": { "runId": run_id } })).await,
        json!({ "mlflowListArtifacts": {
            "files": [
                { "path": "a.txt", "isDir": false, "fileSize": "5" },
                { "path": "d", "isDir": true, "fileSize": "0" },
            ],
            "nextPageToken": "", "apiError": null,
        } })
    );
    assert_eq!(
        served.ask(list, json!({ "i": { "runId": run_id, "path": "../x" } })).await,
        json!({ "data": { "mlflowListArtifacts": null }, "errors": ["Invalid path"] })
    );

    let versions = "{ mlflowSearchModelVersions(input: {filter: \"name='none'\", maxResults: 5}) {
        modelVersions { name aliases } nextPageToken } }";
    assert_eq!(
        served.data(versions, json!({})).await,
        json!({ "mlflowSearchModelVersions": { "modelVersions": [], "nextPageToken": "" } })
    );
    let datasets =
        "mutation { mlflowSearchDatasets(input: {experimentIds: []}) { datasetSummaries { name context } } }";
    assert_eq!(
        served.ask(datasets, json!({})).await,
        json!({
            "data": { "mlflowSearchDatasets": null },
            "errors": ["SearchDatasets request must specify at least one experiment_id."],
        })
    );
}

#[tokio::test]
async fn the_language() {
    let served = serve().await;
    let query = "query A($skip: Boolean!) {
            a: mlflowGetExperiment(input: {experimentId: \"0\"}) { experiment { ...F __typename lifecycleStage @skip(if: $skip) } }
            ... on Query { __typename }
        }
        query B { __typename }
        fragment F on MlflowExperiment { n: name }";
    let body = json!({ "query": query, "operationName": "A", "variables": { "skip": true } });
    let expected =
        json!({ "a": { "experiment": { "n": "Default", "__typename": "MlflowExperiment" } }, "__typename": "Query" });
    assert_eq!(served.send(body.to_string()).await, (200, json!({ "data": expected, "errors": null })));
    let schema =
        served.data("{ __schema { queryType { name } } __type(name: \"MlflowParam\") { kind } }", json!({})).await;
    assert_eq!(schema, json!({ "__schema": { "queryType": { "name": "Query" } }, "__type": { "kind": "OBJECT" } }));
}

#[tokio::test]
async fn mistakes_are_told_as_mlflow_tells_them() {
    let served = serve().await;
    for (query, error) in [
        ("{ bogus }", "Cannot query field 'bogus' on type 'Query'."),
        ("{ ...X }", "Unknown fragment 'X'."),
        ("fragment F on Query { __typename } { __typename }", "Fragment 'F' is never used."),
        (
            "{ mlflowGetRun(input: {runIdd: \"x\"}) { run { info { runId } } } }",
            "Field 'runIdd' is not defined by type 'MlflowGetRunInput'.",
        ),
        ("{ mlflowGetRun(input: {runId: $x}) { run { info { runId } } } }", "Variable '$x' is not defined."),
        (
            "fragment F on MlflowExperiment { name } { mlflowGetExperiment(input: {experimentId: \"0\"}) { ...F } }",
            "Fragment 'F' cannot be spread here as objects of type 'MlflowGetExperimentResponse' can never be of type 'MlflowExperiment'.",
        ),
        (
            "query A { __typename } query B { __typename }",
            "Must provide operation name if query contains multiple operations.",
        ),
        ("mutation { mlflowGetRun { __typename } }", "Cannot query field 'mlflowGetRun' on type 'Mutation'."),
    ] {
        assert_eq!(served.refused(query, json!({})).await, json!([error]), "{query}");
    }
    let body = json!({ "query": "query A { __typename }", "operationName": "Wrong" }).to_string();
    let expected = json!({ "data": null, "errors": ["Unknown operation named 'Wrong'."] });
    assert_eq!(served.send(body).await, (200, expected));
    for variables in [
        json!({}),
        json!({ "input": null }),
        json!({ "input": { "experimentId": 2 } }),
        json!({ "input": { "experimentId": "2", "bogus": 1 } }),
        json!({ "input": "2" }),
    ] {
        let errors = served.refused(GET_EXPERIMENT, variables.clone()).await;
        assert!(errors.as_array().is_some_and(|errors| errors.len() == 1), "{variables}: {errors}");
    }
}

#[tokio::test]
async fn what_is_no_graphql_is_refused() {
    let served = serve().await;
    let query = |query: &str| json!({ "query": query }).to_string();
    for (body, expected) in [
        (String::new(), 400),
        ("not json".to_owned(), 400),
        ("{}".to_owned(), 400),
        ("[{\"query\": \"{__typename}\"}]".to_owned(), 400),
        (query("not graphql"), 400),
        (query("{"), 400),
        (query(&"{a".repeat(100_000)), 400),
        (query(&format!("{{ mlflowGetRun(input: {}) }}", "[".repeat(100_000))), 400),
        (query(&format!("{{ {} }}", "__typename ".repeat(50_000))), 400),
        ("x".repeat(super::LARGEST_REQUEST + 1), 413),
    ] {
        let shown: String = body.chars().take(40).collect();
        let (status, answer) = served.send(body).await;
        assert_eq!((status, &answer["data"]), (expected, &Value::Null), "{shown}: {answer}");
        assert!(answer["errors"][0].as_str().is_some_and(|error| !error.is_empty()), "{shown}: {answer}");
    }
    let over = served.refused(&format!("{{ {} }}", "__typename ".repeat(11)), json!({})).await;
    assert_eq!(over, json!(["GraphQL queries should have at most 10 root fields, got 11 root fields."]));
    let circle = "fragment F on Query { ...G } fragment G on Query { ...F } { ...F }";
    assert!(served.refused(circle, json!({})).await[0].as_str().unwrap().starts_with("Cannot spread fragment"));
    let growing =
        "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }";
    assert!(served.refused(growing, json!({})).await[0].as_str().is_some());
}
