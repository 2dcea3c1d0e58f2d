//! TLS over TCP (RFC 8446), for the fronts that offer it.

mod certificate;

pub use certificate::{CertificateFiles, Reload};

pub(super) use certificate::Certificate;
use metrics::Counter;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::danger::ClientCertVerifier;
use rustls::{ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// How long a handshake may take, of TLS and of QUIC.
pub(super) const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);

/// What a transport calls itself in a handshake (ALPN), and the versions of TLS it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Profile {
    /// None: clients that name one are taken too.
    pub(super) protocols: &'static [&'static str],
    pub(super) versions: &'static [&'static SupportedProtocolVersion],
}

/// The one provider of cryptography.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A server's side of a transport. Sessions are resumed by tickets; early data is not taken,
/// since whoever records it can send it again (RFC 9250 §4.5). `clients` says which certificates
/// of theirs are asked for and taken.
///
/// # Errors
/// The system has no random numbers for the tickets' keys.
pub(super) fn server_config(
    profile: Profile,
    certificate: Arc<Certificate>,
    clients: Arc<dyn ClientCertVerifier>,
    provider: Arc<CryptoProvider>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(profile.versions)?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(certificate);
    let protocols = profile.protocols.iter();
    config.alpn_protocols = protocols.map(|name| name.as_bytes().to_vec()).collect();
    config.ticketer = ring::Ticketer::new()?;
    config.max_early_data_size = 0;
    Ok(config)
}

/// Handshakes of one transport.
#[derive(Clone)]
pub(super) struct Handshakes {
    pub(super) acceptor: TlsAcceptor,
    /// Counts those that took too long.
    pub(super) overdue: Counter,
    pub(super) shutdown: CancellationToken,
}

impl Handshakes {
    /// `None`: it failed, took too long, or the node shuts down.
    pub(super) async fn accept(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let handshake = tokio::time::timeout(HANDSHAKE_DEADLINE, self.acceptor.accept(stream));
        let accepted = tokio::select! {
            () = self.shutdown.cancelled() => return None,
            accepted = handshake => accepted,
        };
        match accepted {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                self.overdue.increment(1);
                None
            }
        }
    }
}
