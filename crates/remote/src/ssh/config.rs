//! What is to be connected to, and how: the remote's options, then `~/.ssh/config`, then what is usual.

use std::path::PathBuf;
use std::time::Duration;

use super::ssh_config::Settings;
use crate::environment::Environment;
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
    pub timeout: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(super) struct KeyFile {
    pub path: PathBuf,
    /// Named in the remote's options, so that it must be usable.
    pub is_asked_for: bool,
}

/// The keys that the ssh program tries by itself.
const USUAL_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// How many hosts one connection may go over, and how far their jump hosts may have jump hosts.
const MOST_HOPS: usize = 16;

/// Every host on the way to `place`, in the order in which they are connected to.
pub(super) async fn resolve(place: &Server, options: &Options) -> Result<Vec<Hop>, Fault> {
    let (ssh, environment) = (&options.ssh, options.environment.clone());
    let wanted = Wanted {
        host: place.host.clone(),
        user: ssh.user.clone().or_else(|| place.user.clone()),
        port: ssh.port.or(place.port),
    };
    let allow_agent = ssh.allow_agent;
    let mut hops = tokio::task::spawn_blocking(move || {
        let mut hops = Vec::new();
        add(&wanted, &environment, allow_agent, &mut hops, 0)?;
        Ok::<_, Fault>(hops)
    })
    .await
    .map_err(|stopped| Fault::Other(stopped.to_string()))??;
    // The options are for the last host; those on the way have theirs in the file.
    if let Some(last) = hops.last_mut() {
        last.password = ssh.password.clone().or_else(|| place.password.clone());
        if let Some(path) = &ssh.keyfile {
            last.key_files = vec![KeyFile { path: path.clone(), is_asked_for: true }];
        }
    }
    Ok(hops)
}

struct Wanted {
    host: String,
    user: Option<String>,
    port: Option<u16>,
}

impl Wanted {
    /// `user@host:port`, or the same as a URL.
    fn read(text: &str) -> Result<Wanted, Fault> {
        let wrong = || Fault::Other(format!("'{text}' in ProxyJump is no USER@HOST:PORT"));
        let text = text.trim();
        let text = text.strip_prefix("ssh://").unwrap_or(text).trim_end_matches('/');
        let (user, address) = match text.rsplit_once('@') {
            Some((user, address)) => (Some(user.to_owned()), address),
            None => (None, text),
        };
        let (host, port) = match address.strip_prefix('[') {
            Some(bracketed) => {
                let (host, behind) = bracketed.split_once(']').ok_or_else(wrong)?;
                (host, behind.strip_prefix(':'))
            }
            None => match address.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            },
        };
        if host.is_empty() {
            return Err(wrong());
        }
        let port = port.map(|port| port.parse().map_err(|_| wrong())).transpose()?;
        Ok(Wanted { host: host.to_owned(), user, port })
    }
}

/// Adds a host, and before it those that lead to it.
fn add(
    wanted: &Wanted,
    environment: &Environment,
    allow_agent: bool,
    hops: &mut Vec<Hop>,
    depth: usize,
) -> Result<(), Fault> {
    if depth >= MOST_HOPS || hops.len() >= MOST_HOPS {
        return Err(Fault::Other("the jump hosts in ~/.ssh/config lead in a circle".to_owned()));
    }
    let me = local_user(environment);
    let settings = Settings::read(environment, &wanted.host, wanted.user.as_deref(), me.as_deref())?;
    let host = match &settings.host_name {
        Some(name) => name.replace("%%", "\0").replace("%h", &wanted.host).replace('\0', "%"),
        None => wanted.host.clone(),
    };
    let port = wanted.port.or(settings.port).unwrap_or(22);
    let user = wanted.user.clone().or_else(|| settings.user.clone()).or(me);
    let user = user.ok_or_else(|| Fault::NoCredentials("it is not known as whom to log in: set user".to_owned()))?;
    let expand = |path: &str| expand(path, environment, &host, port, &user);
    match &settings.proxy {
        Some(proxy) if proxy.is_command => {
            return Err(Fault::Other(format!(
                "~/.ssh/config has a ProxyCommand for '{}', and no commands are run here: use ProxyJump",
                wanted.host
            )));
        }
        Some(proxy) => {
            for (index, jump) in proxy.value.split(',').enumerate() {
                let jump = Wanted::read(jump)?;
                // The first has its own way; the others are reached over the one before.
                match index {
                    0 => add(&jump, environment, allow_agent, hops, depth + 1)?,
                    _ => {
                        let before = hops.len();
                        add(&jump, environment, allow_agent, hops, depth + 1)?;
                        hops.drain(before..hops.len() - 1);
                    }
                }
            }
        }
        None => {}
    }
    let folder = environment.home().map(|home| home.join(".ssh"));
    let key_files = match settings.identity_files.is_empty() {
        false => settings.identity_files.iter().map(|file| expand(file)).collect(),
        true => folder.iter().flat_map(|folder| USUAL_KEYS.map(|name| folder.join(name))).collect::<Vec<_>>(),
    };
    let known_hosts = match &settings.known_hosts {
        Some(files) => files.iter().filter(|file| *file != "none").map(|file| expand(file)).collect(),
        None => {
            let users = folder.iter().flat_map(|folder| ["known_hosts", "known_hosts2"].map(|name| folder.join(name)));
            users.chain([PathBuf::from("/etc/ssh/ssh_known_hosts")]).collect()
        }
    };
    let agent = match settings.agent.as_deref() {
        Some("none") => None,
        None | Some("SSH_AUTH_SOCK") => environment.get("SSH_AUTH_SOCK").map(PathBuf::from),
        Some(name) => match name.strip_prefix('$') {
            Some(variable) => environment.get(variable.trim_matches(['{', '}'])).map(PathBuf::from),
            None => Some(expand(name)),
        },
    };
    hops.push(Hop {
        known_as: settings.host_key_alias.clone().unwrap_or_else(|| host.clone()),
        agent: agent.filter(|_| allow_agent),
        identities_only: settings.identities_only,
        strict: settings.strict,
        timeout: settings.timeout,
        password: None,
        key_files: key_files.into_iter().map(|path| KeyFile { path, is_asked_for: false }).collect(),
        known_hosts,
        host,
        port,
        user,
    });
    Ok(())
}

/// A path of the file: `~`, and the signs for which something is put.
fn expand(path: &str, environment: &Environment, host: &str, port: u16, user: &str) -> PathBuf {
    let mut expanded = String::new();
    let mut signs = path.chars();
    while let Some(sign) = signs.next() {
        if sign != '%' {
            expanded.push(sign);
            continue;
        }
        match signs.next() {
            Some('h') => expanded.push_str(host),
            Some('p') => expanded.push_str(&port.to_string()),
            Some('r') => expanded.push_str(user),
            Some('u') => expanded.push_str(&local_user(environment).unwrap_or_default()),
            Some('d') => expanded.push_str(&environment.home().unwrap_or_default().to_string_lossy()),
            Some('%') | None => expanded.push('%'),
            Some(other) => expanded.extend(['%', other]),
        }
    }
    environment.expand(&expanded)
}

fn local_user(environment: &Environment) -> Option<String> {
    environment.first(&["LOGNAME", "USER", "LNAME", "USERNAME"]).or_else(|| {
        let own = rustix::process::geteuid().as_raw().to_string();
        let users = std::fs::read_to_string("/etc/passwd").ok()?;
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == own).then(|| name.to_owned())
        })
    })
}
