//! The connection that is held: made when it is first needed, anew when it broke, over jump hosts if there are.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use russh::cipher;
use russh::client::{self, Handle};
use russh::keys::PublicKeyOrCertificate;
use tokio::net::TcpStream;

use super::config::Hop;
use super::host_keys::{HostKeys, Verdict};
use super::login;
use super::sftp::{Lease, Sftp};
use crate::error::Result;
use crate::fault::Fault;
use crate::location::Server;
use crate::options::Options;

/// What is received on one channel without being asked for more.
const WINDOW: u32 = 8 << 20;

/// A connection that carries nothing asks whether the other side is there; after three without an answer it ends.
const KEEPALIVE: Duration = Duration::from_secs(15);

pub(super) struct Pool {
    place: Server,
    options: Options,
    /// Asked for once, whatever number of connections is made.
    pub(super) secrets: login::Asked,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Arc<Connection>>,
    /// When the last attempt to connect failed, and why.
    failed: Option<(Instant, Fault)>,
}

/// A connection, with the channels that are open on it.
struct Connection {
    handle: Handle<Client>,
    /// Those that it goes over: they end when it does.
    _jumps: Vec<Handle<Client>>,
    channels: Mutex<Vec<Arc<Sftp>>>,
    /// How many channels there may be: fewer when the server says so.
    most: AtomicUsize,
    opening: tokio::sync::Mutex<()>,
}

impl Pool {
    pub fn new(place: &Server, options: &Options) -> Result<Pool> {
        Ok(Pool {
            place: place.clone(),
            options: options.clone(),
            secrets: login::Asked::default(),
            state: tokio::sync::Mutex::default(),
        })
    }

    /// A channel to speak SFTP on, the one with the least to do.
    pub async fn lease(&self) -> Result<Lease, Fault> {
        let came = Instant::now();
        let mut state = self.state.lock().await;
        let connection = match (&state.current, &state.failed) {
            (Some(connection), _) if connection.is_usable() => Arc::clone(connection),
            // Who waited while it was tried is told the same: many do, and a server that counts wrong logins would
            // shut us out.
            (_, Some((when, fault))) if *when >= came => return Err(fault.clone()),
            _ => {
                // Who still uses the old one keeps it until then.
                state.current = None;
                match self.connect().await {
                    Ok(connection) => Arc::clone(state.current.insert(Arc::new(connection))),
                    Err(fault) => {
                        state.failed = Some((Instant::now(), fault.clone()));
                        return Err(fault);
                    }
                }
            }
        };
        drop(state);
        connection.lease(self.options.http.idle_timeout).await
    }

    async fn connect(&self) -> Result<Connection, Fault> {
        let ssh = &self.options.ssh;
        let hops = super::config::resolve(&self.place, &self.options).await?;
        let own = ssh.timeout.or_else(|| hops.last().and_then(|hop| hop.timeout));
        let deadline = own.unwrap_or(self.options.http.connect_timeout * 3);
        let connecting = async {
            let mut over: Vec<Handle<Client>> = Vec::new();
            for hop in &hops {
                let handle = self.connect_to(hop, over.last()).await?;
                over.push(handle);
            }
            match over.pop() {
                Some(handle) => Ok((handle, over)),
                None => Err(Fault::Other("there is no host to connect to".to_owned())),
            }
        };
        let (handle, jumps) = match tokio::time::timeout(deadline, connecting).await {
            Ok(outcome) => outcome?,
            Err(_) => {
                let reason = format!("no connection was made within {} seconds", deadline.as_secs());
                return Err(Fault::Unreachable(reason));
            }
        };
        // As DVC: of the sessions that a server allows, two are kept for other things.
        let most = AtomicUsize::new(ssh.max_sessions.saturating_sub(2).clamp(1, 64));
        Ok(Connection { handle, _jumps: jumps, channels: Mutex::default(), most, opening: tokio::sync::Mutex::new(()) })
    }

