//! SeaweedFS, an S3 that does all that we ask of one: it checks signatures, honours conditional
//! writes, keeps versions, and has its data after `kill -9`.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::daemon::{Daemon, Launch};
use super::folder::Folder;
use super::ports::{self, Port};
use super::{Service, host, none, programs, signing};
use crate::Result;
use crate::client::Client;

const ACCESS_KEY: &str = "trackwaykey";
const SECRET_KEY: &str = "trackwaysecret";
pub(super) const REGION: &str = "us-east-1";

/// May read and list, no more: for what must be refused.
pub const READ_ONLY_KEY: &str = "readonlykey";
pub const READ_ONLY_SECRET: &str = "readonlysecret";

#[derive(Debug)]
pub struct SeaweedFs {
    server: Option<Daemon>,
    /// S3 is the first, the others are between its parts.
    ports: Vec<Port>,
    folder: Folder,
}

impl SeaweedFs {
    pub fn start() -> Result<Self> {
        let folder = Folder::new("seaweedfs")?;
        fs::create_dir(folder.join("data"))?;
        let identity = |name, key, secret, actions: &[&str]| json!({"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions});
        let identities = json!({"identities": [
            identity("trackway", ACCESS_KEY, SECRET_KEY, &["Admin", "Read", "Write", "List", "Tagging"]),
            identity("read-only", READ_ONLY_KEY, READ_ONLY_SECRET, &["Read", "List"]),
        ]});
        folder.write("s3.json", &identities.to_string())?;
        let ports = (0..9).map(|_| ports::reserve()).collect::<Result<_>>()?;
        let mut seaweedfs = Self { server: None, ports, folder };
        seaweedfs.launch()?;
        Ok(seaweedfs)
    }

    pub(super) fn start_with(options: &[(&str, &str)]) -> Result<Self> {
        none(options)?;
        Self::start()
    }

    /// `http://127.0.0.1:8333`
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// `127.0.0.1:8333`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0].number)
    }

    pub fn access_key(&self) -> &'static str {
        ACCESS_KEY
    }

    pub fn secret_key(&self) -> &'static str {
        SECRET_KEY
    }

    pub fn region(&self) -> &'static str {
        REGION
    }

    pub fn create_bucket(&self, name: &str) -> Result {
        create_bucket(&self.endpoint(), name)
    }

    /// Ends it by `kill -9`.
    pub fn crash(&mut self) -> Result {
        self.server.take().context("SeaweedFS is not running")?.kill()
    }

    /// Starts it on the same data and ports, after stopping it if it runs.
    pub fn restart(&mut self) -> Result {
        // Asked to stop it would take fifteen seconds.
        if self.server.is_some() {
            self.crash()?;
        }
        self.launch()
    }

    fn launch(&mut self) -> Result {
        let port = |name: &str, index: usize| format!("-{name}={}", self.ports[index].number);
        let launch = Launch::new(&programs::linked("weed", "seaweedfs")?, &self.folder, false, "KILL")
            .args(["-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-dir=data"])
            .args(["-filer", "-s3", "-s3.config=s3.json", "-master.telemetry=false"])
            // Small volumes that are not laid out beforehand, enough for a bucket for each test.
            .args(["-master.volumeSizeLimitMB=64", "-master.volumePreallocate=false", "-volume.max=1000"])
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            // After a restart the one master waits for as long before it leads itself.
            .args(["-master.electionTimeout=1s", "-master.heartbeatInterval=100ms"])
            .args([port("s3.port", 0), port("s3.port.grpc", 1), port("master.port", 2), port("master.port.grpc", 3)])
            .args([port("volume.port", 4), port("volume.port.grpc", 5), port("filer.port", 6)])
            .args([port("filer.port.grpc", 7), port("metricsPort", 8)]);
        let s3 = Client::new(&self.endpoint());
        let master = Client::new(&format!("http://127.0.0.1:{}", self.ports[2].number));
        let answers =
            |client: &Client, route| client.send("GET", route, &[], None).is_ok_and(|reply| reply.status == 200);
        // S3 answers before there is anywhere to put an object.
        self.server = Some(launch.start(|| answers(&s3, "/healthz") && answers(&master, "/dir/assign"))?);
        Ok(())
    }
}

impl Drop for SeaweedFs {
    fn drop(&mut self) {
        // Killed, it leaves the sockets by which its parts speak with each other.
        for port in &self.ports {
            for part in ["master", "volume", "filer", "s3"] {
                let _ = fs::remove_file(format!("/tmp/seaweedfs-{part}-grpc-{}.sock", port.number));
            }
        }
    }
}

impl Service for SeaweedFs {
    fn variables(&self) -> Vec<(&'static str, String)> {
        s3_variables(&self.endpoint(), ACCESS_KEY, SECRET_KEY)
    }

    fn tell(&mut self, words: &[&str]) -> Result<Value> {
        match words {
            ["crash"] => self.crash()?,
            ["restart"] => self.restart()?,
            ["create-bucket", name] => self.create_bucket(name)?,
            _ => bail!("SeaweedFS can be told: crash, restart, create-bucket NAME"),
        }
        Ok(Value::Null)
    }
}

/// The names by which Amazon's and MLflow's clients know it.
pub(super) fn s3_variables(endpoint: &str, key: &str, secret: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", endpoint.to_owned()),
        ("MLFLOW_S3_ENDPOINT_URL", endpoint.to_owned()),
        ("AWS_ACCESS_KEY_ID", key.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
    ]
}

/// A bucket, and what a client needs for it.
#[derive(Debug)]
pub struct Bucket {
    pub endpoint: String,
    pub name: String,
    pub region: String,
    pub access_key: String,
    pub secret_key: String,
    _server: Option<Arc<SeaweedFs>>,
}

/// A new, empty bucket on the server that the tests share.
pub fn bucket() -> Result<Bucket> {
    static OWN: Mutex<Weak<SeaweedFs>> = Mutex::new(Weak::new());
    let shared = host::shared("seaweedfs", &OWN, SeaweedFs::start)?;
    let endpoint = shared.variables.get("AWS_ENDPOINT_URL").context("The shared SeaweedFS has no address")?.clone();
    let name = new_name();
    create_bucket(&endpoint, &name)?;
    Ok(Bucket {
        endpoint,
        name,
        region: REGION.to_owned(),
        access_key: ACCESS_KEY.to_owned(),
        secret_key: SECRET_KEY.to_owned(),
        _server: shared.own,
    })
}

/// A name for a bucket or a container that no other test on this machine uses.
pub(super) fn new_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("test-{}-{}-{count}", std::process::id(), jiff::Timestamp::now().as_millisecond())
}

fn create_bucket(endpoint: &str, name: &str) -> Result {
    create_bucket_as(endpoint, name, ACCESS_KEY, SECRET_KEY)
}

/// On whichever S3 there is.
pub(super) fn create_bucket_as(endpoint: &str, name: &str, key: &str, secret: &str) -> Result {
    let path = format!("/{name}");
    let host = endpoint.trim_start_matches("http://");
    let headers = signing::s3_put(host, &path, REGION, key, secret);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let reply = Client::new(endpoint).send("PUT", &path, &headers, Some(b""))?;
    if reply.status != 200 {
        bail!("The bucket {name} was not made: {} {}", reply.status, reply.text());
    }
    Ok(())
}
