//! DNS over TCP (RFC 7766): connections are bounded in number and in silence, and finish the
//! query they have sent when the node shuts down. Queries of one connection are answered one
//! after another. hickory-server's own listener has no bound on connections.

use super::exchange::{Exchange, Peer, Transport};
use futures_util::{FutureExt, StreamExt};
use hickory_proto::op::SerialMessage;
use hickory_server::net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_server::net::tcp::TcpStream;
use hickory_server::net::{BufDnsStreamHandle, DnsStreamHandle};
use hickory_server::server::TimeoutStream;
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
    pub(super) exchange: Exchange,
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
                exchange: self.exchange.clone(),
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
    exchange: Exchange,
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
            answer(&self.exchange, query, answers.clone()).await;
            if self.shutdown.is_cancelled() {
                let _ = queries.next().now_or_never();
                return;
            }
        }
    }
}

async fn answer(exchange: &Exchange, query: SerialMessage, mut answers: BufDnsStreamHandle) {
    let (bytes, addr) = query.into_parts();
    let peer = Peer {
        addr,
        transport: Transport::Tcp,
    };
    if let Some(answer) = exchange.answer(&bytes, &peer).await {
        // A connection that is gone needs no answer.
        let _ = answers.send(SerialMessage::new(answer, addr));
    }
}
