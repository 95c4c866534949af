//! Where remotes lie: a folder of this disk, or a real server that is started for them. How a remote there is configured is the
//! same for both tools.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;
use trackway_testkit::services::{Apache, Azurite, FakeGcs, Hdfs, SeaweedFs, Sshd, hdfs, programs};

use crate::data::exchange::Load;
use crate::data::loader::{self, Bare, Service};
use crate::data::tool::{Measured, Side, clean, measure, must};

const BUCKET: &str = "bench";

/// Transfers of small files that bounds do at once.
const MANY_AT_ONCE: usize = 32;

pub enum Store {
    Folder,
    S3(SeaweedFs),
    Azure(Azurite),
    Gs(FakeGcs),
    Ssh(Sshd),
    WebDav(Apache),
    Hdfs(Hdfs),
}

impl Store {
    /// Starts the server for remotes of this scheme.
    pub fn start(scheme: &str) -> Result<Store> {
        Ok(match scheme {
            "s3" => {
                let server = SeaweedFs::start()?;
                server.create_bucket(BUCKET)?;
                Store::S3(server)
            }
            "azure" => {
                let server = Azurite::start()?;
                server.create_container(BUCKET)?;
                Store::Azure(server)
            }
            "gs" => {
                let server = FakeGcs::start()?;
                server.create_bucket(BUCKET)?;
                Store::Gs(server)
            }
            "ssh" => Store::Ssh(Sshd::start()?),
            "webdav" => Store::WebDav(Apache::start()?),
            "hdfs" => Store::Hdfs(Hdfs::start(hdfs::Options::default())?),
            other => bail!("there is no server for {other}"),
        })
    }

    /// The folder of this machine that is the remote of this name, where there is one.
    pub fn folder(&self, side: &Side, name: &str) -> Option<PathBuf> {
        match self {
            Store::Folder => Some(side.path(&format!("../{name}"))),
            Store::Ssh(server) => Some(server.files().join(name)),
            _ => None,
        }
    }

    /// Makes what has to be there before the first push, and tells the section of a remote of this name.
    pub fn make_ready(&self, side: &Side, name: &str) -> Result<String> {
        Ok(match self {
            Store::Folder => {
                fs::create_dir_all(side.path(&format!("../{name}")))?;
                // It counts from the folder of the configuration.
                format!("url = ../../{name}\n")
            }
            Store::S3(server) => format!(
                "url = s3://{BUCKET}/{name}\nendpointurl = {}\nregion = {}\naccess_key_id = {}\nsecret_access_key = {}\n",
                server.endpoint(),
                server.region(),
                server.access_key(),
                server.secret_key()
            ),
            Store::Azure(server) => {
                format!("url = azure://{BUCKET}/{name}\nconnection_string = \"{}\"\n", server.connection_string())
            }
            Store::Gs(server) => {
                let endpoint = server.endpoint();
                format!("url = gs://{BUCKET}/{name}\nendpointurl = {endpoint}\nallow_anonymous_login = true\n")
            }
            Store::Ssh(server) => format!("url = {}/{name}\nkeyfile = {}\n", server.url(), server.key("id").display()),
            Store::WebDav(server) => {
                // Stock asks for the folder to be there.
                let place = format!("{}/dav/{name}", server.address());
                let url = format!("http://{place}/");
                must(Command::new("curl").args(["-sf", "-u", "u:p", "-X", "MKCOL", &url]))?;
                format!("url = webdav://{place}\nuser = u\npassword = p\n")
            }
            Store::Hdfs(server) => format!("url = {}/{name}\nuser = {}\n", server.url(), server.superuser()),
        })
    }

    /// Runs a bound: brings what lies at `local` to a new place of the store, or what lies there back.
    pub fn bound(&self, name: &str, load: Load, up: bool, side: &Side, local: &Path, place: &str) -> Result<Measured> {
        if name == loader::NAME {
            return self.bare(load, up, local, place)?.run();
        }
        let Store::S3(server) = self else { bail!("{name} is measured on S3 only") };
        let mut command = Command::new(programs::linked("rclone", "rclone")?);
        clean(&mut command, &side.home);
        let (local, remote) =
            (local.to_string_lossy().into_owned(), format!(":s3,provider=SeaweedFS,env_auth=true:{BUCKET}/{place}"));
        let (from, to) = if up { (local, remote) } else { (remote, local) };
        let verb = if let Load::File(_) = load { "copyto" } else { "copy" };
        let at_once = MANY_AT_ONCE.to_string();
        command.args([verb, "--config", "/dev/null", "--s3-no-check-bucket", "--transfers", &at_once]);
        command.args(["--checkers", &at_once, "--s3-upload-concurrency", "6", "--s3-chunk-size", "8Mi"]);
        command.args(["--multi-thread-streams", "6"]).args([from, to]);
        command.env("AWS_ACCESS_KEY_ID", server.access_key()).env("AWS_SECRET_ACCESS_KEY", server.secret_key());
        command.env("RCLONE_S3_ENDPOINT", server.endpoint()).env("RCLONE_S3_REGION", server.region());
        measure(&mut command)
    }

    fn bare(&self, load: Load, up: bool, local: &Path, place: &str) -> Result<Bare> {
        let service = match self {
            Store::Azure(server) => Service::Azure {
                url: format!("{}/{BUCKET}/{place}-", server.endpoint()),
                signature: azure_signature(server)?,
            },
            Store::Gs(server) => {
                Service::Gcs { url: server.endpoint(), bucket: BUCKET.to_owned(), prefix: format!("{place}-") }
            }
            Store::Hdfs(server) => {
                Service::Hdfs { url: server.url(), user: server.superuser().to_owned(), folder: format!("/{place}") }
            }
            _ => bail!("there is no bare loader for this store"),
        };
        let files = if let Load::Files(files) = load { Some(files) } else { None };
        let at_once = if files.is_some() { MANY_AT_ONCE } else { 6 };
        Ok(Bare { service, up, local: local.to_path_buf(), files, at_once })
    }
}

/// A signature for the whole account and all that the loader does, so that no request has to be signed.
fn azure_signature(server: &Azurite) -> Result<String> {
    let (rights, end, version) = ("rwdlc", "2099-01-01T00:00:00Z", "2019-12-12");
    let text = format!("{}\n{rights}\nb\nsco\n\n{end}\n\n\n{version}\n", server.account());
    let key = BASE64_STANDARD.decode(server.key()).context("Azurite's key is no base64")?;
    let signed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), text.as_bytes());
    let signed = BASE64_STANDARD.encode(signed).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    Ok(format!("sv={version}&ss=b&srt=sco&sp={rights}&se={end}&sig={signed}"))
}
