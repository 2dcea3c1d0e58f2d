//! The Handle protocol (RFC 3652, versions 2.1 to 2.11) over UDP and TCP: resolution and site
//! information. docs/handle.md says what is answered to what.
//!
//! | module | holds |
//! |---|---|
//! | [`answer`] | a request's bytes to its answer's bytes, for both transports |
//! | `outcome` | how the core's answers read in this protocol |
//! | `udp` | the datagram loops |
//! | `tcp` | connections |
//! | `metrics` | what is counted |

pub mod answer;
mod metrics;
mod outcome;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use super::Core;
use crate::trust::Verdicts;
use answer::Answerer;
use idnode_proto::handle::ReassemblyLimits;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections the kernel keeps until they are accepted.
const TCP_BACKLOG: u32 = 1024;
/// Datagrams of a burst that the kernel is asked to keep, bytes; it may grant less.
const UDP_RECEIVE_BUFFER: usize = 4 << 20;
/// How often another port is tried when UDP does not get the one that TCP was given.
const PORT_ATTEMPTS: u32 = 16;

/// The bounds of the front.
#[derive(Debug, Clone)]
pub struct HandleOptions {
    /// How long a connection may be silent, and how long one request may take to arrive.
    pub tcp_idle: Duration,
    /// How long a client may take to accept what is written to it.
    pub tcp_write: Duration,
    /// Connections served at once; further ones get code 3 (busy) and are closed.
    pub max_tcp_connections: usize,
    /// UDP requests that wait for the disk, or whose answers are being sent in many pieces, at
    /// once; further ones get code 3 (busy).
    pub max_udp_in_flight: usize,
    /// Requests in several datagrams that are kept until they are complete, for each socket.
    pub reassembly: ReassemblyLimits,
    /// Who says whether an answer is trusted; `None`: none is.
    pub verdicts: Option<Arc<Verdicts>>,
}

impl Default for HandleOptions {
    fn default() -> Self {
        Self {
            tcp_idle: Duration::from_secs(60),
            tcp_write: Duration::from_secs(10),
            max_tcp_connections: 10_000,
            max_udp_in_flight: 4096,
            reassembly: ReassemblyLimits::default(),
            verdicts: None,
        }
    }
}

/// The sockets of the front, bound before the rest of the node is built: its site information
/// names their port.
#[derive(Debug)]
pub struct HandleSockets {
    tcp: TcpListener,
    udp: Vec<UdpSocket>,
    local_addr: SocketAddr,
}

impl HandleSockets {
    /// TCP and `udp_sockets` UDP sockets (0: one for each core) on the same port, for port 0 on
    /// one that both get. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address is in use, not this machine's, or not permitted.
    pub fn bind(addr: SocketAddr, udp_sockets: usize) -> io::Result<Self> {
        let udp_sockets = match udp_sockets {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            some => some,
        };
        let mut attempts = 1;
        loop {
            let tcp = bind_tcp(addr)?;
            let local_addr = tcp.local_addr()?;
            match bind_udp(local_addr, udp_sockets) {
                Ok(udp) => {
                    return Ok(Self {
                        tcp,
                        udp,
                        local_addr,
                    });
                }
                Err(error)
                    if addr.port() == 0
                        && error.kind() == io::ErrorKind::AddrInUse
                        && attempts < PORT_ATTEMPTS =>
                {
                    attempts += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The address both transports are bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

fn bind_tcp(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restarted node must not wait for its predecessor's connections to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(TCP_BACKLOG)
}

fn bind_udp(addr: SocketAddr, count: usize) -> io::Result<Vec<UdpSocket>> {
    // Sockets that share a port do not notice another program's that do: ask without sharing.
    drop(std::net::UdpSocket::bind(addr)?);
    (0..count)
        .map(|_| {
            let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, None)?;
            socket.set_reuse_port(true)?;
            if let Err(error) = socket.set_recv_buffer_size(UDP_RECEIVE_BUFFER) {
                tracing::debug!(%error, "the UDP receive buffer stays as it is");
            }
            socket.set_nonblocking(true)?;
            socket.bind(&addr.into())?;
            UdpSocket::from_std(socket.into())
        })
        .collect()
}

/// The Handle front, ready to serve.
#[derive(Debug)]
pub struct HandleFront {
    sockets: HandleSockets,
    answerer: Arc<Answerer>,
    options: HandleOptions,
}

impl HandleFront {
    /// A front on sockets that are bound already.
    pub fn new(sockets: HandleSockets, core: Arc<Core>, options: HandleOptions) -> Self {
        Self {
            sockets,
            answerer: Arc::new(Answerer::new(core).with_verdicts(options.verdicts.clone())),
            options,
        }
    }

    /// Binds sockets, one for UDP on each core, and makes a front on them.
    ///
    /// # Errors
    /// As [`HandleSockets::bind`].
    pub async fn bind(
        addr: SocketAddr,
        core: Arc<Core>,
        options: HandleOptions,
    ) -> io::Result<Self> {
        Ok(Self::new(HandleSockets::bind(addr, 0)?, core, options))
    }

    /// The address both transports are bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.sockets.local_addr
    }

    /// Serves until `shutdown` is cancelled, then finishes what is under way. Dropping the future
    /// ends everything at once.
    pub async fn serve(self, shutdown: CancellationToken) {
        let tasks = Tasks::default();
        let _ends_with_this_future = tasks.abandon.clone().drop_guard();
        let udp = Arc::new(udp::Shared::new(
            self.answerer.clone(),
            &self.options,
            tasks.clone(),
        ));
        for socket in self.sockets.udp {
            tasks.spawn(
                udp.clone()
                    .run(socket, self.options.reassembly, shutdown.clone()),
            );
        }
        tcp::accept(
            self.sockets.tcp,
            self.answerer,
            &self.options,
            &tasks,
            &shutdown,
        )
        .await;
        tasks.tracker.close();
        tasks.tracker.wait().await;
    }
}

/// The front's tasks: awaited when it drains, ended when it is dropped.
#[derive(Debug, Clone, Default)]
struct Tasks {
    tracker: TaskTracker,
    abandon: CancellationToken,
}

impl Tasks {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let abandon = self.abandon.clone();
        self.tracker.spawn(async move {
            abandon.run_until_cancelled(task).await;
        });
    }
}
