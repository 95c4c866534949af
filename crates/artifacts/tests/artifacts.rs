//! Which artifact URIs mean what, and what can be done there.

use std::os::unix::fs::symlink;
use std::path::Path;

use bytes::Bytes;
use futures_util::TryStreamExt;
use trackway_artifacts::{ArtifactPath, ArtifactStore, Error, Location, Options, Places, Result};

struct Setup {
    dir: tempfile::TempDir,
    store: ArtifactStore,
}

async fn setup() -> Setup {
    let dir = tempfile::tempdir().unwrap();
    let (proxied, local) = (dir.path().join("mlartifacts"), dir.path().join("mlruns"));
    let places = Places { destination: proxied.to_str(), default_root: local.to_str(), others: &[] };
    let store = ArtifactStore::open(places, Options::default()).await.unwrap();
    Setup { dir, store }
}

fn path(text: &str) -> ArtifactPath {
    ArtifactPath::parse(text).unwrap()
}

async fn put(location: &Location, at: &str, content: &'static str) -> Result<()> {
    let body = futures_util::stream::iter([Ok::<_, String>(Bytes::from(content))]);
    location.put(&path(at), body, Some(content.len() as u64)).await.map(|_| ())
}

async fn read(location: &Location, at: &str) -> Result<Vec<u8>> {
    let object = location.open(&path(at)).await?;
    let pieces: Vec<Bytes> = object.stream_all().try_collect().await.unwrap();
    Ok(pieces.concat())
}

async fn names(location: &Location, at: &str) -> Vec<String> {
    location.list(&path(at)).await.unwrap().into_iter().map(|found| found.path).collect()
}

fn write(dir: &Path, at: &str) {
    let file = dir.join(at);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, at).unwrap();
}

#[tokio::test]
async fn a_proxied_uri_means_a_folder_of_the_destination() {
    let it = setup().await;
    let run = it.store.resolve("mlflow-artifacts:/0/r1/artifacts").await.unwrap();
    put(&run, "model/MLmodel", "flavors").await.unwrap();
    let stored = it.dir.path().join("mlartifacts/0/r1/artifacts/model/MLmodel");
    assert_eq!(std::fs::read_to_string(stored).unwrap(), "flavors");
    for uri in [
        "mlflow-artifacts:/0/r1/artifacts/model",
        "mlflow-artifacts://host:5000/0/r1/artifacts/model/",
        "MLFLOW-ARTIFACTS:/0/r1/artifacts/model",
        "mlflow-artifacts:///0/r1/artifacts/mod%65l",
    ] {
        let model = it.store.resolve(uri).await.unwrap();
        assert_eq!(read(&model, "MLmodel").await.unwrap(), b"flavors", "{uri}");
    }
    let proxied = it.store.proxied().unwrap();
    assert_eq!(names(&proxied, "0/r1/artifacts/model").await, ["0/r1/artifacts/model/MLmodel"]);
}

#[tokio::test]
async fn a_local_uri_is_served_below_the_default_root_only() {
    let it = setup().await;
    write(it.dir.path(), "mlruns/0/r1/artifacts/a.txt");
    write(it.dir.path(), "secret/a.txt");
    let root = it.dir.path().to_str().unwrap();
    for uri in [
        format!("{root}/mlruns/0/r1/artifacts"),
        format!("file://{root}/mlruns/0/r1/artifacts"),
        format!("file:{root}/mlruns/0/%72%31/artifacts"),
        format!("file://localhost{root}/mlruns/0/r1/artifacts"),
    ] {
        let run = it.store.resolve(&uri).await.unwrap();
        assert_eq!(names(&run, "").await, ["a.txt"], "{uri}");
        let missing = run.open(&path("b.txt")).await.err().unwrap().to_string();
        assert_eq!(missing, "No such artifact: 'b.txt'");
    }
    for uri in [
        format!("{root}/secret"),
        format!("{root}/mlruns"),
        format!("{root}/mlruns/"),
        format!("{root}/mlruns/../secret"),
        format!("{root}/mlruns/0/../../secret"),
        format!("{root}/mlrunsx/0"),
        format!("file://{root}/mlruns/..%2fsecret"),
        format!("file://{root}/mlruns/0#/../../../secret"),
        format!("file://evil{root}/mlruns/0/r1/artifacts"),
        "/".into(),
        "/etc".into(),
        "//etc".into(),
        "file:///etc".into(),
        "file:etc".into(),
        "etc".into(),
        "".into(),
        ":".into(),
        ".".into(),
        "/proc/self/root".into(),
        "http://169.254.169.254/latest/meta-data".into(),
        "https://localhost/api/2.0/mlflow-artifacts/artifacts/0".into(),
        "ftp://host/x".into(),
    ] {
        let refused = it.store.resolve(&uri).await.err();
        assert!(matches!(refused, Some(Error::NotServed { .. })), "{uri}: {refused:?}");
    }
    for uri in
        ["s3://bucket/x", "dbfs:/x", "wasbs://c@a/x", "runs:/r/x", "models:/m/1", "hdfs://h/x", "sftp://u:pw@h/x"]
    {
        let refused = it.store.resolve(uri).await.err();
        assert!(matches!(refused, Some(Error::NotReachable { .. })), "{uri}: {refused:?}");
    }
}

