//! Signed URLs used by a plain HTTP client, and uploads that another process goes on with.

use std::process::Command;
use std::time::Duration;

use trackway_remote::{Error, GcsOptions, Options, Part, Remote, SignedUrl};
use trackway_testkit::services::{azurite, fake_gcs, seaweedfs};

use crate::{body, buckets, content, path, read};

const HOUR: Duration = Duration::from_secs(3600);

/// Status, headers and body; nothing of ours signs.
async fn http(method: &str, url: &SignedUrl, content: &[u8]) -> (u16, ureq::http::HeaderMap, Vec<u8>) {
    let mut request = ureq::http::Request::builder().method(method).uri(&url.url);
    for (name, value) in &url.headers {
        request = request.header(name, value);
    }
    let request = request.body(content.to_vec()).unwrap();
    tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.run(request).unwrap();
        let read = answer.body_mut().with_config().limit(100 << 20).read_to_vec().unwrap();
        (answer.status().as_u16(), answer.headers().clone(), read)
    })
    .await
    .unwrap()
}

async fn urls_work(remote: &Remote) {
    assert!(remote.capabilities().signed_urls);
    let at = path("dir/a name é.txt");
    let put = remote.sign_put(&at, HOUR, "text/plain").await.unwrap();
    assert!(!put.url.ends_with("?…") && format!("{put:?}").ends_with("?…)"), "{put:?}");
    let sent = content(300_000);
    let (status, _, said) = http("PUT", &put, &sent).await;
    assert!((200..300).contains(&status), "{status} {}", String::from_utf8_lossy(&said));
    assert!(read(remote, "dir/a name é.txt").await.unwrap() == sent);

    let get = remote.sign_get(&at, HOUR).await.unwrap();
    assert!(get.headers.is_empty());
    let (status, headers, got) = http("GET", &get, b"").await;
    assert!(status == 200 && got == sent, "{status} {}", got.len());
    if let Some(disposition) = headers.get("content-disposition") {
        assert!(disposition.to_str().unwrap().starts_with("attachment; filename"), "{disposition:?}");
    }
}

