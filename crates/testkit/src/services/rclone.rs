//! `rclone serve s3`: an S3 that is sloppy, as some in the field are. It ignores `If-None-Match`, has
//! no versions, and its ETags are not always MD5s. And `rclone serve sftp`: an SFTP without any of OpenSSH's
//! extensions, which lets one in by a password.

use std::fs;

use anyhow::bail;
use serde_json::Value;

use super::daemon::{Daemon, Launch};
use super::folder::Folder;
use super::ports::{self, Port};
use super::seaweedfs::{REGION, create_bucket_as, s3_variables};
use super::{Service, programs, unknown};
use crate::Result;
use crate::client::Client;

const ACCESS_KEY: &str = "rclonekey";
const SECRET_KEY: &str = "rclonesecret";

#[derive(Debug)]
pub struct Rclone {
    _server: Daemon,
    port: Port,
    _folder: Folder,
}

impl Rclone {
    pub fn start() -> Result<Self> {
        let folder = Folder::new("rclone")?;
        fs::create_dir(folder.join("buckets"))?;
        let port = ports::reserve()?;
        let address = format!("127.0.0.1:{}", port.number);
        let client = Client::new(&format!("http://{address}"));
        let server = Launch::new(&programs::linked("rclone", "rclone")?, &folder, false, "KILL")
            .args(["serve", "s3", "--config", "/dev/null", "--addr", &address])
            .args(["--auth-key", &format!("{ACCESS_KEY},{SECRET_KEY}"), "buckets"])
            // It refuses us, which is an answer.
            .start(|| client.send("GET", "/", &[], None).is_ok())?;
        Ok(Self { _server: server, port, _folder: folder })
    }

    pub fn start_sftp() -> Result<Self> {
        let folder = Folder::new("rclone")?;
        fs::create_dir(folder.join("buckets"))?;
        let port = ports::reserve()?;
        let number = port.number;
        let server = Launch::new(&programs::linked("rclone", "rclone")?, &folder, false, "KILL")
            .args(["serve", "sftp", "--config", "/dev/null", "--addr", &format!("127.0.0.1:{number}")])
            .args(["--user", ACCESS_KEY, "--pass", SECRET_KEY, "--vfs-cache-mode", "writes"])
            .args(["--vfs-write-back", "0s", "buckets"])
            .start(|| ports::answers(number))?;
        Ok(Self { _server: server, port, _folder: folder })
    }

    /// `protocol=s3` or `protocol=sftp`
    pub(super) fn start_with(options: &[(&str, &str)]) -> Result<Self> {
        match options {
            [] | [("protocol", "s3")] => Self::start(),
            [("protocol", "sftp")] => Self::start_sftp(),
            [("protocol", _), ..] => bail!("protocol should be s3 or sftp"),
            [(name, _), ..] => unknown(name),
        }
    }

    /// Of the SFTP server, without a user: `ssh://127.0.0.1:2222`. Its root is the folder of the buckets.
    pub fn sftp_url(&self) -> String {
        format!("ssh://127.0.0.1:{}", self.port.number)
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number)
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

    /// By itself: a folder that is made behind its back it may see only after minutes.
    pub fn create_bucket(&self, name: &str) -> Result {
        create_bucket_as(&self.endpoint(), name, ACCESS_KEY, SECRET_KEY)
    }
}

impl Service for Rclone {
    fn variables(&self) -> Vec<(&'static str, String)> {
        s3_variables(&self.endpoint(), ACCESS_KEY, SECRET_KEY)
    }

    fn tell(&mut self, words: &[&str]) -> Result<Value> {
        match words {
            ["create-bucket", name] => self.create_bucket(name)?,
            _ => bail!("rclone can be told: create-bucket NAME"),
        }
        Ok(Value::Null)
    }
}
