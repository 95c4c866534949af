//! A new bucket of each kind, on the servers that the test run shares.

use trackway_remote::{AzureOptions, Environment, GcsOptions, Options, Remote, S3Options};
use trackway_testkit::services::{Rclone, azurite, fake_gcs, seaweedfs};

/// Nothing of the developer's own environment.
pub fn usual() -> Options {
    Options { environment: Environment::only::<String, String>([]), ..Options::default() }
}

pub fn s3_options(bucket: &seaweedfs::Bucket) -> Options {
    let s3 = S3Options {
        endpoint: Some(bucket.endpoint.clone()),
        region: Some(bucket.region.clone()),
        access_key_id: Some(bucket.access_key.clone()),
        secret_access_key: Some(bucket.secret_key.clone().into()),
        ..S3Options::default()
    };
    Options { s3, ..usual() }
}

pub async fn s3(bucket: &seaweedfs::Bucket, prefix: &str) -> Remote {
    open(&format!("s3://{}/{prefix}", bucket.name), s3_options(bucket)).await
}

pub fn sloppy_options(server: &Rclone) -> Options {
    let s3 = S3Options {
        endpoint: Some(server.endpoint()),
        region: Some(server.region().to_owned()),
        access_key_id: Some(server.access_key().to_owned()),
        secret_access_key: Some(server.secret_key().into()),
        ..S3Options::default()
    };
    Options { s3, ..usual() }
}

pub fn azure_options(container: &azurite::Container) -> Options {
    let azure =
        AzureOptions { connection_string: Some(container.connection_string.clone().into()), ..AzureOptions::default() };
    Options { azure, ..usual() }
}

pub async fn azure(container: &azurite::Container, prefix: &str) -> Remote {
    open(&format!("azure://{}/{prefix}", container.name), azure_options(container)).await
}

pub fn gcs_options(bucket: &fake_gcs::Bucket) -> Options {
    let gcs = GcsOptions { endpoint: Some(bucket.endpoint.clone()), anonymous: true, ..GcsOptions::default() };
    Options { gcs, ..usual() }
}

pub async fn gcs(bucket: &fake_gcs::Bucket, prefix: &str) -> Remote {
    open(&format!("gs://{}/{prefix}", bucket.name), gcs_options(bucket)).await
}

pub async fn open(location: &str, options: Options) -> Remote {
    Remote::open(location, options).await.expect(location)
}