    /// A connection to one host, logged in.
    async fn connect_to(&self, hop: &Hop, over: Option<&Handle<Client>>) -> Result<Handle<Client>, Fault> {
        let known = HostKeys::read(hop).await?;
        let config = Arc::new(config(&known));
        let verdict = Arc::new(Mutex::new(None));
        let client = Client { known, verdict: Arc::clone(&verdict) };
        let at = format!("{}:{}", hop.host, hop.port);
        let connected = match over {
            None => {
                let stream = TcpStream::connect((hop.host.as_str(), hop.port)).await;
                let stream =
                    stream.map_err(|error| Fault::Unreachable(format!("connecting to {at} failed: {error}")))?;
                let _ = stream.set_nodelay(true);
                client::connect_stream(config, stream, client).await
            }
            Some(over) => {
                let channel = over.channel_open_direct_tcpip(hop.host.as_str(), hop.port.into(), "127.0.0.1", 0).await;
                let channel = channel
                    .map_err(|error| Fault::Unreachable(format!("the jump host did not connect to {at}: {error}")))?;
                client::connect_stream(config, channel.into_stream(), client).await
            }
        };
        let mut handle = match (connected, verdict.lock().unwrap_or_else(PoisonError::into_inner).take()) {
            (_, Some(refused)) => return Err(Fault::Refused(refused)),
            (Ok(handle), None) => handle,
            (Err(error), None) => return Err(broken(&at, &error)),
        };
        login::login(&mut handle, hop, &self.options, &self.secrets).await?;
        Ok(handle)
    }
}

impl Connection {
    fn is_usable(&self) -> bool {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let before = channels.len();
        channels.retain(|channel| !channel.has_ended());
        // A channel does not end by itself: something is wrong with the way.
        before == channels.len() && !self.handle.is_closed()
    }

    async fn lease(self: &Arc<Self>, idle: Duration) -> Result<Lease, Fault> {
        loop {
            let (least_busy, may_open) = {
                let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
                let least = channels.iter().min_by_key(|channel| channel.busy().load(Ordering::Relaxed));
                let least = least.map(|channel| (channel.busy().load(Ordering::Relaxed), Lease::new(channel)));
                (least, channels.len() < self.most.load(Ordering::Relaxed))
            };
            let opening = match least_busy {
                Some((0, lease)) => return Ok(lease),
                Some((_, lease)) => match self.opening.try_lock() {
                    Ok(opening) if may_open => {
                        drop(lease);
                        opening
                    }
                    _ => return Ok(lease),
                },
                None => {
                    let opening = self.opening.lock().await;
                    if !self.channels.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                        continue;
                    }
                    opening
                }
            };
            let opened = self.open(idle).await;
            let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
            match opened {
                Ok(sftp) => {
                    let sftp = Arc::new(sftp);
                    let lease = Lease::new(&sftp);
                    channels.push(sftp);
                    return Ok(lease);
                }
                Err(fault) if channels.is_empty() => return Err(fault),
                // The server allows no more.
                Err(_) => self.most.store(channels.len(), Ordering::Relaxed),
            }
            drop(channels);
            drop(opening);
        }
    }

    async fn open(self: &Arc<Self>, idle: Duration) -> Result<Sftp, Fault> {
        let opening = async {
            let channel = self.handle.channel_open_session().await.map_err(|error| broken("the server", &error))?;
            let asked = channel.request_subsystem(true, "sftp").await;
            asked.map_err(|error| broken("the server", &error))?;
            Sftp::start(channel, idle).await
        };
        match tokio::time::timeout(idle, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(Fault::Unreachable(format!("nothing was heard for {} seconds", idle.as_secs()))),
        }
    }
}

pub(super) fn broken(at: &str, error: &russh::Error) -> Fault {
    Fault::Unreachable(format!("{at}: {error}"))
}

fn config(known: &HostKeys) -> client::Config {
    let preferred = russh::Preferred {
        // As DVC: the fastest first. Those of the library follow.
        cipher: Cow::Borrowed(&[
            cipher::AES_128_GCM,
            cipher::AES_256_GCM,
            cipher::CHACHA20_POLY1305,
            cipher::AES_256_CTR,
            cipher::AES_192_CTR,
            cipher::AES_128_CTR,
        ]),
        // A server with several keys shows the one that we know.
        key: Cow::Owned(known.preferred(&russh::Preferred::DEFAULT.key)),
        ..russh::Preferred::DEFAULT
    };
    client::Config {
        client_id: russh::SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-trackway_", env!("CARGO_PKG_VERSION")))),
        window_size: WINDOW,
        maximum_packet_size: 65535,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: 3,
        nodelay: true,
        preferred,
        ..client::Config::default()
    }
}

/// What the library asks us about a connection.
pub(super) struct Client {
    known: HostKeys,
    /// Why the server's key was refused.
    verdict: Arc<Mutex<Option<String>>>,
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let verdict = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.known.judge(key),
            // None was asked for.
            PublicKeyOrCertificate::Certificate(_) => Verdict::Refused("the server shows a certificate".to_owned()),
        };
        match verdict {
            Verdict::Trusted => Ok(true),
            Verdict::Refused(reason) => {
                *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
                Ok(false)
            }
        }
    }
}
