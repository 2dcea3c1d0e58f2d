//! TCP connections of every transport that has them: accepted up to a number, waited for at the
//! end.

use super::clients::Clients;
use super::exchange::Exchange;
use metrics::Counter;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// How long to wait when no connection can be accepted, as when no file descriptor is free.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// A bound TCP socket and how many connections it may have.
pub(super) struct Acceptor {
    pub(super) listener: TcpListener,
    /// Connections at once; those beyond are closed.
    pub(super) max_connections: usize,
    /// Counts those beyond.
    pub(super) over_limit: Counter,
    /// Who has how many of all transports; those beyond what one may have are closed.
    pub(super) clients: Clients,
    /// Whose queries are ignored has no connection either.
    pub(super) exchange: Exchange,
}

impl Acceptor {
    /// Runs `connection` for each that is accepted until `shutdown`, then closes the socket and
    /// waits for all of them to end, which they do on their own.
    pub(super) async fn serve<F>(
        self,
        shutdown: CancellationToken,
        connection: impl Fn(TcpStream, SocketAddr) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let permits = Arc::new(Semaphore::new(
            self.max_connections.min(Semaphore::MAX_PERMITS),
        ));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(ended) = connections.join_next() => {
                    report(ended);
                    continue;
                }
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
            if self.exchange.ignores(peer.ip()) {
                continue;
            }
            let Some(connected) = self.clients.connect(peer.ip()) else {
                continue;
            };
            let Ok(permit) = permits.clone().try_acquire_owned() else {
                self.over_limit.increment(1);
                continue;
            };
            // Answers are written whole; waiting for more to send would only delay them.
            let _ = stream.set_nodelay(true);
            let served = connection(stream, peer);
            connections.spawn(async move {
                served.await;
                drop((permit, connected));
            });
        }
        drop(self.listener);
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    }
}

/// Says when a connection's task ended as none should.
pub(super) fn report(ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("dns: a connection's task panicked");
    }
}
