//! Connections: which protocol they speak, how many there are, how long they may be idle, and
//! how they end.

use super::peer::Peer;
use super::tls::{self, Secure};
use super::{Shared, service};
use crate::front::lifetime::Watch;
use crate::front::tls::Handshakes;
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Most bytes of a request's head, HTTP/1.1 and HTTP/2: a handle of 2,048 bytes is three times
/// as long percent-encoded, and four header fields of 8 KiB each fit beside an absurd URI that
/// is still answered as such.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;
/// How long accepting rests after an error, such as too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(20);

const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\
    connection: close\r\n\r\n";

/// Accepts on all listeners until `shutdown`, then waits for the connections to end.
pub(super) async fn serve(
    listener: TcpListener,
    secure: Option<Secure>,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
) {
    let plain = accept(listener, None, shared.clone(), shutdown.clone());
    match secure {
        None => plain.await,
        Some(secure) => {
            let follow = secure.certificate().follow(shutdown.clone());
            let handshakes = secure.handshakes(shutdown.clone());
            let encrypted = accept(secure.listener, Some(handshakes), shared, shutdown);
            tokio::join!(plain, encrypted, follow);
        }
    }
}

async fn accept(
    listener: TcpListener,
    handshakes: Option<Handshakes>,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
) {
    let router = service::router(shared.clone());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(ended) = connections.join_next() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() >= shared.options.max_connections => {
                    shared.meters.bounds.connections.increment(1);
                    // What is no handshake would not be understood.
                    if handshakes.is_none() {
                        turn_away(stream);
                    }
                }
                Ok((stream, address)) => {
                    let talk = Talk {
                        router: router.clone(),
                        shared: shared.clone(),
                        shutdown: shutdown.clone(),
                    };
                    match handshakes.clone() {
                        None => connections.spawn(talk.plain(stream, address)),
                        Some(handshakes) => {
                            connections.spawn(talk.encrypted(stream, address, handshakes))
                        }
                    };
                }
                Err(error) => {
                    tracing::warn!(%error, "http: a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }
    drop(listener);
    shared.draining.store(true, Ordering::Release);
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

fn report(ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!("http: a connection's task panicked");
    }
}

/// Says that the node is busy, if the socket takes it at once.
fn turn_away(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(BUSY);
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
}

/// A connection to be served.
struct Talk {
    router: Router,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
}

impl Talk {
    async fn plain(self, stream: TcpStream, address: SocketAddr) {
        let header_timeout = self.shared.options.header_timeout;
        let http2 = tokio::select! {
            () = self.shutdown.cancelled() => return,
            spoken = tokio::time::timeout(header_timeout, speaks_http2(&stream)) => match spoken {
                Ok(Ok(http2)) => http2,
                _ => return,
            },
        };
        // Answers are small and whole: waiting to fill a segment only delays them.
        let _ = stream.set_nodelay(true);
        self.converse(stream, http2, Peer::plain(address)).await;
    }

    async fn encrypted(self, stream: TcpStream, address: SocketAddr, handshakes: Handshakes) {
        let _ = stream.set_nodelay(true);
        if let Some(stream) = handshakes.accept(stream).await {
            let (http2, peer) = tls::met(&stream, address);
            self.converse(stream, http2, peer).await;
        }
    }

    async fn converse(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        http2: bool,
        peer: Peer,
    ) {
        let options = &self.shared.options;
        let header_timeout = options.header_timeout;
        let watch = Watch::new(options.idle_timeout, self.shutdown);
        let begun = watch.begun();
        let (shared, router) = (self.shared, self.router);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            begun.one_more();
            service::answer(shared.clone(), router.clone(), peer.clone(), request)
        });
        let io = TokioIo::new(stream);
        if http2 {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(MAX_STREAMS)
                .max_header_list_size(MAX_HEAD_BYTES as u32)
                .max_send_buf_size(MAX_HEAD_BYTES)
                .serve_connection(io, service);
            watch.drive(connection).await;
        } else {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(header_timeout)
                .max_buf_size(MAX_HEAD_BYTES)
                .max_header_size(MAX_HEAD_BYTES)
                .serve_connection(io, service);
            watch.drive(connection).await;
        }
    }
}

/// Whether a client begins with HTTP/2's preface, knowing it beforehand (RFC 9113 §3.3). No
/// HTTP/1.1 request begins with its first four bytes.
async fn speaks_http2(stream: &TcpStream) -> io::Result<bool> {
    const PREFACE: &[u8; 4] = b"PRI ";
    let mut start = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut start).await?;
        if seen == PREFACE.len() || !PREFACE.starts_with(start.get(..seen).unwrap_or_default()) {
            return Ok(start == *PREFACE);
        }
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The rest of the preface is on its way; peeking again would find the same bytes.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
