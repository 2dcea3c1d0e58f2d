//! Connections: kept open whether or not KPAL is set, requests answered one by one in their order.
//!
//! One client in the field matches answers to requests by their order alone, reads a message's
//! envelope with a single read, and waits for ever when a connection closes without an answer.

use super::answer::{Answerer, Attempt, Scratch};
use super::metrics::Bound;
use super::{HandleOptions, Tasks};
use idnode_proto::handle::{FrameStatus, Transport, tcp_frame};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// Room made for a read at least, bytes.
const MIN_READ: usize = 1024;
/// Room made for a read at most, bytes: a length is only believed as its bytes come.
const MAX_READ: usize = 65_536;
/// Answers to pipelined requests are written when there are this many bytes of them.
const FLUSH: usize = 65_536;
/// Memory an idle connection keeps in each buffer, bytes.
const IDLE_BUFFER: usize = 2048;
/// Connections above the bound that are told so at the same time; any more are just closed.
const MAX_REFUSALS: usize = 64;
/// How long a connection above the bound may take to say what it wants.
const REFUSAL_TIME: Duration = Duration::from_secs(2);
/// How long to wait, after a last answer, for the client to read it and close.
const LINGER: Duration = Duration::from_secs(1);
/// How long to wait when no connection can be accepted, as when there are no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until `shutdown`.
pub(super) async fn accept(
    listener: TcpListener,
    answerer: Arc<Answerer>,
    options: &HandleOptions,
    tasks: &Tasks,
    shutdown: &CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(
        options.max_tcp_connections.min(Semaphore::MAX_PERMITS),
    ));
    let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "accepting a Handle connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (slot, busy) = match slots.clone().try_acquire_owned() {
            Ok(slot) => (slot, false),
            Err(_) => {
                answerer.metrics.bound(Bound::TcpConnections);
                let Ok(slot) = refusals.clone().try_acquire_owned() else {
                    continue;
                };
                (slot, true)
            }
        };
        let connection = Connection {
            stream,
            answerer: answerer.clone(),
            inbound: Vec::new(),
            scratch: Scratch::default(),
            idle: if busy { REFUSAL_TIME } else { options.tcp_idle },
            write: options.tcp_write,
            busy,
            shutdown: shutdown.clone(),
        };
        tasks.spawn(async move {
            connection.run().await;
            drop(slot);
        });
    }
}

/// One connection.
struct Connection {
    stream: TcpStream,
    answerer: Arc<Answerer>,
    /// Received and not answered.
    inbound: Vec<u8>,
    /// Answered and not written.
    scratch: Scratch,
    idle: Duration,
    write: Duration,
    /// It is above the bound: its first request is answered with code 3.
    busy: bool,
    shutdown: CancellationToken,
}

/// What to do next with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Read, at least this many bytes.
    Read(usize),
    /// Close when the client has had time to read the last answer.
    Linger,
    /// Close.
    Close,
}

impl Connection {
    async fn run(mut self) {
        if let Err(error) = self.stream.set_nodelay(true) {
            tracing::debug!(%error, "a Handle connection ended as it began");
            return;
        }
        let mut deadline = Instant::now() + self.idle;
        loop {
            let before = self.inbound.len();
            let next = self.answer_received().await;
            if self.inbound.len() < before {
                deadline = Instant::now() + self.idle;
            }
            match next {
                Next::Read(_) if self.shutdown.is_cancelled() => return self.linger().await,
                Next::Read(missing) => {
                    let begins = self.inbound.is_empty();
                    if !self.read(missing, deadline).await {
                        return;
                    }
                    // From its first byte on, a request has the whole time for itself.
                    if begins {
                        deadline = Instant::now() + self.idle;
                    }
                }
                Next::Linger => return self.linger().await,
                Next::Close => return,
            }
        }
    }

    /// Answers the requests that have arrived whole, and writes the answers.
    async fn answer_received(&mut self) -> Next {
        let mut answered = 0;
        let next = loop {
            let received = self.inbound.get(answered..).unwrap_or_default();
            let length = match tcp_frame(received) {
                FrameStatus::Complete { len } => len,
                FrameStatus::NeedMore(missing) => break Next::Read(missing),
                FrameStatus::Invalid(error) => {
                    self.answerer
                        .refuse_stream(received, error, &mut self.scratch);
                    break Next::Linger;
                }
            };
            let message = received.get(..length).unwrap_or_default();
            let attempt = if self.busy {
                self.answerer
                    .busy(message, Transport::Tcp, &mut self.scratch)
            } else {
                self.answerer
                    .try_answer(message, Transport::Tcp, &mut self.scratch)
            };
            let attempt = match attempt {
                Attempt::NeedsDisk => {
                    self.answerer
                        .answer(message, Transport::Tcp, &mut self.scratch)
                        .await
                }
                attempt => attempt,
            };
            answered += length;
            if attempt == Attempt::Silent || self.busy {
                break Next::Linger;
            }
            if self.scratch.reply().len() >= FLUSH && !self.flush().await {
                return Next::Close;
            }
        };
        self.inbound.drain(..answered);
        if self.flush().await {
            next
        } else {
            Next::Close
        }
    }

    /// Writes the answers in one piece; false when the connection is of no more use.
    async fn flush(&mut self) -> bool {
        let reply = self.scratch.reply();
        if reply.is_empty() {
            return true;
        }
        let written = match timeout(self.write, self.stream.write_all(reply)).await {
            Ok(written) => written.is_ok(),
            Err(_) => {
                self.answerer.metrics.bound(Bound::TcpWrite);
                false
            }
        };
        self.scratch.clear();
        written
    }

    /// Reads what there is; false when the connection is to be closed.
    async fn read(&mut self, missing: usize, deadline: Instant) -> bool {
        if self.inbound.is_empty() {
            self.scratch.shrink(IDLE_BUFFER);
            if self.inbound.capacity() > IDLE_BUFFER {
                self.inbound = Vec::new();
            }
        }
        self.inbound.reserve(missing.clamp(MIN_READ, MAX_READ));
        tokio::select! {
            biased;
            read = timeout_at(deadline, self.stream.read_buf(&mut self.inbound)) => {
                matches!(read, Ok(Ok(1..)))
            }
            () = self.shutdown.cancelled() => false,
        }
    }

    /// Ends the stream and reads what still comes: a close with unread bytes would make the
    /// kernel take back the answer.
    async fn linger(mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        self.inbound.clear();
        self.inbound.reserve(MIN_READ);
        let rest = async {
            while let Ok(1..) = self.stream.read_buf(&mut self.inbound).await {
                self.inbound.clear();
            }
        };
        if timeout(LINGER, rest).await.is_err() {
            tracing::trace!("a Handle client kept its connection open");
        }
    }
}
