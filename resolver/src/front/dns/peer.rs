//! Who asks, and by which transport.

use std::net::SocketAddr;

/// How a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// In a datagram: answers are bounded in size, and its source may be forged.
    Udp,
    /// On a connection.
    Tcp,
    /// On a connection with TLS (RFC 7858).
    Tls,
    /// In a request of HTTP over TLS (RFC 8484).
    Https,
    /// On a stream of QUIC (RFC 9250).
    Quic,
}

impl Transport {
    /// Whether it has connections: answers may have any size, and the source is no other's.
    pub(super) fn is_stream(self) -> bool {
        self != Self::Udp
    }

    /// Whether one query may draw many messages (RFC 5936 §4, RFC 9103).
    pub(super) fn carries_transfers(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls)
    }

    /// Whether nobody on the way reads along, so that the size of answers may tell something
    /// (RFC 7830).
    pub(super) fn is_encrypted(self) -> bool {
        match self {
            Self::Udp | Self::Tcp => false,
            Self::Tls | Self::Https | Self::Quic => true,
        }
    }

    /// Whether a query may ask how long its connection may be idle (RFC 7828 §3.1, RFC 9250
    /// §5.5.2).
    pub(super) fn has_keepalive(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls)
    }
}

/// Who asks, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// Of IPv4 clients never in IPv6's clothes (RFC 4291 §2.5.5.2), whatever the socket.
    pub(super) addr: SocketAddr,
    pub(super) transport: Transport,
}

impl Peer {
    /// Whom a socket calls `addr`.
    pub(super) fn new(addr: SocketAddr, transport: Transport) -> Self {
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        Self { addr, transport }
    }
}
