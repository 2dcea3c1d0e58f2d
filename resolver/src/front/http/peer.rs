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

/// Who else can read what is sent over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Secrecy {
    /// Everybody on the way.
    InClear = 0,
    /// Nobody but this machine's own users: it is in clear and does not leave it.
    Local = 1,
    /// Nobody.
    Encrypted = 2,
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

    /// Who else can read what is sent.
    pub(super) fn secrecy(&self) -> Secrecy {
        match (self.encrypted, self.is_local()) {
            (true, _) => Secrecy::Encrypted,
            (false, true) => Secrecy::Local,
            (false, false) => Secrecy::InClear,
        }
    }

    /// Whether what is sent stays on this machine.
    pub(super) fn is_local(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }
}
