//! What is particular to servers that keep files: who may log in, which URIs lead there, what others write.

use serde_json::json;
use trackway_server::artifacts::ArtifactService;
use trackway_server::config::Config;
use trackway_testkit::services;

use crate::stores::{self, Bucket, nothing, sftp_config};
use crate::{PROXY, Served, request};

macro_rules! on_every_server {
    ($($case:ident),* $(,)?) => {
        $crate::stores::on! { sftp: $($case),* }
        $crate::stores::on! { webdav: $($case),* }
        $crate::stores::on! { hdfs: $($case),* }
        $crate::stores::on! { webhdfs: $($case),* }
    };
}

on_every_server! { a_run_may_name_the_place_itself, there_are_no_signed_urls_and_no_parts, a_part_is_read }

/// As clients that write there themselves have it, without the password.
async fn a_run_may_name_the_place_itself(it: Served) {
    it.put("0/run/artifacts/d/a", "12").await;
    let listed = it.get("/api/2.0/mlflow/artifacts/list?run_id=direct-run&path=d").await.json();
    assert_eq!(listed["files"], json!([{"path": "d/a", "is_dir": false, "file_size": 2}]));
    assert_eq!(it.get("/get-artifact?run_id=direct-run&path=d/a").await.text(), "12");
    let uri = "/ajax-api/2.0/mlflow/upload-artifact?run_uuid=direct-run&path=d/b";
    assert_eq!(it.ask(request("POST", uri, &[], "3")).await.status, 200);
    // Nothing is remembered that could be old.
    assert_eq!(it.get(&format!("{PROXY}?path=0/run/artifacts/d")).await.json()["files"].as_array().unwrap().len(), 2);
    for run in ["stranger-run", "http-run"] {
        let answer = it.get(&format!("/get-artifact?run_id={run}&path=x")).await;
        assert!(answer.status == 501 || answer.status == 400, "{}", answer.text());
        assert!(!answer.text().contains("secret"), "{}", answer.text());
    }
}

/// As in MLflow: the client goes through the proxy then.
async fn there_are_no_signed_urls_and_no_parts(it: Served) {
    it.put("0/run/artifacts/a", "1").await;
    let create = "/api/2.0/mlflow-artifacts/mpu/create/0/run/artifacts";
    let answer = it.post_json(create, r#"{"path": "a", "num_parts": 2}"#).await;
    assert_eq!(answer.status, 501, "{}", answer.text());
    assert_eq!(it.get("/api/2.0/mlflow-artifacts/presigned/0/run/artifacts/a").await.status, 501);
    for call in ["upload", "download"] {
        let uri = format!("/api/2.0/mlflow/artifacts/presigned-{call}-url");
        let answer = it.post_json(&uri, r#"{"run_id": "direct-run", "path": "a"}"#).await;
        assert_eq!(answer.status, 501, "{}", answer.text());
    }
}

async fn a_part_is_read(it: Served) {
    it.put("0/run/artifacts/a", "0123456789").await;
    let uri = format!("{PROXY}/0/run/artifacts/a");
    for (range, status, content) in [("bytes=2-4", 206, "234"), ("bytes=-3", 206, "789"), ("bytes=8-", 206, "89")] {
        let part = it.ask(request("GET", &uri, &[("range", range)], "")).await;
        assert_eq!((part.status.as_u16(), part.text()), (status, content), "{range}");
    }
    assert_eq!(it.ask(request("GET", &uri, &[("range", "bytes=10-")], "")).await.status, 416);
    let whole = it.get(&uri).await;
    let same = it.ask(request("GET", &uri, &[("if-none-match", whole.header("etag"))], "")).await;
    assert_eq!(same.status, 304);
    let head = it.ask(request("HEAD", &uri, &[], "")).await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "10"));
}

