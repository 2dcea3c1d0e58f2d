//! DNS over TCP (RFC 7766): connections are bounded in number and in silence, and finish the
//! query they have sent when the node shuts down. Queries of one connection are answered one
//! after another. hickory-server's own listener has no bound on connections.

use super::handler::Handler;
use futures_util::{FutureExt, StreamExt};
use hickory_proto::op::SerialMessage;
use hickory_server::net::runtime::TokioTime;
use hickory_server::net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_server::net::tcp::TcpStream;
use hickory_server::net::xfer::Protocol;
use hickory_server::net::{BufDnsStreamHandle, DnsStreamHandle};
use hickory_server::server::{Request, RequestHandler, ResponseHandle, TimeoutStream};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Answers of one connection that wait to be sent.
const QUEUED_ANSWERS: usize = 4;
/// How long to wait when no connection can be accepted, as when no file descriptor is free.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// A bound TCP socket and the limits of its connections.
pub(super) struct Listener {
    pub(super) listener: TcpListener,
    pub(super) handler: Handler,
    pub(super) idle: Duration,
    pub(super) max_connections: usize,
}

impl Listener {
    /// Accepts until `shutdown`, then waits for the connections to finish.
    pub(super) async fn serve(self, shutdown: CancellationToken) {
        let over_limit =
            metrics::counter!("idnode_bound_hits_total", "bound" => "dns_tcp_connections");
        let permits = Arc::new(Semaphore::new(self.max_connections));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "accepting a DNS connection");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                    continue;
                }
            };
            let Ok(permit) = permits.clone().try_acquire_owned() else {
                over_limit.increment(1);
                continue;
            };
            let connection = Connection {
                stream,
                peer,
                handler: self.handler.clone(),
                idle: self.idle,
                shutdown: shutdown.clone(),
            };
            connections.spawn(async move {
                connection.serve().await;
                drop(permit);
            });
        }
        while connections.join_next().await.is_some() {}
    }
}

struct Connection {
    stream: tokio::net::TcpStream,
    peer: SocketAddr,
    handler: Handler,
    idle: Duration,
    shutdown: CancellationToken,
}

impl Connection {
    async fn serve(self) {
        // Answers are written whole; waiting for more to send would only delay them.
        let _ = self.stream.set_nodelay(true);
        let (stream, answers) = TcpStream::from_stream_with_buffer_size(
            AsyncIoTokioAsStd(self.stream),
            self.peer,
            QUEUED_ANSWERS,
        );
        let mut queries = TimeoutStream::new(stream, self.idle);
        loop {
            // The stream first: polling it is also what sends the last answer.
            let query = tokio::select! {
                biased;
                query = queries.next() => query,
                () = self.shutdown.cancelled() => return,
            };
            let Some(Ok(query)) = query else { return };
            answer(&self.handler, query, answers.clone()).await;
            if self.shutdown.is_cancelled() {
                let _ = queries.next().now_or_never();
                return;
            }
        }
    }
}

async fn answer(handler: &Handler, query: SerialMessage, mut answers: BufDnsStreamHandle) {
    let (bytes, peer) = query.into_parts();
    let refusal = format_error(&bytes);
    match Request::from_bytes(bytes, peer, Protocol::Tcp) {
        Ok(request) => {
            let responses = ResponseHandle::new(peer, answers, Protocol::Tcp);
            handler
                .handle_request::<_, TokioTime>(&request, responses)
                .await;
        }
        Err(_) => {
            if let Some(refusal) = refusal {
                handler.count_malformed();
                // A connection that is gone needs no answer.
                let _ = answers.send(SerialMessage::new(refusal.to_vec(), peer));
            }
        }
    }
}

/// FORMERR as a bare header, to a query that has at least one.
fn format_error(query: &[u8]) -> Option<[u8; 12]> {
    /// QR, and in the same byte what of a query's is returned: opcode and RD.
    const RESPONSE: u8 = 0x80;
    const RETURNED: u8 = 0b0111_1001;
    const FORMERR: u8 = 1;
    let [id_high, id_low, flags, ..] = *query.first_chunk::<12>()?;
    let header = [
        id_high,
        id_low,
        RESPONSE | flags & RETURNED,
        FORMERR,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ];
    (flags & RESPONSE == 0).then_some(header)
}
