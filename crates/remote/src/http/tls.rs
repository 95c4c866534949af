//! Whose certificates are believed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::environment::Environment;
use crate::options::HttpOptions;

/// Read at the first secure connection: nobody else pays for parsing the system's certificates.
pub(super) struct Trust {
    ca_bundle: Option<PathBuf>,
    ca_added: Option<PathBuf>,
    /// Who we are: certificates, and the file of their key.
    client: Option<(PathBuf, PathBuf)>,
    ignore: bool,
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Trust {
    pub fn new(options: &HttpOptions, environment: &Environment) -> Trust {
        let named = || environment.first(&["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]);
        Trust {
            ca_bundle: options.ca_bundle.clone().or_else(|| named().map(PathBuf::from)),
            ca_added: options.ca_added.clone(),
            client: options.client_certificate.clone().map(|certificate| {
                let key = options.client_key.clone().unwrap_or_else(|| certificate.clone());
                (certificate, key)
            }),
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
            return self.identified(builder.dangerous().with_custom_certificate_verifier(verifier));
        }
        let mut roots = RootCertStore::empty();
        match &self.ca_bundle {
            Some(path) => add(&mut roots, path)?,
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if let Some(path) = &self.ca_added {
            add(&mut roots, path)?;
        }
        if roots.is_empty() {
            return Err("no trusted certificates were found: install the package ca-certificates, or name a file of \
                        them in SSL_CERT_FILE"
                .to_owned());
        }
        self.identified(builder.with_root_certificates(roots))
    }

    fn identified(&self, builder: ConfigBuilder<ClientConfig, WantsClientCert>) -> Result<Arc<ClientConfig>, String> {
        let Some((certificate, key)) = &self.client else {
            return Ok(Arc::new(builder.with_no_client_auth()));
        };
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| format!("the client certificate's key in '{}' cannot be read: {error}", key.display()))?;
        let config = builder.with_client_auth_cert(chain, key).map_err(|error| {
            format!("the client certificate in '{}' and its key cannot be used: {error}", certificate.display())
        })?;
        Ok(Arc::new(config))
    }
}

/// Adds the certificates of a file, or of all files of a folder.
fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let unreadable = |error| format!("the certificates in '{}' cannot be read: {error}", path.display());
        let entries = std::fs::read_dir(path).map_err(unreadable)?;
        files = entries.map(|entry| Ok(entry.map_err(unreadable)?.path())).collect::<Result<_, String>>()?;
        files.retain(|file| file.is_file());
    }
    for file in files {
        roots.add_parsable_certificates(certificates(&file)?);
    }
    Ok(())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error| format!("the certificates in '{}' cannot be read: {error}", path.display());
    CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)
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
