//! Encryption of the connection, in libpq's modes.
//!
//! `require` encrypts and trusts whoever answers, unless a root certificate is given; `verify-ca` asks for a certificate
//! that the given authority signed; `verify-full` asks that it also names the host. As libpq has them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::db::OpenError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// What the address says about encryption.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Settings {
    pub(super) mode: Option<String>,
    pub(super) root: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
}

impl Settings {
    pub(super) fn mode(&self) -> Result<Mode, OpenError> {
        Ok(match self.mode.as_deref() {
            Some("disable") => Mode::Disable,
            None | Some("allow" | "prefer") => Mode::Prefer,
            // libpq's words for compatibility: with a root certificate at hand, `require` checks against it.
            Some("require") if self.root.is_some() => Mode::VerifyCa,
            Some("require") => Mode::Require,
            Some("verify-ca") => Mode::VerifyCa,
            Some("verify-full") => Mode::VerifyFull,
            Some(other) => {
                return Err(OpenError::Url(format!(
                    "sslmode={other} is none of disable, allow, prefer, require, verify-ca, verify-full"
                )));
            }
        })
    }

    /// How to encrypt. Reads the files.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, OpenError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| OpenError::Url(format!("TLS cannot be set up: {error}")))?;
        let mode = self.mode()?;
        let authority = match mode {
            Mode::Disable | Mode::Prefer | Mode::Require => None,
            Mode::VerifyCa | Mode::VerifyFull => Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots()?), Arc::clone(&provider))
                    .build()
                    .map_err(|error| OpenError::Url(format!("the root certificates cannot be used: {error}")))?,
            ),
        };
        let verifier = Arc::new(Verifier { authority, host: mode == Mode::VerifyFull, provider });
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let chain = certificates("sslcert", Path::new(certificate))?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| OpenError::Url(format!("sslkey: {key} cannot be read as a key: {error}")))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| OpenError::Url(format!("sslcert and sslkey do not fit: {error}")))?
            }
            (None, None) => builder.with_no_client_auth(),
            _ => return Err(OpenError::Url("sslcert and sslkey are given together or not at all".to_owned())),
        };
        Ok(MakeRustlsConnect::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, OpenError> {
        let mut roots = RootCertStore::empty();
        match self.root.as_deref() {
            Some("system") => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
            }
            Some(file) => {
                roots.add_parsable_certificates(certificates("sslrootcert", Path::new(file))?);
            }
            None => {
                return Err(OpenError::Url(
                    "verify-ca and verify-full need the authority's certificate: add sslrootcert=/path/to/root.crt, or sslrootcert=system".to_owned(),
                ));
            }
        }
        if roots.is_empty() {
            return Err(OpenError::Url("sslrootcert names no certificate".to_owned()));
        }
        Ok(roots)
    }
}

fn certificates(what: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let unreadable = |error: rustls::pki_types::pem::Error| {
        OpenError::Url(format!("{what}: {} cannot be read as certificates: {error}", PathBuf::from(file).display()))
    };
    CertificateDer::pem_file_iter(file).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)
}

/// Checks as much of the server's certificate as the mode asks for; that the server has its key always.
#[derive(Debug)]
struct Verifier {
    authority: Option<Arc<WebPkiServerVerifier>>,
    host: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.host => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
