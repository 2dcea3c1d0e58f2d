//! Queries over a byte stream: TCP (RFC 7766), and TLS over it (RFC 7858). Each message is
//! preceded by its length in two bytes (RFC 1035 §4.2.2).
//!
//! A client may send many queries without waiting (RFC 7766 §6.2.1.1). What memory knows is
//! answered at once: every query that one read brings, all answers in one write. Queries that
//! wait for the disk do so beside each other, and their answers follow in the order in which
//! they are found. A client that sends faster than it reads, or that has too many queries
//! waiting, is not read from meanwhile.

use super::desk::{Desk, Served};
use super::exchange::Exchange;
use super::peer::Peer;
use super::transfer::Messages;
use crate::front::desks::Desks;
use crate::measure;
use futures_util::stream::{FuturesUnordered, StreamExt};
use metrics::Counter;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;
use tokio_util::sync::CancellationToken;

/// Room for what one read brings, bytes.
const READ_BYTES: usize = 8 << 10;
/// Answers that are not sent yet, bytes, at which no further query is looked at.
const UNSENT_BYTES: usize = 64 << 10;
/// What is still read of a connection when the node shuts down, bytes: queries that were sent
/// by then are answered.
const LAST_BYTES: usize = 64 << 10;

/// Bounds of one connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How long it may be without a whole query, and how long its client may take to read what
    /// was to be sent at a time.
    pub(super) idle: Duration,
    /// Queries at once that wait for the disk; over HTTPS and QUIC, requests at once.
    pub(super) max_queries: usize,
}

/// Counts where a connection met a bound.
#[derive(Clone)]
pub(super) struct Meters {
    waiting: Counter,
    unfinished: Counter,
    unread: Counter,
}

impl Meters {
    pub(super) fn new() -> Self {
        let counter = super::bound_counter;
        Self {
            waiting: counter("dns_connection_queries"),
            unfinished: counter("dns_unfinished_queries"),
            unread: counter("dns_unread_answers"),
        }
    }

    /// A query began and did not end in time.
    pub(super) fn count_unfinished(&self) {
        self.unfinished.increment(1);
    }

    /// An answer was not read in time.
    pub(super) fn count_unread(&self) {
        self.unread.increment(1);
    }
}

/// What connections share.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) exchange: Exchange,
    pub(super) desks: Arc<Desks<Desk>>,
    pub(super) limits: Limits,
    pub(super) meters: Meters,
    pub(super) shutdown: CancellationToken,
}

impl Connections {
    /// Answers a connection's queries until its client ends it, a bound does, or the node shuts
    /// down and what had been asked by then is answered.
    pub(super) async fn converse<S>(self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (idle, shutdown) = (self.limits.idle, self.shutdown.clone());
        let mut conversation = Conversation::new(stream, peer, self);
        let mut stop = pin!(shutdown.cancelled());
        let mut timer = pin!(tokio::time::sleep(idle));
        let ended = poll_fn(|cx| {
            if conversation.last_bytes.is_none() && stop.as_mut().poll(cx).is_ready() {
                conversation.last_bytes = Some(LAST_BYTES);
            }
            let mut ended = conversation.poll(cx);
            // Each deadline is some moment and the idle time, so none comes before the timer's.
            while ended.is_pending() && timer.as_mut().poll(cx).is_ready() {
                let now = Instant::now();
                match conversation.deadline() {
                    Some(at) if at > now => timer.as_mut().reset(at),
                    None => timer.as_mut().reset(now + idle),
                    Some(_) if !conversation.hang_up() => {
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                    Some(_) => {
                        timer.as_mut().reset(now + idle);
                        ended = conversation.poll(cx);
                    }
                }
            }
            ended
        });
        if let Err(error) = ended.await {
            tracing::trace!(%error, ?peer, "a DNS connection ended");
        }
    }
}

type Answer = Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>>;

struct Conversation<S> {
    stream: S,
    peer: Peer,
    shared: Connections,
    /// Received and not yet looked at.
    inbox: Vec<u8>,
    /// Answers, those first that the stream has not taken yet.
    outbox: Outbox,
    /// The stream has taken something that it may hold back.
    unflushed: bool,
    /// Queries that wait for the disk.
    waiting: FuturesUnordered<Answer>,
    /// The zone transfer under way: queries behind it wait for its end.
    transfer: Option<Messages>,
    /// A whole query is in the inbox and must stay there for now.
    is_full: bool,
    /// Bytes that are still read once the node shuts down.
    last_bytes: Option<usize>,
    /// Nothing more is read.
    is_over: bool,
    /// When the last whole query came, or the last answer went.
    quiet_since: Instant,
    /// Bytes sent so far.
    sent: u64,
    /// How far sending must have come, as a value of `sent`, and since when that is so.
    to_be_sent: Option<(u64, Instant)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    fn new(stream: S, peer: Peer, shared: Connections) -> Self {
        Self {
            stream,
            peer,
            shared,
            inbox: Vec::new(),
            outbox: Outbox::default(),
            unflushed: false,
            waiting: FuturesUnordered::new(),
            transfer: None,
            is_full: false,
            last_bytes: None,
            is_over: false,
            quiet_since: Instant::now(),
            sent: 0,
            to_be_sent: None,
        }
    }

