//! The encrypted transports of the front, those that are on: bound together over one
//! certificate, served together.

use super::accept::Acceptor;
use super::clients::Clients;
use super::stream::{Connections, Limits};
use super::tls;
use super::{bound_counter, https, quic};
use crate::front::tls::{
    Certificate, CertificateFiles, Handshakes, Profile, Reload, provider, server_config,
};
use quinn::Endpoint;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::NoClientAuth;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Which encrypted transports there are to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncryptedOptions {
    /// Where DNS over TLS listens (RFC 7858).
    pub tls: Option<SocketAddr>,
    /// Where DNS over HTTPS listens (RFC 8484).
    pub https: Option<SocketAddr>,
    /// Where DNS over QUIC listens (RFC 9250).
    pub quic: Option<SocketAddr>,
    /// The certificate of all three.
    pub certificate: CertificateFiles,
}

/// Where the encrypted transports listen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EncryptedAddresses {
    /// DNS over TLS, TCP.
    pub tls: Option<SocketAddr>,
    /// DNS over HTTPS, TCP.
    pub https: Option<SocketAddr>,
    /// DNS over QUIC, UDP.
    pub quic: Option<SocketAddr>,
}

/// The encrypted transports, bound.
#[derive(Debug)]
pub(super) struct Encrypted {
    tls: Option<Listener>,
    https: Option<Listener>,
    quic: Option<Endpoint>,
    certificate: Arc<Certificate>,
}

/// A transport on TLS over TCP.
struct Listener {
    socket: TcpListener,
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Listener").field(&self.socket).finish()
    }
}

impl Encrypted {
    /// Binds those that are on; `None`: none is.
    ///
    /// # Errors
    /// The certificate cannot be used, or an address cannot be had; the message says which.
    pub(super) async fn bind(
        options: &EncryptedOptions,
        limits: Limits,
    ) -> io::Result<Option<Self>> {
        let listeners = [options.tls, options.https, options.quic];
        if listeners.iter().all(Option::is_none) {
            return Ok(None);
        }
        let provider = provider();
        let files = options.certificate.clone();
        let certificate = Certificate::open("dns", files, provider.clone())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let certificate = Arc::new(certificate);
        let config = |profile| configured(profile, &certificate, &provider);
        let quic = match options.quic {
            Some(addr) => {
                let bound = quic::bind(addr, config(tls::QUIC)?, limits);
                Some(bound.map_err(at("dns.quic_listen", addr))?)
            }
            None => None,
        };
        Ok(Some(Self {
            tls: listener("dns.tls_listen", options.tls, || config(tls::DNS)).await?,
            https: listener("dns.https_listen", options.https, || config(tls::HTTPS)).await?,
            quic,
            certificate,
        }))
    }

    /// Where they listen, with the ports that were chosen.
    pub(super) fn addresses(&self) -> EncryptedAddresses {
        let of = |listener: &Option<Listener>| listener.as_ref()?.socket.local_addr().ok();
        EncryptedAddresses {
            tls: of(&self.tls),
            https: of(&self.https),
            quic: self.quic.as_ref().and_then(|it| it.local_addr().ok()),
        }
    }

    /// What can be read again while they serve.
    pub(super) fn reload(&self) -> Reload {
        Reload::of(self.certificate.clone())
    }

    /// Serves until the node shuts down.
    pub(super) async fn serve(
        self,
        connections: Connections,
        max_connections: usize,
        clients: Clients,
    ) {
        let shutdown = connections.shutdown.clone();
        let parts = |listener: Listener, connections_bound, handshakes_bound| {
            let acceptor = Acceptor {
                listener: listener.socket,
                max_connections,
                over_limit: bound_counter(connections_bound),
                clients: clients.clone(),
                exchange: connections.exchange.clone(),
            };
            let handshakes = Handshakes {
                acceptor: listener.acceptor,
                overdue: bound_counter(handshakes_bound),
                shutdown: shutdown.clone(),
            };
            (acceptor, handshakes)
        };
        let tls = async {
            if let Some(listener) = self.tls {
                let (acceptor, handshakes) =
                    parts(listener, "dns_tls_connections", "dns_tls_handshakes");
                tls::serve(acceptor, handshakes, connections.clone()).await;
            }
        };
        let https = async {
            if let Some(listener) = self.https {
                let (acceptor, handshakes) =
                    parts(listener, "dns_https_connections", "dns_https_handshakes");
                https::serve(acceptor, handshakes, connections.clone()).await;
            }
        };
        let quic = async {
            if let Some(endpoint) = self.quic {
                let connections = connections.clone();
                let server = quic::Server {
                    endpoint,
                    max_connections,
                    clients: clients.clone(),
                    connections,
                };
                server.serve().await;
            }
        };
        tokio::join!(tls, https, quic, self.certificate.follow(shutdown.clone()));
    }
}

fn configured(
    profile: Profile,
    certificate: &Arc<Certificate>,
    provider: &Arc<CryptoProvider>,
) -> io::Result<ServerConfig> {
    let clients = Arc::new(NoClientAuth);
    server_config(profile, certificate.clone(), clients, provider.clone()).map_err(io::Error::other)
}

async fn listener(
    key: &'static str,
    addr: Option<SocketAddr>,
    config: impl FnOnce() -> io::Result<ServerConfig>,
) -> io::Result<Option<Listener>> {
    let Some(addr) = addr else { return Ok(None) };
    let acceptor = TlsAcceptor::from(Arc::new(config()?));
    let socket = TcpListener::bind(addr).await.map_err(at(key, addr))?;
    Ok(Some(Listener { socket, acceptor }))
}

/// Says which listener an error is about.
fn at(key: &'static str, addr: impl Display) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{key} {addr}: {error}"))
}
