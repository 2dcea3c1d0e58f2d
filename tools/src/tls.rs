//! What TLS clients are told about the servers they trust.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

/// The certificates of a PEM file, as roots. Errors: why there are none.
pub(crate) fn read_roots(path: &Path) -> Result<RootCertStore, String> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    match roots.is_empty() {
        true => Err("holds no certificate".to_owned()),
        false => Ok(roots),
    }
}

/// The name a server's certificate must have: its address, unless one is given.
/// Errors: what is given is no name.
pub(crate) fn server_name(
    given: Option<&str>,
    server: SocketAddr,
) -> Result<ServerName<'static>, String> {
    match given {
        Some(name) => {
            ServerName::try_from(name.to_owned()).map_err(|error| format!("--server-name: {error}"))
        }
        None => Ok(ServerName::IpAddress(server.ip().into())),
    }
}

/// A client without a certificate of its own. Errors: the library's.
pub(crate) fn client_config(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
