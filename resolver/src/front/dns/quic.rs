//! DNS over QUIC (RFC 9250): each query on a stream of its own, which ends with it, and the
//! answer on the same stream.

use super::accept::report;
use super::bound_counter;
use super::clients::{Clients, Connected};
use super::peer::{Peer, Transport};
use super::stream::{Connections, Limits, whole_query};
use super::wire::asks_for_keepalive;
use crate::front::tls::HANDSHAKE_DEADLINE;
use futures_util::stream::{FuturesUnordered, StreamExt};
use metrics::Counter;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, IdleTimeout, Incoming, ReadError, ReadToEndError,
    RecvStream, SendStream, ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// What the kernel is asked to hold of packets that are not read yet, and not sent yet, bytes.
const SOCKET_BUFFER_BYTES: usize = 2 << 20;
/// A query with its length, bytes.
const MAX_FRAME_BYTES: usize = 2 + u16::MAX as usize;
/// What one connection may have sent of queries that are not read yet, bytes: four of the
/// greatest, or many thousands of the usual ones.
const RECEIVE_WINDOW_BYTES: u32 = 4 * MAX_FRAME_BYTES as u32;
/// Answers of one connection that the client has not confirmed yet, bytes.
const SEND_WINDOW_BYTES: u64 = 1 << 20;
/// How long connections may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

/// Error codes (RFC 9250 §8.4).
mod code {
    use quinn::VarInt;
    pub(super) const NO_ERROR: VarInt = VarInt::from_u32(0);
    pub(super) const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
    pub(super) const REQUEST_CANCELLED: VarInt = VarInt::from_u32(3);
    pub(super) const UNSPECIFIED_ERROR: VarInt = VarInt::from_u32(5);
}

/// Binds the socket of a server.
///
/// # Errors
/// The address cannot be had; the TLS configuration is none for QUIC.
pub(super) fn bind(
    addr: SocketAddr,
    tls: rustls::ServerConfig,
    limits: Limits,
) -> io::Result<Endpoint> {
    let crypto = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport(limits)));
    let settings = EndpointConfig::default();
    let runtime = Arc::new(TokioRuntime);
    Endpoint::new(settings, Some(config), socket(addr)?, runtime)
}

fn socket(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    // The kernel may grant less, which is no reason not to serve.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

fn transport(limits: Limits) -> TransportConfig {
    let streams = u32::try_from(limits.max_queries).unwrap_or(u32::MAX);
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(streams.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(MAX_FRAME_BYTES as u32))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .max_idle_timeout(IdleTimeout::try_from(limits.idle).ok());
    config
}

/// A bound server.
pub(super) struct Server {
    pub(super) endpoint: Endpoint,
    pub(super) max_connections: usize,
    pub(super) clients: Clients,
    pub(super) connections: Connections,
}

impl Server {
    /// Serves until the node shuts down, then waits for the connections to end.
    pub(super) async fn serve(self) {
        let over_limit = bound_counter("dns_quic_connections");
        let overdue = bound_counter("dns_quic_handshakes");
        let shutdown = self.connections.shutdown.clone();
        let mut open = JoinSet::new();
        loop {
            let incoming = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(ended) = open.join_next() => {
                    report(ended);
                    continue;
                }
                incoming = self.endpoint.accept() => incoming,
            };
            let Some(incoming) = incoming else { break };
            let client = incoming.remote_address().ip();
            if self.connections.exchange.ignores(client) {
                incoming.ignore();
            } else if open.len() >= self.max_connections {
                over_limit.increment(1);
                incoming.refuse();
            } else if incoming.may_retry() && self.is_room_short(open.len(), client) {
                // Sources may be forged; when room is short, each has to show that it is real
                // (RFC 9000 §8.1.2). It comes again.
                let _ = incoming.retry();
            } else if let Some(connected) = self.clients.connect(client) {
                let connections = self.connections.clone();
                open.spawn(accept(incoming, connected, connections, overdue.clone()));
            } else {
                incoming.refuse();
            }
        }
        self.endpoint.set_server_config(None);
        while let Some(ended) = open.join_next().await {
            report(ended);
        }
        let _ = timeout(FAREWELL, self.endpoint.wait_idle()).await;
    }

    /// Whether half is taken of what all may have, or of what one client may have.
    fn is_room_short(&self, open: usize, client: IpAddr) -> bool {
        open >= self.max_connections / 2 || self.clients.has_many(client)
    }
}

async fn accept(
    incoming: Incoming,
    _connected: Connected,
    connections: Connections,
    overdue: Counter,
) {
    let shutdown = connections.shutdown.clone();
    let Ok(connecting) = incoming.accept() else {
        return;
    };
    let connection = tokio::select! {
        () = shutdown.cancelled() => return,
        connection = timeout(HANDSHAKE_DEADLINE, connecting) => connection,
    };
    match connection {
        Ok(Ok(connection)) => converse(connection, connections).await,
        Ok(Err(error)) => tracing::debug!(%error, "a QUIC handshake failed"),
        Err(_) => overdue.increment(1),
    }
}

