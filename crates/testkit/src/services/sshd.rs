//! OpenSSH's server, with SFTP: key login as the user that runs the tests, into a folder of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, Weak};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::daemon::{self, Daemon, Launch};
use super::folder::Folder;
use super::ports::{self, Port};
use super::seaweedfs::new_name;
use super::{Service, host, none, programs};
use crate::Result;

/// Opens the key that is locked.
pub const PASSPHRASE: &str = "a passphrase, 1";

#[derive(Debug)]
pub struct Sshd {
    server: Option<Daemon>,
    port: Port,
    folder: Folder,
    user: String,
}

impl Sshd {
    pub fn start() -> Result<Self> {
        let folder = Folder::new("sshd")?;
        fs::create_dir(folder.join("files"))?;
        let user = daemon::run(Command::new("id").arg("-un"), "")?.trim().to_owned();
        let mut sshd = Self { server: None, port: ports::reserve()?, folder, user };
        sshd.new_host_key()?;
        sshd.new_key("id", "")?;
        sshd.new_key("locked", PASSPHRASE)?;
        // Nobody lets this one in.
        sshd.new_key("stranger", "")?;
        let public = ["id", "locked"].map(|key| fs::read_to_string(sshd.folder.join(&format!("{key}.pub"))));
        let [id, locked] = public;
        sshd.folder.write("authorized_keys", &(id? + &locked?))?;
        if rustix::process::geteuid().is_root() {
            // Where it locks itself up before the login.
            fs::create_dir_all("/run/sshd")?;
        }
        sshd.launch()?;
        Ok(sshd)
    }

    pub(super) fn start_with(options: &[(&str, &str)]) -> Result<Self> {
        none(options)?;
        Self::start()
    }

    /// `127.0.0.1:2222`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number)
    }

    pub fn port(&self) -> u16 {
        self.port.number
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    /// A private key: `id`, `locked` (by [`PASSPHRASE`]) or `stranger`, with its public half beside it.
    pub fn key(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where this server is known by its key.
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// The folder whose files are there to be worked with.
    pub fn files(&self) -> PathBuf {
        self.folder.join("files")
    }

    /// `ssh://user@127.0.0.1:2222/tmp/…/files`
    pub fn url(&self) -> String {
        format!("ssh://{}@{}{}", self.user, self.address(), self.files().display())
    }

    /// Ends it by `kill -9`, with all connections.
    pub fn crash(&mut self) -> Result {
        let mut server = self.server.take().context("sshd is not running")?;
        // Those that serve connections have left its process group.
        let serving = server.pid().map(descendants).transpose()?.unwrap_or_default();
        server.kill()?;
        for pid in serving {
            // It may have ended with its parent.
            let _ = kill_process(pid, Signal::KILL);
        }
        Ok(())
    }

    /// Starts it on the same port and files, after stopping it if it runs.
    pub fn restart(&mut self) -> Result {
        if self.server.is_some() {
            self.crash()?;
        }
        self.launch()
    }

    /// As when the machine was set up anew. It counts for connections that come after a restart.
    pub fn new_host_key(&self) -> Result {
        let _ = fs::remove_file(self.folder.join("host"));
        self.new_key("host", "")?;
        let public = fs::read_to_string(self.folder.join("host.pub"))?;
        let known = format!("[127.0.0.1]:{} {public}", self.port.number);
        self.folder.write("known_hosts", &known)?;
        Ok(())
    }

    fn new_key(&self, name: &str, passphrase: &str) -> Result {
        let keygen = programs::system("ssh-keygen", "sshd")?;
        let mut command = Command::new(keygen);
        command.args(["-q", "-t", "ed25519", "-C", name, "-N", passphrase, "-f"]).arg(self.folder.join(name));
        daemon::run(&mut command, "")?;
        Ok(())
    }

    fn launch(&mut self) -> Result {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let configuration = [
            format!("Port {}", self.port.number),
            "ListenAddress 127.0.0.1".to_owned(),
            format!("HostKey {}", path("host")),
            format!("AuthorizedKeysFile {}", path("authorized_keys")),
            "PidFile none".to_owned(),
            "UsePAM no".to_owned(),
            "PasswordAuthentication no".to_owned(),
            "KbdInteractiveAuthentication no".to_owned(),
            "PermitRootLogin prohibit-password".to_owned(),
            "StrictModes no".to_owned(),
            // Tests come in crowds.
            "MaxStartups 500".to_owned(),
            "AllowTcpForwarding yes".to_owned(),
            "Subsystem sftp internal-sftp".to_owned(),
        ];
        let configuration = self.folder.write("conf", &(configuration.join("\n") + "\n"))?;
        let number = self.port.number;
        let launch =
            Launch::new(&programs::system("sshd", "sshd")?, &self.folder, false, "KILL").args(["-D", "-e", "-f"]);
        self.server = Some(launch.args([configuration]).start(|| ports::answers(number))?);
        Ok(())
    }
}

impl Service for Sshd {
    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("SSH_URL", self.url()),
            ("SSH_USER", self.user.clone()),
            ("SSH_PORT", self.port.number.to_string()),
            ("SSH_KEYS", self.folder.path().display().to_string()),
        ]
    }

    fn tell(&mut self, words: &[&str]) -> Result<Value> {
        match words {
            ["crash"] => self.crash()?,
            ["restart"] => self.restart()?,
            ["new-host-key"] => self.new_host_key()?,
            _ => bail!("sshd can be told: crash, restart, new-host-key"),
        }
        Ok(Value::Null)
    }
}

/// The processes that a process has started, and those that they have.
fn descendants(of: Pid) -> Result<Vec<Pid>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<i32>() else { continue };
        // Behind the name, which may hold anything, come the state and the parent.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<i32>().ok());
        parents.extend(Some(pid).zip(parent));
    }
    let mut found = vec![of.as_raw_nonzero().get()];
    let mut next = 0;
    while let Some(above) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, parent)| *parent == above).map(|(pid, _)| *pid));
        next += 1;
    }
    Ok(found.into_iter().skip(1).filter_map(Pid::from_raw).collect())
}

/// A new, empty folder on a server, and what a client needs for it.
#[derive(Debug)]
pub struct Directory {
    /// `ssh://user@127.0.0.1:2222/tmp/…/files/test-1`
    pub url: String,
    /// The same folder, seen from here.
    pub path: PathBuf,
    pub port: u16,
    /// Has `id`, `locked`, `stranger` and `known_hosts`.
    pub keys: PathBuf,
    _server: Option<Arc<Sshd>>,
}

/// A new, empty folder on the server that the tests share.
pub fn directory() -> Result<Directory> {
    static OWN: Mutex<Weak<Sshd>> = Mutex::new(Weak::new());
    let shared = host::shared("sshd", &OWN, Sshd::start)?;
    let variable = |name: &str| shared.variables.get(name).cloned().with_context(|| format!("sshd has no {name}"));
    let (url, keys, port) =
        (variable("SSH_URL")?, PathBuf::from(variable("SSH_KEYS")?), variable("SSH_PORT")?.parse()?);
    let name = new_name();
    let path = keys.join("files").join(&name);
    fs::create_dir(&path)?;
    Ok(Directory { url: format!("{url}/{name}"), path, port, keys, _server: shared.own })
}

impl Directory {
    pub fn key(&self) -> PathBuf {
        self.keys.join("id")
    }

    pub fn known_hosts(&self) -> PathBuf {
        self.keys.join("known_hosts")
    }

    /// The same folder by another way to the server, a proxy's.
    pub fn url_by(&self, address: &str) -> String {
        self.url.replace(&format!("127.0.0.1:{}", self.port), address)
    }
}
