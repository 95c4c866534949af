//! Reads certificate, key and authorities, and says in a sentence what is wrong with them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::{ClientCertificates, TlsFiles};

/// Larger files are no certificates.
const LARGEST: u64 = 1 << 20;

/// Why the files cannot be used. No message holds what is in a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("The {what} {path} cannot be read: {source}.")]
    Unreadable { what: &'static str, path: PathBuf, source: io::Error },
    #[error("The {what} {path} is larger than any PEM file of that kind. Check which file is named.")]
    TooLarge { what: &'static str, path: PathBuf },
    #[error(
        "The {what} {path} holds no certificate that can be read. A PEM file is needed, with a line -----BEGIN CERTIFICATE-----"
    )]
    NoCertificate { what: &'static str, path: PathBuf },
    #[error(
        "The TLS key file {path} holds no private key that can be read. A PEM file is needed, with a line -----BEGIN PRIVATE KEY-----"
    )]
    NoKey { path: PathBuf },
    #[error(
        "The TLS key {path} is under a password, and none is given. Give it in the variable TRACKWAY_TLS_KEY_PASSWORD"
    )]
    PasswordMissing { path: PathBuf },
    #[error("The password does not open the TLS key {path}.")]
    PasswordWrong { path: PathBuf },
    #[error(
        "The TLS key {path} is under a password in a form that Trackway does not read. Write it anew with `openssl pkcs8 -topk8 -in \
         {path} -out NEW`, which asks for the password"
    )]
    OldEncryption { path: PathBuf },
    #[error(
        "The TLS key {path} is of a kind that Trackway does not use. Take RSA from 2048 bits on, ECDSA on P-256 or P-384, or Ed25519"
    )]
    KindOfKey { path: PathBuf },
    #[error(
        "The TLS key {key} does not belong to the certificate {certificate}. The first certificate in the file must be the server's own; \
         those that lead to the authority follow"
    )]
    Mismatch { key: PathBuf, certificate: PathBuf },
    #[error("The certificate {path} cannot be used: {why}.")]
    Unusable { path: PathBuf, why: String },
    #[error("The reading of the certificate files was interrupted.")]
    Interrupted,
}

/// What was read, ready for connections.
pub(super) struct Loaded {
    pub config: Arc<ServerConfig>,
    pub stamp: Stamp,
    begins: SystemTime,
    pub ends: SystemTime,
}

impl Loaded {
    pub fn read(files: &TlsFiles) -> Result<Loaded, TlsError> {
        // Before the reading: a file that changes meanwhile is read again.
        let stamp = Stamp::of(files);
        let chain = certificates("TLS certificate file", &files.certificate)?;
        let (begins, ends) = validity(&chain, &files.certificate)?;
        let key = key(files)?;
        let signing =
            ring::sign::any_supported_type(&key).map_err(|_| TlsError::KindOfKey { path: files.key.clone() })?;
        let pair = CertifiedKey::new(chain, signing);
        match pair.keys_match() {
            // Unknown: a kind of key that cannot tell; the clients will.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(TlsError::Mismatch { key: files.key.clone(), certificate: files.certificate.clone() });
            }
            Err(error) => {
                return Err(TlsError::Unusable { path: files.certificate.clone(), why: error.to_string() });
            }
        }
        Ok(Loaded { config: Arc::new(config(files, pair)?), stamp, begins, ends })
    }

    pub fn out_of_date(&self, certificate: &Path, now: SystemTime) -> Option<String> {
        let certificate = certificate.display();
        if now > self.ends {
            let ended = httpdate::fmt_http_date(self.ends);
            return Some(format!(
                "The certificate {certificate} ended on {ended}. Clients that check it will refuse this server; a renewed file is taken \
                 up without a restart."
            ));
        }
        if now < self.begins {
            let begins = httpdate::fmt_http_date(self.begins);
            return Some(format!(
                "The certificate {certificate} is valid from {begins} on only. Until then clients that check it will refuse this server."
            ));
        }
        None
    }
}

fn config(files: &TlsFiles, pair: CertifiedKey) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |why: String| TlsError::Unusable { path, why }
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&files.certificate)(error.to_string()))?;
    let builder = match files.clients.authorities() {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates("file of client authorities", path)? {
                roots.add(authority).map_err(|error| unusable(path)(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match &files.clients {
                ClientCertificates::Optional(_) => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| unusable(path)(error.to_string()))?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Returning clients skip the key exchange. The tickets die with this configuration, so nobody comes in by an old one.
    if let Ok(ticketer) = ring::Ticketer::new() {
        config.ticketer = ticketer;
    }
    Ok(config)
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { what, path: path.to_owned(), source };
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if length > LARGEST {
        return Err(TlsError::TooLarge { what, path: path.to_owned() });
    }
    fs::read(path).map_err(unreadable)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(what, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::NoCertificate { what, path: path.to_owned() }),
    }
}

/// From when to when the first certificate is valid.
fn validity(chain: &[CertificateDer<'_>], path: &Path) -> Result<(SystemTime, SystemTime), TlsError> {
    let unusable = |why: &str| TlsError::Unusable { path: path.to_owned(), why: why.to_owned() };
    let first = chain.first().ok_or_else(|| unusable("it is empty"))?;
    let certificate = Certificate::from_der(first).map_err(|_| unusable("it is not in the form of X.509"))?;
    let validity = certificate.tbs_certificate().validity();
    Ok((validity.not_before.to_system_time(), validity.not_after.to_system_time()))
}

fn key(files: &TlsFiles) -> Result<PrivateKeyDer<'static>, TlsError> {
    let path = || files.key.clone();
    let text = read("TLS key file", &files.key)?;
    if let Some(sealed) = sealed_key(&text) {
        let password = files.key_password.as_ref().ok_or_else(|| TlsError::PasswordMissing { path: path() })?;
        let sealed = EncryptedPrivateKeyInfoRef::try_from(sealed.as_slice())
            .map_err(|_| TlsError::OldEncryption { path: path() })?;
        let opened = sealed.decrypt(password.0.as_bytes()).map_err(|error| match error {
            pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. }) => {
                TlsError::OldEncryption { path: path() }
            }
            _ => TlsError::PasswordWrong { path: path() },
        })?;
        return Ok(PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec()).into());
    }
    if contains(&text, b"Proc-Type: 4,ENCRYPTED") {
        return Err(TlsError::OldEncryption { path: path() });
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::NoKey { path: path() })
}

/// What stands between the lines of an encrypted PKCS #8 key, which the PEM reader passes over.
fn sealed_key(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, rest) = text.split_once("-----BEGIN ENCRYPTED PRIVATE KEY-----")?;
    let (body, _) = rest.split_once("-----END ENCRYPTED PRIVATE KEY-----")?;
    let body: String = body.split_ascii_whitespace().collect();
    BASE64_STANDARD.decode(body).ok()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// How the files look from outside. A file that is replaced has another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<(SystemTime, u64)>>);

impl Stamp {
    pub fn of(files: &TlsFiles) -> Stamp {
        let all = [Some(&files.certificate), Some(&files.key), files.clients.authorities()];
        let look = |path: &PathBuf| {
            let seen = fs::metadata(path).ok()?;
            Some((seen.modified().ok()?, seen.len()))
        };
        Stamp(all.into_iter().flatten().map(look).collect())
    }
}
