//! Paths that want to leave, in every spelling that was reported against MLflow, on every route that takes a path.

use std::os::unix::fs::symlink;

use crate::{PROXY, Served, request, serve};

/// CVE-2023-1177, -2356, -2780, -6018, -6831, -6909, -6977, 2024-0520, -1483, -1558, -1560, -1594, -2928, -3573,
/// -3848, -8859, 2025-11201, 2026-2033 and their relatives: `..`, absolute, encoded once and many times, `#`, `;`,
/// `?`, `file:`, Windows, NUL, overlong UTF-8.
pub const SPELLINGS: &[&str] = &[
    "..",
    "../secret",
    "../../../../etc/passwd",
    "a/../../secret",
    "a/b/../../../secret",
    "a/..",
    "/secret",
    "//secret",
    "/etc/passwd",
    "//proc/self/root/etc/passwd",
    "/%2e%2e/secret",
    "%2e%2e/secret",
    "%2e%2e%2fsecret",
    "..%2fsecret",
    "%2E%2E%2Fsecret",
    "%2fetc%2fpasswd",
    "%252e%252e/secret",
    "%252e%252e%252fsecret",
    "..%252fsecret",
    "%25252e%25252e%25252fsecret",
    "%2525252525252525252525252e%2525252525252525252525252e/secret",
    "C:/secret",
    "c:%5csecret",
    "C%3A%2Fsecret",
    "%5c%5cserver%5cshare",
    "%5c/server/share",
    "file:///etc/passwd",
    "file:/etc/passwd",
    "file:secret",
    "file%3a%2f%2f%2fetc%2fpasswd",
    "FILE:///etc/passwd",
    "a%23b",
    "%23/../secret",
    "x%23/../../secret",
    "a%2523/../../secret",
    "a%00b",
    "..%00/secret",
    "secret%00.txt",
    "%2500",
    "..%c0%afsecret",
    "%c0%ae%c0%ae/secret",
    "a%ffb",
    ".trackway-staging/x",
    "%2etrackway-staging",
];

/// These are odd names below the destination and nothing else.
const HARMLESS: &[&str] = &[
    "..;/secret",
    "..%5csecret",
    ".../secret",
    "..secret/x",
    "%u002e%u002e/secret",
    "~/secret",
    "proc/self/root",
    "a%3f/b",
    "dbfs:secret",
];

async fn with_secrets() -> Served {
    let it = serve().await;
    it.write("secret", "SECRET");
    it.write("mlartifacts/0/run/artifacts/ok", "ok");
    it.write("mlartifacts/other", "SECRET");
    it
}

#[tokio::test]
async fn the_proxy_refuses_every_spelling() {
    let it = with_secrets().await;
    let before = it.files("");
    for spelling in SPELLINGS {
        for method in ["GET", "PUT", "DELETE", "HEAD"] {
            let uri = format!("{PROXY}/{spelling}");
            let answer = it.ask(request(method, &uri, &[], "PWNED")).await;
            assert_eq!(answer.status, 400, "{method} {spelling}: {}", answer.text());
            if method != "HEAD" {
                assert_eq!(answer.code_and_message().2, "Invalid path", "{method} {spelling}");
            }
        }
        for call in ["mpu/create", "mpu/complete", "mpu/abort"] {
            let uri = format!("/api/2.0/mlflow-artifacts/{call}/{spelling}");
            assert_eq!(it.post_json(&uri, r#"{"path": "x"}"#).await.status, 400, "{call} {spelling}");
        }
        let answer = it.get(&format!("/api/2.0/mlflow-artifacts/presigned/{spelling}")).await;
        assert_eq!(answer.status, 400, "presigned {spelling}");
    }
    assert_eq!(it.files(""), before);
}

#[tokio::test]
async fn every_parameter_refuses_every_spelling() {
    let it = with_secrets().await;
    let before = it.files("");
    for spelling in SPELLINGS {
        // Once as it is (a parameter is decoded once anyway) and once more encoded.
        let again = spelling.replace('%', "%25");
        for path in [*spelling, again.as_str()] {
            // Bytes that are no UTF-8 become replacement characters in a query string: an odd name, no way out.
            if percent_encoding::percent_decode_str(path).decode_utf8().is_err() {
                continue;
            }
            for uri in [
                format!("{PROXY}?path={path}"),
                format!("/get-artifact?run_id=run&path={path}"),
                format!("/get-artifact?run_uuid=local-run&path={path}"),
                format!("/model-versions/get-artifact?name=model&version=1&path={path}"),
                format!("/api/2.0/mlflow/artifacts/list?run_id=run&path={path}"),
                format!("/ajax-api/2.0/mlflow/logged-models/m-1/artifacts/files?artifact_file_path={path}"),
                format!("/api/2.0/mlflow/logged-models/m-1/artifacts/directories?artifact_directory_path={path}"),
            ] {
                let answer = it.get(&uri).await;
                assert_eq!(answer.status, 400, "{uri}: {}", answer.text());
                assert_eq!(answer.code_and_message().2, "Invalid path", "{uri}");
            }
            let uri = format!("/ajax-api/2.0/mlflow/upload-artifact?run_uuid=run&path={path}");
            assert_eq!(it.ask(request("POST", &uri, &[], "PWNED")).await.status, 400, "{uri}");
        }
        for call in ["upload", "download"] {
            let uri = format!("/api/2.0/mlflow/artifacts/presigned-{call}-url");
            let body = serde_json::json!({"run_id": "local-run", "path": spelling});
            assert_eq!(it.post_json(&uri, &body.to_string()).await.code_and_message().2, "Invalid path", "{body}");
        }
    }
    assert_eq!(it.files(""), before);
}

#[tokio::test]
async fn odd_names_stay_below_the_destination() {
    let it = with_secrets().await;
    for spelling in HARMLESS {
        let put = it.put(spelling, *spelling).await;
        assert_eq!(put.status, 200, "{spelling}: {}", put.text());
        assert_eq!(it.get(&format!("{PROXY}/{spelling}")).await.text(), *spelling);
    }
    assert_eq!(it.files("mlartifacts").len(), HARMLESS.len() + 2);
    assert_eq!(std::fs::read_to_string(it.dir.path().join("secret")).unwrap(), "SECRET");
}

#[tokio::test]
async fn links_that_lead_out_are_refused() {
    let it = with_secrets().await;
    let run = it.dir.path().join("mlartifacts/0/run/artifacts");
    symlink(it.dir.path(), run.join("dir")).unwrap();
    symlink(it.dir.path().join("secret"), run.join("file")).unwrap();
    symlink("/proc/self/root", run.join("magic")).unwrap();
    for path in ["dir/secret", "file", "magic/etc/passwd"] {
        for uri in [format!("{PROXY}/0/run/artifacts/{path}"), format!("/get-artifact?run_id=run&path={path}")] {
            let answer = it.get(&uri).await;
            assert_eq!(answer.code_and_message().2, "Invalid path", "{uri}");
        }
    }
    assert_eq!(it.put("0/run/artifacts/dir/new", "PWNED").await.status, 400);
    assert_eq!(it.ask(request("DELETE", &format!("{PROXY}/0/run/artifacts/dir/secret"), &[], "")).await.status, 400);
    let listed = it.get("/api/2.0/mlflow/artifacts/list?run_id=run").await.json();
    assert_eq!(listed["files"], serde_json::json!([{"path": "ok", "is_dir": false, "file_size": 2}]));
    assert_eq!(it.ask(request("DELETE", &format!("{PROXY}/0"), &[], "")).await.status, 200);
    assert_eq!(it.files(""), ["mlartifacts/other", "secret"]);
}
