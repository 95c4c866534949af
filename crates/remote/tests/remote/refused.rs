//! What a store refuses is told in one sentence that says what to do, without a secret.

use trackway_remote::{AzureOptions, Environment, Error, GcsOptions, Options, PutOptions, RelPath, Remote, S3Options};
use trackway_testkit::services::{Rclone, azurite, fake_gcs, seaweedfs};

use crate::{body, buckets, path};

/// Reading, listing and writing, each of which has to fail.
async fn failures(remote: &Remote) -> Vec<Error> {
    let at = path("a/b");
    vec![
        remote.get(&at).await.err().expect("it was read"),
        remote.list(&RelPath::root()).await.expect_err("it was listed"),
        remote.put(&at, body(b"1"), PutOptions::default()).await.expect_err("it was written"),
    ]
}

#[tokio::test]
async fn a_wrong_key_is_refused() {
    let bucket = seaweedfs::bucket().unwrap();
    let s3 = |options: S3Options| Options {
        s3: S3Options { endpoint: Some(bucket.endpoint.clone()), ..options },
        ..buckets::usual()
    };
    let location = format!("s3://{}/p", bucket.name);
    let secret = "a-wrong-secret-that-is-never-shown";
    for (id, reason) in [(bucket.access_key.as_str(), "SignatureDoesNotMatch"), ("nobody", "InvalidAccessKeyId")] {
        let options = s3(S3Options {
            access_key_id: Some(id.to_owned()),
            secret_access_key: Some(secret.into()),
            ..S3Options::default()
        });
        assert!(!format!("{options:?}").contains(secret));
        for error in failures(&buckets::open(&location, options).await).await {
            let text = error.to_string();
            assert!(matches!(error, Error::Refused { .. }), "{error:?}");
            assert!(text.contains(&location) && text.contains(reason) && !text.contains(secret), "{text}");
        }
    }
    let container = azurite::container().unwrap();
    let azure = AzureOptions {
        account_name: Some(container.account.clone()),
        account_key: Some("d3Jvbmc=".into()),
        endpoint: Some(container.endpoint.clone()),
        ..AzureOptions::default()
    };
    let remote = buckets::open(&format!("azure://{}/p", container.name), Options { azure, ..buckets::usual() }).await;
    for error in failures(&remote).await {
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        assert!(!error.to_string().contains("d3Jvbmc="), "{error}");
    }
}

#[tokio::test]
async fn who_may_only_read_cannot_write() {
    let bucket = seaweedfs::bucket().unwrap();
    let remote = buckets::s3(&bucket, "p").await;
    remote.put(&path("a"), body(b"1"), PutOptions::default()).await.unwrap();
    let mut options = buckets::s3_options(&bucket);
    options.s3.access_key_id = Some(seaweedfs::READ_ONLY_KEY.to_owned());
    options.s3.secret_access_key = Some(seaweedfs::READ_ONLY_SECRET.into());
    let remote = buckets::open(&format!("s3://{}/p", bucket.name), options).await;
    assert_eq!(remote.stat(&path("a")).await.unwrap().size, 1);
    for error in [
        remote.put(&path("a"), body(b"2"), PutOptions::default()).await.unwrap_err(),
        remote.delete_file(&path("a")).await.unwrap_err(),
        remote.begin_multipart(&path("a")).await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains("not allowed"), "{error}");
    }
}

#[tokio::test]
async fn a_missing_bucket_is_named() {
    let (bucket, container, google) =
        (seaweedfs::bucket().unwrap(), azurite::container().unwrap(), fake_gcs::bucket().unwrap());
    for (location, options) in [
        ("s3://never-made/p", buckets::s3_options(&bucket)),
        ("azure://never-made/p", buckets::azure_options(&container)),
        ("gs://never-made/p", buckets::gcs_options(&google)),
    ] {
        let remote = buckets::open(location, options).await;
        let error = remote.list(&RelPath::root()).await.unwrap_err();
        assert!(matches!(error, Error::NoBucket { .. }), "{error:?}");
        assert!(error.to_string().contains(location) && error.to_string().contains("create it"), "{error}");
        let error = remote.get(&path("a/b")).await.err().expect("it was read");
        assert!(matches!(error, Error::NoBucket { .. }), "{error:?}");
        // SeaweedFS and Google's emulator make a bucket that is written to.
        if location.starts_with("azure:") {
            let error = remote.put(&path("a"), body(b"1"), PutOptions::default()).await.unwrap_err();
            assert!(matches!(error, Error::NoBucket { .. }), "{error:?}");
        }
    }
}

#[tokio::test]
async fn without_credentials_it_says_where_they_belong() {
    let nowhere = [
        ("HOME", "/nonexistent"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("NO_GCE_CHECK", "true"),
        ("AZURE_STORAGE_ACCOUNT", "nobody"),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9"),
    ];
    let options = || Options { environment: Environment::only(nowhere), ..Options::default() };
    for (location, word) in [
        ("s3://bucket/p", "AWS_ACCESS_KEY_ID"),
        ("azure://container/p", "AZURE_STORAGE_CONNECTION_STRING"),
        ("gs://bucket/p", "GOOGLE_APPLICATION_CREDENTIALS"),
    ] {
        let remote = buckets::open(location, options()).await;
        let error = remote.stat(&path("a")).await.unwrap_err();
        assert!(matches!(error, Error::NoCredentials { .. }), "{error:?}");
        assert!(error.to_string().contains(word), "{error}");
    }
    let gcs = GcsOptions { credentials_file: Some("/nonexistent.json".into()), ..GcsOptions::default() };
    let opened = Remote::open("gs://bucket/p", Options { gcs, ..options() }).await;
    assert!(matches!(opened, Err(Error::NoCredentials { .. })));
}

/// rclone's server takes every conditional write: two creators would both believe to be the first.
#[tokio::test]
async fn a_store_that_ignores_conditions_is_found_out() {
    let server = Rclone::start().unwrap();
    server.create_bucket("sloppy").unwrap();
    let remote = buckets::open("s3://sloppy/p", buckets::sloppy_options(&server)).await;
    let refused = remote.create_if_absent(&path("once"), "1".into()).await.unwrap_err();
    assert!(matches!(refused, Error::Unsupported { .. }), "{refused:?}");
    assert!(refused.to_string().contains("If-None-Match"), "{refused}");
    assert!(remote.list(&RelPath::root()).await.unwrap().is_empty(), "the trial left something");

    // The rest of it works, in parts too.
    let sent = crate::content(12_000_000);
    remote.put(&path("d/large"), body(&sent), PutOptions::default()).await.unwrap();
    assert!(crate::read(&remote, "d/large").await.unwrap() == sent);
    remote.delete_tree(&path("d")).await.unwrap();
    assert!(matches!(remote.stat(&path("d/large")).await, Err(Error::NotFound { .. })));
}
