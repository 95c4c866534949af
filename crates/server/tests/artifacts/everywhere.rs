//! What a client meets alike on a folder, on every object store and on every server of files.

use serde_json::json;

use crate::stores::Bucket;
use crate::traversal::SPELLINGS;
use crate::{PROXY, Served, request};

crate::on_every_store! {
    what_is_put_can_be_listed_got_and_deleted,
    what_is_not_there,
    odd_names_are_kept,
    a_file_is_replaced_whole,
    no_spelling_leads_out,
    one_run_does_not_reach_another,
    large_files_go_both_ways,
}

/// A run's artifacts.
const RUN: &str = "0/run/artifacts";

async fn what_is_put_can_be_listed_got_and_deleted(it: Served) {
    for (path, content) in [("d/MLmodel", "flavors"), ("d/e/f", "12"), ("top.txt", "1"), ("d/e2", "123")] {
        let put = it.put(&format!("{RUN}/{path}"), content).await;
        assert_eq!((put.status.as_u16(), put.text()), (200, ""), "{path}");
    }
    let file = |path: &str, size: u64| json!({"path": path, "is_dir": false, "file_size": size});
    let dir = |path: &str| json!({"path": path, "is_dir": true});
    for prefix in ["/api", "/ajax-api"] {
        let base = format!("{prefix}/2.0/mlflow-artifacts/artifacts");
        assert_eq!(it.get(&format!("{base}/{RUN}/d/MLmodel")).await.text(), "flavors");
        let listed = it.get(&format!("{base}?path={RUN}/d")).await;
        assert_eq!(listed.header("content-type"), "application/json");
        assert_eq!(listed.json(), json!({"files": [file("MLmodel", 7), dir("e"), file("e2", 3)]}));
        let of_run = it.get(&format!("{prefix}/2.0/mlflow/artifacts/list?run_id=run&path=d")).await.json();
        assert_eq!(of_run["files"], json!([file("d/MLmodel", 7), dir("d/e"), file("d/e2", 3)]));
    }
    let top = json!({"files": [dir("d"), file("top.txt", 1)]});
    assert_eq!(it.get(&format!("{PROXY}?path={RUN}")).await.json(), top);
    assert_eq!(it.get(&format!("{PROXY}?path=0/run")).await.json(), json!({"files": [dir("artifacts")]}));
    assert_eq!(it.get(PROXY).await.json(), json!({"files": [dir("0")]}));
    for path in ["d/e/f", "d/e", "d/e", "missing"] {
        let deleted = it.ask(request("DELETE", &format!("{PROXY}/{RUN}/{path}"), &[], "")).await;
        assert_eq!((deleted.status.as_u16(), deleted.text()), (200, "{}"), "{path}");
    }
    assert_eq!(it.get(&format!("{PROXY}/{RUN}/d/e/f")).await.status, 404);
    assert_eq!(it.get(&format!("{PROXY}/{RUN}/d/e2")).await.text(), "123");
    it.ask(request("DELETE", &format!("{PROXY}/{RUN}/d"), &[], "")).await;
    assert_eq!(it.get(&format!("{PROXY}/{RUN}/d/MLmodel")).await.status, 404);
    assert_eq!(it.get(&format!("{PROXY}/{RUN}/top.txt")).await.text(), "1");
}

async fn what_is_not_there(it: Served) {
    it.put(&format!("{RUN}/a/b"), "1").await;
    for path in ["missing", "a/b", "a/b/c", "missing/too"] {
        let listed = it.get(&format!("{PROXY}?path={RUN}/{path}")).await;
        assert_eq!((listed.status.as_u16(), listed.text()), (200, "{}"), "{path}");
    }
    assert_eq!(it.get(&format!("{PROXY}?path=7/other/artifacts")).await.text(), "{}");
    for path in ["missing", "a/c", "a/b/c"] {
        let (status, code, message) = it.get(&format!("{PROXY}/{RUN}/{path}")).await.code_and_message();
        assert_eq!((status, code.as_str()), (404, "RESOURCE_DOES_NOT_EXIST"), "{path}");
        assert_eq!(message, format!("No such artifact: '{RUN}/{path}'"));
        assert_eq!(it.ask(request("HEAD", &format!("{PROXY}/{RUN}/{path}"), &[], "")).await.status, 404);
    }
    let directory = it.get(&format!("{PROXY}/{RUN}/a")).await;
    assert_eq!(directory.status, 400);
    let detail = format!("Artifact path refers to a directory, not a file: '{RUN}/a'");
    assert_eq!(directory.json(), json!({ "detail": detail }));
    let of_run = it.get("/get-artifact?run_id=run&path=a").await;
    assert_eq!(of_run.status, 400);
    let nameless = it.put(&format!("{RUN}/a/"), "1").await;
    assert_eq!(nameless.json(), json!({"detail": "Artifact path must include a filename (cannot end with '/')."}));
}

