//! Artifacts of runs and models, as MLflow 3.17 answers.

use serde_json::json;

use crate::{Served, request, serve};

async fn filled() -> Served {
    let it = serve().await;
    it.write("mlartifacts/0/run/artifacts/MLmodel", "mm");
    it.write("mlartifacts/0/run/artifacts/model/e.txt", "hi");
    it.write("mlartifacts/0/models/m-1/artifacts/d/e.txt", "logged");
    it.write("mlruns/0/local-run/artifacts/d/x", "local");
    it.write("outside/x", "SECRET");
    it
}

#[tokio::test]
async fn files_are_found_by_run_and_model() {
    let it = filled().await;
    for (uri, content) in [
        ("/get-artifact?run_id=run&path=model/e.txt", "hi"),
        ("/get-artifact?run_uuid=run&path=MLmodel", "mm"),
        ("/get-artifact?run_id=run&path=model%252fe.txt", "hi"),
        ("/get-artifact?run_id=run&path=model//e.txt", "hi"),
        ("/get-artifact?run_id=local-run&path=d/x", "local"),
        ("/model-versions/get-artifact?name=model&version=1&path=e.txt", "hi"),
        ("/ajax-api/2.0/mlflow/logged-models/m-1/artifacts/files?artifact_file_path=d/e.txt", "logged"),
    ] {
        let answer = it.get(uri).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, content), "{uri}");
        assert!(answer.header("content-disposition").starts_with("attachment; filename="));
    }
}

#[tokio::test]
async fn listings_are_relative_to_the_root_of_the_run() {
    let it = filled().await;
    let root = "mlflow-artifacts:/0/run/artifacts";
    let file = |path: &str, size: u64| json!({"path": path, "is_dir": false, "file_size": size});
    let dir = |path: &str| json!({"path": path, "is_dir": true});
    for prefix in ["/api", "/ajax-api"] {
        let list = format!("{prefix}/2.0/mlflow/artifacts/list");
        for query in ["?run_id=run", "?run_uuid=run", "?run_id=run&run_uuid=run&path=", "?run_id=run&page_token=x"] {
            let answer = it.get(&format!("{list}{query}")).await.json();
            assert_eq!(answer, json!({"root_uri": root, "files": [file("MLmodel", 2), dir("model")]}), "{query}");
        }
        for query in ["?run_id=run&path=model", "?run_id=run&path=model/", "?run_id=run&path=%256dodel"] {
            let answer = it.get(&format!("{list}{query}")).await.json();
            assert_eq!(answer, json!({"root_uri": root, "files": [file("model/e.txt", 2)]}), "{query}");
        }
        for query in ["?run_id=run&path=missing", "?run_id=run&path=MLmodel"] {
            assert_eq!(it.get(&format!("{list}{query}")).await.json(), json!({ "root_uri": root }), "{query}");
        }
        let models = format!("{prefix}/2.0/mlflow/logged-models/m-1/artifacts/directories");
        let root = "mlflow-artifacts:/0/models/m-1/artifacts";
        assert_eq!(it.get(&models).await.json(), json!({"root_uri": root, "files": [dir("d")]}));
        let below = it.get(&format!("{models}?artifact_directory_path=d")).await.json();
        assert_eq!(below, json!({"root_uri": root, "files": [file("d/e.txt", 6)]}));
    }
    let local = it.get("/api/2.0/mlflow/artifacts/list?run_id=local-run&path=d").await.json();
    assert_eq!(local["files"], json!([file("d/x", 5)]));
    assert_eq!(local["root_uri"], it.dir.path().join("mlruns/0/local-run/artifacts").to_str().unwrap());
}

