//! Connections: kept open whether or not KPAL is set, requests answered one by one in their order.
//!
//! One client in the field matches answers to requests by their order alone, reads a message's
//! envelope with a single read, and waits for ever when a connection closes without an answer.

#[cfg(test)]
mod tests;

use super::Tasks;
use super::answer::{Answerer, Attempt, Scratch};
use super::desk::Desk;
use super::metrics::Bound;
use super::operation::Client;
use crate::front::desks::Desks;
use crate::measure;
use futures_util::FutureExt;
use idnode_proto::handle::{FrameStatus, MAX_DATAGRAM_LEN, Message, OpFlags, Transport, tcp_frame};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Read at once at most, bytes.
const READ: usize = 65_536;
/// Answers to pipelined requests are written when there are this many bytes of them.
const FLUSH: usize = 65_536;
/// Memory an idle connection keeps in each buffer, bytes.
const IDLE_BUFFER: usize = 2048;
/// How many times what has come of a request its buffer may have.
const SPARE: usize = 4;
/// Connections above the bound that are told so at the same time; any more are just closed.
const MAX_REFUSALS: usize = 64;
/// How long a connection above the bound may take to say what it wants.
const REFUSAL_TIME: Duration = Duration::from_secs(2);
/// How long to wait, after a last answer, for the client to read it and close.
const LINGER: Duration = Duration::from_secs(1);
/// What is still read of a connection when the front stops, bytes: requests that were sent by then
/// are answered.
const LAST_BYTES: usize = 64 << 10;
/// How long to wait when no connection can be accepted, as when there are no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Places for connections, of all transports together.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    connections: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

/// A connection's place.
#[derive(Debug)]
struct Slot {
    _place: OwnedSemaphorePermit,
    /// It is above the bound: its first request is answered with code 3.
    busy: bool,
}

impl Slots {
    /// For so many connections.
    pub(super) fn new(max_connections: usize) -> Self {
        let places = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self {
            connections: places(max_connections),
            refusals: places(MAX_REFUSALS),
        }
    }

    /// `None`: too many are being told that there are too many.
    fn take(&self, answerer: &Answerer) -> Option<Slot> {
        if let Ok(place) = self.connections.clone().try_acquire_owned() {
            return Some(Slot {
                _place: place,
                busy: false,
            });
        }
        answerer.metrics.bound(Bound::TcpConnections);
        let place = self.refusals.clone().try_acquire_owned().ok()?;
        Some(Slot {
            _place: place,
            busy: true,
        })
    }
}

/// What connections have in common.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    pub(super) desks: Arc<Desks<Desk>>,
    pub(super) answerer: Arc<Answerer>,
    /// How long one may be silent, and how long one request may take to arrive.
    pub(super) idle: Duration,
    /// How long a client may take to accept what is written to it.
    pub(super) write: Duration,
    pub(super) shutdown: CancellationToken,
}

impl Connections {
    /// Accepts connections until the front stops; `open` makes of each what carries the messages.
    pub(super) async fn accept<S, F>(
        self,
        listener: TcpListener,
        slots: Slots,
        tasks: &Tasks,
        open: impl Fn(TcpStream) -> F,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = Option<S>> + Send + 'static,
    {
        while let Some((stream, source)) = self.next(&listener).await {
            let Some(slot) = slots.take(&self.answerer) else {
                continue;
            };
            let (connections, opening) = (self.clone(), open(stream));
            tasks.spawn(async move {
                if let Some(stream) = opening.await {
                    measure::asker::of_task(
                        Some(source),
                        connections.converse(stream, source, slot.busy),
                    )
                    .await;
                }
                drop(slot);
            });
        }
    }

    /// The next connection and where it comes from; `None`: the front stops.
    async fn next(&self, listener: &TcpListener) -> Option<(TcpStream, IpAddr)> {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return None,
                accepted = listener.accept() => accepted,
            };
            let error = match accepted {
                // Answers are written whole; waiting for more to send would only delay them.
                Ok((stream, source)) => match stream.set_nodelay(true) {
                    Ok(()) => return Some((stream, source.ip())),
                    Err(error) => {
                        tracing::debug!(%error, "a Handle connection ended as it began");
                        continue;
                    }
                },
                Err(error) => error,
            };
            tracing::warn!(%error, "accepting a Handle connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }

    /// Answers a connection's requests to its end. `busy`: one request, with code 3.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        stream: S,
        source: IpAddr,
        busy: bool,
    ) {
        let shutdown = self.shutdown.clone();
        let connection = Connection::new(self, stream, source, busy);
        let timer = pin!(tokio::time::sleep(connection.idle));
        connection.run(timer, pin!(shutdown.cancelled())).await;
    }
}

/// One connection.
struct Connection<S> {
    stream: S,
    /// Where it comes from.
    source: IpAddr,
    shared: Connections,
    /// Received and not answered.
    inbound: Vec<u8>,
    /// Who it has proven to be; most never try to.
    client: Option<Box<Client>>,
    /// Answered and not written.
    scratch: Scratch,
    /// By when the next request must have arrived.
    deadline: Instant,
    idle: Duration,
    /// It is above the bound: its first request is answered with code 3.
    busy: bool,
}

/// What to do next with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Read.
    Read,
    /// Write the answers that there are, and go on.
    Flush,
    /// Ask the disk, or others, for the first request that has arrived, of this length.
    Ask(usize),
    /// Close when the client has had time to read the last answer.
    Linger,
    /// Close.
    Close,
}

