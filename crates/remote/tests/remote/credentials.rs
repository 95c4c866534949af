//! Credentials where the AWS tools and MLflow find them, each proved by a store that checks signatures.

use std::path::Path;

use trackway_remote::{Environment, Error, Options, PutOptions, S3Options};
use trackway_testkit::services::{azurite, seaweedfs};

use crate::{body, buckets, path};

async fn works(location: &str, options: Options) {
    let remote = buckets::open(location, options).await;
    let stored = remote.put(&path("a"), body(b"1"), PutOptions::default()).await;
    assert_eq!(stored.expect(location).size, 1);
}

fn with<'a>(home: &'a Path, more: &[(&'a str, &'a str)]) -> Environment {
    let home = [("HOME", home.to_str().unwrap()), ("AWS_EC2_METADATA_DISABLED", "true")];
    Environment::only(home.into_iter().chain(more.iter().copied()))
}

#[tokio::test]
async fn s3_keys_come_from_the_environment_and_from_profiles() {
    let bucket = seaweedfs::bucket().unwrap();
    let (id, secret, endpoint) = (&bucket.access_key, &bucket.secret_key, &bucket.endpoint);
    let location = format!("s3://{}/p", bucket.name);
    let home = tempfile::tempdir().unwrap();
    let aws = home.path().join(".aws");
    std::fs::create_dir(&aws).unwrap();
    let printed = aws.join("printed.json");
    let keys = format!(r#"{{"Version": 1, "AccessKeyId": "{id}", "SecretAccessKey": "{secret}"}}"#);
    std::fs::write(&printed, keys).unwrap();
    std::fs::write(
        aws.join("credentials"),
        format!("[work]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n[default]\naws_access_key_id = x\naws_secret_access_key = x\n"),
    )
    .unwrap();
    std::fs::write(
        aws.join("config"),
        format!(
            "[profile work]\nregion = us-east-1\nservices = local\n[services local]\ns3 =\n  endpoint_url = {endpoint}\n\
             [profile program]\nendpoint_url = {endpoint}\ncredential_process = cat \"{}\"\n",
            printed.display()
        ),
    )
    .unwrap();

    let keys = [("AWS_ACCESS_KEY_ID", id.as_str()), ("AWS_SECRET_ACCESS_KEY", secret.as_str())];
    let here = ("AWS_ENDPOINT_URL_S3", endpoint.as_str());
    let usual = |environment| Options { environment, ..Options::default() };
    works(&location, usual(with(home.path(), &[keys[0], keys[1], here]))).await;
    works(&location, usual(with(home.path(), &[("AWS_PROFILE", "work")]))).await;
    works(&location, usual(with(home.path(), &[("AWS_PROFILE", "program")]))).await;
    // A profile that was asked for goes before the environment's keys.
    let wrong = [("AWS_ACCESS_KEY_ID", "wrong"), ("AWS_SECRET_ACCESS_KEY", "wrong")];
    let s3 = S3Options { profile: Some("work".to_owned()), ..S3Options::default() };
    works(&location, Options { s3, ..usual(with(home.path(), &wrong)) }).await;
    // MLflow's own variables count where they are heeded.
    let mlflow = [keys[0], keys[1], ("MLFLOW_S3_ENDPOINT_URL", endpoint.as_str())];
    works(&location, Options { mlflow_variables: true, ..usual(with(home.path(), &mlflow)) }).await;

    let missing = with(home.path(), &[("AWS_PROFILE", "nobody"), here]);
    let error = buckets::open(&location, usual(missing)).await.stat(&path("a")).await.unwrap_err();
    assert!(matches!(error, Error::NoCredentials { .. }) && error.to_string().contains("'nobody'"), "{error}");
}

#[tokio::test]
async fn azure_keys_come_as_mlflow_reads_them() {
    let container = azurite::container().unwrap();
    let home = tempfile::tempdir().unwrap();
    let connection = ("AZURE_STORAGE_CONNECTION_STRING", container.connection_string.as_str());
    let usual = |environment| Options { environment, ..Options::default() };
    let location = format!("wasbs://{}@{}.blob.core.windows.net/p", container.name, container.account);
    works(&location, usual(with(home.path(), &[connection]))).await;
    let mut options = usual(with(home.path(), &[("AZURE_STORAGE_ACCESS_KEY", container.key.as_str())]));
    options.azure.endpoint = Some(container.endpoint.clone());
    works(&location, options.clone()).await;
    works(&format!("abfss://{}@{}.dfs.core.windows.net/p", container.name, container.account), options).await;
}
