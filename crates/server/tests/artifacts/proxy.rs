//! `mlflow-artifacts` on a folder, as MLflow 3.17 answers. `everywhere` has what all stores do.

use serde_json::json;

use crate::{PROXY, request, serve, serve_as};

#[tokio::test]
async fn errors_are_those_of_mlflow() {
    let it = serve().await;
    it.put("d/file", "1").await;
    let missing = it.get(&format!("{PROXY}/d/x.txt")).await;
    let expected = (404, "RESOURCE_DOES_NOT_EXIST".to_owned(), "No such artifact: 'd/x.txt'".to_owned());
    assert_eq!(missing.code_and_message(), expected);
    for (path, shown) in [("d", "d"), ("", "")] {
        let directory = it.get(&format!("{PROXY}/{path}")).await;
        assert_eq!(directory.status, 400);
        let detail = format!("Artifact path refers to a directory, not a file: '{shown}'");
        assert_eq!(directory.json(), json!({ "detail": detail }));
    }
    for path in ["d/new/", ""] {
        let nameless = it.put(path, "1").await;
        assert_eq!(nameless.status, 400);
        let detail = "Artifact path must include a filename (cannot end with '/').";
        assert_eq!(nameless.json(), json!({ "detail": detail }));
    }
    // MLflow answers 500 to these four, which its client would repeat for minutes.
    for path in ["d", "d/file/below", "d//e/f", "d/./e"] {
        let (status, code, _) = it.put(path, "1").await.code_and_message();
        assert_eq!((status, code.as_str()), (400, "INVALID_PARAMETER_VALUE"), "{path}");
    }
    let (status, _, message) = it.put("d/.artifact.uploading.x", "1").await.code_and_message();
    assert_eq!(status, 400);
    assert!(message.contains("'.artifact.uploading.' are reserved"), "{message}");
    assert_eq!(it.files("mlartifacts"), ["d/file"]);
    assert_eq!(it.ask(request("POST", &format!("{PROXY}/d/file"), &[], "")).await.status, 405);
    assert_eq!(it.ask(request("DELETE", PROXY, &[], "")).await.status, 405);
    assert_eq!(it.ask(request("DELETE", &format!("{PROXY}/"), &[], "")).await.status, 405);
}

#[tokio::test]
async fn a_folder_has_no_multipart_and_no_signed_urls() {
    let it = serve().await;
    let base = "/api/2.0/mlflow-artifacts";
    for (call, body) in [
        ("create", r#"{"path": "/tmp/x", "num_parts": 2}"#),
        ("complete", r#"{"path": "/tmp/x", "upload_id": "1", "parts": [{"part_number": 1, "etag": "x"}]}"#),
        ("abort", r#"{"path": "/tmp/x", "upload_id": "1"}"#),
    ] {
        let answer = it.post_json(&format!("{base}/mpu/{call}/0/r/artifacts"), body).await;
        assert_eq!(answer.status, 501);
        let message = "Multipart upload is not supported for the current artifact repository";
        assert_eq!(answer.json(), json!({"error_code": "NOT_IMPLEMENTED", "message": message}));
        let (status, _, message) = it.post_json(&format!("{base}/mpu/{call}/a"), "{}").await.code_and_message();
        assert_eq!(status, 400);
        assert!(message.starts_with("Missing value for required parameter 'path'."), "{message}");
        let (status, _, message) = it.post_json(&format!("{base}/mpu/{call}/..%2fb"), body).await.code_and_message();
        assert_eq!((status, message.as_str()), (400, "Invalid path"));
    }
    let signed = it.get(&format!("{base}/presigned/a/b")).await;
    assert_eq!(signed.status, 501);
    let message = "Multipart download is not supported for the current artifact repository";
    assert_eq!(signed.json(), json!({"error_code": "NOT_IMPLEMENTED", "message": message}));
    assert_eq!(it.get(&format!("{base}/presigned/..%2fb")).await.code_and_message().2, "Invalid path");
}

#[tokio::test]
async fn without_serve_artifacts_the_proxy_is_off() {
    let it = serve_as(false).await;
    let detail = "Artifact serving is disabled. Run `mlflow server` with `--serve-artifacts` to enable.";
    for answer in [it.get(&format!("{PROXY}/x")).await, it.put("x", "1").await, it.get(&format!("{PROXY}/../x")).await]
    {
        assert_eq!(answer.status, 503);
        assert_eq!(answer.json(), json!({ "detail": detail }));
    }
    let listed = it.get(PROXY).await;
    assert_eq!(listed.status, 503);
    assert_eq!(
        listed.text(),
        "Endpoint: /api/2.0/mlflow-artifacts/artifacts disabled due to the mlflow server running with `--no-serve-artifacts`. To enable artifacts server functionality, run `mlflow server` with `--serve-artifacts`"
    );
    let created = it.post_json("/ajax-api/2.0/mlflow-artifacts/mpu/create/x", "{}").await;
    assert_eq!(created.status, 503);
    let route = "Endpoint: /ajax-api/2.0/mlflow-artifacts/mpu/create/<path:artifact_path> disabled";
    assert!(created.text().starts_with(route), "{}", created.text());
    assert!(!it.dir.path().join("mlartifacts").exists());
}
