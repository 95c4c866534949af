//! Azurite, Microsoft's own emulator of Azure Blob Storage.

use std::sync::{Arc, Mutex, Weak};

use anyhow::{Context, bail};
use serde_json::Value;

use super::daemon::{Daemon, Launch};
use super::folder::Folder;
use super::ports::{self, Port};
use super::seaweedfs::new_name;
use super::{Service, host, none, programs, signing};
use crate::Result;
use crate::client::Client;

/// The emulator's account, which is the same everywhere, and its key, which is no secret.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

#[derive(Debug)]
pub struct Azurite {
    server: Option<Daemon>,
    port: Port,
    folder: Folder,
}

impl Azurite {
    pub fn start() -> Result<Self> {
        let mut azurite = Self { server: None, port: ports::reserve()?, folder: Folder::new("azurite")? };
        azurite.launch()?;
        Ok(azurite)
    }

    pub(super) fn start_with(options: &[(&str, &str)]) -> Result<Self> {
        none(options)?;
        Self::start()
    }

    /// Of the account: `http://127.0.0.1:10000/devstoreaccount1`
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{ACCOUNT}", self.port.number)
    }

    pub fn account(&self) -> &'static str {
        ACCOUNT
    }

    pub fn key(&self) -> &'static str {
        KEY
    }

    pub fn connection_string(&self) -> String {
        connection_string(&self.endpoint())
    }

    pub fn create_container(&self, name: &str) -> Result {
        create_container(&self.endpoint(), name)
    }

    /// Ends it by `kill -9`.
    pub fn crash(&mut self) -> Result {
        self.server.take().context("Azurite is not running")?.kill()
    }

    /// Starts it on the same data and port, after stopping it if it runs.
    pub fn restart(&mut self) -> Result {
        if let Some(mut server) = self.server.take() {
            server.stop()?;
        }
        self.launch()
    }

    fn launch(&mut self) -> Result {
        let client = Client::new(&format!("http://127.0.0.1:{}", self.port.number));
        let launch = Launch::new(&programs::system("node", "azurite")?, &self.folder, false, "KILL")
            .args([programs::linked("azurite", "azurite")?])
            .args(["--blobHost", "127.0.0.1", "--blobPort", &self.port.number.to_string(), "--location", "data"])
            // Newer clients name versions of the protocol that it does not know yet.
            .args(["--silent", "--skipApiVersionCheck", "--disableTelemetry"]);
        self.server = Some(launch.start(|| client.send("GET", "/", &[], None).is_ok())?);
        Ok(())
    }
}

impl Service for Azurite {
    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AZURE_STORAGE_CONNECTION_STRING", self.connection_string()),
            ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT.to_owned()),
            ("AZURE_STORAGE_ACCESS_KEY", KEY.to_owned()),
            ("AZURE_STORAGE_ENDPOINT", self.endpoint()),
        ]
    }

    fn tell(&mut self, words: &[&str]) -> Result<Value> {
        match words {
            ["crash"] => self.crash()?,
            ["restart"] => self.restart()?,
            ["create-container", name] => self.create_container(name)?,
            _ => bail!("Azurite can be told: crash, restart, create-container NAME"),
        }
        Ok(Value::Null)
    }
}

/// A container, and what a client needs for it.
#[derive(Debug)]
pub struct Container {
    /// Of the account: `http://127.0.0.1:10000/devstoreaccount1`
    pub endpoint: String,
    pub name: String,
    pub account: String,
    pub key: String,
    pub connection_string: String,
    _server: Option<Arc<Azurite>>,
}

/// A new, empty container on the server that the tests share.
pub fn container() -> Result<Container> {
    static OWN: Mutex<Weak<Azurite>> = Mutex::new(Weak::new());
    let shared = host::shared("azurite", &OWN, Azurite::start)?;
    let endpoint = shared.variables.get("AZURE_STORAGE_ENDPOINT").context("The shared Azurite has no address")?.clone();
    let name = new_name();
    create_container(&endpoint, &name)?;
    Ok(Container {
        connection_string: connection_string(&endpoint),
        endpoint,
        name,
        account: ACCOUNT.to_owned(),
        key: KEY.to_owned(),
        _server: shared.own,
    })
}

fn connection_string(endpoint: &str) -> String {
    format!("DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};")
}

fn create_container(endpoint: &str, name: &str) -> Result {
    let headers = signing::azure_create(ACCOUNT, KEY, name)?;
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let route = format!("/{name}?restype=container");
    let reply = Client::new(endpoint).send("PUT", &route, &headers, Some(b""))?;
    if reply.status != 201 {
        bail!("The container {name} was not made: {} {}", reply.status, reply.text());
    }
    Ok(())
}