/// Whoever changes a URL, or comes too late, is refused. Google's emulator lets everybody in.
async fn changed_urls_are_refused(remote: &Remote) {
    let get = remote.sign_get(&path("dir/a name é.txt"), HOUR).await.unwrap();
    let elsewhere = SignedUrl { url: get.url.replace("dir/a", "dir/b"), ..get.clone() };
    assert!(matches!(http("GET", &elsewhere, b"").await.0, 401 | 403));
    let headers = remote.sign_put(&path("dir/b"), HOUR, "text/plain").await.unwrap().headers;
    assert!(matches!(http("PUT", &SignedUrl { headers, ..get }, b"1").await.0, 401 | 403));
    let short = remote.sign_get(&path("dir/a name é.txt"), Duration::from_secs(1)).await.unwrap();
    let mut last = 0;
    for _ in 0..100 {
        last = http("GET", &short, b"").await.0;
        if last != 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(matches!(last, 401 | 403), "it never expired: {last}");
}

/// The way of MLflow's client: URLs from one server, completion at another.
async fn parts_are_put_together(remote: &Remote, other: &Remote) {
    let at = path("models/large.bin");
    let parts: Vec<Vec<u8>> = vec![content(5 << 20), content(5 << 20).into_iter().rev().collect(), b"end".to_vec()];
    let upload = remote.create_multipart(&at, 3).await.unwrap();
    assert_eq!(upload.parts.iter().map(|part| part.number).collect::<Vec<_>>(), [1, 2, 3]);
    let mut sent = Vec::new();
    for (target, part) in upload.parts.iter().zip(&parts) {
        let (status, headers, said) = http("PUT", &target.url, part).await;
        assert!((200..300).contains(&status), "{status} {}", String::from_utf8_lossy(&said));
        let etag = headers.get("etag").map(|etag| etag.to_str().unwrap().to_owned()).unwrap_or_default();
        sent.push(Part { number: target.number, etag });
    }
    assert!(matches!(other.stat(&at).await, Err(Error::NotFound { .. })), "it is seen before it is complete");
    other.complete_multipart(&at, &upload.upload_id, &sent).await.unwrap();
    assert!(read(other, "models/large.bin").await.unwrap() == parts.concat());
}

/// What was sent before the process ended is found again and need not be sent again.
async fn an_upload_is_gone_on_with(remote: &Remote, other: &Remote) {
    let at = path("resumed");
    let parts: Vec<Vec<u8>> = vec![content(5 << 20), content(1000)];
    let upload_id = remote.begin_multipart(&at).await.unwrap();
    remote.upload_part(&at, &upload_id, 1, parts[0].clone().into()).await.unwrap();

    let found = other.list_uploads(&at).await.unwrap();
    assert_eq!(found.iter().map(|upload| &upload.upload_id).collect::<Vec<_>>(), [&upload_id]);
    let stored = other.list_parts(&at, &upload_id).await.unwrap();
    assert_eq!(stored.iter().map(|stored| (stored.part.number, stored.size)).collect::<Vec<_>>(), [(1, 5 << 20)]);
    let second = other.upload_part(&at, &upload_id, 2, parts[1].clone().into()).await.unwrap();
    other.complete_multipart(&at, &upload_id, &[stored[0].part.clone(), second]).await.unwrap();
    assert!(read(remote, "resumed").await.unwrap() == parts.concat());
    assert!(other.list_uploads(&at).await.unwrap().is_empty());

    let unknown = other.complete_multipart(&path("unknown"), "0123456789abcdef", &[stored[0].part.clone()]).await;
    assert!(matches!(unknown, Err(Error::NoSuchUpload { .. })), "{unknown:?}");
    let aborted = remote.begin_multipart(&at).await.unwrap();
    remote.abort_multipart(&at, &aborted).await.unwrap();
    remote.abort_multipart(&at, &aborted).await.unwrap();
    assert!(other.list_uploads(&at).await.unwrap().is_empty());
}

#[tokio::test]
async fn s3_signs_urls_and_keeps_parts() {
    let bucket = seaweedfs::bucket().unwrap();
    let (remote, other) = (buckets::s3(&bucket, "p").await, buckets::s3(&bucket, "p").await);
    urls_work(&remote).await;
    changed_urls_are_refused(&remote).await;
    parts_are_put_together(&remote, &other).await;
    an_upload_is_gone_on_with(&remote, &other).await;
}

#[tokio::test]
async fn azure_signs_urls_and_keeps_blocks() {
    let container = azurite::container().unwrap();
    let (remote, other) = (buckets::azure(&container, "p").await, buckets::azure(&container, "p").await);
    urls_work(&remote).await;
    changed_urls_are_refused(&remote).await;
    parts_are_put_together(&remote, &other).await;
    an_upload_is_gone_on_with(&remote, &other).await;
}

/// The emulator takes any signature and has no multipart uploads: that the URL works is all it proves.
#[tokio::test]
async fn google_signs_urls() {
    let bucket = fake_gcs::bucket().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let key = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .output()
        .expect("openssl is installed");
    assert!(key.status.success(), "openssl made no key");
    let account = serde_json::json!({
        "type": "service_account",
        "client_email": "tests@example.iam.gserviceaccount.com",
        "private_key_id": "one",
        "private_key": String::from_utf8(key.stdout).unwrap(),
    });
    let file = dir.path().join("account.json");
    std::fs::write(&file, account.to_string()).unwrap();
    let endpoint = Some(bucket.endpoint.clone());
    let gcs = GcsOptions { credentials_file: Some(file), endpoint, ..GcsOptions::default() };
    let options = Options { gcs, ..buckets::usual() };
    let remote = buckets::open(&format!("gs://{}/p", bucket.name), options).await;
    urls_work(&remote).await;
    remote.put(&path("by its own token"), body(b"1"), Default::default()).await.unwrap();
}
