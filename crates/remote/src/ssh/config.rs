//! What is to be connected to, and how.

use std::path::PathBuf;

use crate::fault::Fault;
use crate::location::Server;
use crate::options::{Options, Secret};

/// One host on the way, the last of which has the files.
#[derive(Debug)]
pub(super) struct Hop {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Option<Secret>,
    pub key_files: Vec<KeyFile>,
    /// The socket of an agent that may be asked.
    pub agent: Option<PathBuf>,
    /// Of the agent's keys, only those that the files are.
    pub identities_only: bool,
    pub known_hosts: Vec<PathBuf>,
    /// By which name it stands in there.
    pub known_as: String,
    /// Refuse a host that does not.
    pub strict: bool,
}

#[derive(Clone, Debug)]
pub(super) struct KeyFile {
    pub path: PathBuf,
    /// By name, so that it must be usable; else it is one of those that lie where keys lie.
    pub is_asked_for: bool,
}

/// The keys that the ssh program tries by itself.
const USUAL_KEYS: [&str; 4] = ["id_ed25519", "id_ecdsa", "id_rsa", "id_dsa"];

pub(super) async fn resolve(place: &Server, options: &Options) -> Result<Vec<Hop>, Fault> {
    let (ssh, environment) = (&options.ssh, &options.environment);
    let folder = environment.home().map(|home| home.join(".ssh"));
    let usual = |name: &str| folder.as_ref().map(|folder| KeyFile { path: folder.join(name), is_asked_for: false });
    let key_files = match &ssh.keyfile {
        Some(path) => vec![KeyFile { path: path.clone(), is_asked_for: true }],
        None => USUAL_KEYS.iter().filter_map(|name| usual(name)).collect(),
    };
    let user = ssh.user.clone().or_else(|| place.user.clone()).or_else(|| environment.first(&["USER", "LOGNAME"]));
    Ok(vec![Hop {
        host: place.host.clone(),
        port: ssh.port.or(place.port).unwrap_or(22),
        user: user.ok_or_else(|| Fault::NoCredentials("no user is named: set user".to_owned()))?,
        password: ssh.password.clone().or_else(|| place.password.clone()),
        key_files,
        agent: environment.get("SSH_AUTH_SOCK").filter(|_| ssh.allow_agent).map(PathBuf::from),
        identities_only: false,
        known_hosts: folder.iter().map(|folder| folder.join("known_hosts")).collect(),
        known_as: place.host.clone(),
        strict: false,
    }])
}
