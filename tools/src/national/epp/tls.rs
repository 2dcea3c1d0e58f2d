//! TLS of the EPP server: whoever connects shows a certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use super::EppSettings;
use crate::national::Failure;
use crate::tls::read_roots;

/// The server's side of TLS.
pub(super) fn acceptor(settings: &EppSettings) -> Result<TlsAcceptor, Failure> {
    let certificate = needed(&settings.epp_certificate, "--epp-certificate")?;
    let key = needed(&settings.epp_key, "--epp-key")?;
    let authority = needed(&settings.epp_client_authority, "--epp-client-authority")?;
    let named = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let roots = read_roots(authority).map_err(|error| named(authority, &error))?;
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain: Vec<_> = chain.map_err(|error| named(certificate, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| named(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients.build()?)
        .with_single_cert(chain, private)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn needed<'a>(file: &'a Option<PathBuf>, flag: &str) -> Result<&'a Path, Failure> {
    let missing = || format!("{flag} is missing: EPP over TLS needs it").into();
    file.as_deref().ok_or_else(missing)
}