/// A client that does not speak the protocol, which ends its connection (RFC 9250 §4.3.3).
struct Violation(&'static str);

async fn converse(connection: Connection, connections: Connections) {
    let idle = connections.limits.idle;
    let mut streams = FuturesUnordered::new();
    let mut quiet_since = Instant::now();
    loop {
        tokio::select! {
            () = connections.shutdown.cancelled() => break,
            Some(ended) = streams.next(), if !streams.is_empty() => {
                quiet_since = Instant::now();
                if let Err(Violation(reason)) = ended {
                    connection.close(code::PROTOCOL_ERROR, reason.as_bytes());
                    return;
                }
            }
            accepted = connection.accept_bi() => match accepted {
                Ok((send, receive)) => {
                    let addr = connection.remote_address();
                    streams.push(exchange(send, receive, addr, &connections));
                }
                Err(_) => return,
            },
            // The transport's own time is not enough: whoever only pings is idle all the same.
            () = sleep_until(quiet_since + idle), if streams.is_empty() => break,
        }
    }
    while streams.next().await.is_some() {}
    connection.close(code::NO_ERROR, b"");
}

/// Answers the query of one stream.
async fn exchange(
    mut send: SendStream,
    receive: RecvStream,
    addr: SocketAddr,
    connections: &Connections,
) -> Result<(), Violation> {
    let ended = exchange_on(&mut send, receive, addr, connections).await;
    if ended.is_err() {
        // Dropped as it is, it would end as if it had been answered, with nothing.
        let _ = send.reset(code::PROTOCOL_ERROR);
    }
    ended
}

async fn exchange_on(
    send: &mut SendStream,
    mut receive: RecvStream,
    addr: SocketAddr,
    connections: &Connections,
) -> Result<(), Violation> {
    let idle = connections.limits.idle;
    let frame = match timeout(idle, receive.read_to_end(MAX_FRAME_BYTES)).await {
        Ok(Ok(frame)) => frame,
        Ok(Err(ReadToEndError::TooLong)) => return Err(Violation("more than one message")),
        Ok(Err(ReadToEndError::Read(ReadError::Reset(_)))) => {
            let _ = send.reset(code::REQUEST_CANCELLED);
            return Ok(());
        }
        Ok(Err(ReadToEndError::Read(_))) => return Ok(()),
        Err(_) => {
            connections.meters.count_unfinished();
            give_up(send, &mut receive);
            return Ok(());
        }
    };
    let query = query_of(&frame)?;
    let peer = Peer::new(addr, Transport::Quic);
    let Some(answer) = connections.exchange.answer(query, &peer).await else {
        give_up(send, &mut receive);
        return Ok(());
    };
    if timeout(idle, reply(send, &answer)).await.is_err() {
        connections.meters.count_unread();
        let _ = send.reset(code::UNSPECIFIED_ERROR);
    }
    Ok(())
}

fn give_up(send: &mut SendStream, receive: &mut RecvStream) {
    // An error would say that the stream has ended already.
    let _ = receive.stop(code::UNSPECIFIED_ERROR);
    let _ = send.reset(code::UNSPECIFIED_ERROR);
}

/// The one query of a stream (RFC 9250 §4.2, §4.2.1, §5.5.2).
fn query_of(frame: &[u8]) -> Result<&[u8], Violation> {
    let Some((query, [])) = whole_query(frame) else {
        return Err(Violation("not one whole message with its length"));
    };
    if !query.starts_with(&[0, 0]) {
        return Err(Violation("the message id is not 0"));
    }
    if asks_for_keepalive(query) {
        return Err(Violation("edns-tcp-keepalive"));
    }
    Ok(query)
}

/// Sends an answer and waits until the client has it, so that the connection can be closed.
async fn reply(send: &mut SendStream, answer: &[u8]) {
    let Ok(length) = u16::try_from(answer.len()) else {
        return;
    };
    let mut frame = Vec::with_capacity(2 + answer.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(answer);
    // A client that is gone, or has changed its mind, needs no answer.
    if send.write_chunk(frame.into()).await.is_ok() && send.finish().is_ok() {
        let _ = send.stopped().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_holds_one_query_with_id_0() {
        let is_good = |frame: &[u8]| query_of(frame).is_ok();
        assert!(is_good(&[0, 12, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        assert!(!is_good(&[0, 12, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]), "id");
        assert!(
            !is_good(&[0, 13, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            "short"
        );
        assert!(!is_good(&[0, 2, 0, 0, 0, 2, 0, 0]), "two");
        assert!(!is_good(&[0, 0]) && !is_good(&[0]) && !is_good(&[]), "none");
    }
}
