//! TLS on a port of its own, and the certificates that clients show there.

use super::certificate::ClientCertificate;
use super::peer::Peer;
use crate::front::tls::{
    Certificate, CertificateFiles, Handshakes, Profile, Reload, provider, server_config,
};
use metrics::counter;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoClientAuth;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{ALL_VERSIONS, DigitallySignedStruct, DistinguishedName, SignatureScheme};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// What is spoken, the preferred first (RFC 9113 §3.2).
const PROFILE: Profile = Profile {
    protocols: &["h2", "http/1.1"],
    versions: ALL_VERSIONS,
};

/// A bound socket for TLS.
pub(super) struct Secure {
    pub(super) listener: TcpListener,
    pub(super) local_addr: SocketAddr,
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

impl std::fmt::Debug for Secure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Secure").field(&self.listener).finish()
    }
}

impl Secure {
    /// Over a socket that is bound. With `asks`, clients are asked for a certificate.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for a certificate that cannot be used.
    pub(super) fn new(
        listener: TcpListener,
        files: CertificateFiles,
        asks: bool,
    ) -> io::Result<Self> {
        let provider = provider();
        let certificate = Certificate::open("http", files, provider.clone())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let certificate = Arc::new(certificate);
        let clients: Arc<dyn ClientCertVerifier> = if asks {
            Arc::new(AnyClient(provider.clone()))
        } else {
            Arc::new(NoClientAuth)
        };
        let config = server_config(PROFILE, certificate.clone(), clients, provider)
            .map_err(io::Error::other)?;
        Ok(Self {
            local_addr: listener.local_addr()?,
            listener,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate,
        })
    }

    /// What can be read again while it serves.
    pub(super) fn reload(&self) -> Reload {
        Reload::of(self.certificate.clone())
    }

    /// What its files hold.
    pub(super) fn certificate(&self) -> Arc<Certificate> {
        self.certificate.clone()
    }

    /// Who shakes hands with clients.
    pub(super) fn handshakes(&self, shutdown: CancellationToken) -> Handshakes {
        Handshakes {
            acceptor: self.acceptor.clone(),
            overdue: counter!("idnode_bound_hits_total", "bound" => "http_tls_handshakes"),
            shutdown,
        }
    }
}

/// Whether HTTP/2 was agreed on, and who is there.
pub(super) fn met(stream: &TlsStream<TcpStream>, address: SocketAddr) -> (bool, Peer) {
    let (_, connection) = stream.get_ref();
    let http2 = connection.alpn_protocol() == Some(b"h2");
    let shown = connection.peer_certificates().and_then(<[_]>::first);
    let peer = Peer {
        address,
        encrypted: true,
        certificate: shown
            .and_then(|certificate| ClientCertificate::read(certificate))
            .map(Arc::new),
    };
    (http2, peer)
}

/// Takes whatever certificate a client has, whoever has issued it and whenever: what counts is
/// that it has the key, which the handshake proves, and whose key that is, which the registry
/// says.
#[derive(Debug)]
struct AnyClient(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