async fn odd_names_are_kept(it: Served) {
    let mut names = vec![
        "sp ace.txt",
        "pe%rcent.txt",
        "plus+.txt",
        "and&=;.txt",
        "quote'\".txt",
        "~tilde*",
        "co:lon",
        "[b]{c}",
        "..dots",
        "é-中-😀.txt",
        "e\u{301}",
        "que?ry",
        "trailing.",
    ];
    if matches!(it.bucket, Some(Bucket::WebHdfs(_))) {
        // Its DataNode of Hadoop 2.7 decodes a path twice.
        names.retain(|name| !name.contains(['%', '+', '\u{301}']));
    }
    if matches!(it.bucket, Some(Bucket::Hdfs(_) | Bucket::WebHdfs(_))) {
        // HDFS itself has no such name.
        names.retain(|name| !name.contains(':'));
        assert!(it.put(&format!("{RUN}/odd/co:lon"), "1").await.status.is_client_error());
    }
    for name in &names {
        let name = *name;
        let encoded: String = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).collect();
        let put = it.put(&format!("{RUN}/odd/{encoded}"), name).await;
        assert_eq!(put.status, 200, "{name}: {}", put.text());
        assert_eq!(it.get(&format!("{PROXY}/{RUN}/odd/{encoded}")).await.text(), name);
    }
    let listed = it.get(&format!("{PROXY}?path={RUN}/odd")).await.json();
    let mut listed: Vec<&str> =
        listed["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    let mut expected = names;
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
}

async fn a_file_is_replaced_whole(it: Served) {
    let uri = format!("{PROXY}/{RUN}/f");
    let mut etags = Vec::new();
    for content in ["a long first one", "short", ""] {
        assert_eq!(it.put(&format!("{RUN}/f"), content).await.status, 200);
        let got = it.get(&uri).await;
        assert_eq!(got.text(), content);
        assert_eq!(got.header("content-length"), content.len().to_string());
        etags.push(got.header("etag").to_owned());
        let listed = it.get(&format!("{PROXY}?path={RUN}")).await.json();
        assert_eq!(listed["files"][0]["file_size"], content.len(), "{listed}");
    }
    etags.dedup();
    assert_eq!(etags.len(), 3, "{etags:?}");
}

async fn no_spelling_leads_out(it: Served) {
    it.put(&format!("{RUN}/ok"), "ok").await;
    for spelling in SPELLINGS {
        for method in ["GET", "PUT", "DELETE"] {
            let answer = it.ask(request(method, &format!("{PROXY}/{spelling}"), &[], "PWNED")).await;
            assert_eq!(answer.code_and_message().2, "Invalid path", "{method} {spelling}");
        }
        for call in ["mpu/create", "mpu/complete", "mpu/abort"] {
            let uri = format!("/api/2.0/mlflow-artifacts/{call}/{spelling}");
            assert_eq!(it.post_json(&uri, r#"{"path": "x"}"#).await.status, 400, "{call} {spelling}");
        }
        let answer = it.get(&format!("/api/2.0/mlflow-artifacts/presigned/{spelling}")).await;
        assert_eq!(answer.status, 400, "presigned {spelling}");
    }
    assert_eq!(it.get(PROXY).await.json(), json!({"files": [{"path": "0", "is_dir": true}]}));
}

async fn one_run_does_not_reach_another(it: Served) {
    it.put("0/run/artifacts/mine", "mine").await;
    it.put("0/run/artifacts2/theirs", "SECRET").await;
    it.put("0/other/artifacts/theirs", "SECRET").await;
    for path in
        ["../../other/artifacts/theirs", "2/theirs", "..%2f..%2fother/artifacts/theirs", "/0/other/artifacts/theirs"]
    {
        let got = it.get(&format!("/get-artifact?run_id=run&path={path}")).await;
        assert!(got.status.is_client_error() && !got.text().contains("SECRET"), "{path}: {}", got.text());
    }
    let listed = it.get("/api/2.0/mlflow/artifacts/list?run_id=run").await.json();
    assert_eq!(listed["files"], json!([{"path": "mine", "is_dir": false, "file_size": 4}]));
    it.ask(request("DELETE", &format!("{PROXY}/0/run/artifacts"), &[], "")).await;
    assert_eq!(it.get(&format!("{PROXY}/0/run/artifacts/mine")).await.status, 404);
    assert_eq!(it.get(&format!("{PROXY}/0/run/artifacts2/theirs")).await.text(), "SECRET");
}

async fn large_files_go_both_ways(it: Served) {
    // Three parts and a bit, of which no two pieces are alike.
    let content: Vec<u8> =
        (0..4_100_000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> = content.chunks(70_000).map(|piece| Ok(piece.to_vec())).collect();
    let body = axum::body::Body::from_stream(futures_util::stream::iter(pieces));
    assert_eq!(it.put(&format!("{RUN}/big"), body).await.status, 200);
    let got = it.get(&format!("{PROXY}/{RUN}/big")).await;
    assert!(got.status == 200 && got.body == content);
    let part = it.ask(request("GET", &format!("{PROXY}/{RUN}/big"), &[("range", "bytes=5242870-11000000")], "")).await;
    assert!(part.status == 206 && part.body == content[5_242_870..=11_000_000]);
    let listed = it.get(&format!("{PROXY}?path={RUN}")).await.json();
    assert_eq!(listed["files"], json!([{"path": "big", "is_dir": false, "file_size": content.len()}]));
}
