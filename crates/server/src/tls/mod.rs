//! HTTPS without a proxy: certificate and key from files, also while the server runs, and client certificates.
//!
//! * [`Tls`] has what new connections are greeted with, and takes up files that changed.
//! * `files.rs` reads and judges the files.
//! * `greet.rs` is a connection's beginning: the handshake, its deadline, and a word for who speaks plain HTTP here.

mod files;
mod greet;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;

pub use files::TlsError;
use files::{Loaded, Stamp};
pub(crate) use greet::greet;

/// How often the files are looked at. A renewed certificate lies there days before the old one ends.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The files that make a server speak TLS, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and behind it those that lead to the authority.
    pub certificate: PathBuf,
    /// The private key; often a file of its own, and never printed.
    pub key: PathBuf,
    pub key_password: Option<Password>,
    pub clients: ClientCertificates,
}

/// Whether clients show a certificate, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificates {
    NotAsked,
    /// A client may come without one, but a wrong one is refused.
    Optional(PathBuf),
    Required(PathBuf),
}

impl ClientCertificates {
    fn authorities(&self) -> Option<&PathBuf> {
        match self {
            ClientCertificates::NotAsked => None,
            ClientCertificates::Optional(path) | ClientCertificates::Required(path) => Some(path),
        }
    }
}

/// Opens the key; shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    pub fn new(password: String) -> Password {
        Password(password)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What new connections are greeted with. Connections that are open keep what they began with.
pub struct Tls {
    files: TlsFiles,
    loaded: RwLock<Loaded>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files. A pair that cannot work is an error; one that is out of date is only told, by
    /// [`Tls::out_of_date`]: it is for the clients to refuse, and a renewed one is taken up without a restart.
    pub fn open(files: TlsFiles) -> Result<Tls, TlsError> {
        let loaded = Loaded::read(&files)?;
        Ok(Tls { files, loaded: RwLock::new(loaded) })
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner).config)
    }

    /// When the server's certificate ends.
    pub fn ends(&self) -> SystemTime {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).ends
    }

    /// A sentence if the server's certificate is not valid now.
    pub fn out_of_date(&self) -> Option<String> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.out_of_date(&self.files.certificate, SystemTime::now())
    }

    /// Takes up files that changed, and all of them on SIGHUP. Never returns.
    pub(crate) async fn keep_up_to_date(self: Arc<Tls>) {
        let mut hang_up = HangUp::new();
        let mut stamp = self.loaded.read().unwrap_or_else(PoisonError::into_inner).stamp.clone();
        let mut failed_once = false;
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => false,
                () = hang_up.came() => true,
            };
            let now = Stamp::of(&self.files);
            if now == stamp && !asked {
                failed_once = false;
                continue;
            }
            let tls = Arc::clone(&self);
            // Opening a key that is under a password takes a while by design.
            match tokio::task::spawn_blocking(move || tls.reload()).await.unwrap_or(Err(TlsError::Interrupted)) {
                Ok(()) => {
                    (stamp, failed_once) = (now, false);
                    tracing::info!(certificate = %self.files.certificate.display(), "took up the certificate files as they are now");
                    if let Some(warning) = self.out_of_date() {
                        tracing::error!("{warning}");
                    }
                }
                // Two files are hardly ever replaced in one step, so a pair that does not fit gets a second look first.
                Err(_) if !asked && !failed_once => failed_once = true,
                Err(error) => {
                    (stamp, failed_once) = (now, false);
                    tracing::error!("The changed certificate files are not used, the former ones stay: {error}");
                }
            }
        }
    }

    fn reload(&self) -> Result<(), TlsError> {
        let loaded = Loaded::read(&self.files)?;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }
}

/// SIGHUP, where there is one.
struct HangUp {
    #[cfg(unix)]
    signal: io::Result<tokio::signal::unix::Signal>,
}

impl HangUp {
    fn new() -> HangUp {
        #[cfg(unix)]
        return HangUp { signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) };
        #[cfg(not(unix))]
        HangUp {}
    }

    async fn came(&mut self) {
        #[cfg(unix)]
        if let Ok(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