/// Two servers may keep artifacts in one place, and people use their own tools.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_is_listed_at_once() {
    let it = stores::sftp().await;
    it.put("0/run/artifacts/d/a", "1").await;
    assert_eq!(it.get(&format!("{PROXY}?path=0/run/artifacts/d")).await.json()["files"].as_array().unwrap().len(), 1);
    let Some(Bucket::Sftp(directory, _)) = &it.bucket else { panic!("no SFTP") };
    let dir = directory.path.join("root/0/run/artifacts/d");
    std::fs::write(dir.join("b"), "22").unwrap();
    std::fs::remove_file(dir.join("a")).unwrap();
    let listed = it.get(&format!("{PROXY}?path=0/run/artifacts/d")).await.json();
    assert_eq!(listed, json!({"files": [{"path": "b", "is_dir": false, "file_size": 2}]}));
    assert_eq!(it.get(&format!("{PROXY}/0/run/artifacts/d/b")).await.text(), "22");
}

async fn start(config: &Config) -> Result<(), String> {
    match ArtifactService::open(config, "mlflow-artifacts:/", None).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_told_at_the_start_in_one_line() {
    let (directory, place, hadoop) =
        (services::sshd::directory().unwrap(), services::apache::place().unwrap(), services::hdfs::place().unwrap());
    let (sftp, home) = sftp_config(&directory);
    let ssh_settings = home.path().join(".ssh/config");
    let right = std::fs::read_to_string(&ssh_settings).unwrap();
    let at = |destination: String| Config { artifacts_destination: destination, ..sftp.clone() };
    assert_eq!(start(&sftp).await, Ok(()));
    assert!(directory.path.join("root").is_dir(), "the folder is made");

    std::fs::write(directory.path.join("file"), "").unwrap();
    let url = directory.url.replacen("ssh:", "sftp:", 1);
    let webdav = |user: &str, path: &str| Config {
        environment: nothing(),
        ..at(format!("webdav://{user}@{}{path}", place.address))
    };
    let free = "127.0.0.1:9";
    for (config, says) in [
        (at(format!("{url}/file")), "a file lies there"),
        (at("sftp:///nowhere".to_owned()), "names no host"),
        (at(format!("sftp://127.0.0.1:{}/a/../b", directory.port)), "'..'"),
        (at(format!("sftp://me@{free}/p")), "cannot be reached"),
        (webdav("u:wrongsecret", &format!("/dav/{}", place.folder)), "refused"),
        (webdav("u:p", "/nowhere/p"), "webdav://"),
        (Config { environment: nothing(), ..at(format!("hdfs://{free}/p")) }, "cannot be reached"),
        (Config { environment: nothing(), ..at("hdfs:/p".to_owned()) }, "HADOOP_CONF_DIR"),
        (Config { environment: nothing(), ..at(format!("webhdfs://{free}/p")) }, "cannot be reached"),
        (Config { environment: nothing(), ..at("viewfs://c/p".to_owned()) }, "hdfs://"),
    ] {
        let told = start(&config).await.expect_err(&config.artifacts_destination);
        assert!(told.contains(says) && !told.contains('\n') && !told.contains("secret"), "{told}");
    }
    let extra = trackway_artifacts::Environment::only([
        ("HADOOP_CONF_DIR", hadoop.conf_dir.as_str()),
        ("MLFLOW_PYARROW_EXTRA_CONF", "a=b"),
    ]);
    let told = start(&Config { environment: extra, ..at(hadoop.url.clone()) }).await.unwrap_err();
    assert!(told.contains("MLFLOW_PYARROW_EXTRA_CONF"), "{told}");

    let stranger = directory.keys.join("stranger");
    std::fs::write(&ssh_settings, right.replace(directory.key().to_str().unwrap(), stranger.to_str().unwrap()))
        .unwrap();
    let told = start(&sftp).await.unwrap_err();
    assert!(told.contains("refused") && !told.contains('\n'), "{told}");
    std::fs::write(&ssh_settings, right.replace("known_hosts", "nothing_known")).unwrap();
    let told = start(&sftp).await.unwrap_err();
    assert!(told.contains("known_hosts") && !told.contains('\n'), "{told}");
}