#[tokio::test]
async fn errors_are_those_of_mlflow() {
    let it = filled().await;
    let invalid = "INVALID_PARAMETER_VALUE";
    let missing = "RESOURCE_DOES_NOT_EXIST";
    let models = "/ajax-api/2.0/mlflow/logged-models";
    for (uri, status, code, message) in [
        ("/get-artifact?run_id=run&path=zz", 404, missing, "No such artifact: '0/run/artifacts/zz'"),
        ("/get-artifact?run_id=local-run&path=zz", 404, missing, "No such artifact: 'zz'"),
        ("/get-artifact?run_id=nope&path=x", 404, missing, "Run with id=nope not found"),
        (
            "/get-artifact?run_id=run&path=model",
            400,
            invalid,
            "Artifact path refers to a directory, not a file: '0/run/artifacts/model'",
        ),
        (
            "/get-artifact?run_id=run&path=",
            400,
            invalid,
            "Artifact path refers to a directory, not a file: '0/run/artifacts/'",
        ),
        ("/get-artifact?run_id=run", 400, invalid, "Missing value for required parameter 'path'."),
        ("/model-versions/get-artifact?version=1&path=x", 400, invalid, "Missing value for required parameter 'name'."),
        (
            "/model-versions/get-artifact?name=model&version=2&path=x",
            404,
            missing,
            "Model Version (name=model, version=2) not found",
        ),
        ("/api/2.0/mlflow/artifacts/list", 400, invalid, "Missing value for required parameter 'run_id'."),
        (
            "/api/2.0/mlflow/artifacts/list?run_id=&path=d",
            400,
            invalid,
            "Missing value for required parameter 'run_id'.",
        ),
        (
            &format!("{models}/m-1/artifacts/files"),
            400,
            "BAD_REQUEST",
            "Request must include the \"artifact_file_path\" query parameter.",
        ),
        (
            &format!("{models}/m-2/artifacts/files?artifact_file_path=x"),
            404,
            missing,
            "Logged model with ID 'm-2' not found",
        ),
    ] {
        let (got_status, got_code, got_message) = it.get(uri).await.code_and_message();
        assert_eq!((got_status, got_code.as_str()), (status, code), "{uri}");
        assert!(got_message.starts_with(message), "{uri}: {got_message}");
    }
}

#[tokio::test]
async fn uris_that_lie_elsewhere_are_refused() {
    let it = filled().await;
    for (run, status, code) in [
        ("outside-run", 400, "INVALID_PARAMETER_VALUE"),
        ("http-run", 400, "INVALID_PARAMETER_VALUE"),
        ("s3-run", 501, "NOT_IMPLEMENTED"),
    ] {
        for uri in
            [format!("/get-artifact?run_id={run}&path=x"), format!("/api/2.0/mlflow/artifacts/list?run_id={run}")]
        {
            let (got, got_code, message) = it.get(&uri).await.code_and_message();
            assert_eq!((got, got_code.as_str()), (status, code), "{uri}");
            assert!(message.contains("cannot be served"), "{message}");
        }
        let uri = format!("/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path=x");
        assert_eq!(it.ask(request("POST", &uri, &[], "PWNED")).await.status, status);
    }
    assert_eq!(std::fs::read_to_string(it.dir.path().join("outside/x")).unwrap(), "SECRET");
}

#[tokio::test]
async fn signed_urls_are_for_cloud_storage() {
    let it = filled().await;
    let ask = async |call: &str, body: &str| {
        it.post_json(&format!("/ajax-api/2.0/mlflow/artifacts/presigned-{call}-url"), body).await.code_and_message()
    };
    for (call, of) in [("upload", "proxied artifact storage"), ("download", "runs with proxied artifact storage")] {
        let (status, code, message) = ask(call, r#"{"run_id": "run", "path": "x"}"#).await;
        assert_eq!((status, code.as_str()), (400, "INVALID_PARAMETER_VALUE"));
        let start = format!("Presigned {call} is not supported for {of} (artifact URI scheme: mlflow-artifacts). This");
        assert!(message.starts_with(&start), "{message}");
        let (status, code, message) = ask(call, r#"{"run_id": "local-run", "path": "x"}"#).await;
        assert_eq!((status, code.as_str()), (501, "NOT_IMPLEMENTED"));
        assert_eq!(message, format!("Presigned {call} is not supported for the current artifact repository"));
        assert_eq!(ask(call, r#"{"run_id": "nope", "path": "x"}"#).await.0, 404);
        assert!(ask(call, r#"{"run_id": "run"}"#).await.2.contains("parameter 'path'"));
        let (_, _, message) = ask(call, r#"{"run_id": "run", "path": "x", "expiration": 604801}"#).await;
        assert_eq!(message, "expiration must be between 1 and 604800 seconds (got 604801).");
    }
    let one = "Exactly one of run_id and model_id must be provided.";
    for body in [r#"{"path": "x"}"#, r#"{"run_id": "run", "model_id": "m-1", "path": "x"}"#] {
        assert_eq!(ask("upload", body).await.2, one);
    }
    assert_eq!(ask("upload", r#"{"model_id": "m-2", "path": "x"}"#).await.0, 404);
    assert!(ask("download", r#"{"model_id": "m-1", "path": "x"}"#).await.2.contains("parameter 'run_id'"));
}