    /// Goes on as far as the stream and the disk let it; ready when there is nothing to be done
    /// any more.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut moved = self.collect(cx);
            moved |= self.forward(cx)?;
            moved |= self.answer();
            moved |= self.send(cx)?;
            moved |= self.receive(cx)?;
            let is_idle = !self.has_work() && self.outbox.is_empty() && !self.unflushed;
            if self.is_over && is_idle && whole_query(&self.inbox).is_none() {
                return Pin::new(&mut self.stream).poll_shutdown(cx);
            }
            if !moved {
                return Poll::Pending;
            }
        }
    }

    /// Takes the answers of queries that had to wait.
    fn collect(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while let Poll::Ready(Some(answer)) = self.waiting.poll_next_unpin(cx) {
            if let Some(answer) = answer {
                self.outbox.put(&answer);
            }
            moved = true;
        }
        if moved {
            self.quiet_since = Instant::now();
        }
        moved
    }

    /// Whether answers are still to be found.
    fn has_work(&self) -> bool {
        !self.waiting.is_empty() || self.transfer.is_some()
    }

    /// Takes messages of the zone transfer under way, as many as may wait to be sent. A transfer
    /// that ends early ends the connection, as does the node's end.
    fn forward(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut moved = false;
        while let Some(messages) = &mut self.transfer {
            if self.last_bytes.is_some() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if self.outbox.len() >= UNSENT_BYTES {
                break;
            }
            match messages.poll_recv(cx) {
                Poll::Ready(Some(Ok(message))) => self.outbox.put(&message),
                Poll::Ready(Some(Err(_))) => return Err(io::ErrorKind::ConnectionAborted.into()),
                Poll::Ready(None) => self.transfer = None,
                Poll::Pending => break,
            }
            moved = true;
        }
        if moved {
            self.quiet_since = Instant::now();
        }
        Ok(moved)
    }

    /// Answers whole queries of the inbox, as many as may be.
    fn answer(&mut self) -> bool {
        let was_full = std::mem::take(&mut self.is_full);
        let mut rest = self.inbox.as_slice();
        if whole_query(rest).is_none() {
            return false;
        }
        let shared = &self.shared;
        let mut desk = shared.desks.free();
        let _asker = measure::asker::here(Some(self.peer.addr.ip()));
        let (began, mut answered, mut answer) = (Instant::now(), 0, Vec::new());
        while let Some((query, behind)) = whole_query(rest) {
            let waits = self.waiting.len() >= shared.limits.max_queries;
            if waits || self.transfer.is_some() || self.outbox.len() >= UNSENT_BYTES {
                if waits && !was_full {
                    shared.meters.waiting.increment(1);
                }
                self.is_full = true;
                break;
            }
            answer.clear();
            match desk.serve(query, &self.peer, &mut answer) {
                Served::Answered => {
                    self.outbox.put(&answer);
                    answered += 1;
                }
                Served::Nothing => {}
                Served::Wait(waiting) => {
                    let exchange = shared.exchange.clone();
                    let place = exchange.place();
                    let answer = async move { exchange.finish_elsewhere(*waiting, place).await };
                    self.waiting.push(Box::pin(answer));
                }
                Served::Messages(messages) => self.transfer = Some(messages),
            }
            rest = behind;
        }
        let looked_at = self.inbox.len() - rest.len();
        if looked_at == 0 {
            return false;
        }
        self.quiet_since = Instant::now();
        desk.batch_ended(answered, self.quiet_since - began);
        drop(desk);
        self.inbox.drain(..looked_at);
        release(&mut self.inbox, READ_BYTES);
        true
    }

    /// Gives answers to the stream.
    fn send(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut moved = false;
        while !self.outbox.is_empty() {
            let unsent = self.outbox.unsent();
            match Pin::new(&mut self.stream).poll_write(cx, unsent)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => {
                    self.outbox.advance(count);
                    self.sent += count as u64;
                    self.unflushed = true;
                    moved = true;
                }
                Poll::Pending => break,
            }
        }
        if self.unflushed && Pin::new(&mut self.stream).poll_flush(cx)?.is_ready() {
            self.unflushed = false;
        }
        self.watch_sending(moved);
        Ok(moved)
    }

    /// Whoever reads at all gets a new deadline each time that all has been sent which waited
    /// when the last was set, so that reading a byte now and then is not enough.
    fn watch_sending(&mut self, moved: bool) {
        if self.outbox.is_empty() && !self.unflushed {
            if self.to_be_sent.take().is_some() || moved {
                self.quiet_since = Instant::now();
            }
            return;
        }
        let goal = self.sent + self.outbox.len() as u64;
        let is_new = |(old, _)| self.sent >= old && goal > old;
        if self.to_be_sent.is_none_or(is_new) {
            self.to_be_sent = Some((goal, Instant::now()));
        }
    }

    /// Reads once, unless there is enough to do.
    fn receive(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if self.is_over || self.is_full {
            return Ok(false);
        }
        if self.last_bytes == Some(0) {
            self.is_over = true;
            return Ok(true);
        }
        self.inbox
            .reserve(missing_bytes(&self.inbox).max(READ_BYTES));
        match poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.inbox)? {
            Poll::Ready(0) => self.is_over = true,
            Poll::Ready(count) => {
                if let Some(left) = &mut self.last_bytes {
                    *left = left.saturating_sub(count);
                }
            }
            // What the client sends from now on is too late.
            Poll::Pending if self.last_bytes.is_some() => self.is_over = true,
            Poll::Pending => return Ok(false),
        }
        Ok(true)
    }

    /// When the client must have done what it is waited for; `None`: it is not.
    fn deadline(&self) -> Option<Instant> {
        match self.to_be_sent {
            Some((_, since)) => Some(since + self.shared.limits.idle),
            None if !self.has_work() => Some(self.quiet_since + self.shared.limits.idle),
            None => None,
        }
    }

    /// Reads nothing more from a client that has been silent for too long, so that there is only
    /// the farewell to be sent; false: it does not read either.
    fn hang_up(&mut self) -> bool {
        if self.to_be_sent.is_some() {
            self.shared.meters.count_unread();
        } else if !self.inbox.is_empty() {
            self.shared.meters.count_unfinished();
        }
        let was_over = std::mem::replace(&mut self.is_over, true);
        self.inbox.clear();
        self.quiet_since = Instant::now();
        self.to_be_sent.is_none() && !was_over
    }
}

