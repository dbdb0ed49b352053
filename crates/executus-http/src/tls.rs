//! The settings of TLS: which cryptography, which certificates.

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::config::BuildError;

/// Made when the first connection needs it: it reads the platform's certificates, which a client
/// of plain HTTP neither needs nor always has.
#[derive(Debug)]
pub(crate) struct Tls {
    roots: Vec<CertificateDer<'static>>,
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Tls {
    pub(crate) const fn new(roots: Vec<CertificateDer<'static>>) -> Self {
        Self { roots, config: OnceLock::new() }
    }

    /// The settings, or why there is no TLS.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        self.config.get_or_init(|| self.make()).clone()
    }

    fn make(&self) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(provider().ok_or(
            "this program was built without TLS; turn on the feature `aws-lc-rs` or `ring` of \
             executus-http",
        )?);
        // The provider is named here and not installed for the process, which belongs to the host.
        let verifier = Verifier::new_with_extra_roots(self.roots.clone(), Arc::clone(&provider));
        let verifier = verifier.map_err(|error| error.to_string())?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

#[cfg(feature = "aws-lc-rs")]
fn provider() -> Option<CryptoProvider> {
    Some(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
fn provider() -> Option<CryptoProvider> {
    Some(rustls::crypto::ring::default_provider())
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
const fn provider() -> Option<CryptoProvider> {
    None
}

/// Reads root certificates in PEM form.
///
/// # Errors
/// [`BuildError::Certificate`] when one cannot be read or there is none.
pub(crate) fn read_roots(pems: &[Vec<u8>]) -> Result<Vec<CertificateDer<'static>>, BuildError> {
    let refused = |message: String| BuildError::Certificate { message };
    let mut roots = Vec::new();
    let mut store = RootCertStore::empty();
    for pem in pems {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| refused(error.to_string()))?;
            store.add(certificate.clone()).map_err(|error| refused(error.to_string()))?;
            roots.push(certificate);
        }
        if roots.len() == before {
            return Err(refused("there is none in what was passed".to_owned()));
        }
    }
    Ok(roots)
}