/// What reading came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrived {
    /// There is more.
    Some,
    /// There will be nothing more, or nothing in time.
    End,
    /// The front stops.
    Stop,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(shared: Connections, stream: S, source: IpAddr, busy: bool) -> Self {
        let idle = if busy { REFUSAL_TIME } else { shared.idle };
        Self {
            stream,
            source,
            deadline: Instant::now() + idle,
            idle,
            shared,
            inbound: Vec::new(),
            client: None,
            scratch: Scratch::default(),
            busy,
        }
    }

    async fn run(mut self, mut timer: Pin<&mut Sleep>, mut stopped: Pin<&mut impl Future>) {
        let mut last_bytes = None;
        loop {
            match self.answer_received().await {
                Next::Read => {}
                Next::Flush | Next::Ask(_) => continue,
                Next::Linger => return self.linger().await,
                Next::Close => return,
            };
            if last_bytes.is_none() && self.shared.shutdown.is_cancelled() {
                last_bytes = Some(LAST_BYTES);
            }
            let begins = self.inbound.is_empty();
            self.give_back();
            let arrived = match &mut last_bytes {
                None => self.read(timer.as_mut(), stopped.as_mut()).await,
                Some(left) => self.read_last(left),
            };
            match arrived {
                // From its first byte on, a request has the whole time for itself.
                Arrived::Some if begins => self.deadline = Instant::now() + self.idle,
                Arrived::Some | Arrived::Stop => {}
                Arrived::End if last_bytes.is_some_and(|left| left < LAST_BYTES) => {
                    return self.linger().await;
                }
                Arrived::End => return,
            }
        }
    }

    /// Answers the requests that have arrived whole, and writes the answers.
    async fn answer_received(&mut self) -> Next {
        loop {
            let next = match self.answer_from_memory() {
                Next::Ask(length) => self.answer_waiting(length).await,
                next => next,
            };
            if next == Next::Flush && self.scratch.reply().len() < FLUSH {
                continue;
            }
            if !self.flush().await {
                return Next::Close;
            }
            if next != Next::Flush {
                return next;
            }
        }
    }

    /// Appends the answers to what has arrived whole, up to the first that memory does not know.
    fn answer_from_memory(&mut self) -> Next {
        let (answered, next) = self.serve_received();
        self.forget(answered);
        next
    }

    /// The same; how many bytes of what has arrived are answered, and what is next.
    fn serve_received(&mut self) -> (usize, Next) {
        let mut answered = 0;
        let mut desk = None;
        let began = std::time::Instant::now();
        let next = loop {
            let received = self.inbound.get(answered..).unwrap_or_default();
            let length = match tcp_frame(received) {
                FrameStatus::Complete { len } => len,
                FrameStatus::NeedMore(_) => break Next::Read,
                FrameStatus::Invalid(error) => {
                    let answerer = &self.shared.answerer;
                    answerer.refuse_stream(received, error, &mut self.scratch);
                    break Next::Linger;
                }
            };
            let message = received.get(..length).unwrap_or_default();
            if self.busy {
                let answerer = &self.shared.answerer;
                let _last = answerer.busy(message, Transport::Tcp, &mut self.scratch);
                answered += length;
                break Next::Linger;
            }
            if self
                .client
                .as_ref()
                .is_some_and(|it| it.is_more_to(message))
            {
                break Next::Ask(length);
            }
            // The filters of a long request may take longer than a desk should be kept for.
            if length > MAX_DATAGRAM_LEN {
                break Next::Ask(length);
            }
            let desk = desk.get_or_insert_with(|| self.shared.desks.free());
            match desk.serve(message, Transport::Tcp, &mut self.scratch) {
                Attempt::Done => answered += length,
                Attempt::NeedsDisk | Attempt::NeedsTask => break Next::Ask(length),
                Attempt::Silent => {
                    answered += length;
                    break Next::Linger;
                }
            }
            if self.scratch.reply().len() >= FLUSH {
                break Next::Flush;
            }
        };
        if let Some(mut desk) = desk {
            desk.batch_ended(began.elapsed());
        }
        (answered, next)
    }

    async fn answer_waiting(&mut self, length: usize) -> Next {
        let changed = self.change_together(length).await;
        if changed > 0 {
            self.forget(changed);
            return Next::Flush;
        }
        let message = self.inbound.get(..length).unwrap_or_default();
        // Others may be slow to answer: what is answered already does not wait for them.
        if !self.scratch.reply().is_empty() && asks_others(message) && !self.flush().await {
            return Next::Close;
        }
        let message = self.inbound.get(..length).unwrap_or_default();
        let answerer = &self.shared.answerer;
        let source = self.source;
        let client = self
            .client
            .get_or_insert_with(|| Box::new(Client::at(source)));
        // On the heap while it lasts: what it takes is not to be part of every idle connection.
        let answer = answerer.answer(message, Transport::Tcp, client, &mut self.scratch);
        let attempt = Box::pin(answer).await;
        self.forget(length);
        while self.client.as_ref().is_some_and(|client| client.has_more()) {
            if !self.flush().await {
                return Next::Close;
            }
            let Some(client) = &mut self.client else {
                break;
            };
            let answerer = &self.shared.answerer;
            Box::pin(answerer.go_on(client, &mut self.scratch)).await;
        }
        match attempt {
            Attempt::Silent => Next::Linger,
            Attempt::Done | Attempt::NeedsDisk | Attempt::NeedsTask => Next::Flush,
        }
    }

    /// Carries out the changes that have arrived, if the first request, of this length, is one of a
    /// client that has logged in; how many bytes they are.
    async fn change_together(&mut self, length: usize) -> usize {
        let message = self.inbound.get(..length).unwrap_or_default();
        let Some(client) = self.client.as_ref().filter(|it| it.may_change(message)) else {
            return 0;
        };
        let (answerer, caller) = (&self.shared.answerer, client.caller());
        let changes = answerer.change_together(&self.inbound, caller, &mut self.scratch);
        // On the heap, as below.
        Box::pin(changes).await
    }

    /// Forgets requests that have been answered.
    fn forget(&mut self, answered: usize) {
        if answered > 0 {
            self.inbound.drain(..answered);
            self.deadline = Instant::now() + self.idle;
        }
    }

    /// Writes the answers in one piece; false when the connection is of no more use.
    async fn flush(&mut self) -> bool {
        let reply = self.scratch.reply();
        if reply.is_empty() {
            return true;
        }
        let write = async {
            self.stream.write_all(reply).await?;
            self.stream.flush().await
        };
        let written = match timeout(self.shared.write, write).await {
            Ok(written) => written.is_ok(),
            Err(_) => {
                self.shared.answerer.metrics.bound(Bound::TcpWrite);
                false
            }
        };
        self.scratch.clear();
        written
    }

    /// Gives back what long requests and answers have left: the next request may be a minute in
    /// coming.
    fn give_back(&mut self) {
        self.scratch.shrink(IDLE_BUFFER);
        let needed = self.inbound.len().max(IDLE_BUFFER);
        // Within a request not for a little: one that comes byte by byte would be copied as often.
        let spare = if self.inbound.is_empty() { 1 } else { SPARE };
        if self.inbound.capacity() > spare * needed {
            self.inbound.shrink_to(needed);
        }
    }

    /// Reads what there is, or waits for it.
    async fn read(
        &mut self,
        mut timer: Pin<&mut Sleep>,
        mut stopped: Pin<&mut impl Future>,
    ) -> Arrived {
        loop {
            tokio::select! {
                biased;
                read = read_some(&mut self.stream, &mut self.inbound) => return match read {
                    Ok(1..) => Arrived::Some,
                    _ => Arrived::End,
                },
                // Set once for many requests: the deadline has moved on, if there were any.
                () = timer.as_mut() => match Instant::now() >= self.deadline {
                    true => return Arrived::End,
                    false => timer.as_mut().reset(self.deadline),
                },
                _ = stopped.as_mut() => return Arrived::Stop,
            }
        }
    }

    /// Reads what has been sent by the time the front stops, `left` bytes at most.
    fn read_last(&mut self, left: &mut usize) -> Arrived {
        if *left == 0 {
            return Arrived::End;
        }
        match read_some(&mut self.stream, &mut self.inbound).now_or_never() {
            Some(Ok(count @ 1..)) => {
                *left = left.saturating_sub(count);
                Arrived::Some
            }
            _ => Arrived::End,
        }
    }

    /// Ends the stream and reads what still comes: a close with unread bytes would make the
    /// kernel take back the answer. The end may be a message too, which a client that does not
    /// read keeps from being written.
    async fn linger(mut self) {
        let rest = async {
            if self.stream.shutdown().await.is_err() {
                return;
            }
            self.inbound.clear();
            while let Ok(1..) = read_some(&mut self.stream, &mut self.inbound).await {
                self.inbound.clear();
            }
        };
        if timeout(LINGER, rest).await.is_err() {
            tracing::trace!("a Handle client kept its connection open");
        }
    }
}

/// Whether a request may be recursive.
fn asks_others(message: &[u8]) -> bool {
    Message::decode(message).is_ok_and(|it| it.header.flags.contains(OpFlags::RECURSE))
}

thread_local! {
    /// What is read into: so that a connection has memory for what has come, not for what may come.
    static ARRIVING: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

/// Appends what there is, or waits for it; how many bytes. 0: the end.
async fn read_some<S: AsyncRead + Unpin>(
    stream: &mut S,
    received: &mut Vec<u8>,
) -> io::Result<usize> {
    poll_fn(|context| {
        ARRIVING.with_borrow_mut(|arriving| {
            let mut into = ReadBuf::new(arriving);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut into))?;
            received.extend_from_slice(into.filled());
            Poll::Ready(Ok(into.filled().len()))
        })
    })
    .await
}
