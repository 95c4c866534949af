//! Servers over every kind of store, each with a database for the memory of what lies in buckets.

use trackway_artifacts::Environment;
use trackway_server::config::Config;
use trackway_testkit::services::{apache, azurite, fake_gcs, hdfs, seaweedfs, sshd};
use trackway_tracking::{Backend, Options, Store};

use crate::{Served, serve, serve_with};

/// Where a server keeps artifacts; gone with the test.
#[allow(dead_code)]
pub enum Bucket {
    S3(seaweedfs::Bucket),
    Azure(azurite::Container),
    Gcs(fake_gcs::Bucket),
    Sftp(sshd::Directory, tempfile::TempDir),
    WebDav(apache::Place),
    Hdfs(hdfs::Place),
    WebHdfs(hdfs::Place),
}

/// Makes a test of each case on each kind of store.
macro_rules! on_every_store {
    ($($case:ident),* $(,)?) => {
        $crate::stores::on! { folder: $($case),* }
        $crate::stores::on! { s3: $($case),* }
        $crate::stores::on! { azure: $($case),* }
        $crate::stores::on! { gcs: $($case),* }
        $crate::stores::on! { sftp: $($case),* }
        $crate::stores::on! { webdav: $($case),* }
        $crate::stores::on! { hdfs: $($case),* }
        $crate::stores::on! { webhdfs: $($case),* }
    };
}

macro_rules! on {
    ($store:ident: $($case:ident),* $(,)?) => {
        mod $store {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case($crate::stores::$store().await).await;
            })*
        }
    };
}

pub(crate) use {on, on_every_store};

pub async fn folder() -> Served {
    serve().await
}

pub async fn s3() -> Served {
    let bucket = seaweedfs::bucket().unwrap();
    let config = s3_config(&bucket, &bucket.endpoint);
    with_database(config, Some(Bucket::S3(bucket))).await
}

/// `endpoint` may be that of a proxy before the bucket.
pub fn s3_config(bucket: &seaweedfs::Bucket, endpoint: &str) -> Config {
    Config {
        artifacts_destination: format!("s3://{}/root", bucket.name),
        environment: Environment::only([
            ("MLFLOW_S3_ENDPOINT_URL", endpoint),
            ("AWS_ACCESS_KEY_ID", &bucket.access_key),
            ("AWS_SECRET_ACCESS_KEY", &bucket.secret_key),
            ("AWS_REGION", &bucket.region),
        ]),
        ..Config::default()
    }
}

pub async fn azure() -> Served {
    let container = azurite::container().unwrap();
    let config = Config {
        artifacts_destination: format!("wasbs://{}@{}.blob.core.windows.net/root", container.name, container.account),
        environment: Environment::only([("AZURE_STORAGE_CONNECTION_STRING", container.connection_string.as_str())]),
        ..Config::default()
    };
    with_database(config, Some(Bucket::Azure(container))).await
}

pub async fn gcs() -> Served {
    let bucket = fake_gcs::bucket().unwrap();
    let config = Config {
        artifacts_destination: format!("gs://{}/root", bucket.name),
        environment: Environment::only([("STORAGE_EMULATOR_HOST", bucket.endpoint.as_str())]),
        ..Config::default()
    };
    with_database(config, Some(Bucket::Gcs(bucket))).await
}

pub async fn sftp() -> Served {
    let directory = sshd::directory().unwrap();
    let (config, home) = sftp_config(&directory);
    with_database(config, Some(Bucket::Sftp(directory, home))).await
}

/// With a home folder in which ssh finds the key.
pub fn sftp_config(directory: &sshd::Directory) -> (Config, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".ssh")).unwrap();
    let settings = format!(
        "IdentityFile {}\nUserKnownHostsFile {}\nStrictHostKeyChecking yes\n",
        directory.key().display(),
        directory.known_hosts().display()
    );
    std::fs::write(home.path().join(".ssh/config"), settings).unwrap();
    let config = Config {
        artifacts_destination: format!("{}/root", directory.url.replacen("ssh:", "sftp:", 1)),
        environment: Environment::only([("HOME", home.path().to_str().unwrap())]),
        ..Config::default()
    };
    (config, home)
}

pub async fn webdav() -> Served {
    let place = apache::place().unwrap();
    let config = Config {
        artifacts_destination: format!("webdav://u:p@{}/dav/{}/root", place.address, place.folder),
        environment: nothing(),
        ..Config::default()
    };
    with_database(config, Some(Bucket::WebDav(place))).await
}

pub async fn hdfs() -> Served {
    let place = hdfs::place().unwrap();
    let config = Config {
        artifacts_destination: format!("{}/root", place.url),
        environment: Environment::only([("HADOOP_CONF_DIR", &place.conf_dir), ("HADOOP_USER_NAME", &place.user)]),
        ..Config::default()
    };
    with_database(config, Some(Bucket::Hdfs(place))).await
}

pub async fn webhdfs() -> Served {
    let place = hdfs::place().unwrap();
    let config = Config {
        artifacts_destination: format!("{}/root", place.web_url.replacen("://", &format!("://{}@", place.user), 1)),
        environment: nothing(),
        ..Config::default()
    };
    with_database(config, Some(Bucket::WebHdfs(place))).await
}

/// Nothing of the developer's own.
pub fn nothing() -> Environment {
    Environment::only::<String, String>([])
}

pub async fn with_database(config: Config, bucket: Option<Bucket>) -> Served {
    let dir = tempfile::tempdir().unwrap();
    let database = database(&dir).await;
    serve_with(dir, config, Some(database), bucket).await
}

pub async fn database(dir: &tempfile::TempDir) -> Store {
    let backend = Backend::Sqlite(dir.path().join("trackway.db"));
    Store::open(&backend, "mlflow-artifacts:/", &Options::default()).await.unwrap()
}
