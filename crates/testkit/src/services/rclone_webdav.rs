//! `rclone serve webdav`: Go's WebDAV, as many appliances have it. It writes a file where it will lie, so
//! that half of one can be seen, and asks nobody who they are.

use std::fs;

use super::daemon::{Daemon, Launch};
use super::folder::Folder;
use super::ports::{self, Port};
use super::{Service, none, programs};
use crate::Result;
use crate::client::Client;

#[derive(Debug)]
pub struct RcloneWebdav {
    _server: Daemon,
    port: Port,
    _folder: Folder,
}

impl RcloneWebdav {
    pub fn start() -> Result<Self> {
        let folder = Folder::new("rclone-webdav")?;
        fs::create_dir(folder.join("files"))?;
        let port = ports::reserve()?;
        let address = format!("127.0.0.1:{}", port.number);
        let client = Client::new(&format!("http://{address}"));
        let server = Launch::new(&programs::linked("rclone", "rclone-webdav")?, &folder, false, "KILL")
            .args(["serve", "webdav", "--config", "/dev/null", "--addr", &address, "files"])
            .start(|| client.send("GET", "/", &[], None).is_ok())?;
        Ok(Self { _server: server, port, _folder: folder })
    }

    pub(super) fn start_with(options: &[(&str, &str)]) -> Result<Self> {
        none(options)?;
        Self::start()
    }

    /// `127.0.0.1:8080`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number)
    }
}

impl Service for RcloneWebdav {
    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![("RCLONE_WEBDAV_URL", format!("webdav://{}", self.address()))]
    }
}
