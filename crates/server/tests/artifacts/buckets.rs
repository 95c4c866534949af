//! What only object stores have: uploads in parts, signed URLs, URIs that lead into a bucket.

use serde_json::{Value, json};
use trackway_server::config::Config;
use trackway_testkit::services::seaweedfs;

use crate::stores::{self, Bucket, s3_config};
use crate::{PROXY, Served, request, serve_with};

const MPU: &str = "/api/2.0/mlflow-artifacts/mpu";
const PRESIGNED: &str = "/api/2.0/mlflow-artifacts/presigned";

mod uploads {
    crate::stores::on! { s3: a_file_is_uploaded_in_parts, an_upload_is_aborted, what_makes_no_upload }
    crate::stores::on! { azure: a_file_is_uploaded_in_parts, an_upload_is_aborted, what_makes_no_upload }
    use super::{a_file_is_uploaded_in_parts, an_upload_is_aborted, what_makes_no_upload};
}

/// Sends to a signed URL, as a client without credentials; the status, the ETag and the body.
fn send(method: &str, url: &str, headers: &Value, body: &[u8]) -> (u16, String, Vec<u8>) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in headers.as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap());
    }
    let mut answer = match method {
        "GET" => agent.run(request.body(()).unwrap()).unwrap(),
        _ => agent.run(request.body(body).unwrap()).unwrap(),
    };
    let etag = answer.headers().get("etag").map(|etag| etag.to_str().unwrap().to_owned());
    (answer.status().as_u16(), etag.unwrap_or_default(), answer.body_mut().read_to_vec().unwrap())
}

