//! The other end of a connection: where it is, whether others can listen, and the certificate it
//! has shown.

use super::certificate::ClientCertificate;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Its address.
    pub(super) address: SocketAddr,
    /// Nobody listens.
    pub(super) encrypted: bool,
    /// What it has shown, having proven that it has the key.
    pub(super) certificate: Option<Arc<ClientCertificate>>,
}

impl Peer {
    /// Somebody somewhere.
    pub(super) const UNKNOWN: Self = Self {
        address: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        encrypted: false,
        certificate: None,
    };

    /// At the other end of a plain connection.
    pub(super) fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            ..Self::UNKNOWN
        }
    }

    /// Whether what is sent stays on this machine.
    pub(super) fn is_local(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }
}
