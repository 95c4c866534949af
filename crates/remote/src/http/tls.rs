//! Whose certificates are believed.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::environment::Environment;
use crate::options::HttpOptions;

/// Read at the first secure connection: nobody else pays for parsing the system's certificates.
pub(super) struct Trust {
    ca_bundle: Option<PathBuf>,
    ignore: bool,
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Trust {
    pub fn new(options: &HttpOptions, environment: &Environment) -> Trust {
        let named = || environment.first(&["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]);
        Trust {
            ca_bundle: options.ca_bundle.clone().or_else(|| named().map(PathBuf::from)),
            ignore: options.ignore_tls,
            config: OnceLock::new(),
        }
    }

    pub async fn config(self: Arc<Trust>) -> Result<Arc<ClientConfig>, NoTrust> {
        if let Some(config) = self.config.get() {
            return config.clone().map_err(NoTrust);
        }
        let read = tokio::task::spawn_blocking(move || self.config.get_or_init(|| self.read()).clone());
        read.await.unwrap_or_else(|stopped| Err(stopped.to_string())).map_err(NoTrust)
    }

    fn read(&self) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        if self.ignore {
            let verifier = Arc::new(Anybody(provider));
            return Ok(Arc::new(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()));
        }
        let mut roots = RootCertStore::empty();
        match &self.ca_bundle {
            Some(path) => {
                let unreadable = |error| format!("the certificates in '{}' cannot be read: {error}", path.display());
                let certificates = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
                let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(unreadable)?;
                roots.add_parsable_certificates(certificates);
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err("no trusted certificates were found: install the package ca-certificates, or name a file of \
                        them in SSL_CERT_FILE"
                .to_owned());
        }
        Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoTrust(String);

/// Whether trying again cannot help: the certificate is what it is.
pub(super) fn is_final(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<NoTrust>() || matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        // An I/O error hides what it was made of from `source`.
        let hidden = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(hidden) = hidden.and_then(|hidden| hidden.downcast_ref::<rustls::Error>()) {
            return matches!(hidden, rustls::Error::InvalidCertificate(_));
        }
        next = error.source();
    }
    false
}

/// Believes every certificate (`MLFLOW_S3_IGNORE_TLS`, `ssl_verify = false`).
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
