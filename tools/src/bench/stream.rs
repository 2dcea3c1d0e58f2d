//! Load over connections (TCP, TLS): queries are pipelined, answers taken in whatever order they
//! come.

use std::cell::{Cell, RefCell};
use std::io;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::error::Failure;
use super::protocol::Protocol;
use super::run::{Job, Sender};
use super::tally::Tally;
use super::window::Window;

/// Queries written at once.
const BATCH: usize = 64;
/// Bytes read at once, at most.
const READ_BYTES: usize = 64 << 10;
/// How often it is looked for queries that are lost.
const EXPIRE_EVERY: Duration = Duration::from_millis(20);
/// The runtime's timers tick in milliseconds: what is due sooner than this is not slept for.
const SHORTEST_SLEEP: Duration = Duration::from_millis(2);

/// What the connections of one sender share.
pub(super) struct Shared<'a, P> {
    pub(super) job: &'a Job<P>,
    pub(super) sender: RefCell<Sender>,
    pub(super) tally: RefCell<Tally>,
}

/// One connection's own.
struct Connection<'a, P> {
    shared: &'a Shared<'a, P>,
    window: RefCell<Window>,
    /// Queries that may still be sent on it.
    left: Cell<u64>,
    /// Rung when the window has more room.
    room: Notify,
}

/// Runs one sender to its end.
pub(super) async fn run<P: Protocol>(job: &Job<P>, sender: Sender) -> Result<Tally, Failure> {
    let connections = sender.connections;
    let most = sender.in_flight.div_ceil(connections);
    let shared = Shared {
        job,
        sender: RefCell::new(sender),
        tally: RefCell::new(job.tally()?),
    };
    let mut running: FuturesUnordered<_> =
        (0..connections).map(|_| keep_busy(&shared, most)).collect();
    while let Some(done) = running.next().await {
        done?;
    }
    drop(running);
    Ok(shared.tally.into_inner())
}

/// Holds one connection, and opens another when the server closes it, until all has been asked.
async fn keep_busy<P: Protocol>(shared: &Shared<'_, P>, most: usize) -> Result<(), Failure> {
    loop {
        let stream = connect(shared.job).await?;
        let connection = Connection {
            shared,
            window: RefCell::new(Window::new(most)),
            left: Cell::new(shared.job.per_connection.unwrap_or(u64::MAX)),
            room: Notify::new(),
        };
        let answered_before = shared.tally.borrow().answered;
        let ended = match &shared.job.tls {
            None => connection.converse(stream).await,
            Some(tls) => connection.converse(tls.connect(stream).await?).await,
        };
        match ended? {
            Ended::Asked => return Ok(()),
            Ended::UsedUp => continue,
            Ended::Closed => {}
        }
        let mut tally = shared.tally.borrow_mut();
        tally.lost += connection.window.borrow().in_flight() as u64;
        tally.reconnects += 1;
        if tally.answered == answered_before {
            let refused = format!("{} closes connections without an answer", shared.job.server);
            return Err(Failure::Protocol(refused));
        }
    }
}

/// Opens a TCP connection that does not hold small writes back.
pub(super) async fn connect<P>(job: &Job<P>) -> Result<TcpStream, Failure> {
    let connected = TcpStream::connect(job.server).await;
    connected
        .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
        .map_err(Failure::io(format!("a connection to {}", job.server)))
}

/// How a connection came to its end.
enum Ended {
    /// Everything has been asked, and answered or given up.
    Asked,
    /// It has carried as many queries as it was to.
    UsedUp,
    /// The server closed it.
    Closed,
}

impl<P: Protocol> Connection<'_, P> {
    async fn converse<S: AsyncRead + AsyncWrite>(&self, stream: S) -> Result<Ended, Failure> {
        let (reader, writer) = tokio::io::split(stream);
        // Both at once: a server that waits for its answers to be read reads no queries.
        let done = tokio::select! {
            done = self.read(reader) => done.map(|()| Ended::Closed),
            done = self.write(writer) => done,
        };
        done.or_else(|error| match error.kind() {
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::UnexpectedEof => Ok(Ended::Closed),
            _ => Err(Failure::io("a connection")(error)),
        })
    }

    /// Reads answers until the server closes.
    async fn read(&self, mut reader: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut buffer: Vec<u8> = Vec::with_capacity(2 * READ_BYTES);
        loop {
            buffer.reserve(READ_BYTES);
            if reader.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            let now_ns = self.shared.job.clock.now_ns();
            let taken = self.take_messages(&buffer, now_ns)?;
            buffer.drain(..taken);
            self.room.notify_one();
        }
    }

    /// Counts the whole messages at the beginning of `bytes`; how many bytes they are.
    fn take_messages(&self, bytes: &[u8], now_ns: u64) -> io::Result<usize> {
        let mut window = self.window.borrow_mut();
        let mut tally = self.shared.tally.borrow_mut();
        let protocol = &self.shared.job.protocol;
        let mut rest = bytes;
        while let Some((answer, after)) = protocol.split(rest)? {
            protocol.count(answer, &mut window, &mut tally, now_ns);
            rest = after;
        }
        Ok(bytes.len() - rest.len())
    }

    /// Writes queries until all are asked, then waits for the last answers.
    async fn write(&self, mut writer: impl AsyncWrite + Unpin) -> io::Result<Ended> {
        let mut out = Vec::new();
        loop {
            let now_ns = self.shared.job.clock.now_ns();
            self.expire(now_ns);
            out.clear();
            self.fill(&mut out, now_ns);
            if !out.is_empty() {
                writer.write_all(&out).await?;
                writer.flush().await?;
                continue;
            }
            let (over, due) = {
                let pace = &self.shared.sender.borrow().pace;
                (pace.due_ns(now_ns).is_none(), pace.wait(now_ns))
            };
            let is_used_up = self.left.get() == 0;
            let window_is_full = is_used_up || !self.window.borrow().has_room();
            match due {
                _ if self.window.borrow().in_flight() == 0 && (over || is_used_up) => {
                    return Ok(if over { Ended::Asked } else { Ended::UsedUp });
                }
                Some(due) if !over && !window_is_full => wait_until(due).await,
                _ => {
                    // Until an answer comes; what does not come expires.
                    let _ = tokio::time::timeout(EXPIRE_EVERY, self.room.notified()).await;
                }
            }
        }
    }

    /// Adds at most a batch of what is due.
    fn fill(&self, out: &mut Vec<u8>, now_ns: u64) {
        let job = self.shared.job;
        let sender = &mut *self.shared.sender.borrow_mut();
        let mut window = self.window.borrow_mut();
        let mut sent = 0;
        while sent < BATCH && window.has_room() && self.left.get() > 0 {
            let Some(waiting) = sender.next(now_ns) else {
                break;
            };
            let Some(id) = window.put(waiting) else { break };
            job.protocol.push_on_stream(out, id, waiting.question);
            self.left.set(self.left.get() - 1);
            sent += 1;
            if job.is_open_loop() {
                // The next one is another connection's.
                break;
            }
        }
        self.shared.tally.borrow_mut().sent += sent as u64;
    }

    fn expire(&self, now_ns: u64) {
        let timeout_ns = self.shared.job.timeout_ns;
        let lost = self.window.borrow_mut().expire(now_ns, timeout_ns);
        self.shared.tally.borrow_mut().lost += lost;
    }
}

/// Waits until a query is due, a little less than `due`.
pub(super) async fn wait_until(due: Duration) {
    match due.checked_sub(SHORTEST_SLEEP) {
        Some(sleep) => tokio::time::sleep(sleep).await,
        None => tokio::task::yield_now().await,
    }
}