/// Framed answers on their way to the stream.
#[derive(Default)]
struct Outbox {
    bytes: Vec<u8>,
    /// How much of `bytes` the stream has taken.
    taken: usize,
}

impl Outbox {
    fn put(&mut self, answer: &[u8]) {
        // No answer is longer: the encoder keeps to what a length can say.
        if let Ok(length) = u16::try_from(answer.len()) {
            self.bytes.extend_from_slice(&length.to_be_bytes());
            self.bytes.extend_from_slice(answer);
        }
    }

    fn unsent(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    fn len(&self) -> usize {
        self.unsent().len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn advance(&mut self, count: usize) {
        self.taken += count;
        if self.is_empty() {
            self.bytes.clear();
            self.taken = 0;
            release(&mut self.bytes, READ_BYTES);
        } else if self.taken >= UNSENT_BYTES {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
    }
}

/// The query that received bytes begin with, if all of it is there, and what is behind it.
pub(super) fn whole_query(inbox: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = inbox.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// What is missing of the query that received bytes begin with.
fn missing_bytes(inbox: &[u8]) -> usize {
    let whole = |length| 2 + usize::from(u16::from_be_bytes(length));
    let length = inbox.first_chunk().copied();
    length.map_or(0, whole).saturating_sub(inbox.len())
}

/// Gives back the memory of a buffer that had to grow and is empty again.
fn release(buffer: &mut Vec<u8>, usual_bytes: usize) {
    if buffer.is_empty() && buffer.capacity() > 4 * usual_bytes {
        *buffer = Vec::new();
    }
}
