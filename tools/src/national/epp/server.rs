//! EPP over TLS: frames, and what is scripted to go wrong with them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use idnode_proto::epp::frame::{self, HEADER_BYTES};
use idnode_proto::epp::{Document, Response, ResultCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::engine::{Engine, Reply, Session};
use crate::national::faults::{Channel, Faults, Kind};

/// Connections at once; one more waits.
const MAX_CONNECTIONS: usize = 256;
/// How long a handshake may take.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a session may be silent.
const IDLE: Duration = Duration::from_secs(600);
/// How long a client may take to read an answer.
const SENDING: Duration = Duration::from_secs(60);

/// Serves until the process ends.
pub(super) async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    engine: Arc<Engine>,
    faults: Arc<Faults>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                // Too many files are open, probably: others will close theirs.
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if faults.is_down(Channel::Epp) {
            faults.next(Channel::Epp);
            continue;
        }
        let (acceptor, engine, faults) = (acceptor.clone(), engine.clone(), faults.clone());
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await {
                engine.sessions.fetch_add(1, Ordering::Relaxed);
                // How a client breaks off is of no interest.
                let _ = converse(stream, &engine, &faults).await;
                engine.sessions.fetch_sub(1, Ordering::Relaxed);
            }
            drop(place);
        });
    }
}

async fn converse(
    mut stream: TlsStream<TcpStream>,
    engine: &Arc<Engine>,
    faults: &Faults,
) -> io::Result<()> {
    send(&mut stream, &engine.greeting()).await?;
    let mut session = Session::default();
    let mut held_back: Option<String> = None;
    loop {
        let document = timeout(IDLE, receive(&mut stream)).await??;
        let fault = faults.next(Channel::Epp);
        if fault.as_ref().is_some_and(|it| it.kind == Kind::Down) {
            return Ok(());
        }
        let answering = engine.clone();
        let answered = tokio::task::spawn_blocking(move || {
            let reply = answering.answer(&mut session, &document);
            (session, reply)
        });
        let reply;
        (session, reply) = answered.await.map_err(io::Error::other)?;
        let Reply { document, closes } = reply;
        match fault.as_ref().map(|it| it.kind) {
            Some(Kind::Drop) => {}
            Some(Kind::Reorder) => held_back = Some(document),
            Some(Kind::HalfAnswer) => {
                let frame = frame::framed(&document).map_err(io::Error::other)?;
                let half = frame.get(..frame.len() / 2).unwrap_or_default();
                stream.write_all(half).await?;
                return stream.shutdown().await;
            }
            Some(Kind::WrongAnswer) => send(&mut stream, &wrong_answer()).await?,
            Some(Kind::Delay) => {
                sleep(Duration::from_millis(fault.map_or(0, |it| it.delay_ms))).await;
                send(&mut stream, &document).await?;
            }
            Some(Kind::Duplicate) => {
                send(&mut stream, &document).await?;
                send(&mut stream, &document).await?;
            }
            Some(Kind::Down) | None => {
                send(&mut stream, &document).await?;
                if let Some(late) = held_back.take() {
                    send(&mut stream, &late).await?;
                }
            }
        }
        if closes {
            return stream.shutdown().await;
        }
    }
}

/// The answer to something that nobody has asked.
pub(super) fn wrong_answer() -> String {
    let response = Response::new(ResultCode::OK, Some("of-another".to_owned()), "SV-0");
    Document::Response(response).encode()
}

async fn send(stream: &mut TlsStream<TcpStream>, document: &str) -> io::Result<()> {
    let frame = frame::framed(document).map_err(io::Error::other)?;
    let sent = timeout(SENDING, async {
        stream.write_all(&frame).await?;
        stream.flush().await
    });
    sent.await?
}

async fn receive(stream: &mut TlsStream<TcpStream>) -> io::Result<Vec<u8>> {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header).await?;
    let length = frame::document_length(header).map_err(io::Error::other)?;
    let mut document = Vec::new();
    stream
        .take(length as u64)
        .read_to_end(&mut document)
        .await?;
    match document.len() == length {
        true => Ok(document),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
