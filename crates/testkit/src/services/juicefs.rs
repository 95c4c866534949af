//! `juicefs gateway`: an S3 in front of a file system, by the code that MinIO had for it. A folder that was emptied
//! stays, and answers as if there were an object.

use std::process::Command;

use anyhow::bail;
use serde_json::Value;

use super::daemon::{self, Daemon, Launch};
use super::folder::Folder;
use super::ports::{self, Port};
use super::seaweedfs::{REGION, create_bucket_as, s3_variables};
use super::{Service, none, programs};
use crate::Result;
use crate::client::Client;

const ACCESS_KEY: &str = "juicefskey";
const SECRET_KEY: &str = "juicefssecret";

#[derive(Debug)]
pub struct JuiceFs {
    _server: Daemon,
    /// Of S3, and of its figures.
    ports: [Port; 2],
    _folder: Folder,
}

impl JuiceFs {
    pub fn start() -> Result<Self> {
        let folder = Folder::new("juicefs")?;
        let program = programs::linked("juicefs", "juicefs")?;
        let place = |name: &str| folder.join(name).display().to_string();
        let meta = format!("sqlite3://{}", place("meta.db"));
        let format =
            ["format", "--no-update", "--storage", "file", "--bucket", &(place("objects") + "/"), &meta, "test"];
        daemon::run(Command::new(&program).args(format), "")?;
        let ports = [ports::reserve()?, ports::reserve()?];
        let [address, figures] = [&ports[0], &ports[1]].map(|port| format!("127.0.0.1:{}", port.number));
        let client = Client::new(&format!("http://{address}"));
        let server = Launch::new(&program, &folder, false, "KILL")
            .env("MINIO_ROOT_USER", ACCESS_KEY)
            .env("MINIO_ROOT_PASSWORD", SECRET_KEY)
            .args(["gateway", "--no-usage-report", "--multi-buckets", "--keep-etag", "--object-meta"])
            .args(["--cache-dir", &place("cache"), "--metrics", &figures, &meta, &address])
            .start(|| client.send("GET", "/minio/health/live", &[], None).is_ok_and(|reply| reply.status == 200))?;
        Ok(Self { _server: server, ports, _folder: folder })
    }

    pub(super) fn start_with(options: &[(&str, &str)]) -> Result<Self> {
        none(options)?;
        Self::start()
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0].number)
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
        create_bucket_as(&self.endpoint(), name, ACCESS_KEY, SECRET_KEY)
    }
}

impl Service for JuiceFs {
    fn variables(&self) -> Vec<(&'static str, String)> {
        s3_variables(&self.endpoint(), ACCESS_KEY, SECRET_KEY)
    }

    fn tell(&mut self, words: &[&str]) -> Result<Value> {
        match words {
            ["create-bucket", name] => self.create_bucket(name)?,
            _ => bail!("JuiceFS can be told: create-bucket NAME"),
        }
        Ok(Value::Null)
    }
}