async fn create(it: &Served, parts: usize) -> Value {
    let body = json!({"path": "/home/me/big.bin", "num_parts": parts}).to_string();
    let answer = it.post_json(&format!("{MPU}/create/0/run/artifacts/d"), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Sends the parts to their URLs; what is told of them to complete the upload.
fn upload(created: &Value, content: &[&[u8]]) -> Vec<Value> {
    let credentials = created["credentials"].as_array().unwrap();
    assert_eq!(credentials.len(), content.len());
    let sent = credentials.iter().zip(content).map(|(credential, part)| {
        let (status, etag, _) = send("PUT", credential["url"].as_str().unwrap(), &credential["headers"], part);
        assert!(matches!(status, 200 | 201), "{status}");
        json!({"part_number": credential["part_number"], "etag": etag, "url": credential["url"]})
    });
    sent.collect()
}

fn completion(created: &Value, parts: &[Value]) -> String {
    json!({"path": "/home/me/big.bin", "upload_id": created["upload_id"], "parts": parts}).to_string()
}

async fn a_file_is_uploaded_in_parts(it: Served) {
    let (first, second) = (vec![b'a'; 5 << 20], b"end".as_slice());
    let created = create(&it, 2).await;
    let parts = upload(&created, &[&first, second]);
    assert_eq!(it.get(&format!("{PROXY}/0/run/artifacts/d/big.bin")).await.status, 404, "it is not complete");
    assert_eq!(it.get(&format!("{PROXY}?path=0/run/artifacts")).await.text(), "{}");
    // The same again changes nothing: the answer may have been lost.
    for _ in 0..2 {
        let body = completion(&created, &parts);
        let done = it.post_json(&format!("{MPU}/complete/0/run/artifacts/d"), &body).await;
        assert_eq!((done.status.as_u16(), done.text()), (200, "{}"));
    }
    let got = it.get(&format!("{PROXY}/0/run/artifacts/d/big.bin")).await;
    assert!(got.status == 200 && got.body == [&first[..], second].concat());
    let listed = it.get(&format!("{PROXY}?path=0/run/artifacts/d")).await.json();
    assert_eq!(listed["files"], json!([{"path": "big.bin", "is_dir": false, "file_size": (5 << 20) + 3}]));
}

async fn an_upload_is_aborted(it: Served) {
    let created = create(&it, 1).await;
    let parts = upload(&created, &[b"content"]);
    let abort = json!({"path": "/home/me/big.bin", "upload_id": created["upload_id"]}).to_string();
    for _ in 0..2 {
        let done = it.post_json(&format!("{MPU}/abort/0/run/artifacts/d"), &abort).await;
        assert_eq!((done.status.as_u16(), done.text()), (200, "{}"));
    }
    if matches!(it.bucket, Some(Bucket::S3(_))) {
        let body = completion(&created, &parts);
        let done = it.post_json(&format!("{MPU}/complete/0/run/artifacts/d"), &body).await;
        assert_eq!(done.code_and_message().0, 404, "{}", done.text());
    }
    assert_eq!(it.get(&format!("{PROXY}/0/run/artifacts/d/big.bin")).await.status, 404);
}

async fn what_makes_no_upload(it: Served) {
    let created = create(&it, 1).await;
    for (call, body, status) in [
        ("create", json!({"num_parts": 2}), 400),
        ("create", json!({"path": "x", "num_parts": 10_001}), 400),
        ("create", json!({"path": "x", "num_parts": -1}), 400),
        ("complete", json!({"path": "big.bin", "upload_id": created["upload_id"]}), 400),
        ("complete", json!({"path": "big.bin", "upload_id": created["upload_id"], "parts": []}), 400),
        ("complete", json!({"path": "big.bin", "upload_id": created["upload_id"], "parts": [{"etag": "x"}]}), 400),
    ] {
        let answer = it.post_json(&format!("{MPU}/{call}/0/run/artifacts/d"), &body.to_string()).await;
        assert_eq!(answer.status, status, "{call} {body}: {}", answer.text());
    }
    // Only the last name of the client's own path counts.
    let body = json!({"path": "../../../x/evil", "num_parts": 1}).to_string();
    let created = it.post_json(&format!("{MPU}/create/0/run/artifacts/d"), &body).await.json();
    let url = created["credentials"][0]["url"].as_str().unwrap();
    assert!(url.contains("/root/0/run/artifacts/d/evil?"), "{url}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_completes_what_one_began() {
    let bucket = seaweedfs::bucket().unwrap();
    let config = s3_config(&bucket, &bucket.endpoint);
    let one = stores::with_database(config.clone(), None).await;
    let other = stores::with_database(config, Some(Bucket::S3(bucket))).await;
    let created = create(&one, 1).await;
    let parts = upload(&created, &[b"content"]);
    let done = other.post_json(&format!("{MPU}/complete/0/run/artifacts/d"), &completion(&created, &parts)).await;
    assert_eq!(done.text(), "{}");
    assert_eq!(one.get(&format!("{PROXY}/0/run/artifacts/d/big.bin")).await.text(), "content");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_url_downloads() {
    for it in [stores::s3().await, stores::azure().await] {
        it.put("0/run/artifacts/a.txt", "hello").await;
        let signed = it.get(&format!("{PRESIGNED}/0/run/artifacts/a.txt")).await.json();
        assert_eq!(signed["file_size"], 5);
        let (status, _, body) = send("GET", signed["url"].as_str().unwrap(), &signed["headers"], b"");
        assert_eq!((status, body.as_slice()), (200, b"hello".as_slice()));
        for path in ["missing", "", "a.txt/b"] {
            let answer = it.get(&format!("{PRESIGNED}/0/run/artifacts/{path}")).await;
            assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        }
    }
}

/// Runs whose artifact URI is in the bucket itself, as with `--no-serve-artifacts`.
#[tokio::test(flavor = "multi_thread")]
async fn uris_into_a_bucket_are_served_below_what_the_operator_named() {
    let bucket = seaweedfs::bucket().unwrap();
    let inside = format!("s3://{}/direct", bucket.name);
    let config = Config {
        serve_artifacts: false,
        artifact_roots: vec![inside.clone()],
        artifacts_destination: inside,
        ..s3_config(&bucket, &bucket.endpoint)
    };
    let dir = tempfile::tempdir().unwrap();
    let database = stores::database(&dir).await;
    let it = serve_with(dir, config, Some(database), Some(Bucket::S3(bucket))).await;
    let upload = "/ajax-api/2.0/mlflow/upload-artifact?run_uuid=direct-run&path=d/x.txt";
    assert_eq!(it.ask(request("POST", upload, &[], "data")).await.status, 200);
    assert_eq!(it.get("/get-artifact?run_id=direct-run&path=d/x.txt").await.text(), "data");
    let list = "/api/2.0/mlflow/artifacts/list?run_id=direct-run&path=d";
    assert_eq!(it.get(list).await.json()["files"], json!([{"path": "d/x.txt", "is_dir": false, "file_size": 4}]));

    // A client with the URL of the page's API stores and reads past this server.
    let ask = async |call: &str, path: &str| {
        let body = json!({"run_id": "direct-run", "path": path}).to_string();
        it.post_json(&format!("/api/2.0/mlflow/artifacts/presigned-{call}-url"), &body).await
    };
    let signed = ask("upload", "d/y.txt").await.json();
    assert_eq!(signed["headers"]["Content-Type"], "text/plain");
    assert_eq!(send("PUT", signed["presigned_url"].as_str().unwrap(), &signed["headers"], b"direct").0, 200);
    let signed = ask("download", "d/y.txt").await.json();
    assert_eq!(signed["file_size"], 6);
    assert_eq!(send("GET", signed["presigned_url"].as_str().unwrap(), &signed["headers"], b"").2, b"direct");
    assert_eq!(ask("download", "d/z.txt").await.status, 404);

    // Another bucket is none of ours, whatever the credentials may do there.
    let (status, code, message) = it.get("/get-artifact?run_id=s3-run&path=x").await.code_and_message();
    assert_eq!((status, code.as_str()), (501, "NOT_IMPLEMENTED"));
    assert!(message.contains("--artifact-roots"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_refuses_is_told_without_secrets() {
    let bucket = seaweedfs::bucket().unwrap();
    let with = |changes: &[(&str, &str)]| {
        let usual = [
            ("MLFLOW_S3_ENDPOINT_URL", bucket.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", seaweedfs::READ_ONLY_KEY),
            ("AWS_SECRET_ACCESS_KEY", seaweedfs::READ_ONLY_SECRET),
            ("AWS_REGION", bucket.region.as_str()),
        ];
        let all = usual.iter().chain(changes).copied();
        Config { environment: trackway_artifacts::Environment::only(all), ..s3_config(&bucket, "") }
    };
    let refused = stores::with_database(with(&[]), None).await;
    let wrong = stores::with_database(with(&[("AWS_SECRET_ACCESS_KEY", "wrongsecret")]), None).await;
    for answer in [
        refused.put("0/run/artifacts/x", "1").await,
        wrong.put("0/run/artifacts/x", "1").await,
        wrong.get(&format!("{PROXY}/0/run/artifacts/x")).await,
        wrong.get(&format!("{PROXY}?path=0/run/artifacts")).await,
    ] {
        let (status, code, message) = answer.code_and_message();
        assert_eq!((status, code.as_str()), (403, "PERMISSION_DENIED"), "{message}");
        assert!(message.contains(&bucket.name), "{message}");
        assert!(!message.contains("wrongsecret") && !message.contains(seaweedfs::READ_ONLY_SECRET), "{message}");
    }
    assert_eq!(refused.get(&format!("{PROXY}/0/run/artifacts/x")).await.status, 404, "reading is allowed");
    let away = stores::with_database(with(&[("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:1")]), None).await;
    let (status, code, message) = away.get(&format!("{PROXY}/0/run/artifacts/x")).await.code_and_message();
    assert_eq!((status, code.as_str()), (503, "TEMPORARILY_UNAVAILABLE"), "{message}");
}
