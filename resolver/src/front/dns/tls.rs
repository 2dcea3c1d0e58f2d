//! TLS under the encrypted transports (RFC 7858 for DNS itself).

use super::accept::Acceptor;
use super::peer::{Peer, Transport};
use super::stream::Connections;
use crate::front::tls::{Handshakes, Profile};
use rustls::ALL_VERSIONS;
use rustls::version::TLS13;

/// DNS over TLS (RFC 7858); clients that name no protocol are taken too.
pub(super) const DNS: Profile = Profile {
    protocols: &["dot"],
    versions: ALL_VERSIONS,
};
/// DNS over HTTPS (RFC 8484 §5.2).
pub(super) const HTTPS: Profile = Profile {
    protocols: &["h2", "http/1.1"],
    versions: ALL_VERSIONS,
};
/// DNS over QUIC (RFC 9250 §4.1.1; RFC 9001 §4.2).
pub(super) const QUIC: Profile = Profile {
    protocols: &["doq"],
    versions: &[&TLS13],
};

/// Serves DNS over TLS until the node shuts down.
pub(super) async fn serve(acceptor: Acceptor, handshakes: Handshakes, connections: Connections) {
    let shutdown = connections.shutdown.clone();
    let connection = |stream, addr| {
        let (handshakes, connections) = (handshakes.clone(), connections.clone());
        async move {
            if let Some(stream) = handshakes.accept(stream).await {
                let peer = Peer::new(addr, Transport::Tls);
                connections.converse(stream, peer).await;
            }
        }
    };
    acceptor.serve(shutdown, connection).await;
}
