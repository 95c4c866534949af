//! fake-gcs-server: Google Cloud Storage's JSON API, with conditions, resumable uploads and composing.
//! It asks nobody who they are.

use std::sync::{Arc, Mutex, Weak};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::daemon::{Daemon, Launch};
use super::folder::Folder;
use super::ports::{self, Port};
use super::seaweedfs::new_name;
use super::{Service, host, programs, unknown};
use crate::Result;
use crate::client::Client;

#[derive(Debug)]
pub struct FakeGcs {
    server: Option<Daemon>,
    /// In memory it can keep the generations of objects, and loses all when it ends.
    in_memory: bool,
    port: Port,
    folder: Folder,
}

impl FakeGcs {
    pub fn start() -> Result<Self> {
        Self::launched(false)
    }

    fn launched(in_memory: bool) -> Result<Self> {
        let mut fake = Self { server: None, in_memory, port: ports::reserve()?, folder: Folder::new("fake-gcs")? };
        fake.launch()?;
        Ok(fake)
    }

    /// `versions=yes`: buckets of it may keep versions.
    pub(super) fn start_with(options: &[(&str, &str)]) -> Result<Self> {
        match options {
            [] => Self::start(),
            [("versions", "yes")] => Self::launched(true),
            [(name, _), ..] => unknown(name),
        }
    }

    /// `http://127.0.0.1:4443`
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number)
    }

    pub fn create_bucket(&self, name: &str) -> Result {
        create_bucket(&self.endpoint(), name)
    }

    /// Ends it by `kill -9`.
    pub fn crash(&mut self) -> Result {
        self.server.take().context("fake-gcs-server is not running")?.kill()
    }

    /// Starts it on the same data and port, after stopping it if it runs.
    pub fn restart(&mut self) -> Result {
        if let Some(mut server) = self.server.take() {
            server.stop()?;
        }
        self.launch()
    }

    fn launch(&mut self) -> Result {
        let address = format!("127.0.0.1:{}", self.port.number);
        let endpoint = self.endpoint();
        let client = Client::new(&endpoint);
        let launch = Launch::new(&programs::linked("fake-gcs-server", "fake-gcs")?, &self.folder, false, "KILL")
            .args(["-scheme", "http", "-host", "127.0.0.1", "-port", &self.port.number.to_string()])
            .args(["-backend", if self.in_memory { "memory" } else { "filesystem" }])
            .args(["-filesystem-root", "data", "-log-level", "warn"])
            .args(["-public-host", &address, "-external-url", &endpoint]);
        let ready = || client.send("GET", "/storage/v1/b", &[], None).is_ok_and(|reply| reply.status == 200);
        self.server = Some(launch.start(ready)?);
        Ok(())
    }
}

impl Service for FakeGcs {
    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![("STORAGE_EMULATOR_HOST", self.endpoint())]
    }

    fn tell(&mut self, words: &[&str]) -> Result<Value> {
        match words {
            ["crash"] => self.crash()?,
            ["restart"] => self.restart()?,
            ["create-bucket", name] => self.create_bucket(name)?,
            _ => bail!("fake-gcs-server can be told: crash, restart, create-bucket NAME"),
        }
        Ok(Value::Null)
    }
}

/// A bucket, and where it is.
#[derive(Debug)]
pub struct Bucket {
    pub endpoint: String,
    pub name: String,
    _server: Option<Arc<FakeGcs>>,
}

/// A new, empty bucket on the server that the tests share.
pub fn bucket() -> Result<Bucket> {
    static OWN: Mutex<Weak<FakeGcs>> = Mutex::new(Weak::new());
    let shared = host::shared("fake-gcs", &OWN, FakeGcs::start)?;
    let endpoint =
        shared.variables.get("STORAGE_EMULATOR_HOST").context("The shared fake-gcs-server has no address")?.clone();
    let name = new_name();
    create_bucket(&endpoint, &name)?;
    Ok(Bucket { endpoint, name, _server: shared.own })
}

fn create_bucket(endpoint: &str, name: &str) -> Result {
    Client::new(endpoint).ok("POST", "/storage/v1/b?project=test", Some(&json!({"name": name})))?;
    Ok(())
}