#[tokio::test]
async fn a_proxied_uri_cannot_leave_the_destination() {
    let it = setup().await;
    for uri in [
        "mlflow-artifacts:",
        "mlflow-artifacts:/",
        "mlflow-artifacts://host",
        "mlflow-artifacts://host/",
        "mlflow-artifacts:/..",
        "mlflow-artifacts:/../x",
        "mlflow-artifacts:/0/../../x",
        "mlflow-artifacts:/%2e%2e/x",
        "mlflow-artifacts:/%252e%252e/x",
        "mlflow-artifacts:/0#/../x",
        "mlflow-artifacts:/0%00",
        "mlflow-artifacts:/.trackway-staging",
    ] {
        let refused = it.store.resolve(uri).await.err();
        assert!(matches!(refused, Some(Error::NotServed { .. })), "{uri}: {refused:?}");
    }
}

#[tokio::test]
async fn without_a_proxy_nothing_proxied_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let places = Places { destination: None, default_root: dir.path().to_str(), others: &[] };
    let store = ArtifactStore::open(places, Options::default()).await.unwrap();
    assert!(store.proxied().is_none());
    let refused = store.resolve("mlflow-artifacts:/0/r1/artifacts").await.err().unwrap();
    assert!(refused.to_string().contains("--no-serve-artifacts"), "{refused}");
}

#[tokio::test]
async fn listings_and_deletions_are_as_forgiving_as_in_mlflow() {
    let it = setup().await;
    let run = it.store.resolve("mlflow-artifacts:/0/r1/artifacts").await.unwrap();
    put(&run, "d/a", "1").await.unwrap();
    put(&run, "d/e/f", "12").await.unwrap();
    write(it.dir.path(), "mlartifacts/0/r1/artifacts/d/.artifact.uploading.x");
    let found = run.list(&path("d/")).await.unwrap();
    let shown: Vec<_> = found.iter().map(|a| (a.path.as_str(), a.file_name(), a.is_dir, a.size)).collect();
    assert_eq!(shown, [("d/a", "a", false, 1), ("d/e", "e", true, 0)]);
    for nothing in ["missing", "d/a", "d/a/below"] {
        assert_eq!(names(&run, nothing).await, [""; 0], "{nothing}");
        assert!(run.delete(&path(nothing)).await.is_ok() || nothing == "d/a");
    }
    put(&run, "d/a", "1").await.unwrap();
    run.delete(&path("d/")).await.unwrap();
    assert_eq!(names(&run, "").await, [""; 0]);
    run.delete(&path("d")).await.unwrap();
}

#[tokio::test]
async fn errors_say_what_mlflow_says() {
    let it = setup().await;
    let run = it.store.resolve("mlflow-artifacts:/0/r1/artifacts").await.unwrap();
    put(&run, "d/a", "1").await.unwrap();
    let full = "0/r1/artifacts";
    let message = |error: Option<Error>| error.unwrap().to_string();
    assert_eq!(message(run.open(&path("x")).await.err()), format!("No such artifact: '{full}/x'"));
    assert_eq!(message(run.open(&path("d/a/x")).await.err()), format!("No such artifact: '{full}/d/a/x'"));
    assert_eq!(
        message(run.stat(&path("d")).await.err()),
        format!("Artifact path refers to a directory, not a file: '{full}/d'")
    );
    assert!(matches!(run.open(&path("")).await, Err(Error::IsADirectory { .. })));
    assert!(matches!(put(&run, "d", "1").await, Err(Error::IsADirectory { .. })));
    assert!(matches!(put(&run, "d/a/b", "1").await, Err(Error::BelowAFile { .. })));
    assert!(matches!(put(&run, "d//e/f", "1").await, Err(Error::NotPlain { .. })));
    symlink("/etc", it.dir.path().join("mlartifacts/0/r1/artifacts/out")).unwrap();
    assert!(matches!(run.open(&path("out/passwd")).await, Err(Error::InvalidPath)));
    assert!(matches!(put(&run, "out/new", "1").await, Err(Error::InvalidPath)));
}
