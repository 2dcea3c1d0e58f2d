//! TLS (RFC 8446) under the protocol, on a port of its own.

use super::Tasks;
use super::metrics::Bound;
use super::tcp::{Connections, Slots};
use crate::front::tls::{
    Certificate, CertificateFiles, Handshakes, Profile, Reload, provider, server_config,
};
use rustls::ALL_VERSIONS;
use rustls::server::NoClientAuth;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The protocol has no name for ALPN: clients name none.
const HANDLE: Profile = Profile {
    protocols: &[],
    versions: ALL_VERSIONS,
};

/// Where connections with TLS are accepted.
pub(super) struct TlsListener {
    socket: TcpListener,
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
    local_addr: SocketAddr,
}

impl std::fmt::Debug for TlsListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TlsListener").field(&self.socket).finish()
    }
}

impl TlsListener {
    /// Over a socket that is bound.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for a certificate that cannot be used.
    pub(super) fn new(socket: TcpListener, files: CertificateFiles) -> io::Result<Self> {
        let local_addr = socket.local_addr()?;
        let provider = provider();
        let certificate = Certificate::open("handle", files, provider.clone())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let certificate = Arc::new(certificate);
        let config = server_config(
            HANDLE,
            certificate.clone(),
            Arc::new(NoClientAuth),
            provider,
        );
        Ok(Self {
            socket,
            acceptor: TlsAcceptor::from(Arc::new(config.map_err(io::Error::other)?)),
            certificate,
            local_addr,
        })
    }

    /// Where it listens.
    pub(super) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What can be read again while it serves.
    pub(super) fn reload(&self) -> Reload {
        Reload::of(self.certificate.clone())
    }

    /// Accepts connections until the front stops. One that does not shake hands has its place
    /// among the others meanwhile.
    pub(super) async fn serve(self, connections: Connections, slots: Slots, tasks: &Tasks) {
        let shutdown = connections.shutdown.clone();
        let handshakes = Handshakes {
            acceptor: self.acceptor,
            overdue: connections.answerer.metrics.counter(Bound::TlsHandshakes),
            shutdown: shutdown.clone(),
        };
        tasks.spawn(self.certificate.follow(shutdown));
        let handshake = move |stream| {
            let handshakes = handshakes.clone();
            async move { handshakes.accept(stream).await }
        };
        connections
            .accept(self.socket, slots, tasks, handshake)
            .await;
    }
}
